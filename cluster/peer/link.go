package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunk is what is written under one deadline: a peer that takes no 64 KiB
	// in the time after which it counts as silent is silent.
	chunk = 64 << 10
	// keepBuffer is how large an emptied send buffer may be to be used again.
	keepBuffer = 256 << 10
)

var (
	errRoom     = errors.New("the link has no room")
	errSize     = errors.New("the message is too large")
	errReplaced = errors.New("replaced by another link")
	errFlood    = errors.New("the peer opened more calls than it may")
	errStopped  = errors.New("stopped")
)

// link is one live connection of ClassLink with one process.
type link struct {
	net    *Net
	peer   *peer
	conn   *conn
	hello  Hello // of the process at the other end, as it began
	dialed bool
	born   time.Time

	ctx    context.Context // ends with the link; the parent of handlers' contexts
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1: pending is not empty
	room   *sync.Cond    // on mu: pending was taken, or the link ended

	foreign atomic.Bool  // the peer has no genesis and this node has one
	theirs  atomic.Int32 // calls of the peer that are not answered yet

	mu      sync.Mutex
	err     error            // why it ended; nothing changes after
	pending []byte           // frames for the writer
	frames  int              // in pending
	taken   uint64           // bytes of all frames ever given to the writer
	loose   int              // bytes in pending that are no calls
	charged int              // bytes of calls not answered
	calls   map[uint64]*call // not answered, by number
	last    uint64           // number of the newest call
}

// call is one unanswered call. Who takes it out of the map answers it.
type call struct {
	bytes int
	end   uint64      // where its frame ends in the stream
	done  chan answer // capacity 1
	ghost bool        // nobody waits; it only holds its room
}

type answer struct {
	payload []byte
	err     error
}

func newCall() any { return &call{done: make(chan answer, 1)} }

func newLink(p *peer, c *conn, dialed bool) *link {
	l := &link{
		net: p.net, peer: p, conn: c, hello: c.hello, dialed: dialed, born: time.Now(),
		wake: make(chan struct{}, 1), calls: make(map[uint64]*call),
	}
	l.room = sync.NewCond(&l.mu)
	l.ctx, l.cancel = context.WithCancel(p.net.base)
	l.greeted(c.hello.Genesis)
	return l
}

