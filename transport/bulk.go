package transport

import (
	"context"
	"crypto/sha256"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// Bulk does one verb to many executions. The numbers of the verbs are the same on both
// sides.
func (x *executions) Bulk(ctx context.Context, req *apiv1.BulkExecutionsRequest) (*apiv1.BulkExecutionsResponse, error) {
	if req.Verb < 0 || req.Verb > apiv1.BulkExecutionsRequest_DECIDE {
		return nil, changeError(badField("verb", "not a known verb"))
	}
	body := &fsm.Bulk{
		Verb: fsm.BulkVerb(req.Verb), Reason: req.Reason, TriggerFailureWorkflow: req.TriggerFailureWorkflow,
		Latest: req.Latest, ResumeSubworkflows: req.ResumeSubworkflows, Force: req.Force, Ref: req.Ref,
		Input: payload(req.Input), Output: payload(req.Output), Append: req.Append, Correlation: req.Correlation,
	}
	for _, text := range req.ExecutionIds {
		id, err := execID("executionIds", text)
		if err != nil {
			return nil, changeError(err)
		}
		body.IDs = append(body.IDs, id)
	}
	id, err := RequestID(req.RequestId)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.submit(ctx, &fsm.Command{RequestID: id, Body: body})
	if err != nil {
		return nil, err
	}
	resp := &apiv1.BulkExecutionsResponse{Position: out.Position.String(), Results: make([]*apiv1.BulkResult, len(body.IDs))}
	var busy []int
	for i, item := range out.Result.Items {
		resp.Results[i] = bulkResult(item)
		if isBusy(item.Rejection) {
			busy = append(busy, i)
		}
	}
	x.s.bulkAgain(ctx, id, body, resp, busy)
	return resp, nil
}

func bulkResult(item fsm.BulkItem) *apiv1.BulkResult {
	r := &apiv1.BulkResult{ExecutionId: item.Exec.String()}
	if item.Rejection != nil {
		f := Describe(item.Rejection)
		r.Error = f.Detail()
	}
	return r
}

// bulkAgain asks again for those executions of a Bulk that the machine was busy with, by
// their places, and puts their answers into resp.
func (s *Server) bulkAgain(ctx context.Context, id fsm.RequestID, body *fsm.Bulk, resp *apiv1.BulkExecutionsResponse, busy []int) {
	var p patience
	for len(busy) > 0 && s.pause(ctx, &p) {
		again := *body
		again.IDs = nil
		for _, i := range busy {
			again.IDs = append(again.IDs, body.IDs[i])
		}
		id = nextID(id)
		out, err := s.deps.Proposer.Propose(ctx, &fsm.Command{RequestID: id, Body: &again})
		if err == nil && out.Result.Rejection != nil {
			err = out.Result.Rejection
		}
		if err != nil { // of the others the answer is known
			f := Describe(s.noted(err))
			for _, i := range busy {
				resp.Results[i].Error = f.Detail()
			}
			return
		}
		resp.Position = out.Position.String()
		left := busy[:0]
		for n, i := range busy {
			item := out.Result.Items[n]
			resp.Results[i] = bulkResult(item)
			if isBusy(item.Rejection) {
				left = append(left, i)
			}
		}
		busy = left
	}
	for _, i := range busy {
		resp.Results[i].Error.Message = p.lost(resp.Results[i].Error.Message)
	}
}

// nextID gives the request id of a further part of a request: the same for the same
// request, so that all of it can be repeated.
func nextID(id fsm.RequestID) fsm.RequestID {
	if id.IsZero() {
		return id
	}
	sum := sha256.Sum256(id[:])
	copy(id[:], sum[:])
	return id
}
