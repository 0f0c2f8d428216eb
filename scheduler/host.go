package scheduler

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// host keeps this node's own slots and the leases its workers hold. Its lock may be
// held while that of books is taken, never the other way round.
type host struct {
	node  fsm.NodeID
	boot  uint32
	clock Clock
	books *books
	// errand and announce wake the loops that speak to the log and to the leader,
	// ticked the one that asks for entries.
	errand, announce, ticked func()

	mu         sync.Mutex
	term       uint64 // newest that this node has applied an entry of
	at         uint64 // newest entry that this node has observed, or has from a View
	leading    uint64 // term that this node was told to lead, if newer than term
	leadFrom   uint64 // entry at which leading may be entered
	closed     bool   // Run has ended
	pumps      sync.WaitGroup
	lastStream fsm.StreamID
	lastSlot   uint64
	streams    map[fsm.StreamID]*stream
	slots      map[uint64]*stream // ungranted
	bytes      int                // of all streams
	domains    map[fsm.Queue]*domain
	out        outbox
	in         inbox
	held       held
	returns    []errand
}

// stream is one connection or parked poll.
type stream struct {
	id     fsm.StreamID
	worker string
	queues []fsm.Queue
	once   bool
	bytes  int // see specBytes

	told    bool // the leader of this term knows it
	unsent  []uint64
	queued  bool // in outbox.streams
	closing bool // a poll that wants no more, and waits for what is under way
	done    bool
	open    map[uint64]struct{} // ungranted slots
	leases  map[fsm.TaskID]*holding

	// sink takes leases; a poll's has room for all its slots.
	sink  chan fsm.Leased
	pump  *pump // of a stream that is no poll
	stop  func() bool
	timer *time.Timer // ends closing
}

// domain is a queue of a domain that streams of this node serve.
type domain struct {
	streams int
	polled  time.Time
}

func newHost(node fsm.NodeID, boot uint32, clock Clock, b *books) *host {
	return &host{
		node: node, boot: boot, clock: clock, books: b,
		streams: map[fsm.StreamID]*stream{},
		slots:   map[uint64]*stream{},
		domains: map[fsm.Queue]*domain{},
		in:      inbox{late: map[uint64]fsm.Leased{}},
		held:    newHeld(),
	}
}

func checkSpec(sp *fsm.SlotSpec) error {
	bad := func(field, msg string) error {
		return &fsm.Rejection{Code: fsm.Malformed, Field: field, Message: field + ": " + msg}
	}
	switch {
	case len(sp.Worker) > fsm.MaxName:
		return bad("worker", "longer than "+strconv.Itoa(fsm.MaxName)+" bytes")
	case len(sp.Queues) == 0 || len(sp.Queues) > fsm.MaxQueuesPerWorker:
		return bad("queues", "from 1 to "+strconv.Itoa(fsm.MaxQueuesPerWorker)+" are allowed")
	case sp.Credit < 0 || sp.Credit > MaxStreamSlots || sp.Once && sp.Credit == 0:
		return bad("credit", "out of range")
	}
	seen := make(map[fsm.Queue]struct{}, len(sp.Queues))
	for _, q := range sp.Queues {
		if q == "" || len(q) > 2*fsm.MaxName+1 {
			return bad("queues", "a name is empty or too long")
		}
		if _, dup := seen[q]; dup {
			return bad("queues", "a name is given twice")
		}
		seen[q] = struct{}{}
	}
	return nil
}

// specBytes is about what a stream takes in a registration, without its slots.
func specBytes(sp *fsm.SlotSpec) int {
	n := 64 + len(sp.Worker)
	for _, q := range sp.Queues {
		n += 8 + len(q)
	}
	return n
}

// park opens a stream and its first slots.
func (h *host) park(ctx context.Context, sp fsm.SlotSpec) (*stream, error) {
	if err := checkSpec(&sp); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.streams) >= MaxStreams || len(h.slots)+sp.Credit > MaxSlots || h.bytes+specBytes(&sp) > maxStreamBytes {
		return nil, &fsm.OverloadedError{Reason: "slots", RetryAfter: 1000}
	}
	h.lastStream++
	st := &stream{
		id: h.lastStream, worker: sp.Worker, queues: append([]fsm.Queue(nil), sp.Queues...), once: sp.Once,
		open: map[uint64]struct{}{}, leases: map[fsm.TaskID]*holding{},
	}
	if sp.Once {
		st.sink = make(chan fsm.Leased, sp.Credit)
	} else {
		st.sink = make(chan fsm.Leased)
		st.pump = newPump()
		h.pumps.Go(func() { st.pump.run(st.sink, h.giveBack) })
	}
	h.streams[st.id] = st
	st.bytes = specBytes(&sp)
	h.bytes += st.bytes
	h.joinDomainsLocked(st)
	h.openLocked(st, sp.Credit)
	h.queueLocked(st)
	h.flushLocked()
	return st, nil
}

