package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// async is a machine that answers proposals from another goroutine, as a cluster does.
type async struct {
	*machine
	calls chan func()
	count atomic.Int64
}

func newAsync(t *testing.T) *async {
	a := &async{machine: newMachine(), calls: make(chan func(), 4*maxOpen)}
	go func() {
		for call := range a.calls {
			call()
		}
	}()
	t.Cleanup(func() { close(a.calls) })
	return a
}

// ProposeAsync applies c later, in order.
func (a *async) ProposeAsync(c *fsm.Command, done func(fsm.Outcome, error)) {
	a.count.Add(1)
	a.calls <- func() { done(a.machine.Propose(context.Background(), c)) }
}

// desk is the client's side of a worker stream.
type desk struct {
	t      *testing.T
	stream *connect.BidiStreamForClientSimple[apiv1.WorkRequest, apiv1.WorkResponse]
	tasks  []*apiv1.LeasedTask
	result map[uint64]*apiv1.ReportResult
	away   *apiv1.GoElsewhere
}

func openDesk(t *testing.T, c *clients, first *apiv1.WorkRequest) *desk {
	t.Helper()
	stream, err := c.workers.Work(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, stream: stream, result: make(map[uint64]*apiv1.ReportResult)}
	d.send(first)
	return d
}

func (d *desk) send(m *apiv1.WorkRequest) {
	d.t.Helper()
	if err := d.stream.Send(m); err != nil {
		d.t.Fatalf("send: %v", err)
	}
}

// receive takes messages until done says so.
func (d *desk) receive(done func() bool) {
	d.t.Helper()
	for !done() {
		m, err := d.stream.Receive()
		if err != nil {
			d.t.Fatalf("receive: %v", err)
		}
		d.tasks = append(d.tasks, m.Tasks...)
		for _, r := range m.Results {
			if d.result[r.Call] != nil {
				d.t.Errorf("call %d was answered twice", r.Call)
			}
			d.result[r.Call] = r
		}
		if m.GoElsewhere != nil {
			d.away = m.GoElsewhere
		}
	}
}

func (d *desk) finish() {
	d.t.Helper()
	if err := d.stream.CloseRequest(); err != nil {
		d.t.Errorf("close: %v", err)
	}
	for {
		m, err := d.stream.Receive()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			d.t.Errorf("end of stream: %v", err)
			return
		}
		for _, r := range m.Results {
			d.result[r.Call] = r
		}
	}
}

func complete(call uint64, t *apiv1.LeasedTask) *apiv1.Report {
	return &apiv1.Report{Call: call, TaskId: t.TaskId, Lease: t.Lease, What: &apiv1.Report_Complete{Complete: &apiv1.CompleteReport{Output: `{"sent":1}`}}}
}

func TestWorkerStreamTakesTasksAndReports(t *testing.T) {
	for name, proposer := range map[string]func(t *testing.T) (*machine, Proposer){
		"a goroutine each": func(*testing.T) (*machine, Proposer) { m := newMachine(); return m, m },
		"asynchronous":     func(t *testing.T) (*machine, Proposer) { a := newAsync(t); return a.machine, a },
	} {
		for wire, option := range map[string]connect.ClientOption{"connect": connect.WithSendGzip(), "grpc": connect.WithGRPC(), "json": connect.WithProtoJSON()} {
			t.Run(name+" "+wire, func(t *testing.T) {
				m, p := proposer(t)
				s := serveWith(t, m, p)
				c := s.clients(s.h2, option)
				s.apply(t, c)
				d := openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}, Credit: 3})
				const runs = 20
				for range runs {
					s.start(t, c, "greet")
				}
				for n := range runs {
					d.receive(func() bool { return len(d.tasks) > n })
					d.send(&apiv1.WorkRequest{Credit: 1, Reports: []*apiv1.Report{complete(uint64(n), d.tasks[n])}})
				}
				d.receive(func() bool { return len(d.result) == runs })
				for call, r := range d.result {
					if r.Error != nil || r.Position == "" {
						t.Errorf("call %d: got %v", call, r)
					}
				}
				d.finish()
				list, err := c.executions.List(t.Context(), &apiv1.ListExecutionsRequest{Status: apiv1.Execution_COMPLETED})
				if err != nil || len(list.Executions) != runs {
					t.Errorf("got %v, %v, want %d completed", list.GetTotal(), err, runs)
				}
			})
		}
	}
}

