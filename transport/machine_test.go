package transport

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

// machine is a cluster of one in memory: every command is an entry of its own, applied
// at once. It also plays the scheduler: slots are offered in every entry.
type machine struct {
	mu      sync.Mutex
	state   *fsm.State
	views   []fsm.View // by index
	journal []fsm.Batch
	grown   chan struct{} // closed and replaced at each entry
	parked  map[fsm.StreamID]*parking
	streams fsm.StreamID
	slots   uint64

	// fail, when set, answers proposals in the machine's place.
	fail func(c *fsm.Command) error
	// instead, when it is set and says so, answers a proposal that is then not applied.
	instead func(c *fsm.Command) (fsm.Outcome, bool)
	// after, when set, is the server's clock.
	after func(time.Duration) <-chan time.Time
	// readFail, when set, answers linearizable reads.
	readFail error
	// lapped counts how often all cursors were overtaken.
	lapped int
	// scriptFail, when set, answers questions about scripts.
	scriptFail error
	leader     string
	held       []fsm.Lease
}

type parking struct {
	spec    fsm.SlotSpec
	free    []uint64
	leases  chan fsm.Leased
	granted bool
}

var testNode = fsm.NodeID{1}

func newMachine() *machine {
	return &machine{
		state:  fsm.New(0),
		views:  []fsm.View{{}},
		grown:  make(chan struct{}),
		parked: make(map[fsm.StreamID]*parking),
		leader: "10.0.0.1:8080",
	}
}

// Propose applies c as an entry.
func (m *machine) Propose(ctx context.Context, c *fsm.Command) (fsm.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(c); err != nil {
			return fsm.Outcome{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return fsm.Outcome{}, err
	}
	if m.instead != nil {
		if out, ok := m.instead(c); ok {
			return out, nil
		}
	}
	return m.applyLocked(c), nil
}

func (m *machine) applyLocked(c *fsm.Command) fsm.Outcome {
	e := &fsm.Entry{Commands: []*fsm.Command{c}}
	a := m.entryLocked(e)
	out := fsm.Outcome{Position: fsm.Position{Index: m.state.Index()}, Result: a.Results[0]}
	for m.waitingLocked() || a.More {
		a = m.entryLocked(&fsm.Entry{})
	}
	return out
}

// entryLocked applies an entry as a leader would have stamped it.
func (m *machine) entryLocked(e *fsm.Entry) *fsm.Applied {
	index := m.state.Index() + 1
	e.Time, e.Work = fsm.Millis(1_000_000_000+index), fsm.MaxWork
	for id, p := range m.parked {
		for _, slot := range p.free {
			q := p.spec.Queues[0]
			for _, other := range p.spec.Queues {
				if info, ok := m.state.View().Queue(other); ok && info.Ready > 0 {
					q = other
				}
			}
			if len(e.Offers) < fsm.MaxOffers {
				e.Offers = append(e.Offers, fsm.Offer{Slot: fsm.Slot{Node: testNode, Boot: uint32(id), N: slot}, Queue: q, Worker: p.spec.Worker})
			}
		}
	}
	decoded, err := fsm.Decode(e.AppendTo(nil))
	if err != nil {
		panic(err)
	}
	a := m.state.Apply(index, decoded)
	m.views = append(m.views, m.state.View())
	m.journal = append(m.journal, fsm.Batch{Index: index, Term: 1, Time: e.Time, Applied: a})
	close(m.grown)
	m.grown = make(chan struct{})
	for _, g := range a.Grants {
		m.grantLocked(g)
	}
	for id, p := range m.parked { // the first grant closes a poll
		if p.spec.Once && p.granted {
			m.closeLocked(id)
		}
	}
	return a
}

func (m *machine) grantLocked(g fsm.Leased) {
	id := fsm.StreamID(g.Slot.Boot)
	p := m.parked[id]
	p.free = slices.DeleteFunc(p.free, func(n uint64) bool { return n == g.Slot.N })
	p.granted = true
	p.leases <- g
}

// waitingLocked reports whether a free slot could take a ready task.
func (m *machine) waitingLocked() bool {
	for _, p := range m.parked {
		if len(p.free) == 0 {
			continue
		}
		for _, q := range p.spec.Queues {
			if info, ok := m.state.View().Queue(q); ok && info.Ready > 0 && !info.Paused {
				return true
			}
		}
	}
	return false
}

// Park opens slots and offers them at once.
func (m *machine) Park(ctx context.Context, s fsm.SlotSpec) (fsm.StreamID, <-chan fsm.Leased, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams++
	id := m.streams
	p := &parking{spec: s, leases: make(chan fsm.Leased, 2*maxCredit)}
	m.parked[id] = p
	m.openLocked(p, s.Credit)
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.closeLocked(id)
	})
	return id, p.leases, nil
}

