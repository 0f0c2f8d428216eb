package scheduler

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// rig is one running Scheduler with a hand-fed journal, in a bubble.
type rig struct {
	t      *testing.T
	s      *Scheduler
	begun  time.Time
	skip   fsm.Millis
	feed   chan fsm.Batch
	index  uint64
	cancel context.CancelFunc
	done   chan error

	mu        sync.Mutex
	ticks     []tick
	sets      []fsm.SlotSet
	delivered []fsm.Leased
	tickErr   error
	setErr    error
	giveErr   error
	lapsed    bool
}

type tick struct {
	at time.Duration
	cs []*fsm.Command
}

func (r *rig) Now() fsm.Millis {
	r.mu.Lock()
	defer r.mu.Unlock()
	return 1_000_000 + r.skip + fsm.Millis(time.Since(r.begun)/time.Millisecond)
}

func (r *rig) Tick(_ context.Context, cs ...*fsm.Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ticks = append(r.ticks, tick{time.Since(r.begun), cs})
	return r.tickErr
}

func (r *rig) Register(set fsm.SlotSet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sets = append(r.sets, set)
	return r.setErr
}

func (r *rig) Deliver(_ fsm.NodeID, l fsm.Leased) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivered = append(r.delivered, l)
	return r.giveErr
}

func (r *rig) Next(ctx context.Context) (fsm.Batch, error) {
	r.mu.Lock()
	lapsed := r.lapsed
	r.lapsed = false
	r.mu.Unlock()
	if lapsed {
		return fsm.Batch{}, fsm.ErrLapped
	}
	select {
	case b := <-r.feed:
		return b, nil
	case <-ctx.Done():
		return fsm.Batch{}, ctx.Err()
	}
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, begun: time.Now(), feed: make(chan fsm.Batch, 99), done: make(chan error, 1)}
	var err error
	r.s, err = New(Config{
		Node: self, Boot: 1, Proposer: r, Deliverer: r, Registrar: r, Clock: r,
		Open: func(uint64) (Events, error) { return r, nil },
		View: func() fsm.View { return fsm.View{} },
		Log:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.s.Run(ctx) }()
	synctest.Wait()
	return r
}

func (r *rig) stop() {
	r.cancel()
	if err := <-r.done; !errors.Is(err, context.Canceled) {
		r.t.Errorf("Run: %v", err)
	}
}

// apply feeds one entry of term.
func (r *rig) apply(term uint64, a *fsm.Applied) {
	r.index++
	r.feed <- fsm.Batch{Index: r.index, Term: term, Applied: a}
	synctest.Wait()
}

// lead makes this node lead term 1.
func (r *rig) lead() {
	r.apply(1, &fsm.Applied{})
	r.s.Lead(1, fsm.View{})
	synctest.Wait()
}

func (r *rig) takeTicks() []tick {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.ticks
	r.ticks = nil
	return t
}

func (r *rig) takeSets() []fsm.SlotSet {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sets
	r.sets = nil
	return s
}

func (r *rig) park(ctx context.Context, once bool, credit int, queues ...fsm.Queue) (fsm.StreamID, <-chan fsm.Leased) {
	r.t.Helper()
	id, ch, err := r.s.Park(ctx, fsm.SlotSpec{Worker: "w", Queues: queues, Credit: credit, Once: once})
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
	return id, ch
}

// wants says what comes of ch: a lease, "open" with nothing in it, or "closed".
func (r *rig) wants(ch <-chan fsm.Leased, lease fsm.Lease, state string) {
	r.t.Helper()
	synctest.Wait()
	var got fsm.Lease
	is := "open"
	select {
	case l, ok := <-ch:
		if got = l.Lease; !ok {
			is = "closed"
		}
	default:
	}
	if got != lease || lease == 0 && is != state {
		r.t.Fatalf("got lease %d, %s; want %d, %s", got, is, lease, state)
	}
}

func grant(n uint64, lease fsm.Lease) fsm.Leased {
	return fsm.Leased{Slot: fsm.Slot{Node: self, Boot: 1, N: n}, Lease: lease, Queue: "a", ResponseMillis: 30_000,
		Task: fsm.TaskID{Exec: fsm.ExecID{Hi: uint64(lease)}, Serial: 1}}
}

// inBubble runs f with a rig, which it stops.
func inBubble(t *testing.T, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		f(t, r)
	})
}

