package sdktest

import (
	"context"
	"errors"
	"time"

	"github.com/pawlhq/pawl/cmd/pawl/server"
	pawl "github.com/pawlhq/pawl/sdk"
)

const (
	// fastest is how much faster than the nodes' clock cluster time may run: a
	// twentieth. A skip over a long time is made in parts, so that it does not overshoot.
	fastest = 1.05
	// atOnce is a skip that may overshoot, by less than a millisecond.
	atOnce = 15 * time.Millisecond
	// still is how long nothing has to be applied for workers to count as done with
	// what a step gave them, and stirring bounds the wait for that in one step.
	still    = 250 * time.Millisecond
	stirring = 5 * time.Second
)

// state is what a node knows of timers and tasks.
type state struct {
	index   uint64
	time    time.Duration // cluster time since the epoch
	due     time.Duration // of the next timer, 0 for none
	more    bool          // background work is left, or a timer is overdue
	leased  int
	ready   int
	running bool
}

func lookAt(n *server.Node) state {
	v := n.View()
	s := state{
		index: v.Index(), more: v.More(), running: true,
		time: time.Duration(v.Time()) * time.Millisecond, due: time.Duration(v.NextDue()) * time.Millisecond,
	}
	for q := range v.Queues() {
		s.leased += q.Leased
		if !q.Paused {
			s.ready += q.Ready
		}
	}
	return s
}

// newest is the state of the node that has applied the most.
func (c *Cluster) newest() (best state) {
	for i := range c.nodes {
		if n := c.server(i); n != nil {
			if s := lookAt(n); !best.running || s.index > best.index {
				best = s
			}
		}
	}
	return best
}

// Advance skips d of cluster time. It goes from one due time to the next, so that
// everything due up to the target is fired in order, with the time that it was due at;
// it has been applied when Advance returns. Changes of the leader delay it only.
//
// Before the first step and after each that fired something, workers get the time to
// answer: Advance goes on when no task is ready or leased, or when nothing has happened
// for 250 ms. So tasks that are retried several times within d are, as long as their
// handlers answer promptly. A handler that blocks is left behind.
func (c *Cluster) Advance(d time.Duration) {
	c.t.Helper()
	c.rest()
	s := c.tick()
	target := s.time + d
	for s.more || s.time < target {
		fires := s.due > 0 && s.due <= target
		next := target
		if fires {
			next = s.due
		}
		if rest := next - s.time; rest > 0 {
			if rest > atOnce {
				rest = time.Duration(float64(rest) / fastest)
			}
			c.clock.skip(rest)
			c.nudge()
		}
		reached := c.tick()
		if fires && reached.time >= next {
			c.rest()
			reached = c.tick()
		}
		s = reached
	}
}

// nudge makes all nodes look at their clock.
func (c *Cluster) nudge() {
	for i := range c.nodes {
		if n := c.server(i); n != nil {
			n.Nudge()
		}
	}
}

// nobody is an id that no execution has.
const nobody = "00000000-0000-8000-8000-000000000000"

// tick has an entry made that changes nothing but the time, and gives a state that
// includes it. So it tells cluster time, and that a leader is at work.
func (c *Cluster) tick() state {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := pawl.Definition[struct{}, struct{}]{}.Execution(c.Client, nobody).Signal(ctx, "", nil)
	if !errors.Is(err, pawl.ErrNotFound) {
		c.t.Fatalf("sdktest: the cluster does not answer: %v", err)
	}
	pause(look)
	return c.newest()
}

// rest waits until workers are done with what they were given.
func (c *Cluster) rest() {
	last, since := c.newest(), time.Now()
	for end := since.Add(stirring); time.Now().Before(end); {
		if last.leased+last.ready == 0 && !last.more {
			return
		}
		if time.Since(since) > still {
			return
		}
		pause(look)
		if s := c.newest(); s.index != last.index {
			last, since = s, time.Now()
		}
	}
}

func pause(d time.Duration) { <-time.After(d) }
