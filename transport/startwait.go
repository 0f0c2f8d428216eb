package transport

import (
	"context"
	"slices"
	"strings"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// maxRefs bounds the tasks that one call waits for.
const maxRefs = 100

// StartAndWait starts an execution and waits for its end, or for one of its tasks.
func (x *executions) StartAndWait(ctx context.Context, req *apiv1.StartAndWaitRequest) (*apiv1.StartAndWaitResponse, error) {
	if req.Start == nil {
		return nil, changeError(badField("start", "required"))
	}
	if req.Start.RequestId != "" {
		return nil, changeError(badField("start.requestId", "give the requestId of the call itself"))
	}
	wait := &apiv1.WaitExecutionRequest{TimeoutMillis: req.TimeoutMillis, UntilRefs: req.UntilRefs}
	refs, err := checkWait(wait)
	if err != nil {
		return nil, changeError(err)
	}
	body, err := startBody(req.Start)
	if err != nil {
		return nil, changeError(err)
	}
	out, err := x.s.change(ctx, req.RequestId, body)
	if err != nil {
		return nil, err
	}
	resp, err := x.wait(ctx, out.Result.Exec, wait.TimeoutMillis, refs)
	if err != nil { // the start is done: say so, whatever keeps the end from being seen
		resp = &apiv1.WaitExecutionResponse{Position: out.Position.String()}
	}
	return &apiv1.StartAndWaitResponse{
		ExecutionId: out.Result.Exec.String(), Existing: out.Result.Repeated,
		Ended: resp.Ended, Execution: resp.Execution, Reached: resp.Reached, Position: resp.Position,
	}, nil
}

// checkWait reads what a wait is for.
func checkWait(req *apiv1.WaitExecutionRequest) ([]string, error) {
	if req.TimeoutMillis < 0 || int64(req.TimeoutMillis) > maxWait.Milliseconds() {
		return nil, badField("timeoutMillis", "must be from 0 to 60000")
	}
	if len(req.UntilRefs) > maxRefs {
		return nil, badField("untilRefs", "at most 100 names")
	}
	var refs []string
	for _, ref := range req.UntilRefs {
		if ref = strings.TrimSpace(ref); ref == "" {
			return nil, badField("untilRefs", "a name is empty")
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// Wait answers when the execution has ended, one of the named tasks has, or the time is
// up.
func (x *executions) Wait(ctx context.Context, req *apiv1.WaitExecutionRequest) (*apiv1.WaitExecutionResponse, error) {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return nil, readError(err)
	}
	refs, err := checkWait(req)
	if err != nil {
		return nil, readError(err)
	}
	if req.AtLeast != "" {
		if _, err := x.s.viewAt(ctx, "atLeast", req.AtLeast); err != nil {
			return nil, err
		}
	}
	resp, err := x.wait(ctx, id, req.TimeoutMillis, refs)
	if err != nil {
		return nil, readError(x.s.noted(err))
	}
	return resp, nil
}

func (x *executions) wait(ctx context.Context, id fsm.ExecID, millis int32, refs []string) (*apiv1.WaitExecutionResponse, error) {
	if millis == 0 {
		millis = defaultWaitMillis
	}
	ctx, cancel := context.WithTimeout(ctx, within(ctx, millis))
	defer cancel()
	var reached *apiv1.Task
	if len(refs) > 0 {
		v, t, err := x.s.reached(ctx, id, refs)
		if err != nil {
			return nil, err
		}
		if t != nil {
			info, _ := v.Execution(id)
			reached = task(t)
			return &apiv1.WaitExecutionResponse{
				Ended: info.Status.Terminal(), Execution: execution(&info), Reached: reached, Position: position(v).String(),
			}, nil
		}
	}
	info, at, err := x.s.Ended(ctx, id)
	if err != nil {
		return nil, err
	}
	return &apiv1.WaitExecutionResponse{Ended: info.Status.Terminal(), Execution: execution(&info), Position: at.String()}, nil
}

// reached waits until a task of one of these reference names has ended and is not tried
// again, and gives it with the view that shows it; none when the execution has ended
// before, or the time is up.
func (s *Server) reached(ctx context.Context, id fsm.ExecID, refs []string) (fsm.View, *fsm.TaskInfo, error) {
	w, v, err := s.watch(ctx, id)
	if err != nil {
		return v, nil, err
	}
	defer s.waiters.watchers.remove(w)
	for {
		if t := endedFirst(v, id, refs); t != nil {
			return v, t, nil
		}
		if info, ok := v.Execution(id); !ok || info.Status.Terminal() {
			return v, nil, nil // Ended tells
		}
		index, ok := s.untilChange(ctx, w, refs)
		if !ok {
			return v, nil, nil
		}
		if v, err = s.waiters.viewAt(ctx, max(index, v.Index())); err != nil {
			return v, nil, nil //nolint:nilerr // the time is up
		}
	}
}

// untilChange waits for a change that may be what is waited for, and gives its index; 0
// when any may be.
func (s *Server) untilChange(ctx context.Context, w *watcher, refs []string) (index uint64, ok bool) {
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return 0, false
		case <-s.draining:
			return 0, false
		}
		changes, lapped := w.take()
		for _, c := range changes {
			if lapped || c.Serial == 0 && c.Status.Terminal() || c.Serial != 0 && c.Task.Terminal() && names(refs, c.Ref) {
				return changes[len(changes)-1].index, true
			}
		}
		if lapped {
			return 0, true
		}
	}
}

// endedFirst is the task of these names that has ended first, retries left aside.
func endedFirst(v fsm.View, id fsm.ExecID, refs []string) (first *fsm.TaskInfo) {
	for t := range v.Tasks(id, 1) {
		if t.Status.Terminal() && !t.Retried && names(refs, t.Ref) && (first == nil || t.Ended < first.Ended) {
			first = &t
		}
	}
	return first
}

// names reports whether a reference name is among refs, with or without the suffix of an
// iteration.
func names(refs []string, ref string) bool {
	plain, suffix, found := ref, "", false
	if i := strings.LastIndex(ref, "__"); i > 0 {
		plain, suffix, found = ref[:i], ref[i+2:], true
	}
	return slices.Contains(refs, ref) || found && suffix != "" && strings.Trim(suffix, "0123456789") == "" && slices.Contains(refs, plain)
}
