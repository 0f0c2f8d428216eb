package behaviour

import (
	"fmt"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// B122: a LAMBDA's output.result is what its script returns, with its type.
func TestB122LambdaReturnsItsValue(t *testing.T) {
	w := begin(t)
	for script, want := range map[string]any{
		"return $.n * 2;":                               14,
		"return $.n / 2;":                               3.5,
		"return 'n is ' + $.n;":                         "n is 7",
		"return {a: [1, 'b', null], c: $.n > 6};":       m{"a": l{1, "b", nil}, "c": true},
		"if ($.n == 7) { return true; } return false;":  true,
		"return [1,2,3].map(function (x) {return x*x})": l{1, 4, 9},
		"return null;":                                  nil,
	} {
		r := w.startFlow(flow("f", lambda("x", script, m{"n": 7})), nil)
		r.want(fsm.Completed, "x COMPLETED")
		wantAt(t, r.task("x").Output, "result", want)
	}
}

// B123: INLINE runs value-param, javascript and graaljs, and javascript if it does not
// say; a plain expression and an immediately called function both give output.result.
func TestB123InlineRunsItsEvaluators(t *testing.T) {
	w := begin(t)
	for _, c := range []struct {
		in   m
		want any
	}{
		{m{"evaluatorType": "value-param", "expression": "n", "n": m{"a": 7}}, m{"a": 7}},
		{m{"evaluatorType": "javascript", "expression": "$.n + 1", "n": 7}, 8},
		{m{"evaluatorType": "javascript", "expression": "(function () { return $.n + 1; })()", "n": 7}, 8},
		{m{"evaluatorType": "graaljs", "expression": "(() => { const x = $.n; return `n is $${x}`.length; })()", "n": 7}, 6},
		{m{"evaluatorType": "graaljs", "expression": "Object.keys($.o).sort().join('-')", "o": m{"b": 1, "a": 2}}, "a-b"},
		{m{"expression": "function e() { return $.n * 3; } e();", "n": 7}, 21},
	} {
		r := w.startFlow(flow("f", step("INLINE", "x", in(c.in))), nil)
		r.want(fsm.Completed, "x COMPLETED")
		wantAt(t, r.task("x").Output, "result", c.want)
	}
}

// B124: INLINE without expression, or with an empty evaluatorType, is
// FAILED_WITH_TERMINAL_ERROR with a reason that names the field.
func TestB124InlineNamesTheMissingField(t *testing.T) {
	w := begin(t)
	for field, inputs := range map[string]m{
		"expression":    {"evaluatorType": "javascript"},
		"evaluatorType": {"evaluatorType": "", "expression": "1"},
	} {
		r := w.startFlow(flow("f", step("INLINE", "x", in(inputs))), nil)
		r.want(fsm.Failed, "x FAILED_WITH_TERMINAL_ERROR")
		wantTexts(t, "the task's reason", r.task("x").Reason, field)
	}
}

// B125: a script that never ends is stopped at the time limit and fails its workflow;
// other workflows go on meanwhile.
func TestB125EndlessScriptIsStopped(t *testing.T) {
	w := begin(t)
	w.define(flow("other", inline("x", "[1, 2].map(x => x + 1)"), simple("t")))
	w.patience = 200 * time.Millisecond
	w.idle = true
	r := w.startFlow(flow("f", inline("x", "while (true) {}")), nil)
	other := w.start("other", nil)
	w.idle = false
	w.quiet()
	other.want(fsm.Running, "x COMPLETED", "t SCHEDULED")
	r.wantStatus(fsm.Failed)
	wantTexts(t, "the task's reason", r.task("x").Reason, "not evaluated within")
}

// B126: JSON_JQ_TRANSFORM gives the first result as result and all as resultList.
func TestB126JqGivesFirstAndAllResults(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", jq("x", "{ key3: (.key1.value1 + .key2.value2) }", m{"key1": m{"value1": l{"a", "b"}}, "key2": m{"value2": l{"c", "d"}}}),
		jq("y", ".list[]", m{"list": l{3, 2.5, "x"}})), nil)
	r.want(fsm.Completed, "x COMPLETED", "y COMPLETED")
	wantJSON(t, r.task("x").Output, m{"result": m{"key3": l{"a", "b", "c", "d"}}, "resultList": l{m{"key3": l{"a", "b", "c", "d"}}}})
	wantJSON(t, r.task("y").Output, m{"result": 3, "resultList": l{3, 2.5, "x"}})
}

