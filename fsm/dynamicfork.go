package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// makeDynamicFork makes a dynamic fork: its FORK record, its JOIN, and as many members
// as one step may begin. Bad input ends the execution, and nothing is made.
func (s *State) makeDynamicFork(r *run, t *task, n *def.Node, depth int) {
	if n.JoinOf == def.None {
		s.end(r, Failed, "Dynamic join definition is not followed by a join task.  Check the workflow definition.", ending{})
		return
	}
	if failure := s.evaluateInput(r, t, n, &adHocOther); failure != "" {
		s.end(r, Failed, failure, ending{})
		return
	}
	f := &fragment{id: t.id, prefixed: s.otherForks(r.e, t, n)}
	m, failure := def.Forked(s.planFor(r.e, t.node), n, t.ref, t.input.bytes(), f.prefixed)
	s.spend(len(t.input.bytes()) / payloadUnit)
	if failure != "" {
		s.end(r, Failed, failure, ending{})
		return
	}
	if i := s.takenName(r, t, m); i >= 0 {
		s.duplicateName(r, &m.Plan.Nodes[m.Node(i)], m.Ref(i))
		return
	}
	f.compiled, f.members = m.Plan, m
	t.start, t.updated, t.end = s.now, s.now, s.now
	t.status, t.executed, t.settled = TaskStatusCompleted, true, true
	t.width = uint32(m.Len())
	t.first, t.firstSeq = r.e.nextSerial, r.e.nextSeq
	r.e.nextSerial += t.width + 1
	r.e.nextSeq += t.width + 1
	t = s.store(r, t)
	s.fragments.insert(f)
	s.emitTask(TaskCompleted, t)
	s.settleFork(r, t, n)
	s.makeStep(r, step{node: t.node.at(n.JoinOf), loop: t.loop, iteration: t.iteration,
		serial: t.first + t.width, seq: t.firstSeq + t.width}, depth+1)
	s.expandMembers(r, t, depth)
}

// otherForks says whether a dynamic fork of another step is in the execution already;
// then the names that this one makes up have its own name before them.
func (s *State) otherForks(e *execution, t *task, n *def.Node) bool {
	if t.node.fragment != 0 {
		return true
	}
	p := s.planOf(e)
	for _, number := range p.DynamicForks {
		if number == t.node.node {
			continue
		}
		if _, made := s.latestOf(e, p.Nodes[number].Ref); made {
			return true
		}
	}
	return false
}

// takenName is the first member whose name, or the name of a step inside it, is that of
// another step, -1 when all are free.
func (s *State) takenName(r *run, t *task, m *def.Members) int {
	s.spend(m.Len() / 64)
	seen := make(map[string]struct{}, m.Len())
	for i := range m.Len() {
		ref := m.Ref(i)
		if _, twice := seen[ref]; twice || s.nameTaken(r.e, t, ref) {
			return i
		}
		seen[ref] = struct{}{}
	}
	owner := 0 // the member that a node belongs to
	for i := range m.Plan.Nodes {
		n := &m.Plan.Nodes[i]
		for owner+1 < len(m.Plan.Members) && int(m.Plan.Members[owner+1]) <= i {
			owner++
		}
		if int(m.Plan.Members[owner]) == i {
			continue // a member itself
		}
		if _, twice := seen[n.Ref]; twice || s.nameTaken(r.e, t, n.Ref) {
			return m.First(m.Plan.Members[owner])
		}
	}
	return -1
}

// nameTaken says whether a step has a name already that a new member of a fork is to
// get: a step of the definition, or one of another fork that has been made. Members of
// the same fork in another iteration have the same names.
func (s *State) nameTaken(e *execution, fork *task, ref string) bool {
	for at := fork.node; ; {
		if _, ok := s.planFor(e, at).ByRef[ref]; ok {
			return true
		}
		if at.fragment == 0 {
			break
		}
		at = s.taskAt(e, s.base(e, at).fragment).node
	}
	x, ok := s.latestOf(e, ref)
	if !ok {
		return false
	}
	if x.loop == fork.loop && x.iteration == fork.iteration || s.base(e, x.node).fragment == 0 {
		return true
	}
	return !s.sameOrigin(e, s.forkOf(e, x).node, fork.node)
}

// expandMembers makes further members. A fork up to the quantum is complete in the step
// that makes it, if that has units enough; the rest follows from the agenda.
func (s *State) expandMembers(r *run, t *task, depth int) {
	m := s.membersOf(r.e, t.id.Serial)
	fork := t.id.Serial
	from, to := t.done, min(t.width, t.done+expandQuantum)
	for i := from; i < to && !r.stop; i++ {
		if i > from && s.scratch.steps <= 0 {
			to = i
			break
		}
		st := step{node: nodeRef{fragment: fork, node: m.Node(int(i))}, ref: m.Ref(int(i)), member: i + 1,
			loop: t.loop, iteration: t.iteration}
		if t.first != 0 {
			st.serial, st.seq = t.first+i, t.firstSeq+i
		}
		s.makeStep(r, st, depth+1)
	}
	t = s.tasks.mut(s.taskAt(r.e, fork))
	t.done = to
	if to < t.width {
		s.push(item{kind: itemExpand, exec: r.e.id, serial: fork})
	}
}

