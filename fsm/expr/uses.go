package expr

import (
	"slices"
	"strings"
)

// Broken says what makes src no JavaScript program, in any engine. It is empty for
// what may be one: it only looks at literals, brackets and how the text ends, and
// gives up where it would have to tell a division from a regular expression.
func Broken(src string) string {
	l := lexer{s: src}
	var open []byte
	last := token{}
	for {
		t := l.next()
		if t.kind == tokenEnd {
			break
		}
		last = t
		if t.kind != tokenMark {
			continue
		}
		switch c := t.text[0]; {
		case c == '/' || t.text == "--":
			return ""
		case strings.IndexByte("([{", c) >= 0:
			open = append(open, c)
		case strings.IndexByte(")]}", c) >= 0:
			if len(open) == 0 || !pairs(open[len(open)-1], c) {
				return "unexpected " + t.text
			}
			open = open[:len(open)-1]
		}
	}
	switch {
	case l.err != nil && (l.err.What == "line end in a string" || l.err.What == "string without end" || l.err.What == "comment without end"):
		return l.err.What
	case l.err != nil:
		return ""
	case len(open) > 0:
		return "missing the end of " + string(open[len(open)-1:])
	case last.kind == tokenMark && precedence(last) > 0:
		return "nothing follows " + last.text
	}
	return ""
}

func pairs(open, end byte) bool {
	return open == '(' && end == ')' || open == '[' && end == ']' || open == '{' && end == '}'
}

// Uses is what a script takes from `$`, as far as its text tells.
type Uses struct {
	whole bool
	paths [][2]string // first and second member; the second empty for all of the first
}

// ScanUses reads what src, any JavaScript, takes from `$`. It errs to the side of
// more: what it does not understand counts as a use of everything.
func ScanUses(src string) Uses {
	for _, word := range []string{"eval", "Function", "this", "This", "with", `\u`} {
		if strings.Contains(src, word) {
			return Uses{whole: true} // `$` may be reached under another name
		}
	}
	var u Uses
	for i := 0; i < len(src) && !u.whole; i++ {
		if src[i] != '$' || i > 0 && nameByte(src[i-1]) || i+1 < len(src) && (nameByte(src[i+1]) || src[i+1] == '{') {
			continue // part of a longer name, or of a template literal
		}
		first, end := memberAt(src, i+1)
		if first == "" {
			u.whole = true
			break
		}
		second, _ := memberAt(src, end)
		u.add(first, second)
	}
	return u
}

func (u *Uses) add(first, second string) {
	if p := [2]string{first, second}; !slices.Contains(u.paths, p) {
		u.paths = append(u.paths, p)
	}
}

func nameByte(c byte) bool { return isNameStart(c) || isDigit(c) || c >= 0x80 }

// memberAt reads .name, ?.name, ['name'] or ["name"] at i, blanks aside, and gives
// the name and where it ends; no name for anything else.
func memberAt(src string, i int) (name string, end int) {
	i = skipSpace(src, i)
	if strings.HasPrefix(src[i:], "?.") {
		if i += 2; i < len(src) && src[i] != '[' {
			return nameAt(src, i)
		}
	}
	if i >= len(src) {
		return "", i
	}
	switch src[i] {
	case '.':
		return nameAt(src, skipSpace(src, i+1))
	case '[':
		i = skipSpace(src, i+1)
		if i >= len(src) || src[i] != '\'' && src[i] != '"' {
			return "", i
		}
		n := strings.IndexByte(src[i+1:], src[i])
		if n < 0 || strings.ContainsAny(src[i+1:i+1+n], "\\\n\r") {
			return "", i
		}
		end = skipSpace(src, i+n+2)
		if end >= len(src) || src[end] != ']' {
			return "", i
		}
		return src[i+1 : i+1+n], end + 1
	}
	return "", i
}

func nameAt(src string, i int) (name string, end int) {
	for end = i; end < len(src) && nameByte(src[end]); end++ {
	}
	return src[i:end], end
}

func skipSpace(src string, i int) int {
	for i < len(src) && isBlank(src[i]) {
		i++
	}
	return i
}

// Root reports whether the member key of `$` may matter.
func (u Uses) Root(key string) bool {
	return u.whole || slices.ContainsFunc(u.paths, func(p [2]string) bool { return p[0] == key })
}

// Only reports whether nothing of `$.key` matters but the members named.
func (u Uses) Only(key string, members ...string) bool {
	return !u.whole && !slices.ContainsFunc(u.paths, func(p [2]string) bool {
		return p[0] == key && !slices.Contains(members, p[1])
	})
}
