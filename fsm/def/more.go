package def

import (
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// names returns the texts of a list field.
func (s *step) names(field string) []string {
	var out []string
	for el := range expr.Elements(s.raw(field)) {
		name, _ := textOf(el)
		out = append(out, name)
	}
	return out
}

// Ask is an input parameter that a step needs and does not give itself: the task type
// of its name must give it by its inputTemplate when the definition is registered.
type Ask struct {
	Problem Problem // when it does not
	Name    string  // task type
	Keys    []string
}

// Given reports whether a task type gives what is asked for.
func (a *Ask) Given(t *TaskType) bool {
	for _, key := range a.Keys {
		if _, ok := expr.Get(t.InputTemplate, key); ok {
			return true
		}
	}
	return false
}

// anyOf asks for one of some input parameters.
func (p *parser) anyOf(s *step, keys ...string) {
	in := s.raw("inputParameters")
	for _, key := range keys {
		if _, ok := expr.Get(in, key); ok {
			return
		}
	}
	a := Ask{Name: s.name, Keys: keys, Problem: Problem{
		Path:    s.at.member("inputParameters").String(),
		Message: required("inputParameters."+strings.Join(keys, " or inputParameters."), s),
	}}
	if embedded, ok := expr.Get(s.raw("taskDefinition"), "inputTemplate"); !ok || !a.Given(&TaskType{InputTemplate: embedded}) {
		p.asks = append(p.asks, a)
	}
}

func (p *parser) eventRules(s *step) {
	if p.require(s, "sink") {
		s.sink = p.template(s.at.member("sink"), asString(s.raw("sink")))
	}
}

// more sets what only some kinds of step have.
func (s *step) more(n *Node) {
	n.Sink = s.sink
	switch s.kind {
	case Dynamic:
		n.Written, n.Param = s.written, s.text("dynamicTaskNameParam")
	case DynamicFork:
		n.TasksParam, n.InputsParam = s.text("dynamicForkTasksParam"), s.text("dynamicForkTasksInputParamName")
		n.LegacyParam = s.text("dynamicForkJoinTasksParam")
	case TerminateWorkflow:
		n.Rescue = s.flag("triggerFailureWorkflow", false)
	}
}
