package sdktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pawlhq/pawl/cmd/pawl/server"
	pawl "github.com/pawlhq/pawl/sdk"
)

const (
	// patience bounds every wait for the cluster: many elections on a busy machine.
	patience = 30 * time.Second
	// look is how often a condition is looked at. It is more than the 2 ms for which a
	// node gives out the same view, so that each look sees what went before.
	look = 3 * time.Millisecond
	// portTries bounds how often free ports are looked for: another process may take
	// one between the search and its use.
	portTries = 3
)

// Cluster is a running cluster. It is made by Start.
type Cluster struct {
	// Client speaks with the cluster and follows its leader. Workers under test use it.
	Client *pawl.Client

	t      testing.TB
	dir    string // what nodes keep is below
	label  string // of the goroutines of the nodes, for pprof
	clock  clock
	log    *journal
	wire   *wire
	nodes  []*node
	losses losses
}

// node is one place of the cluster, whether its server runs or not.
type node struct {
	cfg server.Config

	mu  sync.Mutex
	run *run // nil while it is down
}

// run is one life of a node.
type run struct {
	cancel context.CancelFunc
	opened chan struct{} // closed when server or err is set
	ended  chan struct{} // closed when err is final
	server *server.Node
	err    error
}

// clock is the time of all nodes.
type clock struct{ ahead atomic.Int64 } // nanoseconds

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) skip(d time.Duration) { c.ahead.Add(int64(d)) }

// clusters numbers the clusters of this process.
var clusters atomic.Int64

// Start runs a cluster of 1, 3 or 5 nodes, counted from 0, and registers defs: JSON of
// task types and workflow definitions. It returns when the cluster takes commands.
//
// The cluster stops at the end of the test. The test fails when a node had to end by
// itself, when one leaves goroutines behind, and when a loss asked for by
// LoseNextCompletion did not come about; a failed test shows the last log lines of the
// nodes. Workers have to be stopped before that: those that Work runs are, others are
// the test's business.
func Start(t testing.TB, nodes int, defs ...string) *Cluster {
	t.Helper()
	if nodes != 1 && nodes != 3 && nodes != 5 {
		t.Fatalf("sdktest: %d nodes; want 1, 3 or 5", nodes)
	}
	// The folder first: what is registered later is cleaned up earlier, and nodes must
	// have stopped when it goes.
	c := &Cluster{t: t, dir: t.TempDir(), label: fmt.Sprintf("%s/%d", t.Name(), clusters.Add(1)), log: new(journal)}
	c.wire = newWire(&c.losses)
	c.losses.completions = c.completions
	t.Cleanup(c.stop)
	if err := c.found(nodes); err != nil {
		t.Fatalf("sdktest: start: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var addrs []string
	for i := range c.nodes {
		addrs = append(addrs, c.nodes[i].cfg.Listen)
	}
	var err error
	if c.Client, err = pawl.Dial(ctx, pawl.WithAddresses(addrs...), pawl.WithDialer(c.wire.dial), pawl.WithLogger(c.log.logger("client"))); err != nil {
		t.Fatalf("sdktest: %v", err)
	}
	for _, def := range defs {
		if err := c.Client.Apply(ctx, []byte(def)); err != nil {
			t.Fatalf("sdktest: %v%s", err, problems(err))
		}
	}
	c.Leader()
	return c
}

// problems lists what is wrong with a document.
func problems(err error) (list string) {
	var e *pawl.Error
	if errors.As(err, &e) {
		for _, p := range e.Problems {
			list += fmt.Sprintf("\n  %s: %s", p.Path, p.Message)
		}
	}
	return list
}

// found starts the nodes of a new cluster.
func (c *Cluster) found(nodes int) error {
	var err error
	for range portTries {
		if err = c.plan(nodes); err != nil {
			return err
		}
		if err = c.launchAll(); err == nil {
			return nil
		}
		c.halt()
		if !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return err
}

// launchAll starts all nodes together, as they wait for one another; so when one fails
// the others have to be stopped.
func (c *Cluster) launchAll() error {
	errs := make([]error, len(c.nodes))
	runs := make([]*run, len(c.nodes))
	for i, n := range c.nodes {
		runs[i] = c.launch(i)
		n.run = runs[i]
	}
	var all sync.WaitGroup
	for i, r := range runs {
		all.Go(func() {
			if errs[i] = r.await(); errs[i] == nil {
				return
			}
			for _, other := range runs {
				other.cancel()
			}
		})
	}
	all.Wait()
	for i, r := range runs {
		if errs[i] == nil {
			c.nodes[i].cfg.Listen = r.server.Addr()
		}
	}
	return errors.Join(errs...)
}

// plan gives each node its configuration.
func (c *Cluster) plan(nodes int) error {
	dir, err := os.MkdirTemp(c.dir, "cluster")
	if err != nil {
		return err
	}
	peers, err := freeAddrs(nodes)
	if err != nil {
		return err
	}
	c.nodes = nil
	for i := range nodes {
		cfg := server.Defaults()
		cfg.Listen, cfg.PeerListen = "127.0.0.1:0", peers[i]
		cfg.Expect, cfg.Join, cfg.Gossip, cfg.Profile = nodes, strings.Join(peers, ","), false, "fast"
		cfg.Data = filepath.Join(dir, fmt.Sprint("node", i))
		if err := cfg.Check(); err != nil {
			return err
		}
		c.nodes = append(c.nodes, &node{cfg: cfg})
	}
	return nil
}

// freeAddrs finds addresses that nobody listens on.
func freeAddrs(n int) (addrs []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("look for a free port: %w", err)
		}
		defer ln.Close() // together, so that they differ
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs, nil
}

// launch begins a life of node i. Its goroutines carry the cluster's label.
func (c *Cluster) launch(i int) *run {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{cancel: cancel, opened: make(chan struct{}), ended: make(chan struct{})}
	cfg := c.nodes[i].cfg
	opts := server.Options{
		Log: c.log.logger(fmt.Sprint("node ", i)), Now: c.clock.now, Version: "sdktest", Quick: true,
		Exit: func(code int, reason string) { c.t.Errorf("sdktest: node %d ends with code %d: %s", i, code, reason) },
		Kill: func() { c.t.Errorf("sdktest: node %d kills itself", i) },
	}
	pprof.Do(ctx, pprof.Labels("sdktest", c.label), func(ctx context.Context) {
		go func() {
			defer close(r.ended)
			r.server, r.err = server.Open(ctx, cfg, opts)
			close(r.opened)
			if r.err == nil {
				r.err = r.server.Run(ctx)
			}
		}()
	})
	return r
}

// await waits until the server is open.
func (r *run) await() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-r.opened:
	case <-timer.C:
		return errors.New("the node does not open")
	}
	if r.server == nil {
		<-r.ended
		return r.err
	}
	return nil
}

