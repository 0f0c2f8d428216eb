package transport

import (
	"testing"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func TestExplainSaysOfEachTaskWhatItWaitsFor(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	ctx := t.Context()
	source := `{"name":"up","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[
  [{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"1h"}}],
  [{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"down","workflowDefinition":
   {"name":"down","version":1,"schemaVersion":2,"tasks":[{"name":"h","taskReferenceName":"h","type":"HUMAN"}]}}}]]},
 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["w","c"]}]}`
	if _, err := c.definitions.Apply(ctx, &apiv1.ApplyDefinitionRequest{Source: source}); err != nil {
		t.Fatal(err)
	}
	id := s.start(t, c, "up")
	why, err := c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: id})
	if err != nil || why.Status != apiv1.Execution_RUNNING || why.More || why.Position == "" {
		t.Fatalf("got %v, %v", why, err)
	}
	byRef := map[string]*apiv1.WaitReason{}
	for _, r := range why.Reasons {
		byRef[r.Ref] = r
	}
	if r := byRef["w"]; r.GetKind() != "timer" || r.Until == nil || r.Depth != 0 {
		t.Errorf("w: got %v, want a timer with its time", r)
	}
	if r := byRef["c"]; r.GetKind() != "child" || len(r.Of) != 1 || r.Count != 1 {
		t.Errorf("c: got %v, want the child", r)
	}
	if r := byRef["h"]; r.GetKind() != "update" || r.Depth != 1 {
		t.Errorf("h of the child: got %v, want an update, one below", r)
	}
	if r := byRef["j"]; r.GetKind() != "members" || len(r.Names) != 2 || r.Count != 2 {
		t.Errorf("j: got %v, want both members", r)
	}
	one, err := c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: id, Ref: "j"})
	if err != nil || len(one.Reasons) != 1 || one.Reasons[0].Ref != "j" {
		t.Errorf("by reference name: got %v, %v", one, err)
	}
	same, err := c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: byRef["j"].GetTaskId()})
	if err != nil || len(same.Reasons) != 1 || same.Reasons[0].Text != one.Reasons[0].Text {
		t.Errorf("by id: got %v, %v", same, err)
	}
	_, err = c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: id, Ref: "nowhere"})
	if d, code := detail(t, err); code != connect.CodeNotFound {
		t.Errorf("unknown reference name: got %v, %v", d, code)
	}
	_, err = c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: byRef["j"].GetTaskId(), Ref: "j"})
	if d, code := detail(t, err); code != connect.CodeInvalidArgument {
		t.Errorf("a task and a reference name: got %v, %v", d, code)
	}
	if _, err := c.executions.Terminate(ctx, &apiv1.TerminateExecutionRequest{ExecutionId: id}); err != nil {
		t.Fatal(err)
	}
	why, err = c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: id})
	if err != nil || why.Reasons[0].Kind != "ended" || why.Reasons[0].TaskId != id {
		t.Errorf("ended: got %v, %v", why, err)
	}
}
