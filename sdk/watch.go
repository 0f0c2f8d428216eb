package pawl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// StateChange is the Kind of a Change that tells what is: at the beginning of a watch, and
// after changes were missed.
const StateChange = "state"

// Change is one thing that happened in an execution that is watched.
type Change struct {
	// Kind is a stable word of the API, such as task_completed, or StateChange.
	Kind string
	At   Position
	Time time.Time // cluster time; zero for StateChange
	// Status is that of the execution, empty when the change is not of its status.
	Status Status
	// Task, Ref and TaskStatus tell of the task, when the change is of one.
	Task, Ref, TaskStatus string
	Retry                 int // attempts before it
	Reason                string
}

// Watch gives what changes in the execution until it ends: first its state and that of its
// tasks, as StateChange, then each change as it comes. It goes on through changes of the
// leader and at other nodes; what was missed meanwhile comes as StateChange of whatever is
// different. The change that the execution ends with is the last. An error is the last
// too: ErrNotFound, or that of ctx.
func (e *Execution[Out]) Watch(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		w := &watching{client: e.client, id: e.ID, at: e.At, tasks: make(map[string]apiv1.Task_Status), yield: yield}
		pause := backoff{first: reconnectFirst, most: reconnectMost}
		for {
			heard, err := w.follow(ctx)
			if w.over {
				return
			}
			if heard {
				pause.reset()
			}
			var broken *Error
			if err == nil || errors.As(err, &broken) && broken.passes() {
				err = sleep(ctx, pause.next(0))
			}
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(Change{}, fmt.Errorf("watch execution %s: %w", e.ID, err))
				return
			}
		}
	}
}

// watching is a watch over all its streams.
type watching struct {
	client *Client
	id     string
	at     Position
	status apiv1.Execution_Status
	tasks  map[string]apiv1.Task_Status // as last told
	yield  func(Change, error) bool
	over   bool // nothing more is wanted, or to be told
}

// follow reads one stream to its end, and reports whether it told anything.
func (w *watching) follow(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := w.client.executions.Watch(ctx, &apiv1.WatchExecutionRequest{ExecutionId: w.id, AtLeast: string(w.at)})
	if err != nil {
		return false, err
	}
	defer conn.Close()
	for conn.Receive() {
		heard = true
		w.tell(conn.Msg())
		if w.over || conn.Msg().GoElsewhere != nil {
			return heard, nil
		}
	}
	if err := conn.Err(); err != nil && !errors.Is(err, io.EOF) {
		return heard, err
	}
	return heard, nil
}

// tell gives what a message says that has not been said.
func (w *watching) tell(m *apiv1.WatchExecutionResponse) {
	if m.Position != "" {
		w.at = Position(m.Position)
	}
	if x := m.Execution; x != nil && x.Status != w.status && len(m.Changes) == 0 {
		w.status = x.Status
		w.give(Change{Kind: StateChange, Status: Status(x.Status.String()), Reason: x.Reason})
	}
	for _, t := range m.Tasks {
		if w.tasks[t.Id] != t.Status {
			w.tasks[t.Id] = t.Status
			w.give(Change{Kind: StateChange, Task: t.Id, Ref: t.Ref, TaskStatus: t.Status.String(), Retry: int(t.Retry), Reason: t.Reason})
		}
	}
	for _, c := range m.Changes {
		d := Change{Kind: c.Kind, Time: c.Time.AsTime(), Task: c.TaskId, Ref: c.Ref, Retry: int(c.Retry), Reason: c.Reason}
		if c.Status != 0 {
			w.status, d.Status = c.Status, Status(c.Status.String())
		}
		if c.TaskId != "" {
			w.tasks[c.TaskId], d.TaskStatus = c.TaskStatus, c.TaskStatus.String()
		}
		w.give(d)
	}
	if m.Ended {
		if m.Execution == nil && len(m.Changes) == 0 {
			w.give(Change{Kind: "execution_deleted"})
		}
		w.over = true
	}
}

func (w *watching) give(c Change) {
	c.At = w.at
	if !w.over { // a loop that was left is not entered again
		w.over = !w.yield(c, nil)
	}
}
