package behaviour

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// B97: a TERMINATE task with COMPLETED ends the workflow with its workflowOutput and a
// reason that says so; what comes after it never runs.
func TestB097TerminateCompletes(t *testing.T) {
	w := begin(t)
	w.corpus("wf-terminate_task_completed_workflow_integration_test.json")
	r := w.start("test_terminate_task_wf", m{"a": 1})
	r.want(fsm.Completed, "lambda0 COMPLETED", "terminate0 COMPLETED")
	wantJSON(t, r.info().Output, m{"result": m{"testvalue": true}})
	wantJSON(t, r.task("terminate0").Output, m{"result": m{"testvalue": true}})
	r.wantReason("Workflow is COMPLETED by TERMINATE task: " + r.task("terminate0").ID.String())
}

// started gives the executions of a definition, oldest first.
func (w *world) started(name string) []*run {
	var out []*run
	for _, id := range w.executions() {
		if r := (&run{w, id}); r.info().Definition == name {
			out = append(out, r)
		}
	}
	return out
}

// B98: a TERMINATE task with FAILED ends the workflow FAILED and starts its failure
// workflow with the id, reason, status and failed task.
func TestB098TerminateFailsAndStartsTheFailureWorkflow(t *testing.T) {
	w := begin(t)
	w.corpus("wf-terminate_task_failed_workflow_integration.json", "wf-failure_workflow_for_terminate_task_workflow.json")
	r := w.start("test_terminate_task_failed_wf", m{"a": 1})
	r.want(fsm.Failed, "lambda0 COMPLETED", "terminate0 COMPLETED")
	r.wantReason("Early exit in terminate")
	all := w.started("failure_workflow")
	if len(all) != 1 {
		t.Fatalf("%d failure workflows, want 1", len(all))
	}
	input := all[0].info().Input
	wantAt(t, input, "workflowId", r.id.String())
	wantAt(t, input, "reason", "Early exit in terminate")
	wantAt(t, input, "failureStatus", "FAILED")
	wantAt(t, input, "failureTaskId", r.task("terminate0").ID.String())
	wantAt(t, input, "a", 1)
	all[0].want(fsm.Completed, "lambda0 COMPLETED")
}

// B99: TERMINATE in one branch ends the workflow while a sub-workflow runs in another:
// nothing is left open, the child is TERMINATED because its parent was.
func TestB099TerminateEndsRunningChildren(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")))
	r := w.startFlow(flow("f", fork("fork", list(simple("a"), terminate("end", "COMPLETED", m{"workflowOutput": m{"x": 1}})), list(child("c", "sub"))),
		join("join", "end", "c"), simple("after")), nil)
	c := r.child("c")
	r.complete("a", nil)
	r.want(fsm.Completed, "fork COMPLETED", "a COMPLETED", "c CANCELED", "join CANCELED", "end COMPLETED")
	wantJSON(t, r.info().Output, m{"x": 1})
	c.want(fsm.Terminated, "s CANCELED")
	c.wantReason("Parent workflow has been terminated")
	w.wantNothing("s")
}

// B100: TERMINATE in a case of a DECISION ends the workflow FAILED with its output; tasks
// after the DECISION are never scheduled.
func TestB100TerminateInADecision(t *testing.T) {
	w := begin(t)
	w.corpus("wf-decision_and_terminate_integration_test.json")
	r := w.start("ConditionalTerminateWorkflow", m{"param1": "one", "case": "two"})
	r.complete("t1", m{"op": "done"})
	r.want(fsm.Failed, "t1 COMPLETED", "decision COMPLETED", "terminate0 COMPLETED")
	wantJSON(t, r.info().Output, m{"output": "done"})
	r.wantReason("Workflow is FAILED by TERMINATE task: " + r.task("terminate0").ID.String())
}

// B101: a terminationStatus that is empty, null or unknown at run time leaves the TERMINATE
// task FAILED and the workflow too; it does not hang.
func TestB101InvalidTerminationStatusFails(t *testing.T) {
	w := begin(t)
	for _, status := range []any{"", nil, "NONSENSE"} {
		forked := step("TERMINATE", "end", in(m{"terminationStatus": "${workflow.input.status}"}))
		r := w.startFlow(flow("f", forkOf("fork", l{forked}, m{}), join("join")), m{"status": status})
		r.wantStatus(fsm.Failed)
		r.wantTasks("end FAILED")
		wantTexts(t, "the task's reason", r.task("end").Reason, "termination status")
	}
}