func TestWorkerStreamKeepsToTheCredit(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	for range 6 {
		s.start(t, c, "greet")
	}
	d := openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}, Credit: 2})
	d.receive(func() bool { return len(d.tasks) >= 2 })
	// The answer to a report shows that nothing else was on its way.
	d.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{{Call: 1, TaskId: d.tasks[0].TaskId, Lease: d.tasks[0].Lease, What: &apiv1.Report_Extend{}}}})
	d.receive(func() bool { return d.result[1] != nil })
	if len(d.tasks) != 2 || s.free() != 0 {
		t.Errorf("got %d tasks on a credit of 2, %d slots open", len(d.tasks), s.free())
	}
	d.send(&apiv1.WorkRequest{Credit: 3})
	d.receive(func() bool { return len(d.tasks) >= 5 })
	if len(d.tasks) != 5 {
		t.Errorf("got %d tasks on a credit of 5", len(d.tasks))
	}
	d.finish()
}

func TestWorkerStreamReportsOfEveryKind(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	for range 5 {
		s.start(t, c, "greet")
	}
	d := openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}, Credit: 5})
	d.receive(func() bool { return len(d.tasks) == 5 })
	report := func(call uint64, what func(r *apiv1.Report)) *apiv1.Report {
		r := &apiv1.Report{Call: call, TaskId: d.tasks[call].TaskId, Lease: d.tasks[call].Lease}
		what(r)
		return r
	}
	d.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{
		complete(0, d.tasks[0]),
		report(1, func(r *apiv1.Report) {
			r.What = &apiv1.Report_Fail{Fail: &apiv1.FailReport{Reason: "no", Terminal: true}}
		}),
		report(2, func(r *apiv1.Report) {
			r.What = &apiv1.Report_Progress{Progress: &apiv1.ProgressReport{Output: `{"half":1}`, CallbackSeconds: 100}}
		}),
		report(3, func(r *apiv1.Report) { r.What = &apiv1.Report_Extend{} }),
		report(4, func(r *apiv1.Report) { r.What = &apiv1.Report_Return{} }),
		{Call: 5, TaskId: "t", What: &apiv1.Report_Extend{}},
		{Call: 6, TaskId: d.tasks[0].TaskId, Lease: 1},
		{Call: 7, TaskId: d.tasks[0].TaskId, Lease: 1, What: &apiv1.Report_Complete{}},
		{Call: 8, TaskId: d.tasks[3].TaskId, Lease: d.tasks[3].Lease, What: &apiv1.Report_Complete{Complete: &apiv1.CompleteReport{Output: "7"}}},
	}})
	d.receive(func() bool { return len(d.result) == 9 })
	for call := range uint64(5) {
		if e := d.result[call].Error; e != nil {
			t.Errorf("call %d: got %v", call, e)
		}
	}
	for call, want := range map[uint64][2]string{5: {"malformed", "taskId"}, 6: {"malformed", "reports"}, 7: {"stale_lease", ""}, 8: {"malformed", "output"}} {
		if e := d.result[call].Error; e == nil || e.Code != want[0] || e.Field != want[1] || !e.Definite {
			t.Errorf("call %d: got %v, want %v", call, e, want)
		}
	}
	for i, want := range []apiv1.Task_Status{apiv1.Task_COMPLETED, apiv1.Task_FAILED_WITH_TERMINAL_ERROR, apiv1.Task_SCHEDULED, apiv1.Task_IN_PROGRESS, apiv1.Task_SCHEDULED} {
		got, err := c.tasks.Get(t.Context(), &apiv1.GetTaskRequest{TaskId: d.tasks[i].TaskId})
		if err != nil || got.Task.Status != want {
			t.Errorf("task %d: got %v, %v, want %v", i, got.GetTask().GetStatus(), err, want)
		}
	}
	d.finish()
}

