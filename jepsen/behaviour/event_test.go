package behaviour

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// publish answers an EVENT as the server's worker that publishes does: its output is what
// it published, with the queue it went to.
func (r *run) publish(ref string) {
	r.w.t.Helper()
	l := r.w.lease(r.task(ref).ID)
	sink, _ := find(r.w.t, l.Input, "sink")
	payload := value(r.w.t, l.Input).(m)
	payload["event_produced"] = sink
	r.w.must(&fsm.CompleteTask{Task: l.Task, Lease: l.Lease, Output: js(payload)})
}

// B114: an EVENT has its sink in its input; when it is published it completes with
// event_produced in its output, and the next task is scheduled.
func TestB114EventCompletes(t *testing.T) {
	w := begin(t)
	w.corpus("wf-event_workflow_integration_test.json")
	r := w.start("test_event_workflow", m{"a": 1})
	wantAt(t, r.task("wait0").Input, "sink", "conductor")
	r.publish("wait0")
	r.want(fsm.Running, "wait0 COMPLETED", "t1 SCHEDULED")
	wantAt(t, r.task("wait0").Output, "event_produced", "conductor")
}

// B115: an EVENT with asyncComplete stays IN_PROGRESS after it is published, until an
// update completes it; event_produced is still in its output.
func TestB115AsyncEventWaitsForAnUpdate(t *testing.T) {
	w := begin(t)
	f := w.corpusFlow("wf-event_workflow_integration_test.json")
	f["tasks"].(l)[0].(m)["asyncComplete"] = true
	r := w.startFlow(f, nil)
	wantAt(t, r.task("wait0").Input, "asyncComplete", true)
	r.publish("wait0")
	r.want(fsm.Running, "wait0 IN_PROGRESS")
	r.update("wait0", fsm.TaskStatusCompleted, m{"more": 1})
	r.want(fsm.Running, "wait0 COMPLETED", "t1 SCHEDULED")
	wantAt(t, r.task("wait0").Output, "more", 1)
	wantAt(t, r.task("wait0").Output, "event_produced", "conductor")
}

// B116: an EVENT whose sink there is not is FAILED, with the reason that names the sink;
// the workflow too, without a retry.
func TestB116EventToAnUnknownSinkFails(t *testing.T) {
	w := begin(t)
	for _, sink := range []string{"conductorinvalidsink", "pigeon:${workflow.input.place}"} {
		r := w.startFlow(flow("f", step("EVENT", "e", m{"sink": sink})), m{"place": "post"})
		l := w.lease(r.task("e").ID)
		to, _ := find(t, l.Input, "sink")
		r.fail("e", fmt.Sprint("Invalid / Unsupported sink specified: ", to))
		r.want(fsm.Failed, "e FAILED")
		wantTexts(t, "the task's reason", r.task("e").Reason, strings.Replace(sink, "${workflow.input.place}", "post", 1))
	}
}
