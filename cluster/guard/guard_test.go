package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// buffer is a writer that goroutines may share.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestFirstErrorLatches(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code int
	}{
		{"io", syscall.EIO, ExitStorage},
		{"full", fmt.Errorf("write: %w", syscall.ENOSPC), ExitNoSpace},
		{"damage", fmt.Errorf("read: %w", &Damaged{File: "a.wal", Offset: 7, What: "bad"}), ExitDamaged},
		{"foreign", &Foreign{File: "a.wal", What: "node id"}, ExitIdentity},
		{"newer", &Newer{File: "a.wal", Version: 2, Known: 1}, ExitVersion},
	} {
		t.Run(c.name, func(t *testing.T) {
			var codes []int
			var line buffer
			g := New(Options{Exit: func(code int, _ string) { codes = append(codes, code) }, Stderr: &line})
			if err := g.Do(OpLog, func() error { return nil }); err != nil {
				t.Fatalf("healthy call: got %v, want nil", err)
			}
			first := g.Do(OpLog, func() error { return c.err })
			if !errors.Is(first, c.err) {
				t.Fatalf("first error: got %v, want %v", first, c.err)
			}
			ran := false
			again := g.Do(OpStable, func() error { ran = true; return nil })
			if ran || again != first || g.Err() != first {
				t.Fatalf("after the latch: ran %v, got %v, want %v", ran, again, first)
			}
			_ = g.Fail(errors.New("later"))
			if len(codes) != 1 || codes[0] != c.code {
				t.Fatalf("exit codes: got %v, want [%d]", codes, c.code)
			}
			if n := strings.Count(line.String(), "\n"); n != 1 {
				t.Fatalf("lines on stderr: got %d, want 1: %q", n, line.String())
			}
		})
	}
}

func TestCallThatEndsAfterTheLatchFails(t *testing.T) {
	g := New(Options{Exit: func(int, string) {}, Stderr: io.Discard})
	bad := errors.New("bad")
	err := g.Do(OpLog, func() error {
		_ = g.Fail(bad)
		return nil
	})
	if !errors.Is(err, bad) {
		t.Fatalf("got %v, want the latched error", err)
	}
}

func TestNilGuardOnlyRuns(t *testing.T) {
	var g *Guard
	bad := errors.New("bad")
	if err := g.Do(OpLog, func() error { return bad }); err != bad {
		t.Fatalf("got %v, want %v", err, bad)
	}
	g.Leading(true)
	if g.Err() != nil {
		t.Fatal("a nil guard has no error")
	}
}

// watched runs f in virtual time under a running watchdog.
func watched(t *testing.T, f func(g *Guard, kills func() []time.Duration, logged *buffer)) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		logged := &buffer{}
		g := New(Options{
			Exit: func(int, string) {},
			Kill: func() {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(start))
			},
			Log:    slog.New(slog.NewTextHandler(logged, nil)),
			Stderr: logged,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		f(g, func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return at
		}, logged)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestWatchdogLimits(t *testing.T) {
	for _, c := range []struct {
		name    string
		op      Op
		leading bool
		limits  Limits
	}{
		{"leader write", OpLog, true, DefaultLeader},
		{"leader vote", OpStable, true, DefaultLeader},
		{"follower write", OpLog, false, DefaultFollower},
		{"leader snapshot", OpSnapshot, true, DefaultBackground},
		{"follower archive", OpArchive, false, DefaultBackground},
	} {
		t.Run(c.name, func(t *testing.T) {
			watched(t, func(g *Guard, kills func() []time.Duration, logged *buffer) {
				g.Leading(c.leading)
				hang := make(chan struct{})
				done := make(chan error)
				go func() { done <- g.Do(c.op, func() error { <-hang; return nil }) }()
				time.Sleep(c.limits.Warn - tick)
				synctest.Wait()
				if logged.String() != "" {
					t.Errorf("warned early: %s", logged)
				}
				time.Sleep(2 * tick)
				synctest.Wait()
				if !strings.Contains(logged.String(), "storage is slow") || len(kills()) > 0 {
					t.Errorf("after the warning limit: log %q, kills %v", logged, kills())
				}
				time.Sleep(c.limits.Kill - c.limits.Warn + tick)
				synctest.Wait()
				if got := kills(); len(got) != 1 || got[0] < c.limits.Kill || got[0] > c.limits.Kill+2*tick {
					t.Errorf("kills: got %v, want one at %v", got, c.limits.Kill)
				}
				close(hang)
				if err := <-done; Code(err) != ExitWatchdog {
					t.Errorf("a call that hung: got %v, want a watchdog error", err)
				}
				if !strings.Contains(logged.String(), "killing this process") {
					t.Errorf("no last words in %q", logged)
				}
			})
		})
	}
}

func TestWatchdogLeavesManyShortCallsAlone(t *testing.T) {
	watched(t, func(g *Guard, kills func() []time.Duration, logged *buffer) {
		g.Leading(true)
		for range 100 {
			_ = g.Do(OpLog, func() error { time.Sleep(70 * time.Millisecond); return nil })
		}
		synctest.Wait()
		if len(kills()) > 0 || logged.String() != "" {
			t.Errorf("kills %v, log %q", kills(), logged)
		}
	})
}

// A process that was stopped as a whole finds an old call when it goes on; the
// disk may be healthy.
func TestWatchdogDoesNotCountAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var jump time.Duration
		var killed atomic.Int64
		g := New(Options{
			Exit: func(int, string) {},
			Kill: func() { killed.Add(1) },
			Now: func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Add(jump)
			},
			Stderr: io.Discard,
		})
		g.Leading(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		hang := make(chan struct{})
		go func() { _ = g.Do(OpLog, func() error { <-hang; return nil }) }()
		time.Sleep(tick / 2)
		mu.Lock()
		jump = time.Minute
		mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if killed.Load() != 0 {
			t.Error("killed for a pause of the whole process")
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if killed.Load() != 1 {
			t.Errorf("kills after a real hang: got %d, want 1", killed.Load())
		}
		close(hang)
		cancel()
		<-done
	})
}

func TestMoreCallsThanSlotsStillRun(t *testing.T) {
	g := New(Options{Exit: func(int, string) {}, Stderr: io.Discard})
	var nest func(n int) error
	ran := 0
	nest = func(n int) error {
		ran++
		if n == 0 {
			return nil
		}
		return g.Do(OpRead, func() error { return nest(n - 1) })
	}
	if err := nest(maxCalls + 10); err != nil || ran != maxCalls+11 {
		t.Fatalf("got %d runs and %v, want %d and nil", ran, err, maxCalls+11)
	}
	for i := range g.calls {
		if g.calls[i].started.Load() != 0 {
			t.Fatalf("slot %d was not given back", i)
		}
	}
}
