package scheduler

import (
	"math"

	"github.com/pawlhq/pawl/fsm"
)

// nodeBoot names one start of a node.
type nodeBoot struct {
	id   fsm.NodeID
	boot uint32
}

// nodeBook is what the leader knows of one node's slots in this term.
type nodeBook struct {
	id     fsm.NodeID
	boot   uint32
	seq    uint64 // 0: it must register anew
	gaps   int    // sets since the last one that could be used
	groups map[fsm.StreamID]*group
	slots  map[uint64]*slot
}

// group is the slots of one stream.
type group struct {
	node    *nodeBook
	id      fsm.StreamID
	worker  string
	members []member
	once    bool
	shut    bool // by its first grant, when once: nothing is offered any more
	closed  bool // by its node: goes when nothing flies
	told    bool // the node knows that nothing flies
	lost    bool // a slot ended without a grant after the group was shut or closed
	any     uint64
	free    []*slot // the last is taken first
	flying  int
	used    map[uint64]struct{} // granted slots that the node has not acknowledged
}

// member is a group's place in the ring of one of its queues. It is in the ring at
// least while the group has a free slot; a ring drops a member without one when it
// meets it.
type member struct {
	g          *group
	q          *queue
	prev, next *member
	in         bool
}

type slotState uint8

const (
	slotFree slotState = iota
	slotOffered
	slotUsed // granted; kept until its node acknowledges, as a set under way may still list it
)

type slot struct {
	g     *group
	n     uint64
	state slotState
	gone  bool   // dropped by its node while offered
	q     *queue // while offered
}

// queue is what the leader knows of one queue.
type queue struct {
	name   fsm.Queue
	kind   *kind // nil until State has named the task type
	ready  int
	flying int // slots offered, not yet observed
	refs   int // members that name it
	// ring of members, front first.
	front, back *member
	hungry      bool // in kind.hungry
	seen        fsm.Millis
	polled      fsm.Millis
	unseen      bool // in books.polled
}

// kind is a task type: the limit that its queues share.
type kind struct {
	name   string
	free   int // permits; negative: no limit
	flying int
	hungry []*queue // have tasks and slots; some may have changed since
	listed bool     // in books.hungry
}

// room is how many more offers make sense under the limit.
func (k *kind) room() int {
	if k.free < 0 {
		return math.MaxInt
	}
	return k.free - k.flying
}

func (q *queue) pushFront(m *member) {
	m.in, m.prev, m.next = true, nil, q.front
	if q.front != nil {
		q.front.prev = m
	} else {
		q.back = m
	}
	q.front = m
}

func (q *queue) pushBack(m *member) {
	m.in, m.next, m.prev = true, nil, q.back
	if q.back != nil {
		q.back.next = m
	} else {
		q.front = m
	}
	q.back = m
}

func (q *queue) unlink(m *member) {
	if !m.in {
		return
	}
	if m.prev != nil {
		m.prev.next = m.next
	} else {
		q.front = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	} else {
		q.back = m.prev
	}
	m.in, m.prev, m.next = false, nil, nil
}

// head is the next member with a free slot; it clears the way to it.
func (q *queue) head() *member {
	for q.front != nil && len(q.front.g.free) == 0 {
		q.unlink(q.front)
	}
	return q.front
}

// eligible reports whether q has more tasks than offers, and a slot for one.
func (q *queue) eligible() bool { return q.ready > q.flying && q.head() != nil }

// takeLocked offers up to n free slots to q and appends them to offers. A group of a
// poll is emptied before the next, so that a batch is filled; streams take turns.
func (b *books) takeLocked(q *queue, n int, offers []fsm.Offer) []fsm.Offer {
	for ; n > 0; n-- {
		m := q.head()
		if m == nil {
			break
		}
		g := m.g
		s := g.free[len(g.free)-1]
		g.free = g.free[:len(g.free)-1]
		s.state, s.q = slotOffered, q
		g.flying++
		q.flying++
		if q.kind != nil {
			q.kind.flying++
		}
		if len(g.free) == 0 {
			q.unlink(m)
		} else if !g.once && q.front != q.back {
			q.unlink(m)
			q.pushBack(m)
		}
		offers = append(offers, fsm.Offer{
			Slot:   fsm.Slot{Node: g.node.id, Boot: g.node.boot, N: s.n},
			Queue:  q.name,
			Worker: g.worker,
		})
	}
	return offers
}

