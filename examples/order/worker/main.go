// Command worker runs the tasks of the order example against the cluster that
// PAWL_ADDR names, until it is interrupted.
//
//	go run ./examples/order/worker
//	pawl execution start order -i '{"id":"a1","country":"DE","phone":"+1555","items":[{"sku":"x","quantity":2,"priceCents":500}]}' --wait
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/pawlhq/pawl/examples/order"
	pawl "github.com/pawlhq/pawl/sdk"
)

func main() {
	seed := flag.Uint64("seed", 1, "seed of the failures")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, order.Realistic(*seed)); err != nil {
		log.Error("worker stopped", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, o order.Options) error {
	c, err := pawl.Dial(ctx, pawl.WithLogger(log))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := order.Register(ctx, c); err != nil {
		return err
	}
	w := pawl.NewWorker(c)
	order.Handlers(w, o)
	log.Info("worker runs")
	return w.Run(ctx)
}
