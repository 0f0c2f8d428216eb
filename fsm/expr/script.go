package expr

import (
	"slices"
	"unicode/utf8"
)

// MaxScriptBytes bounds the source of a script in the subset.
const MaxScriptBytes = 65536

// Script is a compiled script of the subset: a JavaScript program of literals,
// paths from `$`, operators, `if`, functions that are called where they stand,
// and names that are set once. It is immutable.
type Script struct {
	body   []stmt
	isFunc bool // body of a function: its value is what it returns
	slots  int
	src    string
	uses   []use
}

// use is one place where a script names `$`.
type use struct {
	dollar, first, second *node // `$`, `$.first` and `$.first.second`, nil for what is not there
}

// ParseScript compiles a program, whose value is that of its last statement. Its
// error is a *SubsetError: src is outside the subset, valid JavaScript or not.
func ParseScript(src string) (*Script, error) { return parseScript(src, false) }

// ParseFunction is ParseScript for the body of a function without parameters,
// whose value is what it returns.
func ParseFunction(src string) (*Script, error) { return parseScript(src, true) }

func parseScript(src string, isFunc bool) (*Script, error) {
	if len(src) > MaxScriptBytes {
		return nil, &SubsetError{Offset: MaxScriptBytes, What: "too long"}
	}
	if !utf8.ValidString(src) {
		return nil, &SubsetError{What: "invalid UTF-8"}
	}
	p := scriptParser{lex: lexer{s: src}, names: map[string]bool{}, inFunc: isFunc}
	p.advance()
	body := p.statements("")
	if p.tok.kind != tokenEnd {
		p.outside("unexpected " + p.tok.text)
	}
	if p.failed() {
		return nil, p.lex.err
	}
	return &Script{body: body, isFunc: isFunc, slots: p.slots, src: src, uses: p.uses}, nil
}

// note records a member that is taken from `$` or from a member of it. Both
// follow their owner at once, so it is the last use.
func (p *scriptParser) note(e *node) {
	if e.kind != nodeMember || len(p.uses) == 0 {
		return
	}
	switch u := &p.uses[len(p.uses)-1]; e.a {
	case u.dollar:
		u.first = e
	case u.first:
		u.second = e
	}
}

// unnote takes back a member that turns out to be the name of a method.
func (p *scriptParser) unnote(e *node) {
	if len(p.uses) == 0 {
		return
	}
	switch u := &p.uses[len(p.uses)-1]; e {
	case u.first:
		u.first = nil
	case u.second:
		u.second = nil
	}
}

// Roots returns the members that the script takes from `$` by name, in the order
// of their first use.
func (s *Script) Roots() []string {
	var roots []string
	for _, u := range s.uses {
		if u.first != nil && !slices.Contains(roots, u.first.name) {
			roots = append(roots, u.first.name)
		}
	}
	return roots
}

// AllRoots reports whether the script uses `$` other than by Roots, so that
// every member of it may matter.
func (s *Script) AllRoots() bool {
	return slices.ContainsFunc(s.uses, func(u use) bool { return u.first == nil })
}

// Members returns the members that the script takes from `$.root` by name, in
// the order of their first use, and whether it also uses that value otherwise,
// so that all of it may matter.
func (s *Script) Members(root string) (names []string, whole bool) {
	for _, u := range s.uses {
		switch {
		case u.first == nil:
			whole = true
		case u.first.name != root:
		case u.second == nil:
			whole = true
		case !slices.Contains(names, u.second.name):
			names = append(names, u.second.name)
		}
	}
	return names, whole
}

// Result is the value of a script. The zero Result is undefined.
type Result struct{ v jsValue }

// Kind returns the kind of JSON value that the result becomes: Null for
// undefined and for numbers that JSON cannot write.
func (r Result) Kind() Kind {
	switch r.v.kind {
	case jsBool:
		return Bool
	case jsNumber:
		if isFinite(r.v.num) {
			return Number
		}
	case jsString:
		return String
	case jsObject:
		return r.v.obj.Kind()
	}
	return Null
}

// Truth reports whether the result keeps a loop going: true, or a number above
// zero. Everything else, strings too, does not.
func (r Result) Truth() bool {
	return r.v.kind == jsBool && r.v.b || r.v.kind == jsNumber && r.v.num > 0
}

// Text returns the result as the text that a switch compares: null for undefined
// too, numbers as JavaScript writes them, objects and arrays as Java does.
func (r Result) Text() string {
	switch r.v.kind {
	case jsUndefined:
		return "null"
	case jsObject:
		text, _ := AppendText(nil, r.v.obj, nil)
		return mend(string(text))
	case jsString:
		return mend(r.v.str)
	}
	return r.v.text()
}

// AppendJSON appends the result as JSON: null for undefined and for numbers that
// JSON cannot write, a value found in the input as it stands there.
func (r Result) AppendJSON(dst []byte) []byte {
	switch r.v.kind {
	case jsObject:
		return r.v.obj.AppendJSON(dst)
	case jsString:
		return AppendString(dst, r.v.str)
	case jsBool:
		return append(dst, r.v.text()...)
	case jsNumber:
		if isFinite(r.v.num) {
			return appendNumber(dst, r.v.num)
		}
	}
	return append(dst, "null"...)
}
