package pawl

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// maxLeases bounds the leases of a lane: of tasks that run, that are done but not
// answered, and that may still come. All have to fit into a hello, since a node gives
// back what is missing there.
const maxLeases = maxBatch

// lane is a part of a worker with room of its own: one stream at a time, the tasks
// that came by it, and the reports that are to be answered. Tasks and reports outlive
// the stream.
type lane struct {
	worker      *Worker
	name        string
	concurrency int
	queues      []string
	handlers    map[string]*handler

	wake chan struct{} // there is something to send, or nothing is left to do

	mu       sync.Mutex
	jobs     map[*job]struct{}  // handlers that run
	reports  map[uint64]*report // unanswered
	verdicts int                // those of them that end a lease
	queue    []*report          // to send on this stream
	last     uint64             // call number
	open     int                // room that the node may still use on this stream
	leaving  bool               // takes nothing new
}

func newLane(w *Worker, concurrency int) *lane {
	return &lane{
		// Nodes tell by the name which leases are whose, so no two streams share one.
		name:   w.options.name + "/" + rand.Text()[:8],
		worker: w, concurrency: concurrency, handlers: make(map[string]*handler),
		wake: make(chan struct{}, 1), jobs: make(map[*job]struct{}), reports: make(map[uint64]*report),
	}
}

func (l *lane) add(h *handler, domain string) {
	l.handlers[h.name] = h
	queue := h.name
	if domain != "" {
		queue = domain + ":" + h.name
	}
	l.queues = append(l.queues, queue)
	slices.Sort(l.queues)
}

// run serves until ctx ends and drains then.
func (l *lane) run(ctx context.Context) error {
	err := l.keep(ctx)
	l.leave()
	drainErr := l.drain(context.WithoutCancel(ctx))
	return cmp.Or(err, drainErr)
}

// leave gives back what comes from now on.
func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
}

// drain lets handlers finish and waits until their reports are answered.
func (l *lane) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.worker.options.drain+lastWords)
	defer cancel()
	late := time.AfterFunc(l.worker.options.drain, func() { l.cancelJobs(errDrained) })
	defer late.Stop()
	err := l.keep(ctx)
	l.mu.Lock()
	jobs, reports := len(l.jobs), len(l.reports)
	l.mu.Unlock()
	if jobs+reports > 0 && err == nil {
		err = fmt.Errorf("stopped with %d tasks running and %d reports unanswered", jobs, reports)
	}
	return err
}

func (l *lane) cancelJobs(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for j := range l.jobs {
		j.cancel(cause)
	}
}

// idle reports whether a lane that takes nothing new has nothing left to do.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leaving && len(l.jobs)+len(l.reports) == 0
}

// keep connects again and again until ctx ends or the lane is idle.
func (l *lane) keep(ctx context.Context) error {
	pause := backoff{first: reconnectFirst, most: reconnectMost}
	for ctx.Err() == nil && !l.idle() {
		began := time.Now()
		err := l.serve(ctx)
		if ctx.Err() != nil || l.idle() {
			break
		}
		if refused(err) {
			return err
		}
		if err != nil {
			l.worker.client.log.Warn("worker stream broken", "err", err)
		}
		if time.Since(began) > reconnectMost {
			pause.reset()
		}
		_ = sleep(ctx, pause.next(0)) // the loop looks at ctx
	}
	return nil
}

// refused reports whether another stream would fare no better.
func refused(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case "malformed", connect.CodeUnimplemented.String(), connect.CodeInvalidArgument.String(),
		connect.CodeUnauthenticated.String(), connect.CodePermissionDenied.String():
		return true
	}
	return false
}

