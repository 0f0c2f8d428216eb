package def

import (
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// rules checks what the step's type asks for, and reads what only that type has.
func (p *parser) rules(s *step) {
	s.kind = kindOf(s.typ)
	if s.kind == Worker && reserved(s.queue()) {
		p.add(s.at.member("name"), "found "+quote(s.queue())+"; names that begin with $ are the server's own")
	}
	switch s.typ {
	case "SWITCH":
		p.switchRules(s)
	case "DECISION":
		p.decisionRules(s)
	case "FORK_JOIN":
		if expr.Count(s.raw("forkTasks")) == 0 {
			p.add(s.at.member("forkTasks"), atLeastOne("forkTasks", s))
		}
	case "JOIN":
		s.joinOn = s.names("joinOn")
		p.joinScript(s)
	case "DO_WHILE":
		p.loopRules(s)
	case "SUB_WORKFLOW":
		p.subWorkflowRules(s)
	case "WAIT":
		p.waitRules(s)
	case "TERMINATE":
		p.terminateRules(s)
	default:
		p.otherRules(s)
	}
}

func required(field string, s *step) string {
	return field + " field is required for taskType: " + s.typ + " taskName: " + clip(s.name)
}

func atLeastOne(field string, s *step) string {
	return field + " should have atleast one task for taskType: " + s.typ + " taskName: " + clip(s.name)
}

// require adds a problem if a field is absent or null.
func (p *parser) require(s *step, field string) bool {
	if s.raw(field) != nil {
		return true
	}
	p.add(s.at.member(field), required(field, s))
	return false
}

func (p *parser) requireCases(s *step) {
	if expr.Count(s.raw("decisionCases")) == 0 && !p.fragment { // Conductor asks only when it is registered
		p.add(s.at.member("decisionCases"), atLeastOne("decisionCases", s))
	}
}

func (p *parser) loopRules(s *step) {
	in := s.raw("inputParameters")
	p.loopItems(s, in)
	if p.require(s, "loopCondition") {
		p.loopScript(s)
	}
	if expr.Count(s.raw("loopOver")) == 0 {
		p.add(s.at.member("loopOver"), required("loopOver", s))
	}
	p.keepLast(s, in)
}

// loopItems reads the list to go over: the field of the step, or one of two
// input parameters that mean the same.
func (p *parser) loopItems(s *step, in []byte) {
	if valueText(s.raw("items")) != "" {
		s.items = p.template(s.at.member("items"), s.raw("items"))
		return
	}
	for _, key := range []string{"_items", "items"} {
		if raw, ok := expr.Get(in, key); ok && valueText(raw) != "" {
			s.items, _ = expr.ParseTemplateAt("", raw) // reported with the other parameters
			return
		}
	}
}

// keepLast checks how many iterations a loop keeps, unless an expression says it.
func (p *parser) keepLast(s *step, in []byte) {
	raw, ok := expr.Get(in, "keepLastN")
	if !ok || expr.KindOf(raw) == expr.Null {
		return
	}
	if str, isString := expr.Unquote(raw); isString && strings.Contains(str, "${") {
		return
	}
	if n, isInt := intOf(raw); !isInt || n < 1 || n != int64(int32(n)) {
		p.add(s.at.member("inputParameters").member("keepLastN"), "found "+describe(raw)+", allowed is an integer of at least 1")
	}
}

func (p *parser) subWorkflowRules(s *step) {
	if !p.require(s, "subWorkflowParam") {
		return
	}
	at := s.at.member("subWorkflowParam")
	rec := p.record(at, s.raw("subWorkflowParam"), subWorkflowFields)
	if raw := rec.raw("workflowDefinition"); raw != nil {
		p.inlineDefinition(s, at.member("workflowDefinition"), raw)
	} else if rec.text("name") == "" {
		p.add(at.member("name"), "SubWorkflowParams name cannot be empty")
	}
	if rec.text("idempotencyKey") != "" {
		s.sub.key = p.template(at.member("idempotencyKey"), asString(rec.raw("idempotencyKey")))
	}
	if strategy := rec.text("idempotencyStrategy"); strategy != "" {
		if !strings.Contains(strategy, "${") {
			p.strategy(rec)
		}
		s.sub.strategy = p.template(at.member("idempotencyStrategy"), asString(rec.raw("idempotencyStrategy")))
	}
	s.sub.name = p.template(at.member("name"), asString(rec.raw("name")))
	s.sub.version = p.number(at.member("version"), rec.raw("version"))
	s.sub.priority = p.number(at.member("priority"), rec.raw("priority"))
	s.sub.rawDomains = rec.raw("taskToDomain")
	s.sub.domains = p.template(at.member("taskToDomain"), s.sub.rawDomains)
}

// asString returns a text as a JSON string, whatever it was written as.
func asString(raw []byte) []byte {
	if s, ok := textOf(raw); ok {
		return expr.AppendString(nil, s)
	}
	return nil
}

// inlineDefinition reads a definition that a step brings along: an object, judged now, or
// an expression for one, judged when the step runs.
func (p *parser) inlineDefinition(s *step, at *place, raw []byte) {
	switch text, isString := expr.Unquote(raw); {
	case expr.KindOf(raw) == expr.Map:
		s.sub.inline = raw
		inner := newParser()
		inner.sub = true
		inner.compile(raw, false)
		p.under(at, &inner.report)
	case isString && strings.HasPrefix(text, "${") && strings.HasSuffix(text, "}"):
		s.sub.definition = p.template(at, raw)
	default:
		p.add(at, "found "+describe(raw)+", allowed is an object or one ${…}")
	}
}

// number reads a template for an integer. Absent and empty are nil.
func (p *parser) number(at *place, raw []byte) *expr.Template {
	s, isString := expr.Unquote(raw)
	switch {
	case raw == nil, isString && strings.Trim(s, " ") == "":
		return nil
	case isString && strings.Contains(s, "${"):
		return p.template(at, raw)
	}
	if n, ok := intOf(raw); !ok || n != int64(int32(n)) {
		p.add(at, "found "+describe(raw)+", allowed is an integer or an expression")
		return nil
	}
	return p.template(at, raw)
}

func (p *parser) waitRules(s *step) {
	in := s.raw("inputParameters")
	at := s.at.member("inputParameters")
	duration, until := parameter(in, "duration"), parameter(in, "until")
	if duration != "" && until != "" {
		p.add(at, "Both 'duration' and 'until' specified. Please provide only one input")
	}
	if duration != "" && !strings.Contains(duration, "${") {
		if _, ok := ParseDuration(duration); !ok {
			p.add(at.member("duration"), "Not valid duration: "+clip(duration))
		}
	}
	if until == "" || strings.Contains(until, "${") {
		return
	}
	switch _, ok, zone := ParseUntil(until); {
	case ok:
	case zone:
		s.zone = true
	default:
		p.add(at.member("until"), "Invalid/Unsupported Wait Until format.  Provided: "+clip(until))
	}
}

// parameter is valueText of an input parameter.
func parameter(in []byte, key string) string {
	raw, _ := expr.Get(in, key)
	return valueText(raw)
}

// valueText returns a string's text and other values as they are written, ""
// for what is absent, null or blank.
func valueText(raw []byte) string {
	switch expr.KindOf(raw) {
	case expr.Invalid, expr.Null:
		return ""
	case expr.String:
		s, _ := expr.Unquote(raw)
		if strings.Trim(s, " \t\r\n") == "" {
			return ""
		}
		return s
	}
	return string(raw)
}

func (p *parser) terminateRules(s *step) {
	if s.flag("optional", false) {
		p.add(s.at.member("optional"), "terminate task cannot be optional, taskName: "+clip(s.name))
	}
	switch status := parameter(s.raw("inputParameters"), "terminationStatus"); {
	case status == "COMPLETED", status == "FAILED", status == "TERMINATED":
	case strings.Contains(status, "${"), p.fragment: // judged when it runs
	default:
		p.add(s.at.member("inputParameters").member("terminationStatus"),
			"terminate task must have an terminationStatus parameter and must be set to COMPLETED, FAILED or TERMINATED, taskName: "+clip(s.name))
	}
}

// otherRules checks the remaining types.
func (p *parser) otherRules(s *step) {
	switch s.typ {
	case "EVENT":
		p.eventRules(s)
	case "HTTP", "HTTP_POLL":
		p.anyOf(s, "http_request", "uri", "method")
	case "KAFKA_PUBLISH":
		p.anyOf(s, "kafka_request")
	case "JSON_JQ_TRANSFORM":
		p.anyOf(s, "queryExpression")
	case "EXCLUSIVE_JOIN":
		s.joinOn, s.fallbackOn = s.names("joinOn"), s.names("defaultExclusiveJoinTask")
	case "DYNAMIC":
		p.require(s, "dynamicTaskNameParam")
	case "FORK_JOIN_DYNAMIC":
		p.dynamicForkRules(s)
	}
}

func (p *parser) dynamicForkRules(s *step) {
	tasks, inputs := s.raw("dynamicForkTasksParam") != nil, s.raw("dynamicForkTasksInputParamName") != nil
	if s.raw("dynamicForkJoinTasksParam") != nil {
		if tasks || inputs {
			p.add(s.at, "dynamicForkJoinTasksParam or combination of dynamicForkTasksInputParamName and dynamicForkTasksParam "+
				"can be used for taskType: FORK_JOIN_DYNAMIC taskName: "+clip(s.name))
		}
		return
	}
	if _, ok := expr.Get(s.raw("inputParameters"), "forkTaskInputs"); ok {
		return
	}
	p.require(s, "dynamicForkTasksParam")
	p.require(s, "dynamicForkTasksInputParamName")
}
