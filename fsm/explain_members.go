package fsm

import "github.com/pawlhq/pawl/fsm/def"

// join is said of a JOIN.
func (x *explainer) join(e *execution, t *task, n *def.Node) {
	switch {
	case x.s.held.has(heldKey{exec: e.id, list: heldJoins, serial: t.id.Serial}):
		x.say(WhyHeld, "its members have all settled; it is judged when its execution goes on")
	case t.join.pending == 0 && n.Source != "" && x.s.mayRun(e):
		x.say(WhyNever, "its expression told it to wait on, and no member is left that could change")
	case t.join.pending == 0:
		x.lost(e)
	case t.fork != 0:
		x.forked(e, t)
	default:
		x.members(e, t, n.JoinOn, int(t.join.pending), false)
	}
}

// exclusive is said of an EXCLUSIVE_JOIN.
func (x *explainer) exclusive(e *execution, t *task, n *def.Node) {
	if x.s.held.has(heldKey{exec: e.id, list: heldJoins, serial: t.id.Serial}) {
		x.say(WhyHeld, "the step that it stands for has settled; it is judged when its execution goes on")
		return
	}
	on := append(n.JoinOn[:len(n.JoinOn):len(n.JoinOn)], n.Fallback...)
	if m, ok := x.s.chosen(e, t, n); ok {
		if m.settled {
			x.lost(e)
			return
		}
		on = []int32{x.s.base(e, m.node).node}
	}
	x.members(e, t, on, 1, true)
}

// members says which steps a join waits for, how they are, and which will not come any
// more; first says that the first of them is enough.
func (x *explainer) members(e *execution, t *task, on []int32, count int, first bool) {
	var waited, never names
	r, dead := Reason{Kind: WhyMembers, Count: count}, Reason{Kind: WhyNever}
	comes := x.leads(e, t)
	for _, number := range on {
		if waited.full() && never.full() || !x.spend() {
			break
		}
		ref := x.s.nodeOf(e, t.node.at(number)).Ref
		m, made := x.s.recordAt(e, t.node.at(number), t.loop, t.iteration)
		switch {
		case made && m.settled:
		case made:
			if waited.add(join(ref, " (", effective(e, m).String(), ")")) {
				r.Names = append(r.Names, ref)
			}
		case comes == nil || comes[number]:
			if waited.add(join(ref, " (not reached)")) {
				r.Names = append(r.Names, ref)
			}
		default:
			dead.Count++
			if never.add(ref) {
				dead.Names = append(dead.Names, ref)
			}
		}
	}
	switch {
	case first && waited.n > 1:
		r.Text = join("it waits for the first of ", waited.text)
	case waited.n > 0:
		r.Text = join("it waits for ", waited.text)
	case never.n == 0:
		r.Text = join("it waits for ", plural(count, "step", "steps"))
	}
	if r.Text != "" {
		x.add(r)
	}
	if never.n > 0 && !(first && waited.n > 0) {
		dead.Text = join("it waits for ", never.text, ", to which no open task leads any more")
		x.add(dead)
	}
}

// forked says which members of a dynamic fork its JOIN waits for.
func (x *explainer) forked(e *execution, t *task) {
	m := x.s.membersOf(e, t.fork)
	r := Reason{Kind: WhyMembers, Count: int(t.join.pending)}
	var list names
	for i := range m.Len() {
		if list.full() || !x.spend() {
			break
		}
		ref := m.Ref(i)
		o, made := x.s.recordOf(e, ref, t.loop, t.iteration)
		switch {
		case made && o.settled:
			continue
		case made:
			ref = join(ref, " (", effective(e, o).String(), ")")
		default:
			ref = join(ref, " (not reached)")
		}
		if list.add(ref) {
			r.Names = append(r.Names, m.Ref(i))
		}
	}
	r.Text = join("it waits for ", list.text, ", ", itoa(int64(r.Count)), " of ", itoa(int64(m.Len())), " in all")
	x.add(r)
}

