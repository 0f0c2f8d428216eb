package model

import (
	"testing"
)

func with(d m, key string, v any) m { d[key] = v; return d }

// B38, B39, B46, B47.
func TestDynamicFork(t *testing.T) {
	d := flow(simple("t1", nil),
		task("FORK_JOIN_DYNAMIC", "f", m{"dynamicForkTasksParam": "ts", "dynamicForkTasksInputParamName": "in",
			"inputParameters": m{"ts": "${t1.output.ts}", "in": "${t1.output.in}"}}), join("j"), simple("t4", nil))
	two := `t1={"ts":[{"name":"x","taskReferenceName":"x1","type":"SIMPLE","retryCount":0},{"name":"y","taskReferenceName":"x2","type":"SIMPLE","retryCount":0}],
		"in":{"x1":{"k1":"v1"},"x2":{"k2":"v2"}}}`
	s := tell(t, d, "")
	s.complete(two)
	s.expect("RUNNING: t1 COMPLETED, f COMPLETED, x1 SCHEDULED, x2 SCHEDULED, j IN_PROGRESS")
	s.same("input", s.record("x2").Input, `{"k2":"v2"}`)
	s.complete(`x2={"b":1}`, `x1={"a":1}`)
	s.same("output", s.record("j").Output, `{"x1":{"a":1},"x2":{"b":1}}`) // B36
	s.complete("t4")
	s.expect("COMPLETED: t1 COMPLETED, f COMPLETED, x1 COMPLETED, x2 COMPLETED, j COMPLETED, t4 COMPLETED")

	s = tell(t, d, "")
	s.complete(two)
	s.fail("x1")
	s.expect("FAILED: t1 COMPLETED, f COMPLETED, x1 FAILED, x2 CANCELED, j CANCELED")
	s.must(s.w.Retry(s.e, false))
	s.expect("RUNNING: t1 COMPLETED, f COMPLETED, x1 FAILED, x2 CANCELED, j IN_PROGRESS, x1 SCHEDULED, x2 SCHEDULED")
	s.complete("x1", "x2", "t4")
	if s.e.Status != "COMPLETED" || len(s.e.Tasks()) != 8 {
		t.Errorf("%s", s.e)
	}
	s.must(s.w.Rerun(s.e, s.record("f").Key, nil))
	s.expect("RUNNING: t1 COMPLETED, f COMPLETED, x1 SCHEDULED, x2 SCHEDULED, j IN_PROGRESS")

	s = tell(t, d, "")
	s.complete(`t1={"ts":[],"in":{}}`)
	s.expect("RUNNING: t1 COMPLETED, f COMPLETED, j COMPLETED, t4 SCHEDULED")
}

// B41, B42, B43.
func TestDynamicForkOfNonsense(t *testing.T) {
	for _, in := range []m{
		{"ts": "x", "in": m{}},
		{"ts": list(m{"name": "x", "type": "SIMPLE"}), "in": m{}},
		{"ts": list(simple("x", nil), simple("x", nil)), "in": m{}},
		{"ts": list(), "in": "x"},
	} {
		s := tell(t, flow(task("FORK_JOIN_DYNAMIC", "f", m{"dynamicForkTasksParam": "ts", "dynamicForkTasksInputParamName": "in",
			"inputParameters": in}), join("j")), "")
		s.expect("FAILED:")
	}
}

// B45.
func TestDynamicForkOfInputs(t *testing.T) {
	s := tell(t, flow(task("FORK_JOIN_DYNAMIC", "f", m{"inputParameters": m{"forkTaskName": "w", "forkTaskInputs": []any{m{"a": 1}, 7}}}), join("j")), "")
	s.expect("RUNNING: f COMPLETED, _w_0 SCHEDULED, _w_1 SCHEDULED, j IN_PROGRESS")
	s.same("input", s.record("_w_0").Input, `{"__index":0,"a":1}`)
	s.same("input", s.record("_w_1").Input, `{"__index":1,"input":7}`)
}

func TestDynamicForkInLoop(t *testing.T) {
	s := tell(t, flow(times("l", 2, task("FORK_JOIN_DYNAMIC", "f", m{"dynamicForkJoinTasksParam": "p", "inputParameters": m{"p": m{"dynamicTasks": []any{
		m{"taskName": "w", "referenceName": "x", "type": "SIMPLE", "input": m{"a": 1}}}}}}), join("j"))), "")
	s.complete("x", "x")
	s.expect("COMPLETED: l COMPLETED, f__1 COMPLETED, x__1 COMPLETED, j__1 COMPLETED, f__2 COMPLETED, x__2 COMPLETED, j__2 COMPLETED")
}

