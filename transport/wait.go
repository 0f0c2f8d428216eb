package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// maxWaiters bounds the waiters of a node. At some hundred bytes each they take
	// little; clients that wait for more are better served by lists.
	maxWaiters = 1 << 17
	// keptEnds is how many ends are remembered, so that watching what has just started
	// needs no view: some seconds of a busy cluster.
	keptEnds = 1 << 14
	// reopenPause keeps a failing cursor from being opened in a tight loop.
	reopenPause = 50 * time.Millisecond
)

// waiters knows who waits for the end of which execution. It is woken by the entries
// that this node applies; an entry costs only the ends in it that are waited for.
type waiters struct {
	views Views

	mu   sync.Mutex
	by   map[fsm.ExecID][]*waiter
	size int
	seen uint64 // index up to which ends have been told
	ends recentEnds

	watchers watchers
}

// recentEnds remembers the ends in the entries behind floor.
type recentEnds struct {
	floor uint64
	ring  []recentEnd // a ring of keptEnds once it is full
	next  int
	at    map[fsm.ExecID]uint64
}

type recentEnd struct {
	exec  fsm.ExecID
	index uint64
}

func (r *recentEnds) reset(floor uint64) {
	*r = recentEnds{floor: floor, at: make(map[fsm.ExecID]uint64)}
}

func (r *recentEnds) add(id fsm.ExecID, index uint64) {
	e := recentEnd{id, index}
	r.at[id] = index
	if len(r.ring) < keptEnds {
		r.ring = append(r.ring, e)
		return
	}
	old := r.ring[r.next]
	if r.at[old.exec] == old.index {
		delete(r.at, old.exec)
	}
	r.floor = max(r.floor, old.index)
	r.ring[r.next] = e
	r.next = (r.next + 1) % keptEnds
}

// runs reports whether an execution that ran at index since surely has no end that was
// told. False says nothing.
func (r *recentEnds) runs(id fsm.ExecID, since uint64) bool {
	_, ended := r.at[id]
	return !ended && r.at != nil && since > r.floor
}

// waiter is told once when its execution has ended.
type waiter struct {
	exec fsm.ExecID
	// ended is called at most once, by any goroutine, and does not block.
	ended func(x *fsm.ExecutionInfo, at fsm.Position)
}

func newWaiters(v Views) *waiters {
	return &waiters{views: v, by: make(map[fsm.ExecID][]*waiter)}
}

// watch registers w, and tells it at once when the execution has ended already. It
// reports whether this node knows the execution; if not, w stays registered. since is
// an index at which the execution ran, 0 when none is known.
func (ws *waiters) watch(ctx context.Context, w *waiter, since uint64) (known bool, err error) {
	seen, runs, err := ws.add(w, since)
	if runs || err != nil {
		return runs, err
	}
	// Ends up to seen are not told any more, so the view must not be older.
	v, err := ws.viewAt(ctx, seen)
	if err != nil && ws.remove(w) {
		return false, err
	}
	return err != nil || ws.settle(w, v), nil
}

func (ws *waiters) add(w *waiter, since uint64) (seen uint64, runs bool, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.size >= maxWaiters {
		return 0, false, &fsm.OverloadedError{Reason: "too many clients wait for executions", RetryAfter: retrySoon}
	}
	ws.size++
	ws.by[w.exec] = append(ws.by[w.exec], w)
	return ws.seen, ws.ends.runs(w.exec, since), nil
}

// viewAt gives what the node has, waiting for index if an entry is known before its view.
func (ws *waiters) viewAt(ctx context.Context, index uint64) (fsm.View, error) {
	v, _ := ws.views.Stale()
	if v.Index() >= index {
		return v, nil
	}
	v, err := ws.views.AtLeast(ctx, fsm.Position{Incarnation: v.Incarnation(), Index: index})
	if err != nil {
		return v, fmt.Errorf("view of entry %d: %w", index, err)
	}
	return v, nil
}

// remove takes w out and reports whether it was still there: if not, ended has been or
// is being called.
func (ws *waiters) remove(w *waiter) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	list := ws.by[w.exec]
	for i, other := range list {
		if other == w {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			ws.keepLocked(w.exec, list[:len(list)-1])
			ws.size--
			return true
		}
	}
	return false
}

func (ws *waiters) keepLocked(id fsm.ExecID, list []*waiter) {
	if len(list) == 0 {
		delete(ws.by, id)
	} else {
		ws.by[id] = list
	}
}

// settle tells w when the execution has ended in v, and reports whether v has it.
func (ws *waiters) settle(w *waiter, v fsm.View) bool {
	x, ok := v.Execution(w.exec)
	if ok && x.Status.Terminal() && ws.remove(w) {
		w.ended(&x, position(v))
	}
	return ok
}

