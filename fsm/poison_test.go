package fsm

import "testing"

// newPoisoned makes a twin whose machines roll faults back instead of failing the test.
func newPoisoned(t *testing.T) *twin {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.blind = true
	w.a.fault, w.b.fault = nil, nil
	return w
}

// alter changes a record behind the machine's back, in an entry of its own.
func (w *twin) alter(f func(s *State)) {
	w.index++
	for _, s := range []*State{w.a, w.b} {
		s.begin(w.index, &Entry{Time: w.now})
		f(s)
		s.finish()
	}
}

// poison points a task at a step that does not exist, so that whatever the flow does
// with it panics; the result heals it.
func (w *twin) poison(id TaskID) (heal func()) {
	w.t.Helper()
	t, ok := w.a.tasks.get(id)
	if !ok {
		w.t.Fatalf("no task %s", id)
	}
	good := t.node
	set := func(ref nodeRef) {
		w.alter(func(s *State) {
			t, _ := s.tasks.get(id)
			s.tasks.mut(t).node = ref
		})
	}
	set(nodeRef{node: 9999})
	return func() { set(good) }
}

func (w *twin) wantFaulted(id ExecID) {
	w.t.Helper()
	if e, _ := w.a.executions.get(id); e.status != Paused || !e.faulted || e.advancing {
		w.t.Fatalf("got %s, faulted %v, advancing %v", e.status, e.faulted, e.advancing)
	}
}

// finished resumes a healed execution, checks the whole State, and wants it to end.
func (w *twin) finished(id ExecID) {
	w.t.Helper()
	if err := w.a.Verify(Full); err != nil {
		w.t.Fatalf("healed: %v", err)
	}
	w.must(&ResumeExecution{Exec: id})
	w.tick(0)
	if e := w.execution(id); e.Status != Completed {
		w.t.Fatalf("got %s %q, %q", e.Status, e.Reason, w.table(id))
	}
	if err := w.a.Verify(Full); err != nil {
		w.t.Fatal(err)
	}
}

func TestFaultInACommandLeavesNoTrace(t *testing.T) {
	w := newPoisoned(t)
	w.define(twoSteps)
	id, other := w.start("two", `{}`), w.start("two", `{}`)
	heal := w.poison(TaskID{Exec: id, Serial: 1})
	digest, scalars := w.a.j.digest, w.a.scalars
	out := w.apply(&Entry{Commands: []*Command{{Body: &UpdateTask{Exec: id, Ref: "t1", Status: TaskStatusCompleted}, RequestID: RequestID{1}}}})
	if r := out.Results[0].Rejection; r == nil || r.Code != Faulted {
		t.Fatalf("got %+v", out.Results[0])
	}
	scalars.index = w.index
	if w.a.j.digest != digest || w.a.scalars != scalars {
		t.Fatal("the fault left a trace")
	}
	// The commands beside it are done.
	out = w.apply(&Entry{Work: MaxWork, Commands: []*Command{
		{Body: &UpdateTask{Exec: other, Ref: "t1", Status: TaskStatusCompleted}},
		{Body: &UpdateTask{Exec: id, Ref: "t1", Status: TaskStatusCompleted}},
		{Body: &UpdateTask{Exec: other, Ref: "t2", Status: TaskStatusCompleted}}}})
	if out.Results[0].Rejection != nil || out.Results[1].Rejection == nil || out.Results[2].Rejection != nil {
		t.Fatalf("got %+v", out.Results)
	}
	heal()
	w.must(&UpdateTask{Exec: id, Ref: "t1", Status: TaskStatusCompleted})
	w.must(&UpdateTask{Exec: id, Ref: "t2", Status: TaskStatusCompleted})
	if e := w.execution(id); e.Status != Completed {
		t.Fatalf("got %s", e.Status)
	}
}