// B134.
func TestDynamicTask(t *testing.T) {
	d := flow(task("DYNAMIC", "d", m{"dynamicTaskNameParam": "which", "inputParameters": m{"which": "${workflow.input.name}"}}))
	s := tell(t, d, `{"name":"NOOP"}`)
	s.expect("COMPLETED: d COMPLETED")
	tell(t, d, `{}`).expect("FAILED:")
	tell(t, d, `{"name":"nobody"}`).expect("FAILED:")
	s = tell(t, with(d, "tasks", list(task("DYNAMIC", "d", m{"dynamicTaskNameParam": "which", "taskDefinition": m{}, "inputParameters": m{"which": "x"}}))), "")
	s.same("type", s.record("d").Type, "x")
}

// B55.
func TestDecision(t *testing.T) {
	d := flow(task("DECISION", "d", m{"caseValueParam": "c", "inputParameters": m{"c": "${workflow.input.c}"},
		"decisionCases": m{"a": list(simple("t1", nil)), "b": list()}, "defaultCase": list(simple("t2", nil))}))
	s := tell(t, d, `{"c":"a"}`)
	s.expect("RUNNING: d COMPLETED, t1 SCHEDULED")
	s.same("output", s.record("d").Output, `{"caseOutput":["a"]}`)
	tell(t, d, `{"c":"b"}`).expect("RUNNING: d COMPLETED, t2 SCHEDULED")
}

// B53, B122, B123, B126, B127.
func TestScriptsThatAnswerLater(t *testing.T) {
	later := func(d m) *story {
		s := tell(t, with(d, "name", "flow"), `{"c":1}`)
		return s
	}
	s := later(flow(task("JSON_JQ_TRANSFORM", "q", m{"inputParameters": m{"queryExpression": ".c"}}), simple("a", nil)))
	s.expect("RUNNING: q IN_PROGRESS")
	s.must(s.w.AnswerJob("t1", []byte(`[5,6]`), "", false))
	s.expect("RUNNING: q COMPLETED, a SCHEDULED")
	s.same("output", s.record("q").Output, `{"result":5,"resultList":[5,6]}`)
	s = later(flow(task("JSON_JQ_TRANSFORM", "q", m{"inputParameters": m{"queryExpression": ".c"}}), simple("a", nil)))
	s.must(s.w.AnswerJob("t1", nil, "Cannot index", false))
	s.expect("FAILED: q FAILED")

	tell(t, flow(task("SWITCH", "d", m{"evaluatorType": "javascript", "expression": "broken", "decisionCases": m{"a": list(simple("t1", nil))}})), "").
		expect("FAILED: d FAILED")
	s = tell(t, flow(task("INLINE", "i", m{"inputParameters": m{"evaluatorType": "value-param", "expression": "c", "c": 7}})), "")
	s.same("output", s.record("i").Output, `{"result":7}`)
	tell(t, flow(task("INLINE", "i", m{"inputParameters": m{}})), "").expect("FAILED: i FAILED_WITH_TERMINAL_ERROR") // B124
}

func TestSwitchAndLoopDecidedLater(t *testing.T) {
	d := flow(task("SWITCH", "d", m{"evaluatorType": "javascript", "expression": Outside, "inputParameters": m{"c": 1},
		"decisionCases": m{"a": list(simple("t1", nil))}}), task("DO_WHILE", "l", m{"loopCondition": Outside, "loopOver": list(simple("b", nil))}))
	s := &story{t: t, w: &World{Now: 1000, Job: func(string) bool { return true }}}
	var err error
	if s.e, err = s.w.Start(source(d), nil); err != nil {
		t.Fatal(err)
	}
	s.expect("RUNNING: d IN_PROGRESS")
	s.must(s.w.AnswerJob("t1", []byte(`"a"`), "", false))
	s.complete("t1", "b")
	s.expect("RUNNING: d COMPLETED, t1 COMPLETED, l IN_PROGRESS, b__1 COMPLETED")
	s.must(s.w.AnswerJob("t3", []byte(`1`), "", false))
	s.expect("RUNNING: d COMPLETED, t1 COMPLETED, l IN_PROGRESS, b__1 COMPLETED, b__2 SCHEDULED")
	s.complete("b")
	s.must(s.w.AnswerJob("t3", []byte(`"yes"`), "", false))
	s.expect("COMPLETED: d COMPLETED, t1 COMPLETED, l COMPLETED, b__1 COMPLETED, b__2 COMPLETED")
}

