package transport

import (
	"context"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// List gives a page of the executions that are asked for.
func (x *executions) List(ctx context.Context, req *apiv1.ListExecutionsRequest) (*apiv1.ListExecutionsResponse, error) {
	if req.Status < 0 || int(req.Status) > int(fsm.Terminated) {
		return nil, readError(badField("status", "not a known status"))
	}
	q := fsm.Query{
		Definition: req.Definition, Status: fsm.Status(req.Status), Correlation: req.Correlation,
		Where: req.Query, Text: req.Text, Sort: req.Sort, After: req.Cursor, Limit: int(req.Limit), Count: req.Count,
	}
	if _, err := (fsm.View{}).Search(q); err != nil { // before the leader is asked for the state
		return nil, readError(err)
	}
	v, err := x.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	page, err := v.Search(q)
	if err != nil {
		return nil, readError(err)
	}
	resp := &apiv1.ListExecutionsResponse{
		Next: page.Next, Total: int64(page.Total), Partial: page.Partial, Position: position(v).String(),
	}
	for i := range page.Items {
		resp.Executions = append(resp.Executions, execution(&page.Items[i]))
	}
	return resp, nil
}

// List gives a page of the tasks that are asked for.
func (t *tasks) List(ctx context.Context, req *apiv1.ListTasksRequest) (*apiv1.ListTasksResponse, error) {
	q := fsm.Query{Where: req.Query, Text: req.Text, Sort: req.Sort, After: req.Cursor, Limit: int(req.Limit), Count: req.Count}
	if _, err := (fsm.View{}).SearchTasks(q); err != nil {
		return nil, readError(err)
	}
	v, err := t.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	page, err := v.SearchTasks(q)
	if err != nil {
		return nil, readError(err)
	}
	resp := &apiv1.ListTasksResponse{
		Next: page.Next, Total: int64(page.Total), Partial: page.Partial, Position: position(v).String(),
	}
	for i := range page.Items {
		h := &page.Items[i]
		resp.Tasks = append(resp.Tasks, &apiv1.FoundTask{
			Task: task(&h.TaskInfo), Definition: h.Definition, Correlation: h.Correlation, Priority: h.Priority,
		})
	}
	return resp, nil
}
