package fsm_test

import "github.com/pawlhq/pawl/fsm"

// asBulk is the Bulk that does the same as a command to one execution, and nothing to
// another that there is not.
func asBulk(body fsm.Body) (*fsm.Bulk, bool) {
	var b fsm.Bulk
	var id fsm.ExecID
	switch c := body.(type) {
	case *fsm.PauseExecution:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkPause}
	case *fsm.ResumeExecution:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkResume}
	case *fsm.RestartExecution:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkRestart, Latest: c.Latest}
	case *fsm.RetryExecution:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkRetry, ResumeSubworkflows: c.ResumeSubworkflows}
	case *fsm.TerminateExecution:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkTerminate, Reason: c.Reason, TriggerFailureWorkflow: c.TriggerFailureWorkflow}
	case *fsm.RerunExecution:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkRerun, Input: c.WorkflowInput}
		if !c.Task.IsZero() {
			return nil, false
		}
	case *fsm.SkipTask:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkSkip, Ref: c.Ref, Output: c.Output}
	case *fsm.JumpTo:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkJump, Ref: c.Ref}
	case *fsm.SetVariables:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkSetVariables, Input: c.Variables}
	case *fsm.ResetCallbacks:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkResetCallbacks}
	case *fsm.DeleteExecution:
		id, b = c.Exec, fsm.Bulk{Verb: fsm.BulkDelete, Force: c.Force}
	default:
		return nil, false
	}
	unknown := id
	unknown.Hi |= 1 << 62
	b.IDs = []fsm.ExecID{unknown, id}
	return &b, true
}
