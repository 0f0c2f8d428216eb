package model

import (
	"errors"
	"strings"
	"testing"
)

// B1, B2, B3.
func TestSequenceCarriesValues(t *testing.T) {
	d := flow(
		simple("t1", m{"inputParameters": m{"p": "${workflow.input.param1}", "none": "${workflow.input.gone}"}}),
		simple("t2", m{"inputParameters": m{"tp1": "${workflow.input.param1}", "tp2": "${t1.output.op}", "text": "<${t1.output.op}>"}}),
	)
	d["outputParameters"] = m{"o3": "${t1.output.op}"}
	s := tell(t, d, `{"param1": null}`)
	s.expect("RUNNING: t1 SCHEDULED")
	s.same("input", s.record("t1").Input, `{"none":null,"p":null}`)
	s.poll("t1")
	s.expect("RUNNING: t1 IN_PROGRESS")
	s.complete(`t1={"op":{"a":1,"A":null}}`)
	s.same("input", s.record("t2").Input, `{"text":"\u003c{\"A\":null,\"a\":1}\u003e","tp1":null,"tp2":{"A":null,"a":1}}`)
	s.complete("t2")
	s.expect("COMPLETED: t1 COMPLETED, t2 COMPLETED")
	s.same("output", canonical(s.e.Output), `{"o3":{"A":null,"a":1}}`)
}

// B4.
func TestTerminalErrorIsNotRetried(t *testing.T) {
	s := tell(t, flow(simple("t1", m{"retryCount": 1})), "")
	s.must(s.w.Fail("t1", "worker says no", true, []byte(`{"a":1}`)))
	s.expect("FAILED: t1 FAILED_WITH_TERMINAL_ERROR")
	s.same("reason", s.e.Reason, "Task t1 failed with status: FAILED and reason: 'worker says no'")
	s.same("failed", strings.Join(s.e.Failed(), ","), "t1")
	s.same("output", canonical(s.e.Output), `{"a":1}`)
}

// B6.
func TestResponseTimeoutMakesNewAttempt(t *testing.T) {
	s := tell(t, flow(simple("t1", m{"retryCount": 1, "taskDefinition": m{"responseTimeoutSeconds": 10, "retryDelaySeconds": 0}})), "")
	s.poll("t1")
	s.after(9)
	s.expect("RUNNING: t1 IN_PROGRESS")
	s.after(1)
	s.expect("RUNNING: t1 TIMED_OUT, t1 SCHEDULED")
	if r := s.record("t1"); r.RetriedOf != "t1" || r.Retry != 1 || r.Reason == "" {
		t.Errorf("second attempt %v", r)
	}
	s.poll("t1")
	s.after(10)
	s.expect("TIMED_OUT: t1 TIMED_OUT, t1 TIMED_OUT")
}

// B7, B8.
func TestCallbackHidesRecord(t *testing.T) {
	s := tell(t, flow(simple("t1", nil), simple("t2", nil)), "")
	s.poll("t1")
	s.must(s.w.Progress("t1", []byte(`{"half":1}`), 2))
	s.expect("RUNNING: t1 SCHEDULED")
	if err := s.w.Poll("t1"); !errors.Is(err, ErrRefused) {
		t.Errorf("poll before the callback: %v, want refused", err)
	}
	s.after(2)
	s.poll("t1")
	s.complete("t1", "t2")
	s.expect("COMPLETED: t1 COMPLETED, t2 COMPLETED")
}

// B11.
func TestAttemptsFormChain(t *testing.T) {
	s := tell(t, flow(simple("t1", nil), simple("t2", m{"retryCount": 3, "taskDefinition": m{"retryDelaySeconds": 2}})), "")
	s.complete("t1")
	s.fail("t2")
	if err := s.w.Poll("t3"); !errors.Is(err, ErrRefused) {
		t.Errorf("poll before the delay: %v, want refused", err)
	}
	s.after(2)
	s.fail("t2")
	s.after(2)
	s.complete("t2")
	s.expect("COMPLETED: t1 COMPLETED, t2 FAILED, t2 FAILED, t2 COMPLETED")
	if r := s.record("t2"); r.RetriedOf != "t3" || r.Retry != 2 {
		t.Errorf("last attempt %v", r)
	}
	s.same("failed", strings.Join(s.e.Failed(), ","), "t2")
}

// B13.
func TestEmptyDefinitionCompletes(t *testing.T) {
	tell(t, flow(), "").expect("COMPLETED:")
}

