package def

import (
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Languages of a Program.
const (
	LanguageJavaScript = "javascript"
	LanguageJq         = "jq"
	LanguageZone       = "zone"
)

// Program is a source in a document of which only what evaluates it can say whether it
// can be parsed: a script, a jq program, or a local time in a zone.
type Program struct {
	Path     string // where it stands
	Language string
	Function bool // it is the body of a function
	Source   string
	of       string // whose it is, for messages
}

// Problem is what to say of a program that its engine cannot parse.
func (p *Program) Problem(fault string) Problem {
	what := "Expression is not well formatted: "
	if p.Language == LanguageZone {
		what = ""
	}
	return Problem{Path: p.Path, Message: what + fault + p.of}
}

// Programs returns the programs of a document of the shape in textual order, whether
// the document is valid or not: those that are written out, for what ${…} brings along
// is known only when it runs. Those that Problems tells of are not among them, nor
// those that the machine evaluates itself.
func (s Shape) Programs(src []byte) []Program {
	r := report{}
	switch s {
	case ShapeWorkflow:
		p := newParser()
		p.compile(src, true)
		return p.programs
	case ShapeStart:
		if raw := r.document(src); raw != nil {
			r.start(nil, raw)
		}
	case ShapeEventHandler:
		if raw := r.document(src); raw != nil {
			r.eventHandler(raw)
		}
	case ShapeSchedule:
		if raw := r.document(src); raw != nil {
			r.schedule(raw)
		}
	}
	return r.programs
}

// javaScript notes a script, unless the machine can evaluate it itself.
func (r *report) javaScript(at *place, source, of string, function bool) {
	parse := expr.ParseScript
	if function {
		parse = expr.ParseFunction
	}
	if _, err := parse(source); err != nil && !blank(source) {
		r.programs = append(r.programs, Program{Path: at.String(), Language: LanguageJavaScript, Function: function, Source: source, of: of})
	}
}

// under adds what was found in a document that stands inside this one.
func (r *report) under(at *place, inner *report) {
	for _, p := range inner.problems {
		r.addUnder(at, p.Path, p.Message)
	}
	for _, p := range inner.programs {
		p.Path = below(at, p.Path)
		r.programs = append(r.programs, p)
	}
}

// below is a path that is relative to a place.
func below(at *place, path string) string {
	full := at.String()
	if path != "" && path[0] != '[' && full != "" {
		full += "."
	}
	return full + path
}

// inputProgram notes what a step evaluates of its input, if it is written out there.
func (p *parser) inputProgram(s *step) {
	in, of := s.raw("inputParameters"), ofStep(s)
	switch s.kind {
	case Inline:
		if raw, ok := expr.Get(in, "evaluatorType"); ok {
			if name, _ := expr.Unquote(raw); ParseEvaluator(name) != JavaScript {
				return
			}
		}
		if source := literal(in, "expression"); source != "" {
			p.javaScript(s.inputAt("expression"), source, of, false)
		}
	case Lambda:
		if source := literal(in, "scriptExpression"); source != "" {
			p.javaScript(s.inputAt("scriptExpression"), source, of, true)
		}
	case Wait:
		if s.zone {
			until := parameter(in, "until")
			p.programs = append(p.programs, Program{Path: s.inputAt("until").String(), Language: LanguageZone, Source: until, of: of})
		}
	case Jq:
		if source := literal(in, "queryExpression"); !blank(source) {
			p.programs = append(p.programs, Program{Path: s.inputAt("queryExpression").String(), Language: LanguageJq, Source: source, of: of})
		}
	}
}

func (s *step) inputAt(key string) *place { return s.at.member("inputParameters").member(key) }

// ofStep says in messages which step an expression belongs to.
func ofStep(s *step) string { return ", taskType: " + s.typ + " taskName " + clip(s.name) }

// literal is a text of an input as its step will see it, "" when it depends on what
// runs.
func literal(in []byte, key string) string {
	raw, _ := expr.Get(in, key)
	text, _ := expr.Unquote(raw)
	if !strings.Contains(text, "${") {
		return text
	}
	t, err := expr.ParseTemplate(raw)
	if err != nil || len(t.Refs()) > 0 {
		return ""
	}
	v, err := t.Eval(expr.Value{}, nil)
	if err != nil {
		return ""
	}
	text, _ = expr.Unquote(v.AppendJSON(nil))
	return text
}
