package cluster

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// flow is one direction of a connection: what was written and when it arrives. Writing
// never waits, as with a socket that has room, so that nobody holds a lock over it.
type flow struct {
	wake chan struct{} // capacity 1

	mu       sync.Mutex
	chunks   []chunk
	closed   bool
	deadline time.Time // of reading
}

type chunk struct {
	at   time.Time
	data []byte
}

func newFlow() *flow { return &flow{wake: make(chan struct{}, 1)} }

func (f *flow) write(b []byte, delay time.Duration) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, io.ErrClosedPipe
	}
	at := time.Now().Add(delay)
	if n := len(f.chunks); n > 0 && at.Before(f.chunks[n-1].at) {
		at = f.chunks[n-1].at
	}
	f.chunks = append(f.chunks, chunk{at, append([]byte(nil), b...)})
	poke(f.wake)
	return len(b), nil
}

// take gives what has arrived, or how long to wait for it; negative is for ever.
func (f *flow) take(b []byte) (n int, wait time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.deadline.IsZero() && !now.Before(f.deadline) {
		return 0, 0, os.ErrDeadlineExceeded
	}
	if len(f.chunks) == 0 {
		if f.closed {
			return 0, 0, io.EOF
		}
		wait = -1
	} else if wait = f.chunks[0].at.Sub(now); wait <= 0 {
		n = copy(b, f.chunks[0].data)
		if f.chunks[0].data = f.chunks[0].data[n:]; len(f.chunks[0].data) == 0 {
			f.chunks = f.chunks[1:]
		}
		return n, 0, nil
	}
	if !f.deadline.IsZero() && (wait < 0 || f.deadline.Sub(now) < wait) {
		wait = f.deadline.Sub(now)
	}
	return 0, wait, nil
}

func (f *flow) read(b []byte) (int, error) {
	for {
		n, wait, err := f.take(b)
		switch {
		case n > 0 || err != nil || len(b) == 0:
			return n, err
		case wait < 0:
			<-f.wake
		default:
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-f.wake:
			}
			t.Stop()
		}
	}
}

func (f *flow) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	poke(f.wake)
}

func (f *flow) drop() {
	f.mu.Lock()
	f.chunks, f.closed = nil, true
	f.mu.Unlock()
	poke(f.wake)
}

func (f *flow) setDeadline(t time.Time) {
	f.mu.Lock()
	f.deadline = t
	f.mu.Unlock()
	poke(f.wake)
}

// wire is one end of a connection.
type wire struct {
	net      *wires
	from, to string
	in, out  *flow
}

var _ net.Conn = (*wire)(nil)

func (w *wire) LocalAddr() net.Addr               { return addr(w.from) }
func (w *wire) RemoteAddr() net.Addr              { return addr(w.to) }
func (w *wire) Read(b []byte) (int, error)        { return w.in.read(b) }
func (w *wire) SetReadDeadline(t time.Time) error { w.in.setDeadline(t); return nil }
func (w *wire) SetWriteDeadline(time.Time) error  { return nil }
func (w *wire) SetDeadline(t time.Time) error     { return w.SetReadDeadline(t) }

// Write puts bytes on the way, or loses them where the direction is cut.
func (w *wire) Write(b []byte) (int, error) {
	if w.net.isCut(w.from, w.to) {
		return len(b), nil
	}
	return w.out.write(b, w.net.lag(w.from, w.to))
}

// Close ends both directions. The other side is not told through a cut.
func (w *wire) Close() error {
	w.in.drop()
	if !w.net.isCut(w.from, w.to) {
		w.out.close()
	}
	return nil
}
