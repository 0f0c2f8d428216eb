package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// maxFlights bounds the entries whose fate is not known, those of terms that are
	// over among them. Each term leaves a window at most.
	maxFlights = 64
	// maxTickCommands bounds the commands of one Tick, so that they fit one entry.
	maxTickCommands = fsm.MaxCommands
)

var (
	errSuperseded = errors.New("another entry took its place in the log")
	errClosing    = errors.New("the node is stopping")
)

// applier is the face of raft that proposals use.
type applier interface {
	Apply(cmd []byte, timeout time.Duration) raft.ApplyFuture
}

// Proposer takes commands to the log and their outcomes back, on every node: the one
// that leads proposes, the others hand on. Its methods may be called from any
// goroutine.
type Proposer struct {
	self    fsm.NodeID
	boot    uint32
	cfg     Config
	log     *slog.Logger
	clock   *Clock
	stamper Stamper
	raft    applier
	calls   *calls
	lead    leads
	post    poster
	where   func(index uint64) fsm.Position

	wake  chan struct{}  // capacity 1: the loop has something to look at
	ready chan *flight   // to the one goroutine that calls raft
	wg    sync.WaitGroup // those who wait for a future

	mu      sync.Mutex
	term    uint64 // that is open here; 0 while none is
	paused  bool   // a hand-over is under way
	urgent  queue
	normal  queue
	tick    bool // an entry without commands is wanted
	seq     uint64
	flights map[uint64]*flight
	fenced  uint64 // newest term of an entry applied here
	flying  int    // flights that take room in the window
	idle    chan struct{}
}

// leads says who leads, as far as this node knows.
type leads interface {
	Leader() (fsm.NodeID, string)
	// Term is the newest term that this node knows of.
	Term() uint64
}

// poster carries commands and outcomes between nodes.
type poster interface {
	forward(to fsm.NodeID, c *call, seq, term uint64)
	answer(to fsm.NodeID, boot uint32, seq uint64, o fsm.Outcome, err error)
	flush()
}

// flight is an entry whose fate is not known yet.
type flight struct {
	seq    uint64
	term   uint64 // of the leadership that proposed it
	data   []byte
	items  []item
	offers []fsm.Offer
	begin  func(error) // of the entry that opens a term: told when it was refused

	// Guarded by Proposer.mu.
	counted bool
	index   uint64 // where it was stored; 0 while it was not
	stored  uint64 // in which term
}

func newProposer(self fsm.NodeID, boot uint32, cfg Config, r applier, clock *Clock, log *slog.Logger) *Proposer {
	return &Proposer{
		self: self, boot: boot, cfg: cfg, raft: r, clock: clock, log: log, calls: newCalls(),
		wake: make(chan struct{}, 1), ready: make(chan *flight),
		urgent: queue{max: cfg.QueueUrgent}, normal: queue{max: cfg.QueueNormal},
		flights: make(map[uint64]*flight),
		where:   func(i uint64) fsm.Position { return fsm.Position{Index: i} },
	}
}

// Propose takes a command to the log and waits for its outcome. fsm.Definite tells of
// an error whether the command can still be applied. The caller has validated c and
// does not change it any more.
func (p *Proposer) Propose(ctx context.Context, c *fsm.Command) (fsm.Outcome, error) {
	type answer struct {
		o   fsm.Outcome
		err error
	}
	ch := make(chan answer, 1)
	limit, ok := ctx.Deadline()
	if !ok {
		limit = time.Now().Add(p.cfg.ProposeTimeout)
	}
	k, err := p.propose(c, limit, func(o fsm.Outcome, err error) { ch <- answer{o, err} })
	if err != nil {
		return fsm.Outcome{}, err
	}
	select {
	case a := <-ch:
		return a.o, a.err
	case <-ctx.Done():
		p.calls.expire(k, ctx.Err())
		a := <-ch
		return a.o, a.err
	}
}

// ProposeAsync is Propose without the wait: done is called once with the outcome,
// perhaps before ProposeAsync returns, and must not block.
func (p *Proposer) ProposeAsync(c *fsm.Command, done func(fsm.Outcome, error)) {
	if _, err := p.propose(c, time.Now().Add(p.cfg.ProposeTimeout), done); err != nil {
		done(fsm.Outcome{}, err)
	}
}