// unexpanded says whether branches of a fork have not been begun.
func unexpanded(t *task, n *def.Node) bool {
	if n.Kind == def.DynamicFork {
		return t.done < t.width
	}
	return n.Kind == def.Fork && int(t.done) < len(n.Heads)
}

// settleMember counts a member in the JOIN of its fork.
func (s *State) settleMember(r *run, t *task, n *def.Node) {
	if j, ok := s.joinOf(r.e, t); ok && j.open() {
		s.countMember(r, s.tasks.mut(j), t, n.Permissive)
	}
}

// joinOf is the JOIN that waits for a member of a dynamic fork.
func (s *State) joinOf(e *execution, member *task) (*task, bool) {
	f := s.forkOf(e, member)
	j, ok := s.recordAt(e, f.node.at(s.nodeOf(e, f.node).JoinOf), f.loop, f.iteration)
	return j, ok && j.fork == f.id.Serial
}

// countForked sets the counters of the JOIN of a dynamic fork from the members that
// have settled already.
func (s *State) countForked(e *execution, t *task, n *def.Node) {
	f, ok := s.recordAt(e, t.node.at(n.ForkOf), t.loop, t.iteration)
	if !ok || f.width == 0 {
		if ok && f.status != TaskStatusSkipped {
			t.fork = f.id.Serial
		}
		return
	}
	t.fork = f.id.Serial
	t.join = s.recountForked(e, f)
}

// recountForked adds up the members of a dynamic fork.
func (s *State) recountForked(e *execution, f *task) joinState {
	j := joinState{pending: f.width}
	if f.done == 0 && f.first != 0 { // just made
		return j
	}
	for x := range s.membersMade(e, f) {
		if x.settled {
			j.pending--
			addMember(&j, x, s.nodeOf(e, x.node).Permissive)
		}
	}
	s.spend(int(f.width) / 64)
	return j
}

// membersMade walks the newest attempt of each member of a dynamic fork that has one,
// in the order in which they were made.
func (s *State) membersMade(e *execution, f *task) func(yield func(*task) bool) {
	return func(yield func(*task) bool) {
		for id, x := range s.tasks.tree.From(TaskID{Exec: e.id, Serial: f.id.Serial + 1}) {
			if id.Exec != e.id {
				return
			}
			if x.member == 0 || x.retried || e.hides(id.Serial) || s.base(e, x.node).fragment != f.id.Serial {
				continue
			}
			if !yield(x) {
				return
			}
		}
	}
}

// refillMembers lets a dynamic fork make what it lacks: its JOIN, and the members that
// are gone or were never made.
func (s *State) refillMembers(r *run, t *task, n *def.Node) {
	s.make(r, t.node.at(n.JoinOf), t.loop, t.iteration)
	t = s.tasks.mut(t)
	if r.e.revival.mode == reviveRerun { // numbers go on behind what was kept
		t.first, t.firstSeq, t.done = 0, 0, 0
	}
	if t.done < t.width {
		s.expandMembers(r, t, 0)
	}
}

// maxNamedMembers bounds the members looked at for the reasons of a JOIN: they are cut
// at MaxReason anyway.
const maxNamedMembers = 4096

// forkedReasons joins the reasons of the members of a dynamic fork that did not
// succeed, in member order.
func (s *State) forkedReasons(e *execution, t *task, soft bool) string {
	m := s.membersOf(e, t.fork)
	var b []byte
	for i := 0; i < min(m.Len(), maxNamedMembers) && len(b) <= MaxReason; i++ {
		if x, ok := s.recordOf(e, m.Ref(i), t.loop, t.iteration); ok {
			b = s.appendReason(e, b, x, soft)
		}
	}
	return string(b)
}

// maxShownDefinitions bounds the bytes of the definitions that a FORK shows.
const maxShownDefinitions = 1 << 20

// forkedNames is the reference names of a dynamic fork's members.
func (s *State) forkedNames(e *execution, fork uint32) []byte {
	m := s.membersOf(e, fork)
	b := []byte{'['}
	for i := range m.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = expr.AppendString(b, m.Ref(i))
	}
	return append(b, ']')
}

// forkedDefinitions is the steps of a dynamic fork's members, as many as may be shown.
func (s *State) forkedDefinitions(e *execution, fork uint32) []byte {
	m := s.membersOf(e, fork)
	b := []byte{'['}
	for i := 0; i < m.Len() && len(b) < maxShownDefinitions; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.AppendDefinition(b, i)
	}
	return append(b, ']')
}
