package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

var testOptions = Options{Dir: "wal", ClusterID: [16]byte{1}, NodeID: [16]byte{2}, SegmentBytes: minSegment, CacheBytes: 2000}

// quiet is a guard that records nothing and ends nothing.
func quiet() *guard.Guard {
	return guard.New(guard.Options{Exit: func(int, string) {}, Stderr: io.Discard})
}

func open(t testing.TB, fsys disk.FS, o Options) (*Log, Report) {
	t.Helper()
	l, report, err := Open(fsys, o, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return l, report
}

// entry is an entry whose content follows from its index and term.
func entry(index, term uint64) *raft.Log {
	e := &raft.Log{Index: index, Term: term, Type: raft.LogCommand}
	e.Data = []byte(strings.Repeat(fmt.Sprintf("%d/%d ", index, term), 1+int(index%9)))
	if index%5 == 0 {
		e.Type, e.Extensions = raft.LogConfiguration, []byte("more")
	}
	if index%3 == 0 {
		e.AppendedAt = time.Unix(int64(index), 5)
	}
	return e
}

func entries(from, to, term uint64) (es []*raft.Log) {
	for i := from; i <= to; i++ {
		es = append(es, entry(i, term))
	}
	return es
}

func store(t testing.TB, l *Log, from, to, term uint64) {
	t.Helper()
	if err := l.StoreLogs(entries(from, to, term)); err != nil {
		t.Fatal(err)
	}
}

// all is everything in a log.
func all(t testing.TB, l *Log) (es []*raft.Log) {
	t.Helper()
	first, err1 := l.FirstIndex()
	last, err2 := l.LastIndex()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for i := first; i <= last && first > 0; i++ {
		e := &raft.Log{}
		if err := l.GetLog(i, e); err != nil {
			t.Fatalf("entry %d of %d to %d: %v", i, first, last, err)
		}
		es = append(es, e)
	}
	return es
}

func checkAll(t testing.TB, l *Log, want []*raft.Log) {
	t.Helper()
	if diff := cmp.Diff(want, all(t, l)); diff != "" {
		t.Fatalf("log differs (-want +got):\n%s", diff)
	}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// seed is PAWL_SEED, or by the clock.
func seed(t testing.TB) uint64 {
	s := uint64(time.Now().UnixNano())
	if v := os.Getenv("PAWL_SEED"); v != "" {
		var err error
		if s, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PAWL_SEED=%d", s)
	return s
}

func TestStoreReadReopen(t *testing.T) {
	real, err := disk.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, fsys := range map[string]disk.FS{"dir": real, "mem": disk.Mem()} {
		t.Run(name, func(t *testing.T) {
			l, _ := open(t, fsys, testOptions)
			if first, _ := l.FirstIndex(); first != 0 {
				t.Fatalf("first index of an empty log: got %d, want 0", first)
			}
			store(t, l, 1, 3, 1)
			store(t, l, 4, 100, 2)
			want := append(entries(1, 3, 1), entries(4, 100, 2)...)
			checkAll(t, l, want)
			if err := l.GetLog(101, &raft.Log{}); err != raft.ErrLogNotFound {
				t.Fatalf("entry that is not there: got %v", err)
			}
			closeLog(t, l)
			l, report := open(t, fsys, testOptions)
			if !report.CleanStop || report.Torn || report.First != 1 || report.Last != 100 || report.Segments < 3 {
				t.Fatalf("report after a clean stop: %+v", report)
			}
			checkAll(t, l, want)
			store(t, l, 101, 101, 3)
			if err := l.StoreLogs(entries(103, 103, 3)); err == nil {
				t.Fatal("an entry after a gap was stored")
			}
			closeLog(t, l)
			if err := l.StoreLogs(entries(102, 102, 3)); !errors.Is(err, ErrClosed) {
				t.Fatalf("store in a closed log: got %v", err)
			}
		})
	}
}

func TestEntryLargerThanASegment(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 2, 1)
	big := &raft.Log{Index: 3, Term: 1, Data: make([]byte, 3*minSegment)}
	if err := l.StoreLog(big); err != nil {
		t.Fatal(err)
	}
	store(t, l, 4, 50, 1)
	want := append(append(entries(1, 2, 1), big), entries(4, 50, 1)...)
	checkAll(t, l, want)
	l, _ = open(t, fsys, testOptions)
	checkAll(t, l, want)
}

func TestOnStoredSeesEachEntryOnce(t *testing.T) {
	o := testOptions
	var seen []uint64
	o.OnStored = func(index, term uint64, typ raft.LogType, data []byte) {
		if e := entry(index, term); typ != e.Type || string(data) != string(e.Data) {
			t.Errorf("entry %d: got %v %q", index, typ, data)
		}
		seen = append(seen, index)
	}
	l, _ := open(t, disk.Mem(), o)
	store(t, l, 7, 30, 1)
	if diff := cmp.Diff(24, len(seen)); diff != "" || seen[0] != 7 || seen[23] != 30 {
		t.Fatalf("seen: %v", seen)
	}
}

func TestForeignFolder(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 3, 1)
	closeLog(t, l)
	for name, change := range map[string]func(*Options){
		"cluster": func(o *Options) { o.ClusterID[3]++ },
		"node":    func(o *Options) { o.NodeID[3]++ },
		"group":   func(o *Options) { o.Group++ },
	} {
		o := testOptions
		change(&o)
		var foreign *guard.Foreign
		if _, _, err := Open(fsys, o, quiet()); !errors.As(err, &foreign) || guard.Code(err) != guard.ExitIdentity {
			t.Errorf("another %s: got %v, want a foreign error", name, err)
		}
	}
}

func TestMissingLogUnderASnapshotIsDamage(t *testing.T) {
	o := testOptions
	o.SnapshotIndex = 9
	if _, _, err := Open(disk.Mem(), o, quiet()); guard.Code(err) != guard.ExitDamaged {
		t.Fatalf("got %v, want damage", err)
	}
}

func TestDeletePrefixRespectsHoldsAndKeep(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 200, 1)
	segments := len(l.segments)
	h := l.Hold("feed")
	if err := l.DeleteRange(1, 100); err != nil {
		t.Fatal(err)
	}
	if first, _ := l.FirstIndex(); first != 1 {
		t.Fatalf("first index under a hold on all: got %d, want 1", first)
	}
	h.Set(60)
	if err := l.DeleteRange(1, 100); err != nil {
		t.Fatal(err)
	}
	if first, _ := l.FirstIndex(); first != 60 {
		t.Fatalf("first index under a hold at 60: got %d", first)
	}
	h.Release()
	if err := l.DeleteRange(60, 100); err != nil {
		t.Fatal(err)
	}
	checkAll(t, l, entries(101, 200, 1))
	if len(l.segments) >= segments || l.spares.count() != maxSpares {
		t.Fatalf("segments: %d of %d left, %d spares", len(l.segments), segments, l.spares.count())
	}
	o := testOptions
	o.KeepBytes = 3000
	closeLog(t, l)
	l, report := open(t, fsys, o)
	if err := l.DeleteRange(report.First, 199); err != nil {
		t.Fatal(err)
	}
	first, _ := l.FirstIndex()
	var kept int64
	for i := first; i <= 200; i++ {
		r := entryRecord(entry(i, 1))
		kept += r.size()
	}
	if kept < o.KeepBytes-400 || kept > o.KeepBytes+400 { // marks count as well
		t.Fatalf("kept %d bytes from %d on, want about %d", kept, first, o.KeepBytes)
	}
	if err := l.DeleteRange(first+1, 190); err == nil {
		t.Fatal("a delete in the middle went through")
	}
}