// end stops the server and gives the error of its run.
func (r *run) end() error {
	r.cancel()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-r.ended:
	case <-timer.C:
		return errors.New("the node does not stop")
	}
	if r.server == nil {
		return nil // it was not open yet
	}
	return r.err
}

// halt stops all nodes at once.
func (c *Cluster) halt() {
	var all sync.WaitGroup
	for i, n := range c.nodes {
		n.mu.Lock()
		r := n.run
		n.run = nil
		n.mu.Unlock()
		if r == nil {
			continue
		}
		all.Go(func() {
			if err := r.end(); err != nil {
				c.t.Errorf("sdktest: node %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// Work runs a worker until the end of the test, which fails when the worker does.
func (c *Cluster) Work(w *pawl.Worker) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("sdktest: %v", err)
		}
	})
}

// stop ends the cluster with its test.
func (c *Cluster) stop() {
	c.losses.check(c.t)
	if c.Client != nil {
		c.Client.Close()
	}
	c.halt()
	c.wire.cut("")
	if left := c.leaked(); left != "" {
		c.t.Errorf("sdktest: goroutines left behind:\n%s", left)
	}
	if c.t.Failed() {
		c.t.Logf("sdktest: last log lines:\n%s", c.log.text())
	}
}

// leaked gives the stacks of goroutines that nodes left behind.
func (c *Cluster) leaked() (left string) {
	await(func() bool {
		left = stacks(fmt.Sprintf("{%q:%q}", "sdktest", c.label))
		return left == ""
	})
	return left
}

// stacks gives the part of the goroutine profile that has the label.
func stacks(label string) string {
	var all, mine strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, "# labels: "+label) {
			mine.WriteString(stack + "\n\n")
		}
	}
	return mine.String()
}

// await looks at a condition until it holds, for as long as patience lasts.
func await(holds func() bool) bool {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
