package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// ErrNotSent is the error of a request that certainly had no effect: it was
// not written, or no handler saw it. It may be tried again, here or elsewhere.
var ErrNotSent = errors.New("not sent")

// ErrSent is the error of a request that was written and not answered: the
// peer may have acted on it or may yet.
var ErrSent = errors.New("sent, not answered")

// RemoteError is what a handler of the peer answered instead of a result.
type RemoteError struct {
	Peer fsm.NodeID
	Text string
}

// Error names the peer and repeats its words.
func (e *RemoteError) Error() string { return fmt.Sprintf("peer %s: %s", e.Peer, e.Text) }

const (
	// maxCalls bounds the calls of one side of a link that are not answered,
	// also those whose caller stopped waiting.
	maxCalls = 256
	// maxQueued bounds the frames that wait for the writer. One applied batch of
	// 512 commands can deliver to as many slots of one node before the writer
	// gets the processor.
	maxQueued = 1024
	// maxOutstanding bounds the bytes of a link that are queued, or sent as a
	// call and not answered. One frame of any size may be outstanding alone.
	maxOutstanding = MaxFrame
	// maxHandlers bounds the handlers that run at once on a node, for all peers.
	maxHandlers = 1024

	// defaultDeadline is the deadline of a call whose context has none, and
	// maxDeadline what a longer one is cut to: no caller waits longer, so no
	// handler needs to.
	defaultDeadline = 10 * time.Second
	maxDeadline     = time.Minute
)

// Handler answers a request of a peer. The payload is its own. For a cast the
// answer goes nowhere. An error travels to the caller as text, in a
// RemoteError.
type Handler func(ctx context.Context, from fsm.NodeID, payload []byte) ([]byte, error)

type handler struct {
	f      Handler
	inline bool
}

// Handle sets who answers k. Each request runs on its own goroutine, in no
// order, under a context with the caller's deadline that also ends with the
// link. At most 1,024 run at once; beyond that requests are turned away.
func (n *Net) Handle(k Kind, f Handler) { n.handlers[k].Store(&handler{f: f}) }

// HandleInline sets who answers k on the goroutine that reads the link: in the
// order they were sent, and nothing else is read meanwhile. So f must not
// block, nor call back into the Net, except for Cast, and its answers are to
// be small.
func (n *Net) HandleInline(k Kind, f Handler) { n.handlers[k].Store(&handler{f: f, inline: true}) }

// Call sends a request to a node and waits for the answer. It needs a link
// that is up and has room, else it fails at once. The error is an ErrNotSent,
// an ErrSent, or the *RemoteError of the handler. The request may be reused as
// soon as Call returns; the answer is the caller's.
func (n *Net) Call(ctx context.Context, to fsm.NodeID, k Kind, req []byte) ([]byte, error) {
	l := n.liveLink(to)
	if l == nil {
		return nil, fmt.Errorf("call %s: %w: no link", to, ErrNotSent)
	}
	deadline, ok := ctx.Deadline()
	left := defaultDeadline
	if ok {
		left = min(time.Until(deadline), maxDeadline)
	}
	if left <= 0 {
		return nil, fmt.Errorf("call %s: %w: %w", to, ErrNotSent, context.DeadlineExceeded)
	}
	c, id, err := l.open(k, left, req)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w: %w", to, ErrNotSent, err)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	var a answer
	select {
	case a = <-c.done:
	case <-ctx.Done():
		a = l.abandon(c, id, ctx.Err())
	case <-timer.C:
		a = l.abandon(c, id, context.DeadlineExceeded)
	}
	n.calls.Put(c)
	if a.err != nil {
		return nil, fmt.Errorf("call %s: %w", to, a.err)
	}
	return a.payload, nil
}

// Cast sends a message to a node and does not wait: nil means it was queued.
// It arrives, once and in the order of other casts, unless the link breaks,
// which OnDown tells. Without a link or without room the error is ErrNotSent.
func (n *Net) Cast(to fsm.NodeID, k Kind, payload []byte) error {
	l := n.liveLink(to)
	if l == nil {
		return fmt.Errorf("cast %s: %w: no link", to, ErrNotSent)
	}
	if err := l.cast(k, payload); err != nil {
		return fmt.Errorf("cast %s: %w: %w", to, ErrNotSent, err)
	}
	return nil
}

// Connected reports whether a link to id is up.
func (n *Net) Connected(id fsm.NodeID) bool { return n.liveLink(id) != nil }

// Remote gives the Hello of the process behind the link to id.
func (n *Net) Remote(id fsm.NodeID) (Hello, bool) {
	if l := n.liveLink(id); l != nil {
		return l.hello, true
	}
	return Hello{}, false
}

// Await waits until a link to id is up. Only a held peer is dialled.
func (n *Net) Await(ctx context.Context, id fsm.NodeID) error {
	p, err := n.peer(id)
	if err != nil {
		return fmt.Errorf("await %s: %w", id, err)
	}
	for {
		changed := p.changes()
		if p.live() != nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await %s: %w", id, ctx.Err())
		case <-n.base.Done():
			return fmt.Errorf("await %s: %w", id, errClosed)
		}
	}
}
