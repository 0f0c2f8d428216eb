package cluster

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

const (
	// lookEvery is how often the role is looked at besides what is told: a message of
	// raft that was lost costs no more than that.
	lookEvery = 100 * time.Millisecond
	// beginAgain is the wait before the first entry of a term is proposed again.
	beginAgain = 5 * time.Millisecond
)

// consensus is the face of raft that leadership and reads use.
type consensus interface {
	State() raft.RaftState
	CurrentTerm() uint64
	LeaderWithID() (raft.ServerAddress, raft.ServerID)
	LeaderCh() <-chan bool
	LastContact() time.Time
	CommitIndex() uint64
}

// Leadership follows which term this node leads, if any. A term is open from its first
// applied entry on, which is this node's own; terms are told apart by their number, so
// that losing one and winning the next cannot be mistaken for keeping it.
type Leadership struct {
	self     fsm.NodeID
	boot     uint32
	raft     consensus
	links    links
	log      *slog.Logger
	clock    *Clock
	replica  *Replica
	reads    *Reads
	proposer *Proposer
	members  *Members
	guard    *guard.Guard
	host     Leader

	nudge  chan struct{} // capacity 1: look at the role now
	newest atomic.Uint64 // the newest term seen anywhere
	openIn atomic.Uint64 // the open term, 0 while none is

	mu     sync.Mutex
	term   uint64 // this node leads, whether open or not; 0: none
	nonce  Nonce  // of the entry that opens it
	asked  bool   // that entry is under way
	opened uint64 // index at which it was applied, 0 before
	leader notice // who is known to lead

	// Only for Run.
	led uint64 // the term that host was told of
}

// notice says who leads.
type notice struct {
	Term       uint64
	Node       fsm.NodeID
	Index      uint64
	ClientAddr string
}

