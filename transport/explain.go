package transport

import (
	"context"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// Explain says what an execution and its open tasks wait for, or one task.
func (x *executions) Explain(ctx context.Context, req *apiv1.ExplainExecutionRequest) (*apiv1.ExplainExecutionResponse, error) {
	id, err := fsm.ParseID(req.Id)
	switch {
	case err != nil:
		return nil, readError(badField("id", "not the id of an execution or task"))
	case id.Serial != 0 && req.Ref != "":
		return nil, readError(badField("ref", "goes with the id of an execution, not of a task"))
	}
	v, err := x.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	whole, ok := v.ExplainExecution(id.Exec)
	if !ok {
		return nil, readError(notFound("execution", id.Exec.String()))
	}
	if req.Ref != "" {
		if id, ok = v.NewestTask(id.Exec, req.Ref); !ok {
			return nil, readError(notFound("task", req.Ref))
		}
	}
	if id.Serial != 0 {
		whole.Reasons, whole.More = v.Explain(id), false
		if len(whole.Reasons) == 0 {
			return nil, readError(notFound("task", req.Id))
		}
	}
	resp := &apiv1.ExplainExecutionResponse{
		Status: apiv1.Execution_Status(whole.Status), More: whole.More, Position: position(v).String(),
	}
	for i := range whole.Reasons {
		resp.Reasons = append(resp.Reasons, waitReason(&whole.Reasons[i]))
	}
	return resp, nil
}

func waitReason(r *fsm.Reason) *apiv1.WaitReason {
	m := &apiv1.WaitReason{
		TaskId: r.Task.String(), Ref: r.Ref, Kind: r.Kind, Text: validText(r.Text), Depth: int32(r.Depth),
		Until: instant(r.Until), Count: int64(r.Count), Queue: string(r.Queue), TaskType: r.Type,
	}
	for _, id := range r.Of {
		m.Of = append(m.Of, id.String())
	}
	for _, name := range r.Names {
		m.Names = append(m.Names, validText(name))
	}
	return m
}