func TestRunKeepsASpareReady(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	for i := uint64(1); i <= 300; i++ {
		store(t, l, i, i, 1)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := l.prepare(); err != nil || l.spares.count() == 0 {
		t.Fatalf("spares: got %d and %v", l.spares.count(), err)
	}
	checkAll(t, l, entries(1, 300, 1))
	st := l.Stats()
	if st.Segments < 10 || st.Bytes < 300*recordHeader || st.Spares == 0 || st.Unready > uint64(st.Segments) {
		t.Fatalf("stats: %+v", st)
	}
	closeLog(t, l)
	l, _ = open(t, fsys, testOptions)
	checkAll(t, l, entries(1, 300, 1))
}

func TestReadersBesideAWriter(t *testing.T) {
	l, _ := open(t, disk.Mem(), testOptions)
	stop := make(chan struct{})
	done := make(chan error, 3)
	for range 3 {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				first, _ := l.FirstIndex()
				last, _ := l.LastIndex()
				for i := first; i > 0 && i <= last; i++ {
					var e raft.Log
					if err := l.GetLog(i, &e); err != nil && err != raft.ErrLogNotFound {
						done <- err
						return
					} else if err == nil && e.Index != i {
						done <- fmt.Errorf("asked for %d, got %d", i, e.Index)
						return
					}
				}
			}
		}()
	}
	for i := uint64(1); i <= 1500; i++ {
		store(t, l, i, i, 1)
		if i%100 == 0 {
			first, _ := l.FirstIndex()
			if err := l.DeleteRange(first, i-50); err != nil {
				t.Fatal(err)
			}
			if err := l.DeleteRange(i-5, i); err != nil {
				t.Fatal(err)
			}
			store(t, l, i-5, i, 1)
		}
	}
	close(stop)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestResetStartsAnew(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 100, 1)
	if err := l.Reset(500); err != nil {
		t.Fatal(err)
	}
	checkAll(t, l, nil)
	l, report := open(t, fsys, testOptions)
	if report.Segments > 2 || report.Last != 0 {
		t.Fatalf("after reset and restart: %+v", report)
	}
	store(t, l, 500, 520, 2)
	l, _ = open(t, fsys, testOptions)
	checkAll(t, l, entries(500, 520, 2))
}
