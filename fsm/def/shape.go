package def

import (
	"bytes"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Shape is what kind of document some bytes look like.
type Shape uint8

// The shapes. A list that is not of workflows or task types has the shape of its
// first element.
const (
	ShapeUnknown      Shape = iota
	ShapeWorkflow           // a workflow definition
	ShapeWorkflows          // a list of them
	ShapeTaskType           // a task type
	ShapeTaskTypes          // a list of them
	ShapeStart              // a request to start an execution
	ShapeEventHandler       // an event handler
	ShapeSchedule           // a schedule
)

// String returns what messages call the shape.
func (s Shape) String() string {
	switch s {
	case ShapeWorkflow:
		return "workflow definition"
	case ShapeWorkflows:
		return "list of workflow definitions"
	case ShapeTaskType:
		return "task definition"
	case ShapeTaskTypes:
		return "list of task definitions"
	case ShapeStart:
		return "start request"
	case ShapeEventHandler:
		return "event handler"
	case ShapeSchedule:
		return "schedule"
	}
	return "unknown document"
}

// Sniff tells from its fields what a JSON document is meant to be, so that a
// file can be registered without saying. It does not check that it is one.
func Sniff(src []byte) Shape {
	raw := bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))
	if expr.Check(raw) != nil {
		return ShapeUnknown
	}
	if expr.KindOf(raw) != expr.Array {
		return sniffOne(raw)
	}
	for el := range expr.Elements(raw) {
		switch shape := sniffOne(el); shape {
		case ShapeWorkflow:
			return ShapeWorkflows
		case ShapeTaskType:
			return ShapeTaskTypes
		default:
			return shape
		}
	}
	return ShapeUnknown
}

func sniffOne(raw []byte) Shape {
	has := func(keys ...string) bool {
		for _, key := range keys {
			if _, ok := expr.Get(raw, key); ok {
				return true
			}
		}
		return false
	}
	switch {
	case has("startWorkflowRequest", "cronExpression", "cronSchedules"):
		return ShapeSchedule
	case has("event") && has("actions"):
		return ShapeEventHandler
	case has("tasks") && has("workflowId"), !has("name"):
		return ShapeUnknown // an execution, or nothing that is registered
	case has("tasks"):
		return ShapeWorkflow
	case has("workflowDef", "input", "correlationId", "taskToDomain", "priority", "idempotencyKey", "externalInputPayloadStoragePath"):
		return ShapeStart
	case has("taskReferenceName"):
		return ShapeUnknown // a step by itself
	case has("schemaVersion", "outputParameters", "inputParameters", "restartable", "variables", "failureWorkflow"):
		return ShapeWorkflow // without its tasks
	case has("version"):
		return ShapeStart
	}
	return ShapeTaskType
}

// Problems returns everything that is wrong with a document of the shape, nothing when
// it is valid. Lists are for Split first.
func (s Shape) Problems(src []byte) []Problem {
	var problems []Problem
	switch s {
	case ShapeWorkflow:
		_, problems = Compile(src)
	case ShapeTaskType:
		_, problems = ParseTaskType(src)
	case ShapeStart:
		_, problems = ParseStart(src)
	case ShapeEventHandler:
		_, problems = ParseEventHandler(src)
	case ShapeSchedule:
		_, problems = ParseSchedule(src)
	default:
		return unknownDocument(src)
	}
	return problems
}

// unknownDocument says why a document is none of those that are known.
func unknownDocument(src []byte) []Problem {
	var r report
	if r.document(src) != nil {
		r.add(nil, "is none of a workflow definition (name, tasks), task definition (name), event handler (name, event, actions), "+
			"schedule (name, cronExpression, startWorkflowRequest) and start request (name, input or workflowDef)")
	}
	return r.problems
}

// Split returns the elements of a JSON list, or the one document if it is no
// list. What is not JSON stays whole, so that Compile can say what is wrong.
func Split(src []byte) [][]byte {
	raw := bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))
	if expr.KindOf(raw) != expr.Array || expr.Check(raw) != nil {
		return [][]byte{src}
	}
	var out [][]byte
	for el := range expr.Elements(raw) {
		out = append(out, el)
	}
	return out
}
