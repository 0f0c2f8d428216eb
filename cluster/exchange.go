package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

// links is what this package asks of the network between the nodes. *peer.Net has it.
type links interface {
	Call(ctx context.Context, to fsm.NodeID, k peer.Kind, req []byte) ([]byte, error)
	Cast(to fsm.NodeID, k peer.Kind, payload []byte) error
	Handle(k peer.Kind, f peer.Handler)
	HandleInline(k peer.Kind, f peer.Handler)
	OnUp(f func(fsm.NodeID))
	OnDown(f func(fsm.NodeID))
	Connected(id fsm.NodeID) bool
}

const (
	// frameBytes is the size at which a message of many commands or outcomes is sent:
	// below what a link takes at once, far above its overhead.
	frameBytes = 256 << 10
	// maxOutbox bounds what waits to be sent to one node. Links refuse at once what
	// does not fit, so only a burst ever waits.
	maxOutbox = 8_192
)

// First bytes of a message of kind peer.Propose.
const (
	msgCommands = 1
	msgOutcomes = 2
)

// Codes of an outcome between nodes.
const (
	codeDone = iota
	codeNotLeader
	codeNoLeader
	codeOverloaded
	codeUnknown
)

// exchange carries commands to the leader and outcomes back, many to a message. While
// one message is sent the next gathers; nothing waits on purpose.
type exchange struct {
	self     fsm.NodeID
	boot     uint32
	links    links
	log      *slog.Logger
	proposer *Proposer

	wake chan struct{}

	mu       sync.Mutex
	commands map[fsm.NodeID][]sent
	outcomes map[target]*out
}

// sent is an attempt that is on its way to the leader.
type sent struct {
	c         *call
	seq, term uint64
}

// target is a start of a node: outcomes for an earlier one are for nobody.
type target struct {
	node fsm.NodeID
	boot uint32
}

func newExchange(self fsm.NodeID, boot uint32, l links, p *Proposer, log *slog.Logger) *exchange {
	return &exchange{
		self: self, boot: boot, links: l, proposer: p, log: log, wake: make(chan struct{}, 1),
		commands: map[fsm.NodeID][]sent{}, outcomes: map[target]*out{},
	}
}

// forward puts an attempt on its way. Whether it could be sent is told to the Proposer.
func (x *exchange) forward(to fsm.NodeID, c *call, seq, term uint64) {
	x.mu.Lock()
	full := len(x.commands[to]) >= maxOutbox
	if !full {
		x.commands[to] = append(x.commands[to], sent{c, seq, term})
	}
	x.mu.Unlock()
	if full {
		x.proposer.refuse(seq, &fsm.OverloadedError{Reason: "the link to the leader is busy", RetryAfter: 50})
		return
	}
	poke(x.wake)
}

// run sends what was forwarded until ctx ends.
func (x *exchange) run(ctx context.Context) {
	for {
		select {
		case <-x.wake:
			x.sendAll()
		case <-ctx.Done():
			x.mu.Lock()
			left := x.commands
			x.commands = map[fsm.NodeID][]sent{}
			x.mu.Unlock()
			for _, list := range left {
				x.refuse(list, errClosing)
			}
			return
		}
	}
}

func (x *exchange) sendAll() {
	x.mu.Lock()
	all := x.commands
	x.commands = make(map[fsm.NodeID][]sent, len(all))
	x.mu.Unlock()
	now := time.Now()
	for to, list := range all {
		for len(list) > 0 {
			w := out{make([]byte, 0, 1024)}
			w.byte(msgCommands)
			w.num(uint64(x.boot))
			n := 0
			for n < len(list) && len(w.b) < frameBytes {
				s := list[n]
				w.num(s.seq)
				w.num(s.term)
				w.num(uint64(max(0, s.c.deadline.Sub(now).Milliseconds())))
				w.bytes(s.c.enc)
				n++
			}
			if err := x.links.Cast(to, peer.Propose, w.b); err != nil {
				x.refuse(list[:n], err)
			}
			list = list[n:]
		}
	}
}

// refuse returns attempts that certainly did not leave this node.
func (x *exchange) refuse(list []sent, why error) {
	err := fmt.Errorf("%w: %w", fsm.ErrNoLeader, why)
	for _, s := range list {
		x.proposer.refuse(s.seq, err)
	}
}

// receive takes a message on the goroutine of its link.
func (x *exchange) receive(_ context.Context, from fsm.NodeID, b []byte) ([]byte, error) {
	r := in{b: b}
	switch r.byte() {
	case msgCommands:
		x.takeCommands(from, &r)
	case msgOutcomes:
		x.takeOutcomes(&r)
	default:
		r.fail()
	}
	return nil, r.err
}

// takeCommands puts commands of another node into this one's queues. They are not
// handed on once more: a node that does not lead says so.
func (x *exchange) takeCommands(from fsm.NodeID, r *in) {
	boot := uint32(r.num())
	now := time.Now()
	taken, refused := false, false
	for len(r.b) > 0 && r.err == nil {
		seq, term, left, enc := r.num(), r.num(), r.num(), r.bytes()
		if r.err != nil {
			break
		}
		err := x.takeCommand(origin{from, boot, seq}, term, enc, now, time.Duration(min(left, uint64(maxPropose.Milliseconds())))*time.Millisecond)
		if err == nil {
			taken = true
			continue
		}
		refused = true
		x.answer(from, boot, seq, fsm.Outcome{}, err)
	}
	if taken {
		poke(x.proposer.wake)
	}
	if refused {
		x.flush()
	}
}

