package model

import (
	"errors"
	"strings"
	"testing"
)

// refused demands that an operation was not allowed and changed nothing.
func (s *story) refused(before string, err error) {
	s.t.Helper()
	if !errors.Is(err, ErrRefused) {
		s.t.Fatalf("got %v, want refused\n%s", err, s.e)
	}
	s.expect(before)
}

// below returns the executions of the tree, root first.
func (s *story) below(n int) *Exec {
	s.t.Helper()
	all := s.e.All()
	if n >= len(all) {
		s.t.Fatalf("no execution %d in\n%s", n, s.e)
	}
	return all[n]
}

// tree is three levels, each with a first step and the next level behind it.
func tree(t *testing.T) *story {
	leaf := m{"name": "leaf", "tasks": list(simple("c1", nil), simple("c2", nil))}
	middle := m{"name": "middle", "tasks": list(simple("b1", nil), child("b2", "leaf", nil))}
	s := tell(t, flow(simple("a1", nil), child("a2", "middle", nil)), "", middle, leaf)
	s.complete("a1", "b1", "c1")
	return s
}

// B5, B9, B83.
func TestRestart(t *testing.T) {
	s := tell(t, flow(simple("t1", nil), simple("t2", nil)), "")
	s.refused("RUNNING: t1 SCHEDULED", s.w.Restart(s.e, false))
	s.fail("t1")
	s.must(s.w.Restart(s.e, false))
	s.expect("RUNNING: t1 SCHEDULED")
	s.complete("t1", "t2")
	s.expect("COMPLETED: t1 COMPLETED, t2 COMPLETED")
	s.must(s.w.Restart(s.e, false))
	s.expect("RUNNING: t1 SCHEDULED")
	s.same("seq", s.record("t1").Key, "t4")

	d := flow(simple("t1", nil))
	d["restartable"] = false
	s = tell(t, d, "")
	s.complete("t1")
	s.refused("COMPLETED: t1 COMPLETED", s.w.Restart(s.e, false))

	s = tree(t)
	s.fail("c2")
	s.must(s.w.Restart(s.below(1), false))
	s.expect("RUNNING: a1 COMPLETED, a2 IN_PROGRESS; RUNNING: b1 SCHEDULED")
	s.complete("b1", "c1", "c2")
	s.expect("COMPLETED: a1 COMPLETED, a2 COMPLETED; COMPLETED: b1 COMPLETED, b2 COMPLETED; COMPLETED: c1 COMPLETED, c2 COMPLETED")
}

// B10.
func TestRestartWithNewestDefinition(t *testing.T) {
	s := tell(t, flow(simple("t1", nil)), "")
	s.fail("t1")
	s.w.Definition = func(string, int) []byte { return source(flow(simple("t1", nil), simple("t3", nil))) }
	s.must(s.w.Restart(s.e, true))
	s.complete("t1", "t3")
	s.expect("COMPLETED: t1 COMPLETED, t3 COMPLETED")
}

// B12, B161, B163.
func TestRetry(t *testing.T) {
	s := tell(t, flow(simple("t1", m{"retryCount": 1, "taskDefinition": m{"retryDelaySeconds": 0}})), "")
	s.refused("RUNNING: t1 SCHEDULED", s.w.Retry(s.e, false))
	s.fail("t1", "t1")
	s.must(s.w.Retry(s.e, false))
	s.expect("RUNNING: t1 FAILED, t1 FAILED, t1 SCHEDULED")
	if r := s.record("t1"); r.Retry != 2 || r.RetriedOf != "t2" || r.Reason != "" {
		t.Errorf("third attempt %v", r)
	}
	s.complete("t1")
	s.expect("COMPLETED: t1 FAILED, t1 FAILED, t1 COMPLETED")
	s.same("failed", strings.Join(s.e.Failed(), ","), "t1")
	s.refused("COMPLETED: t1 FAILED, t1 FAILED, t1 COMPLETED", s.w.Retry(s.e, false))

	s = tell(t, flow(fork("f", list(simple("a", nil)), list(simple("b", nil)), list(simple("c", nil))), join("j", "a", "b", "c")), "")
	s.complete("a")
	s.fail("b")
	s.must(s.w.Retry(s.e, false))
	s.expect("RUNNING: f COMPLETED, a COMPLETED, b FAILED, c CANCELED, j IN_PROGRESS, b SCHEDULED, c SCHEDULED")
	s.complete("b", "c")
	if s.e.Status != "COMPLETED" {
		t.Errorf("%s", s.e)
	}
}