// watch ends the stream with ctx.
func (h *host) watch(ctx context.Context, st *stream) {
	stop := context.AfterFunc(ctx, func() { h.leave(st) })
	h.mu.Lock()
	defer h.mu.Unlock()
	st.stop = stop
	if st.done {
		stop()
	}
}

func (h *host) count(c *Counts) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Streams, c.Slots, c.Held, c.Returning = len(h.streams), len(h.slots), len(h.held.tasks), len(h.returns)
}

// credit opens n more slots, as far as the bounds allow.
func (h *host) credit(id fsm.StreamID, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.streams[id]
	if st == nil || st.once || st.done {
		return
	}
	n = min(n, MaxStreamSlots-len(st.open)-st.pump.len(), MaxSlots-len(h.slots))
	if n <= 0 {
		return
	}
	h.openLocked(st, n)
	h.flushLocked()
}

func (h *host) openLocked(st *stream, n int) {
	for range n {
		h.lastSlot++
		st.open[h.lastSlot] = struct{}{}
		st.unsent = append(st.unsent, h.lastSlot)
		h.slots[h.lastSlot] = st
	}
	if n > 0 {
		h.queueLocked(st)
	}
}

// leave is called when the context of a stream has ended: a stream ends at once, a
// poll when nothing of it is under way.
func (h *host) leave(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st.once {
		h.shutLocked(st)
	} else {
		h.finishLocked(st)
	}
	h.flushLocked()
}

// shutLocked lets a poll take only what is under way already.
func (h *host) shutLocked(st *stream) {
	if st.done || st.closing {
		return
	}
	st.closing = true
	for n, l := range h.in.late {
		if h.slots[n] == st {
			h.giveLateLocked(n, l)
		}
	}
	if len(st.open) == 0 || !st.told {
		h.finishLocked(st)
		return
	}
	h.out.closed = append(h.out.closed, st.id)
	st.timer = time.AfterFunc(lingerFor, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.finishLocked(st)
	})
}

// finishLocked ends a stream: its channel closes, and what still comes for it is
// given back.
func (h *host) finishLocked(st *stream) {
	if st.done {
		return
	}
	st.done = true
	if st.timer != nil {
		st.timer.Stop()
	}
	if st.stop != nil {
		st.stop()
	}
	if st.told && !st.closing {
		h.out.closed = append(h.out.closed, st.id)
	}
	for n := range st.open {
		delete(h.slots, n)
		if l, ok := h.in.late[n]; ok {
			delete(h.in.late, n)
			h.returnLocked(l)
		}
	}
	delete(h.streams, st.id)
	h.bytes -= st.bytes
	for _, q := range st.queues {
		if d := h.domains[q]; d != nil {
			d.streams--
		}
	}
	h.held.orphan(st)
	if st.pump == nil {
		close(st.sink)
		return
	}
	for _, l := range st.pump.end() {
		h.returnLocked(l)
	}
}

func (h *host) joinDomainsLocked(st *stream) {
	for _, q := range st.queues {
		if !hasDomain(q) {
			continue
		}
		d := h.domains[q]
		if d == nil {
			d = &domain{}
			h.domains[q] = d
		}
		d.streams++
		h.pollDomainLocked(q, d, time.Now())
	}
}

func (h *host) pollDomainLocked(q fsm.Queue, d *domain, now time.Time) {
	if left(d.polled, time.Duration(seenEvery)*time.Millisecond, now) == 0 {
		d.polled = now
		h.out.polled = append(h.out.polled, q)
	}
}

// refreshLocked keeps the queues of domains active while streams serve them, and
// forgets those that nobody has served for long.
func (h *host) refreshLocked(now time.Time) {
	for q, d := range h.domains {
		if d.streams > 0 {
			h.pollDomainLocked(q, d, now)
		} else if now.Sub(d.polled) > time.Duration(seenStale)*time.Millisecond {
			delete(h.domains, q)
		}
	}
}

// close ends all streams when Run ends.
func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, st := range h.streams {
		h.finishLocked(st)
	}
}
