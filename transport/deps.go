package transport

import (
	"context"
	"log/slog"
	"time"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

// Proposer takes commands to the log. It is called by many goroutines at once.
type Proposer interface {
	// Propose answers once the command is applied, or with an error for which
	// fsm.Definite says whether that can still happen.
	Propose(ctx context.Context, c *fsm.Command) (fsm.Outcome, error)
}

// AsyncProposer is what a Proposer may offer besides: streams then need no goroutine
// for each command under way.
type AsyncProposer interface {
	// ProposeAsync returns without waiting for the log and calls done exactly once,
	// perhaps before it returns. It bounds the wait by itself. done does not block.
	ProposeAsync(c *fsm.Command, done func(fsm.Outcome, error))
}

// Views gives states to read from. It is called by many goroutines at once.
type Views interface {
	// Linearizable gives a view that includes everything acknowledged before the call.
	Linearizable(ctx context.Context) (fsm.View, error)
	// AtLeast gives a view at or after p.
	AtLeast(ctx context.Context, p fsm.Position) (fsm.View, error)
	// Stale gives what the node has, and how old it may be.
	Stale() (fsm.View, time.Duration)
}

// Parking keeps the room of connected workers until tasks are leased to it.
type Parking interface {
	// Park opens s.Credit slots. Leases come on the channel, which is closed when
	// there will be no more: after ctx has ended or, with s.Once, when the group is
	// used up. Until then the caller keeps receiving.
	Park(ctx context.Context, s fsm.SlotSpec) (fsm.StreamID, <-chan fsm.Leased, error)
	// Credit opens n more slots of a stream. A stream that is gone is ignored.
	Credit(stream fsm.StreamID, n int)
	// Held tells, when the stream of a worker begins that started anew, which leases it
	// has. Others that earlier streams of its name had are given back.
	Held(stream fsm.StreamID, leases []fsm.Lease)
}

// Cluster shows the members and moves leadership.
type Cluster interface {
	// Status is what this node knows, without asking others.
	Status() ClusterStatus
	// Transfer hands leadership to a member, the most up-to-date voter when to is
	// zero, and answers with the node that leads then.
	Transfer(ctx context.Context, to fsm.NodeID) (fsm.NodeID, error)
	// LeaderAddr is the client address of the leading node, empty when unknown. It is
	// called for every answer and must be cheap.
	LeaderAddr() string
}

// ClusterStatus is a cluster as one node sees it.
type ClusterStatus struct {
	ClusterID string
	Leader    fsm.NodeID // zero when unknown
	Term      uint64
	Committed uint64
	Members   []Member
}

// Member is one node of the cluster.
type Member struct {
	ID         fsm.NodeID
	Name       string
	ClientAddr string // empty when unknown
	PeerAddr   string
	Version    string // of its program
	Voter      bool
	Leader     bool
	Self       bool
	Alive      bool   // heard of lately
	Applied    uint64 // 0 when unknown
}

// Events is a cursor over the entries that this node applies.
type Events interface {
	// Next gives the next entry; fsm.ErrLapped when the cursor was overtaken.
	Next(ctx context.Context) (fsm.Batch, error)
}

// Scripts knows the engines that evaluate what definitions carry as source. It is called
// by many goroutines at once.
type Scripts interface {
	// Check finds the programs that cannot be parsed. An error says that it is not known.
	Check(ctx context.Context, programs []def.Program) ([]def.Problem, error)
}

// Check is one named condition of readiness.
type Check struct {
	Name string
	// Run gives nil when the condition holds. It returns soon, and is called by any
	// goroutine.
	Run func(ctx context.Context) error
}

// Deps is what a Server is built from. All but Checks, After and
// Evaluate is required.
type Deps struct {
	Proposer Proposer
	Views    Views
	Parking  Parking
	Cluster  Cluster
	Scripts  Scripts
	// Events opens a cursor at the node's present: it gives every entry that is
	// applied after the call.
	Events func() (Events, error)
	Checks []Check
	Log    *slog.Logger
	// Evaluate does a job of the server's own, such as a script, for test calls. Without it
	// they do not go beyond a step that needs one.
	Evaluate func(ctx context.Context, l fsm.Leased) (fsm.Body, error)
	// After is time.After, or what a test has in its place: changes that the machine is
	// busy for wait by it.
	After func(time.Duration) <-chan time.Time
}
