package transport

import (
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
