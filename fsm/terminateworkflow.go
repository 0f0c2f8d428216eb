package fsm

import (
	"slices"

	"github.com/pawlhq/pawl/fsm/expr"
)

// terminateQuantum is how many executions a TERMINATE_WORKFLOW ends in one quantum.
const terminateQuantum = 64

// terminateMore ends some of the executions that a TERMINATE_WORKFLOW record names, and
// the record behind the last. Those that are not there or have completed are left out of
// its output. Its own execution ends last.
func (s *State) terminateMore(e *execution, t *task, i item) (again bool) {
	q := request{in: t.input.bytes(), of: "the input of TERMINATE_WORKFLOW"}
	ids, failure := idsInput(q.in)
	reason, rescue := q.text("terminationReason"), q.flag("triggerFailureWorkflow", s.nodeOf(e, t.node).Rescue)
	if failure == "" {
		failure = q.failure
	}
	if failure != "" {
		s.acted(t.id, nil, failure)
		return false
	}
	end := func(id ExecID) {
		s.ask(func() *Rejection {
			_, rej := s.terminateExecution(&TerminateExecution{Exec: id, Reason: reason, TriggerFailureWorkflow: rescue})
			return rej
		})
	}
	to, own := min(len(ids), int(i.done)+terminateQuantum), false
	for _, id := range ids[i.done:to] {
		s.spend(1)
		if id != e.id {
			end(id)
		}
	}
	if to < len(ids) {
		i.done = uint32(to)
		s.push(i)
		return true
	}
	out := []byte(`{"terminatedWorkflows":[`)
	for _, id := range ids {
		own = own || id == e.id
		if x, ok := s.find(id); !ok || x.status != Terminated {
			continue
		}
		if out[len(out)-1] != '[' {
			out = append(out, ',')
		}
		out = expr.AppendString(out, id.String())
	}
	if own {
		end(e.id)
	}
	s.acted(t.id, append(out, "]}"...), "")
	return false
}

// idsInput reads the executions to end: a list of ids, or one. One given twice counts
// once, and what is no id names none.
func idsInput(in []byte) (ids []ExecID, failure string) {
	v, ok := expr.Get(in, "workflowId")
	switch {
	case !ok || expr.KindOf(v) == expr.Null:
		return nil, "Missing 'workflowId' in input data."
	case expr.KindOf(v) == expr.String:
		v = append(append([]byte{'['}, v...), ']')
	case expr.KindOf(v) != expr.Array:
		return nil, "'workflowId' must be a list of ids"
	}
	if expr.Count(v) > MaxBulk {
		return nil, join("Cannot process more than ", itoa(MaxBulk), " workflows. Please use multiple requests.")
	}
	for el := range expr.Elements(v) {
		text, isText := expr.Unquote(el)
		if !isText {
			return nil, "'workflowId' must be a list of ids"
		}
		if id, err := ParseExecID(text); err == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, ""
}
