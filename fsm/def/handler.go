package def

import (
	"strconv"

	"github.com/pawlhq/pawl/fsm/expr"
)

// EventHandler is what is to be done when a message arrives.
type EventHandler struct {
	Source []byte // as written, byte for byte
	Name   string
	Event  string // provider:queue
	// Condition is JavaScript over the message; empty means always.
	Condition string
	Active    bool
	Actions   []Action
}

// Action is one thing that an event handler does.
type Action struct {
	Kind string // start_workflow, complete_task and so on
	// Body is the object of the same name, which says to what and with what.
	Body []byte
	// ExpandJSON has texts in the message that are JSON read as such.
	ExpandJSON bool
}

var handlerFields = []field{
	{"name", text},
	{"description", text},
	{"event", text},
	{"condition", text},
	{"evaluatorType", text},
	{"actions", list},
	{"active", flag},
	{"createdBy", text},
	{"orgId", text},
	{"tags", list},
	{"ownerApp", text},
	{"createTime", anything},
	{"updateTime", anything},
	{"updatedBy", text},
}

var actionFields = []field{
	{"action", text},
	{"expandInlineJSON", flag},
	{"start_workflow", object},
	{"complete_task", object},
	{"fail_task", object},
	{"terminate_workflow", object},
	{"update_workflow_variables", object},
	{"start_agent", object},
}

// taskActionFields are those of complete_task and fail_task.
var taskActionFields = []field{
	{"workflowId", text},
	{"taskId", text},
	{"taskRefName", text},
	{"output", object},
	{"outputMessage", object},
	{"reasonForIncompletion", text},
}

// actionBodies says what the object of each kind of action may hold.
var actionBodies = []struct {
	kind   string
	fields []field
	needs  []string
}{
	{"start_workflow", startFields, []string{"name"}},
	{"complete_task", taskActionFields, nil},
	{"fail_task", taskActionFields, nil},
	{"terminate_workflow", []field{{"workflowId", text}, {"terminationReason", text}}, []string{"workflowId"}},
	{"update_workflow_variables", []field{{"workflowId", text}, {"variables", object}, {"appendArray", flag}}, []string{"workflowId", "variables"}},
	{"start_agent", []field{{"name", text}, {"version", anything}, {"prompt", text}, {"sessionId", text}, {"media", anything},
		{"context", object}, {"idempotencyKey", text}}, []string{"name"}},
}

// MaxActions bounds the actions of one event handler.
const MaxActions = 100

// ParseEventHandler reads one event handler. It returns the handler, or everything
// that is wrong with it; then the handler is nil.
func ParseEventHandler(src []byte) (*EventHandler, []Problem) {
	var r report
	raw := r.document(src)
	if raw == nil {
		return nil, r.problems
	}
	h := r.eventHandler(raw)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return h, nil
}

func (r *report) eventHandler(raw []byte) *EventHandler {
	rec := r.record(nil, raw, handlerFields)
	h := &EventHandler{
		Source: raw, Name: rec.text("name"), Event: rec.text("event"), Condition: rec.text("condition"),
		Active: rec.flag("active", false),
	}
	if expr.KindOf(raw) != expr.Map {
		return nil
	}
	if h.Name == "" {
		r.add(rootField("name"), "Missing event handler name")
	}
	if h.Event == "" {
		r.add(rootField("event"), "Missing event location")
	}
	r.evaluator(rec, "evaluatorType")
	if by := rec.text("evaluatorType"); by == "" || ParseEvaluator(by) == JavaScript {
		r.javaScript(rootField("condition"), h.Condition, "", false)
	}
	i := 0
	for el := range expr.Elements(rec.raw("actions")) {
		if i == MaxActions {
			r.add(rootField("actions"), "has more actions than the "+strconv.Itoa(MaxActions)+" that are allowed")
			break
		}
		h.Actions = append(h.Actions, r.action(rootField("actions").element(i), el))
		i++
	}
	if i == 0 {
		r.add(rootField("actions"), "No actions specified. Please specify at-least one action")
	}
	return h
}

// evaluator checks the name of a script engine, if one is given.
func (r *report) evaluator(rec record, name string) {
	switch e := rec.text(name); e {
	case "", "javascript", "graaljs", "value-param", "python":
	default:
		r.add(rec.at.member(name), "found "+quote(e)+", allowed are javascript, graaljs, value-param and python")
	}
}

func (r *report) action(at *place, raw []byte) Action {
	rec := r.record(at, raw, actionFields)
	a := Action{Kind: rec.text("action"), ExpandJSON: rec.flag("expandInlineJSON", false)}
	for _, body := range actionBodies {
		if body.kind != a.Kind {
			continue
		}
		if a.Body = rec.raw(a.Kind); a.Body == nil {
			r.add(at.member(a.Kind), "is required for action "+a.Kind)
			return a
		}
		below := r.record(at.member(a.Kind), a.Body, body.fields)
		for _, name := range body.needs {
			if below.raw(name) == nil || below.raw(name)[0] == '"' && below.text(name) == "" {
				r.add(below.at.member(name), "is required for action "+a.Kind)
			}
		}
		r.template(below.at, a.Body)
		r.target(a.Kind, below)
		if a.Kind == "start_workflow" {
			r.strategy(below)
		}
		return a
	}
	r.add(at.member("action"), "found "+quote(a.Kind)+", allowed are start_workflow, complete_task, fail_task, "+
		"terminate_workflow, update_workflow_variables and start_agent")
	return a
}

// target checks that an action on a task says which.
func (r *report) target(kind string, rec record) {
	if kind != "complete_task" && kind != "fail_task" {
		return
	}
	if rec.text("taskId") == "" && (rec.text("workflowId") == "" || rec.text("taskRefName") == "") {
		r.add(rec.at, "names no task: give taskId, or workflowId and taskRefName")
	}
}
