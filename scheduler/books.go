package scheduler

import (
	"slices"
	"sync"

	"github.com/pawlhq/pawl/fsm"
)

// books is what the leader knows of the cluster's slots and queues. On a node that
// does not lead it keeps only what a later leader needs: hints, and registrations
// that came early. No method calls out; what nodes must be told is returned as notes.
type books struct {
	clock Clock

	mu     sync.Mutex
	term   uint64 // 0 while this node does not lead
	from   uint64 // entries at or below it are in the View that the books began with
	nodes  map[nodeBoot]*nodeBook
	queues map[fsm.Queue]*queue
	kinds  map[string]*kind
	hungry []*kind
	notes  []note
	// stamps are the offers under way, by the first of their slice: a settlement that
	// belongs to an earlier term must not free what this one has offered.
	stamps map[*fsm.Offer]struct{}
	polled []*queue // have unseen set
	time   pacing

	hints  hints
	starts starts
	early  early
}

// early keeps sets for the newest term that this node does not lead yet.
type early struct {
	term uint64
	sets map[fsm.NodeID][]fsm.SlotSet
}

// note is what the leader tells a node outside of grants.
type note struct {
	node fsm.NodeID
	boot uint32
	n    uint64 // slot that is not under way; 0 asks for a full set
}

func (n note) leased() fsm.Leased {
	return fsm.Leased{Slot: fsm.Slot{Node: n.node, Boot: n.boot, N: n.n}}
}

func newBooks(clock Clock) *books {
	b := &books{clock: clock, starts: starts{}}
	b.clearLocked()
	return b
}

func (b *books) clearLocked() {
	b.term, b.from = 0, 0
	b.nodes = map[nodeBoot]*nodeBook{}
	b.queues = map[fsm.Queue]*queue{}
	b.kinds = map[string]*kind{}
	b.hungry, b.notes, b.polled = nil, nil, nil
	b.stamps = map[*fsm.Offer]struct{}{}
	b.time = pacing{}
}

func (b *books) takeNotesLocked() []note {
	n := b.notes
	b.notes = nil
	return n
}

// leads reports whether the books are open for term.
func (b *books) leads(term uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return term != 0 && b.term == term
}

func (b *books) lead(term uint64, v fsm.View) []note {
	b.mu.Lock()
	defer b.mu.Unlock()
	if term <= b.term {
		return nil
	}
	b.clearLocked()
	b.term = term
	b.readLocked(v)
	if b.early.term == term {
		for id, sets := range b.early.sets {
			for _, set := range sets {
				b.setLocked(id, set)
			}
		}
	}
	if b.early.term <= term {
		b.early = early{}
	}
	return b.takeNotesLocked()
}

// readLocked takes over what a View counts. Slots stay.
func (b *books) readLocked(v fsm.View) {
	b.from = v.Index()
	for _, q := range b.queues {
		q.ready = 0
	}
	for p := range v.Permits() {
		b.kindLocked(p.Type).free = p.Free
	}
	for r := range v.Ready() {
		b.readyLocked(r)
	}
	for _, k := range b.kinds {
		b.listLocked(k)
	}
	b.starts.load(v)
	b.time.observe(v.NextDue(), v.DueHints(), v.More())
}

func (b *books) resign(term uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.term != 0 && b.term <= term {
		b.clearLocked()
	}
}

// begin reads what is kept without leading too.
func (b *books) begin(v fsm.View) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.term == 0 {
		b.starts.load(v)
	}
}

// relapse begins anew from v after entries were missed. What was offered in those is
// not known: such slots are given up, and their nodes replace them.
func (b *books) relapse(v fsm.View) []note {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starts.load(v)
	if b.term == 0 || v.Index() <= b.from {
		return nil
	}
	for _, nb := range b.nodes {
		for _, s := range nb.slots {
			if s.state != slotOffered {
				continue
			}
			b.landLocked(s)
			s.markUsed()
			b.notes = append(b.notes, note{node: nb.id, boot: nb.boot, n: s.n})
			b.resolveLocked(s.g)
		}
	}
	b.readLocked(v)
	return b.takeNotesLocked()
}

// gone ends the slots of a node that cannot be reached. Those that are offered stay
// on the books until their entry is observed.
func (b *books) gone(id fsm.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.early.sets, id)
	for _, nb := range b.nodes {
		if nb.id == id {
			b.dropNodeLocked(nb)
		}
	}
	b.notes = nil // nobody is there to be told
}

func (b *books) dropNodeLocked(nb *nodeBook) {
	nb.seq = 0
	for _, g := range nb.groups {
		b.closeLocked(g)
	}
	b.forgetNodeLocked(nb)
}

