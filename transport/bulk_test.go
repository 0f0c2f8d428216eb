package transport

import (
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

func TestABulkAnswersForEachExecution(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id, ended := s.start(t, c, "hold"), s.start(t, c, "hold")
	missing := fsm.ExecID{Hi: 1<<40 | 8<<12, Lo: 2 << 62}.String()
	if _, err := c.executions.Signal(t.Context(), &apiv1.SignalExecutionRequest{ExecutionId: ended}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		req   *apiv1.BulkExecutionsRequest
		codes string // of the three, in order
	}{
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_PAUSE}, "done not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_RESUME}, "done not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_SET_VARIABLES, Input: `{"a":[1]}`, Append: true}, "done not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_RESET_CALLBACKS}, "done not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_DECIDE}, "done not_found done"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_SKIP, Ref: "nowhere"}, "conflict not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_JUMP, Ref: "nowhere"}, "conflict not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_TERMINATE, Reason: "enough"}, "done not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_RETRY, ResumeSubworkflows: true}, "done not_found nothing_to_retry"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_RESTART, Latest: true}, "conflict not_found done"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_TERMINATE}, "done not_found done"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_RERUN, Input: `{"n":1}`, Correlation: "c2"}, "done not_found done"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_DELETE}, "conflict not_found conflict"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_TERMINATE_DELETE}, "done not_found done"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_DELETE, Force: true}, "not_found not_found not_found"},
	} {
		test.req.ExecutionIds = []string{id, missing, ended}
		resp, err := c.executions.Bulk(t.Context(), test.req)
		if err != nil {
			t.Fatalf("%s: %v", test.req.Verb, err)
		}
		var codes []string
		for i, r := range resp.Results {
			code := "done"
			if r.Error != nil {
				code = r.Error.Code
				if !r.Error.Definite || r.Error.Message == "" {
					t.Errorf("%s: the error is %v", test.req.Verb, r.Error)
				}
			}
			if r.ExecutionId != test.req.ExecutionIds[i] {
				t.Errorf("%s: result %d is of %s", test.req.Verb, i, r.ExecutionId)
			}
			codes = append(codes, code)
		}
		if got := strings.Join(codes, " "); got != test.codes || resp.Position == "" {
			t.Errorf("%s: got %s at %q, want %s", test.req.Verb, got, resp.Position, test.codes)
		}
	}
}

func TestABulkOfAWrongShapeNamesTheField(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "hold")
	for _, test := range []struct {
		req         *apiv1.BulkExecutionsRequest
		field, says string
	}{
		{&apiv1.BulkExecutionsRequest{ExecutionIds: []string{id}}, "verb", "not known"},
		{&apiv1.BulkExecutionsRequest{Verb: 99, ExecutionIds: []string{id}}, "verb", "not a known verb"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_PAUSE}, "executionIds", "cannot be null"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_PAUSE, ExecutionIds: []string{"x"}}, "executionIds", "not the id of an execution"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_PAUSE, ExecutionIds: strings.Split(strings.Repeat(id+" ", fsm.MaxBulk)+id, " ")},
			"executionIds", "more than 1000"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_SKIP, ExecutionIds: []string{id}}, "ref", "must not be empty"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_SET_VARIABLES, ExecutionIds: []string{id}}, "input", "must not be empty"},
		{&apiv1.BulkExecutionsRequest{Verb: apiv1.BulkExecutionsRequest_JUMP, Ref: "w", Input: "[]", ExecutionIds: []string{id}}, "input", "JSON object"},
	} {
		_, err := c.executions.Bulk(t.Context(), test.req)
		if d, _ := detail(t, err); d.Code != string(fsm.Malformed) || d.Field != test.field || !strings.Contains(d.Message, test.says) {
			t.Errorf("%s: got %v, want %s: %s", test.req.Verb, d, test.field, test.says)
		}
	}
}

