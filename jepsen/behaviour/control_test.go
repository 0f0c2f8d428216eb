package behaviour

import (
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// B161: retry of a RUNNING workflow, of a FAILED one without records, and of one with
// nothing left to retry, is refused as a conflict and changes nothing.
func TestB161RetryIsRefused(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	w.refused(retry(r, false), fsm.Conflict, "still running")
	r.complete("t1", nil)
	r.complete("t2", nil)
	w.refused(retry(r, false), fsm.NothingToRetry, "")
	r = w.startFlow(flow("f", simple("t1"), terminate("end", "FAILED")), nil)
	r.complete("t1", nil)
	r.wantStatus(fsm.Failed)
	w.refused(retry(r, false), fsm.NothingToRetry, "There are no retryable tasks")
	w.taskTypes(1, "t1")
	r = w.startFlow(flow("f", simple("t1"), terminate("end", "FAILED")), nil)
	r.fail("t1", "no")
	r.complete("t1", nil)
	r.want(fsm.Failed, "t1 FAILED", "t1 COMPLETED", "end COMPLETED")
	w.refused(retry(r, false), fsm.NothingToRetry, "There are no retryable tasks")
	empty := w.startFlow(flow("g", step("DYNAMIC", "d", m{"dynamicTaskNameParam": "name"})), nil)
	empty.wantN(fsm.Failed, 0)
	w.refused(retry(empty, false), fsm.Conflict, "")
}

// B162: rerun of a RUNNING workflow is refused as a conflict; from a task that is not in it
// it is refused too.
func TestB162RerunIsRefused(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	w.define(flow("f", simple("t1")))
	r, other := w.start("f", nil), w.start("f", nil)
	w.refused(rerun(r), fsm.Conflict, "not in terminal state")
	r.fail("t1", "no")
	foreign := other.task("t1").ID
	rejection := w.do(rerunFrom(r, foreign, nil)).Rejection
	if rejection == nil || !strings.Contains(rejection.Error(), foreign.String()) {
		t.Errorf("rerun from a task of another workflow: %v, want a rejection that names it", rejection)
	}
	r.want(fsm.Failed, "t1 FAILED")
}

// B163: retry with three failed branches and one canceled makes one new record for each
// reference, from its newest attempt.
func TestB163RetryOfManyBranches(t *testing.T) {
	w := begin(t)
	w.taskTypes(1, "a", "b", "c")
	r := w.startFlow(flow("f", fork("fork", list(simple("a", permissive)), list(simple("b", permissive)), list(simple("c")), list(simple("d"))),
		join("join", "a", "b", "c", "d")), nil)
	for _, ref := range []string{"a", "b", "c"} {
		r.fail(ref, "no")
		r.fail(ref, "no again")
	}
	r.wantN(fsm.Failed, 9)
	w.must(retry(r, false))
	r.wantStatus(fsm.Running)
	for ref, n := range map[string]int{"c": 3, "d": 2} {
		all := r.attempts(ref)
		if len(all) != n || all[n-1].Status != fsm.TaskStatusScheduled || all[n-1].RetriedOf != all[n-2].ID {
			t.Errorf("%s has the attempts %v", ref, all)
		}
	}
	for _, ref := range []string{"a", "b"} {
		if n := len(r.attempts(ref)); n > 3 {
			t.Errorf("%s has %d attempts, want 3 at most", ref, n)
		}
	}
	for _, ref := range []string{"a", "b", "c", "d"} {
		if !r.task(ref).Status.Terminal() {
			r.complete(ref, nil)
		}
	}
	if !r.info().Status.Terminal() {
		t.Errorf("the workflow is %s after all branches ended: %v", r.info().Status, r.lines())
	}
}

// B164: rerun from a system task executes it again at once, and the flow goes on.
func TestB164RerunFromASystemTask(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "last")
	r := w.startFlow(flow("f", simple("first"), setVariable("v", m{"a": "${workflow.input.a}"}), jq("q", ".x + 1", m{"x": "${workflow.input.a}"}), simple("last")), m{"a": 1})
	r.complete("first", nil)
	r.fail("last", "no")
	r.wantStatus(fsm.Failed)
	for _, ref := range []string{"v", "q"} {
		id := r.task(ref).ID
		w.must(rerunFrom(r, id, nil))
		r.want(fsm.Running, "first COMPLETED", "v COMPLETED", "q COMPLETED", "last SCHEDULED")
		if r.task(ref).ID != id {
			t.Errorf("%s is another record", ref)
		}
		wantAt(t, r.task("q").Output, "result", 2)
		r.fail("last", "no")
	}
}

