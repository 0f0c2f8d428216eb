package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// showCandidates puts the names that an EXCLUSIVE_JOIN looks at into its input.
func (s *State) showCandidates(e *execution, t *task, n *def.Node) {
	in := expr.SetKey(t.input.bytes(), "joinOn", s.namesJSON(e, t, n.JoinOn))
	if len(n.Fallback) > 0 {
		in = expr.SetKey(in, "defaultExclusiveJoinTask", s.namesJSON(e, t, n.Fallback))
	}
	t.input = raw(in)
}

// namesJSON lists the reference names of steps.
func (s *State) namesJSON(e *execution, t *task, nodes []int32) []byte {
	names := []byte{'['}
	for i, number := range nodes {
		if i > 0 {
			names = append(names, ',')
		}
		names = expr.AppendString(names, s.nodeOf(e, t.node.at(number)).Ref)
	}
	return append(names, ']')
}

// candidate is the first of some steps that is there and was not skipped.
func (s *State) candidate(e *execution, t *task, nodes []int32) (*task, bool) {
	for _, number := range nodes {
		if x, ok := s.recordAt(e, t.node.at(number), t.loop, t.iteration); ok && x.status != TaskStatusSkipped {
			return x, true
		}
	}
	return nil, false
}

// chosen is the record that an EXCLUSIVE_JOIN stands for now: of the default list when
// none of its own is there.
func (s *State) chosen(e *execution, t *task, n *def.Node) (*task, bool) {
	if x, ok := s.candidate(e, t, n.JoinOn); ok {
		return x, true
	}
	return s.candidate(e, t, n.Fallback)
}

// closeExclusive ends an EXCLUSIVE_JOIN as the step ended that it stands for, or lets
// it wait for that.
func (s *State) closeExclusive(r *run, t *task, n *def.Node) {
	x, ok := s.chosen(r.e, t, n)
	if !ok || !x.settled {
		return
	}
	if !x.status.Successful() {
		s.failInline(r, t, TaskStatusFailed, x.reason)
		return
	}
	t = s.closeTask(r, t, TaskStatusCompleted, "")
	t.output = x.output
	s.emitTask(TaskCompleted, t)
}
