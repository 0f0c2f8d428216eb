package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

const (
	mailDefinition = `{"name":"greet","version":1,"schemaVersion":2,"tasks":[{"name":"mail","taskReferenceName":"m","type":"SIMPLE","inputParameters":{"to":"${workflow.input.to}"}}],"outputParameters":{"sent":"${m.output.sent}"}}`
	waitDefinition = `{"name":"hold","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT"}]}`
	mailType       = `{"name":"mail","retryCount":1,"retryDelaySeconds":0,"timeoutSeconds":0,"responseTimeoutSeconds":60}`
)

// site is a served machine and clients of it.
type site struct {
	*machine
	server *Server
	url    string
	stop   context.CancelFunc
	done   chan error
	h1, h2 *http.Client
}

type clients struct {
	definitions apiv1connect.DefinitionServiceClient
	executions  apiv1connect.ExecutionServiceClient
	tasks       apiv1connect.TaskServiceClient
	workers     apiv1connect.WorkerServiceClient
	queues      apiv1connect.QueueServiceClient
	cluster     apiv1connect.ClusterServiceClient
}

func serve(t *testing.T, checks ...Check) *site {
	t.Helper()
	return serveMachine(t, newMachine(), checks...)
}

func serveMachine(t *testing.T, m *machine, checks ...Check) *site {
	t.Helper()
	var proposer Proposer = m
	return serveWith(t, m, proposer, checks...)
}

func serveWith(t *testing.T, m *machine, proposer Proposer, checks ...Check) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &site{machine: m, url: "http://" + ln.Addr().String(), stop: cancel, done: make(chan error, 1)}
	s.server = New(Deps{
		Proposer: proposer, Views: m, Parking: m, Cluster: m, Events: m.open, Checks: checks,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	h1, h2 := &http.Transport{Protocols: new(http.Protocols)}, &http.Transport{Protocols: new(http.Protocols)}
	h1.Protocols.SetHTTP1(true)
	h2.Protocols.SetUnencryptedHTTP2(true)
	s.h1, s.h2 = &http.Client{Transport: h1}, &http.Client{Transport: h2}
	go func() { s.done <- s.server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		h1.CloseIdleConnections()
		h2.CloseIdleConnections()
		cancel()
		if err := <-s.done; err != nil {
			t.Errorf("serve: %v", err)
		}
		s.done <- nil
	})
	return s
}

func (s *site) clients(c *http.Client, opts ...connect.ClientOption) *clients {
	return &clients{
		definitions: apiv1connect.NewDefinitionServiceClient(c, s.url, opts...),
		executions:  apiv1connect.NewExecutionServiceClient(c, s.url, opts...),
		tasks:       apiv1connect.NewTaskServiceClient(c, s.url, opts...),
		workers:     apiv1connect.NewWorkerServiceClient(c, s.url, opts...),
		queues:      apiv1connect.NewQueueServiceClient(c, s.url, opts...),
		cluster:     apiv1connect.NewClusterServiceClient(c, s.url, opts...),
	}
}

// apply registers the definitions that tests use.
func (s *site) apply(t *testing.T, c *clients) {
	t.Helper()
	for _, source := range []string{mailType, mailDefinition, waitDefinition} {
		if _, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: source}); err != nil {
			t.Fatalf("apply %s: %v", source, err)
		}
	}
}

func (s *site) start(t *testing.T, c *clients, name string) string {
	t.Helper()
	resp, err := c.executions.Start(t.Context(), &apiv1.StartExecutionRequest{Name: name, Input: `{"to":"ann"}`})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	return resp.ExecutionId
}

// post sends a JSON request by HTTP/1.1, as curl would.
func (s *site) post(t *testing.T, procedure, body string) (status int, header http.Header, answer map[string]any) {
	t.Helper()
	resp, err := s.h1.Post(s.url+procedure, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("status %d, answer %q: %v", resp.StatusCode, raw, err)
	}
	return resp.StatusCode, resp.Header, answer
}

