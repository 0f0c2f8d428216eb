package guard

import (
	"context"
	"fmt"
	"time"
)

// tick is how often the watchdog looks: a fifth of the shortest warning.
const tick = 100 * time.Millisecond

// lastWords is how long the kill waits for its reason to be written.
const lastWords = 50 * time.Millisecond

// Run watches the calls of Do until ctx ends. It takes no lock and touches no
// disk, so nothing that hangs can hang it too. How late it wakes is time in
// which the whole process stood still, and is not counted against any call.
func (g *Guard) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	last := g.opts.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now := g.opts.Now()
		if late := now.Sub(last) - tick; late > 0 {
			g.paused.Add(int64(late))
		}
		last = now
		g.look()
	}
}

// look warns of slow calls and kills the process for one that hangs.
func (g *Guard) look() {
	now := g.watched() + 1
	for i := range g.calls {
		c := &g.calls[i]
		started := c.started.Load()
		if started == 0 {
			continue
		}
		op := Op(c.op.Load())
		limits := g.limits(op)
		age := time.Duration(now - started)
		if c.started.Load() != started {
			continue // it ended while we looked; op may be the next one's
		}
		switch {
		case age >= limits.Kill:
			g.hang(op, age)
		case age >= limits.Warn && c.warned.CompareAndSwap(false, true):
			// A log line may block on a slow disk: it gets its own goroutine,
			// one for each slow call.
			go g.opts.Log.Warn("storage is slow", "op", op.String(), "age", age)
		}
	}
}

func (g *Guard) limits(op Op) Limits {
	switch {
	case op > lastRaftOp:
		return g.opts.Background
	case g.leading.Load():
		return g.opts.Leader
	}
	return g.opts.Follower
}

// hang ends the process, once.
func (g *Guard) hang(op Op, age time.Duration) {
	if !g.kills.CompareAndSwap(0, 1) {
		return
	}
	err := &hung{op: op, age: age}
	g.latched.CompareAndSwap(nil, &latch{err: err})
	told := make(chan struct{})
	go func() { // it may block too
		defer close(told)
		_, _ = fmt.Fprintf(g.opts.Stderr, "pawl: %v, killing this process\n", err)
	}()
	select {
	case <-told:
	case <-time.After(lastWords):
	}
	g.opts.Kill()
}

// hung is the error of a call that did not return in time.
type hung struct {
	op  Op
	age time.Duration
}

func (h *hung) Error() string {
	return fmt.Sprintf("%s did not return for %v", h.op, h.age.Round(time.Millisecond))
}

// ExitCode is ExitWatchdog.
func (h *hung) ExitCode() int { return ExitWatchdog }
