package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	pawl "github.com/pawlhq/pawl/sdk"
)

type benchFlags struct {
	seconds, kills, waiting int
	profile, profiles       string
}

func newBench(g *globals) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Measure three fsyncing nodes on this machine",
		Long: `Start three real server processes with data on disk, a worker process that connects
over the wire, and a driver, and measure. The figures depend on the machine and on what
else it does: compare within one run, on a quiet machine.`,
		Example: "  pawl bench\n  pawl bench --seconds 30 -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBench(cmd, g, f) },
	}
	c.Flags().IntVar(&f.seconds, "seconds", 10, "how long each load lasts")
	c.Flags().IntVar(&f.kills, "kills", 10, "leaders to kill for the gap; 0 leaves it out")
	c.Flags().IntVar(&f.waiting, "waiting", 100_000, "waiting executions to measure memory with; 0 leaves it out")
	c.Flags().StringVar(&f.profile, "profile", "fast", "lan, fast or wan")
	c.Flags().StringVar(&f.profiles, "profiles", "", "folder to write processor profiles of each node into")
	c.AddCommand(newBenchWorker(g))
	return c
}

// figures is what a benchmark found.
type figures struct {
	Loads []load `json:"loads"`
	// GapP50 and GapMax are from the SIGKILL of a leader to the first acknowledgement
	// of a start that was asked for after it.
	Kills  int     `json:"kills"`
	GapP50 float64 `json:"gap_p50_ms"`
	GapMax float64 `json:"gap_max_ms"`
	// BytesPerWaiting is resident memory of one node for each execution that waits.
	BytesPerWaiting int64 `json:"bytes_per_waiting_execution"`
	BinaryBytes     int64 `json:"binary_bytes"`
}