func (p *Proposer) propose(c *fsm.Command, limit time.Time, done func(fsm.Outcome, error)) (*call, error) {
	if c.Body == nil {
		return nil, &fsm.Rejection{Code: fsm.Malformed, Message: "a command needs a body"}
	}
	enc := (&fsm.Entry{Commands: []*fsm.Command{c}}).AppendTo(nil)
	const frame = 16 // the entry's own bytes around the command
	if len(enc) > fsm.MaxCommandBytes+frame {
		return nil, &fsm.Rejection{Code: fsm.TooLarge, Message: fmt.Sprintf("the command takes %d bytes; at most %d are allowed", len(enc), fsm.MaxCommandBytes)}
	}
	now := time.Now()
	if longest := now.Add(maxPropose); limit.After(longest) {
		limit = longest
	}
	k := &call{cmd: c, enc: enc, urgent: c.Urgent(), deadline: limit, done: done}
	if err := p.calls.add(k); err != nil {
		return nil, err
	}
	p.try(k, k.seq)
	return k, nil
}

// try makes an attempt: to this node's queue if it leads, else to the one that does.
func (p *Proposer) try(k *call, seq uint64) {
	it := item{
		origin: origin{p.self, p.boot, seq}, cmd: k.cmd, enc: k.enc,
		since: time.Now(), until: k.deadline, call: k,
	}
	if !p.calls.move(k, seq, queued) {
		return
	}
	term := p.lead.Term() // before the leader is asked for: a newer leader refuses an older term
	err := p.admit(it, k.urgent, 0)
	if err == nil {
		p.calls.taken(seq)
		poke(p.wake)
		return
	}
	var elsewhere *fsm.NotLeaderError
	if errors.As(err, &elsewhere) && !elsewhere.Leader.IsZero() && elsewhere.Leader != p.self {
		if p.calls.sent(k, seq, term) {
			p.post.forward(elsewhere.Leader, k, seq, term)
		}
		return
	}
	p.refuse(seq, err)
}

// refuse tells a call of this node that its attempt came to nothing; it is tried again
// if there is time.
func (p *Proposer) refuse(seq uint64, why error) {
	k, pause, again := p.calls.refused(seq, why)
	if again {
		next := k.seq
		p.calls.later(k, pause, func() { p.try(k, next) })
	}
}

// admit puts a command into its queue. One that was sent for a term is taken only in it.
func (p *Proposer) admit(it item, urgent bool, term uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.term == 0 || term != 0 && term != p.term {
		id, addr := p.lead.Leader()
		return &fsm.NotLeaderError{Leader: id, Addr: addr}
	}
	q := &p.normal
	if urgent {
		q = &p.urgent
	}
	if !q.push(it) {
		return q.refusal(it.since)
	}
	return nil
}

// Tick proposes commands of the scheduler and waits until all are answered; the error
// is of the first that was not taken. Without commands it asks for an entry of offers
// and time alone and does not wait; such calls are merged while one is under way.
func (p *Proposer) Tick(ctx context.Context, cs ...*fsm.Command) error {
	if len(cs) == 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.term == 0 {
			id, addr := p.lead.Leader()
			return &fsm.NotLeaderError{Leader: id, Addr: addr}
		}
		p.tick = true
		poke(p.wake)
		return nil
	}
	if len(cs) > maxTickCommands {
		return &fsm.OverloadedError{Reason: "too many commands at once", RetryAfter: 1}
	}
	limit, ok := ctx.Deadline()
	if !ok {
		limit = time.Now().Add(p.cfg.ProposeTimeout)
	}
	answers := make(chan error, len(cs))
	for _, c := range cs {
		done := func(_ fsm.Outcome, err error) { answers <- err }
		if _, err := p.propose(c, limit, done); err != nil {
			answers <- err
		}
	}
	var first error
	for range cs {
		select {
		case err := <-answers:
			if first == nil {
				first = err
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", fsm.ErrUnknown, ctx.Err())
		}
	}
	return first
}

// Run proposes until ctx ends.
func (p *Proposer) Run(ctx context.Context) error {
	var hands sync.WaitGroup
	hands.Go(func() { p.hand(ctx) })
	defer hands.Wait()
	for {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
		for {
			f := p.next()
			if f == nil {
				break
			}
			select {
			case p.ready <- f:
			case <-ctx.Done():
				p.lost(f, nil)
				return nil
			}
		}
	}
}

// hand gives entries to raft, one at a time: raft takes one when it has written the
// one before, which is the pace of everything here.
func (p *Proposer) hand(ctx context.Context) {
	for {
		select {
		case f := <-p.ready:
			future := p.raft.Apply(f.data, 0)
			p.wg.Go(func() { p.answered(f, future.Error()) })
		case <-ctx.Done():
			return
		}
	}
}

