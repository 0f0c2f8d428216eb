package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// Proposer takes the scheduler's own commands to the log.
type Proposer interface {
	// Tick proposes an entry of cs, or of offers and time alone when there are none.
	// Ticks without commands may be merged while one waits. On a node that does not
	// lead, commands are forwarded. It returns when the entry is taken, or later. A
	// nil error says that the commands were answered or will be; any other lets the
	// scheduler propose them again, which is safe as leases fence them.
	Tick(ctx context.Context, cs ...*fsm.Command) error
}

// Deliverer carries leases to the nodes that have the slots.
type Deliverer interface {
	// Deliver hands l to the Scheduler of another node, whose Deliver takes it. It
	// does not wait for the node. An error says that l was not handed over; the
	// lease is then given back. Leases to one node keep their order. l may have no
	// lease: see the package comment.
	Deliver(node fsm.NodeID, l fsm.Leased) error
}

// Registrar carries slots to the leader.
type Registrar interface {
	// Register hands set to whoever leads. It does not wait for the leader. After an
	// error, or a loss that it did not notice, a full set follows.
	Register(set fsm.SlotSet) error
}

// Events is a cursor over the entries that this node applies.
type Events interface {
	// Next gives the next entry, or fsm.ErrLapped when the cursor was overtaken.
	Next(ctx context.Context) (fsm.Batch, error)
}

// Clock tells cluster time. It never blocks.
type Clock interface {
	Now() fsm.Millis
}

// Config is what a Scheduler is built from. All fields are required.
type Config struct {
	Node fsm.NodeID
	// Boot is this start of the node: greater than at all starts before.
	Boot uint32

	Proposer  Proposer
	Deliverer Deliverer
	Registrar Registrar
	Clock     Clock
	// Open gives a cursor whose first entry is the one after index, or fsm.ErrLapped
	// when that is gone.
	Open func(index uint64) (Events, error)
	// View gives the newest View that the node has, without waiting.
	View func() fsm.View
	Log  *slog.Logger
}

func (c *Config) check() error {
	switch {
	case c.Node.IsZero():
		return errors.New("scheduler: no node")
	case c.Proposer == nil, c.Deliverer == nil, c.Registrar == nil, c.Clock == nil,
		c.Open == nil, c.View == nil, c.Log == nil:
		return errors.New("scheduler: a dependency is missing")
	}
	return nil
}

// Bounds of a node's slots.
const (
	// MaxStreams bounds the connections and parked polls of a node; each costs a
	// goroutine or two besides.
	MaxStreams = 16_384
	// MaxStreamSlots bounds the slots of one stream: more than any worker can keep busy.
	MaxStreamSlots = 4_096
	// MaxSlots bounds the slots of a node, and so what the leader keeps for it.
	MaxSlots = 65_536
	// maxStreamBytes bounds what the streams of a node take in a full registration
	// without their slots: the whole has to fit one message between nodes, 4 MiB.
	maxStreamBytes = 2_500_000
	// maxHeld bounds the leases that a node remembers to be with its workers. Leases
	// beyond it work, but their extensions are not thinned.
	maxHeld = 131_072
	// maxReturns bounds the leases that wait to be given back; those beyond it run
	// into their response timeout.
	maxReturns = 65_536
)

// Bounds of the leader's memory.
const (
	// maxHints bounds half of the grants whose successors are remembered. A grant
	// that was forgotten costs its successor one more commit.
	maxHints = 65_536
	// maxEarly bounds the sets kept for each node that registers in a term before
	// this node knows that it leads it.
	maxEarly = 64
	// maxPolled bounds the queues of domains that wait to be marked as asked for.
	maxPolled = 4_096
	// offersPerCommand bounds the offers for what one command makes ready; a wide
	// fork gets the rest after it is observed.
	offersPerCommand = 8
)

// Work that an entry may do in the background.
const (
	// workBusy is for entries that carry commands: it keeps their answers fast.
	workBusy = 256
	// workTick is for an entry without commands while others carry some.
	workTick = 1_024
)

// Times.
const (
	// TickMin is the least time between two entries that timers ask for, so that
	// deadlines close together share one.
	TickMin = 5 * time.Millisecond
	// deliverAfter is how long a node waits for the leader to hand over a lease that
	// it has seen granted itself.
	deliverAfter = 100 * time.Millisecond
	// retryAfter is when a tick that showed no effect is repeated. Nothing but a
	// lost entry makes it pass.
	retryAfter = 100 * time.Millisecond
	// lingerFor is how long a poll that is over waits for the leader to say that none
	// of its slots is under way: some commits. Only lost messages let it pass.
	lingerFor = 200 * time.Millisecond
	// refreshEvery is how often a node with streams speaks to the leader even if
	// nothing changed, so that both notice a lost message.
	refreshEvery = time.Second
	// seenEvery is how often a queue of a domain is marked as asked for. State takes
	// a domain for active for some multiples of it.
	seenEvery fsm.Millis = 3_000
	// seenStale is the age at which a mark that found no entry is dropped.
	seenStale fsm.Millis = 10_000
	// extendPause is how long extensions are gathered into one command. It is small
	// against the shortest response time, one second.
	extendPause = 20 * time.Millisecond
	// tickTimeout bounds one call of the Proposer: longer than an election takes.
	tickTimeout = 5 * time.Second
	// errandPause is the time between two tries of a command that was not taken.
	errandPause = 250 * time.Millisecond
	// errandTries bounds these tries: together longer than an election takes.
	errandTries = 40
	// errandBatch bounds the commands of one try.
	errandBatch = 256
	// reopenPause is the time between two tries to open the journal.
	reopenPause = 50 * time.Millisecond
)