// run reads and writes until the link ends, and gives the reason.
func (l *link) run() error {
	stop := context.AfterFunc(l.ctx, func() { l.end(errStopped) })
	defer stop()
	written := make(chan struct{})
	go func() {
		defer close(written)
		l.end(l.write())
	}()
	l.end(l.read())
	<-written
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// end breaks the link, once: calls whose bytes may have left are unknown, the
// others are not sent.
func (l *link) end(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	if err == nil {
		err = io.EOF
	}
	l.err = err
	for id, c := range l.calls {
		delete(l.calls, id)
		if !c.ghost {
			c.done <- answer{err: fmt.Errorf("%w: %w", l.fateLocked(c), err)}
		}
	}
	l.pending = nil
	l.mu.Unlock()
	l.room.Broadcast()
	l.cancel()
	l.conn.Close()
	l.peer.lost(l)
}

// fateLocked tells whether bytes of c's frame may have left.
func (l *link) fateLocked(c *call) error {
	if c.end > l.taken {
		return ErrNotSent
	}
	return ErrSent
}

// open queues a call. Its number and the call are for abandon.
func (l *link) open(k Kind, left time.Duration, req []byte) (*call, uint64, error) {
	size := headSize + len(req)
	if size > MaxFrame {
		return nil, 0, errSize
	}
	c := l.net.calls.Get().(*call)
	l.mu.Lock()
	if err := l.admitLocked(size); err != nil {
		l.mu.Unlock()
		l.net.calls.Put(c)
		return nil, 0, err
	}
	if len(l.calls) >= maxCalls {
		l.mu.Unlock()
		l.net.calls.Put(c)
		return nil, 0, errRoom
	}
	l.last++
	id := l.last
	l.queueLocked(k, id, left, req)
	c.bytes, c.end, c.ghost = size, l.taken+uint64(len(l.pending)), false
	l.charged += size
	l.calls[id] = c
	l.mu.Unlock()
	l.signal()
	return c, id, nil
}

// abandon ends the wait for a call. If its frame was not taken by the writer
// yet it is made to mean nothing, and the call was not sent.
func (l *link) abandon(c *call, id uint64, why error) answer {
	l.mu.Lock()
	if l.calls[id] != c {
		l.mu.Unlock()
		return <-c.done // who took it out answers it
	}
	defer l.mu.Unlock()
	if c.end > l.taken {
		start := int(c.end - uint64(c.bytes) - l.taken)
		l.pending[start+4] = byte(kindNone)
		delete(l.calls, id)
		l.charged -= c.bytes
		return answer{err: fmt.Errorf("%w: %w", ErrNotSent, why)}
	}
	// The peer still works on it: its room stays taken until it says it is done.
	l.calls[id] = &call{bytes: c.bytes, end: c.end, ghost: true}
	return answer{err: fmt.Errorf("%w: %w", ErrSent, why)}
}

// cast queues a frame that nobody answers.
func (l *link) cast(k Kind, payload []byte) error {
	size := headSize + len(payload)
	if size > MaxFrame {
		return errSize
	}
	l.mu.Lock()
	if err := l.admitLocked(size); err != nil {
		l.mu.Unlock()
		return err
	}
	l.queueLocked(k, 0, 0, payload)
	l.loose += size
	l.mu.Unlock()
	l.signal()
	return nil
}

// respond queues the answer to a call of the peer. It waits for room unless
// inline is set: the peer's own credit bounds those.
func (l *link) respond(k Kind, call uint64, payload []byte, inline bool) {
	size := headSize + len(payload)
	if size > MaxFrame {
		k, payload = kindFailed, []byte(errSize.Error())
		size = headSize + len(payload)
	}
	l.mu.Lock()
	for !inline && l.err == nil && l.loose > 0 && l.loose+size > maxOutstanding {
		l.room.Wait()
	}
	if l.err == nil {
		l.queueLocked(k, call, 0, payload)
		l.loose += size
	}
	l.theirs.Add(-1)
	l.mu.Unlock()
	l.signal()
}

// admitLocked reports whether a frame of the given size may be queued.
func (l *link) admitLocked(size int) error {
	if l.err != nil {
		return l.err
	}
	if used := l.charged + l.loose; l.frames >= maxQueued || (used > 0 && used+size > maxOutstanding) {
		return errRoom
	}
	return nil
}

func (l *link) queueLocked(k Kind, call uint64, left time.Duration, payload []byte) {
	l.pending = appendFrame(l.pending, k, call, left, payload)
	l.frames++
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// health queues a sign of life with what the peer must know of this node.
func (l *link) health() {
	id := l.net.identity()
	var body [17]byte
	copy(body[:], id.Genesis[:])
	body[16] = id.Incarnation
	l.mu.Lock()
	if l.err == nil {
		l.queueLocked(kindHealth, 0, 0, body[:])
		l.loose += headSize + len(body)
	}
	l.mu.Unlock()
	l.signal()
}

// write sends what is queued, all of it at once, until the link ends.
func (l *link) write() error {
	tick := time.NewTicker(l.net.heartbeat / healthsPerBeat)
	defer tick.Stop()
	var spare []byte
	for {
		select {
		case <-l.ctx.Done():
			return errStopped
		case <-tick.C:
			l.health()
		case <-l.wake:
			// Let those run first who are about to send too: one write for all
			// costs a fraction of one for each.
			runtime.Gosched()
		}
		for {
			buf := l.take(spare)
			if len(buf) == 0 {
				spare = buf
				break
			}
			if err := l.send(buf); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			if spare = buf; cap(spare) > keepBuffer {
				spare = nil
			}
		}
	}
}

// take swaps the queue for the empty buffer spare.
func (l *link) take(spare []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return spare[:0]
	}
	buf := l.pending
	l.pending = spare[:0]
	l.taken += uint64(len(buf))
	l.frames, l.loose = 0, 0
	l.room.Broadcast()
	return buf
}

func (l *link) send(buf []byte) error {
	for len(buf) > 0 {
		n := min(len(buf), chunk)
		if err := l.conn.SetWriteDeadline(time.Now().Add(l.net.silence())); err != nil {
			return err
		}
		if _, err := l.conn.Write(buf[:n]); err != nil {
			return err
		}
		buf = buf[n:]
	}
	return nil
}

// Read reads from the connection and fails when nothing came for too long.
// It counts any bytes, so a large frame over a slow line is no silence.
func (l *link) Read(p []byte) (int, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(l.net.silence())); err != nil {
		return 0, err
	}
	return l.conn.Read(p)
}

