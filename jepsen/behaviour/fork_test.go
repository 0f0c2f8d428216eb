package behaviour

import (
	"fmt"
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// B25: a FORK_JOIN is COMPLETED at once with the first task of each branch SCHEDULED and
// its JOIN IN_PROGRESS; the JOIN completes when the named tasks have.
func TestB025ForkStartsItsBranchesAndJoins(t *testing.T) {
	w := begin(t)
	w.corpus("wf-fork_join_integration_test.json")
	r := w.start("FanInOutTest", m{"param1": "one"})
	r.want(fsm.Running, "fanouttask COMPLETED", "t1 SCHEDULED", "t2 SCHEDULED", "fanouttask_join IN_PROGRESS")
	r.complete("t1", nil)
	r.want(fsm.Running, "fanouttask COMPLETED", "t1 COMPLETED", "t2 SCHEDULED", "fanouttask_join IN_PROGRESS", "t3 SCHEDULED")
	r.completes("t3", "t2")
	r.want(fsm.Running, "fanouttask COMPLETED", "t1 COMPLETED", "t2 COMPLETED", "fanouttask_join COMPLETED", "t3 COMPLETED", "t4 SCHEDULED")
	if kind := r.task("fanouttask").Type; kind != "FORK" {
		t.Errorf("the fork shows as %s, want FORK", kind)
	}
	r.complete("t4", nil)
	r.wantN(fsm.Completed, 6)
}

// B26: one branch fails for good: the workflow is FAILED, the JOIN and what was open in
// other branches are CANCELED and cannot be polled.
func TestB026FailedBranchCancelsTheOthers(t *testing.T) {
	w := begin(t)
	w.corpus("wf-fork_join_integration_test.json")
	w.taskTypes(0, "integration_task_2")
	r := w.start("FanInOutTest", m{"param1": "one"})
	r.complete("t1", nil)
	r.fail("t2", "no")
	r.want(fsm.Failed, "fanouttask COMPLETED", "t1 COMPLETED", "t2 FAILED", "fanouttask_join CANCELED", "t3 CANCELED")
	w.wantNothing("integration_task_3")
}

// B27: a permissive branch that fails leaves the workflow RUNNING until the other one
// has ended; then the JOIN and the workflow are FAILED.
func TestB027PermissiveBranchFailsTheJoinAtTheEnd(t *testing.T) {
	w := begin(t)
	w.corpus("wf-fork_join_permissive_integration_test.json")
	w.integration(0)
	r := w.start("FanInOutPermissiveTest", m{"param1": "one"})
	r.fail("t1", "no")
	r.want(fsm.Running, "fanouttask COMPLETED", "t1 FAILED", "t2 SCHEDULED", "fanouttask_join IN_PROGRESS")
	r.complete("t2", nil)
	r.want(fsm.Failed, "fanouttask COMPLETED", "t1 FAILED", "t2 COMPLETED", "fanouttask_join FAILED")
}

// B28: retry after a branch failed makes new records of the failed task and of the
// canceled sibling, and opens the same JOIN record again; old records are kept.
func TestB028RetryAfterAFailedBranch(t *testing.T) {
	w := begin(t)
	w.corpus("wf-fork_join_with_no_task_retry_integration_test.json")
	for i := range 5 {
		w.taskTypes(0, fmt.Sprintf("integration_task_0_RT_%d", i))
	}
	r := w.start("FanInOutTest_2", m{"param1": "one"})
	r.complete("t1", nil)
	r.fail("t2", "no")
	r.wantN(fsm.Failed, 5)
	old := r.task("fanouttask_join").ID
	w.must(retry(r, false))
	r.wantN(fsm.Running, 7)
	r.wantTasks("fanouttask_join IN_PROGRESS", "t2 SCHEDULED", "t3 SCHEDULED")
	if id := r.task("fanouttask_join").ID; id != old {
		t.Errorf("the join is %s, want the same record %s", id, old)
	}
	if a := r.attempts("t2"); a[0].Status != fsm.TaskStatusFailed || a[1].RetriedOf != a[0].ID {
		t.Errorf("attempts of t2: %v", a)
	}
	if a := r.attempts("t3"); a[0].Status != fsm.TaskStatusCanceled || a[1].RetriedOf != a[0].ID {
		t.Errorf("attempts of t3: %v", a)
	}
	r.completes("t3", "t2", "t4")
	r.wantN(fsm.Completed, 8)
}

// B29: forks nest: each JOIN waits for the tasks it names, the outer one for the inner
// JOIN, through a DECISION in a branch.
func TestB029ForksNest(t *testing.T) {
	w := begin(t)
	w.corpus("wf-nested_fork_join_integration_test.json")
	r := w.start("FanInOutNestedTest", m{"param1": "one", "case": "a"})
	r.want(fsm.Running, "fork1 COMPLETED", "t11 SCHEDULED", "fork2 COMPLETED", "t12 SCHEDULED", "t13 SCHEDULED", "join2 IN_PROGRESS", "join1 IN_PROGRESS")
	wantAt(t, r.task("join2").Input, "joinOn", l{"t14", "t20"})
	wantAt(t, r.task("join1").Input, "joinOn", l{"t11", "join2"})
	r.completes("t11", "t12", "t13", "t14", "t16")
	r.wantTasks("d1 COMPLETED", "t19 SCHEDULED", "join2 IN_PROGRESS", "join1 IN_PROGRESS")
	r.complete("t19", nil)
	r.wantTasks("t20 SCHEDULED", "join2 IN_PROGRESS", "join1 IN_PROGRESS")
	r.complete("t20", nil)
	r.wantTasks("join2 COMPLETED", "join1 COMPLETED", "t15 SCHEDULED")
	r.complete("t15", nil)
	r.wantN(fsm.Completed, 13)
}

// B30: a sub-workflow is a branch like others: its end alone does not fire the outer
// JOIN, which waits for every named task.
func TestB030SubWorkflowIsABranch(t *testing.T) {
	w := begin(t)
	f := w.corpusFlow("wf-nested_fork_join_integration_test.json")
	tasks := f["tasks"].(l)
	outer := tasks[0].(m)
	outer["forkTasks"] = append(outer["forkTasks"].(l), l{child("sw1", "sub")})
	tasks[1].(m)["joinOn"] = l{"t11", "join2", "sw1"}
	w.define(f, flow("sub", simple("inside")))
	r := w.start("FanInOutNestedTest", m{"param1": "one", "case": "a"})
	r.wantN(fsm.Running, 8)
	wantAt(t, r.task("join1").Input, "joinOn", l{"t11", "join2", "sw1"})
	r.child("sw1").complete("inside", nil)
	r.wantTasks("sw1 COMPLETED", "join1 IN_PROGRESS")
	r.completes("t11", "t12", "t13", "t14", "t16", "t19", "t20")
	r.wantTasks("join2 COMPLETED", "join1 COMPLETED", "t15 SCHEDULED")
	r.complete("t15", nil)
	r.wantN(fsm.Completed, 14)
}

// B31: optional sub-workflows that fail leave their tasks and the JOIN
// COMPLETED_WITH_ERRORS and the parent COMPLETED; rerun of such a child does not touch
// the parent.
func TestB031OptionalSubWorkflowsInAFork(t *testing.T) {
	w := begin(t)
	w.corpus("wf-fork_join_with_optional_sub_workflow_forks_integration_test.json", "wf-simple_one_task_sub_workflow_integration_test.json")
	w.taskTypes(0, "simple_task_in_sub_wf")
	r := w.start("integration_test_fork_join_optional_sw", nil)
	one, two := r.child("st1"), r.child("st2")
	one.fail("t1", "no")
	two.fail("t1", "no")
	r.want(fsm.Completed, "fanouttask COMPLETED", "st1 COMPLETED_WITH_ERRORS", "st2 COMPLETED_WITH_ERRORS", "fanouttask_join COMPLETED_WITH_ERRORS")
	before := r.snapshot()
	w.must(rerun(one))
	one.want(fsm.Running, "t1 SCHEDULED")
	if after := r.snapshot(); after != before {
		t.Errorf("the parent changed:\n%s\n%s", before, after)
	}
}

// B32: permissive sub-workflows that are terminated leave their tasks and the JOIN
// CANCELED and the parent TERMINATED.
func TestB032TerminatedSubWorkflowsInAFork(t *testing.T) {
	w := begin(t)
	w.corpus("wf-fork_join_with_permissive_sub_workflow_forks_integration_test.json", "wf-simple_one_task_sub_workflow_integration_test.json")
	r := w.start("integration_test_fork_join_permissive_sw", nil)
	r.child("st1").terminate("enough")
	r.wantStatus(fsm.Running)
	r.child("st2").terminate("enough")
	r.want(fsm.Terminated, "fanouttask COMPLETED", "st1 CANCELED", "st2 CANCELED", "fanouttask_join CANCELED")
}

// B33: a JOIN on the second task of a branch waits for it even while it is not scheduled
// and every record there is has ended.
func TestB033JoinWaitsForATaskThatIsNotThereYet(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", fork("fork", list(simple("a"), simple("b"))), join("join", "b")), nil)
	r.pause()
	r.complete("a", nil)
	r.want(fsm.Paused, "fork COMPLETED", "a COMPLETED", "join IN_PROGRESS")
	w.must(decide(r))
	r.want(fsm.Paused, "fork COMPLETED", "a COMPLETED", "join IN_PROGRESS")
	r.resume()
	r.want(fsm.Running, "fork COMPLETED", "a COMPLETED", "join IN_PROGRESS", "b SCHEDULED")
	r.complete("b", nil)
	r.wantTasks("join COMPLETED")
	r.wantStatus(fsm.Completed)
}

// B34: a JOIN over a failed and an optional failed branch is FAILED and its reason has
// those of the failed tasks; over optional failures only it is COMPLETED_WITH_ERRORS.
func TestB034JoinTellsFailedFromOptionalBranches(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "a", "b")
	r := w.startFlow(flow("f", fork("fork", list(simple("a", permissive)), list(simple("b", optional))), join("join", "a", "b")), nil)
	r.fail("a", "a is broken")
	r.fail("b", "b is broken")
	r.want(fsm.Failed, "fork COMPLETED", "a FAILED", "b COMPLETED_WITH_ERRORS", "join FAILED")
	wantTexts(t, "the join's reason", r.task("join").Reason, "a is broken")
	r = w.startFlow(flow("g", fork("fork", list(simple("a", optional)), list(simple("b"))), join("join", "a", "b")), nil)
	r.fail("a", "a is broken")
	r.complete("b", nil)
	r.want(fsm.Completed, "fork COMPLETED", "a COMPLETED_WITH_ERRORS", "b COMPLETED", "join COMPLETED_WITH_ERRORS")
}