// serve sends and receives on one stream until it ends. When ctx ends it closes its
// side and takes the last answers.
func (l *lane) serve(ctx context.Context) error {
	if err := l.worker.client.locate(ctx); err != nil {
		return err
	}
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	conn, err := l.worker.client.workers.Work(alive)
	if err != nil {
		return err
	}
	// A node that does not read must not hold up the end.
	unguard := context.AfterFunc(ctx, func() { time.AfterFunc(2*closeTime, cancel) })
	defer unguard()
	s := &workStream{lane: l, conn: conn, ended: make(chan error, 1), elsewhere: make(chan struct{})}
	var receiver sync.WaitGroup
	receiver.Go(func() { s.ended <- s.receive() })
	err = s.send(ctx)
	cancel()
	receiver.Wait()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// hello is the first message of a stream: it names the leases that are still held, also
// those whose verdict has no answer. Everything unanswered is queued, as the node knows nothing of earlier streams.
func (l *lane) hello() *apiv1.WorkRequest {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &apiv1.Hello{Worker: l.name, Queues: l.queues, ReturnOthers: true}
	l.queue = l.queue[:0]
	holders := make([]*job, 0, len(l.jobs)+l.verdicts)
	for _, r := range l.reports {
		r.sent, r.queued = false, false
		if r.extends() { // to be named as held
			l.dropLocked(r)
			continue
		}
		r.queued = true
		l.queue = append(l.queue, r)
		holders = append(holders, r.job)
	}
	slices.SortFunc(l.queue, func(a, b *report) int { return cmp.Compare(a.call, b.call) })
	holders = slices.AppendSeq(holders, maps.Keys(l.jobs))
	for _, j := range holders {
		r := l.renewLocked(j)
		r.sent = true
		h.Held = append(h.Held, &apiv1.HeldLease{Call: r.call, TaskId: j.task.TaskId, Lease: j.task.Lease})
	}
	l.open = 0
	msg := &apiv1.WorkRequest{Hello: h, Credit: l.creditLocked()}
	token(l.wake)
	return msg
}

// creditLocked gives the room that can be announced now.
func (l *lane) creditLocked() int32 {
	if l.leaving {
		return 0
	}
	n := max(min(l.concurrency, maxLeases-l.verdicts)-len(l.jobs)-l.open, 0)
	l.open += n
	return int32(n) //nolint:gosec // at most maxConcurrency
}

// renewLocked makes the report that renews the lease of j.
func (l *lane) renewLocked(j *job) *report {
	j.extending = true
	return l.reportLocked(j, &apiv1.Report{
		TaskId: j.task.TaskId, Lease: j.task.Lease, What: &apiv1.Report_Extend{Extend: &apiv1.ExtendReport{}},
	})
}

// reportLocked numbers a report. It is not queued yet.
func (l *lane) reportLocked(j *job, body *apiv1.Report) *report {
	l.last++
	body.Call = l.last
	r := &report{call: l.last, job: j, body: body, pause: backoff{first: reconnectFirst, most: pauseMost}}
	l.reports[r.call] = r
	if !r.extends() {
		l.verdicts++
	}
	return r
}

func (l *lane) dropLocked(r *report) {
	delete(l.reports, r.call)
	if !r.extends() {
		l.verdicts--
	}
}

func (l *lane) queueLocked(r *report) {
	if r.queued {
		return
	}
	r.queued = true
	l.queue = append(l.queue, r)
	token(l.wake)
}

// next takes the next message from the queue, nil when there is nothing to say.
func (l *lane) next() *apiv1.WorkRequest {
	l.mu.Lock()
	defer l.mu.Unlock()
	msg := &apiv1.WorkRequest{Credit: l.creditLocked()}
	size, n := 0, 0
	for _, r := range l.queue {
		if n == maxBatch || size > batchBytes {
			break
		}
		n++
		r.queued, r.sent = false, true
		size += len(r.body.GetComplete().GetOutput())
		msg.Reports = append(msg.Reports, r.body)
	}
	l.queue = slices.Delete(l.queue, 0, n)
	if msg.Credit == 0 && n == 0 {
		return nil
	}
	return msg
}

// begin runs the handler of a task that came, or gives the task back.
func (l *lane) begin(t *apiv1.LeasedTask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = max(l.open-1, 0)
	j := &job{task: t, handler: l.handlers[t.Type]}
	if l.leaving || j.handler == nil {
		j.cancel = func(error) {}
		l.queueLocked(l.reportLocked(j, &apiv1.Report{
			TaskId: t.TaskId, Lease: t.Lease, What: &apiv1.Report_Return{Return: &apiv1.ReturnReport{}},
		}))
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	j.cancel = cancel
	l.jobs[j] = struct{}{}
	if every := j.renewal(); every > 0 {
		j.timer = time.AfterFunc(every, func() { l.renew(j) })
	}
	go func() {
		body := j.execute(ctx)
		l.finish(j, body)
		cancel(nil)
	}()
}

// renew asks for more time for a job that still runs.
func (l *lane) renew(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, running := l.jobs[j]; !running {
		return
	}
	j.timer.Reset(j.renewal())
	if !j.extending {
		l.queueLocked(l.renewLocked(j))
	}
}

// finish reports what became of a job.
func (l *lane) finish(j *job, body *apiv1.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.jobs, j)
	if j.timer != nil {
		j.timer.Stop()
	}
	if body != nil {
		l.queueLocked(l.reportLocked(j, body))
	}
	token(l.wake) // there is room, or nothing is left to do
}

// answered takes the answer to a report, and gives what to tell the hook.
func (l *lane) answered(res *apiv1.ReportResult) (c Completion, tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.reports[res.Call]
	if r == nil {
		return Completion{}, false
	}
	outcome := Acknowledged
	if res.Error != nil {
		e := fromDetail(res.Error, nil)
		switch {
		case errors.Is(e, ErrLeaseLost), errors.Is(e, ErrNotFound):
			outcome = Stale
		case e.passes(), !e.Definite:
			l.laterLocked(r, e.RetryAfter)
			return Completion{}, false
		default:
			outcome = Refused
		}
	}
	l.dropLocked(r)
	if r.extends() {
		r.job.extending = false
		if outcome == Stale {
			r.job.cancel(ErrLeaseLost)
		}
		return Completion{}, false
	}
	if _, completes := r.body.What.(*apiv1.Report_Complete); completes && outcome == Refused {
		// Without a verdict that can be taken, the task would come again and again.
		l.queueLocked(l.reportLocked(r.job, &apiv1.Report{
			TaskId: r.body.TaskId, Lease: r.body.Lease,
			What: failed(fmt.Errorf("output refused: %s", res.Error.Message), true),
		}))
	}
	return r.completion(outcome, res.Position), true
}

// laterLocked sends a report again after a pause. Its lease makes that safe.
func (l *lane) laterLocked(r *report, atLeast time.Duration) {
	r.sent = false
	time.AfterFunc(r.pause.next(atLeast), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.reports[r.call] == r && !r.sent {
			l.queueLocked(r)
		}
	})
}