// B165: a verb that cannot be done answers with an error and leaves the state as before,
// never half done; reads go on.
//
// Different: the original's queue may fail while its store works. Here a verb and all that
// follows from it are one entry of the log, so there is no part that could fail alone.
func TestB165VerbsAreWholeOrNothing(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	r := w.startFlow(flow("f", fork("fork", list(simple("t1")), list(simple("t2"))), join("join", "t1", "t2")), nil)
	w.refused(&fsm.ResumeExecution{Exec: r.id}, fsm.Conflict, "not PAUSED")
	w.refused(restart(r, false), fsm.Conflict, "")
	w.refused(retry(r, false), fsm.Conflict, "")
	r.fail("t1", "no")
	w.refused(&fsm.PauseExecution{Exec: r.id}, fsm.Conflict, "has ended")
	// The same entry holds a verb that is done and one that is not: each is whole.
	answers := w.send(retry(r, false), retry(r, false))
	w.quiet()
	if answers[0].Rejection != nil || answers[1].Rejection == nil {
		t.Errorf("answers %v and %v, want the first done and the second refused", answers[0].Rejection, answers[1].Rejection)
	}
	r.wantStatus(fsm.Running)
	if n := len(w.polls("t1", 10)) + len(w.polls("t2", 10)); n != 2 {
		t.Errorf("%d tasks to poll, want 2", n)
	}
}

// B166: the task after a completed one is made by the same write, so it can be polled
// without anybody's help.
//
// Different: there is no second write that could fail between the two.
func TestB166NextTaskIsMadeWithTheCompletion(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	l := w.mustPoll("t1")
	w.slot++
	out := w.apply(&fsm.Entry{
		Commands: []*fsm.Command{{Body: &fsm.CompleteTask{Task: l.Task, Lease: l.Lease}}},
		Offers:   []fsm.Offer{{Slot: fsm.Slot{Node: node, Boot: 1, N: w.slot}, Queue: "t2", Worker: "worker"}},
	})
	if len(out.Grants) != 1 || out.Grants[0].Task != r.task("t2").ID {
		t.Errorf("the same entry grants %v, want t2", out.Grants)
	}
}

// B167: a removed workflow cannot be read and its tasks cannot be polled.
func TestB167RemovedWorkflowIsGone(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1")), nil)
	task := r.task("t1").ID
	w.must(remove(r))
	if _, ok := w.at().Execution(r.id); ok {
		t.Error("it can be read")
	}
	if _, ok := w.at().Task(task); ok {
		t.Error("its task can be read")
	}
	w.wantNothing("t1")
	w.refused(&fsm.TerminateExecution{Exec: r.id}, fsm.NotFound, r.id.String())
}

// B169: an update of a task whose workflow has ended is accepted and changes nothing.
func TestB169LateUpdatesChangeNothing(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	l := w.mustPoll("t1")
	r.terminate("enough")
	before := r.snapshot()
	answer := w.must(&fsm.UpdateTask{Task: l.Task, Status: fsm.TaskStatusCompleted, Output: js(m{"late": 1})})
	if !answer.Ignored {
		t.Errorf("the answer is %+v, want it ignored", answer)
	}
	if after := r.snapshot(); after != before {
		t.Errorf("it changed:\n%s\n%s", before, after)
	}
}

