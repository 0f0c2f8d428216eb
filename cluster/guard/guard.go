package guard

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Op names a kind of store call. It decides how long the call may take.
type Op uint8

// The kinds of store calls. Calls up to OpStable hold up raft; the others do
// their work beside it and may take longer.
const (
	OpRead     Op = iota // reading the log
	OpLog                // appending to or cutting the log
	OpStable             // term and vote
	OpSnapshot           // snapshot files
	OpArchive            // history files
	OpBlob               // payload files
	OpPrepare            // log files made ahead of their use

	lastRaftOp = OpStable
)

var opNames = [...]string{"log read", "log write", "vote write", "snapshot", "archive", "blob", "log preparation"}

// String names the kind for a log line.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// Limits of a call that does not return: from Warn on it is told, at Kill the
// process ends.
type Limits struct {
	Warn, Kill time.Duration
}

// Default limits. A leader that cannot write must leave before its clients
// give up, and others can take over; a follower holds nobody up; background
// files may wait for a busy disk.
var (
	DefaultLeader     = Limits{Warn: 500 * time.Millisecond, Kill: 2 * time.Second}
	DefaultFollower   = Limits{Warn: 2 * time.Second, Kill: 15 * time.Second}
	DefaultBackground = Limits{Warn: 5 * time.Second, Kill: 60 * time.Second}
)

// Options of a Guard. Zero fields take the values of production.
type Options struct {
	// Exit ends the process; it does not return in production. Tests record.
	Exit func(code int, reason string)
	// Kill ends the process without asking any of its threads.
	Kill func()
	// Now is the clock; only its monotonic part counts.
	Now func() time.Time
	// Log gets warnings of slow calls.
	Log *slog.Logger
	// Stderr gets one line before an exit. It is opened before anything can
	// go wrong, so that a full disk cannot hide the reason.
	Stderr io.Writer
	// Leader, Follower and Background are the watchdog's limits.
	Leader, Follower, Background Limits
}

// maxCalls is how many calls the watchdog can see at a time. A node has a few
// dozen goroutines that touch stores; a call beyond that runs unseen, and the
// ones that are seen hang as well if the disk does.
const maxCalls = 128

// Guard runs store calls, latches their first error and watches their time.
// All methods are safe for concurrent use, and on a nil Guard, which runs the
// calls and does nothing else.
type Guard struct {
	opts    Options
	base    time.Time
	latched atomic.Pointer[latch]
	leading atomic.Bool
	paused  atomic.Int64 // nanoseconds in which the whole process stood still
	kills   atomic.Int64
	calls   [maxCalls]call
}

type latch struct{ err error }

// call is one running store call. started is 0 when the slot is free, else
// the watched time, plus one, at which it began.
type call struct {
	started atomic.Int64
	op      atomic.Uint32
	warned  atomic.Bool
}

// New returns a Guard that watches nothing until Run is called.
func New(o Options) *Guard {
	if o.Exit == nil {
		o.Exit = func(code int, _ string) { os.Exit(code) }
	}
	if o.Kill == nil {
		o.Kill = func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	for _, l := range []struct{ got, otherwise *Limits }{
		{&o.Leader, &DefaultLeader}, {&o.Follower, &DefaultFollower}, {&o.Background, &DefaultBackground},
	} {
		if *l.got == (Limits{}) {
			*l.got = *l.otherwise
		}
	}
	return &Guard{opts: o, base: o.Now()}
}

// Do runs f, a call to a store. If it fails, or an earlier call has failed,
// the error is the node's last: the first one is written to stderr and the
// process exits with Code(err). Should Exit return, as in tests, this and each
// later Do return the first error, and f is not run again. What is not an
// error of storage, such as an entry that is not there, must not be returned
// by f.
func (g *Guard) Do(op Op, f func() error) error {
	if g == nil {
		return f()
	}
	if l := g.latched.Load(); l != nil {
		return l.err
	}
	c := g.enter(op)
	err := f()
	if c != nil {
		c.started.Store(0)
	}
	if err != nil {
		return g.fail(fmt.Errorf("%s: %w", op, err))
	}
	if l := g.latched.Load(); l != nil {
		return l.err // it came too late: nobody may count on it any more
	}
	return nil
}

// Fail latches an error found outside of Do and exits as Do does. It returns
// the latched error, which is an earlier one if there was one.
func (g *Guard) Fail(err error) error {
	if g == nil {
		return err
	}
	return g.fail(err)
}

// Err is the latched error, nil while all is well.
func (g *Guard) Err() error {
	if g == nil {
		return nil
	}
	if l := g.latched.Load(); l != nil {
		return l.err
	}
	return nil
}

// Leading says which limit holds for calls that hold up raft. True means that
// this node leads and that the others could do without it.
func (g *Guard) Leading(leading bool) {
	if g != nil {
		g.leading.Store(leading)
	}
}

func (g *Guard) fail(err error) error {
	if !g.latched.CompareAndSwap(nil, &latch{err: err}) {
		return g.latched.Load().err
	}
	code := Code(err)
	_, _ = fmt.Fprintf(g.opts.Stderr, "pawl: storage failed, exiting with code %d: %v\n", code, err)
	g.opts.Exit(code, err.Error())
	return err
}

// enter takes a slot for a call, nil if there is none.
func (g *Guard) enter(op Op) *call {
	now := g.watched() + 1
	for i := range g.calls {
		c := &g.calls[i]
		if c.started.Load() != 0 || !c.started.CompareAndSwap(0, now) {
			continue
		}
		c.op.Store(uint32(op))
		c.warned.Store(false)
		return c
	}
	return nil
}

// watched is the time since New in which the process ran, in nanoseconds.
func (g *Guard) watched() int64 {
	return max(0, int64(g.opts.Now().Sub(g.base))-g.paused.Load())
}