// B28, B60.
func TestRetryReopensJoinAndLoop(t *testing.T) {
	s := tell(t, flow(fork("f", list(simple("a", nil)), list(simple("b", nil))), join("j", "a", "b"), simple("c", nil)), "")
	s.fail("a")
	s.must(s.w.Retry(s.e, false))
	s.expect("RUNNING: f COMPLETED, a FAILED, b CANCELED, j IN_PROGRESS, a SCHEDULED, b SCHEDULED")
	s.complete("a", "b", "c")
	s.expect("COMPLETED: f COMPLETED, a FAILED, b CANCELED, j COMPLETED, a COMPLETED, b COMPLETED, c COMPLETED")

	s = tell(t, flow(times("l", 2, simple("a", nil))), "")
	s.fail("a")
	s.must(s.w.Retry(s.e, false))
	s.expect("RUNNING: l IN_PROGRESS, a__1 FAILED, a__1 SCHEDULED")
	if r := s.record("l"); r.Retry != 0 {
		t.Errorf("loop %v", r)
	}
	s.complete("a", "a")
	s.expect("COMPLETED: l COMPLETED, a__1 FAILED, a__1 COMPLETED, a__2 COMPLETED")
}

// B77, B78, B79, B80.
func TestRetryOfTree(t *testing.T) {
	s := tree(t)
	s.fail("c2")
	s.expect("FAILED: a1 COMPLETED, a2 FAILED; FAILED: b1 COMPLETED, b2 FAILED; FAILED: c1 COMPLETED, c2 FAILED")
	s.must(s.w.Retry(s.e, false))
	if s.e.Status != "RUNNING" || s.record("a2").RetriedOf != "t2" || len(s.w.Execs()) != 4 {
		t.Errorf("%s", s.e)
	}
	s = tree(t)
	s.fail("c2")
	s.must(s.w.Retry(s.e, true))
	s.expect("RUNNING: a1 COMPLETED, a2 IN_PROGRESS; RUNNING: b1 COMPLETED, b2 IN_PROGRESS; RUNNING: c1 COMPLETED, c2 FAILED, c2 SCHEDULED")
	s.complete("c2")
	s.expect("COMPLETED: a1 COMPLETED, a2 COMPLETED; COMPLETED: b1 COMPLETED, b2 COMPLETED; COMPLETED: c1 COMPLETED, c2 FAILED, c2 COMPLETED")

	s = tree(t)
	s.fail("c2")
	s.must(s.w.Retry(s.below(1), false))
	s.expect("RUNNING: a1 COMPLETED, a2 IN_PROGRESS; RUNNING: b1 COMPLETED, b2 FAILED, b2 IN_PROGRESS; FAILED: c1 COMPLETED, c2 FAILED; RUNNING: c1 SCHEDULED")
}

// B81, B82.
func TestRerunOfTree(t *testing.T) {
	s := tree(t)
	s.refused("RUNNING: a1 COMPLETED, a2 IN_PROGRESS; RUNNING: b1 COMPLETED, b2 IN_PROGRESS; RUNNING: c1 COMPLETED, c2 SCHEDULED",
		s.w.Rerun(s.e, "", nil)) // B162
	s.fail("c2")
	s.must(s.w.Rerun(s.below(2), "", nil))
	s.expect("RUNNING: a1 COMPLETED, a2 IN_PROGRESS; RUNNING: b1 COMPLETED, b2 IN_PROGRESS; RUNNING: c1 SCHEDULED")
	s.complete("c1", "c2")
	if s.e.Status != "COMPLETED" {
		t.Errorf("%s", s.e)
	}
	s.must(s.w.Rerun(s.e, "t1", nil))
	s.expect("RUNNING: a1 SCHEDULED")
	s.complete("a1", "b1")
	s.expect("RUNNING: a1 COMPLETED, a2 IN_PROGRESS; RUNNING: b1 COMPLETED, b2 IN_PROGRESS; RUNNING: c1 SCHEDULED")
}

