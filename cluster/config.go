package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

// Profile names a set of timings for the network between the nodes.
type Profile string

// The profiles.
const (
	LAN  Profile = "lan"  // one zone or near zones
	Fast Profile = "fast" // dedicated machines
	WAN  Profile = "wan"  // round trips above 30 ms
)

// Timing is how soon a silent leader is noticed, and what that costs.
type Timing struct {
	Heartbeat time.Duration // silence that starts an election
	Election  time.Duration // time one candidate has
	Lease     time.Duration // how long a leader without a majority goes on
	Commit    time.Duration // how often an idle leader tells how far it has committed
}

var timings = map[Profile]Timing{
	LAN:  {Heartbeat: 500 * time.Millisecond, Election: 500 * time.Millisecond, Lease: 250 * time.Millisecond, Commit: 10 * time.Millisecond},
	Fast: {Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, Lease: 200 * time.Millisecond, Commit: 10 * time.Millisecond},
	WAN:  {Heartbeat: 2 * time.Second, Election: 2 * time.Second, Lease: 1200 * time.Millisecond, Commit: 50 * time.Millisecond},
}

// Config is what a person may choose. Zero values stand for defaults.
type Config struct {
	// Dir is the data folder. When it is empty, everything is kept on FS.
	Dir string
	// FS is the data folder as the node sees it; nil opens Dir.
	FS disk.FS

	Profile Profile // LAN if empty
	Timing  Timing  // fields that are not zero replace those of the profile

	// Expect is how many nodes found the cluster together: 1, 3 or 5. It means
	// nothing once the node belongs to a cluster.
	Expect int
	// Join lists peer addresses to try, at most 16.
	Join []string
	// PeerListen is where peers connect to.
	PeerListen string
	// PeerAddr and ClientAddr tell where others reach this node. They are asked
	// when needed, after the listeners are open. A nil PeerAddr tells where the node
	// listens.
	PeerAddr, ClientAddr func() string

	BatchCommands  int           // of one entry; 512
	BatchBytes     int           // of one entry; 256 KiB
	Window         int           // entries under way; 2
	QueueUrgent    int           // commands waiting; 8,192
	QueueNormal    int           // commands waiting; 4,096
	ProposeTimeout time.Duration // for callers without a deadline; 10 s

	WALSegment   int64 // bytes of a log file; 64 MiB
	WALCache     int64 // bytes of log kept in memory; 64 MiB
	WALKeep      int64 // bytes of log kept behind a snapshot; 1 GiB
	SnapshotMin  int64 // bytes of log after which a snapshot is taken; 256 MiB
	SnapshotMax  int64 // bytes of log after which one is taken at the latest; 1 GiB
	SnapshotRate int64 // bytes a second a snapshot is written with; 64 MiB
	TrailingLogs uint64
}

// Deps is what a node needs of its surroundings. Log is required; the others have
// defaults that are right in production.
type Deps struct {
	Log *slog.Logger
	// Now is the clock: its monotonic part measures, its wall part is told to peers.
	Now func() time.Time
	// Wall replaces the wall part of Now.
	Wall func() time.Time
	// Exit ends the process and does not return, but in tests.
	Exit func(code int, reason string)
	// Kill ends the process without asking any of its threads.
	Kill func()
	// Listen and Dial connect peers; TCP if nil.
	Listen func(addr string) (net.Listener, error)
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	// Connected is told of the network once it is up, before anybody is looked for;
	// may be nil.
	Connected func(n *peer.Net, self peer.Identity)
	// Suggest gives peer addresses that gossip has heard of; may be nil.
	Suggest func() []string
	// Stderr gets one line before the process ends; os.Stderr if nil.
	Stderr io.Writer
	// Version is that of the program, shown to people.
	Version string
}

// Leader is told of the terms in which this node leads. Calls come one at a time and
// in order; each returns within 50 ms.
type Leader interface {
	// Lead opens a term. v includes its first entry and all before it.
	Lead(term uint64, v fsm.View)
	// Resign closes the term that Lead opened.
	Resign(term uint64)
}

// Stamper adds offers to the entries of the node that leads.
type Stamper interface {
	// Stamp is called before each entry, on the proposer's goroutine, and must not
	// block.
	Stamp(cs []*fsm.Command, max int) fsm.Stamp
	// Settle is called at most once for each Stamp that returned offers, when its
	// entry was applied or certainly never will be. Without it the fate is open until
	// the next term begins. It is called on the goroutine that applies, and must not
	// block.
	Settle(offers []fsm.Offer, applied bool)
}

// SlotHost takes the slots that nodes register with the leader of a term.
type SlotHost interface {
	Register(term uint64, node fsm.NodeID, set fsm.SlotSet)
	Gone(node fsm.NodeID)
}