func (x *exchange) takeCommand(o origin, term uint64, enc []byte, now time.Time, left time.Duration) error {
	e, err := fsm.Decode(enc)
	if err == nil && len(e.Commands) != 1 {
		err = fsm.ErrCorrupt
	}
	if err != nil { // a node of another version: it may not be proposed by this one
		return fmt.Errorf("%w: command not understood: %w", fsm.ErrNoLeader, err)
	}
	c := e.Commands[0]
	it := item{origin: o, cmd: c, enc: append([]byte(nil), enc...), since: now, until: now.Add(left)}
	return x.proposer.admit(it, c.Urgent(), term)
}

// answer queues an outcome for another node; flush sends what is queued.
func (x *exchange) answer(to fsm.NodeID, boot uint32, seq uint64, o fsm.Outcome, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := target{to, boot}
	w := x.outcomes[t]
	if w == nil {
		w = &out{make([]byte, 0, 512)}
		w.byte(msgOutcomes)
		w.num(uint64(boot))
		x.outcomes[t] = w
	}
	w.num(seq)
	writeOutcome(w, o, err)
	if len(w.b) > frameBytes {
		delete(x.outcomes, t)
		x.cast(to, w.b)
	}
}

// flush sends the outcomes that are queued. One that cannot be sent is found by its
// node in the log.
func (x *exchange) flush() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for t, w := range x.outcomes {
		x.cast(t.node, w.b)
		delete(x.outcomes, t)
	}
}

func (x *exchange) cast(to fsm.NodeID, b []byte) {
	if err := x.links.Cast(to, peer.Propose, b); err != nil {
		x.log.Debug("outcomes not sent", "peer", to, "err", err)
	}
}

func (x *exchange) takeOutcomes(r *in) {
	if boot := uint32(r.num()); boot != x.boot {
		return
	}
	for len(r.b) > 0 && r.err == nil {
		seq := r.num()
		o, err := readOutcome(r)
		switch {
		case r.err != nil:
		case err == nil || errors.Is(err, fsm.ErrUnknown):
			x.proposer.calls.settle(seq, o, err)
		default:
			x.proposer.refuse(seq, err)
		}
	}
}

func writeOutcome(w *out, o fsm.Outcome, err error) {
	var other *fsm.NotLeaderError
	var full *fsm.OverloadedError
	switch {
	case err == nil:
		w.byte(codeDone)
		writeResult(w, o)
	case errors.As(err, &other):
		w.byte(codeNotLeader)
		w.node(other.Leader)
		w.str(other.Addr)
	case errors.As(err, &full):
		w.byte(codeOverloaded)
		w.str(full.Reason)
		w.num(uint64(full.RetryAfter))
	case errors.Is(err, fsm.ErrNoLeader):
		w.byte(codeNoLeader)
	default:
		w.byte(codeUnknown)
	}
}

func readOutcome(r *in) (fsm.Outcome, error) {
	switch r.byte() {
	case codeDone:
		return readResult(r), nil
	case codeNotLeader:
		return fsm.Outcome{}, &fsm.NotLeaderError{Leader: r.node(), Addr: r.str()}
	case codeOverloaded:
		return fsm.Outcome{}, &fsm.OverloadedError{Reason: r.str(), RetryAfter: fsm.Millis(r.num())}
	case codeNoLeader:
		return fsm.Outcome{}, fsm.ErrNoLeader
	case codeUnknown:
		return fsm.Outcome{}, fsm.ErrUnknown
	}
	r.fail()
	return fsm.Outcome{}, nil
}

// Bits of a result.
const (
	bitRepeated = 1 << iota
	bitIgnored
	bitRejected
	bitItems
)

func writeResult(w *out, o fsm.Outcome) {
	res := &o.Result
	var bits byte
	if res.Repeated {
		bits |= bitRepeated
	}
	if res.Ignored {
		bits |= bitIgnored
	}
	if res.Rejection != nil {
		bits |= bitRejected
	}
	if len(res.Items) > 0 {
		bits |= bitItems
	}
	w.byte(bits)
	w.byte(o.Position.Incarnation)
	w.num(uint64(o.Position.Group))
	w.num(o.Position.Index)
	w.exec(res.Exec)
	w.task(res.Task)
	w.int(int64(res.Version))
	w.num(res.Index)
	if res.Rejection != nil {
		writeRejection(w, res.Rejection)
	}
	if len(res.Items) > 0 {
		w.num(uint64(len(res.Items)))
		for _, item := range res.Items {
			w.exec(item.Exec)
			writeRejection(w, item.Rejection)
		}
	}
}

// writeRejection writes nothing as an empty text.
func writeRejection(w *out, rej *fsm.Rejection) {
	var b []byte
	if rej != nil {
		b, _ = pack(rej) // a struct of plain fields encodes without error
	}
	w.bytes(b)
}

func readResult(r *in) fsm.Outcome {
	bits := r.byte()
	o := fsm.Outcome{
		Position: fsm.Position{Incarnation: r.byte(), Group: uint16(r.num()), Index: r.num()},
		Result:   fsm.Result{Exec: r.exec(), Task: r.task(), Version: int32(r.int()), Index: r.num()},
	}
	o.Result.Repeated, o.Result.Ignored = bits&bitRepeated != 0, bits&bitIgnored != 0
	if bits&bitRejected != 0 {
		o.Result.Rejection = readRejection(r)
	}
	if bits&bitItems != 0 {
		n := r.num()
		if n > fsm.MaxBulk {
			r.fail()
			return o
		}
		for range n {
			o.Result.Items = append(o.Result.Items, fsm.BulkItem{Exec: r.exec(), Rejection: readRejection(r)})
		}
	}
	return o
}

func readRejection(r *in) *fsm.Rejection {
	b := r.bytes()
	if len(b) == 0 {
		return nil
	}
	rej := new(fsm.Rejection)
	if r.err == nil && unpack(b, rej) != nil {
		r.fail()
	}
	return rej
}
