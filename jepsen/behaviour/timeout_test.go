package behaviour

import (
	"math"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

// delays fails a task n times and gives the callbackAfterSeconds of each retry. Each must
// come exactly when it says.
func (w *world) delays(n int, settings m) []int64 {
	w.t.Helper()
	w.taskType("t1", with(m{"retryCount": n}, settings))
	r := w.startFlow(flow("f", simple("t1")), nil)
	var out []int64
	for range n {
		r.fail("t1", "no")
		task := r.task("t1")
		out = append(out, task.CallbackSeconds)
		if task.StartDelay != task.CallbackSeconds {
			w.t.Errorf("startDelayInSeconds %d, callbackAfterSeconds %d", task.StartDelay, task.CallbackSeconds)
		}
		d := time.Duration(task.CallbackSeconds) * time.Second
		w.pass(d - time.Millisecond)
		w.wantNothing("t1")
		w.pass(time.Millisecond)
	}
	r.complete("t1", nil)
	r.wantStatus(fsm.Completed)
	return out
}

func wantDelays(t *testing.T, got []int64, want ...int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("delays %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("delays %v, want %v", got, want)
		}
	}
}

// clamped is the delay after very many failures.
func clamped(t *testing.T, settings m) int64 {
	t.Helper()
	kind, problems := def.ParseTaskType(js(with(m{"name": "t"}, settings)))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return def.RetryDelay(kind, math.MaxInt32)
}

// B139: LINEAR_BACKOFF with 60 s and scale 2 waits 120, 240 and 360 s; after enormously
// many attempts the largest 32-bit number.
func TestB139LinearBackoff(t *testing.T) {
	w := begin(t)
	linear := m{"retryLogic": "LINEAR_BACKOFF", "retryDelaySeconds": 60, "backoffScaleFactor": 2}
	wantDelays(t, w.delays(3, linear), 120, 240, 360)
	if d := clamped(t, linear); d != math.MaxInt32 {
		t.Errorf("got %d, want %d", d, math.MaxInt32)
	}
}

// B140: EXPONENTIAL_BACKOFF with 60 s waits 60, 120 and 240 s, clamped likewise; FIXED 60
// each time.
func TestB140ExponentialAndFixedBackoff(t *testing.T) {
	w := begin(t)
	exponential := m{"retryLogic": "EXPONENTIAL_BACKOFF", "retryDelaySeconds": 60}
	wantDelays(t, w.delays(3, exponential), 60, 120, 240)
	if d := clamped(t, exponential); d != math.MaxInt32 {
		t.Errorf("got %d, want %d", d, math.MaxInt32)
	}
	wantDelays(t, w.delays(3, m{"retryLogic": "FIXED", "retryDelaySeconds": 60}), 60, 60, 60)
}

// B141: maxRetryDelaySeconds caps each kind of delay; 0 is no cap, and one below the base
// holds from the first retry.
func TestB141DelaysHaveACap(t *testing.T) {
	w := begin(t)
	exponential := m{"retryLogic": "EXPONENTIAL_BACKOFF", "retryDelaySeconds": 60}
	linear := m{"retryLogic": "LINEAR_BACKOFF", "retryDelaySeconds": 60, "backoffScaleFactor": 2}
	cap := func(n int) m { return m{"maxRetryDelaySeconds": n} }
	wantDelays(t, w.delays(4, with(exponential, cap(200))), 60, 120, 200, 200)
	wantDelays(t, w.delays(4, with(linear, cap(250))), 120, 240, 250, 250)
	wantDelays(t, w.delays(4, with(exponential, cap(0))), 60, 120, 240, 480)
	wantDelays(t, w.delays(2, with(exponential, cap(30))), 30, 30)
	wantDelays(t, w.delays(2, with(m{"retryDelaySeconds": 60}, cap(30))), 30, 30)
}

// B142: backoffJitterMs adds up to so much to the real delay, which varies, after the cap;
// callbackAfterSeconds shows whole seconds without it.
func TestB142JitterVariesTheRealDelay(t *testing.T) {
	w := begin(t)
	seen := func(shows int64, settings m) map[fsm.Millis]bool {
		w.taskType("t1", with(m{"retryCount": 1, "retryDelaySeconds": 60}, settings))
		out := map[fsm.Millis]bool{}
		for range 20 {
			r := w.startFlow(flow("f", simple("t1")), nil)
			r.fail("t1", "no")
			task := r.task("t1")
			if task.CallbackSeconds != shows {
				t.Fatalf("callbackAfterSeconds %d, want %d", task.CallbackSeconds, shows)
			}
			out[task.Due-task.Scheduled] = true
			r.terminate("seen")
		}
		return out
	}
	varied := seen(60, m{"backoffJitterMs": 5000})
	for d := range varied {
		if d < 60_000 || d > 65_000 {
			t.Errorf("a delay of %d ms, want 60000 to 65000", d)
		}
	}
	if len(varied) < 10 {
		t.Errorf("20 delays have %d values only", len(varied))
	}
	exact := seen(60, m{"backoffJitterMs": 0})
	if len(exact) != 1 || !exact[60_000] {
		t.Errorf("without jitter: %v, want 60000", exact)
	}
	for d := range seen(30, m{"backoffJitterMs": 5000, "maxRetryDelaySeconds": 30}) {
		if d < 30_000 || d > 35_000 {
			t.Errorf("a capped delay of %d ms, want 30000 to 35000", d)
		}
	}
}

