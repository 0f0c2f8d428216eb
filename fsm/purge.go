package fsm

// deleteExecution takes an execution away: from every reader now, from the tables in
// the sweep behind it. One that runs is terminated first, so that its parent hears and
// its children end.
func (s *State) deleteExecution(c *DeleteExecution) (Result, *Rejection) {
	e, ok := s.find(c.Exec)
	if !ok {
		if x, hidden := s.executions.get(c.Exec); hidden && x.faulted { // nobody can resume it
			s.redo(s.executions.mut(x))
			return Result{Exec: x.id}, nil
		}
		return Result{}, noExecution(c.Exec)
	}
	e = s.settleFailure(e)
	if !e.status.Terminal() {
		if !c.Force {
			return Result{}, reject(Conflict, "Cannot archive workflow: ", e.id.String(), " with status: ", e.status.String())
		}
		r := s.enter(e)
		s.end(r, Terminated, "", ending{asked: true})
		s.leave(r)
	}
	e, _ = s.executions.get(c.Exec)
	s.forget(s.executions.mut(e))
	return Result{Exec: c.Exec}, nil
}

func noExecution(id ExecID) *Rejection {
	return notFound("No such workflow found by id: ", id.String())
}

// forget hides an execution from every reader. Its purge begins when nothing else is
// sweeping it.
func (s *State) forget(e *execution) {
	e.gone = true
	s.unindexExecution(e)
	if key := (startKey{name: s.planOf(e).Name, key: e.key_}); e.key_ != "" {
		if id, ok := s.keys.get(key); ok && id == e.id {
			s.keys.drop(key)
		}
	}
	s.emit(Event{Kind: ExecutionDeleted, Exec: e.id, Status: e.status})
	s.redo(e)
	if e.sweep == sweepNone {
		s.beginPurge(e)
	}
}

func (s *State) beginPurge(e *execution) {
	e.sweep = sweepPurging
	s.scratch.soon = append(s.scratch.soon, item{kind: itemPurge, exec: e.id})
}

// purge is one quantum of taking an execution's records away, newest first, since a
// record's fragment belongs to an older one.
func (s *State) purge(e *execution, i item) (again bool) {
	if e.sweep != sweepPurging {
		return false
	}
	s.dropHeld(e)
	if s.removeLast(e, 0) || s.heldAny(e) {
		s.push(i)
		return true
	}
	if s.tellParent(e, i) {
		return true
	}
	e = s.executions.mut(e)
	s.takeFaults(e)
	s.disarmExecution(e)
	s.release(e.plan)
	e, _ = s.executions.get(i.exec)
	s.executions.remove(e)
	return false
}

// lastRecords lists up to a quantum of the records from one serial on and below another,
// newest first, as far as there are steps for them, and reports whether there are more.
func (s *State) lastRecords(e *execution, from, to uint32) (list []*task, more bool) {
	for id, t := range s.tasks.tree.Before(TaskID{Exec: e.id, Serial: to}) {
		if id.Exec != e.id || id.Serial < from {
			break
		}
		if len(list) == quantum || len(list) > 0 && len(list) >= s.scratch.steps {
			return list, true
		}
		list = append(list, t)
	}
	return list, false
}

// removeLast takes away up to a quantum of the records from a serial on, newest first,
// since a record's fragment belongs to an older one. It reports whether more are left.
func (s *State) removeLast(e *execution, from uint32) (more bool) {
	gone, more := s.lastRecords(e, from, 1<<32-1)
	for _, t := range gone {
		s.removeTask(e, t)
	}
	return more
}

// tellParent does an item that tells the parent how an execution ended, or puts it off
// until the parent's counters stand. A parent at fault asks itself when it is resumed.
func (s *State) tellParent(e *execution, i item) (wait bool) {
	p, ok := s.executions.get(e.parent.Exec)
	if !ok || !p.early() {
		s.reportParent(e)
		return false
	}
	if !p.faulted {
		s.push(i)
	}
	return true
}
