package pawl

import (
	"context"
	"errors"
	"fmt"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// Verb is what Bulk does to executions. Each does what the method of its name does to
// one.
type Verb apiv1.BulkExecutionsRequest_Verb

// The verbs.
const (
	PauseVerb           = Verb(apiv1.BulkExecutionsRequest_PAUSE)
	ResumeVerb          = Verb(apiv1.BulkExecutionsRequest_RESUME)
	RestartVerb         = Verb(apiv1.BulkExecutionsRequest_RESTART)
	RetryVerb           = Verb(apiv1.BulkExecutionsRequest_RETRY)
	RerunVerb           = Verb(apiv1.BulkExecutionsRequest_RERUN)
	SkipVerb            = Verb(apiv1.BulkExecutionsRequest_SKIP)
	JumpVerb            = Verb(apiv1.BulkExecutionsRequest_JUMP)
	TerminateVerb       = Verb(apiv1.BulkExecutionsRequest_TERMINATE)
	SetVariablesVerb    = Verb(apiv1.BulkExecutionsRequest_SET_VARIABLES)
	ResetCallbacksVerb  = Verb(apiv1.BulkExecutionsRequest_RESET_CALLBACKS)
	DecideVerb          = Verb(apiv1.BulkExecutionsRequest_DECIDE)
	DeleteVerb          = Verb(apiv1.BulkExecutionsRequest_DELETE)
	TerminateDeleteVerb = Verb(apiv1.BulkExecutionsRequest_TERMINATE_DELETE)
)

// verbOptions is what options say, for one execution or for many.
type verbOptions struct {
	apiv1.BulkExecutionsRequest
	task, taskInput string
	err             error
}

// VerbOption says how a verb is to be done. One that does not belong to the verb says
// nothing.
type VerbOption func(*verbOptions)

// WithReason says why executions are terminated.
func WithReason(text string) VerbOption { return func(o *verbOptions) { o.Reason = text } }

// WithFailureWorkflow starts the failure workflow of what is terminated, as a failure
// would.
func WithFailureWorkflow() VerbOption {
	return func(o *verbOptions) { o.TriggerFailureWorkflow = true }
}

// WithLatestDefinition restarts with the newest version of the definition.
func WithLatestDefinition() VerbOption { return func(o *verbOptions) { o.Latest = true } }

// WithResumedChildren retries inside children that failed instead of starting new ones.
func WithResumedChildren() VerbOption { return func(o *verbOptions) { o.ResumeSubworkflows = true } }

// FromTask reruns from a task, of the execution or of one below it, instead of from the
// first step. It is for one execution.
func FromTask(id string) VerbOption { return func(o *verbOptions) { o.task = id } }

// WithTaskInput gives the task that FromTask names another input.
func WithTaskInput(in any) VerbOption {
	return func(o *verbOptions) { o.taskInput = o.object("task input", in) }
}

// WithInput gives another input: to the execution by Rerun, to the step by Skip and Jump;
// the variables by SetVariables.
func WithInput(in any) VerbOption {
	return func(o *verbOptions) { o.Input = o.object("input", in) }
}

// WithOutput gives the output that a skipped step shows.
func WithOutput(out any) VerbOption {
	return func(o *verbOptions) { o.Output = o.object("output", out) }
}

// WithRef names the step that Skip and Jump are about.
func WithRef(ref string) VerbOption { return func(o *verbOptions) { o.Ref = ref } }

// WithNewCorrelation gives what is rerun another correlation id.
func WithNewCorrelation(text string) VerbOption { return func(o *verbOptions) { o.Correlation = text } }

// WithAppend adds to variables that are lists instead of replacing them.
func WithAppend() VerbOption { return func(o *verbOptions) { o.Append = true } }

// WithForce deletes executions that have not ended too.
func WithForce() VerbOption { return func(o *verbOptions) { o.Force = true } }

func (o *verbOptions) object(what string, v any) string {
	text, err := object(v)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%s: %w", what, err)
	}
	return text
}

