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
