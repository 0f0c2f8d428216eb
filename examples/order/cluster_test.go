package order_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/transport"
)

const (
	clusterAddr = "node:8080"
	tickEvery   = 20 * time.Millisecond
)

var clusterNode = fsm.NodeID{1}

// cluster is the machine behind the real server, in memory and reached by pipes: every
// command is an entry of its own. Time is that of the test's bubble.
type cluster struct {
	mu      sync.Mutex
	state   *fsm.State
	journal []fsm.Batch
	grown   chan struct{} // closed and replaced at each entry
	parked  map[fsm.StreamID]*parked
	streams fsm.StreamID
	slots   uint64
	trouble *rand.Rand // nil for none

	accept chan net.Conn
	closed chan struct{}
	conns  []net.Conn
}

type parked struct {
	spec   fsm.SlotSpec
	free   map[uint64]bool
	leases chan fsm.Leased
}

// newCluster serves until the test ends. With trouble, some answers are lost and some
// calls refused.
func newCluster(t *testing.T, trouble *rand.Rand) *cluster {
	t.Helper()
	c := &cluster{
		state: fsm.New(0), grown: make(chan struct{}), parked: make(map[fsm.StreamID]*parked), trouble: trouble,
		accept: make(chan net.Conn), closed: make(chan struct{}),
	}
	server := transport.New(transport.Deps{
		Proposer: c, Views: c, Parking: c, Cluster: c, Events: c.open, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(ctx, c); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	running.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-time.After(tickEvery):
			case <-ctx.Done():
			}
			c.mu.Lock()
			c.turnLocked(&fsm.Entry{})
			c.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return c
}

func (c *cluster) dial(t *testing.T) *pawl.Client {
	t.Helper()
	client, err := pawl.Dial(t.Context(), pawl.WithAddresses(clusterAddr), pawl.WithDialer(
		func(ctx context.Context, _, _ string) (net.Conn, error) {
			near, far := net.Pipe()
			select {
			case c.accept <- far:
				return near, nil
			case <-c.closed:
				return nil, io.ErrClosedPipe
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Accept gives the next connection.
func (c *cluster) Accept() (net.Conn, error) {
	select {
	case conn := <-c.accept:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.conns = append(c.conns, conn)
		return conn, nil
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (c *cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

// Addr is not looked at.
func (c *cluster) Addr() net.Addr { return &net.TCPAddr{} }

// cut breaks all connections.
func (c *cluster) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// Propose applies the command, and in times of trouble loses its answer or refuses it.
func (c *cluster) Propose(_ context.Context, cmd *fsm.Command) (fsm.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	luck := 1.0
	if c.trouble != nil {
		luck = c.trouble.Float64()
	}
	if luck < 0.05 {
		return fsm.Outcome{}, fsm.ErrNoLeader
	}
	a := c.turnLocked(&fsm.Entry{Commands: []*fsm.Command{cmd}})
	if luck < 0.1 {
		return fsm.Outcome{}, fsm.ErrUnknown
	}
	return fsm.Outcome{Position: fsm.Position{Index: c.state.Index()}, Result: a.Results[0]}, nil
}

// turnLocked applies e, and further entries while something is due or a task could be
// handed out.
func (c *cluster) turnLocked(e *fsm.Entry) *fsm.Applied {
	first := c.entryLocked(e)
	for a := first; a.More || c.offersLocked() != nil; {
		a = c.entryLocked(&fsm.Entry{})
	}
	return first
}

func (c *cluster) entryLocked(e *fsm.Entry) *fsm.Applied {
	e.Time, e.Work, e.Offers = fsm.Millis(time.Now().UnixMilli()), fsm.MaxWork, c.offersLocked()
	decoded, err := fsm.Decode(e.AppendTo(nil))
	if err != nil {
		panic(err)
	}
	index := c.state.Index() + 1
	a := c.state.Apply(index, decoded)
	c.journal = append(c.journal, fsm.Batch{Index: index, Term: 1, Time: e.Time, Applied: a})
	close(c.grown)
	c.grown = make(chan struct{})
	for _, g := range a.Grants {
		p := c.parked[fsm.StreamID(g.Slot.Boot)]
		delete(p.free, g.Slot.N)
		p.leases <- g
	}
	return a
}

// offersLocked offers free slots for what is ready.
func (c *cluster) offersLocked() []fsm.Offer {
	v := c.state.View()
	ready := make(map[fsm.Queue]int)
	for q := range v.Queues() {
		if !q.Paused && q.Ready > 0 {
			ready[q.Queue] = q.Ready
		}
	}
	var offers []fsm.Offer
	for id, p := range c.parked {
		for n := range p.free {
			for _, q := range p.spec.Queues {
				if ready[q] > 0 && len(offers) < fsm.MaxOffers {
					ready[q]--
					slot := fsm.Slot{Node: clusterNode, Boot: uint32(id), N: n}
					offers = append(offers, fsm.Offer{Slot: slot, Queue: q, Worker: p.spec.Worker})
					break
				}
			}
		}
	}
	return offers
}

// Park opens slots.
func (c *cluster) Park(ctx context.Context, s fsm.SlotSpec) (fsm.StreamID, <-chan fsm.Leased, error) {
	c.mu.Lock()
	c.streams++
	id := c.streams
	p := &parked{spec: s, free: make(map[uint64]bool), leases: make(chan fsm.Leased, 8192)}
	c.parked[id] = p
	c.mu.Unlock()
	c.Credit(id, s.Credit)
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.parked, id)
		close(p.leases)
	})
	return id, p.leases, nil
}

// Credit opens more slots.
func (c *cluster) Credit(id fsm.StreamID, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.parked[id]
	if p == nil {
		return
	}
	for range n {
		c.slots++
		p.free[c.slots] = true
	}
	c.turnLocked(&fsm.Entry{})
}

// Held is not looked at: nothing here guesses which leases are abandoned.
func (c *cluster) Held(fsm.StreamID, []fsm.Lease) {}

// Linearizable gives the newest view.
func (c *cluster) Linearizable(context.Context) (fsm.View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.View(), nil
}

// AtLeast gives the newest view: there is one node, so that nothing is ahead of it.
func (c *cluster) AtLeast(ctx context.Context, p fsm.Position) (fsm.View, error) {
	v, err := c.Linearizable(ctx)
	if v.Index() < p.Index {
		return v, errors.New("a position from the future")
	}
	return v, err
}

// Stale gives the newest view.
func (c *cluster) Stale() (fsm.View, time.Duration) {
	v, _ := c.Linearizable(context.Background())
	return v, 0
}

// Status shows a cluster of one.
func (c *cluster) Status() transport.ClusterStatus {
	return transport.ClusterStatus{ClusterID: "c1", Leader: clusterNode, Term: 1}
}

// Transfer is refused.
func (c *cluster) Transfer(context.Context, fsm.NodeID) (fsm.NodeID, error) {
	return fsm.NodeID{}, fsm.ErrNoLeader
}

// LeaderAddr is the only node's.
func (c *cluster) LeaderAddr() string { return clusterAddr }

// cursor reads the entries of a cluster.
type cursor struct {
	c    *cluster
	next int
}

func (c *cluster) open() (transport.Events, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &cursor{c, len(c.journal)}, nil
}

// Next gives the next entry.
func (e *cursor) Next(ctx context.Context) (fsm.Batch, error) {
	for {
		e.c.mu.Lock()
		grown := e.c.grown
		if e.next < len(e.c.journal) {
			b := e.c.journal[e.next]
			e.next++
			e.c.mu.Unlock()
			return b, nil
		}
		e.c.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return fsm.Batch{}, ctx.Err()
		}
	}
}
