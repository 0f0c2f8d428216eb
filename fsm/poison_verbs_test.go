package fsm

import "testing"

func TestFaultInTheSweepOfAVerbPausesItsExecutionOnly(t *testing.T) {
	w := newPoisoned(t)
	w.define(forked)
	w.taskType(`{"name":"a","retryCount":0}`)
	id, other := w.start("forked", `{}`), w.start("forked", `{}`)
	for _, x := range []ExecID{id, other} {
		w.must(&UpdateTask{Exec: x, Ref: "t1", Status: TaskStatusFailed})
	}
	heal := w.poison(TaskID{Exec: id, Serial: 3})
	w.must(&RetryExecution{Exec: id})
	w.must(&RetryExecution{Exec: other})
	w.wantFaulted(id)
	if e := w.execution(other); e.Status != Running {
		t.Fatalf("the other: %s", e.Status)
	}
	if r := w.do(&RetryExecution{Exec: id}); r.Rejection == nil || r.Rejection.Code != Busy {
		t.Fatalf("got %+v", r)
	}
	w.must(&ResumeExecution{Exec: id}) // too early
	w.wantFaulted(id)
	heal()
	w.must(&ResumeExecution{Exec: id})
	w.wantTable(id, "1 f COMPLETED", "2 t1 FAILED", "3 t2 CANCELED", "4 j IN_PROGRESS", "5 t1 SCHEDULED retry=1", "6 t2 SCHEDULED retry=1")
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestFaultInABulkIsThatOfOneExecution(t *testing.T) {
	w := newPoisoned(t)
	w.define(twoSteps)
	id, other := w.start("two", `{}`), w.start("two", `{}`)
	w.alter(func(s *State) { // a plan that is not there
		e, _ := s.executions.get(id)
		s.executions.mut(e).plan += 1000
	})
	r := w.must(&Bulk{Verb: BulkPause, IDs: []ExecID{id, other}})
	if x := r.Items[0].Rejection; x == nil || x.Code != Faulted {
		t.Errorf("got %+v", x)
	}
	if r.Items[1].Rejection != nil || w.execution(other).Status != Paused {
		t.Errorf("the other: %+v", r.Items[1])
	}
}

func TestAParentAtFaultHearsOfItsChildWhenItIsResumed(t *testing.T) {
	for _, remove := range []bool{false, true} {
		w := newPoisoned(t)
		w.define(twoSteps, `{"name":"p","version":1,"schemaVersion":2,"tasks":[
 {"name":"n","taskReferenceName":"n","type":"NOOP"},{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"two"}}]}`)
		w.taskType(`{"name":"a","retryCount":0}`)
		id := w.start("p", `{}`)
		task, _ := w.a.View().Task(TaskID{Exec: id, Serial: 2})
		w.must(&UpdateTask{Exec: task.Child, Ref: "t1", Status: TaskStatusFailed})
		heal := w.poison(TaskID{Exec: id, Serial: 1})
		w.must(&RetryExecution{Exec: task.Child})
		w.wantFaulted(id)
		w.must(&UpdateTask{Exec: task.Child, Ref: "t1", Status: TaskStatusCompleted})
		w.must(&UpdateTask{Exec: task.Child, Ref: "t2", Status: TaskStatusCompleted})
		if remove {
			w.must(&DeleteExecution{Exec: task.Child})
		}
		if out := w.tick(0); out.More {
			t.Fatal("the agenda does not drain")
		}
		heal()
		w.finished(id)
		if _, ok := w.a.executions.get(task.Child); ok == remove {
			t.Errorf("deleted %v, and the child is there: %v", remove, ok)
		}
	}
}
