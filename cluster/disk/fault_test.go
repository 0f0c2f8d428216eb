package disk

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCrashDropsWhatWasNotSynced(t *testing.T) {
	fsys := Faulty(Mem(), Plan{})
	f := create(t, fsys, "f", "synced")
	if err := errors.Join(f.Sync(), fsys.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("SYN"), 0); err != nil {
		t.Fatal(err)
	}
	create(t, fsys, "unnamed", "x")
	if err := fsys.Rename("f", "g"); err != nil {
		t.Fatal(err)
	}
	fsys.Crash(KeepNone)
	if got := content(t, fsys, "f"); got != "synced" {
		t.Errorf("f: got %q, want the synced content under the old name", got)
	}
	for _, name := range []string{"g", "unnamed"} {
		if got := content(t, fsys, name); got != "absent" {
			t.Errorf("%s: got %q, want none", name, got)
		}
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, ErrCrashed) {
		t.Errorf("write through an old file: got %v, want ErrCrashed", err)
	}
}

func TestKilledProcessLosesNothing(t *testing.T) {
	fsys := Faulty(Mem(), Plan{})
	create(t, fsys, "f", "data")
	if err := fsys.Rename("f", "g"); err != nil {
		t.Fatal(err)
	}
	fsys.Crash(KeepAll)
	if got := content(t, fsys, "g"); got != "data" {
		t.Errorf("got %q, want data", got)
	}
	fsys.Crash(KeepNone)
	if got := content(t, fsys, "g"); got != "absent" {
		t.Errorf("after a power cut: got %q, want none: it was never synced", got)
	}
}

func TestSyncedDataWithoutSyncedNameIsLost(t *testing.T) {
	fsys := Faulty(Mem(), Plan{})
	if err := create(t, fsys, "f", "data").Sync(); err != nil {
		t.Fatal(err)
	}
	fsys.Crash(KeepNone)
	if got := content(t, fsys, "f"); got != "absent" {
		t.Errorf("got %q, want none", got)
	}
}

func TestLyingSync(t *testing.T) {
	fsys := Faulty(Mem(), Plan{Rules: []Rule{{Ops: OpSync, After: 1, Do: Lie}}})
	f := create(t, fsys, "f", "one")
	if err := errors.Join(f.Sync(), fsys.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("two"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	fsys.Crash(KeepNone)
	if got := content(t, fsys, "f"); got != "one" {
		t.Errorf("got %q, want one", got)
	}
	if log := strings.Join(fsys.Log(), "\n"); !strings.Contains(log, "lie at sync f") {
		t.Errorf("log does not tell of the lie:\n%s", log)
	}
}

func TestWriteFaults(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 512)
	for _, c := range []struct {
		fault Fault
		full  bool
	}{{Fail, false}, {Full, true}, {Short, false}, {Torn, false}} {
		t.Run(c.fault.String(), func(t *testing.T) {
			fsys := Faulty(Mem(), Plan{Seed: 7, Rules: []Rule{{Ops: OpWrite, Name: "*.wal", After: 1, Count: 1, Do: c.fault}}})
			other := create(t, fsys, "other", "x")
			f := create(t, fsys, "1.wal", "x")
			n, err := f.WriteAt(data, 0)
			if err == nil || n == len(data) || IsNoSpace(err) != c.full {
				t.Fatalf("got %d and %v", n, err)
			}
			if _, err := other.WriteAt(data, 0); err != nil {
				t.Fatalf("another file: %v", err)
			}
			if n, err := f.WriteAt(data, 0); err != nil || n != len(data) {
				t.Fatalf("after the rule's count: got %d and %v", n, err)
			}
		})
	}
}

func TestFlippedBits(t *testing.T) {
	fsys := Faulty(Mem(), Plan{Rules: []Rule{{Ops: OpRead, Count: 1, Do: Flip}}})
	f := create(t, fsys, "f", "content")
	got := make([]byte, 7)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) == "content" {
		t.Fatalf("got %q and %v, want a flipped bit", got, err)
	}
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "content" {
		t.Fatalf("got %q and %v, want what was written", got, err)
	}
}

func TestDelayAndHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := Faulty(Mem(), Plan{Rules: []Rule{
			{Ops: OpSync, Count: 1, Do: Delay, Delay: time.Minute},
			{Ops: OpSync, Count: 2, Do: Hang},
		}})
		f := create(t, fsys, "f", "x")
		start := time.Now()
		if err := f.Sync(); err != nil || time.Since(start) != time.Minute {
			t.Fatalf("delayed sync: got %v after %v", err, time.Since(start))
		}
		for _, c := range []struct {
			end  func()
			want error
		}{{fsys.Release, nil}, {func() { fsys.Crash(KeepAll) }, ErrCrashed}} {
			done := make(chan error, 1)
			go func() { done <- f.Sync() }()
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatalf("did not hang: %v", err)
			default:
			}
			c.end()
			if err := <-done; !errors.Is(err, c.want) {
				t.Fatalf("after the hang: got %v, want %v", err, c.want)
			}
		}
	})
}

func TestCrashEndsLocks(t *testing.T) {
	fsys := Faulty(Mem(), Plan{})
	old, err := fsys.Lock("LOCK")
	if err != nil {
		t.Fatal(err)
	}
	fsys.Crash(KeepAll)
	if _, err := fsys.Lock("LOCK"); err != nil {
		t.Fatalf("lock after a crash: %v", err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.Lock("LOCK"); !errors.Is(err, ErrLocked) {
		t.Fatalf("an old holder's release took the new lock away: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	fsys := Faulty(Mem(), Plan{Rules: []Rule{{Ops: OpRead, P: 0.1, Do: Fail}}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := string(rune('a' + i))
			f := create(t, fsys, name, "x")
			for j := range 100 {
				if _, err := f.WriteAt([]byte{byte(j)}, int64(j)); err != nil {
					t.Error(err)
				}
				_, _ = f.ReadAt(make([]byte, 1), int64(j))
				if err := errors.Join(f.Sync(), fsys.SyncDir(".")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	fsys.Crash(KeepNone)
	if got := content(t, fsys, "c"); len(got) != 100 {
		t.Errorf("got %d bytes, want 100", len(got))
	}
}
