package fsm

import "github.com/pawlhq/pawl/fsm/def"

// rerunExecution runs an execution again from a record of it, or of one below it.
func (s *State) rerunExecution(c *RerunExecution) (Result, *Rejection) {
	e, rej := s.again(c.Exec, "rerun")
	if rej != nil {
		return Result{}, rej
	}
	var t *task
	if !c.Task.IsZero() {
		if t, rej = s.taskBelow(c, e); rej != nil {
			return Result{}, rej
		}
		if _, rej = s.again(c.Task.Exec, "rerun"); rej != nil {
			return Result{}, rej
		}
	}
	e = s.executions.mut(e)
	at := e
	if t != nil {
		at = s.execOf(t)
	}
	if len(c.WorkflowInput) > 0 {
		e.input = raw(c.WorkflowInput)
	}
	if c.Correlation != "" && c.Correlation != e.corr {
		s.unindexExecution(e)
		e.corr = c.Correlation
		s.indexExecution(e)
	}
	if t == nil {
		at = s.beginAgain(e, reviveRestart)
		at.lastRetried = s.now
		s.armExecution(at)
	} else {
		at = s.beginAt(at, t, c.TaskInput)
	}
	s.emit(Event{Kind: ExecutionReran, Exec: at.id, Status: Running})
	s.reviveAbove(at, true)
	return Result{Exec: c.Exec}, nil
}

// taskBelow finds a record in an execution or in one that it reports to.
func (s *State) taskBelow(c *RerunExecution, e *execution) (*task, *Rejection) {
	none := reject(Malformed, "Task ", c.Task.String(), " not found")
	none.Field = "task"
	t, ok := s.findTask(c.Task)
	if !ok {
		return nil, none
	}
	x := s.execOf(t)
	for depth := 0; x.id != e.id; depth++ {
		p, ok := s.findTask(x.parent)
		if !ok || p.child != x.id || depth > MaxDepth {
			return nil, none
		}
		x = s.execOf(p)
	}
	if t.status == TaskStatusSkipped && s.nodeOf(s.execOf(t), t.node).Kind == def.Join {
		return nil, reject(Conflict, "Task ", c.Task.String(), " is a join that was skipped: its fork has not run")
	}
	return t, nil
}

// beginAt hides what was made behind a record and lets that be made anew in its place.
func (s *State) beginAt(e *execution, t *task, input []byte) *execution {
	e = s.revive(e, reviveRerun, phaseDelete)
	e.hideFrom, e.hideTo = t.id.Serial+1, e.nextSerial
	e.nextSeq = t.seq + 1
	v := e.revival
	v.target, v.given, v.input = t.id.Serial, len(input) > 0, raw(input)
	v.end = t.id.Serial + 1
	t = s.tasks.mut(t)
	t.executed, t.settled, t.retried = false, false, false
	s.unsettle(e, t)
	if c, ok := s.find(t.child); ok && !c.status.Terminal() {
		s.push(item{kind: itemOrphan, exec: c.id, reason: "Parent workflow has been run again without it"})
	}
	return e
}
