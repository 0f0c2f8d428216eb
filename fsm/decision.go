package fsm

import (
	"errors"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// makeSwitch decides in the step that makes the record, if it can: a list that is
// taken begins at once; without one the record passes on in its own pass. A script
// that is more than can be evaluated here is a job, and its answer decides.
func (s *State) makeSwitch(r *run, t *task, n *def.Node, depth int) {
	if n.Evaluator == def.NoEvaluator {
		s.end(r, Failed, join("No evaluator registered for type: ", n.Param), ending{})
		return
	}
	t.start, t.updated = s.now, s.now
	failure := s.evaluateInput(r, t, n, &adHocOther)
	chosen, ask := "", false
	if failure == "" {
		chosen, ask, failure = decide(t, n)
	}
	if len(chosen) > payloadUnit { // shown twice, and perhaps with escapes
		if size := len(switchOutput(n, chosen)); size > MaxPayload {
			failure = payloadTooLarge(t, size)
		}
	}
	switch {
	case ask:
		t = s.store(r, t)
		s.scope(r, t, 1)
		s.beginJob(t, jobScript)
	case failure != "":
		t.end, t.status, t.reason = s.now, TaskStatusFailed, cut(failure)
		t = s.store(r, t)
		s.bad.put(t.id, none{})
		s.emitTask(TaskFailed, t)
		r.fin = addSorted(r.fin, t.id.Serial)
		s.failDecision(r, t, n)
	default:
		t.end, t.status = s.now, TaskStatusCompleted
		choose(t, n, chosen)
		t = s.store(r, t)
		s.emitTask(TaskCompleted, t)
		s.takeList(r, t, n, depth)
	}
}

// takeList begins the list that a new SWITCH has taken.
func (s *State) takeList(r *run, t *task, n *def.Node, depth int) {
	head := takenList(t, n)
	if head < 0 {
		r.batch = addSorted(r.batch, t.id.Serial)
		return
	}
	t = s.tasks.mut(t)
	t.executed = true
	s.settle(r, t)
	s.makeAt(r, t.node.at(head), t.loop, t.iteration, depth+1)
}

// failDecision ends the execution by a DECISION whose script fails, whether or not the
// step may fail: so did Conductor before there was SWITCH.
func (s *State) failDecision(r *run, t *task, n *def.Node) {
	if n.Type == "DECISION" && n.Source != "" {
		r.e.failedTask = t.id.Serial
		s.end(r, Failed, join("Error while evaluating script: ", n.Source), ending{output: &t.output})
	}
}

// choose shows in a record what it decided.
func choose(t *task, n *def.Node, chosen string) {
	in := expr.SetKey(t.input.bytes(), "case", expr.AppendString(nil, chosen))
	if listOf(n, chosen) >= 0 {
		in = expr.SetKey(in, "hasChildren", []byte(`"true"`))
	}
	t.input = raw(in)
	t.output = raw(switchOutput(n, chosen))
}

// listOf is the first step of the list for a value: a case, or what stands in for one
// that is not there. A DECISION takes an empty list for none.
func listOf(n *def.Node, chosen string) int32 {
	head, found := n.Cases[chosen]
	if !found || head < 0 && n.Type == "DECISION" {
		head = n.Default
	}
	return head
}

// takenList is the first step of the list that a SWITCH has taken, negative when the
// record took none or is of another kind.
func takenList(t *task, n *def.Node) int32 {
	if n.Kind != def.Switch || t.status != TaskStatusCompleted {
		return def.None
	}
	v, _ := expr.Get(t.input.bytes(), "case")
	chosen, ok := expr.Unquote(v)
	if !ok {
		return def.None
	}
	return listOf(n, chosen)
}

// afterSwitch passes on a SWITCH that took no list.
func (s *State) afterSwitch(r *run, t *task, n *def.Node) {
	if n.Kind == def.Switch && !t.executed {
		r.fin = addSorted(r.fin, t.id.Serial)
	}
}

func switchOutput(n *def.Node, chosen string) []byte {
	if n.Type == "DECISION" {
		return append(expr.AppendString([]byte(`{"caseOutput":[`), chosen), `]}`...)
	}
	b := expr.AppendString([]byte(`{"evaluationResult":[`), chosen)
	b = append(b, `],"selectedCase":`...)
	b = expr.AppendString(b, chosen)
	return append(b, '}')
}

// decide gives the text that a SWITCH compares with its cases, or says that it takes a
// job to tell.
func decide(t *task, n *def.Node) (chosen string, ask bool, failure string) {
	budget := expr.Budget{Steps: expr.MaxEvalSteps}
	if n.Asks() {
		return "", true, ""
	}
	if n.Script != nil {
		result, err := n.Script.Eval(expr.Raw(t.input.bytes()), &budget)
		var thrown *expr.ScriptError
		if errors.As(err, &thrown) {
			return "", false, thrown.Message
		}
		return result.Text(), err != nil, ""
	}
	v, ok := expr.Get(t.input.bytes(), n.Param)
	if !ok {
		return "null", false, ""
	}
	text, err := expr.AppendText(nil, expr.Raw(v), &budget)
	if err != nil {
		return "", false, expressionFailure(err)
	}
	return string(text), false, ""
}

// answerSwitch decides by the answer of a script.
func (s *State) answerSwitch(r *run, t *task, n *def.Node, a finding) {
	if a.failure != JobDone {
		s.failInline(r, t, TaskStatusFailed, a.text())
		s.failDecision(r, t, n)
		return
	}
	choose(t, n, scriptText(a.result))
	t = s.closeTask(r, t, TaskStatusCompleted, "")
	s.emitTask(TaskCompleted, t)
}

// scriptText is the text of what a script gave, as a SWITCH compares it.
func scriptText(result []byte) string {
	switch expr.KindOf(result) {
	case expr.String:
		text, _ := expr.Unquote(result)
		return text
	case expr.Map, expr.Array:
		budget := expr.Budget{Steps: expr.MaxEvalSteps}
		text, err := expr.AppendText(nil, expr.Raw(result), &budget)
		if err != nil {
			return ""
		}
		return string(text)
	}
	return string(result) // numbers as JavaScript writes them
}
