package fsm

// again finds an execution that has ended, for a verb that makes it run again.
func (s *State) again(id ExecID, verb string) (*execution, *Rejection) {
	e, rej := s.idle(id)
	if rej != nil {
		return nil, rej
	}
	if !e.status.Terminal() {
		return nil, reject(Conflict, "Workflow: ", s.named(e), ".", e.status.String(), " is not in terminal state, unable to ", verb, ".")
	}
	return s.settleFailure(e), nil
}

// restartExecution runs an execution from its first step as if it were new, under its
// id and with its input. Serials go on, so that no id is given twice.
func (s *State) restartExecution(c *RestartExecution) (Result, *Rejection) {
	e, rej := s.again(c.Exec, "restart")
	if rej != nil {
		return Result{}, rej
	}
	if p := s.planOf(e); e.status == Completed && !p.Restartable {
		return Result{}, reject(NotRestartable, "Workflow: ", s.named(e), ".", e.status.String(), " is non-restartable")
	}
	e = s.executions.mut(e)
	if c.Latest {
		if rej := s.takeLatest(e); rej != nil {
			return Result{}, rej
		}
	}
	s.unindexExecution(e)
	e.created = s.now
	s.indexExecution(e)
	e.variables = raw(s.planOf(e).Variables)
	e = s.beginAgain(e, reviveRestart)
	s.emit(Event{Kind: ExecutionRestarted, Exec: e.id, Status: Running})
	s.reviveAbove(e, true)
	return Result{Exec: e.id}, nil
}

// takeLatest gives an execution the newest version of its definition.
func (s *State) takeLatest(e *execution) *Rejection {
	name := s.planOf(e).Name
	d, ok := s.lookup(name, 0)
	if !ok {
		return reject(NoDefinition, noDefinition(name, 0))
	}
	if p, _ := s.plans.get(d.plan); p.id != e.plan {
		s.plans.mut(p).refs++
		s.release(e.plan)
		e.plan = p.id
	}
	return nil
}

// beginAgain hides all records of an execution and lets it begin once they are gone.
func (s *State) beginAgain(e *execution, mode revivalMode) *execution {
	e = s.revive(e, mode, phaseDelete)
	e.hideFrom, e.hideTo = 1, e.nextSerial
	e.nextSeq, e.jumped = 1, 0
	e.open, e.openAll, e.permBad = 0, 0, 0
	return e
}
