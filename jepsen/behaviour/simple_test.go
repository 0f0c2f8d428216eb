package behaviour

import (
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// B1: two tasks run one after the other; each is SCHEDULED, IN_PROGRESS when polled and
// COMPLETED when done, the second gets input from the first, and the workflow's output
// is what outputParameters say.
func TestB001TasksRunOneAfterAnother(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_1_integration_test.json")
	r := w.start("integration_test_wf", m{"param1": "one", "param2": "two"})
	r.want(fsm.Running, "t1 SCHEDULED")
	w.lease(r.task("t1").ID)
	r.want(fsm.Running, "t1 IN_PROGRESS")
	r.complete("t1", m{"op": "x"})
	r.want(fsm.Running, "t1 COMPLETED", "t2 SCHEDULED")
	wantAt(t, r.task("t2").Input, "tp1", "one")
	wantAt(t, r.task("t2").Input, "tp2", "x")
	r.complete("t2", nil)
	r.want(fsm.Completed, "t1 COMPLETED", "t2 COMPLETED")
	wantJSON(t, r.info().Output, m{"o1": "one", "o2": nil, "o3": "x"})
}

// B2: an input that is null stays a key with null, in the workflow's input and in the
// task's, whether the caller or the definition gives it.
func TestB002NullInputsAreKept(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_1_integration_test.json")
	r := w.start("integration_test_wf", m{"param1": "one", "param2": nil})
	r.want(fsm.Running, "t1 SCHEDULED")
	wantJSON(t, r.info().Input, m{"param1": "one", "param2": nil})
	wantJSON(t, r.task("t1").Input, m{"p1": "one", "p2": nil, "p3": r.task("t1").ID.String(), "someNullKey": nil})
}

// B3: null members of a task's output are kept at any depth, and keys that differ in
// case only stay two keys.
func TestB003NullOutputsAreKept(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	r.complete("t1", `{"someKey":null,"someOtherKey":{"a":1,"A":null}}`)
	wantJSON(t, r.task("t1").Output, m{"someKey": nil, "someOtherKey": m{"a": 1, "A": nil}})
}

// B4: a worker reports FAILED_WITH_TERMINAL_ERROR: there is no retry, the workflow is
// FAILED with the task's id and the worker's reason, and names the failed task.
func TestB004TerminalErrorIsNotRetried(t *testing.T) {
	w := begin(t)
	w.taskTypes(1, "type1")
	r := w.startFlow(flow("f", simple("t1", m{"name": "type1"}), simple("t2")), nil)
	r.failForGood("t1", "it is broken for good", m{"some": "output"})
	r.want(fsm.Failed, "t1 FAILED_WITH_TERMINAL_ERROR")
	failed := r.task("t1")
	if failed.Retry != 0 || failed.Retried {
		t.Errorf("retry count %d, retried %v; want 0, false", failed.Retry, failed.Retried)
	}
	wantJSON(t, failed.Output, m{"some": "output"})
	r.wantReason(failed.ID.String(), "it is broken for good")
	wantList(t, r.info().FailedRefs, "t1")
	if at := r.info().FailedTask; at != failed.ID || failed.Name != "type1" {
		t.Errorf("the failed task is %s %q, want %s %q", at, failed.Name, failed.ID, "type1")
	}
}

// B5: restart of a running workflow is refused as a conflict and changes nothing.
func TestB005RestartOfARunningWorkflowIsRefused(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1")), nil)
	w.refused(restart(r, false), fsm.Conflict, "not in terminal state")
}

// B6: a polled task whose worker is silent for longer than responseTimeoutSeconds is
// TIMED_OUT and made again; meanwhile it is handed out to nobody else.
func TestB006SilentWorkerTimesOut(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_with_resp_time_out_integration_test.json")
	w.taskType("task_rt", m{"retryCount": 1, "responseTimeoutSeconds": 10})
	r := w.start("RTOWF", m{"param1": "one"})
	w.mustPoll("task_rt")
	w.wantNothing("task_rt")
	w.pass(9 * time.Second)
	r.want(fsm.Running, "t1 IN_PROGRESS")
	w.pass(time.Second)
	r.want(fsm.Running, "t1 TIMED_OUT", "t1 SCHEDULED")
	if n := w.waiting("task_rt"); n != 1 {
		t.Errorf("the queue holds %d, want 1", n)
	}
	if l := w.mustPoll("task_rt"); l.Task != r.task("t1").ID {
		t.Errorf("polled %s, want the second attempt %s", l.Task, r.task("t1").ID)
	}
}

// B7: an update with IN_PROGRESS and callbackAfterSeconds gives the same record back to
// the queue: SCHEDULED, counted, invisible to polls until the time has passed.
func TestB007CallbackHidesTheTaskForItsTime(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1")), nil)
	first := w.mustPoll("t1")
	w.must(&fsm.UpdateTask{Task: first.Task, Status: fsm.TaskStatusInProgress, CallbackSeconds: 2})
	r.want(fsm.Running, "t1 SCHEDULED")
	if r.task("t1").ID != first.Task {
		t.Errorf("the record is %s, want %s", r.task("t1").ID, first.Task)
	}
	w.wantNothing("t1")
	if n := w.waiting("t1"); n != 1 {
		t.Errorf("the queue holds %d, want 1", n)
	}
	w.pass(1999 * time.Millisecond)
	w.wantNothing("t1")
	w.pass(time.Millisecond)
	if l := w.mustPoll("t1"); l.Task != first.Task {
		t.Errorf("polled %s, want the same task %s", l.Task, first.Task)
	}
}

// B8: tasks that come back IN_PROGRESS with output are no new attempts, and what they
// reported is merged into the final output.
func TestB008CallbacksKeepAndMergeOutput(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	r.callBack("t1", 2)
	r.callBack("t2", 5)
	r.want(fsm.Completed, "t1 COMPLETED", "t2 COMPLETED")
	for _, ref := range []string{"t1", "t2"} {
		wantJSON(t, r.task(ref).Output, m{"progress": 1, "both": "last", "done": true})
		if r.task(ref).Retry != 0 {
			t.Errorf("%s is attempt %d, want the first", ref, r.task(ref).Retry)
		}
	}
}

// callBack polls a task, gives it back for some seconds, polls it again and completes it.
func (r *run) callBack(ref string, seconds int32) {
	r.w.t.Helper()
	l := r.w.lease(r.task(ref).ID)
	r.w.must(&fsm.ProgressTask{Task: l.Task, Lease: l.Lease, Output: js(m{"progress": 1, "both": "first"}), CallbackSeconds: seconds})
	r.w.wantNothing(string(l.Queue))
	r.w.pass(time.Duration(seconds) * time.Second)
	r.complete(ref, m{"both": "last", "done": true})
}

// B9: restart of a FAILED workflow keeps its id, deletes its records and begins at the
// first task.
func TestB009RestartBeginsAnew(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), m{"a": 1})
	r.fail("t1", "no")
	r.want(fsm.Failed, "t1 FAILED")
	old := r.task("t1").ID
	w.must(restart(r, false))
	r.want(fsm.Running, "t1 SCHEDULED")
	if _, ok := w.at().Task(old); ok || r.task("t1").ID == old {
		t.Errorf("the old record %s is still there", old)
	}
	if e := r.info(); e.Reason != "" || e.Ended != 0 || len(e.FailedRefs) != 0 {
		t.Errorf("reason %q, ended %d, failed %v; want none", e.Reason, e.Ended, e.FailedRefs)
	}
	r.completes("t1", "t2")
	r.want(fsm.Completed, "t1 COMPLETED", "t2 COMPLETED")
}

