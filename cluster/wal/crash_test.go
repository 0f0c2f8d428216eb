package wal

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// model is what a log must hold.
type model struct {
	first   uint64 // of the entries, as the last DeleteRange asked
	next    uint64
	entries map[uint64]*raft.Log // also those deleted as a prefix, which may come back
}

func newModel() *model { return &model{first: 1, next: 1, entries: map[uint64]*raft.Log{}} }

func (m *model) clone() *model {
	c := &model{first: m.first, next: m.next, entries: map[uint64]*raft.Log{}}
	for i, e := range m.entries {
		c.entries[i] = e
	}
	return c
}

func (m *model) store(es []*raft.Log) {
	if es[0].Index != m.next {
		m.entries = map[uint64]*raft.Log{}
		m.first = es[0].Index
	}
	if m.first == m.next {
		m.first = es[0].Index
	}
	for _, e := range es {
		m.entries[e.Index] = e
		m.next = e.Index + 1
	}
}

func (m *model) cut(from uint64) {
	for i := range m.entries {
		if i >= from {
			delete(m.entries, i)
		}
	}
	m.next, m.first = from, min(m.first, from)
}

// restarted is the model that takes back what a log still has of a prefix that
// was deleted.
func (m *model) restarted(l *Log) *model {
	c := m.clone()
	if first, _ := l.FirstIndex(); first > 0 {
		c.first = first
	}
	return c
}

// holds says why a log is not this model's, nil if it is. Entries deleted as a
// prefix may be there or not.
func (m *model) holds(l *Log) error {
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	if m.first == m.next {
		if last >= m.next {
			return fmt.Errorf("last is %d, want nothing from %d on", last, m.next)
		}
	} else if last != m.next-1 || first > m.first {
		return fmt.Errorf("holds %d to %d, want %d to %d", first, last, m.first, m.next-1)
	}
	for i := first; i <= last && first > 0; i++ {
		var e raft.Log
		if err := l.GetLog(i, &e); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if want := m.entries[i]; want == nil || !reflect.DeepEqual(want, &e) {
			return fmt.Errorf("entry %d differs: %s", i, cmp.Diff(want, &e))
		}
	}
	return nil
}

// op is one call on a log, with the models a crash during it may leave.
type op struct {
	name string
	do   func(l *Log) error
	any  []*model // before, steps between, after
}

// nextOp draws a call that is legal in the model.
func nextOp(rng *rand.Rand, m *model, term uint64) op {
	held := m.next - m.first
	switch k := rng.IntN(10); {
	case k < 6 || held == 0:
		from := m.next
		if held == 0 && rng.IntN(3) == 0 {
			from += rng.Uint64N(50)
		}
		es := entries(from, from+rng.Uint64N(12), term)
		o := op{name: fmt.Sprintf("store %d to %d", from, es[len(es)-1].Index), any: []*model{m}}
		o.do = func(l *Log) error { return l.StoreLogs(es) }
		if from != m.next {
			c := m.clone()
			c.cut(0)
			c.first, c.next = from, from
			o.any = append(o.any, c)
		}
		for n := range es {
			c := m.clone()
			c.store(es[:n+1])
			o.any = append(o.any, c)
		}
		return o
	case k < 8:
		to := m.first + rng.Uint64N(held)
		from := m.first
		c := m.clone()
		if c.first = to + 1; c.first == c.next {
			c.cut(0)
			c.first, c.next = m.first, m.first
		}
		return op{fmt.Sprintf("delete %d to %d", from, to), func(l *Log) error { return l.DeleteRange(from, to) }, []*model{m, c}}
	case k < 9:
		from, last := m.first+rng.Uint64N(held), m.next-1
		c := m.clone()
		c.cut(from)
		return op{fmt.Sprintf("delete %d to %d", from, last), func(l *Log) error { return l.DeleteRange(from, last) }, []*model{m, c}}
	default:
		next := m.next + rng.Uint64N(20)
		c := m.clone()
		c.cut(0)
		c.first, c.next = next, next
		return op{fmt.Sprintf("reset to %d", next), func(l *Log) error { return l.Reset(next) }, []*model{m, c}}
	}
}