// mustExist asks the leader for an execution that this node does not know.
func (ws *waiters) mustExist(ctx context.Context, w *waiter) error {
	v, err := ws.views.Linearizable(ctx)
	if err != nil {
		return err
	}
	if !ws.settle(w, v) {
		return notFound("execution", w.exec.String())
	}
	return nil
}

// run wakes waiters until ctx ends. A cursor that fails is replaced by one that begins
// at the present; follow looks at what the old one missed.
func (ws *waiters) run(ctx context.Context, open func() (Events, error), log *slog.Logger) error {
	for {
		err := ws.follow(ctx, open)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, fsm.ErrLapped) {
			log.Warn("following applied entries anew", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(reopenPause):
		}
	}
}

func (ws *waiters) follow(ctx context.Context, open func() (Events, error)) error {
	events, err := open()
	if err != nil {
		return err
	}
	v, _ := ws.views.Stale()
	ws.recheck(v)
	ws.watchers.lap(v.Index())
	for {
		b, err := events.Next(ctx)
		if err != nil {
			return err
		}
		ws.watchers.tell(&b)
		if ids := ws.endedIn(&b); len(ids) > 0 {
			if err := ws.wake(ctx, b.Index, ids); err != nil {
				return err
			}
		}
	}
}

// endedIn lists the executions that ended in b and are waited for.
func (ws *waiters) endedIn(b *fsm.Batch) []fsm.ExecID {
	var ids []fsm.ExecID
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.seen = b.Index
	for i := range b.Applied.Events {
		switch e := &b.Applied.Events[i]; e.Kind {
		case fsm.ExecutionCompleted, fsm.ExecutionFailed, fsm.ExecutionTimedOut, fsm.ExecutionTerminated:
			ws.ends.add(e.Exec, b.Index)
			if _, waited := ws.by[e.Exec]; waited {
				ids = append(ids, e.Exec)
			}
		}
	}
	return ids
}

// wake tells those who wait for ids, from a view at or after index.
func (ws *waiters) wake(ctx context.Context, index uint64, ids []fsm.ExecID) error {
	v, err := ws.viewAt(ctx, index)
	if err != nil {
		return err
	}
	at := position(v)
	for _, id := range ids {
		x, ok := v.Execution(id)
		if !ok || !x.Status.Terminal() {
			continue
		}
		for _, w := range ws.take(id) {
			w.ended(&x, at)
		}
	}
	return nil
}

func (ws *waiters) take(id fsm.ExecID) []*waiter {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	list := ws.by[id]
	delete(ws.by, id)
	ws.size -= len(list)
	return list
}

// recheck looks at everything that is waited for, when a cursor has been opened before v
// was taken.
func (ws *waiters) recheck(v fsm.View) {
	ws.mu.Lock()
	ws.seen = max(ws.seen, v.Index())
	ws.ends.reset(v.Index())
	ids := make([]fsm.ExecID, 0, len(ws.by))
	for id := range ws.by {
		ids = append(ids, id)
	}
	ws.mu.Unlock()
	at := position(v)
	for _, id := range ids {
		if x, ok := v.Execution(id); ok && x.Status.Terminal() {
			for _, w := range ws.take(id) {
				w.ended(&x, at)
			}
		}
	}
}

// Ended waits until an execution has ended or ctx has, and gives the execution as it
// is then with the position of that state. An execution that does not exist is a
// fsm.Rejection (NotFound). While the execution runs, the end of ctx is no error: the
// status tells. Safe for many callers; it needs Run or Serve to be running.
func (s *Server) Ended(ctx context.Context, id fsm.ExecID) (fsm.ExecutionInfo, fsm.Position, error) {
	type end struct {
		x  *fsm.ExecutionInfo
		at fsm.Position
	}
	told := make(chan end, 1)
	w := &waiter{exec: id, ended: func(x *fsm.ExecutionInfo, at fsm.Position) { told <- end{x, at} }}
	known, err := s.waiters.watch(ctx, w, 0)
	if err != nil {
		return fsm.ExecutionInfo{}, fsm.Position{}, err
	}
	defer s.waiters.remove(w)
	if !known {
		if err := s.waiters.mustExist(ctx, w); err != nil {
			return fsm.ExecutionInfo{}, fsm.Position{}, err
		}
	}
	select {
	case e := <-told:
		return *e.x, e.at, nil
	case <-ctx.Done():
	case <-s.draining:
	}
	v, _ := s.deps.Views.Stale()
	x, ok := v.Execution(id)
	if !ok { // the leader has it, this node does not yet
		x = fsm.ExecutionInfo{ID: id, Status: fsm.Running}
	}
	return x, position(v), nil
}
