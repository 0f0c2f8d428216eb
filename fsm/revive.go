package fsm

import "github.com/pawlhq/pawl/fsm/def"

// revival is the progress of the sweep that brings an execution back after a verb. The
// execution shows as running at once; its records are put in order in quanta, phase by
// phase, and only then does the flow go on.
type revival struct {
	mode   revivalMode
	phase  revivalPhase
	next   uint32 // serial to go on with
	end    uint32 // records from it on were made by the sweep
	target uint32 // rerun: serial to run again; jump: number of the step
	given  bool   // input is that of the target
	input  Data
}

// revivalMode is what the sweep is for. Stored.
type revivalMode uint8

const (
	reviveRestart revivalMode = 1 + iota // begin anew
	reviveRetry                          // further attempts of what did not succeed
	reviveRerun                          // again from one record
	reviveBelow                          // a child goes on, and with it what its end had canceled
	reviveJump                           // cancel what is open and go on elsewhere
)

// revivalPhase is what the sweep does now. Stored.
type revivalPhase uint8

const (
	phaseDelete revivalPhase = 1 + iota // take hidden records away
	phaseMark                           // open joins and loops again
	phaseCount                          // counters from the records
	phaseOpen                           // further attempts
	phaseFill                           // what had been cut short
	phaseCancel                         // jump: what is open
	phaseSkip                           // jump: steps between
)

func (v *revival) encode(w *writer) {
	w.num(1, uint64(v.mode))
	w.num(2, uint64(v.phase))
	w.num(3, uint64(v.next))
	w.num(4, uint64(v.end))
	w.num(5, uint64(v.target))
	w.flag(6, v.given)
	w.data(7, v.input)
}

func (v *revival) field(r *reader) {
	switch r.tag {
	case 1:
		v.mode = revivalMode(r.num8())
	case 2:
		v.phase = revivalPhase(r.num8())
	case 3:
		v.next = r.num32()
	case 4:
		v.end = r.num32()
	case 5:
		v.target = r.num32()
	case 6:
		v.given = r.flag()
	case 7:
		v.input = r.data()
	default:
		r.unknown()
	}
}

// early says whether the counters of an execution do not stand: its records are being
// put in order and have not been recounted. Nothing may end one then.
func (s *State) early(id ExecID) bool {
	e, ok := s.executions.get(id)
	return ok && e.early()
}

func (e *execution) early() bool { return e.sweep == sweepReviving && e.revival.phase <= phaseCount }

// revive makes an execution that has ended run again, for every reader at once, and
// lets the sweep follow.
func (s *State) revive(e *execution, mode revivalMode, phase revivalPhase) *execution {
	e = s.executions.mut(s.settleFailure(e))
	s.takeFaults(e)
	s.moveStatus(e, Running)
	e.updated, e.endTime, e.endIndex = s.now, 0, 0
	e.reason, e.failedTask, e.output, e.ended = "", 0, Data{}, false
	e.lastRetried = s.now
	if mode == reviveRestart {
		e.lastRetried = 0
	}
	s.armExecution(e)
	e.sweep = sweepReviving
	e.revival = &revival{mode: mode, phase: phase, next: 1, end: e.nextSerial}
	s.scratch.soon = append(s.scratch.soon, item{kind: itemRevive, exec: e.id})
	return e
}

// cutRevival is the end of an execution whose counters do not stand: what is deleted
// goes, the rest is counted, and then swept as after any end.
func (s *State) cutRevival(e *execution) {
	e.revival.mode, e.revival.next = reviveBelow, 1
	if e.revival.phase != phaseDelete {
		e.revival.phase = phaseCount
	}
}

// reviveMore does one quantum of the sweep, or several while the budget lasts.
func (s *State) reviveMore(e *execution, i item) (again bool) {
	for e.sweep == sweepReviving {
		if s.scratch.steps <= 0 {
			s.push(i)
			return true
		}
		e = s.executions.mut(e)
		s.revivePhase(e)
		e, _ = s.executions.get(i.exec)
	}
	return false
}

func (s *State) revivePhase(e *execution) {
	v := e.revival
	switch v.phase {
	case phaseDelete:
		if !s.deleteHidden(e) {
			s.nextPhase(e, phaseMark)
		}
	case phaseMark:
		s.walkPhase(e, phaseCount, func(r *run, t *task) { s.mark(r.e, t) })
	case phaseCount:
		if v.next == 1 {
			e.open, e.openAll, e.permBad, e.ended = 0, 0, 0, false
		}
		s.walkPhase(e, phaseOpen, func(r *run, t *task) { s.recount(r.e, t) })
	case phaseOpen:
		s.walkPhase(e, phaseFill, s.reopen)
	case phaseFill:
		s.walkPhase(e, 0, s.refill)
	case phaseCancel, phaseSkip:
		s.jumpPhase(e)
	}
}

