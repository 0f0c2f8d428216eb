package transport

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func TestDefinitionService(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	ctx := t.Context()
	put, err := c.definitions.Apply(ctx, &apiv1.ApplyDefinitionRequest{Source: mailDefinition, RequestId: "r1"})
	if err != nil || put.Name != "greet" || put.Version != 1 || put.Kind != apiv1.DefinitionKind_WORKFLOW || put.Position == "" {
		t.Fatalf("apply: got %v, %v", put, err)
	}
	put, err = c.definitions.Apply(ctx, &apiv1.ApplyDefinitionRequest{Source: mailType})
	if err != nil || put.Name != "mail" || put.Kind != apiv1.DefinitionKind_TASK_TYPE {
		t.Fatalf("apply task type: got %v, %v", put, err)
	}
	other := strings.Replace(mailDefinition, `"m"`, `"n"`, 1)
	_, err = c.definitions.Apply(ctx, &apiv1.ApplyDefinitionRequest{Source: other})
	if d, code := detail(t, err); d.Code != "already_exists" || code != connect.CodeAlreadyExists || !d.Definite {
		t.Errorf("apply of another document: got %v", d)
	}
	if _, err = c.definitions.Apply(ctx, &apiv1.ApplyDefinitionRequest{Source: other, Overwrite: true}); err != nil {
		t.Errorf("overwrite: %v", err)
	}
	get, err := c.definitions.Get(ctx, &apiv1.GetDefinitionRequest{Name: "greet"})
	if err != nil || get.Definition.Source != other || get.Definition.Created == nil {
		t.Errorf("get: got %v, %v", get, err)
	}
	list, err := c.definitions.List(ctx, &apiv1.ListDefinitionsRequest{})
	if err != nil || len(list.Definitions) != 1 || list.Definitions[0].Source != "" {
		t.Errorf("list: got %v, %v", list, err)
	}
	tt, err := c.definitions.GetTaskType(ctx, &apiv1.GetTaskTypeRequest{Name: "mail"})
	if err != nil || tt.TaskType.Source != mailType {
		t.Errorf("get task type: got %v, %v", tt, err)
	}
	types, err := c.definitions.ListTaskTypes(ctx, &apiv1.ListTaskTypesRequest{})
	if err != nil || len(types.TaskTypes) != 1 {
		t.Errorf("list task types: got %v, %v", types, err)
	}
	if _, err := c.definitions.Delete(ctx, &apiv1.DeleteDefinitionRequest{Name: "greet", Version: 1}); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.definitions.DeleteTaskType(ctx, &apiv1.DeleteTaskTypeRequest{Name: "mail"}); err != nil {
		t.Errorf("delete task type: %v", err)
	}
	_, err = c.definitions.Get(ctx, &apiv1.GetDefinitionRequest{Name: "greet"})
	if d, _ := detail(t, err); d.Code != "not_found" {
		t.Errorf("get of what was deleted: got %v", d)
	}
	_, err = c.definitions.GetTaskType(ctx, &apiv1.GetTaskTypeRequest{Name: "mail"})
	if d, _ := detail(t, err); d.Code != "not_found" {
		t.Errorf("get of a deleted task type: got %v", d)
	}
}

// unparsable has a script that no engine can parse, and a problem besides.
const unparsable = `{"name":"odd","tasks":[{"name":"i","taskReferenceName":"i","type":"INLINE","inputParameters":{"expression":"broken f()"}},` +
	`{"name":"i","taskReferenceName":"i","type":"HTTP"}]}`

