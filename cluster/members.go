package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

const (
	// healthEvery is how often a node tells the others how it is.
	healthEvery = time.Second
	// aliveFor is how long a node counts as alive after it was heard.
	aliveFor = 3 * healthEvery
	// transferHold is how long a hand-over waits for what is under way to drain.
	transferHold = 2 * time.Second
)

// Members knows who belongs to the cluster and how they are. Its methods may be called
// from any goroutine.
type Members struct {
	self     fsm.NodeID
	cfg      Config
	raft     *raft.Raft
	links    links
	log      *slog.Logger
	lead     *Leadership
	replica  *Replica
	proposer *Proposer
	clock    *Clock
	version  string
	peerAddr func() string
	cluster  string

	config atomic.Pointer[[]raft.Server] // as last asked of raft

	mu    sync.Mutex
	known map[fsm.NodeID]Member
	heard map[fsm.NodeID]health
	dirty bool // known differs from what is stored
	store *identities
}

// health is what a node tells of itself.
type health struct {
	Wall       int64 // milliseconds
	Applied    uint64
	ClientAddr string
	PeerAddr   string
	Version    string
	at         time.Time
}

// Status is a cluster as one node sees it.
type Status struct {
	ClusterID string
	Leader    fsm.NodeID // zero when unknown
	Term      uint64
	LastIndex uint64 // of the log here
	Committed uint64 // as far as this node knows
	Applied   uint64
	Members   []MemberStatus
}

// MemberStatus is one node of the cluster.
type MemberStatus struct {
	ID         fsm.NodeID
	ClientAddr string
	PeerAddr   string
	Version    string // of its program; empty when unknown
	Voter      bool
	Leader     bool
	Self       bool
	Alive      bool   // heard of lately
	Applied    uint64 // 0 when unknown
	Lag        uint64 // entries behind this node's commit index
}

// servers is the latest configuration.
func (m *Members) servers() []raft.Server {
	f := m.raft.GetConfiguration()
	if f.Error() != nil { // raft is shut down
		if s := m.config.Load(); s != nil {
			return *s
		}
		return nil
	}
	s := f.Configuration().Servers
	m.config.Store(&s)
	return s
}