// Host is the scheduler, as a node sees it.
type Host struct {
	Leader   Leader
	Stamper  Stamper
	SlotHost SlotHost
	// Deliver takes a lease for a slot of this node. It does not block.
	Deliver func(fsm.Leased)
}

// FieldError says which field of a Config is wrong.
type FieldError struct {
	Field, Problem string
}

// Error names the field.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// ExitCode is that of a bad configuration.
func (e *FieldError) ExitCode() int { return 64 }

// Defaults and bounds of the configuration.
const (
	maxSeeds        = 16
	defaultCommands = fsm.MaxCommands // caps the time that one Apply takes
	defaultBytes    = 256 << 10       // one sync's worth
	defaultWindow   = 2               // more adds delay and no throughput on a LAN
	maxWindow       = 16
	defaultUrgent   = 8_192
	defaultNormal   = 4_096
	defaultPropose  = 10 * time.Second
	maxPropose      = 60 * time.Second
	defaultKeep     = 1 << 30
	defaultSnapMin  = 256 << 20
	defaultSnapMax  = 1 << 30
	defaultSnapRate = 64 << 20
	// defaultTrailing is how many entries stay in the log behind a snapshot, so that
	// a node that is a little behind needs no snapshot.
	defaultTrailing = 1_024
)

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// check fills in defaults and says what is wrong.
func (c Config) check() (Config, error) {
	if c.FS == nil && c.Dir == "" {
		return c, &FieldError{"data", "a folder is needed"}
	}
	t, ok := timings[or(c.Profile, LAN)]
	if !ok {
		return c, &FieldError{"profile", fmt.Sprintf("%q is not one of fast, lan, wan", c.Profile)}
	}
	c.Timing.Heartbeat = or(c.Timing.Heartbeat, t.Heartbeat)
	c.Timing.Election = or(c.Timing.Election, t.Election)
	c.Timing.Lease = or(c.Timing.Lease, t.Lease)
	c.Timing.Commit = or(c.Timing.Commit, t.Commit)
	c.BatchCommands = or(c.BatchCommands, defaultCommands)
	c.BatchBytes = or(c.BatchBytes, defaultBytes)
	c.Window = or(c.Window, defaultWindow)
	c.QueueUrgent = or(c.QueueUrgent, defaultUrgent)
	c.QueueNormal = or(c.QueueNormal, defaultNormal)
	c.ProposeTimeout = or(c.ProposeTimeout, defaultPropose)
	c.WALKeep = or(c.WALKeep, defaultKeep)
	c.SnapshotMin = or(c.SnapshotMin, defaultSnapMin)
	c.SnapshotMax = or(c.SnapshotMax, defaultSnapMax)
	c.SnapshotRate = or(c.SnapshotRate, defaultSnapRate)
	c.TrailingLogs = or(c.TrailingLogs, defaultTrailing)
	return c, c.ranges()
}

func (c Config) ranges() error {
	between := func(field string, v, low, high int64) error {
		if v < low || v > high {
			return &FieldError{field, fmt.Sprintf("%d is not between %d and %d", v, low, high)}
		}
		return nil
	}
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	checks := []error{
		between("heartbeat (ms)", ms(c.Timing.Heartbeat), 100, 10_000),
		between("election (ms)", ms(c.Timing.Election), ms(c.Timing.Heartbeat), 10_000),
		between("lease (ms)", ms(c.Timing.Lease), ms(c.Timing.Heartbeat)*4/10, ms(c.Timing.Heartbeat)*9/10),
		between("commit_timeout (ms)", ms(c.Timing.Commit), 2, 500),
		between("batch.commands", int64(c.BatchCommands), 16, fsm.MaxCommands),
		between("batch.bytes", int64(c.BatchBytes), 16<<10, 1<<20),
		between("window", int64(c.Window), 1, maxWindow),
		between("queue.urgent", int64(c.QueueUrgent), 16, 4*defaultUrgent),
		between("queue.normal", int64(c.QueueNormal), 16, 4*defaultNormal),
		between("propose_timeout (ms)", ms(c.ProposeTimeout), 100, maxPropose.Milliseconds()),
		between("join (addresses)", int64(len(c.Join)), 0, maxSeeds),
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	switch c.Expect {
	case 0, 1, 3, 5:
	default:
		return &FieldError{"expect", fmt.Sprintf("%d is not 1, 3 or 5", c.Expect)}
	}
	return nil
}

func (d Deps) check() (Deps, error) {
	if d.Log == nil {
		return d, &FieldError{"log", "a logger is needed"}
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Wall == nil {
		d.Wall = d.Now
	}
	if d.Exit == nil {
		d.Exit = func(code int, reason string) {
			fmt.Fprintln(os.Stderr, "pawl:", reason)
			os.Exit(code)
		}
	}
	if d.Suggest == nil {
		d.Suggest = func() []string { return nil }
	}
	return d, nil
}