func TestRerunFromStep(t *testing.T) {
	s := tell(t, flow(fork("f", list(simple("a", nil), simple("c", nil)), list(simple("b", nil))), join("j", "c", "b"), simple("d", nil)), "")
	s.complete("a", "b", "c", "d")
	a := s.record("a").Key
	s.must(s.w.Rerun(s.e, a, []byte(`{"x":1}`)))
	s.expect("RUNNING: f COMPLETED, a SCHEDULED, b SCHEDULED, j IN_PROGRESS") // the other branch is made again
	if r := s.record("a"); r.Key != a || r.Input != `{"x":1}` {
		t.Errorf("target %v", r)
	}
	s.complete("a", "b", "c", "d")
	if s.e.Status != "COMPLETED" {
		t.Errorf("%s", s.e)
	}
	s.refused("COMPLETED: f COMPLETED, a COMPLETED, b COMPLETED, j COMPLETED, c COMPLETED, d COMPLETED", s.w.Rerun(s.e, "t99", nil)) // B162

	s = tell(t, flow(times("l", 2, simple("a", nil), simple("b", nil)), simple("c", nil)), "")
	s.complete("a", "b", "a", "b", "c")
	s.must(s.w.Rerun(s.e, "t3", nil))
	s.expect("RUNNING: l IN_PROGRESS, a__1 COMPLETED, b__1 SCHEDULED")
	s.complete("b", "a", "b", "c")
	s.expect("COMPLETED: l COMPLETED, a__1 COMPLETED, b__1 COMPLETED, a__2 COMPLETED, b__2 COMPLETED, c COMPLETED")

	s = tell(t, flow(task("SET_VARIABLE", "v", m{"inputParameters": m{"x": 1}}), simple("a", nil)), "") // B164
	s.fail("a")
	s.must(s.w.Rerun(s.e, "t1", []byte(`{"x":2}`)))
	s.expect("RUNNING: v COMPLETED, a SCHEDULED")
	s.same("variables", s.e.Variables(), `{"x":2}`)
}

