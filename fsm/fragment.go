package fsm

import "github.com/pawlhq/pawl/fsm/def"

// fragment is steps that an execution has besides those of its plan: the members of a
// dynamic fork, or what a DYNAMIC step was resolved to. The steps themselves are not
// stored: they follow from the record that brings them.
type fragment struct {
	meta
	id       TaskID  // of the record that brings it
	prefixed bool    // dynamic fork: made-up names have the fork's before them
	name     string  // DYNAMIC: the task it was resolved to
	of       nodeRef // DYNAMIC: the step itself

	compiled *def.Plan
	members  *def.Members // of a dynamic fork
}

func (f *fragment) key() TaskID { return f.id }
func (f *fragment) encode(w *writer) {
	w.task(1, f.id)
	w.flag(3, f.prefixed)
	w.str(4, f.name)
	w.num(5, uint64(f.of.fragment))
	w.num(6, uint64(f.of.node))
}

func decodeFragment(r *reader) *fragment {
	f := &fragment{}
	for r.next() {
		switch r.tag {
		case 1:
			f.id = r.task()
		case 3:
			f.prefixed = r.flag()
		case 4:
			f.name = r.str()
		case 5:
			f.of.fragment = r.num32()
		case 6:
			f.of.node = int32(r.num32())
		default:
			r.unknown()
		}
	}
	return f
}

// deriveFragments makes the steps of all fragments again. One may be of a step in
// another, whose record is older and so comes before it.
func (s *State) deriveFragments() error {
	for id, f := range s.fragments.tree.All() {
		t, ok := s.tasks.get(id)
		e, found := s.executions.get(id.Exec)
		if !ok || !found {
			return ErrCorrupt
		}
		at := t.node
		if f.name != "" {
			at = f.of
		}
		if at.fragment != 0 {
			if _, ok := s.fragments.get(TaskID{Exec: id.Exec, Serial: at.fragment}); !ok {
				return ErrCorrupt
			}
		}
		p := s.planFor(e, at)
		if int(at.node) >= len(p.Nodes) {
			return ErrCorrupt
		}
		if n := &p.Nodes[at.node]; f.name != "" {
			f.compiled = def.Resolve(p, n, f.name)
		} else if f.members, _ = def.Forked(p, n, t.ref, t.input.bytes(), f.prefixed); f.members != nil {
			f.compiled = f.members.Plan
		}
		if f.compiled == nil {
			return ErrCorrupt
		}
	}
	return nil
}

// base is the step in its list that a record stands at: for what a DYNAMIC step was
// resolved to, the DYNAMIC step.
func (s *State) base(e *execution, ref nodeRef) nodeRef {
	if ref.fragment == 0 {
		return ref
	}
	if f, ok := s.fragments.get(TaskID{Exec: e.id, Serial: ref.fragment}); ok && f.name != "" {
		return f.of
	}
	return ref
}

// membersOf is the fragment of the dynamic fork whose FORK record has a serial.
func (s *State) membersOf(e *execution, fork uint32) *def.Members {
	f, ok := s.fragments.get(TaskID{Exec: e.id, Serial: fork})
	if !ok || f.members == nil {
		panic("fsm: dynamic fork without its members")
	}
	return f.members
}

// forkOf is the FORK record of the dynamic fork that a record is a member of.
func (s *State) forkOf(e *execution, t *task) *task { return s.taskAt(e, s.base(e, t.node).fragment) }

// recordAt is the newest record of a step in one iteration of one loop.
func (s *State) recordAt(e *execution, ref nodeRef, loop, iteration uint32) (*task, bool) {
	t, ok := s.recordOf(e, s.nodeOf(e, ref).Ref, loop, iteration)
	return t, ok && s.base(e, t.node) == ref
}

// maxOrigin bounds how deep dynamic forks are members of others.
const maxOrigin = MaxDepth

// sameOrigin says whether two steps are one in the text of the definition: members of
// the same dynamic fork made at different times are.
func (s *State) sameOrigin(e *execution, a, b nodeRef) bool {
	for range maxOrigin {
		a, b = s.base(e, a), s.base(e, b)
		switch {
		case a == b:
			return true
		case a.fragment == 0 || b.fragment == 0:
			return false
		}
		x, ok := s.tasks.get(TaskID{Exec: e.id, Serial: a.fragment})
		y, found := s.tasks.get(TaskID{Exec: e.id, Serial: b.fragment})
		if !ok || !found {
			return false
		}
		a, b = x.node, y.node
	}
	return false
}

// clashes says whether the reference name of a step that is to be made is that of
// another one: then the two could not be told apart.
func (s *State) clashes(e *execution, st *step, x *task) bool {
	if x.loop == st.loop && x.iteration == st.iteration {
		return s.base(e, x.node) != s.base(e, st.node) || x.member != st.member
	}
	return !s.sameOrigin(e, x.node, st.node)
}

// duplicateName ends an execution because a step would have the name of another.
func (s *State) duplicateName(r *run, n *def.Node, ref string) {
	s.end(r, Failed, join("No dynamic tasks could be created for the Workflow: ", r.p.Name, ".", itoa(int64(r.p.Version)), "/",
		r.e.id.String(), ", Dynamic Fork Task: ", n.Name, "/", ref, " attempted to create a duplicate task reference name: ", ref), ending{})
}
