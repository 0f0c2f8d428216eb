package pawl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// bench is a worker that runs against a desk.
type bench struct {
	*desk
	node *fakeNode
	w    *Worker
	stop context.CancelFunc
	done chan error

	mu   sync.Mutex
	told []Completion
}

func newBench(t *testing.T, opts ...WorkerOption) *bench {
	t.Helper()
	b := &bench{desk: newDesk(), done: make(chan error, 1)}
	n := newNetwork()
	b.node = n.node(t, "a:1", func(f *fakeNode) { f.leader, f.work = "a:1", b.desk.work })
	opts = append(opts, WithName("w1"), WithCompletionHook(func(c Completion) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, c)
	}))
	b.w = NewWorker(dialNodes(t, n, "a:1", "b:1"), opts...)
	return b
}

func (b *bench) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	go func() { b.done <- b.w.Run(ctx) }()
	synctest.Wait()
}

// end stops the worker and gives what Run says.
func (b *bench) end() error {
	b.stop()
	return <-b.done
}

func (b *bench) completions() []Completion {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Completion(nil), b.told...)
}

// said spells a report.
func said(r *apiv1.Report) string {
	switch what := r.What.(type) {
	case *apiv1.Report_Complete:
		return r.TaskId + " complete " + what.Complete.Output
	case *apiv1.Report_Fail:
		return fmt.Sprintf("%s fail %t %s", r.TaskId, what.Fail.Terminal, what.Fail.Reason)
	case *apiv1.Report_Progress:
		return fmt.Sprintf("%s progress %d", r.TaskId, what.Progress.CallbackSeconds)
	case *apiv1.Report_Extend:
		return r.TaskId + " extend"
	}
	return r.TaskId + " return"
}

func (b *bench) saidAll() []string {
	var all []string
	for _, r := range b.heard() {
		all = append(all, said(r))
	}
	return all
}

func double(_ context.Context, t *Task[stock]) (stock, error) { return stock{2 * t.Input.Count}, nil }

func TestWorkerCompletesTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, WithConcurrency(5), WithDomain("eu"))
		Handle(b.w, "double", double)
		b.run(t)
		task := leasedTask("t1", "double", `{"count":21}`)
		task.Retry = 2
		b.hand(task)
		synctest.Wait()
		if err := b.end(); err != nil {
			t.Fatal(err)
		}
		if got := b.saidAll(); len(got) != 1 || got[0] != `t1 complete {"count":42}` {
			t.Errorf("reports: got %q", got)
		}
		want := Completion{Task: "t1", Execution: "x1", Type: "double", Ref: "ref-double", Attempt: 3, Lease: 7,
			Verdict: VerdictCompleted, Output: `{"count":42}`, Outcome: Acknowledged, At: "p"}
		if got := b.completions(); len(got) != 1 || got[0] != want {
			t.Errorf("hook: got %+v", got)
		}
		if h := b.hellos[0]; !strings.HasPrefix(h.Worker, "w1/") || h.Queues[0] != "eu:double" || len(b.credit) != 2 || b.credit[0] != 5 || b.credit[1] != 1 {
			t.Errorf("hello %v with credit %v", h, b.credit)
		}
	})
}

