package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

// Parts are the parts of one node. They are built by Open, driven by Run and stopped by
// Close.
type Parts struct {
	Node    fsm.NodeID
	Boot    uint32
	Cluster string // id of the cluster, as text

	Proposer   *Proposer
	Reads      *Reads
	Replica    *Replica
	Journal    *Journal
	Leadership *Leadership
	Members    *Members
	Clock      *Clock
	Slots      *Slots
	Snapshots  *Snapshots
	Guard      *guard.Guard
	Net        *peer.Net
	Raft       *raft.Raft

	cfg      Config
	deps     Deps
	stores   stores
	exchange *exchange
	founder  *founder
	lock     io.Closer
	trans    *peer.Transport
	quick    *quick
	stop     context.CancelFunc // ends what Open started
	wg       sync.WaitGroup     // of it
	begun    atomic.Bool        // Run was called, or may not be any more
	driven   atomic.Bool        // Run has told the network who answers what
	closing  chan struct{}      // closed to end Run
	ended    chan struct{}      // closed when Run has ended
	once     sync.Once          // of Close
}

// Open builds a node from what its folder holds. A node that belongs to no cluster yet
// founds one with the others it expects; Open then returns when that is done, or with
// the error of ctx. An error with a method ExitCode says how the process is to end.
func Open(ctx context.Context, cfg Config, deps Deps) (_ *Parts, err error) {
	if cfg, err = cfg.check(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if deps, err = deps.check(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if cfg.FS == nil {
		if cfg.FS, err = disk.Dir(cfg.Dir); err != nil {
			return nil, fmt.Errorf("open %s: %w", cfg.Dir, err)
		}
	}
	p := &Parts{cfg: cfg, deps: deps, closing: make(chan struct{}), ended: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.release())
		}
	}()
	if p.lock, err = cfg.FS.Lock("LOCK"); err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	ids, err := loadIdentity(cfg.FS)
	if err != nil {
		return nil, err
	}
	p.Node, p.Boot = ids.id.Node, ids.id.Boot
	p.Guard = guard.New(guard.Options{Exit: deps.Exit, Kill: deps.Kill, Log: deps.Log, Stderr: deps.Stderr})
	if err = p.connect(ids); err != nil {
		return nil, err
	}
	if err = p.founder.run(ctx); err != nil {
		return nil, err
	}
	if err = p.build(ids); err != nil {
		return nil, err
	}
	return p, nil
}

// connect opens the network to the other nodes.
func (p *Parts) connect(ids *identities) error {
	id := ids.id
	book := &peer.Book{}
	book.Seed(p.cfg.Join...)
	pid := peer.Identity{
		ClusterID: id.ClusterID(), Genesis: id.Genesis, Incarnation: id.Incarnation,
		Node: id.Node, Key: id.Key, Boot: id.Boot,
	}
	if _, err := rand.Read(pid.Nonce[:]); err != nil {
		return fmt.Errorf("make process nonce: %w", err)
	}
	var err error
	p.Net, err = peer.New(peer.Config{
		Identity: pid, Book: book, Log: p.deps.Log, Addr: p.cfg.PeerListen,
		Listen: p.deps.Listen, Dial: p.deps.Dial, Heartbeat: p.cfg.Timing.Heartbeat,
		MinVersion: 1, MaxVersion: 1,
		Admitted: func() bool { return p.founder.isAdmitted() },
		Allow:    func(from fsm.NodeID) bool { return p.founder.allows(from) },
		Alarm:    p.alarm,
	})
	if err != nil {
		return err
	}
	if p.deps.Connected != nil {
		p.deps.Connected(p.Net, pid)
	}
	self := func() Member {
		m := Member{ID: id.Node, Key: peer.FingerprintOf(p.Net.PublicKey()), PeerAddr: p.peerAddr()}
		if p.cfg.ClientAddr != nil {
			m.ClientAddr = p.cfg.ClientAddr()
		}
		return m
	}
	p.founder = newFounder(p.cfg, p.Net, ids, self, p.deps.Suggest, p.deps.Log)
	p.Net.OnUp(func(id fsm.NodeID) {
		if p.driven.Load() {
			p.Leadership.up(id)
		}
	})
	p.Net.OnDown(func(id fsm.NodeID) {
		if p.driven.Load() {
			p.Slots.down(id)
		}
	})
	p.Net.OnDead(func(id fsm.NodeID) {
		if p.driven.Load() {
			p.quick.dead(id)
		}
	})
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.wg.Go(func() {
		if err := p.Net.Run(ctx); err != nil {
			p.deps.Log.Error("peer network ended", "err", err)
		}
	})
	p.wg.Go(func() { _ = p.Guard.Run(ctx) }) // it only ends with ctx
	return nil
}

