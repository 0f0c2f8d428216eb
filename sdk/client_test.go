package pawl

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

type stock struct {
	Count int `json:"count"`
}

var counting = Definition[stock, stock]{Name: "counting"}

func TestDialFindsTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		b := n.node(t, "b:1", func(f *fakeNode) { f.leader = "b:1" })
		a := n.node(t, "a:1", func(f *fakeNode) { f.leader = "b:1" })
		c := dialNodes(t, n, "gone:1", "a:1")
		e, err := counting.Start(t.Context(), c, stock{3}, WithKey("k"), WithPriority(7))
		if err != nil || e.ID != "x1" || e.At != "p1" {
			t.Fatalf("start: got %v, %v", e, err)
		}
		if len(a.started()) != 0 || len(b.started()) != 1 {
			t.Fatalf("starts: got %d at the follower and %d at the leader", len(a.started()), len(b.started()))
		}
		req := b.started()[0]
		if req.Name != "counting" || req.Input != `{"count":3}` || req.Key != "k" || req.Priority != 7 || req.RequestId == "" {
			t.Errorf("request: got %v", req)
		}
	})
}

func TestStartIsRepeatedWithOneRequestID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		a := n.node(t, "a:1", func(f *fakeNode) {
			f.start = func(try int, _ *apiv1.StartExecutionRequest) (*apiv1.StartExecutionResponse, error) {
				switch try {
				case 1:
					panic(http.ErrAbortHandler) // the connection breaks under the call
				case 2:
					return nil, apiError(connect.CodeUnknown, &apiv1.ErrorDetail{Code: "unknown_outcome"})
				case 3:
					return nil, apiError(connect.CodeUnavailable, &apiv1.ErrorDetail{Code: "no_leader", Definite: true, RetryAfterMillis: 200})
				}
				return &apiv1.StartExecutionResponse{ExecutionId: "x1", Existing: true}, nil
			}
		})
		c := dialNodes(t, n, "a:1")
		msg := &apiv1.StartExecutionRequest{Name: "counting"}
		began := time.Now()
		if _, err := c.Executions().Start(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 200*time.Millisecond {
			t.Errorf("took %v, though the node asked for 200 ms", d)
		}
		got := a.started()
		if len(got) != 4 {
			t.Fatalf("got %d tries, want 4", len(got))
		}
		for _, req := range got {
			if req.RequestId == "" || req.RequestId != got[0].RequestId {
				t.Errorf("request ids: got %q and %q", req.RequestId, got[0].RequestId)
			}
		}
		if msg.RequestId != "" {
			t.Error("the id stayed in the caller's message: its next use would be taken for a repetition")
		}
	})
}

func TestCallsGoOnAtAnotherNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		a := n.node(t, "a:1", func(f *fakeNode) { f.leader = "a:1" })
		b := n.node(t, "b:1", func(f *fakeNode) { f.leader = "a:1" })
		c := dialNodes(t, n, "a:1", "b:1")
		a.down()
		if _, err := counting.Start(t.Context(), c, stock{}); err != nil {
			t.Fatalf("start with the leader down: %v", err)
		}
		b.lead("c:1")
		third := n.node(t, "c:1", func(f *fakeNode) { f.leader = "c:1" })
		for range 2 { // the first learns of the leader
			if _, err := counting.Start(t.Context(), c, stock{}); err != nil {
				t.Fatal(err)
			}
		}
		if len(third.started()) == 0 {
			t.Error("the client does not follow the leader to an address it was not given")
		}
	})
}

func TestUnknownOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		transfers := 0
		n.node(t, "a:1", func(f *fakeNode) {
			f.start = func(int, *apiv1.StartExecutionRequest) (*apiv1.StartExecutionResponse, error) {
				return nil, apiError(connect.CodeUnknown, &apiv1.ErrorDetail{Code: "unknown_outcome", Message: "no answer from the log"})
			}
			f.transfer = func() error {
				transfers++
				return apiError(connect.CodeUnknown, &apiv1.ErrorDetail{Code: "unknown_outcome"})
			}
		})
		c := dialNodes(t, n, "a:1")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := counting.Start(ctx, c, stock{})
		if !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("start: got %v, want an unknown outcome at the deadline", err)
		}
		_, err = c.Cluster().Transfer(t.Context(), &apiv1.TransferLeadershipRequest{})
		if !errors.Is(err, ErrUnknownOutcome) || transfers != 1 {
			t.Errorf("transfer: got %v after %d tries; it has no id to be repeated by", err, transfers)
		}
	})
}

func TestNoNodeAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := Dial(ctx, WithAddresses("a:1", "b:1"), WithDialer(n.dial))
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("got %v, want a definite ErrUnavailable", err)
		}
		if len(n.dials) < 4 || len(n.dials) > 200 {
			t.Errorf("got %d dials in 30 s: the pauses are wrong", len(n.dials))
		}
	})
}

func TestErrorsAreOfAKind(t *testing.T) {
	for code, want := range kinds {
		e := &Error{Code: code, Definite: true}
		if !errors.Is(e, want) || errors.Is(e, ErrUnknownOutcome) {
			t.Errorf("%s is not %v", code, want)
		}
	}
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		n.node(t, "a:1", func(f *fakeNode) {
			f.start = func(int, *apiv1.StartExecutionRequest) (*apiv1.StartExecutionResponse, error) {
				return nil, apiError(connect.CodeAlreadyExists, &apiv1.ErrorDetail{Code: "already_exists", Message: "key k is taken",
					ExecutionId: "x9", Definite: true, Problems: []*apiv1.Problem{{Path: "p", Message: "m"}}})
			}
		})
		c := dialNodes(t, n, "a:1")
		_, err := counting.Start(t.Context(), c, stock{})
		var e *Error
		if !errors.Is(err, ErrAlreadyExists) || !errors.As(err, &e) || e.ExecutionID != "x9" || len(e.Problems) != 1 {
			t.Errorf("got %v", err)
		}
	})
}

func TestWaitGoesOnUntilTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		ends := map[string]*apiv1.Execution{
			"done":   {Status: apiv1.Execution_COMPLETED, Output: `{"count":4}`},
			"failed": {Status: apiv1.Execution_FAILED, Reason: "no stock", FailedTaskId: "t9"},
			"odd":    {Status: apiv1.Execution_COMPLETED, Output: `{"count":"four"}`},
		}
		a := n.node(t, "a:1", func(f *fakeNode) {
			f.wait = func(try int, req *apiv1.WaitExecutionRequest) (*apiv1.WaitExecutionResponse, error) {
				if try == 1 {
					return nil, apiError(connect.CodeUnavailable, &apiv1.ErrorDetail{Code: "no_leader"})
				}
				if try < 4 {
					return &apiv1.WaitExecutionResponse{}, nil
				}
				return &apiv1.WaitExecutionResponse{Ended: true, Execution: ends[req.ExecutionId]}, nil
			}
		})
		c := dialNodes(t, n, "a:1")
		out, err := (&Execution[stock]{ID: "done", At: "p5", client: c}).Wait(t.Context())
		if err != nil || out.Count != 4 || len(a.waits) != 4 || a.waits[0].AtLeast != "p5" {
			t.Errorf("wait: got %v, %v after %d calls", out, err, len(a.waits))
		}
		_, err = counting.Execution(c, "failed").Wait(t.Context())
		var failed *ExecutionError
		if !errors.As(err, &failed) || failed.Task != "t9" || failed.Status != Failed || failed.Reason != "no stock" {
			t.Errorf("wait for a failure: got %v", err)
		}
		if _, err = counting.Execution(c, "odd").Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "field count") {
			t.Errorf("wait for an output that does not fit: got %v", err)
		}
	})
}

func TestInputIsAnObject(t *testing.T) {
	if got, err := object(nil); err != nil || got != "{}" {
		t.Errorf("nil: got %q, %v", got, err)
	}
	if _, err := object([]int{1}); err == nil {
		t.Error("an array was taken")
	}
	if _, err := newNodes([]string{"http://a/b"}); err == nil {
		t.Error("an address with a path was taken")
	}
}