// load is one closed loop of three-step executions.
type load struct {
	InFlight    int     `json:"in_flight"`
	Executions  int     `json:"executions"`
	StepsPerSec float64 `json:"steps_per_second"`
	Millis      struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"execution_ms"`
	// NodesCPU is of all three nodes, OthersCPU of worker and driver.
	NodesCPU  float64 `json:"nodes_cpu_s_per_1000_steps"`
	OthersCPU float64 `json:"worker_and_driver_cpu_s_per_1000_steps"`
	// Flushes are disk cache flushes of the whole machine per execution, -1 when the
	// kernel does not tell.
	Flushes float64 `json:"flushes_per_execution"`
}

const (
	benchDefinition = `{"name":"bench","version":1,"schemaVersion":2,"tasks":[
 {"name":"bench_1","taskReferenceName":"t1","type":"SIMPLE","inputParameters":{"p":"${workflow.input.p}"}},
 {"name":"bench_2","taskReferenceName":"t2","type":"SIMPLE","inputParameters":{"p":"${t1.output.p}"}},
 {"name":"bench_3","taskReferenceName":"t3","type":"SIMPLE","inputParameters":{"p":"${t2.output.p}"}}]}`
	benchNoop = `{"name":"bench_noop","version":1,"schemaVersion":2,"tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`
	benchWait = `{"name":"bench_wait","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT"}]}`
	// benchPayload is the size of each input and output.
	benchPayload = 256
)

func benchInput() []byte {
	return []byte(`{"p":"` + strings.Repeat("x", benchPayload-len(`{"p":""}`)) + `"}`)
}

// bench is one run.
type bench struct {
	benchFlags
	fleet  *fleet
	talk   io.Writer
	client *pawl.Client
	worker *exec.Cmd
}

func runBench(cmd *cobra.Command, g *globals, f benchFlags) error {
	dir, err := os.MkdirTemp("", "pawl-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{benchFlags: f, talk: cmd.ErrOrStderr()}
	if b.fleet, err = newFleet(dir, 3, f.profile); err != nil {
		return err
	}
	defer b.fleet.stop()
	out, err := b.run(cmd.Context())
	if err != nil {
		return err
	}
	if g.json() {
		return printJSON(cmd, out)
	}
	fmt.Fprint(cmd.OutOrStdout(), out.text())
	return nil
}

func (b *bench) run(ctx context.Context) (*figures, error) {
	if err := b.fleet.start(ctx); err != nil {
		return nil, err
	}
	c, err := pawl.Dial(ctx, pawl.WithAddresses(b.fleet.addresses()...))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	b.client = c
	for _, source := range []string{benchDefinition, benchNoop, benchWait} {
		if err := c.Apply(ctx, []byte(source)); err != nil {
			return nil, err
		}
	}
	out := &figures{}
	if info, err := os.Stat(b.fleet.program); err == nil {
		out.BinaryBytes = info.Size()
	}
	if err := b.startWorker(); err != nil {
		return nil, err
	}
	defer b.stopWorker()
	for _, inFlight := range []int{1, 64, 512} {
		fmt.Fprintf(b.talk, "%d in flight for %d s\n", inFlight, b.seconds)
		l, err := b.load(ctx, inFlight)
		if err != nil {
			return nil, err
		}
		out.Loads = append(out.Loads, l)
	}
	if err := b.memory(ctx, out); err != nil {
		return nil, err
	}
	return out, b.gaps(ctx, out)
}

// warmUp is how long a load runs before it is measured.
const warmUp = 2 * time.Second

// load keeps a number of executions in flight and measures while it lasts.
func (b *bench) load(ctx context.Context, inFlight int) (load, error) {
	s, err := b.client.Session(ctx)
	if err != nil {
		return load{}, err
	}
	var measuring atomic.Bool
	var mu sync.Mutex
	var took []time.Duration
	ending, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	errs := make(chan error, inFlight)
	for range inFlight {
		wg.Go(func() {
			for ending.Err() == nil {
				began := time.Now()
				if err := one(ctx, s, "bench"); err != nil {
					errs <- err
					return
				}
				if measuring.Load() {
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			}
		})
	}
	wait(ctx, warmUp)
	before, began := b.meter(), time.Now()
	measuring.Store(true)
	profiled := b.profileNodes(ctx, inFlight)
	wait(ctx, time.Duration(b.seconds)*time.Second)
	measuring.Store(false)
	after, elapsed := b.meter(), time.Since(began)
	stop()
	wg.Wait()
	if err := <-profiled; err != nil {
		return load{}, err
	}
	if err := s.Close(ctx); err != nil {
		return load{}, err
	}
	select {
	case err := <-errs:
		return load{}, err
	default:
	}
	return summary(inFlight, took, elapsed, before, after), nil
}

// one carries one execution from start to end.
func one(ctx context.Context, s *pawl.Session, name string) error {
	p, err := s.Start(ctx, name, 0, benchInput())
	if err != nil {
		return err
	}
	end, err := p.Ended(ctx)
	if err != nil {
		return err
	}
	if end.Status != pawl.Completed {
		return fmt.Errorf("execution %s is %s: %s", end.ID, end.Status, end.Reason)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// profileNodes takes a processor profile of each node while a load lasts.
func (b *bench) profileNodes(ctx context.Context, inFlight int) <-chan error {
	out := make(chan error, 1)
	if b.profiles == "" {
		out <- nil
		return out
	}
	var wg sync.WaitGroup
	errs := make([]error, len(b.fleet.nodes))
	for i, p := range b.fleet.nodes {
		wg.Go(func() {
			name := filepath.Join(b.profiles, fmt.Sprintf("%s-%d.pprof", p.name, inFlight))
			errs[i] = fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.debug, b.seconds), name)
		})
	}
	go func() {
		wg.Wait()
		out <- errors.Join(errs...)
	}()
	return out
}

func fetch(ctx context.Context, url, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o600)
}

func summary(inFlight int, took []time.Duration, elapsed time.Duration, before, after meter) load {
	slices.Sort(took)
	steps := float64(3 * len(took))
	l := load{InFlight: inFlight, Executions: len(took), StepsPerSec: steps / elapsed.Seconds()}
	l.Millis.P50, l.Millis.P99 = quantile(took, 0.5), quantile(took, 0.99)
	l.NodesCPU = 1000 * (after.nodes - before.nodes).Seconds() / steps
	l.OthersCPU = 1000 * (after.others - before.others).Seconds() / steps
	l.Flushes = -1
	if before.flushes >= 0 && len(took) > 0 {
		l.Flushes = float64(after.flushes-before.flushes) / float64(len(took))
	}
	return l
}

// quantile is in milliseconds; 0 for no samples.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i].Microseconds()) / 1000
}

// memory measures what a waiting execution costs a node.
func (b *bench) memory(ctx context.Context, out *figures) error {
	if b.waiting == 0 {
		return nil
	}
	fmt.Fprintf(b.talk, "%d waiting executions\n", b.waiting)
	before := b.resident()
	s, err := b.client.Session(ctx)
	if err != nil {
		return err
	}
	var pending []*pawl.Pending
	for range b.waiting {
		p, err := s.Start(ctx, "bench_wait", 0, benchInput())
		if err != nil {
			return err
		}
		pending = append(pending, p)
		if len(pending) == 4000 { // a session has room for so many
			if err := started(ctx, pending); err != nil {
				return err
			}
			pending = pending[:0]
			closing, cancel := context.WithCancel(ctx)
			cancel() // they do not end
			_ = s.Close(closing)
			if s, err = b.client.Session(ctx); err != nil {
				return err
			}
		}
	}
	if err := started(ctx, pending); err != nil {
		return err
	}
	closing, cancel := context.WithCancel(ctx)
	cancel()
	_ = s.Close(closing) // what is pending does not end
	out.BytesPerWaiting = (b.resident() - before) / int64(b.waiting)
	return nil
}

func started(ctx context.Context, pending []*pawl.Pending) error {
	for _, p := range pending {
		if _, err := p.Started(ctx); err != nil {
			return err
		}
	}
	return nil
}

// betweenKills is how long the cluster is whole before the next leader is killed.
const betweenKills = time.Second

// gapWriters is the number of clients that start executions while leaders are killed.
const gapWriters = 8

// gaps kills leaders under load and measures how long nothing is acknowledged.
func (b *bench) gaps(ctx context.Context, out *figures) error {
	if b.kills == 0 {
		return nil
	}
	fmt.Fprintf(b.talk, "killing %d leaders\n", b.kills)
	writing, stop := context.WithCancel(ctx)
	defer stop()
	acks := make(chan ack, 1024)
	var wg sync.WaitGroup
	for range gapWriters {
		wg.Go(func() { b.write(writing, acks) })
	}
	var gaps []time.Duration
	var err error
	for k := 0; k < b.kills && err == nil; k++ {
		var gap time.Duration
		if gap, err = b.gap(ctx, acks); err == nil {
			gaps = append(gaps, gap)
			fmt.Fprintf(b.talk, "  %d ms\n", gap.Milliseconds())
		}
	}
	stop()
	for {
		select {
		case <-acks:
			continue
		case <-allDone(&wg):
		}
		break
	}
	slices.Sort(gaps)
	out.Kills, out.GapP50, out.GapMax = len(gaps), quantile(gaps, 0.5), quantile(gaps, 1)
	return err
}

func allDone(wg *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	return done
}

// ack is one acknowledged start.
type ack struct{ asked, told time.Time }

func (b *bench) write(ctx context.Context, acks chan<- ack) {
	for ctx.Err() == nil {
		asked := time.Now()
		_, err := pawl.Definition[json.RawMessage, json.RawMessage]{Name: "bench_noop"}.Start(ctx, b.client, json.RawMessage("{}"))
		if err != nil {
			continue
		}
		select {
		case acks <- ack{asked: asked, told: time.Now()}:
		case <-ctx.Done():
		}
	}
}

func (b *bench) gap(ctx context.Context, acks <-chan ack) (time.Duration, error) {
	p, err := b.fleet.leader(ctx)
	if err != nil {
		return 0, err
	}
	killed := time.Now()
	p.kill()
	var gap time.Duration
	for gap == 0 {
		select {
		case a := <-acks:
			if a.asked.After(killed) {
				gap = a.told.Sub(killed)
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if err := p.start(b.fleet.program); err != nil {
		return 0, err
	}
	ready := make(chan error, 1)
	go func() {
		err := p.ready(ctx)
		wait(ctx, betweenKills)
		ready <- err
	}()
	for {
		select {
		case <-acks:
		case err := <-ready:
			return gap, err
		}
	}
}

func (b *bench) startWorker() error {
	b.worker = exec.Command(b.fleet.program, "bench", "worker", "--address", strings.Join(b.fleet.addresses(), ","))
	b.worker.Stderr = b.talk
	b.worker.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return b.worker.Start()
}

func (b *bench) stopWorker() {
	_ = b.worker.Process.Kill() // an error says that it has ended
	_ = b.worker.Wait()
}

func newBenchWorker(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "worker", Short: "Answer the benchmark's tasks", Hidden: true, Example: "  pawl bench worker", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := pawl.Dial(cmd.Context(), pawl.WithAddresses(strings.Split(g.address, ",")...))
			if err != nil {
				return err
			}
			defer c.Close()
			w := pawl.NewWorker(c, pawl.WithConcurrency(1024))
			answer := json.RawMessage(benchInput())
			for _, name := range []string{"bench_1", "bench_2", "bench_3"} {
				pawl.Handle(w, name, func(context.Context, *pawl.Task[json.RawMessage]) (json.RawMessage, error) { return answer, nil })
			}
			return w.Run(cmd.Context())
		},
	}
}

func (f *figures) text() string {
	var b strings.Builder
	t := newTable(&b, "IN FLIGHT", "STEPS/S", "P50 MS", "P99 MS", "NODES CPU S/1K", "OTHERS CPU S/1K", "FLUSHES/EXECUTION")
	for _, l := range f.Loads {
		t.row(fmt.Sprint(l.InFlight), fmt.Sprintf("%.0f", l.StepsPerSec), fmt.Sprintf("%.2f", l.Millis.P50), fmt.Sprintf("%.2f", l.Millis.P99),
			fmt.Sprintf("%.3f", l.NodesCPU), fmt.Sprintf("%.3f", l.OthersCPU), fmt.Sprintf("%.2f", l.Flushes))
	}
	_ = t.flush() // into memory
	fmt.Fprintf(&b, "\n%d leaders killed: gap p50 %.0f ms, max %.0f ms\n", f.Kills, f.GapP50, f.GapMax)
	fmt.Fprintf(&b, "memory per waiting execution %d bytes, binary %.1f MB\n", f.BytesPerWaiting, float64(f.BinaryBytes)/1e6)
	return b.String()
}
