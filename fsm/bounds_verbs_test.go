package fsm

import (
	"fmt"
	"testing"
)

// verbAtOnce gives a command alone and wants the verb to show at once, the entry and
// each of the sweep behind it to be bounded, and nothing to be left of it.
func (w *twin) verbAtOnce(b Body) {
	w.t.Helper()
	n, out := w.changes(&Entry{Commands: []*Command{{Body: b}}})
	if out.Results[0].Rejection != nil {
		w.t.Fatalf("%T: %v", b, out.Results[0].Rejection)
	}
	if n > entryBound {
		w.t.Errorf("%T changed %d rows and records", b, n)
	}
	if n := w.settle(); n > entryBound {
		w.t.Errorf("an entry behind %T changed %d rows and records", b, n)
	}
	if n := w.a.agenda.tree.Len() + w.a.held.tree.Len(); n > 0 {
		w.t.Errorf("%T left %d rows of work", b, n)
	}
	if err := w.a.Verify(Full); err != nil {
		w.t.Fatalf("%T: %v", b, err)
	}
}

func (w *twin) count(id ExecID, status TaskStatus) (n int) {
	for t := range w.a.View().Tasks(id, 0) {
		if t.Status == status {
			n++
		}
	}
	return n
}

func TestVerbsOnAWideExecutionAreBounded(t *testing.T) {
	width := int(envInt(t, "PAWL_WIDTH", 3000)) // at most 9,900, for the bound on steps
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(wide(width, wideTask))
	w.taskType(`{"name":"a","retryCount":0}`)
	id := w.start("wide", `{}`)
	w.settle()
	want := func(status TaskStatus, n int) {
		t.Helper()
		if got := w.count(id, status); got != n {
			t.Fatalf("%d records are %s, want %d", got, status, n)
		}
	}
	fail := func(serial uint32) {
		t.Helper()
		w.verbAtOnce(&UpdateTask{Task: TaskID{Exec: id, Serial: serial}, Status: TaskStatusFailed})
	}
	fail(5)
	want(TaskStatusCanceled, width) // with the join
	w.verbAtOnce(&RetryExecution{Exec: id})
	want(TaskStatusScheduled, width)
	fail(uint32(width + 5))
	w.verbAtOnce(&RerunExecution{Exec: id, Task: TaskID{Exec: id, Serial: 4}})
	want(TaskStatusScheduled, width)
	if n := w.execution(id).Tasks; n != width+2 {
		t.Fatalf("%d records", n)
	}
	fail(4)
	w.verbAtOnce(&RerunExecution{Exec: id, Task: TaskID{Exec: id, Serial: 1}})
	want(TaskStatusScheduled, width)
	w.verbAtOnce(&TerminateExecution{Exec: id})
	w.verbAtOnce(&RestartExecution{Exec: id})
	want(TaskStatusScheduled, width)
	w.verbAtOnce(&ResetCallbacks{Exec: id})
	w.verbAtOnce(&DeleteExecution{Exec: id, Force: true})
	if n := w.a.tasks.tree.Len() + w.a.latest.tree.Len() + w.a.bad.tree.Len() + w.a.ready.tree.Len() + w.a.openTasks.Len() + w.a.executions.tree.Len(); n > 0 {
		t.Errorf("%d rows are left of an execution that was deleted", n)
	}
}

func TestAJumpOverAWideForkIsBounded(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	source := wide(3000, wideTask)
	w.define(source[:len(source)-2] + `,{"name":"a","taskReferenceName":"after","type":"SIMPLE"}]}`)
	out := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "wide"}}}}) // and not all of it is made
	id := out.Results[0].Exec
	w.verbAtOnce(&JumpTo{Exec: id, Ref: "after"})
	if n := w.count(id, TaskStatusScheduled); n != 1 {
		t.Errorf("%d records are open", n)
	}
	w.verbAtOnce(&UpdateTask{Exec: id, Ref: "after", Status: TaskStatusCompleted})
	if e := w.execution(id); e.Status != Completed {
		t.Errorf("got %s", e.Status)
	}
}

