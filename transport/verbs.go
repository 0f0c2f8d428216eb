package transport

import (
	"context"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// Signal ends an open WAIT.
func (x *executions) Signal(ctx context.Context, req *apiv1.SignalExecutionRequest) (*apiv1.SignalExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	status, err := reported(req.Status)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.Signal{
		Exec: id, Ref: req.Ref, Status: status, Output: payload(req.Output), Reason: req.Reason,
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.SignalExecutionResponse{TaskId: taskIDText(out.Result.Task), Position: out.Position.String()}, nil
}

// PushMessage gives a message to an execution.
func (x *executions) PushMessage(ctx context.Context, req *apiv1.PushMessageRequest) (*apiv1.PushMessageResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.PushMessage{Exec: id, Message: payload(req.Body)})
	if err != nil {
		return nil, err
	}
	return &apiv1.PushMessageResponse{MessageId: taskIDText(out.Result.Task), Position: out.Position.String()}, nil
}

// Pause stops an execution from making further tasks.
func (x *executions) Pause(ctx context.Context, req *apiv1.PauseExecutionRequest) (*apiv1.PauseExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.PauseExecution{Exec: id})
	if err != nil {
		return nil, err
	}
	return &apiv1.PauseExecutionResponse{Position: out.Position.String()}, nil
}

// Resume lets a paused execution go on.
func (x *executions) Resume(ctx context.Context, req *apiv1.ResumeExecutionRequest) (*apiv1.ResumeExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.ResumeExecution{Exec: id})
	if err != nil {
		return nil, err
	}
	return &apiv1.ResumeExecutionResponse{Position: out.Position.String()}, nil
}

// Terminate ends an execution.
func (x *executions) Terminate(ctx context.Context, req *apiv1.TerminateExecutionRequest) (*apiv1.TerminateExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.TerminateExecution{
		Exec: id, Reason: req.Reason, TriggerFailureWorkflow: req.TriggerFailureWorkflow,
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.TerminateExecutionResponse{Position: out.Position.String()}, nil
}

// Restart runs an execution from its first step.
func (x *executions) Restart(ctx context.Context, req *apiv1.RestartExecutionRequest) (*apiv1.RestartExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.RestartExecution{Exec: id, Latest: req.Latest})
	if err != nil {
		return nil, err
	}
	return &apiv1.RestartExecutionResponse{Position: out.Position.String()}, nil
}

// Retry gives failed steps a further attempt.
func (x *executions) Retry(ctx context.Context, req *apiv1.RetryExecutionRequest) (*apiv1.RetryExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.RetryExecution{Exec: id, ResumeSubworkflows: req.ResumeSubworkflows})
	if err != nil {
		return nil, err
	}
	return &apiv1.RetryExecutionResponse{Position: out.Position.String()}, nil
}

// Rerun runs an execution again from one of its tasks.
func (x *executions) Rerun(ctx context.Context, req *apiv1.RerunExecutionRequest) (*apiv1.RerunExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	body := &fsm.RerunExecution{
		Exec: id, TaskInput: payload(req.TaskInput), WorkflowInput: payload(req.WorkflowInput), Correlation: req.Correlation,
	}
	if req.TaskId != "" {
		if body.Task, err = taskID("taskId", req.TaskId); err != nil {
			return nil, changeError(err)
		}
	}
	out, err := x.s.change(ctx, req.RequestId, body)
	if err != nil {
		return nil, err
	}
	return &apiv1.RerunExecutionResponse{Position: out.Position.String()}, nil
}

// Skip lets an execution pass over a step.
func (x *executions) Skip(ctx context.Context, req *apiv1.SkipExecutionRequest) (*apiv1.SkipExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.SkipTask{
		Exec: id, Ref: req.Ref, Input: payload(req.Input), Output: payload(req.Output),
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.SkipExecutionResponse{TaskId: taskIDText(out.Result.Task), Position: out.Position.String()}, nil
}

// Jump lets an execution go on at a later step.
func (x *executions) Jump(ctx context.Context, req *apiv1.JumpExecutionRequest) (*apiv1.JumpExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.JumpTo{Exec: id, Ref: req.Ref, Input: payload(req.Input)})
	if err != nil {
		return nil, err
	}
	return &apiv1.JumpExecutionResponse{Position: out.Position.String()}, nil
}

// SetVariables writes variables of an execution.
func (x *executions) SetVariables(ctx context.Context, req *apiv1.SetExecutionVariablesRequest) (*apiv1.SetExecutionVariablesResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.SetVariables{
		Exec: id, Variables: payload(req.Variables), Append: req.Append,
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.SetExecutionVariablesResponse{Position: out.Position.String()}, nil
}

// ResetCallbacks makes waiting tasks ready at once.
func (x *executions) ResetCallbacks(ctx context.Context, req *apiv1.ResetExecutionCallbacksRequest) (*apiv1.ResetExecutionCallbacksResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.ResetCallbacks{Exec: id})
	if err != nil {
		return nil, err
	}
	return &apiv1.ResetExecutionCallbacksResponse{Position: out.Position.String()}, nil
}

// Decide lets an execution go on as far as it can.
func (x *executions) Decide(ctx context.Context, req *apiv1.DecideExecutionRequest) (*apiv1.DecideExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.Decide{Exec: id})
	if err != nil {
		return nil, err
	}
	return &apiv1.DecideExecutionResponse{Position: out.Position.String()}, nil
}

// Delete removes an execution.
func (x *executions) Delete(ctx context.Context, req *apiv1.DeleteExecutionRequest) (*apiv1.DeleteExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, &fsm.DeleteExecution{Exec: id, Force: req.Force})
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteExecutionResponse{Position: out.Position.String()}, nil
}

// reported converts a status that a client may report; unspecified is 0.
func reported(st apiv1.Task_Status) (fsm.TaskStatus, error) {
	switch st {
	case apiv1.Task_STATUS_UNSPECIFIED, apiv1.Task_IN_PROGRESS, apiv1.Task_COMPLETED, apiv1.Task_FAILED, apiv1.Task_FAILED_WITH_TERMINAL_ERROR:
		return fsm.TaskStatus(st), nil
	}
	return 0, badField("status", "not a status that can be reported")
}
