package fsm

import "testing"

const twoSteps = `{"name":"two","version":1,"schemaVersion":2,"tasks":[
 {"name":"a","taskReferenceName":"t1","type":"SIMPLE","inputParameters":{"p":"${workflow.input.p}"}},
 {"name":"b","taskReferenceName":"t2","type":"SIMPLE","inputParameters":{"x":"${t1.output.op}"}}],
 "outputParameters":{"o":"${t2.output.r}"}}`

func TestTwoStepsRunToTheirEnd(t *testing.T) {
	w := newTwin(t)
	w.define(twoSteps)
	id := w.start("two", `{"p":12345678901234567890}`)
	l := w.mustPoll("a")
	if got, want := string(l.Input), `{"p":12345678901234567890}`; got != want {
		t.Fatalf("input: got %s, want %s", got, want)
	}
	w.complete(l, `{"op":"x"}`)
	w.wantTable(id, "1 t1 COMPLETED", "2 t2 SCHEDULED")
	l = w.mustPoll("b")
	if got, want := string(l.Input), `{"x":"x"}`; got != want {
		t.Fatalf("input: got %s, want %s", got, want)
	}
	w.complete(l, `{"r":[1,2.50]}`)
	e := w.execution(id)
	if e.Status != Completed || string(e.Output) != `{"o":[1,2.50]}` {
		t.Fatalf("got %v %s", e.Status, e.Output)
	}
}

const forked = `{"name":"forked","version":1,"schemaVersion":2,"tasks":[
 {"name":"fork","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[
  [{"name":"a","taskReferenceName":"t1","type":"SIMPLE"},{"name":"c","taskReferenceName":"t3","type":"SIMPLE"}],
  [{"name":"b","taskReferenceName":"t2","type":"SIMPLE"}]]},
 {"name":"join","taskReferenceName":"j","type":"JOIN","joinOn":["t3","t2"]},
 {"name":"d","taskReferenceName":"t4","type":"SIMPLE","inputParameters":{"j":"${j.output}","n":"${j.output.t3.n}"}}]}`

func TestForkJoinsItsBranches(t *testing.T) {
	w := newTwin(t)
	w.define(forked)
	id := w.start("forked", `{}`)
	w.wantTable(id, "1 f COMPLETED", "2 t1 SCHEDULED", "3 t2 SCHEDULED", "4 j IN_PROGRESS")
	w.complete(w.mustPoll("a"), `{}`)
	w.complete(w.mustPoll("c"), `{"n":1}`)
	w.complete(w.mustPoll("b"), `{"m":2}`)
	w.wantTable(id, "1 f COMPLETED", "2 t1 COMPLETED", "3 t2 COMPLETED", "4 j COMPLETED", "5 t3 COMPLETED", "6 t4 SCHEDULED")
	l := w.mustPoll("d")
	if got, want := string(l.Input), `{"j":{"t3":{"n":1},"t2":{"m":2}},"n":1}`; got != want {
		t.Fatalf("input: got %s, want %s", got, want)
	}
	w.complete(l, ``)
	if e := w.execution(id); e.Status != Completed {
		t.Fatalf("got %v", e.Status)
	}
}

const looped = `{"name":"looped","version":1,"schemaVersion":2,"tasks":[
 {"name":"loop","taskReferenceName":"l","type":"DO_WHILE","inputParameters":{"value":"${workflow.input.n}"},
  "loopCondition":"if ($.l['iteration'] < $.value) { true; } else { false; }","loopOver":[
   {"name":"a","taskReferenceName":"x","type":"SIMPLE","inputParameters":{"i":"${l.output.iteration}"}},
   {"name":"v","taskReferenceName":"y","type":"SET_VARIABLE","inputParameters":{"last":"${x.output.v}"}}]}],
 "outputParameters":{"last":"${workflow.variables.last}","all":"${l.output}"}}`

func TestLoopRepeatsItsBody(t *testing.T) {
	w := newTwin(t)
	w.define(looped)
	id := w.start("looped", `{"n":2}`)
	w.complete(w.mustPoll("a"), `{"v":1}`)
	w.wantTable(id, "1 l IN_PROGRESS", "2 x__1 COMPLETED", "3 y__1 COMPLETED", "4 x__2 SCHEDULED")
	w.complete(w.mustPoll("a"), `{"v":2}`)
	e := w.execution(id)
	if got, want := string(e.Output), `{"last":2,"all":{"iteration":2,"1":{"x":{"v":1},"y":{}},"2":{"x":{"v":2},"y":{}}}}`; e.Status != Completed || got != want {
		t.Fatalf("got %v %s, want %s", e.Status, got, want)
	}
}

func TestFailedAttemptIsRetriedAfterItsDelay(t *testing.T) {
	w := newTwin(t)
	w.define(twoSteps)
	w.taskType(`{"name":"a","retryCount":1,"retryDelaySeconds":2,"responseTimeoutSeconds":10,"timeoutSeconds":0}`)
	id := w.start("two", `{}`)
	l := w.mustPoll("a")
	w.must(&FailTask{Task: l.Task, Lease: l.Lease, Reason: "down"})
	w.wantTable(id, "1 t1 FAILED", "2 t1 SCHEDULED retry=1")
	if _, ok := w.poll("a"); ok {
		t.Fatal("a delayed attempt was leased")
	}
	w.tick(2000)
	l = w.mustPoll("a")
	w.tick(10_000) // silent for the response time
	e := w.execution(id)
	if e.Status != TimedOut {
		t.Fatalf("got %v %q", e.Status, e.Reason)
	}
	if r := w.do(&CompleteTask{Task: l.Task, Lease: l.Lease}); r.Rejection == nil || r.Rejection.Code != StaleLease {
		t.Fatalf("late report: got %+v", r)
	}
}

const parent = `{"name":"parent","version":1,"schemaVersion":2,"tasks":[
 {"name":"child","taskReferenceName":"c","type":"SUB_WORKFLOW","inputParameters":{"p":7},"subWorkflowParam":{"name":"two"}}]}`

func TestChildReportsToItsParent(t *testing.T) {
	w := newTwin(t)
	w.define(twoSteps, parent)
	id := w.start("parent", `{}`)
	w.complete(w.mustPoll("a"), `{"op":1}`)
	w.complete(w.mustPoll("b"), `{"r":3}`)
	e := w.execution(id)
	if e.Status != Completed {
		t.Fatalf("got %v %q", e.Status, e.Reason)
	}
	w.wantTable(id, "1 c COMPLETED")
	id = w.start("parent", `{}`)
	w.must(&TerminateExecution{Exec: id, Reason: "enough"})
	w.tick(1)
	if n := w.a.View().List(ListQuery{Status: Running}).Total; n != 0 {
		t.Fatalf("%d executions still run", n)
	}
	if _, ok := w.poll("a"); ok {
		t.Fatal("a task of a terminated execution was leased")
	}
}
