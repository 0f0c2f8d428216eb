package order_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlhq/pawl/examples/order"
	pawl "github.com/pawlhq/pawl/sdk"
)

// seed gives the seed of a random test, PAWL_SEED when that is set.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if text := os.Getenv("PAWL_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("PAWL_SEED: %v", err)
		}
	}
	t.Logf("PAWL_SEED=%d", s)
	return s
}

// ledger keeps what workers were told.
type ledger struct {
	mu    sync.Mutex
	acked map[string]int // completions acknowledged, by task
	all   map[pawl.Outcome]int
}

func (l *ledger) note(c pawl.Completion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[c.Outcome]++
	if c.Outcome == pawl.Acknowledged && c.Verdict == pawl.VerdictCompleted {
		l.acked[c.Task]++
	}
}

// work runs a worker of the order example until the returned function is called.
func work(t *testing.T, c *pawl.Client, l *ledger, o order.Options) (stop func()) {
	t.Helper()
	w := pawl.NewWorker(c, pawl.WithCompletionHook(l.note))
	order.Handlers(w, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("worker: %v", err)
		}
	}
}

func newLedger() *ledger {
	return &ledger{acked: make(map[string]int), all: make(map[pawl.Outcome]int)}
}

func TestOrderRunsToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil).dial(t)
		if err := order.Register(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		stop := work(t, c, newLedger(), order.Options{})
		defer stop()
		began := time.Now()
		e, err := order.Workflow.Start(t.Context(), c, order.Sample(0), pawl.WithKey("order-0"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := e.Signal(t.Context(), order.FulfilmentRef, order.Fulfilment{Parcel: "P1"}); err != nil {
			t.Fatal(err)
		}
		got, err := e.Wait(t.Context())
		want := order.Receipt{ID: "order-0000", Errors: "none", Invoice: "INV-ORDER-0000", TotalCents: 891,
			Parcel: "P1", Message: "INV-ORDER-0000 is on its way as P1"}
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("took %v: the signal did not end the wait", d)
		}
		again, err := order.Workflow.Start(t.Context(), c, order.Sample(0), pawl.WithKey("order-0"), pawl.WithReturnExisting())
		if err != nil || !again.Existing || again.ID != e.ID {
			t.Errorf("second start: got %v, %v", again, err)
		}
	})
}

func TestBadOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil).dial(t)
		if err := order.Register(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		stop := work(t, c, newLedger(), order.Options{OutOfStock: 1})
		defer stop()
		e, err := order.Workflow.Start(t.Context(), c, order.Sample(3))
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Wait(t.Context())
		if err != nil || got.Errors != "out_of_stock" || got.Apology == "" || got.Invoice != "" {
			t.Errorf("out of stock: got %+v, %v", got, err)
		}
		if e, err = order.Workflow.Start(t.Context(), c, order.Order{ID: "empty"}); err != nil {
			t.Fatal(err)
		}
		_, err = e.Wait(t.Context())
		if failed, ok := err.(*pawl.ExecutionError); !ok || !strings.Contains(failed.Reason, "no items") || failed.Task == "" { //nolint:errorlint // returned as it is
			t.Errorf("no items: got %v", err)
		}
	})
}

func TestExecutionsAreSteered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		c := newCluster(t, nil).dial(t)
		if err := order.Register(ctx, c); err != nil {
			t.Fatal(err)
		}
		if err := order.Register(ctx, c); err != nil {
			t.Errorf("second registration: %v", err)
		}
		other := bytes.Replace(order.Definition, []byte("2 seconds"), []byte("3 seconds"), 1)
		if err := c.Apply(ctx, other); !errors.Is(err, pawl.ErrAlreadyExists) {
			t.Errorf("another document of the version: got %v", err)
		}
		var e *pawl.Error
		if err := c.Apply(ctx, []byte(`{"name":"x","tasks":[{}]}`)); !errors.As(err, &e) || len(e.Problems) == 0 {
			t.Errorf("a document with faults: got %v", err)
		}
		x, err := order.Workflow.Start(ctx, c, order.Sample(1), pawl.WithKey("k"), pawl.WithKeyFreeAtEnd(), pawl.WithTaskDomain("*", "eu"))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name string
			err  error
			want error
		}{
			{"pause", x.Pause(ctx), nil},
			{"pause again", x.Pause(ctx), nil},
			{"resume", x.Resume(ctx), nil},
			{"resume again", x.Resume(ctx), pawl.ErrConflict},
			{"signal", x.Signal(ctx, "", nil), pawl.ErrConflict},
			{"terminate", x.Terminate(ctx, "enough"), nil},
			{"terminate again", x.Terminate(ctx, "enough"), nil},
			{"signal a stranger", order.Workflow.Execution(c, "0000ffff"+x.ID[8:]).Signal(ctx, "", nil), pawl.ErrNotFound},
		} {
			if !errors.Is(step.err, step.want) || errors.Is(step.err, pawl.ErrUnknownOutcome) {
				t.Errorf("%s: got %v, want %v", step.name, step.err, step.want)
			}
		}
		_, err = x.Wait(ctx)
		var end *pawl.ExecutionError
		if !errors.As(err, &end) || end.Status != pawl.Terminated || !strings.Contains(end.Error(), "enough") {
			t.Errorf("wait: got %v", err)
		}
	})
}

func TestOrdersSurviveABadDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const orders = 100
		s := seed(t)
		dice := rand.New(rand.NewPCG(s, 1))
		cluster := newCluster(t, rand.New(rand.NewPCG(s, 2)))
		c := cluster.dial(t)
		if err := order.Register(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		l := newLedger()
		stops := []func(){work(t, c, l, order.Realistic(s)), work(t, cluster.dial(t), l, order.Realistic(s))}
		session, err := c.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var all []*pawl.Pending
		for i := range orders {
			input, err := json.Marshal(order.Sample(i))
			if err != nil {
				t.Fatal(err)
			}
			p, err := session.Start(t.Context(), "order", 0, input, pawl.WithKey(fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
			<-time.After(time.Duration(dice.IntN(40)) * time.Millisecond)
			if i%25 == 24 {
				cluster.cut()
			}
			if i == orders/2 { // a worker is replaced
				stops[0]()
				stops[0] = work(t, c, l, order.Realistic(s+1))
			}
		}
		check(t, cluster, all, l)
		if d := time.Since(began); d > time.Minute {
			t.Errorf("took %v of the bubble's time, want less than a minute", d)
		}
		if err := session.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for _, stop := range stops {
			stop()
		}
	})
}

// check says whether every order has come to one end, and every acknowledged
// completion is part of one.
func check(t *testing.T, cluster *cluster, all []*pawl.Pending, l *ledger) {
	t.Helper()
	ids := make(map[string]bool)
	for i, p := range all {
		end, err := p.Ended(t.Context())
		if err != nil || end.Status != pawl.Completed {
			t.Errorf("order %d: got %+v, %v", i, end, err)
		}
		ids[end.ID] = true
	}
	v, _ := cluster.Stale()
	for id := range ids {
		if id == "" {
			t.Error("an order without an execution")
		}
	}
	tasks := 0
	l.mu.Lock()
	defer l.mu.Unlock()
	for task, times := range l.acked {
		tasks++
		if times != 1 {
			t.Errorf("task %s: %d completions acknowledged", task, times)
		}
	}
	if len(ids) != len(all) || tasks < 2*len(all) {
		t.Errorf("got %d executions and %d completions for %d orders", len(ids), tasks, len(all))
	}
	t.Logf("index %d, reports %v", v.Index(), l.all)
}
