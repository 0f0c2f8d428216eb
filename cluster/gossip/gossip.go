package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// noLabel marks the packets of nodes that know no cluster yet.
	noLabel = "pawl"
	// joinMin and joinMax bound the wait between attempts to find seeds that are not
	// known: soon at first, since nodes are started together.
	joinMin = time.Second
	joinMax = 30 * time.Second
	// streamTimeout bounds one full exchange, and how long a seed that does not
	// answer holds up the next.
	streamTimeout = 2 * time.Second
	// leaveTimeout bounds the farewell. Who misses it notices the silence.
	leaveTimeout = time.Second
	// updateTimeout bounds how long a new Meta is offered to others at once.
	updateTimeout = 5 * time.Second
)

// Config is what a Gossip is made of. Node, Port, Log and OnPeer are required.
type Config struct {
	// Bind is the IP address to take packets at, Port the port: that of the
	// peer listener, as UDP. Port 0 takes a free one.
	Bind string
	Port int
	// Advertise is the IP address others send packets to; empty takes Bind, or
	// an address of an interface when that names none.
	Advertise string
	// Label is the cluster id. Packets of others are dropped. It is empty for a
	// node in no cluster yet.
	Label string
	Meta  Meta
	// Seeds are peer addresses, host:port, to begin with.
	Seeds []string
	// Streams carries what is no packet. Nil uses TCP on the same port, for a
	// node whose peer listener is elsewhere.
	Streams Streams
	Log     *slog.Logger
	// OnPeer is told of each node that is heard of anew, or says something new.
	// It must not block, nor call back into the Gossip.
	OnPeer func(Meta)
}

// Streams makes and takes connections to the port that packets go to as well.
type Streams interface {
	Accept() (net.Conn, error)
	DialAny(addr string, timeout time.Duration) (net.Conn, error)
	Close() error
}

// Gossip is a running gossip. Its methods may be called from any goroutine.
type Gossip struct {
	cfg  Config
	list *memberlist.Memberlist
	port int

	stop context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	meta []byte
}

// Start binds the port and begins to gossip. It does not wait for anybody to
// be found. The caller stops what it returns.
func Start(c Config) (*Gossip, error) {
	meta, err := c.Meta.encode()
	if err != nil {
		return nil, err
	}
	if c.Log == nil || c.OnPeer == nil || c.Meta.Node.IsZero() {
		return nil, errors.New("start gossip: a node id, a log and a callback are needed")
	}
	if c.Label == "" {
		c.Label = noLabel
	}
	t, err := newTransport(c)
	if err != nil {
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	g := &Gossip{cfg: c, meta: meta, port: portOf(t.udp)}
	mc := memberlist.DefaultLANConfig()
	mc.Name = c.Meta.Node.String()
	mc.Label = c.Label
	mc.Transport = t
	mc.BindAddr, mc.BindPort = c.Bind, g.port
	mc.AdvertiseAddr, mc.AdvertisePort = c.Advertise, g.port
	mc.Delegate, mc.Events = delegate{g}, delegate{g}
	mc.Logger = log.New(logWriter{c.Log}, "", 0)
	mc.MsgpackUseNewTimeFormat = true
	mc.TCPTimeout = streamTimeout
	if g.list, err = memberlist.Create(mc); err != nil {
		return nil, errors.Join(fmt.Errorf("start gossip: %w", err), t.Shutdown())
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.stop = cancel
	g.wg.Go(func() { g.join(ctx) })
	return g, nil
}

// Port is the port packets are taken at.
func (g *Gossip) Port() int { return g.port }

// Peers gives what the nodes that seem alive say, without this one.
func (g *Gossip) Peers() []Meta {
	var out []Meta
	for _, n := range g.list.Members() {
		if m, err := decode(n.Name, n.Meta); err == nil && m.Node != g.cfg.Meta.Node {
			out = append(out, m)
		}
	}
	return out
}

// Update changes what this node says of itself; its id stays.
func (g *Gossip) Update(m Meta) error {
	m.Node = g.cfg.Meta.Node
	b, err := m.encode()
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.meta = b
	g.mu.Unlock()
	if err := g.list.UpdateNode(updateTimeout); err != nil {
		return fmt.Errorf("update gossip meta: %w", err)
	}
	return nil
}

// Stop says farewell and waits for everything that Start began.
func (g *Gossip) Stop() error {
	g.stop()
	g.wg.Wait()
	if err := g.list.Leave(leaveTimeout); err != nil {
		g.cfg.Log.Debug("gossip farewell", "err", err)
	}
	if err := g.list.Shutdown(); err != nil {
		return fmt.Errorf("stop gossip: %w", err)
	}
	return nil
}

// join asks the seeds that are not among the known nodes. That others are known is not
// enough: they may have asked this node, and a seed that comes up late knows nobody.
func (g *Gossip) join(ctx context.Context) {
	wait := joinMin
	for {
		for _, seed := range g.missing() {
			if ctx.Err() != nil {
				return
			}
			if _, err := g.list.Join([]string{seed}); err != nil {
				g.cfg.Log.Debug("gossip seed not found", "seed", seed, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, joinMax)
	}
}

// missing lists the seeds at whose address no node is known; those given by name are
// always asked again.
func (g *Gossip) missing() []string {
	var out []string
	members := g.list.Members()
	for _, seed := range g.cfg.Seeds {
		if !slices.ContainsFunc(members, func(n *memberlist.Node) bool { return n.Address() == seed }) {
			out = append(out, seed)
		}
	}
	return out
}

// delegate is what memberlist asks and tells.
type delegate struct{ g *Gossip }

func (d delegate) NodeMeta(limit int) []byte {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	return d.g.meta[:min(len(d.g.meta), limit)]
}

// There are no messages of ours, and no state beyond Meta.
func (d delegate) NotifyMsg([]byte)                {}
func (d delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d delegate) LocalState(bool) []byte          { return nil }
func (d delegate) MergeRemoteState([]byte, bool)   {}

func (d delegate) NotifyJoin(n *memberlist.Node)   { d.heard(n) }
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.heard(n) }
func (d delegate) NotifyLeave(*memberlist.Node)    {}

// heard passes on what a node says. memberlist calls it with its lock held.
func (d delegate) heard(n *memberlist.Node) {
	m, err := decode(n.Name, n.Meta)
	switch {
	case err != nil:
		d.g.cfg.Log.Debug("gossip not understood", "err", err)
	case m.Node != d.g.cfg.Meta.Node && m.Node != fsm.NodeID{}:
		d.g.cfg.OnPeer(m)
	}
}

// logWriter gives memberlist's lines to slog.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	level, text, ok := strings.Cut(strings.TrimSpace(string(p)), " ")
	if !ok {
		level, text = "", level
	}
	at := slog.LevelDebug
	if level == "[WARN]" || level == "[ERR]" {
		at = slog.LevelWarn
	}
	w.log.Log(context.Background(), at, "gossip", "text", strings.TrimPrefix(text, "memberlist: "))
	return len(p), nil
}

func hostPort(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }
