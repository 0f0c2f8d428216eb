package expr

import "math"

func (p *scriptParser) expression() *node {
	e := p.conditional()
	if p.is(",") {
		p.outside("comma operator")
	}
	return e
}

func (p *scriptParser) conditional() *node {
	p.enter()
	defer func() { p.depth-- }()
	pos := p.tok.pos
	e := p.binary(1)
	if !p.take("?") {
		return e
	}
	b := p.conditional()
	p.expect(":")
	return p.node(node{kind: nodeCond, pos: pos, a: e, b: b, c: p.conditional()})
}

// precedence of binary operators; 0 for what is none, or outside.
func precedence(t token) int {
	if t.kind != tokenMark {
		return 0
	}
	switch t.text {
	case "||":
		return 1
	case "&&":
		return 2
	case "==", "!=", "===", "!==":
		return 3
	case "<", "<=", ">", ">=":
		return 4
	case "+", "-":
		return 5
	case "*", "/", "%":
		return 6
	}
	return 0
}

func (p *scriptParser) binary(least int) *node {
	pos := p.tok.pos
	e := p.unary()
	for !p.failed() {
		op, prec := p.tok.text, precedence(p.tok)
		if prec < least {
			break
		}
		p.advance()
		n := node{kind: nodeBinary, pos: pos, name: op, a: e, b: p.binary(prec + 1)}
		switch op {
		case "||":
			n.kind = nodeOr
		case "&&":
			n.kind = nodeAnd
		}
		e = p.node(n)
	}
	return e
}

func (p *scriptParser) unary() *node {
	p.enter()
	defer func() { p.depth-- }()
	n := node{pos: p.tok.pos}
	switch {
	case p.take("!"):
		n.kind = nodeNot
	case p.take("-"):
		n.kind = nodeMinus
	case p.take("+"):
		n.kind = nodePlus
	default:
		return p.postfix()
	}
	n.a = p.unary()
	return p.node(n)
}

func (p *scriptParser) postfix() *node {
	pos := p.tok.pos
	e := p.primary()
	for !p.failed() {
		n := node{pos: pos, a: e}
		switch {
		case p.take("."):
			if p.tok.kind != tokenName {
				p.outside("expected a name")
				return e
			}
			n.kind, n.name = nodeMember, p.tok.text
			p.advance()
		case p.take("["):
			n.kind, n.b = nodeElem, p.expression()
			p.expect("]")
			if n.b.kind == nodeConst && !p.failed() {
				n.kind, n.name, n.b = nodeMember, n.b.val.text(), nil
			}
		case p.is("(") && e.kind == nodeMember:
			p.unnote(e)
			n.kind, n.name, n.a, n.b = nodeMethod, e.name, e.a, p.argument()
			switch n.name {
			case "indexOf", "includes", "startsWith":
			default:
				p.outside("method " + n.name)
			}
		case p.is("("):
			p.outside("call")
			return e
		default:
			return e
		}
		e = p.node(n)
		p.note(e)
	}
	return e
}

// argument reads (e).
func (p *scriptParser) argument() *node {
	p.expect("(")
	e := p.expression()
	p.expect(")")
	return e
}

func (p *scriptParser) primary() *node {
	n := node{pos: p.tok.pos}
	switch p.tok.kind {
	case tokenNumber:
		n.val = numberValue(p.tok.num)
	case tokenString:
		n.val = stringValue(p.tok.text)
	case tokenName:
		return p.named()
	default:
		if p.is("(") {
			return p.group()
		}
		p.outside("expected an expression")
		return &n
	}
	p.advance()
	return p.node(n)
}

// named reads an expression that begins with a word.
func (p *scriptParser) named() *node {
	n := node{pos: p.tok.pos}
	text := p.tok.text
	if p.advance(); p.is("=>") {
		p.outside("function with a parameter")
	}
	switch text {
	case "$":
		n.kind = nodeDollar
		e := p.node(n)
		p.uses = append(p.uses, use{dollar: e})
		return e
	case "String", "Number":
		n.kind = nodeToString
		if text == "Number" {
			n.kind = nodeToNumber
		}
		n.a = p.argument()
		return p.node(n)
	}
	if val, ok := constant(text); ok {
		n.val = val
		return p.node(n)
	}
	for _, known := range p.scope {
		if known.text != text {
			continue
		}
		if known.fn == nil {
			n.kind, n.slot = nodeVar, known.slot
			return p.node(n)
		}
		if !p.inFunc && p.take("(") && p.take(")") {
			n.kind, n.body = nodeCall, known.fn
			return p.node(n)
		}
	}
	p.tok.pos = n.pos
	p.outside("name " + text)
	return &n
}

func constant(text string) (jsValue, bool) {
	switch text {
	case "true", "false":
		return boolValue(text == "true"), true
	case "null":
		return jsValue{kind: jsNull}, true
	case "undefined":
		return jsValue{}, true
	case "NaN":
		return numberValue(math.NaN()), true
	case "Infinity":
		return numberValue(math.Inf(1)), true
	}
	return jsValue{}, false
}

// group reads what begins with a parenthesis: an expression or the immediate
// call of a function.
func (p *scriptParser) group() *node {
	n := node{kind: nodeCall, pos: p.tok.pos}
	p.advance()
	switch {
	case p.take("function"):
		if p.tok.kind == tokenName {
			p.declared() // its own name, which it must not use
		}
		n.body = p.functionRest()
	case p.is("(") && p.arrowAhead():
		n.body = p.arrow()
	default:
		e := p.expression()
		p.expect(")")
		return e
	}
	if p.take("(") { // (function () { … }())
		if n.body.arrow {
			p.outside("call of an arrow function")
		}
		p.expect(")")
		p.expect(")")
		return p.node(n)
	}
	p.expect(")")
	p.expect("(")
	p.expect(")")
	return p.node(n)
}

// arrowAhead reports whether () => follows.
func (p *scriptParser) arrowAhead() bool {
	ahead := p.lex
	if t := ahead.next(); t.text != ")" || t.kind != tokenMark {
		return false
	}
	t := ahead.next()
	return t.kind == tokenMark && t.text == "=>" && !t.newline
}

// arrow reads () => followed by a block or an expression.
func (p *scriptParser) arrow() *function {
	p.advance()
	p.advance()
	p.advance()
	if p.is("{") {
		f := p.functionBody()
		f.arrow = true
		return f
	}
	outer := p.inFunc
	p.inFunc = true
	f := &function{expr: p.conditional(), arrow: true}
	p.inFunc = outer
	return f
}
