package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

const (
	// maxReads bounds the reads that wait for a round.
	maxReads = 4_096
	// roundTime bounds one round: a majority that is there answers in one round trip.
	roundTime = time.Second
	// readAgain is the wait before a read that found no leader looks again, and
	// readHold how long it does so.
	readAgain = 20 * time.Millisecond
	readHold  = 2 * time.Second
)

// Reads gives Views to read from, on every node. Its methods may be called from any
// goroutine.
//
// A linearizable read is confirmed by a round: after the read began, the leader of term
// T asks all voters for their terms. A majority of answers with terms up to T proves
// that nobody else had acknowledged a write in a later term before: a majority would
// have stored that term, and the two share a voter. Answers name their round, so that
// one that was under way while this process stood still counts for nothing.
//
// What it confirms is the commit index: a follower answers its callers when it has
// applied their command itself, which may be before the leader has. In an open term an
// entry at that index reaches the machine: the term's no-op, which does not, lies before
// the entry that opened it, and nothing here uses barriers.
type Reads struct {
	self    fsm.NodeID
	raft    consensus
	links   links
	replica *Replica
	lead    *Leadership
	members *Members
	clock   *Clock
	log     *slog.Logger

	wake  chan struct{} // capacity 1
	round atomic.Uint64 // number of the last round

	mu      sync.Mutex
	waiting []chan point // the reads of the next round
}

// point is what a round came to: an index that is safe to read at.
type point struct {
	index uint64
	err   error
}

// question is what a round asks, and reply the answer to it.
type question struct {
	Term, Round uint64
}
type reply struct {
	Round, Term uint64
	Wall        int64 // milliseconds
}

// indexReply answers a follower's question for an index to read at.
type indexReply struct {
	Index, Term uint64
	Leader      fsm.NodeID // when Index is 0: who may know
}

// Linearizable gives a View that includes everything that was acknowledged before the
// call. The error is a *fsm.NotLeaderError or fsm.ErrNoLeader if nobody could confirm
// that, a *fsm.OverloadedError, or that of ctx; a read has no unknown outcome.
func (r *Reads) Linearizable(ctx context.Context) (fsm.View, error) {
	index, err := r.index(ctx)
	if err != nil {
		return fsm.View{}, err
	}
	return r.replica.At(ctx, index)
}

// index finds an index to read at, through elections if they are short.
func (r *Reads) index(ctx context.Context) (uint64, error) {
	begun := time.Now()
	for {
		p := r.join(ctx)
		var elsewhere *fsm.NotLeaderError
		retry := errors.As(p.err, &elsewhere) || errors.Is(p.err, fsm.ErrNoLeader)
		if p.err == nil || !retry || time.Since(begun) > readHold {
			return p.index, p.err
		}
		timer := time.NewTimer(readAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, p.err
		}
	}
}

// join waits for the round that begins next.
func (r *Reads) join(ctx context.Context) point {
	ch := make(chan point, 1)
	r.mu.Lock()
	if len(r.waiting) >= maxReads {
		r.mu.Unlock()
		return point{err: &fsm.OverloadedError{Reason: "too many reads wait", RetryAfter: 50}}
	}
	r.waiting = append(r.waiting, ch)
	r.mu.Unlock()
	poke(r.wake)
	select {
	case p := <-ch:
		return p
	case <-ctx.Done():
		return point{err: ctx.Err()}
	}
}

// AtLeast gives a View at or after a position, which any node can as soon as it has
// applied that much. A position of another incarnation is refused.
func (r *Reads) AtLeast(ctx context.Context, p fsm.Position) (fsm.View, error) {
	if own := r.replica.position(0); p.Group != 0 || p.Incarnation != own.Incarnation && p.Index != 0 {
		return fsm.View{}, &fsm.Rejection{Code: fsm.Conflict, Message: "the position is of another incarnation of the cluster"}
	}
	const farAhead = 1_000_000
	if p.Index > r.replica.Applied()+farAhead {
		return fsm.View{}, &fsm.Rejection{Code: fsm.Malformed, Message: "the position is far ahead of anything known here"}
	}
	return r.replica.At(ctx, p.Index)
}

// Stale gives what this node has, and how long ago it last knew that to be current.
func (r *Reads) Stale() (fsm.View, time.Duration) {
	v := r.replica.View()
	if _, open := r.lead.Current(); open {
		return v, 0
	}
	contact := r.raft.LastContact()
	if contact.IsZero() {
		return v, 24 * time.Hour // never: older than anybody accepts
	}
	return v, time.Since(contact)
}

// Run answers reads until ctx ends.
func (r *Reads) Run(ctx context.Context) error {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			r.answer(point{err: fsm.ErrNoLeader})
			return nil
		}
		r.mu.Lock()
		batch := r.waiting
		r.waiting = nil
		r.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		p := r.find(ctx)
		for _, ch := range batch {
			ch <- p
		}
	}
}

