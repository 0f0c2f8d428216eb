package expr

import (
	"strings"
	"unicode/utf8"
)

// maxNesting bounds ${…} inside ${…}.
const maxNesting = 16

// Template is a JSON value whose strings may hold ${…}. It is immutable and
// never changed by evaluating it.
type Template struct {
	raw      []byte
	ops      []op
	constant bool
	refs     []Ref
	problems []*TemplateError
}

// op is one piece of the result: JSON to copy, or a string to evaluate.
type op struct {
	lit  []byte
	text []part // of a string; nil for lit
	lone bool   // the string is one ${…} and keeps the type of what it finds
}

// part is one piece of a string: text to copy, or an expression.
type part struct {
	lit   string
	path  *Path  // of an expression known when the template was parsed
	inner []part // of an expression whose text is itself evaluated
	void  bool   // an expression that is blank
	bad   bool   // an expression that is no path: null
}

// Ref is an expression that a template holds.
type Ref struct {
	At     string // where its string is, such as inputParameters.a[0]
	Root   string // first member of its path; "" if that is not known before evaluation
	Second string // second member, likewise
	Text   string // the text between the braces
}

// TemplateError says what is wrong with a template.
type TemplateError struct {
	Path    string // where the string is, such as inputParameters.a[0]
	Expr    string // the text between the braces, "" if the template is no JSON
	Message string // what is wrong with it
}

// Error returns the place, the expression and the cause.
func (e *TemplateError) Error() string {
	s := e.Message
	if e.Expr != "" {
		s = "${" + e.Expr + "}: " + s
	}
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	return s
}

// ParseTemplate parses a template. Its error is a *TemplateError: raw is not
// what Canon accepts, or the first of Problems.
func ParseTemplate(raw []byte) (*Template, error) {
	t, err := ParseTemplateAt("", raw)
	if err == nil && len(t.problems) > 0 {
		err = t.problems[0]
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// ParseTemplateAt parses a template that stands at prefix in a larger document.
// Expressions that are no paths are left to Problems and evaluate to null, so
// the error, a *TemplateError, only says that raw is not what Canon accepts.
func ParseTemplateAt(prefix string, raw []byte) (*Template, error) {
	canon, err := Canon(raw)
	if err != nil {
		return nil, &TemplateError{Path: prefix, Message: err.Error()}
	}
	p := templateParser{t: &Template{raw: canon, constant: true}}
	p.value(prefix, skipBlanks(canon, 0))
	p.literal(canon[p.done:])
	return p.t, nil
}

// Constant reports whether evaluating gives Raw whatever the root.
func (t *Template) Constant() bool { return t.constant }

// Raw returns the template's JSON as it was written. It must not be changed.
func (t *Template) Raw() []byte { return t.raw }

// Refs returns the expressions of the template in textual order, those inside
// others after them. The slice must not be changed.
func (t *Template) Refs() []Ref { return t.refs }

// Problems returns the expressions that are no paths, in textual order.
func (t *Template) Problems() []*TemplateError { return t.problems }

// Eval returns the value for root, without a copy where the template is
// constant or a single expression. The only error is ErrBudget.
func (t *Template) Eval(root Value, b *Budget) (Value, error) {
	switch {
	case t.constant:
		return Raw(t.raw), nil
	case len(t.ops) == 1 && t.ops[0].lone:
		return t.ops[0].text[0].value(root, b)
	}
	raw, err := t.Append(nil, root, b)
	return Raw(raw), err
}

// Append appends the value for root as JSON. The only error is ErrBudget; dst
// then holds a part of it.
func (t *Template) Append(dst []byte, root Value, b *Budget) ([]byte, error) {
	var err error
	for i := range t.ops {
		o := &t.ops[i]
		switch {
		case o.text == nil:
			if err = b.copied(len(o.lit)); err == nil {
				dst = append(dst, o.lit...)
			}
		case o.lone:
			var v Value
			if v, err = o.text[0].value(root, b); err == nil {
				dst, err = v.appendJSON(dst, b, 0)
			}
		default:
			dst = append(dst, '"')
			from := len(dst)
			if dst, err = appendParts(dst, o.text, root, b); err == nil {
				dst = quoteTail(dst, from)
			}
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendParts appends the text that parts read as.
func appendParts(dst []byte, parts []part, root Value, b *Budget) ([]byte, error) {
	for i := range parts {
		p := &parts[i]
		if p.isLiteral() {
			dst = append(dst, p.lit...)
			if err := b.copied(len(p.lit)); err != nil {
				return dst, err
			}
			continue
		}
		v, err := p.value(root, b)
		if err == nil {
			dst, err = AppendText(dst, v, b)
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// quoteTail makes a JSON string of the text that follows the quote at from-1.
func quoteTail(dst []byte, from int) []byte {
	tail := dst[from:]
	clean := utf8.Valid(tail)
	for i := 0; clean && i < len(tail); i++ {
		clean = tail[i] >= ' ' && tail[i] != '"' && tail[i] != '\\'
	}
	if clean {
		return append(dst, '"')
	}
	return AppendString(dst[:from-1], string(tail))
}

var emptyString = []byte(`""`)

func (p *part) isLiteral() bool { return p.path == nil && p.inner == nil && !p.void && !p.bad }

// value evaluates an expression.
func (p *part) value(root Value, b *Budget) (Value, error) {
	switch {
	case p.path != nil:
		return p.path.Eval(root, b)
	case p.void:
		return Value{raw: emptyString}, nil
	case p.inner == nil:
		return Value{raw: nullRaw}, nil
	}
	text, err := appendParts(nil, p.inner, root, b)
	if err == nil {
		err = b.spend(len(text) * bytesPerStep / 8) // parsing is slower than scanning
	}
	if err != nil {
		return Value{}, err
	}
	src := string(text)
	path, perr := ParsePath(src)
	switch {
	case isBlankText(src):
		return Value{raw: emptyString}, nil
	case isSecret(src, path):
		return Value{raw: AppendString(nil, "${"+src+"}")}, nil
	case perr != nil:
		return Value{raw: nullRaw}, nil
	}
	return path.Eval(root, b)
}

func isBlankText(s string) bool { return strings.Trim(s, " \t\r\n") == "" }

// isSecret reports whether an expression names a secret. Such text stays as it
// is: a secret is filled in where the value is used, and is never stored.
func isSecret(src string, path *Path) bool {
	if path != nil && path.Root() == "workflow" {
		second, _ := path.Second()
		return second == "secrets"
	}
	return strings.HasPrefix(strings.TrimLeft(src, " \t\r\n"), "workflow.secrets.")
}