func TestAlarmTicksWhenATimerIsDue(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lead()
		due := r.Now() + 5_000
		r.apply(1, &fsm.Applied{NextDue: due, DueHints: []fsm.Queue{"a"}})
		time.Sleep(4_999 * time.Millisecond)
		if got := r.takeTicks(); len(got) != 0 {
			t.Fatalf("ticked early: %v", got)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got := r.takeTicks(); len(got) != 1 || got[0].at.Round(time.Millisecond) > 5001*time.Millisecond {
			t.Fatalf("got %v, want one tick at 5s", got)
		}
		r.park(t.Context(), false, 1, "a")
		if st := r.s.Stamp(nil, 9); show(st.Offers) != "1:a" {
			t.Fatalf("got %v, want an offer to the queue of the timer", st.Offers)
		}
		time.Sleep(retryAfter - time.Millisecond)
		if got := r.takeTicks(); len(got) != 0 {
			t.Fatalf("ticked again while the entry is under way: %v", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := r.takeTicks(); len(got) != 1 {
			t.Fatalf("got %v, want a second try", got)
		}
		r.apply(1, &fsm.Applied{})
		time.Sleep(time.Hour)
		if got := r.takeTicks(); len(got) != 0 {
			t.Fatalf("ticked without a timer: %v", got)
		}
	})
}

func TestCloseTimersShareAnEntry(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lead()
		for i := range fsm.Millis(8) {
			r.apply(1, &fsm.Applied{NextDue: r.Now()})
			if got := len(r.takeTicks()); i%5 == 0 && got != 1 || i%5 != 0 && got != 0 {
				t.Fatalf("after %d ms: %d ticks", i, got)
			}
			r.s.Stamp(nil, 9)
			time.Sleep(time.Millisecond)
		}
	})
}

func TestNudgeReadsTheClockAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lead()
		r.apply(1, &fsm.Applied{NextDue: r.Now() + 86_400_000})
		r.mu.Lock()
		r.skip = 86_400_000
		r.mu.Unlock()
		synctest.Wait()
		if got := r.takeTicks(); len(got) != 0 {
			t.Fatalf("ticked unasked: %v", got)
		}
		r.s.Nudge()
		synctest.Wait()
		if got := r.takeTicks(); len(got) != 1 {
			t.Fatalf("got %v, want one tick", got)
		}
	})
}

func TestMoreWorkGoesOnAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.apply(1, &fsm.Applied{More: true})
		if got := r.takeTicks(); len(got) != 0 {
			t.Fatalf("ticked without leading: %v", got)
		}
		r.lead()
		r.apply(1, &fsm.Applied{More: true})
		if got := r.takeTicks(); len(got) != 1 {
			t.Fatalf("got %v, want one tick", got)
		}
		r.s.Stamp(nil, 9)
		r.apply(1, &fsm.Applied{})
		r.s.Resign(1)
		time.Sleep(time.Minute)
		if got := r.takeTicks(); len(got) != 0 {
			t.Fatalf("ticked with nothing to do: %v", got)
		}
	})
}

func TestCompletionCarriesTheSlotItFrees(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lead()
		id, ch := r.park(t.Context(), false, 1, "a")
		r.apply(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 1}}})
		if got := len(r.takeTicks()); got != 1 {
			t.Fatalf("%d ticks, want 1", got)
		}
		offers := r.s.Stamp(nil, 9).Offers
		l := grant(1, 7)
		l.Hints = []fsm.Queue{"a"}
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{l}, Ready: []fsm.QueueReady{{Queue: "a", Type: "a"}}})
		r.s.Settle(offers, true)
		r.wants(ch, 7, "")
		r.s.Credit(id, 1)
		st := r.s.Stamp([]*fsm.Command{{Body: &fsm.CompleteTask{Task: l.Task, Lease: 7}}}, 9)
		if got, want := show(st.Offers), "2:a"; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestNodeDeliversWhatTheLeaderDidNot(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.apply(1, &fsm.Applied{})
		_, ch := r.park(t.Context(), false, 2, "a")
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{grant(1, 7), grant(2, 8)}})
		r.s.Deliver(grant(2, 8))
		r.wants(ch, 8, "")
		time.Sleep(deliverAfter - time.Millisecond)
		r.wants(ch, 0, "open")
		time.Sleep(time.Millisecond)
		r.wants(ch, 7, "")
		r.s.Deliver(grant(1, 7))
		r.wants(ch, 0, "open")
		if got := r.takeTicks(); len(got) != 0 {
			t.Fatalf("gave back what was delivered: %v", got)
		}
	})
}

