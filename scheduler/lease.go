package scheduler

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// held is the leases that this node has handed to its workers and that have not
// ended, as far as it has applied. It is guarded by host.mu.
type held struct {
	tasks map[fsm.TaskID]*holding
	execs map[fsm.ExecID]*holding // first of each execution's
	// orphans are leases whose stream has gone, by worker.
	orphans map[string]map[fsm.TaskID]*holding
	pending map[fsm.TaskID]fsm.Lease // extensions to be proposed
}

// holding is one lease with a worker.
type holding struct {
	task     fsm.TaskID
	lease    fsm.Lease
	worker   string
	stream   *stream // nil when it has gone, or was a poll
	response fsm.Millis
	// clock and mono are when it was granted or last extended: cluster time may
	// stand still on a node that does not lead, and jump in tests.
	clock fsm.Millis
	mono  time.Time
	// confirmed is set when this node has applied the grant; until then an event
	// without a lease may belong to an earlier lease of the task.
	confirmed  bool
	prev, next *holding // in its execution
}

func newHeld() held {
	return held{
		tasks:   map[fsm.TaskID]*holding{},
		execs:   map[fsm.ExecID]*holding{},
		orphans: map[string]map[fsm.TaskID]*holding{},
		pending: map[fsm.TaskID]fsm.Lease{},
	}
}

func (h *held) add(st *stream, l fsm.Leased, now fsm.Millis) {
	if old := h.tasks[l.Task]; old != nil {
		if old.lease >= l.Lease {
			return
		}
		h.drop(old)
	}
	if len(h.tasks) >= maxHeld {
		return
	}
	o := &holding{task: l.Task, lease: l.Lease, worker: st.worker, response: l.ResponseMillis,
		clock: now, mono: time.Now()}
	if !st.once {
		o.stream = st
		st.leases[l.Task] = o
	}
	h.tasks[l.Task] = o
	if o.next = h.execs[l.Task.Exec]; o.next != nil {
		o.next.prev = o
	}
	h.execs[l.Task.Exec] = o
}

func (h *held) drop(o *holding) {
	delete(h.tasks, o.task)
	delete(h.pending, o.task)
	if o.stream != nil {
		delete(o.stream.leases, o.task)
	} else if m := h.orphans[o.worker]; m[o.task] == o {
		delete(m, o.task)
		if len(m) == 0 {
			delete(h.orphans, o.worker)
		}
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
	switch {
	case o.prev != nil:
		o.prev.next = o.next
	case o.next != nil:
		h.execs[o.task.Exec] = o.next
	default:
		delete(h.execs, o.task.Exec)
	}
}

// confirm notes that this node has applied the grant l.
func (h *held) confirm(l *fsm.Leased) {
	if o := h.tasks[l.Task]; o != nil && o.lease == l.Lease {
		o.confirmed = true
	}
}

// orphan keeps the leases of a stream that has gone for the worker to come back.
func (h *held) orphan(st *stream) {
	for t, o := range st.leases {
		o.stream = nil
		if h.orphans[o.worker] == nil {
			h.orphans[o.worker] = map[fsm.TaskID]*holding{}
		}
		h.orphans[o.worker][t] = o
	}
	st.leases = nil
}

// endLeasesLocked forgets leases that have ended, and does not deliver them.
func (h *host) endLeasesLocked(events []fsm.Event) {
	for i := range events {
		e := &events[i]
		switch {
		case endsLease(e.Kind):
			t := fsm.TaskID{Exec: e.Exec, Serial: e.Serial}
			if o := h.held.tasks[t]; o != nil && (e.Lease == o.lease || e.Lease == 0 && o.confirmed) {
				h.held.drop(o)
			}
			h.dropLateLocked(t)
		case endsExecution(e.Kind):
			for o := h.held.execs[e.Exec]; o != nil; o = h.held.execs[e.Exec] {
				h.held.drop(o)
			}
		}
	}
}

// relapse forgets leases that have ended in entries that this node has missed, and
// numbers its slots anew, as the missed entries may have granted any of them. Polls
// end.
func (h *host) relapse(v fsm.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t, o := range h.held.tasks {
		now, ok := v.Task(t)
		if o.confirmed = ok && now.Lease == o.lease; !o.confirmed {
			h.held.drop(o)
		}
	}
	for _, l := range h.in.late {
		if now, ok := v.Task(l.Task); !ok || now.Lease != l.Lease {
			h.dropLateLocked(l.Task)
		}
	}
	for _, st := range h.streams {
		if st.once { // one of its slots may have been granted: the group is over
			h.finishLocked(st)
			continue
		}
		for _, n := range slices.Collect(maps.Keys(st.open)) {
			if _, late := h.in.late[n]; !late {
				h.renewLocked(st, n)
			}
		}
	}
	h.flushLocked()
}

// dropLateLocked forgets a grant whose lease has ended, by timeout or because the leader
// gave it back, before this node delivered it. The slot is free again for this node, under a new number.
func (h *host) dropLateLocked(t fsm.TaskID) {
	for n, l := range h.in.late {
		if l.Task != t {
			continue
		}
		delete(h.in.late, n)
		h.in.remember(l)
		st := h.slots[n]
		if st == nil {
			continue
		}
		h.renewLocked(st, n)
	}
}

// renewLocked lets another number take the place of a slot. A poll ends instead: its
// group may be over for the leader.
func (h *host) renewLocked(st *stream, n uint64) {
	delete(h.slots, n)
	delete(st.open, n)
	if st.once {
		if h.shutLocked(st); len(st.open) == 0 {
			h.finishLocked(st)
		}
		return
	}
	h.out.drop = append(h.out.drop, n)
	h.openLocked(st, 1)
}

// extend asks for more time for a lease, unless a third of its time has not passed.
func (h *host) extend(t fsm.TaskID, lease fsm.Lease, now fsm.Millis) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.held.tasks[t]
	if o != nil && o.lease != lease {
		return &fsm.Rejection{Code: fsm.StaleLease, Message: "another lease of the task is newer", Task: t, Got: lease, Want: o.lease}
	}
	if o != nil && !o.dueForExtension(now) {
		return nil
	}
	if _, ok := h.held.pending[t]; !ok && len(h.held.pending) >= maxHeld {
		return &fsm.OverloadedError{Reason: "extensions", RetryAfter: 1000}
	}
	h.held.pending[t] = lease
	if o != nil {
		o.clock, o.mono = now, time.Now()
	}
	h.errand()
	return nil
}

