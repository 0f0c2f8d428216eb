package fsm

import "github.com/pawlhq/pawl/fsm/def"

// recount adds one record to the counters of its execution, in the order in which the
// records were made. It works from the records alone, apart from the code that moves
// the counters step by step, and apart from Verify.
func (s *State) recount(e *execution, t *task) {
	n := s.nodeOf(e, t.node)
	if k := (latestKey{exec: e.id, ref: t.ref}); !s.isLatest(k, t.id.Serial) {
		s.latest.put(k, t.id.Serial)
	}
	if n.Kind == def.DoWhile {
		t = s.tasks.mut(t)
		t.loops.open, t.loops.ended = 0, false
		if t.loops.cur > 0 && e.revival.mode == reviveRerun {
			t.loops.cur = t.loops.kept + 1
		}
	}
	if n.Kind == def.Join && t.open() {
		t = s.tasks.mut(t)
		s.recountJoin(e, t, n)
	}
	if t.open() {
		e.openAll++
	}
	if n.Permissive && !n.Optional && t.executed && t.status.Terminal() && !t.status.Successful() {
		e.permBad++
	}
	s.recountScope(e, t, n)
}

func (s *State) isLatest(k latestKey, serial uint32) bool {
	newest, ok := s.latest.get(k)
	return ok && newest >= serial
}

// recountScope counts a record in the scope that it belongs to.
func (s *State) recountScope(e *execution, t *task, n *def.Node) {
	stands := t.open() || n.Kind == def.Fork && t.done > 0 && unexpanded(t, n)
	last := t.executed && !t.retried && (n.Next == def.EndRoot || n.Next == def.EndIteration) && s.passesOn(t, n)
	if t.loop == 0 {
		if stands {
			e.open++
		}
		e.ended = e.ended || last
		return
	}
	l, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.loop})
	if !ok {
		panic("fsm: record without its loop")
	}
	l = s.tasks.mut(l)
	if t.iteration > l.loops.cur {
		l.loops.cur, l.loops.ended = t.iteration, false
	}
	if stands {
		l.loops.open++
	}
	if last && t.iteration == l.loops.cur {
		l.loops.ended = true
	}
}

// passesOn says whether a record itself goes on to the next step of its list: a fork
// does so through its join, a switch through the list that it took, and one that was
// skipped when the flow passes over it again.
func (s *State) passesOn(t *task, n *def.Node) bool {
	if t.status == TaskStatusSkipped {
		return false
	}
	switch n.Kind {
	case def.Fork, def.DynamicFork:
		return false
	case def.Switch:
		_, taken := takenHead(t, n)
		return !taken
	}
	return true
}

func (s *State) recountJoin(e *execution, t *task, n *def.Node) {
	t.join = joinState{}
	if t.fork != 0 {
		t.join = s.recountForked(e, s.taskAt(e, t.fork))
		return
	}
	for _, number := range n.JoinOn {
		m := s.nodeOf(e, t.node.at(number))
		if x, ok := s.recordAt(e, t.node.at(number), t.loop, t.iteration); ok && x.settled {
			addMember(&t.join, x, m.Permissive)
		} else {
			t.join.pending++
		}
	}
	s.spend(len(n.JoinOn) / 64)
}