// landLocked takes an offered slot out of the air.
func (b *books) landLocked(s *slot) *queue {
	q := s.q
	s.q = nil
	s.g.flying--
	q.flying--
	if q.kind != nil {
		q.kind.flying--
	}
	return q
}

// checkLocked lists q if there is something to offer for it.
func (b *books) checkLocked(q *queue) {
	if q.kind == nil {
		return
	}
	if !q.hungry && q.eligible() {
		q.hungry = true
		q.kind.hungry = append(q.kind.hungry, q)
	}
	b.listLocked(q.kind)
}

func (b *books) listLocked(k *kind) {
	if !k.listed && len(k.hungry) > 0 && k.room() > 0 {
		k.listed = true
		b.hungry = append(b.hungry, k)
	}
}

// needLocked appends offers for what waits, until there are max. Each queue it looks
// at in vain was listed by a change, so the work is bounded by changes.
func (b *books) needLocked(max int, offers []fsm.Offer) []fsm.Offer {
	for len(b.hungry) > 0 && len(offers) < max {
		k := b.hungry[0]
		b.hungry = b.hungry[1:]
		k.listed = false
		offers = b.feedLocked(k, max, offers)
		b.listLocked(k)
	}
	return offers
}

func (b *books) feedLocked(k *kind, max int, offers []fsm.Offer) []fsm.Offer {
	for len(k.hungry) > 0 && len(offers) < max && k.room() > 0 {
		q := k.hungry[0]
		if q.eligible() {
			n := min(q.ready-q.flying, k.room(), max-len(offers))
			offers = b.takeLocked(q, n, offers)
		}
		k.hungry = k.hungry[1:]
		if q.eligible() {
			k.hungry = append(k.hungry, q) // others first
			continue
		}
		q.hungry = false
		b.pruneLocked(q)
	}
	return offers
}

// freeLocked makes s free, or ends it when its group or node wants no more of it.
// With first it is the next to be taken.
func (b *books) freeLocked(s *slot, first bool) {
	g := s.g
	if s.gone || g.shut || g.closed {
		delete(g.node.slots, s.n)
		g.lost, g.any = true, s.n
		b.resolveLocked(g)
		return
	}
	s.state = slotFree
	g.free = append(g.free, s)
	if len(g.free) > 1 {
		return // its queues know
	}
	for i := range g.members {
		m := &g.members[i]
		if !m.in {
			if first {
				m.q.pushFront(m)
			} else {
				m.q.pushBack(m)
			}
		}
		b.checkLocked(m.q)
	}
}

// usedLocked ends a slot by a grant.
func (b *books) usedLocked(s *slot) {
	g := s.g
	s.markUsed()
	if g.once && !g.shut {
		g.shut = true
		b.emptyLocked(g)
	}
	b.resolveLocked(g)
}

func (s *slot) markUsed() {
	s.state = slotUsed
	if s.g.used == nil {
		s.g.used = map[uint64]struct{}{}
	}
	s.g.used[s.n] = struct{}{}
}

// emptyLocked ends the free slots of g and takes it out of the rings.
func (b *books) emptyLocked(g *group) {
	for _, s := range g.free {
		delete(g.node.slots, s.n)
		g.lost, g.any = true, s.n
	}
	g.free = nil
	for i := range g.members {
		m := &g.members[i]
		m.q.unlink(m)
	}
}

// resolveLocked lets g go when its node has closed it and nothing of it flies, and
// tells a poll so.
func (b *books) resolveLocked(g *group) {
	if g.flying > 0 || !g.shut && !g.closed {
		return
	}
	if g.once && g.lost && !g.told {
		g.told = true
		b.notes = append(b.notes, note{node: g.node.id, boot: g.node.boot, n: g.any})
	}
	if !g.closed {
		return
	}
	delete(g.node.groups, g.id)
	for n := range g.used {
		delete(g.node.slots, n)
	}
	for i := range g.members {
		q := g.members[i].q
		q.refs--
		b.pruneLocked(q)
	}
	g.members = nil
	b.forgetNodeLocked(g.node)
}

// pruneLocked forgets a queue that nothing is known of.
func (b *books) pruneLocked(q *queue) {
	if q.refs == 0 && q.ready == 0 && q.flying == 0 && !q.hungry && !q.unseen {
		delete(b.queues, q.name)
	}
}
