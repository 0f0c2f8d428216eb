package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrCrashed is what files and locks opened before Crash answer after it.
var ErrCrashed = errors.New("the power was cut")

// ErrInjected is the error of a Fail rule that names none.
var ErrInjected = fmt.Errorf("injected fault: %w", syscall.EIO)

// Op is a set of file-system calls.
type Op uint16

// The calls a Rule can name; they combine with |.
const (
	OpOpen Op = 1 << iota
	OpRead
	OpWrite
	OpZero
	OpSync
	OpRename
	OpRemove
	OpReadDir
	OpMkdir
	OpSyncDir
	OpSpace
	OpLock
	OpAny Op = 1<<iota - 1
)

var opNames = []string{"open", "read", "write", "zero", "sync", "rename", "remove", "readdir", "mkdir", "syncdir", "space", "lock"}

// String names the calls in the set.
func (o Op) String() string {
	var names []string
	for i, name := range opNames {
		if o&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Fault is what a Rule does to a call.
type Fault uint8

// The faults.
const (
	Fail  Fault = iota // the call does nothing and answers Rule.Err
	Full               // as Fail with ENOSPC; a write leaves a part behind
	Short              // a write or read ends early, with an error
	Torn               // a write leaves some of its sectors, with an error
	Lie                // a sync answers success and makes nothing durable
	Flip               // one bit of what is read or written is wrong
	Delay              // the call takes Rule.Delay longer
	Hang               // the call does not return until Release or Crash
)

var faultNames = [...]string{"fail", "full", "short", "torn", "lie", "flip", "delay", "hang"}

// String names the fault.
func (f Fault) String() string { return faultNames[f] }

// Rule injects one kind of fault into calls that match.
type Rule struct {
	Ops   Op            // which calls; 0 means every call
	Name  string        // pattern of path.Match on the base name; "" means every file
	After int           // this many matching calls go through first
	Count int           // this many are hit then; 0 means all
	P     float64       // chance of a hit; 0 means always
	Do    Fault         // what happens
	Err   error         // of Fail and Short; ErrInjected if nil
	Delay time.Duration // of Delay, drawn up to this length if Vary
	Vary  bool          // see Delay
}

// Plan is what a FaultFS does.
type Plan struct {
	Seed  uint64              // of everything that goes by chance
	Sleep func(time.Duration) // passes the time of a delay; time.Sleep if nil
	Rules []Rule              // the first that matches acts
	Trace bool                // remember each Step for Image; grows without bound
}

// FaultFS wraps an FS and breaks it by plan. It is safe for concurrent use;
// which of two concurrent calls meets a fault is up to the scheduler.
type FaultFS struct {
	inner FS
	sleep func(time.Duration)

	mu       sync.Mutex
	rng      *rand.Rand
	rules    []*rule
	release  chan struct{} // closed to let hanging calls go
	life     int           // counts crashes; older files are dead
	locks    map[string]io.Closer
	platter  *platter
	first    *platter // as it was at the start, nil unless tracing
	trace    []Step
	log      []string
	nextNode int
}

type rule struct {
	Rule
	seen, hit int
}

// Faulty wraps an FS. What it holds already counts as durable. It panics if
// the FS cannot be read, since it is a tool of tests.
func Faulty(fsys FS, plan Plan) *FaultFS {
	f := &FaultFS{
		inner:   fsys,
		sleep:   plan.Sleep,
		rng:     rand.New(rand.NewPCG(plan.Seed, 0x9e3779b97f4a7c15)),
		release: make(chan struct{}),
		locks:   map[string]io.Closer{},
		platter: newPlatter(),
	}
	if f.sleep == nil {
		f.sleep = time.Sleep
	}
	if err := f.platter.load(fsys, ".", &f.nextNode); err != nil {
		panic(fmt.Sprintf("disk: read what to break: %v", err))
	}
	if plan.Trace {
		f.first = f.platter.clone()
	}
	f.Add(plan.Rules...)
	return f
}

// Add puts rules behind those there are.
func (f *FaultFS) Add(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		if r.Ops == 0 {
			r.Ops = OpAny
		}
		if r.Err == nil {
			r.Err = ErrInjected
		}
		f.rules = append(f.rules, &rule{Rule: r})
	}
}

// Clear removes all rules and lets hanging calls go.
func (f *FaultFS) Clear() {
	f.mu.Lock()
	f.rules = nil
	f.mu.Unlock()
	f.Release()
}

// Release lets the calls go that hang now.
func (f *FaultFS) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.release)
	f.release = make(chan struct{})
}

// Crash ends everything that uses the FS: open files and locks are dead,
// hanging calls return ErrCrashed. What was not synced is kept or lost as told;
// after KeepAll it is still not synced, and a later crash may lose it. The FS
// can be used again at once, as after a restart. It panics if the wrapped FS
// fails.
func (f *FaultFS) Crash(keep Keep) {
	f.mu.Lock()
	var err error
	if keep != KeepAll {
		err = f.losePowerLocked(keep)
	}
	for name, l := range f.locks {
		err = errors.Join(err, l.Close())
		delete(f.locks, name)
	}
	f.life++
	f.log = append(f.log, fmt.Sprintf("crash %d, keep %d", f.life, keep))
	f.mu.Unlock()
	f.Release()
	if err != nil {
		panic(fmt.Sprintf("disk: crash: %v", err))
	}
}

