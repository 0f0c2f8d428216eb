package fsm

import (
	"strings"
	"testing"
)

// misplace puts a record into a queue and a loop that are not there, so that taking it
// out of its place panics; the result heals it.
func (w *twin) misplace(id TaskID) (heal func()) {
	w.t.Helper()
	t, ok := w.a.tasks.get(id)
	if !ok {
		w.t.Fatalf("no task %s", id)
	}
	queue, loop := t.queue, t.loop
	set := func(q queueID, l uint32) {
		w.alter(func(s *State) {
			t, _ := s.tasks.get(id)
			t = s.tasks.mut(t)
			t.queue, t.loop = q, l
		})
	}
	set(9999, 9999)
	return func() { set(queue, loop) }
}

// overdraw lets an execution hold a part of a quota that nobody has counted, so that
// giving it back panics; the result heals it.
func (w *twin) overdraw(id ExecID) (heal func()) {
	set := func(q quotaState) {
		w.alter(func(s *State) {
			e, _ := s.executions.get(id)
			s.executions.mut(e).quotaState = q
		})
	}
	set(quotaHolds)
	return func() { set(quotaNone) }
}

func (w *twin) wantSwept(id ExecID, status Status) {
	w.t.Helper()
	if e, _ := w.a.executions.get(id); e.status != status || e.sweep != sweepNone || e.faulted || e.ending > 0 {
		w.t.Fatalf("got %s, sweep %d, faulted %v, %d ending", e.status, e.sweep, e.faulted, e.ending)
	}
}

func (w *twin) wantBusy(b Body) {
	w.t.Helper()
	if r := w.do(b); r.Rejection == nil || r.Rejection.Code != Busy || !strings.Contains(r.Rejection.Message, "resume it") {
		w.t.Fatalf("got %+v", r)
	}
}

