package def

import "testing"

func TestParseEventHandler(t *testing.T) {
	h, problems := ParseEventHandler([]byte(`{"name":"h","event":"conductor:w:r","condition":"$.a > 1","evaluatorType":"javascript","active":"true",
		"actions":[{"action":"start_workflow","expandInlineJSON":true,"start_workflow":{"name":"w","version":"2","input":{"k":"${body.id}"},
			"idempotencyStrategy":"RETURN_EXISTING"}},
		{"action":"complete_task","complete_task":{"workflowId":"${id}","taskRefName":"t","output":{"a":1}}},
		{"action":"fail_task","fail_task":{"taskId":"${id}","reasonForIncompletion":"no"}},
		{"action":"terminate_workflow","terminate_workflow":{"workflowId":"${id}","terminationReason":"why"}},
		{"action":"update_workflow_variables","update_workflow_variables":{"workflowId":"${id}","variables":{},"appendArray":true}},
		{"action":"start_agent","start_agent":{"name":"a","prompt":"p"}}]}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if h.Name != "h" || h.Event != "conductor:w:r" || h.Condition != "$.a > 1" || !h.Active || len(h.Actions) != 6 {
		t.Errorf("got %+v", h)
	}
	if a := h.Actions[0]; a.Kind != "start_workflow" || !a.ExpandJSON || len(a.Body) == 0 {
		t.Errorf("got action %+v", a)
	}
}

func TestParseEventHandlerRefuses(t *testing.T) {
	for src, want := range map[string]Problem{
		`{"event":"e","actions":[]}`:                                       {"name", "Missing event handler name"},
		`{"name":"h","actions":[]}`:                                        {"event", "Missing event location"},
		`{"name":"h","event":"e"}`:                                         {"actions", "No actions specified. Please specify at-least one action"},
		`{"name":"h","event":"e","actions":{}}`:                            {"actions", "allowed is a list"},
		`{"name":"h","event":"e","actions":[{"action":"dance"}]}`:          {"actions[0].action", `found "dance", allowed are start_workflow`},
		`{"name":"h","event":"e","actions":[{"action":"start_workflow"}]}`: {"actions[0].start_workflow", "is required for action start_workflow"},
		`{"name":"h","event":"e","actions":[{"action":"start_workflow","start_workflow":{"version":1}}]}`:                     {"actions[0].start_workflow.name", "is required"},
		`{"name":"h","event":"e","actions":[{"action":"start_workflow","start_workflow":{"name":"w","input":[]}}]}`:           {"actions[0].start_workflow.input", "allowed is an object"},
		`{"name":"h","event":"e","actions":[{"action":"start_workflow","start_workflow":{"name":"w","input":{"k":"${[}"}}}]}`: {"actions[0].start_workflow.input.k", "${[} is not valid"},
		`{"name":"h","event":"e","actions":[{"action":"complete_task","complete_task":{"workflowId":"x"}}]}`:                  {"actions[0].complete_task", "names no task"},
		`{"name":"h","event":"e","actions":[{"action":"terminate_workflow","terminate_workflow":{"workflowId":""}}]}`:         {"actions[0].terminate_workflow.workflowId", "is required"},
		`{"name":"h","event":"e","evaluatorType":"perl","actions":[{"action":"start_agent","start_agent":{"name":"a"}}]}`:     {"evaluatorType", `found "perl", allowed are javascript`},
		`{"name":"h","event":"e","activ":true,"actions":[]}`:                                                                  {"activ", `the nearest known one is "active"`},
		`[]`:  {"", "found a list, allowed is an object"},
		`{"n`: {"", "not JSON"},
	} {
		h, problems := ParseEventHandler([]byte(src))
		if h != nil || !mentions(problems, want) {
			t.Errorf("%s: got %v, want %v", src, problems, want)
		}
	}
}

func TestParseStart(t *testing.T) {
	s, problems := ParseStart([]byte(`{"name":"w","version":3,"correlationId":"c","input":{"a":1},"taskToDomain":{"*":"d"},"priority":7,
		"idempotencyKey":"k","idempotencyStrategy":"FAIL_ON_RUNNING","workflowDef":{"name":"x","tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}}`))
	if len(problems) > 0 || s.Name != "w" || s.Version != 3 || s.Plan == nil || s.Plan.Name != "x" {
		t.Errorf("got %+v, %v", s, problems)
	}
	for src, want := range map[string]Problem{
		`{"input":{}}`:                                {"name", "is required"},
		`{"name":"w","version":-1}`:                   {"version", "found -1, allowed are 1 and above"},
		`{"name":"w","priority":100}`:                 {"priority", "found 100, allowed are 0 to 99"},
		`{"name":"w","input":[1]}`:                    {"input", "allowed is an object"},
		`{"name":"w","taskToDomain":{"a":[]}}`:        {"taskToDomain.a", "found a list, allowed is a string"},
		`{"name":"w","idempotencyStrategy":"MAYBE"}`:  {"idempotencyStrategy", `found "MAYBE", allowed are FAIL`},
		`{"name":"w","workflowDef":{"name":"x"}}`:     {"workflowDef.tasks", "WorkflowTask list cannot be empty"},
		`{"name":"w","workflowDef":{"tasks":[{}]}}`:   {"workflowDef.tasks[0].name", "cannot be empty"},
		`{"name":"w","workflowDef":"${not.allowed}"}`: {"workflowDef", "allowed is an object"},
	} {
		if s, problems := ParseStart([]byte(src)); s != nil || !mentions(problems, want) {
			t.Errorf("%s: got %v, want %v", src, problems, want)
		}
	}
}