// B127: jq over a text where an object is due leaves the task and the workflow FAILED with
// the reason of the jq library.
func TestB127JqTypeErrorFails(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", jq("x", "{ out: (.in1.array + .in2.array) }", m{"in1": "plain text", "in2": "more text"})), nil)
	r.want(fsm.Failed, "x FAILED")
	wantTexts(t, "the task's reason", r.task("x").Reason, `Cannot index string with string "array"`)
}

// B128: rerun from the jq task with a corrected input completes a workflow that bad input
// had failed; there is still one record.
func TestB128RerunFromJqWithCorrectedInput(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", jq("x", ".in1.array", m{"in1": "${workflow.input.in1}"})), m{"in1": "plain text"})
	r.want(fsm.Failed, "x FAILED")
	w.must(rerunFrom(r, r.task("x").ID, m{"in1": m{"array": l{1}}, "queryExpression": ".in1.array"}))
	r.want(fsm.Completed, "x COMPLETED")
	wantAt(t, r.task("x").Output, "result", l{1})
}

// B129: a jq expression that does not parse leaves the task FAILED with the parser's
// message, and is not tried again for ever.
func TestB129JqSyntaxErrorFails(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", jq("x", "{ out: (.a + }", m{"a": 1})), nil)
	w.pass(time.Hour)
	r.want(fsm.Failed, "x FAILED")
	if r.task("x").Reason == "" {
		t.Error("the task has no reason")
	}
}

// B130: forty workflows started in quick succession each see the value that their own jq
// task made.
func TestB130JqAndVariablesDoNotMix(t *testing.T) {
	w := begin(t)
	w.define(flow("f", jq("jq_ref", "{ md: (.text + \"!\") }", m{"text": "${workflow.input.text}"}), setVariable("v", m{"md": "${jq_ref.output.result.md}"})))
	var starts []fsm.Body
	for n := range 40 {
		starts = append(starts, &fsm.StartExecution{Name: "f", Input: js(m{"text": fmt.Sprint("text ", n)})})
	}
	answers := w.send(starts...)
	w.quiet()
	for n, a := range answers {
		r := &run{w, a.Exec}
		r.wantStatus(fsm.Completed)
		wantJSON(t, r.info().Variables, m{"md": fmt.Sprintf("text %d!", n)})
	}
}

// B131: a queryExpression that comes from the input is what runs.
func TestB131JqExpressionFromTheInput(t *testing.T) {
	w := begin(t)
	w.corpus("wf-sequential_json_jq_transform_integration_test.json")
	r := w.start("sequential_json_jq_transform_wf", m{"requestTransform": "[.body[] | .a]", "body": l{m{"a": 1}, m{"a": 2}}})
	r.want(fsm.Completed, "default_variables COMPLETED", "request_transform COMPLETED")
	wantAt(t, r.task("default_variables").Output, "result.method", "GET")
	wantAt(t, r.task("request_transform").Output, "result", l{1, 2})
}

// B133: a call with asyncComplete stays IN_PROGRESS after its answer, which is in its
// output; an update completes it and keeps the answer.
func TestB133AsyncCallWaitsForAnUpdate(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", step("HTTP", "call", in(m{"http_request": m{"uri": "http://localhost/x", "method": "POST"}}), m{"asyncComplete": true}), simple("after")), nil)
	r.want(fsm.Running, "call SCHEDULED")
	r.complete("call", m{"response": m{"statusCode": 202, "body": m{"job": 1}}})
	r.want(fsm.Running, "call IN_PROGRESS")
	wantAt(t, r.task("call").Output, "response.statusCode", 202)
	w.pass(24 * time.Hour)
	r.want(fsm.Running, "call IN_PROGRESS")
	r.update("call", fsm.TaskStatusCompleted, m{"done": true})
	r.want(fsm.Running, "call COMPLETED", "after SCHEDULED")
	wantJSON(t, r.task("call").Output, m{"response": m{"statusCode": 202, "body": m{"job": 1}}, "done": true})
}

// B134: DYNAMIC runs as a task of the name that its parameter gives; a parameter that is
// missing or empty fails the workflow with a reason that names it.
func TestB134DynamicTakesItsNameFromTheInput(t *testing.T) {
	w := begin(t)
	w.corpus("wf-DynamicTask.json")
	w.taskTypes(0, "chosen")
	r := w.start("TEST_dynamic_task", m{"task_name": "chosen", "count": 3})
	r.want(fsm.Running, "dynamic_handler SCHEDULED")
	if task := r.task("dynamic_handler"); task.Type != "chosen" || task.Name != "chosen" {
		t.Errorf("type %s, name %s; want chosen", task.Type, task.Name)
	}
	if l := w.mustPoll("chosen"); l.Task != r.task("dynamic_handler").ID {
		t.Errorf("polled %s", l.Task)
	}
	for _, input := range []m{{}, {"task_name": ""}, {"task_name": nil}} {
		r := w.start("TEST_dynamic_task", input)
		r.wantStatus(fsm.Failed)
		r.wantReason("task_to_execute")
	}
}

// exclusive runs ExclusiveJoinTestWorkflow with workers that return their own number.
func (w *world) exclusive(decisions m) *run {
	w.t.Helper()
	w.corpus("wf-exclusive_join_integration_test.json")
	r := w.start("ExclusiveJoinTestWorkflow", decisions)
	for range 6 {
		for _, task := range r.records() {
			if task.Status == fsm.TaskStatusScheduled {
				r.complete(task.Ref, m{"by": task.Ref})
			}
		}
	}
	return r
}

// B135: EXCLUSIVE_JOIN with no decision taken has the output of the first task that ran,
// by its default list.
func TestB135ExclusiveJoinTakesTheDefault(t *testing.T) {
	w := begin(t)
	r := w.exclusive(m{"decision_1": nil})
	r.want(fsm.Completed, "task1 COMPLETED", "decision1 COMPLETED", "exclusiveJoin COMPLETED")
	wantJSON(t, r.task("exclusiveJoin").Output, m{"by": "task1"})
}

// B136: EXCLUSIVE_JOIN has the output of the task that the decisions led to.
func TestB136ExclusiveJoinTakesTheTaskThatRan(t *testing.T) {
	w := begin(t)
	for _, c := range []struct {
		in   m
		n    int
		from string
	}{
		{m{"decision_1": "true", "decision_2": nil}, 5, "task2"},
		{m{"decision_1": "true", "decision_2": "true"}, 6, "task3"},
		{m{"decision_1": "false", "decision_3": nil}, 5, "task4"},
		{m{"decision_1": "false", "decision_3": "true"}, 6, "task5"},
	} {
		r := w.exclusive(c.in)
		r.wantN(fsm.Completed, c.n)
		wantJSON(t, r.task("exclusiveJoin").Output, m{"by": c.from})
	}
}

// B137: START_WORKFLOW starts an inline definition; a request without name and definition
// leaves the task FAILED with a reason and the workflow FAILED.
func TestB137StartWorkflowTask(t *testing.T) {
	w := begin(t)
	w.corpus("wf-workflow_that_starts_another_workflow.json")
	r := w.start("workflow_that_starts_another_workflow", m{"startWorkflow": m{"name": "inline", "input": m{"a": 1}, "workflowDef": flow("inline", simple("s"))}})
	r.want(fsm.Completed, "st COMPLETED")
	all := w.started("inline")
	if len(all) != 1 {
		t.Fatalf("%d started, want 1", len(all))
	}
	wantAt(t, r.task("st").Output, "workflowId", all[0].id.String())
	wantJSON(t, all[0].info().Input, m{"a": 1})
	if !all[0].info().Parent.IsZero() {
		t.Error("it is a child")
	}
	all[0].want(fsm.Running, "s SCHEDULED")
	r = w.start("workflow_that_starts_another_workflow", m{"startWorkflow": m{"input": m{"a": 1}}})
	r.want(fsm.Failed, "st FAILED")
	if r.task("st").Reason == "" {
		t.Error("the task has no reason")
	}
}

// B138: a long call is not made a second time while it runs, whoever leads meanwhile.
func TestB138LongCallIsMadeOnce(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", step("HTTP", "call", in(m{"http_request": m{"uri": "http://localhost/x", "method": "GET"}}))), nil)
	first := w.lease(r.task("call").ID)
	for range 5 {
		w.pass(2 * time.Second)
		w.do(&fsm.BeginTerm{Node: node, Boot: 1, Gap: 1000})
		w.restore()
		w.must(decide(r))
		if l, ok := w.poll(string(first.Queue)); ok {
			t.Fatalf("the call is made again: %s", l.Task)
		}
	}
	w.must(&fsm.CompleteTask{Task: first.Task, Lease: first.Lease})
	r.want(fsm.Completed, "call COMPLETED")
}
