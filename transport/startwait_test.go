package transport

import (
	"strings"
	"testing"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func TestAStartThatWaitsAnswersWithTheEndOrWithWhatIs(t *testing.T) {
	l := serve(t).line(t)
	ctx := t.Context()
	ended, err := l.c.executions.StartAndWait(ctx, &apiv1.StartAndWaitRequest{Start: &apiv1.StartExecutionRequest{
		Definition: `{"name":"now","version":1,"schemaVersion":2,"tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}],"outputParameters":{"o":"${workflow.input.i}"}}`, Input: `{"i":1}`}})
	if err != nil || !ended.Ended || ended.Execution.GetOutput() != `{"o":1}` || ended.ExecutionId != ended.Execution.Id || ended.Position == "" {
		t.Errorf("what ends at once: %v, %v", ended, err)
	}
	req := &apiv1.StartAndWaitRequest{Start: &apiv1.StartExecutionRequest{Name: "line"}, TimeoutMillis: 1, RequestId: "r1"}
	running, err := l.c.executions.StartAndWait(ctx, req)
	if err != nil || running.Ended || running.Execution.GetStatus() != apiv1.Execution_RUNNING || running.Reached != nil {
		t.Fatalf("what does not end: %v, %v", running, err)
	}
	again, err := l.c.executions.StartAndWait(ctx, req)
	if err != nil || !again.Existing || again.ExecutionId != running.ExecutionId {
		t.Errorf("the same request again: %v, %v", again, err)
	}
}

func TestAWaitEndsAtTheFirstOfTheNamedTasks(t *testing.T) {
	l := serve(t).line(t)
	ctx := t.Context()
	type answer struct {
		resp *apiv1.WaitExecutionResponse
		err  error
	}
	wait := func(refs ...string) chan answer {
		got := make(chan answer, 1)
		go func() {
			resp, err := l.c.executions.Wait(ctx, &apiv1.WaitExecutionRequest{ExecutionId: l.id, UntilRefs: refs})
			got <- answer{resp, err}
		}()
		return got
	}
	got := wait(" c ", "a")
	l.report("a", apiv1.Task_FAILED) // is tried again, which is no end
	l.report("a", apiv1.Task_COMPLETED)
	if a := <-got; a.err != nil || a.resp.Ended || a.resp.Reached.GetRef() != "a" || a.resp.Reached.Retry != 1 || a.resp.Execution.Status != apiv1.Execution_RUNNING {
		t.Errorf("until a or c: %v, %v", a.resp, a.err)
	}
	if a := <-wait("a"); a.err != nil || a.resp.Reached.GetRef() != "a" {
		t.Errorf("until what has ended: %v, %v", a.resp, a.err)
	}
	got = wait("nowhere")
	l.report("b", apiv1.Task_COMPLETED)
	l.report("c", apiv1.Task_COMPLETED)
	if a := <-got; a.err != nil || !a.resp.Ended || a.resp.Reached != nil {
		t.Errorf("until the end: %v, %v", a.resp, a.err)
	}
}

func TestAWaitForATaskInALoopIsForEachIteration(t *testing.T) {
	for ref, want := range map[string]string{"m": "m__1", "m__2": "m__2"} {
		l := serve(t).line(t)
		started, err := l.c.executions.Start(t.Context(), &apiv1.StartExecutionRequest{Definition: `{"name":"loop","version":1,"schemaVersion":2,"tasks":[
		 {"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"$.l['iteration'] < 3","loopOver":[{"name":"mail","taskReferenceName":"m","type":"SIMPLE"}]}]}`})
		if err != nil {
			t.Fatal(err)
		}
		l.id = started.ExecutionId
		l.report("m__1", apiv1.Task_COMPLETED)
		l.report("m__2", apiv1.Task_COMPLETED)
		resp, err := l.c.executions.Wait(t.Context(), &apiv1.WaitExecutionRequest{ExecutionId: l.id, UntilRefs: []string{ref}})
		if err != nil || resp.Reached.GetRef() != want {
			t.Errorf("until %s: %v, %v", ref, resp, err)
		}
	}
}

func TestAWrongWaitNamesTheField(t *testing.T) {
	l := serve(t).line(t)
	start := &apiv1.StartExecutionRequest{Name: "line"}
	for _, test := range []struct {
		req   *apiv1.StartAndWaitRequest
		field string
	}{
		{&apiv1.StartAndWaitRequest{}, "start"},
		{&apiv1.StartAndWaitRequest{Start: &apiv1.StartExecutionRequest{Name: "line", RequestId: "r"}}, "start.requestId"},
		{&apiv1.StartAndWaitRequest{Start: start, TimeoutMillis: 60_001}, "timeoutMillis"},
		{&apiv1.StartAndWaitRequest{Start: start, UntilRefs: []string{" "}}, "untilRefs"},
		{&apiv1.StartAndWaitRequest{Start: start, UntilRefs: strings.Split(strings.Repeat("a,", maxRefs)+"a", ",")}, "untilRefs"},
		{&apiv1.StartAndWaitRequest{Start: &apiv1.StartExecutionRequest{Name: "line", Priority: 100}}, "priority"},
	} {
		_, err := l.c.executions.StartAndWait(t.Context(), test.req)
		if d, _ := detail(t, err); d.Code != "malformed" || d.Field != test.field {
			t.Errorf("got %v, want %s", d, test.field)
		}
	}
}
