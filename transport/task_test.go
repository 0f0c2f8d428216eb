package transport

import (
	"context"
	"testing"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

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