func (s *State) nextPhase(e *execution, phase revivalPhase) {
	if e.revival.mode == reviveRestart {
		phase = phaseFill
	}
	if e.status.Terminal() { // it ended meanwhile
		if phase > phaseCount {
			s.closeAfter(e)
			return
		}
		phase = phaseCount
	}
	if v := e.revival; v.phase == phaseMark && v.mode == reviveRerun && v.target < e.jumped {
		e.jumped = 0 // what the jump left behind is open again
	}
	e.revival.phase, e.revival.next = phase, 1
}

// walkPhase gives f a quantum of the records that were there when the sweep began, and
// goes over to the next phase behind the last; phase 0 ends the sweep.
func (s *State) walkPhase(e *execution, then revivalPhase, f func(r *run, t *task)) {
	r := s.enter(e)
	e = r.e
	next, done := s.walkRecords(e, e.revival.next, func(t *task) {
		if !r.stop && t.id.Serial < e.revival.end {
			f(r, t)
		}
	})
	switch {
	case e.sweep != sweepReviving: // the execution ended
	case !done && next < e.revival.end:
		e.revival.next = next
	case then != 0:
		s.nextPhase(e, then)
	default:
		s.revived(r)
		return
	}
	s.leave(r)
}

// revived ends the sweep: the flow goes on.
func (s *State) revived(r *run) {
	e := r.e
	if e.sweep == sweepReviving && e.nextSerial == e.revival.end && s.empty(e) && !r.stop {
		if r.p.First == def.EndRoot {
			e.ended = true
		} else {
			s.makeFirst(r)
		}
	}
	if !r.stop {
		s.hold(r) // with what the phases before have held: passes look at all of it
	}
	if e.sweep == sweepReviving {
		e.sweep, e.revival, e.cutTo = sweepNone, nil, 0
	}
	s.leave(r)
	if s.mayRun(e) {
		s.goOn(e)
	}
}

// empty says whether an execution has no record.
func (s *State) empty(e *execution) bool {
	for id := range s.tasks.tree.From(TaskID{Exec: e.id}) {
		return id.Exec != e.id
	}
	return true
}

// deleteHidden takes a quantum of the hidden records away. What counted them does so no
// longer, and children that run below them are told to end.
func (s *State) deleteHidden(e *execution) (more bool) {
	gone, more := s.lastRecords(e, e.hideFrom, e.hideTo)
	for _, t := range gone {
		if e.hideFrom > 1 { // else nothing is left that could have counted it
			s.unsettle(e, t)
		}
		if old, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.retriedOf}); ok && t.retriedOf != 0 {
			s.tasks.mut(old).retried = false
		}
		if c, ok := s.find(t.child); ok && !c.status.Terminal() {
			s.push(item{kind: itemOrphan, exec: c.id, reason: "Parent workflow has been run again without it"})
		}
		s.removeTask(e, t)
	}
	if !more {
		e.hideFrom, e.hideTo = 0, 0
	}
	return more
}

// unsettle opens the joins and loops again that had counted a record as done.
func (s *State) unsettle(e *execution, t *task) {
	n := s.nodeOf(e, t.node)
	for _, number := range n.Joiners {
		j, ok := s.recordAt(e, s.base(e, t.node).at(number), t.loop, t.iteration)
		if ok && e.mayOpen(j) {
			s.openAgain(e, j, j.retry)
		}
	}
	if t.member != 0 {
		if j, ok := s.joinOf(e, t); ok && e.mayOpen(j) {
			s.openAgain(e, j, j.retry)
		}
	}
	if t.loop == 0 || e.hides(t.loop) {
		return
	}
	if l, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.loop}); ok && e.mayOpen(l) {
		s.openAgain(e, l, l.retry)
	}
}

// mayOpen says whether a join or loop has ended and is to be opened again for what it
// counted: not one that was skipped, or left behind by a jump, or is about to be made
// anew. One that did not succeed is opened anyway, and that may count as a retry.
func (e *execution) mayOpen(t *task) bool {
	return !t.open() && t.status != TaskStatusSkipped && !t.retried && !failedYet(t) && !e.runsAgain(t)
}

// openAgain makes a join, a loop or a child's record that had ended open again in its
// place. Counters follow with the recount.
func (s *State) openAgain(e *execution, t *task, retry uint32) {
	s.spend(1)
	t = s.tasks.mut(t)
	t.status, t.place, t.retry = TaskStatusInProgress, placeWaiting, retry
	t.start, t.updated, t.end = s.now, s.now, 0
	t.reason, t.executed, t.settled, t.unfenced, t.retried = "", false, false, false, false
	t.doneLease, t.doneIndex = 0, 0
	s.bad.drop(t.id)
	if !t.child.IsZero() {
		s.waits.put(t.id, none{})
	}
	s.emitTask(TaskReopened, t)
	s.unsettle(e, t)
}

// runsAgain says whether a record is the target of a rerun, which is made anew.
func (e *execution) runsAgain(t *task) bool {
	return e.sweep == sweepReviving && e.revival.mode == reviveRerun && t.id.Serial == e.revival.target
}

