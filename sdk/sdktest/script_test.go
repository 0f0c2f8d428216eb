package sdktest_test

import (
	"context"
	"errors"
	"testing"

	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

// scripted needs an engine in every step: a script with a closure, jq, and a loop whose
// condition calls a function of its own.
var scripted = document(values{"name": "scripted", "version": 1, "tasks": []values{
	{"name": "sum", "taskReferenceName": "sum", "type": "INLINE", "inputParameters": values{
		"evaluatorType": "javascript", "expression": "[$.n, 2, 3].reduce((a, b) => a + b, 0)", "n": "${workflow.input.n}"}},
	{"name": "pick", "taskReferenceName": "pick", "type": "JSON_JQ_TRANSFORM", "inputParameters": values{
		"queryExpression": ".v | {double: (. * 2)}", "v": "${sum.output.result}"}},
	{"name": "loop", "taskReferenceName": "loop", "type": "DO_WHILE", "inputParameters": values{"max": 3},
		"loopCondition": "(function(){ var left = [1,2,3].filter(x => x > $.loop['iteration']); return left.length > 0; })();",
		"loopOver":      []values{{"name": "noop", "taskReferenceName": "noop", "type": "NOOP"}}},
	{"name": "way", "taskReferenceName": "way", "type": "SWITCH", "evaluatorType": "javascript", "expression": "`${$.d}`.padStart(3, 'x')",
		"inputParameters": values{"d": "${pick.output.result.double}"},
		"decisionCases":   values{"x12": []values{{"name": "right", "taskReferenceName": "right", "type": "NOOP"}}},
		"defaultCase":     []values{{"name": "wrong", "taskReferenceName": "wrong", "type": "TERMINATE", "inputParameters": values{"terminationStatus": "FAILED"}}}},
	{"name": "done", "taskReferenceName": "done", "type": "SIMPLE"},
}, "outputParameters": values{"double": "${pick.output.result.double}", "rounds": "${loop.output.iteration}"}})

func TestScriptsAreEvaluatedByTheNodesAndGoOnWhenOneIsKilled(t *testing.T) {
	c := sdktest.Start(t, 3, scripted, taskType("done", 0, 0, 0))
	w := pawl.NewWorker(c.Client)
	pawl.Handle(w, "done", func(_ context.Context, _ *pawl.Task[values]) (values, error) { return values{}, nil })
	c.Work(w)
	wantUnparsed(t, c)
	var all []*pawl.Execution[values]
	for range 10 {
		all = append(all, start(t, c, "scripted"))
	}
	c.Kill(c.Leader())
	for range 10 {
		all = append(all, start(t, c, "scripted"))
	}
	for _, e := range all {
		out, err := e.Wait(t.Context())
		if err != nil || out["double"] != 12.0 || out["rounds"] != 3.0 {
			t.Errorf("got %v, %v; want double 12 after 3 rounds", out, err)
		}
	}
}

// wantUnparsed has definitions refused whose sources no engine can parse.
func wantUnparsed(t *testing.T, c *sdktest.Cluster) {
	t.Helper()
	broken := document(values{"name": "broken", "tasks": []values{
		{"name": "sum", "taskReferenceName": "sum", "type": "INLINE", "inputParameters": values{"expression": "[1, 2].map(x => )"}},
		{"name": "pick", "taskReferenceName": "pick", "type": "JSON_JQ_TRANSFORM", "inputParameters": values{"queryExpression": ".a | nope"}},
		{"name": "done", "taskReferenceName": "sum", "type": "SIMPLE"},
	}})
	want := []string{"tasks[2].taskReferenceName", "tasks[0].inputParameters.expression", "tasks[1].inputParameters.queryExpression"}
	var e *pawl.Error
	if err := c.Client.Apply(t.Context(), []byte(broken)); !errors.As(err, &e) || e.Code != "invalid_definition" || len(e.Problems) != len(want) {
		t.Fatalf("got %v, want problems at %v", err, want)
	}
	for i, p := range e.Problems {
		if p.Path != want[i] {
			t.Errorf("problem %d is at %s, want %s: %s", i, p.Path, want[i], p.Message)
		}
	}
}
