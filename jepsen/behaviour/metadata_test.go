package behaviour

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

// problems tries to register a definition and gives what is wrong with it.
func problems(definition any) []def.Problem {
	_, out := def.Compile(js(definition))
	return out
}

// wantProblems demands that a definition is refused with these texts, each in a problem
// of its own.
func wantProblems(t *testing.T, definition any, texts ...string) {
	t.Helper()
	found := problems(definition)
	taken := map[int]bool{}
	for _, text := range texts {
		ok := false
		for i, p := range found {
			if !taken[i] && strings.Contains(p.Message, text) {
				taken[i], ok = true, true
				break
			}
		}
		if !ok {
			t.Errorf("%s: problems %v, want one with %q", js(definition), found, text)
		}
	}
}

func wantValid(t *testing.T, definition any) {
	t.Helper()
	if found := problems(definition); len(found) > 0 {
		t.Errorf("%s: problems %v, want none", js(definition), found)
	}
}

// B177: a changed task type keeps its create time; running workflows take the new retry
// settings for new attempts. One that is not there is not found.
func TestB177TaskTypesAreReadLive(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t1")
	before, _ := w.at().TaskType("t1")
	r := w.startFlow(flow("f", simple("t1")), nil)
	w.pass(1000)
	w.taskTypes(2, "t1")
	after, ok := w.at().TaskType("t1")
	if !ok || after.Created != before.Created {
		t.Errorf("created at %d, want %d", after.Created, before.Created)
	}
	wantAt(t, after.Source, "retryCount", 2)
	r.fail("t1", "no")
	r.fail("t1", "no")
	r.want(fsm.Running, "t1 FAILED", "t1 FAILED", "t1 SCHEDULED")
	w.refused(&fsm.DeleteTaskType{Name: "nobody"}, fsm.NotFound, "nobody")
}

// B178: a workflow started with an inline definition runs that one; task types given in it
// hold for it alone, stored ones are used and not changed.
func TestB178InlineDefinitionWithInlineTaskTypes(t *testing.T) {
	w := begin(t)
	w.taskTypes(1, "stored")
	w.taskTypes(0, "both")
	stored, _ := w.at().TaskType("both")
	inlineType := m{"taskDefinition": m{"name": "both", "retryCount": 1, "retryDelaySeconds": 0}}
	r := w.startWith(&fsm.StartExecution{Definition: js(flow("ephemeral", simple("stored"), simple("both", inlineType)))})
	r.fail("stored", "no")
	r.complete("stored", nil)
	r.fail("both", "no")
	r.want(fsm.Running, "stored FAILED", "stored COMPLETED", "both FAILED", "both SCHEDULED")
	r.complete("both", nil)
	r.wantStatus(fsm.Completed)
	if e := r.info(); e.Definition != "ephemeral" {
		t.Errorf("the definition is %s, want ephemeral", e.Definition)
	}
	if _, ok := w.at().Definition("ephemeral", 0); ok {
		t.Error("the inline definition was registered")
	}
	if now, _ := w.at().TaskType("both"); string(now.Source) != string(stored.Source) {
		t.Errorf("the stored task type changed: %s", now.Source)
	}
}

// B179: a definition is refused with one entry for each problem: an empty one misses its
// name and its tasks.
//
// Different: ownerEmail is not demanded, which is what the original's shipped
// configuration says too.
func TestB179AllProblemsAreToldTogether(t *testing.T) {
	w := begin(t)
	wantProblems(t, m{}, "name cannot be null or empty", "list cannot be empty")
	r := w.refused(&fsm.PutDefinition{Source: []byte("{}")}, fsm.InvalidDefinition, "")
	if len(r.Problems) != 2 {
		t.Errorf("problems %v, want two", r.Problems)
	}
}

// B180: a task update that names no task and no workflow is refused.
func TestB180UpdateNeedsATask(t *testing.T) {
	w := begin(t)
	w.refused(&fsm.UpdateTask{Status: fsm.TaskStatusCompleted}, fsm.Malformed, "")
}

// B181: an input expression that names a task which is not there, or holds a blank, is
// refused; several in one value, maps, lists and empty texts are fine.
func TestB181InputExpressionsAreChecked(t *testing.T) {
	record(t)
	wantProblems(t, flow("f", simple("t1", in(m{"a": "${nobody.output.x}"}))), "nobody")
	wantProblems(t, flow("f", simple("t1", in(m{"a": "${workflow.input x}"}))), "is not valid")
	wantValid(t, flow("f", simple("t1"), simple("t2", in(m{"a": "${t1.output.x} and ${workflow.input.y}", "b": m{"c": l{"${t1.output.z}", ""}}, "d": "", "e": nil, "f": 1}))))
}