// failedYet says whether a record did not succeed and nothing has come of it: no
// further attempt replaced it, and the flow has not passed it.
func failedYet(t *task) bool {
	return t.status.Terminal() && !t.status.Successful() && !t.retried && !t.executed
}

// mark opens joins and loops again that did not succeed.
func (s *State) mark(e *execution, t *task) {
	if e.revival.mode == reviveRerun && e.revival.target < e.jumped && t.retried && t.status == TaskStatusCanceled {
		if x, ok := s.recordOf(e, t.ref, t.loop, t.iteration); ok && x.id == t.id {
			t = s.tasks.mut(t) // the jump that left it behind is undone
			t.retried = false
		}
	}
	k := s.nodeOf(e, t.node).Kind
	if k == def.Terminate && t.executed {
		t = s.tasks.mut(t)
		t.settled = false // it is done again
	}
	if !failedYet(t) || e.runsAgain(t) {
		return
	}
	switch k {
	case def.Join, def.ExclusiveJoin, def.DoWhile:
		retry := t.retry
		if e.revival.mode != reviveRerun && (t.status != TaskStatusCanceled || k == def.ExclusiveJoin) { // Conductor goes on with the others
			retry++
		}
		s.openAgain(e, t, retry)
	}
}

// reopen gives one record that did not succeed a further attempt, or itself another.
func (s *State) reopen(r *run, t *task) {
	v := r.e.revival
	if r.e.runsAgain(t) {
		input := t.input
		if v.given {
			input = v.input
		}
		s.remake(r, t, t.retry, input)
		return
	}
	n := s.nodeOf(r.e, t.node)
	switch {
	case t.status == TaskStatusSkipped && t.executed && s.live(r.e, t):
		t = s.tasks.mut(t)
		t.executed = false // the step before passes over it again, if the flow comes there
	case n.Kind == def.Terminate && t.executed:
		s.remake(r, t, t.retry, t.input)
	case t.open():
		s.arm(t) // its time began before the counters stood
	case !failedYet(t):
	case v.mode == reviveRetry && n.Kind != def.Fork:
		s.tryAgain(r, t)
	case n.Kind == def.SubWorkflow && s.goOnBelow(r, t):
	case v.mode == reviveRerun:
		s.remake(r, t, t.retry, t.input)
	default:
		s.remake(r, t, t.retry+1, t.input)
	}
}

// goOnBelow lets the child of a record go on instead of starting another one.
func (s *State) goOnBelow(r *run, t *task) bool {
	c, ok := s.find(t.child)
	if !ok {
		return false
	}
	s.openAgain(r.e, t, t.retry)
	s.scope(r, t, 1)
	t, _ = s.tasks.get(t.id)
	s.arm(t)
	kind := itemRetry
	if c.status == Completed {
		kind = itemReport // its end was not heard
	}
	s.push(item{kind: kind, exec: c.id})
	return true
}

// retryChild lets an execution go on whose parent does, if that still waits for it.
func (s *State) retryChild(e *execution, i item) (again bool) {
	t, ok := s.findTask(e.parent)
	switch {
	case e.gone || !e.status.Terminal() || e.status == Completed:
	case !ok || t.child != e.id || s.execOf(t).over(t):
	case e.sweep != sweepNone:
		s.push(i)
		return true
	default:
		s.emit(Event{Kind: ExecutionRetried, Exec: e.id, Status: Running})
		s.revive(e, reviveBelow, phaseMark)
	}
	return false
}

// reviveAbove lets the ancestors of an execution go on that does, all in this step: were
// one revived later, the execution below it could end first, and the parent would wait
// for ever. What else there is to do on each level follows in its sweep.
func (s *State) reviveAbove(e *execution, completedToo bool) {
	for range MaxDepth {
		t, ok := s.findTask(e.parent)
		if !ok || t.child != e.id || t.retried || t.open() {
			return
		}
		p := s.execOf(t)
		if s.nodeOf(p, t.node).Optional || !s.current(p, t) {
			return // the parent does not wait for it
		}
		switch {
		case !p.status.Terminal() && !t.executed: // its failure has not been judged
			s.heed(p, t)
			return
		case !p.status.Terminal() || p.status == Completed && !completedToo:
			return
		}
		p = s.revive(p, reviveBelow, phaseMark)
		s.emit(Event{Kind: ExecutionRevived, Exec: p.id, Serial: t.id.Serial, Ref: t.ref, Status: Running})
		s.openAgain(p, t, t.retry)
		e = p
	}
}

// heed opens the record of a child again in a parent that has not judged its failure.
func (s *State) heed(p *execution, t *task) {
	s.held.drop(heldKey{exec: p.id, list: heldFin, serial: t.id.Serial})
	r := s.enter(p)
	s.openAgain(r.e, t, t.retry)
	s.scope(r, t, 1)
	t, _ = s.tasks.get(t.id)
	s.arm(t)
	s.leave(r)
}