// voters are the nodes whose majority decides.
func (m *Members) voters() []fsm.NodeID {
	var ids []fsm.NodeID
	for _, s := range m.servers() {
		if s.Suffrage == raft.Voter {
			if id, err := fsm.ParseNodeID(string(s.ID)); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// others are all members but this node.
func (m *Members) others() []fsm.NodeID {
	var ids []fsm.NodeID
	for _, s := range m.servers() {
		if id, err := fsm.ParseNodeID(string(s.ID)); err == nil && id != m.self {
			ids = append(ids, id)
		}
	}
	return ids
}

// expendable reports whether the other voters in contact are a majority without this
// node, so that the cluster does better without it than with its disk hanging.
func (m *Members) expendable() bool {
	voters := m.voters()
	n := 0
	for _, v := range voters {
		if v != m.self && m.links.Connected(v) {
			n++
		}
	}
	return n >= len(voters)/2+1
}

func (m *Members) ownClientAddr() string {
	if m.cfg.ClientAddr == nil {
		return ""
	}
	return m.cfg.ClientAddr()
}

func (m *Members) clientAddr(id fsm.NodeID) string {
	if id == m.self {
		return m.ownClientAddr()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[id].ClientAddr
}

// Run tells the others how this node is, and keeps what is known of them, until ctx ends.
func (m *Members) Run(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		m.tell()
		m.keep()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *Members) tell() {
	b, err := pack(health{
		Wall: m.clock.wall().UnixMilli(), Applied: m.replica.Applied(),
		ClientAddr: m.ownClientAddr(), PeerAddr: m.peerAddr(), Version: m.version,
	})
	if err != nil {
		m.log.Error("health not told", "err", err)
		return
	}
	for _, id := range m.others() {
		// A node that is not reached now is told the next time.
		if err := m.links.Cast(id, peer.Health, b); err != nil {
			m.log.Debug("health not told", "peer", id, "err", err)
		}
	}
}

// hear takes what another node tells, on the goroutine of the link.
func (m *Members) hear(_ context.Context, from fsm.NodeID, b []byte) ([]byte, error) {
	var h health
	if err := unpack(b, &h); err != nil {
		return nil, err
	}
	h.at = time.Now()
	m.clock.sample(from, time.UnixMilli(h.Wall), 0)
	m.mu.Lock()
	defer m.mu.Unlock()
	k, member := m.known[from]
	if !member {
		return nil, nil
	}
	m.heard[from] = h
	if k.ClientAddr != h.ClientAddr || k.PeerAddr != h.PeerAddr {
		k.ClientAddr, k.PeerAddr = h.ClientAddr, h.PeerAddr
		m.known[from] = k
		m.dirty = true
	}
	return nil, nil
}

// keep stores the addresses of the members when they changed, to find them after a
// restart.
func (m *Members) keep() {
	m.mu.Lock()
	if !m.dirty {
		m.mu.Unlock()
		return
	}
	m.dirty = false
	list := make([]Member, 0, len(m.known))
	for _, k := range m.known {
		list = append(list, k)
	}
	m.mu.Unlock()
	if err := m.store.saveMembers(list); err != nil {
		m.log.Warn("addresses of the members not stored", "err", err)
	}
}

// Status is what this node knows, without asking others.
func (m *Members) Status() Status {
	leader, _ := m.lead.Leader()
	s := Status{
		ClusterID: m.cluster, Leader: leader, Term: m.raft.CurrentTerm(), LastIndex: m.raft.LastIndex(),
		Committed: m.raft.CommitIndex(), Applied: m.replica.Applied(),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, v := range m.servers() {
		id, err := fsm.ParseNodeID(string(v.ID))
		if err != nil {
			continue
		}
		k, h := m.known[id], m.heard[id]
		e := MemberStatus{
			ID: id, ClientAddr: k.ClientAddr, PeerAddr: k.PeerAddr, Version: h.Version, Voter: v.Suffrage == raft.Voter,
			Leader: id == leader, Self: id == m.self, Alive: !h.at.IsZero() && now.Sub(h.at) < aliveFor, Applied: h.Applied,
		}
		if e.Self {
			e.ClientAddr, e.PeerAddr, e.Version = m.ownClientAddr(), m.peerAddr(), m.version
			e.Alive, e.Applied = true, s.Applied
		}
		if e.Applied < s.Committed {
			e.Lag = s.Committed - e.Applied
		}
		s.Members = append(s.Members, e)
	}
	return s
}

// Transfer hands the leadership of this node to another voter: to one that is named, or
// to the one that is furthest. It returns when this node does not lead any more, with
// the one that does; the error says that nothing changed.
func (m *Members) Transfer(ctx context.Context, to fsm.NodeID) (fsm.NodeID, error) {
	term, open := m.lead.Current()
	if !open {
		id, addr := m.lead.Leader()
		return fsm.NodeID{}, &fsm.NotLeaderError{Leader: id, Addr: addr}
	}
	if to == m.self {
		return m.self, nil
	}
	targets := m.targets(to)
	if len(targets) == 0 {
		return fsm.NodeID{}, errors.New("transfer leadership: no other voter is reached")
	}
	m.proposer.pause(true)
	defer m.proposer.pause(false)
	hold, cancel := context.WithTimeout(ctx, transferHold)
	err := m.proposer.drained(hold)
	cancel()
	if err != nil {
		return fsm.NodeID{}, fmt.Errorf("transfer leadership: entries under way do not end: %w", err)
	}
	const tries = 2
	for _, target := range targets[:min(tries, len(targets))] {
		if err = m.transfer(ctx, target, term); err == nil {
			return m.successor(ctx)
		}
		m.log.Warn("leadership not handed over", "to", target, "err", err)
	}
	return fsm.NodeID{}, fmt.Errorf("transfer leadership: %w", err)
}

// targets are the voters that could lead, best first.
func (m *Members) targets(to fsm.NodeID) []fsm.NodeID {
	var ids []fsm.NodeID
	m.mu.Lock()
	heard := m.heard
	best := func(a fsm.NodeID) uint64 { return heard[a].Applied }
	m.mu.Unlock()
	for _, v := range m.voters() {
		if v == m.self || !m.links.Connected(v) || !to.IsZero() && v != to {
			continue
		}
		m.mu.Lock()
		at := len(ids)
		for i, o := range ids {
			if best(v) > best(o) {
				at = i
				break
			}
		}
		m.mu.Unlock()
		ids = append(ids, v)
		copy(ids[at+1:], ids[at:])
		ids[at] = v
	}
	return ids
}

// transfer makes one attempt. Whether it worked shows in the role: raft may never answer
// its future, and a hand-over that it gave up may still succeed.
func (m *Members) transfer(ctx context.Context, to fsm.NodeID, term uint64) error {
	id := to.String()
	m.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id))
	tick := time.NewTicker(retryMin)
	defer tick.Stop()
	limit := time.NewTimer(m.cfg.Timing.Election + retryMax)
	defer limit.Stop()
	for m.raft.CurrentTerm() == term && m.raft.State() == raft.Leader {
		select {
		case <-tick.C:
		case <-limit.C:
			return errors.New("this node still leads")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	poke(m.lead.nudge)
	return nil
}

// successor waits for another node to lead.
func (m *Members) successor(ctx context.Context) (fsm.NodeID, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*m.cfg.Timing.Election)
	defer cancel()
	tick := time.NewTicker(retryMin)
	defer tick.Stop()
	for {
		if id, _ := m.lead.Leader(); !id.IsZero() && id != m.self {
			return id, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fsm.NodeID{}, nil // handed over, but nobody told yet to whom
		}
	}
}
