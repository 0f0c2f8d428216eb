package fsm

// resetCallbacks makes the tasks ready that wait for their callback time.
func (s *State) resetCallbacks(c *ResetCallbacks) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	if e.status.Terminal() {
		return Result{}, reject(Conflict, "Workflow is in terminal state. Status = ", e.status.String())
	}
	s.scratch.soon = append(s.scratch.soon, item{kind: itemCallbacks, exec: e.id, serial: 1})
	return Result{Exec: e.id}, nil
}

// moreCallbacks looks at a quantum of records.
func (s *State) moreCallbacks(e *execution, i item) (again bool) {
	next, done := s.walkRecords(e, i.serial, func(t *task) {
		if t.place != placeDelayed || t.queue == 0 || t.callback == 0 || e.over(t) {
			return
		}
		t = s.tasks.mut(t)
		s.leavePlace(t)
		t.place, t.ready, t.callback = placeReady, s.now, 0
		s.enterPlace(t)
		s.emitTask(TaskReady, t)
	})
	if !done {
		i.serial = next
		s.push(i)
	}
	return !done
}

// walkRecords gives f the records of an execution from a serial on that are not
// hidden, up to a quantum of them. It tells where to go on, or that all have been seen.
func (s *State) walkRecords(e *execution, from uint32, f func(t *task)) (next uint32, done bool) {
	var list []*task
	done = true
	for id, t := range s.tasks.tree.From(TaskID{Exec: e.id, Serial: from}) {
		if id.Exec != e.id {
			break
		}
		if len(list) == quantum || len(list) > 0 && len(list) >= s.scratch.steps {
			next, done = id.Serial, false
			break
		}
		if !e.hides(id.Serial) {
			list = append(list, t)
		}
	}
	for i, t := range list {
		if i > 0 && s.scratch.steps <= 0 {
			return t.id.Serial, false
		}
		s.spend(1)
		if t, ok := s.tasks.get(t.id); ok { // f may have changed or removed it
			f(t)
		}
	}
	return next, done
}

// decideExecution lets the flow go on. It always has already.
func (s *State) decideExecution(c *Decide) (Result, *Rejection) {
	e, ok := s.find(c.Exec)
	if !ok {
		return Result{}, noExecution(c.Exec)
	}
	if s.mayRun(e) {
		s.goOn(e)
	}
	return Result{Exec: e.id}, nil
}

// named is an execution as Conductor's messages name it.
func (s *State) named(e *execution) string {
	p := s.planOf(e)
	return join(p.Name, ".", itoa(int64(p.Version)), "/", e.id.String())
}