func (o *op) after() *model { return o.any[len(o.any)-1] }

// oneOf finds the model a log holds.
func oneOf(l *Log, ms []*model) (*model, error) {
	var all []error
	for i := len(ms) - 1; i >= 0; i-- {
		err := ms[i].holds(l)
		if err == nil {
			return ms[i], nil
		}
		all = append(all, err)
	}
	return nil, errors.Join(all...)
}

// A log behaves like a slice, over restarts, kills and power cuts.
func TestModel(t *testing.T) {
	s := seed(t)
	for run := range uint64(40) {
		rng := rand.New(rand.NewPCG(s, run))
		fsys := disk.Faulty(disk.Mem(), disk.Plan{Seed: rng.Uint64()})
		l, _ := open(t, fsys, testOptions)
		m := newModel()
		var story []string
		for step := range 120 {
			term := uint64(step + 1)
			if rng.IntN(8) == 0 {
				how := rng.IntN(4)
				story = append(story, fmt.Sprintf("restart %d", how))
				if how == 3 {
					closeLog(t, l)
				} else {
					fsys.Crash(disk.Keep(how))
				}
				l, _ = open(t, fsys, testOptions)
				m = m.restarted(l)
			}
			o := nextOp(rng, m, term)
			story = append(story, o.name)
			if err := o.do(l); err != nil {
				t.Fatalf("run %d: %v\n%s", run, err, strings.Join(story, "\n"))
			}
			m = o.after()
			if err := m.holds(l); err != nil {
				t.Fatalf("run %d: %v\n%s", run, err, strings.Join(story, "\n"))
			}
		}
	}
}

// Whatever step a crash comes behind, and whatever it keeps of the writes that
// were not synced: all that was acknowledged is there, and nothing else but a
// part of the call that was running. The log that was recovered goes on.
func TestEveryPrefixOfTheTrace(t *testing.T) {
	s := seed(t)
	images := 0
	for run := range uint64(3) {
		rng := rand.New(rand.NewPCG(s, run))
		fsys := disk.Faulty(disk.Mem(), disk.Plan{Trace: true})
		l, _ := open(t, fsys, testOptions)
		type mark struct {
			steps int
			op    op
		}
		m := newModel()
		marks := []mark{{fsys.Steps(), op{name: "open", any: []*model{m}}}}
		for step := range 30 {
			o := nextOp(rng, m, uint64(step+1))
			if err := o.do(l); err != nil {
				t.Fatal(err)
			}
			m = o.after()
			marks = append(marks, mark{fsys.Steps(), o})
			if rng.IntN(6) == 0 {
				closeLog(t, l)
				l, _ = open(t, fsys, testOptions)
				m = m.restarted(l)
				marks = append(marks, mark{fsys.Steps(), op{name: "restart", any: []*model{m}}})
			}
		}
		at := 0
		for n := range fsys.Steps() + 1 {
			for at < len(marks)-1 && marks[at].steps < n {
				at++
			}
			if n < marks[0].steps {
				continue
			}
			allowed := marks[at].op.any
			if marks[at].steps == n {
				allowed = allowed[len(allowed)-1:]
			}
			for _, keep := range []disk.Keep{disk.KeepAll, disk.KeepNone, disk.KeepSome, disk.KeepSome, disk.KeepSome} {
				images++
				image := fsys.Image(n, keep, s+uint64(images))
				if err := reopenTwice(image, testOptions, allowed); err != nil {
					t.Fatalf("run %d, crash after step %d (%s), keep %d, during %s: %v", run, n, fsys.Trace()[n-1], keep, marks[at].op.name, err)
				}
			}
		}
	}
	t.Logf("%d crash images", images)
}

func reopenTwice(image *disk.MemFS, o Options, allowed []*model) error {
	l, _, err := Open(image, o, quiet())
	if err != nil {
		return err
	}
	m, err := oneOf(l, allowed)
	if err != nil {
		return err
	}
	more := entries(m.next, m.next+3, 99)
	m = m.clone()
	m.store(more)
	if err := l.StoreLogs(more); err != nil {
		return err
	}
	l, report, err := Open(image, o, quiet())
	if err != nil {
		return fmt.Errorf("second start: %w", err)
	}
	if report.Torn {
		return errors.New("second start: a tail that was cut is torn again")
	}
	return m.holds(l)
}