func (m *machine) closeLocked(id fsm.StreamID) {
	if p := m.parked[id]; p != nil {
		delete(m.parked, id)
		close(p.leases)
	}
}

func (m *machine) openLocked(p *parking, n int) {
	for range n {
		m.slots++
		p.free = append(p.free, m.slots)
	}
	for m.waitingLocked() {
		m.entryLocked(&fsm.Entry{})
	}
}

// Credit opens more slots.
func (m *machine) Credit(id fsm.StreamID, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.parked[id]; p != nil {
		m.openLocked(p, n)
	}
}

// Held remembers what workers said they hold.
func (m *machine) Held(_ fsm.StreamID, leases []fsm.Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, leases...)
}

// Linearizable gives the newest view.
func (m *machine) Linearizable(context.Context) (fsm.View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.views[len(m.views)-1], m.readFail
}

// AtLeast waits for an index.
func (m *machine) AtLeast(ctx context.Context, p fsm.Position) (fsm.View, error) {
	for {
		m.mu.Lock()
		v, grown := m.views[len(m.views)-1], m.grown
		m.mu.Unlock()
		if v.Index() >= p.Index {
			return v, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return fsm.View{}, ctx.Err()
		}
	}
}

// Stale gives the newest view.
func (m *machine) Stale() (fsm.View, time.Duration) {
	v, _ := m.Linearizable(context.Background())
	return v, 0
}

// events is a cursor over the machine's entries.
type events struct {
	m    *machine
	next int
	laps int
}

func (m *machine) open() (Events, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &events{m: m, next: len(m.journal), laps: m.lapped}, nil
}

// Next gives the next entry.
func (e *events) Next(ctx context.Context) (fsm.Batch, error) {
	for {
		e.m.mu.Lock()
		grown, laps := e.m.grown, e.m.lapped
		if laps != e.laps {
			e.m.mu.Unlock()
			return fsm.Batch{}, fsm.ErrLapped
		}
		if e.next < len(e.m.journal) {
			b := e.m.journal[e.next]
			e.next++
			e.m.mu.Unlock()
			return b, nil
		}
		e.m.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return fsm.Batch{}, ctx.Err()
		}
	}
}

// lap overtakes every cursor in the middle of change.
func (m *machine) lap(change *fsm.Command) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lapped++
	m.applyLocked(change)
}

// Status shows a cluster of one.
func (m *machine) Status() ClusterStatus {
	return ClusterStatus{ClusterID: "c1", Leader: testNode, Term: 1, Committed: 7,
		Members: []Member{{ID: testNode, Name: "n1", Voter: true, Leader: true, Self: true, Alive: true, ClientAddr: m.leader}}}
}

// Transfer remembers where leadership was sent.
func (m *machine) Transfer(_ context.Context, to fsm.NodeID) (fsm.NodeID, error) {
	if to == testNode {
		return to, nil
	}
	return to, &fsm.NotLeaderError{Leader: testNode, Addr: m.leader}
}

// Check plays the engines: no source with the word broken can be parsed.
func (m *machine) Check(_ context.Context, programs []def.Program) ([]def.Problem, error) {
	var out []def.Problem
	for _, p := range programs {
		if strings.Contains(p.Source, "broken") {
			out = append(out, p.Problem("broken"))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return out, m.scriptFail
}

// LeaderAddr is this node.
func (m *machine) LeaderAddr() string { return m.leader }

// free counts the open slots of all streams.
func (m *machine) free() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, p := range m.parked {
		n += len(p.free)
	}
	return n
}

func (m *machine) failWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = nil
	if err != nil {
		m.fail = func(*fsm.Command) error { return err }
	}
	m.readFail = err
}

var errDisk = errors.New("disk says no, path /secret")
