package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// Scheduler is one node's part in handing tasks to workers. Create it with New, start
// it with Run.
type Scheduler struct {
	node      fsm.NodeID
	proposer  Proposer
	deliverer Deliverer
	registrar Registrar
	clock     Clock
	open      func(index uint64) (Events, error)
	view      func() fsm.View
	log       *slog.Logger

	books *books
	host  *host

	wake, announced, errands chan struct{} // of capacity 1: one pending call each
}

// New makes a Scheduler for one boot of a node. It does nothing until Run.
func New(c Config) (*Scheduler, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Scheduler{
		node: c.Node, proposer: c.Proposer, deliverer: c.Deliverer, registrar: c.Registrar,
		clock: c.Clock, open: c.Open, view: c.View, log: c.Log,
		wake: make(chan struct{}, 1), announced: make(chan struct{}, 1), errands: make(chan struct{}, 1),
	}
	s.books = newBooks(c.Clock)
	s.host = newHost(c.Node, c.Boot, c.Clock, s.books)
	s.host.errand = func() { poke(s.errands) }
	s.host.announce = func() { poke(s.announced) }
	s.host.ticked = func() { poke(s.wake) }
	return s, nil
}

// Run follows the applied entries, asks for entries when timers or waiting tasks need
// one, registers slots and gives leases back, until ctx ends or the journal fails. All
// streams have ended when it returns; Park is refused from then on. It is called once.
func (s *Scheduler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){s.runPace, s.runAnnounce, s.runErrands} {
		loops.Go(func() { loop(ctx) })
	}
	err := s.follow(ctx)
	cancel()
	s.host.close()
	loops.Wait()
	s.host.pumps.Wait()
	return err
}

// follow observes the journal. When it was overtaken it begins anew from a View.
func (s *Scheduler) follow(ctx context.Context) error {
	var at uint64
	for {
		v := s.view()
		s.rebuild(v, at > 0)
		at = max(at, v.Index())
		s.host.reach(at, 0)
		events, err := s.openAt(at)
		for err == nil {
			var b fsm.Batch
			if b, err = events.Next(ctx); err != nil {
				break
			}
			if b.Index <= at {
				s.host.reach(b.Index, b.Term)
				continue
			}
			s.Observe(b)
			at = b.Index
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, fsm.ErrLapped):
			return fmt.Errorf("follow the journal: %w", err)
		}
		s.log.Warn("journal reader was overtaken", "index", at)
		if !pause(ctx, reopenPause) { // for a View that is newer
			return ctx.Err()
		}
	}
}

// openAt gives a cursor that begins with the entry at index if that is still there:
// it tells the term, which slots are registered in.
func (s *Scheduler) openAt(index uint64) (Events, error) {
	if index > 0 {
		if events, err := s.open(index - 1); !errors.Is(err, fsm.ErrLapped) {
			return events, err
		}
	}
	return s.open(index)
}

// rebuild takes over v. missed says that entries between may not have been observed.
func (s *Scheduler) rebuild(v fsm.View, missed bool) {
	if missed {
		s.host.relapse(v)
		s.tell(s.books.relapse(v))
	} else {
		s.books.begin(v)
	}
	s.Nudge()
}

// Observe takes in one applied entry. Run calls it for each, in order; others only in
// tests that have no journal.
func (s *Scheduler) Observe(b fsm.Batch) {
	leading, notes := s.books.observe(b.Index, b.Applied)
	s.host.observe(b, leading)
	if leading {
		for i := range b.Applied.Grants {
			if l := &b.Applied.Grants[i]; l.Slot.Node != s.node {
				s.hand(*l)
			}
		}
	}
	s.tell(notes)
	poke(s.wake)
}

// hand sends a lease to another node, or gives it back when that fails.
func (s *Scheduler) hand(l fsm.Leased) {
	if err := s.deliverer.Deliver(l.Slot.Node, l); err != nil {
		s.log.Debug("lease not handed over", "node", l.Slot.Node, "err", err)
		s.host.giveBack(l)
	}
}

// tell sends notes. One that is lost is made up for by the node's own waits.
func (s *Scheduler) tell(notes []note) {
	for _, n := range notes {
		if n.node == s.node {
			s.host.deliver(n.leased())
		} else if err := s.deliverer.Deliver(n.node, n.leased()); err != nil {
			s.log.Debug("note not handed over", "node", n.node, "err", err)
		}
	}
}

// Lead opens the leader's books for term from v, which holds everything up to the
// first entry of that term. Lead and Resign are called one at a time.
func (s *Scheduler) Lead(term uint64, v fsm.View) {
	s.tell(s.books.lead(term, v))
	s.host.lead(term, v.Index())
	poke(s.wake)
}

