package order

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	pawl "github.com/pawlhq/pawl/sdk"
)

// Options says how the services behind the handlers behave. The zero value never
// fails and takes no time.
type Options struct {
	// Seed makes the failures repeatable: they depend on it, the execution, the step
	// and the attempt, and not on which worker comes first.
	Seed uint64
	// Latency is how long a service takes on average.
	Latency time.Duration
	// Shares from 0 to 1: of orders that are out of stock, and of attempts at which the
	// gateway refuses for its rate limit, the database times out, or the worker dies
	// without a word.
	OutOfStock      float64
	RateLimited     float64
	DatabaseTimeout float64
	Abandoned       float64
	// SlowQuery is how long the database takes before it times out.
	SlowQuery time.Duration
	// Began, when it is set, is told of every attempt that begins. Many goroutines may
	// call it at once.
	Began func(execution, task string, lease uint64)
	// SMSConcurrency bounds the calls to the gateway at once; at least 1.
	SMSConcurrency int
}

// Realistic gives options for services as they are on a bad day.
func Realistic(seed uint64) Options {
	return Options{
		Seed: seed, Latency: 15 * time.Millisecond,
		OutOfStock: 0.1, RateLimited: 0.2, DatabaseTimeout: 0.05, Abandoned: 0.02,
		SlowQuery: 400 * time.Millisecond, SMSConcurrency: 16,
	}
}

var (
	errRateLimited = errors.New("gateway: 429 too many requests")
	errSlowQuery   = errors.New("database: statement timed out")
)

// services are the fakes behind the handlers.
type services struct{ o Options }

// attempt tells that an attempt at a task begins, and names it.
func attempt[In any](s *services, t *pawl.Task[In]) string {
	if s.o.Began != nil {
		s.o.Began(t.Execution, t.ID, t.Lease)
	}
	return fmt.Sprintf("%s/%s/%d", t.Execution, t.Ref, t.Attempt)
}

// dice gives the random numbers of one event.
func (s *services) dice(event string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(event)) // never fails
	return rand.New(rand.NewPCG(s.o.Seed, h.Sum64()))
}

func (s *services) outOfStock(id string) bool {
	return s.dice("stock/"+id).Float64() < s.o.OutOfStock
}

// work takes the time that a service takes, unless the worker dies.
func (s *services) work(ctx context.Context, event string) error {
	d := s.dice("work/" + event)
	if d.Float64() < s.o.Abandoned {
		return pawl.ErrAbandon
	}
	return pause(ctx, time.Duration(d.ExpFloat64()*float64(s.o.Latency)))
}

func (s *services) database(ctx context.Context, event string) error {
	if s.dice("database/"+event).Float64() < s.o.DatabaseTimeout {
		if err := pause(ctx, s.o.SlowQuery); err != nil {
			return err
		}
		return errSlowQuery
	}
	return s.work(ctx, event)
}

func (s *services) gateway(ctx context.Context, event string) error {
	if s.dice("gateway/"+event).Float64() < s.o.RateLimited {
		return errRateLimited
	}
	return s.work(ctx, event)
}

// pause waits, or gives the error of ctx when the worker stops or has lost the lease.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Sample gives the nth order of a made-up day.
func Sample(n int) Order {
	countries := []string{"DE", "FR", "LU", "CH", "US"}
	return Order{
		ID:      fmt.Sprintf("order-%04d", n),
		Country: countries[n%len(countries)],
		Phone:   fmt.Sprintf("+1555%07d", n),
		Items: []Item{
			{SKU: fmt.Sprintf("sku-%02d", n%17), Quantity: 1 + n%3, PriceCents: 499 + 10*n%2000},
			{SKU: "gift-wrap", Quantity: 1, PriceCents: 250},
		},
	}
}