// B19.
func TestSkippedStepIsJumpedOver(t *testing.T) {
	s := tell(t, flow(simple("t1", nil), simple("t2", nil), simple("t3", nil)), "")
	s.must(s.w.Skip(s.e, "t2", nil))
	s.expect("RUNNING: t1 SCHEDULED, t2 SKIPPED")
	s.complete("t1", "t3")
	s.expect("COMPLETED: t1 COMPLETED, t2 SKIPPED, t3 COMPLETED")
}

// B20.
func TestPauseHoldsWhatFollows(t *testing.T) {
	s := tell(t, flow(simple("t1", nil), simple("t2", nil)), "")
	s.must(s.w.Pause(s.e))
	s.complete("t1")
	s.expect("PAUSED: t1 COMPLETED")
	s.must(s.w.Resume(s.e))
	s.expect("RUNNING: t1 COMPLETED, t2 SCHEDULED")
	s.complete("t2")
	s.expect("COMPLETED: t1 COMPLETED, t2 COMPLETED")
}

// B22, B23, B24.
func TestOptionalAndPermissive(t *testing.T) {
	for name, c := range map[string]struct {
		flags m
		after string
		end   string
	}{
		"optional":   {m{"optional": true}, "COMPLETED_WITH_ERRORS", "COMPLETED"},
		"permissive": {m{"permissive": true}, "FAILED", "FAILED"},
		"both":       {m{"optional": true, "permissive": true}, "COMPLETED_WITH_ERRORS", "COMPLETED"},
	} {
		t.Run(name, func(t *testing.T) {
			c.flags["retryCount"] = 1
			c.flags["taskDefinition"] = m{"retryDelaySeconds": 0}
			s := tell(t, flow(simple("t1", c.flags), simple("t2", nil)), "")
			s.fail("t1", "t1")
			s.expect("RUNNING: t1 FAILED, t1 " + c.after + ", t2 SCHEDULED")
			s.complete("t2")
			s.expect(c.end + ": t1 FAILED, t1 " + c.after + ", t2 COMPLETED")
			if c.end == "FAILED" {
				s.same("reason", s.e.Reason, "Task t2 failed with status: FAILED and reason: 't1 broke'")
			}
		})
	}
}

// B25, B26, B36.
func TestForkAndJoin(t *testing.T) {
	d := flow(fork("f", list(simple("t1", nil), simple("t3", nil)), list(simple("t2", nil))), join("j", "t3", "t2"), simple("t4", nil))
	s := tell(t, d, "")
	s.expect("RUNNING: f COMPLETED, t1 SCHEDULED, t2 SCHEDULED, j IN_PROGRESS")
	s.complete("t1")
	s.expect("RUNNING: f COMPLETED, t1 COMPLETED, t2 SCHEDULED, j IN_PROGRESS, t3 SCHEDULED")
	s.complete(`t3={"a":1}`, "t2")
	s.expect("RUNNING: f COMPLETED, t1 COMPLETED, t2 COMPLETED, j COMPLETED, t3 COMPLETED, t4 SCHEDULED")
	s.same("join", s.record("j").Output, `{"t3":{"a":1}}`)
	s.complete("t4")
	s.expect("COMPLETED: f COMPLETED, t1 COMPLETED, t2 COMPLETED, j COMPLETED, t3 COMPLETED, t4 COMPLETED")

	s = tell(t, d, "")
	s.complete("t1")
	s.fail("t2")
	s.expect("FAILED: f COMPLETED, t1 COMPLETED, t2 FAILED, j CANCELED, t3 CANCELED")
}

// B27, B32, B34, B35.
func TestJoinWithUnsuccessfulMembers(t *testing.T) {
	permissive, optional := m{"permissive": true}, m{"optional": true}
	s := tell(t, flow(fork("f", list(simple("t1", permissive)), list(simple("t2", nil))), join("j", "t1", "t2")), "")
	s.fail("t1")
	s.expect("RUNNING: f COMPLETED, t1 FAILED, t2 SCHEDULED, j IN_PROGRESS")
	s.complete("t2")
	s.expect("FAILED: f COMPLETED, t1 FAILED, t2 COMPLETED, j FAILED")

	s = tell(t, flow(fork("f", list(simple("t1", optional)), list(simple("t2", nil))), join("j", "t1", "t2")), "")
	s.fail("t1")
	s.complete("t2")
	s.expect("COMPLETED: f COMPLETED, t1 COMPLETED_WITH_ERRORS, t2 COMPLETED, j COMPLETED_WITH_ERRORS")

	d := flow(fork("f", list(child("s1", "c", permissive)), list(child("s2", "c", permissive))), join("j", "s1", "s2"))
	s = tell(t, d, "", m{"name": "c", "tasks": list(simple("t", nil))})
	for _, e := range s.e.All()[1:] {
		s.must(s.w.Terminate(e, "enough", false))
	}
	s.expect("TERMINATED: f COMPLETED, s1 CANCELED, s2 CANCELED, j CANCELED; TERMINATED: t CANCELED; TERMINATED: t CANCELED")
}

