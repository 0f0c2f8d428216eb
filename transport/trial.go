package transport

import (
	"context"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/transport/trial"
)

const (
	// maxTrials bounds the test calls under way: each may keep a processor busy.
	maxTrials = 4
	// maxMockDepth bounds the mocks within each other: no execution is deeper.
	maxMockDepth = fsm.MaxDepth
)

// Test runs a definition with mocked results, as far as they go.
func (d *definitions) Test(ctx context.Context, req *apiv1.TestDefinitionRequest) (*apiv1.TestDefinitionResponse, error) {
	t, err := d.trial(req)
	if err != nil {
		return nil, readError(err)
	}
	select {
	case d.s.trials <- struct{}{}:
		defer func() { <-d.s.trials }()
	default:
		return nil, readError(&fsm.OverloadedError{Reason: "too many test calls are under way", RetryAfter: retrySoon})
	}
	if t.Known, err = d.s.view(ctx, req.Read); err != nil {
		return nil, err
	}
	out, err := t.Run(ctx)
	if err != nil {
		return nil, readError(d.s.noted(clientFields(err)))
	}
	info, _ := out.View.Execution(out.Exec)
	resp := &apiv1.TestDefinitionResponse{Execution: execution(&info), Cut: out.Cut}
	for k := range out.View.Tasks(out.Exec, 1) {
		if len(resp.Tasks) == maxTasks {
			break
		}
		resp.Tasks = append(resp.Tasks, task(&k))
	}
	for i := range out.Waiting[:min(len(out.Waiting), maxTasks)] {
		resp.Waiting = append(resp.Waiting, task(&out.Waiting[i]))
	}
	return resp, nil
}

// trial reads what is to be run.
func (d *definitions) trial(req *apiv1.TestDefinitionRequest) (*trial.Trial, error) {
	t := &trial.Trial{Evaluate: d.s.deps.Evaluate}
	start := req.Start
	if start == nil {
		start = &apiv1.StartExecutionRequest{}
	}
	body, err := startBody(start)
	if err != nil {
		return nil, err
	}
	t.Start = *body
	for _, source := range req.Sources {
		raw, kind, o, err := read(source)
		if err != nil {
			return nil, badField("sources", err.Error())
		}
		t.Documents = append(t.Documents, raw)
		if kind == apiv1.DefinitionKind_WORKFLOW && t.Start.Name == "" && len(t.Start.Definition) == 0 {
			t.Start.Name, t.Start.Version = o.Name, o.version()
		}
	}
	if t.Start.Name == "" && len(t.Start.Definition) == 0 {
		return nil, badField("sources", "give a workflow definition, or the name of a registered one in start")
	}
	t.Mocks, err = mocks(req.Mocks, 0)
	return t, err
}

// mocks converts mocks and those of the children below.
func mocks(m *apiv1.TestMocks, depth int) (*trial.Mocks, error) {
	if m == nil {
		return nil, nil
	}
	if depth == maxMockDepth {
		return nil, badField("mocks", "children are nested too deeply")
	}
	out := &trial.Mocks{Tasks: map[string][]trial.Mock{}, Children: map[string]*trial.Mocks{}}
	for ref, list := range m.Tasks {
		for _, a := range list.Attempts {
			status, err := reported(a.Status)
			if err != nil {
				return nil, badField("mocks", ref+": COMPLETED, FAILED, FAILED_WITH_TERMINAL_ERROR and IN_PROGRESS can be mocked")
			}
			mock := trial.Mock{Status: status, Output: payload(a.Output), Reason: a.Reason, Wait: fsm.Millis(a.QueueMillis), Work: fsm.Millis(a.WorkMillis)}
			if mock.Wait < 0 || mock.Work < 0 {
				return nil, badField("mocks", ref+": a time is negative")
			}
			check := &fsm.Command{Body: &fsm.UpdateTask{Task: fsm.TaskID{Exec: fsm.ExecID{Hi: 1 << 16, Lo: 1 << 63}, Serial: 1},
				Status: fsm.TaskStatusCompleted, Output: mock.Output, Reason: mock.Reason}}
			if err := fsm.Validate(check); err != nil {
				return nil, badField("mocks", ref+": "+err.Error())
			}
			out.Tasks[ref] = append(out.Tasks[ref], mock)
		}
	}
	for ref, below := range m.Children {
		child, err := mocks(below, depth+1)
		if err != nil {
			return nil, err
		}
		out.Children[ref] = child
	}
	return out, nil
}