// forgetNodeLocked ends the book of a node that must register anew, once no entry
// under way names a slot of it.
func (b *books) forgetNodeLocked(nb *nodeBook) {
	if nb.seq == 0 && len(nb.groups) == 0 {
		delete(b.nodes, nodeBoot{nb.id, nb.boot})
	}
}

func (b *books) closeLocked(g *group) {
	if g.closed {
		return
	}
	g.closed = true
	b.emptyLocked(g)
	b.resolveLocked(g)
}

// register takes a set that a node has sent for term.
func (b *books) register(term uint64, id fsm.NodeID, set fsm.SlotSet) []note {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case term == 0 || term < b.term:
	case term == b.term:
		b.setLocked(id, set)
	case term >= b.early.term:
		b.earlyLocked(term, id, set)
	}
	return b.takeNotesLocked()
}

func (b *books) earlyLocked(term uint64, id fsm.NodeID, set fsm.SlotSet) {
	if term > b.early.term {
		b.early = early{term: term, sets: map[fsm.NodeID][]fsm.SlotSet{}}
	}
	sets := b.early.sets[id]
	if set.Full {
		sets = nil
	}
	if len(sets) < maxEarly { // beyond it there is a gap, and a full set will be asked for
		b.early.sets[id] = append(sets, set)
	}
}

func (b *books) setLocked(id fsm.NodeID, set fsm.SlotSet) {
	nb := b.nodeLocked(id, set.Boot)
	if nb == nil || set.Seq <= nb.seq {
		return
	}
	if !set.Full && (nb.seq == 0 || set.Seq != nb.seq+1) {
		b.askLocked(nb, len(set.Add)+len(set.Drop)+len(set.Closed) == 0)
		return
	}
	nb.seq = set.Seq
	if set.Full {
		b.keepListedLocked(nb, set)
		nb.gaps = 0
	}
	for i := range set.Add {
		if !b.addLocked(nb, &set.Add[i]) {
			nb.seq = 0
			b.askLocked(nb, true)
			return
		}
	}
	for _, n := range set.Drop {
		b.dropLocked(nb, n)
	}
	b.polledLocked(set.Polled)
	for _, st := range set.Closed {
		if g := nb.groups[st]; g != nil {
			b.closeLocked(g)
		}
	}
}

// nodeLocked is the book of one boot of a node, nil when a later boot is known.
func (b *books) nodeLocked(id fsm.NodeID, boot uint32) *nodeBook {
	if nb := b.nodes[nodeBoot{id, boot}]; nb != nil {
		return nb
	}
	for _, nb := range b.nodes {
		if nb.id == id && nb.boot > boot {
			return nil
		}
	}
	for _, nb := range b.nodes {
		if nb.id == id {
			b.dropNodeLocked(nb)
		}
	}
	nb := &nodeBook{id: id, boot: boot, groups: map[fsm.StreamID]*group{}, slots: map[uint64]*slot{}}
	b.nodes[nodeBoot{id, boot}] = nb
	return nb
}

// askLocked asks a node for a full set, once for some sets that show a gap, since
// more of them are under way when the first is met. quiet says that the set had
// nothing else to tell: a node sends such sets until it is answered.
func (b *books) askLocked(nb *nodeBook, quiet bool) {
	nb.gaps++
	if quiet || nb.gaps%64 == 1 {
		b.notes = append(b.notes, note{node: nb.id, boot: nb.boot})
	}
}

// keepListedLocked ends what a full set does not list.
func (b *books) keepListedLocked(nb *nodeBook, set fsm.SlotSet) {
	streams := make(map[fsm.StreamID]struct{}, len(set.Add))
	listed := map[uint64]struct{}{}
	for i := range set.Add {
		streams[set.Add[i].Stream] = struct{}{}
		for _, n := range set.Add[i].Slots {
			listed[n] = struct{}{}
		}
	}
	for id, g := range nb.groups {
		if _, ok := streams[id]; !ok {
			b.closeLocked(g)
		}
	}
	for n := range nb.slots {
		if _, ok := listed[n]; !ok {
			b.dropLocked(nb, n)
		}
	}
}

// addLocked takes slots of one stream. It says false when the stream is not known and
// g does not tell its queues.
func (b *books) addLocked(nb *nodeBook, sg *fsm.SlotGroup) bool {
	g := nb.groups[sg.Stream]
	if g == nil {
		if len(sg.Queues) == 0 || len(nb.groups) >= MaxStreams {
			return len(sg.Queues) > 0
		}
		g = b.groupLocked(nb, sg)
	}
	g.closed = false // its node was away: a stream that has ended is not listed again
	for _, n := range sg.Slots {
		if s := nb.slots[n]; s != nil {
			s.gone = false
			continue
		}
		if g.shut {
			g.lost, g.any = true, n
			continue
		}
		if len(nb.slots) >= 2*MaxSlots { // granted ones are kept until acknowledged
			return true
		}
		s := &slot{g: g, n: n}
		nb.slots[n] = s
		b.freeLocked(s, false)
	}
	return true
}

