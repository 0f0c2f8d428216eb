package fsm

import "github.com/pawlhq/pawl/fsm/def"

// maxRetryScan bounds the failures that a retry looks through for one to try again. An
// execution with more of them is taken to have one.
const maxRetryScan = 1 << 14

// retryExecution gives what did not succeed a further attempt.
func (s *State) retryExecution(c *RetryExecution) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	switch {
	case !e.status.Terminal():
		return Result{}, reject(Conflict, "Workflow is still running.  status=", e.status.String())
	case s.empty(e):
		return Result{}, reject(Conflict, "Workflow has not started yet")
	}
	left := maxRetryScan
	if !s.retriable(e, &left) {
		return Result{}, reject(NothingToRetry, "There are no retryable tasks! Use restart if you want to attempt entire workflow execution again.")
	}
	if c.ResumeSubworkflows {
		if e, rej = s.deepestFailed(e); rej != nil {
			return Result{}, rej
		}
	}
	e = s.revive(e, reviveRetry, phaseMark)
	s.emit(Event{Kind: ExecutionRetried, Exec: e.id, Status: Running})
	s.reviveAbove(e, false)
	return Result{Exec: c.Exec}, nil
}

func anyFailed(*task) bool { return true }

// scanFailed finds the first record that did not succeed and of which nothing came.
// Beyond the bound of the scan it answers that there is one, without it.
func (s *State) scanFailed(e *execution, left *int, wanted func(t *task) bool) (*task, bool) {
	if t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: e.failedTask}); ok && failedYet(t) && wanted(t) {
		return t, true
	}
	for id := range s.bad.tree.From(TaskID{Exec: e.id}) {
		if id.Exec != e.id {
			return nil, false
		}
		if *left--; *left < 0 {
			return nil, true
		}
		if t, _ := s.tasks.get(id); failedYet(t) && wanted(t) {
			return t, true
		}
	}
	return nil, false
}

// deepestFailed goes down from an execution through the children whose end was its
// failure, as far as there is something to try again in them.
func (s *State) deepestFailed(e *execution) (*execution, *Rejection) {
	left := maxRetryScan
	for range MaxDepth {
		t, _ := s.scanFailed(e, &left, func(t *task) bool {
			c, ok := s.find(t.child)
			return ok && c.parent == t.id && s.nodeOf(e, t.node).Kind == def.SubWorkflow && s.retriable(c, &left)
		})
		if t == nil {
			return e, nil
		}
		c, _ := s.find(t.child)
		if c.sweep != sweepNone {
			return nil, busy(c)
		}
		e = c
	}
	return e, nil
}

// retriable says whether a retry of an execution has something to do.
func (s *State) retriable(e *execution, left *int) bool {
	if !e.status.Terminal() || e.status == Completed {
		return false
	}
	_, found := s.scanFailed(e, left, anyFailed)
	return found || e.status == TimedOut
}
