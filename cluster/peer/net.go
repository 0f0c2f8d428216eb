package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// healthsPerBeat is how many signs of life a link sends in the time of one
	// heartbeat, and silentBeats how many heartbeats of silence end it: six are
	// lost in a row before a live peer is given up.
	healthsPerBeat = 3
	silentBeats    = 2
	// defaultHeartbeat is used when Config names none.
	defaultHeartbeat = 500 * time.Millisecond
	// handshakeTimeout bounds the accepting side of a handshake.
	handshakeTimeout = 5 * time.Second
	// maxHandshakes bounds the accepted connections that proved nothing yet.
	maxHandshakes = 64
	// maxConns bounds the connections with one peer, of all classes: raft pools
	// three a class and has one for each pipeline and snapshot.
	maxConns = 32
	// maxPeers bounds the nodes a Net has state for, members and strangers.
	maxPeers = maxRecords
)

var errClosed = errors.New("the peer network is stopped")

// Config is what a Net is made of. Identity, Book and Log are required.
type Config struct {
	Identity Identity
	Book     *Book
	Log      *slog.Logger

	// Addr is where to listen, as Listen understands it.
	Addr string
	// Listen and Dial default to TCP.
	Listen func(addr string) (net.Listener, error)
	Dial   func(ctx context.Context, addr string) (net.Conn, error)

	// Heartbeat is raft's heartbeat timeout. A link that is silent for twice as
	// long is closed.
	Heartbeat time.Duration
	// MinVersion and MaxVersion are told to peers in Hello.
	MinVersion, MaxVersion uint16

	// Admitted reports whether this node is in a cluster; nil stands for a
	// genesis in the identity. While it is not, connections of raft and
	// requests other than for admission are refused, but for the nodes that
	// Allow lets in: the initiator this node promised itself to. Both are called
	// often, from many goroutines.
	Admitted func() bool
	Allow    func(from fsm.NodeID) bool

	// Alarm is told what a person must look at; it must not block. It may be
	// told the same again at each attempt.
	Alarm func(Alarm)
}

// Net is the network of one node. All methods may be called from any
// goroutine, except for those that say otherwise.
type Net struct {
	self      fsm.NodeID
	book      *Book
	log       *slog.Logger
	heartbeat time.Duration
	cfg       Config
	listener  net.Listener
	tls       *tls.Config

	// base ends when the Net stops. It is kept, because links are made by
	// whoever connects and outlive each caller.
	base context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup // everything that runs; joined by Run

	handlers [256]atomic.Pointer[handler]
	running  atomic.Int32  // handlers that run now
	calls    sync.Pool     // of *call
	greeting chan struct{} // one entry for each handshake under way
	onUp     []func(fsm.NodeID)
	onDown   []func(fsm.NodeID)
	onDead   []func(fsm.NodeID)
	doubted  doubt

	idMu sync.RWMutex
	id   Identity
	cert *tls.Certificate

	mu      sync.Mutex
	started bool // peers run
	closed  bool
	peers   atomic.Pointer[map[fsm.NodeID]*peer] // copied to change, under mu
	conns   map[*conn]struct{}
	streams map[Class]*Stream
}

// New makes a Net that listens, but neither accepts nor dials until Run.
func New(cfg Config) (*Net, error) {
	if cfg.Book == nil || cfg.Log == nil {
		return nil, errors.New("new peer network: a book and a log are needed")
	}
	cert, err := certificate(cfg.Identity)
	if err != nil {
		return nil, fmt.Errorf("new peer network: %w", err)
	}
	cfg = cfg.withDefaults()
	n := &Net{
		self: cfg.Identity.Node, book: cfg.Book, log: cfg.Log, heartbeat: cfg.Heartbeat, cfg: cfg,
		greeting: make(chan struct{}, maxHandshakes), id: cfg.Identity, cert: cert,
		conns: make(map[*conn]struct{}), streams: make(map[Class]*Stream),
	}
	n.calls.New = newCall
	n.tls = tlsConfig(classes, n.certificate)
	n.peers.Store(&map[fsm.NodeID]*peer{})
	n.base, n.stop = context.WithCancel(context.Background())
	if n.listener, err = cfg.Listen(cfg.Addr); err != nil {
		return nil, fmt.Errorf("listen for peers on %q: %w", cfg.Addr, err)
	}
	return n, nil
}

