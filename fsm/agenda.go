package fsm

import "github.com/pawlhq/pawl/fsm/def"

// itemKind says what an agenda item does. Numbers are stored.
type itemKind uint8

const (
	itemAdvance itemKind = 1 + iota // go on with an execution's flow
	itemBegin                       // make a child's first record
	itemExpand                      // begin further branches of a fork
	itemClose                       // sweep the open records of an execution that has ended
	itemEnd                         // end a child of an execution that has ended
	itemReport                      // tell a parent's record how its child ended
	itemFailure                     // start a failure workflow
)

// Numbers of the items of single steps.
const (
	itemAct itemKind = 10 + iota // do what a record asks for that acts on other executions
)

const (
	itemRevive    itemKind = 20 + iota // go on with putting an execution's records in order
	itemRetry                          // let a child go on whose parent does
	itemOrphan                         // end a child whose record has been deleted
	itemPurge                          // take away the records of an execution that was deleted
	itemCallbacks                      // make tasks ready that wait for their callback time
)

const (
	itemAdmit itemKind = 30 + iota // let an execution begin that has got its part of a quota
	itemQuota                      // let executions begin that a changed definition has room for
)

// item is a piece of unfinished work. The agenda is part of State, so no leader can
// forget it.
type item struct {
	meta
	n      uint64
	kind   itemKind
	exec   ExecID
	serial uint32 // expand: the fork; close: where to go on
	done   uint32 // act: how many of the executions have been ended
	reason string // end: why; quota: the definition
	cursor string // quota: the key where to go on
}

func (i *item) key() uint64 { return i.n }

func (i *item) encode(w *writer) {
	w.num(1, i.n)
	w.num(2, uint64(i.kind))
	w.exec(3, i.exec)
	w.num(4, uint64(i.serial))
	w.num(5, uint64(i.done))
	w.str(6, i.reason)
	w.str(15, i.cursor)
}

func decodeItem(r *reader) *item {
	i := &item{}
	for r.next() {
		switch r.tag {
		case 1:
			i.n = r.num()
		case 2:
			i.kind = itemKind(r.num8())
		case 3:
			i.exec = r.exec()
		case 4:
			i.serial = r.num32()
		case 5:
			i.done = r.num32()
		case 6:
			i.reason = r.str()
		case 15:
			i.cursor = r.str()
		default:
			r.unknown()
		}
	}
	return i
}

// push adds an item at the end of the agenda.
func (s *State) push(i item) {
	s.nextItem++
	i.n, i.meta = s.nextItem, meta{}
	s.agenda.insert(&i)
}

// runSoon does what a command or item has left to do at once: children begin, parents
// hear, sweeps start. What the budget does not cover goes to the agenda.
func (s *State) runSoon() {
	for n := 0; n < len(s.scratch.soon); n++ {
		i := s.scratch.soon[n]
		if s.scratch.steps <= 0 {
			s.push(i)
			continue
		}
		s.runItem(i)
	}
	s.scratch.soon = s.scratch.soon[:0]
}

// runAgenda works off the agenda in order, one quantum an item. An item that is not
// through goes to the tail, and with what it added waits for the next entry.
func (s *State) runAgenda() {
	stop := uint64(1<<64 - 1)
	for s.scratch.work > 0 {
		n, i, ok := s.agenda.tree.Min()
		if !ok || n >= stop {
			return
		}
		s.agenda.remove(i)
		before := s.nextItem
		budget := min(quantum, s.scratch.work)
		s.scratch.steps = budget
		if s.runItem(*i) {
			stop = min(stop, before+1)
		}
		s.runSoon()
		s.scratch.work -= max(1, budget-s.scratch.steps)
	}
}

// runItem does one quantum of an item behind a savepoint and reports whether more is left.
func (s *State) runItem(i item) (again bool) {
	_, fault := s.guarded(func() *Rejection {
		again = s.doItem(i)
		return nil
	})
	if fault {
		s.quarantineItem(i)
		return false
	}
	return again
}

// quarantineItem pauses the execution whose item faulted, and keeps what it takes to
// do the item's work when a person resumes the execution.
func (s *State) quarantineItem(i item) {
	id := i.exec
	e, ok := s.executions.get(i.exec)
	switch {
	case !ok || i.kind == itemAdvance:
	case i.kind == itemReport:
		id = e.parent.Exec // where the report acts
	case i.kind == itemFailure:
		s.noFailureWorkflow(e)
		return
	case i.kind == itemExpand, i.kind == itemAct:
		s.held.put(heldKey{exec: i.exec, list: heldExpand, serial: i.serial}, none{})
	default:
		s.held.put(heldKey{exec: i.exec, list: heldItem, serial: uint32(i.kind)}, none{})
	}
	s.quarantine(id)
}

func (s *State) doItem(i item) (again bool) {
	if i.kind == itemQuota {
		return s.retuneMore(i)
	}
	e, ok := s.executions.get(i.exec)
	if !ok {
		return false
	}
	switch i.kind {
	case itemAdvance:
		return s.goOn(e)
	case itemBegin:
		if e.status == Running && e.sweep == sweepNone {
			s.beginExecution(e)
		}
	case itemExpand:
		return s.expandMore(e, i)
	case itemAct:
		return s.actMore(e, i)
	case itemClose:
		return s.closeMore(e, i)
	case itemEnd:
		s.endChild(e, i.reason)
	case itemReport:
		return s.tellParent(e, i)
	case itemFailure:
		s.startFailure(e)
	case itemAdmit:
		s.admit(e)
	default:
		return s.doSweep(e, i)
	}
	return false
}

