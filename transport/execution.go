package transport

import (
	"context"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const (
	// maxTasks bounds the tasks of one answer.
	maxTasks = 1000
	// defaultWaitMillis is how long Wait waits when the request does not say.
	defaultWaitMillis = 30_000
)

// executions serves ExecutionService; Session is in session.go.
type executions struct{ s *Server }

func startBody(req *apiv1.StartExecutionRequest) (*fsm.StartExecution, error) {
	if req.Strategy < apiv1.StartExecutionRequest_FAIL || req.Strategy > apiv1.StartExecutionRequest_FAIL_ON_RUNNING {
		return nil, badField("strategy", "not a known strategy")
	}
	if len(req.TaskToDomain) > fsm.MaxDomains {
		return nil, badField("taskToDomain", "too many entries")
	}
	return &fsm.StartExecution{
		Name:        req.Name,
		Version:     req.Version,
		Definition:  payload(req.Definition),
		Input:       payload(req.Input),
		Correlation: req.Correlation,
		Priority:    req.Priority,
		Domains:     domains(req.TaskToDomain),
		Key:         req.Key,
		Strategy:    fsm.Strategy(req.Strategy),
		CreatedBy:   req.CreatedBy,
	}, nil
}

// Start starts an execution.
func (x *executions) Start(ctx context.Context, req *apiv1.StartExecutionRequest) (*apiv1.StartExecutionResponse, error) {
	body, err := startBody(req)
	if err != nil {
		return nil, changeError(err)
	}
	if err := x.s.parsed(ctx, body.Definition, true); err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, body)
	if err != nil {
		return nil, err
	}
	return &apiv1.StartExecutionResponse{
		ExecutionId: out.Result.Exec.String(),
		Position:    out.Position.String(),
		Existing:    out.Result.Repeated,
	}, nil
}

// Get gives an execution and a page of its tasks.
func (x *executions) Get(ctx context.Context, req *apiv1.GetExecutionRequest) (*apiv1.GetExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, readError(err)
	}
	if req.TaskLimit < 0 || req.TaskLimit > maxTasks {
		return nil, readError(badField("taskLimit", "must be from 0 to 1000"))
	}
	v, err := x.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	info, ok := v.Execution(id)
	if !ok {
		return nil, readError(notFound("execution", req.ExecutionId))
	}
	resp := &apiv1.GetExecutionResponse{Execution: execution(&info), Position: position(v).String()}
	if !req.Tasks {
		return resp, nil
	}
	limit := int(req.TaskLimit)
	if limit == 0 {
		limit = maxTasks
	}
	for t := range v.Tasks(id, max(req.FirstSerial, 1)) {
		if len(resp.Tasks) == limit {
			resp.NextSerial = t.ID.Serial
			break
		}
		resp.Tasks = append(resp.Tasks, task(&t))
	}
	return resp, nil
}
