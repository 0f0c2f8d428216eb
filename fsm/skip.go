package fsm

import "github.com/pawlhq/pawl/fsm/def"

// skipTask makes the record of a step before the flow comes to it; the flow then
// passes over it.
func (s *State) skipTask(c *SkipTask) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	if e.status != Running {
		return Result{}, reject(Conflict, "The workflow ", e.id.String(), " is not running so the task referenced by ", c.Ref, " cannot be skipped")
	}
	p := s.planOf(e)
	number, ok := p.ByRef[c.Ref]
	if !ok {
		return Result{}, reject(Conflict, "The task referenced by ", c.Ref, " does not exist in the WorkflowDefinition ", p.Name)
	}
	loop, iteration, rej := s.scopeOf(e, p, number)
	if rej != nil {
		return Result{}, rej
	}
	if _, made := s.recordOf(e, c.Ref, loop, iteration); made {
		return Result{}, reject(Conflict, "The task referenced ", c.Ref, " has already been processed, cannot be skipped")
	}
	r := s.enter(e)
	t := s.skip(r, number, loop, iteration)
	t.input, t.output = raw(c.Input), raw(c.Output)
	if on := r.p.Nodes[number].JoinOf; on != def.None { // whose members will never be there
		if _, made := s.recordOf(r.e, r.p.Nodes[on].Ref, loop, iteration); !made {
			s.skip(r, on, loop, iteration)
		}
	}
	s.leave(r)
	return Result{Exec: c.Exec, Task: t.id}, nil
}

// passOver goes on behind a record that was skipped, once the flow comes to it.
func (s *State) passOver(r *run, t *task, n *def.Node) {
	if t.status == TaskStatusSkipped && !t.executed {
		t = s.tasks.mut(t)
		t.executed = true
		s.passOn(r, t, n)
	}
}

// scopeOf is where the record of a step would be made now: the root, or the current
// iteration of the loop around it.
func (s *State) scopeOf(e *execution, p *def.Plan, number int32) (loop, iteration uint32, rej *Rejection) {
	around := p.Nodes[number].Loop
	if around == def.None {
		return 0, 0, nil
	}
	l, ok := s.latestOf(e, p.Nodes[around].Ref)
	if !ok || !l.open() || l.loops.cur == 0 {
		return 0, 0, reject(Conflict, "The task referenced by ", p.Nodes[number].Ref, " is inside the loop ", p.Nodes[around].Ref, ", which is not running")
	}
	return l.id.Serial, l.loops.cur, nil
}

// skip makes a SKIPPED record. It counts as settled in joins that name it.
func (s *State) skip(r *run, number int32, loop, iteration uint32) *task {
	ref := nodeRef{node: number}
	t := s.newTask(r, ref, s.nodeOf(r.e, ref), loop, iteration)
	t.status = TaskStatusSkipped
	t.start, t.end, t.updated = s.now, s.now, s.now
	t = s.tasks.mut(s.store(r, t))
	s.emitTask(TaskSkipped, t)
	s.settle(r, t)
	return t
}
