package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pawlhq/pawl/examples/order"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

type demoFlags struct {
	executions, kills int
	keep              bool
	seed              uint64
	pace              time.Duration
	limit             time.Duration
}

func newDemo(g *globals) *cobra.Command {
	f := demoFlags{}
	c := &cobra.Command{
		Use: "demo", Short: "Run orders on three servers while their leaders are killed",
		Long: `Start three real server processes on loopback with data on disk, register the order
workflow, start a worker process and the executions, and kill the leader with SIGKILL
while they run, again and again. At the end every execution is read back from each node
and compared with what the worker wrote into its own ledger. Exit code 1 if anything was
lost or completed twice.`,
		Example: "  pawl demo\n  pawl demo --executions 1000 --kills 5 -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.executions < 1 || f.kills < 0 {
				return usagef("executions must be at least 1, kills at least 0")
			}
			return runDemo(cmd, g, f)
		},
	}
	c.Flags().IntVar(&f.executions, "executions", 200, "executions to start")
	c.Flags().IntVar(&f.kills, "kills", 2, "leaders to kill")
	c.Flags().BoolVar(&f.keep, "keep", false, "leave the cluster up and print its addresses")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the faults; 0 draws one")
	c.Flags().DurationVar(&f.pace, "pace", 40*time.Millisecond, "time between two starts")
	c.Flags().DurationVar(&f.limit, "limit", 5*time.Minute, "give up after this long")
	c.AddCommand(newDemoWorker(g))
	return c
}

// demo is one run.
type demo struct {
	demoFlags
	fleet  *fleet
	talk   io.Writer
	client *pawl.Client
	ledger string

	mu      sync.Mutex
	started []string
	acks    []int64 // of starts, Unix milliseconds
	ended   int
	killed  int
	last    int64 // when the last start was acknowledged
}

func runDemo(cmd *cobra.Command, g *globals, f demoFlags) error {
	if f.seed == 0 {
		f.seed = rand.Uint64()
	}
	dir, err := os.MkdirTemp("", "pawl-demo-")
	if err != nil {
		return err
	}
	d := &demo{demoFlags: f, talk: cmd.ErrOrStderr(), ledger: filepath.Join(dir, "worker.ledger")}
	if d.fleet, err = newFleet(dir, 3, "fast"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.limit)
	defer cancel()
	began := time.Now()
	v, err := d.run(ctx, cmd)
	if v != nil {
		v.Seconds = time.Since(began).Seconds()
	}
	if f.keep && err == nil {
		fmt.Fprintf(d.talk, "the cluster is up: PAWL_ADDR=%s, data and logs in %s\n", strings.Join(d.fleet.addresses(), ","), dir)
	} else {
		d.fleet.stop()
	}
	if err != nil {
		return fmt.Errorf("%w (logs are in %s)", err, dir)
	}
	if !f.keep && v.good() {
		_ = os.RemoveAll(dir) // a temporary folder that stays is no failure of the demo
	}
	return d.tell(cmd, g, v, dir)
}

func (d *demo) tell(cmd *cobra.Command, g *globals, v *verdict, dir string) error {
	if g.json() {
		if err := printJSON(cmd, v); err != nil {
			return err
		}
	} else {
		fmt.Fprint(cmd.OutOrStdout(), v.text())
	}
	for _, f := range v.Faults {
		fmt.Fprintln(d.talk, f)
	}
	if !v.good() {
		return fmt.Errorf("%d lost, %d completed twice; seed %d, data and logs in %s", v.Lost, v.CompletedTwice, d.seed, dir)
	}
	return nil
}

func (d *demo) run(ctx context.Context, cmd *cobra.Command) (*verdict, error) {
	fmt.Fprintf(d.talk, "starting three servers (seed %d)\n", d.seed)
	if err := d.fleet.start(ctx); err != nil {
		return nil, err
	}
	c, err := pawl.Dial(ctx, pawl.WithAddresses(d.fleet.addresses()...))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	d.client = c
	if err := order.Register(ctx, c); err != nil {
		return nil, fmt.Errorf("register the order workflow: %w", err)
	}
	workerCtx, stopWorker := context.WithCancel(ctx)
	worker := d.superviseWorker(workerCtx)
	err = d.load(ctx, cmd)
	stopWorker()
	if workerErr := <-worker; err == nil {
		err = workerErr
	}
	if err != nil {
		return nil, err
	}
	return d.judge(ctx)
}

// load starts the executions, kills leaders meanwhile, and waits for every end.
func (d *demo) load(ctx context.Context, cmd *cobra.Command) error {
	stop := d.progress(ctx, cmd)
	defer stop()
	killer := make(chan error, 1)
	go func() { killer <- d.killLeaders(ctx) }()
	var wg sync.WaitGroup
	errs := make(chan error, d.executions)
	pace := time.NewTicker(d.pace)
	defer pace.Stop()
	for i := range d.executions {
		select {
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d executions were started: %w", i, d.executions, ctx.Err())
		case <-pace.C:
		}
		wg.Go(func() { errs <- d.one(ctx, i) })
	}
	wg.Wait()
	close(errs)
	var failures []error
	for err := range errs {
		failures = append(failures, err)
	}
	return errors.Join(append(failures, <-killer)...)
}

