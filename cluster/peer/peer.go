package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// redialMin and redialMax bound the wait between attempts to reach a peer:
	// soon enough for a restart, rare enough for a node that is gone for days.
	redialMin = 50 * time.Millisecond
	redialMax = 2 * time.Second
	// redialRefused is the wait after a refusal that only a person can end.
	redialRefused = 30 * time.Second
	// dialTimeout bounds one attempt at one address.
	dialTimeout = 2 * time.Second
	// tieWindow is how young a link must be for a second one between the same
	// two processes to count as dialled at the same time. An older one is
	// replaced: the peer would not dial if it still had it.
	tieWindow = time.Second
)

// peer is one other node, as long as the Net runs.
type peer struct {
	net  *Net
	id   fsm.NodeID
	wake chan struct{} // capacity 1: dial now
	turn chan struct{} // capacity 1: the link changed

	held atomic.Bool // keep a link
	dead atomic.Bool // a dial was refused by the machine; for report to tell
	rose atomic.Bool // a link came up since redial last looked
	link atomic.Pointer[link]

	mu      sync.Mutex
	changed chan struct{} // closed when the link changes, if somebody asked
}

func (p *peer) live() *link { return p.link.Load() }

// changes gives a channel that is closed at the next change of the link.
func (p *peer) changes() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// loses reports whether a second link, dialled by this node or not, must give
// way to the one there is: of two dialled at the same time that of the node
// with the lower id stays.
func (p *peer) loses(nonce [16]byte, dialed bool) bool {
	old := p.link.Load()
	if old == nil || old.hello.Nonce != nonce || old.dialed == dialed || time.Since(old.born) > tieWindow {
		return false
	}
	mineWins := compareIDs(p.net.self, p.id) < 0
	return dialed != mineWins
}

// install makes l the link to the peer, or reports that there is one already
// which stays.
func (p *peer) install(l *link) bool {
	p.mu.Lock()
	if p.loses(l.hello.Nonce, l.dialed) {
		p.mu.Unlock()
		return false
	}
	old := p.link.Swap(l)
	p.rose.Store(true)
	p.tellLocked()
	p.mu.Unlock()
	if old != nil {
		old.end(errReplaced)
	}
	p.net.dropOlder(p.id, l.hello.Nonce)
	return true
}

// lost takes note that l ended.
func (p *peer) lost(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link.CompareAndSwap(l, nil) {
		p.tellLocked()
		poke(p.wake)
	}
}

func (p *peer) tellLocked() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	poke(p.turn)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// report tells the callbacks of each link that came and went, in order. Links
// that came and went between two looks are told as one.
func (p *peer) report() {
	var told *link
	for {
		select {
		case <-p.net.base.Done():
			if told != nil {
				p.net.tell(p.net.onDown, p.id)
			}
			return
		case <-p.turn:
		}
		now := p.link.Load()
		if told != nil && now != told {
			p.net.log.Info("peer down", "peer", p.id)
			p.net.tell(p.net.onDown, p.id)
		}
		if p.dead.Swap(false) && now == nil {
			p.net.tell(p.net.onDead, p.id)
		}
		if now != nil && now != told {
			p.net.log.Info("peer up", "peer", p.id)
			p.net.tell(p.net.onUp, p.id)
		}
		told = now
	}
}

// redial keeps a link with the peer while it is held.
func (p *peer) redial() {
	wait := p.firstWait() // between attempts, before jitter
	due := jitter(wait)   // of the next attempt
	told := false         // that the peer is dead, since the link was up
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if p.held.Load() && p.link.Load() == nil {
			timer.Reset(time.Until(due))
		}
		select {
		case <-p.net.base.Done():
			return
		case <-p.wake: // sooner, never later
			wait = p.firstWait()
			soon := jitter(wait)
			if p.rose.Swap(false) {
				due, told = soon, false
			} else if soon.Before(due) {
				due = soon
			}
			continue
		case <-timer.C:
		}
		if !p.held.Load() || p.link.Load() != nil {
			continue
		}
		err := p.dial()
		wait = min(2*wait, redialMax)
		var no *RefusedError
		switch {
		case errors.As(err, &no) && no.Reason.identity():
			wait = redialRefused
		case !told && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)):
			told = true
			p.dead.Store(true)
			poke(p.turn)
		}
		due = jitter(wait)
	}
}

// jitter is the time between half of d and d from now, so that nodes that lost
// each other together do not come back together.
func jitter(d time.Duration) time.Time { return time.Now().Add(d/2 + rand.N(d/2+1)) }

// firstWait is the wait before a peer is dialled anew. The node with the higher
// id leaves the other time to be first: of two links one would have to go
// again, with the calls on it.
func (p *peer) firstWait() time.Duration {
	if compareIDs(p.net.self, p.id) > 0 {
		return 4 * redialMin
	}
	return redialMin
}

// dial makes a link at the first address where the peer answers, and starts it.
func (p *peer) dial() error {
	n := p.net
	ctx, cancel := context.WithCancel(n.base)
	defer cancel()
	c, err := n.reach(ctx, p.id, ClassLink)
	if err != nil {
		n.log.Debug("peer not reached", "peer", p.id, "err", err)
		return err
	}
	n.start(p, c, true)
	return nil
}

// start makes c the link with p, unless it loses to another.
func (n *Net) start(p *peer, c *conn, dialed bool) {
	l := newLink(p, c, dialed)
	if !p.install(l) {
		l.cancel()
		c.Close()
		return
	}
	n.wg.Go(func() {
		err := l.run()
		n.log.Debug("link ended", "peer", p.id, "dialed", dialed, "err", err)
	})
}
