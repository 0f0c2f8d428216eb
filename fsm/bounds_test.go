package fsm

import (
	"fmt"
	"strings"
	"testing"
)

// changes applies an entry and counts the rows and records that it changed.
func (w *twin) changes(e *Entry) (int, *Applied) {
	w.t.Helper()
	w.index++
	e.Time = w.now
	w.a.begin(w.index, e)
	w.a.work(e)
	n := len(w.a.j.ops)
	out := w.a.finish()
	w.b.Apply(w.index, w.decode(e.AppendTo(nil)))
	if w.a.Digest() != w.b.Digest() {
		w.t.Fatalf("index %d: digests differ", w.index)
	}
	return n, out
}

// wide is a definition of a fork with a step in each of n branches, which one join
// waits for.
func wide(n int, step string) string {
	var branches, on []string
	for i := range n {
		branches = append(branches, "["+fmt.Sprintf(step, i)+"]")
		on = append(on, fmt.Sprintf(`"b%d"`, i))
	}
	return fmt.Sprintf(`{"name":"wide","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[%s]},
 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":[%s]}]}`, strings.Join(branches, ","), strings.Join(on, ","))
}

const (
	wideTask  = `{"name":"a","taskReferenceName":"b%d","type":"SIMPLE"}`
	wideChild = `{"name":"c","taskReferenceName":"b%d","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"kid"}}`
)

// settle applies entries until nothing is left to do, and gives the most that one changed.
func (w *twin) settle() (most int) {
	w.t.Helper()
	for range 10_000 {
		n, out := w.changes(&Entry{Work: MaxWork})
		most = max(most, n)
		if !out.More {
			return most
		}
	}
	w.t.Fatal("the agenda never drains")
	return 0
}

func TestFinishingOneTaskTouchesAFewRecordsHoweverWideTheFork(t *testing.T) {
	for _, width := range []int{10, 100, 1000, 9900} {
		w := newTwin(t)
		w.restoreEvery = 1 << 40
		w.define(wide(width, wideTask))
		id := w.start("wide", `{}`)
		w.settle()
		w.slot++
		_, out := w.changes(&Entry{Offers: []Offer{{Slot: Slot{Node: testNode, N: w.slot}, Queue: "a"}}})
		n, _ := w.changes(&Entry{Commands: []*Command{{Body: &CompleteTask{Task: out.Grants[0].Task, Lease: out.Grants[0].Lease, Output: []byte(`{"a":1}`)}}}})
		t.Logf("width %d: %d changes", width, n)
		if n > 16 {
			t.Errorf("width %d: finishing one task changed %d rows and records", width, n)
		}
		if e := w.execution(id); e.Tasks != width+2 {
			t.Errorf("width %d: %d records", width, e.Tasks)
		}
	}
}

// forkedWide is a dynamic fork of as many alike members as its input says.
const forkedWide = `{"name":"forked","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{"forkTaskName":"a","forkTaskInputs":"${workflow.input.i}"}},
 {"name":"j","taskReferenceName":"j","type":"JOIN"}]}`

func TestFinishingOneMemberTouchesAFewRecordsHoweverWideTheDynamicFork(t *testing.T) {
	for _, width := range []int{10, 1000, 100_000} {
		w := newTwin(t)
		w.restoreEvery = 1 << 40
		w.define(forkedWide)
		id := w.start("forked", `{"i":[`+strings.TrimSuffix(strings.Repeat("1,", width), ",")+`]}`)
		if n := w.settle(); n > entryBound {
			t.Errorf("width %d: an entry of the start changed %d rows and records", width, n)
		}
		w.slot++
		_, out := w.changes(&Entry{Offers: []Offer{{Slot: Slot{Node: testNode, N: w.slot}, Queue: "a"}}})
		n, _ := w.changes(&Entry{Commands: []*Command{{Body: &CompleteTask{Task: out.Grants[0].Task, Lease: out.Grants[0].Lease, Output: []byte(`{"a":1}`)}}}})
		t.Logf("width %d: %d changes", width, n)
		if n > 16 {
			t.Errorf("width %d: finishing one task changed %d rows and records", width, n)
		}
		if e := w.execution(id); e.Tasks != width+2 {
			t.Errorf("width %d: %d records", width, e.Tasks)
		}
	}
}

