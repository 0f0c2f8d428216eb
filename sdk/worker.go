package pawl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const (
	// defaultConcurrency is how many tasks a worker runs at once: handlers mostly wait
	// for others.
	defaultConcurrency = 64
	// maxConcurrency is the most that one stream carries.
	maxConcurrency = maxLeases
	// maxWorkerName leaves room for what makes the name unique: nodes take 255 bytes.
	maxWorkerName = 200
	// defaultDrainTime is less than what orchestrators wait before they kill.
	defaultDrainTime = 10 * time.Second
	// lastWords is how long a worker that stops waits for the answers to its last
	// reports, after the drain time: two tries to reach a node.
	lastWords = 5 * time.Second
	// maxQueues bounds the task types of one stream, as nodes do.
	maxQueues = 256
	// maxOutput bounds an output: a report has to fit into one command of the cluster.
	maxOutput = 1<<20 - 1<<10
)

// Worker runs handlers for the tasks of a cluster. It is made by NewWorker and given
// handlers by Handle; then Run is called once.
type Worker struct {
	client  *Client
	options workerOptions

	mu       sync.Mutex
	handlers map[string]*handler
	running  bool
}

type workerOptions struct {
	name        string
	domain      string
	concurrency int
	drain       time.Duration
	hook        func(Completion)
}

// handler is one task type with what runs it.
type handler struct {
	name        string
	concurrency int // 0: shares that of the worker
	// run gives the output of a task as a JSON object.
	run func(ctx context.Context, t *apiv1.LeasedTask) (string, error)
}

// WorkerOption configures a Worker.
type WorkerOption interface{ applyWorker(o *workerOptions) }

// TaskOption configures one task type of a Worker.
type TaskOption interface{ applyTask(h *handler) }

type workerOption func(o *workerOptions)

func (f workerOption) applyWorker(o *workerOptions) { f(o) }

// Concurrency is an option of a worker and of a single task type; see WithConcurrency.
type Concurrency int

func (n Concurrency) applyWorker(o *workerOptions) { o.concurrency = int(n) }
func (n Concurrency) applyTask(h *handler)         { h.concurrency = int(n) }

// WithConcurrency bounds the tasks that run at once, from 1 to 1,000. Given to
// NewWorker it holds for all task types together; without it that is 64. Given to
// Handle it holds for that type alone, which then does not share the worker's.
func WithConcurrency(n int) Concurrency { return Concurrency(min(max(n, 1), maxConcurrency)) }

// WithName sets the name that people see, which is completed so that no two workers
// share one; without it, host and process id. It is cut after 200 bytes.
func WithName(name string) WorkerOption {
	name = validText(name)
	name = validText(name[:min(len(name), maxWorkerName)]) // the cut may split a character
	return workerOption(func(o *workerOptions) { o.name = name })
}

// WithDomain takes only tasks that were sent to a domain.
func WithDomain(domain string) WorkerOption {
	return workerOption(func(o *workerOptions) { o.domain = domain })
}

// WithDrainTimeout bounds how long Run waits for running handlers after its context
// has ended; without it, 10 seconds. Then the contexts of the handlers end.
func WithDrainTimeout(d time.Duration) WorkerOption {
	return workerOption(func(o *workerOptions) { o.drain = d })
}

// WithCompletionHook calls f once for every report that the cluster has answered for
// good. Several goroutines may call f at once; it holds up the worker, so it returns
// soon.
func WithCompletionHook(f func(Completion)) WorkerOption {
	return workerOption(func(o *workerOptions) { o.hook = f })
}

// Outcome is what the cluster said of a report.
type Outcome string

const (
	// Acknowledged: the report holds and is durable on a majority of nodes.
	Acknowledged Outcome = "acknowledged"
	// Stale: it came too late, the lease belongs to another attempt or the task has
	// ended. It changed nothing.
	Stale Outcome = "stale"
	// Refused: it can not be taken, and changed nothing.
	Refused Outcome = "refused"
)

// Verdict is what a handler said of its task.
type Verdict string

// The verdicts: success, a failure that may be tried again, one that may not, and a
// task that was given back without a verdict.
const (
	VerdictCompleted Verdict = "completed"
	VerdictFailed    Verdict = "failed"
	VerdictTerminal  Verdict = "failed terminally"
	VerdictReturned  Verdict = "returned"
)

// Completion tells of a report and of its answer.
type Completion struct {
	Task, Execution string
	Type, Ref       string
	Attempt         int
	Lease           uint64
	Verdict         Verdict
	Output          string // JSON object, when completed
	Reason          string // when failed
	Outcome         Outcome
	At              Position // of an acknowledged report
}

// Task is one attempt at one step of an execution, leased to this worker.
type Task[In any] struct {
	ID, Execution string
	Name          string // of the task type
	Ref           string // reference name in the definition
	Definition    string
	Attempt       int // from 1
	Iteration     int // of the loop it is in
	Correlation   string
	// Lease is a fencing token: it only grows for one task. Store it with side
	// effects, and refuse those of a smaller one.
	Lease uint64
	Input In
}

