package scheduler

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// TestManyCallersAtOnce lets polls, streams and a log meet on the leader. Every lease
// has to reach a worker or be given back.
func TestManyCallersAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lead()
		r.apply(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 1_000_000}}})
		var workers sync.WaitGroup
		var mu sync.Mutex
		received := map[fsm.Lease]int{}
		got := func(l fsm.Leased) {
			mu.Lock()
			defer mu.Unlock()
			received[l.Lease]++
		}
		for i := range 8 {
			workers.Go(func() { pollOften(t, r, time.Duration(i+1)*time.Millisecond, got) })
			workers.Go(func() { streamOften(t, r, time.Duration(i+1)*time.Millisecond, got) })
		}
		stop := make(chan struct{})
		var log sync.WaitGroup
		var leases fsm.Lease
		log.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					leases = r.grantHalf(leases)
				}
			}
		})
		workers.Wait()
		close(stop)
		log.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		for _, tick := range r.takeTicks() {
			for _, c := range tick.cs {
				received[c.Body.(*fsm.ReturnLease).Lease]++
			}
		}
		for l := fsm.Lease(1); l <= leases; l++ {
			if received[l] == 0 {
				t.Fatalf("lease %d of %d reached nobody", l, leases)
			}
		}
		if c := r.s.Counts(); c.Streams+c.Slots+c.Registered+c.Offered != 0 || leases < 100 {
			t.Fatalf("%d leases, kept %+v", leases, c)
		}
	})
}

// grantHalf stamps an entry and applies it, with grants for every other offer.
func (r *rig) grantHalf(last fsm.Lease) fsm.Lease {
	st := r.s.Stamp(nil, fsm.MaxOffers)
	a := &fsm.Applied{}
	for i, o := range st.Offers {
		if i%2 == 1 {
			a.Unused = append(a.Unused, o)
			continue
		}
		last++
		l := grant(o.Slot.N, last)
		a.Grants = append(a.Grants, l)
	}
	r.index++
	r.feed <- fsm.Batch{Index: r.index, Term: 1, Applied: a}
	if len(st.Offers) > 0 {
		r.s.Settle(st.Offers, true)
	}
	return last
}

func pollOften(t *testing.T, r *rig, wait time.Duration, got func(fsm.Leased)) {
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, ch, err := r.s.Park(ctx, fsm.SlotSpec{Worker: "w", Queues: []fsm.Queue{"a"}, Credit: 3, Once: true})
		if err != nil {
			t.Error(err)
		}
		for l := range ch {
			got(l)
		}
		cancel()
	}
}

func streamOften(t *testing.T, r *rig, wait time.Duration, got func(fsm.Leased)) {
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 3*wait)
		id, ch, err := r.s.Park(ctx, fsm.SlotSpec{Worker: "s", Queues: []fsm.Queue{"a", "b"}, Credit: 2})
		if err != nil {
			t.Error(err)
		}
		for l := range ch {
			got(l)
			r.s.Credit(id, 1)
		}
		cancel()
	}
}
