package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

const (
	// steerEvery is how often cluster time is compared with the voters' clocks.
	steerEvery = time.Second
	// settleFor is how long a node that stops waits for what is under way, and
	// shutdownFor how long for raft, which may never answer.
	settleFor   = 3 * time.Second
	shutdownFor = 3 * time.Second
	// transferFor bounds the hand-over of a node that stops.
	transferFor = 5 * time.Second
	// readyLag is how far a node may be behind what is committed and count as ready: an
	// entry may hold hundreds of commands, and this is work of a fraction of a second.
	readyLag = 64
)

// Run drives a node until Close is called, or until ctx ends, which stops it without
// handing anything over. It is called once, with the parts that need Open's.
func Run(ctx context.Context, p *Parts, h Host) error {
	if !p.begun.CompareAndSwap(false, true) {
		return nil // closed before
	}
	defer close(p.ended)
	p.Proposer.stamper, p.Leadership.host = h.Stamper, h.Leader
	p.Slots.host, p.Slots.local = h.SlotHost, h.Deliver
	p.Net.HandleInline(peer.Propose, p.exchange.receive)
	p.Net.HandleInline(peer.Confirm, p.Reads.serveConfirm)
	p.Net.HandleInline(peer.Leader, p.Leadership.heard)
	p.Net.HandleInline(peer.Slots, p.Slots.takeSlots)
	p.Net.HandleInline(peer.Deliver, p.Slots.takeLeases)
	p.Net.HandleInline(peer.Health, p.Members.hear)
	p.Net.Handle(peer.ReadIndex, p.Reads.serveIndex)
	p.driven.Store(true)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{
		p.Proposer.Run, p.Reads.Run, p.Leadership.Run, p.Members.Run, p.Snapshots.Run, p.stores.log.Run,
	} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				p.deps.Log.Error("a part ended", "err", err)
				cancel()
			}
		})
	}
	wg.Go(func() { p.exchange.run(ctx) })
	wg.Go(func() { p.Slots.run(ctx) })
	wg.Go(func() { p.founder.spread(ctx, p.Members.stored()) })
	wg.Go(func() { p.steer(ctx) })
	wg.Wait()
	return nil
}

// steer compares clocks until ctx ends.
func (p *Parts) steer(ctx context.Context) {
	tick := time.NewTicker(steerEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.Reads.steer(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// Ready reports what keeps a node from serving: nil when a leader is known, this node
// has applied what it knows to be committed, and its storage works.
func Ready(p *Parts) error {
	if err := p.Guard.Err(); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	if id, _ := p.Leadership.Leader(); id.IsZero() {
		return fsm.ErrNoLeader
	}
	// A node that starts does not know what is committed until a leader has told, and
	// applies its whole log then: until it has come to the leader's own entries it can
	// neither serve nor stand in for another node.
	if p.Replica.Term() != p.Raft.CurrentTerm() {
		return errors.New("catching up: no entry of the leader's term is applied yet")
	}
	commit, applied := p.Raft.CommitIndex(), p.Replica.Applied()
	if commit > applied+readyLag {
		return fmt.Errorf("catching up: %d entries behind", commit-applied)
	}
	return nil
}

// Close stops a node: it hands leadership over, answers what waits, and closes its
// stores. What cannot be done before ctx ends is left out; nothing of it is needed for
// safety. Parts that Run never drove are only closed.
func Close(ctx context.Context, p *Parts) error {
	var err error
	p.once.Do(func() { err = p.close(ctx) })
	return err
}

func (p *Parts) close(ctx context.Context) error {
	runs := !p.begun.CompareAndSwap(false, true)
	if p.driven.Load() {
		p.yield(ctx)
		p.Proposer.calls.close()
		p.settle(ctx)
	}
	close(p.closing)
	if p.Raft != nil {
		p.quick.stop()
		done := make(chan struct{})
		go func() {
			_ = p.Raft.Shutdown().Error() // it has none to give
			close(done)
		}()
		timer := time.NewTimer(shutdownFor)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			p.deps.Log.Warn("raft does not stop")
		}
	}
	if runs {
		<-p.ended
		p.Proposer.calls.abandon(errClosing)
	}
	return p.release()
}

// yield hands the leadership over if there is somebody to take it.
func (p *Parts) yield(ctx context.Context) {
	if _, open := p.Leadership.Current(); !open || len(p.Members.voters()) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, transferFor)
	defer cancel()
	if _, err := p.Members.Transfer(ctx, fsm.NodeID{}); err != nil {
		p.deps.Log.Warn("leadership not handed over", "err", err)
	}
}

// settle waits for the outcomes of what is under way.
func (p *Parts) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	tick := time.NewTicker(retryMin)
	defer tick.Stop()
	for p.Proposer.calls.len() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	_ = p.Proposer.drained(ctx) // best effort
}

// release closes what Open opened, the last first.
func (p *Parts) release() error {
	if p.stop != nil {
		p.stop()
	}
	if p.trans != nil {
		_ = p.trans.Close() // raft closes it as well
	}
	if p.Net != nil {
		_ = p.Net.Close() // it never fails
	}
	p.wg.Wait()
	var errs []error
	if p.stores.log != nil {
		errs = append(errs, p.stores.log.Close())
	}
	if p.stores.stable != nil {
		errs = append(errs, p.stores.stable.Close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(errs...)
}

// stored is the members as they were stored when the cluster was founded, with what was
// learnt since.
func (m *Members) stored() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Member, 0, len(m.known))
	for _, k := range m.known {
		list = append(list, k)
	}
	return list
}

var _ consensus = (*raft.Raft)(nil)
