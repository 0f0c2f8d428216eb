package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const ends = `{"name":"ends","version":1,"schemaVersion":2,"tasks":[
 {"name":"x","taskReferenceName":"x","type":"TERMINATE_WORKFLOW","inputParameters":{"workflowId":"${workflow.input.ids}"}}]}`

// many starts executions of two steps, and gives their ids as a list.
func (w *twin) many(n int) (ids []ExecID, list string) {
	w.t.Helper()
	var texts []string
	for range n {
		id := w.start("two", `{}`)
		ids, texts = append(ids, id), append(texts, fmt.Sprintf("%q", id.String()))
	}
	return ids, "[" + strings.Join(texts, ",") + "]"
}

func TestManyExecutionsAreEndedInQuanta(t *testing.T) {
	const n = 3*terminateQuantum + 5
	w := newTwin(t)
	w.restoreEvery = 101
	w.define(ends, twoSteps)
	ids, list := w.many(n)
	ended := func() int {
		return n - len(slices.DeleteFunc(slices.Clone(ids), func(id ExecID) bool { return w.execution(id).Status != Terminated }))
	}
	out := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "ends", Input: []byte(`{"ids":` + list + `}`)}}}})
	id := out.Results[0].Exec
	if got := n - ended(); got == n || got == 0 || !out.More {
		t.Fatalf("%d of %d are left behind the first entry", got, n)
	}
	if r := w.a.View().Explain(TaskID{Exec: id, Serial: 1}); len(r) != 1 || r[0].Kind != "agenda" {
		t.Errorf("explained as %v", r)
	}
	if r := w.do(&UpdateTask{Exec: id, Ref: "x", Status: TaskStatusCompleted}); r.Rejection == nil || r.Rejection.Code != Conflict {
		t.Errorf("an update from outside: %+v", r)
	}
	w.tick(0)
	if e := w.execution(id); e.Status != Completed || ended() != 0 {
		t.Fatalf("%s, and %d are left", e.Status, ended())
	}
	if out := string(w.output(id, 1)); strings.Count(out, `"`) != 2*n+2 {
		t.Errorf("the output names others than all: %s", out)
	}
}

func TestAPausedExecutionActsOnNobody(t *testing.T) {
	w := newTwin(t)
	w.define(ends, twoSteps)
	ids, list := w.many(terminateQuantum + 1)
	id := w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "ends", Input: []byte(`{"ids":` + list + `}`)}}}}).Results[0].Exec
	w.apply(&Entry{Commands: []*Command{{Body: &PauseExecution{Exec: id}}}})
	w.tick(0)
	last := ids[len(ids)-1]
	if e := w.execution(last); e.Status != Running {
		t.Fatalf("the last is %s", e.Status)
	}
	w.must(&ResumeExecution{Exec: id})
	w.tick(0)
	if e := w.execution(last); e.Status != Terminated || w.execution(id).Status != Completed {
		t.Fatalf("the last is %s", e.Status)
	}
}

func TestAFaultInWhatIsActedOnIsToldToTheStep(t *testing.T) {
	w := newPoisoned(t)
	w.define(ends, twoSteps, `{"name":"updates","version":1,"schemaVersion":2,"tasks":[
 {"name":"u","taskReferenceName":"u","type":"UPDATE_TASK","inputParameters":{"taskStatus":"COMPLETED","workflowId":"${workflow.input.id}","taskRefName":"t1"}}]}`)
	ids, list := w.many(2)
	heal := w.poison(TaskID{Exec: ids[0], Serial: 1})
	id := w.start("updates", fmt.Sprintf(`{"id":%q}`, ids[0]))
	if e := w.execution(id); e.Status != Failed || !strings.Contains(e.Reason, "a fault of its own") {
		t.Errorf("%s %q", e.Status, e.Reason)
	}
	heal()
	w.alter(func(s *State) { // a plan that is not there
		e, _ := s.executions.get(ids[0])
		s.executions.mut(e).plan += 1000
	})
	id = w.start("ends", `{"ids":`+list+`}`)
	if e := w.execution(id); e.Status != Completed || w.execution(ids[1]).Status != Terminated {
		t.Errorf("%s %q", e.Status, e.Reason)
	}
}

func TestAnExecutionTooLargeToShowFailsTheStep(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(wide(20, wideTask), `{"name":"get","version":1,"schemaVersion":2,"tasks":[
 {"name":"g","taskReferenceName":"g","type":"GET_WORKFLOW","inputParameters":{"id":"${workflow.input.id}","includeTasks":true}}]}`)
	id := w.start("wide", `{}`)
	large := fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 900_000))
	for serial := uint32(2); serial < 16; serial++ {
		w.must(&UpdateTask{Task: TaskID{Exec: id, Serial: serial}, Status: TaskStatusCompleted, Output: large})
	}
	got := w.start("get", fmt.Sprintf(`{"id":%q}`, id))
	if e := w.execution(got); e.Status != Failed || !strings.Contains(e.Reason, "is larger than the output of a task may be") {
		t.Errorf("%s %q", e.Status, e.Reason)
	}
}
