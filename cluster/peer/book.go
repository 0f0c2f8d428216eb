package peer

import (
	"slices"
	"sync"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// maxRecords bounds the book. A cluster has at most 15 members; the rest is
	// room for nodes that come and go, and for what strangers and gossip claim.
	maxRecords = 256
	// maxSuggested bounds what gossip may add for one id, so that lies cost a
	// few dials and no more.
	maxSuggested = 4
	// maxAddresses bounds the addresses of one fact and the seeds.
	maxAddresses = 16
)

// Fact is what the cluster itself knows of a node.
type Fact struct {
	ID    fsm.NodeID
	Addrs []string    // host:port, best first
	Key   Fingerprint // zero: not known
	Boot  uint32      // the highest seen
}

// Book remembers, for each node id, where it may be reached and who it was
// when it was last met. Addresses may be wrong without harm. The zero value is
// an empty book. All methods may be called from any goroutine.
type Book struct {
	mu      sync.Mutex
	seeds   []string
	records map[fsm.NodeID]*record
	// changed is told of an id that has a new address or was expelled, zero for
	// all; not while mu is held.
	changed func(fsm.NodeID)
}

type record struct {
	fact      []string
	good      string // where the last handshake succeeded
	suggested []string
	moved     bool // another node answered where this one should be
	key       Fingerprint
	boot      uint32
	nonce     [16]byte // of the process seen last, with boot
	expelled  bool
	member    bool // learnt as a fact
}

// Learn takes a fact from the member table. Its addresses replace those of an
// earlier fact, its key what was seen so far, its boot only a lower one; zero
// fields change nothing.
func (b *Book) Learn(f Fact) {
	b.mu.Lock()
	r := b.recordLocked(f.ID, anyone)
	r.member, r.expelled = true, false
	moved := len(f.Addrs) > 0 && !slices.Equal(r.fact, f.Addrs)
	if moved {
		r.fact = slices.Clone(f.Addrs[:min(len(f.Addrs), maxAddresses)])
		r.good, r.moved = "", false
	}
	if !f.Key.IsZero() {
		r.key = f.Key
	}
	if f.Boot > r.boot {
		r.boot, r.nonce = f.Boot, [16]byte{}
	}
	b.unlockAndTell(moved, f.ID)
}

// Suggest adds an address that somebody claims for id. Only the newest few
// are kept, and none when the book is full.
func (b *Book) Suggest(id fsm.NodeID, addr string) {
	b.mu.Lock()
	r := b.recordLocked(id, nobody)
	fresh := r != nil && addr != "" && !slices.Contains(r.suggested, addr)
	if fresh {
		r.suggested = append([]string{addr}, r.suggested...)
		r.suggested = r.suggested[:min(len(r.suggested), maxSuggested)]
	}
	b.unlockAndTell(fresh, id)
}

// Seed sets the addresses that are tried for every id, last.
func (b *Book) Seed(addrs ...string) {
	b.mu.Lock()
	b.seeds = slices.Clone(addrs[:min(len(addrs), maxAddresses)])
	b.unlockAndTell(true, fsm.NodeID{})
}

// Expel ends the connections with id and refuses new ones, until Learn names
// it again.
func (b *Book) Expel(id fsm.NodeID) {
	b.mu.Lock()
	r := b.recordLocked(id, anyone)
	r.expelled, r.member = true, false
	b.unlockAndTell(true, id)
}