// Resign closes the leader's books if they are for term or an earlier one. Offers
// under way are forgotten: the next leader learns from nodes what they have become.
func (s *Scheduler) Resign(term uint64) {
	s.books.resign(term)
	s.host.resend()
	poke(s.announced)
}

// Stamp gives what an entry of cs is to carry: offers of free slots to the queues that
// cs or earlier changes make ready, at most max, the background work, and the queues
// to mark as asked for. The slots stay reserved until Settle or Observe. It does not
// block. On a node that does not lead there are no offers.
func (s *Scheduler) Stamp(cs []*fsm.Command, max int) fsm.Stamp {
	st, left := s.books.stamp(cs, max, s.clock.Now(), time.Now())
	if left {
		poke(s.wake)
	}
	return st
}

// Settle is called once for each Stamp that returned offers, with its very slice: with
// applied false when the entry surely did not and will not reach the log, which frees
// them. Whether it is called before or after the entry is observed does not matter.
func (s *Scheduler) Settle(offers []fsm.Offer, applied bool) {
	s.tell(s.books.settle(offers, applied))
	poke(s.wake)
}

// Register takes what a node tells of its slots in term. Sets of other terms than the
// one that this node leads are ignored; those of a later one are kept for Lead.
func (s *Scheduler) Register(term uint64, node fsm.NodeID, set fsm.SlotSet) {
	s.tell(s.books.register(term, node, set))
	poke(s.wake)
}

// Gone drops the slots of a node that cannot be reached. Those offered are still
// followed; the node registers anew when it is back. This node itself is never gone.
func (s *Scheduler) Gone(node fsm.NodeID) {
	if node == s.node {
		return
	}
	s.books.gone(node)
	poke(s.wake)
}

// Deliver takes a lease, or a note, that the leader's Scheduler has handed to its
// Deliverer for this node. A lease whose slot has gone is given back; one that has
// come before is ignored.
func (s *Scheduler) Deliver(l fsm.Leased) { s.host.deliver(l) }

// Park opens a stream of sp.Credit slots for sp.Queues. Leases come on the channel.
//
// Without sp.Once the channel is closed when ctx ends. With it, the stream is a poll:
// the first lease closes the group, ctx ending does too, and the channel is closed as
// soon as none of its slots is offered any more: some commits later at most. The
// caller keeps receiving until then, and answers for every lease that it received.
//
// It fails with a *fsm.Rejection when sp is malformed, and with a *fsm.OverloadedError
// when the node has no more room.
func (s *Scheduler) Park(ctx context.Context, sp fsm.SlotSpec) (fsm.StreamID, <-chan fsm.Leased, error) {
	st, err := s.host.park(ctx, sp)
	if err != nil {
		return 0, nil, err
	}
	s.host.watch(ctx, st)
	return st.id, st.sink, nil
}

// Credit opens n more slots of a stream, as far as MaxStreamSlots and MaxSlots allow.
// On the leader they can be offered in the entry of a command that is proposed after
// it. A stream that is gone, or a poll, is ignored.
func (s *Scheduler) Credit(stream fsm.StreamID, n int) { s.host.credit(stream, n) }

// Held tells which leases the worker of a stream still has from earlier streams of the
// same worker name on this node. Those that it does not list are given back at once.
// Worker names must therefore differ between processes. It is called when the stream
// begins.
func (s *Scheduler) Held(stream fsm.StreamID, leases []fsm.Lease) { s.host.holds(stream, leases) }

// Extend notes a sign of life for a lease. It is recorded when a third of the lease's
// response time has passed since the last record, together with others. It does not
// wait for that. It fails with a *fsm.Rejection when this node knows of a newer lease
// of the task, and with a *fsm.OverloadedError when too many wait.
func (s *Scheduler) Extend(ctx context.Context, task fsm.TaskID, lease fsm.Lease) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.host.extend(task, lease, s.clock.Now())
}

// Nudge makes the alarm read the clock now, for a clock that has jumped.
func (s *Scheduler) Nudge() { poke(s.wake) }

// Counts says how much is kept, for metrics. It takes time in proportion to the
// streams of the cluster.
func (s *Scheduler) Counts() Counts {
	var c Counts
	s.books.count(&c)
	s.host.count(&c)
	return c
}

// Counts says how much a Scheduler keeps, for metrics.
type Counts struct {
	// Streams, Slots, Held and Returning are this node's: connections and parked
	// polls, their ungranted slots, leases with workers, leases to be given back.
	Streams, Slots, Held, Returning int
	// Registered and Offered are the cluster's slots as the leader knows them; 0 on
	// other nodes.
	Registered, Offered int
}

func (b *books) count(c *Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, nb := range b.nodes {
		for _, g := range nb.groups {
			c.Registered += len(g.free) + g.flying
			c.Offered += g.flying
		}
	}
}