func TestWhatHandlersSay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		Handle(b.w, "double", double)
		say := func(name string, err error) {
			Handle(b.w, name, func(context.Context, *Task[stock]) (stock, error) { return stock{}, err })
		}
		say("plain", errors.New("later \xff"))
		say("terminal", fmt.Errorf("wrapped: %w", Terminal(errors.New("never"))))
		say("snooze", Snooze(1500*time.Millisecond))
		say("abandon", ErrAbandon)
		Handle(b.w, "panic", func(context.Context, *Task[stock]) (stock, error) { panic("ouch") })
		Handle(b.w, "array", func(context.Context, *Task[stock]) ([]int, error) { return []int{1}, nil })
		Handle(b.w, "huge", func(context.Context, *Task[stock]) (map[string]string, error) {
			return map[string]string{"a": strings.Repeat("x", maxOutput)}, nil
		})
		b.run(t)
		for name, want := range map[string]string{
			"plain":    "t fail false later \uFFFD",
			"terminal": "t fail true wrapped: never",
			"snooze":   "t progress 2",
			"panic":    "t fail false panic: ouch",
			"array":    "t fail true output: []int is not a JSON object",
			"huge":     "t fail true output has",
		} {
			before := len(b.heard())
			b.hand(leasedTask("t", name, `{}`))
			synctest.Wait()
			if got := b.saidAll()[before:]; len(got) != 1 || !strings.HasPrefix(got[0], want) || len(got[0]) > 500 {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		before := len(b.heard())
		b.hand(leasedTask("t", "abandon", `{}`), leasedTask("u", "double", `{"count":"many"}`))
		synctest.Wait()
		if got := b.saidAll()[before:]; len(got) != 1 || got[0] != "u fail true input: field count: string does not fit into int" {
			t.Errorf("abandoned and misfitting: got %q", got)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestReportsAreRepeatedUntilAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		Handle(b.w, "double", double)
		answers := []*apiv1.ErrorDetail{
			{Code: "unknown_outcome"},
			{Code: "no_leader", Definite: true},
			{Code: "internal"},
			nil,
			{Code: "stale_lease", Definite: true},
			{Code: "too_large", Definite: true, Message: "too large"},
			nil,
		}
		b.answer = func(*apiv1.Report) *apiv1.ErrorDetail {
			next := answers[0]
			answers = answers[1:]
			return next
		}
		b.run(t)
		for _, id := range []string{"t1", "t2", "t3"} {
			task := leasedTask(id, "double", `{}`)
			b.hand(task)
			pass(10 * time.Second)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
		want := []string{"t1 complete", "t1 complete", "t1 complete", "t1 complete", "t2 complete", "t3 complete", "t3 fail true output refused: too large"}
		got := b.saidAll()
		if len(got) != len(want) {
			t.Fatalf("reports: got %q", got)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("report %d: got %q, want %q", i, got[i], want[i])
			}
		}
		var outcomes []Outcome
		for _, c := range b.completions() {
			outcomes = append(outcomes, c.Outcome)
		}
		if fmt.Sprint(outcomes) != "[acknowledged stale refused acknowledged]" {
			t.Errorf("hook: got %v", outcomes)
		}
	})
}

func TestBrokenStreamLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, WithConcurrency(3))
		release := make(chan struct{})
		Handle(b.w, "double", double)
		Handle(b.w, "slow", func(context.Context, *Task[stock]) (stock, error) {
			<-release
			return stock{1}, nil
		})
		b.answer = func(*apiv1.Report) *apiv1.ErrorDetail { return silent }
		b.run(t)
		b.hand(leasedTask("t1", "double", `{}`), leasedTask("t2", "slow", `{}`))
		synctest.Wait()
		b.desk.mu.Lock()
		b.answer = nil
		b.desk.mu.Unlock()
		b.node.cut()
		pass(time.Second / 2)
		close(release)
		synctest.Wait()
		if err := b.end(); err != nil {
			t.Error(err)
		}
		// The node would give back what is missing: also the task whose answer is.
		if len(b.hellos) != 2 || len(b.hellos[1].Held) != 2 || b.hellos[0].Worker != b.hellos[1].Worker {
			t.Errorf("hellos: got %v", b.hellos)
		}
		got := strings.Join(b.saidAll(), "; ")
		if got != `t1 complete {"count":0}; t1 extend; t2 extend; t1 complete {"count":0}; t2 complete {"count":1}` {
			t.Errorf("reports: got %s", got)
		}
		if b.credit[0] != 3 || b.credit[1] != 1 && b.credit[1] != 2 {
			t.Errorf("credit: got %v", b.credit)
		}
	})
}

func TestWorkerGoesElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		release := make(chan struct{})
		Handle(b.w, "slow", func(context.Context, *Task[stock]) (stock, error) {
			<-release
			return stock{1}, nil
		})
		other := newDesk()
		b.node.net.node(t, "b:1", func(f *fakeNode) { f.leader, f.work = "b:1", other.work })
		b.run(t)
		b.hand(leasedTask("t1", "slow", `{}`))
		synctest.Wait()
		b.push <- &apiv1.WorkResponse{GoElsewhere: &apiv1.GoElsewhere{Reason: "stop", LeaderAddress: "b:1"}}
		pass(time.Second)
		close(release)
		synctest.Wait()
		if err := b.end(); err != nil {
			t.Error(err)
		}
		if len(other.hellos) != 1 || len(other.hellos[0].Held) != 1 {
			t.Fatalf("hellos at the other node: got %v", other.hellos)
		}
		if got := other.heard(); said(got[len(got)-1]) != `t1 complete {"count":1}` {
			t.Errorf("reports at the other node: got %v", got)
		}
	})
}

func TestLeasesAreRenewedUntilLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		var cause error
		Handle(b.w, "slow", func(ctx context.Context, _ *Task[stock]) (stock, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return stock{}, cause
		})
		extends := 0
		b.answer = func(r *apiv1.Report) *apiv1.ErrorDetail {
			if _, ok := r.What.(*apiv1.Report_Extend); ok {
				if extends++; extends < 4 {
					return nil
				}
			}
			return &apiv1.ErrorDetail{Code: "stale_lease", Definite: true}
		}
		b.run(t)
		began := time.Now()
		b.hand(leasedTask("t1", "slow", `{}`)) // has 2 s
		for pass(time.Second / 4); len(b.completions()) == 0; pass(time.Second / 4) {
		}
		if d := time.Since(began); d < 4*time.Second || d > 5*time.Second {
			t.Errorf("lost after %v, want 4 renewals of a second", d)
		}
		if !errors.Is(cause, ErrLeaseLost) {
			t.Errorf("cause: got %v", cause)
		}
		if got := b.completions(); got[0].Outcome != Stale || got[0].Verdict != VerdictFailed {
			t.Errorf("hook: got %+v", got)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, WithDrainTimeout(3*time.Second))
		Handle(b.w, "slow", func(ctx context.Context, in *Task[stock]) (stock, error) {
			select {
			case <-time.After(time.Duration(in.Input.Count) * time.Second):
				return in.Input, nil
			case <-ctx.Done():
				return stock{}, ctx.Err()
			}
		})
		b.parting = leasedTask("late", "slow", `{"count":1}`)
		b.run(t)
		b.hand(leasedTask("quick", "slow", `{"count":2}`), leasedTask("long", "slow", `{"count":60}`))
		synctest.Wait()
		b.stop()
		if err := <-b.done; err != nil {
			t.Error(err)
		}
		got := b.saidAll()
		for _, want := range []string{`quick complete {"count":2}`, "long progress 0", "late return"} {
			if !strings.Contains(strings.Join(got, "; "), want) {
				t.Errorf("reports: got %q, want %q", got, want)
			}
		}
		if h := b.hellos[len(b.hellos)-1]; len(h.Held) != 3 {
			t.Errorf("last hello: got %v", h)
		}
		if len(b.credit) != 1 {
			t.Errorf("credit: got %v, want none after the stop", b.credit)
		}
	})
}

func TestTaskThatComesAfterTheStopIsReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		Handle(b.w, "double", double)
		l := newLane(b.w, 1)
		l.add(b.w.handlers["double"], "")
		l.leave()
		l.begin(leasedTask("t1", "double", `{}`))
		l.begin(leasedTask("t2", "unknown", `{}`))
		msg := l.next()
		if len(msg.Reports) != 2 || said(msg.Reports[0]) != "t1 return" || msg.Credit != 0 {
			t.Errorf("got %v", msg)
		}
	})
}

func TestHandlerThatNeverReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		release := make(chan struct{})
		defer close(release)
		Handle(b.w, "stuck", func(context.Context, *Task[stock]) (stock, error) {
			<-release
			return stock{}, nil
		})
		b.run(t)
		b.hand(leasedTask("t1", "stuck", `{}`))
		synctest.Wait()
		began := time.Now()
		err := b.end()
		if err == nil || !strings.Contains(err.Error(), "1 tasks running") {
			t.Errorf("got %v", err)
		}
		if d := time.Since(began); d > defaultDrainTime+lastWords+3*closeTime {
			t.Errorf("the stop took %v", d)
		}
	})
}

func TestOwnConcurrencyHasAStreamOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, WithConcurrency(10))
		Handle(b.w, "double", double)
		Handle(b.w, "triple", double)
		Handle(b.w, "scarce", double, WithConcurrency(2))
		b.run(t)
		rooms := make(map[string]bool)
		for i, h := range b.hellos {
			rooms[fmt.Sprint(h.Queues, b.credit[i])] = true
		}
		if len(b.hellos) != 2 || len(rooms) != 2 {
			t.Errorf("got %v", rooms)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestRefusedWorkerStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t)
		b.node.work = func(context.Context, *connect.BidiStream[apiv1.WorkRequest, apiv1.WorkResponse]) error {
			return apiError(connect.CodeInvalidArgument, &apiv1.ErrorDetail{Code: "malformed", Field: "hello.queues", Definite: true})
		}
		Handle(b.w, "double", double)
		b.run(t)
		var e *Error
		if err := <-b.done; !errors.As(err, &e) || e.Field != "hello.queues" {
			t.Errorf("got %v", err)
		}
		b.stop()
		if err := b.w.Run(t.Context()); err == nil {
			t.Error("a second Run was taken")
		}
	})
}
