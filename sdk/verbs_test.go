package pawl_test

import (
	"errors"
	"strings"
	"testing"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

const paintType = `{"name":"paint","retryCount":0}`

const houseDefinition = `{"name":"house","version":1,"schemaVersion":2,"outputParameters":{"n":"${c.output.n}"},"tasks":[
 {"name":"paint","taskReferenceName":"a","type":"SIMPLE"},{"name":"paint","taskReferenceName":"b","type":"SIMPLE"},
 {"name":"paint","taskReferenceName":"c","type":"SIMPLE"}]}`

type paint struct {
	N int `json:"n"`
}

var house = pawl.Definition[paint, paint]{Name: "house"}

func TestVerbsSteerAnExecution(t *testing.T) {
	c := sdktest.Start(t, 1, paintType, houseDefinition)
	ctx := t.Context()
	e, err := house.Start(ctx, c.Client, paint{1})
	if err != nil {
		t.Fatal(err)
	}
	get := func() *apiv1.GetExecutionResponse {
		t.Helper()
		got, err := c.Client.Executions().Get(ctx, &apiv1.GetExecutionRequest{ExecutionId: e.ID, Tasks: true})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	must := func(what string, err error, status apiv1.Execution_Status) {
		t.Helper()
		if got := get().Execution.Status; err != nil || got != status {
			t.Fatalf("%s: %v, and it is %s, want %s", what, err, got, status)
		}
	}
	must("pause", e.Pause(ctx), apiv1.Execution_PAUSED)
	must("resume", e.Resume(ctx), apiv1.Execution_RUNNING)
	must("decide", e.Decide(ctx), apiv1.Execution_RUNNING)
	must("set variables", e.SetVariables(ctx, map[string]any{"v": []int{1}}), apiv1.Execution_RUNNING)
	must("append to variables", e.SetVariables(ctx, map[string]any{"v": 2}, pawl.WithAppend()), apiv1.Execution_RUNNING)
	if got := get().Execution.Variables; got != `{"v":[1,2]}` {
		t.Errorf("variables are %s", got)
	}
	if id, err := e.Message(ctx, paint{9}); err != nil || id == "" {
		t.Errorf("a message: %q, %v", id, err)
	}
	must("reset callbacks", e.ResetCallbacks(ctx), apiv1.Execution_RUNNING)
	must("skip", e.Skip(ctx, "b", pawl.WithInput(paint{2}), pawl.WithOutput(paint{3})), apiv1.Execution_RUNNING)
	if err := e.Skip(ctx, "b"); !errors.Is(err, pawl.ErrConflict) {
		t.Errorf("a second skip: %v", err)
	}
	must("jump", e.Jump(ctx, "c", pawl.WithInput(paint{4})), apiv1.Execution_RUNNING)
	must("a failure", e.FailTask(ctx, "c", pawl.Terminal(errors.New("no paint"))), apiv1.Execution_FAILED)
	must("retry", e.Retry(ctx, pawl.WithResumedChildren()), apiv1.Execution_RUNNING)
	must("a success", e.CompleteTask(ctx, "c", paint{5}), apiv1.Execution_COMPLETED)
	must("restart", e.Restart(ctx, pawl.WithLatestDefinition()), apiv1.Execution_RUNNING)
	must("terminate", e.Terminate(ctx, "enough", pawl.WithFailureWorkflow()), apiv1.Execution_TERMINATED)
	first := get().Tasks[0].Id
	must("rerun", e.Rerun(ctx, pawl.FromTask(first), pawl.WithTaskInput(paint{6}), pawl.WithNewCorrelation("again")), apiv1.Execution_RUNNING)
	if got := get(); got.Tasks[0].Input != `{"n":6}` || got.Execution.Correlation != "again" {
		t.Errorf("after the rerun: %v", got)
	}
	if err := e.Delete(ctx); !errors.Is(err, pawl.ErrConflict) {
		t.Errorf("delete while it runs: %v", err)
	}
	if err := e.Delete(ctx, pawl.WithForce()); err != nil {
		t.Error(err)
	}
	if err := e.Pause(ctx); !errors.Is(err, pawl.ErrNotFound) {
		t.Errorf("pause of what was deleted: %v", err)
	}
	if err := e.Rerun(ctx, pawl.WithInput(1)); err == nil || !strings.Contains(err.Error(), "not a JSON object") {
		t.Errorf("an input that is no object: %v", err)
	}
}

func TestBulkAndSearch(t *testing.T) {
	c := sdktest.Start(t, 1, paintType, houseDefinition)
	ctx := t.Context()
	ids := map[string]bool{}
	for range 3 {
		e, err := house.Start(ctx, c.Client, paint{1}, pawl.WithCorrelation("batch"))
		if err != nil {
			t.Fatal(err)
		}
		ids[e.ID] = true
	}
	find := func(s pawl.Search) (found []string, err error) {
		for x, err := range c.Client.Search(ctx, s) {
			if err != nil {
				return found, err
			}
			found = append(found, x.Id)
		}
		return found, nil
	}
	found, err := find(pawl.Search{Query: "correlationId = batch"})
	if err != nil || len(found) != 3 || !ids[found[0]] || !ids[found[1]] || !ids[found[2]] {
		t.Fatalf("found %v, %v", found, err)
	}
	if two, err := find(pawl.Search{Query: "correlationId = batch", Limit: 2}); err != nil || len(two) != 2 {
		t.Errorf("at most two: %v, %v", two, err)
	}
	nobody := "00000000-0000-8000-8000-000000000000"
	results, err := c.Client.Bulk(ctx, pawl.TerminateVerb, append(found, nobody), pawl.WithReason("enough"))
	if err != nil || len(results) != 4 {
		t.Fatalf("bulk: %v, %v", results, err)
	}
	for i, r := range results {
		if i < 3 && r.Err != nil || i == 3 && !errors.Is(r.Err, pawl.ErrNotFound) {
			t.Errorf("result of %s: %v", r.ID, r.Err)
		}
	}
	tasks := 0
	for k, err := range c.Client.SearchTasks(ctx, pawl.Search{Query: "status = CANCELED AND workflowType = house"}) {
		if err != nil {
			t.Fatal(err)
		}
		if tasks++; k.Correlation != "batch" || k.Task.Ref != "a" {
			t.Errorf("found %v", k)
		}
	}
	if tasks != 3 {
		t.Errorf("found %d tasks, want 3", tasks)
	}
	var wrong *pawl.Error
	if _, err := find(pawl.Search{Query: "correlationId"}); !errors.As(err, &wrong) || wrong.Field != "query" || !strings.Contains(wrong.Message, "at character 14") {
		t.Errorf("a wrong query: %v", err)
	}
	if _, err := c.Client.Bulk(ctx, pawl.RerunVerb, found, pawl.FromTask(nobody)); err == nil {
		t.Error("a rerun of many from one task is not refused")
	}
	if _, err := c.Client.Bulk(ctx, pawl.PauseVerb, nil); !errors.As(err, &wrong) || wrong.Field != "executionIds" {
		t.Errorf("a bulk of nothing: %v", err)
	}
}
