package cluster

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/fsm"
)

const (
	// viewEvery is the least time between two Views that readers ask for: each costs
	// a copy of every record that is changed after it.
	viewEvery = 2 * time.Millisecond
	// maxWaiters bounds the reads that wait for an index.
	maxWaiters = 16_384
)

// Replica is State on this node. It is what raft applies the log to.
type Replica struct {
	journal *Journal
	clock   *Clock
	log     *slog.Logger
	exit    func(code int, reason string)
	// applied is told of entries after each batch, restored of a new State. Both are
	// called on raft's goroutine and must not block.
	onApplied  func([]landed)
	onRestored func(index uint64)
	onConfig   func(index uint64, c raft.Configuration)

	index       atomic.Uint64 // of the last log that was handed over
	term        atomic.Uint64
	incarnation atomic.Uint32
	sinceSnap   atomic.Int64 // bytes of log since the last snapshot
	entries     atomic.Int64 // entries since the last snapshot
	meanBytes   atomic.Int64 // of an entry, smoothed
	dead        atomic.Bool

	// mu is held while State is changed or viewed, never while anything waits.
	mu    sync.Mutex
	state *fsm.State

	turn chan struct{} // capacity 1: held by who takes the next View
	view atomic.Pointer[taken]

	waitMu  sync.Mutex
	waiters waitHeap
}

// taken is a View with what was handed over when it was taken.
type taken struct {
	view  fsm.View
	index uint64
	at    time.Time
}

// landed is one applied entry, for those who wait for it.
type landed struct {
	index, term uint64
	nonce       Nonce
	origins     []origin
	results     []fsm.Result
	void        bool // it meant nothing in its term
}

var _ raft.BatchingFSM = (*Replica)(nil)

func newReplica(s *fsm.State, index uint64, j *Journal, c *Clock, log *slog.Logger, exit func(int, string)) *Replica {
	r := &Replica{
		journal: j, clock: c, log: log, exit: exit, state: s, turn: make(chan struct{}, 1),
		onApplied: func([]landed) {}, onRestored: func(uint64) {}, onConfig: func(uint64, raft.Configuration) {},
	}
	r.index.Store(index)
	v := s.View()
	r.incarnation.Store(uint32(v.Incarnation()))
	r.view.Store(&taken{view: v, index: index})
	return r
}

// Applied is the index of the last log entry of any kind that raft handed over. No
// other number says what State includes.
func (r *Replica) Applied() uint64 { return r.index.Load() }

// Term is the term of the last applied entry.
func (r *Replica) Term() uint64 { return r.term.Load() }

// position makes an index one that may leave the cluster.
func (r *Replica) position(index uint64) fsm.Position {
	return fsm.Position{Incarnation: uint8(r.incarnation.Load()), Index: index}
}

// Apply is never called: raft finds ApplyBatch.
func (r *Replica) Apply(l *raft.Log) any { return r.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies committed entries. It is called by raft alone.
func (r *Replica) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	if len(logs) == 0 || r.dead.Load() {
		return answers
	}
	done := make([]landed, 0, len(logs))
	r.mu.Lock()
	for _, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		a, err := r.one(l)
		if err != nil {
			r.mu.Unlock()
			r.die(err)
			return answers
		}
		done = append(done, a)
	}
	now := r.state.Now()
	r.mu.Unlock()
	for _, l := range logs {
		if l.Type == raft.LogConfiguration {
			r.onConfig(l.Index, raft.DecodeConfiguration(l.Data))
		}
	}
	last := logs[len(logs)-1]
	r.term.Store(last.Term)
	r.index.Store(last.Index)
	r.clock.applied(now)
	r.wakeUpTo(last.Index)
	r.onApplied(done)
	return answers
}