func (s *State) doSweep(e *execution, i item) (again bool) {
	switch i.kind {
	case itemRevive:
		return s.reviveMore(e, i)
	case itemRetry:
		return s.retryChild(e, i)
	case itemOrphan:
		s.endChild(e, i.reason)
	case itemPurge:
		return s.purge(e, i)
	case itemCallbacks:
		return s.moreCallbacks(e, i)
	default:
		panic("fsm: agenda item of unknown kind")
	}
	return false
}

// goOn takes back what a run was holding and runs.
func (s *State) goOn(e *execution) (again bool) {
	e = s.executions.mut(e) // and so the same record that the run below changes
	e.advancing = false
	if !s.mayRun(e) {
		return false
	}
	r := s.enter(e)
	more := s.unhold(r)
	s.leave(r)
	if more && s.mayRun(e) {
		e.advancing = true
		s.push(item{kind: itemAdvance, exec: e.id})
	}
	return e.advancing
}

func (s *State) expandMore(e *execution, i item) (again bool) {
	switch e.status {
	case Running:
	case Paused: // a paused execution makes no records
		s.held.put(heldKey{exec: e.id, list: heldExpand, serial: i.serial}, none{})
		return false
	default:
		return false
	}
	t, ok := s.findTask(TaskID{Exec: e.id, Serial: i.serial})
	if !ok || s.early(e.id) {
		return false
	}
	n := s.nodeOf(e, t.node)
	if !unexpanded(t, n) {
		return false
	}
	r := s.enter(e)
	if n.Kind == def.DynamicFork {
		s.expandMembers(r, t, 0)
	} else {
		s.expand(r, s.tasks.mut(t), n, 0)
	}
	again = !r.stop && unexpanded(s.taskAt(r.e, i.serial), n)
	s.leave(r)
	return again
}

func (s *State) closeMore(e *execution, i item) (again bool) {
	if e.sweep != sweepClosing {
		return false
	}
	e = s.executions.mut(e)
	next, done := s.closeRecords(e, i.serial)
	if !done {
		i.serial = next
		s.push(i)
		return true
	}
	return false
}

// endChild ends one execution below a parent that has ended, unless it has ended meanwhile.
func (s *State) endChild(e *execution, reason string) {
	if e.status.Terminal() {
		return
	}
	r := s.enter(e)
	s.end(r, Terminated, reason, ending{asked: true})
	s.leave(r)
}

// quarantine pauses an execution whose own step faulted: the entry goes on, nothing is
// skipped silently, and a person resumes it. One that has ended stays so, and waits for
// that with its sweep.
func (s *State) quarantine(id ExecID) {
	s.emit(Event{Kind: ExecutionFaulted, Exec: id})
	e, ok := s.executions.get(id)
	if !ok {
		return
	}
	e = s.executions.mut(e)
	e.faulted, e.advancing = true, false
	if e.status.Terminal() {
		return
	}
	e.reason = "the machine caught a fault in this execution: resume it to try again"
	if e.status == Running {
		s.moveStatus(e, Paused)
	}
}

// redo takes up what faults had kept an execution from, now that it is resumed. What
// only begins with the resumed run itself needs nothing: it was held.
func (s *State) redo(e *execution) {
	if !e.faulted {
		return
	}
	for _, k := range s.takeFaults(e) {
		if k.list == heldItem {
			s.scratch.soon = append(s.scratch.soon, s.itemAgain(e, itemKind(k.serial)))
		} else if t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: k.serial}); ok && t.open() {
			s.refile(s.tasks.mut(t))
		}
	}
	for id := range s.waits.tree.From(TaskID{Exec: e.id}) {
		if id.Exec != e.id {
			return
		}
		t, _ := s.tasks.get(id)
		if c, ok := s.executions.get(t.child); ok && c.status.Terminal() {
			s.scratch.soon = append(s.scratch.soon, item{kind: itemReport, exec: c.id})
			if c.sweep == sweepPurging {
				s.scratch.soon = append(s.scratch.soon, item{kind: itemPurge, exec: c.id})
			}
		}
	}
}

// itemAgain is an item that faulted, from its beginning.
func (s *State) itemAgain(e *execution, kind itemKind) item {
	i := item{kind: kind, exec: e.id}
	switch kind {
	case itemEnd:
		if p, ok := s.executions.get(e.parent.Exec); ok {
			i.reason = parentReason(p)
		}
	case itemOrphan:
		i.reason = "Parent workflow has gone on without it"
	}
	return i
}

// takeFaults takes back what waits for an execution to be resumed, or to end.
func (s *State) takeFaults(e *execution) (taken []heldKey) {
	if !e.faulted {
		return nil
	}
	e.faulted = false
	for {
		rows := s.heldRows(e, heldItem, heldAside, maxHeld)
		if len(rows) == 0 {
			return taken
		}
		s.spend(len(rows))
		for _, k := range rows {
			s.held.drop(k)
		}
		taken = append(taken, rows...)
	}
}