func TestLeaseOfALateGrantThatEndedIsNotDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.apply(1, &fsm.Applied{})
		_, ch := r.park(t.Context(), false, 1, "a")
		l := grant(1, 7)
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{l}})
		r.takeSets()
		r.apply(1, &fsm.Applied{Events: []fsm.Event{{Kind: fsm.TaskReturned, Exec: l.Task.Exec, Serial: 1}}})
		time.Sleep(deliverAfter)
		r.wants(ch, 0, "open")
		sets := r.takeSets()
		if len(sets) != 1 || len(sets[0].Add) != 1 || sets[0].Add[0].Slots[0] != 2 || sets[0].Drop[0] != 1 {
			t.Fatalf("got %+v, want slot 2 in the place of 1", sets)
		}
	})
}

func TestLeaseWithoutAWorkerIsGivenBack(t *testing.T) {
	back := func(r *rig, lease fsm.Lease) {
		r.t.Helper()
		synctest.Wait()
		got := r.takeTicks()
		if len(got) != 1 || len(got[0].cs) != 1 {
			r.t.Fatalf("got %v, want one command", got)
		}
		if c, ok := got[0].cs[0].Body.(*fsm.ReturnLease); !ok || c.Lease != lease {
			r.t.Fatalf("got %+v, want the return of %d", got[0].cs[0].Body, lease)
		}
		time.Sleep(extendPause)
	}
	inBubble(t, func(t *testing.T, r *rig) {
		r.apply(1, &fsm.Applied{})
		r.s.Deliver(grant(9, 5))
		back(r, 5)
		l := grant(1, 6)
		l.Slot.Boot = 7
		r.s.Deliver(l)
		back(r, 6)
		ctx, cancel := context.WithCancel(t.Context())
		_, ch := r.park(ctx, false, 2, "a")
		r.s.Deliver(grant(1, 7)) // not read
		cancel()
		back(r, 7)
		r.wants(ch, 0, "closed")
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{grant(2, 8)}})
		back(r, 8)
	})
}

func TestReturnIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.tickErr = fsm.ErrNoLeader
		r.s.Deliver(grant(9, 5))
		time.Sleep(2*errandPause + time.Millisecond)
		if got := len(r.takeTicks()); got != 3 {
			t.Fatalf("tried %d times, want 3", got)
		}
		time.Sleep(time.Hour)
		if got := len(r.takeTicks()); got != errandTries-3 {
			t.Fatalf("tried %d times more, want %d", got, errandTries-3)
		}
	})
}

func TestLeaderGivesBackWhatItCannotHandOver(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lead()
		r.giveErr = errLink
		l := grant(1, 5)
		l.Slot.Node = other
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{l}})
		if got := r.takeTicks(); len(r.delivered) != 1 || len(got) != 1 || len(got[0].cs) != 1 {
			t.Fatalf("delivered %v, proposed %v", r.delivered, got)
		}
	})
}

func TestPollTiming(t *testing.T) {
	type step func(r *rig, cancel func())
	wait := func(d time.Duration) step { return func(*rig, func()) { time.Sleep(d) } }
	cancel := func(_ *rig, cancel func()) { cancel(); synctest.Wait() }
	deliver := func(n uint64, l fsm.Lease) step { return func(r *rig, _ func()) { r.s.Deliver(grant(n, l)) } }
	resolved := func(r *rig, _ func()) { r.s.Deliver(note{node: self, boot: 1, n: 2}.leased()) }
	tests := []struct {
		name   string
		steps  []step
		leases []fsm.Lease
		state  string
	}{
		{"waits for ever", []step{wait(time.Hour)}, nil, "open"},
		{"lingers for what is under way", []step{cancel, wait(lingerFor - 1)}, nil, "open"},
		{"lingers no longer", []step{cancel, wait(lingerFor)}, nil, "closed"},
		{"ends when nothing is under way", []step{cancel, resolved}, nil, "closed"},
		{"takes a late grant", []step{cancel, deliver(1, 7)}, []fsm.Lease{7}, "open"},
		{"first grant closes the group", []step{deliver(1, 7), resolved}, []fsm.Lease{7}, "closed"},
		{"first grant waits for the others", []step{deliver(1, 7)}, []fsm.Lease{7}, "open"},
		{"all granted", []step{deliver(1, 7), deliver(2, 8)}, []fsm.Lease{7, 8}, "closed"},
		{"repeated grant", []step{deliver(1, 7), deliver(1, 7)}, []fsm.Lease{7}, "open"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.apply(1, &fsm.Applied{})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				_, ch := r.park(ctx, true, 2, "a")
				for _, s := range tc.steps {
					s(r, stop)
				}
				for _, l := range tc.leases {
					r.wants(ch, l, "")
				}
				r.wants(ch, 0, tc.state)
			})
		})
	}
}

func TestPollOnTheLeaderEndsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lead()
		ctx, cancel := context.WithCancel(t.Context())
		_, ch := r.park(ctx, true, 2, "a")
		cancel()
		r.wants(ch, 0, "closed")

		ctx, cancel = context.WithCancel(t.Context())
		_, ch = r.park(ctx, true, 2, "a")
		r.apply(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 1}}})
		offers := r.s.Stamp(nil, 9).Offers
		cancel()
		r.wants(ch, 0, "open") // a slot is under way
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{grant(offers[0].Slot.N, 7)}})
		r.wants(ch, 7, "")
		r.wants(ch, 0, "closed")
		if c := r.s.Counts(); c.Streams+c.Slots+c.Registered != 0 {
			t.Fatalf("kept %+v", c)
		}
	})
}

func TestSlotsAreRegistered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id, _ := r.park(t.Context(), false, 2, "a", "b")
		if got := r.takeSets(); len(got) != 0 {
			t.Fatalf("registered before a term is known: %v", got)
		}
		r.apply(4, &fsm.Applied{})
		r.s.Credit(id, 3)
		synctest.Wait()
		sets := r.takeSets()
		if len(sets) != 2 || !sets[0].Full || sets[0].Term != 4 || len(sets[0].Add[0].Slots) != 2 || len(sets[0].Add[0].Queues) != 2 {
			t.Fatalf("got %+v, want a full set first", sets)
		}
		if d := sets[1]; d.Full || d.Seq != sets[0].Seq+1 || len(d.Add[0].Slots) != 3 || len(d.Add[0].Queues) != 0 {
			t.Fatalf("got %+v, want a difference", d)
		}
		time.Sleep(refreshEvery)
		synctest.Wait()
		if sets = r.takeSets(); len(sets) != 1 || len(sets[0].Add) != 0 {
			t.Fatalf("got %+v, want a quiet set", sets)
		}
		r.s.Deliver(note{node: self, boot: 1}.leased())
		synctest.Wait()
		if sets = r.takeSets(); len(sets) != 1 || !sets[0].Full || len(sets[0].Add[0].Slots) != 5 {
			t.Fatalf("got %+v, want a full set", sets)
		}
		r.setErr = errLink
		r.s.Credit(id, 1)
		time.Sleep(errandPause)
		synctest.Wait()
		if sets = r.takeSets(); len(sets) != 2 || sets[0].Full || !sets[1].Full || len(sets[1].Add[0].Slots) != 6 {
			t.Fatalf("got %+v, want a difference and a full set after the error", sets)
		}
	})
}

func TestExtensionsAreThinnedAndGathered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.apply(1, &fsm.Applied{})
		_, ch := r.park(t.Context(), false, 2, "a")
		extend := func() {
			for lease := fsm.Lease(7); lease < 9; lease++ {
				if err := r.s.Extend(t.Context(), grant(0, lease).Task, lease); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(extendPause)
			synctest.Wait()
		}
		want := func(items int) {
			t.Helper()
			got := r.takeTicks()
			if items == 0 && len(got) == 0 {
				return
			}
			if len(got) != 1 || len(got[0].cs[0].Body.(*fsm.ExtendLeases).Items) != items {
				t.Fatalf("got %v, want %d extensions in one command", got, items)
			}
		}
		for n := uint64(1); n < 3; n++ {
			r.s.Deliver(grant(n, fsm.Lease(n+6)))
			r.wants(ch, fsm.Lease(n+6), "")
		}
		extend()
		want(0)
		time.Sleep(10 * time.Second)
		extend()
		want(2)
		extend()
		want(0)
		r.mu.Lock()
		r.skip += 10_000
		r.tickErr = fsm.ErrNoLeader
		r.mu.Unlock()
		extend()
		want(2)
		extend() // the last was not recorded
		want(2)
		task := grant(0, 8).Task
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{grant(2, 8)}})
		r.apply(1, &fsm.Applied{Events: []fsm.Event{{Kind: fsm.TaskCompleted, Exec: task.Exec, Serial: 1}}})
		if got := r.s.Counts().Held; got != 1 {
			t.Fatalf("%d leases held, want 1", got)
		}
		var stale *fsm.Rejection
		if err := r.s.Extend(t.Context(), grant(0, 7).Task, 6); !errors.As(err, &stale) || stale.Code != fsm.StaleLease {
			t.Fatalf("got %v, want a stale lease", err)
		}
	})
}

