package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/fsm"
)

// wires is a network of pipes between addresses. Each direction between two of them can
// be cut: what is written then is lost, and nobody is told.
type wires struct {
	mu     sync.Mutex
	places map[string]*place
	cut    map[[2]string]bool
	delay  func(from, to string) time.Duration
}

type place struct {
	net  *wires
	addr string
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

type addr string

func (a addr) Network() string { return "pipe" }
func (a addr) String() string  { return string(a) }

func (p *place) Addr() net.Addr { return addr(p.addr) }
func (p *place) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *place) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func newWires() *wires {
	return &wires{places: map[string]*place{}, cut: map[[2]string]bool{}}
}

func (n *wires) isCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[[2]string{from, to}]
}

func (n *wires) lag(from, to string) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.delay == nil {
		return 0
	}
	return n.delay(from, to)
}

// set cuts or mends the direction from one address to another.
func (n *wires) set(from, to string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = cut
}

func (n *wires) both(a, b string, cut bool) {
	n.set(a, b, cut)
	n.set(b, a, cut)
}

func (n *wires) listen(a string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &place{net: n, addr: a, in: make(chan net.Conn), done: make(chan struct{})}
	n.places[a] = p
	return p, nil
}

func (n *wires) dialer(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, to string) (net.Conn, error) {
		n.mu.Lock()
		p := n.places[to]
		blocked := n.cut[[2]string{from, to}] || n.cut[[2]string{to, from}]
		n.mu.Unlock()
		if blocked {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		if p == nil {
			return nil, refused
		}
		x, y := newFlow(), newFlow()
		a, b := &wire{n, from, to, x, y}, &wire{n, to, from, y, x}
		select {
		case p.in <- b:
			return a, nil
		case <-p.done:
			return nil, refused
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// host is a scheduler that only remembers what it is told.
type host struct {
	mu      sync.Mutex
	calls   []string
	leads   map[uint64]uint64 // term to the View's index
	leading uint64
	sets    []fsm.SlotSet
	gone    []fsm.NodeID
	leased  []fsm.Leased
	stamps  int
	offers  []fsm.Offer // given with the next stamp
	settled []bool
	slow    chan struct{} // holds the next Settle, and with it the node's machine, up
}

func (h *host) Lead(term uint64, v fsm.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leading != 0 {
		h.calls = append(h.calls, "lead without resign")
	}
	h.calls = append(h.calls, fmt.Sprint("lead ", term))
	h.leads[term], h.leading = v.Index(), term
}
func (h *host) Resign(term uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, fmt.Sprint("resign ", term))
	if h.leading != term {
		h.calls = append(h.calls, "resign of another term")
	}
	h.leading = 0
}
func (h *host) Stamp(cs []*fsm.Command, max int) fsm.Stamp {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stamps++
	o := h.offers
	h.offers = nil
	return fsm.Stamp{Offers: o}
}
func (h *host) Settle(_ []fsm.Offer, applied bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = append(h.settled, applied)
	if wait := h.slow; wait != nil {
		h.slow = nil
		h.mu.Unlock() // whoever looks at the host need not wait
		<-wait
		h.mu.Lock()
	}
}
func (h *host) Register(_ uint64, _ fsm.NodeID, set fsm.SlotSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sets = append(h.sets, set)
}
func (h *host) Gone(id fsm.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = append(h.gone, id)
}
func (h *host) deliver(l fsm.Leased) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leased = append(h.leased, l)
}

// node is one node of a test cluster and its disk, through restarts.
type node struct {
	c    *testCluster
	name string
	fs   *disk.FaultFS
	host *host
	cfg  Config
	now  func() time.Time
	wall func() time.Time

	p      *Parts
	exits  []string
	cancel context.CancelFunc
	done   chan struct{}
	dead   atomic.Bool
	mu     sync.Mutex // held while p changes
}

// parts is p, for goroutines that run while the node restarts.
func (n *node) parts() *Parts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.p
}