// B76, B85, B87.
func TestRetryOfChildRevivesSiblings(t *testing.T) {
	d := flow(simple("t0", nil), fork("f", list(child("s", "c", nil)), list(simple("a", nil))), join("j", "s", "a"))
	s := tell(t, d, "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.complete("t0")
	for range 3 {
		s.fail("t")
		if s.e.Status != "FAILED" {
			t.Fatalf("%s", s.e)
		}
		s.must(s.w.Retry(s.below(1), false))
	}
	s.expect("RUNNING: t0 COMPLETED, f COMPLETED, s IN_PROGRESS, a SCHEDULED, j IN_PROGRESS; RUNNING: t FAILED, t FAILED, t FAILED, t SCHEDULED")
	s.complete("t", "a")
	if s.e.Status != "COMPLETED" || s.record("a").Retry != 3 {
		t.Errorf("%s", s.e)
	}

	d = flow(child("s", "c", nil))
	d["timeoutSeconds"], d["timeoutPolicy"] = 5, "TIME_OUT_WF"
	s = tell(t, d, "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.after(5)
	s.expect("TIMED_OUT: s CANCELED; TERMINATED: t CANCELED") // B75
	s.must(s.w.Retry(s.below(1), false))
	s.expect("RUNNING: s IN_PROGRESS; RUNNING: t CANCELED, t SCHEDULED")
	s.complete(`t={"x":1}`)
	s.expect("COMPLETED: s COMPLETED; COMPLETED: t CANCELED, t COMPLETED")
	s.same("output", canonical(s.e.Output), `{"subWorkflowId":"e2","x":1}`)
}

// B86.
func TestRetryOfChildRevivesLoop(t *testing.T) {
	d := flow(fork("f", list(child("s", "c", nil)), list(times("l", 2, simple("a", nil)))), join("j", "s", "l"))
	s := tell(t, d, "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.fail("t")
	s.must(s.w.Retry(s.below(1), false))
	s.expect("RUNNING: f COMPLETED, s IN_PROGRESS, l IN_PROGRESS, j IN_PROGRESS, a__1 SCHEDULED; RUNNING: t FAILED, t SCHEDULED")
}

// B88.
func TestRetryOfThreeChildren(t *testing.T) {
	d := flow(fork("f", list(child("s1", "c1", nil)), list(child("s2", "c2", nil)), list(child("s3", "c3", nil))), join("j", "s1", "s2", "s3"))
	c := func(n string) m { return m{"name": "c" + n, "tasks": list(simple("p"+n, nil), simple("q"+n, nil))} }
	for _, resume := range []bool{false, true} {
		s := tell(t, d, "", c("1"), c("2"), c("3"))
		s.complete("p1", "q1", "p3")
		s.fail("p2")
		s.expect("FAILED: f COMPLETED, s1 COMPLETED, s2 FAILED, s3 CANCELED, j CANCELED; " +
			"COMPLETED: p1 COMPLETED, q1 COMPLETED; FAILED: p2 FAILED; TERMINATED: p3 COMPLETED, q3 CANCELED")
		s.must(s.w.Retry(s.e, resume))
		if resume {
			s.expect("RUNNING: f COMPLETED, s1 COMPLETED, s2 IN_PROGRESS, s3 IN_PROGRESS, j IN_PROGRESS; " +
				"COMPLETED: p1 COMPLETED, q1 COMPLETED; RUNNING: p2 FAILED, p2 SCHEDULED; RUNNING: p3 COMPLETED, q3 SCHEDULED")
			continue
		}
		s.expect("RUNNING: f COMPLETED, s1 COMPLETED, s2 FAILED, s3 CANCELED, j IN_PROGRESS, s2 IN_PROGRESS, s3 IN_PROGRESS; " +
			"COMPLETED: p1 COMPLETED, q1 COMPLETED; FAILED: p2 FAILED; TERMINATED: p3 COMPLETED, q3 CANCELED; RUNNING: p2 SCHEDULED; RUNNING: p3 SCHEDULED")
	}
}

// B31, B89.
func TestOptionalParentStaysComplete(t *testing.T) {
	s := tell(t, flow(child("s", "c", m{"optional": true})), "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.fail("t")
	s.expect("COMPLETED: s COMPLETED_WITH_ERRORS; FAILED: t FAILED")
	s.must(s.w.Retry(s.below(1), false))
	s.expect("COMPLETED: s COMPLETED_WITH_ERRORS; RUNNING: t FAILED, t SCHEDULED")
	s.fail("t")
	s.must(s.w.Rerun(s.below(1), "t2", nil))
	s.fail("t")
	s.must(s.w.Restart(s.below(1), false))
	s.complete("t")
	s.expect("COMPLETED: s COMPLETED_WITH_ERRORS; COMPLETED: t COMPLETED")
}

// B90.
func TestOrphanRunsAlone(t *testing.T) {
	s := tell(t, flow(child("s", "c", nil)), "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.fail("t")
	old := s.below(1)
	s.must(s.w.Restart(s.e, false))
	s.must(s.w.Retry(old, false))
	s.expect("RUNNING: s IN_PROGRESS; RUNNING: t SCHEDULED")
	s.must(s.w.Complete(old.Tasks()[1].Key(), nil))
	if old.Status != "COMPLETED" {
		t.Errorf("%s", old)
	}
	s.expect("RUNNING: s IN_PROGRESS; RUNNING: t SCHEDULED")
}

func TestJumpSkipsAndCancels(t *testing.T) {
	s := tell(t, flow(simple("a", nil), simple("b", nil), simple("c", nil)), "")
	s.must(s.w.Jump(s.e, "c", []byte(`{"x":1}`)))
	s.expect("RUNNING: a CANCELED, b SKIPPED, c SCHEDULED")
	s.same("input", s.record("c").Input, `{"x":1}`)
	s.complete("c")
	s.expect("COMPLETED: a CANCELED, b SKIPPED, c COMPLETED")
}

func TestVariablesAndCallbacksFromOutside(t *testing.T) {
	s := tell(t, flow(simple("a", nil), simple("b", m{"inputParameters": m{"v": "${workflow.variables.v}"}})), "")
	s.must(s.w.SetVariables(s.e, []byte(`{"v":2}`)))
	s.poll("a")
	s.must(s.w.Progress("t1", nil, 60))
	s.must(s.w.ResetCallbacks(s.e))
	s.poll("a")
	s.complete("a")
	s.same("input", s.record("b").Input, `{"v":2}`)
	s.complete("b")
	s.refused("COMPLETED: a COMPLETED, b COMPLETED", s.w.ResetCallbacks(s.e))
}

// B167.
func TestDelete(t *testing.T) {
	s := tell(t, flow(child("s", "c", nil)), "", m{"name": "c", "tasks": list(simple("t", nil))})
	s.must(s.w.Delete(s.below(1)))
	s.expect("TERMINATED: s CANCELED")
	if len(s.w.Execs()) != 1 {
		t.Errorf("%d executions are left", len(s.w.Execs()))
	}
}

// B98, B102, B103.
func TestFailureWorkflow(t *testing.T) {
	d := flow(simple("a", nil))
	d["failureWorkflow"] = "${workflow.input.rescue}"
	rescue := m{"name": "rescue", "tasks": list(simple("r", m{"inputParameters": m{"why": "${workflow.input.reason}", "of": "${workflow.input.workflowId}",
		"task": "${workflow.input.failureTaskId}", "status": "${workflow.input.failureStatus}"}}))}
	s := tell(t, d, `{"rescue":"rescue"}`, rescue)
	s.fail("a")
	s.same("output", canonical(s.e.Output), `{"conductor.failure_workflow":"e2"}`)
	s.same("input", s.w.Execs()[1].Records()[0].Input,
		`{"of":"e1","status":"FAILED","task":"t1","why":"Task t1 failed with status: FAILED and reason: 'a broke'"}`)

	s = tell(t, d, `{"rescue":"rescue"}`, rescue)
	s.must(s.w.Terminate(s.e, "enough", false))
	s.same("output", canonical(s.e.Output), `{}`)
	s = tell(t, d, `{"rescue":"rescue"}`, rescue)
	s.must(s.w.Terminate(s.e, "enough", true))
	s.same("output", canonical(s.e.Output), `{"conductor.failure_workflow":"e2"}`)
}