func TestFaultInTheSweepBehindAnEndIsThatOfOneRecord(t *testing.T) {
	w := newPoisoned(t)
	w.define(twoSteps, `{"name":"p","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[
  [{"name":"a","taskReferenceName":"x","type":"SIMPLE"}],[{"name":"a","taskReferenceName":"y","type":"SIMPLE"}],
  [{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"two"}}]]},
 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["x","y","c"]}]}`)
	id := w.start("p", `{}`)
	child, _ := w.a.View().Task(TaskID{Exec: id, Serial: 4})
	heal := w.misplace(TaskID{Exec: id, Serial: 2})
	w.must(&TerminateExecution{Exec: id, Reason: "enough"})
	if out := w.tick(0); out.More {
		t.Fatal("the agenda does not drain")
	}
	w.wantTable(id, "1 f COMPLETED", "2 x__0 CANCELED", "3 y CANCELED", "4 c CANCELED", "5 j CANCELED")
	if e, y := w.execution(id), w.a.taskAt(&execution{id: id}, 3); e.Status != Terminated || e.Reason != "enough" || y.open() {
		t.Fatalf("got %s %q, the record beside it: %s", e.Status, e.Reason, y.status)
	}
	w.wantSwept(child.Child, Terminated)
	w.wantBusy(&RetryExecution{Exec: id})
	w.must(&ResumeExecution{Exec: id}) // too early
	w.wantBusy(&RetryExecution{Exec: id})
	heal()
	w.must(&ResumeExecution{Exec: id})
	w.wantSwept(id, Terminated)
	w.must(&RetryExecution{Exec: id})
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestFaultInTheEndOfAChildIsDoneAgain(t *testing.T) {
	w := newPoisoned(t)
	w.define(twoSteps, `{"name":"p","version":1,"schemaVersion":2,"tasks":[
 {"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"two"}}]}`)
	id := w.start("p", `{}`)
	task, _ := w.a.View().Task(TaskID{Exec: id, Serial: 1})
	heal := w.overdraw(task.Child)
	w.must(&TerminateExecution{Exec: id, Reason: "enough"})
	w.tick(0)
	w.wantFaulted(task.Child)
	heal()
	w.must(&ResumeExecution{Exec: task.Child})
	w.wantSwept(task.Child, Terminated)
	w.wantSwept(id, Terminated)
	if e := w.execution(task.Child); e.Reason != "Parent workflow has been terminated with reason: enough" {
		t.Errorf("got %q", e.Reason)
	}
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestAnExecutionAtFaultCanBeEndedAndDeleted(t *testing.T) {
	w := newPoisoned(t)
	w.define(forked)
	w.taskType(`{"name":"a","retryCount":0}`)
	id := w.start("forked", `{}`)
	w.must(&UpdateTask{Exec: id, Ref: "t1", Status: TaskStatusFailed})
	heal := w.poison(TaskID{Exec: id, Serial: 3})
	w.must(&RetryExecution{Exec: id})
	w.wantFaulted(id)
	heal()
	w.must(&TerminateExecution{Exec: id})
	w.tick(0)
	w.wantSwept(id, Terminated)
	w.must(&DeleteExecution{Exec: id})
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestFaultInAPurgeIsDoneAgain(t *testing.T) {
	for _, resume := range []bool{false, true} {
		w := newPoisoned(t)
		w.define(twoSteps, `{"name":"p","version":1,"schemaVersion":2,"tasks":[
 {"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"two"}}]}`)
		id := w.start("p", `{}`)
		task, _ := w.a.View().Task(TaskID{Exec: id, Serial: 1})
		heal := w.misplace(task.ID)
		w.must(&DeleteExecution{Exec: task.Child, Force: true})
		w.wantFaulted(id)
		if e, ok := w.a.executions.get(task.Child); !ok || !e.faulted || e.sweep != sweepPurging {
			t.Fatalf("got %+v", e)
		}
		heal()
		if resume {
			w.must(&ResumeExecution{Exec: id})
		} else {
			w.must(&DeleteExecution{Exec: task.Child})
			w.must(&ResumeExecution{Exec: id})
		}
		if _, ok := w.a.executions.get(task.Child); ok {
			t.Fatal("it is still there")
		}
		w.wantSwept(id, Terminated)
		if err := w.a.Verify(Full); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFaultInTheStartOfAFailureWorkflowIsTold(t *testing.T) {
	w := newPoisoned(t)
	w.define(`{"name":"fix","version":1,"schemaVersion":2,"tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`,
		`{"name":"w","version":1,"schemaVersion":2,"failureWorkflow":"fix","tasks":[{"name":"a","taskReferenceName":"t","type":"SIMPLE"}],"outputParameters":{"o":1}}`)
	for _, s := range []*State{w.a, w.b} {
		d, _ := s.lookup("fix", 0)
		p, _ := s.plans.get(d.plan)
		p.compiled = nil
	}
	id := w.start("w", `{}`)
	w.must(&UpdateTask{Exec: id, Ref: "t", Status: TaskStatusFailedTerminal})
	w.wantSwept(id, Failed)
	const want = `{"o":1,"conductor.failure_workflow":"Error workflow failed to start.  reason: the machine caught a fault of its own"}`
	if e := w.execution(id); string(e.Output) != want {
		t.Errorf("got %s", e.Output)
	}
	w.must(&RetryExecution{Exec: id})
}

func TestFaultInALeasePausesItsExecutionOnly(t *testing.T) {
	w := newPoisoned(t)
	w.define(twoSteps)
	id, other := w.start("two", `{}`), w.start("two", `{}`)
	heal := w.poison(TaskID{Exec: id, Serial: 1})
	w.poll("a")
	w.wantFaulted(id)
	if l := w.mustPoll("a"); l.Task.Exec != other {
		t.Fatalf("got a lease on %s", l.Task)
	}
	heal()
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
	w.must(&ResumeExecution{Exec: id})
	if l := w.mustPoll("a"); l.Task.Exec != id {
		t.Fatalf("got a lease on %s", l.Task)
	}
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}
