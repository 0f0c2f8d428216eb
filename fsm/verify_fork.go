package fsm

import "github.com/pawlhq/pawl/fsm/def"

// verifyFork checks what a record has to do with dynamic forks: members are those of
// their fork's list, and what is reserved for members that are not made is free.
func (s *State) verifyFork(e *execution, t *task, n *def.Node) error {
	id := t.id.String()
	if t.member != 0 {
		f := s.base(e, t.node)
		m := s.membersOf(e, f.fragment)
		if i := int(t.member) - 1; i >= m.Len() || m.Ref(i) != t.ref || m.Node(i) != f.node {
			return broken(id, ": is no member of its fork")
		}
	}
	if t.width == 0 {
		return nil
	}
	switch m := s.membersOf(e, t.id.Serial); {
	case n.Kind != def.DynamicFork || int(t.width) != m.Len() || t.done > t.width:
		return broken(id, ": has other members than its fork")
	case t.first != 0 && (t.first <= t.id.Serial || t.first+t.width >= e.nextSerial):
		return broken(id, ": reserves numbers that are not its own")
	}
	if t.done == t.width {
		return nil
	}
	if e.status == Running && e.sweep == sweepNone && !s.expands(t) {
		return broken(id, ": lacks members and nothing will make them")
	}
	if t.first == 0 {
		return nil
	}
	for x := range s.tasks.tree.From(TaskID{Exec: e.id, Serial: t.first + t.done}) {
		if x.Exec == e.id && x.Serial < t.first+t.width {
			return broken(id, ": what it reserves is taken by ", x.String())
		}
		break
	}
	return nil
}

// expands says whether an item of the agenda makes the members that a fork lacks.
func (s *State) expands(t *task) bool {
	for _, i := range s.agenda.tree.All() {
		if i.kind == itemExpand && i.exec == t.id.Exec && i.serial == t.id.Serial {
			return true
		}
	}
	return false
}

// verifyForked recounts the JOIN of a dynamic fork, by the names of the members.
func (s *State) verifyForked(e *execution, t *task) error {
	m := s.membersOf(e, t.fork)
	want := joinState{}
	for i := range m.Len() {
		x, ok := s.recordOf(e, m.Ref(i), t.loop, t.iteration)
		if !ok || !x.settled {
			want.pending++
			continue
		}
		addMember(&want, x, m.Plan.Nodes[m.Node(i)].Permissive)
	}
	if want != t.join {
		return broken(t.id.String(), ": join counts differ from a recount, pending ", itoa(int64(t.join.pending)), " and ", itoa(int64(want.pending)))
	}
	return nil
}

// verifyFragments checks that each fragment belongs to a record.
func (s *State) verifyFragments() error {
	for id, f := range s.fragments.tree.All() {
		t, ok := s.tasks.get(id)
		switch {
		case !ok:
			return broken("fragment of ", id.String(), " has no record")
		case f.name != "" && t.node.fragment != id.Serial, f.name == "" && int(t.width) != f.members.Len():
			return broken("fragment of ", id.String(), " is not that of its record")
		}
	}
	return nil
}
