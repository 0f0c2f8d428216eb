package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// short is the limit of tests whose sources never end.
const short = 60 * time.Millisecond

// A source that misbehaves ends its own evaluation: each is followed by a good one. B125.
func TestHostileSourcesFailAlone(t *testing.T) {
	pool := newPool(t, short)
	good := func(after string) {
		t.Helper()
		o := evaluate(t, pool, Job{Language: script, Source: "$.n + 1", Input: json.RawMessage(`{"n": 1}`)})
		if string(o.Result) != "2" {
			t.Fatalf("after %.60q: got %+v", after, o)
		}
	}
	for _, c := range []struct {
		language, source string
		failures         []fsm.JobFailure
	}{
		{script, "while(true){}", []fsm.JobFailure{fsm.JobTimedOut}},
		{script, "for(;;) { try { while(true){} } finally { continue } }", []fsm.JobFailure{fsm.JobTimedOut}},
		{script, "new Array(2e7).fill(1).map(x => x).length && 1", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobDied}},
		{script, "var a = []; while(true) a.push('x'.repeat(1000) + a.length)", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobDied}},
		{script, "'x'.repeat(2**33)", []fsm.JobFailure{fsm.JobDied, fsm.JobTimedOut}},
		{script, "'x'.repeat(2**40)", []fsm.JobFailure{fsm.JobDied, fsm.JobThrew, fsm.JobTimedOut}},
		{script, "var s = 'x'; while (true) s += s", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobDied, fsm.JobThrew}},
		{script, "new Uint8Array(2**31)", []fsm.JobFailure{fsm.JobDied, fsm.JobThrew, fsm.JobTimedOut}},
		{script, "/^(?=a)(a+)+$/.test('" + strings.Repeat("a", 60) + "b')", []fsm.JobFailure{fsm.JobTimedOut}},
		{script, "function f() { return f() } f()", []fsm.JobFailure{fsm.JobThrew}},
		{script, "var o = {}; o.toString = () => '' + o; '' + o", []fsm.JobFailure{fsm.JobThrew, fsm.JobDied, fsm.JobTimedOut}},
		{script, "var a = [1]; a.map(function f() { return [1].map(f) })", []fsm.JobFailure{fsm.JobThrew, fsm.JobDied, fsm.JobTimedOut}},
		{script, "var a = []; for (var i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)", []fsm.JobFailure{fsm.JobThrew, fsm.JobDied, fsm.JobTimedOut}},
		{script, "JSON.parse('['.repeat(1e6))", []fsm.JobFailure{fsm.JobThrew, fsm.JobDied, fsm.JobTimedOut}},
		{script, strings.Repeat("!", 200_000) + "1", []fsm.JobFailure{fsm.JobDied, fsm.JobDone, fsm.JobTimedOut}},
		{script, strings.Repeat("1+", 100_000) + "1", []fsm.JobFailure{fsm.JobDied, fsm.JobDone, fsm.JobTimedOut}},
		{script, strings.Repeat("if(1)", 50_000) + "1", []fsm.JobFailure{fsm.JobDied, fsm.JobDone, fsm.JobTimedOut}},
		{script, strings.Repeat("a?b:", 60_000) + "1", []fsm.JobFailure{fsm.JobDied, fsm.JobThrew, fsm.JobTimedOut}},
		{script, "({get a() { while(true){} }})", []fsm.JobFailure{fsm.JobTimedOut}},
		{script, "new Proxy({}, {ownKeys() { while(true){} }})", []fsm.JobFailure{fsm.JobTimedOut}},
		{script, "throw {toString() { while(true){} }}", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobThrew}},
		{script, "(function f() { Promise.resolve().then(f) })()", []fsm.JobFailure{fsm.JobTimedOut}},
		{script, "async function f() { await f() } f(); 1", []fsm.JobFailure{fsm.JobThrew, fsm.JobDied, fsm.JobTimedOut}},
		{script, "function* g() { while(true) yield 1 } [...g()]", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobDied}},
		{script, "[].sort.call({length: 1e15})", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobDied, fsm.JobThrew}},
		{JQ, "[range(1e12)] | length", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobDied}},
		{JQ, "def f: f; f", []fsm.JobFailure{fsm.JobTimedOut}},
		{JQ, "def f: 1 + f; f", []fsm.JobFailure{fsm.JobTimedOut, fsm.JobDied}},
		{JQ, "range(1e12) | empty", []fsm.JobFailure{fsm.JobTimedOut}},
		{JQ, "range(1e12)", []fsm.JobFailure{fsm.JobThrew, fsm.JobTimedOut}},
		{JQ, `"x" * 1e10`, []fsm.JobFailure{fsm.JobThrew, fsm.JobDied, fsm.JobTimedOut}},
		{JQ, `reduce range(60) as $i ("x"; . + .)`, []fsm.JobFailure{fsm.JobThrew, fsm.JobDied, fsm.JobTimedOut}},
		{JQ, strings.Repeat("-", 200_000) + "1", []fsm.JobFailure{fsm.JobDone, fsm.JobDied, fsm.JobTimedOut}},
		{JQ, strings.Repeat("1+", 100_000) + "1", []fsm.JobFailure{fsm.JobDone, fsm.JobDied, fsm.JobTimedOut}},
	} {
		began := time.Now()
		o := evaluate(t, pool, Job{Language: c.language, Source: c.source})
		took := time.Since(began)
		t.Logf("%4d ms %.50q: %d %s", took.Milliseconds(), c.source, o.Failure, o.Message)
		if !slices.Contains(c.failures, o.Failure) || took > short+grace+killAfter+5*time.Second {
			t.Errorf("%.60q: got %+v after %v, want one of %v", c.source, o, took, c.failures)
		}
		good(c.source)
	}
}