func TestWorkerStreamBeginsWithHeldLeases(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	s.start(t, c, "greet")
	d := openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}, Credit: 1})
	d.receive(func() bool { return len(d.tasks) == 1 })
	task := d.tasks[0]
	d.finish()
	if len(s.held) != 0 {
		t.Error("parking was told what is held without being asked to return the rest")
	}
	d = openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}, ReturnOthers: true, Held: []*apiv1.HeldLease{
		{Call: 1, TaskId: task.TaskId, Lease: task.Lease}, {Call: 2, TaskId: task.TaskId, Lease: 3},
	}}})
	d.receive(func() bool { return len(d.result) == 2 })
	if d.result[1].Error != nil {
		t.Errorf("held lease: got %v", d.result[1].Error)
	}
	if e := d.result[2].Error; e == nil || e.Code != "stale_lease" || e.WantLease != task.Lease {
		t.Errorf("lease that is not held: got %v", e)
	}
	d.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{complete(3, task)}})
	d.receive(func() bool { return d.result[3] != nil })
	if d.result[3].Error != nil {
		t.Errorf("report over another stream: got %v", d.result[3].Error)
	}
	d.finish()
	if len(s.held) != 2 {
		t.Errorf("parking was told of %d held leases, want 2", len(s.held))
	}
}

func TestWorkerStreamRefusesWhatIsMalformed(t *testing.T) {
	s := serve(t)
	good := &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}}
	many := make([]*apiv1.Report, maxBatch+1)
	for i := range many {
		many[i] = &apiv1.Report{}
	}
	for name, test := range map[string]struct {
		messages []*apiv1.WorkRequest
		field    string
	}{
		"no hello":       {[]*apiv1.WorkRequest{{Credit: 1}}, "hello"},
		"no queues":      {[]*apiv1.WorkRequest{{Hello: &apiv1.Hello{}}}, "hello.queues"},
		"server's queue": {[]*apiv1.WorkRequest{{Hello: &apiv1.Hello{Queues: []string{"a", "$script"}}}}, "hello.queues"},
		"empty queue":    {[]*apiv1.WorkRequest{{Hello: &apiv1.Hello{Queues: []string{""}}}}, "hello.queues"},
		"credit":         {[]*apiv1.WorkRequest{{Hello: good.Hello, Credit: -1}}, "credit"},
		"more credit":    {[]*apiv1.WorkRequest{{Hello: good.Hello, Credit: maxCredit}, {Credit: 1}}, "credit"},
		"negative":       {[]*apiv1.WorkRequest{good, {Credit: -1}}, "credit"},
		"second hello":   {[]*apiv1.WorkRequest{good, good}, "hello"},
		"large batch":    {[]*apiv1.WorkRequest{good, {Reports: many}}, "reports"},
		"name of worker": {[]*apiv1.WorkRequest{{Hello: &apiv1.Hello{Worker: strings.Repeat("w", 256), Queues: []string{"q"}}}}, "worker"},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := s.clients(s.h2).workers.Work(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range test.messages {
				if err := stream.Send(m); err != nil {
					t.Fatal(err)
				}
			}
			for err == nil {
				_, err = stream.Receive()
			}
			if d, code := detail(t, err); d.Field != test.field || code != connect.CodeInvalidArgument {
				t.Errorf("got %v, want field %q", d, test.field)
			}
		})
	}
	until(t, "no slots are left", func() bool { return s.free() == 0 })
}

func TestWorkerStreamNeedsHTTP2(t *testing.T) {
	s := serve(t)
	resp, err := s.h1.Post(s.url+"/pawl.api.v1.WorkerService/Work", "application/connect+proto", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("got status %d, want 505", resp.StatusCode)
	}
}