func (c Config) withDefaults() Config {
	if c.Listen == nil {
		c.Listen = listenTCP
	}
	if c.Dial == nil {
		c.Dial = dialTCP
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.Alarm == nil {
		c.Alarm = func(Alarm) {}
	}
	return c
}

// Addr is where the Net listens.
func (n *Net) Addr() net.Addr { return n.listener.Addr() }

// Book is the book the Net was made with.
func (n *Net) Book() *Book { return n.book }

// OnUp adds a callback for each peer whose link comes up. Callbacks for one
// peer come one at a time and in order, from a goroutine of that peer; they
// may use the Net, but the next waits for them. Before Run only.
func (n *Net) OnUp(f func(fsm.NodeID)) { n.onUp = append(n.onUp, f) }

// OnDown adds a callback for each peer whose link went, as OnUp. Casts that
// were on the way may be lost; a new link, if there is one, is told after.
func (n *Net) OnDown(f func(fsm.NodeID)) { n.onDown = append(n.onDown, f) }

// OnDead adds a callback for each held peer whose machine answers that no
// process listens, at most once after each OnDown, as OnUp: the peer is dead,
// not silent.
func (n *Net) OnDead(f func(fsm.NodeID)) { n.onDead = append(n.onDead, f) }

// Run accepts, dials and serves until ctx ends, then closes every connection
// and waits for what it started. It is called once; the error is that of a
// broken listener, else nil.
func (n *Net) Run(ctx context.Context) error {
	unhook := context.AfterFunc(ctx, n.close)
	defer unhook()
	n.book.watch(n.readdressed)
	n.mu.Lock()
	n.started = !n.closed
	for _, p := range *n.peers.Load() {
		n.runPeerLocked(p)
	}
	n.mu.Unlock()
	err := n.accept()
	n.close()
	n.wg.Wait()
	return err
}

// Close stops a Net, also one that never ran. It does not wait; Run does.
func (n *Net) Close() error {
	n.close()
	return nil
}

func (n *Net) close() {
	n.stop()
	n.listener.Close()
	n.mu.Lock()
	n.closed = true
	for _, s := range n.streams {
		s.shut()
	}
	n.mu.Unlock()
	n.drop(func(*conn) bool { return true })
}

// Hold says with which nodes to keep a link; links with others are left to
// them. It replaces what was held before.
func (n *Net) Hold(ids ...fsm.NodeID) error {
	want := make(map[fsm.NodeID]bool, len(ids))
	var errs []error
	for _, id := range ids {
		if id == n.self {
			continue
		}
		want[id] = true
		if _, err := n.peer(id); err != nil {
			errs = append(errs, fmt.Errorf("hold %s: %w", id, err))
		}
	}
	for id, p := range *n.peers.Load() {
		if p.held.Swap(want[id]) != want[id] {
			poke(p.wake)
		}
	}
	return errors.Join(errs...)
}

// Admit changes which cluster this node says it belongs to, from now on.
// Links with nodes of another one end.
func (n *Net) Admit(clusterID string, genesis [16]byte, incarnation uint8) error {
	id := n.identity()
	id.ClusterID, id.Genesis, id.Incarnation = clusterID, genesis, incarnation
	cert, err := certificate(id)
	if err != nil {
		return fmt.Errorf("admit: %w", err)
	}
	n.idMu.Lock()
	n.id, n.cert = id, cert
	n.idMu.Unlock()
	for _, p := range *n.peers.Load() {
		if l := p.live(); l != nil {
			l.health()
		}
	}
	return nil
}

func (n *Net) identity() Identity {
	n.idMu.RLock()
	defer n.idMu.RUnlock()
	return n.id
}

func (n *Net) certificate() *tls.Certificate {
	n.idMu.RLock()
	defer n.idMu.RUnlock()
	return n.cert
}

func (n *Net) silence() time.Duration { return silentBeats * n.heartbeat }

// listens reports whether this node takes more than admission from id.
func (n *Net) listens(id fsm.NodeID) bool {
	admitted := n.cfg.Admitted
	if admitted == nil {
		admitted = func() bool { return n.identity().Genesis != [16]byte{} }
	}
	return admitted() || (n.cfg.Allow != nil && n.cfg.Allow(id))
}

func (n *Net) acquire() bool {
	if n.running.Add(1) > maxHandlers {
		n.running.Add(-1)
		return false
	}
	return true
}

func (n *Net) release() { n.running.Add(-1) }

func (n *Net) liveLink(id fsm.NodeID) *link {
	if p := (*n.peers.Load())[id]; p != nil {
		return p.live()
	}
	return nil
}

// peer finds or makes the state for id.
func (n *Net) peer(id fsm.NodeID) (*peer, error) {
	if p := (*n.peers.Load())[id]; p != nil {
		return p, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old := *n.peers.Load()
	if p := old[id]; p != nil {
		return p, nil
	}
	if n.closed {
		return nil, errClosed
	}
	if len(old) >= maxPeers {
		return nil, errors.New("too many nodes")
	}
	p := &peer{net: n, id: id, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	peers := make(map[fsm.NodeID]*peer, len(old)+1)
	for k, v := range old {
		peers[k] = v
	}
	peers[id] = p
	n.peers.Store(&peers)
	n.runPeerLocked(p)
	return p, nil
}

// runPeerLocked starts the goroutines of p, if Run has begun.
func (n *Net) runPeerLocked(p *peer) {
	if n.started {
		n.wg.Go(p.report)
		n.wg.Go(p.redial)
	}
}

// readdressed makes a held peer be tried at once, or cuts off an expelled one.
func (n *Net) readdressed(id fsm.NodeID) {
	if n.book.expels(id) {
		n.drop(func(c *conn) bool { return c.hello.From == id })
	}
	for other, p := range *n.peers.Load() {
		if id.IsZero() || id == other {
			poke(p.wake)
		}
	}
}

func (n *Net) tell(fs []func(fsm.NodeID), id fsm.NodeID) {
	for _, f := range fs {
		f(id)
	}
}

func compareIDs(a, b fsm.NodeID) int { return bytes.Compare(a[:], b[:]) }

// PublicKey is the key peers know this node by.
func (n *Net) PublicKey() ed25519.PublicKey {
	return n.cfg.Identity.Key.Public().(ed25519.PublicKey)
}
