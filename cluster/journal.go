package cluster

import (
	"context"
	"sync"

	"github.com/pawlhq/pawl/fsm"
)

// Bounds of the journal: enough for a reader that is some seconds behind at full load.
// A reader further behind than that starts from a View, which costs less than the
// memory to spare it.
const (
	journalEntries = 65_536
	journalBytes   = 64 << 20
)

// Journal keeps what was applied last, for readers on this node. Appending never
// waits: a reader that is too slow is overtaken, and told.
type Journal struct {
	mu   sync.Mutex
	ring []record // from first, len used
	head int      // position of the oldest
	used int
	size int
	// floor is the index up to which nothing is kept; everything after it is there.
	floor uint64
	epoch uint64        // raised by each reset
	wake  chan struct{} // closed at the next append; nil while nobody waits
}

type record struct {
	batch fsm.Batch
	bytes int
}

// newJournal makes a journal that begins behind index floor.
func newJournal(floor uint64) *Journal {
	return &Journal{ring: make([]record, journalEntries), floor: floor}
}

// add appends an entry that took about size bytes.
func (j *Journal) add(b fsm.Batch, size int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.used > 0 && (j.used == len(j.ring) || j.size+size > journalBytes) {
		old := &j.ring[j.head]
		j.floor, j.size = old.batch.Index, j.size-old.bytes
		*old = record{}
		j.head = (j.head + 1) % len(j.ring)
		j.used--
	}
	j.ring[(j.head+j.used)%len(j.ring)] = record{b, size}
	j.used++
	j.size += size
	j.tellLocked()
}

// reset forgets everything, for a State that came from a snapshot of index floor.
func (j *Journal) reset(floor uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.ring)
	j.head, j.used, j.size, j.floor = 0, 0, 0, floor
	j.epoch++
	j.tellLocked()
}

func (j *Journal) tellLocked() {
	if j.wake != nil {
		close(j.wake)
		j.wake = nil
	}
}

// From gives a cursor whose first entry is that at index, or the first after it. The
// error is fsm.ErrLapped if entries from index on are gone.
func (j *Journal) From(index uint64) (*Cursor, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if index <= j.floor {
		return nil, fsm.ErrLapped
	}
	return &Cursor{j: j, epoch: j.epoch, after: index - 1}, nil
}

// Now gives a cursor over everything that is applied after the call.
func (j *Journal) Now() *Cursor {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := j.floor
	if j.used > 0 {
		last = j.ring[(j.head+j.used-1)%len(j.ring)].batch.Index
	}
	return &Cursor{j: j, epoch: j.epoch, after: last}
}

// Cursor is one reader's place in a Journal. It has one user at a time.
type Cursor struct {
	j     *Journal
	epoch uint64
	after uint64 // everything up to this index was read
}

// Next gives the next entry, waiting for it if need be. The error is fsm.ErrLapped
// once the reader was overtaken, else that of ctx. What it returns is read only.
func (c *Cursor) Next(ctx context.Context) (fsm.Batch, error) {
	for {
		b, found, wake, err := c.look()
		if found || err != nil {
			return b, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fsm.Batch{}, ctx.Err()
		}
	}
}

func (c *Cursor) look() (fsm.Batch, bool, <-chan struct{}, error) {
	j := c.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.epoch != j.epoch || c.after < j.floor {
		return fsm.Batch{}, false, nil, fsm.ErrLapped
	}
	i := j.searchLocked(c.after)
	if i < j.used {
		b := j.ring[(j.head+i)%len(j.ring)].batch
		c.after = b.Index
		return b, true, nil, nil
	}
	if j.wake == nil {
		j.wake = make(chan struct{})
	}
	return fsm.Batch{}, false, j.wake, nil
}

// searchLocked finds the first entry behind an index.
func (j *Journal) searchLocked(after uint64) int {
	low, high := 0, j.used
	for low < high {
		mid := (low + high) / 2
		if j.ring[(j.head+mid)%len(j.ring)].batch.Index <= after {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