// busyFor lets a machine answer so often that it is busy, and gives what counts its
// tries and the time that the server waited in all.
func busyFor(m *machine, n int) (tries *int, waited *time.Duration) {
	tries, waited = new(int), new(time.Duration)
	now := make(chan time.Time)
	close(now)
	m.after = func(d time.Duration) <-chan time.Time {
		*waited += d
		return now
	}
	sweep := func(id fsm.ExecID) *fsm.Rejection {
		return &fsm.Rejection{Code: fsm.Busy, Message: "execution " + id.String() + " is being swept: ask again shortly"}
	}
	m.instead = func(c *fsm.Command) (fsm.Outcome, bool) {
		*tries++
		if *tries > n {
			return fsm.Outcome{}, false
		}
		switch b := c.Body.(type) {
		case *fsm.Bulk: // with the first of them only
			items := make([]fsm.BulkItem, len(b.IDs))
			for i, id := range b.IDs {
				items[i].Exec = id
			}
			items[0].Rejection = sweep(b.IDs[0])
			return fsm.Outcome{Result: fsm.Result{Items: items}}, true
		case *fsm.RetryExecution:
			return fsm.Outcome{Result: fsm.Result{Rejection: sweep(b.Exec)}}, true
		}
		*tries--
		return fsm.Outcome{}, false
	}
	return tries, waited
}

func TestABusyMachineIsAskedAgain(t *testing.T) {
	for _, test := range []struct {
		name  string
		busy  int
		tries int
		says  string
	}{
		{"for a while", 3, 4, ""},
		{"for longer than anybody waits", 1000, 15, "and still is after 5s of further tries"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine()
			tries, waited := busyFor(m, test.busy)
			s := serveMachine(t, m)
			l := s.line(t)
			if _, err := l.c.executions.Terminate(t.Context(), &apiv1.TerminateExecutionRequest{ExecutionId: l.id}); err != nil {
				t.Fatal(err)
			}
			_, err := l.c.executions.Retry(t.Context(), &apiv1.RetryExecutionRequest{ExecutionId: l.id, RequestId: "r1"})
			if test.says == "" {
				l.done("retry", err, apiv1.Execution_RUNNING)
			} else if d, _ := detail(t, err); d.Code != string(fsm.Busy) || !d.Definite || !strings.Contains(d.Message, test.says) {
				t.Errorf("got %v", d)
			}
			if *tries != test.tries || *waited > busyTime {
				t.Errorf("%d tries in %s, want %d", *tries, *waited, test.tries)
			}
		})
	}
}

func TestABulkAsksAgainForWhatWasBusy(t *testing.T) {
	for _, busy := range []int{2, 1000} {
		m := newMachine()
		_, waited := busyFor(m, busy)
		s := serveMachine(t, m)
		c := s.clients(s.h2)
		s.apply(t, c)
		id, other := s.start(t, c, "hold"), s.start(t, c, "hold")
		resp, err := c.executions.Bulk(t.Context(), &apiv1.BulkExecutionsRequest{
			Verb: apiv1.BulkExecutionsRequest_PAUSE, ExecutionIds: []string{id, other}, RequestId: "r1"})
		if err != nil || resp.Results[1].Error != nil {
			t.Fatalf("got %v, %v", resp, err)
		}
		got, err := c.executions.Get(t.Context(), &apiv1.GetExecutionRequest{ExecutionId: id})
		if err != nil {
			t.Fatal(err)
		}
		if e := resp.Results[0].Error; busy == 2 && (e != nil || got.Execution.Status != apiv1.Execution_PAUSED) {
			t.Errorf("after %d busy answers: %v, and the execution is %s", busy, e, got.Execution.Status)
		} else if busy > 2 && (e.GetCode() != string(fsm.Busy) || !strings.Contains(e.GetMessage(), "still is after 5s")) {
			t.Errorf("after %d busy answers and %s: %v", busy, *waited, e)
		}
	}
}
