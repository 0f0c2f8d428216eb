package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/fsm"
)

// The fate of an entry is read from the log itself. It was stored at an index, which
// stored tells. If it is applied there, it is done; if anything else is applied there
// or behind it, another entry has its place and it can never be. Futures only add what
// never reached the log.

// stored notes that raft is about to store an entry of this node, which leads or did.
// It is called on raft's main goroutine and must not block.
func (p *Proposer) stored(seq, index, term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flights[seq]; f != nil {
		f.index, f.stored = index, term
	}
}

// answered takes note of a future's answer.
func (p *Proposer) answered(f *flight, err error) {
	if err == nil {
		return // it was applied, and so settled
	}
	p.mu.Lock()
	if p.flights[f.seq] != f {
		p.mu.Unlock()
		return
	}
	never := errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) ||
		errors.Is(err, raft.ErrEnqueueTimeout)
	if f.index == 0 && never {
		p.mu.Unlock()
		p.lost(f, err)
		return
	}
	// It is, or may be, in the log.
	p.uncountLocked(f)
	watched := f.index != 0
	p.mu.Unlock()
	poke(p.wake)
	if !watched || errors.Is(err, raft.ErrRaftShutdown) {
		p.forsake(f, err)
	}
}

// lost ends an entry that certainly is not and will not be in the log.
func (p *Proposer) lost(f *flight, err error) {
	if !p.drop(f) {
		return
	}
	why := p.why(err)
	if f.begin != nil {
		f.begin(why)
		return
	}
	p.turnAway(f.items, why)
}

// why is a refusal as those who wait are told.
func (p *Proposer) why(err error) error {
	if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) || err == nil {
		return &fsm.NotLeaderError{}
	}
	return fmt.Errorf("%w: %w", fsm.ErrNoLeader, err)
}

// forsake ends an entry whose fate this node will not learn.
func (p *Proposer) forsake(f *flight, err error) {
	if !p.forget(f) {
		return
	}
	err = fmt.Errorf("%w: %w", fsm.ErrUnknown, err)
	for i := range f.items {
		it := &f.items[i]
		if it.call != nil {
			p.calls.settle(it.origin.seq, fsm.Outcome{}, err)
		}
	}
}

// drop forgets an entry that was certainly not applied; false if it was forgotten
// before. Its offers are free again.
func (p *Proposer) drop(f *flight) bool {
	if !p.forget(f) {
		return false
	}
	if len(f.offers) > 0 {
		p.stamper.Settle(f.offers, false)
	}
	return true
}

func (p *Proposer) forget(f *flight) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flights[f.seq] != f {
		return false
	}
	p.uncountLocked(f)
	delete(p.flights, f.seq)
	poke(p.wake)
	return true
}

// applied settles what waits for applied entries. It is called on raft's goroutine
// after each batch and does not block.
func (p *Proposer) applied(done []landed) {
	replied := false
	for i := range done {
		a := &done[i]
		if a.void {
			continue
		}
		mine := a.nonce.Node == p.self && a.nonce.Boot == p.boot
		for n := range a.origins {
			o := &a.origins[n]
			if o.seq == 0 || n >= len(a.results) {
				continue
			}
			out := fsm.Outcome{Position: p.where(a.results[n].Index), Result: a.results[n]}
			switch {
			case o.node == p.self && o.boot == p.boot:
				p.calls.settle(o.seq, out, nil)
			case mine:
				p.post.answer(o.node, o.boot, o.seq, out, nil)
				replied = true
			}
		}
		if mine {
			p.landed(a.nonce.Seq)
		}
	}
	if replied {
		p.post.flush()
	}
	if len(done) > 0 {
		p.superseded(done[len(done)-1].index)
		p.fence(done[len(done)-1].term)
	}
}

// landed ends an entry that was applied.
func (p *Proposer) landed(seq uint64) {
	p.mu.Lock()
	f := p.flights[seq]
	p.mu.Unlock()
	if f == nil || !p.forget(f) {
		return
	}
	if len(f.offers) > 0 {
		p.stamper.Settle(f.offers, true)
	}
}

// superseded ends the entries that were stored at or below an index that has been
// applied, and are not what was applied there.
func (p *Proposer) superseded(index uint64) {
	for _, f := range p.storedUpTo(index) {
		if f.begin == nil {
			p.log.Debug("entry superseded", "index", f.index, "term", f.stored)
		}
		p.lost(f, errSuperseded)
	}
}

func (p *Proposer) storedUpTo(index uint64) []*flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	var fs []*flight
	for _, f := range p.flights {
		if f.index != 0 && f.index <= index {
			fs = append(fs, f)
		}
	}
	return fs
}

// fence ends the attempts that were sent for a term that is over. Its leader takes
// commands in that term only, and entries count in the term they were proposed for
// only; so with the first entry of a later one applied here, what has not been never
// will be. They are tried again.
func (p *Proposer) fence(term uint64) {
	p.mu.Lock()
	newer := term > p.fenced
	p.fenced = max(p.fenced, term)
	p.mu.Unlock()
	if !newer {
		return
	}
	for _, seq := range p.calls.before(term) {
		p.refuse(seq, &fsm.NotLeaderError{})
	}
}

// restored ends the entries up to the index of a snapshot that replaced State: whether
// they are in it cannot be told.
func (p *Proposer) restored(index uint64) {
	p.calls.blind()
	for _, f := range p.storedUpTo(index) {
		p.forsake(f, errors.New("a snapshot replaced the entries around it"))
	}
}