// B10: restart with useLatestDefinitions runs the newest version.
func TestB010RestartWithTheLatestDefinition(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	r.fail("t1", "no")
	w.define(with(flow("f", simple("t1"), simple("t2"), simple("t3")), m{"version": 2}))
	w.must(restart(r, true))
	r.completes("t1", "t2", "t3")
	r.want(fsm.Completed, "t1 COMPLETED", "t2 COMPLETED", "t3 COMPLETED")
	if v := r.info().Version; v != 2 {
		t.Errorf("version %d, want 2", v)
	}
}

// B11: each retry is a new record that names the attempt before it, made after the
// delay; a reference that failed on the way stays in the failed names.
func TestB011RetriesNameTheAttemptBefore(t *testing.T) {
	w := begin(t)
	w.taskType("t2", m{"retryCount": 3, "retryDelaySeconds": 2})
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	r.complete("t1", nil)
	for range 2 {
		r.fail("t2", "no")
		w.wantNothing("t2")
		w.pass(2 * time.Second)
	}
	r.complete("t2", nil)
	r.want(fsm.Completed, "t1 COMPLETED", "t2 FAILED", "t2 FAILED", "t2 COMPLETED")
	all := r.attempts("t2")
	for i, a := range all {
		if int(a.Retry) != i || i > 0 && a.RetriedOf != all[i-1].ID || a.Retried != (i < 2) {
			t.Errorf("attempt %d: retry count %d, retried of %s, retried %v", i, a.Retry, a.RetriedOf, a.Retried)
		}
	}
	wantList(t, r.info().FailedRefs, "t2")
}

