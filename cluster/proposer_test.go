package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/fsm"
)

// fakeRaft keeps what is proposed and lets a test answer in any order, or never.
type fakeRaft struct {
	mu   sync.Mutex
	got  []*fakeFuture
	hold chan struct{} // Apply waits for it, if it is not nil
}

type fakeFuture struct {
	data []byte
	err  chan error
}

func (f *fakeFuture) Error() error  { return <-f.err }
func (f *fakeFuture) Response() any { return nil }
func (f *fakeFuture) Index() uint64 { panic("the index of a future is not to be trusted") }

func (r *fakeRaft) Apply(b []byte, _ time.Duration) raft.ApplyFuture {
	if r.hold != nil {
		<-r.hold
	}
	f := &fakeFuture{data: b, err: make(chan error, 1)}
	r.mu.Lock()
	r.got = append(r.got, f)
	r.mu.Unlock()
	return f
}

func (r *fakeRaft) take(t *testing.T, n int) []*fakeFuture {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) != n {
		t.Fatalf("%d entries proposed, want %d", len(r.got), n)
	}
	got := r.got
	r.got = nil
	return got
}

// nobody is what a proposer without other nodes sees of them.
type nobody struct {
	mu      sync.Mutex
	leader  fsm.NodeID
	sent    []uint64
	answers []error
}

func (n *nobody) Leader() (fsm.NodeID, string) { return n.leader, "" }
func (n *nobody) Term() uint64                 { return 1 }
func (n *nobody) forward(_ fsm.NodeID, _ *call, seq, _ uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, seq)
}
func (n *nobody) answer(_ fsm.NodeID, _ uint32, _ uint64, _ fsm.Outcome, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers = append(n.answers, err)
}
func (n *nobody) flush() {}

type rig struct {
	t     *testing.T
	p     *Proposer
	raft  *fakeRaft
	away  *nobody
	host  *host
	stop  func()
	index uint64
}

var me = fsm.NodeID{1}

func newRig(t *testing.T) *rig {
	t.Helper()
	cfg, err := Config{Dir: "x", QueueUrgent: 16, QueueNormal: 16, BatchCommands: 16}.check()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, raft: &fakeRaft{}, away: &nobody{}, host: &host{leads: map[uint64]uint64{}}, index: 10}
	log := slog.New(slog.DiscardHandler)
	r.p = newProposer(me, 1, cfg, r.raft, newClock(time.Now, time.Now, 0, log), log)
	r.p.lead, r.p.post, r.p.stamper = r.away, r.away, r.host
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.p.Run(ctx) }()
	r.stop = func() { cancel(); <-done; r.p.wg.Wait() }
	return r
}

type result struct {
	o   fsm.Outcome
	err error
	n   int
}

// propose starts a call; the result is written once.
func (r *rig) propose(name string) *result {
	res := &result{}
	r.p.ProposeAsync(put(name), func(o fsm.Outcome, err error) { res.o, res.err, res.n = o, err, res.n+1 })
	return res
}

// store says that raft stored an entry; it returns its index.
func (r *rig) store(f *fakeFuture) uint64 {
	n, ok := readNonce(f.data)
	if !ok {
		r.t.Fatal("not an envelope")
	}
	r.index++
	r.p.stored(n.Seq, r.index, 1)
	return r.index
}

// apply applies an entry at an index, as raft's machine goroutine does.
func (r *rig) apply(index uint64, f *fakeFuture) {
	env, err := readEnvelope(f.data)
	if err != nil {
		r.t.Fatal(err)
	}
	results := make([]fsm.Result, len(env.origins))
	for i := range results {
		results[i].Index = index
	}
	r.p.applied([]landed{{index: index, term: 1, nonce: env.nonce, origins: env.origins, results: results}})
}

// other applies an entry of somebody else.
func (r *rig) other(index uint64) {
	r.p.applied([]landed{{index: index, term: 2, nonce: Nonce{Node: fsm.NodeID{9}, Boot: 1, Seq: 1}}})
}

func TestProposerAnswersFromWhatIsApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.p.open(1)
		res := r.propose("a")
		f := r.raft.take(t, 1)[0]
		i := r.store(f)
		f.err <- nil // the future alone is no answer
		synctest.Wait()
		if res.n != 0 {
			t.Fatal("answered before it was applied")
		}
		r.apply(i, f)
		if res.n != 1 || res.err != nil || res.o.Position.Index != i {
			t.Fatalf("got %+v", res)
		}
	})
}

func TestProposerResolvesLostLeadershipFromTheLog(t *testing.T) {
	for _, mine := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer r.stop()
			r.p.open(1)
			res := r.propose("a")
			f := r.raft.take(t, 1)[0]
			i := r.store(f)
			f.err <- raft.ErrLeadershipLost
			r.p.close()
			synctest.Wait()
			r.other(i - 1)
			if res.n != 0 {
				t.Fatalf("answered while its place is open: %v", res.err)
			}
			if mine {
				r.apply(i, f)
				if res.n != 1 || res.err != nil {
					t.Fatalf("got %+v", res)
				}
				return
			}
			r.other(i) // certainly not: it may be proposed again
			time.Sleep(time.Second)
			synctest.Wait()
			r.p.open(2)
			time.Sleep(time.Second)
			synctest.Wait()
			f = r.raft.take(t, 1)[0]
			r.apply(r.store(f), f)
			f.err <- nil
			if res.n != 1 || res.err != nil {
				t.Fatalf("got %+v", res)
			}
		})
	}
}

func TestProposerSaysUnknownAtTheDeadlineOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.p.open(1)
		begun := time.Now()
		res := r.propose("a")
		f := r.raft.take(t, 1)[0]
		i := r.store(f)
		time.Sleep(time.Minute) // the future hangs
		synctest.Wait()
		if res.n != 1 || !errors.Is(res.err, fsm.ErrUnknown) || fsm.Definite(res.err) {
			t.Fatalf("after %s: %+v", time.Since(begun), res)
		}
		r.apply(i, f) // late: nobody waits any more
		f.err <- nil
		if res.n != 1 {
			t.Fatal("answered twice")
		}
	})
}

func TestProposerShutdownLeavesFateOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.p.open(1)
		res := r.propose("a")
		f := r.raft.take(t, 1)[0]
		r.store(f)
		f.err <- raft.ErrRaftShutdown
		synctest.Wait()
		if !errors.Is(res.err, fsm.ErrUnknown) {
			t.Fatalf("got %v", res.err)
		}
	})
}

func TestProposerRestoredOverEntryLeavesFateOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.p.open(1)
		res := r.propose("a")
		f := r.raft.take(t, 1)[0]
		i := r.store(f)
		f.err <- raft.ErrLeadershipLost
		synctest.Wait()
		r.p.restored(i + 100)
		if !errors.Is(res.err, fsm.ErrUnknown) {
			t.Fatalf("got %v", res.err)
		}
	})
}

func TestProposerRefusedBeforeTheLogTriesAgain(t *testing.T) {
	for _, refusal := range []error{raft.ErrNotLeader, raft.ErrLeadershipTransferInProgress, raft.ErrEnqueueTimeout} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer r.stop()
			r.host.offers = []fsm.Offer{{Queue: "q"}}
			r.p.open(1)
			res := r.propose("a")
			f := r.raft.take(t, 1)[0]
			f.err <- refusal
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			f = r.raft.take(t, 1)[0]
			i := r.store(f)
			f.err <- nil
			r.apply(i, f)
			if res.n != 1 || res.err != nil {
				t.Fatalf("%v: got %+v", refusal, res)
			}
			if len(r.host.settled) != 1 || r.host.settled[0] {
				t.Fatalf("offers settled %v, want once as not applied", r.host.settled)
			}
		})
	}
}

func TestProposerWithoutLeaderGivesUpDefinitely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		begun := time.Now()
		_, err := r.p.Propose(context.Background(), put("a"))
		if !errors.Is(err, fsm.ErrNoLeader) || !fsm.Definite(err) {
			t.Fatalf("got %v", err)
		}
		if d := time.Since(begun); d < holdFor || d > holdFor+time.Second {
			t.Fatalf("held for %s, want about %s", d, holdFor)
		}
	})
}

func TestProposerRefusesWhenItsQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.p.open(1)
		var all []*result
		for i := range 40 {
			all = append(all, r.propose(fmt.Sprint("a", i)))
			synctest.Wait()
		}
		full := 0
		for _, res := range all {
			var o *fsm.OverloadedError
			if errors.As(res.err, &o) && o.RetryAfter > 0 {
				full++
			}
		}
		// Two entries are under way with one command each; sixteen wait.
		if full != 40-2-16 {
			t.Fatalf("%d were refused, want %d", full, 40-2-16)
		}
		r.p.close()
		for _, f := range r.raft.take(t, 2) {
			f.err <- raft.ErrLeadershipLost
		}
		time.Sleep(time.Minute)
		synctest.Wait()
	})
}

func TestProposerWindowBoundsEntriesAndBatchesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.p.open(1)
		for i := range 12 {
			r.propose(fmt.Sprint("a", i))
			synctest.Wait()
		}
		fs := r.raft.take(t, 2)
		r.apply(r.store(fs[0]), fs[0])
		fs[0].err <- nil
		next := r.raft.take(t, 1)[0]
		env, err := readEnvelope(next.data)
		if err != nil || len(env.origins) != 10 {
			t.Fatalf("the next entry has %d commands, want 10: %v", len(env.origins), err)
		}
		for _, f := range []*fakeFuture{fs[1], next} {
			r.apply(r.store(f), f)
			f.err <- nil
		}
	})
}

func TestProposerForwardedOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.away.leader = fsm.NodeID{2}
		res := r.propose("a")
		if len(r.away.sent) != 1 {
			t.Fatal("not forwarded")
		}
		first := r.away.sent[0]
		r.p.refuse(first, &fsm.NotLeaderError{})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(r.away.sent) != 2 {
			t.Fatalf("forwarded %d times, want 2", len(r.away.sent))
		}
		r.p.calls.settle(first, fsm.Outcome{}, nil) // of the attempt that came to nothing
		if res.n != 0 {
			t.Fatal("settled by a late answer to an earlier attempt")
		}
		// Its own log is first.
		o := origin{me, 1, r.away.sent[1]}
		r.p.applied([]landed{{index: 7, nonce: Nonce{Node: fsm.NodeID{2}}, origins: []origin{o}, results: []fsm.Result{{Index: 7}}}})
		if res.n != 1 || res.err != nil || res.o.Position.Index != 7 {
			t.Fatalf("got %+v", res)
		}
		r.p.calls.settle(r.away.sent[1], fsm.Outcome{}, nil)
		if res.n != 1 {
			t.Fatal("answered twice")
		}
	})
}

// A command that went to a leader which died is tried again as soon as the log shows
// that it never came, not at its deadline.
func TestProposerTriesAgainWhenTheTermIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.away.leader = fsm.NodeID{2}
		res := r.propose("a")
		r.p.applied([]landed{{index: 7, term: 1, nonce: Nonce{Node: fsm.NodeID{2}}}})
		time.Sleep(time.Second)
		if synctest.Wait(); len(r.away.sent) != 1 {
			t.Fatalf("forwarded %d times in the term it was sent for, want once", len(r.away.sent))
		}
		r.p.applied([]landed{{index: 8, term: 2, nonce: Nonce{Node: fsm.NodeID{3}}}})
		time.Sleep(time.Second)
		if synctest.Wait(); len(r.away.sent) != 2 || res.n != 0 {
			t.Fatalf("forwarded %d times after its term, want 2; answered %d times", len(r.away.sent), res.n)
		}
	})
}

// After a snapshot nobody can tell what a command that was sent away came to.
func TestProposerDoesNotGuessBehindASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.away.leader = fsm.NodeID{2}
		res := r.propose("a")
		r.p.restored(50)
		r.p.applied([]landed{{index: 51, term: 2, nonce: Nonce{Node: fsm.NodeID{3}}}})
		time.Sleep(time.Minute)
		if synctest.Wait(); len(r.away.sent) != 1 || res.n != 1 || !errors.Is(res.err, fsm.ErrUnknown) {
			t.Fatalf("forwarded %d times, answered %v", len(r.away.sent), res.err)
		}
	})
}

