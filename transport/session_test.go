package transport

import (
	"errors"
	"io"
	"testing"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// customer is the client's side of a session.
type customer struct {
	t       *testing.T
	stream  *connect.BidiStreamForClientSimple[apiv1.SessionRequest, apiv1.SessionResponse]
	started map[uint64]*apiv1.SessionStarted
	ended   map[uint64]*apiv1.SessionEnded
	away    *apiv1.GoElsewhere
}

func openSession(t *testing.T, c *clients) *customer {
	t.Helper()
	stream, err := c.executions.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &customer{t: t, stream: stream, started: make(map[uint64]*apiv1.SessionStarted), ended: make(map[uint64]*apiv1.SessionEnded)}
}

func (s *customer) send(m *apiv1.SessionRequest) {
	s.t.Helper()
	if err := s.stream.Send(m); err != nil {
		s.t.Fatalf("send: %v", err)
	}
}

// receive takes messages until done says so, or the server closes its side.
func (s *customer) receive(done func() bool) (closed bool) {
	s.t.Helper()
	for !done() {
		m, err := s.stream.Receive()
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			s.t.Fatalf("receive: %v", err)
		}
		for _, a := range m.Started {
			if s.started[a.Call] != nil {
				s.t.Errorf("start %d was answered twice", a.Call)
			}
			s.started[a.Call] = a
		}
		for _, a := range m.Ended {
			if s.ended[a.Call] != nil {
				s.t.Errorf("wait %d was answered twice", a.Call)
			}
			s.ended[a.Call] = a
		}
		if m.GoElsewhere != nil {
			s.away = m.GoElsewhere
		}
	}
	return false
}

func TestSessionStartsAndWaitsInBatches(t *testing.T) {
	for name, proposer := range map[string]func(t *testing.T) (*machine, Proposer){
		"a goroutine each": func(*testing.T) (*machine, Proposer) { m := newMachine(); return m, m },
		"asynchronous":     func(t *testing.T) (*machine, Proposer) { a := newAsync(t); return a.machine, a },
	} {
		t.Run(name, func(t *testing.T) {
			m, p := proposer(t)
			s := serveWith(t, m, p)
			c := s.clients(s.h2)
			s.apply(t, c)
			const runs = 200
			d := openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}, Credit: runs})
			ss := openSession(t, c)
			batch := &apiv1.SessionRequest{}
			for i := range uint64(runs) {
				batch.Starts = append(batch.Starts, &apiv1.SessionStart{Call: i, Wait: i%2 == 0, Start: &apiv1.StartExecutionRequest{Name: "greet", Input: `{"to":"bo"}`}})
			}
			ss.send(batch)
			ss.receive(func() bool { return len(ss.started) == runs })
			waits := &apiv1.SessionRequest{}
			for i := uint64(1); i < runs; i += 2 {
				waits.Waits = append(waits.Waits, &apiv1.SessionWait{Call: 1000 + i, ExecutionId: ss.started[i].ExecutionId})
			}
			ss.send(waits)
			for n := 0; n < runs; {
				d.receive(func() bool { return len(d.tasks) > n })
				reports := &apiv1.WorkRequest{}
				for ; n < len(d.tasks); n++ {
					reports.Reports = append(reports.Reports, complete(uint64(n), d.tasks[n]))
				}
				d.send(reports)
			}
			if err := ss.stream.CloseRequest(); err != nil {
				t.Fatal(err)
			}
			if !ss.receive(func() bool { return false }) {
				t.Error("the server did not close its side")
			}
			if len(ss.ended) != runs {
				t.Errorf("got %d ends, want %d", len(ss.ended), runs)
			}
			for call, e := range ss.ended {
				if e.Error != nil || e.Status != apiv1.Execution_COMPLETED || e.Output != `{"sent":1}` || e.Position == "" {
					t.Errorf("end %d: got %v", call, e)
				}
			}
			d.finish()
			if s.server.waiters.size != 0 {
				t.Errorf("%d waiters are left", s.server.waiters.size)
			}
		})
	}
}

