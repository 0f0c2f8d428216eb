package fsm

import "github.com/pawlhq/pawl/fsm/def"

// Explain says what a task waits for: first what holds its whole execution up, then the
// task itself, then what the execution below it waits for. An open task has at least one
// reason. It gives none for a task that is not known.
func (v View) Explain(id TaskID) []Reason {
	if v.s == nil {
		return nil
	}
	t, ok := v.s.findTask(id)
	if !ok {
		return nil
	}
	x := explainer{s: v.s, left: maxExplainSteps}
	e := v.s.execOf(t)
	if !effective(e, t).Terminal() {
		x.execution(e)
	}
	x.task(e, t)
	return x.out
}

// explainer gathers the reasons of one question.
type explainer struct {
	s     *State
	out   []Reason
	at    TaskID // what the next reason is said of
	ref   string
	depth int
	left  int // records and rows that may be looked at
}

func (x *explainer) add(r Reason) {
	if len(x.out) >= maxReasons {
		return
	}
	r.Task, r.Ref, r.Depth = x.at, x.ref, x.depth
	r.Text = cut(r.Text)
	x.out = append(x.out, r)
}

// say adds a reason that is no more than its text.
func (x *explainer) say(kind string, parts ...string) {
	x.add(Reason{Kind: kind, Text: join(parts...)})
}

// spend takes a step and says whether there was one left.
func (x *explainer) spend() bool {
	x.left--
	return x.left >= 0
}

// task says what one record waits for.
func (x *explainer) task(e *execution, t *task) {
	x.at, x.ref = t.id, visibleRef(x.s, t)
	if st := effective(e, t); st.Terminal() {
		x.ended(e, t, st)
		return
	}
	switch {
	case t.job != jobNone:
		x.job(t)
	case t.place == placeReady:
		x.ready(t)
	case t.place == placeDelayed:
		x.delayed(t)
	case t.place == placeLeased:
		x.leased(e, t)
	case t.place == placeParked:
		x.parked(e, t)
	default:
		x.waiting(e, t)
	}
	if x.overdue(t) {
		x.say(WhyHeld, "a time limit of it has passed; it is judged when the execution is resumed")
	}
}

// ended is said of a record that is over, and of what has not come of it yet.
func (x *explainer) ended(e *execution, t *task, st TaskStatus) {
	x.say(WhyEnded, "the task is ", st.String())
	n := x.s.nodeOf(e, t.node)
	switch {
	case e.status.Terminal():
	case unexpanded(t, n):
		x.expanding(t, n)
	case !t.executed && !t.retried && t.id.Serial >= e.jumped:
		x.say(WhyHeld, "what follows it has not been made: the execution has to go on first")
	}
}

// expanding is said of a fork whose branches have not all been begun.
func (x *explainer) expanding(t *task, n *def.Node) {
	all := len(n.Heads)
	if n.Kind == def.DynamicFork {
		all = int(t.width)
	}
	x.add(Reason{Kind: WhyAgenda, Count: all - int(t.done), Text: join(
		itoa(int64(t.done)), " of the ", itoa(int64(all)), " branches of ", visibleRef(x.s, t), " have been begun; the others follow by themselves")})
}

// delayed is said of a record that becomes ready, or acts, at a time.
func (x *explainer) delayed(t *task) {
	r := Reason{Kind: WhyDelayed, Until: t.ready, Text: "its delay is over"}
	switch {
	case t.callback > 0 && t.updated != 0:
		r.Kind, r.Text = WhyCallback, join("the ", itoa(t.callback), " s that its worker asked for are over")
	case t.polls == 0 && t.retry > 0:
		r.Kind, r.Text = WhyBackoff, join("the delay of attempt ", itoa(int64(t.retry)+1), " is over")
	case t.polls > 0 || t.startDelay == 0:
		r.Text = "its queue has more types with limits than it can tell apart; it is looked at again"
	}
	if q, ok := x.s.queues.get(t.queue); ok {
		r.Queue = q.name
	}
	r.Text = join(r.Text, x.in(t.ready))
	x.add(r)
	x.due(t.ready)
}

// in says when a time comes.
func (x *explainer) in(at Millis) string {
	if at <= x.s.now {
		return " now"
	}
	return join(" in ", spanText(at-x.s.now))
}

// due adds that a time has come, and that nothing but an entry is missing.
func (x *explainer) due(at Millis) {
	if at > x.s.now {
		return
	}
	last := &x.out[len(x.out)-1]
	if last.Task == x.at && last.Until == at {
		last.Until = 0
	}
	x.say(WhyDue, "its time has come; the next entry with room for it acts on that")
}

// leased is said of a task that a worker is at.
func (x *explainer) leased(e *execution, t *task) {
	r := Reason{Kind: WhyLeased, Text: join("worker ", t.worker, " holds lease ", t.lease.String(), " on node ", t.holder.Node.String())}
	if q, ok := x.s.queues.get(t.queue); ok {
		r.Queue = q.name
	}
	at, what := x.limit(e, t)
	switch {
	case at != 0:
		r.Until = at
		r.Text = join(r.Text, "; ", what, x.in(at))
	case t.due.at == 0 && !x.overdue(t):
		r.Text = join(r.Text, "; no time limit ends it")
	}
	x.add(r)
	if at != 0 {
		x.due(at)
	}
}

