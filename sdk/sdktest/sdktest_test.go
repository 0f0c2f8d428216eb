package sdktest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

type values map[string]any

// simple is the definition of a workflow of simple tasks, one after another.
func simple(name string, tasks ...string) string {
	var steps []values
	for _, t := range tasks {
		step := values{"name": t, "taskReferenceName": t, "type": "SIMPLE"}
		if d, ok := strings.CutPrefix(t, "wait "); ok {
			step = values{"name": "wait", "taskReferenceName": "wait", "type": "WAIT", "inputParameters": values{"duration": d}}
		}
		steps = append(steps, step)
	}
	return document(values{"name": name, "version": 1, "schemaVersion": 2, "ownerEmail": "a@example.com",
		"tasks": steps, "timeoutPolicy": "ALERT_ONLY", "timeoutSeconds": 0})
}

// taskType is the definition of a task type. A response timeout of 0 is a day.
func taskType(name string, retries, delaySeconds, responseSeconds int) string {
	if responseSeconds == 0 {
		responseSeconds = 86_400
	}
	return document(values{"name": name, "retryCount": retries, "retryLogic": "FIXED", "retryDelaySeconds": delaySeconds,
		"responseTimeoutSeconds": responseSeconds, "timeoutSeconds": 0, "timeoutPolicy": "RETRY", "ownerEmail": "a@example.com"})
}

func document(v values) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func start(t *testing.T, c *sdktest.Cluster, name string) *pawl.Execution[values] {
	t.Helper()
	e, err := pawl.Definition[values, values]{Name: name}.Start(t.Context(), c.Client, values{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ends waits for the end of an execution, for no longer than a busy machine needs.
func ends(t *testing.T, e *pawl.Execution[values]) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := e.Wait(ctx)
	return err
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if want = strings.ReplaceAll(strings.TrimLeft(want, "\n"), "\t", ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// hook keeps the completions that a worker was told of.
type hook struct {
	mu  sync.Mutex
	all []pawl.Completion
}

func (h *hook) note(c pawl.Completion) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, c)
}

func (h *hook) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, c := range h.all {
		fmt.Fprintf(&b, "%s attempt %d %s: %s\n", c.Type, c.Attempt, c.Verdict, c.Outcome)
	}
	return b.String()
}

func succeed(context.Context, *pawl.Task[values]) (values, error) { return values{"ok": true}, nil }

func TestAnHourPassesAtOnce(t *testing.T) {
	t.Parallel()
	c := sdktest.Start(t, 3, taskType("first", 0, 0, 0), taskType("last", 0, 0, 0), simple("hour", "first", "wait 1 hours", "last"))
	w := pawl.NewWorker(c.Client)
	pawl.Handle(w, "first", succeed)
	pawl.Handle(w, "last", succeed)
	c.Work(w)
	e := start(t, c, "hour")
	c.Advance(59 * time.Minute)
	same(t, c.Story(e.ID), `
		hour version 1: RUNNING
		  first first attempt 1: COMPLETED
		  wait wait attempt 1: IN_PROGRESS
		`)
	began := time.Now()
	c.Advance(2 * time.Minute)
	if err := ends(t, e); err != nil {
		t.Fatal(err)
	}
	t.Logf("two minutes took %v", time.Since(began))
	same(t, c.Story(e.ID), `
		hour version 1: COMPLETED
		  first first attempt 1: COMPLETED
		  wait wait attempt 1: COMPLETED
		  last last attempt 1: COMPLETED
		`)
}

func TestRetriesOfMinutesAreSkippedTo(t *testing.T) {
	t.Parallel()
	c := sdktest.Start(t, 1, taskType("shaky", 3, 60, 0), simple("retried", "shaky"))
	var attempts atomic.Int32
	w := pawl.NewWorker(c.Client)
	pawl.Handle(w, "shaky", func(context.Context, *pawl.Task[values]) (values, error) {
		if n := attempts.Add(1); n < 4 {
			return nil, fmt.Errorf("no luck with %d", n)
		}
		return values{}, nil
	})
	c.Work(w)
	e := start(t, c, "retried")
	c.Advance(59 * time.Second)
	if n := attempts.Load(); n != 1 {
		t.Errorf("after 59 s: %d attempts, want 1", n)
	}
	began := time.Now()
	c.Advance(5 * time.Minute)
	t.Logf("five minutes took %v", time.Since(began))
	if err := ends(t, e); err != nil {
		t.Error(err)
	}
	same(t, c.Story(e.ID), `
		retried version 1: COMPLETED
		  shaky shaky attempt 1: FAILED (no luck with 1)
		  shaky shaky attempt 2: FAILED (no luck with 2)
		  shaky shaky attempt 3: FAILED (no luck with 3)
		  shaky shaky attempt 4: COMPLETED
		`)
}

func TestLateReportsAreRefused(t *testing.T) {
	t.Parallel()
	c := sdktest.Start(t, 1, taskType("silent", 2, 0, 30), simple("late", "silent"))
	var h hook
	begun, finish := make(chan struct{}), make(chan struct{})
	var attempts atomic.Int32
	w := pawl.NewWorker(c.Client, pawl.WithCompletionHook(h.note))
	pawl.Handle(w, "silent", func(context.Context, *pawl.Task[values]) (values, error) {
		switch attempts.Add(1) {
		case 1:
			return nil, pawl.ErrAbandon
		case 2:
			close(begun)
			<-finish // it has lost its lease by then, and reports all the same
		}
		return values{}, nil
	})
	c.Work(w)
	e := start(t, c, "late")
	c.Advance(31 * time.Second)
	<-begun
	c.Advance(31 * time.Second)
	if err := ends(t, e); err != nil {
		t.Error(err)
	}
	close(finish)
	eventually(t, "the late report is answered", func() bool { return strings.Contains(h.text(), "stale") })
	same(t, h.text(), `
		silent attempt 3 completed: acknowledged
		silent attempt 2 completed: stale
		`)
	if got := c.Story(e.ID); strings.Count(got, "TIMED_OUT") != 2 || !strings.Contains(got, "attempt 3: COMPLETED") {
		t.Errorf("got\n%s", got)
	}
}

func TestExecutionsOutliveTheLeader(t *testing.T) {
	t.Parallel()
	c := sdktest.Start(t, 3, taskType("one", 3, 1, 60), taskType("two", 3, 1, 60), simple("killed", "one", "wait 1 minutes", "two"))
	w := pawl.NewWorker(c.Client)
	in, out := make(chan struct{}, 1), make(chan struct{})
	pawl.Handle(w, "one", func(context.Context, *pawl.Task[values]) (values, error) {
		in <- struct{}{}
		<-out
		return values{}, nil
	})
	pawl.Handle(w, "two", succeed)
	c.Work(w)
	e := start(t, c, "killed")
	<-in
	first := c.Leader()
	c.Kill(first)
	close(out)
	if next := c.Leader(); next == first {
		t.Errorf("node %d leads although it is down", next)
	}
	c.Advance(2 * time.Minute)
	if err := ends(t, e); err != nil {
		t.Error(err)
	}
	c.Restart(first)
	same(t, c.Story(e.ID), `
		killed version 1: COMPLETED
		  one one attempt 1: COMPLETED
		  wait wait attempt 1: COMPLETED
		  two two attempt 1: COMPLETED
		`)
	c.Kill(c.Leader())
}