// loop is said of a DO_WHILE.
func (x *explainer) loop(e *execution, t *task) {
	if x.s.held.has(heldKey{exec: e.id, list: heldLoops, serial: t.id.Serial}) {
		x.say(WhyHeld, "its iteration is over; its condition is judged when its execution goes on")
		return
	}
	if t.loops.open == 0 && x.s.mayRun(e) {
		x.lost(e)
		return
	}
	r := Reason{Kind: WhyIteration, Count: int(t.loops.open)}
	var list names
	for k := range x.s.iterations.tree.From(iterationKey{exec: e.id, loop: t.id.Serial, iteration: t.loops.cur}) {
		if k.exec != e.id || k.loop != t.id.Serial || k.iteration != t.loops.cur || list.full() || !x.spend() {
			break
		}
		o := x.s.taskAt(e, k.serial)
		if e.hides(k.serial) || effective(e, o).Terminal() {
			continue
		}
		if ref := visibleRef(x.s, o); list.add(join(ref, " (", o.status.String(), ")")) {
			r.Names = append(r.Names, ref)
		}
	}
	r.Text = join("iteration ", itoa(int64(t.loops.cur)), " is under way")
	if list.text != "" {
		r.Text = join(r.Text, ", with ", list.text)
	}
	x.add(r)
}

// leads marks the steps of a join's plan or fragment that are still to be made in its
// iteration: those to which a record leads from which the flow has not gone on. It is nil
// when that would take too long to tell.
func (x *explainer) leads(e *execution, t *task) []bool {
	w := walkAhead{nodes: x.s.planFor(e, t.node).Nodes}
	w.marks = make([]bool, len(w.nodes))
	home := x.s.base(e, t.node).fragment
	ok := x.scope(e, t, func(o *task) {
		n := x.s.nodeOf(e, o.node)
		if o.id == t.id || o.retried || o.executed && !unexpanded(o, n) {
			return
		}
		if at, inside := x.climb(e, x.s.base(e, o.node), home); inside {
			w.from(at)
		}
	})
	for ok && len(w.todo) > 0 {
		number := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.from(nodeRef{node: number})
	}
	if !ok {
		return nil
	}
	return w.marks
}

// climb gives the step of a fragment, or of the plan for 0, that a step further in ends
// with: for a member of a dynamic fork the fork's JOIN.
func (x *explainer) climb(e *execution, at nodeRef, home uint32) (nodeRef, bool) {
	for range maxOrigin {
		if at.fragment == home {
			return at, true
		}
		if at.fragment == 0 {
			return at, false
		}
		fork := x.s.base(e, x.s.taskAt(e, at.fragment).node)
		at = fork.at(x.s.nodeOf(e, fork).JoinOf)
		if at.node < 0 {
			return at, false
		}
	}
	return at, false
}

// maxScope bounds the records that are looked at for those that lead to a step.
const maxScope = 4096

// scope gives the records of a record's iteration, or of the root list. It reports
// whether it came to the last.
func (x *explainer) scope(e *execution, t *task, f func(o *task)) bool {
	left := min(x.left, maxScope)
	more := func() bool {
		left--
		return x.spend() && left >= 0
	}
	if t.loop == 0 {
		for o := range (View{s: x.s}).recordsOf(e, 1) {
			if !more() {
				return false
			}
			if o.loop == 0 {
				f(o)
			}
		}
		return true
	}
	for k := range x.s.iterations.tree.From(iterationKey{exec: e.id, loop: t.loop, iteration: t.iteration}) {
		if k.exec != e.id || k.loop != t.loop || k.iteration != t.iteration {
			break
		}
		if !more() {
			return false
		}
		if !e.hides(k.serial) {
			f(x.s.taskAt(e, k.serial))
		}
	}
	return true
}

// walkAhead marks what follows steps.
type walkAhead struct {
	nodes []def.Node
	marks []bool
	todo  []int32
}

func (w *walkAhead) from(at nodeRef) {
	n := &w.nodes[at.node]
	w.visit(n.Next)
	w.visit(n.JoinOf)
	if n.Kind == def.Switch || n.Kind == def.Fork {
		for _, head := range n.Heads {
			w.visit(head)
		}
	}
}

func (w *walkAhead) visit(number int32) {
	if number >= 0 && !w.marks[number] {
		w.marks[number] = true
		w.todo = append(w.todo, number)
	}
}
