package builtin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// maxChildren bounds the children of a pool, however many processors there are:
	// each takes some 20 MiB.
	maxChildren = 8
	// startPause is the time before a child is started after one that could not be;
	// it doubles up to startPauseMax.
	startPause    = 50 * time.Millisecond
	startPauseMax = 5 * time.Second
	// tries bounds how often a job is given to a new child when somebody killed the
	// one before. A source that makes the system kill its child is among them.
	tries = 2
)

// ErrPoolClosed is the error of a Pool that was closed.
var ErrPoolClosed = errors.New("the pool of children is closed")

// PoolConfig is what a Pool is built from. The zero value works in a program that
// serves as its own child.
type PoolConfig struct {
	// Command starts a child: a program that calls ServeChild, and its arguments. This
	// program with ChildArgument when empty.
	Command []string
	// Children bounds the children, and so the jobs done at once: the number of
	// processors when 0, and never more than that.
	Children int
	// Limit is how long a source may take; the constant Limit when 0.
	Limit time.Duration
	// Log may be nil.
	Log *slog.Logger
}

// Pool evaluates jobs in child processes. A child is started when a job finds none
// free, and kept; one that dies is replaced at once. Its methods may be called by many
// goroutines.
type Pool struct {
	command []string
	limit   time.Duration
	log     *slog.Logger
	room    chan struct{} // one place a child
	closing chan struct{}
	once    sync.Once // of closing

	mu      sync.Mutex
	closed  bool
	all     map[*process]struct{}
	idle    []*process // the one used last comes last
	failed  int        // starts that failed since one did not
	startAt time.Time  // not before, after such a failure
}

// NewPool makes a pool. It starts nothing yet.
func NewPool(c PoolConfig) (*Pool, error) {
	p := &Pool{command: c.Command, limit: c.Limit, log: c.Log}
	if len(p.command) == 0 {
		if IsChild() {
			return nil, errors.New("this program was started as a child and does not call ServeChild")
		}
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		p.command = []string{self, ChildArgument}
	}
	if p.limit == 0 {
		p.limit = Limit
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	n := min(runtime.GOMAXPROCS(0), maxChildren)
	if c.Children > 0 {
		n = min(n, c.Children)
	}
	p.room, p.closing, p.all = make(chan struct{}, n), make(chan struct{}), map[*process]struct{}{}
	return p, nil
}

// Children is the number of jobs that can be done at once.
func (p *Pool) Children() int { return cap(p.room) }

// Close kills the children and waits for their end. Jobs under way fail with
// ErrPoolClosed.
func (p *Pool) Close() {
	p.once.Do(func() {
		close(p.closing)
		p.mu.Lock()
		p.closed = true
		for c := range p.all {
			c.kill()
		}
		p.mu.Unlock()
		for range cap(p.room) {
			p.room <- struct{}{} // from whoever has it; it is never given back
		}
		for _, c := range p.idle {
			c.end()
		}
	})
}

// Evaluate does a job and waits for its outcome. Whatever a source does is an outcome;
// an error says that it was not evaluated: ctx has ended, the pool was closed, or no
// child could be started or kept alive.
func (p *Pool) Evaluate(ctx context.Context, j Job) (Outcome, error) {
	return p.ask(ctx, &request{Job: j, Limit: p.limit})
}

func (p *Pool) ask(ctx context.Context, r *request) (Outcome, error) {
	if o := checkSource(r.Source); o.Failure != fsm.JobDone {
		return o, nil
	}
	if r.Language != JavaScript && r.Language != JQ { // nothing that takes time or memory
		return answer(r), nil
	}
	frame, err := encode(r)
	if err != nil {
		return failed(fsm.JobThrew, err.Error()), nil
	}
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	case <-p.closing:
		return Outcome{}, ErrPoolClosed
	}
	var o Outcome
	var c *process
	c, err = p.take(ctx)
	for range tries {
		if err != nil {
			break
		}
		if o, err = c.ask(ctx, frame, r.Limit); err == nil || ctx.Err() != nil || p.isClosed() {
			break
		}
		p.log.Warn("a child was killed", "err", err)
		p.forget(c)
		c, err = p.take(ctx)
	}
	p.put(c)
	if err != nil && p.isClosed() {
		err = ErrPoolClosed
	}
	return o, err
}

func (p *Pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// take gives a child that nobody else has. The caller has a place in the room.
func (p *Pool) take(ctx context.Context) (*process, error) {
	c, wait := p.takeIdle()
	if c != nil {
		return c, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closing:
		return nil, ErrPoolClosed
	}
	c, err := start(p.command)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil:
		p.startAt = time.Now().Add(min(startPause<<min(p.failed, 10), startPauseMax))
		p.failed++
		return nil, err
	case p.closed:
		c.end()
		return nil, ErrPoolClosed
	}
	p.failed = 0
	p.all[c] = struct{}{}
	return c, nil
}

// takeIdle gives a child that is free, or the time to wait before one is started.
func (p *Pool) takeIdle() (*process, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		c := p.idle[last]
		p.idle = p.idle[:last]
		if c.alive() {
			return c, 0
		}
		c.end() // at once: it has ended
		delete(p.all, c)
	}
	return nil, time.Until(p.startAt)
}

func (p *Pool) forget(c *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, c)
}

// put gives back a child, which may be nil, and the place in the room. Instead of one
// that has died another is made ready, which keeps the place until then.
func (p *Pool) put(c *process) {
	if c != nil && !c.alive() {
		p.forget(c)
		go func() {
			next, err := p.take(context.Background())
			if err != nil && !errors.Is(err, ErrPoolClosed) {
				p.log.Warn("no child can be started", "err", err)
			}
			p.free(next)
		}()
		return
	}
	p.free(c)
}

func (p *Pool) free(c *process) {
	if c != nil {
		p.mu.Lock()
		p.idle = append(p.idle, c)
		p.mu.Unlock()
	}
	<-p.room
}
