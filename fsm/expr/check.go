package expr

import (
	"slices"
	"unicode/utf8"
)

// Check reports whether raw is one JSON value in valid UTF-8 that nests at most
// MaxDepth deep. Its error is a *SyntaxError.
func Check(raw []byte) error {
	c := checker{raw: raw}
	c.value(0)
	if c.err == nil {
		if c.blanks(); c.i < len(raw) {
			c.fail("unexpected text after the value")
		}
	}
	if c.err != nil {
		return c.err
	}
	return nil
}

// Canon is Check for a document that is to be kept: where a key occurs more
// than once in an object the last occurrence stays, in its place, and the
// others go. Everything else, blanks included, stays as it is. If nothing had to
// go the result is raw itself.
func Canon(raw []byte) ([]byte, error) {
	if err := Check(raw); err != nil {
		return nil, err
	}
	d := dedup{raw: raw}
	d.value(skipBlanks(raw, 0))
	if len(d.cuts) == 0 {
		return raw, nil
	}
	slices.SortStableFunc(d.cuts, func(a, b cut) int { return a.from - b.from })
	out := make([]byte, 0, len(raw))
	at := 0
	for _, c := range d.cuts {
		if c.from >= at { // else inside a part that is already gone
			out = append(out, raw[at:c.from]...)
			at = c.to
		}
	}
	return append(out, raw[at:]...), nil
}

// checker validates; after the first error it stands still.
type checker struct {
	raw []byte
	i   int
	err *SyntaxError
}

func (c *checker) fail(what string) {
	if c.err == nil {
		if c.i >= len(c.raw) {
			what = "unexpected end"
		}
		c.err = &SyntaxError{Offset: c.i, What: what}
	}
}

func (c *checker) blanks() { c.i = skipBlanks(c.raw, c.i) }

// at reports whether the next byte is ch.
func (c *checker) at(ch byte) bool { return c.i < len(c.raw) && c.raw[c.i] == ch }

func (c *checker) value(depth int) {
	c.blanks()
	if c.i >= len(c.raw) {
		c.fail("unexpected end")
		return
	}
	switch ch := c.raw[c.i]; ch {
	case '{', '[':
		if depth == MaxDepth {
			c.fail("nested too deeply")
			return
		}
		c.container(ch == '{', depth)
	case '"':
		c.str()
	case 't':
		c.word("true")
	case 'f':
		c.word("false")
	case 'n':
		c.word("null")
	default:
		c.number()
	}
}

func (c *checker) container(isMap bool, depth int) {
	end := byte(']')
	if isMap {
		end = '}'
	}
	c.i++
	if c.blanks(); c.at(end) {
		c.i++
		return
	}
	for c.err == nil {
		if isMap {
			c.key()
		}
		if c.err == nil {
			c.value(depth + 1)
		}
		if c.err != nil {
			return
		}
		c.blanks()
		switch {
		case c.at(','):
			c.i++
			c.blanks()
		case c.at(end):
			c.i++
			return
		default:
			c.fail("expected , or " + string(rune(end)))
		}
	}
}

func (c *checker) key() {
	if !c.at('"') {
		c.fail("expected a key in double quotes")
		return
	}
	if c.str(); c.err != nil {
		return
	}
	if c.blanks(); !c.at(':') {
		c.fail("expected : after the key")
		return
	}
	c.i++
}

func (c *checker) str() {
	raw := c.raw
	for c.i++; c.i < len(raw); {
		ch := raw[c.i]
		switch {
		case ch == '"':
			c.i++
			return
		case ch == '\\':
			if c.escape(); c.err != nil {
				return
			}
		case ch < ' ':
			c.fail("control character in a string")
			return
		case ch < utf8.RuneSelf:
			c.i++
		default:
			r, n := utf8.DecodeRune(raw[c.i:])
			if r == utf8.RuneError && n == 1 {
				c.fail("invalid UTF-8")
				return
			}
			c.i += n
		}
	}
	c.fail("unexpected end")
}

func (c *checker) escape() {
	c.i++
	if c.i >= len(c.raw) {
		c.fail("unexpected end")
		return
	}
	switch c.raw[c.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		c.i++
		return
	case 'u':
		c.i++
		for range 4 {
			if c.i >= len(c.raw) || hexDigit(c.raw[c.i]) < 0 {
				c.fail("expected four hexadecimal digits")
				return
			}
			c.i++
		}
		return
	}
	c.fail("unknown escape")
}

func (c *checker) word(w string) {
	for i := range len(w) {
		if !c.at(w[i]) {
			c.fail("expected a value")
			return
		}
		c.i++
	}
}

func (c *checker) number() {
	if c.at('-') {
		c.i++
	}
	if c.at('0') {
		c.i++
	} else if !c.digits() {
		c.fail("expected a value")
		return
	}
	if c.at('.') {
		c.i++
		if !c.digits() {
			c.fail("expected a digit")
			return
		}
	}
	if c.at('e') || c.at('E') {
		c.i++
		if c.at('+') || c.at('-') {
			c.i++
		}
		if !c.digits() {
			c.fail("expected a digit")
		}
	}
}

func (c *checker) digits() bool {
	from := c.i
	for c.i < len(c.raw) && isDigit(c.raw[c.i]) {
		c.i++
	}
	return c.i > from
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// dedup finds the members that a later member with the same key replaces.
type dedup struct {
	raw  []byte
	cuts []cut
}

// cut is a part of raw to leave out: a member and what follows up to the next.
type cut struct{ from, to int }

// smallObject is the number of members up to which keys are compared one by
// one; above it a hash keeps hostile documents linear.
const smallObject = 8

// value scans the value at i and returns the index after it.
func (d *dedup) value(i int) int {
	switch d.raw[i] {
	case '{':
		return d.object(i)
	case '[':
		i = skipBlanks(d.raw, i+1)
		for d.raw[i] != ']' {
			i = skipBlanks(d.raw, d.value(i))
			if d.raw[i] == ',' {
				i = skipBlanks(d.raw, i+1)
			}
		}
		return i + 1
	}
	return skipValue(d.raw, i)
}

func (d *dedup) object(i int) int {
	type member struct {
		key  []byte
		from int
	}
	var few [smallObject]member
	seen := few[:0]
	var many map[string]int // key → from, once there are more than few
	i = skipBlanks(d.raw, i+1)
	for d.raw[i] != '}' {
		from, end := i, skipString(d.raw, i)
		key := d.raw[from:end]
		if many == nil && len(seen) == smallObject {
			many = make(map[string]int, 4*smallObject)
			for _, m := range seen {
				many[keyText(m.key)] = m.from
			}
		}
		if many != nil {
			text := keyText(key)
			if old, ok := many[text]; ok {
				d.cut(old)
			}
			many[text] = from
		} else if n := slices.IndexFunc(seen, func(m member) bool { return sameKey(m.key, key) }); n >= 0 {
			d.cut(seen[n].from)
			seen[n].from = from
		} else {
			seen = append(seen, member{key, from})
		}
		i = skipBlanks(d.raw, skipBlanks(d.raw, end)+1) // the colon
		i = skipBlanks(d.raw, d.value(i))
		if d.raw[i] == ',' {
			i = skipBlanks(d.raw, i+1)
		}
	}
	return i + 1
}

// cut marks the member that begins at from; another one follows it.
func (d *dedup) cut(from int) {
	i := skipBlanks(d.raw, skipString(d.raw, from)) + 1
	i = skipBlanks(d.raw, skipValue(d.raw, skipBlanks(d.raw, i)))
	d.cuts = append(d.cuts, cut{from, skipBlanks(d.raw, i+1)})
}