// B143: totalTimeoutSeconds is a budget from the first scheduling over all attempts: once
// it is used up there is no further one. Each workflow has its own; 0 is none.
func TestB143TotalTimeoutIsABudget(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"retryCount": 10, "retryDelaySeconds": 2, "totalTimeoutSeconds": 5, "timeoutPolicy": "RETRY"})
	r := w.startFlow(flow("f", simple("t1")), nil)
	for range 2 {
		r.fail("t1", "no")
		w.pass(2 * time.Second)
	}
	later := w.start("f", nil)
	w.lease(r.task("t1").ID)
	w.pass(time.Second)
	if s := r.info().Status; s != fsm.Failed && s != fsm.TimedOut {
		t.Errorf("the workflow is %s, want FAILED or TIMED_OUT", s)
	}
	r.wantReason("total timeout")
	if n := len(r.records()); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
	later.want(fsm.Running, "t1 SCHEDULED")
	w.taskType("t1", m{"retryCount": 10, "retryDelaySeconds": 2, "totalTimeoutSeconds": 0})
	r = w.start("f", nil)
	for range 5 {
		r.fail("t1", "no")
		w.pass(2 * time.Second)
	}
	r.wantN(fsm.Running, 6)
}

// B144: a total time-out while IN_PROGRESS: RETRY leaves the task TIMED_OUT, TIME_OUT_WF
// ends the workflow, ALERT_ONLY does nothing but that a later failure is not retried.
func TestB144TotalTimeoutPolicies(t *testing.T) {
	w := begin(t)
	for _, c := range []struct {
		policy string
		want   func(r *run)
	}{
		{"RETRY", func(r *run) { r.want(fsm.TimedOut, "t1 TIMED_OUT") }},
		{"TIME_OUT_WF", func(r *run) { r.want(fsm.TimedOut, "t1 TIMED_OUT") }},
		{"ALERT_ONLY", func(r *run) {
			r.want(fsm.Running, "t1 IN_PROGRESS")
			r.fail("t1", "no")
			r.want(fsm.Failed, "t1 FAILED")
			r.wantReason("total timeout")
		}},
	} {
		w.taskType("t1", m{"retryCount": 10, "totalTimeoutSeconds": 5, "timeoutPolicy": c.policy})
		r := w.startFlow(flow("f", simple("t1")), nil)
		w.lease(r.task("t1").ID)
		w.pass(4 * time.Second)
		r.want(fsm.Running, "t1 IN_PROGRESS")
		w.pass(time.Second)
		c.want(r)
	}
}

// B145: retryCount on the task in the workflow definition wins over the task type's.
func TestB145RetryCountOfTheStepWins(t *testing.T) {
	w := begin(t)
	w.taskTypes(3, "t1")
	w.taskTypes(0, "t2")
	r := w.startFlow(flow("f", simple("t1", m{"retryCount": 0})), nil)
	r.fail("t1", "no")
	r.want(fsm.Failed, "t1 FAILED")
	r = w.startFlow(flow("f", simple("t2", m{"retryCount": 1})), nil)
	r.fail("t2", "no")
	r.want(fsm.Running, "t2 FAILED", "t2 SCHEDULED")
}

// B146: a task that times out with RETRY is made again; when its retries are used up the
// workflow is TIMED_OUT.
func TestB146TimeoutWithRetry(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"retryCount": 1, "timeoutSeconds": 1, "timeoutPolicy": "RETRY", "responseTimeoutSeconds": 1})
	r := w.startFlow(flow("f", simple("t1")), nil)
	w.lease(r.task("t1").ID)
	w.pass(time.Second)
	r.want(fsm.Running, "t1 TIMED_OUT", "t1 SCHEDULED")
	w.lease(r.task("t1").ID)
	w.pass(time.Second)
	r.want(fsm.TimedOut, "t1 TIMED_OUT", "t1 TIMED_OUT")
}

// B147: a task's time-out with ALERT_ONLY changes nothing, with TIME_OUT_WF the workflow
// is TIMED_OUT.
func TestB147TimeoutPoliciesOfATask(t *testing.T) {
	w := begin(t)
	limits := m{"retryCount": 3, "timeoutSeconds": 10, "responseTimeoutSeconds": 10}
	w.taskType("t1", limits, m{"timeoutPolicy": "ALERT_ONLY", "timeoutSeconds": 10, "responseTimeoutSeconds": 1})
	r := w.startFlow(flow("f", simple("t1")), nil)
	l := w.lease(r.task("t1").ID)
	for range 50 {
		w.pass(500 * time.Millisecond)
		w.must(&fsm.ExtendLeases{Items: []fsm.Extension{{Task: l.Task, Lease: l.Lease}}})
	}
	r.want(fsm.Running, "t1 IN_PROGRESS")
	w.taskType("t1", limits, m{"timeoutPolicy": "TIME_OUT_WF"})
	r = w.startFlow(flow("f", simple("t1"), simple("t2")), nil)
	w.lease(r.task("t1").ID)
	w.pass(10 * time.Second)
	r.want(fsm.TimedOut, "t1 TIMED_OUT")
}

