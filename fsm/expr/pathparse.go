package expr

import (
	"strconv"
	"strings"
)

// ParsePath parses a path; a leading `$` may be left out. Its error is a *PathError.
func ParsePath(src string) (*Path, error) {
	p := pathParser{s: strings.Trim(src, " \t\r\n")}
	path := p.path(len(p.s) > 0 && p.s[0] == '$' && (len(p.s) == 1 || p.s[1] == '.' || p.s[1] == '['))
	if p.i < len(p.s) {
		p.fail("unexpected character")
	}
	if p.err != nil {
		return nil, p.err
	}
	return path, nil
}

// pathParser reads one path; after the first error it stands still.
type pathParser struct {
	s        string
	i        int
	depth    int // of brackets in conditions
	inFilter bool
	err      *PathError
}

func (p *pathParser) fail(what string) {
	if p.err == nil {
		if p.i >= len(p.s) {
			what = "unexpected end"
		}
		p.err = &PathError{Offset: p.i, What: what}
	}
}

func (p *pathParser) at(c byte) bool { return p.i < len(p.s) && p.s[p.i] == c }

// take steps over c if it is next.
func (p *pathParser) take(c byte) bool {
	if p.err == nil && p.at(c) {
		p.i++
		return true
	}
	return false
}

func (p *pathParser) blanks() {
	for p.i < len(p.s) && isBlank(p.s[p.i]) {
		p.i++
	}
}

// path reads the steps from here on; anchored says that a `$` or `@` stands here.
func (p *pathParser) path(anchored bool) *Path {
	from := p.i
	path := &Path{simple: true}
	if anchored {
		p.i++
	} else {
		path.steps = p.token(path.steps)
	}
	for p.err == nil && (p.at('.') || p.at('[')) {
		if p.take('.') {
			if p.take('.') {
				path.steps = append(path.steps, step{kind: stepDeep})
			}
			path.steps = p.token(path.steps)
		} else {
			path.steps = append(path.steps, p.bracket())
		}
		if len(path.steps) > MaxPathSteps {
			p.fail("too many steps")
		}
	}
	path.src = p.s[from:p.i]
	for i := range path.steps {
		s := &path.steps[i]
		path.simple = path.simple && s.kind <= stepIndex
		if s.kind == stepNames && i == len(path.steps)-1 {
			s.kind = stepMerge
		}
	}
	last := len(path.steps)
	for last > 0 && path.steps[last-1].kind != stepCall {
		last--
	}
	path.definite = isDefinite(path.steps[last:])
	return path
}

// token reads a name, a call, a wildcard or a bracket.
func (p *pathParser) token(steps []step) []step {
	switch {
	case p.at('['):
		return append(steps, p.bracket())
	case p.take('*'):
		return append(steps, step{kind: stepAll})
	}
	from := p.i
	for p.i < len(p.s) && !p.endsName(p.s[p.i]) {
		p.i++
	}
	name := p.s[from:p.i]
	if name == "" {
		p.fail("expected a name")
	} else if p.i < len(p.s) && isBlank(p.s[p.i]) && !p.inFilter {
		p.fail("blank in a name; use ['…']")
	}
	if !p.at('(') {
		return append(steps, step{kind: stepMember, name: name})
	}
	p.i++
	p.blanks()
	switch {
	case !p.take(')'):
		p.fail("expected )")
	case !isFunction(name):
		p.fail("unknown function " + name)
	case len(steps) > 0 && steps[len(steps)-1].kind == stepDeep:
		p.fail("a function cannot follow ..")
	}
	return append(steps, step{kind: stepCall, name: name})
}

func (p *pathParser) endsName(c byte) bool {
	switch c {
	case '.', '[', '(', ' ', '\t', '\r', '\n':
		return true
	case '<', '>', '=', '!', '&', '|', ',', ')', ']':
		return p.inFilter
	}
	return false
}

// bracket reads […].
func (p *pathParser) bracket() (s step) {
	p.i++
	p.blanks()
	switch {
	case p.at('\'') || p.at('"'):
		s = p.nameList()
	case p.take('*'):
		s.kind = stepAll
	case p.take('?'):
		s = p.filter()
	default:
		s = p.numbers()
	}
	p.blanks()
	if !p.take(']') {
		p.fail("expected ]")
	}
	return s
}

func (p *pathParser) nameList() step {
	names := []string{p.quoted()}
	for p.blanks(); p.take(','); p.blanks() {
		p.blanks()
		names = append(names, p.quoted())
	}
	if len(names) == 1 {
		return step{kind: stepMember, name: names[0]}
	}
	return step{kind: stepNames, names: names}
}

// quoted reads text in single or double quotes, with the escapes of JSON.
func (p *pathParser) quoted() string {
	if !p.at('\'') && !p.at('"') {
		p.fail("expected a quote")
		return ""
	}
	quote, from := p.s[p.i], p.i+1
	for p.i++; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '\\':
			p.i++
		case quote:
			body := p.s[from:p.i]
			p.i++
			return string(appendUnquoted(nil, []byte(body)))
		}
	}
	p.i = len(p.s)
	p.fail("unexpected end")
	return ""
}

