package behaviour

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlhq/pawl/fsm"
)

// run is an execution as the test sees it.
type run struct {
	w  *world
	id fsm.ExecID
}

// start starts a registered definition.
func (w *world) start(name string, input any) *run {
	w.t.Helper()
	return w.startWith(&fsm.StartExecution{Name: name, Input: js(input)})
}

func (w *world) startWith(c *fsm.StartExecution) *run {
	w.t.Helper()
	return &run{w, w.must(c).Exec}
}

// startFlow registers a definition and starts it.
func (w *world) startFlow(definition m, input any) *run {
	w.t.Helper()
	w.define(definition)
	return w.start(definition["name"].(string), input)
}

func (r *run) info() fsm.ExecutionInfo {
	r.w.t.Helper()
	e, ok := r.w.at().Execution(r.id)
	if !ok {
		r.w.t.Fatalf("execution %s is gone", r.id)
	}
	return e
}

// records gives all attempts in order.
func (r *run) records() []fsm.TaskInfo {
	r.w.t.Helper()
	var out []fsm.TaskInfo
	for t := range r.w.at().Tasks(r.id, 0) {
		if n := len(out); n > 0 && out[n-1].Seq >= t.Seq {
			r.w.t.Fatalf("%s has number %d after %d", t.Ref, t.Seq, out[n-1].Seq)
		}
		out = append(out, t)
	}
	return out
}

// attempts gives all records of a reference name.
func (r *run) attempts(ref string) []fsm.TaskInfo {
	r.w.t.Helper()
	return slices.DeleteFunc(r.records(), func(t fsm.TaskInfo) bool { return t.Ref != ref })
}

// task gives the newest record of a reference name.
func (r *run) task(ref string) fsm.TaskInfo {
	r.w.t.Helper()
	all := r.attempts(ref)
	if len(all) == 0 {
		r.w.t.Fatalf("there is no record of %s; there are %v", ref, r.lines())
	}
	return all[len(all)-1]
}

func (r *run) has(ref string) bool { return len(r.attempts(ref)) > 0 }

// lines renders the records, one each: reference name and status.
func (r *run) lines() []string {
	r.w.t.Helper()
	var out []string
	for _, t := range r.records() {
		out = append(out, t.Ref+" "+t.Status.String())
	}
	return out
}

// want demands a status of the execution and exactly these records in this order.
func (r *run) want(status fsm.Status, lines ...string) {
	r.w.t.Helper()
	r.wantStatus(status)
	if diff := cmp.Diff(lines, r.lines()); diff != "" {
		r.w.t.Fatalf("records (-want +got):\n%s", diff)
	}
}

// wantStatus demands a status of the execution.
func (r *run) wantStatus(status fsm.Status) {
	r.w.t.Helper()
	if e := r.info(); e.Status != status {
		r.w.t.Fatalf("the execution is %s, want %s; reason %q, records %v", e.Status, status, e.Reason, r.lines())
	}
}

// wantN demands a status and a number of records.
func (r *run) wantN(status fsm.Status, n int) {
	r.w.t.Helper()
	r.wantStatus(status)
	if got := r.lines(); len(got) != n {
		r.w.t.Fatalf("%d records, want %d: %v", len(got), n, got)
	}
}

// wantTasks demands statuses of the newest records of reference names: "t1 COMPLETED".
func (r *run) wantTasks(lines ...string) {
	r.w.t.Helper()
	for _, line := range lines {
		ref, status, _ := strings.Cut(line, " ")
		if t := r.task(ref); t.Status.String() != status {
			r.w.t.Fatalf("%s is %s, want %s; reason %q", ref, t.Status, status, t.Reason)
		}
	}
}

// wantReason demands that the reason for which the execution ended has all the texts.
func (r *run) wantReason(texts ...string) {
	r.w.t.Helper()
	wantTexts(r.w.t, "the execution's reason", r.info().Reason, texts...)
}

func (r *run) complete(ref string, output any) fsm.Result {
	r.w.t.Helper()
	l := r.w.lease(r.task(ref).ID)
	return r.w.must(&fsm.CompleteTask{Task: l.Task, Lease: l.Lease, Output: js(output), Worker: "worker"})
}

// completes completes tasks one after another, without output.
func (r *run) completes(refs ...string) {
	r.w.t.Helper()
	for _, ref := range refs {
		r.complete(ref, nil)
	}
}

func (r *run) fail(ref, reason string) {
	r.w.t.Helper()
	l := r.w.lease(r.task(ref).ID)
	r.w.must(&fsm.FailTask{Task: l.Task, Lease: l.Lease, Reason: reason, Worker: "worker"})
}

func (r *run) failForGood(ref, reason string, output any) {
	r.w.t.Helper()
	l := r.w.lease(r.task(ref).ID)
	r.w.must(&fsm.FailTask{Task: l.Task, Lease: l.Lease, Reason: reason, Terminal: true, Output: js(output), Worker: "worker"})
}

// update reports from outside, by reference name.
func (r *run) update(ref string, status fsm.TaskStatus, output any) {
	r.w.t.Helper()
	r.w.must(&fsm.UpdateTask{Exec: r.id, Ref: ref, Status: status, Output: js(output)})
}

// updateTask reports from outside, by task id.
func (r *run) updateTask(id fsm.TaskID, status fsm.TaskStatus, output any) {
	r.w.t.Helper()
	r.w.must(&fsm.UpdateTask{Task: id, Status: status, Output: js(output)})
}

func (r *run) pause()  { r.w.t.Helper(); r.w.must(&fsm.PauseExecution{Exec: r.id}) }
func (r *run) resume() { r.w.t.Helper(); r.w.must(&fsm.ResumeExecution{Exec: r.id}) }

func (r *run) terminate(reason string) {
	r.w.t.Helper()
	r.w.must(&fsm.TerminateExecution{Exec: r.id, Reason: reason})
}

// child gives the execution that a SUB_WORKFLOW task runs.
func (r *run) child(ref string) *run {
	r.w.t.Helper()
	t := r.task(ref)
	if t.Child.IsZero() {
		r.w.t.Fatalf("%s has no child; it is %s with reason %q", ref, t.Status, t.Reason)
	}
	return &run{r.w, t.Child}
}

// snapshot renders the execution and its records, to see whether they change.
func (r *run) snapshot() string {
	r.w.t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, show(r.info()))
	for _, t := range r.records() {
		fmt.Fprintln(&b, show(t))
	}
	return b.String()
}
