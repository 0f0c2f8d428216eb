package transport

import (
	"context"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const (
	// maxWatchers bounds those who watch executions at a node. Each has a buffer.
	maxWatchers = 1 << 12
	// maxChanges bounds the changes that are kept for one who reads slowly: beyond, it is
	// told that some are missing, and what is. At some hundred bytes each it takes little.
	maxChanges = 512
)

// change is an event and the entry that it is of.
type change struct {
	fsm.Event
	index uint64
	time  fsm.Millis
}

// watcher is one who is told of the changes of an execution.
type watcher struct {
	exec fsm.ExecID
	wake chan struct{} // has room for one token: there is something to take

	mu      sync.Mutex
	changes []change
	lapped  bool // some are missing
}

// watchers knows who watches which execution. It is told of the entries that this node
// applies.
type watchers struct {
	mu   sync.Mutex
	by   map[fsm.ExecID][]*watcher
	size int
	seen uint64 // index up to which changes have been told
}

// add registers a watcher of an execution, who is told of every entry behind seen.
func (ws *watchers) add(id fsm.ExecID) (w *watcher, seen uint64, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.size >= maxWatchers {
		return nil, 0, &fsm.OverloadedError{Reason: "too many clients watch executions", RetryAfter: retrySoon}
	}
	w = &watcher{exec: id, wake: make(chan struct{}, 1)}
	if ws.by == nil {
		ws.by = make(map[fsm.ExecID][]*watcher)
	}
	ws.by[id] = append(ws.by[id], w)
	ws.size++
	return w, ws.seen, nil
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	list := ws.by[w.exec]
	for i, other := range list {
		if other == w {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			ws.size--
			break
		}
	}
	if ws.by[w.exec] = list; len(list) == 0 {
		delete(ws.by, w.exec)
	}
}

// tell gives the events of an entry to those who watch. It costs nothing while nobody
// does.
func (ws *watchers) tell(b *fsm.Batch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.seen = b.Index
	if ws.size == 0 {
		return
	}
	for i := range b.Applied.Events {
		e := &b.Applied.Events[i]
		for _, w := range ws.by[e.Exec] {
			w.put(change{*e, b.Index, b.Time})
		}
	}
}

// lap tells all watchers that they have missed something, and that they are told of what
// comes behind index.
func (ws *watchers) lap(index uint64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.seen = max(ws.seen, index)
	for _, list := range ws.by {
		for _, w := range list {
			w.mu.Lock()
			w.changes, w.lapped = nil, true
			w.mu.Unlock()
			token(w.wake)
		}
	}
}

func (w *watcher) put(c change) {
	if word(c.Kind) == "" || strings.HasPrefix(string(c.Queue), "$") { // how a job is done is nobody's business
		return
	}
	w.mu.Lock()
	if len(w.changes) == maxChanges {
		w.changes, w.lapped = w.changes[:0], true
	}
	w.changes = append(w.changes, c)
	w.mu.Unlock()
	token(w.wake)
}

// take gives the changes since the last call, and whether some before them are missing.
func (w *watcher) take() (changes []change, lapped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes, lapped = w.changes, w.lapped
	w.changes, w.lapped = nil, false
	return changes, lapped
}

// words are what clients know the events of an execution by.
var words = [...]string{
	fsm.ExecutionStarted:        "execution_started",
	fsm.ExecutionPaused:         "execution_paused",
	fsm.ExecutionResumed:        "execution_resumed",
	fsm.ExecutionCompleted:      "execution_completed",
	fsm.ExecutionFailed:         "execution_failed",
	fsm.ExecutionTimedOut:       "execution_timed_out",
	fsm.ExecutionTerminated:     "execution_terminated",
	fsm.TaskScheduled:           "task_scheduled",
	fsm.TaskReady:               "task_ready",
	fsm.TaskLeased:              "task_leased",
	fsm.TaskProgressed:          "task_progressed",
	fsm.TaskReturned:            "task_returned",
	fsm.TaskCompleted:           "task_completed",
	fsm.TaskCompletedWithErrors: "task_completed_with_errors",
	fsm.TaskFailed:              "task_failed",
	fsm.TaskTimedOut:            "task_timed_out",
	fsm.TaskCanceled:            "task_canceled",
	fsm.LoopIteration:           "loop_iteration",
	fsm.SignalReceived:          "signal_received",
	fsm.ExecutionBlocked:        "execution_blocked",
	fsm.ExecutionFaulted:        "execution_faulted",
	fsm.ExecutionRestarted:      "execution_restarted",
	fsm.ExecutionRetried:        "execution_retried",
	fsm.ExecutionReran:          "execution_reran",
	fsm.ExecutionRevived:        "execution_revived",
	fsm.ExecutionJumped:         "execution_jumped",
	fsm.ExecutionDeleted:        "execution_deleted",
	fsm.VariablesSet:            "variables_set",
	fsm.TaskSkipped:             "task_skipped",
	fsm.TaskReopened:            "task_reopened",
	fsm.ExecutionParked:         "execution_parked",
}

// word is empty for an event that is of no execution.
func word(k fsm.EventKind) string {
	if int(k) < len(words) {
		return words[k]
	}
	return ""
}

type watchConn = connect.ServerStream[apiv1.WatchExecutionResponse]

// watch is one stream of an execution's changes.
type watch struct {
	s    *Server
	conn *watchConn
	w    *watcher
	seen uint64 // index up to which the client knows everything
}

// Watch tells the changes of an execution until it ends.
func (x *executions) Watch(ctx context.Context, req *apiv1.WatchExecutionRequest, conn *watchConn) error {
	id, err := execID("executionId", req.ExecutionId)
	if err != nil {
		return readError(err)
	}
	if x.s.isDraining() {
		return readError(errDraining)
	}
	if req.AtLeast != "" {
		if _, err := x.s.viewAt(ctx, "atLeast", req.AtLeast); err != nil {
			return err
		}
	}
	w, v, err := x.s.watch(ctx, id)
	if err != nil {
		return readError(x.s.noted(err))
	}
	defer x.s.waiters.watchers.remove(w)
	one := &watch{s: x.s, conn: conn, w: w}
	if ended, err := one.state(v, false); ended || err != nil {
		return err
	}
	return one.follow(ctx)
}

// watch registers a watcher of an execution and gives a view that has all that it is not
// told of. Whoever calls removes the watcher.
func (s *Server) watch(ctx context.Context, id fsm.ExecID) (*watcher, fsm.View, error) {
	w, seen, err := s.waiters.watchers.add(id)
	if err != nil {
		return nil, fsm.View{}, err
	}
	v, err := s.waiters.viewAt(ctx, seen)
	if _, ok := v.Execution(id); err == nil && !ok { // the leader may have it
		v, err = s.deps.Views.Linearizable(ctx)
		if _, ok := v.Execution(id); err == nil && !ok {
			err = notFound("execution", id.String())
		}
	}
	if err != nil {
		s.waiters.watchers.remove(w)
		return nil, v, err
	}
	return w, v, nil
}

func (o *watch) follow(ctx context.Context) error {
	for {
		select {
		case <-o.w.wake:
		case <-ctx.Done():
			return readError(ctx.Err())
		case <-o.s.draining:
			return o.conn.Send(&apiv1.WatchExecutionResponse{GoElsewhere: o.s.elsewhere()})
		}
		changes, lapped := o.w.take()
		ended, err := o.send(ctx, changes, lapped)
		if ended || err != nil {
			return err
		}
	}
}

// send tells what was taken, and reports whether the execution has ended.
func (o *watch) send(ctx context.Context, changes []change, lapped bool) (ended bool, err error) {
	index := o.seen
	if n := len(changes); n > 0 {
		index = max(index, changes[n-1].index)
	}
	v, err := o.s.waiters.viewAt(ctx, index)
	if err != nil {
		return false, readError(o.s.noted(err))
	}
	if lapped {
		return o.state(v, true)
	}
	msg := &apiv1.WatchExecutionResponse{}
	over := false
	for i := range changes {
		if c := &changes[i]; c.index > o.seen {
			msg.Changes = append(msg.Changes, shownChange(c))
			over = over || c.Kind == fsm.ExecutionDeleted || c.Serial == 0 && c.Status.Terminal()
		}
	}
	if len(msg.Changes) == 0 {
		return false, nil
	}
	o.seen = index
	msg.Position = fsm.Position{Incarnation: v.Incarnation(), Index: index}.String()
	if over {
		if info, ok := v.Execution(o.w.exec); !ok {
			msg.Ended = true // deleted
		} else if info.Status.Terminal() { // else a verb has let it go on since
			msg.Ended, msg.Execution, msg.Position = true, execution(&info), position(v).String()
		}
	}
	return msg.Ended, o.conn.Send(msg)
}

// state tells what is, and reports whether the execution has ended.
func (o *watch) state(v fsm.View, gap bool) (ended bool, err error) {
	o.seen = v.Index()
	at := position(v).String()
	info, ok := v.Execution(o.w.exec)
	if !ok {
		return true, o.conn.Send(&apiv1.WatchExecutionResponse{Gap: gap, Ended: true, Position: at})
	}
	x := execution(&info)
	if ended = info.Status.Terminal(); !ended {
		x.Input, x.Output, x.Variables = "", "", ""
	}
	q := fsm.Query{Where: "workflowId = '" + o.w.exec.String() + "'", Limit: maxTasks}
	for {
		page, err := v.SearchTasks(q)
		if err != nil {
			return false, readError(o.s.noted(err))
		}
		msg := &apiv1.WatchExecutionResponse{Execution: x, Gap: gap, Position: at, More: page.Next != ""}
		msg.Ended = ended && !msg.More
		for i := range page.Items {
			msg.Tasks = append(msg.Tasks, task(&page.Items[i].TaskInfo))
		}
		if err := o.conn.Send(msg); err != nil || !msg.More {
			return ended, err
		}
		q.After = page.Next
	}
}

func shownChange(c *change) *apiv1.ExecutionChange {
	m := &apiv1.ExecutionChange{
		Kind: word(c.Kind), Time: timestamppb.New(time.UnixMilli(int64(c.time))), Reason: validText(c.Reason),
	}
	if c.Serial == 0 {
		m.Status = apiv1.Execution_Status(c.Status)
		return m
	}
	m.TaskId = fsm.TaskID{Exec: c.Exec, Serial: c.Serial}.String()
	m.Ref, m.TaskStatus, m.Retry, m.Retries = c.Ref, apiv1.Task_Status(c.Task), c.Retry, c.Retries
	m.DelayMillis, m.Queue = int64(c.Delay), string(c.Queue)
	return m
}
