package behaviour

import (
	"testing"
	"time"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

// startAndWait asks a real server to start a workflow and to wait.
func startAndWait(t *testing.T, c *sdktest.Cluster, name string, wait time.Duration, refs ...string) *apiv1.StartAndWaitResponse {
	t.Helper()
	resp, err := c.Client.Executions().StartAndWait(t.Context(), &apiv1.StartAndWaitRequest{
		Start: &apiv1.StartExecutionRequest{Name: name, Input: `{"n":7}`}, TimeoutMillis: int32(wait.Milliseconds()), UntilRefs: refs,
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// records counts the records of an execution.
func records(t *testing.T, c *sdktest.Cluster, id string) int {
	t.Helper()
	got, err := c.Client.Executions().Get(t.Context(), &apiv1.GetExecutionRequest{ExecutionId: id, Tasks: true})
	if err != nil {
		t.Fatal(err)
	}
	return len(got.Tasks)
}

const inlineStep = `{"name":"i","taskReferenceName":"i","type":"INLINE","inputParameters":{"evaluatorType":"javascript","n":"${workflow.input.n}","expression":"(function(){ return [$.n].map(function(x){ return x * 2 })[0] })()"}}`

// B170: a start that waits answers with the output once the workflow has ended; with a
// worker task in the way it answers RUNNING when its time is up.
func TestB170StartWaitsForTheEnd(t *testing.T) {
	record(t)
	c := sdktest.Start(t, 1,
		`{"name":"short","version":1,"schemaVersion":2,"tasks":[`+inlineStep+`],"outputParameters":{"o":"${i.output.result}"}}`,
		`{"name":"long","version":1,"schemaVersion":2,"tasks":[`+inlineStep+`,{"name":"by_hand","taskReferenceName":"w","type":"SIMPLE"}]}`)
	if got := startAndWait(t, c, "short", 30*time.Second); !got.Ended || got.Execution.GetStatus() != apiv1.Execution_COMPLETED || got.Execution.Output != `{"o":14}` {
		t.Errorf("got %v, want it COMPLETED with its output", got)
	}
	began, wait := time.Now(), 700*time.Millisecond
	got := startAndWait(t, c, "long", wait)
	if took := time.Since(began); got.Ended || got.Execution.GetStatus() != apiv1.Execution_RUNNING || took < wait || records(t, c, got.ExecutionId) != 2 {
		t.Errorf("after %s got %v, want it RUNNING after %s", took, got, wait)
	}
}

// B171: a start that waits for named tasks answers at the first of them that has ended,
// before its time is up, with the workflow RUNNING; blanks around the names are ignored.
func TestB171StartWaitsForNamedTasks(t *testing.T) {
	record(t)
	c := sdktest.Start(t, 1, `{"name":"f","version":1,"schemaVersion":2,"tasks":[`+inlineStep+`,
	 {"name":"p","taskReferenceName":"p","type":"WAIT","inputParameters":{"duration":"5 seconds"}},
	 {"name":"by_hand","taskReferenceName":"w","type":"SIMPLE"}]}`)
	for _, refs := range [][]string{{"p"}, {" w ", " p"}} {
		got := make(chan *apiv1.StartAndWaitResponse, 1)
		go func() { got <- startAndWait(t, c, "f", 60*time.Second, refs...) }()
		until(t, c, "status = IN_PROGRESS AND taskReferenceName = p")
		select {
		case resp := <-got:
			t.Fatalf("before the pause is over it answers %v", resp)
		default:
		}
		c.Advance(5 * time.Second)
		resp := <-got
		if resp.Ended || resp.Execution.GetStatus() != apiv1.Execution_RUNNING || resp.Reached.GetRef() != "p" || records(t, c, resp.ExecutionId) != 3 {
			t.Errorf("until %q got %v, want it RUNNING at p", refs, resp)
		}
	}
}

// until waits until a task is found.
func until(t *testing.T, c *sdktest.Cluster, query string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		for _, err := range c.Client.SearchTasks(t.Context(), pawl.Search{Query: query}) {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("nothing is found by %s", query)
}

// B174: in the test call tasks with a mock are COMPLETED with it, attempt by attempt, and
// the first without one stays SCHEDULED; nothing is started or registered.
func TestB174TestCallUsesMocks(t *testing.T) {
	record(t)
	c := sdktest.Start(t, 1, `{"name":"pay","retryCount":3,"retryDelaySeconds":60}`)
	attempts := func(list ...*apiv1.TestAttempt) *apiv1.TestAttempts { return &apiv1.TestAttempts{Attempts: list} }
	resp, err := c.Client.Definitions().Test(t.Context(), &apiv1.TestDefinitionRequest{
		Sources: []string{`{"name":"order","version":1,"schemaVersion":2,"tasks":[{"name":"pay","taskReferenceName":"a","type":"SIMPLE"},` + inlineStep + `,
		 {"name":"p","taskReferenceName":"p","type":"WAIT","inputParameters":{"duration":"2 days"}},
		 {"name":"pay","taskReferenceName":"b","type":"SIMPLE","inputParameters":{"o":"${a.output.o}"}},{"name":"pay","taskReferenceName":"c","type":"SIMPLE"}]}`},
		Start: &apiv1.StartExecutionRequest{Input: `{"n":7}`},
		Mocks: &apiv1.TestMocks{Tasks: map[string]*apiv1.TestAttempts{
			"a": attempts(&apiv1.TestAttempt{Status: apiv1.Task_FAILED, Reason: "no"}, &apiv1.TestAttempt{Output: `{"o":1}`}, &apiv1.TestAttempt{Output: `{"o":2}`}),
			"b": attempts(&apiv1.TestAttempt{}),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range resp.Tasks {
		got = append(got, k.Ref+" "+k.Status.String()+" "+k.Output)
		if k.Ref == "b" && k.Input != `{"o":1}` {
			t.Errorf("the input of b is %s", k.Input)
		}
	}
	wantList(t, got[:4], "a FAILED {}", "a COMPLETED {\"o\":1}", "i COMPLETED {\"result\":14}", "p COMPLETED {}")
	if len(got) != 6 || got[4] != "b COMPLETED {}" || got[5] != "c SCHEDULED {}" || len(resp.Waiting) != 1 || resp.Execution.Status != apiv1.Execution_RUNNING {
		t.Errorf("got %q, %s", got, resp.Execution.Status)
	}
	for x, err := range c.Client.Search(t.Context(), pawl.Search{}) {
		t.Errorf("afterwards there is %v, %v", x, err)
	}
	if list, err := c.Client.Definitions().List(t.Context(), &apiv1.ListDefinitionsRequest{}); err != nil || len(list.Definitions) != 0 {
		t.Errorf("afterwards %v are registered, %v", list, err)
	}
}