// next makes an entry of what waits, if there is anything and room for it.
func (p *Proposer) next() *flight {
	p.mu.Lock()
	ready := p.term != 0 && !p.paused && p.flying < p.cfg.Window && len(p.flights) < maxFlights
	if !ready || p.urgent.len()+p.normal.len() == 0 && !p.tick {
		p.mu.Unlock()
		return nil
	}
	b := batch{maxItems: p.cfg.BatchCommands, maxSize: p.cfg.BatchBytes}
	now := time.Now()
	var late []item
	b.fillFrom(&p.urgent, &p.normal, func(it *item) bool {
		if it.call != nil {
			return p.calls.move(it.call, it.origin.seq, away)
		}
		if now.After(it.until) {
			late = append(late, *it)
			return false
		}
		return true
	})
	p.tick = false
	f := p.launchLocked(b.items, p.term)
	p.mu.Unlock()
	p.turnAway(late, &fsm.OverloadedError{Reason: "the deadline passed in the queue", RetryAfter: 100})
	p.compose(f)
	return f
}

func (p *Proposer) launchLocked(items []item, term uint64) *flight {
	p.seq++
	f := &flight{seq: p.seq, term: term, items: items, counted: true}
	p.flights[f.seq] = f
	p.flying++
	return f
}

// compose stamps and encodes an entry.
func (p *Proposer) compose(f *flight) {
	origins := make([]origin, len(f.items))
	commands := make([]*fsm.Command, len(f.items))
	size := 0
	for i := range f.items {
		origins[i], commands[i] = f.items[i].origin, f.items[i].cmd
		size += len(f.items[i].enc)
	}
	var s fsm.Stamp
	if f.begin == nil && p.stamper != nil {
		s = p.stamper.Stamp(commands, fsm.MaxOffers)
	}
	f.offers = s.Offers
	b := make([]byte, 0, size+64*len(s.Offers)+24*len(origins)+128)
	b = appendHead(b, Nonce{p.self, p.boot, f.seq}, f.term, origins)
	// The commands come last in an entry, each as it was encoded when it arrived.
	b = (&fsm.Entry{Time: p.clock.stamp(), Work: s.Work, Offers: s.Offers, Seen: s.Seen}).AppendTo(b)
	for i := range f.items {
		b = append(b, f.items[i].enc...)
	}
	f.data = b
}

// prepare makes the entry that opens a term, which send proposes alone and ahead of
// everything. refused is called if it certainly was not appended.
func (p *Proposer) prepare(term uint64, c *fsm.Command, refused func(error)) (*flight, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.flights) >= maxFlights {
		return nil, &fsm.OverloadedError{Reason: "too many entries whose fate is open", RetryAfter: 50}
	}
	enc := (&fsm.Entry{Commands: []*fsm.Command{c}}).AppendTo(nil)
	f := p.launchLocked([]item{{origin: origin{p.self, p.boot, 0}, cmd: c, enc: enc}}, term)
	f.begin = refused
	return f, nil
}

// send hands a prepared entry to raft.
func (p *Proposer) send(ctx context.Context, f *flight) {
	p.compose(f)
	select {
	case p.ready <- f:
	case <-ctx.Done():
		p.lost(f, nil)
	}
}

// nonce is how an entry of this node is known in the log.
func (p *Proposer) nonce(f *flight) Nonce { return Nonce{p.self, p.boot, f.seq} }

// open lets commands in: this node leads a term, and the machine is as far as that.
func (p *Proposer) open(term uint64) {
	p.mu.Lock()
	p.term = term
	p.paused = false
	p.mu.Unlock()
	poke(p.wake)
	p.calls.hasten()
}

// close turns commands away. What waits was not taken; what is under way is watched.
func (p *Proposer) close() {
	p.mu.Lock()
	p.term, p.tick = 0, false
	left := append(p.urgent.drain(), p.normal.drain()...)
	for _, f := range p.flights {
		p.uncountLocked(f)
	}
	p.mu.Unlock()
	id, addr := p.lead.Leader()
	if id == p.self {
		id, addr = fsm.NodeID{}, ""
	}
	p.turnAway(left, &fsm.NotLeaderError{Leader: id, Addr: addr})
}

// pause stops filling entries, so that what is under way drains before a hand-over.
func (p *Proposer) pause(on bool) {
	p.mu.Lock()
	p.paused = on
	p.mu.Unlock()
	poke(p.wake)
}

// drained waits until nothing is under way.
func (p *Proposer) drained(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.flying == 0 {
			p.mu.Unlock()
			return nil
		}
		if p.idle == nil {
			p.idle = make(chan struct{})
		}
		idle := p.idle
		p.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Proposer) uncountLocked(f *flight) {
	if !f.counted {
		return
	}
	f.counted = false
	p.flying--
	if p.flying == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// turnAway tells those who wait for items that these certainly were not taken.
func (p *Proposer) turnAway(items []item, why error) {
	for i := range items {
		it := &items[i]
		switch {
		case it.call != nil:
			p.refuse(it.origin.seq, why)
		case it.origin.seq != 0:
			p.post.answer(it.origin.node, it.origin.boot, it.origin.seq, fsm.Outcome{}, why)
		}
	}
	if len(items) > 0 {
		p.post.flush()
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