// B102: a workflow that fails starts its failureWorkflow: the output names it, its input
// has the id, the failed task, the status, the reason and the whole failed workflow, and
// the correlation id is carried over.
func TestB102FailureWorkflowIsStarted(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	w.define(flow("rescue", simple("r1")), with(flow("f", simple("t1")), m{"failureWorkflow": "rescue"}))
	r := w.startWith(&fsm.StartExecution{Name: "f", Input: js(m{"a": 1}), Correlation: "corr"})
	r.fail("t1", "out of paper")
	r.want(fsm.Failed, "t1 FAILED")
	all := w.started("rescue")
	if len(all) != 1 {
		t.Fatalf("%d failure workflows, want 1", len(all))
	}
	rescue := all[0].info()
	out, ok := value(t, r.info().Output).(m)["conductor.failure_workflow"]
	if !ok || out != rescue.ID.String() {
		t.Errorf("output %s, want conductor.failure_workflow %s", r.info().Output, rescue.ID)
	}
	wantAt(t, rescue.Input, "workflowId", r.id.String())
	wantAt(t, rescue.Input, "failureTaskId", r.task("t1").ID.String())
	wantAt(t, rescue.Input, "failureStatus", "FAILED")
	wantAt(t, rescue.Input, "a", 1)
	reason, _ := find(t, rescue.Input, "reason")
	wantTexts(t, "the reason given", fmt.Sprint(reason), "out of paper")
	wantAt(t, rescue.Input, "failedWorkflow.workflowId", r.id.String())
	wantAt(t, rescue.Input, "failedWorkflow.status", "FAILED")
	wantAt(t, rescue.Input, "failedWorkflow.tasks.0.referenceTaskName", "t1")
	wantAt(t, rescue.Input, "failedWorkflow.tasks.0.status", "FAILED")
	if rescue.Correlation != "corr" || !rescue.Parent.IsZero() {
		t.Errorf("correlation %q, parent %s; want corr and none", rescue.Correlation, rescue.Parent)
	}
}

// B103: failureWorkflowVersion names the version that runs; without it the latest does.
func TestB103FailureWorkflowVersion(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	for v := 1; v <= 3; v++ {
		w.define(with(flow("rescue", simple("r1")), m{"version": v}))
	}
	for _, c := range []struct {
		more m
		want int32
	}{{m{"failureWorkflow": "rescue", "failureWorkflowVersion": 2}, 2}, {m{"failureWorkflow": "rescue"}, 3}} {
		before := len(w.started("rescue"))
		r := w.startFlow(with(flow("f", simple("t1")), c.more), nil)
		r.fail("t1", "no")
		all := w.started("rescue")
		if len(all) != before+1 || all[before].info().Version != c.want {
			t.Errorf("%d started, version %d; want 1 of version %d", len(all)-before, all[before].info().Version, c.want)
		}
	}
}

// B104: a hundred workflows that fail together and are retried as soon as they have lose
// nothing: each fails again with both records.
func TestB104RetriesRightAfterTheEnd(t *testing.T) {
	w := begin(t)
	w.restoreEvery = 200
	w.taskTypes(0, "t1")
	w.define(flow("rescue", setVariable("r1", m{"a": 1})), with(flow("f", simple("t1")), m{"failureWorkflow": "rescue"}))
	const many = 100
	var starts []fsm.Body
	for range many {
		starts = append(starts, &fsm.StartExecution{Name: "f"})
	}
	answers := w.send(starts...)
	for range 2 {
		var bodies []fsm.Body
		for _, l := range w.polls("t1", many) {
			bodies = append(bodies, &fsm.FailTask{Task: l.Task, Lease: l.Lease, Reason: "no"},
				retry(&run{w, l.Task.Exec}, false))
		}
		if len(bodies) != 2*many {
			t.Fatalf("%d tasks were polled, want %d", len(bodies)/2, many)
		}
		answers := w.send(bodies...)
		w.quiet()
		for i, a := range answers {
			if a.Rejection != nil && a.Rejection.Code == fsm.Busy {
				w.must(bodies[i]) // as a node asks again for its client
			} else if a.Rejection != nil {
				t.Fatal(a.Rejection)
			}
		}
	}
	for _, l := range w.polls("t1", many) {
		w.must(&fsm.FailTask{Task: l.Task, Lease: l.Lease, Reason: "no"})
	}
	for _, a := range answers {
		(&run{w, a.Exec}).want(fsm.Failed, "t1 FAILED", "t1 FAILED", "t1 FAILED")
	}
}

