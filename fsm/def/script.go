package def

import (
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Evaluator says what evaluates an expression.
type Evaluator uint8

// The evaluators.
const (
	ByParam     Evaluator = iota // value-param: the expression names an input
	JavaScript                   // javascript, graaljs, and js as some clients write
	Python                       // python
	NoEvaluator                  // a name that means nothing
)

// ParseEvaluator reads the name of an evaluator.
func ParseEvaluator(name string) Evaluator {
	switch name {
	case "value-param":
		return ByParam
	case "javascript", "graaljs", "js":
		return JavaScript
	case "python":
		return Python
	}
	return NoEvaluator
}

// Jobs are the queues of the work that the server itself does: scripts, jq
// programs, and times in named zones.
const (
	ScriptQueue = "$script"
	JqQueue     = "$jq"
	TimeQueue   = "$time"
)

// reserved reports whether workers may not serve a name, since the server does.
func reserved(name string) bool { return strings.HasPrefix(name, "$") }

// Asks reports whether what decides a step is more than can be evaluated here.
func (n *Node) Asks() bool { return n.Source != "" && n.Script == nil }

// decider is what decides in a step: a script or an input.
type decider struct {
	evaluator Evaluator
	source    string
	script    *expr.Script
	param     string
}

// decides reads the expression of a step in the language of an evaluator.
func (p *parser) decides(s *step, field string, by Evaluator, source string) {
	s.decider = decider{evaluator: by}
	switch by {
	case ByParam:
		s.param = source
	case JavaScript:
		s.source = source
		s.script, _ = expr.ParseScript(source) // nil: it takes a real engine
		if s.script != nil {
			break
		}
		at := s.at.member(field)
		x := Program{Path: at.String(), Language: LanguageJavaScript, Source: source, of: ofStep(s)}
		if what := expr.Broken(source); what != "" {
			p.add(at, x.Problem(what).Message)
		} else {
			p.programs = append(p.programs, x)
		}
	case Python:
		s.source = source
	}
}

func (p *parser) switchRules(s *step) {
	if p.require(s, "evaluatorType") && p.require(s, "expression") {
		p.decides(s, "expression", ParseEvaluator(s.text("evaluatorType")), s.text("expression"))
		if s.evaluator == NoEvaluator {
			s.param = s.text("evaluatorType") // fails when it runs, as with Conductor
		}
	}
	p.requireCases(s)
}

// decisionRules reads what a DECISION decides by: an expression comes before an input.
func (p *parser) decisionRules(s *step) {
	if s.raw("caseValueParam") == nil && s.raw("caseExpression") == nil {
		p.add(s.at, required("caseValueParam or caseExpression", s))
	}
	if source := s.text("caseExpression"); !blank(source) {
		p.decides(s, "caseExpression", JavaScript, source)
	} else {
		p.decides(s, "caseValueParam", ByParam, s.text("caseValueParam"))
	}
	p.requireCases(s)
}

// joinScript reads the expression that says how a JOIN ends, if there is one.
func (p *parser) joinScript(s *step) {
	source := s.text("expression")
	if blank(source) {
		return
	}
	by := JavaScript
	if name := s.text("evaluatorType"); name != "" {
		by = ParseEvaluator(name)
	}
	if by == ByParam || by == NoEvaluator {
		p.add(s.at.member("evaluatorType"), "found "+quote(s.text("evaluatorType"))+", allowed are javascript, graaljs and python")
		return
	}
	p.decides(s, "expression", by, source)
}

// loopScript reads loopCondition, which may be blank when there are items.
func (p *parser) loopScript(s *step) {
	condition := s.text("loopCondition")
	if blank(condition) {
		if s.items == nil {
			p.add(s.at.member("loopCondition"), "loopCondition is blank and there are no items to go over")
		}
		return
	}
	by := JavaScript
	if name := s.text("evaluatorType"); name != "" {
		by = ParseEvaluator(name)
	}
	if by == NoEvaluator {
		p.add(s.at.member("evaluatorType"), "found "+quote(s.text("evaluatorType"))+", allowed are value-param, javascript, graaljs and python")
		return
	}
	p.decides(s, "loopCondition", by, condition)
}

func blank(text string) bool { return strings.Trim(text, " \t\r\n") == "" }

// captures reports whether a loop keeps the outputs of its iterations.
func (s *step) captures() bool {
	if raw, ok := expr.Get(s.raw("inputParameters"), "captureOutput"); ok {
		keep, isFlag := flagOf(raw)
		return keep || !isFlag
	}
	return s.flag("captureOutput", true)
}
