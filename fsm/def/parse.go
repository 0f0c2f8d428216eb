package def

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/pawlhq/pawl/fsm/expr"
)

const (
	// MaxSource bounds a definition in bytes: it has to fit one log entry.
	MaxSource = 1 << 20
	// MaxNodes bounds the steps of a definition, those in nested lists included.
	MaxNodes = 10_000
)

// Lists of steps nest at most 63 deep, since each takes two of the levels that
// expr.MaxDepth allows a document. That bounds every recursion here.

// step is a step of the tree that a definition is read into.
type step struct {
	record
	name, ref, typ string
	kind           Kind
	input          *expr.Template
	decider
	zone       bool // a WAIT until a time in a named zone
	items      *expr.Template
	embedded   *TaskType
	cache      *Cache
	told       []StateEvent
	sub        subWorkflow
	joinOn     []string
	fallbackOn []string // of an EXCLUSIVE_JOIN
	sink       *expr.Template
	written    []byte

	cases    []branch // of a SWITCH, in order
	fallback *branch  // its defaultCase, nil when absent
	forks    []branch // of a FORK_JOIN
	body     branch   // of a DO_WHILE

	top    bool
	before *step // in its list
	after  *step
	node   int32
}

// branch is a list of steps inside a step, or the root list.
type branch struct {
	key   string // of a case
	steps []*step
}

type subWorkflow struct {
	name, version, priority, domains *expr.Template
	definition, key, strategy        *expr.Template
	inline, rawDomains               []byte
}

// parser reads one definition.
type parser struct {
	report
	workflow string // its name, for messages
	fragment bool   // the root list is a list of branches
	sub      bool   // a SUB_WORKFLOW step brings it along
	count    int
	all      []*step // in textual order
	byRef    map[string]*step
	asks     []Ask
}

func newParser() *parser { return &parser{byRef: map[string]*step{}} }

// document checks that src is JSON of the allowed size, and returns it without
// byte-order mark and doubled keys. On a problem it returns nil.
func (r *report) document(src []byte) []byte {
	src = bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))
	if len(src) > MaxSource {
		r.add(nil, "the definition has "+strconv.Itoa(len(src))+" bytes; allowed are "+strconv.Itoa(MaxSource))
		return nil
	}
	canon, err := expr.Canon(src)
	if err == nil {
		return bytes.Trim(canon, " \t\r\n")
	}
	var syntax *expr.SyntaxError
	if !errors.As(err, &syntax) {
		r.add(nil, "not JSON")
		return nil
	}
	head := src[:min(syntax.Offset, len(src))]
	line := bytes.Count(head, []byte{'\n'}) + 1
	column := len(head) - bytes.LastIndexByte(head, '\n')
	r.add(nil, "not JSON: line "+strconv.Itoa(line)+", column "+strconv.Itoa(column)+": "+syntax.What)
	return nil
}

// branch reads a list of steps. What is no list has been reported already.
func (p *parser) branch(at *place, key string, raw []byte) branch {
	b := branch{key: key}
	i := 0
	for el := range expr.Elements(raw) {
		if p.count++; p.count == MaxNodes+1 {
			p.add(at.element(i), "the definition has more than "+strconv.Itoa(MaxNodes)+" tasks")
		}
		if p.count > MaxNodes {
			break
		}
		s := p.step(at.element(i), el)
		if n := len(b.steps); n > 0 {
			s.before, b.steps[n-1].after = b.steps[n-1], s
		}
		b.steps = append(b.steps, s)
		i++
	}
	return b
}