func TestScriptsThatNoEngineCanParseAreRefusedWithEverythingElse(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	want := []string{"tasks[1].taskReferenceName", "tasks[0].inputParameters.expression"}
	paths := func(found []*apiv1.Problem) (out []string) {
		for _, p := range found {
			out = append(out, p.Path)
		}
		return out
	}
	judged, err := c.definitions.Validate(t.Context(), &apiv1.ValidateDefinitionRequest{Source: unparsable})
	if err != nil || !slices.Equal(paths(judged.Problems), want) {
		t.Errorf("validate: got %v, %v, want problems at %v", judged, err, want)
	}
	before, _ := s.Stale()
	_, err = c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: unparsable})
	if d, _ := detail(t, err); d.Code != "invalid_definition" || !d.Definite || !slices.Equal(paths(d.Problems), want) {
		t.Errorf("apply: got %v, want problems at %v", d, want)
	}
	alone := strings.Replace(unparsable, `,{"name":"i","taskReferenceName":"i","type":"HTTP"}`, "", 1)
	_, err = c.executions.Start(t.Context(), &apiv1.StartExecutionRequest{Definition: alone})
	if d, _ := detail(t, err); d.Code != "invalid_definition" || !slices.Equal(paths(d.Problems), want[1:]) {
		t.Errorf("start: got %v, want a problem at %v", d, want[1])
	}
	shop := openSession(t, c)
	shop.send(&apiv1.SessionRequest{Starts: []*apiv1.SessionStart{
		{Call: 1, Start: &apiv1.StartExecutionRequest{Definition: alone}},
		{Call: 2, Start: &apiv1.StartExecutionRequest{Definition: strings.ReplaceAll(alone, "broken", "")}},
	}})
	shop.receive(func() bool { return len(shop.started) == 2 })
	if e := shop.started[1].Error; e == nil || e.Code != "invalid_definition" || !slices.Equal(paths(e.Problems), want[1:]) {
		t.Errorf("start in a session: got %v", shop.started[1])
	}
	if shop.started[2].Error != nil || shop.started[2].ExecutionId == "" {
		t.Errorf("start of a sound definition in a session: got %v", shop.started[2])
	}
	if v, _ := s.Stale(); v.Index() != before.Index()+1 {
		t.Errorf("the machine is at %d, want only the sound start after %d", v.Index(), before.Index())
	}
}

func TestScriptsThatCannotBeJudgedNowAreAskedForAgain(t *testing.T) {
	s := serve(t)
	s.scriptFail = errDisk
	c := s.clients(s.h2)
	_, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: strings.ReplaceAll(unparsable, "broken", "")})
	if d, _ := detail(t, err); d.Code != "overloaded" || !d.Definite || d.RetryAfterMillis == 0 || strings.Contains(d.Message, "secret") {
		t.Errorf("apply: got %v, want a refusal that says when to ask again", d)
	}
	if _, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: mailDefinition}); err != nil {
		t.Errorf("apply of a definition without scripts: %v", err)
	}
}

// What a definition leaves to a registered task type is not missing.
func TestValidateKnowsTheRegisteredTaskTypes(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	calling := `{"name":"calling","tasks":[{"name":"call","taskReferenceName":"c","type":"HTTP"}]}`
	for _, want := range []int{1, 0} {
		got, err := c.definitions.Validate(t.Context(), &apiv1.ValidateDefinitionRequest{Source: calling})
		if err != nil || len(got.Problems) != want {
			t.Errorf("got %v, %v, want %d problems", got, err, want)
		}
		if _, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: `{"name":"call","inputTemplate":{"uri":"http://localhost"}}`}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestValidateNamesWhatApplyWouldRefuse(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	good, err := c.definitions.Validate(t.Context(), &apiv1.ValidateDefinitionRequest{Source: mailDefinition})
	if err != nil || len(good.Problems) != 0 || good.Name != "greet" || good.Version != 1 {
		t.Errorf("validate: got %v, %v", good, err)
	}
	bad := strings.Replace(mailDefinition, `"taskReferenceName":"m",`, "", 1)
	got, err := c.definitions.Validate(t.Context(), &apiv1.ValidateDefinitionRequest{Source: bad})
	if err != nil || len(got.Problems) == 0 || !strings.Contains(got.Problems[0].Path, "tasks[0]") {
		t.Errorf("validate of a bad document: got %v, %v", got, err)
	}
	_, err = c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: bad})
	if d, code := detail(t, err); d.Code != "invalid_definition" || code != connect.CodeInvalidArgument || len(d.Problems) != len(got.Problems) {
		t.Errorf("apply of a bad document: got %v", d)
	}
	if v, _ := s.Stale(); v.Index() == 0 {
		t.Error("apply did not reach the machine")
	}
}
