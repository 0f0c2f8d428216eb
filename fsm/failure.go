package fsm

import (
	"slices"

	"github.com/pawlhq/pawl/fsm/expr"
)

// The failure workflow of an execution is started once for each of its ends by failure,
// in an item behind that end. A verb that comes before the item starts it first, so that
// it is told of the execution as it ended.

// announceFailure lets the failure workflow of an execution that has failed be started.
func (s *State) announceFailure(r *run) {
	if r.p.FailureWorkflow == nil {
		return
	}
	r.e.failing = true
	s.scratch.soon = append(s.scratch.soon, item{kind: itemFailure, exec: r.e.id})
}

// settleFailure starts the failure workflow of an execution that a verb is about to
// change, if that has been put off. It gives the execution as it is then.
func (s *State) settleFailure(e *execution) *execution {
	if e.failing {
		s.runItem(item{kind: itemFailure, exec: e.id})
		e, _ = s.executions.get(e.id)
	}
	return e
}

// startFailure starts a failure workflow with what it needs to know.
func (s *State) startFailure(e *execution) {
	if !e.failing {
		return // a verb has come before
	}
	e = s.executions.mut(e)
	e.failing = false
	from := s.planOf(e)
	value, err := s.evaluate(e, nil, from.FailureWorkflow)
	name, isText := expr.Unquote(value)
	if err != nil || !isText || name == "" {
		return
	}
	d, ok := s.lookup(name, from.FailureWorkflowVersion)
	if !ok {
		s.noteFailureWorkflow(e, notStarted(name, "not registered"))
		return
	}
	p, _ := s.plans.get(d.plan)
	x := &execution{input: raw(s.failureInput(e)), corr: e.corr, domains: e.domains, createdBy: e.createdBy}
	if why := s.refusedByQuota(p, x); why != "" {
		s.noteFailureWorkflow(e, notStarted(name, why))
		return
	}
	c := s.addExecution(p, x)
	s.noteFailureWorkflow(e, c.id.String())
	s.scratch.soon = append(s.scratch.soon, item{kind: itemBegin, exec: c.id})
}

// noFailureWorkflow gives up a start that faulted.
func (s *State) noFailureWorkflow(e *execution) {
	s.emit(Event{Kind: ExecutionFaulted, Exec: e.id})
	e = s.executions.mut(e)
	e.failing = false
	if e.output.kind <= dataRaw { // else it may be what cannot be rendered
		s.noteFailureWorkflow(e, "Error workflow failed to start.  reason: the machine caught a fault of its own")
	}
}

func notStarted(name, why string) string {
	return join("Error workflow ", name, " failed to start.  reason: ", why)
}

func (s *State) noteFailureWorkflow(e *execution, text string) {
	out, err := s.renderWithin(e, e.output)
	if err != nil {
		return // what failed says more
	}
	e.output = raw(expr.SetKey(out, "conductor.failure_workflow", expr.AppendString(nil, text)))
}

// failureInput is the failed execution's input, and why it failed.
func (s *State) failureInput(e *execution) []byte {
	in := expr.SetKey(e.input.bytes(), "workflowId", expr.AppendString(nil, e.id.String()))
	in = expr.SetKey(in, "reason", expr.AppendString(nil, e.reason))
	in = expr.SetKey(in, "failureStatus", expr.AppendString(nil, e.status.String()))
	if e.failedTask != 0 {
		id := TaskID{Exec: e.id, Serial: e.failedTask}
		in = expr.SetKey(in, "failureTaskId", expr.AppendString(nil, id.String()))
	}
	return expr.SetKey(in, "failedWorkflow", s.snapshotJSON(e))
}

// snapshotJSON renders an execution as Conductor's workflow object, for the input of a
// failure workflow. Records that would make it larger than a request may be are left out,
// and if it is without them, so are its payloads.
func (s *State) snapshotJSON(e *execution) []byte {
	b := expr.Budget{Steps: expr.MaxEvalSteps}
	head, err := s.appendExecution(nil, e, &b)
	if err != nil || len(head) > MaxPayload {
		head = expr.AppendString([]byte(`{"workflowId":`), e.id.String())
	}
	all, err := s.appendTasks(slices.Clone(head), e, &b)
	if err != nil || len(all) > MaxCommandBytes {
		all = append(head, `,"tasks":[]`...)
	}
	return append(all, '}')
}