// workStream is one stream of a lane. One goroutine sends, one receives.
type workStream struct {
	lane      *lane
	conn      *connect.BidiStreamForClientSimple[apiv1.WorkRequest, apiv1.WorkResponse]
	ended     chan error    // gets the error of the stream's end
	elsewhere chan struct{} // closed when the node is about to stop
}

// send says hello and sends whatever there is to say, at once when the stream is idle
// and else with what has gathered. It gives the error of the stream's end.
func (s *workStream) send(ctx context.Context) error {
	l := s.lane
	if s.conn.Send(l.hello()) != nil {
		return late(s.ended) // Receive has the reason
	}
	for {
		select {
		case <-l.wake:
		case err := <-s.ended:
			return err
		case <-s.elsewhere:
			return s.close()
		case <-ctx.Done():
			l.leave()
			return s.close()
		}
		runtime.Gosched() // handlers that end together share a message
		for msg := l.next(); msg != nil; msg = l.next() {
			if s.conn.Send(msg) != nil {
				return late(s.ended)
			}
		}
		if l.idle() {
			return s.close()
		}
	}
}

// close ends this side: the node sends no more tasks, answers what it has, and ends
// its own.
func (s *workStream) close() error {
	_ = s.conn.CloseRequest() // a stream that is broken has ended as well
	return late(s.ended)
}

func (s *workStream) receive() error {
	l, leaving := s.lane, false
	for {
		msg, err := s.conn.Receive()
		if err != nil {
			return err
		}
		for _, res := range msg.Results {
			if c, tell := l.answered(res); tell && l.worker.options.hook != nil {
				l.worker.options.hook(c)
			}
		}
		for _, t := range msg.Tasks {
			l.begin(t)
		}
		token(l.wake)
		if msg.GoElsewhere != nil && !leaving {
			leaving = true
			close(s.elsewhere)
		}
	}
}
