package expr

import "strings"

type nodeKind uint8

const (
	nodeConst    nodeKind = iota // val
	nodeDollar                   // $
	nodeVar                      // slot
	nodeMember                   // a.name
	nodeElem                     // a[b]
	nodeMethod                   // a.name(b)
	nodeToString                 // String(a)
	nodeToNumber                 // Number(a)
	nodeNot
	nodeMinus
	nodePlus
	nodeAnd
	nodeOr
	nodeCond   // a ? b : c
	nodeBinary // a name b
	nodeCall   // body
)

// node is an expression.
type node struct {
	kind    nodeKind
	pos     int
	end     int
	height  int
	a, b, c *node
	name    string
	val     jsValue
	slot    int
	body    *function
}

type stmtKind uint8

const (
	stmtEmpty  stmtKind = iota // also a function declaration
	stmtExpr                   // e
	stmtLet                    // slot = e, which may be nil
	stmtReturn                 // e, which may be nil
	stmtIf                     // if (e) body[0] else body[1]
	stmtBlock                  // body
)

type stmt struct {
	kind stmtKind
	e    *node
	slot int
	body []stmt
}

// function is a function without parameters.
type function struct {
	body  []stmt
	expr  *node // of an arrow function without a block
	arrow bool
}

// scriptParser compiles a script. It only takes what it can run exactly: a name
// is used after its declaration and inside the same block, is declared once in
// the whole script and never assigned, and functions do not call each other, so
// every name has one value and no call can recurse.
type scriptParser struct {
	lex    lexer
	tok    token
	prev   int // end of the token before
	depth  int
	inFunc bool
	scope  []name          // names that can be used here
	names  map[string]bool // all declared so far
	slots  int
	uses   []use
}

type name struct {
	text string
	slot int       // of a value
	fn   *function // of a function
}

// outside stops the parser.
func (p *scriptParser) outside(what string) {
	p.lex.fail(p.tok.pos, what)
	p.tok = token{kind: tokenEnd, pos: p.tok.pos}
}

func (p *scriptParser) failed() bool { return p.lex.err != nil }

func (p *scriptParser) advance() {
	p.prev = p.tok.end
	p.tok = p.lex.next()
}

// is reports whether the mark or word is next.
func (p *scriptParser) is(text string) bool {
	return (p.tok.kind == tokenMark || p.tok.kind == tokenName) && p.tok.text == text
}

func (p *scriptParser) take(text string) bool {
	if p.is(text) {
		p.advance()
		return true
	}
	return false
}

func (p *scriptParser) expect(text string) {
	if !p.take(text) {
		p.outside("expected " + text)
	}
}

// enter bounds the recursion; it pairs with p.depth--.
func (p *scriptParser) enter() {
	if p.depth++; p.depth > MaxDepth {
		p.outside("nested too deeply")
	}
}

// node completes n, which must not become too high for the recursion of eval.
func (p *scriptParser) node(n node) *node {
	for _, kid := range []*node{n.a, n.b, n.c} {
		if kid != nil {
			n.height = max(n.height, kid.height+1)
		}
	}
	if n.height > MaxDepth {
		p.outside("expression too long")
	}
	n.end = p.prev
	return &n
}

// statements reads up to an end that it leaves.
func (p *scriptParser) statements(end string) []stmt {
	visible := len(p.scope)
	var body []stmt
	for !p.failed() && p.tok.kind != tokenEnd && !p.is(end) {
		body = p.statement(body, true)
	}
	p.scope = p.scope[:visible]
	return body
}

// statement appends one statement; list says that it stands in a block or at
// the top and not under an if.
func (p *scriptParser) statement(body []stmt, list bool) []stmt {
	p.enter()
	defer func() { p.depth-- }()
	switch {
	case p.take(";"):
		return append(body, stmt{})
	case p.take("{"):
		inner := p.statements("}")
		p.expect("}")
		return append(body, stmt{kind: stmtBlock, body: inner})
	case p.is("if"):
		return append(body, p.ifStatement())
	case p.is("return") && p.inFunc:
		return append(body, p.returnStatement())
	case list && (p.is("const") || p.is("let") || p.is("var")):
		return p.declaration(body)
	case list && p.is("function") && !p.inFunc && p.depth == 1:
		p.functionDeclaration()
		return append(body, stmt{})
	case p.is("function"):
		p.outside("function declaration")
	}
	e := p.expression()
	p.endStatement()
	return append(body, stmt{kind: stmtExpr, e: e})
}

func (p *scriptParser) ifStatement() stmt {
	p.advance()
	p.expect("(")
	s := stmt{kind: stmtIf, e: p.expression()}
	p.expect(")")
	s.body = p.statement(nil, false)
	if p.take("else") {
		s.body = p.statement(s.body, false)
	}
	return s
}

func (p *scriptParser) returnStatement() stmt {
	p.advance()
	s := stmt{kind: stmtReturn}
	if !p.tok.newline && p.tok.kind != tokenEnd && !p.is(";") && !p.is("}") {
		s.e = p.expression()
	}
	p.endStatement()
	return s
}

// endStatement takes a semicolon, or finds that it may be left out.
func (p *scriptParser) endStatement() {
	if !p.take(";") && !p.is("}") && p.tok.kind != tokenEnd && !p.tok.newline {
		p.outside("expected ;")
	}
}

func (p *scriptParser) declaration(body []stmt) []stmt {
	isConst := p.is("const")
	p.advance()
	for !p.failed() {
		text := p.declared()
		s := stmt{kind: stmtLet, slot: p.slots}
		p.slots++
		if p.take("=") {
			s.e = p.conditional()
		} else if isConst {
			p.outside("expected =")
		}
		p.scope = append(p.scope, name{text: text, slot: s.slot})
		body = append(body, s)
		if !p.take(",") {
			break
		}
	}
	p.endStatement()
	return body
}

// declared takes a name that nothing else in the script has.
func (p *scriptParser) declared() string {
	text := p.tok.text
	if p.tok.kind != tokenName || isReserved(text) || p.names[text] {
		p.outside("unsupported name")
		return ""
	}
	p.names[text] = true
	p.advance()
	return text
}

func (p *scriptParser) functionDeclaration() {
	p.advance()
	text := p.declared()
	p.scope = append(p.scope, name{text: text, slot: -1, fn: p.functionRest()})
}

// functionRest reads () { … }.
func (p *scriptParser) functionRest() *function {
	p.expect("(")
	p.expect(")")
	return p.functionBody()
}

func (p *scriptParser) functionBody() *function {
	p.expect("{")
	outer := p.inFunc
	p.inFunc = true
	f := &function{body: p.statements("}")}
	p.inFunc = outer
	p.expect("}")
	return f
}

// isReserved reports whether a script may not declare the name, because the
// language does not allow it or because it already means something here.
func isReserved(text string) bool {
	const words = " $ String Number undefined NaN Infinity true false null eval arguments" +
		" break case catch class const continue debugger default delete do else enum export extends finally for" +
		" function if import in instanceof new return super switch this throw try typeof var void while with" +
		" yield let static await async implements interface package private protected public "
	return strings.Contains(words, " "+text+" ")
}
