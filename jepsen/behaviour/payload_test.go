package behaviour

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// piece is the size of what one report of the tests below adds to an output: ten are
// within the limit, eleven are not.
const piece = 1_000_000

// pieces is an output with members from up to to.
func pieces(from, to int) m {
	out := m{}
	for i := from; i < to; i++ {
		out[fmt.Sprintf("k%02d", i)] = strings.Repeat("x", piece)
	}
	return out
}

// fill reports n pieces of an output while the task goes on.
func (r *run) fill(ref string, n int) {
	r.w.t.Helper()
	for i := range n {
		r.update(ref, fsm.TaskStatusInProgress, pieces(i, i+1))
	}
}

const tooLarge = "is greater than the permissible limit: 10485760 bytes"

// B196: an output that grows over the hard limit, however it is reported, fails its task
// for good, and so the workflow, with size and limit.
//
// Different: a start whose input takes more than a request may carry is refused, with
// what is allowed, and begins nothing; so is one report of that size, which workers turn
// into a failure for good. What earlier reports of the attempt put out stays.
func TestB196OutputOverTheHardLimit(t *testing.T) {
	w := begin(t)
	w.taskType("t1", m{"retryCount": 3})
	w.define(flow("f", simple("t1"), simple("t2")))
	for name, end := range map[string]func(r *run){
		"completion": func(r *run) { r.complete("t1", pieces(10, 11)) },
		"progress": func(r *run) {
			l := w.lease(r.task("t1").ID)
			w.must(&fsm.ProgressTask{Task: l.Task, Lease: l.Lease, Output: js(pieces(10, 11)), CallbackSeconds: 5})
		},
		"callback": func(r *run) { r.update("t1", fsm.TaskStatusInProgress, pieces(10, 11)) },
	} {
		r := w.start("f", nil)
		r.fill("t1", 10)
		end(r)
		r.want(fsm.Failed, "t1 FAILED_WITH_TERMINAL_ERROR")
		wantTexts(t, name, r.task("t1").Reason, "The payload size: 11000100 of task: ", r.id.String(), tooLarge)
		r.wantReason(tooLarge)
		if got := len(r.task("t1").Output); got < 10*piece || got > 11*piece {
			t.Errorf("%s: %d bytes of output are left, want the ten pieces reported before", name, got)
		}
		w.must(&fsm.DeleteExecution{Exec: r.id})
	}
	before := len(w.executions())
	w.refused(&fsm.StartExecution{Name: "f", Input: js(pieces(0, 2))}, fsm.TooLarge, "at most 1048576 are allowed")
	if got := len(w.executions()); got != before {
		t.Errorf("%d executions after a start that was refused, want %d", got, before)
	}
}

// What the server makes itself is held to the same limit: inputs, outputs of
// workflows, and what a child gives its parent.
func TestMadePayloadOverTheHardLimit(t *testing.T) {
	w := begin(t)
	both := m{"a": "${t1.output}", "b": "${t1.output}"}
	w.define(
		flow("input", simple("t1"), simple("t2", m{"inputParameters": both})),
		with(flow("output", simple("t1")), m{"outputParameters": both}),
		flow("small", simple("t1"), step("SET_VARIABLE", "set", m{"inputParameters": both})),
	)
	r := w.start("input", nil)
	r.fill("t1", 6)
	r.completes("t1")
	r.want(fsm.Failed, "t1 COMPLETED", "t2 FAILED_WITH_TERMINAL_ERROR")
	r.wantReason("The payload size: 120", tooLarge)
	r = w.start("output", nil)
	r.fill("t1", 6)
	r.completes("t1")
	r.want(fsm.Failed, "t1 COMPLETED")
	r.wantReason("The payload size: 120", "of workflow: "+r.id.String(), tooLarge)
	r = w.start("small", nil)
	r.complete("t1", m{"x": strings.Repeat("x", 200<<10)})
	r.want(fsm.Failed, "t1 COMPLETED", "set FAILED_WITH_TERMINAL_ERROR")
	r.wantReason("The variables payload size: ", "256 kilobytes")
}

// A child whose output is made of more than fits completes, and its parent's task
// fails for good, with the limit; the outputs stay where they were made.
func TestChildOutputOverTheHardLimit(t *testing.T) {
	w := begin(t)
	var branches [][]m
	var refs []string
	for i := range 11 {
		ref := fmt.Sprintf("b%d", i)
		branches, refs = append(branches, list(simple(ref))), append(refs, ref)
	}
	w.define(flow("wide", fork("fork", branches...), join("join", refs...)), flow("parent", step("SUB_WORKFLOW", "sub", m{"subWorkflowParam": m{"name": "wide"}})))
	r := w.start("parent", nil)
	c := r.child("sub")
	for _, ref := range refs {
		c.complete(ref, pieces(0, 1))
	}
	c.wantStatus(fsm.Completed)
	r.want(fsm.Failed, "sub FAILED_WITH_TERMINAL_ERROR")
	r.wantReason(tooLarge)
	if got := len(c.info().Output); got < 11*piece {
		t.Errorf("the child shows %d bytes of output, want those of all branches", got)
	}
}
