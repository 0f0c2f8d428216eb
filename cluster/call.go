package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// maxPending bounds the commands of this node's clients that wait for an outcome.
	maxPending = 32_768
	// maxHeld bounds the commands that wait for somebody to lead, and holdFor how
	// long one does: an election takes about a second.
	maxHeld = 1_000
	holdFor = 2 * time.Second
	// retryMin and retryMax bound the wait before a command that certainly was not
	// taken is tried again.
	retryMin = 5 * time.Millisecond
	retryMax = 200 * time.Millisecond
)

// stage is how far an attempt has come.
type stage uint8

const (
	waiting stage = iota // for a leader, or for the next try: certainly not taken
	queued               // in this node's queue: certainly not taken yet
	away                 // in the log or on another node
)

// call is one command and who waits for it.
type call struct {
	cmd      *fsm.Command
	enc      []byte // as the part of an entry that it is
	urgent   bool
	deadline time.Time
	done     func(fsm.Outcome, error) // called once

	// Guarded by calls.mu.
	seq   uint64 // of the attempt
	stage stage
	// term is the one that the attempt was sent to another node for; 0 when it was not,
	// or when this node will not see what became of that term.
	term  uint64
	tries int
	held  time.Time // since when nobody is known to take it; zero while somebody is
	why   error     // the last refusal
	over  bool
	timer *time.Timer // the deadline
	again *time.Timer // the next try
}

// calls is the table of commands that wait for an outcome. Each is answered once.
type calls struct {
	mu     sync.Mutex
	bySeq  map[uint64]*call
	seq    uint64
	held   int
	closed bool
}

func newCalls() *calls { return &calls{bySeq: make(map[uint64]*call)} }

// add takes a call into the table; the deadline starts to run.
func (t *calls) add(c *call) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return fsm.ErrNoLeader
	}
	if len(t.bySeq) >= maxPending {
		return &fsm.OverloadedError{Reason: "too many commands wait for their outcome", RetryAfter: 100}
	}
	t.seq++
	c.seq = t.seq
	t.bySeq[c.seq] = c
	c.timer = time.AfterFunc(time.Until(c.deadline), func() { t.expire(c, context.DeadlineExceeded) })
	return nil
}

// settle answers the attempt seq with its outcome, unless that happened before.
func (t *calls) settle(seq uint64, o fsm.Outcome, err error) {
	t.mu.Lock()
	c := t.bySeq[seq]
	if c == nil {
		t.mu.Unlock()
		return
	}
	t.endLocked(c)
	t.mu.Unlock()
	c.done(o, err)
}

func (t *calls) endLocked(c *call) {
	delete(t.bySeq, c.seq)
	c.over = true
	c.timer.Stop()
	if c.again != nil {
		c.again.Stop()
	}
	if !c.held.IsZero() {
		t.held--
		c.held = time.Time{}
	}
}

// expire gives a call up. What the error says depends on how far it came.
func (t *calls) expire(c *call, cause error) {
	t.mu.Lock()
	if c.over {
		t.mu.Unlock()
		return
	}
	t.endLocked(c)
	err := fmt.Errorf("%w: %w", fsm.ErrUnknown, cause)
	if c.stage != away {
		err = c.why
		if err == nil || !fsm.Definite(err) {
			err = &fsm.OverloadedError{Reason: "the command was not taken before its deadline", RetryAfter: 100}
		}
	}
	t.mu.Unlock()
	c.done(fsm.Outcome{}, err)
}

// move notes that the attempt seq is at a stage; false if it is not wanted any more.
func (t *calls) move(c *call, seq uint64, s stage) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.over || c.seq != seq {
		return false
	}
	c.stage = s
	return true
}

// sent notes that the attempt seq goes to the node that leads a term; false if it is
// not wanted any more.
func (t *calls) sent(c *call, seq, term uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.over || c.seq != seq {
		return false
	}
	c.stage, c.term = away, term
	return true
}

// before gives the attempts that were sent for terms before one. Once an entry of that
// term is applied here, and they were not, they never will be.
func (t *calls) before(term uint64) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var seqs []uint64
	for seq, c := range t.bySeq {
		if c.stage == away && c.term != 0 && c.term < term {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// blind forgets for which terms attempts were sent: entries went by unseen.
func (t *calls) blind() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.bySeq {
		c.term = 0
	}
}

// refused notes that the attempt seq certainly came to nothing, and says whether and
// when to try again. Without a next try the call was answered.
func (t *calls) refused(seq uint64, why error) (c *call, pause time.Duration, again bool) {
	t.mu.Lock()
	c = t.bySeq[seq]
	if c == nil {
		t.mu.Unlock()
		return nil, 0, false
	}
	now := time.Now()
	err := t.holdLocked(c, now, why)
	if err == nil {
		delete(t.bySeq, c.seq)
		t.seq++ // a late answer to the last attempt must not settle the next
		c.seq = t.seq
		t.bySeq[c.seq] = c
		c.stage, c.term, c.why = waiting, 0, why
		pause = min(retryMax, retryMin<<min(c.tries, 6))
		pause = pause/2 + rand.N(pause/2)
		c.tries++
		t.mu.Unlock()
		return c, pause, true
	}
	t.endLocked(c)
	t.mu.Unlock()
	c.done(fsm.Outcome{}, err)
	return nil, 0, false
}

// holdLocked decides whether a refused call may wait for a better moment; the error is
// its answer if not.
func (t *calls) holdLocked(c *call, now time.Time, why error) error {
	var full *fsm.OverloadedError
	switch {
	case errors.As(why, &full):
		return why
	case t.closed:
		return why
	case c.held.IsZero() && t.held >= maxHeld:
		return fmt.Errorf("%w: too many commands wait for one", fsm.ErrNoLeader)
	case !c.held.IsZero() && now.Sub(c.held) > holdFor:
		return fmt.Errorf("%w for %s", fsm.ErrNoLeader, holdFor)
	case c.held.IsZero():
		c.held = now
		t.held++
	}
	return nil
}

// taken notes that somebody took the attempt seq.
func (t *calls) taken(seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.bySeq[seq]; c != nil && !c.held.IsZero() {
		c.held = time.Time{}
		t.held--
	}
}

// later runs f after a pause, unless the call ends before.
func (t *calls) later(c *call, pause time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.over {
		c.again = time.AfterFunc(pause, f)
	}
}

// hasten lets every call that waits for its next try go now.
func (t *calls) hasten() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == 0 {
		return
	}
	for _, c := range t.bySeq {
		if c.stage == waiting && c.again != nil {
			c.again.Reset(0)
		}
	}
}

// close answers every call that was not taken, and lets no new one in.
func (t *calls) close() {
	t.mu.Lock()
	t.closed = true
	var ended []*call
	for _, c := range t.bySeq {
		if c.stage != away {
			t.endLocked(c)
			ended = append(ended, c)
		}
	}
	t.mu.Unlock()
	for _, c := range ended {
		c.done(fsm.Outcome{}, fsm.ErrNoLeader)
	}
}

// abandon answers what is left with an unknown outcome.
func (t *calls) abandon(cause error) {
	t.mu.Lock()
	left := make([]*call, 0, len(t.bySeq))
	for _, c := range t.bySeq {
		left = append(left, c)
	}
	t.mu.Unlock()
	for _, c := range left {
		t.expire(c, cause)
	}
}

// len is the number of calls that wait.
func (t *calls) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.bySeq)
}