// NewWorker gives a worker without handlers.
func NewWorker(c *Client, opts ...WorkerOption) *Worker {
	host, err := os.Hostname()
	if err != nil {
		host = "worker" // the name is for people
	}
	w := &Worker{client: c, handlers: make(map[string]*handler)}
	w.options = workerOptions{
		name: fmt.Sprintf("%s/%d", host, os.Getpid()), concurrency: defaultConcurrency, drain: defaultDrainTime,
	}
	for _, opt := range opts {
		opt.applyWorker(&w.options)
	}
	return w
}

// Handle makes w run f for the tasks of type name. It is called before Run and once
// for each name; otherwise it panics.
//
// What f returns becomes the task's output, or its failure: a plain error is tried
// again as the task type says, Terminal is not, Snooze asks for the same attempt
// later. A panic of f is a failure. An input that does not fit In, or an output that is
// no JSON object, fails terminally. While f runs its lease is renewed; when it is lost
// all the same, the context of f ends with ErrLeaseLost as its cause.
func Handle[In, Out any](w *Worker, name string, f func(context.Context, *Task[In]) (Out, error), opts ...TaskOption) {
	h := &handler{name: name, run: func(ctx context.Context, l *apiv1.LeasedTask) (string, error) {
		t := &Task[In]{
			ID: l.TaskId, Execution: l.ExecutionId, Name: l.Type, Ref: l.Ref, Definition: l.Definition,
			Attempt: int(l.Retry) + 1, Iteration: int(l.Iteration), Correlation: l.Correlation, Lease: l.Lease,
		}
		if err := fit(l.Input, &t.Input); err != nil {
			return "", Terminal(fmt.Errorf("input: %w", err))
		}
		out, err := f(ctx, t)
		if err != nil {
			return "", err
		}
		text, err := object(out)
		if err != nil {
			return "", Terminal(fmt.Errorf("output: %w", err))
		}
		return text, nil
	}}
	for _, opt := range opts {
		opt.applyTask(h)
	}
	w.add(h)
}

func (w *Worker) add(h *handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		panic("pawl: Handle after Run")
	}
	if w.handlers[h.name] != nil {
		panic("pawl: two handlers for task type " + h.name)
	}
	w.handlers[h.name] = h
}

// Run takes tasks and runs their handlers until ctx ends. Then it takes nothing new,
// gives back what has not begun, lets handlers finish within the drain time, and tells
// the cluster what became of them. A handler that stops with an error because its
// context ended with the drain time gives its task back for another worker.
//
// Run returns nil after such a stop. It fails when the cluster refuses the worker, and
// when handlers outlive the drain time: their tasks are handed out again once their
// leases have run out.
func (w *Worker) Run(ctx context.Context) error {
	lanes, err := w.lanes()
	if err != nil {
		return fmt.Errorf("run worker: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(lanes))
	var all sync.WaitGroup
	for i, l := range lanes {
		all.Go(func() {
			if errs[i] = l.run(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("run worker: %w", err)
	}
	return nil
}

// lanes groups the handlers by the room that they share. A node counts room by stream,
// so that each group needs its own.
func (w *Worker) lanes() ([]*lane, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		return nil, errors.New("called twice")
	}
	if len(w.handlers) == 0 {
		return nil, errors.New("no handlers")
	}
	w.running = true
	var lanes []*lane
	shared := newLane(w, w.options.concurrency)
	for _, h := range w.handlers {
		l := shared
		if h.concurrency > 0 {
			l = newLane(w, h.concurrency)
			lanes = append(lanes, l)
		}
		l.add(h, w.options.domain)
	}
	if len(shared.queues) > maxQueues {
		return nil, fmt.Errorf("%d task types share a stream; at most %d can", len(shared.queues), maxQueues)
	}
	if len(shared.queues) > 0 {
		lanes = append(lanes, shared)
	}
	return lanes, nil
}

type terminalError struct{ err error }

func (e *terminalError) Error() string { return e.err.Error() }
func (e *terminalError) Unwrap() error { return e.err }

// Terminal makes err a failure that is not tried again. Terminal(nil) is nil.
func Terminal(err error) error {
	if err == nil {
		return nil
	}
	return &terminalError{err}
}

type snoozeError struct{ wait time.Duration }

func (e *snoozeError) Error() string { return "snoozed for " + e.wait.String() }

// Snooze asks for the same attempt again after d, in whole seconds. It is no failure
// and uses up no attempt.
func Snooze(d time.Duration) error { return &snoozeError{max(d, 0)} }

// ErrAbandon makes the worker forget a task without a word to the cluster, as if it had
// died: the lease runs out and the task is handed out again. It is for trying out how
// a workflow bears that.
var ErrAbandon = errors.New("task abandoned")

// errDrained is the cause of the context of a handler that outlived the drain time.
var errDrained = errors.New("worker stops")

// validText makes a text fit into messages: they hold valid UTF-8 only.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	b := make([]rune, 0, len(s))
	for _, r := range s { // an invalid byte reads as U+FFFD
		b = append(b, r)
	}
	return string(b)
}