// one applies one command entry.
func (r *Replica) one(l *raft.Log) (done landed, err error) {
	env, err := readEnvelope(l.Data)
	if err != nil {
		return landed{}, fmt.Errorf("entry %d: %w", l.Index, err)
	}
	if env.term != l.Term {
		// Its leadership was over when it was stored: its callers may have been told
		// that it would never be, and tried again. On every node it is nothing.
		return landed{index: l.Index, term: l.Term, nonce: env.nonce, void: true}, nil
	}
	e, err := fsm.Decode(env.entry)
	if err != nil {
		return landed{}, fmt.Errorf("entry %d: %w", l.Index, err)
	}
	defer func() {
		if v := recover(); v != nil {
			err = &invariantError{index: l.Index, what: v, stack: debug.Stack()}
		}
	}()
	applied := r.state.Apply(l.Index, e)
	size := len(l.Data)
	r.sinceSnap.Add(int64(size))
	r.entries.Add(1)
	r.meanBytes.Store((r.meanBytes.Load()*15 + int64(size)) / 16)
	r.journal.add(fsm.Batch{Index: l.Index, Term: l.Term, Time: r.state.Now(), Applied: applied}, appliedBytes(size, applied))
	return landed{index: l.Index, term: l.Term, nonce: env.nonce, origins: env.origins, results: applied.Results}, nil
}

// appliedBytes estimates what an applied entry takes in memory.
func appliedBytes(entry int, a *fsm.Applied) int {
	const each = 192 // an event, result or grant without its payload
	n := entry + each*(1+len(a.Events)+len(a.Results)+len(a.Grants))
	for i := range a.Grants {
		n += len(a.Grants[i].Input)
	}
	for i := range a.Events {
		if told := a.Events[i].Told; told != nil {
			n += len(told.Payload)
		}
	}
	return n
}

// invariantError is a panic outside of what the machine can roll back.
type invariantError struct {
	index uint64
	what  any
	stack []byte
}

func (e *invariantError) Error() string {
	return fmt.Sprintf("applying entry %d: %v", e.index, e.what)
}

// die ends the process: no entry is ever skipped.
func (r *Replica) die(err error) {
	r.dead.Store(true)
	code := guard.ExitDamaged
	var broken *invariantError
	switch {
	case errors.As(err, &broken):
		code = guard.ExitInvariant
		r.log.Error("broken invariant", "index", broken.index, "panic", fmt.Sprint(broken.what), "stack", string(broken.stack))
	case errors.Is(err, fsm.ErrVersion):
		code = guard.ExitVersion
	}
	r.exit(code, err.Error())
}

