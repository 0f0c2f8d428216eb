package behaviour

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// B56: tasks in a loop have the suffix __n and that iteration; system tasks run between
// the workers' ones; the task after the loop has neither.
func TestB056LoopRunsItsTasksInRounds(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_five_loop_over_integration_test.json")
	r := w.start("do_while_five_loop_over_integration_test", m{"loop": 2})
	r.want(fsm.Running, "loopTask IN_PROGRESS", "lambda_locs__1 COMPLETED", "jq_add_location__1 COMPLETED", "integration_task_1__1 SCHEDULED")
	r.complete("integration_task_1__1", nil)
	r.wantN(fsm.Running, 6)
	r.wantTasks("jq_create_hydrus_input__1 COMPLETED", "integration_task_2__1 SCHEDULED")
	r.complete("integration_task_2__1", nil)
	r.wantN(fsm.Running, 9)
	r.wantTasks("integration_task_1__2 SCHEDULED")
	r.completes("integration_task_1__2", "integration_task_2__2")
	r.wantN(fsm.Running, 12)
	r.wantTasks("loopTask COMPLETED", "integration_task_3 SCHEDULED")
	for _, task := range r.records() {
		want := uint32(0)
		if _, suffix, ok := strings.Cut(task.Ref, "__"); ok {
			fmt.Sscan(suffix, &want)
		}
		if task.Ref != "loopTask" && task.Iteration != want {
			t.Errorf("%s has iteration %d, want %d", task.Ref, task.Iteration, want)
		}
	}
	r.complete("integration_task_3", nil)
	r.wantStatus(fsm.Completed)
}

// B57: a fork in a loop has the suffix on all its records, the JOIN's too.
func TestB057ForkInALoop(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_integration_test.json")
	r := w.start("Do_While_Workflow", m{"loop": 1})
	r.want(fsm.Running, "loopTask IN_PROGRESS", "integration_task_0__1 SCHEDULED")
	r.complete("integration_task_0__1", nil)
	r.want(fsm.Running, "loopTask IN_PROGRESS", "integration_task_0__1 COMPLETED", "fork__1 COMPLETED", "integration_task_1__1 SCHEDULED",
		"integration_task_2__1 SCHEDULED", "join__1 IN_PROGRESS")
	r.completes("integration_task_1__1", "integration_task_2__1")
	r.wantTasks("join__1 COMPLETED", "loopTask COMPLETED")
	r.wantN(fsm.Completed, 6)
}

// B58: a loop that ends in a sub-workflow closes only when the child has completed.
func TestB058SubWorkflowInALoop(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_sub_workflow_integration_test.json", "wf-simple_one_task_sub_workflow_integration_test.json")
	r := w.start("Do_While_Sub_Workflow", m{"loop": 1})
	r.completes("integration_task_0__1", "integration_task_1__1", "integration_task_2__1")
	r.wantN(fsm.Running, 7)
	r.wantTasks("st1__1 IN_PROGRESS", "loopTask IN_PROGRESS")
	r.child("st1__1").complete("t1", nil)
	r.wantTasks("st1__1 COMPLETED", "loopTask COMPLETED")
	r.wantN(fsm.Completed, 7)
}

// B59: of two loops in a row the first is COMPLETED before the second begins.
func TestB059LoopsFollowEachOther(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_multiple_integration_test.json")
	r := w.start("Do_While_Multiple", m{"loop": 2, "loop2": 1})
	for n := 1; n <= 2; n++ {
		if r.has("loopTask2") {
			t.Fatal("the second loop has begun")
		}
		for _, ref := range []string{"0", "1", "2"} {
			r.complete(fmt.Sprintf("integration_task_%s__%d", ref, n), nil)
		}
	}
	r.wantTasks("loopTask COMPLETED", "loopTask2 IN_PROGRESS", "integration_task_3__1 SCHEDULED")
	r.complete("integration_task_3__1", nil)
	r.wantN(fsm.Completed, 13)
}