// testCluster is some nodes in one bubble.
type testCluster struct {
	t     *testing.T
	net   *wires
	nodes []*node
	log   *slog.Logger
	mu    sync.Mutex
}

// tune changes the configuration of a node before it starts.
type tune func(i int, n *node)

func newCluster(t *testing.T, n int, tunes ...tune) *testCluster {
	t.Helper()
	c := &testCluster{t: t, net: newWires(), log: testLog(t)}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("n", i))
	}
	for i, name := range names {
		x := &node{c: c, name: name, fs: disk.Faulty(disk.Mem(), disk.Plan{}), now: time.Now}
		x.cfg = Config{
			FS: x.fs, Expect: n, Join: names, PeerListen: name, ClientAddr: func() string { return name + ":8080" },
			WALSegment: 1 << 20, WALCache: 4 << 20, WALKeep: 1 << 20, SnapshotRate: 1 << 40,
		}
		for _, f := range tunes {
			f(i, x)
		}
		c.nodes = append(c.nodes, x)
	}
	c.startAll()
	return c
}

// testLog writes what nodes log if PAWL_LOG is set.
func testLog(t *testing.T) *slog.Logger {
	if os.Getenv("PAWL_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	t0 := time.Now()
	replace := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Duration("at", time.Since(t0))
		}
		return a
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: replace}))
}

func (c *testCluster) startAll() {
	c.t.Helper()
	var wg sync.WaitGroup
	for _, n := range c.nodes {
		wg.Go(n.start)
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// start opens and drives a node.
func (n *node) start() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	exit := func(code int, reason string) {
		n.c.mu.Lock()
		defer n.c.mu.Unlock()
		n.exits = append(n.exits, fmt.Sprint(code, " ", reason))
	}
	p, err := Open(ctx, n.cfg, Deps{
		Log: n.c.log.With("node", n.name), Now: n.now, Wall: n.wall, Exit: exit, Kill: func() { exit(72, "killed") },
		Listen: n.c.net.listen, Dial: n.c.net.dialer(n.name), Version: "test", Stderr: io.Discard,
	})
	if err != nil {
		n.c.t.Errorf("open %s: %v", n.name, err)
		return
	}
	n.mu.Lock()
	n.p, n.host = p, &host{leads: map[uint64]uint64{}}
	n.mu.Unlock()
	n.done = make(chan struct{})
	n.dead.Store(false)
	run, stop := context.WithCancel(context.Background())
	n.cancel = stop
	h := n.host
	go func() {
		defer close(n.done)
		if err := Run(run, p, Host{Leader: h, Stamper: h, SlotHost: h, Deliver: h.deliver}); err != nil {
			n.c.t.Errorf("run %s: %v", n.name, err)
		}
	}()
}

// stop stops a node in order.
func (n *node) stop() {
	n.c.t.Helper()
	if n.dead.Swap(true) {
		return
	}
	if err := Close(context.Background(), n.p); err != nil && !errors.Is(err, disk.ErrCrashed) {
		n.c.t.Errorf("close %s: %v", n.name, err)
	}
	n.cancel()
	<-n.done
}

// isolate cuts a node off, or joins it again.
func (n *node) isolate(cut bool) {
	for _, o := range n.c.nodes {
		if o != n {
			n.c.net.both(n.name, o.name, cut)
		}
	}
}

// kill takes the power of a node: its links go silent, what it did not sync is lost.
// What is left of its process ends before it returns.
func (n *node) kill(keep disk.Keep) {
	n.c.t.Helper()
	if n.dead.Swap(true) {
		return
	}
	n.isolate(true)
	time.Sleep(5 * time.Millisecond) // what is committed is applied, and so answered
	n.p.Raft.Shutdown()              // raft panics on a disk that fails; a real process would be gone
	n.fs.Crash(keep)
	n.fs.Clear()
	n.cancel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = Close(ctx, n.p) // its disk is gone
	<-n.done
	n.isolate(false)
}

// restart starts a node that was stopped or killed.
func (n *node) restart() {
	n.c.t.Helper()
	n.c.mu.Lock()
	n.exits = nil
	n.c.mu.Unlock()
	n.start()
}

// leader waits until one node leads, openly, and the others know.
func (c *testCluster) leader() *node {
	c.t.Helper()
	var l *node
	c.until(10*time.Second, "a leader", func() bool {
		for _, n := range c.nodes {
			if n.dead.Load() {
				continue
			}
			if _, open := n.p.Leadership.Current(); open && c.followed(n) {
				l = n
				return true
			}
		}
		return false
	})
	return l
}

// followed reports whether a majority agrees that n leads.
func (c *testCluster) followed(n *node) bool {
	k := 0
	for _, o := range c.nodes {
		if o.dead.Load() {
			continue
		}
		if id, _ := o.p.Leadership.Leader(); id == n.p.Node && o.p.Raft.CurrentTerm() == n.p.Raft.CurrentTerm() {
			k++
		}
	}
	return k > len(c.nodes)/2
}

func (c *testCluster) others(n *node) []*node {
	var list []*node
	for _, o := range c.nodes {
		if o != n {
			list = append(list, o)
		}
	}
	return list
}

// until waits for a condition, in virtual time.
func (c *testCluster) until(limit time.Duration, what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("no %s after %s", what, limit)
		}
	}
}

