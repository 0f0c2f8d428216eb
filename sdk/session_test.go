package pawl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// counter is the node's side of sessions: it remembers what it heard and answers as
// the test scripts.
type counter struct {
	mu      sync.Mutex
	streams int
	ids     map[string]int // by request id
	starts  int
	waits   []string
	// answer gives the answers to a start; nil for none.
	answer func(n int, s *apiv1.SessionStart) *apiv1.SessionResponse
	// waited gives the answer to a wait.
	waited func(n int, w *apiv1.SessionWait) *apiv1.SessionEnded
}

func (c *counter) serve(_ context.Context, conn *connect.BidiStream[apiv1.SessionRequest, apiv1.SessionResponse]) error {
	c.mu.Lock()
	c.streams++
	c.mu.Unlock()
	if err := conn.Send(nil); err != nil {
		return err
	}
	for {
		m, err := conn.Receive()
		if err != nil {
			return nil //nolint:nilerr // the client has closed or gone
		}
		c.mu.Lock()
		var answers []*apiv1.SessionResponse
		for _, s := range m.Starts {
			c.starts++
			c.ids[s.Start.RequestId]++
			if a := c.answer(c.starts, s); a != nil {
				answers = append(answers, a)
			}
		}
		for _, w := range m.Waits {
			c.waits = append(c.waits, w.ExecutionId)
			answers = append(answers, &apiv1.SessionResponse{Ended: []*apiv1.SessionEnded{c.waited(len(c.waits), w)}})
		}
		c.mu.Unlock()
		for _, a := range answers {
			if err := conn.Send(a); err != nil {
				return err
			}
		}
	}
}

func begun(s *apiv1.SessionStart) *apiv1.SessionStarted {
	return &apiv1.SessionStarted{Call: s.Call, ExecutionId: fmt.Sprintf("x%d", s.Call), Position: "p"}
}

func ended(call uint64) *apiv1.SessionEnded {
	return &apiv1.SessionEnded{Call: call, ExecutionId: fmt.Sprintf("x%d", call), Status: apiv1.Execution_COMPLETED, Output: `{"a":1}`}
}

func openSession(t *testing.T, c *counter) (*Session, *fakeNode) {
	t.Helper()
	c.ids = make(map[string]int)
	n := newNetwork()
	f := n.node(t, "a:1", func(f *fakeNode) { f.session = c.serve })
	s, err := dialNodes(t, n, "a:1").Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func TestSessionStartsAndWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &counter{answer: func(_ int, s *apiv1.SessionStart) *apiv1.SessionResponse {
			return &apiv1.SessionResponse{Started: []*apiv1.SessionStarted{begun(s)}, Ended: []*apiv1.SessionEnded{ended(s.Call)}}
		}}
		s, _ := openSession(t, c)
		var all []*Pending
		for range 3000 {
			p, err := s.Start(t.Context(), "counting", 1, []byte(`{}`), WithCorrelation("batch"))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			got, err := p.Started(t.Context())
			end, endErr := p.Ended(t.Context())
			if err != nil || endErr != nil || got.ID == "" || end.ID != got.ID || end.Status != Completed || string(end.Output) != `{"a":1}` {
				t.Fatalf("got %v, %v and %v, %v", got, err, end, endErr)
			}
		}
		if c.starts != 3000 || len(c.ids) != 3000 {
			t.Errorf("got %d starts with %d ids", c.starts, len(c.ids))
		}
		if _, err := s.Start(t.Context(), "counting", 1, nil); err == nil {
			t.Error("a start after Close was taken")
		}
	})
}

func TestSessionGoesOnAfterABreak(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &counter{
			answer: func(n int, s *apiv1.SessionStart) *apiv1.SessionResponse {
				switch n {
				case 1: // started, its end is never told on this stream
					return &apiv1.SessionResponse{Started: []*apiv1.SessionStarted{begun(s)}}
				case 2: // not answered
					return nil
				}
				return &apiv1.SessionResponse{Started: []*apiv1.SessionStarted{begun(s)}, Ended: []*apiv1.SessionEnded{ended(s.Call)}}
			},
			waited: func(n int, w *apiv1.SessionWait) *apiv1.SessionEnded {
				if n == 1 {
					return &apiv1.SessionEnded{Call: w.Call, Error: &apiv1.ErrorDetail{Code: "no_leader"}}
				}
				return ended(w.Call)
			},
		}
		s, node := openSession(t, c)
		first, _ := s.Start(t.Context(), "counting", 1, nil)
		second, _ := s.Start(t.Context(), "counting", 1, nil)
		synctest.Wait()
		node.cut()
		for _, p := range []*Pending{first, second} {
			if end, err := p.Ended(t.Context()); err != nil || end.Status != Completed {
				t.Errorf("got %v, %v", end, err)
			}
		}
		if c.streams != 2 || c.ids[first.RequestID()] != 1 || c.ids[second.RequestID()] != 2 || fmt.Sprint(c.waits) != "[x1 x1]" {
			t.Errorf("got %d streams, starts %v, waits %v", c.streams, c.ids, c.waits)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSessionRepeatsWhatPasses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &counter{answer: func(n int, s *apiv1.SessionStart) *apiv1.SessionResponse {
			started := begun(s)
			switch n {
			case 1:
				started.Error = &apiv1.ErrorDetail{Code: "overloaded", Definite: true, RetryAfterMillis: 200}
			case 2:
				started.Error = &apiv1.ErrorDetail{Code: "unknown_outcome"}
			case 3:
				started.Error = &apiv1.ErrorDetail{Code: "no_definition", Definite: true, Message: "no definition counting"}
			}
			return &apiv1.SessionResponse{Started: []*apiv1.SessionStarted{started}}
		}}
		s, _ := openSession(t, c)
		p, _ := s.Start(t.Context(), "counting", 1, nil)
		if _, err := p.Started(t.Context()); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("started: got %v", err)
		}
		if _, err := p.Ended(t.Context()); !errors.Is(err, ErrNotFound) {
			t.Errorf("ended: got %v", err)
		}
		if c.starts != 3 || len(c.ids) != 1 {
			t.Errorf("got %d starts with ids %v", c.starts, c.ids)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSessionThatIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &counter{answer: func(int, *apiv1.SessionStart) *apiv1.SessionResponse { return nil }}
		s, node := openSession(t, c)
		p, _ := s.Start(t.Context(), "counting", 1, nil)
		synctest.Wait()
		node.down()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: got %v", err)
		}
		if _, err := p.Started(t.Context()); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("started: got %v, want an unknown outcome", err)
		}
	})
}