func (b *books) groupLocked(nb *nodeBook, sg *fsm.SlotGroup) *group {
	queues := sg.Queues[:min(len(sg.Queues), fsm.MaxQueuesPerWorker)]
	g := &group{node: nb, id: sg.Stream, worker: sg.Worker, once: sg.Once, members: make([]member, len(queues))}
	for i, name := range queues {
		q := b.queueLocked(name)
		q.refs++
		g.members[i] = member{g: g, q: q}
	}
	nb.groups[g.id] = g
	return g
}

// dropLocked ends a slot that its node says is gone or has been granted.
func (b *books) dropLocked(nb *nodeBook, n uint64) {
	s := nb.slots[n]
	if s == nil {
		return
	}
	switch s.state {
	case slotOffered:
		s.gone = true
	case slotUsed:
		delete(s.g.used, n)
		delete(nb.slots, n)
	case slotFree:
		delete(nb.slots, n)
		s.g.remove(s)
	}
}

func (g *group) remove(s *slot) {
	for i, f := range g.free {
		if f == s {
			g.free = append(g.free[:i], g.free[i+1:]...)
			return
		}
	}
}

func (b *books) queueLocked(name fsm.Queue) *queue {
	q := b.queues[name]
	if q == nil {
		q = &queue{name: name}
		b.queues[name] = q
	}
	return q
}

func (b *books) kindLocked(name string) *kind {
	k := b.kinds[name]
	if k == nil {
		k = &kind{name: name, free: -1}
		b.kinds[name] = k
	}
	return k
}

// readyLocked notes how many tasks of a queue could be leased.
func (b *books) readyLocked(r fsm.QueueReady) {
	q := b.queues[r.Queue]
	if q == nil {
		if r.Ready == 0 {
			return
		}
		q = b.queueLocked(r.Queue)
	}
	q.ready = r.Ready
	b.assignLocked(q, r.Type)
	b.checkLocked(q)
	b.pruneLocked(q)
}

// assignLocked puts a queue under the limit of a task type. That changes once at most:
// when tasks of a second type come into the queue, its ready tasks are told without
// those that have no permit, and no one limit holds for it any more.
func (b *books) assignLocked(q *queue, taskType string) {
	k := b.kindLocked(taskType)
	if q.kind == k {
		return
	}
	if old := q.kind; old != nil {
		old.flying -= q.flying
		if q.hungry {
			q.hungry = false
			old.hungry = slices.DeleteFunc(old.hungry, func(x *queue) bool { return x == q })
		}
		b.listLocked(old)
	}
	q.kind = k
	k.flying += q.flying
}

// settle frees offers that surely did not reach the log. Those that were applied are
// settled by what the entry did with them.
func (b *books) settle(offers []fsm.Offer, applied bool) []note {
	if len(offers) == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.stamps[&offers[0]]; !ok {
		return nil
	}
	delete(b.stamps, &offers[0])
	if !applied {
		for i := len(offers) - 1; i >= 0; i-- {
			b.unusedLocked(offers[i].Slot)
		}
		b.time.retryDue()
	}
	return b.takeNotesLocked()
}

func (b *books) slotLocked(id fsm.Slot) *slot {
	nb := b.nodes[nodeBoot{id.Node, id.Boot}]
	if nb == nil {
		return nil
	}
	return nb.slots[id.N]
}

func (b *books) unusedLocked(id fsm.Slot) {
	s := b.slotLocked(id)
	if s == nil || s.state != slotOffered {
		return
	}
	q := b.landLocked(s)
	b.freeLocked(s, true)
	b.checkLocked(q)
	b.pruneLocked(q)
}

// observe takes in one applied entry. It reports whether this node leads by it, so
// that grants are handed over from here.
func (b *books) observe(index uint64, a *fsm.Applied) (leading bool, notes []note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hints.observe(a)
	b.starts.observe(a.Defined)
	if b.term == 0 || index <= b.from {
		return false, nil
	}
	b.from = index
	for _, p := range a.Permits {
		b.kindLocked(p.Type).free = p.Free
	}
	for i := range a.Grants {
		if s := b.slotLocked(a.Grants[i].Slot); s != nil && s.state == slotOffered {
			q := b.landLocked(s)
			b.usedLocked(s)
			b.checkLocked(q)
		}
	}
	for i := len(a.Unused) - 1; i >= 0; i-- {
		b.unusedLocked(a.Unused[i].Slot)
	}
	for _, r := range a.Ready {
		b.readyLocked(r)
	}
	for _, p := range a.Permits {
		b.listLocked(b.kindLocked(p.Type))
	}
	b.time.observe(a.NextDue, a.DueHints, a.More)
	return true, b.takeNotesLocked()
}