func TestSessionAnswersMistakes(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	missing := fsm.ExecID{Hi: 1<<40 | 8<<12, Lo: 2 << 62}.String()
	ss := openSession(t, c)
	ss.send(&apiv1.SessionRequest{
		Starts: []*apiv1.SessionStart{
			{Call: 1},
			{Call: 2, Wait: true, Start: &apiv1.StartExecutionRequest{Name: "nowhere"}},
			{Call: 3, Wait: true, Start: &apiv1.StartExecutionRequest{Name: "hold", Input: "x"}},
			{Call: 4, Start: &apiv1.StartExecutionRequest{Name: "hold", Strategy: 9}},
			{Call: 5, Start: &apiv1.StartExecutionRequest{Name: "hold", RequestId: string(make([]byte, 65))}},
		},
		Waits: []*apiv1.SessionWait{{Call: 6, ExecutionId: "e"}, {Call: 7, ExecutionId: missing}},
	})
	if err := ss.stream.CloseRequest(); err != nil {
		t.Fatal(err)
	}
	ss.receive(func() bool { return false })
	for call, want := range map[uint64][2]string{1: {"malformed", "start"}, 2: {"no_definition", ""}, 3: {"malformed", "input"}, 4: {"malformed", "strategy"}, 5: {"malformed", "requestId"}} {
		if a := ss.started[call]; a == nil || a.Error == nil || a.Error.Code != want[0] || a.Error.Field != want[1] {
			t.Errorf("start %d: got %v, want %v", call, a, want)
		}
	}
	for call, want := range map[uint64]string{6: "malformed", 7: "not_found"} {
		if a := ss.ended[call]; a == nil || a.Error == nil || a.Error.Code != want {
			t.Errorf("wait %d: got %v, want %v", call, a, want)
		}
	}
}

func TestSessionWaitOfAnEndedExecutionIsAnsweredAtOnce(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "hold")
	if _, err := c.executions.Terminate(t.Context(), &apiv1.TerminateExecutionRequest{ExecutionId: id, Reason: "done with"}); err != nil {
		t.Fatal(err)
	}
	ss := openSession(t, c)
	ss.send(&apiv1.SessionRequest{
		Waits:  []*apiv1.SessionWait{{Call: 1, ExecutionId: id}},
		Starts: []*apiv1.SessionStart{{Call: 2, Wait: true, Start: &apiv1.StartExecutionRequest{Definition: `{"name":"empty","version":1,"schemaVersion":2,"tasks":[{"name":"s","taskReferenceName":"s","type":"SET_VARIABLE","inputParameters":{"a":1}}]}`}}},
	})
	ss.receive(func() bool { return len(ss.ended) == 2 })
	if e := ss.ended[1]; e.Status != apiv1.Execution_TERMINATED || e.Reason != "done with" {
		t.Errorf("ended: got %v", e)
	}
	if e := ss.ended[2]; e.Status != apiv1.Execution_COMPLETED {
		t.Errorf("ended with its start: got %v", e)
	}
	if err := ss.stream.CloseRequest(); err != nil {
		t.Error(err)
	}
	ss.receive(func() bool { return false })
}

func TestDrainTellsSessionsAndLetsThemClose(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ss := openSession(t, c)
	ss.send(&apiv1.SessionRequest{Starts: []*apiv1.SessionStart{{Call: 1, Wait: true, Start: &apiv1.StartExecutionRequest{Name: "hold"}}}})
	ss.receive(func() bool { return ss.started[1] != nil })
	s.server.Drain()
	ss.receive(func() bool { return ss.away != nil })
	if err := ss.stream.CloseRequest(); err != nil {
		t.Fatal(err)
	}
	if !ss.receive(func() bool { return false }) {
		t.Error("the server did not close its side")
	}
	until(t, "the waiter is gone", func() bool {
		s.server.waiters.mu.Lock()
		defer s.server.waiters.mu.Unlock()
		return s.server.waiters.size == 0
	})
}
