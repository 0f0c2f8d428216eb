package cluster

import (
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// queueBytes bounds the bytes that wait in one queue: some entries' worth, so that
// memory does not fill while nothing is committed.
const queueBytes = 32 << 20

// item is a command that waits to be proposed, and where its outcome goes.
type item struct {
	origin origin
	cmd    *fsm.Command
	enc    []byte
	since  time.Time
	until  time.Time
	call   *call // nil for a command of another node
}

// queue is a bounded first-in first-out queue. It has no lock of its own.
type queue struct {
	items []item
	head  int
	bytes int
	max   int
}

func (q *queue) len() int { return len(q.items) - q.head }

// push appends an item, or refuses it when the queue is full.
func (q *queue) push(it item) bool {
	if q.len() >= q.max || q.bytes+len(it.enc) > queueBytes {
		return false
	}
	if q.head > 64 && q.head*2 > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, it)
	q.bytes += len(it.enc)
	return true
}

// pop removes the oldest item. The queue is not empty.
func (q *queue) pop() item {
	it := q.items[q.head]
	q.items[q.head] = item{}
	q.head++
	q.bytes -= len(it.enc)
	return it
}

func (q *queue) peek() *item { return &q.items[q.head] }

// age is how long the oldest item has waited.
func (q *queue) age(now time.Time) time.Duration {
	if q.len() == 0 {
		return 0
	}
	return now.Sub(q.peek().since)
}

// drain empties the queue.
func (q *queue) drain() []item {
	all := append([]item(nil), q.items[q.head:]...)
	clear(q.items)
	q.items, q.head, q.bytes = q.items[:0], 0, 0
	return all
}

// refusal is the answer to a command that found its queue full: to come back when
// about as long has passed as what is there has waited.
func (q *queue) refusal(now time.Time) *fsm.OverloadedError {
	const least, most = 50, 5_000
	after := min(most, max(least, q.age(now).Milliseconds()))
	return &fsm.OverloadedError{Reason: "the queue is full", RetryAfter: fsm.Millis(after)}
}

// batch is what one entry will carry, while it is filled.
type batch struct {
	items             []item
	bytes             int
	maxItems, maxSize int
}

// fits reports whether it may be added; an item of any size fits into an empty batch.
func (b *batch) fits(it *item, maxItems, maxSize int) bool {
	return len(b.items) < maxItems && (len(b.items) == 0 || b.bytes+len(it.enc) <= maxSize)
}

// fill moves items from a queue up to a limit. Items that are not wanted any more are
// dropped by keep.
func (b *batch) fill(q *queue, maxItems, maxSize int, keep func(*item) bool) {
	for q.len() > 0 && b.fits(q.peek(), maxItems, maxSize) {
		it := q.pop()
		if !keep(&it) {
			continue
		}
		b.items = append(b.items, it)
		b.bytes += len(it.enc)
	}
}

// fillFrom takes urgent items up to seven eighths of the batch, then normal ones, then
// urgent ones again: neither starves the other.
func (b *batch) fillFrom(urgent, normal *queue, keep func(*item) bool) {
	b.fill(urgent, b.maxItems*7/8, b.maxSize*7/8, keep)
	b.fill(normal, b.maxItems, b.maxSize, keep)
	b.fill(urgent, b.maxItems, b.maxSize, keep)
}