func (r *Reads) answer(p point) {
	r.mu.Lock()
	batch := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	for _, ch := range batch {
		ch <- p
	}
}

// find does one round on the node that leads, and asks it from any other.
func (r *Reads) find(ctx context.Context) point {
	if term, open := r.lead.Current(); open {
		return r.confirm(ctx, term)
	}
	id, addr := r.lead.Leader()
	if id.IsZero() || id == r.self {
		return point{err: fsm.ErrNoLeader}
	}
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	b, err := r.links.Call(ctx, id, peer.ReadIndex, nil)
	if err != nil {
		return point{err: &fsm.NotLeaderError{Leader: id, Addr: addr}}
	}
	var a indexReply
	if err := unpack(b, &a); err != nil || a.Index == 0 {
		return point{err: &fsm.NotLeaderError{Leader: a.Leader}}
	}
	return point{index: a.Index}
}

// serveIndex answers a follower.
func (r *Reads) serveIndex(ctx context.Context, _ fsm.NodeID, _ []byte) ([]byte, error) {
	if _, open := r.lead.Current(); !open {
		id, _ := r.lead.Leader()
		return pack(indexReply{Leader: id})
	}
	p := r.join(ctx)
	if p.err != nil {
		return pack(indexReply{})
	}
	return pack(indexReply{Index: p.index})
}

// serveConfirm answers a round. It runs on the goroutine that reads the link.
func (r *Reads) serveConfirm(_ context.Context, _ fsm.NodeID, b []byte) ([]byte, error) {
	var q question
	if err := unpack(b, &q); err != nil {
		return nil, err
	}
	return pack(reply{Round: q.Round, Term: r.raft.CurrentTerm(), Wall: r.clock.wall().UnixMilli()})
}

// confirm does a round for term, which is open here.
func (r *Reads) confirm(ctx context.Context, term uint64) point {
	index := r.raft.CommitIndex()
	lost := point{err: &fsm.NotLeaderError{}}
	voters := r.members.voters()
	need := len(voters)/2 + 1
	if !contains(voters, r.self) {
		return lost
	}
	q := question{Term: term, Round: r.round.Add(1)}
	b, err := pack(q)
	if err != nil {
		return point{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	have := r.gather(ctx, voters, q, b, need)
	if t, open := r.lead.Current(); !open || t != term || r.raft.CurrentTerm() != term || have < need {
		return lost
	}
	return point{index: index}
}

// gather asks every voter and counts those that do not object, this node among them,
// until there are enough.
func (r *Reads) gather(ctx context.Context, voters []fsm.NodeID, q question, b []byte, need int) int {
	answers := make(chan bool, len(voters))
	asked := 0
	for _, v := range voters {
		if v != r.self {
			asked++
			// It ends with its call, which ends with ctx.
			go func() { answers <- r.ask(ctx, v, q, b) }()
		}
	}
	have := 1
	for ; have < need && asked > 0; asked-- {
		if <-answers {
			have++
		}
	}
	return have
}

// ask reports whether a voter's term allows that this node's is the newest.
func (r *Reads) ask(ctx context.Context, v fsm.NodeID, q question, b []byte) bool {
	sent := r.clock.now()
	raw, err := r.links.Call(ctx, v, peer.Confirm, b)
	if err != nil {
		return false
	}
	var a reply
	if unpack(raw, &a) != nil || a.Round != q.Round {
		return false
	}
	r.clock.sample(v, time.UnixMilli(a.Wall), r.clock.now().Sub(sent))
	if a.Term > q.Term {
		r.lead.saw(a.Term)
		return false
	}
	return true
}

// meet asks the voters for their clocks if some are not known: a node that begins to
// lead must not take its own for the truth. It waits for a moment at most; a voter
// without a link does not hold it up.
func (r *Reads) meet(ctx context.Context, voters []fsm.NodeID) {
	const moment = 250 * time.Millisecond
	if r.clock.known(voters) >= len(voters) {
		return
	}
	q := question{Round: r.round.Add(1), Term: r.raft.CurrentTerm()}
	b, err := pack(q)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	r.gather(ctx, voters, q, b, len(voters))
}

// poke makes waiting reads look at once who leads now.
func (r *Reads) poke() { poke(r.wake) }

// steer keeps the cluster's clock and what is known of the peers' clocks fresh.
func (r *Reads) steer(ctx context.Context) {
	if _, open := r.lead.Current(); open {
		if p := r.join(ctx); p.err != nil {
			r.log.Debug("clock round not answered", "err", fmt.Sprint(p.err))
		}
	}
	r.clock.steer(r.members.voters())
}

func contains(ids []fsm.NodeID, id fsm.NodeID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}
