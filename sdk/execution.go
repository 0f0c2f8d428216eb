package pawl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// waitTime is how long one call of Wait waits; then it is made anew. Proxies close
// what is silent for a minute.
const waitTime = 30 * time.Second

// Position is a point in the history of the cluster, opaque. Handed to a read it makes
// that read include everything up to there, on any node.
type Position string

// Status is the state of an execution.
type Status string

// The states of an execution; the last four are ends.
const (
	Running    Status = "RUNNING"
	Paused     Status = "PAUSED"
	Completed  Status = "COMPLETED"
	Failed     Status = "FAILED"
	TimedOut   Status = "TIMED_OUT"
	Terminated Status = "TERMINATED"
)

// Definition names a workflow together with the types of its input and output, which
// are structs or maps: payloads are JSON objects. It is a value; keep it in a package
// variable.
type Definition[In, Out any] struct {
	Name    string
	Version int // 0: the newest
}

// Execution is one run of a definition. It is safe for concurrent use.
type Execution[Out any] struct {
	ID string
	// At is the position of the start; empty when the execution was only named.
	At Position
	// Existing says that Start found it: its key had been used.
	Existing bool

	client *Client
}

// ExecutionError is the end of an execution that did not complete.
type ExecutionError struct {
	Execution string
	Status    Status
	// Task is the id of the task whose failure ended it, if one did.
	Task   string
	Reason string
}

// Error says how the execution ended and why.
func (e *ExecutionError) Error() string {
	return fmt.Sprintf("execution %s: %s: %s", e.Execution, e.Status, e.Reason)
}

// StartOption configures a start.
type StartOption func(*apiv1.StartExecutionRequest)

// WithKey makes the start idempotent beyond this call: a second start of the same
// definition with the same key is ErrAlreadyExists, unless another option says
// otherwise.
func WithKey(key string) StartOption {
	return func(r *apiv1.StartExecutionRequest) { r.Key = key }
}

// WithReturnExisting answers a start whose key is taken with the execution that has it.
func WithReturnExisting() StartOption {
	return func(r *apiv1.StartExecutionRequest) {
		r.Strategy = apiv1.StartExecutionRequest_RETURN_EXISTING
	}
}

// WithKeyFreeAtEnd refuses a start whose key is taken only while the execution that
// has it runs.
func WithKeyFreeAtEnd() StartOption {
	return func(r *apiv1.StartExecutionRequest) {
		r.Strategy = apiv1.StartExecutionRequest_FAIL_ON_RUNNING
	}
}

// WithPriority orders tasks in queues: 0, the lowest, to 99.
func WithPriority(p int) StartOption {
	return func(r *apiv1.StartExecutionRequest) { r.Priority = int32(p) } //nolint:gosec // refused by the cluster
}

// WithCorrelation adds a text to find the execution by; it need not be unique.
func WithCorrelation(text string) StartOption {
	return func(r *apiv1.StartExecutionRequest) { r.Correlation = text }
}

// WithTaskDomain sends tasks of a type, or "*" for all, to the workers of a domain.
func WithTaskDomain(taskType, domain string) StartOption {
	return func(r *apiv1.StartExecutionRequest) {
		if r.TaskToDomain == nil {
			r.TaskToDomain = make(map[string]string)
		}
		r.TaskToDomain[taskType] = domain
	}
}

// WithCreatedBy notes who started the execution.
func WithCreatedBy(who string) StartOption {
	return func(r *apiv1.StartExecutionRequest) { r.CreatedBy = who }
}

// Start starts an execution and answers when the start is durable on a majority of
// nodes. After ErrUnknownOutcome it may run; with WithKey and WithReturnExisting the
// same start can then be made again.
func (d Definition[In, Out]) Start(ctx context.Context, c *Client, in In, opts ...StartOption) (*Execution[Out], error) {
	input, err := object(in)
	if err != nil {
		return nil, fmt.Errorf("start %s: input: %w", d.Name, err)
	}
	req := startRequest(d.Name, d.Version, input, opts)
	resp, err := c.executions.Start(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", d.Name, err)
	}
	return &Execution[Out]{ID: resp.ExecutionId, At: Position(resp.Position), Existing: resp.Existing, client: c}, nil
}

func startRequest(name string, version int, input string, opts []StartOption) *apiv1.StartExecutionRequest {
	req := &apiv1.StartExecutionRequest{Name: name, Version: int32(version), Input: input} //nolint:gosec // refused by the cluster
	for _, opt := range opts {
		opt(req)
	}
	return req
}

