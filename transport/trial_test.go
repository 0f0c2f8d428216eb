package transport

import (
	"context"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func attempts(list ...*apiv1.TestAttempt) *apiv1.TestAttempts {
	return &apiv1.TestAttempts{Attempts: list}
}

func TestATestCallRunsADefinitionAndKeepsNothing(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	before, _ := s.Stale()
	parent := `{"name":"parent","version":1,"schemaVersion":2,"tasks":[{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"greet"}},
	 {"name":"mail","taskReferenceName":"m","type":"SIMPLE"}],"outputParameters":{"sent":"${c.output.sent}"}}`
	req := &apiv1.TestDefinitionRequest{Sources: []string{parent}, Mocks: &apiv1.TestMocks{
		Tasks: map[string]*apiv1.TestAttempts{"m": attempts(&apiv1.TestAttempt{Status: apiv1.Task_FAILED, Reason: "no"}, &apiv1.TestAttempt{})},
		Children: map[string]*apiv1.TestMocks{"c": {Tasks: map[string]*apiv1.TestAttempts{
			"m": attempts(&apiv1.TestAttempt{Output: `{"sent":true}`, QueueMillis: 10, WorkMillis: 20})}}},
	}}
	resp, err := c.definitions.Test(t.Context(), req)
	if err != nil || resp.Execution.Status != apiv1.Execution_COMPLETED || resp.Execution.Output != `{"sent":true}` || len(resp.Tasks) != 3 || len(resp.Waiting) != 0 {
		t.Errorf("got %v, %v", resp, err)
	}
	req.Mocks.Children = nil
	resp, err = c.definitions.Test(t.Context(), req)
	if err != nil || resp.Execution.Status != apiv1.Execution_RUNNING || len(resp.Waiting) != 1 || resp.Waiting[0].Ref != "m" || resp.Cut {
		t.Errorf("without mocks of the child: got %v, %v", resp, err)
	}
	resp, err = c.definitions.Test(t.Context(), &apiv1.TestDefinitionRequest{Start: &apiv1.StartExecutionRequest{Name: "greet", Input: `{"to":"ann"}`}})
	if err != nil || len(resp.Waiting) != 1 || resp.Waiting[0].Input != `{"to":"ann"}` {
		t.Errorf("of a registered definition: got %v, %v", resp, err)
	}
	if after, _ := s.Stale(); after.Index() != before.Index() {
		t.Errorf("test calls made %d entries", after.Index()-before.Index())
	}
}

func TestATestCallOfAWrongShapeNamesTheField(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	mocked := func(a *apiv1.TestAttempt) *apiv1.TestMocks {
		return &apiv1.TestMocks{Tasks: map[string]*apiv1.TestAttempts{"m": attempts(a)}}
	}
	deep := &apiv1.TestMocks{}
	for range maxMockDepth + 1 {
		deep = &apiv1.TestMocks{Children: map[string]*apiv1.TestMocks{"c": deep}}
	}
	for _, test := range []struct {
		req               *apiv1.TestDefinitionRequest
		code, field, says string
	}{
		{&apiv1.TestDefinitionRequest{}, "malformed", "sources", "give a workflow definition"},
		{&apiv1.TestDefinitionRequest{Sources: []string{"{"}}, "malformed", "sources", "JSON"},
		{&apiv1.TestDefinitionRequest{Sources: []string{`{"name":"x","tasks":[{"type":"NO_SUCH"}]}`}}, "invalid_definition", "", ""},
		{&apiv1.TestDefinitionRequest{Start: &apiv1.StartExecutionRequest{Name: "nowhere"}}, "no_definition", "", "nowhere"},
		{&apiv1.TestDefinitionRequest{Sources: []string{mailDefinition}, Start: &apiv1.StartExecutionRequest{Input: "[]"}}, "malformed", "input", "JSON object"},
		{&apiv1.TestDefinitionRequest{Sources: []string{mailDefinition}, Mocks: mocked(&apiv1.TestAttempt{Status: apiv1.Task_TIMED_OUT})}, "malformed", "mocks", "m: COMPLETED"},
		{&apiv1.TestDefinitionRequest{Sources: []string{mailDefinition}, Mocks: mocked(&apiv1.TestAttempt{Output: "1"})}, "malformed", "mocks", "m: output: must be a JSON object"},
		{&apiv1.TestDefinitionRequest{Sources: []string{mailDefinition}, Mocks: mocked(&apiv1.TestAttempt{WorkMillis: -1})}, "malformed", "mocks", "negative"},
		{&apiv1.TestDefinitionRequest{Sources: []string{mailDefinition}, Mocks: deep}, "malformed", "mocks", "too deeply"},
	} {
		_, err := c.definitions.Test(t.Context(), test.req)
		if d, _ := detail(t, err); d.Code != test.code || d.Field != test.field || !strings.Contains(d.Message, test.says) {
			t.Errorf("got %v, want %s %s: %s", d, test.code, test.field, test.says)
		}
	}
}

func TestTestCallsAreBoundedInNumber(t *testing.T) {
	s := serve(t)
	reached, goOn := make(chan struct{}), make(chan struct{})
	s.server.deps.Evaluate = func(ctx context.Context, l fsm.Leased) (fsm.Body, error) {
		reached <- struct{}{}
		<-goOn
		return &fsm.FinishJob{Task: l.Task, Lease: l.Lease, Result: []byte(`1`)}, nil
	}
	c := s.clients(s.h2)
	req := &apiv1.TestDefinitionRequest{Sources: []string{`{"name":"s","version":1,"schemaVersion":2,"tasks":[{"name":"i","taskReferenceName":"i","type":"INLINE",
	 "inputParameters":{"evaluatorType":"javascript","expression":"[1].map(String)"}}]}`}}
	done := make(chan error)
	for range maxTrials {
		go func() {
			resp, err := c.definitions.Test(t.Context(), req)
			if err == nil && resp.Execution.Status != apiv1.Execution_COMPLETED {
				t.Errorf("got %v", resp)
			}
			done <- err
		}()
		<-reached
	}
	_, err := c.definitions.Test(t.Context(), req)
	if d, _ := detail(t, err); d.Code != string(CodeOverloaded) || d.RetryAfterMillis == 0 {
		t.Errorf("beyond the bound: %v", err)
	}
	close(goOn)
	for range maxTrials {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
