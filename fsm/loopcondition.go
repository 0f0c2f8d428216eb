package fsm

import (
	"errors"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// verdict is the answer to the condition of a loop's iteration. Stored.
type verdict uint8

const (
	verdictNone  verdict = iota
	verdictAsked         // a job asks; each iteration asks once
	verdictYes
	verdictNo
)

// maxLoopBytes bounds the iterations that a condition is shown; the newest come first.
const maxLoopBytes = 1 << 20

// condition judges the condition of a loop whose iteration is over, or asks a job to.
func (s *State) condition(e *execution, t *task, n *def.Node) (failure string) {
	listed := t.loops.items != nil
	switch {
	case listed && t.loops.cur >= t.loops.items.count: // whatever the condition says
		t.loops.verdict = verdictNo
		return ""
	case n.Source == "" && n.Param == "": // the items decide
		t.loops.verdict = verdictOf(listed)
		return ""
	case n.Source == "":
		v, _ := expr.Get(t.input.bytes(), n.Param)
		t.loops.verdict = verdictOf(truth(v))
		return ""
	case n.Script != nil:
		budget := expr.Budget{Steps: expr.MaxEvalSteps}
		result, err := n.Script.Eval(expr.Composite(&loopEnv{s: s, e: e, t: t, n: n}), &budget)
		var thrown *expr.ScriptError
		switch {
		case err == nil:
			t.loops.verdict = verdictOf(result.Truth())
			return ""
		case errors.As(err, &thrown):
			return conditionFailure(n, thrown.Message)
		}
	}
	if _, err := s.loopInput(e, t, n); err != nil {
		return conditionFailure(n, err.Error())
	}
	s.beginJob(t, jobScript)
	t.loops.verdict = verdictAsked
	return ""
}

func conditionFailure(n *def.Node, what string) string {
	return join("Unable to evaluate condition ", n.Source, ", exception ", what)
}

func verdictOf(yes bool) verdict {
	if yes {
		return verdictYes
	}
	return verdictNo
}

// truth says whether a value keeps a loop going: true, or a number above zero.
func truth(v []byte) bool {
	switch expr.KindOf(v) {
	case expr.Bool:
		return v[0] == 't'
	case expr.Number:
		return v[0] != '-' && hasDigit(v)
	}
	return false
}

// hasDigit says whether a number that is not negative is above zero.
func hasDigit(number []byte) bool {
	for _, c := range number {
		if c == 'e' || c == 'E' {
			return false
		}
		if c >= '1' && c <= '9' {
			return true
		}
	}
	return false
}

// answerLoop goes on with a loop whose condition has been judged.
func (s *State) answerLoop(r *run, t *task, n *def.Node, a finding) {
	if a.failure != JobDone {
		s.failInline(r, t, TaskStatusFailedTerminal, conditionFailure(n, a.text()))
		return
	}
	t.loops.verdict = verdictOf(truth(a.result))
	s.rest(t)
	r.loops = addSorted(r.loops, t.id.Serial)
}

// loopInput is the $ of a condition that a job judges: what loopEnv answers, as far as
// the script names it.
func (s *State) loopInput(e *execution, t *task, n *def.Node) ([]byte, error) {
	uses := scanUses(n)
	budget := &expr.Budget{Steps: maxJobSteps}
	b := []byte{'{'}
	p := s.planFor(e, t.node)
	for key, v := range expr.Members(t.input.bytes()) {
		if inner, ok := p.ByRef[key]; key == n.Ref || !uses.Root(key) || ok && s.insideLoop(e, t, n, inner) {
			continue
		}
		b = append(append(appendKey(b, key), v...), ',')
	}
	var err error
	for number := t.node.node + 1; number < n.LoopEnd; number++ {
		ref := p.Nodes[number].Ref
		x, ok := s.latestOf(e, ref)
		if !ok || !uses.Root(ref) {
			continue
		}
		if b, err = s.dataValue(e, x, x.output).AppendWithin(appendKey(b, ref), budget); err != nil {
			return []byte(emptyObject), err
		}
		b = append(b, ',')
	}
	if uses.Root(n.Ref) {
		b = append(s.appendLoop(appendKey(b, n.Ref), e, t, uses.Only(n.Ref, "iteration", "loopIndex", "loopItem")), ',')
	}
	return append(b[:max(1, len(b)-1)], '}'), nil
}

// insideLoop says whether a step is inside the loop and has a record, so that its
// output hides an input of its name.
func (s *State) insideLoop(e *execution, t *task, n *def.Node, number int32) bool {
	if number <= t.node.node || number >= n.LoopEnd {
		return false
	}
	_, ok := s.latestOf(e, s.nodeOf(e, t.node.at(number)).Ref)
	return ok
}

func scanUses(n *def.Node) expr.Uses {
	if n.Evaluator == def.JavaScript {
		return expr.ScanUses(n.Source)
	}
	return expr.ScanUses("$")
}

func appendKey(b []byte, key string) []byte { return append(expr.AppendString(b, key), ':') }

// appendLoop renders a loop's own output, with the newest iterations that fit.
func (s *State) appendLoop(b []byte, e *execution, t *task, brief bool) []byte {
	l := &loopOutput{s: s, e: e, t: t}
	first := l.over() + 1 // the oldest iteration that is shown
	var shown [][]byte
	for left := maxLoopBytes; !brief && !l.bare() && first > t.loops.kept+1; first-- {
		budget := &expr.Budget{Steps: left/256 + 64}
		it, err := expr.Composite(&iterationOutput{loopOutput: l, iteration: first - 1}).AppendWithin(nil, budget)
		if left -= len(it); err != nil || left < 0 {
			break
		}
		shown = append(shown, it)
	}
	b = appendInt(append(b, `{"iteration":`...), int64(t.loops.cur))
	for i := len(shown) - 1; i >= 0; i-- {
		b = appendKey(append(b, ','), itoa(int64(first)+int64(len(shown)-1-i)))
		b = append(b, shown[i]...)
	}
	for _, key := range [...]string{"loopIndex", "loopItem"} {
		if v, ok := l.Get(key); ok {
			b = v.AppendJSON(appendKey(append(b, ','), key))
		}
	}
	return append(b, '}')
}
