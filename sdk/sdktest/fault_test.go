package sdktest_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/sdk/sdktest"
)

func TestCompletionWithoutAnAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	c := sdktest.Start(t, 3, taskType("paid", 3, 1, 60), taskType("sent", 3, 1, 60), simple("lost", "paid", "wait 1 hours", "sent"))
	var h hook
	var runs atomic.Int32
	w := pawl.NewWorker(c.Client, pawl.WithCompletionHook(h.note))
	pawl.Handle(w, "paid", func(ctx context.Context, task *pawl.Task[values]) (values, error) {
		runs.Add(1)
		return succeed(ctx, task)
	})
	pawl.Handle(w, "sent", succeed)
	c.Work(w)
	c.LoseNextCompletion("paid")
	e := start(t, c, "lost")
	eventually(t, "the answer is lost and the report answered again", func() bool { return h.text() != "" })
	c.Advance(time.Hour)
	if err := ends(t, e); err != nil {
		t.Error(err)
	}
	eventually(t, "all reports are answered", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.all) == 2
	})
	if n := runs.Load(); n != 1 {
		t.Errorf("the handler ran %d times, want once", n)
	}
	if n := c.Lost(); n != 1 {
		t.Errorf("%d answers were lost, want 1", n)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.all {
		if x.Outcome != pawl.Acknowledged {
			t.Errorf("%s: %s", x.Type, x.Outcome)
		}
	}
	same(t, c.Story(e.ID), `
		lost version 1: COMPLETED
		  paid paid attempt 1: COMPLETED
		  wait wait attempt 1: COMPLETED
		  sent sent attempt 1: COMPLETED
		`)
}

func TestTimeSkipsWhileTheLeaderChanges(t *testing.T) {
	t.Parallel()
	c := sdktest.Start(t, 3, taskType("poll", 20, 30, 10), simple("polling", "poll", "wait 10 minutes"))
	var attempts atomic.Int32
	w := pawl.NewWorker(c.Client)
	pawl.Handle(w, "poll", func(context.Context, *pawl.Task[values]) (values, error) {
		if n := attempts.Add(1); n < 6 {
			return nil, fmt.Errorf("not yet %d", n)
		}
		return values{}, nil
	})
	c.Work(w)
	e := start(t, c, "polling")
	first := c.Leader()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Kill(first)
		c.Restart(first)
	}()
	for range 20 {
		c.Advance(time.Minute)
	}
	<-done
	if err := ends(t, e); err != nil {
		t.Error(err)
	}
	// The first attempt may have died with the node, which counts as one.
	story := c.Story(e.ID)
	for _, want := range []string{"polling version 1: COMPLETED", "FAILED (not yet 5)", "COMPLETED\n  wait wait attempt 1: COMPLETED"} {
		if !strings.Contains(story, want) {
			t.Errorf("got\n%swant %s", story, want)
		}
	}
}
