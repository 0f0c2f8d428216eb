package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// Parking keeps the room of the workers until jobs are leased to it.
type Parking interface {
	// Park opens s.Credit slots. Leases come on the channel, which is closed when
	// there will be no more, soon after ctx has ended.
	Park(ctx context.Context, s fsm.SlotSpec) (fsm.StreamID, <-chan fsm.Leased, error)
	// Credit opens n more slots of a stream.
	Credit(stream fsm.StreamID, n int)
}

// Proposer takes answers to the log.
type Proposer interface {
	// Propose answers once the command is applied, or with an error for which
	// fsm.Definite says whether that can still happen.
	Propose(ctx context.Context, c *fsm.Command) (fsm.Outcome, error)
}

// Views gives what the inputs of jobs leave out.
type Views interface {
	// AtLeast gives a view at or after p.
	AtLeast(ctx context.Context, p fsm.Position) (fsm.View, error)
	// Stale gives what the node has, and how old it may be.
	Stale() (fsm.View, time.Duration)
}

// Queues are those that Workers serve.
var Queues = []fsm.Queue{"$script", "$jq", "$time"}

const (
	// waitingJobs is how many jobs beyond those being done a node takes: one for each
	// child, so that none is idle while a commit is under way. A job waits for one
	// other at most, which is little against its lease.
	waitingJobs = 2
	// maxReports bounds the answers that are on their way to the log.
	maxReports = 256
	// reportPause is the time before an answer that was not taken is proposed again;
	// it doubles up to reportPauseMax, until the lease is over.
	reportPause    = 20 * time.Millisecond
	reportPauseMax = time.Second
	// parkPause is the time between two tries to find room in the scheduler.
	parkPause = 250 * time.Millisecond
	// returnWithin bounds how long leases are given back when a node stops. One that
	// is not runs out by itself.
	returnWithin = 2 * time.Second
	// leaseTime is what a job without a response time gets.
	leaseTime = 15 * time.Second
)

// Workers serves the jobs of one node: it leases them, has them evaluated, and reports.
type Workers struct {
	name     string
	pool     *Pool
	parking  Parking
	proposer Proposer
	views    Views
	log      *slog.Logger
	reports  chan struct{} // a place for each answer under way
}

// NewWorkers makes the workers of a node, which are called name there. They do nothing
// until Run.
func NewWorkers(name string, pool *Pool, parking Parking, proposer Proposer, views Views, log *slog.Logger) *Workers {
	return &Workers{name: name, pool: pool, parking: parking, proposer: proposer, views: views, log: log, reports: make(chan struct{}, maxReports)}
}

// Run serves until stop is closed; then it gives back what it has not done. When ctx
// ends it returns at once, and its leases run out by themselves. It is called once.
func (w *Workers) Run(ctx context.Context, stop <-chan struct{}) {
	parked, leave := context.WithCancel(ctx)
	defer leave()
	var jobs sync.WaitGroup
	jobs.Go(func() {
		select {
		case <-stop:
			leave()
		case <-parked.Done():
		}
	})
	for parked.Err() == nil {
		err := w.serve(ctx, parked, &jobs)
		if parked.Err() == nil {
			w.log.Warn("no room for scripts", "err", err)
			pause(parked, parkPause)
		}
	}
	jobs.Wait()
}

// serve parks once and starts each job that is leased, until the stream ends.
func (w *Workers) serve(ctx, parked context.Context, jobs *sync.WaitGroup) error {
	stream, leases, err := w.parking.Park(parked, fsm.SlotSpec{
		Worker: w.name, Queues: Queues, Credit: waitingJobs * w.pool.Children()})
	if err != nil {
		return err
	}
	for l := range leases {
		jobs.Go(func() { w.do(ctx, parked, stream, l) })
	}
	return errors.New("the stream of slots has ended")
}

