package fsm

import "slices"

// maxGrants bounds the grants that a limit remembers one by one. With up to
// maxExact leases a window each is remembered and the limit is exact; above that
// those of one slice of the window count as if they were made at the last of them, so
// that a window never has more than allowed and waits at most a slice too long.
const (
	maxExact  = 64
	maxGrants = maxExact + 2
)

// granted is leases of a type that were given at one time, or within one slice.
type granted struct {
	at Millis
	n  uint32
}

// rateOf is how many leases of a type a window of time may have; 0: any number.
func (s *State) rateOf(name string) (most int, window Millis) {
	t, ok := s.taskTypes.get(name)
	if !ok || t.parsed.RateLimit <= 0 {
		return 0, 0
	}
	return int(t.parsed.RateLimit), addSeconds(0, int64(t.parsed.RateWindow))
}

// noteGrant remembers a lease that is given now and, if it was the last that its
// window allows, arms the time at which there is another.
func (s *State) noteGrant(l *limit, from queueID) {
	most, window := s.rateOf(l.name)
	if most == 0 {
		return
	}
	l.grants = addGrant(l.grants, s.now, most, window)
	l.queue = from
	s.armWake(l)
}

// addGrant adds a lease at now. The list it is given is left as it was: a View may
// see it.
func addGrant(grants []granted, now Millis, most int, window Millis) []granted {
	out := append(make([]granted, 0, min(len(grants)+1, maxGrants+1)), grants...)
	if n := len(out); n > 0 && sameSlice(out[n-1].at, now, most, window) {
		out[n-1].at, out[n-1].n = now, out[n-1].n+1
	} else {
		out = append(out, granted{at: now, n: 1})
	}
	if len(out) <= maxGrants {
		return out
	}
	if out[0].at > now-window { // limits were changed: keep it, as if it were younger
		out[1].n += out[0].n
	}
	return out[1:]
}

// sameSlice says whether two leases are remembered as one.
func sameSlice(a, b Millis, most int, window Millis) bool {
	if most <= maxExact {
		return a == b
	}
	return a == b || int64(a)*maxExact/int64(window) == int64(b)*maxExact/int64(window)
}

// rateFree tells how many more leases of a type the window that ends now allows, and
// when there is another if there is none; free is negative when any number is.
func (s *State) rateFree(name string) (free int, next Millis) {
	most, window := s.rateOf(name)
	if most == 0 {
		return -1, 0
	}
	l, ok := s.limits.get(name)
	if !ok {
		return most, 0
	}
	free = most
	for _, g := range slices.Backward(l.grants) {
		if g.at <= s.now-window {
			break
		}
		if free -= int(g.n); free <= 0 {
			return 0, g.at + window
		}
	}
	return free, 0
}

// armWake sets the time at which a type whose window is full has a permit again. The
// next task is then leased without anybody asking.
func (s *State) armWake(l *limit) {
	if l.due.at != 0 {
		s.due.drop(l.due)
		l.due = dueKey{}
	}
	if _, next := s.rateFree(l.name); next != 0 {
		l.due = s.nextDue(next)
		s.due.put(l.due, owner{kind: ownerLimit, limit: l.name})
	}
}

// fireWake tells that a type may be leased again.
func (s *State) fireWake(k dueKey, name string) {
	l, ok := s.limits.get(name)
	if !ok || l.due != k {
		panic("fsm: timer of a limit that did not set it")
	}
	l = s.limits.mut(l)
	l.due = dueKey{}
	s.armWake(l)
	s.touchLimit(name)
}

// retune takes note of a task type that was changed: its limits hold at once.
func (s *State) retune(name string) {
	if l, ok := s.limits.get(name); ok {
		s.armWake(s.limits.mut(l))
	}
	s.touchLimit(name)
}

// touchLimit notes that the free permits of a type are to be told.
func (s *State) touchLimit(name string) { s.scratch.limits = append(s.scratch.limits, name) }

func readGranted(r *reader) (g granted) {
	r.nest(func(r *reader) {
		switch r.tag {
		case 1:
			g.at = Millis(r.int())
		case 2:
			g.n = r.num32()
		default:
			r.unknown()
		}
	})
	return g
}