// B135, B136.
func TestExclusiveJoin(t *testing.T) {
	d := flow(simple("t1", nil), byValue("d", "${workflow.input.c}", m{"x": list(simple("t2", nil))}, nil),
		task("EXCLUSIVE_JOIN", "e", m{"joinOn": []string{"t2"}, "defaultExclusiveJoinTask": []string{"t1"}}), simple("t5", nil))
	s := tell(t, d, `{"c":"x"}`)
	s.complete("t1", `t2={"a":2}`)
	s.expect("RUNNING: t1 COMPLETED, d COMPLETED, t2 COMPLETED, e COMPLETED, t5 SCHEDULED")
	s.same("output", s.record("e").Output, `{"a":2}`)
	s = tell(t, d, "")
	s.complete(`t1={"a":1}`)
	s.same("output", s.record("e").Output, `{"a":1}`)
}

// B91, B92.
func TestInlineAndVersionedChildren(t *testing.T) {
	inline := m{"name": "in", "tasks": list(simple("t", nil))}
	s := tell(t, flow(child("s", "x", m{"subWorkflowParam": m{"name": "x", "workflowDefinition": inline}})), "")
	s.expect("RUNNING: s IN_PROGRESS; RUNNING: t SCHEDULED")
	s.same("input", canonical(s.e.All()[1].input), `{"_systemMetadata":{"dynamic":true},"from":"s"}`)
	asked := -1
	w := &World{Now: 1, Definition: func(_ string, v int) []byte { asked = v; return source(inline) }}
	for version, want := range map[any]int{nil: 0, 0: 0, 3: 3} {
		if _, err := w.Start(source(flow(child("s", "x", m{"subWorkflowParam": m{"name": "x", "version": version}}))), nil); err != nil || asked != want {
			t.Errorf("version %v: asked for %d, %v", version, asked, err)
		}
	}
}

// B137.
func TestStartWorkflow(t *testing.T) {
	d := flow(task("START_WORKFLOW", "s", m{"inputParameters": m{"startWorkflow": m{"name": "c", "input": m{"a": 1}}}}), simple("t", nil))
	s := tell(t, d, "", m{"name": "c", "tasks": list(simple("x", nil))})
	s.expect("RUNNING: s COMPLETED, t SCHEDULED")
	s.same("output", s.record("s").Output, `{"workflowId":"e2"}`)
	s.fail("t")
	if other := s.w.Execs()[1]; other.Status != "RUNNING" || len(other.Tasks()) != 1 {
		t.Errorf("%s", other)
	}
	tell(t, flow(task("START_WORKFLOW", "s", nil)), "").expect("FAILED: s FAILED")
}

// B101.
func TestTerminateWithBadStatus(t *testing.T) {
	d := flow(task("TERMINATE", "e", m{"inputParameters": m{"terminationStatus": "${workflow.input.end}"}}))
	for in, want := range map[string]string{`{"end":"COMPLETED"}`: "COMPLETED: e COMPLETED", `{"end":""}`: "FAILED: e FAILED", `{}`: "FAILED: e FAILED", `{"end":"x"}`: "FAILED: e FAILED"} {
		tell(t, d, in).expect(want)
	}
}

// B112, B115, B133.
func TestEndsFromOutside(t *testing.T) {
	s := tell(t, flow(task("HUMAN", "h", nil), task("HTTP", "c", m{"asyncComplete": true}), simple("a", nil)), "")
	s.complete("h")
	s.poll("c")
	s.must(s.w.Called(s.open("c"), []byte(`{"response":1}`)))
	s.expect("RUNNING: h COMPLETED, c IN_PROGRESS")
	s.complete(`c={"more":2}`)
	s.same("output", s.record("c").Output, `{"more":2,"response":1}`)
	s.expect("RUNNING: h COMPLETED, c COMPLETED, a SCHEDULED")
}

func TestKeptOutputs(t *testing.T) {
	cache := m{"cacheConfig": m{"key": "${p}", "ttlInSecond": 10}, "inputParameters": m{"p": 1}}
	s := tell(t, flow(times("l", 3, simple("a", cache))), "")
	s.complete(`a={"x":1}`)
	s.expect("COMPLETED: l COMPLETED, a__1 COMPLETED, a__2 COMPLETED, a__3 COMPLETED")
	s.same("output", s.record("a__3").Output, `{"x":1}`)
	s = tell(t, flow(times("l", 2, simple("a", cache), simple("b", nil))), "")
	s.complete("a")
	s.after(10)
	s.complete("b")
	s.expect("RUNNING: l IN_PROGRESS, a__1 COMPLETED, b__1 COMPLETED, a__2 SCHEDULED")
}