// read takes frames off the connection until it breaks.
func (l *link) read() error {
	r := bufio.NewReaderSize(l, chunk)
	var raw [headSize]byte
	for {
		h, err := readHead(r, &raw)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		payload := make([]byte, h.payload)
		if _, err := io.ReadFull(r, payload); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		switch h.kind {
		case kindNone:
		case kindHealth:
			err = l.heard(payload)
		case kindAnswer, kindFailed, kindTurned:
			l.settle(h, payload)
		default:
			err = l.dispatch(h, payload)
		}
		if err != nil {
			return err
		}
	}
}

// settle gives an answer to who waits for it.
func (l *link) settle(h head, payload []byte) {
	l.mu.Lock()
	c := l.calls[h.call]
	if c != nil {
		delete(l.calls, h.call)
		l.charged -= c.bytes
	}
	l.mu.Unlock()
	if c == nil || c.ghost {
		return
	}
	switch h.kind {
	case kindAnswer:
		c.done <- answer{payload: payload}
	case kindTurned:
		c.done <- answer{err: fmt.Errorf("%w: turned away: %s", ErrNotSent, payload)}
	default:
		c.done <- answer{err: &RemoteError{Peer: l.peer.id, Text: string(payload)}}
	}
}

// heard takes a sign of life: the peer may have been admitted meanwhile.
func (l *link) heard(body []byte) error {
	if len(body) < 17 {
		return fmt.Errorf("%w: health of %d bytes", errFrame, len(body))
	}
	h := l.hello
	copy(h.Genesis[:], body)
	h.Incarnation = body[16]
	if no := belongs(l.net.identity(), h); no != 0 {
		return &RefusedError{Peer: l.peer.id, Addr: l.conn.addr, Reason: no, Hello: h}
	}
	l.greeted(h.Genesis)
	return nil
}

func (l *link) greeted(genesis [16]byte) {
	l.foreign.Store(genesis == [16]byte{} && l.net.identity().Genesis != [16]byte{})
}

// dispatch hands a request to its handler. An error ends the link.
func (l *link) dispatch(h head, payload []byte) error {
	if h.call != 0 && l.theirs.Add(1) > maxCalls {
		return errFlood
	}
	f := l.net.handlers[h.kind].Load()
	switch {
	case f == nil:
		l.turnAway(h, "nobody handles this")
	case !h.kind.admission() && (l.foreign.Load() || !l.net.listens(l.peer.id)):
		l.turnAway(h, RefusedUnadmitted.String())
	case f.inline:
		l.handle(l.ctx, f, h, payload)
	case !l.net.acquire():
		l.turnAway(h, "busy")
	default:
		l.net.wg.Go(func() {
			defer l.net.release()
			ctx, cancel := l.ctx, context.CancelFunc(func() {})
			if h.deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, min(h.deadline, maxDeadline))
			}
			defer cancel()
			l.handle(ctx, f, h, payload)
		})
	}
	return nil
}

func (l *link) handle(ctx context.Context, f *handler, h head, payload []byte) {
	out, err := f.f(ctx, l.peer.id, payload)
	switch {
	case h.call == 0:
	case err != nil:
		l.respond(kindFailed, h.call, []byte(err.Error()), f.inline)
	default:
		l.respond(kindAnswer, h.call, out, f.inline)
	}
}

func (l *link) turnAway(h head, why string) {
	if h.call == 0 {
		l.net.log.Debug("message dropped", "peer", l.peer.id, "kind", uint8(h.kind), "why", why)
		return
	}
	l.respond(kindTurned, h.call, []byte(why), true)
}
