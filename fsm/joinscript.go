package fsm

import (
	"errors"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// askJoin lets the expression of a JOIN say how it ends, now that no member is
// pending. It is asked once; a JOIN that it tells to wait waits until its members
// change, or the execution ends.
func (s *State) askJoin(r *run, t *task, n *def.Node) {
	if n.Script != nil {
		budget := expr.Budget{Steps: expr.MaxEvalSteps}
		result, err := n.Script.Eval(expr.Composite(&joinEnv{s: s, e: r.e, t: t, n: n}), &budget)
		var thrown *expr.ScriptError
		switch {
		case err == nil:
			s.answerJoin(r, t, finding{result: result.AppendJSON(nil)})
			return
		case errors.As(err, &thrown):
			s.answerJoin(r, t, threw(thrown))
			return
		}
	}
	if _, err := s.joinInput(r.e, t, n); err != nil {
		s.failInline(r, t, TaskStatusFailed, expressionFailure(err))
		return
	}
	s.beginJob(t, jobScript)
}

// answerJoin ends a JOIN as its expression says: true, or an object with a status.
func (s *State) answerJoin(r *run, t *task, a finding) {
	t = s.tasks.mut(t)
	if a.failure != JobDone {
		s.failInline(r, t, TaskStatusFailed, a.scriptError())
		return
	}
	status, reason := TaskStatusInProgress, ""
	switch expr.KindOf(a.result) {
	case expr.Bool:
		if truth(a.result) {
			status = TaskStatusCompleted
		}
	case expr.Map:
		v, _ := expr.Get(a.result, "status")
		name, _ := expr.Unquote(v)
		if st, ok := ParseTaskStatus(name); ok {
			status = st
		}
		v, _ = expr.Get(a.result, "reasonForIncompletion")
		reason, _ = expr.Unquote(v)
		if data, ok := expr.Get(a.result, "outputData"); ok && expr.KindOf(data) == expr.Map && expr.Count(data) > 0 {
			if !s.showInJoin(r, t, data) {
				return
			}
		}
	}
	s.endJoin(r, t, status, reason)
}

// showInJoin puts what the expression gives beside the members' outputs.
func (s *State) showInJoin(r *run, t *task, data []byte) bool {
	budget := &expr.Budget{Steps: maxJobSteps}
	out, err := s.dataValue(r.e, t, t.output).AppendWithin(nil, budget)
	if err == nil {
		out = expr.Merge(out, data)
	}
	if err != nil || len(out) > MaxPayload {
		s.failInline(r, t, TaskStatusFailedTerminal, payloadTooLarge(t, len(out)))
		return false
	}
	t.output = raw(out)
	return true
}

func (s *State) endJoin(r *run, t *task, status TaskStatus, reason string) {
	var kind EventKind
	switch status {
	case TaskStatusCompleted:
		kind = TaskCompleted
	case TaskStatusCompletedWithErrors:
		kind = TaskCompletedWithErrors
	case TaskStatusFailed, TaskStatusFailedTerminal:
		kind = TaskFailed
	case TaskStatusTimedOut:
		kind = TaskTimedOut
	case TaskStatusCanceled:
		kind = TaskCanceled
	default: // it waits on
		t.reason = cut(reason)
		if t.place != placeWaiting {
			s.rest(t)
		}
		return
	}
	t = s.closeTask(r, t, status, reason)
	s.emitTask(kind, t)
}

// joinInput is the $ of a JOIN's expression that a job judges.
func (s *State) joinInput(e *execution, t *task, n *def.Node) ([]byte, error) {
	budget := &expr.Budget{Steps: maxJobSteps}
	b, err := expr.Composite(&joinEnv{s: s, e: e, t: t, n: n}).AppendWithin(nil, budget)
	if err != nil {
		return []byte(emptyObject), err
	}
	return b, nil
}

// joinEnv is the $ of a JOIN's expression: its input, in which joinOn names the
// members, and each member by its name.
type joinEnv struct {
	s *State
	e *execution
	t *task
	n *def.Node
}

// members names the members, those of a dynamic fork too.
func (j *joinEnv) members(input expr.Value) func(yield func(string) bool) {
	on, _ := input.Member("joinOn").Raw()
	return func(yield func(string) bool) {
		for el := range expr.Elements(on) {
			if ref, _ := expr.Unquote(el); !yield(ref) {
				return
			}
		}
	}
}

// Get answers a member of the join, or of its input.
func (j *joinEnv) Get(key string) (expr.Value, bool) {
	input := j.s.shownInput(j.e, j.t)
	for ref := range j.members(input) {
		if ref != key {
			continue
		}
		if x, ok := j.s.recordOf(j.e, ref, j.t.loop, j.t.iteration); ok {
			return expr.Composite(&taskEnv{s: j.s, e: j.e, t: x}), true
		}
	}
	v := input.Member(key)
	return v, !v.Missing()
}

// Range walks the input, then the members in order.
func (j *joinEnv) Range(yield func(key string, v expr.Value) bool) {
	input := j.s.shownInput(j.e, j.t)
	for k, v := range expr.Members(j.t.input.bytes()) {
		if k != "joinOn" && !yield(k, expr.Raw(v)) {
			return
		}
	}
	if !yield("joinOn", input.Member("joinOn")) {
		return
	}
	for ref := range j.members(input) {
		if x, ok := j.s.recordOf(j.e, ref, j.t.loop, j.t.iteration); ok && !yield(ref, expr.Composite(&taskEnv{s: j.s, e: j.e, t: x})) {
			return
		}
	}
}
