package behaviour

import (
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// B22: an optional task whose attempts fail and time out ends COMPLETED_WITH_ERRORS, and
// the flow goes on.
func TestB022OptionalTaskDoesNotFailTheWorkflow(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_with_optional_task_integration_test.json")
	w.taskType("task_optional", m{"retryCount": 1, "timeoutSeconds": 5, "timeoutPolicy": "RETRY", "responseTimeoutSeconds": 5})
	r := w.start("optional_task_wf", m{"param1": "one"})
	r.fail("t1", "no")
	r.want(fsm.Running, "t1 FAILED", "t1 SCHEDULED")
	w.lease(r.task("t1").ID)
	w.pass(5 * time.Second)
	r.want(fsm.Running, "t1 FAILED", "t1 COMPLETED_WITH_ERRORS", "t2 SCHEDULED")
	r.complete("t2", nil)
	r.want(fsm.Completed, "t1 FAILED", "t1 COMPLETED_WITH_ERRORS", "t2 COMPLETED")
}

// B23: a permissive task that failed for good lets the flow go on; when nothing is left
// the workflow is FAILED with its reason.
func TestB023PermissiveTaskFailsTheWorkflowAtTheEnd(t *testing.T) {
	w := begin(t)
	w.corpus("wf-simple_workflow_with_permissive_task_integration_test.json")
	r := w.start("permissive_task_wf", m{"param1": "one"})
	r.fail("t1", "no")
	r.fail("t1", "no for good")
	r.want(fsm.Running, "t1 FAILED", "t1 FAILED", "t2 SCHEDULED")
	last := r.task("t1").ID
	r.complete("t2", nil)
	r.want(fsm.Failed, "t1 FAILED", "t1 FAILED", "t2 COMPLETED")
	r.wantReason("Task " + last.String() + " failed with status: FAILED and reason: 'no for good'")
}

// B24: a task that is both permissive and optional behaves as an optional one.
func TestB024OptionalWinsOverPermissive(t *testing.T) {
	w := begin(t)
	w.taskTypes(1, "t1")
	r := w.startFlow(flow("f", simple("t1", optional, permissive), simple("t2")), nil)
	r.fail("t1", "no")
	r.fail("t1", "no")
	r.want(fsm.Running, "t1 FAILED", "t1 COMPLETED_WITH_ERRORS", "t2 SCHEDULED")
	r.complete("t2", nil)
	r.want(fsm.Completed, "t1 FAILED", "t1 COMPLETED_WITH_ERRORS", "t2 COMPLETED")
}