// B12: the retry call adds a third attempt after two that failed, with its own task id
// in ${CPEWF_TASK_ID}; the failed names still hold the task after it completed.
func TestB012RetryAddsAnAttempt(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_1_integration_test.json")
	w.integration(1)
	r := w.start("integration_test_wf", m{"param1": "one", "param2": "two"})
	r.fail("t1", "no")
	r.fail("t1", "no again")
	r.want(fsm.Failed, "t1 FAILED", "t1 FAILED")
	w.must(retry(r, false))
	r.want(fsm.Running, "t1 FAILED", "t1 FAILED", "t1 SCHEDULED")
	if reason := r.info().Reason; reason != "" {
		t.Errorf("reason %q, want none", reason)
	}
	for _, a := range r.attempts("t1") {
		wantAt(t, a.Input, "p3", a.ID.String())
	}
	r.completes("t1", "t2")
	r.wantN(fsm.Completed, 4)
	wantList(t, r.info().FailedRefs, "t1")
}

// B13: an inline definition without tasks completes at once and has no record.
func TestB013NoTasksCompleteAtOnce(t *testing.T) {
	w := begin(t)
	r := w.startWith(&fsm.StartExecution{Definition: js(flow("empty"))})
	r.wantN(fsm.Completed, 0)
}

// B14: a SIMPLE task whose type nobody registered is scheduled under its name and can be
// polled.
func TestB014UnregisteredTaskTypesWork(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1", m{"name": "nobody_registered_me"})), nil)
	r.want(fsm.Running, "t1 SCHEDULED")
	if l := w.mustPoll("nobody_registered_me"); l.Task != r.task("t1").ID {
		t.Errorf("polled %s", l.Task)
	}
	r.complete("t1", nil)
	r.wantStatus(fsm.Completed)
}

// B15: the inputTemplate of a task type is in the task's input, with every expression at
// any depth resolved and types kept.
func TestB015InputTemplateIsResolved(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"inputTemplate": m{
		"http":   m{"url": "${workflow.input.url}", "list": l{1, "${workflow.input.n}", m{"deep": "${workflow.input.o}"}}},
		"number": "${workflow.input.n}", "object": "${workflow.input.o}", "text": "n is ${workflow.input.n}", "own": "template",
	}})
	r := w.startFlow(flow("f", simple("t1", in(m{"own": "step"}))), m{"url": "u", "n": 7, "o": m{"k": l{1.5, nil}}})
	wantJSON(t, r.task("t1").Input, m{
		"http":   m{"url": "u", "list": l{1, 7, m{"deep": m{"k": l{1.5, nil}}}}},
		"number": 7, "object": m{"k": l{1.5, nil}}, "text": "n is 7", "own": "step",
	})
}

// B16: the inputTemplate of a workflow gives values that the caller does not; what the
// caller gives wins.
func TestB016WorkflowInputTemplateGivesDefaults(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_1_input_template_integration_test.json")
	r := w.start("integration_test_template_wf", m{"param3": "mine"})
	object, words := m{"nested_object": m{"nested_key": "nested_value"}}, l{"list", "of", "strings"}
	wantAt(t, r.task("t1").Input, "p1", object)
	wantAt(t, r.task("t1").Input, "p2", words)
	r.complete("t1", m{"op": 1})
	wantJSON(t, r.info().Output, m{"output": 1, "param1": object, "param2": words, "param3": "mine"})
}

