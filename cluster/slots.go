package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

const (
	// goneAfter is how long a link may be down before the node's slots are taken for
	// gone: a link that is made anew at once loses nothing.
	goneAfter = time.Second
	// maxLeases bounds the leases that wait to be sent to one node, and leaseBytes
	// their payloads. A node finds what was not sent in its own log.
	maxLeases  = 4_096
	leaseBytes = 8 << 20
)

// Slots carries slots to the leader and leases to the nodes that have them. Its methods
// may be called from any goroutine and do not wait.
type Slots struct {
	self  fsm.NodeID
	links links
	lead  *Leadership
	log   *slog.Logger
	host  SlotHost
	local func(fsm.Leased)

	wake chan struct{} // capacity 1

	mu  sync.Mutex
	box map[fsm.NodeID]*leases
}

// leases are those that wait for one node.
type leases struct {
	list  []fsm.Leased
	bytes int
}

// Register hands a set to the node that leads its term. An error says that it did not
// leave this node.
func (s *Slots) Register(set fsm.SlotSet) error {
	to := s.lead.nodeOf(set.Term)
	switch {
	case to.IsZero():
		return fmt.Errorf("register slots in term %d: %w", set.Term, fsm.ErrNoLeader)
	case to == s.self:
		s.host.Register(set.Term, s.self, set)
		return nil
	}
	b, err := pack(set)
	if err != nil {
		return err
	}
	if err := s.links.Cast(to, peer.Slots, b); err != nil {
		return fmt.Errorf("register slots: %w", err)
	}
	return nil
}

// Deliver hands a lease to the node that has its slot. An error says that it was not
// handed over. Leases to one node keep their order.
func (s *Slots) Deliver(node fsm.NodeID, l fsm.Leased) error {
	if node == s.self {
		s.local(l)
		return nil
	}
	if !s.links.Connected(node) {
		return fmt.Errorf("deliver to %s: %w", node, peer.ErrNotSent)
	}
	s.mu.Lock()
	q := s.box[node]
	if q == nil {
		q = &leases{}
		s.box[node] = q
	}
	if len(q.list) >= maxLeases || q.bytes+len(l.Input) > leaseBytes {
		s.mu.Unlock()
		return fmt.Errorf("deliver to %s: %w: too many leases wait", node, peer.ErrNotSent)
	}
	q.list = append(q.list, l)
	q.bytes += len(l.Input)
	s.mu.Unlock()
	poke(s.wake)
	return nil
}

// run sends leases until ctx ends.
func (s *Slots) run(ctx context.Context) {
	for {
		select {
		case <-s.wake:
			s.send()
		case <-ctx.Done():
			return
		}
	}
}

func (s *Slots) send() {
	s.mu.Lock()
	box := s.box
	s.box = make(map[fsm.NodeID]*leases, len(box))
	s.mu.Unlock()
	for node, q := range box {
		w := out{make([]byte, 0, 1024)}
		for i := range q.list {
			writeLeased(&w, &q.list[i])
			if len(w.b) >= frameBytes || i == len(q.list)-1 {
				if err := s.links.Cast(node, peer.Deliver, w.b); err != nil {
					s.log.Debug("leases not sent", "peer", node, "err", err)
				}
				w.b = make([]byte, 0, 1024)
			}
		}
	}
}

// takeLeases takes leases of the leader, on the goroutine of the link.
func (s *Slots) takeLeases(_ context.Context, _ fsm.NodeID, b []byte) ([]byte, error) {
	r := in{b: b}
	for len(r.b) > 0 && r.err == nil {
		l := readLeased(&r)
		if r.err == nil {
			s.local(l)
		}
	}
	return nil, r.err
}

// takeSlots takes slots of another node, on the goroutine of the link.
func (s *Slots) takeSlots(_ context.Context, from fsm.NodeID, b []byte) ([]byte, error) {
	var set fsm.SlotSet
	if err := unpack(b, &set); err != nil {
		return nil, err
	}
	s.host.Register(set.Term, from, set)
	return nil, nil
}

// down takes note of a link that went.
func (s *Slots) down(id fsm.NodeID) {
	time.AfterFunc(goneAfter, func() {
		if !s.links.Connected(id) {
			s.host.Gone(id)
		}
	})
}

func writeLeased(w *out, l *fsm.Leased) {
	w.slot(l.Slot)
	w.task(l.Task)
	w.fixed(uint64(l.Lease))
	for _, s := range [...]string{string(l.Queue), l.Type, l.Ref, l.Definition, l.Correlation, l.Worker} {
		w.str(s)
	}
	w.num(uint64(l.Retry))
	w.num(uint64(l.Iteration))
	w.int(int64(l.Priority))
	w.bytes(l.Input)
	w.int(int64(l.Scheduled))
	w.int(int64(l.ResponseMillis))
	w.queues(l.Hints)
	w.num(l.Index)
	w.strs(l.Wants)
}

func readLeased(r *in) fsm.Leased {
	return fsm.Leased{
		Slot: r.slot(), Task: r.task(), Lease: fsm.Lease(r.fixed()),
		Queue: fsm.Queue(r.str()), Type: r.str(), Ref: r.str(), Definition: r.str(), Correlation: r.str(), Worker: r.str(),
		Retry: uint32(r.num()), Iteration: uint32(r.num()), Priority: int32(r.int()), Input: append([]byte(nil), r.bytes()...),
		Scheduled: fsm.Millis(r.int()), ResponseMillis: fsm.Millis(r.int()), Hints: r.queues(), Index: r.num(), Wants: r.strs(),
	}
}
