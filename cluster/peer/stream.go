package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/fsm"
)

// maxAccepted bounds the connections of a class that wait for Accept.
const maxAccepted = 16

// conn is one greeted connection.
type conn struct {
	*tls.Conn
	raw    net.Conn
	net    *Net
	class  Class
	addr   string // where the other side is, or came from
	dialed bool
	hello  Hello // of the other side
}

// Close closes the connection at once. It sends no farewell: that would wait
// for a peer that may be the reason to close.
func (c *conn) Close() error {
	c.net.forget(c)
	return c.raw.Close()
}

// RemoteAddr is the id of the node at the other end.
func (c *conn) RemoteAddr() net.Addr { return nodeAddr(c.hello.From) }

// From is the node at the other end.
func (c *conn) From() fsm.NodeID { return c.hello.From }

// nodeAddr is a node id as an address.
type nodeAddr fsm.NodeID

func (a nodeAddr) Network() string { return "pawl" }
func (a nodeAddr) String() string  { return fsm.NodeID(a).String() }

// Stream is the connections of one class: a raft.StreamLayer whose addresses
// are node ids. Its connections have a method From() fsm.NodeID.
type Stream struct {
	net   *Net
	class Class
	in    chan *conn
	done  chan struct{}

	mu     sync.Mutex
	closed bool
}

var _ raft.StreamLayer = (*Stream)(nil)

// Stream opens a class; ClassLink is the Net's own. Until it is opened peers
// are refused. Opening a class again gives the same Stream, or a new one when
// it was closed.
func (n *Net) Stream(class Class) *Stream {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.streams[class]
	if s == nil || s.isClosed() {
		s = &Stream{net: n, class: class, in: make(chan *conn, maxAccepted), done: make(chan struct{})}
		n.streams[class] = s
	}
	if n.closed {
		s.shut()
	}
	return s
}

func (n *Net) stream(class Class) *Stream {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.streams[class]
}

func (n *Net) listening(class Class) bool {
	s := n.stream(class)
	return s != nil && !s.isClosed()
}

// Accept gives the next connection a peer made.
func (s *Stream) Accept() (net.Conn, error) {
	select {
	case c := <-s.in:
		return c, nil
	case <-s.done:
		return nil, fmt.Errorf("accept %s: %w", s.class, net.ErrClosed)
	}
}

// Close closes the stream and every connection that came from it.
func (s *Stream) Close() error {
	s.shut()
	s.net.drop(func(c *conn) bool { return c.class == s.class })
	return nil
}

func (s *Stream) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
}

func (s *Stream) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Addr is the id of this node.
func (s *Stream) Addr() net.Addr { return nodeAddr(s.net.self) }

// Dial connects with the node whose id's text is address.
func (s *Stream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, err := fsm.ParseNodeID(string(address))
	if err != nil {
		return nil, fmt.Errorf("dial %s %q: %w", s.class, address, err)
	}
	if s.isClosed() {
		return nil, fmt.Errorf("dial %s %s: %w", s.class, id, net.ErrClosed)
	}
	ctx, cancel := context.WithTimeout(s.net.base, timeout)
	defer cancel()
	c, err := s.net.reach(ctx, id, s.class)
	if err != nil {
		return nil, fmt.Errorf("dial %s %s: %w", s.class, id, err)
	}
	return c, nil
}

// DialAny connects with whatever node of the cluster is at a network address.
// Only ClassGossip allows it.
func (s *Stream) DialAny(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.net.base, timeout)
	defer cancel()
	c, err := s.net.connect(ctx, fsm.NodeID{}, s.class, addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", s.class, err)
	}
	return c, nil
}

// offer gives an accepted connection to Accept, or closes it when too many wait.
func (s *Stream) offer(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		select {
		case s.in <- c:
			return nil
		default:
		}
	}
	c.net.forget(c)
	return &RefusedError{Peer: c.hello.From, Addr: c.addr, Reason: RefusedBusy, Hello: c.hello}
}

// keep puts a connection on the list of those that end with the Net.
func (n *Net) keep(c *conn) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errClosed
	}
	with := 0
	for other := range n.conns {
		if other.hello.From == c.hello.From && other.dialed == c.dialed {
			with++
		}
	}
	if with >= maxConns {
		return errors.New(RefusedBusy.String())
	}
	n.conns[c] = struct{}{}
	return nil
}

func (n *Net) forget(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// drop closes the connections f names.
func (n *Net) drop(f func(*conn) bool) {
	n.mu.Lock()
	var gone []*conn
	for c := range n.conns {
		if f(c) {
			gone = append(gone, c)
		}
	}
	n.mu.Unlock()
	for _, c := range gone {
		c.Close()
	}
}

// dropOlder closes connections with earlier processes of a node: what they
// have still under way must not be taken for the word of the new one.
func (n *Net) dropOlder(id fsm.NodeID, nonce [16]byte) {
	n.drop(func(c *conn) bool { return c.hello.From == id && c.hello.Nonce != nonce })
}