// B148: a workflow's timeoutSeconds with TIME_OUT_WF ends it TIMED_OUT with its tasks
// CANCELED; with ALERT_ONLY it keeps running.
func TestB148WorkflowTimeout(t *testing.T) {
	w := begin(t)
	r := w.startFlow(with(flow("f", simple("t1")), m{"timeoutSeconds": 5, "timeoutPolicy": "TIME_OUT_WF"}), nil)
	alert := w.startFlow(with(flow("g", simple("t1")), m{"timeoutSeconds": 5, "timeoutPolicy": "ALERT_ONLY"}), nil)
	w.pass(4999 * time.Millisecond)
	r.want(fsm.Running, "t1 SCHEDULED")
	w.pass(time.Millisecond)
	r.want(fsm.TimedOut, "t1 CANCELED")
	r.wantReason("Timeout configured as 5 seconds")
	w.pass(time.Hour)
	alert.want(fsm.Running, "t1 SCHEDULED")
}

// B149: a task that nobody polls within pollTimeoutSeconds is TIMED_OUT, with its workflow
// when there are no retries, and the queue no longer holds it.
func TestB149PollTimeout(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"pollTimeoutSeconds": 25})
	r := w.startFlow(flow("f", simple("t1")), nil)
	w.pass(24 * time.Second)
	r.want(fsm.Running, "t1 SCHEDULED")
	w.pass(time.Second)
	r.want(fsm.TimedOut, "t1 TIMED_OUT")
	wantTexts(t, "the task's reason", r.task("t1").Reason, "poll timed out", "25 seconds")
	if n := w.waiting("t1"); n != 0 {
		t.Errorf("the queue holds %d, want none", n)
	}
	w.wantNothing("t1")
}

// B150: a response time-out is noticed at its time, however long the poll time-out is, and
// without retries the workflow is TIMED_OUT.
func TestB150ResponseTimeoutIsPrompt(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"responseTimeoutSeconds": 5, "pollTimeoutSeconds": 3600, "timeoutPolicy": "TIME_OUT_WF"})
	r := w.startFlow(flow("f", simple("t1")), nil)
	w.lease(r.task("t1").ID)
	w.pass(4999 * time.Millisecond)
	r.want(fsm.Running, "t1 IN_PROGRESS")
	w.pass(time.Millisecond)
	r.want(fsm.TimedOut, "t1 TIMED_OUT")
	wantTexts(t, "the task's reason", r.task("t1").Reason, "responseTimeout: 5 exceeded", r.task("t1").ID.String())
}

// B151: a lease extension starts the response clock anew and changes nothing else: not the
// status, the queue, the output nor the poll count.
func TestB151LeaseExtensionChangesTheClockOnly(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"responseTimeoutSeconds": 10})
	r := w.startFlow(flow("f", simple("t1")), nil)
	l := w.mustPoll("t1")
	w.must(&fsm.ProgressTask{Task: l.Task, Lease: l.Lease, Output: js(m{"half": 1})})
	l = w.mustPoll("t1")
	before := r.task("t1")
	w.pass(9 * time.Second)
	w.must(&fsm.ExtendLeases{Items: []fsm.Extension{{Task: l.Task, Lease: l.Lease}}})
	after := r.task("t1")
	if after.Updated != w.now {
		t.Errorf("the clock began at %d, want %d", after.Updated, w.now)
	}
	after.Updated, after.Due = before.Updated, before.Due
	if show(after) != show(before) {
		t.Errorf("more changed:\n%s\n%s", show(before), show(after))
	}
	w.pass(9999 * time.Millisecond)
	r.want(fsm.Running, "t1 IN_PROGRESS")
	w.pass(time.Millisecond)
	r.want(fsm.TimedOut, "t1 TIMED_OUT")
}

// B152: a worker that extends its lease may work longer than responseTimeoutSeconds and
// completes in one attempt; without extensions it is TIMED_OUT.
func TestB152ExtensionsKeepALongTask(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"responseTimeoutSeconds": 5})
	w.define(flow("f", simple("t1")))
	long, silent := w.start("f", nil), w.start("f", nil)
	a := w.lease(long.task("t1").ID)
	w.lease(silent.task("t1").ID)
	for range 5 {
		w.pass(4 * time.Second)
		w.must(&fsm.ExtendLeases{Items: []fsm.Extension{{Task: a.Task, Lease: a.Lease}}})
	}
	silent.want(fsm.TimedOut, "t1 TIMED_OUT")
	long.complete("t1", nil)
	long.want(fsm.Completed, "t1 COMPLETED")
	if p := long.task("t1").Polls; p != 1 {
		t.Errorf("it was polled %d times, want once", p)
	}
}