// B182: each task type misses its own field with its own message.
func TestB182RequiredFieldsOfTaskTypes(t *testing.T) {
	some := m{"a": list(simple("x"))}
	for _, c := range []struct {
		task m
		text string
	}{
		{step("DECISION", "d", m{"caseValueParam": "c"}), "decisionCases should have atleast one task"},
		{step("DECISION", "d", m{"decisionCases": some}), "caseValueParam or caseExpression"},
		{step("SWITCH", "d", m{"evaluatorType": "value-param", "expression": "c"}), "decisionCases should have atleast one task"},
		{step("SWITCH", "d", m{"expression": "c", "decisionCases": some}), "evaluatorType field is required"},
		{step("SWITCH", "d", m{"evaluatorType": "value-param", "decisionCases": some}), "expression field is required"},
		{step("FORK_JOIN", "d"), "forkTasks should have atleast one task"},
		{step("DO_WHILE", "d", m{"loopCondition": "true"}), "loopOver"},
		{step("DO_WHILE", "d", m{"loopOver": list(simple("x"))}), "loopCondition field is required"},
		{step("DYNAMIC", "d"), "dynamicTaskNameParam field is required"},
		{step("EVENT", "d"), "sink field is required"},
		{step("SUB_WORKFLOW", "d"), "subWorkflowParam field is required"},
	} {
		tasks := []m{c.task}
		if c.task["type"] == "FORK_JOIN" {
			tasks = append(tasks, join("j"))
		}
		wantProblems(t, flow("f", tasks...), c.text)
	}
	// What a task type may give is judged when the definition is registered.
	w := begin(t)
	for kind, field := range map[string]string{"HTTP": "http_request", "KAFKA_PUBLISH": "kafka_request", "JSON_JQ_TRANSFORM": "queryExpression"} {
		source := js(flow("f", step(kind, "d")))
		r := w.refused(&fsm.PutDefinition{Source: []byte(source)}, fsm.InvalidDefinition, "")
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Message, field) {
			t.Errorf("%s: problems %v, want one with %s", kind, r.Problems, field)
		}
	}
	w.taskType("d", m{"inputTemplate": m{"queryExpression": ".", "uri": "x", "kafka_request": m{}}})
	for _, kind := range []string{"HTTP", "KAFKA_PUBLISH", "JSON_JQ_TRANSFORM"} {
		w.define(m{"name": kind, "schemaVersion": 2, "version": 1, "tasks": l{step(kind, "d")}})
	}
}

// B183: a dynamic fork needs its two parameters, or the old one alone, or forkTaskInputs;
// a mix of old and new is refused.
func TestB183ParametersOfADynamicFork(t *testing.T) {
	record(t)
	dynamic := func(more ...m) m { return flow("f", step("FORK_JOIN_DYNAMIC", "d", more...), join("j")) }
	pair := m{"dynamicForkTasksParam": "a", "dynamicForkTasksInputParamName": "b"}
	old := m{"dynamicForkJoinTasksParam": "c"}
	wantProblems(t, dynamic(), "dynamicForkTasksInputParamName")
	wantProblems(t, dynamic(), "dynamicForkTasksParam")
	wantProblems(t, dynamic(m{"dynamicForkTasksParam": "a"}), "dynamicForkTasksInputParamName")
	wantProblems(t, dynamic(pair, old), "dynamicForkJoinTasksParam")
	wantValid(t, dynamic(pair))
	wantValid(t, dynamic(old))
	wantValid(t, dynamic(in(m{"forkTaskInputs": l{}})))
}

// B184: TERMINATE may not be optional and needs a valid terminationStatus; WAIT may not
// have both duration and until.
func TestB184TerminateAndWaitAreChecked(t *testing.T) {
	record(t)
	wantProblems(t, flow("f", with(terminate("t", "COMPLETED"), optional)), "optional")
	wantProblems(t, flow("f", step("TERMINATE", "t")), "terminationStatus")
	wantProblems(t, flow("f", terminate("t", "RUNNING")), "terminationStatus")
	wantProblems(t, flow("f", wait("w", in(m{"duration": "2s", "until": "2030-01-01"}))), "duration")
	wantProblems(t, flow("f", wait("w", in(m{"duration": "PT1H"}))), "PT1H")
	for _, status := range []string{"COMPLETED", "FAILED", "TERMINATED"} {
		wantValid(t, flow("f", terminate("t", status)))
	}
}

// B185: a workflow's name may hold blanks, hyphens and <>{}#, but no colon; schemaVersion 1
// is refused.
func TestB185NamesAndSchemaVersion(t *testing.T) {
	record(t)
	for _, name := range []string{"with blank", "with-hyphen", "a<b>{c}#d", "under_score9"} {
		wantValid(t, flow(name, simple("t1")))
	}
	wantProblems(t, flow("a:b", simple("t1")), "a:b")
	wantProblems(t, with(flow("f", simple("t1")), m{"schemaVersion": 1}), "schemaVersion: 2 is only supported")
}

// B186: what is not there is not found, with its id in the text: a task, a workflow; a
// start without a name and of a definition that is not registered is refused.
func TestB186UnknownIdsAreNotFound(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", simple("t1")), nil)
	task := fsm.TaskID{Exec: r.id, Serial: 99}
	w.refused(&fsm.UpdateTask{Task: task, Status: fsm.TaskStatusCompleted}, fsm.NotFound, task.String())
	gone := fsm.ExecID{Hi: r.id.Hi + 1<<20, Lo: r.id.Lo}
	for _, b := range []fsm.Body{
		&fsm.UpdateTask{Task: fsm.TaskID{Exec: gone, Serial: 1}, Status: fsm.TaskStatusCompleted},
		&fsm.TerminateExecution{Exec: gone}, &fsm.PauseExecution{Exec: gone}, restart(&run{w, gone}, false), retry(&run{w, gone}, false),
	} {
		if rejection := w.refused(b, fsm.NotFound, ""); !strings.Contains(rejection.Error(), fmt.Sprint(gone)[:8]) {
			t.Errorf("%T: %q does not name %s", b, rejection.Error(), gone)
		}
	}
	w.refused(&fsm.StartExecution{}, fsm.Malformed, "name")
	w.refused(&fsm.StartExecution{Name: "nobody"}, fsm.NoDefinition, "nobody")
}
