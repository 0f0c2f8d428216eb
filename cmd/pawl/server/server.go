// Package server builds one node out of its parts and runs it. It is the only place
// that knows all of them; it decides nothing.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/pawlhq/pawl/builtin"
	"github.com/pawlhq/pawl/cluster"
	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/scheduler"
	"github.com/pawlhq/pawl/transport"
)

// Options are the surroundings of a node. Log is required; the others have defaults
// that are right in production.
type Options struct {
	Log *slog.Logger
	// FS is the data folder of a node without Config.Data; a new memory when nil.
	FS disk.FS
	// Now is the clock of cluster time.
	Now func() time.Time
	// Exit ends the process, and Kill does so without asking any of its threads.
	Exit func(code int, reason string)
	Kill func()
	// Version is that of the program.
	Version string
	// Quick makes log files small, for nodes that live in memory or in a test.
	Quick bool
	// Evaluator starts a child that evaluates scripts: a program that calls
	// builtin.ServeChild, and its arguments. This program with builtin.ChildArgument
	// when empty.
	Evaluator []string
}

// quickSegment is the size of a log file of a quick node: small enough to open at once.
const quickSegment = 4 << 20

// Node is one running node.
type Node struct {
	log    *slog.Logger
	parts  *cluster.Parts
	sched  *scheduler.Scheduler
	pool   *builtin.Pool
	jobs   *builtin.Workers
	api    *transport.Server
	ln     net.Listener
	finder *finder
	killed chan struct{} // closed by Kill
	once   sync.Once     // of Kill
	debug  string        // where profiles are served, empty for nowhere
}

// The proof that the parts fit.
var (
	_ cluster.Leader          = (*scheduler.Scheduler)(nil)
	_ cluster.Stamper         = (*scheduler.Scheduler)(nil)
	_ cluster.SlotHost        = (*scheduler.Scheduler)(nil)
	_ scheduler.Proposer      = (*cluster.Proposer)(nil)
	_ scheduler.Deliverer     = (*cluster.Slots)(nil)
	_ scheduler.Registrar     = (*cluster.Slots)(nil)
	_ scheduler.Clock         = (*cluster.Clock)(nil)
	_ scheduler.Events        = (*cluster.Cursor)(nil)
	_ transport.Proposer      = (*cluster.Proposer)(nil)
	_ transport.AsyncProposer = (*cluster.Proposer)(nil)
	_ transport.Views         = (*cluster.Reads)(nil)
	_ transport.Parking       = (*scheduler.Scheduler)(nil)
	_ transport.Scripts       = (*builtin.Pool)(nil)
	_ transport.Events        = (*cluster.Cursor)(nil)
	_ builtin.Parking         = (*scheduler.Scheduler)(nil)
	_ builtin.Proposer        = (*cluster.Proposer)(nil)
	_ builtin.Views           = (*cluster.Reads)(nil)
)

// Open builds a node from its configuration and what its folder holds. It returns when
// the node belongs to a cluster; a node that founds one waits for the others it
// expects, until ctx ends. An error with a method ExitCode says how the process is to end.
func Open(ctx context.Context, cfg Config, opts Options) (*Node, error) {
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	n, err := open(ctx, cfg, opts, ln)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return n, nil
}

func open(ctx context.Context, cfg Config, opts Options, ln net.Listener) (*Node, error) {
	n := &Node{killed: make(chan struct{}), log: opts.Log, ln: ln, debug: cfg.DebugListen}
	finder := &finder{log: opts.Log, cfg: cfg}
	var err error
	n.parts, err = cluster.Open(ctx, clusterConfig(cfg, opts, ln), cluster.Deps{
		Log: opts.Log, Now: opts.Now, Exit: opts.Exit, Kill: opts.Kill, Version: opts.Version,
		Connected: finder.connected, Suggest: finder.suggest,
	})
	if err != nil {
		finder.stop()
		return nil, err
	}
	if err := checkNeighbours(ctx, n.parts.Net, n.parts.Cluster, cfg.Seeds()); err != nil {
		finder.stop()
		return nil, errors.Join(err, cluster.Close(ctx, n.parts))
	}
	n.sched, err = scheduler.New(scheduler.Config{
		Node: n.parts.Node, Boot: n.parts.Boot, Proposer: n.parts.Proposer, Deliverer: n.parts.Slots,
		Registrar: n.parts.Slots, Clock: n.parts.Clock, View: n.parts.Replica.View, Log: opts.Log,
		Open: func(index uint64) (scheduler.Events, error) { return n.parts.Journal.From(index + 1) },
	})
	if err != nil {
		finder.stop()
		return nil, errors.Join(err, cluster.Close(ctx, n.parts))
	}
	if n.pool, err = builtin.NewPool(builtin.PoolConfig{Command: opts.Evaluator, Log: opts.Log}); err != nil {
		finder.stop()
		return nil, errors.Join(err, cluster.Close(ctx, n.parts))
	}
	n.jobs = builtin.NewWorkers("$builtin@"+n.parts.Node.String(), n.pool, n.sched, n.parts.Proposer, n.parts.Reads, opts.Log)
	n.finder = finder
	n.api = transport.New(transport.Deps{
		Proposer: n.parts.Proposer, Views: n.parts.Reads, Parking: n.sched, Cluster: (*members)(n.parts),
		Scripts: n.pool, Log: opts.Log,
		Events:   func() (transport.Events, error) { return n.parts.Journal.Now(), nil },
		Evaluate: n.pool.Answer,
		Checks:   []transport.Check{{Name: "cluster", Run: func(context.Context) error { return cluster.Ready(n.parts) }}},
	})
	return n, nil
}