func (p *Parts) peerAddr() string {
	if p.cfg.PeerAddr != nil {
		return p.cfg.PeerAddr()
	}
	return p.Net.Addr().String()
}

func (p *Parts) alarm(a peer.Alarm) {
	p.deps.Log.Error("peer", "peer", a.Peer, "addr", a.Addr, "reason", a.Reason, "text", a.Text)
	if a.Fatal {
		p.deps.Exit(a.ExitCode(), a.Text)
	}
}

// build opens the stores and makes the parts above them.
func (p *Parts) build(ids *identities) error {
	id := ids.id
	members, err := ids.loadMembers()
	if err != nil {
		return err
	}
	p.Cluster = id.ClusterID()
	peers := p.learn(members)
	if err := p.Net.Admit(p.Cluster, id.Genesis, id.Incarnation); err != nil {
		return err
	}
	if err := p.Net.Hold(peers...); err != nil {
		return err
	}
	var state *fsm.State
	var at raft.SnapshotMeta
	if p.stores, state, at, err = openStores(p.cfg, id, p.Guard, p.deps); err != nil {
		return err
	}
	log := p.deps.Log
	p.Clock = newClock(p.deps.Now, p.deps.Wall, state.Now(), log)
	p.Journal = newJournal(at.Index)
	p.Replica = newReplica(state, at.Index, p.Journal, p.Clock, log, p.deps.Exit)
	p.Proposer = newProposer(id.Node, id.Boot, p.cfg, nil, p.Clock, log)
	p.Leadership = &Leadership{self: id.Node, boot: id.Boot, links: p.Net, log: log, clock: p.Clock, replica: p.Replica, proposer: p.Proposer, guard: p.Guard, nudge: make(chan struct{}, 1)}
	p.Members = &Members{
		self: id.Node, cfg: p.cfg, links: p.Net, log: log, lead: p.Leadership, replica: p.Replica, proposer: p.Proposer, clock: p.Clock,
		version: p.deps.Version, peerAddr: p.peerAddr, cluster: p.Cluster, known: map[fsm.NodeID]Member{}, heard: map[fsm.NodeID]health{}, store: ids,
	}
	for _, m := range members {
		p.Members.known[m.ID] = m
	}
	p.Reads = &Reads{self: id.Node, links: p.Net, replica: p.Replica, lead: p.Leadership, members: p.Members, clock: p.Clock, log: log, wake: make(chan struct{}, 1)}
	p.Slots = &Slots{self: id.Node, links: p.Net, lead: p.Leadership, log: log, wake: make(chan struct{}, 1), box: map[fsm.NodeID]*leases{}}
	p.exchange = newExchange(id.Node, id.Boot, p.Net, p.Proposer, log)
	p.join()
	if err := p.start(id, members); err != nil {
		return err
	}
	share := 0.2 * float64(id.Node[0]) / math.MaxUint8
	p.Snapshots = &Snapshots{raft: p.Raft, store: p.stores.snaps, replica: p.Replica, cfg: p.cfg, share: share, log: log}
	return nil
}

// learn tells the address book who the members are.
func (p *Parts) learn(members []Member) []fsm.NodeID {
	var peers []fsm.NodeID
	for _, m := range members {
		f := peer.Fact{ID: m.ID, Key: m.Key}
		if m.PeerAddr != "" {
			f.Addrs = []string{m.PeerAddr}
		}
		p.Net.Book().Learn(f)
		if m.ID != p.Node {
			peers = append(peers, m.ID)
		}
	}
	return peers
}