// B173: what the server starts itself is started once: a child has one parent record,
// which names it, however often machines restart or leaders change.
//
// Different: the child's id is not computed from its parent's; the record of the parent
// that holds it is what makes it one.
func TestB173ServerStartsOnce(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")))
	r := w.startFlow(flow("f", child("c", "sub")), nil)
	c := r.child("c")
	for range 5 {
		w.do(&fsm.BeginTerm{Node: node, Boot: 1, Gap: 1000})
		w.restore()
		w.must(decide(r))
	}
	if n := len(w.started("sub")); n != 1 || r.child("c").id != c.id {
		t.Errorf("%d children, want 1", n)
	}
	if c.info().Parent != r.task("c").ID {
		t.Errorf("the child's parent is %s, want %s", c.info().Parent, r.task("c").ID)
	}
}

// B168: a bulk call does what it can: good ids are done, each bad one has its own message.
// An empty list and one of more than a thousand are refused.
func TestB168BulkCallsJudgeEachId(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	w.define(flow("f", simple("t1")))
	running, failed, gone := w.start("f", nil), w.start("f", nil), &run{w, fsm.ExecID{Hi: 1 << 40, Lo: 1 << 63}}
	failed.fail("t1", "no")
	bulk := func(verb fsm.BulkVerb, rs ...*run) []string {
		t.Helper()
		b := &fsm.Bulk{Verb: verb, Reason: "enough"}
		for _, r := range rs {
			b.IDs = append(b.IDs, r.id)
		}
		var out []string
		for _, item := range w.must(b).Items {
			text := "done"
			if item.Rejection != nil {
				text = string(item.Rejection.Code)
			}
			out = append(out, text)
		}
		return out
	}
	wantList(t, bulk(fsm.BulkPause, running, failed, gone), "done", "conflict", "not_found")
	running.wantStatus(fsm.Paused)
	wantList(t, bulk(fsm.BulkResume, gone, running, failed), "not_found", "done", "conflict")
	running.wantStatus(fsm.Running)
	wantList(t, bulk(fsm.BulkRetry, running, failed), "conflict", "done")
	failed.want(fsm.Running, "t1 FAILED", "t1 SCHEDULED")
	failed.fail("t1", "no")
	wantList(t, bulk(fsm.BulkRestart, failed, gone, running), "done", "not_found", "conflict")
	failed.want(fsm.Running, "t1 SCHEDULED")
	wantList(t, bulk(fsm.BulkTerminate, failed, gone, running), "done", "not_found", "done")
	failed.wantStatus(fsm.Terminated)
	running.wantReason("enough")
	wantList(t, bulk(fsm.BulkDelete, failed, gone), "done", "not_found")
	if _, ok := w.at().Execution(failed.id); ok {
		t.Error("the removed workflow can be read")
	}
	w.refused(&fsm.Bulk{Verb: fsm.BulkPause}, fsm.Malformed, "WorkflowIds list cannot be null")
	many := &fsm.Bulk{Verb: fsm.BulkPause}
	for range 1001 {
		many.IDs = append(many.IDs, running.id)
	}
	w.refused(many, fsm.Malformed, "Cannot process more than 1000 workflows")
}

// B172: variables of a running workflow that a call sets are seen by later tasks.
func TestB172SetVariablesOfARunningWorkflow(t *testing.T) {
	w := begin(t)
	w.corpus("wf-sync_task_variable_updates.json")
	for value, taken := range map[string]string{"case1": "wait_task_ref_2", "case2": "wait_task_ref_1"} {
		r := w.start("sync_task_variable_updates", nil)
		r.want(fsm.Running, "inline_ref COMPLETED", "wait_task_ref IN_PROGRESS")
		w.must(&fsm.SetVariables{Exec: r.id, Variables: js(m{"case": value})})
		wantJSON(t, r.info().Variables, m{"case": value})
		r.update("wait_task_ref", fsm.TaskStatusCompleted, nil)
		r.want(fsm.Running, "inline_ref COMPLETED", "wait_task_ref COMPLETED", "switch_task_ref COMPLETED", taken+" IN_PROGRESS")
		r.update(taken, fsm.TaskStatusCompleted, nil)
		r.wantStatus(fsm.Completed)
		wantAt(t, r.task("json_transform_ref").Output, "result.0.user.id", 1)
	}
}