// B29.
func TestNestedForks(t *testing.T) {
	s := tell(t, flow(
		fork("f1",
			list(simple("t11", nil)),
			list(fork("f2", list(simple("t14", nil)), list(byValue("d", "${workflow.input.c}", m{"x": list(simple("t19", nil), simple("t20", nil))}, nil))),
				join("j2", "t14", "t20"))),
		join("j1", "t11", "j2"), simple("t15", nil)), `{"c":"x"}`)
	s.expect("RUNNING: f1 COMPLETED, t11 SCHEDULED, f2 COMPLETED, t14 SCHEDULED, d COMPLETED, t19 SCHEDULED, j2 IN_PROGRESS, j1 IN_PROGRESS")
	s.complete("t11", "t14", "t19")
	s.expect("RUNNING: f1 COMPLETED, t11 COMPLETED, f2 COMPLETED, t14 COMPLETED, d COMPLETED, t19 COMPLETED, j2 IN_PROGRESS, j1 IN_PROGRESS, t20 SCHEDULED")
	s.complete("t20", "t15")
	if s.e.Status != "COMPLETED" || len(s.e.Tasks()) != 10 {
		t.Errorf("%s", s.e)
	}
}

// B33.
func TestJoinOnStepOfOtherCaseWaits(t *testing.T) {
	s := tell(t, flow(fork("f", list(byValue("d", "b", m{"a": list(simple("t1", nil)), "b": list(simple("t2", nil))}, nil))), join("j", "t1")), "")
	s.complete("t2")
	s.expect("RUNNING: f COMPLETED, d COMPLETED, t2 COMPLETED, j IN_PROGRESS")
}

// B49, B50, B51.
func TestSwitch(t *testing.T) {
	cases := m{"a": list(byValue("inner", "${workflow.input.d}", m{"1": list(simple("t1", nil), simple("t2", nil))}, nil)), "none": list()}
	d := flow(byValue("outer", "${workflow.input.c}", cases, list(simple("other", nil))), simple("after", nil))
	tell(t, d, `{"c":"a","d":1}`).expect("RUNNING: outer COMPLETED, inner COMPLETED, t1 SCHEDULED")
	tell(t, d, `{"c":"none"}`).expect("RUNNING: outer COMPLETED, after SCHEDULED")
	tell(t, d, `{"c":true}`).expect("RUNNING: outer COMPLETED, other SCHEDULED")
	tell(t, d, `{"c":"a","d":2}`).expect("RUNNING: outer COMPLETED, inner COMPLETED, after SCHEDULED")
	s := tell(t, d, `{"c":"a","d":1}`)
	s.complete("t1", "t2", "after")
	s.expect("COMPLETED: outer COMPLETED, inner COMPLETED, t1 COMPLETED, t2 COMPLETED, after COMPLETED")
	s.same("input", s.record("inner").Input, `{"c":1,"case":"1","hasChildren":"true"}`)
	s.same("output", s.record("inner").Output, `{"evaluationResult":["1"],"selectedCase":"1"}`)
}

// B56.
func TestLoopRounds(t *testing.T) {
	s := tell(t, flow(times("l", 2, task("NOOP", "nop", nil), simple("a", nil), task("NOOP", "o", nil)), simple("after", nil)), "")
	s.expect("RUNNING: l IN_PROGRESS, nop__1 COMPLETED, a__1 SCHEDULED")
	s.complete(`a={"x":1}`)
	s.expect("RUNNING: l IN_PROGRESS, nop__1 COMPLETED, a__1 COMPLETED, o__1 COMPLETED, nop__2 COMPLETED, a__2 SCHEDULED")
	s.complete("a__2")
	s.expect("RUNNING: l COMPLETED, nop__1 COMPLETED, a__1 COMPLETED, o__1 COMPLETED, nop__2 COMPLETED, a__2 COMPLETED, o__2 COMPLETED, after SCHEDULED")
	s.same("output", s.record("l").Output, `{"1":{"a":{"x":1},"nop":{},"o":{}},"2":{"a":{},"nop":{},"o":{}},"iteration":2}`)
	if r := s.record("a__2"); r.Iteration != 2 || s.record("after").Iteration != 0 {
		t.Errorf("iteration of %v", r)
	}
}

