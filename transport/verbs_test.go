package transport

import (
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// lineDefinition has three steps in sequence, of which a jump can pass over one.
const lineDefinition = `{"name":"line","version":1,"schemaVersion":2,"failureWorkflow":"hold","tasks":[
 {"name":"mail","taskReferenceName":"a","type":"SIMPLE","inputParameters":{"to":"${workflow.input.to}"}},
 {"name":"mail","taskReferenceName":"b","type":"SIMPLE","inputParameters":{"v":"${workflow.variables.v}"}},
 {"name":"mail","taskReferenceName":"c","type":"SIMPLE"}]}`

// line is an execution of three steps that a test steers.
type line struct {
	t  *testing.T
	c  *clients
	id string
}

func (s *site) line(t *testing.T) *line {
	t.Helper()
	c := s.clients(s.h2)
	s.apply(t, c)
	if _, err := c.definitions.Apply(t.Context(), &apiv1.ApplyDefinitionRequest{Source: lineDefinition}); err != nil {
		t.Fatal(err)
	}
	return &line{t: t, c: c, id: s.start(t, c, "line")}
}

// get gives the execution with its tasks.
func (l *line) get() *apiv1.GetExecutionResponse {
	l.t.Helper()
	got, err := l.c.executions.Get(l.t.Context(), &apiv1.GetExecutionRequest{ExecutionId: l.id, Tasks: true})
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

// last is the task that was made last.
func (l *line) last() *apiv1.Task {
	l.t.Helper()
	tasks := l.get().Tasks
	return tasks[len(tasks)-1]
}

// report ends the open task of a step from outside.
func (l *line) report(ref string, status apiv1.Task_Status) {
	l.t.Helper()
	_, err := l.c.tasks.Update(l.t.Context(), &apiv1.UpdateTaskRequest{ExecutionId: l.id, Ref: ref, Status: status, Output: `{"o":1}`, Replace: true})
	if err != nil {
		l.t.Fatalf("report on %s: %v", ref, err)
	}
}

// done demands that a call succeeded and that the execution is then in a status.
func (l *line) done(what string, err error, status apiv1.Execution_Status) {
	l.t.Helper()
	if err != nil {
		l.t.Fatalf("%s: %v", what, err)
	}
	if got := l.get().Execution.Status; got != status {
		l.t.Fatalf("after %s the execution is %s, want %s", what, got, status)
	}
}

func TestVerbsThatSteerARunningExecution(t *testing.T) {
	l := serve(t).line(t)
	x, ctx := l.c.executions, t.Context()
	_, err := x.Pause(ctx, &apiv1.PauseExecutionRequest{ExecutionId: l.id})
	l.done("pause", err, apiv1.Execution_PAUSED)
	_, err = x.Resume(ctx, &apiv1.ResumeExecutionRequest{ExecutionId: l.id})
	l.done("resume", err, apiv1.Execution_RUNNING)
	_, err = x.Decide(ctx, &apiv1.DecideExecutionRequest{ExecutionId: l.id})
	l.done("decide", err, apiv1.Execution_RUNNING)
	for _, append := range []bool{false, true} {
		_, err = x.SetVariables(ctx, &apiv1.SetExecutionVariablesRequest{ExecutionId: l.id, Variables: `{"v":[1]}`, Append: append})
		l.done("set variables", err, apiv1.Execution_RUNNING)
	}
	if got := l.get().Execution.Variables; got != `{"v":[1,1]}` {
		t.Errorf("variables are %s", got)
	}
	_, err = l.c.tasks.Update(ctx, &apiv1.UpdateTaskRequest{ExecutionId: l.id, Ref: "a", Status: apiv1.Task_IN_PROGRESS, CallbackSeconds: 3600})
	l.done("a report with a callback", err, apiv1.Execution_RUNNING)
	if got := l.last(); got.CallbackSeconds != 3600 || got.Due == nil {
		t.Errorf("the task that waits for its callback is %v", got)
	}
	_, err = x.ResetCallbacks(ctx, &apiv1.ResetExecutionCallbacksRequest{ExecutionId: l.id})
	l.done("reset callbacks", err, apiv1.Execution_RUNNING)
	if got := l.last(); got.CallbackSeconds != 0 {
		t.Errorf("the task still waits for its callback: %v", got)
	}
	_, err = l.c.tasks.Update(ctx, &apiv1.UpdateTaskRequest{TaskId: l.last().Id, ExtendLease: true})
	l.done("an extension", err, apiv1.Execution_RUNNING)
	skipped, err := x.Skip(ctx, &apiv1.SkipExecutionRequest{ExecutionId: l.id, Ref: "b", Input: `{"i":1}`, Output: `{"o":2}`})
	l.done("skip", err, apiv1.Execution_RUNNING)
	if got := l.last(); got.Id != skipped.TaskId || got.Status != apiv1.Task_SKIPPED || got.Input != `{"i":1}` || got.Output != `{"o":2}` {
		t.Errorf("the skipped task is %v", got)
	}
	_, err = x.Jump(ctx, &apiv1.JumpExecutionRequest{ExecutionId: l.id, Ref: "c", Input: `{"j":1}`})
	l.done("jump", err, apiv1.Execution_RUNNING)
	if got := l.last(); got.Ref != "c" || got.Input != `{"j":1}` {
		t.Errorf("the task at the end of the jump is %v", got)
	}
	l.report("c", apiv1.Task_COMPLETED)
	l.done("the last report", nil, apiv1.Execution_COMPLETED)
}

func TestVerbsThatRunAnEndedExecutionAgain(t *testing.T) {
	s := serve(t)
	l := s.line(t)
	x, ctx := l.c.executions, t.Context()
	_, err := x.Terminate(ctx, &apiv1.TerminateExecutionRequest{ExecutionId: l.id, Reason: "enough", TriggerFailureWorkflow: true})
	l.done("terminate", err, apiv1.Execution_TERMINATED)
	if page, err := x.List(ctx, &apiv1.ListExecutionsRequest{Definition: "hold"}); err != nil || len(page.Executions) != 1 {
		t.Errorf("executions of the failure workflow: %v, %v", page, err)
	}
	_, err = x.Restart(ctx, &apiv1.RestartExecutionRequest{ExecutionId: l.id, Latest: true})
	l.done("restart", err, apiv1.Execution_RUNNING)
	l.report("a", apiv1.Task_COMPLETED)
	l.report("b", apiv1.Task_FAILED_WITH_TERMINAL_ERROR)
	l.done("a failure", nil, apiv1.Execution_FAILED)
	_, err = x.Retry(ctx, &apiv1.RetryExecutionRequest{ExecutionId: l.id, ResumeSubworkflows: true})
	l.done("retry", err, apiv1.Execution_RUNNING)
	if got := l.last(); got.Ref != "b" || got.Retry != 1 {
		t.Errorf("the further attempt is %v", got)
	}
	l.report("b", apiv1.Task_FAILED_WITH_TERMINAL_ERROR)
	first := l.get().Tasks[0].Id
	_, err = x.Rerun(ctx, &apiv1.RerunExecutionRequest{ExecutionId: l.id, TaskId: first, TaskInput: `{"to":"bob"}`, Correlation: "c2"})
	l.done("rerun", err, apiv1.Execution_RUNNING)
	if got := l.get(); len(got.Tasks) != 1 || got.Tasks[0].Input != `{"to":"bob"}` || got.Execution.Correlation != "c2" {
		t.Errorf("after the rerun: %v", got)
	}
	l.report("a", apiv1.Task_FAILED_WITH_TERMINAL_ERROR)
	_, err = x.Rerun(ctx, &apiv1.RerunExecutionRequest{ExecutionId: l.id, WorkflowInput: `{"to":"eve"}`})
	l.done("rerun from the first step", err, apiv1.Execution_RUNNING)
	if got := l.last(); got.Input != `{"to":"eve"}` {
		t.Errorf("the first task is %v", got)
	}
	_, err = x.Delete(ctx, &apiv1.DeleteExecutionRequest{ExecutionId: l.id})
	if d, _ := detail(t, err); d.Code != string(fsm.Conflict) {
		t.Errorf("delete of a running execution: %v", d)
	}
	if _, err = x.Delete(ctx, &apiv1.DeleteExecutionRequest{ExecutionId: l.id, Force: true}); err != nil {
		t.Fatal(err)
	}
	_, err = x.Get(ctx, &apiv1.GetExecutionRequest{ExecutionId: l.id})
	if d, _ := detail(t, err); d.Code != string(fsm.NotFound) {
		t.Errorf("get of a deleted execution: %v", d)
	}
}

func TestAVerbIsDoneOnceForOneRequestID(t *testing.T) {
	l := serve(t).line(t)
	req := &apiv1.SetExecutionVariablesRequest{ExecutionId: l.id, Variables: `{"v":[1]}`, Append: true, RequestId: "r1"}
	var positions []string
	for range 2 {
		resp, err := l.c.executions.SetVariables(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, resp.Position)
	}
	if got := l.get().Execution.Variables; got != `{"v":[1]}` || positions[0] == "" {
		t.Errorf("variables are %s, positions %v", got, positions)
	}
}

func TestMessagesReachTheStepThatPullsThem(t *testing.T) {
	s := serve(t)
	l := s.line(t)
	x, ctx := l.c.executions, t.Context()
	started, err := x.Start(ctx, &apiv1.StartExecutionRequest{Definition: `{"name":"inbox","version":1,"schemaVersion":2,"tasks":[
	 {"name":"p","taskReferenceName":"p","type":"PULL_WORKFLOW_MESSAGES"}]}`})
	if err != nil {
		t.Fatal(err)
	}
	l.id = started.ExecutionId
	req := &apiv1.PushMessageRequest{ExecutionId: l.id, Body: `{"paid":true}`, RequestId: "r1"}
	pushed, err := x.PushMessage(ctx, req)
	l.done("a message", err, apiv1.Execution_COMPLETED)
	if got := l.last(); !strings.Contains(got.Output, `"paid":true`) || pushed.MessageId == "" {
		t.Errorf("message %q, and the task that pulled it is %v", pushed.MessageId, got)
	}
	if again, err := x.PushMessage(ctx, req); err != nil || again.MessageId != pushed.MessageId {
		t.Errorf("the same request again: %v, %v", again, err)
	}
	req.RequestId = ""
	_, err = x.PushMessage(ctx, req)
	if d, _ := detail(t, err); d.Code != string(fsm.Conflict) {
		t.Errorf("a message to what has ended: %v", d)
	}
	req.Body = "[1]"
	_, err = x.PushMessage(ctx, req)
	if d, _ := detail(t, err); d.Code != string(fsm.Malformed) || d.Field != "body" {
		t.Errorf("a message that is no object: %v", d)
	}
}