func TestDrainTellsWorkersToGoElsewhereAndFinishesReports(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	s.start(t, c, "greet")
	d := openDesk(t, c, &apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}, Credit: 2})
	d.receive(func() bool { return len(d.tasks) == 1 })
	s.server.Drain()
	d.receive(func() bool { return d.away != nil })
	if d.away.LeaderAddress != s.leader {
		t.Errorf("go elsewhere: got %v", d.away)
	}
	until(t, "the slots are gone", func() bool { return s.free() == 0 })
	d.send(&apiv1.WorkRequest{Reports: []*apiv1.Report{complete(1, d.tasks[0])}})
	d.receive(func() bool { return d.result[1] != nil })
	if d.result[1].Error != nil {
		t.Errorf("report while draining: got %v", d.result[1].Error)
	}
	d.finish()
	again, err := c.workers.Work(t.Context())
	if err == nil {
		_ = again.Send(&apiv1.WorkRequest{})
		_, err = again.Receive()
	}
	if e, code := detail(t, err); e.Code != "draining" || code != connect.CodeUnavailable {
		t.Errorf("new stream while draining: got %v", e)
	}
	_, err = c.tasks.Poll(t.Context(), &apiv1.PollTasksRequest{Types: []string{"mail"}})
	if e, _ := detail(t, err); e.Code != "draining" {
		t.Errorf("poll while draining: got %v", e)
	}
}

func TestDrainEndsAParkedPoll(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	got := make(chan error, 1)
	go func() {
		resp, err := c.tasks.Poll(context.WithoutCancel(t.Context()), &apiv1.PollTasksRequest{Worker: "w", Types: []string{"mail"}, TimeoutMillis: 60_000})
		if err == nil && len(resp.Tasks) != 0 {
			err = fmt.Errorf("got %d tasks", len(resp.Tasks))
		}
		got <- err
	}()
	until(t, "the poll is parked", func() bool { return s.free() == 1 })
	s.server.Drain()
	if err := <-got; err != nil {
		t.Errorf("poll: %v", err)
	}
}

func TestLeasesOfAWorkerThatVanishedAreReturned(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	ctx, vanish := context.WithCancel(t.Context())
	stream, err := c.workers.Work(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&apiv1.WorkRequest{Hello: &apiv1.Hello{Worker: "w", Queues: []string{"mail"}}, Credit: 1}); err != nil {
		t.Fatal(err)
	}
	until(t, "the worker is parked", func() bool { return s.free() == 1 })
	// The worker goes in the moment in which a task is leased to it.
	s.mu.Lock()
	vanish()
	var leases chan fsm.Leased
	for _, p := range s.parked {
		leases = p.leases
	}
	out := s.applyLocked(&fsm.Command{Body: &fsm.StartExecution{Name: "greet"}})
	s.mu.Unlock()
	if out.Result.Rejection != nil {
		t.Fatal(out.Result.Rejection)
	}
	task := fsm.TaskID{Exec: out.Result.Exec, Serial: 1}
	until(t, "the lease is taken", func() bool { return len(leases) == 0 })
	got, err := c.tasks.Get(t.Context(), &apiv1.GetTaskRequest{TaskId: task.String()})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = stream.CloseRequest(), stream.CloseResponse() // broken already
	// It either reached the connection before the end was noticed, or was returned.
	if st := got.Task.Status; st != apiv1.Task_IN_PROGRESS && st != apiv1.Task_SCHEDULED {
		t.Errorf("got status %v", st)
	}
}

func TestLeasesLeftInTheChannelAreReturned(t *testing.T) {
	s := serve(t)
	c := s.clients(s.h2)
	s.apply(t, c)
	id := s.start(t, c, "greet")
	left := make(chan fsm.Leased, 1)
	_, leases, err := s.Park(t.Context(), fsm.SlotSpec{Worker: "w", Queues: []fsm.Queue{"mail"}, Credit: 1})
	if err != nil {
		t.Fatal(err)
	}
	left <- <-leases
	close(left)
	s.server.handBackRest(left)
	until(t, "the task is ready again", func() bool {
		got, err := c.executions.Get(t.Context(), &apiv1.GetExecutionRequest{ExecutionId: id, Tasks: true})
		return err == nil && got.Tasks[0].Status == apiv1.Task_SCHEDULED
	})
}
