package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlhq/pawl/examples/order"
	pawl "github.com/pawlhq/pawl/sdk"
)

// newDemoWorker is the worker process of a demo.
func newDemoWorker(g *globals) *cobra.Command {
	var path string
	var seed uint64
	c := &cobra.Command{
		Use: "worker", Short: "Work on the demo's orders and write a ledger", Hidden: true,
		Example: "  pawl demo worker --ledger FILE", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demoWorker(cmd.Context(), g, path, seed) },
	}
	c.Flags().StringVar(&path, "ledger", "", "file to append to")
	c.Flags().Uint64Var(&seed, "seed", 1, "seed of the faults")
	return c
}

func demoWorker(ctx context.Context, g *globals, path string, seed uint64) error {
	l, err := openLedger(path)
	if err != nil {
		return err
	}
	defer l.close()
	c, err := pawl.Dial(ctx, pawl.WithAddresses(strings.Split(g.address, ",")...))
	if err != nil {
		return err
	}
	defer c.Close()
	// A ledger that cannot be written proves nothing: the worker ends.
	must := func(n note) {
		if err := l.write(n); err != nil {
			fmt.Fprintln(os.Stderr, "ledger:", err)
			os.Exit(1)
		}
	}
	w := pawl.NewWorker(c, pawl.WithConcurrency(32), pawl.WithCompletionHook(func(done pawl.Completion) {
		n := note{Task: done.Task, Execution: done.Execution, Type: done.Type, Lease: done.Lease}
		switch {
		case done.Outcome != pawl.Acknowledged:
			n.Kind = noteStale
		case done.Verdict == pawl.VerdictCompleted:
			n.Kind = noteDone
		case done.Verdict == pawl.VerdictReturned:
			return
		default:
			n.Kind = noteFailed
		}
		must(n)
	}))
	o := order.Realistic(seed)
	o.Began = func(execution, task string, lease uint64) {
		must(note{Kind: noteRun, Task: task, Execution: execution, Lease: lease})
	}
	order.Handlers(w, o)
	return w.Run(ctx)
}

// superviseWorker keeps a worker process running until ctx ends, and kills it once in
// the middle of the run: a worker that dies is part of the demo. The channel gives one
// error, or nil.
func (d *demo) superviseWorker(ctx context.Context) <-chan error {
	out := make(chan error, 1)
	go func() {
		died := false
		for {
			err := d.runWorker(ctx, !died)
			if ctx.Err() != nil {
				out <- nil
				return
			}
			if died {
				out <- fmt.Errorf("the worker ended: %w", err)
				return
			}
			died = true
		}
	}()
	return out
}

// runWorker runs one worker process to its end; with dies it is killed when half of
// the executions are started.
func (d *demo) runWorker(ctx context.Context, dies bool) error {
	cmd := exec.Command(d.fleet.program, "demo", "worker", "--ledger", d.ledger, "--seed", fmt.Sprint(d.seed),
		"--address", strings.Join(d.fleet.addresses(), ","))
	cmd.Stderr = d.talk
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	half := make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	defer stop()
	if dies {
		go func() {
			if d.until(watching, func() bool { return len(d.started) > d.executions/2 }) == nil {
				close(half)
			}
		}()
	}
	select {
	case err := <-ended:
		return err
	case <-half:
		_ = cmd.Process.Kill() // an error says that it has ended
		return <-ended
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(stopWithin):
		_ = cmd.Process.Kill()
		return <-ended
	}
}
