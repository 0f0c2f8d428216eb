package expr

import (
	"bytes"
	"strings"
)

// Resolver is an Object that answers some paths as a whole, because what follows a
// name is read in what the name stands for.
type Resolver interface {
	Object
	// Resolve answers a path that begins here. ok is false when it is to be walked.
	Resolve(p *Path, b *Budget) (v Value, ok bool, err error)
}

// Third returns the third member of a path that begins with three plain ones, and the
// path that follows it, nil if nothing does.
func (p *Path) Third() (name string, rest *Path, ok bool) {
	if _, two := p.Second(); !two || len(p.steps) < 3 || p.steps[2].kind != stepMember {
		return "", nil, false
	}
	if len(p.steps) > 3 {
		rest = &Path{src: p.src, steps: p.steps[3:], simple: p.simple, definite: p.definite}
	}
	return p.steps[2].name, rest, true
}

// Setting reads what a name stands for: its text as a string, or with a path what that
// finds in the text read as JSON; null when it is none.
func Setting(text string, rest *Path, b *Budget) (Value, error) {
	if rest == nil {
		return Value{raw: AppendString(nil, text)}, nil
	}
	doc, err := Canon([]byte(text))
	if err != nil {
		return Value{raw: nullRaw}, nil
	}
	return rest.Eval(Raw(doc), b)
}

// secretWord is in every expression that names a secret, unless its letters are escaped.
var secretWord = []byte("secrets")

// MayNameSecret reports whether FillSecrets may find something to fill in raw.
func MayNameSecret(raw []byte) bool {
	return bytes.Contains(raw, secretWord) || bytes.Contains(raw, []byte(`\u`)) && bytes.Contains(raw, []byte("{"))
}

// FillSecrets returns raw with ${workflow.secrets.NAME} and a path behind it replaced
// in its values, keys left alone: a value that is one such expression becomes what it
// stands for, null when get does not know the name; inside a longer text an unknown
// one is empty. $${workflow.secrets.…} becomes the text without the first $, and other
// expressions stay as they are. It runs where the value is used, never in the machine.
func FillSecrets(raw []byte, get func(name string) (string, bool)) []byte {
	if !MayNameSecret(raw) {
		return raw
	}
	var out []byte
	done := 0
	for i := 0; i < len(raw); {
		if raw[i] != '"' {
			i++
			continue
		}
		end := skipString(raw, i)
		if next := skipBlanks(raw, end); next < len(raw) && raw[next] == ':' || !mayRefer(raw[i:end]) {
			i = end
			continue
		}
		if filled, ok := fillText(unquote(raw[i:end]), get); ok {
			out = append(append(out, raw[done:i]...), filled...)
			done = end
		}
		i = end
	}
	if done == 0 {
		return raw
	}
	return append(out, raw[done:]...)
}

// fillText gives the JSON that a text with secrets becomes; false when it has none.
func fillText(s string, get func(name string) (string, bool)) (json []byte, ok bool) {
	closing := matchBraces(s)
	b := Budget{Steps: MaxEvalSteps}
	var out []byte
	from, i := 0, 0
	for {
		k := strings.Index(s[i:], "${")
		if k < 0 {
			break
		}
		k += i
		i = k + 2
		end := closing[k+1]
		if end == 0 || !namesSecret(s[k+2:end]) {
			continue
		}
		ok, i = true, end+1
		if k > 0 && s[k-1] == '$' {
			out = append(append(out, s[from:k-1]...), s[k:end+1]...)
			from = i
			continue
		}
		v, known := secretValue(s[k+2:end], get, &b)
		if k == 0 && end == len(s)-1 {
			return v.AppendJSON(nil), true
		}
		out = append(out, s[from:k]...)
		if known {
			out, _ = AppendText(out, v, &b)
		}
		from = i
	}
	return AppendString(nil, string(append(out, s[from:]...))), ok
}

func namesSecret(src string) bool {
	path, _ := ParsePath(src)
	return isSecret(src, path)
}

// secretValue is what an expression that names a secret stands for.
func secretValue(src string, get func(name string) (string, bool), b *Budget) (v Value, known bool) {
	v = Value{raw: nullRaw}
	path, err := ParsePath(src)
	if err != nil {
		return v, false
	}
	name, rest, ok := path.Third()
	if !ok {
		return v, false
	}
	text, known := get(name)
	if !known {
		return v, false
	}
	if v, err = Setting(text, rest, b); err != nil {
		return Value{raw: nullRaw}, false
	}
	return v, v.Kind() != Null
}

// unescape makes ${ of $${, except before the name of a secret: such text is looked at
// once more where secrets are filled in.
func unescape(s string) string {
	if !strings.Contains(s, "$${") {
		return s
	}
	closing := matchBraces(s)
	var b strings.Builder
	from := 0
	for {
		k := strings.Index(s[from:], "$${")
		if k < 0 {
			b.WriteString(s[from:])
			return b.String()
		}
		k += from
		b.WriteString(s[from:k])
		if end := closing[k+2]; end > 0 && namesSecret(s[k+3:end]) {
			b.WriteByte('$')
		}
		b.WriteString("${")
		from = k + 3
	}
}