// B57, B61.
func TestForkInLoopAndLoopInFork(t *testing.T) {
	s := tell(t, flow(times("l", 1, fork("f", list(simple("a", nil)), list(simple("b", nil))), join("j", "a", "b"))), "")
	s.complete("b", "a")
	s.expect("COMPLETED: l COMPLETED, f__1 COMPLETED, a__1 COMPLETED, b__1 COMPLETED, j__1 COMPLETED")

	s = tell(t, flow(fork("f", list(times("l", 2, simple("a", nil))), list(simple("b", nil))), join("j", "l", "b")), "")
	s.complete("a", "b", "a")
	s.expect("COMPLETED: f COMPLETED, l COMPLETED, b COMPLETED, j COMPLETED, a__1 COMPLETED, a__2 COMPLETED")
}

func TestNestedLoops(t *testing.T) {
	s := tell(t, flow(times("out", 2, times("in", 2, simple("a", nil)))), "")
	s.complete("a", "a", "a")
	s.expect("RUNNING: out IN_PROGRESS, in__1 COMPLETED, a__1__1 COMPLETED, a__1__2 COMPLETED, in__2 IN_PROGRESS, a__2__1 COMPLETED, a__2__2 SCHEDULED")
	s.complete("a")
	s.expect("COMPLETED: out COMPLETED, in__1 COMPLETED, a__1__1 COMPLETED, a__1__2 COMPLETED, in__2 COMPLETED, a__2__1 COMPLETED, a__2__2 COMPLETED")
}

// B60.
func TestLoopFailsWithInnerStep(t *testing.T) {
	s := tell(t, flow(times("l", 2, simple("a", nil))), "")
	s.fail("a")
	s.expect("FAILED: l CANCELED, a__1 FAILED")
	s.same("failed", strings.Join(s.e.Failed(), ","), "a__1")
}

// B68, B69.
func TestLoopOverItems(t *testing.T) {
	over := func(condition string) m {
		return flow(task("DO_WHILE", "l", m{"items": "${workflow.input.list}", "loopCondition": condition,
			"loopOver": list(simple("a", m{"inputParameters": m{"v": "${l.output.loopItem}", "i": "${l.output.loopIndex}"}}))}))
	}
	tell(t, over(""), `{"list":[]}`).expect("COMPLETED: l COMPLETED")
	s := tell(t, over(""), `{"list":["p","q"]}`)
	s.same("input", s.record("a__1").Input, `{"i":0,"v":"p"}`)
	s.complete("a")
	s.same("input", s.record("a__2").Input, `{"i":1,"v":"q"}`)
	s.complete("a")
	s.expect("COMPLETED: l COMPLETED, a__1 COMPLETED, a__2 COMPLETED")
	s = tell(t, over("$.a.x != 1"), `{"list":[1,2,3]}`)
	s.complete(`a={"x":2}`, `a={"x":1}`)
	s.expect("COMPLETED: l COMPLETED, a__1 COMPLETED, a__2 COMPLETED")
	s = tell(t, over(" "), `{"list":"one"}`)
	s.complete("a")
	s.expect("COMPLETED: l COMPLETED, a__1 COMPLETED")
}

// B65.
func TestLoopKeepsLastRounds(t *testing.T) {
	l := times("l", 4, simple("a", nil))
	l["inputParameters"].(m)["keepLastN"] = 2
	s := tell(t, flow(l, simple("b", nil)), "")
	s.complete("a", "a", "a")
	s.expect("RUNNING: l IN_PROGRESS, a__2 COMPLETED, a__3 COMPLETED, a__4 SCHEDULED")
	s.complete(`a={"x":1}`)
	s.expect("RUNNING: l COMPLETED, a__3 COMPLETED, a__4 COMPLETED, b SCHEDULED")
	s.same("output", s.record("l").Output, `{"3":{"a":{}},"4":{"a":{"x":1}},"iteration":4}`)
}