// B60: a task that fails in a loop fails the workflow and cancels the loop; retry goes on
// in the same round with the same loop record.
func TestB060RetryGoesOnInTheSameRound(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_integration_test.json")
	w.integration(0)
	r := w.start("Do_While_Workflow", m{"loop": 1})
	r.fail("integration_task_0__1", "no")
	r.want(fsm.Failed, "loopTask CANCELED", "integration_task_0__1 FAILED")
	loopID := r.task("loopTask").ID
	w.must(retry(r, false))
	r.want(fsm.Running, "loopTask IN_PROGRESS", "integration_task_0__1 FAILED", "integration_task_0__1 SCHEDULED")
	if r.task("loopTask").ID != loopID || r.task("integration_task_0__1").Iteration != 1 {
		t.Errorf("loop %s, iteration %d; want %s, 1", r.task("loopTask").ID, r.task("integration_task_0__1").Iteration, loopID)
	}
	r.completes("integration_task_0__1", "integration_task_1__1", "integration_task_2__1")
	r.wantN(fsm.Completed, 7)
}

// B61: a loop may be a branch of a fork; the JOIN waits for it, whichever branch is first.
func TestB061LoopIsABranch(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_as_subtask_integration_test.json")
	for _, order := range [][]string{{"integration_task_0__1", "integration_task_1__1", "integration_task_2"}, {"integration_task_2", "integration_task_0__1", "integration_task_1__1"}} {
		r := w.start("Do_While_SubTask", m{"loop": 1})
		r.completes(order[:2]...)
		r.wantTasks("join IN_PROGRESS")
		r.complete(order[2], nil)
		r.wantTasks("join COMPLETED", "loopTask COMPLETED")
		r.wantN(fsm.Completed, 6)
	}
}

// B62: ${loop['iteration']} is the current round, in 2 rounds and in 500.
func TestB062TasksReadTheRound(t *testing.T) {
	w := begin(t)
	w.restoreEvery = 400
	w.corpus("wf-do_while_iteration_fix_test.json")
	for _, n := range []int{2, 500} {
		r := w.start("Do_While_Workflow_Iteration_Fix", m{"loop": n})
		r.wantN(fsm.Completed, n+1)
		for i, task := range r.records()[1:] {
			wantAt(t, task.Output, "result", i)
		}
		wantAt(t, r.task("loopTask").Output, "iteration", n)
		if got := r.task("loopTask").Iteration; int(got) != n {
			t.Errorf("the loop's record has iteration %d, want %d", got, n)
		}
	}
}

// B63: the condition of a round sees variables that the round has set.
func TestB063ConditionSeesVariables(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_set_variable_fix.json")
	r := w.start("do_while_Set_variable_fix", m{"value": "1"})
	r.want(fsm.Completed, "loopTask COMPLETED", "set_variable__1 COMPLETED")
}

// B64: a loop over a list with a script, a SWITCH and a WAIT inside goes round once for
// each element.
func TestB064LoopWithSwitchAndWait(t *testing.T) {
	w := begin(t)
	w.corpus("wf-do_while_with_decision_task.json")
	r := w.start("DO_While_with_Decision_task", m{"list": l{1, 2}})
	r.want(fsm.Running, "LoopTask IN_PROGRESS", "GetNumberAtIndex__1 COMPLETED", "SwitchTask__1 COMPLETED", "WaitTask__1 IN_PROGRESS")
	r.update("WaitTask", fsm.TaskStatusCompleted, nil)
	r.wantN(fsm.Running, 8)
	r.wantTasks("WaitTask__2 IN_PROGRESS")
	wantAt(t, r.task("LoopTask").Output, "iteration", 2)
	r.update("WaitTask", fsm.TaskStatusCompleted, nil)
	r.wantN(fsm.Completed, 9)
	wantAt(t, r.task("LoopTask").Output, "iteration", 2)
}

// B65: keepLastN=2 leaves, after round 5, the rounds 4 and 5 in the loop's output and the
// records of no earlier ones; the loop's record and other workflows keep theirs.
func TestB065KeepLastNDropsRounds(t *testing.T) {
	w := begin(t)
	f := flow("f", rounds("loop", 5, list(simple("a"), simple("b")), in(m{"keepLastN": 2})))
	other := w.startFlow(f, nil)
	other.completes("a__1", "b__1")
	w.lease(other.task("a__2").ID)
	before := other.snapshot()
	r := w.start("f", nil)
	id := r.task("loop").ID
	for n := 1; n <= 5; n++ {
		r.complete(fmt.Sprintf("a__%d", n), m{"n": n})
		r.complete(fmt.Sprintf("b__%d", n), nil)
	}
	r.want(fsm.Completed, "loop COMPLETED", "a__4 COMPLETED", "b__4 COMPLETED", "a__5 COMPLETED", "b__5 COMPLETED")
	if r.task("loop").ID != id {
		t.Error("the loop is another record")
	}
	wantJSON(t, r.task("loop").Output, m{"iteration": 5, "4": m{"a": m{"n": 4}, "b": m{}}, "5": m{"a": m{"n": 5}, "b": m{}}})
	if after := other.snapshot(); after != before {
		t.Errorf("another workflow changed:\n%s\n%s", before, after)
	}
}