// dueForExtension reports whether a third of the response time has passed, by either
// clock, since the lease was granted or last extended.
func (o *holding) dueForExtension(now fsm.Millis) bool {
	if o.response == 0 {
		return false // it never runs out
	}
	third := o.response / 3
	if now-o.clock >= third {
		return true
	}
	return left(o.mono, time.Duration(third)*time.Millisecond, time.Now()) == 0
}

// extensions takes up to a command's worth of pending extensions.
func (h *host) extensions() []fsm.Extension {
	h.mu.Lock()
	defer h.mu.Unlock()
	var items []fsm.Extension
	for t, l := range h.held.pending {
		if len(items) == fsm.MaxExtensions {
			break
		}
		items = append(items, fsm.Extension{Task: t, Lease: l})
		delete(h.held.pending, t)
	}
	return items
}

// unextended lets the next sign of life ask again, since items were not recorded.
func (h *host) unextended(items []fsm.Extension) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range items {
		if o := h.held.tasks[x.Task]; o != nil && o.lease == x.Lease {
			o.clock, o.mono = 0, time.Time{}
		}
	}
}

// holds compares what a worker says it holds with what this node has given to earlier
// streams of the worker.
func (h *host) holds(id fsm.StreamID, leases []fsm.Lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.streams[id]
	if st == nil || st.once || st.done {
		return
	}
	listed := make(map[fsm.Lease]struct{}, len(leases))
	for _, l := range leases {
		listed[l] = struct{}{}
	}
	for t, o := range h.held.orphans[st.worker] {
		if _, ok := listed[o.lease]; ok {
			delete(h.held.orphans[st.worker], t)
			o.stream = st
			st.leases[t] = o
			continue
		}
		h.held.drop(o)
		h.returnLocked(fsm.Leased{Task: o.task, Lease: o.lease})
	}
	if len(h.held.orphans[st.worker]) == 0 {
		delete(h.held.orphans, st.worker)
	}
}

// errand is a lease to be given back.
type errand struct {
	task  fsm.TaskID
	lease fsm.Lease
	tries int
}

// returnLocked gives a lease back that has no worker.
func (h *host) returnLocked(l fsm.Leased) {
	if o := h.held.tasks[l.Task]; o != nil && o.lease == l.Lease {
		h.held.drop(o)
	}
	if len(h.returns) < maxReturns {
		h.returns = append(h.returns, errand{task: l.Task, lease: l.Lease})
		h.errand()
	}
}

func (h *host) giveBack(l fsm.Leased) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.returnLocked(l)
}

func (h *host) takeReturns() []errand {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(len(h.returns), errandBatch)
	batch := append([]errand(nil), h.returns[:n]...)
	h.returns = h.returns[n:]
	return batch
}

// retryReturns keeps what was not taken, unless it has been tried for too long: then
// the response timeout frees the task.
func (h *host) retryReturns(batch []errand) (given int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range batch {
		if e.tries++; e.tries < errandTries && len(h.returns) < maxReturns {
			h.returns = append(h.returns, e)
		} else {
			given++
		}
	}
	return given
}

// runErrands proposes what this node owes to the log until ctx ends.
func (s *Scheduler) runErrands(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.errands:
		}
		for s.runReturns(ctx) {
		}
		if !pause(ctx, extendPause) {
			return
		}
		for s.runExtensions(ctx) {
		}
	}
}

// runReturns gives some leases back. It says false when there are none.
func (s *Scheduler) runReturns(ctx context.Context) bool {
	batch := s.host.takeReturns()
	if len(batch) == 0 {
		return false
	}
	cs := make([]*fsm.Command, len(batch))
	for i, e := range batch {
		cs[i] = &fsm.Command{Body: &fsm.ReturnLease{Task: e.task, Lease: e.lease}}
	}
	err := s.propose(ctx, cs...)
	if err == nil || refused(err) {
		return true
	}
	if n := s.host.retryReturns(batch); n > 0 {
		s.log.Warn("leases not given back", "count", n, "err", err)
	}
	return pause(ctx, errandPause)
}

// runExtensions proposes one command of extensions. It says false when there are none.
func (s *Scheduler) runExtensions(ctx context.Context) bool {
	items := s.host.extensions()
	if len(items) == 0 {
		return false
	}
	err := s.propose(ctx, &fsm.Command{Body: &fsm.ExtendLeases{Items: items}})
	if err != nil && !refused(err) {
		s.host.unextended(items)
		s.log.Debug("leases not extended", "count", len(items), "err", err)
	}
	return true
}

// propose bounds the wait for one command or batch.
func (s *Scheduler) propose(ctx context.Context, cs ...*fsm.Command) error {
	ctx, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	return s.proposer.Tick(ctx, cs...)
}

// refused reports whether the machine has answered, which ends an errand.
func refused(err error) bool {
	var r *fsm.Rejection
	return errors.As(err, &r)
}

// pause waits for d, or says false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
