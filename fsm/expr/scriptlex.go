package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenNumber
	tokenString
	tokenMark // operators and punctuation
)

// token is one token of a script.
type token struct {
	kind    tokenKind
	pos     int
	end     int
	newline bool    // a line ends between the token before and this one
	text    string  // of a name, a mark or a string
	num     float64 // of a number
}

// SubsetError says why a script is not in the subset. It may still be valid
// JavaScript.
type SubsetError struct {
	Offset int    // in bytes
	What   string // what is outside
}

// Error returns the offset and the cause.
func (e *SubsetError) Error() string {
	return "script at offset " + strconv.Itoa(e.Offset) + ": " + e.What
}

// lexer reads tokens; after the first error it gives only tokenEnd.
type lexer struct {
	s   string
	i   int
	err *SubsetError
}

func (l *lexer) fail(pos int, what string) {
	if l.err == nil {
		l.err = &SubsetError{Offset: pos, What: what}
	}
	l.i = len(l.s)
}

// marks lists longer operators before those they begin with. Operators that are
// outside the subset are here so that they are not read as two others.
var marks = []string{
	"===", "!==", ">>>", "**=", "...", "<<=", ">>=", "&&=", "||=", "??=",
	"==", "!=", "<=", ">=", "&&", "||", "=>", "??", "?.", "++", "--", "**", "+=", "-=", "*=", "/=", "%=", "<<", ">>", "&=", "|=", "^=",
	"<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")", "[", "]", "{", "}", ".", ";", ",", "=",
}

func (l *lexer) next() token {
	newline := l.blanks()
	t := token{kind: tokenEnd, pos: l.i, newline: newline}
	if l.i < len(l.s) {
		switch c := l.s[l.i]; {
		case isNameStart(c):
			for l.i++; l.i < len(l.s) && (isNameStart(l.s[l.i]) || isDigit(l.s[l.i])); l.i++ {
			}
			t.kind, t.text = tokenName, l.s[t.pos:l.i]
		case isDigit(c) || c == '.' && l.i+1 < len(l.s) && isDigit(l.s[l.i+1]):
			t.kind, t.num = tokenNumber, l.number()
		case c == '"' || c == '\'':
			t.kind, t.text = tokenString, l.str(c)
		default:
			t.kind, t.text = tokenMark, l.mark()
		}
	}
	if l.err != nil {
		return token{kind: tokenEnd, pos: l.i}
	}
	t.end = l.i
	return t
}

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '$' || c == '_'
}

func (l *lexer) mark() string {
	rest := l.s[l.i:]
	if strings.HasPrefix(rest, "<!--") {
		l.fail(l.i, "HTML comment")
		return ""
	}
	for _, m := range marks {
		if strings.HasPrefix(rest, m) {
			l.i += len(m)
			return m
		}
	}
	l.fail(l.i, "unexpected character")
	return ""
}

// blanks skips blanks and comments and reports whether a line ends in them.
func (l *lexer) blanks() (newline bool) {
	for l.i < len(l.s) {
		rest := l.s[l.i:]
		n, ends := jsBlank(rest)
		switch {
		case n > 0:
			l.i += n
			newline = newline || ends
		case strings.HasPrefix(rest, "//"):
			for l.i < len(l.s) {
				if n, ends := jsBlank(l.s[l.i:]); n > 0 && ends {
					break
				}
				l.i++
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				l.fail(l.i, "comment without end")
				return newline
			}
			newline = newline || strings.ContainsAny(rest[:n+2], "\n\r\u2028\u2029")
			l.i += n + 4
		default:
			return newline
		}
	}
	return newline
}

// jsBlank returns the length of the blank that s begins with, 0 if none, and
// whether it ends a line.
func jsBlank(s string) (n int, line bool) {
	switch s[0] {
	case '\n', '\r':
		return 1, true
	case ' ', '\t', '\v', '\f':
		return 1, false
	}
	if s[0] < utf8.RuneSelf {
		return 0, false
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == 0x2028 || r == 0x2029:
		return n, true
	case r == 0xA0 || r == 0xFEFF || r == 0x1680 || r >= 0x2000 && r <= 0x200A || r == 0x202F || r == 0x205F || r == 0x3000:
		return n, false
	}
	return 0, false
}

