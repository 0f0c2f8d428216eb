package expr

import (
	"bytes"
	"strconv"
	"strings"
)

// templateParser collects the ops of one template. Literal JSON from done up to
// the string at hand has not been added yet.
type templateParser struct {
	t    *Template
	done int
	at   string // where the string at hand is
}

// value reads the value at offset i of the template.
func (p *templateParser) value(at string, i int) {
	raw := p.t.raw
	switch raw[i] {
	case '{', '[':
		c := cursor{raw: raw, i: i + 1, isMap: raw[i] == '{'}
		for n := 0; ; n++ {
			key, val, ok := c.next()
			if !ok {
				return
			}
			if !mayRefer(val) {
				continue
			}
			below := at + "[" + strconv.Itoa(n) + "]"
			if c.isMap {
				below = joinPath(at, keyText(key))
			}
			p.value(below, c.i-len(val))
		}
	case '"':
		p.str(at, i, skipString(raw, i))
	}
}

func joinPath(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// mayRefer tells most values that hold no ${ from those that might. Containers
// are not searched, so that nesting does not multiply the work.
func mayRefer(raw []byte) bool {
	switch raw[0] {
	case '"':
		return bytes.Contains(raw, []byte("${")) || bytes.Contains(raw, []byte(`\u`))
	case '{', '[':
		return true
	}
	return false
}

// str reads the string token raw[from:to].
func (p *templateParser) str(at string, from, to int) {
	s := unquote(p.t.raw[from:to])
	if !strings.Contains(s, "${") {
		return
	}
	p.at = at
	parts := p.parts(s, 0)
	lit, literal := joinLiterals(parts)
	if literal && lit == s {
		return // as it was: a secret, or a brace that is never closed
	}
	p.literal(p.t.raw[p.done:from])
	p.done = to
	p.t.constant = false
	if literal {
		p.literal(AppendString(nil, lit))
		return
	}
	p.t.ops = append(p.t.ops, op{text: parts, lone: len(parts) == 1})
}

// literal adds JSON to copy.
func (p *templateParser) literal(lit []byte) {
	if len(lit) > 0 {
		p.t.ops = append(p.t.ops, op{lit: lit})
	}
}

// parts takes s apart at its expressions. $${ is not the beginning of one and
// becomes ${, unless s is one expression as a whole.
func (p *templateParser) parts(s string, nesting int) []part {
	var parts []part
	closing := matchBraces(s)
	from, i := 0, 0
	for {
		k := strings.Index(s[i:], "${")
		if k < 0 {
			return addLiteral(parts, unescape(s[from:]))
		}
		k += i
		end := closing[k+1]
		if end == 0 || k > 0 && s[k-1] == '$' {
			i = k + 2
			continue
		}
		parts = append(addLiteral(parts, unescape(s[from:k])), p.expression(s[k+2:end], nesting))
		from = end + 1
		i = from
	}
}

func addLiteral(parts []part, lit string) []part {
	if lit == "" {
		return parts
	}
	return append(parts, part{lit: lit})
}

// joinLiterals returns the text of parts if none of them is an expression.
func joinLiterals(parts []part) (string, bool) {
	var b strings.Builder
	for i := range parts {
		if !parts[i].isLiteral() {
			return "", false
		}
		b.WriteString(parts[i].lit)
	}
	return b.String(), true
}

// matchBraces returns, for the offset of each { that is closed, that of its }.
func matchBraces(s string) []int {
	closing := make([]int, len(s))
	var opened []int
	for i := range len(s) {
		switch s[i] {
		case '{':
			opened = append(opened, i)
		case '}':
			if n := len(opened); n > 0 {
				closing[opened[n-1]] = i
				opened = opened[:n-1]
			}
		}
	}
	return closing
}

// expression reads the text between the braces of one ${…}.
func (p *templateParser) expression(text string, nesting int) part {
	n := len(p.t.refs)
	p.t.refs = append(p.t.refs, Ref{At: p.at, Text: text})
	if nesting == maxNesting {
		return p.problem(text, "nested too deeply")
	}
	src := text
	if strings.Contains(text, "${") {
		inner := p.parts(text, nesting+1)
		lit, literal := joinLiterals(inner)
		if !literal {
			return part{inner: inner}
		}
		src = lit
	}
	if isBlankText(src) {
		return part{void: true}
	}
	path, err := ParsePath(src)
	if err == nil {
		ref := &p.t.refs[n]
		ref.Root = path.Root()
		ref.Second, _ = path.Second()
	}
	switch {
	case isSecret(src, path):
		return part{lit: "${" + src + "}"}
	case err != nil:
		return p.problem(text, err.Error())
	}
	return part{path: path}
}

func (p *templateParser) problem(text, message string) part {
	p.t.problems = append(p.t.problems, &TemplateError{Path: p.at, Expr: text, Message: message})
	return part{bad: true}
}