func (f *FaultFS) losePowerLocked(keep Keep) error {
	image := f.platter.image(keep, f.rng)
	if err := restore(f.inner, image); err != nil {
		return err
	}
	f.platter = newPlatter()
	if err := f.platter.load(f.inner, ".", &f.nextNode); err != nil {
		return err
	}
	if f.first != nil {
		f.first, f.trace = f.platter.clone(), nil
	}
	return nil
}

// Log is what was injected so far, in order.
func (f *FaultFS) Log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.log...)
}

// Trace is each change since the start or the last power cut, if the plan
// asked for it. The data of the steps must not be changed.
func (f *FaultFS) Trace() []Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Step(nil), f.trace...)
}

// Steps is the length of the trace so far.
func (f *FaultFS) Steps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.trace)
}

// Image is what would be found after a crash behind the first n steps of the
// trace. The seed decides what KeepSome keeps.
func (f *FaultFS) Image(n int, keep Keep, seed uint64) *MemFS {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.first.clone()
	for _, s := range f.trace[:n] {
		p.do(s)
	}
	return p.image(keep, rand.New(rand.NewPCG(seed, uint64(n))))
}

// meet lets a call meet its rule. It returns the rule that changes what the
// call does, nil for none, or the error that ends it. Delays and hangs pass
// here.
func (f *FaultFS) meet(op Op, name string) (*Rule, error) {
	f.mu.Lock()
	life, release := f.life, f.release
	r := f.matchLocked(op, name)
	var delay time.Duration
	if r != nil && r.Do == Delay {
		if delay = r.Delay; r.Vary && delay > 0 {
			delay = time.Duration(f.rng.Int64N(int64(delay)))
		}
	}
	f.mu.Unlock()
	if r == nil {
		return nil, nil
	}
	switch r.Do {
	case Delay:
		f.sleep(delay)
	case Hang:
		<-release
	case Fail:
		return nil, pathError(op.String(), name, r.Err)
	case Full:
		if op != OpWrite {
			return nil, pathError(op.String(), name, syscall.ENOSPC)
		}
		return r, nil
	default:
		return r, nil
	}
	return nil, f.alive(life)
}

func (f *FaultFS) alive(life int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.life != life {
		return ErrCrashed
	}
	return nil
}

func (f *FaultFS) matchLocked(op Op, name string) *Rule {
	for _, r := range f.rules {
		if r.Ops&op == 0 {
			continue
		}
		if ok, _ := path.Match(r.Name, path.Base(name)); r.Name != "" && !ok {
			continue
		}
		r.seen++
		if r.seen <= r.After || r.Count > 0 && r.hit >= r.Count || r.P > 0 && f.rng.Float64() >= r.P {
			continue
		}
		r.hit++
		f.log = append(f.log, fmt.Sprintf("%s at %s %s", r.Do, op, name))
		return &r.Rule
	}
	return nil
}

// stepLocked records a change that happened.
func (f *FaultFS) stepLocked(s Step) {
	f.platter.do(s)
	if f.first != nil {
		f.trace = append(f.trace, s)
	}
}

// Rename replaces to by from.
func (f *FaultFS) Rename(from, to string) error {
	if _, err := f.meet(OpRename, from); err != nil {
		return err
	}
	from, to = path.Clean(from), path.Clean(to)
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.platter.live[from]
	if !ok {
		return pathError("rename", from, fs.ErrNotExist)
	}
	if err := f.inner.Rename(from, to); err != nil {
		return err
	}
	f.stepLocked(Step{Op: OpRename, Name: from, To: to, node: id})
	return nil
}

// Remove deletes a file or an empty folder.
func (f *FaultFS) Remove(name string) error {
	return f.change(Step{Op: OpRemove, Name: path.Clean(name)}, func() error { return f.inner.Remove(name) })
}

// MkdirAll creates a folder and its parents.
func (f *FaultFS) MkdirAll(name string, perm fs.FileMode) error {
	return f.change(Step{Op: OpMkdir, Name: path.Clean(name)}, func() error { return f.inner.MkdirAll(name, perm) })
}

func (f *FaultFS) change(s Step, do func() error) error {
	if _, err := f.meet(s.Op, s.Name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	f.stepLocked(s)
	return nil
}

// SyncDir makes changes of names durable, unless a rule lies.
func (f *FaultFS) SyncDir(name string) error {
	r, err := f.meet(OpSyncDir, name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.inner.SyncDir(name); err != nil {
		return err
	}
	if r == nil || r.Do != Lie {
		f.stepLocked(Step{Op: OpSyncDir, Name: path.Clean(name)})
	}
	return nil
}

// ReadDir lists a folder, sorted by name.
func (f *FaultFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if _, err := f.meet(OpReadDir, name); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(name)
}

// Space says what room is left.
func (f *FaultFS) Space() (Space, error) {
	if _, err := f.meet(OpSpace, "."); err != nil {
		return Space{}, err
	}
	return f.inner.Space()
}

// Lock takes an exclusive lock; Crash ends it.
func (f *FaultFS) Lock(name string) (io.Closer, error) {
	if _, err := f.meet(OpLock, name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l, err := f.inner.Lock(name)
	if err != nil {
		return nil, err
	}
	f.locks[name] = l
	return &faultLock{fsys: f, name: name, inner: l}, nil
}

type faultLock struct {
	fsys  *FaultFS
	name  string
	inner io.Closer
}

// Close ends the lock; after a crash it has ended already.
func (l *faultLock) Close() error {
	l.fsys.mu.Lock()
	defer l.fsys.mu.Unlock()
	if l.fsys.locks[l.name] != l.inner {
		return nil
	}
	delete(l.fsys.locks, l.name)
	return l.inner.Close()
}
