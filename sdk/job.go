package pawl

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// maxStack bounds what is told of the stack of a panic: the cluster keeps 500 bytes
// of a reason.
const maxStack = 400

// job is one leased task in the hands of the worker.
type job struct {
	task    *apiv1.LeasedTask
	handler *handler
	cancel  context.CancelCauseFunc

	// Guarded by the mutex of the lane.
	extending bool // a renewal is unanswered
	timer     *time.Timer
}

// renewal is how often the lease is renewed; 0: it needs none.
func (j *job) renewal() time.Duration {
	return time.Duration(j.task.ResponseMillis) * time.Millisecond / 2
}

// execute runs the handler and gives what to report, nil for nothing.
func (j *job) execute(ctx context.Context) *apiv1.Report {
	output, err := j.guarded(ctx)
	r := &apiv1.Report{TaskId: j.task.TaskId, Lease: j.task.Lease}
	var snooze *snoozeError
	switch {
	case err == nil && len(output) > maxOutput:
		r.What = failed(fmt.Errorf("output has %d bytes; at most %d are allowed", len(output), maxOutput), true)
	case err == nil:
		r.What = &apiv1.Report_Complete{Complete: &apiv1.CompleteReport{Output: output}}
	case errors.Is(err, ErrAbandon):
		return nil
	case errors.As(err, &snooze):
		seconds := (snooze.wait + time.Second - 1) / time.Second
		r.What = handBack(int32(min(seconds, 1<<31-1))) //nolint:gosec // bounded here
	case errors.Is(context.Cause(ctx), errDrained):
		r.What = handBack(0)
	default:
		var terminal *terminalError
		r.What = failed(err, errors.As(err, &terminal))
	}
	return r
}

// guarded runs the handler and turns a panic into an error.
func (j *job) guarded(ctx context.Context) (output string, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			stack := debug.Stack()
			err = fmt.Errorf("panic: %v\n%s", v, stack[:min(len(stack), maxStack)])
			return
		}
		err = errors.New("handler left its goroutine")
	}()
	output, err = j.handler.run(ctx, j.task)
	returned = true
	return output, err
}

func failed(err error, terminal bool) *apiv1.Report_Fail {
	return &apiv1.Report_Fail{Fail: &apiv1.FailReport{Reason: validText(err.Error()), Terminal: terminal}}
}

// handBack gives the lease back; the same attempt is handed out again.
func handBack(seconds int32) *apiv1.Report_Progress {
	return &apiv1.Report_Progress{Progress: &apiv1.ProgressReport{CallbackSeconds: seconds}}
}

// report is one report that the cluster has not answered for good.
type report struct {
	call uint64
	job  *job
	body *apiv1.Report

	// Guarded by the mutex of the lane.
	queued bool // to be sent on this stream
	sent   bool // unanswered on this stream
	pause  backoff
}

// extends reports whether it only renews a lease.
func (r *report) extends() bool {
	_, ok := r.body.What.(*apiv1.Report_Extend)
	return ok
}

// completion describes the report with its answer.
func (r *report) completion(outcome Outcome, at string) Completion {
	t := r.job.task
	c := Completion{
		Task: t.TaskId, Execution: t.ExecutionId, Type: t.Type, Ref: t.Ref,
		Attempt: int(t.Retry) + 1, Lease: t.Lease, Outcome: outcome, At: Position(at),
	}
	switch what := r.body.What.(type) {
	case *apiv1.Report_Complete:
		c.Verdict, c.Output = VerdictCompleted, what.Complete.Output
	case *apiv1.Report_Fail:
		c.Verdict, c.Reason = VerdictFailed, what.Fail.Reason
		if what.Fail.Terminal {
			c.Verdict = VerdictTerminal
		}
	default:
		c.Verdict = VerdictReturned
	}
	return c
}