func TestAWideDynamicForkMayFailPauseAndEndWhileItIsMade(t *testing.T) {
	for what, verb := range map[string]func(w *twin, id ExecID){
		"terminate": func(w *twin, id ExecID) { w.must(&TerminateExecution{Exec: id}) },
		"fail": func(w *twin, id ExecID) {
			w.must(&UpdateTask{Task: TaskID{Exec: id, Serial: 2}, Status: TaskStatusFailedTerminal, Reason: "down"})
			w.tick(0)
			if e := w.execution(id); e.Status != Failed || e.Tasks > 3100 {
				w.t.Fatalf("got %s with %d records", e.Status, e.Tasks)
			}
			w.must(&RetryExecution{Exec: id})
		},
		"pause": func(w *twin, id ExecID) {
			w.must(&PauseExecution{Exec: id})
			w.tick(0)
			if e := w.execution(id); e.Tasks > 3100 {
				w.t.Fatalf("%d records", e.Tasks)
			}
			w.must(&ResumeExecution{Exec: id})
		},
		"rerun": func(w *twin, id ExecID) {
			w.must(&TerminateExecution{Exec: id})
			w.tick(0)
			w.must(&RerunExecution{Exec: id, Task: TaskID{Exec: id, Serial: 500}})
		},
		"rerun fork": func(w *twin, id ExecID) {
			w.must(&TerminateExecution{Exec: id})
			w.tick(0)
			w.must(&RerunExecution{Exec: id, Task: TaskID{Exec: id, Serial: 1}})
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newTwin(t)
			w.restoreEvery = 1
			w.define(forkedWide)
			w.taskType(`{"name":"a","retryCount":0}`)
			id := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "forked",
				Input: []byte(`{"i":[` + strings.TrimSuffix(strings.Repeat("1,", 5000), ",") + `]}`)}}}}).Results[0].Exec
			w.apply(&Entry{Work: 100})
			if e := w.execution(id); e.Tasks < 1000 || e.Tasks > 3100 {
				t.Fatalf("%d records", e.Tasks)
			}
			verb(w, id)
			w.tick(0)
			e := w.execution(id)
			if what == "terminate" {
				if e.Status != Terminated {
					t.Errorf("got %s", e.Status)
				}
			} else if made := e.Tasks; e.Status != Running || made < 5002 {
				t.Errorf("%s with %d records", e.Status, made)
			}
			if err := w.a.Verify(Full); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAnIterationTouchesAFewRecordsHoweverManyWereBefore(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(`{"name":"loop","version":1,"schemaVersion":2,"tasks":[
 {"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"$.l['iteration'] < 20000","loopOver":[
  {"name":"a","taskReferenceName":"x","type":"SIMPLE","inputParameters":{"i":"${l.output.iteration}"}}]}]}`)
	id := w.start("loop", `{}`)
	most := 0
	for i := 1; i <= 10_000; i++ {
		n, out := w.changes(&Entry{Commands: []*Command{{Body: &UpdateTask{Exec: id, Ref: "x", Status: TaskStatusCompleted}}}})
		if out.Results[0].Rejection != nil {
			t.Fatal(out.Results[0].Rejection)
		}
		if most = max(most, n); most > 24 {
			t.Fatalf("iteration %d changed %d rows and records", i, n)
		}
	}
	t.Logf("at most %d changes an iteration", most)
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

// entryBound is what one entry may change at most: MaxWork units of background work,
// each a record with the rows that hang on it.
const entryBound = 10 * (MaxWork + MaxEntrySteps)

func TestEndOfAWideExecutionIsAtOnceAndItsSweepBounded(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(wide(9900, wideTask))
	id := w.start("wide", `{}`)
	w.settle()
	n, _ := w.changes(&Entry{Commands: []*Command{{Body: &TerminateExecution{Exec: id, Reason: "enough"}}}})
	if n > 10*MaxSteps {
		t.Errorf("the command changed %d rows and records", n)
	}
	for task := range w.a.View().Tasks(id, 0) {
		if !task.Status.Terminal() {
			t.Fatalf("task %s shows as %s", task.ID, task.Status)
		}
	}
	offers := &Entry{}
	for range MaxOffers {
		w.slot++
		offers.Offers = append(offers.Offers, Offer{Slot: Slot{Node: testNode, N: w.slot}, Queue: "a"})
	}
	n, out := w.changes(offers)
	if len(out.Grants) > 0 || n > 10*maxSkips {
		t.Errorf("%d tasks of an ended execution were leased, %d changes", len(out.Grants), n)
	}
	if n := w.settle(); n > entryBound {
		t.Errorf("an entry of the sweep changed %d rows and records", n)
	}
	if e, _ := w.a.executions.get(id); e.sweep != sweepNone || e.openAll != 0 {
		t.Errorf("swept: %v, %d open", e.sweep, e.openAll)
	}
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestEndOfAThousandChildrenIsBoundedAndComplete(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(`{"name":"kid","version":1,"schemaVersion":2,"tasks":[{"name":"a","taskReferenceName":"t","type":"SIMPLE"}]}`, wide(1000, wideChild))
	id := w.start("wide", `{}`)
	if n := w.settle(); n > entryBound {
		t.Errorf("an entry of the start changed %d rows and records", n)
	}
	if n := w.a.View().List(ListQuery{Definition: "kid", Status: Running}).Total; n != 1000 {
		t.Fatalf("%d children run", n)
	}
	n, _ := w.changes(&Entry{Commands: []*Command{{Body: &TerminateExecution{Exec: id, Reason: "enough"}}}})
	if n > 10*MaxSteps {
		t.Errorf("the command changed %d rows and records", n)
	}
	// While the sweep goes on the parent is busy, and stays so until every child is.
	if r := w.a.Apply(w.index+1, &Entry{Time: w.now, Commands: []*Command{{Body: &PauseExecution{Exec: id}}}}).Results[0]; r.Rejection == nil || r.Rejection.Code != Busy {
		t.Errorf("pause while closing: %+v", r)
	}
	w.b.Apply(w.index+1, &Entry{Time: w.now, Commands: []*Command{{Body: &PauseExecution{Exec: id}}}})
	w.index++
	if n := w.settle(); n > entryBound {
		t.Errorf("an entry of the sweep changed %d rows and records", n)
	}
	if n := w.a.View().List(ListQuery{Status: Running}).Total; n != 0 {
		t.Errorf("%d executions still run", n)
	}
	if e, _ := w.a.executions.get(id); e.sweep != sweepNone || e.ending != 0 {
		t.Errorf("sweep %v, %d ending", e.sweep, e.ending)
	}
	if n := w.a.ready.tree.Len() + w.a.waits.tree.Len() + w.a.agenda.tree.Len() + w.a.held.tree.Len(); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestAnEndlessLoopOfInlineStepsHoldsNobodyUp(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(`{"name":"endless","version":1,"schemaVersion":2,"tasks":[
 {"name":"l","taskReferenceName":"l","type":"DO_WHILE","inputParameters":{"keepLastN":1},"loopCondition":"true","loopOver":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}]}`,
		twoSteps)
	id := w.must(&StartExecution{Name: "endless"}).Exec
	for range 20 {
		n, out := w.changes(&Entry{Work: 256, Commands: []*Command{{Body: &StartExecution{Name: "two"}}}})
		if out.Results[0].Rejection != nil || n > 10*(MaxSteps+256) || !out.More {
			t.Fatalf("%d changes, more %v, %v", n, out.More, out.Results[0].Rejection)
		}
		if _, ok := w.poll("a"); !ok {
			t.Fatal("the execution beside it did not start")
		}
	}
	w.must(&TerminateExecution{Exec: id})
	w.settle()
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

func TestAStormOfTimersIsSpreadOverEntries(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(wide(9000, `{"name":"w","taskReferenceName":"b%d","type":"WAIT","inputParameters":{"duration":"5s"}}`))
	id := w.start("wide", `{}`)
	w.settle()
	w.now += 5000
	entries := 0
	for {
		n, out := w.changes(&Entry{Work: MaxWork})
		if entries++; n > 10*MaxWork {
			t.Fatalf("an entry changed %d rows and records", n)
		}
		if !out.More {
			break
		}
	}
	if e := w.execution(id); e.Status != Completed || entries < 9000/MaxDue {
		t.Errorf("%s after %d entries", e.Status, entries)
	}
}

func TestStartsAreRefusedWhileTheAgendaIsLong(t *testing.T) {
	w := newTwin(t)
	w.define(twoSteps)
	s := w.a
	s.out = &Applied{}
	for range MaxAgenda + 1 {
		s.push(item{kind: itemAdvance})
	}
	s.out = nil
	r := s.Apply(w.index+1, &Entry{Commands: []*Command{{Body: &StartExecution{Name: "two"}}}}).Results[0]
	if r.Rejection == nil || r.Rejection.Code != Exhausted {
		t.Errorf("got %+v", r)
	}
}

func TestOutputsOfReportsStayWithinABound(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(twoSteps)
	id := w.start("two", `{}`)
	task := TaskID{Exec: id, Serial: 1}
	for i := range 20 {
		r := w.do(&UpdateTask{Task: task, Status: TaskStatusInProgress, Output: fmt.Appendf(nil, `{"k%d":%q}`, i, strings.Repeat("x", 1000_000))})
		if r.Rejection != nil {
			t.Fatalf("report %d: %v", i, r.Rejection)
		}
		if got, _ := w.a.View().Task(task); got.Status != TaskStatusScheduled {
			if got.Status != TaskStatusFailedTerminal || i != 10 || !strings.Contains(got.Reason, "The payload size: 110000") {
				t.Errorf("report %d: %s %q", i, got.Status, got.Reason)
			}
			return
		}
	}
	t.Error("an output grew without bound")
}

func TestAWideForkThatNoJoinWaitsForIsMadeInFull(t *testing.T) {
	inner := wide(3000, `{"name":"n","taskReferenceName":"b%d","type":"NOOP"}`)
	inner = inner[strings.Index(inner, `"tasks":[`)+len(`"tasks":[`) : len(inner)-2]
	fork := `{"name":"o","taskReferenceName":"o","type":"FORK_JOIN","forkTasks":[[` + inner + `],[{"name":"n","taskReferenceName":"z","type":"NOOP"}]]},
 {"name":"p","taskReferenceName":"p","type":"JOIN","joinOn":["z"]}`
	for name, tasks := range map[string]string{
		"root": fork,
		"loop": `{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"$.l['iteration'] < 2","loopOver":[` + fork + `]}`,
	} {
		w := newTwin(t)
		w.define(`{"name":"o","version":1,"schemaVersion":2,"tasks":[` + tasks + `]}`)
		id := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "o"}}}}).Results[0].Exec
		w.tick(0)
		want := 3000 + 5
		if name == "loop" {
			want = 2*want + 1
		}
		if e := w.execution(id); e.Status != Completed || e.Tasks != want {
			t.Errorf("%s: %s with %d records, want %d", name, e.Status, e.Tasks, want)
		}
		if err := w.a.Verify(Full); err != nil {
			t.Error(err)
		}
	}
}
