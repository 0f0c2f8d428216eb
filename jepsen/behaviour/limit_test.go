package behaviour

import (
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// B153: with concurrentExecLimit 2 a batch poll for ten never leaves more than two tasks
// in flight, and all complete in the end.
func TestB153ConcurrencyLimit(t *testing.T) {
	w := begin(t)
	w.corpus("wf-exec_limit_workflow.json")
	w.taskType("exec_limit", m{"concurrentExecLimit": 2})
	r := w.start("exec_limit_check", nil)
	done := 0
	for done < 6 {
		batch := w.polls("exec_limit", 10)
		inFlight := 0
		for _, task := range r.records() {
			if task.Name == "exec_limit" && task.Status == fsm.TaskStatusInProgress {
				inFlight++
			}
		}
		if inFlight != 2 || len(batch) == 0 {
			t.Fatalf("%d in flight after %d were handed out, want 2", inFlight, len(batch))
		}
		w.wantNothing("exec_limit")
		// One or both end before the next poll.
		for _, l := range batch[:1+w.rng.IntN(len(batch))] {
			w.must(&fsm.CompleteTask{Task: l.Task, Lease: l.Lease})
			delete(w.held, l.Task)
			done++
		}
		for task, l := range w.held {
			w.must(&fsm.CompleteTask{Task: task, Lease: l.Lease})
			delete(w.held, task)
			done++
		}
	}
	r.wantN(fsm.Completed, 8)
}

// B154: a slot of the limit that frees, by success, failure, time-out, cancellation or the
// end of a workflow, lets the waiting task be handed out at once.
func TestB154FreedSlotIsUsedAtOnce(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"concurrentExecLimit": 1, "responseTimeoutSeconds": 10})
	w.define(flow("f", simple("t1")), flow("two", fork("fork", list(simple("t1")), list(simple("bad"))), join("join", "t1", "bad")))
	w.taskTypes(0, "bad")
	for name, end := range map[string]func(r *run, l fsm.Leased){
		"success": func(r *run, l fsm.Leased) { w.must(&fsm.CompleteTask{Task: l.Task, Lease: l.Lease}) },
		"failure": func(r *run, l fsm.Leased) { w.must(&fsm.FailTask{Task: l.Task, Lease: l.Lease}) },
		"callback": func(r *run, l fsm.Leased) {
			w.must(&fsm.ProgressTask{Task: l.Task, Lease: l.Lease, CallbackSeconds: 600})
		},
		"update":       func(r *run, l fsm.Leased) { r.update("t1", fsm.TaskStatusCompleted, nil) },
		"time-out":     func(r *run, l fsm.Leased) { w.pass(10 * time.Second) },
		"cancellation": func(r *run, l fsm.Leased) { r.fail("bad", "no") },
		"end":          func(r *run, l fsm.Leased) { r.terminate("enough") },
	} {
		holder := w.start("two", nil)
		l := w.mustPoll("t1")
		waiting := w.start("f", nil)
		w.wantNothing("t1")
		end(holder, l)
		if got, ok := w.poll("t1"); !ok || got.Task.Exec != waiting.id {
			t.Fatalf("after %s: polled %s (%v), want the task of %s", name, got.Task, ok, waiting.id)
		}
		waiting.terminate("next")
		if !holder.info().Status.Terminal() {
			holder.terminate("next")
		}
	}
}

// B155: with a rate limit of one in ten seconds the second poll is empty until the window
// has passed.
func TestB155RateLimit(t *testing.T) {
	w := begin(t)
	w.corpus("wf-rate_limited_simple_task_workflow_integration_test.json")
	w.taskType("test_simple_task_with_rateLimits", m{"rateLimitPerFrequency": 1, "rateLimitFrequencyInSeconds": 10})
	first := w.start("test_rate_limit_simple_task_workflow", nil)
	second := w.start("test_rate_limit_simple_task_workflow", nil)
	const queue = "test_simple_task_with_rateLimits"
	if l := w.mustPoll(queue); l.Task.Exec != first.id {
		t.Errorf("polled %s first", l.Task)
	}
	first.complete(queue, nil)
	w.wantNothing(queue)
	w.pass(9999 * time.Millisecond)
	w.wantNothing(queue)
	w.pass(time.Millisecond)
	if l := w.mustPoll(queue); l.Task.Exec != second.id {
		t.Errorf("polled %s, want that of %s", l.Task, second.id)
	}
	second.complete(queue, nil)
	second.wantStatus(fsm.Completed)
}

