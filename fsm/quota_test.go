package fsm

import "testing"

// One that is revived takes its part at once, above the limit; one that begins anew
// waits in the line like the others.
func TestRevivedExecutionTakesItsPartOfTheQuota(t *testing.T) {
	w := newTwin(t)
	w.define(`{"name":"w","version":1,"schemaVersion":2,"rateLimitConfig":{"rateLimitKey":"k","concurrentExecLimit":1},
 "tasks":[{"name":"a","taskReferenceName":"t","type":"SIMPLE"},{"name":"a","taskReferenceName":"u","type":"SIMPLE"}]}`)
	fail := func(id ExecID) { w.must(&UpdateTask{Exec: id, Ref: "t", Status: TaskStatusFailedTerminal}) }
	first, second, third := w.start("w", `{}`), w.start("w", `{}`), w.start("w", `{}`)
	fail(first)
	w.wantTable(second, "1 t SCHEDULED")
	if !w.execution(third).Parked || w.execution(second).Parked {
		t.Fatal("the second is to begin, the third to wait")
	}
	w.must(&RetryExecution{Exec: first})
	if x := w.execution(first); x.Parked || x.Quota != "k" {
		t.Fatalf("a retried execution waits: %+v", x)
	}
	fail(second)
	if !w.execution(third).Parked {
		t.Fatal("the third has begun beside the first")
	}
	w.must(&RestartExecution{Exec: second})
	if !w.execution(second).Parked {
		t.Fatal("a restarted execution has begun above the limit")
	}
	if r := w.do(&UpdateTask{Exec: second, Ref: "t", Status: TaskStatusCompleted}); r.Rejection == nil || r.Rejection.Code != Conflict {
		t.Fatalf("a task of an execution that has not begun was reported: %+v", r)
	}
	fail(first)
	if w.execution(third).Parked || !w.execution(second).Parked {
		t.Fatal("the third was to begin before the second")
	}
	w.must(&DeleteExecution{Exec: third, Force: true})
	w.wantTable(second, "1 t SCHEDULED")
	if w.execution(second).Parked {
		t.Fatal("nothing runs and the second waits")
	}
	w.must(&TerminateExecution{Exec: second})
	fourth := w.start("w", `{}`)
	fifth := w.start("w", `{}`)
	w.must(&TerminateExecution{Exec: fifth})
	if n := w.execution(fifth).Tasks; n != 0 {
		t.Fatalf("an execution that never began has %d records", n)
	}
	w.must(&TerminateExecution{Exec: fourth})
	w.must(&RestartExecution{Exec: fifth})
	if w.execution(fifth).Parked {
		t.Fatal("nothing runs and the fifth waits")
	}
	if err := w.a.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

// What begins from the line begins with any kind of step, also one that acts at once.
func TestWhatWaitedForItsQuotaBeginsWithAnyStep(t *testing.T) {
	for _, first := range []string{
		`{"name":"v","taskReferenceName":"v","type":"SET_VARIABLE","inputParameters":{"x":1}}`,
		`{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"n","taskReferenceName":"n","type":"NOOP"}]]},
		 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["n"]}`,
		`{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`,
	} {
		w := newTwin(t)
		w.define(`{"name":"w","version":1,"schemaVersion":2,"rateLimitConfig":{"rateLimitKey":"k","concurrentExecLimit":1},
 "tasks":[` + first + `,{"name":"a","taskReferenceName":"last","type":"SIMPLE"}]}`)
		fail := func(id ExecID) { w.must(&UpdateTask{Exec: id, Ref: "last", Status: TaskStatusFailedTerminal}) }
		one, two := w.start("w", `{}`), w.start("w", `{}`)
		fail(one)
		fail(two) // it has come to its last step
		three := w.start("w", `{}`)
		w.must(&RestartExecution{Exec: one})
		if !w.execution(one).Parked {
			t.Fatalf("%s: begins anew above the limit", first)
		}
		fail(three)
		fail(one)
		if err := w.a.Verify(Full); err != nil {
			t.Fatal(err)
		}
	}
}