// B105: variables over 256 KiB leave the SET_VARIABLE task FAILED_WITH_TERMINAL_ERROR with
// size and limit in its reason, the workflow FAILED, and the variables as before.
func TestB105VariablesHaveALimit(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", setVariable("small", m{"a": 1}), setVariable("large", m{"a": 2, "b": "${workflow.input.big}"})),
		m{"big": strings.Repeat("x", 256<<10)})
	r.want(fsm.Failed, "small COMPLETED", "large FAILED_WITH_TERMINAL_ERROR")
	wantTexts(t, "the task's reason", r.task("large").Reason, "256 kilobytes", r.id.String())
	wantJSON(t, r.info().Variables, m{"a": 1})
}

// B106: many workflows that set their own variable at the same time each hold their own
// value.
func TestB106EachWorkflowHoldsItsOwnVariables(t *testing.T) {
	w := begin(t)
	w.restoreEvery = 1000
	w.define(flow("f", setVariable("v", m{"mine": "${workflow.input.n}"}), simple("t"), setVariable("v2", m{"again": "${workflow.variables.mine}"})))
	const many = 2_000
	var ids []fsm.ExecID
	for n := 0; n < many; n += 50 {
		var starts []fsm.Body
		for i := range 50 {
			starts = append(starts, &fsm.StartExecution{Name: "f", Input: js(m{"n": n + i})})
		}
		for _, a := range w.send(starts...) {
			ids = append(ids, a.Exec)
		}
		var done []fsm.Body
		for _, l := range w.polls("t", 50) {
			done = append(done, &fsm.CompleteTask{Task: l.Task, Lease: l.Lease})
		}
		w.send(done...)
	}
	w.quiet()
	for n, id := range ids {
		r := &run{w, id}
		r.wantStatus(fsm.Completed)
		wantJSON(t, r.info().Variables, m{"mine": n, "again": n})
	}
}

// B107: a WAIT without duration or until waits for ever; a task update completes it with
// the update's output.
func TestB107WaitForAnUpdate(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", wait("w"), simple("after")), nil)
	w.pass(400 * 24 * time.Hour)
	r.want(fsm.Running, "w IN_PROGRESS")
	r.update("w", fsm.TaskStatusCompleted, m{"a": 1})
	r.want(fsm.Running, "w COMPLETED", "after SCHEDULED")
	wantJSON(t, r.task("w").Output, m{"a": 1})
}

// B108: a WAIT with a duration completes when that has passed, not before; units may be
// words or letters.
func TestB108WaitForADuration(t *testing.T) {
	w := begin(t)
	for text, d := range map[string]time.Duration{
		"2 seconds": 2 * time.Second, "2s": 2 * time.Second, "1 minute": time.Minute,
		"1d 2h 3m 4s": 26*time.Hour + 3*time.Minute + 4*time.Second, "2 days 3 hrs": 51 * time.Hour, "1H30M": 90 * time.Minute,
	} {
		r := w.startFlow(flow("f", wait("w", in(m{"duration": text}))), nil)
		w.pass(d - time.Millisecond)
		r.want(fsm.Running, "w IN_PROGRESS")
		w.pass(time.Millisecond)
		r.want(fsm.Completed, "w COMPLETED")
	}
}

// B109: a WAIT until a time in the past completes at once; a time with a zone is that
// instant, by offset or by name.
func TestB109WaitUntilATime(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", wait("w", in(m{"until": "2001-02-03 04:05"}))), nil)
	r.want(fsm.Completed, "w COMPLETED")
	for text, at := range map[string]time.Time{
		"2024-07-01 10:00 GMT+04:00":        time.Date(2024, 7, 1, 6, 0, 0, 0, time.UTC),
		"2024-07-01 10:00 America/New_York": time.Date(2024, 7, 1, 14, 0, 0, 0, time.UTC),
	} {
		w := newWorldAt(t, fsm.Millis(time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC).UnixMilli()))
		r := w.startFlow(flow("f", wait("w", in(m{"until": text}))), nil)
		w.pass(at.Sub(time.UnixMilli(int64(w.now))) - time.Millisecond)
		r.want(fsm.Running, "w IN_PROGRESS")
		w.pass(time.Millisecond)
		r.want(fsm.Completed, "w COMPLETED")
	}
}