// B17: ${ref.endTime} is the real time in milliseconds at which a task ended.
func TestB017EndTimeCanBeRead(t *testing.T) {
	w := begin(t)
	w.corpus("wf-end_time_workflow.json")
	r := w.start("end_time_issue_wf", nil)
	w.pass(1234 * time.Millisecond)
	r.complete("simple_ref", nil)
	end := r.task("simple_ref").Ended
	if end != w.now {
		t.Fatalf("it ended at %d, want %d", end, w.now)
	}
	r.wantTasks("inline_ref COMPLETED")
	wantAt(t, r.task("inline_ref").Output, "result", end)
	wantAt(t, r.task("simple_2_ref").Input, "endTime", end)
	w.pass(time.Second)
	r.complete("simple_2_ref", nil)
	wantAt(t, r.task("simple_ref_3").Input, "endTime", end)
}

// B18: the task of the workflow with the higher priority is polled first, and never one
// of a workflow that was terminated.
func TestB018PriorityDecidesAndEndedWorkflowsGiveNothing(t *testing.T) {
	w := begin(t)
	w.define(flow("f", simple("t1")))
	low := w.startWith(&fsm.StartExecution{Name: "f", Priority: 1})
	high := w.startWith(&fsm.StartExecution{Name: "f", Priority: 2})
	gone := w.startWith(&fsm.StartExecution{Name: "f", Priority: 3})
	gone.terminate("no more")
	if l := w.mustPoll("t1"); l.Task.Exec != high.id {
		t.Errorf("polled %s first, want %s with priority 2", l.Task.Exec, high.id)
	}
	if l := w.mustPoll("t1"); l.Task.Exec != low.id {
		t.Errorf("polled %s, want %s", l.Task.Exec, low.id)
	}
	w.wantNothing("t1")
}

// B19: skipping a task that was not scheduled makes a SKIPPED record at once; the flow
// jumps over it.
func TestB019SkippedTaskIsJumpedOver(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_3_integration_test.json")
	r := w.start("integration_test_wf3", m{"param1": "one"})
	before := show(r.task("t1"))
	w.must(skip(r, "t2", nil, nil))
	r.want(fsm.Running, "t1 SCHEDULED", "t2 SKIPPED")
	if after := show(r.task("t1")); after != before {
		t.Errorf("t1 changed:\n%s\n%s", before, after)
	}
	r.complete("t1", nil)
	r.want(fsm.Running, "t1 COMPLETED", "t2 SKIPPED", "t3 SCHEDULED")
	r.complete("t3", nil)
	r.want(fsm.Completed, "t1 COMPLETED", "t2 SKIPPED", "t3 COMPLETED")
}

// B20: while a workflow is PAUSED its running task may complete, but nothing follows,
// not by a decide call either; resume goes on.
func TestB020PauseHoldsWhatFollows(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	w.mustPoll("t1")
	r.pause()
	r.complete("t1", nil)
	r.want(fsm.Paused, "t1 COMPLETED")
	w.must(decide(r))
	w.wantNothing("t2")
	r.want(fsm.Paused, "t1 COMPLETED")
	r.resume()
	r.want(fsm.Running, "t1 COMPLETED", "t2 SCHEDULED")
	r.complete("t2", nil)
	r.want(fsm.Completed, "t1 COMPLETED", "t2 COMPLETED")
}

// B21: without outputParameters the workflow's output is that of the last task; with
// them it has their keys only.
func TestB021OutputIsTheLastTasksOrTheParameters(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	r.complete("t1", m{"a": 1})
	r.complete("t2", m{"b": 2})
	wantJSON(t, r.info().Output, m{"b": 2})
	r = w.startFlow(with(flow("g", simple("t1"), simple("t2")), m{"outputParameters": m{"only": "${t1.output.a}"}}), nil)
	r.complete("t1", m{"a": 1})
	r.complete("t2", m{"b": 2})
	wantJSON(t, r.info().Output, m{"only": 1})
}