func (l *lexer) number() float64 {
	from := l.i
	if l.s[from] == '0' && from+1 < len(l.s) && strings.IndexByte("xXoObB", l.s[from+1]) >= 0 {
		for l.i += 2; l.i < len(l.s) && hexDigit(l.s[l.i]) >= 0; l.i++ {
		}
	} else {
		l.i += decimalLength(l.s[from:])
	}
	text := l.s[from:l.i]
	f, ok := stringToNumber(text)
	switch {
	case l.i < len(l.s) && (isNameStart(l.s[l.i]) || isDigit(l.s[l.i]) || l.s[l.i] >= utf8.RuneSelf):
		l.fail(from, "unsupported number")
	case len(text) > 1 && text[0] == '0' && isDigit(text[1]):
		l.fail(from, "octal number")
	case !ok || f != f:
		l.fail(from, "unsupported number")
	}
	return f
}

// str reads a string literal; its text may hold half surrogates.
func (l *lexer) str(quote byte) string {
	from := l.i
	var dst []byte
	for l.i++; l.i < len(l.s); {
		c := l.s[l.i]
		switch {
		case c == quote:
			l.i++
			return normalHalves(dst)
		case c == '\n' || c == '\r':
			l.fail(l.i, "line end in a string")
			return ""
		case c == '\\':
			dst = l.escape(dst)
		default:
			dst = append(dst, c)
			l.i++
		}
	}
	l.fail(from, "string without end")
	return ""
}

// normalHalves makes one character of two escapes that were halves of it.
func normalHalves(text []byte) string {
	s := string(text)
	if utf8.ValidString(s) {
		return s
	}
	return fromUnits(units(s))
}

func (l *lexer) escape(dst []byte) []byte {
	l.i++
	if l.i >= len(l.s) {
		return dst
	}
	c := l.s[l.i]
	l.i++
	switch {
	case c == 'n':
		return append(dst, '\n')
	case c == 't':
		return append(dst, '\t')
	case c == 'r':
		return append(dst, '\r')
	case c == 'b':
		return append(dst, '\b')
	case c == 'f':
		return append(dst, '\f')
	case c == 'v':
		return append(dst, '\v')
	case c == 'x':
		return appendRune(dst, l.hex(2))
	case c == 'u':
		return l.unicodeEscape(dst)
	case c == '0' && (l.i >= len(l.s) || !isDigit(l.s[l.i])):
		return append(dst, 0)
	case isDigit(c):
		l.fail(l.i-2, "octal escape")
		return dst
	case c == '\r' && l.i < len(l.s) && l.s[l.i] == '\n':
		l.i++
		return dst
	}
	l.i--
	if n, ends := jsBlank(l.s[l.i:]); ends { // the literal goes on in the next line
		l.i += n
		return dst
	}
	_, n := utf8.DecodeRuneInString(l.s[l.i:])
	dst = append(dst, l.s[l.i:l.i+n]...)
	l.i += n
	return dst
}

func (l *lexer) unicodeEscape(dst []byte) []byte {
	if l.i < len(l.s) && l.s[l.i] == '{' {
		end := strings.IndexByte(l.s[l.i:], '}')
		if end < 2 || end > 8 {
			l.fail(l.i, "unsupported escape")
			return dst
		}
		l.i++
		r := l.hex(end - 1)
		if r > utf8.MaxRune {
			l.fail(l.i, "unsupported escape")
			return dst
		}
		l.i++
		return appendRune(dst, r)
	}
	return appendRune(dst, l.hex(4))
}

// hex reads n hexadecimal digits.
func (l *lexer) hex(n int) rune {
	r := rune(0)
	for range n {
		if l.i >= len(l.s) || hexDigit(l.s[l.i]) < 0 {
			l.fail(l.i, "unsupported escape")
			return 0
		}
		r = r<<4 | rune(hexDigit(l.s[l.i]))
		l.i++
	}
	return r
}

// decimalLength returns the length of the unsigned decimal number that s begins
// with, as JavaScript writes numbers; 0 if there is none.
func decimalLength(s string) int {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	digits := i
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && isDigit(s[i]); i++ {
			digits++
		}
	}
	if digits == 0 {
		return 0
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		k := i + 1
		if k < len(s) && (s[k] == '+' || s[k] == '-') {
			k++
		}
		if k < len(s) && isDigit(s[k]) {
			for i = k; i < len(s) && isDigit(s[i]); i++ {
			}
		}
	}
	return i
}