// newWorldAt makes a world at a time.
func newWorldAt(t *testing.T, now fsm.Millis) *world {
	w := newWorld(t, seed(t))
	w.pass(time.Duration(max(0, now-w.now)) * time.Millisecond)
	return w
}

// B110: a WAIT whose task type times out with RETRY is TIMED_OUT and made again; an update
// completes the second one.
func TestB110WaitMayTimeOut(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_wait_task_workflow_integration_test.json")
	w.taskType("waitTimeout", m{"retryCount": 1, "timeoutSeconds": 2, "timeoutPolicy": "RETRY", "responseTimeoutSeconds": 2})
	r := w.start("test_wait_timeout", nil)
	r.want(fsm.Running, "wait0 IN_PROGRESS")
	w.pass(2 * time.Second)
	r.want(fsm.Running, "wait0 TIMED_OUT", "wait0 IN_PROGRESS")
	r.update("wait0", fsm.TaskStatusCompleted, nil)
	r.want(fsm.Running, "wait0 TIMED_OUT", "wait0 COMPLETED", "t1 SCHEDULED")
}

// B111: a start with taskToDomain for all types gives a WAIT no domain: it completes by
// itself.
func TestB111WaitHasNoDomain(t *testing.T) {
	w := begin(t)
	w.define(flow("f", wait("w", in(m{"duration": "2 seconds"})), simple("after")))
	r := w.startWith(&fsm.StartExecution{Name: "f", Domains: []fsm.Domain{{Type: "*", Domain: "d"}}})
	if q := r.task("w").Queue; q != "" {
		t.Errorf("the WAIT is in queue %q, want none", q)
	}
	w.pass(2 * time.Second)
	r.want(fsm.Running, "w COMPLETED", "after SCHEDULED")
	if q := r.task("after").Queue; q != "d:after" {
		t.Errorf("the worker's task is in queue %q, want d:after", q)
	}
}

// B112: a HUMAN task is IN_PROGRESS until an update ends it as told; no poll returns it.
func TestB112HumanWaitsForAnUpdate(t *testing.T) {
	w := begin(t)
	w.corpus("wf-HumanTaskWorkflow.json")
	r := w.start("human_task_workflow", nil)
	r.want(fsm.Running, "human_task IN_PROGRESS")
	for _, q := range []string{"HUMAN", "HUMAN_human_task"} {
		w.wantNothing(q)
	}
	w.pass(100 * 24 * time.Hour)
	r.update("human_task", fsm.TaskStatusCompleted, m{"customer_id": 7})
	r.want(fsm.Running, "human_task COMPLETED", "get_customer SCHEDULED")
	wantAt(t, r.task("get_customer").Input, "customer_id", 7)
	r = w.start("human_task_workflow", nil)
	r.update("human_task", fsm.TaskStatusFailed, nil)
	r.want(fsm.Failed, "human_task FAILED")
}

// B113: a signal to the parent completes the WAIT inside its child; child and parent
// complete, and the answer names the task that it ended.
func TestB113SignalReachesTheChild(t *testing.T) {
	w := begin(t)
	w.corpus("wf-signal_sub_wf_parent_integration_test.json", "wf-signal_sub_wf_child_integration_test.json")
	r := w.start("signal_sub_wf_parent", nil)
	c := r.child("sub_wf_ref")
	c.want(fsm.Running, "wait_in_sub_ref IN_PROGRESS")
	answer := w.must(&fsm.Signal{Exec: r.id, Output: js(m{"signed": true})})
	if answer.Task != c.task("wait_in_sub_ref").ID {
		t.Errorf("the answer names %s, want %s", answer.Task, c.task("wait_in_sub_ref").ID)
	}
	c.want(fsm.Completed, "wait_in_sub_ref COMPLETED")
	wantJSON(t, c.task("wait_in_sub_ref").Output, m{"signed": true})
	r.want(fsm.Completed, "sub_wf_ref COMPLETED")
}
