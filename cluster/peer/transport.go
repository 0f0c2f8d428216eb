package peer

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

const (
	// poolSize is how many idle connections raft keeps with a peer.
	poolSize = 3
	// raftTimeout bounds one request of raft that is no heartbeat.
	raftTimeout = 10 * time.Second
	// snapshotScale makes the time for a snapshot that of a 1 MiB/s line: one
	// raftTimeout for each so many bytes.
	snapshotScale = 10 << 20
	// appendsInFlight is how many appends raft sends ahead of the answers. More
	// adds delay and no throughput where batches grow under load.
	appendsInFlight = 2
)

// Raft is what a Transport asks of the raft it carries.
type Raft interface {
	CurrentTerm() uint64
	State() raft.RaftState
	LeaderWithID() (raft.ServerAddress, raft.ServerID)
}

// Gate holds back appends while this node has too much to apply.
type Gate interface {
	// Wait returns nil once an append may pass, at once if it may now. It gives
	// up with the context.
	Wait(ctx context.Context) error
}

// TransportConfig is what a Transport is made of. Logger is required.
type TransportConfig struct {
	Logger hclog.Logger
	Gate   Gate // nil is always open
	// InFlight is how many appends may be under way to a peer; zero is 2. Only
	// far peers gain from more.
	InFlight int
}

// Transport is a raft.Transport over two classes of connections: heartbeats
// never wait for entries.
//
// raft's own fast path for heartbeats is never used: it changes term and role
// on the goroutine of a connection, while raft's main goroutine votes or
// appends, and can take a term back. Instead a heartbeat that tells nothing
// new is answered here, and raft gets one copy when it has time, so that it
// knows its leader lives. Everything else only raft's main goroutine answers.
type Transport struct {
	main *raft.NetworkTransport
	beat *raft.NetworkTransport
	self raft.RPCHeader
	gate Gate
	late time.Duration // between two heartbeats, from which on they count as late

	raft    atomic.Pointer[Raft]
	out     chan raft.RPC
	copies  chan raft.RPC // at most the one that waiting stands for
	waiting atomic.Bool

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	beats     atomic.Uint64
	lateBeats atomic.Uint64
	mu        sync.Mutex
	leader    string    // who sent the last heartbeat
	last      time.Time // when
}

var (
	_ raft.Transport   = (*Transport)(nil)
	_ raft.WithPreVote = (*Transport)(nil)
	_ raft.WithClose   = (*Transport)(nil)
)

// Transport opens the classes of raft and makes a transport of them. The
// caller attaches raft to it once that exists, and closes it; so does raft's
// own shutdown.
func (n *Net) Transport(c TransportConfig) *Transport {
	if c.InFlight == 0 {
		c.InFlight = appendsInFlight
	}
	inner := func(class Class, timeout time.Duration) *raft.NetworkTransport {
		return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Logger: c.Logger, Stream: n.Stream(class), MaxPool: poolSize, MaxRPCsInFlight: c.InFlight,
			Timeout: timeout, MsgpackUseNewTimeFormat: true,
		})
	}
	id := []byte(n.self.String())
	t := &Transport{
		main: inner(ClassRaft, raftTimeout), beat: inner(ClassBeat, n.silence()),
		self: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: id, Addr: id},
		gate: c.Gate, late: n.heartbeat / 2,
		out: make(chan raft.RPC), copies: make(chan raft.RPC, 1),
	}
	t.main.TimeoutScale = snapshotScale
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.main.SetHeartbeatHandler(t.heard)
	t.beat.SetHeartbeatHandler(t.heard)
	t.wg.Go(t.join)
	return t
}

// Attach tells the transport which raft it carries. Until then raft's main
// goroutine answers every heartbeat.
func (t *Transport) Attach(r Raft) { t.raft.Store(&r) }

// LateBeats counts the heartbeats of a leader that came more than half the
// heartbeat timeout after the one before.
func (t *Transport) LateBeats() uint64 { return t.lateBeats.Load() }

// Beats counts the heartbeats that came.
func (t *Transport) Beats() uint64 { return t.beats.Load() }

// join brings what comes over both classes, and copies of heartbeats, to raft.
func (t *Transport) join() {
	for {
		select {
		case rpc := <-t.main.Consumer():
			if a, ok := rpc.Command.(*raft.AppendEntriesRequest); ok && t.gate != nil && len(a.Entries) > 0 {
				t.hold(rpc)
				continue
			}
			t.pass(rpc)
		case rpc := <-t.beat.Consumer():
			t.pass(rpc)
		case rpc := <-t.copies:
			t.pass(rpc)
			t.waiting.Store(false)
		case <-t.ctx.Done():
			return
		}
	}
}

