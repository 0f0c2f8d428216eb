package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRateHoldsInEveryWindow leases from a queue that is never empty at random times
// and compares with a list of all leases: no window has more than allowed, up to 64 a
// window the next is given at the first millisecond that allows it, above that a
// sixty-fourth of the window later at most.
func TestRateHoldsInEveryWindow(t *testing.T) {
	seed := envInt(t, "PAWL_SEED", rand.Uint64())
	t.Logf("PAWL_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for _, most := range []int{1, 3, 64, 65, 200} {
		window := Millis(1000 * (1 + r.IntN(4)))
		t.Run(fmt.Sprintf("%d in %d ms", most, window), func(t *testing.T) {
			late := Millis(0)
			if most > maxExact {
				late = window/maxExact + 1
			}
			s := New(1)
			s.Apply(1, &Entry{Time: 1_000_000, Commands: []*Command{{Body: &PutTaskType{
				Source: fmt.Appendf(nil, `{"name":"a","rateLimitPerFrequency":%d,"rateLimitFrequencyInSeconds":%d}`, most, window/1000)}}}})
			s.out = &Applied{}
			var given []Millis
			for range 6 * most {
				s.now += Millis(r.IntN(int(3*window/Millis(most)) + 2))
				for r.IntN(4) > 0 {
					free := s.permits("a").Free
					exact := most - within(given, s.now-window)
					loose := most - within(given, s.now-window-late)
					if free > exact || free < loose {
						t.Fatalf("at %d: %d are free, want from %d to %d", s.now, free, loose, exact)
					}
					if free == 0 {
						break
					}
					s.noteGrant(s.mutLimit("a"), 1)
					given = append(given, s.now)
				}
			}
			if err := s.verifyRates(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func within(given []Millis, after Millis) (n int) {
	for _, at := range given {
		if at > after {
			n++
		}
	}
	return n
}
