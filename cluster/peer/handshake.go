package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// doubtFor is how many heartbeats long, and doubtTimes how often, a process
	// must be told that another one with its id is alive, before it believes it:
	// after a restart the links of the process before it may linger a while.
	doubtFor   = 10
	doubtTimes = 3
	// acceptPause is the wait after an accept that failed, such as for want of
	// file descriptors.
	acceptPause = 50 * time.Millisecond
)

// accept takes connections until the listener closes.
func (n *Net) accept() error {
	for {
		raw, err := n.listener.Accept()
		switch {
		case n.base.Err() != nil:
			if err == nil {
				raw.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept peers: %w", err)
		case err != nil:
			n.log.Warn("accept peers", "err", err)
			n.pause(acceptPause)
			continue
		}
		select {
		case n.greeting <- struct{}{}:
			n.wg.Go(func() {
				defer func() { <-n.greeting }()
				if err := n.serve(raw); err != nil {
					n.log.Debug("connection not accepted", "from", raw.RemoteAddr(), "err", err)
				}
			})
		default:
			raw.Close()
		}
	}
}

func (n *Net) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.base.Done():
	}
}

// serve greets whoever connected and hands the connection to what its class
// is for. On error it is closed.
func (n *Net) serve(raw net.Conn) (err error) {
	defer func() {
		if err != nil {
			raw.Close()
		}
	}()
	defer context.AfterFunc(n.base, func() { raw.Close() })()
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	t := tls.Server(raw, n.tls)
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	class := Class(t.ConnectionState().NegotiatedProtocol)
	first, err := readHello(t)
	if err != nil {
		return err
	}
	c := &conn{Conn: t, raw: raw, net: n, class: class, addr: raw.RemoteAddr().String(), hello: first.Hello}
	no := n.judge(c, fsm.NodeID{})
	if err := writeHello(t, reply{Hello: n.hello(first.Hello.From), Refused: no}); err != nil {
		return err
	}
	if no != 0 {
		return n.refuse(c, no)
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if class == ClassLink && first.Hello.To.IsZero() {
		return raw.Close() // a probe has what it wanted
	}
	return n.take(c)
}

// take keeps an accepted connection.
func (n *Net) take(c *conn) error {
	if err := n.keep(c); err != nil {
		return err
	}
	if c.class != ClassLink {
		return n.stream(c.class).offer(c)
	}
	p, err := n.peer(c.hello.From)
	if err != nil {
		c.Close()
		return err
	}
	n.start(p, c, false)
	return nil
}

// reach connects with the node id, at the first of its addresses where it is.
// The error is that of the last address, unless another one told more.
func (n *Net) reach(ctx context.Context, id fsm.NodeID, class Class) (*conn, error) {
	addrs := n.book.Resolve(id)
	err := error(fmt.Errorf("dial %s: no address known", id))
	var told *RefusedError
	for _, addr := range addrs {
		one, cancel := context.WithTimeout(ctx, dialTimeout)
		c, e := n.connect(one, id, class, addr)
		cancel()
		if e == nil {
			n.book.met(id, addr)
			return c, nil
		}
		var no *RefusedError
		if errors.As(e, &no) && no.Reason == RefusedAddressee {
			n.book.astray(id, addr)
		}
		if told == nil || !told.Reason.identity() {
			err = e
			errors.As(e, &told)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// connect dials one address and greets who is there, which must be id unless
// that is zero.
func (n *Net) connect(ctx context.Context, id fsm.NodeID, class Class, addr string) (c *conn, err error) {
	raw, err := n.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	defer func() {
		if err != nil {
			raw.Close()
		}
	}()
	// The context cuts the handshake short by closing what it waits on.
	unhook := context.AfterFunc(ctx, func() { raw.Close() })
	defer func() {
		if !unhook() && err == nil {
			n.forget(c)
			err = fmt.Errorf("dial %s: %w", addr, context.Cause(ctx))
		}
	}()
	cfg := n.tls.Clone()
	cfg.NextProtos = []string{string(class)}
	t := tls.Client(raw, cfg)
	if err := t.Handshake(); err != nil {
		return nil, fmt.Errorf("greet %s: %w", addr, err)
	}
	if err := writeHello(t, reply{Hello: n.hello(id)}); err != nil {
		return nil, fmt.Errorf("greet %s: %w", addr, err)
	}
	r, err := readHello(t)
	if err != nil {
		return nil, fmt.Errorf("greet %s: %w", addr, err)
	}
	c = &conn{Conn: t, raw: raw, net: n, class: class, addr: addr, hello: r.Hello, dialed: true}
	if r.Refused != 0 {
		return nil, n.refused(c, r.Refused)
	}
	if no := n.judge(c, id); no != 0 {
		return nil, n.refuse(c, no)
	}
	if err := n.keep(c); err != nil {
		return nil, err
	}
	return c, nil
}

// Probe asks addr who listens there. The key behind the answer is proven, but
// nothing else: the node may belong to another cluster.
func (n *Net) Probe(ctx context.Context, addr string) (Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := n.connect(ctx, fsm.NodeID{}, ClassLink, addr)
	var no *RefusedError
	switch {
	case err == nil:
		c.Close()
		return c.hello, nil
	case errors.As(err, &no) && no.Hello.From == n.self:
		return no.Hello, nil // this node's own address
	}
	return Hello{}, fmt.Errorf("probe: %w", err)
}

func (n *Net) hello(to fsm.NodeID) Hello {
	id := n.identity()
	return Hello{
		Protocol: protocol, ClusterID: id.ClusterID, Genesis: id.Genesis, Incarnation: id.Incarnation,
		From: id.Node, To: to, Boot: id.Boot, Nonce: id.Nonce,
		MinVersion: n.cfg.MinVersion, MaxVersion: n.cfg.MaxVersion,
	}
}

// judge decides whether the process that greeted on c may stay. For a dialled
// connection want is who should be there, zero for anyone.
func (n *Net) judge(c *conn, want fsm.NodeID) Refusal {
	h := c.hello
	cert, err := readCertificate(c.Conn.ConnectionState())
	if err != nil || cert.node != h.From {
		return RefusedKey
	}
	probe := want.IsZero() && c.dialed || !c.dialed && h.To.IsZero()
	switch {
	case h.Protocol != protocol:
		return RefusedProtocol
	case h.From == n.self, !c.dialed && h.To != n.self && !probe, c.dialed && !probe && h.From != want:
		return RefusedAddressee
	case probe && c.class == ClassLink:
		return 0 // only wants to know, and changes nothing
	case probe && c.class != ClassGossip:
		return RefusedAddressee
	}
	if no := belongs(n.identity(), h); no != 0 {
		return no
	}
	if c.class.consensus() && !c.dialed && !n.trusts(h) {
		return RefusedUnadmitted
	}
	var live *Hello
	if l := n.liveLink(h.From); l != nil {
		live = &l.hello
	}
	if no := n.book.judge(h, cert.key, live); no != 0 {
		return no
	}
	if c.class == ClassLink && !c.dialed {
		if p := (*n.peers.Load())[h.From]; p != nil && p.loses(h.Nonce, false) {
			return RefusedDuplicate
		}
	}
	if c.class != ClassLink && !c.dialed && !n.listening(c.class) {
		return RefusedClass
	}
	return 0
}

// trusts reports whether votes and entries may pass with the process behind h:
// an empty node would grant any vote, and a node with a genesis has nothing to
// hear from one without.
func (n *Net) trusts(h Hello) bool {
	if !n.listens(h.From) {
		return false
	}
	return h.Genesis != [16]byte{} || n.identity().Genesis == [16]byte{}
}

// belongs compares what two nodes say about their cluster. A node that does
// not know yet agrees with every other.
func belongs(id Identity, h Hello) Refusal {
	switch {
	case id.ClusterID != "" && h.ClusterID != "" && id.ClusterID != h.ClusterID:
		return RefusedCluster
	case id.Genesis == [16]byte{} || h.Genesis == [16]byte{}:
		return 0
	case id.Genesis != h.Genesis:
		return RefusedGenesis
	case id.Incarnation != h.Incarnation:
		return RefusedIncarnation
	}
	return 0
}

// refuse makes the error of a connection this node refused, and raises the
// alarm if a person should know.
func (n *Net) refuse(c *conn, no Refusal) error {
	err := &RefusedError{Peer: c.hello.From, Addr: c.addr, Reason: no, Hello: c.hello}
	if no.identity() || no == RefusedLive {
		a := Alarm{Peer: err.Peer, Addr: err.Addr, Reason: no, Text: err.Error()}
		if no == RefusedIncarnation && c.hello.Incarnation > n.identity().Incarnation {
			a.Fatal = true
			a.Text = fmt.Sprintf("peer %s lives in incarnation %d of the cluster and this node in an earlier one", err.Peer, c.hello.Incarnation)
		}
		n.cfg.Alarm(a)
	}
	return err
}

// refused makes the error of a connection the peer refused, and raises the
// alarm. Being called a copy or outdated is fatal, if the peer has proven to
// be the one it is known as.
func (n *Net) refused(c *conn, no Refusal) error {
	err := &RefusedError{Peer: c.hello.From, Addr: c.addr, Reason: no, ByPeer: true, Hello: c.hello}
	if !no.identity() && no != RefusedLive {
		return err
	}
	a := Alarm{Peer: err.Peer, Addr: err.Addr, Reason: no, Text: err.Error()}
	switch no {
	case RefusedBoot, RefusedClone:
		a.Fatal = true
	case RefusedLive:
		a.Fatal = n.doubted.again(time.Now(), doubtFor*n.heartbeat)
	case RefusedIncarnation:
		a.Fatal = c.hello.Incarnation > n.identity().Incarnation
	}
	a.Fatal = a.Fatal && n.known(c)
	n.cfg.Alarm(a)
	return err
}

// known reports whether the peer on c is one this node can believe: its key is
// that of a known node and it belongs to the same cluster.
func (n *Net) known(c *conn) bool {
	cert, err := readCertificate(c.Conn.ConnectionState())
	if err != nil || cert.node != c.hello.From || !n.book.believes(cert.node, cert.key) {
		return false
	}
	no := belongs(n.identity(), c.hello)
	return no == 0 || no == RefusedIncarnation
}

// doubt counts how often peers said that another process has this node's id.
type doubt struct {
	mu    sync.Mutex
	times []time.Time
}

// again notes one more and reports whether that makes it certain: a few,
// spread over the given time, with no longer pause between them.
func (d *doubt) again(now time.Time, span time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := len(d.times); k > 0 && now.Sub(d.times[k-1]) > span {
		d.times = nil
	}
	d.times = append(d.times, now)
	if len(d.times) > 2*doubtTimes { // keep the first: it says since when
		d.times = slices.Delete(d.times, 1, 2)
	}
	return len(d.times) >= doubtTimes && now.Sub(d.times[0]) >= span
}