// detail gives the ErrorDetail of err and the code of the protocol.
func detail(t *testing.T, err error) (*apiv1.ErrorDetail, connect.Code) {
	t.Helper()
	var ce *connect.Error
	if !errors.As(err, &ce) {
		t.Fatalf("got error %v, want one of the protocol", err)
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if ed, ok := v.(*apiv1.ErrorDetail); ok {
				return ed, ce.Code()
			}
		}
	}
	t.Fatalf("error %v has no ErrorDetail", err)
	return nil, 0
}

// protocols runs a test over everything that clients may speak.
func protocols(t *testing.T, s *site, test func(t *testing.T, c *clients)) {
	t.Helper()
	for name, c := range map[string]*clients{
		"connect binary h2c":    s.clients(s.h2),
		"connect json h2c":      s.clients(s.h2, connect.WithProtoJSON()),
		"connect binary http/1": s.clients(s.h1),
		"connect json http/1":   s.clients(s.h1, connect.WithProtoJSON()),
		"grpc":                  s.clients(s.h2, connect.WithGRPC()),
		"grpc-web":              s.clients(s.h1, connect.WithGRPCWeb()),
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

func TestEveryProtocolRunsAnExecutionToItsEnd(t *testing.T) {
	s := serve(t)
	s.apply(t, s.clients(s.h2))
	protocols(t, s, func(t *testing.T, c *clients) {
		id := s.start(t, c, "greet")
		poll, err := c.tasks.Poll(t.Context(), &apiv1.PollTasksRequest{Worker: "w1", Types: []string{"mail"}, TimeoutMillis: 5000})
		if err != nil || len(poll.Tasks) != 1 {
			t.Fatalf("poll: got %v, %v, want one task", poll, err)
		}
		got := poll.Tasks[0]
		if got.ExecutionId != id || got.Input != `{"to":"ann"}` || got.Lease == 0 || got.Type != "mail" || got.Ref != "m" || got.ResponseMillis != 60_000 {
			t.Errorf("leased task: got %v", got)
		}
		done, err := c.tasks.Complete(t.Context(), &apiv1.CompleteTaskRequest{TaskId: got.TaskId, Lease: got.Lease, Output: `{"sent":1.50}`, Worker: "w1"})
		if err != nil {
			t.Fatalf("complete: %v", err)
		}
		wait, err := c.executions.Wait(t.Context(), &apiv1.WaitExecutionRequest{ExecutionId: id, AtLeast: done.Position})
		if err != nil {
			t.Fatalf("wait: %v", err)
		}
		if x := wait.Execution; !wait.Ended || x.Status != apiv1.Execution_COMPLETED || x.Output != `{"sent":1.50}` || x.Input != `{"to":"ann"}` || x.Ended == nil {
			t.Errorf("wait: got %v", wait)
		}
	})
}

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

func TestExecutionService(t *testing.T) {
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
	for _, step := range []struct {
		call   func() error
		status apiv1.Execution_Status
	}{
		{func() error {
			_, err := c.executions.Pause(ctx, &apiv1.PauseExecutionRequest{ExecutionId: first.ExecutionId})
			return err
		}, apiv1.Execution_PAUSED},
		{func() error {
			_, err := c.executions.Resume(ctx, &apiv1.ResumeExecutionRequest{ExecutionId: first.ExecutionId})
			return err
		}, apiv1.Execution_RUNNING},
		{func() error {
			_, err := c.executions.Signal(ctx, &apiv1.SignalExecutionRequest{ExecutionId: first.ExecutionId, Output: `{"ok":true}`})
			return err
		}, apiv1.Execution_COMPLETED},
	} {
		if err := step.call(); err != nil {
			t.Fatalf("to %v: %v", step.status, err)
		}
		get, err := c.executions.Get(ctx, &apiv1.GetExecutionRequest{ExecutionId: first.ExecutionId})
		if err != nil || get.Execution.Status != step.status {
			t.Errorf("got %v, %v, want status %v", get, err, step.status)
		}
	}
	second := s.start(t, c, "hold")
	if _, err := c.executions.Terminate(ctx, &apiv1.TerminateExecutionRequest{ExecutionId: second, Reason: "enough"}); err != nil {
		t.Errorf("terminate: %v", err)
	}
	list, err := c.executions.List(ctx, &apiv1.ListExecutionsRequest{Definition: "hold", Limit: 1})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Id != second || list.Next == "" || list.Total != 2 {
		t.Fatalf("list: got %v, %v", list, err)
	}
	list, err = c.executions.List(ctx, &apiv1.ListExecutionsRequest{Definition: "hold", Limit: 1, Cursor: list.Next})
	if err != nil || len(list.Executions) != 1 || list.Executions[0].Id != first.ExecutionId {
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

func TestTaskService(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx := t.Context()
	id := s.start(t, c, "greet")
	poll := func() *apiv1.LeasedTask {
		t.Helper()
		p, err := c.tasks.Poll(ctx, &apiv1.PollTasksRequest{Worker: "w", Types: []string{"other", "mail"}, Count: 2})
		if err != nil || len(p.Tasks) != 1 {
			t.Fatalf("poll: got %v, %v", p, err)
		}
		return p.Tasks[0]
	}
	one := poll()
	if _, err := c.tasks.Extend(ctx, &apiv1.ExtendTaskRequest{TaskId: one.TaskId, Lease: one.Lease}); err != nil {
		t.Errorf("extend: %v", err)
	}
	_, err := c.tasks.Complete(ctx, &apiv1.CompleteTaskRequest{TaskId: one.TaskId, Lease: one.Lease + 1})
	if d, code := detail(t, err); d.Code != "stale_lease" || code != connect.CodeFailedPrecondition || d.GotLease != one.Lease+1 || d.WantLease != one.Lease || d.TaskId != one.TaskId {
		t.Errorf("complete with another lease: got %v", d)
	}
	if _, err := c.tasks.Fail(ctx, &apiv1.FailTaskRequest{TaskId: one.TaskId, Lease: one.Lease, Reason: "no paper"}); err != nil {
		t.Fatalf("fail: %v", err)
	}
	two := poll()
	if two.Retry != 1 || two.TaskId == one.TaskId {
		t.Errorf("second attempt: got %v", two)
	}
	got, err := c.tasks.Get(ctx, &apiv1.GetTaskRequest{TaskId: one.TaskId})
	if err != nil || got.Task.Status != apiv1.Task_FAILED || got.Task.Reason != "no paper" || !got.Task.Retried {
		t.Errorf("get: got %v, %v", got, err)
	}
	up, err := c.tasks.Update(ctx, &apiv1.UpdateTaskRequest{ExecutionId: id, Ref: "m", Status: apiv1.Task_COMPLETED, Output: `{"sent":2}`})
	if err != nil || up.TaskId != two.TaskId || up.Ignored {
		t.Errorf("update by reference: got %v, %v", up, err)
	}
	up, err = c.tasks.Update(ctx, &apiv1.UpdateTaskRequest{TaskId: two.TaskId, Status: apiv1.Task_FAILED})
	if err != nil || !up.Ignored {
		t.Errorf("late update: got %v, %v", up, err)
	}
	_, err = c.tasks.Extend(ctx, &apiv1.ExtendTaskRequest{TaskId: two.TaskId, Lease: two.Lease})
	if d, _ := detail(t, err); d.Code != "stale_lease" {
		t.Errorf("extend of a finished task: got %v", d)
	}
	none, err := c.tasks.Poll(ctx, &apiv1.PollTasksRequest{Worker: "w", Types: []string{"mail"}, TimeoutMillis: 1})
	if err != nil || len(none.Tasks) != 0 {
		t.Errorf("poll of an empty queue: got %v, %v", none, err)
	}
}

func TestPollWaitsForATask(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	type result struct {
		resp *apiv1.PollTasksResponse
		err  error
	}
	got := make(chan result, 1)
	go func() {
		resp, err := c.tasks.Poll(context.WithoutCancel(t.Context()), &apiv1.PollTasksRequest{Worker: "w", Types: []string{"mail"}, Domain: "eu", Count: 5, TimeoutMillis: 60_000})
		got <- result{resp, err}
	}()
	until(t, "the poll is parked", func() bool { return s.free() == 5 })
	_, err := c.executions.Start(t.Context(), &apiv1.StartExecutionRequest{Name: "greet", TaskToDomain: map[string]string{"*": "eu"}})
	if err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.err != nil || len(r.resp.Tasks) != 1 || r.resp.Tasks[0].Queue != "eu:mail" {
		t.Errorf("poll: got %v, %v", r.resp, r.err)
	}
}

func TestQueueService(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx := t.Context()
	s.start(t, c, "greet")
	if _, err := c.queues.Pause(ctx, &apiv1.PauseQueueRequest{Name: "mail"}); err != nil {
		t.Fatal(err)
	}
	got, err := c.queues.Get(ctx, &apiv1.GetQueueRequest{Name: "mail"})
	if err != nil || !got.Queue.Paused || got.Queue.Ready != 1 || got.Queue.Oldest == nil || got.Queue.Type != "mail" {
		t.Errorf("get: got %v, %v", got, err)
	}
	if _, err := c.queues.Resume(ctx, &apiv1.ResumeQueueRequest{Name: "mail"}); err != nil {
		t.Fatal(err)
	}
	list, err := c.queues.List(ctx, &apiv1.ListQueuesRequest{Read: &apiv1.Read{Consistency: apiv1.Read_STALE}})
	if err != nil || len(list.Queues) != 1 || list.Queues[0].Paused {
		t.Errorf("list: got %v, %v", list, err)
	}
	_, err = c.queues.Get(ctx, &apiv1.GetQueueRequest{Name: "never"})
	if d, _ := detail(t, err); d.Code != "not_found" {
		t.Errorf("get of no queue: got %v", d)
	}
}

func TestClusterService(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	st, err := c.cluster.Status(t.Context(), &apiv1.ClusterStatusRequest{})
	if err != nil || st.ClusterId != "c1" || len(st.Members) != 1 || st.LeaderId != testNode.String() || st.Applied == 0 || len(st.Digest) != 32 {
		t.Errorf("status: got %v, %v", st, err)
	}
	moved, err := c.cluster.Transfer(t.Context(), &apiv1.TransferLeadershipRequest{To: testNode.String()})
	if err != nil || moved.LeaderId != testNode.String() {
		t.Errorf("transfer: got %v, %v", moved, err)
	}
	_, err = c.cluster.Transfer(t.Context(), &apiv1.TransferLeadershipRequest{})
	if d, code := detail(t, err); d.Code != "not_leader" || code != connect.CodeUnavailable || d.LeaderAddress != s.leader {
		t.Errorf("transfer on a follower: got %v", d)
	}
}

func TestAnswersNameTheLeader(t *testing.T) {
	s := serve(t)
	for body, want := range map[string]int{`{}`: http.StatusOK, `{"read":{"atLeast":"zz"}}`: http.StatusBadRequest} {
		status, header, _ := s.post(t, apiv1connect.QueueServiceListProcedure, body)
		if status != want || header.Get(leaderHeader) != s.leader {
			t.Errorf("%s: got %d, leader %q", body, status, header.Get(leaderHeader))
		}
	}
}

func TestReadsAtLeastAPosition(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	put, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: mailDefinition})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.definitions.Get(t.Context(), &apiv1.GetDefinitionRequest{Name: "greet", Read: &apiv1.Read{AtLeast: put.Position}})
	if err != nil || got.Position < put.Position {
		t.Errorf("get: got %v, %v", got, err)
	}
	// A position that is not reached is waited for, up to the deadline.
	ahead := fsm.Position{Index: 1 << 20}.String()
	ctx, cancel := context.WithTimeout(t.Context(), 20e6)
	defer cancel()
	_, err = c.definitions.Get(ctx, &apiv1.GetDefinitionRequest{Name: "greet", Read: &apiv1.Read{AtLeast: ahead}})
	if got := connect.CodeOf(err); got != connect.CodeDeadlineExceeded {
		t.Errorf("get at a position ahead: got %v, want deadline_exceeded", err)
	}
}

func TestRequestWithoutLengthIsCutOff(t *testing.T) {
	s := serve(t)
	body := io.MultiReader(strings.NewReader(`{"source":"`), bytes.NewReader(bytes.Repeat([]byte("x"), MaxRequestBytes)), strings.NewReader(`"}`))
	resp, err := s.h1.Post(s.url+apiv1connect.DefinitionServiceApplyProcedure, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got status %d, want 429", resp.StatusCode)
	}
}
