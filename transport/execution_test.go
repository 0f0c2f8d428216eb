package transport

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func TestStartIsAnsweredOnceForOneKey(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx := t.Context()
	start := &apiv1.StartExecutionRequest{Name: "hold", Input: `{"a":1e400}`, Key: "k1", Correlation: "corr", Priority: 7, CreatedBy: "me", RequestId: "req-1"}
	first, err := c.executions.Start(ctx, start)
	if err != nil || first.Existing {
		t.Fatalf("start: got %v, %v", first, err)
	}
	again, err := c.executions.Start(ctx, start)
	if err != nil || !again.Existing || again.ExecutionId != first.ExecutionId {
		t.Errorf("start with the same request id: got %v, %v", again, err)
	}
	start.RequestId = ""
	_, err = c.executions.Start(ctx, start)
	if d, code := detail(t, err); d.Code != "already_exists" || code != connect.CodeAlreadyExists || d.ExecutionId != first.ExecutionId {
		t.Errorf("start with the same key: got %v", d)
	}
	start.Strategy = apiv1.StartExecutionRequest_RETURN_EXISTING
	kept, err := c.executions.Start(ctx, start)
	if err != nil || !kept.Existing || kept.ExecutionId != first.ExecutionId {
		t.Errorf("start that returns the existing: got %v, %v", kept, err)
	}
	get, err := c.executions.Get(ctx, &apiv1.GetExecutionRequest{ExecutionId: first.ExecutionId, Tasks: true})
	if err != nil || len(get.Tasks) != 1 || get.Tasks[0].Kind != "WAIT" || get.NextSerial != 0 {
		t.Fatalf("get: got %v, %v", get, err)
	}
	if x := get.Execution; x.Input != `{"a":1e400}` || x.Correlation != "corr" || x.Priority != 7 || x.Key != "k1" || x.CreatedBy != "me" || x.Status != apiv1.Execution_RUNNING {
		t.Errorf("execution: got %v", x)
	}
	why, err := c.executions.Explain(ctx, &apiv1.ExplainExecutionRequest{Id: first.ExecutionId})
	if err != nil || len(why.Reasons) == 0 || why.Reasons[0].TaskId != get.Tasks[0].Id {
		t.Errorf("explain: got %v, %v", why, err)
	}
}

func TestVerbsMoveAnExecution(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx := t.Context()
	id := s.start(t, c, "hold")
	for _, step := range []struct {
		call   func() error
		status apiv1.Execution_Status
	}{
		{func() error {
			_, err := c.executions.Pause(ctx, &apiv1.PauseExecutionRequest{ExecutionId: id})
			return err
		}, apiv1.Execution_PAUSED},
		{func() error {
			_, err := c.executions.Resume(ctx, &apiv1.ResumeExecutionRequest{ExecutionId: id})
			return err
		}, apiv1.Execution_RUNNING},
		{func() error {
			_, err := c.executions.Signal(ctx, &apiv1.SignalExecutionRequest{ExecutionId: id, Output: `{"ok":true}`})
			return err
		}, apiv1.Execution_COMPLETED},
	} {
		if err := step.call(); err != nil {
			t.Fatalf("to %v: %v", step.status, err)
		}
		get, err := c.executions.Get(ctx, &apiv1.GetExecutionRequest{ExecutionId: id})
		if err != nil || get.Execution.Status != step.status {
			t.Errorf("got %v, %v, want status %v", get, err, step.status)
		}
	}
}

func TestListPagesExecutionsNewestFirst(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx := t.Context()
	first := s.start(t, c, "hold")
	second := s.start(t, c, "hold")
	if _, err := c.executions.Terminate(ctx, &apiv1.TerminateExecutionRequest{ExecutionId: second, Reason: "enough"}); err != nil {
		t.Errorf("terminate: %v", err)
	}
	list, err := c.executions.List(ctx, &apiv1.ListExecutionsRequest{Definition: "hold", Limit: 1})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Id != second || list.Next == "" || list.Total != 2 {
		t.Fatalf("list: got %v, %v", list, err)
	}
	list, err = c.executions.List(ctx, &apiv1.ListExecutionsRequest{Definition: "hold", Limit: 1, Cursor: list.Next})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Id != first {
		t.Errorf("second page: got %v, %v", list, err)
	}
	list, err = c.executions.List(ctx, &apiv1.ListExecutionsRequest{Status: apiv1.Execution_TERMINATED})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Reason != "enough" {
		t.Errorf("list by status: got %v, %v", list, err)
	}
}

func TestGetPagesTasksBySerial(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	inline := `{"name":"wide","version":1,"schemaVersion":2,"tasks":[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"a","taskReferenceName":"a","type":"SIMPLE"}],[{"name":"b","taskReferenceName":"b","type":"SIMPLE"}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["a","b"]}]}`
	started, err := c.executions.Start(t.Context(), &apiv1.StartExecutionRequest{Definition: inline})
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	req := &apiv1.GetExecutionRequest{ExecutionId: started.ExecutionId, Tasks: true, TaskLimit: 1}
	for pages := 0; pages < 10; pages++ {
		got, err := c.executions.Get(t.Context(), req)
		if err != nil || len(got.Tasks) != 1 {
			t.Fatalf("page: got %v, %v", got, err)
		}
		refs = append(refs, got.Tasks[0].Ref)
		if req.FirstSerial = got.NextSerial; req.FirstSerial == 0 {
			break
		}
	}
	if got := strings.Join(refs, " "); len(refs) < 3 || !strings.HasPrefix(got, "f ") {
		t.Errorf("refs of the pages: got %q", got)
	}
}