// B156: a rate limit holds for a task of a type of one's own too: the second workflow stays
// RUNNING with its task SCHEDULED.
func TestB156RateLimitOfOwnTypes(t *testing.T) {
	w := begin(t)
	w.corpus("wf-rate_limited_system_task_workflow_integration_test.json")
	w.taskType("test_task_with_rateLimits", m{"rateLimitPerFrequency": 1, "rateLimitFrequencyInSeconds": 10})
	first := w.start("test_rate_limit_system_task_workflow", nil)
	second := w.start("test_rate_limit_system_task_workflow", nil)
	const ref = "test_task_with_rateLimits"
	first.want(fsm.Running, ref+" SCHEDULED")
	queue := string(first.task(ref).Queue)
	if queue != "USER_TASK" {
		t.Errorf("the queue is %s, want the type USER_TASK", queue)
	}
	l := w.mustPoll(queue)
	w.must(&fsm.CompleteTask{Task: l.Task, Lease: l.Lease})
	first.wantStatus(fsm.Completed)
	w.wantNothing(queue)
	second.want(fsm.Running, ref+" SCHEDULED")
	w.pass(10 * time.Second)
	w.mustPoll(queue)
}

// asked marks queues as asked for by workers now.
func (w *world) asked(queues ...fsm.Queue) {
	w.t.Helper()
	w.apply(&fsm.Entry{Work: fsm.MaxWork, Seen: queues})
}

// queueOf starts f with domains and gives the queue of its task t1.
func (w *world) queueOf(domains ...fsm.Domain) fsm.Queue {
	w.t.Helper()
	return w.startWith(&fsm.StartExecution{Name: "f", Domains: domains}).task("t1").Queue
}

// B157: of a list of domains the first whose workers polled lately wins; with none active
// NO_DOMAIN is the plain queue, and without it the last of the list is taken.
func TestB157FirstActiveDomainWins(t *testing.T) {
	w := begin(t)
	w.define(flow("f", simple("t1")))
	want := func(domains string, queue fsm.Queue) {
		t.Helper()
		if got := w.queueOf(fsm.Domain{Type: "t1", Domain: domains}); got != queue {
			t.Errorf("domains %q: queue %s, want %s", domains, got, queue)
		}
	}
	want("d1,d2,NO_DOMAIN", "t1")
	want("d1,d2", "d2:t1")
	w.asked("d2:t1")
	want("d1,d2,NO_DOMAIN", "d2:t1")
	w.asked("d1:t1")
	want("d1,d2,NO_DOMAIN", "d1:t1")
	w.pass(time.Minute)
	want("d1,d2,NO_DOMAIN", "t1")
	want("d1,d2", "d2:t1")
}

// B158: the domain of a task type wins over the one for all.
func TestB158DomainOfATypeWins(t *testing.T) {
	w := begin(t)
	w.define(flow("f", fork("fork", list(simple("t1")), list(simple("task2"))), join("join", "t1", "task2")))
	r := w.startWith(&fsm.StartExecution{Name: "f", Domains: []fsm.Domain{{Type: "*", Domain: "mydomain"}, {Type: "task2", Domain: "a,NO_DOMAIN"}}})
	if q := r.task("t1").Queue; q != "mydomain:t1" {
		t.Errorf("t1 is in %s, want mydomain:t1", q)
	}
	if q := r.task("task2").Queue; q != "task2" {
		t.Errorf("task2 is in %s, want task2", q)
	}
	w.wantNothing("t1")
	if l := w.mustPoll("mydomain:t1"); l.Task != r.task("t1").ID {
		t.Errorf("polled %s", l.Task)
	}
}

// B159: batch polls hand out eight tasks of one type once each, then nothing.
func TestB159BatchPollsHandOutEachTaskOnce(t *testing.T) {
	w := begin(t)
	w.define(flow("f", simple("t1")))
	for range 8 {
		w.start("f", nil)
	}
	seen := map[fsm.TaskID]bool{}
	for _, n := range []int{3, 4, 10, 10} {
		for _, l := range w.polls("t1", n) {
			if seen[l.Task] {
				t.Errorf("%s was handed out twice", l.Task)
			}
			seen[l.Task] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d tasks were handed out, want 8", len(seen))
	}
}

// B160: a task whose hand-out failed on its way to the worker is not lost: it is given back
// and comes with a later poll, at its old place.
func TestB160FailedHandOutLosesNothing(t *testing.T) {
	w := begin(t)
	w.define(flow("f", simple("t1")))
	first, second := w.start("f", nil), w.start("f", nil)
	lost := w.mustPoll("t1")
	w.must(&fsm.ReturnLease{Task: lost.Task, Lease: lost.Lease})
	first.want(fsm.Running, "t1 SCHEDULED")
	if l := w.mustPoll("t1"); l.Task != first.task("t1").ID || l.Lease <= lost.Lease {
		t.Errorf("polled %s with lease %s, want %s with a later one than %s", l.Task, l.Lease, first.task("t1").ID, lost.Lease)
	}
	if l := w.mustPoll("t1"); l.Task != second.task("t1").ID {
		t.Errorf("polled %s, want %s", l.Task, second.task("t1").ID)
	}
	w.wantNothing("t1")
}