func TestTheLimitIsFourSeconds(t *testing.T) {
	want := "Script not evaluated within 4 seconds, interrupted."
	if o := timedOut(Limit); o.Message != want || o.Failure != fsm.JobTimedOut {
		t.Errorf("got %+v, want %q", o, want)
	}
	if p := newPool(t, 0); p.limit != 4*time.Second {
		t.Errorf("a pool's limit: got %v", p.limit)
	}
}

func TestChildrenSeeNoEnvironment(t *testing.T) {
	t.Setenv("TZ", "America/New_York")
	t.Setenv("SECRET", "x")
	p := newPool(t, 0)
	if o := evaluate(t, p, Job{Language: script, Source: "new Date(2023, 0, 1).toISOString()"}); string(o.Result) != `"2023-01-01T00:00:00.000Z"` {
		t.Errorf("local time: got %+v", o)
	}
	c := p.idle[0]
	environ, err := os.ReadFile("/proc/" + itoa(c.cmd.Process.Pid) + "/environ")
	if err == nil && len(environ) > 0 {
		t.Errorf("environment: got %q", environ)
	}
}

func TestManyJobsShareTheChildren(t *testing.T) {
	p := newPool(t, 0)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			want := itoa(i * 2)
			o, err := p.Evaluate(t.Context(), Job{Language: script, Source: "$ * 2", Input: json.RawMessage(itoa(i))})
			if err != nil || string(o.Result) != want {
				t.Errorf("got %+v, %v, want %s", o, err, want)
			}
		})
	}
	all.Wait()
	if n := len(p.all); n < 1 || n > p.Children() {
		t.Errorf("children: got %d, want at most %d", n, p.Children())
	}
}

func TestAChildThatWasKilledIsReplaced(t *testing.T) {
	p := newPool(t, time.Minute)
	job := Job{Language: script, Source: "1"}
	evaluate(t, p, job)
	p.idle[0].kill() // while it is idle
	evaluate(t, p, job)

	// In the middle of a job: the next child does it.
	done := make(chan Outcome)
	go func() {
		o, err := p.Evaluate(context.Background(), Job{Language: script, Source: "var end = 2e6; while (end > 0) end--; 'done'"})
		if err != nil {
			t.Error(err)
		}
		done <- o
	}()
	await(t, "the job is under way", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.all) > len(p.idle)
	})
	p.mu.Lock()
	for c := range p.all {
		c.kill()
	}
	p.mu.Unlock()
	if o := <-done; string(o.Result) != `"done"` {
		t.Errorf("got %+v", o)
	}
}

func TestAJobEndsWithItsCaller(t *testing.T) {
	p := newPool(t, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if _, err := p.Evaluate(ctx, Job{Language: script, Source: "while(true){}"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	go func() { // the child of this one is killed by Close
		_, err := p.Evaluate(context.Background(), Job{Language: script, Source: "while(true){}"})
		if !errors.Is(err, ErrPoolClosed) {
			t.Errorf("got %v, want %v", err, ErrPoolClosed)
		}
	}()
	await(t, "the job is under way", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.all) > len(p.idle)
	})
	p.Close()
	if _, err := p.Evaluate(t.Context(), Job{Language: script, Source: "1"}); !errors.Is(err, ErrPoolClosed) {
		t.Errorf("got %v, want %v", err, ErrPoolClosed)
	}
}

func TestAProgramThatIsNoChildIsAnError(t *testing.T) {
	for _, command := range [][]string{{"/bin/echo", "hello"}, {"/bin/false"}, {"/nonexistent"}} {
		p, err := NewPool(PoolConfig{Command: command})
		if err != nil {
			t.Fatal(err)
		}
		if o, err := p.Evaluate(t.Context(), Job{Language: script, Source: "1"}); err == nil {
			t.Errorf("%v: got %+v", command, o)
		}
		p.Close()
	}
}