// Current is the newest term that this node has led or leads, and whether it is open:
// false for a node that does not lead.
func (l *Leadership) Current() (term uint64, open bool) {
	if t := l.openIn.Load(); t != 0 {
		return t, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term, false
}

// Term is the newest term that this node knows of.
func (l *Leadership) Term() uint64 { return l.raft.CurrentTerm() }

// Leader is the node that leads, with its address for clients; zero when none is known.
func (l *Leadership) Leader() (fsm.NodeID, string) {
	l.mu.Lock()
	n := l.leader
	l.mu.Unlock()
	term := l.raft.CurrentTerm()
	_, id := l.raft.LeaderWithID()
	node, err := fsm.ParseNodeID(string(id))
	if err != nil { // raft knows none
		if n.Term == term && l.links.Connected(n.Node) {
			return n.Node, n.ClientAddr // told by itself, before raft heard of it
		}
		return fsm.NodeID{}, ""
	}
	if n.Node == node && n.ClientAddr != "" {
		return node, n.ClientAddr
	}
	return node, l.members.clientAddr(node)
}

// saw notes a term seen in a message. A higher one ends the leadership here at once,
// without waiting for raft to notice.
func (l *Leadership) saw(term uint64) {
	for {
		old := l.newest.Load()
		if term <= old {
			return
		}
		if l.newest.CompareAndSwap(old, term) {
			poke(l.nudge)
			return
		}
	}
}

// seen notes applied entries. It is called on raft's goroutine and does not block.
func (l *Leadership) seen(done []landed) {
	if len(done) == 0 {
		return
	}
	l.saw(done[len(done)-1].term)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range done {
		a := &done[i]
		if a.term > l.leader.Term { // only the leader of a term proposes in it
			l.leader = notice{Term: a.term, Node: a.nonce.Node, Index: a.index}
		}
		if l.term != 0 && a.term == l.term && a.nonce == l.nonce && l.opened == 0 {
			l.opened = a.index
			poke(l.nudge)
		}
	}
}

// leads reports whether raft says now that this node leads term.
func (l *Leadership) leads() (uint64, bool) {
	term := l.raft.CurrentTerm()
	ok := l.raft.State() == raft.Leader && l.raft.CurrentTerm() == term && l.newest.Load() <= term
	return term, ok
}

// Run follows the role until ctx ends, then gives up what is held.
func (l *Leadership) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	defer l.lose()
	var last fsm.NodeID
	for {
		l.step(ctx)
		if id, _ := l.Leader(); id != last {
			last = id
			l.proposer.calls.hasten()
		}
		select {
		case <-l.nudge:
		case <-l.raft.LeaderCh():
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// step brings this node one step nearer to what raft says of it.
func (l *Leadership) step(ctx context.Context) {
	term, ok := l.leads()
	l.mu.Lock()
	held, asked, opened := l.term, l.asked, l.opened
	l.mu.Unlock()
	if held != 0 && (!ok || held != term) {
		l.lose()
		held = 0
	}
	switch {
	case !ok:
	case held == 0 || !asked:
		l.begin(ctx, term)
	case opened != 0 && l.openIn.Load() == 0:
		l.open(ctx, term, opened)
	case l.openIn.Load() != 0:
		l.guard.Leading(l.members.expendable())
	}
}

// begin proposes the entry that opens a term.
func (l *Leadership) begin(ctx context.Context, term uint64) {
	voters := l.members.voters()
	l.reads.meet(ctx, voters)
	gap := l.clock.lead(voters, l.raft.LastContact())
	c := &fsm.Command{Body: &fsm.BeginTerm{Node: l.self, Boot: l.boot, Gap: gap}}
	f, err := l.proposer.prepare(term, c, func(error) {
		l.mu.Lock()
		if l.term == term {
			l.asked = false
		}
		l.mu.Unlock()
		time.AfterFunc(beginAgain, func() { poke(l.nudge) })
	})
	l.mu.Lock()
	l.term, l.opened, l.asked = term, 0, err == nil
	if err == nil {
		l.nonce = l.proposer.nonce(f)
	}
	l.mu.Unlock()
	if err == nil {
		l.proposer.send(ctx, f)
	}
}

// open lets the parts that lead begin, in the order in which they need each other.
func (l *Leadership) open(ctx context.Context, term, index uint64) {
	v, err := l.replica.At(ctx, index)
	if err != nil {
		return
	}
	if now, ok := l.leads(); !ok || now != term {
		return
	}
	l.led = term
	l.host.Lead(term, v)
	if now, ok := l.leads(); !ok || now != term {
		return // the next step gives it up
	}
	l.mu.Lock()
	l.leader = notice{Term: term, Node: l.self, Index: index, ClientAddr: l.members.ownClientAddr()}
	n := l.leader
	l.mu.Unlock()
	l.openIn.Store(term)
	l.reads.poke()
	l.proposer.open(term)
	l.announce(n, l.members.others())
	l.guard.Leading(l.members.expendable())
	l.log.Info("leading", "term", term, "index", index)
}

// lose gives up the term that this node led. Commands that wait go elsewhere; those in
// the log keep being watched.
func (l *Leadership) lose() {
	l.mu.Lock()
	term := l.term
	l.term, l.asked, l.opened = 0, false, 0
	if l.leader.Node == l.self {
		l.leader = notice{}
	}
	l.mu.Unlock()
	if term == 0 {
		return
	}
	l.openIn.Store(0)
	l.proposer.close()
	l.reads.poke()
	if l.led != 0 {
		l.host.Resign(l.led)
		l.led = 0
		l.log.Info("leading no more", "term", term)
	}
	l.clock.resign()
	l.guard.Leading(false)
}

func (l *Leadership) announce(n notice, to []fsm.NodeID) {
	b, err := pack(n)
	if err != nil {
		l.log.Error("leadership not announced", "err", err)
		return
	}
	for _, id := range to {
		// A node that is not reached hears of it from raft.
		if err := l.links.Cast(id, peer.Leader, b); err != nil {
			l.log.Debug("leadership not announced", "peer", id, "err", err)
		}
	}
}

// up tells a node that came that this one leads.
func (l *Leadership) up(id fsm.NodeID) {
	l.mu.Lock()
	n := l.leader
	l.mu.Unlock()
	if n.Node == l.self && l.openIn.Load() == n.Term && n.Term != 0 {
		l.announce(n, []fsm.NodeID{id})
	}
}

// heard takes another node's announcement.
func (l *Leadership) heard(_ context.Context, from fsm.NodeID, b []byte) ([]byte, error) {
	var n notice
	if err := unpack(b, &n); err != nil {
		return nil, err
	}
	if n.Node != from {
		return nil, errShort
	}
	l.mu.Lock()
	if n.Term >= l.leader.Term {
		l.leader = n
	}
	l.mu.Unlock()
	l.saw(n.Term)
	l.proposer.calls.hasten()
	return nil, nil
}

// nodeOf is the node that leads term; zero when this node has not heard of it.
func (l *Leadership) nodeOf(term uint64) fsm.NodeID {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader.Term == term {
		return l.leader.Node
	}
	return fsm.NodeID{}
}