// overdue says whether a time limit of a record has passed that is judged on resume.
func (x *explainer) overdue(t *task) bool {
	return x.s.held.has(heldKey{exec: t.id.Exec, list: heldOverdue, serial: t.id.Serial})
}

// limit is when the first of a record's time limits ends it, and which; 0 for none.
func (x *explainer) limit(e *execution, t *task) (at Millis, what string) {
	if t.due.at == 0 {
		return 0, ""
	}
	n := x.s.nodeOf(e, t.node)
	list, count := x.s.deadlines(t, n, x.s.typeOf(n))
	var first deadline
	for _, d := range list[:count] {
		if first.at == 0 || d.at < first.at {
			first = d
		}
	}
	switch {
	case first.at == 0:
		return 0, ""
	case first.what == dueResponse:
		what = "its response time ends"
	case first.what == dueAttempt:
		what = "its attempt times out"
	default:
		what = "the time of all its attempts ends"
	}
	return max(first.at, t.due.at), what // a limit that became shorter is noticed when its timer fires
}

// parked is said of the record that stands for an execution's first.
func (x *explainer) parked(e *execution, t *task) {
	if x.notBegun(e, t) {
		return
	}
	if e.quotaState != quotaWaits {
		x.say(WhyAgenda, "the execution has got its part of the quota of its definition and is about to begin")
		return
	}
	var holders []TaskID
	var list names
	for k, id := range x.s.parked.tree.From(parkedKey{limit: e.quota, holds: true}) {
		if k.limit != e.quota || list.full() || !x.spend() {
			break
		}
		if list.add(id.String()) {
			holders = append(holders, TaskID{Exec: id})
		}
	}
	ahead := x.s.aheadOf(e)
	x.add(Reason{Kind: WhyQuota, Count: ahead, Of: holders, Names: []string{e.quota[len(quotaPrefix(x.s.planOf(e).Name)):]}, Text: join(
		"the execution waits for its part of the quota of its definition, with ", itoa(int64(ahead)), " before it; held by ", list.text)})
}

// notBegun says of a record that has just been made that its execution has to go on
// first, if so.
func (x *explainer) notBegun(e *execution, t *task) bool {
	if !x.s.held.has(heldKey{exec: e.id, list: heldBatch, serial: t.id.Serial}) {
		return false
	}
	x.say(WhyHeld, "it has just been made, and begins when its execution goes on")
	return true
}

// waiting is said of a record that waits for something other than a worker.
func (x *explainer) waiting(e *execution, t *task) {
	if x.notBegun(e, t) {
		return
	}
	n := x.s.nodeOf(e, t.node)
	switch n.Kind {
	case def.SubWorkflow:
		x.child(t)
	case def.Human:
		x.say(WhyUpdate, "it waits for an update from outside")
	case def.Call:
		x.say(WhyUpdate, "its call is made; it waits for an update from outside")
	case def.PullMessages:
		x.say(WhyMessage, "it waits for a message to its execution")
	case def.StartWorkflow, def.TerminateWorkflow, def.UpdateTask:
		if x.s.held.has(heldKey{exec: e.id, list: heldExpand, serial: t.id.Serial}) {
			x.say(WhyHeld, "what it does to others is done when its execution is resumed")
			return
		}
		x.say(WhyAgenda, "what it does to other executions is about to be done")
	case def.ExclusiveJoin:
		x.exclusive(e, t, n)
	case def.Join:
		x.join(e, t, n)
	case def.DoWhile:
		x.loop(e, t)
	case def.Wait, def.Yield:
		x.wait(t)
	default:
		x.lost(e)
	}
}

// wait is said of a WAIT or YIELD.
func (x *explainer) wait(t *task) {
	switch {
	case t.ready == 0:
		x.say(WhySignal, "it waits for a signal or an update")
	default:
		x.add(Reason{Kind: WhyTimer, Until: t.ready, Text: join("its time comes", x.in(t.ready), "; a signal ends it sooner")})
		x.due(t.ready)
	}
}

// lost is said of a record that nothing will move but what holds its execution up.
func (x *explainer) lost(e *execution) {
	if x.s.mayRun(e) {
		x.say(WhyFault, "nothing is known that would move it: this is a fault of the machine")
		return
	}
	x.say(WhyHeld, "it goes on with its execution")
}

// child is said of the record of an execution below, and then what that waits for.
func (x *explainer) child(t *task) {
	c, ok := x.s.find(t.child)
	of := []TaskID{{Exec: t.child}}
	switch {
	case t.child.IsZero():
		x.lost(x.s.execOf(t))
	case !ok:
		x.add(Reason{Kind: WhyAgenda, Of: of, Text: join("execution ", t.child.String(), " is deleted; its end is about to be told")})
	case c.status.Terminal():
		x.add(Reason{Kind: WhyAgenda, Of: of, Text: join("execution ", t.child.String(), " is ", c.status.String(),
			"; that is about to be told, or it is about to go on")})
	default:
		x.add(Reason{Kind: WhyChild, Of: of, Count: int(c.openAll), Text: join("it waits for execution ", t.child.String(), " of ",
			x.s.planOf(c).Name, ", which is ", c.status.String())})
		x.below(c)
	}
}

// below says what an execution below waits for, as far as that is told.
func (x *explainer) below(c *execution) {
	if x.depth == maxExplainDepth {
		return
	}
	at, ref := x.at, x.ref
	x.depth++
	x.whole(c, maxBelow)
	x.depth--
	x.at, x.ref = at, ref
}
