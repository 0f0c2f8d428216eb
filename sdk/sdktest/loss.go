package sdktest

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
)

// errLost is how a connection breaks whose answer is lost.
var errLost = errors.New("sdktest: connection cut")

// wire makes the connections of the client and can break them.
type wire struct {
	losses *losses

	mu    sync.Mutex
	conns map[*conn]struct{}
	gone  map[string]bool // addresses of nodes that are down
}

// conn is one connection of the client.
type conn struct {
	net.Conn
	wire *wire
	addr string
}

func newWire(l *losses) *wire {
	return &wire{losses: l, conns: make(map[*conn]struct{}), gone: make(map[string]bool)}
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone[addr] {
		return nil, errors.Join(syscall.ECONNREFUSED, raw.Close())
	}
	k := &conn{Conn: raw, wire: w, addr: addr}
	w.conns[k] = struct{}{}
	return k, nil
}

// cut breaks the connections to an address, all when it is empty.
func (w *wire) cut(addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.conns {
		if addr == "" || k.addr == addr {
			_ = k.Conn.Close() // what is lost by it is meant to be
			delete(w.conns, k)
		}
	}
}

// down breaks the connections to a node and refuses others until up is called.
func (w *wire) down(addr string) {
	w.mu.Lock()
	w.gone[addr] = true
	w.mu.Unlock()
	w.cut(addr)
}

func (w *wire) up(addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.gone, addr)
}

// Read gives what the node sent, unless it comes after a completion whose answer is to
// be lost: a node answers after it has applied, so that the answer cannot come before.
func (k *conn) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	if n > 0 && k.wire.losses.strikes() {
		k.wire.cut("") // the answer may come by any of them
		return 0, errLost
	}
	return n, err
}

// Close ends the connection.
func (k *conn) Close() error {
	k.wire.mu.Lock()
	delete(k.wire.conns, k)
	k.wire.mu.Unlock()
	return k.Conn.Close()
}

// losses knows which answers are to be lost.
type losses struct {
	completions func(taskType string) map[string]bool // ids of tasks that workers completed

	mu      sync.Mutex
	pending []loss
	lost    int
}

type loss struct {
	taskType string
	before   map[string]bool // completed when it was asked for
}

// LoseNextCompletion loses the answer to the next completion of a task of that type:
// the cluster takes the completion, and the connections of Client break before the
// worker hears of it. It is for trying out that the completion is sent again and counts
// once. It is called before the task is completed; a second call loses another one.
func (c *Cluster) LoseNextCompletion(task string) {
	before := c.completions(task)
	c.losses.mu.Lock()
	defer c.losses.mu.Unlock()
	c.losses.pending = append(c.losses.pending, loss{taskType: task, before: before})
}

// strikes reports whether an answer to be lost may have arrived.
func (l *losses) strikes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return false
	}
	pause(look) // the nodes' views may be that old
	for i, p := range l.pending {
		now := l.completions(p.taskType)
		for id := range now {
			if p.before[id] {
				continue
			}
			l.pending = append(l.pending[:i], l.pending[i+1:]...)
			for j := range l.pending { // those of the same type are for later ones
				if l.pending[j].taskType == p.taskType {
					l.pending[j].before = now
				}
			}
			l.lost++
			return true
		}
	}
	return false
}

// check fails the test for losses that did not come about: it has not tried out what it
// means to.
func (l *losses) check(t testing.TB) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pending {
		t.Errorf("sdktest: no answer to a completion of %s was lost: none was completed", p.taskType)
	}
}