func TestProposerTakesCommandsOfOtherNodesInTheirTermOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.stop()
		r.p.open(3)
		var elsewhere *fsm.NotLeaderError
		if err := r.p.admit(item{cmd: put("a")}, false, 2); !errors.As(err, &elsewhere) {
			t.Fatalf("for an older term: got %v", err)
		}
		if err := r.p.admit(item{cmd: put("a")}, false, 3); err != nil {
			t.Fatalf("for this term: %v", err)
		}
	})
}

func TestProposerNormalCommandsDoNotStarve(t *testing.T) {
	urgent, normal := &queue{max: 1000}, &queue{max: 1000}
	for range 500 {
		urgent.push(item{enc: []byte{1}})
		normal.push(item{enc: []byte{2}})
	}
	b := batch{maxItems: 80, maxSize: 1 << 20}
	b.fillFrom(urgent, normal, func(*item) bool { return true })
	n := 0
	for _, it := range b.items {
		if it.enc[0] == 2 {
			n++
		}
	}
	if len(b.items) != 80 || n != 10 {
		t.Fatalf("%d of %d are normal, want 10 of 80", n, len(b.items))
	}
}

// TestProposerEveryOrder lets futures hang, fail and answer late in random order, with
// the log deciding what is true.
func TestProposerEveryOrder(t *testing.T) {
	sd := seed(t)
	for run := range uint64(200) {
		synctest.Test(t, func(t *testing.T) { everyOrder(t, rand.New(rand.NewPCG(sd, run))) })
	}
}

func everyOrder(t *testing.T, rng *rand.Rand) {
	r := newRig(t)
	term := uint64(1)
	r.p.open(term)
	inLog := map[string]int{}
	var results []*result
	var names []string
	var open []*fakeFuture
	commit := func(f *fakeFuture, index uint64) {
		env, err := readEnvelope(f.data)
		if err != nil {
			t.Fatal(err)
		}
		e, err := fsm.Decode(env.entry)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range e.Commands {
			inLog[string(c.Body.(*fsm.PutTaskType).Source)]++
		}
		r.apply(index, f)
	}
	for step := range 40 {
		name := fmt.Sprint("s", step)
		names = append(names, string(put(name).Body.(*fsm.PutTaskType).Source))
		results = append(results, r.propose(name))
		synctest.Wait()
		r.raft.mu.Lock()
		got := r.raft.got
		r.raft.got = nil
		r.raft.mu.Unlock()
		for _, f := range got {
			switch rng.IntN(5) {
			case 0:
				f.err <- raft.ErrNotLeader
			case 1: // stored, lost, and another entry takes its place
				i := r.store(f)
				f.err <- raft.ErrLeadershipLost
				r.p.close()
				r.other(i)
				term++
				r.p.open(term)
			case 2: // stored, lost, and committed by another leader
				i := r.store(f)
				r.p.close()
				commit(f, i)
				f.err <- raft.ErrLeadershipLost
				term++
				r.p.open(term)
			case 3: // its future never answers while it matters
				i := r.store(f)
				commit(f, i)
				open = append(open, f)
			case 4:
				i := r.store(f)
				f.err <- nil
				synctest.Wait()
				commit(f, i)
			}
		}
		if rng.IntN(3) == 0 {
			time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
			synctest.Wait()
		}
	}
	r.p.close()
	time.Sleep(time.Minute)
	synctest.Wait()
	for _, f := range open {
		f.err <- raft.ErrRaftShutdown
	}
	r.raft.mu.Lock()
	for _, f := range r.raft.got {
		f.err <- raft.ErrRaftShutdown
	}
	r.raft.mu.Unlock()
	r.stop()
	synctest.Wait()
	for i, res := range results {
		n := inLog[names[i]]
		switch {
		case res.n != 1:
			t.Errorf("%s was answered %d times", names[i], res.n)
		case res.err == nil && n != 1:
			t.Errorf("%s was acknowledged and is %d times in the log", names[i], n)
		case fsm.Definite(res.err) && n != 0:
			t.Errorf("%s is in the log, though: %v", names[i], res.err)
		}
	}
}
