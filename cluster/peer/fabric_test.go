package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// fabric is a network of pipes, for virtual time.
type fabric struct {
	mu     sync.Mutex
	places map[string]*place
	wires  []*wire
	dials  map[string]int
	alone  map[string]bool
}

type place struct {
	addr string
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

type fabricAddr string

func (a fabricAddr) Network() string { return "pipe" }
func (a fabricAddr) String() string  { return string(a) }

func newFabric() *fabric {
	return &fabric{places: make(map[string]*place), dials: make(map[string]int), alone: make(map[string]bool)}
}

func (p *place) Addr() net.Addr { return fabricAddr(p.addr) }
func (p *place) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *place) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// wire is one end of a connection. A dead wire delivers nothing and reports
// nothing, like a cable that was pulled.
type wire struct {
	net.Conn
	from, to string
	dead     *atomic.Bool
}

func (w *wire) RemoteAddr() net.Addr { return fabricAddr(w.to) }
func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil || !w.dead.Load() {
			return n, err
		}
	}
}

func (f *fabric) listen(addr string) (net.Listener, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &place{addr: addr, in: make(chan net.Conn), done: make(chan struct{})}
	f.places[addr] = p
	return p, nil
}

func (f *fabric) dialer(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		f.mu.Lock()
		p, alone := f.places[addr], f.alone[from] || f.alone[addr]
		f.dials[addr]++
		a, b := net.Pipe()
		dead := new(atomic.Bool)
		x, y := &wire{a, from, addr, dead}, &wire{b, addr, from, dead}
		f.wires = append(f.wires, x, y)
		f.mu.Unlock()
		if alone {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		if p == nil {
			return nil, refused
		}
		select {
		case p.in <- y:
			return x, nil
		case <-p.done:
			return nil, refused
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pull makes every wire between two addresses dead.
func (f *fabric) pull(a, b string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.wires {
		if w.from == a && w.to == b || w.from == b && w.to == a {
			w.dead.Store(true)
		}
	}
}

// isolate cuts an address off: its wires go dead, and nobody gets through.
func (f *fabric) isolate(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alone[addr] = true
	for _, w := range f.wires {
		if w.from == addr || w.to == addr {
			w.dead.Store(true)
		}
	}
}

func (f *fabric) dialled(addr string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dials[addr]
}

// node is one Net on a fabric, running.
type node struct {
	*Net
	cfg    Config
	addr   string
	end    func() // stops it and waits
	mu     sync.Mutex
	alarms []Alarm
}

func (n *node) alarmed(no Refusal) (last Alarm, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.alarms {
		if a.Reason == no {
			last, ok = a, true
		}
	}
	return last, ok
}

var genesis = [16]byte{1, 2, 3}

// idOf is the node id that starts with b.
func idOf(b byte) fsm.NodeID { return fsm.NodeID{b, 0xee} }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// config makes the configuration of node b at an address, with a key of its own.
func (f *fabric) config(t *testing.T, b byte, addr string) Config {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := Identity{ClusterID: "c1", Genesis: genesis, Node: idOf(b), Key: key, Boot: 1}
	rand.Read(id.Nonce[:])
	return Config{
		Identity: id, Book: new(Book), Log: quiet(), Addr: addr,
		Listen: f.listen, Dial: f.dialer(addr), Heartbeat: 500 * time.Millisecond,
	}
}

// start runs a Net. Every goroutine of it must end with the test.
func (f *fabric) start(t *testing.T, cfg Config, before ...func(*Net)) *node {
	t.Helper()
	n := &node{addr: cfg.Addr}
	cfg.Alarm = func(a Alarm) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.alarms = append(n.alarms, a)
	}
	n.cfg = cfg
	var err error
	if n.Net, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	for _, f := range before {
		f(n.Net)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	n.end = func() { cancel(); <-done }
	t.Cleanup(n.end)
	return n
}

// pair starts two nodes that know each other, and waits for their link.
func (f *fabric) pair(t *testing.T) (a, b *node) {
	t.Helper()
	ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
	acquaint(ca, cb)
	a, b = f.start(t, ca), f.start(t, cb)
	hold(t, a, b)
	return a, b
}

// acquaint puts each node into the others' books.
func acquaint(cfgs ...Config) {
	for _, c := range cfgs {
		for _, d := range cfgs {
			c.Book.Learn(Fact{
				ID: d.Identity.Node, Addrs: []string{d.Addr},
				Key: FingerprintOf(d.Identity.Key.Public().(ed25519.PublicKey)),
			})
		}
	}
}

// hold makes every node hold the others and waits for all links.
func hold(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		var ids []fsm.NodeID
		for _, m := range nodes {
			ids = append(ids, m.self)
		}
		if err := n.Hold(ids...); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, n := range nodes {
		for _, m := range nodes {
			if n == m {
				continue
			}
			if err := n.Await(ctx, m.self); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T, fab *fabric)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newFabric()) })
}
