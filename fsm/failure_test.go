package fsm

import (
	"fmt"
	"testing"
)

var failingDefinitions = []string{
	`{"name":"fix","version":1,"schemaVersion":2,"tasks":[{"name":"b","taskReferenceName":"f","type":"SIMPLE","inputParameters":{` +
		`"s":"${workflow.input.failureStatus}","n":"${workflow.input.failedWorkflow.tasks.length()}","t":"${workflow.input.failedWorkflow.tasks[0].status}"}}]}`,
	`{"name":"w","version":1,"schemaVersion":2,"failureWorkflow":"fix","tasks":[{"name":"a","taskReferenceName":"t","type":"SIMPLE"}]}`,
}

// putOff ends an execution of failingDefinitions by a time limit, in an entry that has
// no work left to start its failure workflow.
func (w *twin) putOff() (id ExecID) {
	w.t.Helper()
	w.taskType(`{"name":"a","retryCount":0,"pollTimeoutSeconds":1,"timeoutPolicy":"RETRY"}`)
	id = w.start("w", `{}`)
	w.apply(&Entry{Time: w.now + 1000, Work: 1})
	if e, _ := w.a.executions.get(id); !e.failing || e.status != TimedOut {
		w.t.Fatalf("got %s, failing %v", e.status, e.failing)
	}
	return id
}

// A failure workflow starts once for each end by failure, and is told of that end,
// whatever a verb does before there was time to start it.
func TestAFailureWorkflowThatIsPutOffStartsOnceForItsFailure(t *testing.T) {
	again := func(b Body) []Body {
		return []Body{b, &UpdateTask{Exec: execOfBody(b), Ref: "t", Status: TaskStatusFailedTerminal}} // and a second end
	}
	for name, verbs := range map[string]func(id ExecID) []Body{
		"nothing":   func(id ExecID) []Body { return nil },
		"retry":     func(id ExecID) []Body { return again(&RetryExecution{Exec: id}) },
		"restart":   func(id ExecID) []Body { return again(&RestartExecution{Exec: id}) },
		"rerun":     func(id ExecID) []Body { return again(&RerunExecution{Exec: id}) },
		"terminate": func(id ExecID) []Body { return []Body{&TerminateExecution{Exec: id}} },
		"delete":    func(id ExecID) []Body { return []Body{&DeleteExecution{Exec: id}} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newTwin(t)
			w.define(failingDefinitions...)
			id := w.putOff()
			for _, b := range verbs(id) {
				w.apply(&Entry{Commands: []*Command{{Body: b}}}) // without work for the agenda
			}
			w.tick(0)
			want := 1 + len(verbs(id))/2
			var got []string
			for _, e := range w.a.executions.tree.All() {
				if w.a.planOf(e).Name == "fix" {
					x, _ := w.a.View().Task(TaskID{Exec: e.id, Serial: 1})
					got = append(got, string(x.Input))
				}
			}
			if len(got) != want || got[0] != `{"s":"TIMED_OUT","n":1,"t":"TIMED_OUT"}` {
				t.Fatalf("got %q, want %d", got, want)
			}
			if x, ok := w.a.View().Execution(id); ok == (name == "delete") || ok && len(x.Output) < len(`{"conductor.failure_workflow":`) {
				t.Fatalf("got %s", x.Output)
			}
			if err := w.a.Verify(Full); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func execOfBody(b Body) ExecID {
	switch c := b.(type) {
	case *RetryExecution:
		return c.Exec
	case *RestartExecution:
		return c.Exec
	case *RerunExecution:
		return c.Exec
	}
	panic(fmt.Sprintf("%T", b))
}

// One whose definition has no room waits in the line of its own quota, whatever becomes
// of the execution that failed.
func TestAFailureWorkflowWaitsForItsOwnQuota(t *testing.T) {
	w := newTwin(t)
	w.define(`{"name":"fix","version":1,"schemaVersion":2,"rateLimitConfig":{"rateLimitKey":"k","concurrentExecLimit":1},
 "tasks":[{"name":"b","taskReferenceName":"f","type":"SIMPLE","inputParameters":{"n":"${workflow.input.failedWorkflow.tasks.length()}"}}]}`,
		`{"name":"w","version":1,"schemaVersion":2,"failureWorkflow":"fix","tasks":[{"name":"a","taskReferenceName":"t","type":"SIMPLE"}]}`)
	first := w.start("fix", `{}`)
	id := w.start("w", `{}`)
	w.must(&UpdateTask{Exec: id, Ref: "t", Status: TaskStatusFailedTerminal})
	w.must(&RetryExecution{Exec: id})
	w.must(&UpdateTask{Exec: id, Ref: "t", Status: TaskStatusCompleted})
	if e := w.execution(id); e.Status != Completed {
		t.Fatalf("got %s", e.Status)
	}
	w.must(&UpdateTask{Exec: first, Ref: "f", Status: TaskStatusCompleted})
	var got []string
	for _, e := range w.a.executions.tree.All() {
		if e.id != first && e.id != id {
			x, _ := w.a.View().Task(TaskID{Exec: e.id, Serial: 1})
			got = append(got, e.status.String(), string(x.Input))
		}
	}
	if fmt.Sprint(got) != `[RUNNING {"n":1}]` {
		t.Fatalf("got %q", got)
	}
}