func TestVerbsOnATreeAreBoundedAndLeaveNothingBehind(t *testing.T) {
	width := int(envInt(t, "PAWL_WIDTH", 600))
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(`{"name":"kid","version":1,"schemaVersion":2,"tasks":[{"name":"a","taskReferenceName":"t","type":"SIMPLE"}]}`, wide(width, wideChild))
	w.taskType(`{"name":"a","retryCount":0}`)
	id := w.start("wide", `{}`)
	w.settle()
	running := func(n int) {
		t.Helper()
		if got := w.a.View().List(ListQuery{Definition: "kid", Status: Running}).Total; got != n {
			t.Fatalf("%d children run, want %d", got, n)
		}
	}
	child := func(serial int) ExecID {
		info, _ := w.a.View().Task(TaskID{Exec: id, Serial: uint32(serial)})
		return info.Child
	}
	w.verbAtOnce(&UpdateTask{Exec: child(3), Ref: "t", Status: TaskStatusFailed})
	running(0)
	w.verbAtOnce(&RetryExecution{Exec: child(3)}) // its siblings go on with it
	running(width)
	if e := w.execution(id); e.Status != Running || w.count(id, TaskStatusInProgress) != width+1 {
		t.Fatalf("%s, %d in progress", e.Status, w.count(id, TaskStatusInProgress))
	}
	w.verbAtOnce(&TerminateExecution{Exec: id})
	w.verbAtOnce(&RetryExecution{Exec: id, ResumeSubworkflows: true})
	running(width)
	w.verbAtOnce(&TerminateExecution{Exec: id})
	w.verbAtOnce(&RetryExecution{Exec: id}) // with new ones
	running(width)
	if n := w.execution(id).Tasks; n != 2*width+2 {
		t.Fatalf("%d records", n)
	}
	w.verbAtOnce(&TerminateExecution{Exec: id})
	w.verbAtOnce(&RestartExecution{Exec: id})
	running(width)
	w.verbAtOnce(&DeleteExecution{Exec: id, Force: true})
	running(0)
}

func TestOneBulkOfAThousandIsBounded(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(twoSteps)
	var ids []ExecID
	for range MaxBulk {
		ids = append(ids, w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "two"}}}}).Results[0].Exec)
	}
	for _, v := range []BulkVerb{BulkPause, BulkResume, BulkSetVariables, BulkJump, BulkResetCallbacks, BulkDecide, BulkTerminate,
		BulkRestart, BulkSkip, BulkTerminate, BulkRetry, BulkTerminate, BulkRerun, BulkTerminateDelete} {
		b := &Bulk{Verb: v, IDs: ids, Ref: "t2", Input: []byte(`{"v":1}`)}
		w.verbAtOnce(b)
	}
	if n := w.a.executions.tree.Len(); n != 0 {
		t.Errorf("%d executions are left", n)
	}
}

func TestABulkThatIsAskedForAgainGivesTheFirstAnswer(t *testing.T) {
	w := newTwin(t)
	w.define(twoSteps)
	id, other := w.start("two", `{}`), ExecID{Hi: 8 << 12, Lo: 1 << 63}
	ask := func() Result {
		return w.apply(&Entry{Commands: []*Command{{RequestID: RequestID{7}, Body: &Bulk{Verb: BulkTerminate, IDs: []ExecID{id, other}}}}}).Results[0]
	}
	first := ask()
	restored, err := Load(copyTables(w.a.View()), w.a.Digest())
	if err != nil {
		t.Fatal(err)
	}
	w.b = restored
	again := ask()
	if !again.Repeated || fmt.Sprint(again.Items[0].Rejection, again.Items[1].Rejection.Code, again.Items[1].Rejection.Message) !=
		fmt.Sprint(first.Items[0].Rejection, first.Items[1].Rejection.Code, first.Items[1].Rejection.Message) {
		t.Errorf("got %+v, first %+v", again, first)
	}
}