func clusterConfig(cfg Config, opts Options, ln net.Listener) cluster.Config {
	c := cluster.Config{
		Dir: cfg.Data, FS: opts.FS, Profile: cluster.Profile(cfg.Profile), Expect: cfg.Expect, Join: cfg.Seeds(),
		PeerListen: cfg.PeerListen,
		ClientAddr: func() string { return advertised(cfg.Advertise, ln.Addr().String()) },
	}
	if cfg.PeerAdvertise != "" {
		c.PeerAddr = func() string { return cfg.PeerAdvertise }
	}
	if cfg.Data == "" && c.FS == nil {
		c.FS = disk.Mem()
	}
	if opts.Quick {
		c.WALSegment = quickSegment
	}
	return c
}

func advertised(configured, listening string) string {
	if configured != "" {
		return configured
	}
	return listening
}

// Addr is where clients connect.
func (n *Node) Addr() string { return n.ln.Addr().String() }

// ID is the node's.
func (n *Node) ID() fsm.NodeID { return n.parts.Node }

// Leads reports whether the node leads and its term is open.
func (n *Node) Leads() bool {
	_, open := n.parts.Leadership.Current()
	return open
}

// View is the newest state that the node has.
func (n *Node) View() fsm.View { return n.parts.Replica.View() }

// Nudge makes the node look at its clock now; a clock that is skipped calls it.
func (n *Node) Nudge() { n.sched.Nudge() }

// Kill makes Run end as a killed process does, for tests: the node vanishes from its
// peers and hands nothing over. What it has stored stays. It may be called more than once.
func (n *Node) Kill() { n.once.Do(func() { close(n.killed) }) }

// stopWithin bounds a stop; what is left then is not needed for safety.
const stopWithin = 20 * time.Second

// Run serves until ctx ends. Then it sends clients elsewhere, hands leadership over,
// answers what waits and closes the stores. It gives nil after a stop that was asked for.
func (n *Node) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	failed := make(chan error, 2)
	var running sync.WaitGroup
	running.Go(func() {
		failed <- cluster.Run(inner, n.parts, cluster.Host{
			Leader: n.sched, Stamper: n.sched, SlotHost: n.sched, Deliver: n.sched.Deliver})
	})
	running.Go(func() {
		if err := n.sched.Run(inner); err != nil && !errors.Is(err, context.Canceled) {
			failed <- fmt.Errorf("scheduler: %w", err)
		}
	})
	if n.debug != "" {
		running.Go(func() {
			if err := serveDebug(inner, n.debug); err != nil {
				n.log.Warn("no profiles", "err", err)
			}
		})
	}
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	served := make(chan error, 1)
	go func() { served <- n.api.Serve(serving, n.ln) }()
	var jobs sync.WaitGroup
	jobs.Go(func() { n.jobs.Run(inner, serving.Done()) })
	var cause error
	select {
	case <-ctx.Done():
	case <-n.killed:
	case cause = <-failed:
	case cause = <-served:
		served <- nil
	}
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer done()
	if n.isKilled() {
		_ = n.parts.Net.Close() // it never fails
		cancel()
		done() // Close has nothing to wait for
	}
	stopServing()
	cause = errors.Join(cause, <-served)
	jobs.Wait()
	n.pool.Close()
	n.finder.stop()
	cause = errors.Join(cause, cluster.Close(closing, n.parts))
	cancel()
	running.Wait()
	return cause
}

func (n *Node) isKilled() bool {
	select {
	case <-n.killed:
		return true
	default:
		return false
	}
}

// members shows the cluster to the API.
type members cluster.Parts

// Status is what this node knows.
func (m *members) Status() transport.ClusterStatus {
	st := m.Members.Status()
	out := transport.ClusterStatus{ClusterID: st.ClusterID, Leader: st.Leader, Term: st.Term, Committed: st.Committed}
	for _, x := range st.Members {
		out.Members = append(out.Members, transport.Member{
			ID: x.ID, ClientAddr: x.ClientAddr, PeerAddr: x.PeerAddr, Version: x.Version, Voter: x.Voter,
			Leader: x.Leader, Self: x.Self, Alive: x.Alive, Applied: x.Applied,
		})
	}
	return out
}

// Transfer hands leadership to another member.
func (m *members) Transfer(ctx context.Context, to fsm.NodeID) (fsm.NodeID, error) {
	return m.Members.Transfer(ctx, to)
}

// LeaderAddr is the client address of the node that leads, empty when unknown.
func (m *members) LeaderAddr() string {
	_, addr := m.Leadership.Leader()
	return addr
}
