package fsm

import "github.com/pawlhq/pawl/fsm/def"

// run carries one execution forward. It goes in passes, as Conductor's evaluation
// does, so that records come out in the same order: records just made are executed,
// then those that became terminal are finished and make the next batch; when neither
// moves, joins whose members are all settled are judged, then loops whose iteration is
// over. Each list holds serials in ascending order; all are empty between commands.
type run struct {
	e     *execution
	p     *def.Plan
	batch []uint32 // made and not yet executed
	fin   []uint32 // terminal and not yet finished
	joins []uint32 // their last member has settled
	loops []uint32 // something inside has ended
	stop  bool     // the execution has ended
	as    *attempt // how the next record is made, when not as a step's first
	given uint32   // serial of the record whose input is not evaluated
}

func (r *run) reset() {
	*r = run{batch: r.batch[:0], fin: r.fin[:0], joins: r.joins[:0], loops: r.loops[:0]}
}

func (r *run) idle() bool { return len(r.batch)+len(r.fin)+len(r.joins)+len(r.loops) == 0 }

// enter makes e ours to change and starts a run on it.
func (s *State) enter(e *execution) *run {
	r := &s.scratch.run
	if r.e != nil {
		panic("fsm: run within a run")
	}
	r.e = s.executions.mut(e)
	r.e.updated = s.now
	r.p = s.planOf(r.e)
	return r
}

// leave ends a run: it goes on as far as it may, and what is left is held.
func (s *State) leave(r *run) {
	if s.mayRun(r.e) {
		s.advance(r)
	}
	if !r.idle() && !r.e.status.Terminal() {
		s.hold(r)
	}
	r.reset()
}

// mayRun says whether the flow of e may move now. What finishes while it may not is
// held, so the order of passes does not depend on the budgets of others.
func (s *State) mayRun(e *execution) bool {
	return e.status == Running && e.sweep == sweepNone && !e.advancing
}

func (s *State) advance(r *run) {
	for !r.stop && s.scratch.steps > 0 {
		switch {
		case len(r.batch) > 0:
			s.executeBatch(r)
		case len(r.fin) > 0:
			// What is made and ends at once has a higher serial: it is for the next pass.
			for left := len(r.fin); left > 0 && !r.stop && s.scratch.steps > 0; left-- {
				t := s.taskAt(r.e, r.fin[0])
				r.fin = r.fin[:copy(r.fin, r.fin[1:])]
				s.finishTask(r, t)
			}
		case len(r.joins) > 0:
			s.each(r, &r.joins, s.closeJoin)
		case len(r.loops) > 0:
			s.each(r, &r.loops, s.tryIteration)
		default:
			s.complete(r)
			return
		}
	}
	if r.stop {
		return
	}
	if !r.idle() {
		s.hold(r)
		r.e.advancing = true
		s.push(item{kind: itemAdvance, exec: r.e.id})
		return
	}
	s.complete(r)
}

// each takes a list as it stands and judges its records; what they add is for a later pass.
func (s *State) each(r *run, list *[]uint32, judge func(r *run, t *task)) {
	now := append([]uint32(nil), *list...)
	*list = (*list)[:0]
	for _, serial := range now {
		if r.stop {
			return
		}
		if s.scratch.steps <= 0 {
			*list = addSorted(*list, serial)
			continue
		}
		if t, ok := s.tasks.get(TaskID{Exec: r.e.id, Serial: serial}); ok {
			judge(r, t)
		}
	}
}

// executeBatch does what the new records do by themselves, in the order they were made.
// Each leaves the list first: one that only stood for the first record of an execution
// gives its serial to that, which is then a new record of the batch.
func (s *State) executeBatch(r *run) {
	for len(r.batch) > 0 && !r.stop && s.scratch.steps > 0 {
		t := s.taskAt(r.e, r.batch[0])
		r.batch = r.batch[:copy(r.batch, r.batch[1:])]
		s.execute(r, t)
	}
}

