package fsm

import "github.com/pawlhq/pawl/fsm/def"

// jumpTo lets an execution go on at a step of its main line that it has not come to.
// What is open is CANCELED for every reader at once; the sweep stores that, skips the
// steps between, and makes the step.
func (s *State) jumpTo(c *JumpTo) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	if e.status != Running {
		return Result{}, reject(Conflict, "The workflow ", e.id.String(), " is not running so it cannot jump to ", c.Ref)
	}
	p := s.planOf(e)
	number, ok := p.ByRef[c.Ref]
	if !ok {
		return Result{}, reject(Conflict, "The task referenced by ", c.Ref, " does not exist in the WorkflowDefinition ", p.Name)
	}
	if e.parkedTask != 0 {
		return Result{}, reject(Conflict, "The workflow ", e.id.String(), " has not begun so it cannot jump to ", c.Ref)
	}
	if !onMainLine(p, number) {
		return Result{}, reject(Conflict, "The task referenced by ", c.Ref, " is no step to jump to: it is reached through a fork or loop")
	}
	if s.passed(e, p, number) {
		return Result{}, reject(Conflict, "The task referenced ", c.Ref, " has already been processed, cannot be jumped to")
	}
	e = s.executions.mut(e)
	e.updated = s.now
	e.sweep, e.cutTo, e.jumped = sweepReviving, e.nextSerial, e.nextSerial
	e.revival = &revival{mode: reviveJump, phase: phaseCancel, next: 1, end: e.nextSerial,
		target: uint32(number), given: len(c.Input) > 0, input: raw(c.Input)}
	s.scratch.soon = append(s.scratch.soon, item{kind: itemRevive, exec: e.id})
	s.emit(Event{Kind: ExecutionJumped, Exec: e.id, Ref: c.Ref, Status: Running})
	return Result{Exec: e.id}, nil
}

// onMainLine says whether the flow goes from a step to the end of the root list without
// a join or loop taking it up.
func onMainLine(p *def.Plan, number int32) bool {
	if p.Nodes[number].Kind == def.Join || p.Nodes[number].Loop != def.None {
		return false
	}
	for range p.Nodes {
		n := &p.Nodes[number]
		if n.JoinOf != def.None {
			n = &p.Nodes[n.JoinOf]
		}
		if n.Next < 0 {
			return n.Next == def.EndRoot
		}
		number = n.Next
	}
	return false
}

// passed says whether the flow has been at a step, or behind it in the text: where it
// goes from there would be made already.
func (s *State) passed(e *execution, p *def.Plan, number int32) bool {
	if _, made := s.latestOf(e, p.Nodes[number].Ref); made {
		return true
	}
	for i := range p.Nodes[number:] {
		t, made := s.latestOf(e, p.Nodes[int(number)+i].Ref)
		if made && !t.open() && !t.retried && (t.status != TaskStatusSkipped || t.executed) {
			return true
		}
	}
	return false
}

// leftBehind says whether a jump canceled a step's newest record: the flow, when it
// comes there after all, then makes a further attempt.
func (s *State) leftBehind(r *run, t *task) bool {
	if !t.retried || t.status != TaskStatusCanceled {
		return false
	}
	r.as = &attempt{retry: t.retry + 1, retriedOf: t.id.Serial}
	return true
}

func (s *State) jumpPhase(e *execution) {
	r := s.enter(e)
	e = r.e
	v := e.revival
	if v.phase == phaseCancel {
		next, done := s.walkRecords(e, v.next, func(t *task) { s.leaveBehind(r, t) })
		s.dropHeld(e)
		switch {
		case !done && next < v.end:
			v.next = next
		case !s.heldAny(e):
			v.phase, v.next = phaseSkip, 0
		}
		s.leave(r)
		return
	}
	for ; v.next < v.target && s.scratch.steps > 0; v.next++ {
		n := &r.p.Nodes[v.next]
		if _, made := s.latestOf(e, n.Ref); n.Top && !made {
			s.skip(r, int32(v.next), 0, 0)
		}
	}
	if v.next < v.target {
		s.leave(r)
		return
	}
	r.as = &attempt{keep: v.given, input: v.input}
	s.make(r, nodeRef{node: int32(v.target)}, 0, 0)
	s.revived(r)
}

// leaveBehind cancels one record. Nothing comes of it any more: it counts as replaced.
func (s *State) leaveBehind(r *run, t *task) {
	if t.id.Serial >= r.e.cutTo {
		return
	}
	n := s.nodeOf(r.e, t.node)
	switch {
	case n.Kind == def.Fork && t.done > 0 && unexpanded(t, n):
		t = s.tasks.mut(t)
		t.done, t.retried = uint32(len(n.Heads)), true
		s.occupy(r, t, -1)
	case unexpanded(t, n):
		s.tasks.mut(t).done = t.width
	}
	if !t.open() {
		return
	}
	t = s.tasks.mut(t)
	s.leavePlace(t)
	s.disarm(t)
	t.status, t.end, t.updated, t.retried = TaskStatusCanceled, s.now, s.now, true
	s.bad.put(t.id, none{})
	s.scope(r, t, -1)
	s.emitTask(TaskCanceled, t)
	if c, ok := s.find(t.child); ok && !c.status.Terminal() {
		s.push(item{kind: itemOrphan, exec: c.id, reason: "Parent workflow has gone on without it"})
	}
}
