package transport

import (
	"context"
	"time"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const (
	// maxPoll bounds the tasks of one poll.
	maxPoll = 100
	// shortPoll is the wait of a poll that does not want to wait: a task that is ready
	// takes one entry to be leased.
	shortPoll = 100 * time.Millisecond
	// maxQueueName bounds the name of a queue: a domain, a colon and a type.
	maxQueueName = 2*fsm.MaxName + 1
)

// tasks serves TaskService.
type tasks struct{ s *Server }

// Get gives one task.
func (t *tasks) Get(ctx context.Context, req *apiv1.GetTaskRequest) (*apiv1.GetTaskResponse, error) {
	id, err := taskID("taskId", req.TaskId)
	if err != nil {
		return nil, readError(err)
	}
	v, err := t.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	info, ok := v.Task(id)
	if !ok {
		return nil, readError(notFound("task", req.TaskId))
	}
	return &apiv1.GetTaskResponse{Task: task(&info), Position: position(v).String()}, nil
}

// Complete finishes a leased task with success.
func (t *tasks) Complete(ctx context.Context, req *apiv1.CompleteTaskRequest) (*apiv1.CompleteTaskResponse, error) {
	id, err := taskID("taskId", req.TaskId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := t.s.change(ctx, req.RequestId, &fsm.CompleteTask{
		Task: id, Lease: fsm.Lease(req.Lease), Output: payload(req.Output), Worker: req.Worker,
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.CompleteTaskResponse{Position: out.Position.String()}, nil
}

// Fail finishes a leased task without success.
func (t *tasks) Fail(ctx context.Context, req *apiv1.FailTaskRequest) (*apiv1.FailTaskResponse, error) {
	id, err := taskID("taskId", req.TaskId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := t.s.change(ctx, req.RequestId, &fsm.FailTask{
		Task: id, Lease: fsm.Lease(req.Lease), Reason: req.Reason, Terminal: req.Terminal,
		Output: payload(req.Output), Worker: req.Worker,
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.FailTaskResponse{Position: out.Position.String()}, nil
}

// Update reports from outside, without a lease.
func (t *tasks) Update(ctx context.Context, req *apiv1.UpdateTaskRequest) (*apiv1.UpdateTaskResponse, error) {
	body := &fsm.UpdateTask{
		Ref: req.Ref, Output: payload(req.Output), Reason: req.Reason, Worker: req.Worker,
		Replace: req.Replace, ExtendLease: req.ExtendLease, CallbackSeconds: req.CallbackSeconds,
	}
	var err error
	if req.TaskId != "" {
		body.Task, err = taskID("taskId", req.TaskId)
	} else {
		body.Exec, err = execID("executionId", req.ExecutionId)
	}
	if err != nil {
		return nil, changeError(err)
	}
	if body.Status, err = reported(req.Status); err != nil {
		return nil, changeError(err)
	}
	out, err := t.s.change(ctx, req.RequestId, body)
	if err != nil {
		return nil, err
	}
	return &apiv1.UpdateTaskResponse{
		TaskId:   taskIDText(out.Result.Task),
		Position: out.Position.String(),
		Ignored:  out.Result.Ignored,
	}, nil
}

// Extend starts the response clock of a leased task anew.
func (t *tasks) Extend(ctx context.Context, req *apiv1.ExtendTaskRequest) (*apiv1.ExtendTaskResponse, error) {
	id, err := taskID("taskId", req.TaskId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := t.s.change(ctx, req.RequestId, &fsm.ExtendLeases{Items: []fsm.Extension{{Task: id, Lease: fsm.Lease(req.Lease)}}})
	if err != nil {
		return nil, err
	}
	return &apiv1.ExtendTaskResponse{Position: out.Position.String()}, nil
}

// Poll leases tasks to a worker.
func (t *tasks) Poll(ctx context.Context, req *apiv1.PollTasksRequest) (*apiv1.PollTasksResponse, error) {
	spec, err := pollSpec(req)
	if err != nil {
		return nil, changeError(err)
	}
	if t.s.isDraining() {
		return nil, changeError(errDraining)
	}
	parked, cancel := context.WithTimeout(ctx, max(within(ctx, req.TimeoutMillis), shortPoll))
	defer cancel()
	_, leases, err := t.s.deps.Parking.Park(parked, spec)
	if err != nil {
		return nil, changeError(t.s.noted(err))
	}
	go func() { // ends with the call
		select {
		case <-t.s.draining:
			cancel()
		case <-parked.Done():
		}
	}()
	// What was offered before the time was up may still come, so go on to the close.
	var got []fsm.Leased
	for l := range leases {
		got = append(got, l)
	}
	if ctx.Err() != nil {
		t.s.handBack(got)
		return nil, changeError(ctx.Err())
	}
	got = t.s.completed(ctx, got)
	resp := &apiv1.PollTasksResponse{Tasks: make([]*apiv1.LeasedTask, len(got))}
	for i := range got {
		resp.Tasks[i] = &apiv1.LeasedTask{}
		leased(resp.Tasks[i], &got[i])
	}
	return resp, nil
}

func pollSpec(req *apiv1.PollTasksRequest) (fsm.SlotSpec, error) {
	spec := fsm.SlotSpec{Worker: req.Worker, Credit: int(req.Count), Once: true}
	if req.Count < 0 || req.Count > maxPoll {
		return spec, badField("count", "must be from 0 to 100")
	}
	if spec.Credit == 0 {
		spec.Credit = 1
	}
	if req.TimeoutMillis < 0 || int64(req.TimeoutMillis) > maxWait.Milliseconds() {
		return spec, badField("timeoutMillis", "must be from 0 to 60000")
	}
	prefix := ""
	if req.Domain != "" {
		prefix = req.Domain + ":"
	}
	for _, t := range req.Types {
		spec.Queues = append(spec.Queues, fsm.Queue(prefix+t))
	}
	return spec, checkSpec(&spec, "types")
}

// checkSpec refuses a spec that the machine could not name in an offer.
func checkSpec(s *fsm.SlotSpec, queues string) error {
	if len(s.Queues) == 0 || len(s.Queues) > fsm.MaxQueuesPerWorker {
		return badField(queues, "must name 1 to 256 queues")
	}
	for _, q := range s.Queues {
		if q == "" || len(q) > maxQueueName {
			return badField(queues, "a name must have 1 to 511 bytes")
		}
		if q[0] == '$' {
			return badField(queues, "names that begin with $ are the server's own")
		}
	}
	if len(s.Worker) > fsm.MaxName {
		return badField("worker", "must have at most 255 bytes")
	}
	return nil
}