// join connects the parts that tell each other things.
func (p *Parts) join() {
	p.Leadership.reads, p.Leadership.members = p.Reads, p.Members
	p.Proposer.lead, p.Proposer.post, p.Proposer.where = p.Leadership, p.exchange, p.Replica.position
	p.Replica.onApplied = func(done []landed) {
		p.Leadership.seen(done)
		p.Proposer.applied(done)
	}
	p.Replica.onRestored = p.Proposer.restored
}

// start makes raft of the parts, with the first configuration if there is none.
func (p *Parts) start(id Identity, members []Member) error {
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(id.Node.String())
	cfg.HeartbeatTimeout, cfg.ElectionTimeout = p.cfg.Timing.Heartbeat, p.cfg.Timing.Election
	cfg.LeaderLeaseTimeout, cfg.CommitTimeout = p.cfg.Timing.Lease, p.cfg.Timing.Commit
	cfg.MaxAppendEntries = 64
	cfg.BatchApplyCh = false // entries are batches already
	cfg.SnapshotThreshold, cfg.SnapshotInterval = math.MaxUint64, 24*time.Hour
	cfg.TrailingLogs = p.cfg.TrailingLogs
	cfg.NoSnapshotRestoreOnStart = true
	cfg.NoLegacyTelemetry = true
	cfg.Logger = raftLog(p.deps.Log)
	logs := &tap{Log: p.stores.log, self: id.Node, boot: id.Boot, stored: p.Proposer.stored}
	var r consensus
	var mu sync.Mutex
	backlog := &gate{replica: p.Replica, raft: func() consensus { mu.Lock(); defer mu.Unlock(); return r }}
	p.trans = p.Net.Transport(peer.TransportConfig{Logger: cfg.Logger, Gate: backlog})
	has, err := raft.HasExistingState(logs, p.stores.stable, p.stores.snaps)
	if err != nil {
		return fmt.Errorf("look for raft's state: %w", err)
	}
	last, err := logs.LastIndex()
	if err != nil {
		return err
	}
	founding := !has || last == 0 && p.Replica.Applied() == 0
	if founding {
		if err := bootstrap(logs, p.stores.stable, members); err != nil {
			return err
		}
	}
	made, err := raft.NewRaft(cfg, p.Replica, logs, p.stores.stable, p.stores.snaps, transport{p.trans})
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	p.Raft = made
	p.Proposer.raft, p.Leadership.raft, p.Members.raft, p.Reads.raft = made, made, made, made
	p.quick = &quick{raft: made, timing: p.cfg.Timing, log: p.deps.Log}
	p.trans.Attach(made)
	mu.Lock()
	r = made
	mu.Unlock()
	if founding && highest(id.Node, members) {
		p.quick.look() // nobody leads yet, and by now the others can vote
	}
	return nil
}

// highest reports whether a node has the highest id. The lowest founds the cluster, so
// that one learns of it when others are there to vote.
func highest(id fsm.NodeID, members []Member) bool {
	for _, m := range members {
		if bytes.Compare(m.ID[:], id[:]) > 0 {
			return false
		}
	}
	return true
}

// bootstrap writes the first configuration, the same on every node that founded the
// cluster. On a log that is empty it may be written again: a crash may have come
// between the term and the entry.
func bootstrap(logs raft.LogStore, stable raft.StableStore, members []Member) error {
	var c raft.Configuration
	for _, m := range members {
		id := m.ID.String()
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	term, err := stable.GetUint64([]byte("CurrentTerm"))
	if err != nil && err.Error() != "not found" {
		return fmt.Errorf("read term: %w", err)
	}
	if term > 1 {
		return nil // it voted: somebody else's log has the configuration
	}
	if err := stable.SetUint64([]byte("CurrentTerm"), 1); err != nil {
		return fmt.Errorf("write first term: %w", err)
	}
	l := &raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}
	if err := logs.StoreLog(l); err != nil {
		return fmt.Errorf("write first configuration: %w", err)
	}
	return nil
}
