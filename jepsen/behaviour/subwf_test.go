package behaviour

import (
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const parentFile = "wf-workflow_with_sub_workflow_1_integration_test.json"
const leafFile = "wf-simple_one_task_sub_workflow_integration_test.json"

// levels are three executions, each a child of the one before.
type levels struct{ root, middle, leaf *run }

// three starts three levels: root and middle are t1 then t2, the sub-workflow; the leaf
// is the one task t1, which is never tried again.
func (w *world) three() levels {
	w.t.Helper()
	w.corpus(parentFile, leafFile)
	w.integration(0)
	w.taskTypes(0, "simple_task_in_sub_wf")
	x := levels{root: w.start("integration_test_wf_with_sub_wf", m{"param1": "one", "subwf": "integration_test_wf_with_sub_wf", "nextSubwf": "sub_workflow"})}
	x.root.complete("t1", nil)
	x.middle = x.root.child("t2")
	x.middle.complete("t1", nil)
	x.leaf = x.middle.child("t2")
	return x
}

// threeFailed starts three levels and fails the leaf, and so all.
func (w *world) threeFailed() levels {
	w.t.Helper()
	x := w.three()
	x.leaf.fail("t1", "the leaf is broken")
	x.leaf.want(fsm.Failed, "t1 FAILED")
	x.middle.want(fsm.Failed, "t1 COMPLETED", "t2 FAILED")
	x.root.want(fsm.Failed, "t1 COMPLETED", "t2 FAILED")
	return x
}

// below gives the executions under r along its newest t2, r first.
func (r *run) below() []*run {
	out := []*run{r}
	for r.has("t2") && !r.task("t2").Child.IsZero() {
		r = r.child("t2")
		out = append(out, r)
	}
	return out
}

// runDown completes each open t1 from the root down until the whole chain has completed.
func (r *run) runDown() {
	r.w.t.Helper()
	for level := 0; level < 3; level++ {
		chain := r.below()
		if level >= len(chain) {
			r.w.t.Fatalf("level %d is not there", level)
		}
		if !chain[level].task("t1").Status.Terminal() {
			chain[level].complete("t1", nil)
		}
	}
	for _, c := range r.below() {
		c.wantStatus(fsm.Completed)
	}
}

// B75: a parent that times out by its own timeoutSeconds cancels its SUB_WORKFLOW task and
// terminates the child and its tasks.
func TestB075ParentsTimeOutTerminatesTheChild(t *testing.T) {
	w := begin(t)
	r, c := w.timedOutParent()
	r.want(fsm.TimedOut, "t1 COMPLETED", "t2 CANCELED")
	c.want(fsm.Terminated, "t1 CANCELED")
	w.wantNothing("simple_task_in_sub_wf")
}

func (w *world) timedOutParent() (parent, child *run) {
	w.t.Helper()
	w.corpus("wfs-sub_workflow_tests.json")
	r := w.start("integration_test_wf_with_sub_wf", m{"param1": "one", "subwf": "sub_workflow"})
	r.complete("t1", nil)
	c := r.child("t2")
	c.want(fsm.Running, "t1 SCHEDULED")
	w.pass(5 * time.Second)
	return r, c
}

// B76: retry of a child that was terminated because its parent timed out runs it again
// and brings the parent back to RUNNING with the same record; both complete.
func TestB076RetryOfAChildRevivesItsTimedOutParent(t *testing.T) {
	w := begin(t)
	r, c := w.timedOutParent()
	same := r.task("t2").ID
	w.must(retry(c, false))
	c.want(fsm.Running, "t1 CANCELED", "t1 SCHEDULED")
	r.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	if r.task("t2").ID != same {
		t.Error("the parent's task is another record")
	}
	c.complete("t1", m{"op": "done"})
	c.wantStatus(fsm.Completed)
	r.want(fsm.Completed, "t1 COMPLETED", "t2 COMPLETED")
	wantAt(t, r.info().Output, "op", "done")
}

// B77: retry of the parent with resumeSubworkflowTasks goes on in the same child, with a
// new attempt of its failed task.
func TestB077ResumeTheChild(t *testing.T) {
	w := begin(t)
	w.corpus(parentFile, "wf-simple_workflow_1_integration_test.json")
	w.integration(0)
	r := w.start("integration_test_wf_with_sub_wf", m{"param1": "one", "subwf": "integration_test_wf"})
	r.complete("t1", nil)
	c := r.child("t2")
	c.complete("t1", nil)
	c.fail("t2", "no")
	c.wantStatus(fsm.Failed)
	r.wantStatus(fsm.Failed)
	w.must(retry(r, true))
	r.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	if r.task("t2").Child != c.id {
		t.Error("the child is another one")
	}
	c.want(fsm.Running, "t1 COMPLETED", "t2 FAILED", "t2 SCHEDULED")
	c.complete("t2", nil)
	c.wantN(fsm.Completed, 3)
	r.wantN(fsm.Completed, 2)
}

// B78: retry of the root of three failed levels, without resume, makes a new record with a
// new child that starts from its beginning; the old ones stay FAILED.
func TestB078RetryOfTheRootStartsNewChildren(t *testing.T) {
	w := begin(t)
	x := w.threeFailed()
	w.must(retry(x.root, false))
	x.root.want(fsm.Running, "t1 COMPLETED", "t2 FAILED", "t2 IN_PROGRESS")
	a := x.root.attempts("t2")
	if !a[0].Retried || a[1].RetriedOf != a[0].ID || a[1].Child == x.middle.id {
		t.Errorf("attempts: %s %s", show(a[0]), show(a[1]))
	}
	x.root.child("t2").want(fsm.Running, "t1 SCHEDULED")
	x.root.runDown()
	x.root.wantN(fsm.Completed, 3)
	x.middle.want(fsm.Failed, "t1 COMPLETED", "t2 FAILED")
	x.leaf.want(fsm.Failed, "t1 FAILED")
}

// B79: retry of the root with resume makes no new record in root or middle; all three run
// and the leaf has a new attempt.
func TestB079ResumeFromTheRoot(t *testing.T) {
	w := begin(t)
	x := w.threeFailed()
	w.must(retry(x.root, true))
	x.root.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	x.middle.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	x.leaf.want(fsm.Running, "t1 FAILED", "t1 SCHEDULED")
	x.leaf.complete("t1", nil)
	x.leaf.wantN(fsm.Completed, 2)
	x.middle.wantN(fsm.Completed, 2)
	x.root.wantN(fsm.Completed, 2)
}

// B80: retry of the middle, without resume, gives it a fresh leaf and brings the root back
// with the same record.
func TestB080RetryOfTheMiddle(t *testing.T) {
	w := begin(t)
	x := w.threeFailed()
	w.must(retry(x.middle, false))
	x.middle.want(fsm.Running, "t1 COMPLETED", "t2 FAILED", "t2 IN_PROGRESS")
	x.root.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	fresh := x.middle.child("t2")
	if fresh.id == x.leaf.id {
		t.Error("the leaf is the old one")
	}
	fresh.complete("t1", nil)
	x.middle.wantN(fsm.Completed, 3)
	x.root.wantN(fsm.Completed, 2)
	x.leaf.want(fsm.Failed, "t1 FAILED")
}

// B81: rerun of the root, without a task or from its first one, begins at its first task
// and then starts a new middle.
func TestB081RerunOfTheRoot(t *testing.T) {
	w := begin(t)
	for _, from := range []bool{false, true} {
		x := w.threeFailed()
		first := x.root.task("t1").ID
		if from {
			w.must(rerunFrom(x.root, first, nil))
			if x.root.task("t1").ID != first {
				t.Error("the task it is rerun from has another id")
			}
		} else {
			w.must(rerun(x.root))
		}
		x.root.want(fsm.Running, "t1 SCHEDULED")
		x.root.complete("t1", nil)
		if x.root.child("t2").id == x.middle.id {
			t.Error("the middle is the old one")
		}
		x.root.runDown()
		x.root.wantN(fsm.Completed, 2)
		x.middle.wantStatus(fsm.Failed)
	}
}

// B82: rerun of the middle or of the leaf starts that one over; each ancestor is RUNNING
// with its SUB_WORKFLOW task IN_PROGRESS and keeps its completed tasks.
func TestB082RerunOfMiddleAndLeaf(t *testing.T) {
	w := begin(t)
	startOver(w, rerun)
}

// startOver starts middle and leaf over by a verb.
func startOver(w *world, verb func(r *run) fsm.Body) {
	w.t.Helper()
	x := w.threeFailed()
	w.must(verb(x.middle))
	x.middle.want(fsm.Running, "t1 SCHEDULED")
	x.root.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	x.middle.complete("t1", nil)
	fresh := x.middle.child("t2")
	if fresh.id == x.leaf.id {
		w.t.Error("the leaf is the old one")
	}
	fresh.complete("t1", nil)
	x.root.wantN(fsm.Completed, 2)

	x = w.threeFailed()
	w.must(verb(x.leaf))
	x.leaf.want(fsm.Running, "t1 SCHEDULED")
	x.middle.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	x.root.want(fsm.Running, "t1 COMPLETED", "t2 IN_PROGRESS")
	x.leaf.complete("t1", nil)
	x.middle.wantN(fsm.Completed, 2)
	x.root.wantN(fsm.Completed, 2)
}

// B83: restart of root, middle or leaf does as rerun without a task: that one begins
// anew, a restarted middle makes a new leaf.
func TestB083RestartOfEachLevel(t *testing.T) {
	w := begin(t)
	startOver(w, func(r *run) fsm.Body { return restart(r, false) })
	x := w.threeFailed()
	w.must(restart(x.root, false))
	x.root.want(fsm.Running, "t1 SCHEDULED")
	x.root.runDown()
	x.root.wantN(fsm.Completed, 2)
	x.middle.wantStatus(fsm.Failed)
}

// threeForks starts three levels of forks, each a sub-workflow beside the task t2, and
// fails the leaf's one task when the siblings have completed or not.
func (w *world) threeForks(siblingsDone bool) levels {
	w.t.Helper()
	w.corpus("wf-hierarchical_fork_join_swf.json", leafFile)
	w.integration(0)
	w.taskTypes(0, "simple_task_in_sub_wf")
	x := levels{root: w.start("hierarchical_fork_join_swf", m{"param1": "one", "subwf": "hierarchical_fork_join_swf", "nextSubwf": "sub_workflow"})}
	x.middle = x.root.child("st1")
	x.leaf = x.middle.child("st1")
	if siblingsDone {
		x.root.complete("t2", nil)
		x.middle.complete("t2", nil)
	}
	x.leaf.fail("t1", "the leaf is broken")
	for _, r := range []*run{x.root, x.middle} {
		r.wantStatus(fsm.Failed)
		r.wantTasks("fanouttask_join CANCELED", "st1 FAILED")
	}
	return x
}

// B84: three levels of forks whose leaf failed: retry, rerun or restart at any level opens
// the JOINs of all ancestors again, leaves completed siblings as they are, and everything
// completes once the leaf does.
func TestB084RevivedForks(t *testing.T) {
	w := begin(t)
	verbs := map[string]func(r *run) fsm.Body{
		"retry":   func(r *run) fsm.Body { return retry(r, false) },
		"resume":  func(r *run) fsm.Body { return retry(r, true) },
		"rerun":   rerun,
		"restart": func(r *run) fsm.Body { return restart(r, false) },
	}
	for name, verb := range verbs {
		for level := range 3 {
			x := w.threeForks(true)
			target := []*run{x.root, x.middle, x.leaf}[level]
			w.must(verb(target))
			for _, above := range []*run{x.root, x.middle}[:min(level, 2)] {
				above.wantStatus(fsm.Running)
				above.wantTasks("fanouttask_join IN_PROGRESS", "st1 IN_PROGRESS", "t2 COMPLETED")
				if n := len(above.attempts("t2")); n != 1 {
					t.Fatalf("%s of level %d: %d records of t2 above, want 1", name, level, n)
				}
			}
			x.finishForks()
		}
	}
}

// finishForks completes whatever is open in the newest tree of children.
func (x levels) finishForks() {
	w := x.root.w
	w.t.Helper()
	for range 12 {
		for r := x.root; ; r = r.child("st1") {
			if r.has("t2") && !r.task("t2").Status.Terminal() {
				r.complete("t2", nil)
			}
			if r.has("t1") && !r.task("t1").Status.Terminal() {
				r.complete("t1", nil)
			}
			if !r.has("st1") {
				break
			}
		}
		if x.root.info().Status.Terminal() {
			break
		}
	}
	for r := x.root; ; r = r.child("st1") {
		r.wantStatus(fsm.Completed)
		if !r.has("st1") {
			return
		}
		r.wantTasks("fanouttask_join COMPLETED", "st1 COMPLETED", "t2 COMPLETED")
	}
}

// B85: when a child in a fork failed and its siblings were canceled, retry of the child
// directly, or rerun from a task of it, schedules every sibling again; tasks before the
// fork keep their ids.
func TestB085RetryOfAChildSchedulesItsCanceledSiblings(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s1"), simple("s2")))
	w.taskTypes(0, "s2")
	f := flow("f", simple("before"), fork("fork", list(child("c", "sub")), list(simple("a"), simple("a2")), list(simple("b"))), join("join", "c", "a2", "b"))
	for _, again := range []func(c *run) fsm.Body{
		func(c *run) fsm.Body { return retry(c, false) },
		func(c *run) fsm.Body { return rerunFrom(c, c.task("s2").ID, nil) },
	} {
		r := w.startFlow(f, nil)
		r.completes("before", "a")
		kept := r.task("before").ID
		c := r.child("c")
		c.complete("s1", nil)
		c.fail("s2", "no")
		r.wantStatus(fsm.Failed)
		r.wantTasks("a2 CANCELED", "b CANCELED", "join CANCELED")
		w.must(again(c))
		r.wantStatus(fsm.Running)
		r.wantTasks("before COMPLETED", "c IN_PROGRESS", "a COMPLETED", "a2 SCHEDULED", "b SCHEDULED", "join IN_PROGRESS")
		if r.task("before").ID != kept {
			t.Error("the task before the fork is another record")
		}
		c.complete("s2", nil)
		r.completes("a2", "b")
		r.wantStatus(fsm.Completed)
		r.wantTasks("c COMPLETED", "a2 COMPLETED", "b COMPLETED", "join COMPLETED")
	}
}

// B86: a loop that was canceled because a child beside it failed goes on when the child is
// retried: it is IN_PROGRESS and its inner task is scheduled.
func TestB086RetryOfAChildRevivesALoopBesideIt(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")))
	w.taskTypes(0, "s")
	r := w.startFlow(flow("f", fork("fork", list(child("c", "sub")), list(rounds("loop", 2, list(simple("a"))))), join("join", "c", "loop")), nil)
	r.complete("a__1", nil)
	c := r.child("c")
	c.fail("s", "no")
	r.wantStatus(fsm.Failed)
	r.wantTasks("loop CANCELED", "a__2 CANCELED", "join CANCELED")
	w.must(retry(c, false))
	r.wantStatus(fsm.Running)
	r.wantTasks("loop IN_PROGRESS", "a__2 SCHEDULED", "join IN_PROGRESS", "c IN_PROGRESS")
	c.complete("s", nil)
	r.complete("a__2", nil)
	r.wantStatus(fsm.Completed)
	r.wantTasks("loop COMPLETED", "join COMPLETED")
}

// B87: a child that fails and is retried three times over behaves the same every time;
// its canceled sibling does not multiply.
func TestB087RepeatedRetriesDoNotMultiply(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")))
	w.taskTypes(0, "s")
	r := w.startFlow(flow("f", fork("fork", list(child("c", "sub")), list(simple("a"))), join("join", "c", "a")), nil)
	c := r.child("c")
	n := len(r.records())
	for i := 1; i <= 3; i++ {
		c.fail("s", "no")
		c.wantN(fsm.Failed, i)
		r.wantN(fsm.Failed, n)
		r.wantTasks("c FAILED", "a CANCELED", "join CANCELED")
		w.must(retry(c, false))
		c.wantN(fsm.Running, i+1)
		r.wantN(fsm.Running, n)
		r.wantTasks("c IN_PROGRESS", "a SCHEDULED", "join IN_PROGRESS")
	}
	c.complete("s", nil)
	r.complete("a", nil)
	r.wantN(fsm.Completed, n)
}

// B88: of three children of a fork, one COMPLETED, one FAILED, one CANCELED, retry of the
// parent starts fresh ones for the last two only; with resume the same children go on and
// what had completed in the canceled one does not run again.
func TestB088RetryOfThreeChildren(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s1"), simple("s2")))
	w.taskTypes(0, "s2")
	for _, resume := range []bool{false, true} {
		r := w.startFlow(flow("f", fork("fork", list(child("c1", "sub")), list(child("c2", "sub")), list(child("c3", "sub"))), join("join", "c1", "c2", "c3")), nil)
		old := map[string]*run{"c1": r.child("c1"), "c2": r.child("c2"), "c3": r.child("c3")}
		old["c1"].completes("s1", "s2")
		old["c2"].complete("s1", nil)
		old["c3"].complete("s1", nil)
		old["c2"].fail("s2", "no")
		r.wantStatus(fsm.Failed)
		r.wantTasks("c1 COMPLETED", "c2 FAILED", "c3 CANCELED", "join CANCELED")
		old["c3"].want(fsm.Terminated, "s1 COMPLETED", "s2 CANCELED")
		w.must(retry(r, resume))
		r.wantStatus(fsm.Running)
		r.wantTasks("c1 COMPLETED", "c2 IN_PROGRESS", "c3 IN_PROGRESS", "join IN_PROGRESS")
		if r.child("c1").id != old["c1"].id {
			t.Error("the completed child was started again")
		}
		for _, ref := range []string{"c2", "c3"} {
			c := r.child(ref)
			if same := c.id == old[ref].id; same != resume {
				t.Fatalf("resume %v: %s has the same child: %v", resume, ref, same)
			}
			if resume {
				c.wantTasks("s1 COMPLETED", "s2 SCHEDULED")
				if n := len(c.attempts("s1")); n != 1 {
					t.Errorf("%s ran s1 %d times, want once", ref, n)
				}
			} else {
				c.complete("s1", nil)
			}
			c.complete("s2", nil)
		}
		r.wantStatus(fsm.Completed)
	}
}

// B89: retry, restart and rerun of the failed child of an optional SUB_WORKFLOW run the
// child and leave the COMPLETED parent alone.
func TestB089OptionalChildrenRunAlone(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")))
	w.taskTypes(0, "s")
	for _, verb := range []func(c *run) fsm.Body{
		func(c *run) fsm.Body { return retry(c, false) },
		func(c *run) fsm.Body { return restart(c, false) },
		rerun,
	} {
		r := w.startFlow(flow("f", child("c", "sub", optional)), nil)
		c := r.child("c")
		c.fail("s", "no")
		r.want(fsm.Completed, "c COMPLETED_WITH_ERRORS")
		before := r.snapshot()
		w.must(verb(c))
		c.wantStatus(fsm.Running)
		c.complete("s", nil)
		c.wantStatus(fsm.Completed)
		if after := r.snapshot(); after != before {
			t.Errorf("the parent changed:\n%s\n%s", before, after)
		}
	}
}

// B90: after a restart of the parent its old child is an orphan: retried, it runs alone
// and its end does not touch the parent nor the new child.
func TestB090OrphansRunAlone(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")))
	w.taskTypes(0, "s")
	r := w.startFlow(flow("f", child("c", "sub")), nil)
	orphan := r.child("c")
	orphan.fail("s", "no")
	w.must(restart(r, false))
	fresh := r.child("c")
	if fresh.id == orphan.id {
		t.Fatal("restart kept the child")
	}
	before := r.snapshot() + fresh.snapshot()
	w.must(retry(orphan, false))
	orphan.wantStatus(fsm.Running)
	orphan.complete("s", m{"from": "the orphan"})
	orphan.wantStatus(fsm.Completed)
	if after := r.snapshot() + fresh.snapshot(); after != before {
		t.Errorf("parent or new child changed:\n%s\n%s", before, after)
	}
	fresh.complete("s", m{"from": "the child"})
	r.wantStatus(fsm.Completed)
	wantAt(t, r.task("c").Output, "from", "the child")
}

// B91: a SUB_WORKFLOW without version, or with null or 0, runs the latest at that time;
// with a version it runs that one.
func TestB091SubWorkflowVersions(t *testing.T) {
	w := begin(t)
	for v := 1; v <= 2; v++ {
		w.define(with(flow("sub", simple("s")), m{"version": v}))
	}
	for _, c := range []struct {
		version any
		given   bool
		want    int32
	}{{nil, false, 3}, {nil, true, 3}, {0, true, 3}, {1, true, 1}, {2, true, 2}} {
		param := m{"name": "sub"}
		if c.given {
			param["version"] = c.version
		}
		r := w.startFlow(flow("f", simple("first"), step("SUB_WORKFLOW", "c", m{"subWorkflowParam": param})), nil)
		w.define(with(flow("sub", simple("s")), m{"version": 3}))
		r.complete("first", nil)
		if v := r.child("c").info().Version; v != c.want {
			t.Errorf("version %v: the child runs %d, want %d", c.version, v, c.want)
		}
		w.must(&fsm.DeleteDefinition{Name: "sub", Version: 3})
	}
}

// B92: an inline workflowDefinition runs without being registered; the child's input has
// _systemMetadata.dynamic=true, which that of a registered one has not.
func TestB092InlineSubWorkflow(t *testing.T) {
	w := begin(t)
	w.define(flow("registered", simple("s")))
	r := w.startFlow(flow("f",
		step("SUB_WORKFLOW", "c1", in(m{"a": 1}), m{"subWorkflowParam": m{"name": "own", "version": 1, "workflowDefinition": flow("own", simple("s"))}}),
		child("c2", "registered", in(m{"a": 1}))), nil)
	c := r.child("c1")
	wantAt(t, c.info().Input, "_systemMetadata.dynamic", true)
	wantAt(t, c.info().Input, "a", 1)
	if _, ok := w.at().Definition("own", 0); ok {
		t.Error("the inline definition was registered")
	}
	c.complete("s", m{"b": 2})
	wantAt(t, r.task("c1").Output, "b", 2)
	c = r.child("c2")
	wantJSON(t, c.info().Input, m{"a": 1})
	c.complete("s", nil)
	r.wantStatus(fsm.Completed)
}

// B93: priority in subWorkflowParam is the child's; idempotencyKey and
// idempotencyStrategy there are in the task's input, and the child starts.
func TestB093PriorityAndKeyOfAChild(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")))
	r := w.startFlow(flow("f", step("SUB_WORKFLOW", "c", m{"subWorkflowParam": m{"name": "sub", "priority": 7,
		"idempotencyKey": "key ${workflow.input.k}", "idempotencyStrategy": "FAIL"}})), m{"k": 9})
	c := r.child("c")
	c.want(fsm.Running, "s SCHEDULED")
	if p := c.info().Priority; p != 7 {
		t.Errorf("priority %d, want 7", p)
	}
	wantAt(t, r.task("c").Input, "idempotencyKey", "key 9")
	wantAt(t, r.task("c").Input, "idempotencyStrategy", "FAIL")
}

// B94: the child's end is the task's: COMPLETED, FAILED with a reason that holds the
// child's id, TIMED_OUT, and CANCELED for TERMINATED.
func TestB094ChildStatesMapToTheTask(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "s")
	w.define(with(flow("sub", simple("s")), m{"timeoutSeconds": 60, "timeoutPolicy": "TIME_OUT_WF"}))
	w.define(flow("f", child("c", "sub")))
	for _, x := range []struct {
		end    func(c *run)
		task   string
		parent fsm.Status
	}{
		{func(c *run) { c.complete("s", nil) }, "c COMPLETED", fsm.Completed},
		{func(c *run) { c.fail("s", "no") }, "c FAILED", fsm.Failed},
		{func(c *run) { w.pass(time.Minute) }, "c TIMED_OUT", fsm.TimedOut},
		{func(c *run) { c.terminate("enough") }, "c CANCELED", fsm.Terminated},
	} {
		r := w.start("f", nil)
		c := r.child("c")
		r.want(fsm.Running, "c IN_PROGRESS")
		x.end(c)
		r.want(x.parent, x.task)
		if x.parent != fsm.Completed {
			wantTexts(t, "the task's reason", r.task("c").Reason, c.id.String())
		}
	}
}

