package scheduler

import (
	"context"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// pacing decides when an entry without commands is asked for. The zero value asks
// for none. It is guarded by books.mu.
type pacing struct {
	nextDue fsm.Millis
	dueFor  []fsm.Queue
	more    bool

	// due is when an entry was stamped that fires nextDue, zero if none was since it
	// was observed.
	due time.Time
	// asked is when a tick was asked for that no stamp has answered, zero if none.
	asked time.Time
	last  time.Time // tick for a timer
	busy  bool      // the last stamp had commands
}

func (p *pacing) observe(nextDue fsm.Millis, hints []fsm.Queue, more bool) {
	p.nextDue, p.dueFor, p.more = nextDue, hints, more
	p.due = time.Time{}
}

// retryDue lets the timer ask again, since the entry that would have fired it is lost.
func (p *pacing) retryDue() { p.due = time.Time{} }

// work is the background budget of the next entry.
func (p *pacing) work(commands int) uint32 {
	was := p.busy
	p.busy = commands > 0
	switch {
	case p.busy:
		return workBusy
	case was:
		return workTick
	}
	return fsm.MaxWork
}

// stamped notes that an entry goes out at now, and reports whether it is the first
// that fires the next timer.
func (p *pacing) stamped(now fsm.Millis, mono time.Time) (fires bool) {
	p.asked = time.Time{}
	p.more = false
	if p.nextDue == 0 || now < p.nextDue {
		return false
	}
	fires = p.due.IsZero()
	p.due = mono
	return fires
}

// idle is how long to wait when only a call can change something.
const idle = time.Hour

// pace says whether to tick now, else how long nothing can happen without a call.
func (b *books) pace(now fsm.Millis, mono time.Time) (tick bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.time
	if b.term == 0 {
		return false, idle
	}
	urgent := p.more || len(b.hungry) > 0
	until, timer := idle, false
	if p.nextDue > 0 {
		if until = untilDue(p.nextDue - now); until == 0 {
			until = left(p.due, retryAfter, mono)
			if until == 0 {
				until = left(p.last, TickMin, mono)
			}
			timer = until == 0
		}
	}
	if !urgent && !timer {
		return false, until
	}
	if d := left(p.asked, retryAfter, mono); d > 0 {
		return false, d
	}
	p.asked = mono
	if timer {
		p.last = mono
	}
	return true, 0
}

// left is how much of d has not passed since t; 0 when t is not set.
func left(t time.Time, d time.Duration, now time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(0, d-now.Sub(t))
}

// untilDue turns cluster time into a wait. Cluster time may run a twentieth faster
// than this node's clock: long waits stop early and look again.
func untilDue(d fsm.Millis) time.Duration {
	if d <= 0 {
		return 0
	}
	if d > 1_000_000 {
		d = 1_000_000
	}
	wait := time.Duration(d) * time.Millisecond
	if wait > 4*TickMin {
		wait -= wait / 16
	}
	return wait
}

// runPace asks for entries until ctx ends.
func (s *Scheduler) runPace(ctx context.Context) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		tick, wait := s.books.pace(s.clock.Now(), time.Now())
		if tick {
			if err := s.propose(ctx); err != nil && ctx.Err() == nil {
				s.log.Debug("tick not taken", "err", err)
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}