func TestFaultInATimerPausesItsExecutionOnly(t *testing.T) {
	w := newPoisoned(t)
	w.define(`{"name":"w","version":1,"schemaVersion":2,"tasks":[
 {"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"1s"}},{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`)
	id, other := w.start("w", `{}`), w.start("w", `{}`)
	heal := w.poison(TaskID{Exec: id, Serial: 1})
	w.tick(1000)
	w.wantFaulted(id)
	if e := w.execution(other); e.Status != Completed {
		t.Fatalf("the other: %s", e.Status)
	}
	if r := w.do(&ResumeExecution{Exec: id}); r.Rejection == nil || r.Rejection.Code != Faulted { // too early
		t.Fatalf("got %+v", r)
	}
	w.wantFaulted(id)
	heal()
	w.finished(id)
}

func TestFaultInTheAgendaPausesItsExecutionOnly(t *testing.T) {
	w := newPoisoned(t)
	w.define(`{"name":"l","version":1,"schemaVersion":2,"tasks":[
 {"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"$.l['iteration'] < 5000","loopOver":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}]}`)
	id := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "l"}}}}).Results[0].Exec
	heal := w.poison(TaskID{Exec: id, Serial: 1})
	w.tick(0)
	w.wantFaulted(id)
	heal()
	w.finished(id)
}

func TestFaultInTheBeginOfAChildIsDoneAgain(t *testing.T) {
	w := newPoisoned(t)
	w.define(`{"name":"kid","version":1,"schemaVersion":2,"tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`,
		`{"name":"p","version":1,"schemaVersion":2,"tasks":[{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"kid"}}]}`)
	set := func(first int32) {
		for _, s := range []*State{w.a, w.b} {
			d, _ := s.lookup("kid", 0)
			p, _ := s.plans.get(d.plan)
			p.compiled.First = first
		}
	}
	set(9999)
	id := w.start("p", `{}`)
	task, _ := w.a.View().Task(TaskID{Exec: id, Serial: 1})
	w.wantFaulted(task.Child)
	set(0)
	w.must(&ResumeExecution{Exec: task.Child})
	if e := w.execution(id); e.Status != Completed {
		t.Fatalf("parent: %s, child: %s", e.Status, w.execution(task.Child).Status)
	}
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestFaultInTheReportOfAChildPausesTheParent(t *testing.T) {
	w := newPoisoned(t)
	w.define(twoSteps, `{"name":"p","version":1,"schemaVersion":2,"tasks":[
 {"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"two"}},{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`)
	id := w.start("p", `{}`)
	task, _ := w.a.View().Task(TaskID{Exec: id, Serial: 1})
	heal := w.poison(task.ID)
	w.must(&UpdateTask{Exec: task.Child, Ref: "t1", Status: TaskStatusCompleted})
	w.must(&UpdateTask{Exec: task.Child, Ref: "t2", Status: TaskStatusCompleted})
	if e := w.execution(task.Child); e.Status != Completed {
		t.Fatalf("child: %s", e.Status)
	}
	w.wantFaulted(id)
	heal()
	w.finished(id)
}

func TestFaultInAWideForkGoesOnWhereItStood(t *testing.T) {
	w := newPoisoned(t)
	w.define(wide(5000, `{"name":"n","taskReferenceName":"b%d","type":"NOOP"}`))
	id := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "wide"}}}}).Results[0].Exec
	heal := w.poison(TaskID{Exec: id, Serial: 1})
	w.tick(0)
	w.wantFaulted(id)
	heal()
	w.finished(id)
	if e := w.execution(id); e.Tasks != 5002 {
		t.Fatalf("%d records", e.Tasks)
	}
}

func TestAPausedForkGoesOnWithItsBranchesWhenResumed(t *testing.T) {
	w := newTwin(t)
	w.define(wide(5000, `{"name":"n","taskReferenceName":"b%d","type":"NOOP"}`))
	out := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "wide"}}}})
	id := out.Results[0].Exec
	w.must(&PauseExecution{Exec: id})
	w.tick(0)
	before := w.execution(id).Tasks
	w.tick(0)
	if n := w.execution(id).Tasks; n != before || n >= 5002 {
		t.Fatalf("paused, and %d records became %d", before, n)
	}
	w.finished(id)
	if n := w.execution(id).Tasks; n != 5002 {
		t.Fatalf("%d records", n)
	}
}
