package scheduler

import (
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// inbox is the leases that arrive at this node. It is guarded by host.mu.
type inbox struct {
	// late are grants that this node has applied and the leader has not handed over.
	late  map[uint64]fsm.Leased
	order []lateSlot // by time
	timer *time.Timer
	// recent and older are the slots that have got their lease, so that a second
	// delivery is known. The older half is forgotten when the other is full.
	recent, older map[uint64]fsm.Lease
}

type lateSlot struct {
	n    uint64
	when time.Time
}

// maxRecent bounds half of the deliveries remembered: some seconds of the busiest node.
const maxRecent = 65_536

func (in *inbox) remember(l fsm.Leased) {
	if in.recent == nil || len(in.recent) >= maxRecent {
		in.older, in.recent = in.recent, map[uint64]fsm.Lease{}
	}
	in.recent[l.Slot.N] = l.Lease
}

func (in *inbox) arrived(n uint64) bool {
	_, ok := in.recent[n]
	if !ok {
		_, ok = in.older[n]
	}
	return ok
}

// deliver takes a lease, or a note, from the leader.
func (h *host) deliver(l fsm.Leased) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.Lease == 0 {
		h.noteLocked(l)
	} else {
		h.deliverLocked(l)
	}
	h.flushLocked()
}

func (h *host) deliverLocked(l fsm.Leased) {
	n := l.Slot.N
	switch {
	case l.Slot.Node != h.node:
		return
	case l.Slot.Boot != h.boot:
		h.returnLocked(l)
	case h.in.arrived(n):
	default:
		delete(h.in.late, n)
		h.giveLocked(l)
	}
}

// giveLocked hands l to the stream of its slot, or back when the stream has gone.
func (h *host) giveLocked(l fsm.Leased) {
	n := l.Slot.N
	h.in.remember(l)
	st := h.slots[n]
	if st == nil {
		h.returnLocked(l)
		return
	}
	delete(h.slots, n)
	delete(st.open, n)
	h.held.add(st, l, h.clock.Now())
	if !st.once {
		h.out.drop = append(h.out.drop, n)
		st.pump.push(l)
		return
	}
	st.sink <- l // never blocks: there is room for every slot
	if len(st.open) == 0 {
		h.finishLocked(st)
		return
	}
	h.shutLocked(st)
}

// noteLocked takes what the leader says of a slot without a lease.
func (h *host) noteLocked(l fsm.Leased) {
	if l.Slot.Node != h.node || l.Slot.Boot != h.boot {
		return
	}
	if l.Slot.N == 0 {
		h.out.full = true
		return
	}
	st := h.slots[l.Slot.N]
	if st == nil {
		return
	}
	if st.closing {
		h.finishLocked(st)
		return
	}
	if _, late := h.in.late[l.Slot.N]; late {
		return
	}
	if st.once {
		h.shutLocked(st) // its lease is on the way
		return
	}
	h.renewLocked(st, l.Slot.N) // the leader has lost track of it
}

// observe takes what an applied entry says of this node's slots and leases. The
// leader's node needs no word from elsewhere and hands its leases over at once.
func (h *host) observe(b fsm.Batch, leading bool) {
	a := b.Applied
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endLeasesLocked(a.Events)
	for i := range a.Grants {
		l := &a.Grants[i]
		if l.Slot.Node != h.node || l.Slot.Boot != h.boot {
			continue
		}
		h.held.confirm(l)
		if h.in.arrived(l.Slot.N) {
			continue
		}
		st := h.slots[l.Slot.N]
		if leading || st == nil || st.closing {
			h.giveLocked(*l)
			continue
		}
		h.lateLocked(*l)
	}
	h.enterTermLocked(b.Term)
	h.reachLocked(b.Index)
	h.flushLocked()
}

// lateLocked waits for the leader to hand over l.
func (h *host) lateLocked(l fsm.Leased) {
	h.in.late[l.Slot.N] = l
	h.in.order = append(h.in.order, lateSlot{n: l.Slot.N, when: time.Now().Add(deliverAfter)})
	if len(h.in.order) > 1 {
		return
	}
	if h.in.timer == nil {
		h.in.timer = time.AfterFunc(deliverAfter, h.giveLate)
		return
	}
	h.in.timer.Reset(deliverAfter)
}

// giveLate hands over what the leader has not in time.
func (h *host) giveLate() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for len(h.in.order) > 0 {
		o := h.in.order[0]
		if wait := o.when.Sub(now); wait > 0 {
			h.in.timer.Reset(wait)
			break
		}
		h.in.order = h.in.order[1:]
		if l, ok := h.in.late[o.n]; ok {
			h.giveLateLocked(o.n, l)
		}
	}
	h.flushLocked()
}

func (h *host) giveLateLocked(n uint64, l fsm.Leased) {
	delete(h.in.late, n)
	h.giveLocked(l)
}