// Resolve gives the addresses to try for id, best first: where it was last
// met, then from facts, then from gossip, then the seeds. Hints that lead to
// another node are left out while its own address does not.
func (b *Book) Resolve(id fsm.NodeID) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	add := func(addrs ...string) {
		for _, a := range addrs {
			if a != "" && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	var hints []string
	moved := false
	if r := b.records[id]; r != nil {
		moved = r.moved
		add(r.good)
		add(r.fact...)
		hints = r.suggested
	}
	for _, a := range slices.Concat(hints, b.seeds) {
		if moved || !b.othersLocked(id, a) {
			add(a)
		}
	}
	return out
}

// othersLocked reports whether an address is where a node other than id should be.
func (b *Book) othersLocked(id fsm.NodeID, addr string) bool {
	for other, r := range b.records {
		if other != id && (r.good == addr || slices.Contains(r.fact, addr)) {
			return true
		}
	}
	return false
}

// Facts gives all that is known of nodes whose key was seen or learnt, with
// the address each was last met at first. The order is by id.
func (b *Book) Facts() []Fact {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Fact
	for id, r := range b.records {
		if r.key.IsZero() {
			continue
		}
		f := Fact{ID: id, Key: r.key, Boot: r.boot}
		if r.good != "" {
			f.Addrs = append(f.Addrs, r.good)
		}
		for _, a := range r.fact {
			if a != r.good {
				f.Addrs = append(f.Addrs, a)
			}
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y Fact) int { return slices.Compare(x.ID[:], y.ID[:]) })
	return out
}

// judge says whether a process with key may speak for the id in h, and
// remembers it if so. live is the process the node has a link with, if any.
func (b *Book) judge(h Hello, key Fingerprint, live *Hello) Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.recordLocked(h.From, unproven)
	if r == nil {
		return RefusedBusy
	}
	switch {
	case r.expelled:
		return RefusedExpelled
	case !r.key.IsZero() && r.key != key:
		return RefusedKey
	case h.Boot < r.boot:
		return RefusedBoot
	case h.Boot == r.boot && r.nonce != [16]byte{} && r.nonce != h.Nonce:
		return RefusedClone
	case live != nil && live.Nonce != h.Nonce:
		return RefusedLive
	}
	r.key, r.boot, r.nonce = key, h.Boot, h.Nonce
	return 0
}

// met remembers that id answered at addr.
func (b *Book) met(id fsm.NodeID, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.records[id]; r != nil {
		r.good, r.moved = addr, false
	}
}

// astray remembers that another node answered at an address of id: hints that seem
// to lead to other nodes may be right after all.
func (b *Book) astray(id fsm.NodeID, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.records[id]; r != nil && (r.good == addr || slices.Contains(r.fact, addr)) {
		r.moved = true
	}
}

// watch sets who is told about changes.
func (b *Book) watch(f func(fsm.NodeID)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed = f
}

// room says whose record may make room for a new one in a full book.
type room int

const (
	nobody   room = iota // for hearsay
	unproven             // for a node that proved its id: those only heard of
	anyone               // for a fact: also those met that are no members
)

// recordLocked finds or makes the record of id. It is nil when the book is
// full and nobody makes room; for a fact it is made nevertheless, since the
// cluster bounds those.
func (b *Book) recordLocked(id fsm.NodeID, who room) *record {
	if r := b.records[id]; r != nil {
		return r
	}
	if len(b.records) >= maxRecords && !b.evictLocked(who) && who != anyone {
		return nil
	}
	if b.records == nil {
		b.records = make(map[fsm.NodeID]*record)
	}
	r := new(record)
	b.records[id] = r
	return r
}

// evictLocked takes one record out, if possible of a node never met.
func (b *Book) evictLocked(who room) bool {
	if who == nobody {
		return false
	}
	var met fsm.NodeID
	for id, r := range b.records {
		if r.member || r.expelled {
			continue
		}
		if r.key.IsZero() {
			delete(b.records, id)
			return true
		}
		met = id
	}
	if who != anyone || met.IsZero() {
		return false
	}
	delete(b.records, met)
	return true
}

func (b *Book) unlockAndTell(tell bool, id fsm.NodeID) {
	f := b.changed
	b.mu.Unlock()
	if tell && f != nil {
		f(id)
	}
}

// expels reports whether id was expelled.
func (b *Book) expels(id fsm.NodeID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.records[id]
	return r != nil && r.expelled
}

// believes reports whether id is known, with this key, and not expelled.
func (b *Book) believes(id fsm.NodeID, key Fingerprint) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.records[id]
	return r != nil && r.key == key && !r.expelled
}