// B66: a loop with keepLastN and a SWITCH inside counts on: it ends with iteration 26.
// A window that is not yet full drops nothing.
func TestB066KeepLastNCountsOn(t *testing.T) {
	w := begin(t)
	body := list(choice("s", "${loop.output.iteration}", m{"3": list(setVariable("three", m{"seen": true}))}, m{"defaultCase": list(setVariable("other", m{"last": "${loop.output.iteration}"}))}))
	r := w.startFlow(flow("f", loop("loop", "if ($.loop['iteration'] > 25) { false; } else { true; }", body, in(m{"keepLastN": 5}))), nil)
	r.wantStatus(fsm.Completed)
	wantAt(t, r.task("loop").Output, "iteration", 26)
	r.wantN(fsm.Completed, 1+5*2)
	r = w.startFlow(flow("g", rounds("loop", 3, list(setVariable("v", m{"a": 1})), in(m{"keepLastN": 3}))), nil)
	r.wantN(fsm.Completed, 4)
}

// B67: a loop with a WAIT that is completed ten times by task id makes exactly ten rounds.
func TestB067WaitInALoopMakesExactRounds(t *testing.T) {
	w := begin(t)
	body := list(wait("w"), choice("s", "${w.output.result}", m{"a": list(setVariable("va", m{"x": "a"})), "b": list(setVariable("vb", m{"x": "b"}))}))
	r := w.startFlow(flow("f", loop("loop", "if ($.w['result'] == 'a') { false; } else { true; }", body)), nil)
	for n := 1; n <= 10; n++ {
		r.wantStatus(fsm.Running)
		result := "b"
		if n == 10 {
			result = "a"
		}
		r.updateTask(r.task(fmt.Sprintf("w__%d", n)).ID, fsm.TaskStatusCompleted, m{"result": result})
	}
	r.wantN(fsm.Completed, 1+10*3)
	wantAt(t, r.task("loop").Output, "iteration", 10)
}

// B68: items makes one round for each element, in order, with loopItem and loopIndex in
// the loop's output.
func TestB068LoopOverItems(t *testing.T) {
	w := begin(t)
	f := flow("f", loop("loop", "", list(simple("a", in(m{"item": "${loop.output.loopItem}", "index": "${loop.output.loopIndex}"}))), m{"items": "${workflow.input.list}"}))
	r := w.startFlow(f, m{"list": l{"x", m{"k": 2}, 3}})
	for i, item := range []any{"x", m{"k": 2}, 3} {
		ref := fmt.Sprintf("a__%d", i+1)
		wantJSON(t, r.task(ref).Input, m{"item": item, "index": i})
		wantAt(t, r.task("loop").Output, "loopIndex", i)
		wantAt(t, r.task("loop").Output, "loopItem", item)
		r.complete(ref, nil)
	}
	r.wantN(fsm.Completed, 4)
	r = w.start("f", m{"list": l{"only"}})
	wantJSON(t, r.task("a__1").Input, m{"item": "only", "index": 0})
	r.complete("a__1", nil)
	r.wantN(fsm.Completed, 2)
}

// B69: with items and a condition the loop ends at the first of: list used up, condition
// false.
func TestB069ItemsAndConditionEndTheLoopTogether(t *testing.T) {
	w := begin(t)
	f := flow("f", loop("loop", "if ($.loop['iteration'] < 3) { true; } else { false; }", list(setVariable("v", m{"a": 1})), m{"items": "${workflow.input.list}"}))
	for _, c := range []struct{ items, rounds int }{{2, 2}, {3, 3}, {5, 3}} {
		r := w.startFlow(f, m{"list": make([]int, c.items)})
		r.wantN(fsm.Completed, 1+c.rounds)
		wantAt(t, r.task("loop").Output, "iteration", c.rounds)
	}
}

