package behaviour

import (
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// forked starts DynamicFanInOutTest and has its first task return two tasks.
func (w *world) forked(one, two m) *run {
	w.t.Helper()
	w.corpus("wf-dynamic_fork_join_integration_test.json")
	w.taskTypes(0, "integration_task_2", "integration_task_3")
	r := w.start("DynamicFanInOutTest", m{"param1": "one"})
	r.want(fsm.Running, "dt1 SCHEDULED")
	r.complete("dt1", m{"dynamicTasks": l{one, two}, "dynamicTasksInput": m{"xdt1": m{"k1": "v1"}, "xdt2": m{"k2": "v2"}}})
	return r
}

func xdt(n string, more ...m) m {
	return simple("xdt"+n, append([]m{{"name": "integration_task_" + map[string]string{"1": "2", "2": "3"}[n]}}, more...)...)
}

// B38: a dynamic fork makes the tasks that a list names, each with its own input, and a
// JOIN on all of them.
func TestB038DynamicForkMakesTheNamedTasks(t *testing.T) {
	w := begin(t)
	r := w.forked(xdt("1"), xdt("2"))
	r.want(fsm.Running, "dt1 COMPLETED", "dynamicfanouttask COMPLETED", "xdt1 SCHEDULED", "xdt2 SCHEDULED", "dynamicfanouttask_join IN_PROGRESS")
	wantJSON(t, r.task("xdt1").Input, m{"k1": "v1"})
	wantJSON(t, r.task("xdt2").Input, m{"k2": "v2"})
	wantAt(t, r.task("dynamicfanouttask_join").Input, "joinOn", l{"xdt1", "xdt2"})
	r.complete("xdt1", m{"a": 1})
	r.wantTasks("dynamicfanouttask_join IN_PROGRESS")
	r.complete("xdt2", m{"b": 2})
	wantJSON(t, r.task("dynamicfanouttask_join").Output, m{"xdt1": m{"a": 1}, "xdt2": m{"b": 2}})
	r.complete("task4", nil)
	r.want(fsm.Completed, "dt1 COMPLETED", "dynamicfanouttask COMPLETED", "xdt1 COMPLETED", "xdt2 COMPLETED", "dynamicfanouttask_join COMPLETED", "task4 COMPLETED")
}

// B39: a forked task that fails for good ends the workflow; retry makes new records of
// it and of the canceled ones, and opens the JOIN again.
func TestB039RetryAfterAForkedTaskFailed(t *testing.T) {
	w := begin(t)
	r := w.forked(xdt("1"), xdt("2"))
	r.fail("xdt1", "no")
	r.want(fsm.Failed, "dt1 COMPLETED", "dynamicfanouttask COMPLETED", "xdt1 FAILED", "xdt2 CANCELED", "dynamicfanouttask_join CANCELED")
	joined := r.task("dynamicfanouttask_join").ID
	w.must(retry(r, false))
	r.wantN(fsm.Running, 7)
	r.wantTasks("xdt1 SCHEDULED", "xdt2 SCHEDULED", "dynamicfanouttask_join IN_PROGRESS")
	if r.task("dynamicfanouttask_join").ID != joined {
		t.Error("the join is another record")
	}
	wantJSON(t, r.task("xdt1").Input, m{"k1": "v1"})
	wantJSON(t, r.task("xdt2").Input, m{"k2": "v2"})
	r.completes("xdt1", "xdt2", "task4")
	r.wantN(fsm.Completed, 8)
}

// B40: retry with resumeSubworkflowTasks of a parent whose forked child failed goes on in
// that child: no new record in the parent, and completed siblings do not run again.
func TestB040ResumeAForkedSubWorkflow(t *testing.T) {
	w := begin(t)
	w.define(flow("sub", simple("s1"), simple("s2")))
	w.taskTypes(0, "s2")
	r := w.forked(child("xdt1", "sub"), xdt("2"))
	c := r.child("xdt1")
	r.complete("xdt2", nil)
	c.complete("s1", nil)
	c.fail("s2", "no")
	r.wantN(fsm.Failed, 5)
	sibling := show(r.task("xdt2"))
	w.must(retry(r, true))
	r.wantN(fsm.Running, 5)
	r.wantTasks("xdt1 IN_PROGRESS", "dynamicfanouttask_join IN_PROGRESS")
	if r.task("xdt1").Child != c.id {
		t.Errorf("the child is %s, want the same %s", r.task("xdt1").Child, c.id)
	}
	if after := show(r.task("xdt2")); after != sibling {
		t.Errorf("the completed sibling changed:\n%s\n%s", sibling, after)
	}
	c.want(fsm.Running, "s1 COMPLETED", "s2 FAILED", "s2 SCHEDULED")
	c.complete("s2", nil)
	c.wantN(fsm.Completed, 3)
	r.complete("task4", nil)
	r.wantN(fsm.Completed, 6)
}

// B41: an inline definition that begins with a dynamic fork fed with texts in place of
// objects starts, and is FAILED with a reason.
func TestB041BrokenForkInputFailsTheWorkflowNotTheCall(t *testing.T) {
	w := begin(t)
	r := w.startWith(&fsm.StartExecution{
		Definition: js(flow("f", forkOf("fork", "${workflow.input.tasks}", "${workflow.input.inputs}"), join("join"))),
		Input:      js(m{"tasks": "[{}]", "inputs": "{}"}),
	})
	r.wantStatus(fsm.Failed)
	r.wantReason("dynamicTasks")
	for _, task := range r.records() {
		if !task.Status.Terminal() {
			t.Errorf("%s is left %s", task.Ref, task.Status)
		}
	}
}

// B42: a runtime task without a reference name fails the workflow with a reason that
// names the input; a runtime SUB_WORKFLOW needs no name.
func TestB042RuntimeTasksNeedAReferenceName(t *testing.T) {
	w := begin(t)
	r := w.forked(m{"name": "integration_task_2", "type": "SIMPLE"}, xdt("2"))
	r.want(fsm.Failed, "dt1 COMPLETED")
	r.wantReason("Input 'dynamicTasks' is invalid")
	w.define(flow("sub", simple("inside")))
	r = w.forked(m{"taskReferenceName": "xdt1", "type": "SUB_WORKFLOW", "subWorkflowParam": m{"name": "sub"}}, xdt("2"))
	r.wantN(fsm.Running, 5)
	r.child("xdt1").complete("inside", nil)
	r.completes("xdt2", "task4")
	r.wantStatus(fsm.Completed)
}

// B43: two runtime tasks of one reference name fail the workflow with a reason, and no
// forked record is left open.
func TestB043RuntimeReferenceNamesAreUnique(t *testing.T) {
	w := begin(t)
	r := w.forked(xdt("1"), simple("xdt1"))
	r.wantStatus(fsm.Failed)
	r.wantReason("xdt1")
	for _, task := range r.records() {
		if !task.Status.Terminal() {
			t.Errorf("%s is left %s", task.Ref, task.Status)
		}
	}
}

// B44: a runtime task may be optional: it is tried again, then the JOIN goes on without
// it.
func TestB044RuntimeTasksMayBeOptional(t *testing.T) {
	w := begin(t)
	r := w.forked(xdt("1", optional, m{"retryCount": 1}), xdt("2"))
	r.fail("xdt1", "no")
	r.wantN(fsm.Running, 6)
	r.wantTasks("xdt1 SCHEDULED")
	r.completes("xdt1", "xdt2")
	r.wantTasks("dynamicfanouttask_join COMPLETED")
	r.complete("task4", nil)
	r.wantStatus(fsm.Completed)
}

// B45: forkTaskName with forkTaskInputs makes one task for each element: its name has an
// index, its input is the element with its index.
func TestB045ForkOverAListOfInputs(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", step("FORK_JOIN_DYNAMIC", "fork", in(m{"forkTaskName": "resize", "forkTaskInputs": l{m{"size": 1}, m{"size": 2}, "plain"}})),
		join("join"), simple("after")), nil)
	r.want(fsm.Running, "fork COMPLETED", "_resize_0 SCHEDULED", "_resize_1 SCHEDULED", "_resize_2 SCHEDULED", "join IN_PROGRESS")
	wantJSON(t, r.task("_resize_0").Input, m{"size": 1, "__index": 0})
	wantJSON(t, r.task("_resize_1").Input, m{"size": 2, "__index": 1})
	wantJSON(t, r.task("_resize_2").Input, m{"input": "plain", "__index": 2})
	for _, task := range r.records()[1:4] {
		if task.Name != "resize" || task.Queue != "resize" {
			t.Errorf("%s has name %s and queue %s, want resize", task.Ref, task.Name, task.Queue)
		}
	}
	r.completes("_resize_1", "_resize_0")
	r.wantTasks("join IN_PROGRESS")
	r.complete("_resize_2", nil)
	r.wantTasks("join COMPLETED", "after SCHEDULED")
}

