package transport

import (
	"context"
	"runtime"
	"sync"
)

const (
	// maxOpen bounds the unanswered calls of a stream: at some hundred bytes each, a
	// few megabytes. The server reads no further until there is room.
	maxOpen = 10_000
	// maxBatch bounds the calls in one message of a client.
	maxBatch = 1000
)

// outbox holds the answers of a stream until its writer sends them. Answers that come
// while the writer sends go out together in its next message.
type outbox[T any] struct {
	wake chan struct{} // has room for one token: there is something to do
	room chan struct{} // the same, for the reader that waits for fewer open calls

	mu     sync.Mutex
	items  []T
	open   int  // calls that are not fully answered
	closed bool // the client makes no more calls
}

func newOutbox[T any]() *outbox[T] {
	return &outbox[T]{wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// begin counts n calls, after waiting until there is room for calls at all.
func (o *outbox[T]) begin(ctx context.Context, n int) error {
	for {
		o.mu.Lock()
		if o.open < maxOpen {
			o.open += n
			o.mu.Unlock()
			return nil
		}
		o.mu.Unlock()
		select {
		case <-o.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// put adds an answer; last says that its call needs no further one. Any goroutine may
// call it, and it never blocks for long.
func (o *outbox[T]) put(item T, last bool) {
	o.mu.Lock()
	o.items = append(o.items, item)
	if last {
		o.open--
	}
	o.mu.Unlock()
	token(o.wake)
	if last {
		token(o.room)
	}
}

// take moves the answers into buf, which it empties first, and reports whether the
// stream is done: closed by the client, and every call answered.
func (o *outbox[T]) take(buf []T) (items []T, done bool) {
	clear(buf)
	o.mu.Lock()
	defer o.mu.Unlock()
	items, o.items = o.items, buf[:0]
	return items, o.closed && o.open == 0
}

// close notes that the client makes no more calls.
func (o *outbox[T]) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	token(o.wake)
}

// gather lets others run as long as that brings more answers: the entry that woke the
// writer usually has many for one client, and a message costs far more than what is in
// it. It waits for no time.
func (o *outbox[T]) gather() {
	for range batchTasks {
		before := o.len()
		runtime.Gosched()
		if o.len() == before {
			return
		}
	}
}

// len is the number of answers that wait.
func (o *outbox[T]) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.items)
}

func (o *outbox[T]) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// spelled remembers the last position as text: the answers of one entry share it.
type spelled[K comparable] struct {
	key  K
	text string
}

func (s *spelled[K]) spell(k K, spell func() string) string {
	if s.text == "" || s.key != k {
		s.key, s.text = k, spell()
	}
	return s.text
}

// pool keeps messages that have been sent for the next batch: Send has encoded them
// when it returns.
type pool[T any] struct{ all []*T }

// get gives n messages. Those of an earlier get may be among them, with their content.
func (p *pool[T]) get(n int) []*T {
	for len(p.all) < n {
		p.all = append(p.all, new(T))
	}
	return p.all[:n]
}
