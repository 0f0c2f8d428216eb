package fsm

// idle finds an execution that a verb may change: nothing on it or above it is being
// swept.
func (s *State) idle(id ExecID) (*execution, *Rejection) {
	e, ok := s.find(id)
	if !ok {
		return nil, noExecution(id)
	}
	for x, depth := e, 0; depth <= MaxDepth; depth++ {
		if x.sweep != sweepNone {
			return nil, busy(x)
		}
		if x.parent.IsZero() {
			break
		}
		if x, ok = s.find(x.parent.Exec); !ok {
			break
		}
	}
	return e, nil
}

// busy refuses a verb while an execution is being swept.
func busy(e *execution) *Rejection {
	if e.faulted {
		return reject(Busy, "execution ", e.id.String(), " cannot be swept, as the machine caught a fault in it: resume it to try again")
	}
	return reject(Busy, "execution ", e.id.String(), " is being swept: ask again shortly")
}

func (s *State) pauseExecution(c *PauseExecution) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	switch {
	case e.status == Paused:
		return Result{Exec: e.id, Repeated: true}, nil
	case e.status.Terminal():
		return Result{}, reject(Conflict, "Workflow ", s.named(e), " has ended, status cannot be updated.")
	}
	e = s.executions.mut(e)
	e.updated = s.now
	s.moveStatus(e, Paused)
	s.emit(Event{Kind: ExecutionPaused, Exec: e.id, Status: Paused})
	return Result{Exec: e.id}, nil
}

func (s *State) resumeExecution(c *ResumeExecution) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if x, ok := s.find(c.Exec); ok && x.faulted {
		e, rej = x, nil // the sweep at fault goes on with the resume
	}
	if rej != nil {
		return Result{}, rej
	}
	if e.status.Terminal() && e.faulted {
		s.redo(s.executions.mut(e))
		return Result{Exec: e.id}, nil
	}
	if e.status != Paused {
		return Result{}, reject(Conflict, "The workflow ", e.id.String(), " is not PAUSED so cannot resume. Current status is ", e.status.String())
	}
	e = s.executions.mut(e)
	s.moveStatus(e, Running)
	e.lastRetried, e.reason = s.now, ""
	s.armExecution(e)
	s.emit(Event{Kind: ExecutionResumed, Exec: e.id, Status: Running})
	s.takeUp(e)
	s.redo(e)
	if !e.advancing { // else its item stands in the agenda
		s.goOn(e)
	}
	return Result{Exec: e.id}, nil
}

// takeUp arms the timers whose limits passed while the execution was paused: they fire
// with the next entry that has work to spend. Forks that were cut short go on.
func (s *State) takeUp(e *execution) {
	for {
		rows := s.heldRows(e, heldOverdue, heldExpand, maxHeld)
		if len(rows) == 0 {
			return
		}
		s.spend(len(rows))
		for _, k := range rows {
			s.held.drop(k)
			if k.list == heldExpand {
				s.push(item{kind: s.unfinished(e, k.serial), exec: e.id, serial: k.serial})
			} else if t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: k.serial}); ok && t.open() {
				s.arm(s.tasks.mut(t))
			}
		}
	}
}

func (s *State) terminateExecution(c *TerminateExecution) (Result, *Rejection) {
	e, ok := s.find(c.Exec)
	switch {
	case !ok:
		return Result{}, noExecution(c.Exec)
	case e.status == Completed:
		return Result{}, reject(Conflict, "Cannot terminate a COMPLETED workflow.")
	case e.status == Terminated:
		return Result{Exec: e.id, Repeated: true}, nil
	case e.status.Terminal():
		e = s.executions.mut(s.settleFailure(e))
		s.moveStatus(e, Terminated)
		e.reason, e.updated = cut(c.Reason), s.now
		s.emit(Event{Kind: ExecutionTerminated, Exec: e.id, Status: Terminated, Reason: e.reason})
		return Result{Exec: e.id}, nil
	}
	r := s.enter(e)
	s.end(r, Terminated, c.Reason, ending{asked: !c.TriggerFailureWorkflow})
	s.leave(r)
	return Result{Exec: c.Exec}, nil
}

// maxSignalWalk bounds the records that a signal looks at below an execution.
const maxSignalWalk = 1000

func (s *State) signal(c *Signal) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	if e.status.Terminal() {
		return Result{}, reject(Conflict, "Workflow ", e.id.String(), " has ended and takes no signal.")
	}
	left := maxSignalWalk
	t, ok := s.findWait(e, c.Ref, &left)
	if !ok {
		return Result{}, reject(NothingWaits, "Found no blocked task in workflow ", c.Exec.String(), " to signal")
	}
	status := c.Status
	if status == 0 {
		status = TaskStatusCompleted
	}
	s.emit(Event{Kind: SignalReceived, Exec: t.id.Exec, Serial: t.id.Serial, Ref: visibleRef(s, t)})
	return s.report(t, report{status: status, output: c.Output, unfenced: true, reason: c.Reason})
}

// findWait finds the first open WAIT of an execution, else of its running children,
// depth first.
func (s *State) findWait(e *execution, ref string, left *int) (*task, bool) {
	var children []ExecID
	for id := range s.waits.tree.From(TaskID{Exec: e.id}) {
		if id.Exec != e.id || *left <= 0 {
			break
		}
		*left--
		t, _ := s.tasks.get(id)
		if !t.child.IsZero() {
			children = append(children, t.child)
			continue
		}
		if ref == "" || t.ref == ref || visibleRef(s, t) == ref {
			return t, true
		}
	}
	for _, id := range children {
		if c, ok := s.find(id); ok && !c.status.Terminal() && c.depth <= MaxDepth {
			if t, found := s.findWait(c, ref, left); found {
				return t, true
			}
		}
	}
	return nil, false
}
