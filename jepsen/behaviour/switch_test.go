package behaviour

import (
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// B49: a SWITCH without a match and without a default completes, and the main line goes
// on.
func TestB049SwitchWithoutAMatchGoesOn(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", choice("s", "${workflow.input.x}", m{"a": list(simple("in_a"))}), simple("after")), m{"x": "b"})
	r.want(fsm.Running, "s COMPLETED", "after SCHEDULED")
}

// B50: a SWITCH in the chosen case of a SWITCH is decided in the same step, up to the
// first real task.
func TestB050SwitchesNest(t *testing.T) {
	w := begin(t)
	w.corpus("wf-conditional_switch_task_workflow_integration_test.json")
	r := w.start("ConditionalTaskWF", m{"param1": "nested", "param2": "one"})
	r.want(fsm.Running, "conditional COMPLETED", "nestedCondition COMPLETED", "t1 SCHEDULED")
	wantAt(t, r.task("conditional").Output, "evaluationResult", l{"nested"})
	wantAt(t, r.task("conditional").Output, "selectedCase", "nested")
	wantAt(t, r.task("conditional").Input, "case", "nested")
	wantAt(t, r.task("conditional").Input, "hasChildren", "true")
}

// B51: the tasks of a case run one after the other, then the task after the SWITCH.
func TestB051CaseRunsInOrder(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", choice("s", "${workflow.input.x}", m{"a": list(simple("one"), simple("two"))}), simple("after")), m{"x": "a"})
	r.want(fsm.Running, "s COMPLETED", "one SCHEDULED")
	r.complete("one", nil)
	r.want(fsm.Running, "s COMPLETED", "one COMPLETED", "two SCHEDULED")
	r.complete("two", nil)
	r.want(fsm.Running, "s COMPLETED", "one COMPLETED", "two COMPLETED", "after SCHEDULED")
	r.complete("after", nil)
	r.wantN(fsm.Completed, 4)
}

// B52: a JOIN on the task after a SWITCH in a branch waits through the tasks of the case.
func TestB052SwitchInABranch(t *testing.T) {
	w := begin(t)
	w.corpus("wf-switch_and_fork_join_integration_test.json")
	r := w.start("ForkConditionalTest", m{"case": "c", "param1": "one"})
	r.want(fsm.Running, "forkTask COMPLETED", "switchTask COMPLETED", "t1 SCHEDULED", "t10 SCHEDULED", "joinTask IN_PROGRESS")
	r.completes("t10", "t1", "t2")
	r.wantTasks("joinTask IN_PROGRESS", "t20 SCHEDULED")
	r.complete("t20", nil)
	r.wantTasks("joinTask COMPLETED")
	r.wantN(fsm.Completed, 7)
}

// B53: a SWITCH whose script throws is FAILED with the message, the workflow too, and no
// case is taken.
func TestB053ThrowingSwitchFails(t *testing.T) {
	w := begin(t)
	s := step("SWITCH", "s", in(m{"x": 1}), m{"evaluatorType": "javascript", "expression": "(function () { throw new Error('not today'); })()",
		"decisionCases": m{"a": list(simple("in_a"))}, "defaultCase": list(simple("in_default"))})
	r := w.startFlow(flow("f", s, simple("after")), nil)
	r.want(fsm.Failed, "s FAILED")
	wantTexts(t, "the switch's reason", r.task("s").Reason, "not today")
	r.wantReason("not today")
}

// B54: a SWITCH whose script returns true or 1 takes the case named "true" or "1".
func TestB054SwitchResultsAreText(t *testing.T) {
	w := begin(t)
	for result, taken := range map[string]string{"$.x > 0": "yes", "(function () { return $.x > 0 && [1].includes(1); })()": "yes", "1": "one", "Math.max(1, $.x - 7)": "one"} {
		s := step("SWITCH", "s", in(m{"x": 5}), m{"evaluatorType": "javascript", "expression": result,
			"decisionCases": m{"true": list(simple("yes")), "1": list(simple("one"))}, "defaultCase": list(simple("other"))})
		r := w.startFlow(flow("f", s), nil)
		r.want(fsm.Running, "s COMPLETED", taken+" SCHEDULED")
	}
}

// B55: the old DECISION, by caseValueParam or caseExpression, chooses as a SWITCH does;
// its output is caseOutput.
func TestB055DecisionChoosesAsSwitchDoes(t *testing.T) {
	w := begin(t)
	byValue := step("DECISION", "d", in(m{"x": "${workflow.input.x}"}), m{"caseValueParam": "x"})
	byScript := step("DECISION", "d", in(m{"x": "${workflow.input.x}"}), m{"caseExpression": "if ($.x == 'a') { 'a' } else { 'z' }"})
	for _, d := range []m{byValue, byScript} {
		f := flow("f", with(d, m{"decisionCases": m{"a": list(simple("in_a"))}, "defaultCase": list(simple("in_default"))}), simple("after"))
		r := w.startFlow(f, m{"x": "a"})
		r.want(fsm.Running, "d COMPLETED", "in_a SCHEDULED")
		wantAt(t, r.task("d").Output, "caseOutput", l{"a"})
		r.complete("in_a", nil)
		r.wantTasks("after SCHEDULED")
		r = w.startFlow(f, m{"x": "q"})
		r.want(fsm.Running, "d COMPLETED", "in_default SCHEDULED")
		if _, ok := find(t, r.task("d").Output, "evaluationResult"); ok {
			t.Errorf("a DECISION has output %s, want no evaluationResult", r.task("d").Output)
		}
	}
}
