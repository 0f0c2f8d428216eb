package scheduler

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// outbox is what the leader has not been told. It is guarded by host.mu. Everything
// in it is bounded by the slots and streams of the node, as a full set replaces it.
type outbox struct {
	seq     uint64
	full    bool
	streams []*stream // have unsent slots or are not told
	drop    []uint64
	closed  []fsm.StreamID
	polled  []fsm.Queue
}

func (h *host) queueLocked(st *stream) {
	if !st.queued {
		st.queued = true
		h.out.streams = append(h.out.streams, st)
	}
}

// setLocked takes everything the leader is to be told, as one set.
func (h *host) setLocked() fsm.SlotSet {
	o := &h.out
	o.seq++
	set := fsm.SlotSet{Term: h.term, Boot: h.boot, Seq: o.seq, Full: o.full, Polled: o.polled}
	for _, st := range o.streams {
		st.queued = false
	}
	if o.full {
		set.Add = h.allLocked()
	} else {
		set.Add = h.addedLocked()
		set.Drop, set.Closed = o.drop, o.closed
	}
	*o = outbox{seq: o.seq}
	return set
}

// allLocked lists every stream that takes leases, also those without a free slot, in
// order: a run that is repeated then goes the same way.
func (h *host) allLocked() []fsm.SlotGroup {
	all := make([]fsm.SlotGroup, 0, len(h.streams))
	for _, id := range slices.Sorted(maps.Keys(h.streams)) {
		st := h.streams[id]
		if st.closing {
			continue
		}
		g := st.groupWithQueues()
		g.Slots = make([]uint64, 0, len(st.open))
		for n := range st.open {
			if _, late := h.in.late[n]; !late {
				g.Slots = append(g.Slots, n)
			}
		}
		slices.Sort(g.Slots)
		st.told, st.unsent = true, nil
		all = append(all, g)
	}
	return all
}

func (h *host) addedLocked() []fsm.SlotGroup {
	added := make([]fsm.SlotGroup, 0, len(h.out.streams))
	for _, st := range h.out.streams {
		if st.done || st.closing {
			continue
		}
		g := fsm.SlotGroup{Stream: st.id, Once: st.once}
		if !st.told {
			g = st.groupWithQueues()
			st.told = true
		}
		g.Slots, st.unsent = st.unsent, nil
		added = append(added, g)
	}
	return added
}

func (st *stream) groupWithQueues() fsm.SlotGroup {
	return fsm.SlotGroup{Stream: st.id, Worker: st.worker, Queues: st.queues, Once: st.once}
}

func (o *outbox) empty() bool {
	return !o.full && len(o.streams)+len(o.drop)+len(o.closed)+len(o.polled) == 0
}

// flushLocked tells the leader what there is to tell: at once if that is this node,
// else it wakes the loop that sends.
func (h *host) flushLocked() {
	for !h.out.empty() {
		if !h.books.leads(h.term) {
			h.announce()
			return
		}
		for _, n := range h.books.register(h.term, h.node, h.setLocked()) {
			h.noteLocked(n.leased())
		}
		h.ticked()
	}
}

// nextSet is what to send to a leader elsewhere. With refresh there is a set even if
// it has nothing to tell, as long as there are streams.
func (h *host) nextSet(refresh bool) (set fsm.SlotSet, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if refresh {
		h.refreshLocked(time.Now())
	}
	if h.term == 0 || h.closed {
		return set, false
	}
	h.flushLocked()
	if h.books.leads(h.term) || h.out.empty() && !(refresh && len(h.streams) > 0) {
		return set, false
	}
	return h.setLocked(), true
}

// resend makes the next set a full one.
func (h *host) resend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.out.full = true
}

// enterTerm begins to register with the leader of term, all slots anew: this node has
// applied everything that earlier terms have left.
func (h *host) enterTermLocked(term uint64) {
	if term > h.term {
		h.term = term
		h.out.full = true
	}
}

// lead lets this node register with itself, as soon as it has observed what from
// holds.
func (h *host) lead(term, from uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leading, h.leadFrom = term, from
	h.out.full = true
	h.reachLocked(h.at)
	h.flushLocked()
}

// reach notes that this node needs no entry up to index any more, which is one of term
// or, with term 0, of a term that is not known.
func (h *host) reach(index, term uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enterTermLocked(term)
	h.reachLocked(index)
	h.flushLocked()
}

func (h *host) reachLocked(index uint64) {
	h.at = max(h.at, index)
	if h.at >= h.leadFrom {
		h.enterTermLocked(h.leading)
	}
}

// runAnnounce sends sets to a leader elsewhere until ctx ends.
func (s *Scheduler) runAnnounce(ctx context.Context) {
	refresh := time.NewTicker(refreshEvery)
	defer refresh.Stop()
	retry := time.NewTimer(idle)
	defer retry.Stop()
	failed := false
	for {
		now := false
		select {
		case <-ctx.Done():
			return
		case <-s.announced:
			if failed {
				continue // a full set for each change would cost too much
			}
		case <-retry.C:
		case <-refresh.C:
			now = true
		}
		set, ok := s.host.nextSet(now)
		if !ok {
			failed = false
			continue
		}
		if err := s.registrar.Register(set); err != nil {
			s.log.Debug("slots not registered", "term", set.Term, "err", err)
			s.host.resend()
			retry.Reset(errandPause)
			failed = true
			continue
		}
		failed = false
	}
}