// Execution names an execution that was started elsewhere. It makes no call.
func (d Definition[In, Out]) Execution(c *Client, id string) *Execution[Out] {
	return &Execution[Out]{ID: id, client: c}
}

// Wait waits until the execution has ended and gives its output, or *ExecutionError
// when it did not complete. It goes on through changes of the leader until ctx ends.
func (e *Execution[Out]) Wait(ctx context.Context) (Out, error) {
	var out Out
	resp, err := e.until(ctx, nil)
	if err != nil {
		return out, fmt.Errorf("wait for execution %s: %w", e.ID, err)
	}
	x := resp.Execution
	if x.Status != apiv1.Execution_COMPLETED {
		return out, &ExecutionError{Execution: e.ID, Status: Status(x.Status.String()), Task: x.FailedTaskId, Reason: x.Reason}
	}
	if err := fit(x.Output, &out); err != nil {
		return out, fmt.Errorf("output of execution %s: %w", e.ID, err)
	}
	return out, nil
}

// Reached is a task that was waited for. A task that failed may be all that is there.
type Reached struct {
	ID, Ref, Status string
	Output          []byte // JSON object
	Reason          string
}

// WaitFor waits until a task of one of these reference names has ended and is not tried
// again, and gives the first; nil when the execution has ended before. In a loop a name
// stands for each iteration. It goes on through changes of the leader until ctx ends.
func (e *Execution[Out]) WaitFor(ctx context.Context, refs ...string) (*Reached, error) {
	resp, err := e.until(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("wait for %s of execution %s: %w", strings.Join(refs, ", "), e.ID, err)
	}
	t := resp.Reached
	if t == nil {
		return nil, nil
	}
	return &Reached{ID: t.Id, Ref: t.Ref, Status: t.Status.String(), Output: []byte(t.Output), Reason: t.Reason}, nil
}

// until waits for the end, or for a task of these names.
func (e *Execution[Out]) until(ctx context.Context, refs []string) (*apiv1.WaitExecutionResponse, error) {
	req := &apiv1.WaitExecutionRequest{
		ExecutionId: e.ID, AtLeast: string(e.At), TimeoutMillis: int32(waitTime / time.Millisecond), UntilRefs: refs,
	}
	pause := backoff{first: pauseFirst, most: pauseMost}
	for {
		began := time.Now()
		resp, err := e.client.executions.Wait(ctx, req)
		if err == nil && (resp.Ended || resp.Reached != nil) {
			return resp, nil
		}
		if err != nil && (ctx.Err() != nil || !errors.Is(err, ErrUnavailable)) {
			return nil, err
		}
		if time.Since(began) > waitTime/2 {
			pause.reset()
			continue
		}
		// A node that is about to stop answers at once.
		if err := sleep(ctx, pause.next(0)); err != nil {
			return nil, err
		}
	}
}

// Signal ends the first open WAIT of the execution or of its running children: the
// one of that reference name, or any when ref is empty. payload is the output of the
// WAIT; nil is the empty object. When nothing waits it is ErrConflict.
func (e *Execution[Out]) Signal(ctx context.Context, ref string, payload any) error {
	output, err := object(payload)
	if err == nil {
		_, err = e.client.executions.Signal(ctx, &apiv1.SignalExecutionRequest{ExecutionId: e.ID, Ref: ref, Output: output})
	}
	if err != nil {
		return fmt.Errorf("signal execution %s: %w", e.ID, err)
	}
	return nil
}

// Message gives the execution a message, a JSON object, for its PULL_WORKFLOW_MESSAGES
// tasks, and answers with its id. Once the execution has ended it is ErrConflict; while it
// keeps as many as it may, ErrOverloaded.
func (e *Execution[Out]) Message(ctx context.Context, body any) (string, error) {
	text, err := object(body)
	if err != nil {
		return "", e.did("message to", err)
	}
	resp, err := e.client.executions.PushMessage(ctx, &apiv1.PushMessageRequest{ExecutionId: e.ID, Body: text})
	return resp.GetMessageId(), e.did("message to", err)
}

// object encodes v as a JSON object; nil is the empty one.
func object(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	switch {
	case string(raw) == "null":
		return "{}", nil
	case raw[0] != '{':
		return "", fmt.Errorf("%T is not a JSON object", v)
	}
	return validText(string(raw)), nil
}

// fit decodes a JSON object into v and names the field that does not fit.
func fit(text string, v any) error {
	if text == "" {
		text = "{}"
	}
	err := json.Unmarshal([]byte(text), v)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return fmt.Errorf("field %s: %s does not fit into %s", mismatch.Field, mismatch.Value, mismatch.Type)
	}
	return err
}