// hold passes an append on when the gate opens, and lets others by meanwhile.
// The order of appends is kept: a connection has one at a time.
func (t *Transport) hold(rpc raft.RPC) {
	t.wg.Go(func() {
		if t.gate.Wait(t.ctx) == nil {
			t.pass(rpc)
		}
	})
}

func (t *Transport) pass(rpc raft.RPC) {
	select {
	case t.out <- rpc:
	case <-t.ctx.Done():
	}
}

// heard takes a heartbeat on the goroutine of its connection.
func (t *Transport) heard(rpc raft.RPC) {
	a, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || !t.oldNews(a) {
		t.note(a)
		t.pass(rpc)
		return
	}
	t.note(a)
	if t.waiting.CompareAndSwap(false, true) {
		t.copies <- raft.RPC{Command: a, RespChan: make(chan raft.RPCResponse, 1)}
	}
	rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: t.self, Term: a.Term, Success: true}, nil)
}

// oldNews reports whether a heartbeat tells nothing that raft does not know:
// this node follows its sender in its term. The term is read twice, since raft
// may move on in between.
func (t *Transport) oldNews(a *raft.AppendEntriesRequest) bool {
	p := t.raft.Load()
	if p == nil {
		return false
	}
	r := *p
	if r.CurrentTerm() != a.Term || r.State() != raft.Follower {
		return false
	}
	_, leader := r.LeaderWithID()
	return leader != "" && leader == raft.ServerID(a.ID) && r.CurrentTerm() == a.Term
}

// note counts a heartbeat, and whether it is late.
func (t *Transport) note(a *raft.AppendEntriesRequest) {
	if a == nil {
		return
	}
	t.beats.Add(1)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == string(a.ID) && now.Sub(t.last) > t.late {
		t.lateBeats.Add(1)
	}
	t.leader, t.last = string(a.ID), now
}

// isBeat reports whether an append is a heartbeat, by the same marks as raft's
// own transport.
func isBeat(a *raft.AppendEntriesRequest) bool {
	return a.Term != 0 && len(a.Entries) == 0 && a.PrevLogEntry == 0 && a.PrevLogTerm == 0 && a.LeaderCommitIndex == 0
}

// Consumer is where raft takes requests from.
func (t *Transport) Consumer() <-chan raft.RPC { return t.out }

// LocalAddr is this node's id.
func (t *Transport) LocalAddr() raft.ServerAddress { return t.main.LocalAddr() }

// AppendEntriesPipeline opens a pipeline over ClassRaft.
func (t *Transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	return t.main.AppendEntriesPipeline(id, target)
}

// AppendEntries sends heartbeats over ClassBeat and entries over ClassRaft.
func (t *Transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, a *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if isBeat(a) {
		return t.beat.AppendEntries(id, target, a, resp)
	}
	return t.main.AppendEntries(id, target, a, resp)
}

// RequestVote asks for a vote over ClassRaft.
func (t *Transport) RequestVote(id raft.ServerID, target raft.ServerAddress, a *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.main.RequestVote(id, target, a, resp)
}

// RequestPreVote asks over ClassRaft whether a vote would be granted.
func (t *Transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, a *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.main.RequestPreVote(id, target, a, resp)
}

// InstallSnapshot sends a snapshot on a connection of its own.
func (t *Transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, a *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.main.InstallSnapshot(id, target, a, resp, data)
}

// TimeoutNow asks a node to stand for election, over ClassRaft.
func (t *Transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, a *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.main.TimeoutNow(id, target, a, resp)
}

// EncodePeer gives the bytes of an address, which is an id's text.
func (t *Transport) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }

// DecodePeer reads what EncodePeer wrote.
func (t *Transport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler ignores raft's function; see Transport.
func (t *Transport) SetHeartbeatHandler(func(raft.RPC)) {}

// Close ends every connection and waits for what the transport started.
func (t *Transport) Close() error {
	t.stop()
	for _, inner := range []*raft.NetworkTransport{t.main, t.beat} {
		inner.CloseStreams()
		inner.Close()
	}
	t.wg.Wait()
	return nil
}
