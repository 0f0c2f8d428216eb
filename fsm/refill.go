package fsm

import "github.com/pawlhq/pawl/fsm/def"

// refill lets one record pass on again that had passed on to one which is gone, or
// whose end cut it short. What is there already is not made twice.
func (s *State) refill(r *run, t *task) {
	if t.retried || t.id.Serial < r.e.jumped { // nothing comes of what a jump left behind
		return
	}
	n := s.nodeOf(r.e, t.node)
	if t.open() {
		s.refillOpen(r, t, n)
		return
	}
	if !s.live(r.e, t) {
		return
	}
	switch {
	case t.status == TaskStatusSkipped: // the step before passes over it
	case !t.executed:
		r.fin = addSorted(r.fin, t.id.Serial)
	case n.Kind == def.DynamicFork && t.status != TaskStatusSkipped:
		s.refillMembers(r, t, n)
	case n.Kind == def.Fork:
		s.refillFork(r, t, n)
	case n.Kind == def.Switch:
		if head, taken := takenHead(t, n); taken {
			s.make(r, t.node.at(head), t.loop, t.iteration)
			return
		}
		s.passOn(r, t, n)
	default:
		s.passOn(r, t, n)
	}
}

// refillOpen takes up joins and loops that are open again.
func (s *State) refillOpen(r *run, t *task, n *def.Node) {
	s.arm(t)
	switch n.Kind {
	case def.Join:
		if t.join.pending == 0 {
			r.joins = addSorted(r.joins, t.id.Serial)
		}
	case def.ExclusiveJoin:
		r.joins = addSorted(r.joins, t.id.Serial)
	case def.DoWhile:
		if t.loops.cur == 0 {
			r.batch = addSorted(r.batch, t.id.Serial)
			return
		}
		s.make(r, t.node.at(n.Heads[0]), t.id.Serial, t.loops.cur)
		r.loops = addSorted(r.loops, t.id.Serial)
	}
}

// live says whether a record belongs to the root or to the iteration that is under way.
func (s *State) live(e *execution, t *task) bool {
	if t.loop == 0 {
		return true
	}
	l, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.loop})
	return ok && l.open() && l.loops.cur == t.iteration
}

// current says whether no later iteration of a loop around a record has begun.
func (s *State) current(e *execution, t *task) bool {
	for t.loop != 0 {
		l, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.loop})
		if !ok || l.retried || l.loops.cur != t.iteration {
			return false
		}
		t = l
	}
	return true
}

func (s *State) refillFork(r *run, t *task, n *def.Node) {
	s.spend(len(n.Heads) / 64)
	if int(t.done) < len(n.Heads) {
		s.push(item{kind: itemExpand, exec: r.e.id, serial: t.id.Serial})
		return
	}
	for _, head := range n.Heads {
		s.make(r, t.node.at(head), t.loop, t.iteration)
	}
	if n.JoinOf != def.None {
		s.makeJoin(r, t.node.at(n.JoinOf), t.loop, t.iteration)
	}
}

// takenHead is the first step of the list that a SWITCH took.
func takenHead(t *task, n *def.Node) (head int32, taken bool) {
	head = takenList(t, n)
	return head, head >= 0 && t.executed
}
