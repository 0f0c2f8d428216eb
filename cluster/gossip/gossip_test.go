package gossip

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"

	"github.com/pawlhq/pawl/fsm"
)

func metaOf(b byte) Meta {
	return Meta{Node: fsm.NodeID{b}, Incarnation: 1, Peer: fmt.Sprintf("10.0.0.%d:7401", b), Client: fmt.Sprintf("10.0.0.%d:8080", b), Version: "v1"}
}

// ear collects what a gossip hears.
type ear struct {
	mu    sync.Mutex
	heard map[fsm.NodeID]Meta
	news  chan struct{}
}

func newEar() *ear { return &ear{heard: make(map[fsm.NodeID]Meta), news: make(chan struct{}, 1)} }

func (e *ear) hear(m Meta) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard[m.Node] = m
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// wait waits until the ear heard exactly this of a node.
func (e *ear) wait(t *testing.T, want Meta) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		e.mu.Lock()
		got := e.heard[want.Node]
		e.mu.Unlock()
		if got == want {
			return
		}
		select {
		case <-e.news:
		case <-deadline:
			t.Fatalf("heard %+v, want %+v", got, want)
		}
	}
}

func (e *ear) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard)
}

func begin(t *testing.T, c Config) (*Gossip, *ear) {
	t.Helper()
	e := newEar()
	c.Bind, c.Log, c.OnPeer = "127.0.0.1", slog.New(slog.NewTextHandler(io.Discard, nil)), e.hear
	g, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	return g, e
}

func TestNodesFindEachOther(t *testing.T) {
	a, ea := begin(t, Config{Meta: metaOf(1)})
	seed := hostPort("127.0.0.1", a.Port())
	b, eb := begin(t, Config{Meta: metaOf(2), Seeds: []string{seed}})
	_, ec := begin(t, Config{Meta: metaOf(3), Seeds: []string{hostPort("127.0.0.1", b.Port())}})
	for _, e := range []*ear{ea, eb, ec} {
		for i := byte(1); i <= 3; i++ {
			if (e == ea && i == 1) || (e == eb && i == 2) || (e == ec && i == 3) {
				continue
			}
			e.wait(t, metaOf(i))
		}
	}
	moved := metaOf(2)
	moved.Peer = "10.0.9.9:7401"
	if err := b.Update(moved); err != nil {
		t.Fatal(err)
	}
	ea.wait(t, moved)
	ec.wait(t, moved)
	if got := len(a.Peers()); got != 2 {
		t.Errorf("got %d peers, want 2", got)
	}
	if ea.count() != 2 {
		t.Errorf("a node heard of itself")
	}
}

// A node that is asked by another before its own seed is up still finds the seed, which
// knows nobody.
func TestASeedThatComesLateIsFound(t *testing.T) {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(free.(*net.UDPConn))
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	b, eb := begin(t, Config{Meta: metaOf(2), Seeds: []string{hostPort("127.0.0.1", port)}})
	_, ec := begin(t, Config{Meta: metaOf(3), Seeds: []string{hostPort("127.0.0.1", b.Port())}})
	eb.wait(t, metaOf(3))
	_, ea := begin(t, Config{Meta: metaOf(1), Port: port})
	ea.wait(t, metaOf(2))
	ea.wait(t, metaOf(3))
	ec.wait(t, metaOf(1))
}

func TestOtherLabelIsNotHeard(t *testing.T) {
	a, ea := begin(t, Config{Meta: metaOf(1), Label: "c1"})
	seed := hostPort("127.0.0.1", a.Port())
	other, eo := begin(t, Config{Meta: metaOf(2), Label: "c2"})
	if n, err := other.list.Join([]string{seed}); err == nil {
		t.Errorf("joined %d nodes of another cluster", n)
	}
	_, eb := begin(t, Config{Meta: metaOf(3), Label: "c1", Seeds: []string{seed}})
	eb.wait(t, metaOf(1))
	ea.wait(t, metaOf(3))
	if eo.count() != 0 || ea.count() != 1 {
		t.Errorf("heard %d and %d nodes, want 0 and 1", eo.count(), ea.count())
	}
}

// What a node says under another's name, or in no sense, is dropped.
func TestGossipLies(t *testing.T) {
	e := newEar()
	g := &Gossip{cfg: Config{Meta: metaOf(1), OnPeer: e.hear, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	good, err := metaOf(2).encode()
	if err != nil {
		t.Fatal(err)
	}
	own, _ := metaOf(1).encode()
	for _, n := range []memberlist.Node{
		{Name: fsm.NodeID{3}.String(), Meta: good},
		{Name: "c", Meta: good},
		{Name: fsm.NodeID{2}.String(), Meta: []byte("nonsense")},
		{Name: fsm.NodeID{2}.String()},
		{Name: fsm.NodeID{1}.String(), Meta: own},
	} {
		delegate{g}.NotifyJoin(&n)
		delegate{g}.NotifyUpdate(&n)
	}
	if e.count() != 0 {
		t.Errorf("heard %v, want nothing", e.heard)
	}
	delegate{g}.NotifyJoin(&memberlist.Node{Name: fsm.NodeID{2}.String(), Meta: good})
	if diff := cmp.Diff(map[fsm.NodeID]Meta{{2}: metaOf(2)}, e.heard); diff != "" {
		t.Error(diff)
	}
}

// pipes are Streams that connect each port with the gossip that owns it.
type pipes struct {
	mu sync.Mutex
	at map[string]*pipeEnd
}

type pipeEnd struct {
	all  *pipes
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (p *pipeEnd) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipeEnd) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipeEnd) DialAny(addr string, timeout time.Duration) (net.Conn, error) {
	p.all.mu.Lock()
	to := p.all.at[addr]
	p.all.mu.Unlock()
	if to == nil {
		return nil, net.ErrClosed
	}
	a, b := net.Pipe()
	select {
	case to.in <- b:
		return a, nil
	case <-to.done:
	case <-time.After(timeout):
	}
	return nil, net.ErrClosed
}

func TestStreamsOfTheCallerAreUsed(t *testing.T) {
	all := &pipes{at: make(map[string]*pipeEnd)}
	end := func() *pipeEnd {
		return &pipeEnd{all: all, in: make(chan net.Conn), done: make(chan struct{})}
	}
	pa, pb := end(), end()
	a, ea := begin(t, Config{Meta: metaOf(1), Streams: pa})
	seed := hostPort("127.0.0.1", a.Port())
	all.mu.Lock()
	all.at[seed] = pa
	all.mu.Unlock()
	_, eb := begin(t, Config{Meta: metaOf(2), Streams: pb, Seeds: []string{seed}})
	ea.wait(t, metaOf(2))
	eb.wait(t, metaOf(1))
}

func TestMetaMustFit(t *testing.T) {
	m := metaOf(1)
	m.Peer = strings.Repeat("x", memberlist.MetaMaxSize)
	if _, err := Start(Config{Meta: m}); err == nil {
		t.Error("a meta that is too large was taken")
	}
}

func TestLogLines(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelWarn}))
	w := logWriter{log}
	for _, line := range []string{"[DEBUG] memberlist: quiet", "[WARN] memberlist: loud", "odd"} {
		if _, err := w.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.String(); !strings.Contains(got, "text=loud") || strings.Contains(got, "quiet") || strings.Contains(got, "odd") {
		t.Errorf("got %q, want the warning alone", got)
	}
}