// do answers one job. Its slot is free again when it is evaluated, and the answer may
// bring the next job with it.
func (w *Workers) do(ctx, parked context.Context, stream fsm.StreamID, l fsm.Leased) {
	life := time.Duration(l.ResponseMillis) * time.Millisecond
	if life == 0 {
		life = leaseTime
	}
	leased, cancel := context.WithTimeout(ctx, life)
	defer cancel()
	working, stop := context.WithCancel(leased)
	defer stop()
	defer context.AfterFunc(parked, stop)()
	o, done := w.evaluate(working, l)
	select {
	case w.reports <- struct{}{}:
		defer func() { <-w.reports }()
	case <-leased.Done():
	}
	w.parking.Credit(stream, 1)
	switch {
	case done:
		w.report(leased, l, o)
	case parked.Err() != nil && ctx.Err() == nil:
		back, cancel := context.WithTimeout(ctx, returnWithin)
		defer cancel()
		w.propose(back, &fsm.ReturnLease{Task: l.Task, Lease: l.Lease})
	}
}

// evaluate has a job done. While no child can be started it tries again, at the pace of
// the pool; ctx ends with the lease.
func (w *Workers) evaluate(ctx context.Context, l fsm.Leased) (o Outcome, done bool) {
	var j Job
	if err := json.Unmarshal(l.Input, &j); err != nil {
		return failed(fsm.JobThrew, "not a job: "+err.Error()), true
	}
	if j.Now == 0 {
		j.Now = int64(l.Scheduled)
	}
	if err := w.fillIn(ctx, &j, l.Index); err != nil {
		w.log.Debug("secrets not filled in", "task", l.Task.String(), "err", err)
		return o, false
	}
	for {
		o, err := w.pool.Evaluate(ctx, j)
		if err == nil {
			return o, true
		}
		if ctx.Err() != nil || errors.Is(err, ErrPoolClosed) {
			return o, false
		}
		w.log.Warn("job not evaluated", "task", l.Task.String(), "err", err)
	}
}

// fillIn puts secrets in the place of their names in a job's input, from a view that has
// the entry at index. The source keeps such names: it may be about them.
func (w *Workers) fillIn(ctx context.Context, j *Job, index uint64) error {
	input := fsm.Leased{Input: j.Input}
	if !input.NeedsSettings() {
		return nil
	}
	v, _ := w.views.Stale()
	if v.Index() < index {
		var err error
		if v, err = w.views.AtLeast(ctx, fsm.Position{Incarnation: v.Incarnation(), Index: index}); err != nil {
			return err
		}
	}
	j.Input = v.Complete(input).Input
	return nil
}

// report takes an outcome to the log. A result that the machine does not take is a
// failure.
func (w *Workers) report(ctx context.Context, l fsm.Leased, o Outcome) {
	refused := w.propose(ctx, finish(l, o))
	if refused == nil || refused.Code != fsm.Malformed && refused.Code != fsm.TooLarge {
		return
	}
	w.propose(ctx, finish(l, failed(fsm.JobThrew, "the result is not taken: "+refused.Message)))
}

// Answer does the job of a lease and gives what the machine is to be told of it. Its
// secrets are not filled in. The errors are those of Evaluate.
func (p *Pool) Answer(ctx context.Context, l fsm.Leased) (fsm.Body, error) {
	var j Job
	if err := json.Unmarshal(l.Input, &j); err != nil {
		return nil, fmt.Errorf("not a job: %w", err)
	}
	if j.Now == 0 {
		j.Now = int64(l.Scheduled)
	}
	o, err := p.Evaluate(ctx, j)
	if err != nil {
		return nil, err
	}
	return finish(l, o), nil
}

func finish(l fsm.Leased, o Outcome) fsm.Body {
	return &fsm.FinishJob{Task: l.Task, Lease: l.Lease, Result: o.Result, Failure: o.Failure,
		Message: o.Message, Line: o.Line}
}

// propose repeats a command, which its lease makes safe, until it is answered or ctx
// ends. It gives the machine's rejection.
func (w *Workers) propose(ctx context.Context, body fsm.Body) *fsm.Rejection {
	c := &fsm.Command{Body: body}
	for wait := reportPause; ; wait = min(2*wait, reportPauseMax) {
		err := fsm.Validate(c)
		var out fsm.Outcome
		if err == nil {
			out, err = w.proposer.Propose(ctx, c)
		}
		var refused *fsm.Rejection
		switch {
		case err == nil:
			return out.Result.Rejection
		case errors.As(err, &refused):
			return refused
		}
		w.log.Debug("answer of a job not taken", "err", err)
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
