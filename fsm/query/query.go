package query

import "strconv"

// Bounds of a query. What is within them is parsed and tested in a few microseconds.
const (
	MaxLength = 16 << 10 // bytes
	MaxDepth  = 32       // parentheses within each other
	MaxTerms  = 256      // conditions
	MaxValues = 2_000    // values of all conditions together
)

// Op is what a node does.
type Op uint8

// The operators. And and Or have Kids, the others have a Field and Values.
const (
	And Op = iota
	Or
	Equal
	NotEqual
	Less
	Greater
	LessOrEqual
	GreaterOrEqual
	In         // any of Values
	Between    // Values[0] to Values[1], both included
	IsNull     // no Values
	IsNotNull  // no Values
	StartsWith // one of Values
)

// Node is a condition, or several joined.
type Node struct {
	Op     Op
	Kids   []Node
	Field  string // as written
	At     int    // offset of the field, or of the first Kid
	Values []Value
}

// Value is a literal of a query.
type Value struct {
	Text string
	At   int
	// Parts is Text cut at its wildcards: one part when there is none.
	Parts []string
}

// Wild reports whether the value has wildcards.
func (v *Value) Wild() bool { return len(v.Parts) > 1 }

// Error says where a query is wrong: what was found there and what is allowed.
type Error struct {
	At    int    // offset in bytes
	Found string // as written; empty at the end
	Want  string
}

// Error tells the place from 1, as people count.
func (e *Error) Error() string {
	found := "the end"
	if e.Found != "" {
		found = strconv.Quote(cut(e.Found))
	}
	return "at character " + strconv.Itoa(e.At+1) + ": found " + found + ", want " + e.Want
}

// maxShown bounds what an error repeats of the query.
const maxShown = 40

func cut(s string) string {
	if len(s) > maxShown {
		return s[:maxShown] + "…"
	}
	return s
}

// Parse reads a query. AND binds before OR; keywords are read in any case. Blanks alone
// are no query: the Node is then an And without Kids, which everything satisfies. The
// error is an *Error.
func Parse(text string) (Node, error) {
	if len(text) > MaxLength {
		return Node{}, &Error{At: MaxLength, Found: text[MaxLength:], Want: "at most " + strconv.Itoa(MaxLength) + " characters"}
	}
	p := parser{lex: lexer{src: text}}
	p.advance()
	if p.tok.kind == tokenEnd {
		return Node{Op: And}, nil
	}
	n := p.or(0)
	if p.err == nil && p.tok.kind != tokenEnd {
		p.fail("AND, OR or the end")
	}
	if p.err != nil {
		return Node{}, p.err
	}
	return n, nil
}

// parser reads by recursive descent, its depth bounded by MaxDepth.
type parser struct {
	lex           lexer
	tok           token
	terms, values int
	err           error // the first; nothing is read behind it
}

func (p *parser) advance() { p.tok = p.lex.next() }

func (p *parser) fail(want string) {
	if p.err == nil {
		p.err = &Error{At: p.tok.at, Found: p.tok.raw, Want: want}
	}
	p.tok = token{kind: tokenEnd, at: p.tok.at}
	p.lex.at = len(p.lex.src)
}

// keyword reports whether the token is one of these bare words, in any case.
func (p *parser) keyword(names ...string) bool {
	if p.tok.kind != tokenWord {
		return false
	}
	word := fold(p.tok.raw)
	for _, n := range names {
		if word == n {
			return true
		}
	}
	return false
}

func (p *parser) or(depth int) Node { return p.joined(Or, "OR", depth, p.and) }

func (p *parser) and(depth int) Node { return p.joined(And, "AND", depth, p.item) }

func (p *parser) joined(op Op, word string, depth int, part func(int) Node) Node {
	first := part(depth)
	if !p.keyword(word) {
		return first
	}
	n := Node{Op: op, At: first.At, Kids: []Node{first}}
	for p.keyword(word) {
		p.advance()
		n.Kids = append(n.Kids, part(depth))
	}
	return n
}

func (p *parser) item(depth int) Node {
	if p.tok.kind != tokenOpen {
		return p.condition()
	}
	if depth == MaxDepth {
		p.fail("at most " + strconv.Itoa(MaxDepth) + " parentheses within each other")
		return Node{}
	}
	p.advance()
	n := p.or(depth + 1)
	if p.tok.kind != tokenClose {
		p.fail("AND, OR or )")
		return Node{}
	}
	p.advance()
	return n
}

func (p *parser) condition() Node {
	n := Node{Field: p.tok.text, At: p.tok.at}
	if p.tok.kind != tokenWord || p.keyword("AND", "OR") {
		p.fail("the name of a field or (")
		return n
	}
	if p.terms++; p.terms > MaxTerms {
		p.fail("at most " + strconv.Itoa(MaxTerms) + " conditions")
		return n
	}
	p.advance()
	switch {
	case p.tok.kind == tokenSign:
		n.Op = signs(p.tok.raw)
		p.advance()
		n.Values = []Value{p.value()}
	case p.keyword("STARTS_WITH"):
		n.Op = StartsWith
		p.advance()
		n.Values = []Value{p.value()}
	case p.keyword("IN"):
		n.Op = In
		p.advance()
		n.Values = p.list()
	case p.keyword("BETWEEN"):
		n.Op = Between
		p.advance()
		low := p.value()
		if !p.keyword("AND") {
			p.fail("AND between the two bounds")
			return n
		}
		p.advance()
		n.Values = []Value{low, p.value()}
	case p.keyword("IS"):
		n.Op = p.null()
	default:
		p.fail("=, !=, <, >, <=, >=, IN, BETWEEN, IS or STARTS_WITH")
	}
	return n
}

func signs(raw string) Op {
	switch raw {
	case "=":
		return Equal
	case "!=":
		return NotEqual
	case "<":
		return Less
	case ">":
		return Greater
	case "<=":
		return LessOrEqual
	}
	return GreaterOrEqual
}

func (p *parser) null() Op {
	p.advance()
	op := IsNull
	if p.keyword("NOT") {
		op = IsNotNull
		p.advance()
	}
	if !p.keyword("NULL") {
		p.fail("null or NOT null")
	}
	p.advance()
	return op
}

func (p *parser) list() []Value {
	if p.tok.kind != tokenOpen {
		p.fail("( and a list of values")
		return nil
	}
	p.advance()
	out := []Value{p.value()}
	for p.tok.kind == tokenComma {
		p.advance()
		out = append(out, p.value())
	}
	if p.tok.kind != tokenClose {
		p.fail(", or )")
	}
	p.advance()
	return out
}

func (p *parser) value() Value {
	v := Value{Text: p.tok.text, At: p.tok.at, Parts: p.tok.parts}
	if p.tok.kind != tokenText && p.tok.kind != tokenWord || p.keyword("AND", "OR") {
		want := "a value"
		if p.tok.kind == tokenBroken && p.tok.raw != "!" {
			want = "a quote at the end of the value"
		}
		p.fail(want)
		return v
	}
	if p.values++; p.values > MaxValues {
		p.fail("at most " + strconv.Itoa(MaxValues) + " values")
	}
	p.advance()
	return v
}
