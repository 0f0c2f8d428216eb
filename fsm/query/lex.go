package query

import "strings"

// tokenKind is what a token is.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // a bare word: a name, a keyword, a value or a number
	tokenText             // a quoted value
	tokenSign             // = != < > <= >=
	tokenOpen             // (
	tokenClose            // )
	tokenComma            // ,
	tokenBroken           // what no token begins with, or a quote without an end
)

// token is a piece of a query.
type token struct {
	kind tokenKind
	at   int    // offset in bytes
	raw  string // as written
	text string // value of a word or quoted text, without quotes and escapes
	// parts is text cut at each * that is not escaped; one part when there is none.
	parts []string
}

// lexer cuts a query into tokens.
type lexer struct {
	src string
	at  int
}

func (l *lexer) next() token {
	for l.at < len(l.src) && blank(l.src[l.at]) {
		l.at++
	}
	start := l.at
	if start == len(l.src) {
		return token{kind: tokenEnd, at: start}
	}
	switch c := l.src[start]; c {
	case '(', ')', ',':
		l.at++
		kind := map[byte]tokenKind{'(': tokenOpen, ')': tokenClose, ',': tokenComma}[c]
		return token{kind: kind, at: start, raw: l.src[start:l.at]}
	case '=', '<', '>', '!':
		return l.sign(start)
	case '"', '\'':
		return l.quoted(start, c)
	}
	for l.at < len(l.src) && wordByte(l.src[l.at]) {
		l.at++
	}
	raw := l.src[start:l.at]
	return token{kind: tokenWord, at: start, raw: raw, text: raw, parts: strings.Split(raw, "*")}
}

func (l *lexer) sign(start int) token {
	l.at++
	if l.at < len(l.src) && l.src[l.at] == '=' && l.src[start] != '=' {
		l.at++
	}
	raw := l.src[start:l.at]
	if raw == "!" {
		return token{kind: tokenBroken, at: start, raw: raw}
	}
	return token{kind: tokenSign, at: start, raw: raw}
}

// quoted reads up to the same quote. A backslash takes the meaning from what follows.
func (l *lexer) quoted(start int, quote byte) token {
	l.at++
	var text, part []byte
	var parts []string
	for l.at < len(l.src) {
		c := l.src[l.at]
		l.at++
		switch {
		case c == quote:
			parts = append(parts, string(part))
			return token{kind: tokenText, at: start, raw: l.src[start:l.at], text: string(text), parts: parts}
		case c == '\\' && l.at < len(l.src):
			c = l.src[l.at]
			l.at++
		case c == '*':
			parts, part = append(parts, string(part)), nil
			text = append(text, c)
			continue
		}
		text, part = append(text, c), append(part, c)
	}
	return token{kind: tokenBroken, at: start, raw: l.src[start:]}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func wordByte(c byte) bool {
	switch c {
	case '(', ')', ',', '=', '<', '>', '!', '"', '\'':
		return false
	}
	return !blank(c)
}

// fold compares ASCII letters without their case.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'a' && s[i] <= 'z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if b[j] >= 'a' && b[j] <= 'z' {
					b[j] -= 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
