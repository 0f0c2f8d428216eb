package transport

import (
	"context"
	"slices"
	"strings"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// queues serves QueueService.
type queues struct{ s *Server }

// List gives all queues.
func (q *queues) List(ctx context.Context, req *apiv1.ListQueuesRequest) (*apiv1.ListQueuesResponse, error) {
	v, err := q.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListQueuesResponse{Position: position(v).String()}
	for info := range v.Queues() {
		resp.Queues = append(resp.Queues, queue(&info, v.Time()))
	}
	slices.SortFunc(resp.Queues, func(a, b *apiv1.Queue) int { return strings.Compare(a.Name, b.Name) })
	return resp, nil
}

// Get gives one queue.
func (q *queues) Get(ctx context.Context, req *apiv1.GetQueueRequest) (*apiv1.GetQueueResponse, error) {
	v, err := q.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	info, ok := v.Queue(fsm.Queue(req.Name))
	if !ok {
		return nil, readError(notFound("queue", req.Name))
	}
	return &apiv1.GetQueueResponse{Queue: queue(&info, v.Time()), Position: position(v).String()}, nil
}

// Pause stops the hand-out of a queue's tasks.
func (q *queues) Pause(ctx context.Context, req *apiv1.PauseQueueRequest) (*apiv1.PauseQueueResponse, error) {
	out, err := q.s.change(ctx, req.RequestId, &fsm.PauseQueue{Queue: fsm.Queue(req.Name)})
	if err != nil {
		return nil, err
	}
	return &apiv1.PauseQueueResponse{Position: out.Position.String()}, nil
}

// Resume undoes Pause.
func (q *queues) Resume(ctx context.Context, req *apiv1.ResumeQueueRequest) (*apiv1.ResumeQueueResponse, error) {
	out, err := q.s.change(ctx, req.RequestId, &fsm.ResumeQueue{Queue: fsm.Queue(req.Name)})
	if err != nil {
		return nil, err
	}
	return &apiv1.ResumeQueueResponse{Position: out.Position.String()}, nil
}
