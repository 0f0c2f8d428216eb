package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	pawl "github.com/pawlhq/pawl/sdk"
)

type Order struct {
	ID   string `json:"id"`
	Card string `json:"card"`
}

type Receipt struct {
	Charge string `json:"charge"`
}

var Fulfil = pawl.Definition[Order, Receipt]{Name: "order_fulfilment"}

func chargeBank(context.Context, string, string, uint64) (string, error) { return "ch_1", nil }

func charge(ctx context.Context, t *pawl.Task[Order]) (Receipt, error) {
	if t.Input.Card == "" {
		return Receipt{}, pawl.Terminal(fmt.Errorf("order %s has no card", t.Input.ID))
	}
	// The bank refuses a lease that is smaller than one it has seen for the task.
	id, err := chargeBank(ctx, t.Input.Card, t.ID, t.Lease)
	return Receipt{Charge: id}, err
}

func ExampleDial() {
	c, err := pawl.Dial(context.Background(), pawl.WithAddresses("a.example:8080", "b.example:8080"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
}

func ExampleClient_Apply() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx) // at PAWL_ADDR
	if err != nil {
		log.Fatal(err)
	}
	source, err := os.ReadFile("order_fulfilment.json")
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Apply(ctx, source); errors.Is(err, pawl.ErrAlreadyExists) {
		log.Fatal("that version has another content: give the new one a new version")
	}
}

func ExampleDefinition_Start() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	e, err := Fulfil.Start(ctx, c, Order{ID: "1", Card: "4242"}, pawl.WithKey("order-1"), pawl.WithReturnExisting())
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := e.Wait(ctx)
	var failed *pawl.ExecutionError
	switch {
	case errors.As(err, &failed):
		fmt.Println("not charged:", failed.Reason)
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println("charged:", receipt.Charge)
	}
}

func ExampleDefinition_Execution() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	e := Fulfil.Execution(c, "0190f3c4-7a00-7000-8000-000000000000")
	if err := e.Signal(ctx, "approval", map[string]bool{"approved": true}); errors.Is(err, pawl.ErrConflict) {
		fmt.Println("nobody waits for an approval")
	}
}

func ExampleHandle() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	w := pawl.NewWorker(c)
	pawl.Handle(w, "charge_card", charge, pawl.WithConcurrency(8))
	if err := w.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

func ExampleSnooze() {
	var w *pawl.Worker // made by NewWorker
	pawl.Handle(w, "await_parcel", func(ctx context.Context, t *pawl.Task[Order]) (Receipt, error) {
		if time.Now().Hour() < 8 { // the warehouse is closed
			return Receipt{}, pawl.Snooze(10 * time.Minute)
		}
		return Receipt{}, nil
	})
}

func ExampleWithCompletionHook() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	pawl.NewWorker(c, pawl.WithCompletionHook(func(done pawl.Completion) {
		if done.Outcome == pawl.Stale {
			log.Printf("task %s: lease %d came too late", done.Task, done.Lease)
		}
	}))
}

func ExampleClient_Session() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	s, err := c.Session(ctx)
	if err != nil {
		log.Fatal(err)
	}
	var all []*pawl.Pending
	for i := range 1000 {
		p, err := s.Start(ctx, "order_fulfilment", 0, fmt.Appendf(nil, `{"id":"%d"}`, i))
		if err != nil {
			log.Fatal(err)
		}
		all = append(all, p)
	}
	for _, p := range all {
		end, err := p.Ended(ctx)
		fmt.Println(end.ID, end.Status, err)
	}
	if err := s.Close(ctx); err != nil {
		log.Fatal(err)
	}
}

func ExampleExecution_Rerun() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	e := Fulfil.Execution(c, "0190f3c4-7a00-7000-8000-000000000000")
	task := "0190f3c4-7a00-7000-8000-000000000001"
	err = e.Rerun(ctx, pawl.FromTask(task), pawl.WithTaskInput(Order{ID: "1", Card: "4242"}))
	if errors.Is(err, pawl.ErrConflict) {
		log.Fatal("it has not ended: terminate it first")
	}
}

func ExampleClient_Search() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	failed := pawl.Search{Query: "status = FAILED AND workflowType = order_fulfilment", Sort: "endTime:DESC", Limit: 1000}
	var ids []string
	for x, err := range c.Search(ctx, failed) {
		if err != nil {
			log.Fatal(err)
		}
		ids = append(ids, x.Id)
	}
	results, err := c.Bulk(ctx, pawl.RetryVerb, ids, pawl.WithResumedChildren())
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			fmt.Println(r.ID, r.Err)
		}
	}
}

func ExampleExecution_Watch() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	e := Fulfil.Execution(c, "0190f3c4-7a00-7000-8000-000000000000")
	for change, err := range e.Watch(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if change.Task != "" {
			fmt.Println(change.Ref, change.TaskStatus)
		}
	}
}

func ExampleExecution_WaitFor() {
	ctx := context.Background()
	c, err := pawl.Dial(ctx)
	if err != nil {
		log.Fatal(err)
	}
	e, err := Fulfil.Start(ctx, c, Order{ID: "1"})
	if err != nil {
		log.Fatal(err)
	}
	task, err := e.WaitFor(ctx, "charge", "refuse")
	if err != nil {
		log.Fatal(err)
	}
	if task != nil {
		fmt.Println(task.Ref, string(task.Output))
	}
}