// hold stores the lists of a run that may not go on now.
func (s *State) hold(r *run) {
	for kind, list := range []*[]uint32{&r.batch, &r.fin, &r.joins, &r.loops} {
		for _, serial := range *list {
			s.held.put(heldKey{exec: r.e.id, list: heldBatch + heldList(kind), serial: serial}, none{})
		}
		*list = (*list)[:0]
	}
}

// maxHeld bounds the rows that one run takes back; the rest stays held for the next.
const maxHeld = quantum

// unhold takes up to maxHeld held rows back into the lists and reports whether more are left.
func (s *State) unhold(r *run) (more bool) {
	taken := s.heldRows(r.e, heldBatch, heldLoops, maxHeld)
	lists := [...]*[]uint32{&r.batch, &r.fin, &r.joins, &r.loops}
	for _, k := range taken {
		s.held.drop(k)
		l := lists[k.list-heldBatch]
		*l = addSorted(*l, k.serial)
	}
	return s.holds(r.e)
}

// heldRows lists up to limit held rows of an execution, of the lists from first to last.
func (s *State) heldRows(e *execution, first, last heldList, limit int) []heldKey {
	var rows []heldKey
	for k := range s.held.tree.From(heldKey{exec: e.id, list: first}) {
		if k.exec != e.id || k.list > last || len(rows) == limit {
			break
		}
		rows = append(rows, k)
	}
	return rows
}

// complete ends the execution when nothing can happen any more.
func (s *State) complete(r *run) {
	if r.stop || r.e.status != Running || !r.e.ended || r.e.open > 0 || !r.idle() || s.holds(r.e) {
		return
	}
	if r.e.permBad > 0 {
		s.end(r, Failed, s.permissiveReasons(r.e), ending{})
		return
	}
	s.end(r, Completed, "", ending{})
}

// holds says whether rows wait for the next run of e.
func (s *State) holds(e *execution) bool { return len(s.heldRows(e, heldBatch, heldLoops, 1)) > 0 }

// scope counts an open record in, or out of, the scope it belongs to.
func (s *State) scope(r *run, t *task, n int) {
	r.e.openAll = count(r.e.openAll, n)
	s.occupy(r, t, n)
}

// occupy keeps the scope of a record from ending, or lets it.
func (s *State) occupy(r *run, t *task, n int) {
	if t.loop == 0 {
		r.e.open = count(r.e.open, n)
		return
	}
	l := s.tasks.mut(s.taskAt(r.e, t.loop))
	l.loops.open = count(l.loops.open, n)
}

func count(c uint32, n int) uint32 {
	v := int64(c) + int64(n)
	if v < 0 {
		panic("fsm: counter below zero")
	}
	return uint32(v)
}

// closeTask makes an open record terminal; finishTask follows in its pass.
func (s *State) closeTask(r *run, t *task, status TaskStatus, reason string) *task {
	t = s.tasks.mut(t)
	s.leavePlace(t)
	s.disarm(t)
	t.status = status
	t.end, t.updated = s.now, s.now
	if reason != "" {
		t.reason = cut(reason)
	}
	s.scope(r, t, -1)
	if !status.Successful() {
		s.bad.put(t.id, none{})
	}
	r.fin = addSorted(r.fin, t.id.Serial)
	return t
}

// cut shortens a reason to what is stored.
func cut(reason string) string {
	if len(reason) <= MaxReason {
		return reason
	}
	n := MaxReason
	for n > 0 && reason[n]&0xc0 == 0x80 { // not inside a character
		n--
	}
	return reason[:n]
}

// finishTask passes on from a terminal record: another attempt, the end of the
// execution, or the next step.
func (s *State) finishTask(r *run, t *task) {
	s.spend(1)
	if !t.status.Successful() && !s.recover(r, &t) {
		return
	}
	t = s.tasks.mut(t)
	t.executed = true
	s.settle(r, t)
	n := s.nodeOf(r.e, t.node)
	s.passOn(r, t, n)
}