// B46: a fork over no tasks completes with its JOIN, whose output is {}, and the flow
// goes on.
func TestB046EmptyForkGoesOn(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", forkOf("fork", l{}, m{}), join("join"), simple("after")), nil)
	r.want(fsm.Running, "fork COMPLETED", "join COMPLETED", "after SCHEDULED")
	wantJSON(t, r.task("join").Output, m{})
	r.complete("after", nil)
	r.wantN(fsm.Completed, 3)
}

// B47: the JOIN of a dynamic fork keeps its own inputParameters beside joinOn.
func TestB047JoinKeepsItsOwnInput(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", forkOf("fork", l{simple("x")}, m{}), with(join("join"), in(m{"mine": "${workflow.input.a}"}))), m{"a": 5})
	wantJSON(t, r.task("join").Input, m{"mine": 5, "joinOn": l{"x"}})
}

// B48: ${CPEWF_TASK_ID} in forked tasks is each one's own id.
func TestB048ForkedTasksKnowTheirOwnIds(t *testing.T) {
	w := begin(t)
	w.corpus("wf-cpewf_task_id_dyn_fork_wf.json")
	own := in(m{"task_id": "$${CPEWF_TASK_ID}"}) // escaped for the fork, whose input it is first
	for _, run := range []struct {
		r    *run
		want int
	}{
		{w.start("mailbot_workflow", nil), 1},
		{w.startFlow(flow("f", forkOf("fork", l{with(simple("x"), own), with(simple("y"), own)}, m{}), join("join")), nil), 2},
	} {
		seen := 0
		for _, task := range run.r.records() {
			if id, ok := find(t, task.Input, "task_id"); ok {
				seen++
				if id != task.ID.String() {
					t.Errorf("%s got the id %v, want %s", task.Ref, id, task.ID)
				}
			}
		}
		if seen != run.want {
			t.Errorf("%d tasks got an id, want %d: %v", seen, run.want, run.r.lines())
		}
	}
}
