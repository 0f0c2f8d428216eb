package scheduler

import (
	"sync"

	"github.com/pawlhq/pawl/fsm"
)

// pump hands leases to a stream's channel, so that a slow worker never holds up the
// host.
type pump struct {
	wake chan struct{} // of capacity 1
	stop chan struct{} // closed at the end

	mu    sync.Mutex
	queue []fsm.Leased // bounded by the slots of the stream
}

func newPump() *pump {
	return &pump{wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

func (p *pump) push(l fsm.Leased) {
	p.mu.Lock()
	p.queue = append(p.queue, l)
	p.mu.Unlock()
	poke(p.wake)
}

func (p *pump) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}

// end stops the pump and gives what it has not begun to hand over.
func (p *pump) end() []fsm.Leased {
	close(p.stop)
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queue
	p.queue = nil
	return q
}

func (p *pump) pop() (l fsm.Leased, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return l, false
	}
	l, p.queue = p.queue[0], p.queue[1:]
	return l, true
}

// run moves leases to sink until end is called, then closes sink. A lease that is
// not taken any more goes to back.
func (p *pump) run(sink chan<- fsm.Leased, back func(fsm.Leased)) {
	defer close(sink)
	for {
		l, ok := p.pop()
		if !ok {
			select {
			case <-p.wake:
				continue
			case <-p.stop:
				return
			}
		}
		select {
		case sink <- l:
		case <-p.stop:
			back(l)
			return
		}
	}
}

// poke wakes the reader of a channel of capacity 1.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