func optionsOf(opts []VerbOption) *verbOptions {
	o := &verbOptions{}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// BulkResult is what became of one execution of a Bulk.
type BulkResult struct {
	ID string
	// Err is nil when the verb was done, else an *Error as the call for one execution
	// would have failed with.
	Err error
}

// Bulk does one verb to at most 1,000 executions. Each is judged for itself; the results
// stand in the order of ids. The error is that of the call: when it is set, nothing is
// known of any execution beyond what the error says.
func (c *Client) Bulk(ctx context.Context, verb Verb, ids []string, opts ...VerbOption) ([]BulkResult, error) {
	o := optionsOf(opts)
	if o.task != "" || o.taskInput != "" {
		o.err = errors.Join(o.err, errors.New("a task belongs to one execution: rerun it with Rerun"))
	}
	if o.err != nil {
		return nil, fmt.Errorf("bulk: %w", o.err)
	}
	o.Verb, o.ExecutionIds = apiv1.BulkExecutionsRequest_Verb(verb), ids
	resp, err := c.executions.Bulk(ctx, &o.BulkExecutionsRequest)
	if err != nil {
		return nil, fmt.Errorf("bulk: %w", err)
	}
	results := make([]BulkResult, len(resp.Results))
	for i, r := range resp.Results {
		results[i].ID = r.ExecutionId
		if r.Error != nil {
			results[i].Err = fromDetail(r.Error, nil)
		}
	}
	return results, nil
}

// did gives a failed call its context.
func (e *Execution[Out]) did(verb string, err error) error {
	if err != nil {
		return fmt.Errorf("%s execution %s: %w", verb, e.ID, err)
	}
	return nil
}

// Terminate ends the execution and its children. One that has completed is
// ErrConflict; doing it again is a success.
func (e *Execution[Out]) Terminate(ctx context.Context, reason string, opts ...VerbOption) error {
	o := optionsOf(opts)
	_, err := e.client.executions.Terminate(ctx, &apiv1.TerminateExecutionRequest{
		ExecutionId: e.ID, Reason: reason, TriggerFailureWorkflow: o.TriggerFailureWorkflow,
	})
	return e.did("terminate", err)
}

// Pause stops the execution from making further tasks; those under way may finish.
func (e *Execution[Out]) Pause(ctx context.Context) error {
	_, err := e.client.executions.Pause(ctx, &apiv1.PauseExecutionRequest{ExecutionId: e.ID})
	return e.did("pause", err)
}

// Resume lets a paused execution go on. One that is not paused is ErrConflict.
func (e *Execution[Out]) Resume(ctx context.Context) error {
	_, err := e.client.executions.Resume(ctx, &apiv1.ResumeExecutionRequest{ExecutionId: e.ID})
	return e.did("resume", err)
}

// Restart runs the execution, which has ended, from its first step with its input;
// WithLatestDefinition is an option. While it runs it is ErrConflict.
func (e *Execution[Out]) Restart(ctx context.Context, opts ...VerbOption) error {
	o := optionsOf(opts)
	_, err := e.client.executions.Restart(ctx, &apiv1.RestartExecutionRequest{ExecutionId: e.ID, Latest: o.Latest})
	return e.did("restart", err)
}

// Retry gives the failed steps of the execution, which has ended, a further attempt each;
// WithResumedChildren is an option. While it runs, and when nothing has failed, it is
// ErrConflict.
func (e *Execution[Out]) Retry(ctx context.Context, opts ...VerbOption) error {
	o := optionsOf(opts)
	_, err := e.client.executions.Retry(ctx, &apiv1.RetryExecutionRequest{ExecutionId: e.ID, ResumeSubworkflows: o.ResumeSubworkflows})
	return e.did("retry", err)
}

// Rerun runs the execution, which has ended, again: from its first step, or FromTask, what
// came after which goes. WithTaskInput, WithInput and WithNewCorrelation are options.
// While it runs it is ErrConflict.
func (e *Execution[Out]) Rerun(ctx context.Context, opts ...VerbOption) error {
	o := optionsOf(opts)
	err := o.err
	if err == nil {
		_, err = e.client.executions.Rerun(ctx, &apiv1.RerunExecutionRequest{
			ExecutionId: e.ID, TaskId: o.task, TaskInput: o.taskInput, WorkflowInput: o.Input, Correlation: o.Correlation,
		})
	}
	return e.did("rerun", err)
}

// Skip lets the execution pass over a step that it has not come to; WithInput and
// WithOutput say what the skipped task shows. Otherwise it is ErrConflict.
func (e *Execution[Out]) Skip(ctx context.Context, ref string, opts ...VerbOption) error {
	o := optionsOf(opts)
	err := o.err
	if err == nil {
		_, err = e.client.executions.Skip(ctx, &apiv1.SkipExecutionRequest{ExecutionId: e.ID, Ref: ref, Input: o.Input, Output: o.Output})
	}
	return e.did("skip "+ref+" of", err)
}

// Jump lets the execution go on at a step of its main line that it has not come to: what
// is open is canceled, the steps between are skipped. WithInput gives the step an input of
// its own.
func (e *Execution[Out]) Jump(ctx context.Context, ref string, opts ...VerbOption) error {
	o := optionsOf(opts)
	err := o.err
	if err == nil {
		_, err = e.client.executions.Jump(ctx, &apiv1.JumpExecutionRequest{ExecutionId: e.ID, Ref: ref, Input: o.Input})
	}
	return e.did("jump to "+ref+" in", err)
}

// SetVariables writes variables, by top-level key; WithAppend is an option. Once the
// execution has ended it is ErrConflict.
func (e *Execution[Out]) SetVariables(ctx context.Context, variables any, opts ...VerbOption) error {
	o := optionsOf(opts)
	text, err := object(variables)
	if err == nil {
		_, err = e.client.executions.SetVariables(ctx, &apiv1.SetExecutionVariablesRequest{ExecutionId: e.ID, Variables: text, Append: o.Append})
	}
	return e.did("set variables of", err)
}

// ResetCallbacks makes tasks ready at once that were handed back for later.
func (e *Execution[Out]) ResetCallbacks(ctx context.Context) error {
	_, err := e.client.executions.ResetCallbacks(ctx, &apiv1.ResetExecutionCallbacksRequest{ExecutionId: e.ID})
	return e.did("reset callbacks of", err)
}

// Decide lets the execution go on as far as it can, which it does by itself.
func (e *Execution[Out]) Decide(ctx context.Context) error {
	_, err := e.client.executions.Decide(ctx, &apiv1.DecideExecutionRequest{ExecutionId: e.ID})
	return e.did("decide", err)
}

// Delete removes the execution with all its tasks. One that has not ended is ErrConflict,
// unless WithForce is given.
func (e *Execution[Out]) Delete(ctx context.Context, opts ...VerbOption) error {
	o := optionsOf(opts)
	_, err := e.client.executions.Delete(ctx, &apiv1.DeleteExecutionRequest{ExecutionId: e.ID, Force: o.Force})
	return e.did("delete", err)
}

// CompleteTask ends the newest open task of a reference name from outside, whoever works
// on it. The output is merged over what the task has.
func (e *Execution[Out]) CompleteTask(ctx context.Context, ref string, output any) error {
	text, err := object(output)
	if err == nil {
		err = e.update(ctx, &apiv1.UpdateTaskRequest{Ref: ref, Status: apiv1.Task_COMPLETED, Output: text})
	}
	return e.did("complete "+ref+" of", err)
}

// FailTask ends the newest open task of a reference name from outside without success. A
// reason that is Terminal lets no further attempt follow.
func (e *Execution[Out]) FailTask(ctx context.Context, ref string, reason error) error {
	status := apiv1.Task_FAILED
	var last *terminalError
	if errors.As(reason, &last) {
		status = apiv1.Task_FAILED_WITH_TERMINAL_ERROR
	}
	return e.did("fail "+ref+" of", e.update(ctx, &apiv1.UpdateTaskRequest{Ref: ref, Status: status, Reason: reason.Error()}))
}

func (e *Execution[Out]) update(ctx context.Context, req *apiv1.UpdateTaskRequest) error {
	req.ExecutionId = e.ID
	_, err := e.client.tasks.Update(ctx, req)
	return err
}