// B70: a SWITCH in a loop takes a case of a system task and a worker's: the round does
// not end before the second has run.
func TestB070RoundWaitsForTheWholeCase(t *testing.T) {
	w := begin(t)
	body := list(choice("s", "go", m{"go": list(inline("first", "1 + 1"), simple("second"))}))
	r := w.startFlow(flow("f", rounds("loop", 2, body)), nil)
	for n := 1; n <= 2; n++ {
		second := fmt.Sprintf("second__%d", n)
		r.wantN(fsm.Running, 1+3*n)
		r.wantTasks(fmt.Sprintf("first__%d COMPLETED", n), second+" SCHEDULED", "loop IN_PROGRESS")
		wantAt(t, r.task("loop").Output, "iteration", n)
		w.lease(r.task(second).ID)
		r.wantN(fsm.Running, 1+3*n)
		r.complete(second, nil)
	}
	r.wantN(fsm.Completed, 7)
}

// B71: a condition over the output of the last task of a round is judged when that has
// ended, never on a value that is not there yet.
func TestB071ConditionIsJudgedAtTheEndOfTheRound(t *testing.T) {
	w := begin(t)
	body := list(inline("first", "1 + 1"), simple("last"))
	r := w.startFlow(flow("f", loop("loop", "if ($.last['go'] == true) { true; } else { false; }", body)), nil)
	for n := 1; n <= 3; n++ {
		last := fmt.Sprintf("last__%d", n)
		r.wantTasks("loop IN_PROGRESS", last+" SCHEDULED")
		w.lease(r.task(last).ID)
		w.must(decide(r))
		r.wantTasks("loop IN_PROGRESS", last+" IN_PROGRESS")
		r.complete(last, m{"go": n < 3})
	}
	r.wantN(fsm.Completed, 7)
}

// B72: with two WAITs of 2 s in a loop the second round begins after the last WAIT of the
// first has ended.
func TestB072RoundsWithTimersDoNotOverlap(t *testing.T) {
	w := begin(t)
	two := in(m{"duration": "2 seconds"})
	body := list(wait("w1", two), setVariable("v", m{"a": "${loop.output.iteration}"}), wait("w2", two))
	r := w.startFlow(flow("f", setVariable("before", m{"a": 0}), rounds("loop", 2, body)), nil)
	w.pass(20 * time.Second)
	r.wantN(fsm.Completed, 8)
	if first, second := r.task("w2__1").Ended, r.task("w1__2").Scheduled; second < first {
		t.Errorf("round 2 began at %d, before round 1 ended at %d", second, first)
	}
	if took := r.info().Ended - r.info().Created; took != 8000 {
		t.Errorf("it took %d ms, want 8000", took)
	}
}

// B73: an update by reference name without the suffix reaches the record of the running
// round.
func TestB073UpdateByPlainNameReachesTheRunningRound(t *testing.T) {
	w := begin(t)
	r := w.startFlow(flow("f", rounds("loop", 3, list(simple("a")))), nil)
	for n := 1; n <= 3; n++ {
		r.update("a", fsm.TaskStatusCompleted, m{"n": n})
		r.wantTasks(fmt.Sprintf("a__%d COMPLETED", n))
		wantJSON(t, r.task(fmt.Sprintf("a__%d", n)).Output, m{"n": n})
	}
	r.wantN(fsm.Completed, 4)
}

// B74: three loops in three branches, each with its own keepLastN, keep as many records
// as their windows say.
func TestB074WindowsOfParallelLoops(t *testing.T) {
	w := begin(t)
	window := func(n int) []m {
		ref := fmt.Sprintf("loop%d", n)
		return list(rounds(ref, 5, list(simple(fmt.Sprintf("a%d", n)), setVariable(fmt.Sprintf("v%d", n), m{"x": 1})), in(m{"keepLastN": n})))
	}
	r := w.startFlow(flow("f", fork("fork", window(1), window(2), window(4)), join("join", "loop1", "loop2", "loop4")), nil)
	for round := 1; round <= 5; round++ {
		for _, n := range []int{4, 1, 2} {
			r.complete(fmt.Sprintf("a%d__%d", n, round), nil)
		}
	}
	r.wantN(fsm.Completed, 2+3+2*(1+2+4))
}
