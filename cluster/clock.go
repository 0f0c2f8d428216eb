package cluster

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// slewAhead and slewBehind bound how much faster and slower than real time
	// cluster time runs to meet the clocks of the voters: timers stay close to what
	// was asked, and time never stands still.
	slewAhead  = 1.05
	slewBehind = 0.5
	// slewOver is the time in which a difference is to be gone, bounds permitting.
	slewOver = 10 * time.Second
	// bigStep is the step that a node which knows better refuses to take.
	bigStep = time.Minute
	// sampleLife is how long a peer's clock is taken to be known.
	sampleLife = 10 * time.Second
	// clockWarn is the difference of a node's own clock from the others' that is told.
	clockWarn = 250 * time.Millisecond
)

// Clock tells cluster time. While this node leads it runs by the monotonic clock and is
// drawn towards the median of the voters' wall clocks; otherwise it runs on from the
// last applied entry. All methods may be called from any goroutine and never wait.
type Clock struct {
	now, wall func() time.Time
	log       *slog.Logger
	started   time.Time

	mu      sync.Mutex
	base    fsm.Millis // cluster time at
	at      time.Time
	rate    float64
	leading bool
	last    fsm.Millis // the last time stamped into an entry
	state   fsm.Millis // State's time
	stateAt time.Time
	refused bool // a big step was refused; a person may accept it
	samples map[fsm.NodeID]sample
}

// sample is what a peer's wall clock showed at a moment of this node's clock.
type sample struct {
	wall time.Time
	at   time.Time
}

func newClock(now, wall func() time.Time, state fsm.Millis, log *slog.Logger) *Clock {
	t := now()
	return &Clock{
		now: now, wall: wall, log: log, started: t, base: state, at: t, rate: 1,
		state: state, samples: map[fsm.NodeID]sample{},
	}
}

// Now is cluster time.
func (c *Clock) Now() fsm.Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.readLocked(c.now()), c.last, c.state)
}

func (c *Clock) readLocked(now time.Time) fsm.Millis {
	elapsed := max(0, now.Sub(c.at))
	return c.base + fsm.Millis(float64(elapsed)*c.rate/float64(time.Millisecond))
}

// stamp gives the time of an entry: never below that of an earlier one.
func (c *Clock) stamp() fsm.Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.readLocked(c.now()), c.last, c.state)
	return c.last
}

// applied notes State's time.
func (c *Clock) applied(t fsm.Millis) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.state, c.stateAt = t, now
	if !c.leading {
		c.base, c.at, c.rate = t, now, 1
	}
}

// sample notes what a peer said its wall clock shows, rtt after it was asked.
func (c *Clock) sample(from fsm.NodeID, wall time.Time, rtt time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples[from] = sample{wall.Add(rtt / 2), c.now()}
}

// agreedLocked is the median of the wall clocks of the voters heard lately; of an even
// number the lower of the two in the middle, since time that went ahead on one node's
// word cannot be taken back.
func (c *Clock) agreedLocked(now time.Time, voters []fsm.NodeID) fsm.Millis {
	own := c.wall()
	all := []int64{own.UnixMilli()}
	for _, v := range voters {
		if s, ok := c.samples[v]; ok && now.Sub(s.at) < sampleLife {
			all = append(all, s.wall.Add(now.Sub(s.at)).UnixMilli())
		}
	}
	slices.Sort(all)
	return fsm.Millis(all[(len(all)-1)/2])
}

// known counts the voters whose clocks are known, this node's among them.
func (c *Clock) known(voters []fsm.NodeID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, n := c.now(), 1
	for _, v := range voters {
		if s, ok := c.samples[v]; ok && now.Sub(s.at) < sampleLife {
			n++
		}
	}
	return n
}

// lead begins a term. It may step the time forward, once, and gives how long nobody led
// as far as this node can tell, at most fsm.MaxGap: since the last entry, but not longer
// than since a leader was heard, as an idle cluster has no entries.
func (c *Clock) lead(voters []fsm.NodeID, heard time.Time) (gap fsm.Millis) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	agreed := c.agreedLocked(now, voters)
	t := max(c.state, c.last)
	step := time.Duration(agreed-t) * time.Millisecond
	knows := !c.stateAt.IsZero() && now.Sub(c.started) > step && now.Sub(c.stateAt) < step/2
	c.refused = false
	switch {
	case step <= 0:
	case step > bigStep && knows:
		c.refused = true
		t += fsm.Millis(now.Sub(c.stateAt).Milliseconds())
		c.log.Error("clocks jumped ahead of cluster time: the step was refused", "step", step)
	default:
		t = agreed
	}
	c.base, c.at, c.rate, c.leading = t, now, 1, true
	if c.state == 0 {
		return 0
	}
	gap = min(fsm.MaxGap, t-c.state)
	if !heard.IsZero() {
		gap = min(gap, fsm.Millis(time.Since(heard).Milliseconds()))
	}
	return max(0, gap)
}

// resign ends a term.
func (c *Clock) resign() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.base, c.at, c.rate, c.leading = max(c.readLocked(now), c.state), now, 1, false
}

// steer draws cluster time towards the voters' clocks. It is called about every second.
func (c *Clock) steer(voters []fsm.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	agreed := c.agreedLocked(now, voters)
	if d := c.wall().UnixMilli() - int64(agreed); d > clockWarn.Milliseconds() || -d > clockWarn.Milliseconds() {
		c.log.Warn("this node's clock differs from the others'", "millis", d)
	}
	if !c.leading {
		return
	}
	c.base, c.at = c.readLocked(now), now
	away := float64(agreed - c.base)
	c.rate = min(slewAhead, max(slewBehind, 1+away/float64(slewOver.Milliseconds())))
}

// Accept takes the step that was refused when this node began to lead.
func (c *Clock) Accept(voters []fsm.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.refused && c.leading {
		c.base, c.at, c.refused = max(c.readLocked(now), c.agreedLocked(now, voters)), now, false
	}
}