// numbers reads an index, a list of them or a slice.
func (p *pathParser) numbers() step {
	first := p.number()
	p.blanks()
	if p.at(':') {
		return p.slice(first)
	}
	if first == nil {
		p.fail("expected a key, an index, a slice, * or ?")
		return step{}
	}
	indexes := []int{*first}
	for ; p.take(','); p.blanks() {
		p.blanks()
		n := p.number()
		if n == nil {
			p.fail("expected an index")
			return step{}
		}
		indexes = append(indexes, *n)
	}
	if len(indexes) == 1 {
		return step{kind: stepIndex, index: indexes[0]}
	}
	return step{kind: stepIndexes, indexes: indexes}
}

func (p *pathParser) slice(from *int) step {
	s := slice{from: from, by: 1}
	p.take(':')
	p.blanks()
	s.to = p.number()
	p.blanks()
	if p.take(':') {
		p.blanks()
		if by := p.number(); by != nil {
			s.by = *by
		}
		if s.by == 0 {
			p.fail("a slice cannot step by 0")
		}
	}
	return step{kind: stepSlice, slice: s}
}

// number reads an integer of at most nine digits, nil if there is none.
func (p *pathParser) number() *int {
	from := p.i
	p.take('-')
	digits := p.i
	for p.i < len(p.s) && isDigit(p.s[p.i]) {
		p.i++
	}
	if p.i == from {
		return nil
	}
	n, err := strconv.Atoi(p.s[from:p.i])
	if err != nil || p.i-digits > 9 {
		p.i = from
		p.fail("not an index")
		return nil
	}
	return &n
}

// filter reads (condition) after [?.
func (p *pathParser) filter() step {
	outer := p.inFilter
	p.inFilter = true
	defer func() { p.inFilter = outer }()
	p.blanks()
	if !p.at('(') {
		p.fail("expected (")
	}
	return step{kind: stepFilter, cond: p.unary()}
}

func (p *pathParser) or() *cond {
	c := p.and()
	for p.word("||") {
		c = &cond{op: condOr, left: c, right: p.and()}
	}
	return c
}

func (p *pathParser) and() *cond {
	c := p.unary()
	for p.word("&&") {
		c = &cond{op: condAnd, left: c, right: p.unary()}
	}
	return c
}

func (p *pathParser) unary() *cond {
	if p.depth++; p.depth > MaxDepth {
		p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	p.blanks()
	switch {
	case p.err != nil:
		return nil
	case p.take('!'):
		return &cond{op: condNot, left: p.unary()}
	case p.take('('):
		c := p.or()
		p.blanks()
		if !p.take(')') {
			p.fail("expected )")
		}
		return c
	}
	return p.comparison()
}

func (p *pathParser) comparison() *cond {
	c := &cond{op: condExists, a: p.operand()}
	p.blanks()
	for _, o := range operators {
		if p.word(o.text) {
			c.op = o.op
			p.blanks()
			c.b = p.operand()
			break
		}
	}
	return c
}

// operators lists longer texts before those they begin with.
var operators = []struct {
	text string
	op   condOp
}{
	{"==", condEqual}, {"!=", condUnequal},
	{"<=", condLessEqual}, {"<", condLess},
	{">=", condMoreEqual}, {">", condMore},
	{"in ", condIn}, {"in[", condIn}, {"in$", condIn}, {"in@", condIn},
}

// word steps over w if it is next; of "in[" only the letters.
func (p *pathParser) word(w string) bool {
	p.blanks()
	if p.err != nil || !strings.HasPrefix(p.s[p.i:], w) {
		return false
	}
	if w[0] == 'i' {
		w = "in"
	}
	p.i += len(w)
	return true
}

func (p *pathParser) operand() operand {
	switch {
	case p.at('@'):
		return operand{path: p.path(true)}
	case p.at('$'):
		return operand{path: p.path(true), fromRoot: true}
	}
	return operand{literal: Value{raw: p.literal(nil)}}
}

// literal appends a number, string, word or list as JSON.
func (p *pathParser) literal(dst []byte) []byte {
	switch {
	case p.at('\'') || p.at('"'):
		return AppendString(dst, p.quoted())
	case p.at('['):
		return p.list(dst)
	}
	from := p.i
	p.i = from + skipValue([]byte(p.s[from:min(len(p.s), from+maxLiteral)]), 0)
	for i := from; i < p.i; i++ { // what may follow a literal in a condition
		if p.endsName(p.s[i]) && p.s[i] != '.' {
			p.i = i
		}
	}
	word := p.s[from:p.i]
	if Check([]byte(word)) != nil {
		p.i = from
		p.fail("expected @, $ or a literal")
	}
	return append(dst, word...)
}

// maxLiteral bounds a number in a condition.
const maxLiteral = 1024

func (p *pathParser) list(dst []byte) []byte {
	if p.depth++; p.depth > MaxDepth {
		p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	p.i++
	dst = append(dst, '[')
	for n := 0; p.err == nil; n++ {
		p.blanks()
		if p.take(']') {
			break
		}
		if n > 0 {
			if !p.take(',') {
				p.fail("expected , or ]")
			}
			p.blanks()
			dst = append(dst, ',')
		}
		dst = p.literal(dst)
	}
	return append(dst, ']')
}