// B70.
func TestRoundWaitsForCase(t *testing.T) {
	s := tell(t, flow(times("l", 2, byValue("d", "x", m{"x": list(task("NOOP", "nop", nil), simple("a", nil))}, nil))), "")
	s.expect("RUNNING: l IN_PROGRESS, d__1 COMPLETED, nop__1 COMPLETED, a__1 SCHEDULED")
	s.complete("a")
	s.expect("RUNNING: l IN_PROGRESS, d__1 COMPLETED, nop__1 COMPLETED, a__1 COMPLETED, d__2 COMPLETED, nop__2 COMPLETED, a__2 SCHEDULED")
}

// B94, B95.
func TestChildEnds(t *testing.T) {
	c := m{"name": "c", "version": 3, "tasks": list(simple("t", m{"inputParameters": m{"from": "${workflow.input.from}"}})), "outputParameters": m{"r": "${t.output.x}"}}
	s := tell(t, flow(child("s", "c", nil)), "", c)
	s.expect("RUNNING: s IN_PROGRESS; RUNNING: t SCHEDULED")
	s.same("input", s.e.All()[1].Records()[0].Input, `{"from":"s"}`)
	s.complete(`t={"x":5}`)
	s.expect("COMPLETED: s COMPLETED; COMPLETED: t COMPLETED")
	s.same("output", s.record("s").Output, `{"r":5,"subWorkflowId":"e2"}`)

	s = tell(t, flow(child("s", "c", nil)), "", c)
	s.fail("t")
	s.expect("FAILED: s FAILED; FAILED: t FAILED")
	s.same("reason", s.record("s").Reason, "Sub workflow c.3/e2 failure reason: Task t2 failed with status: FAILED and reason: 't broke'")

	s = tell(t, flow(child("s", "c", nil)), "", c)
	s.must(s.w.Terminate(s.e.All()[1], "enough", false))
	s.expect("TERMINATED: s CANCELED; TERMINATED: t CANCELED")

	s = tell(t, flow(child("s", "gone", nil)), "", c)
	s.expect("FAILED: s FAILED")
}