// one carries one order: starts it, signals its fulfilment, waits for its end.
func (d *demo) one(ctx context.Context, i int) error {
	in := order.Sample(i)
	e, err := order.Workflow.Start(ctx, d.client, in, pawl.WithKey(fmt.Sprintf("order-%d", i)))
	if err != nil {
		return fmt.Errorf("start order %d: %w", i, err)
	}
	now := time.Now().UnixMilli()
	d.mu.Lock()
	d.started = append(d.started, e.ID)
	d.acks = append(d.acks, now)
	d.last = max(d.last, now)
	d.mu.Unlock()
	ending, cancel := context.WithCancel(ctx)
	defer cancel()
	if i%2 == 0 { // the others wait until their time is up
		go d.fulfil(ending, e)
	}
	_, err = e.Wait(ctx)
	var failed *pawl.ExecutionError
	if err != nil && !errors.As(err, &failed) {
		return fmt.Errorf("wait for order %d: %w", i, err)
	}
	d.mu.Lock()
	d.ended++
	d.mu.Unlock()
	return nil
}

// fulfil signals an order until it stands at its wait, or has ended.
func (d *demo) fulfil(ctx context.Context, e *pawl.Execution[order.Receipt]) {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := e.Signal(ctx, order.FulfilmentRef, order.Fulfilment{Parcel: "PX-" + e.ID[9:13]}); err == nil {
			return
		}
	}
}

// killLeaders kills the leader when a share of the executions has ended, restarts it,
// and goes on with the next.
func (d *demo) killLeaders(ctx context.Context) error {
	for k := range d.kills {
		want := (k + 1) * d.executions / (d.kills + 1)
		if err := d.until(ctx, func() bool { return len(d.started) >= want }); err != nil {
			return err
		}
		p, err := d.fleet.leader(ctx)
		if err != nil {
			return err
		}
		if !p.kill() {
			return fmt.Errorf("%s had ended before it was killed: %s", p.name, p.lastLog())
		}
		d.mu.Lock()
		d.killed++
		d.mu.Unlock()
		fmt.Fprintf(d.talk, "\nkilled the leader %s at %d of %d\n", p.name, want, d.executions)
		if err := d.until(ctx, d.acknowledgedAfter(time.Now())); err != nil {
			return err
		}
		if err := p.start(d.fleet.program); err != nil {
			return err
		}
		if err := p.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// acknowledgedAfter says whether the cluster goes on without the node that was killed.
func (d *demo) acknowledgedAfter(at time.Time) func() bool {
	return func() bool { return d.last > at.UnixMilli() || len(d.started) == d.executions }
}

// until waits for a condition on the run; it is asked with the lock held.
func (d *demo) until(ctx context.Context, cond func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		ok := cond()
		d.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// leader finds the process that leads, asking each node in turn.
func (f *fleet) leader(ctx context.Context) (*process, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, p := range f.nodes {
			if l := f.leaderSeenBy(ctx, p); l != nil {
				return l, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, errNoLeader
		case <-tick.C:
		}
	}
}

// askLimit bounds one question for the leader; a node that was killed answers at once.
const askLimit = time.Second

func (f *fleet) leaderSeenBy(ctx context.Context, p *process) *process {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	c, err := pawl.Dial(ctx, pawl.WithAddresses(p.client))
	if err != nil {
		return nil
	}
	defer c.Close()
	st, err := c.Cluster().Status(ctx, &apiv1.ClusterStatusRequest{})
	if err != nil {
		return nil
	}
	for _, m := range st.Members {
		if !m.Leader {
			continue
		}
		for _, q := range f.nodes {
			if q.client == m.ClientAddress {
				return q
			}
		}
	}
	return nil
}

// progress shows how far the run is: one line that is rewritten on a terminal, now and
// then a line elsewhere.
func (d *demo) progress(ctx context.Context, cmd *cobra.Command) (stop func()) {
	every, end := 200*time.Millisecond, "\r"
	if f, ok := cmd.ErrOrStderr().(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		every, end = 2*time.Second, "\n"
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-done:
				return
			case <-tick.C:
			}
			d.mu.Lock()
			line := fmt.Sprintf("%d started, %d ended, %d leaders killed", len(d.started), d.ended, d.killed)
			d.mu.Unlock()
			fmt.Fprintf(d.talk, "%-60s%s", line, end)
		}
	})
	return func() {
		close(done)
		wg.Wait()
		fmt.Fprintln(d.talk)
	}
}

// judge reads everything back and compares.
func (d *demo) judge(ctx context.Context) (*verdict, error) {
	v := &verdict{Started: len(d.started), LeaderKills: d.killed, Faults: []string{}}
	if v.Started < d.executions {
		v.Lost += d.executions - v.Started
		v.fault("%d executions were never acknowledged", d.executions-v.Started)
	}
	notes, err := readLedger(d.ledger)
	if err != nil {
		return nil, err
	}
	accepted := v.judgeLedger(notes)
	st, err := d.client.Cluster().Status(ctx, &apiv1.ClusterStatusRequest{})
	if err != nil {
		return nil, err
	}
	seen := ends{}
	for _, addr := range d.fleet.addresses() {
		v.judgeNode(ctx, addr, st.Position, d.started, accepted, seen)
	}
	v.count(seen)
	v.LongestGap = max(longestGap(d.acks, d.last), longestGap(acksOf(notes), d.last))
	return v, nil
}

func acksOf(notes []note) []int64 {
	var out []int64
	for _, n := range notes {
		if n.Kind == noteDone || n.Kind == noteFailed {
			out = append(out, n.At)
		}
	}
	return out
}