func (c *testCluster) stopAll() {
	for _, n := range c.nodes {
		n.stop()
	}
}

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// put is a command that can be found again: it registers a task type of that name.
func put(name string) *fsm.Command {
	c := &fsm.Command{Body: &fsm.PutTaskType{Source: []byte(`{"name":"` + name + `"}`)}}
	copy(c.RequestID[:], name)
	return c
}

func propose(n *node, name string, limit time.Duration) (fsm.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return n.p.Proposer.Propose(ctx, put(name))
}

// mustPropose proposes as a client does: an answer that leaves the fate open is asked
// for again.
func (c *testCluster) mustPropose(n *node, name string) fsm.Outcome {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		o, err := propose(n, name, 2*time.Second)
		if err != nil && time.Now().Before(end) {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err != nil {
			c.t.Fatalf("propose %s on %s: %v", name, n.name, err)
		}
		if o.Result.Rejection != nil {
			c.t.Fatalf("propose %s on %s: rejected: %v", name, n.name, o.Result.Rejection)
		}
		return o
	}
}

func read(n *node, limit time.Duration) (fsm.View, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return n.p.Reads.Linearizable(ctx)
}

func has(v fsm.View, name string) bool {
	_, ok := v.TaskType(name)
	return ok
}

// agree waits until all nodes have applied the same, and compares them.
func (c *testCluster) agree() {
	c.t.Helper()
	l := c.leader()
	o := c.mustPropose(l, "agree-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	c.until(20*time.Second, "agreement", func() bool {
		for _, n := range c.nodes {
			if n.p.Replica.Applied() < o.Position.Index {
				return false
			}
		}
		return true
	})
	want := stateBytes(c.t, l)
	for _, n := range c.nodes {
		if got := stateBytes(c.t, n); !bytes.Equal(got, want) {
			c.t.Fatalf("%s and %s differ", n.name, l.name)
		}
	}
}

func stateBytes(t *testing.T, n *node) []byte {
	t.Helper()
	v, err := n.p.Replica.At(context.Background(), n.p.Replica.Applied())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := writeState(&b, v, 0); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// seed is the seed of a random test: PAWL_SEED if that is set.
func seed(t *testing.T) uint64 {
	s := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("PAWL_SEED"), 10, 64); err == nil {
		s = v
	}
	t.Logf("PAWL_SEED=%d", s)
	return s
}