func TestWorkerThatComesBackKeepsWhatItHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.apply(1, &fsm.Applied{})
		ctx, cancel := context.WithCancel(t.Context())
		_, ch := r.park(ctx, false, 2, "a")
		for n := uint64(1); n < 3; n++ {
			r.s.Deliver(grant(n, fsm.Lease(n+6)))
			r.wants(ch, fsm.Lease(n+6), "")
		}
		cancel()
		synctest.Wait()
		id, _ := r.park(t.Context(), false, 0, "a")
		r.s.Held(id, []fsm.Lease{8})
		synctest.Wait()
		got := r.takeTicks()
		if len(got) != 1 || len(got[0].cs) != 1 || got[0].cs[0].Body.(*fsm.ReturnLease).Lease != 7 {
			t.Fatalf("got %v, want the return of lease 7", got)
		}
		r.s.Held(id, nil)
		if got := r.s.Counts().Held; got != 1 {
			t.Fatalf("%d leases held, want 1", got)
		}
	})
}

func TestLappedNodeNumbersItsSlotsAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.apply(1, &fsm.Applied{})
		_, ch := r.park(t.Context(), false, 1, "a")
		_, poll := r.park(t.Context(), true, 1, "a")
		r.mu.Lock()
		r.lapsed = true
		r.mu.Unlock()
		r.apply(1, &fsm.Applied{})
		time.Sleep(reopenPause)
		r.wants(poll, 0, "closed")
		r.takeTicks()
		r.s.Deliver(grant(1, 7))
		r.wants(ch, 0, "open")
		if got := r.takeTicks(); len(got) != 1 {
			t.Fatalf("got %v, want the lease given back", got)
		}
		r.apply(1, &fsm.Applied{Grants: []fsm.Leased{grant(3, 8)}})
		time.Sleep(deliverAfter)
		r.wants(ch, 8, "")
	})
}

func TestParkRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		tests := []struct {
			name string
			ctx  context.Context
			spec fsm.SlotSpec
		}{
			{"no queue", t.Context(), fsm.SlotSpec{Credit: 1}},
			{"too many queues", t.Context(), fsm.SlotSpec{Queues: make([]fsm.Queue, fsm.MaxQueuesPerWorker+1)}},
			{"an empty queue", t.Context(), fsm.SlotSpec{Queues: []fsm.Queue{""}}},
			{"a queue twice", t.Context(), fsm.SlotSpec{Queues: []fsm.Queue{"a", "a"}}},
			{"too much credit", t.Context(), fsm.SlotSpec{Queues: []fsm.Queue{"a"}, Credit: MaxStreamSlots + 1}},
			{"a poll without slots", t.Context(), fsm.SlotSpec{Queues: []fsm.Queue{"a"}, Once: true}},
			{"an ended context", ended, fsm.SlotSpec{Queues: []fsm.Queue{"a"}, Credit: 1}},
		}
		for _, tc := range tests {
			if _, _, err := r.s.Park(tc.ctx, tc.spec); err == nil {
				t.Errorf("%s: accepted", tc.name)
			}
		}
		for range MaxSlots / MaxStreamSlots {
			r.park(t.Context(), false, MaxStreamSlots, "a")
		}
		var full *fsm.OverloadedError
		if _, _, err := r.s.Park(t.Context(), fsm.SlotSpec{Queues: []fsm.Queue{"a"}, Credit: 1}); !errors.As(err, &full) {
			t.Errorf("got %v, want overloaded", err)
		}
	})
}