// B95: a child that is not registered fails the SUB_WORKFLOW task with a reason and no
// child, and the workflow once its retries are used up.
func TestB095ChildThatIsNotRegistered(t *testing.T) {
	w := begin(t)
	w.taskType("c", m{"retryCount": 2})
	r := w.startFlow(flow("f", child("c", "nobody")), nil)
	w.pass(time.Second)
	r.want(fsm.Failed, "c FAILED", "c FAILED", "c FAILED")
	for _, a := range r.attempts("c") {
		if !a.Child.IsZero() || !strings.Contains(a.Reason, "nobody") {
			t.Errorf("child %s, reason %q", a.Child, a.Reason)
		}
	}
}

// B96: fifty parents started together have one child each, whose parent is right, and
// there is no stray child.
func TestB096EveryParentHasOneChild(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s")), flow("f", child("c", "sub")))
	var starts []fsm.Body
	for range 50 {
		starts = append(starts, &fsm.StartExecution{Name: "f"})
	}
	answers := w.send(starts...)
	w.quiet()
	seen := map[fsm.ExecID]bool{}
	for _, a := range answers {
		r := &run{w, a.Exec}
		c := r.child("c")
		if c.info().Parent != r.task("c").ID || seen[c.id] {
			t.Errorf("child %s has parent %s, want %s", c.id, c.info().Parent, r.task("c").ID)
		}
		seen[c.id] = true
	}
	for _, l := range w.polls("s", 50) {
		w.must(&fsm.CompleteTask{Task: l.Task, Lease: l.Lease})
	}
	if n := len(w.executions()); n != 100 {
		t.Errorf("%d executions, want 100", n)
	}
	for _, id := range w.executions() {
		(&run{w, id}).wantN(fsm.Completed, 1)
	}
}