// B75, B97, B99.
func TestEndOfParentEndsChild(t *testing.T) {
	d := flow(child("s", "c", nil))
	d["timeoutSeconds"], d["timeoutPolicy"] = 5, "TIME_OUT_WF"
	s := tell(t, d, "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.after(5)
	s.expect("TIMED_OUT: s CANCELED; TERMINATED: t CANCELED")

	d = flow(fork("f", list(child("s", "c", nil)), list(simple("a", nil), task("TERMINATE", "end", m{"inputParameters": m{
		"terminationStatus": "COMPLETED", "workflowOutput": m{"o": "${a.output.x}"}}}))), join("j", "s", "end"))
	s = tell(t, d, "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.complete(`a={"x":1}`)
	s.expect("COMPLETED: f COMPLETED, s CANCELED, a COMPLETED, j CANCELED, end COMPLETED; TERMINATED: t CANCELED")
	s.same("output", canonical(s.e.Output), `{"o":1}`)
	s.same("reason", s.e.Reason, "Workflow is COMPLETED by TERMINATE task: t6")
	s.same("child", s.e.All()[1].Reason, "Parent workflow has been terminated with reason: "+s.e.Reason)
}

func TestVariables(t *testing.T) {
	d := flow(task("SET_VARIABLE", "set", m{"inputParameters": m{"v": m{"k": 1}}}), simple("a", m{"inputParameters": m{"v": "${workflow.variables.v}", "w": "${workflow.variables.w}"}}))
	d["variables"] = m{"v": m{"old": 1}, "w": "kept"}
	s := tell(t, d, "")
	s.same("input", s.record("a").Input, `{"v":{"k":1},"w":"kept"}`)
}

// B107, B108, B109, B113.
func TestWait(t *testing.T) {
	wait := func(in m) m { return flow(task("WAIT", "w", m{"inputParameters": in}), simple("a", nil)) }
	s := tell(t, wait(m{"duration": "1m 2 secs"}), "")
	s.after(61)
	s.expect("RUNNING: w IN_PROGRESS")
	s.after(1)
	s.expect("RUNNING: w COMPLETED, a SCHEDULED")
	tell(t, wait(m{"until": "1970-01-01"}), "").expect("RUNNING: w COMPLETED, a SCHEDULED")
	tell(t, wait(m{"until": "1970-01-01", "duration": "1s"}), "").expect("FAILED: w FAILED_WITH_TERMINAL_ERROR")
	s = tell(t, wait(m{}), "")
	s.must(s.w.Signal(s.e, []byte(`{"x":1}`)))
	s.expect("RUNNING: w COMPLETED, a SCHEDULED")
	s.same("output", s.record("w").Output, `{"x":1}`)
	s = tell(t, wait(m{"duration": "5s"}), "")
	s.must(s.w.Pause(s.e))
	s.after(5)
	s.expect("PAUSED: w COMPLETED")
}

// B139, B140, B141.
func TestRetryDelays(t *testing.T) {
	for name, c := range map[string]struct {
		settings m
		want     []int64
	}{
		"fixed":       {m{"retryLogic": "FIXED"}, []int64{60, 60, 60}},
		"linear":      {m{"retryLogic": "LINEAR_BACKOFF", "backoffScaleFactor": 2}, []int64{120, 240, 360}},
		"exponential": {m{"retryLogic": "EXPONENTIAL_BACKOFF"}, []int64{60, 120, 240}},
		"capped":      {m{"retryLogic": "EXPONENTIAL_BACKOFF", "maxRetryDelaySeconds": 200}, []int64{60, 120, 200, 200}},
		"cap linear":  {m{"retryLogic": "LINEAR_BACKOFF", "backoffScaleFactor": 2, "maxRetryDelaySeconds": 250}, []int64{120, 240, 250, 250}},
		"low cap":     {m{"maxRetryDelaySeconds": 10}, []int64{10, 10}},
	} {
		t.Run(name, func(t *testing.T) {
			c.settings["retryDelaySeconds"] = 60
			s := tell(t, flow(simple("a", m{"retryCount": 9, "taskDefinition": c.settings})), "")
			for i, want := range c.want {
				s.fail("a")
				s.w.Now += 1000*want - 1
				key := s.open("a")
				if err := s.w.Poll(key); !errors.Is(err, ErrRefused) {
					t.Fatalf("attempt %d could be polled before %d seconds: %v", i, want, err)
				}
				s.w.Now++
				s.must(s.w.Poll(key))
			}
		})
	}
	w := &World{}
	if got := w.retryDelay(&step{TaskType: &taskType{Logic: "EXPONENTIAL_BACKOFF"}}, 500); got != 1<<31-1 {
		t.Errorf("delay after 500 attempts %d, want the largest int", got)
	}
}

// B143, B144, B146 to B149.
func TestTimeLimits(t *testing.T) {
	limited := func(more m, retries int) m {
		more["retryDelaySeconds"] = 0
		return flow(simple("a", m{"retryCount": retries, "taskDefinition": more}))
	}
	s := tell(t, limited(m{"timeoutSeconds": 1, "timeoutPolicy": "RETRY"}, 1), "")
	s.poll("a")
	s.after(1)
	s.poll("a")
	s.after(1)
	s.expect("TIMED_OUT: a TIMED_OUT, a TIMED_OUT")

	s = tell(t, limited(m{"timeoutSeconds": 1, "timeoutPolicy": "ALERT_ONLY"}, 1), "")
	s.poll("a")
	s.after(1)
	s.expect("RUNNING: a IN_PROGRESS")

	s = tell(t, limited(m{"timeoutSeconds": 1}, 1), "")
	s.poll("a")
	s.after(1)
	s.expect("TIMED_OUT: a TIMED_OUT")

	s = tell(t, limited(m{"pollTimeoutSeconds": 25}, 0), "")
	s.after(25)
	s.expect("TIMED_OUT: a TIMED_OUT")

	s = tell(t, limited(m{"totalTimeoutSeconds": 5, "timeoutPolicy": "RETRY"}, 10), "")
	s.fail("a")
	s.after(4)
	s.fail("a")
	s.after(1)
	s.expect("TIMED_OUT: a FAILED, a FAILED, a TIMED_OUT")

	s = tell(t, limited(m{"totalTimeoutSeconds": 5, "timeoutPolicy": "ALERT_ONLY"}, 10), "")
	s.after(6)
	s.expect("RUNNING: a SCHEDULED")
	s.fail("a")
	s.expect("FAILED: a FAILED")

	d := flow(simple("a", nil))
	d["timeoutSeconds"], d["timeoutPolicy"] = 5, "ALERT_ONLY"
	s = tell(t, d, "")
	s.after(6)
	s.expect("RUNNING: a SCHEDULED")
}

func TestTimeLimitsWaitForResume(t *testing.T) {
	s := tell(t, flow(simple("a", m{"taskDefinition": m{"pollTimeoutSeconds": 5}})), "")
	s.must(s.w.Pause(s.e))
	s.after(6)
	s.expect("PAUSED: a SCHEDULED")
	s.must(s.w.Resume(s.e))
	s.expect("TIMED_OUT: a TIMED_OUT")
}