// B35: a JOIN whose only bad branch was canceled is CANCELED; with one that truly failed
// it is FAILED.
func TestB035CanceledBranchCancelsTheJoin(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "a")
	w.define(flow("sub", simple("inside")))
	f := flow("f", fork("fork", list(simple("a", permissive)), list(child("s", "sub", permissive))), join("join", "a", "s"))
	r := w.startFlow(f, nil)
	r.child("s").terminate("enough")
	r.complete("a", nil)
	r.want(fsm.Terminated, "fork COMPLETED", "a COMPLETED", "s CANCELED", "join CANCELED")
	r = w.startFlow(f, nil)
	r.child("s").terminate("enough")
	r.fail("a", "no")
	r.want(fsm.Failed, "fork COMPLETED", "a FAILED", "s CANCELED", "join FAILED")
}

// B36: a JOIN's output maps reference names to outputs; tasks with empty output add no
// key, and with nothing but those it is {}.
func TestB036JoinOutputMapsReferencesToOutputs(t *testing.T) {
	w := begin(t)
	f := flow("f", fork("fork", list(simple("a")), list(simple("b")), list(simple("c"))), join("join", "a", "b", "c"))
	r := w.startFlow(f, nil)
	r.complete("a", m{"x": 1})
	r.complete("b", nil)
	r.complete("c", m{"y": m{"z": l{2}}})
	wantJSON(t, r.task("join").Output, m{"a": m{"x": 1}, "c": m{"y": m{"z": l{2}}}})
	r = w.startFlow(f, nil)
	r.completes("a", "b", "c")
	wantJSON(t, r.task("join").Output, m{})
}

// B37: the last two branches complete at the same instant while somebody asks for a
// decision: the JOIN completes once and one task follows, without help.
func TestB037BranchesThatEndTogetherJoinOnce(t *testing.T) {
	w := begin(t)
	f := flow("f", fork("fork", list(simple("a")), list(simple("b")), list(simple("c"))), join("join", "a", "b", "c"), simple("after"))
	for range 8 {
		r := w.startFlow(f, nil)
		r.complete("a", nil)
		b, c := w.lease(r.task("b").ID), w.lease(r.task("c").ID)
		calls := []fsm.Body{&fsm.CompleteTask{Task: b.Task, Lease: b.Lease}, decide(r), &fsm.CompleteTask{Task: c.Task, Lease: c.Lease}, decide(r)}
		w.rng.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		for _, res := range w.send(calls...) {
			if res.Rejection != nil {
				t.Fatal(res.Rejection)
			}
		}
		w.quiet()
		r.want(fsm.Running, "fork COMPLETED", "a COMPLETED", "b COMPLETED", "c COMPLETED", "join COMPLETED", "after SCHEDULED")
		r.complete("after", nil)
		r.wantN(fsm.Completed, 6)
	}
}