// step reads one step, the steps in it included, and checks all that can be
// said without looking beyond it.
func (p *parser) step(at *place, raw []byte) *step {
	s := &step{record: p.record(at, raw, stepFields), written: raw}
	p.all = append(p.all, s)
	s.name, s.ref, s.typ = s.text("name"), s.text("taskReferenceName"), s.text("type")
	if s.typ == "" {
		s.typ = "SIMPLE"
	}
	if expr.KindOf(raw) != expr.Map {
		return s
	}
	if s.name == "" && p.fragment && s.typ != "SIMPLE" {
		s.name = s.typ
	}
	if s.name == "" {
		p.add(at.member("name"), "WorkflowTask name cannot be empty or null")
	}
	if s.ref == "" {
		p.add(at.member("taskReferenceName"), "WorkflowTask taskReferenceName name cannot be empty or null")
	} else {
		p.claim(s)
	}
	if s.int("startDelay", 0) < 0 {
		p.add(at.member("startDelay"), "must be greater than or equal to 0")
	}
	if s.boxed("retryCount", 0) < 0 {
		p.add(at.member("retryCount"), "must be greater than or equal to 0")
	}
	s.input = p.input(at.member("inputParameters"), s.raw("inputParameters"))
	if raw := s.raw("taskDefinition"); raw != nil {
		s.embedded = p.taskType(at.member("taskDefinition"), raw, s.name)
	}
	s.cache = p.cache(s.at.member("cacheConfig"), s.raw("cacheConfig"))
	p.stateEvents(s)
	p.noops(s)
	p.rules(s)
	if !p.fragment { // whose steps run at once
		p.inputProgram(s)
	}
	p.nested(s)
	return s
}

// claim enters the step under its reference name, which must be free.
func (p *parser) claim(s *step) {
	if _, taken := p.byRef[s.ref]; taken {
		p.add(s.at.member("taskReferenceName"), "taskReferenceName: "+clip(s.ref)+
			" should be unique across tasks for a given workflowDefinition: "+clip(p.workflow))
		return
	}
	p.byRef[s.ref] = s
}

// noops checks the shape of fields that have no effect.
func (p *parser) noops(s *step) {
	if mode := s.text("joinMode"); mode != "" && mode != "SYNC" && mode != "ASYNC" {
		p.add(s.at.member("joinMode"), "found "+quote(mode)+", allowed are SYNC and ASYNC")
	}
}

// nested reads the lists that a step of its type has. In other types they are
// without effect and not looked into.
func (p *parser) nested(s *step) {
	switch s.typ {
	case "SWITCH", "DECISION":
		at := s.at.member("decisionCases")
		for key, raw := range expr.Members(s.raw("decisionCases")) {
			if p.isList(at.member(key), raw) {
				s.cases = append(s.cases, p.branch(at.member(key), key, raw))
			}
		}
		if raw := s.raw("defaultCase"); raw != nil {
			b := p.branch(s.at.member("defaultCase"), "", raw)
			s.fallback = &b
		}
	case "FORK_JOIN":
		i := 0
		for raw := range expr.Elements(s.raw("forkTasks")) {
			at := s.at.member("forkTasks").element(i)
			if p.isList(at, raw) {
				s.forks = append(s.forks, p.branch(at, "", raw))
			}
			i++
		}
	case "DO_WHILE":
		s.body = p.branch(s.at.member("loopOver"), "", s.raw("loopOver"))
	}
}

// isList reports whether raw is a list of tasks. A null is as if it were not there.
func (p *parser) isList(at *place, raw []byte) bool {
	switch expr.KindOf(raw) {
	case expr.Array:
		return true
	case expr.Null:
		return false
	}
	p.add(at, "found "+describe(raw)+", allowed is a list of tasks")
	return false
}

// input reads the template of a step's input; without one the input is an
// empty object.
func (p *parser) input(at *place, raw []byte) *expr.Template {
	if raw == nil {
		raw = []byte("{}")
	}
	t, err := expr.ParseTemplateAt("", raw)
	if err != nil {
		p.add(at, err.Error()) // not for what has been through Canon
		return nil
	}
	for _, e := range t.Problems() {
		p.addUnder(at, e.Path, "key: "+clip(e.Path)+" input parameter value: ${"+clip(e.Expr)+"} is not valid: "+e.Message)
	}
	return t
}

// template reads any other template, nil when raw is.
func (r *report) template(at *place, raw []byte) *expr.Template {
	if raw == nil {
		return nil
	}
	t, err := expr.ParseTemplateAt("", raw)
	if err != nil {
		r.add(at, err.Error())
		return nil
	}
	for _, e := range t.Problems() {
		r.addUnder(at, e.Path, "${"+clip(e.Expr)+"} is not valid: "+e.Message)
	}
	return t
}

// addUnder adds a problem at a path that is relative to a place.
func (r *report) addUnder(at *place, path, message string) {
	if r.full() {
		return
	}
	r.problems = append(r.problems, Problem{Path: below(at, clip(path)), Message: message})
}