// Snapshot takes what is to be persisted. It is called by raft alone.
func (r *Replica) Snapshot() (raft.FSMSnapshot, error) {
	if r.dead.Load() {
		return nil, errors.New("snapshot: the machine has stopped")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &still{view: r.state.View(), index: r.index.Load(), replica: r}, nil
}

// still is a State that stands still while it is written.
type still struct {
	view    fsm.View
	index   uint64
	replica *Replica
}

// Persist writes the View to a sink.
func (s *still) Persist(sink raft.SnapshotSink) error {
	bytes, entries := s.replica.sinceSnap.Load(), s.replica.entries.Load()
	if err := writeState(sink, s.view, s.index); err != nil {
		return errors.Join(fmt.Errorf("write snapshot %d: %w", s.index, err), sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("close snapshot %d: %w", s.index, err)
	}
	s.replica.sinceSnap.Add(-bytes)
	s.replica.entries.Add(-entries)
	return nil
}

// Release lets the View go.
func (s *still) Release() { s.view = fsm.View{} }

// Restore replaces State by that of another node. It is called by raft alone.
func (r *Replica) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	s, index, err := readState(rc)
	if err != nil {
		err = fmt.Errorf("restore snapshot: %w", err)
		if errors.Is(err, fsm.ErrCorrupt) || errors.Is(err, fsm.ErrVersion) {
			r.die(err)
		}
		return err
	}
	r.mu.Lock()
	r.state = s
	v := s.View()
	r.mu.Unlock()
	r.incarnation.Store(uint32(v.Incarnation()))
	r.journal.reset(index)
	r.view.Store(&taken{view: v, index: index, at: time.Now()})
	r.index.Store(index)
	r.sinceSnap.Store(0)
	r.entries.Store(0)
	r.clock.applied(v.Time())
	r.wakeUpTo(index)
	r.onRestored(index)
	r.log.Info("state restored from a snapshot", "index", index)
	return nil
}

// View is the newest View that can be had without waiting.
func (r *Replica) View() fsm.View { return r.newest().view }

func (r *Replica) newest() *taken {
	t := r.view.Load()
	if t.index == r.Applied() || time.Since(t.at) < viewEvery {
		return t
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
		return r.look()
	default:
		return t
	}
}

// look takes a View now. The caller has the turn.
func (r *Replica) look() *taken {
	r.mu.Lock()
	index := r.index.Load() // what State includes is at least this
	t := &taken{view: r.state.View(), index: index, at: time.Now()}
	r.mu.Unlock()
	r.view.Store(t)
	return t
}

// At gives a View at or after an index, once that is applied here.
func (r *Replica) At(ctx context.Context, index uint64) (fsm.View, error) {
	if err := r.wait(ctx, index); err != nil {
		return fsm.View{}, err
	}
	for {
		t := r.view.Load()
		if t.index >= index {
			return t.view, nil
		}
		select {
		case r.turn <- struct{}{}:
		case <-ctx.Done():
			return fsm.View{}, ctx.Err()
		}
		t, err := r.lookAfterPause(ctx, index)
		<-r.turn
		if err != nil || t != nil {
			return t.orEmpty(), err
		}
	}
}

func (t *taken) orEmpty() fsm.View {
	if t == nil {
		return fsm.View{}
	}
	return t.view
}

// lookAfterPause takes a View that includes index, unless another reader just did,
// but not sooner than viewEvery after the last.
func (r *Replica) lookAfterPause(ctx context.Context, index uint64) (*taken, error) {
	t := r.view.Load()
	if t.index >= index {
		return t, nil
	}
	if rest := viewEvery - time.Since(t.at); rest > 0 {
		timer := time.NewTimer(rest)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return r.look(), nil
}

// waiter waits for an index. place is -1 once it has left the heap.
type waiter struct {
	index uint64
	ready chan struct{}
	place int
}

// wait returns once index is applied here.
func (r *Replica) wait(ctx context.Context, index uint64) error {
	if r.Applied() >= index {
		return nil
	}
	w := &waiter{index: index, ready: make(chan struct{})}
	r.waitMu.Lock()
	if len(r.waiters) >= maxWaiters {
		r.waitMu.Unlock()
		return &fsm.OverloadedError{Reason: "too many reads wait", RetryAfter: 50}
	}
	heap.Push(&r.waiters, w)
	r.waitMu.Unlock()
	r.wakeUpTo(r.Applied()) // it may have been applied meanwhile
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	r.waitMu.Lock()
	defer r.waitMu.Unlock()
	if w.place >= 0 {
		heap.Remove(&r.waiters, w.place)
		return ctx.Err()
	}
	return nil
}

func (r *Replica) wakeUpTo(index uint64) {
	r.waitMu.Lock()
	defer r.waitMu.Unlock()
	for len(r.waiters) > 0 && r.waiters[0].index <= index {
		close(heap.Pop(&r.waiters).(*waiter).ready)
	}
}

// waitHeap orders waiters by index.
type waitHeap []*waiter

func (h waitHeap) Len() int           { return len(h) }
func (h waitHeap) Less(i, j int) bool { return h[i].index < h[j].index }
func (h waitHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is for package heap.
func (h *waitHeap) Push(x any) {
	w := x.(*waiter)
	w.place = len(*h)
	*h = append(*h, w)
}

// Pop is for package heap.
func (h *waitHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	w.place = -1
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return w
}