// passOn makes what follows a record that has been executed.
func (s *State) passOn(r *run, t *task, n *def.Node) {
	if head := takenList(t, n); head >= 0 {
		s.make(r, t.node.at(head), t.loop, t.iteration)
		return
	}
	switch n.Next {
	case def.EndRoot:
		r.e.ended = true
	case def.EndIteration:
		s.tasks.mut(s.taskAt(r.e, t.loop)).loops.ended = true
	case def.EndBranch:
	default:
		s.make(r, s.base(r.e, t.node).at(n.Next), t.loop, t.iteration)
	}
	if t.loop != 0 {
		r.loops = addSorted(r.loops, t.loop)
	}
}

// recover deals with an attempt that failed. It reports whether the flow goes on from
// this record; false when another attempt was made or the execution has ended.
func (s *State) recover(r *run, at **task) bool {
	t := *at
	n := s.nodeOf(r.e, t.node)
	tt := s.typeOf(n)
	if s.totalUsedUp(t, tt) {
		s.failTotal(r, t, tt)
		return false
	}
	if t.status.Retriable() && retried(n.Kind) && int64(t.retry) < int64(s.allowed(n, tt)) {
		s.retryTask(r, t, n, tt)
		return false
	}
	switch {
	case n.Optional:
		t = s.tasks.mut(t)
		t.status = TaskStatusCompletedWithErrors
		s.bad.drop(t.id)
		s.emit(s.taskEvent(TaskCompletedWithErrors, t)) // its failure has been told
	case n.Permissive:
		r.e.permBad++
	default:
		s.fail(r, t)
		return false
	}
	*at = t
	return true
}

// retried says whether steps of a kind get further attempts; structure never does.
func retried(k def.Kind) bool {
	switch k {
	case def.Switch, def.Fork, def.DynamicFork, def.Join, def.DoWhile, def.ExclusiveJoin:
		return false
	}
	return true
}

func (s *State) allowed(n *def.Node, tt *def.TaskType) int32 {
	if n.Retries >= 0 {
		return n.Retries
	}
	return tt.RetryCount
}

// settle moves the counters of the joins that name t; once, when t will not be tried again.
func (s *State) settle(r *run, t *task) {
	if t.settled {
		return
	}
	t.settled = true
	n := s.nodeOf(r.e, t.node)
	at := s.base(r.e, t.node)
	for _, number := range n.Joiners {
		switch j, ok := s.recordAt(r.e, at.at(number), t.loop, t.iteration); {
		case !ok || !j.open():
		case s.nodeOf(r.e, j.node).Kind == def.ExclusiveJoin:
			r.joins = addSorted(r.joins, j.id.Serial)
		default:
			s.countMember(r, s.tasks.mut(j), t, n.Permissive)
		}
	}
	if t.member != 0 {
		s.settleMember(r, t, n)
	}
}

func (s *State) countMember(r *run, j, member *task, permissive bool) {
	if j.join.pending == 0 {
		panic("fsm: join counted below zero")
	}
	j.join.pending--
	addMember(&j.join, member, permissive)
	if j.join.pending == 0 {
		r.joins = addSorted(r.joins, j.id.Serial)
	}
}

func addMember(j *joinState, member *task, permissive bool) {
	switch {
	case member.status == TaskStatusCompletedWithErrors:
		j.soft++
	case !member.status.Successful():
		j.bad++
		if member.status == TaskStatusCanceled {
			j.badCanceled++
		}
		if permissive {
			j.permBad++
		}
	}
}

// spend takes units from the budget of commands.
func (s *State) spend(units int) { s.scratch.steps -= units }

func (s *State) emitTask(k EventKind, t *task) {
	s.emit(s.taskEvent(k, t))
	s.tell(changeOf(k), t)
}

func (s *State) taskEvent(k EventKind, t *task) Event {
	return Event{Kind: k, Exec: t.id.Exec, Serial: t.id.Serial, Ref: visibleRef(s, t), Task: t.status,
		Retry: t.retry, Lease: t.doneLease, Reason: t.reason}
}
