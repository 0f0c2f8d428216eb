package transport

import (
	"context"
	"testing"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func (s *site) waiting() int {
	s.server.waiters.mu.Lock()
	defer s.server.waiters.mu.Unlock()
	return s.server.waiters.size
}

type waited struct {
	resp *apiv1.WaitExecutionResponse
	err  error
}

func (s *site) waitFor(t *testing.T, c *clients, id string) <-chan waited {
	got := make(chan waited, 1)
	ctx := context.WithoutCancel(t.Context())
	go func() {
		resp, err := c.executions.Wait(ctx, &apiv1.WaitExecutionRequest{ExecutionId: id, TimeoutMillis: 60_000})
		got <- waited{resp, err}
	}()
	until(t, "the client waits", func() bool { return s.waiting() == 1 })
	return got
}

func TestWaitIsWokenByTheEnd(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "hold")
	got := s.waitFor(t, c, id)
	done, err := c.executions.Signal(t.Context(), &apiv1.SignalExecutionRequest{ExecutionId: id, Status: apiv1.Task_FAILED_WITH_TERMINAL_ERROR, Reason: "no"})
	if err != nil {
		t.Fatal(err)
	}
	w := <-got
	if w.err != nil || !w.resp.Ended || w.resp.Execution.Status != apiv1.Execution_FAILED || w.resp.Position < done.Position {
		t.Errorf("wait: got %v, %v", w.resp, w.err)
	}
	if n := s.waiting(); n != 0 {
		t.Errorf("%d waiters are left", n)
	}
}

func TestWaitAnswersWhenTheTimeIsUp(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "hold")
	resp, err := c.executions.Wait(t.Context(), &apiv1.WaitExecutionRequest{ExecutionId: id, TimeoutMillis: 1})
	if err != nil || resp.Ended || resp.Execution.Status != apiv1.Execution_RUNNING || resp.Execution.Id != id {
		t.Errorf("wait: got %v, %v", resp, err)
	}
	if n := s.waiting(); n != 0 {
		t.Errorf("%d waiters are left", n)
	}
}

func TestWaitSurvivesALostJournal(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "hold")
	got := s.waitFor(t, c, id)
	exec, err := fsm.ParseExecID(id)
	if err != nil {
		t.Fatal(err)
	}
	s.lap(&fsm.Command{Body: &fsm.TerminateExecution{Exec: exec, Reason: "unseen"}})
	if w := <-got; w.err != nil || w.resp.Execution.Reason != "unseen" {
		t.Errorf("wait: got %v, %v", w.resp, w.err)
	}
}

func TestDrainEndsAWait(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "hold")
	got := s.waitFor(t, c, id)
	s.server.Drain()
	if w := <-got; w.err != nil || w.resp.Ended {
		t.Errorf("wait: got %v, %v", w.resp, w.err)
	}
}

func TestRecentEndsForgetTheOldest(t *testing.T) {
	var r recentEnds
	id := func(n int) fsm.ExecID { return fsm.ExecID{Hi: uint64(n)} }
	if r.runs(id(1), 5) {
		t.Error("ends that were never followed say that something runs")
	}
	r.reset(10)
	for n := range keptEnds + 3 {
		r.add(id(n), uint64(11+n))
	}
	for _, test := range []struct {
		n     int
		since uint64
		want  bool
	}{
		{keptEnds + 100, 14, true},  // not seen to end
		{keptEnds + 100, 13, false}, // its end may be forgotten
		{keptEnds, 14, false},       // has ended
		{0, 11, false},              // forgotten
	} {
		if got := r.runs(id(test.n), test.since); got != test.want {
			t.Errorf("runs(%d, since %d): got %v, want %v", test.n, test.since, got, test.want)
		}
	}
	if len(r.at) != keptEnds || len(r.ring) != keptEnds {
		t.Errorf("kept %d and %d, want %d", len(r.at), len(r.ring), keptEnds)
	}
}

func TestTooManyWaitersAreRefused(t *testing.T) {
	ws := newWaiters(newMachine())
	ws.size = maxWaiters
	_, err := ws.watch(t.Context(), &waiter{}, 0)
	if f := Describe(err); f.Code != CodeOverloaded {
		t.Errorf("got %v, want overloaded", err)
	}
}
