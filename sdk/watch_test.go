package pawl_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

// watched is a watch that a test reads as it goes.
type watched struct {
	t    *testing.T
	news chan pawl.Change
	errs chan error
}

func watch(ctx context.Context, t *testing.T, e *pawl.Execution[paint]) *watched {
	w := &watched{t: t, news: make(chan pawl.Change, 100), errs: make(chan error, 1)}
	go func() {
		defer close(w.news)
		for c, err := range e.Watch(ctx) {
			if err != nil {
				w.errs <- err
				return
			}
			w.news <- c
		}
	}()
	return w
}

// until reads until a change is told, and gives it.
func (w *watched) until(kind, ref, status string) pawl.Change {
	w.t.Helper()
	late := time.After(20 * time.Second)
	var told []string
	for {
		select {
		case c, ok := <-w.news:
			if !ok {
				w.t.Fatalf("the watch has ended; it told %s", strings.Join(told, ", "))
			}
			told = append(told, strings.Join([]string{c.Kind, c.Ref, c.TaskStatus, string(c.Status)}, " "))
			if (kind == "" || c.Kind == kind) && c.Ref == ref && (c.TaskStatus == status || string(c.Status) == status) {
				return c
			}
		case <-late:
			w.t.Fatalf("%s %s %s is not told; it told %s", kind, ref, status, strings.Join(told, ", "))
		}
	}
}

func TestAWatchGoesOnThroughAChangeOfTheLeader(t *testing.T) {
	c := sdktest.Start(t, 3, paintType, houseDefinition)
	ctx := t.Context()
	e, err := house.Start(ctx, c.Client, paint{1})
	if err != nil {
		t.Fatal(err)
	}
	w := watch(ctx, t, e)
	w.until(pawl.StateChange, "", "RUNNING")
	w.until(pawl.StateChange, "a", "SCHEDULED")
	if err := e.CompleteTask(ctx, "a", paint{1}); err != nil {
		t.Fatal(err)
	}
	if got := w.until("task_completed", "a", "COMPLETED"); got.Task == "" || got.At == "" || got.Time.IsZero() {
		t.Errorf("the change is %+v", got)
	}
	c.Kill(c.Leader())
	for err = errors.New("none"); err != nil; { // until there is a leader
		err = e.CompleteTask(ctx, "b", paint{1})
	}
	w.until("", "b", "COMPLETED") // as a change, or as what is different now
	if err := e.CompleteTask(ctx, "c", paint{2}); err != nil {
		t.Fatal(err)
	}
	w.until("", "", "COMPLETED")
	for range w.news { // to the end
	}
	select {
	case err := <-w.errs:
		t.Errorf("the watch ends with %v", err)
	default:
	}
	w = watch(ctx, t, e)
	w.until(pawl.StateChange, "", "COMPLETED")
}

func TestAWatchEndsWithAnErrorWhenItMust(t *testing.T) {
	c := sdktest.Start(t, 1, paintType, houseDefinition)
	nobody := house.Execution(c.Client, "00000000-0000-8000-8000-000000000000")
	for _, err := range nobody.Watch(t.Context()) {
		if !errors.Is(err, pawl.ErrNotFound) {
			t.Errorf("of nothing: %v", err)
		}
	}
	e, err := house.Start(t.Context(), c.Client, paint{1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := watch(ctx, t, e)
	w.until(pawl.StateChange, "a", "SCHEDULED")
	cancel()
	if err := <-w.errs; !errors.Is(err, context.Canceled) {
		t.Errorf("after the cancellation: %v", err)
	}
	for range e.Watch(t.Context()) {
		break // a loop that is left ends the watch
	}
}

func TestWaitForGivesTheTaskThatEndedFirst(t *testing.T) {
	c := sdktest.Start(t, 1, paintType, houseDefinition)
	ctx := t.Context()
	e, err := house.Start(ctx, c.Client, paint{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.CompleteTask(ctx, "a", paint{7}); err != nil {
		t.Fatal(err)
	}
	got, err := e.WaitFor(ctx, "a", "c")
	if err != nil || got.Ref != "a" || got.Status != "COMPLETED" || string(got.Output) != `{"n":7}` {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := e.Terminate(ctx, "enough"); err != nil {
		t.Fatal(err)
	}
	if got, err := e.WaitFor(ctx, "c"); err != nil || got != nil {
		t.Errorf("after the end: %+v, %v", got, err)
	}
}