// What was acknowledged before a crash of a node that has recovered from one
// survives too.
func TestCrashDuringRecovery(t *testing.T) {
	s := seed(t)
	o := testOptions
	o.SegmentBytes = 16 << 10 // the write that fails fits, and is not cut short by a rotation
	for run := range uint64(30) {
		rng := rand.New(rand.NewPCG(s, run))
		fsys := disk.Faulty(disk.Mem(), disk.Plan{Trace: true, Seed: rng.Uint64()})
		l, _ := open(t, fsys, o)
		store(t, l, 1, 30, 1)
		fsys.Add(disk.Rule{Ops: disk.OpSync, Do: disk.Fail})
		if err := l.StoreLogs(entries(31, 45, 1)); err == nil {
			t.Fatal("stored without a sync")
		}
		fsys.Clear()
		from := 0
		if run%2 == 0 {
			fsys.Crash(disk.KeepSome)
		} else { // the write is whole, and on its way to the disk
			fsys.Crash(disk.KeepAll)
			from = fsys.Steps()
		}
		if _, _, err := Open(fsys, o, quiet()); err != nil {
			t.Fatal(err)
		}
		m := newModel()
		m.store(entries(1, 30, 1))
		allowed := []*model{m}
		for i := uint64(31); i <= 45; i++ {
			c := m.clone()
			c.store(entries(31, i, 1))
			allowed = append(allowed, c)
		}
		for n := from; n <= fsys.Steps(); n++ {
			for i := range uint64(8) {
				if err := reopenTwice(fsys.Image(n, disk.KeepSome, s+i), o, allowed); err != nil {
					t.Fatalf("run %d, crash after step %d of recovery: %v", run, n, err)
				}
			}
		}
	}
}

// After an error of any call, nothing is acknowledged any more, and what was
// acknowledged before is there after a restart.
func TestEveryFailingCall(t *testing.T) {
	for _, fault := range []disk.Fault{disk.Fail, disk.Full, disk.Short, disk.Torn} {
		for after := range 60 {
			fsys := disk.Faulty(disk.Mem(), disk.Plan{Seed: uint64(after), Rules: []disk.Rule{
				{Ops: disk.OpWrite | disk.OpSync | disk.OpRename | disk.OpSyncDir | disk.OpZero | disk.OpRemove, After: after, Count: 1, Do: fault},
			}})
			code := 0
			g := guard.New(guard.Options{Exit: func(c int, _ string) { code = c }, Stderr: io.Discard})
			l, _, err := Open(fsys, testOptions, g)
			if err != nil {
				continue // the fault came while opening
			}
			m, during := newModel(), []*model(nil)
			for i := uint64(1); i < 90 && err == nil; i += 3 {
				o := op{any: []*model{m}}
				for n := range uint64(3) {
					c := m.clone()
					c.store(entries(i, i+n, 1))
					o.any = append(o.any, c)
				}
				during = o.any
				if err = l.StoreLogs(entries(i, i+2, 1)); err == nil {
					m = o.after()
					if i%30 == 28 {
						first, _ := l.FirstIndex()
						err = l.DeleteRange(first, i-20)
						m.first = i - 19
						during = []*model{m}
					}
				}
			}
			if err == nil {
				continue // not that many calls
			}
			want := guard.ExitStorage
			if fault == disk.Full {
				want = guard.ExitNoSpace
			}
			if code != want {
				t.Fatalf("%v after %d: exit code %d, want %d (%v)", fault, after, code, want, err)
			}
			if err := l.StoreLogs(entries(m.next, m.next, 2)); err == nil {
				t.Fatalf("%v after %d: acknowledged after an error", fault, after)
			}
			fsys.Crash(disk.KeepSome)
			l, _ = open(t, fsys, testOptions)
			if _, err := oneOf(l, during); err != nil {
				t.Fatalf("%v after %d: %v\n%s", fault, after, err, strings.Join(fsys.Log(), "\n"))
			}
		}
	}
}
