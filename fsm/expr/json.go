package expr

import (
	"iter"
	"strconv"
)

// MaxDepth bounds how deeply arrays and objects may nest, and with it every
// recursion over user data.
const MaxDepth = 128

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds of JSON values. Invalid is the kind of bytes that begin no value.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Map // an object; Object is the interface of composite values
)

// SyntaxError says where bytes stop being JSON, and why.
type SyntaxError struct {
	Offset int    // in bytes
	What   string // what is wrong there
}

// Error returns the offset and the cause.
func (e *SyntaxError) Error() string {
	return "invalid JSON at offset " + strconv.Itoa(e.Offset) + ": " + e.What
}

// KindOf returns the kind of the value that raw begins with, blanks skipped.
// It looks at one byte and does not validate.
func KindOf(raw []byte) Kind {
	i := skipBlanks(raw, 0)
	if i >= len(raw) {
		return Invalid
	}
	switch c := raw[i]; {
	case c == '{':
		return Map
	case c == '[':
		return Array
	case c == '"':
		return String
	case c == 't' || c == 'f':
		return Bool
	case c == 'n':
		return Null
	case c == '-' || c >= '0' && c <= '9':
		return Number
	}
	return Invalid
}

// Get returns the member of the object raw under key, as a sub-slice of raw
// without surrounding blanks, and false if raw is no object or lacks the key.
func Get(raw []byte, key string) ([]byte, bool) {
	val, _ := find(raw, key)
	return val, val != nil
}

// Index returns element i of the array raw; a negative i counts from the end.
func Index(raw []byte, i int) ([]byte, bool) {
	val, _ := element(raw, i)
	return val, val != nil
}

// Members yields the members of the object raw in order, keys unescaped, values
// as sub-slices of raw. It yields nothing for anything but an object.
func Members(raw []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		c, ok := open(raw, '{')
		for ok {
			var key, val []byte
			if key, val, ok = c.next(); ok && !yield(keyText(key), val) {
				return
			}
		}
	}
}

// Elements yields the elements of the array raw in order, as sub-slices of raw.
// It yields nothing for anything but an array.
func Elements(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c, ok := open(raw, '[')
		for ok {
			var val []byte
			if _, val, ok = c.next(); ok && !yield(val) {
				return
			}
		}
	}
}

// Count returns the number of members or elements of raw, 0 for scalars.
func Count(raw []byte) int {
	n, _ := count(raw)
	return n
}

// find is Get that also says how many bytes it looked at.
func find(raw []byte, key string) (val []byte, scanned int) {
	c, ok := open(raw, '{')
	for ok {
		var k, v []byte
		if k, v, ok = c.next(); ok && keyIs(k, key) {
			return v, c.i
		}
	}
	return nil, c.i
}

// element is Index that also says how many bytes it looked at.
func element(raw []byte, i int) (val []byte, scanned int) {
	if i < 0 {
		n, s := count(raw)
		if i += n; i < 0 || KindOf(raw) != Array {
			return nil, s
		}
		scanned = s
	}
	c, ok := open(raw, '[')
	for ; ok; i-- {
		var v []byte
		if _, v, ok = c.next(); ok && i == 0 {
			return v, scanned + c.i
		}
	}
	return nil, scanned + c.i
}

func count(raw []byte) (n, scanned int) {
	c, ok := open(raw, '{')
	if !ok {
		c, ok = open(raw, '[')
	}
	for ok {
		if _, _, ok = c.next(); ok {
			n++
		}
	}
	return n, c.i
}

// cursor walks the members or elements of one container.
type cursor struct {
	raw   []byte
	i     int // next byte to look at
	isMap bool
}

func open(raw []byte, bracket byte) (cursor, bool) {
	i := skipBlanks(raw, 0)
	if i >= len(raw) || raw[i] != bracket {
		return cursor{i: i}, false
	}
	return cursor{raw: raw, i: i + 1, isMap: bracket == '{'}, true
}

// next returns the next value, and for objects its key as a string token.
func (c *cursor) next() (key, val []byte, ok bool) {
	raw := c.raw
	i := skipBlanks(raw, c.i)
	if i < len(raw) && raw[i] == ',' {
		i = skipBlanks(raw, i+1)
	}
	if c.isMap {
		if i >= len(raw) || raw[i] != '"' {
			c.i = i
			return nil, nil, false
		}
		end := skipString(raw, i)
		key = raw[i:end]
		i = skipBlanks(raw, end)
		if i >= len(raw) || raw[i] != ':' {
			c.i = i
			return nil, nil, false
		}
		i = skipBlanks(raw, i+1)
	}
	end := skipValue(raw, i)
	c.i = end
	return key, raw[i:end:end], end > i
}

func skipBlanks(raw []byte, i int) int {
	for i < len(raw) && isBlank(raw[i]) {
		i++
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// skipValue returns the index after the value that begins at raw[i], and i
// itself if none does.
func skipValue(raw []byte, i int) int {
	if i >= len(raw) {
		return i
	}
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		return skipContainer(raw, i)
	}
	for i < len(raw) {
		switch raw[i] {
		case ',', '}', ']', ':', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// skipString returns the index after the string that opens at raw[i].
func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(raw)
}

// isStop marks the bytes at which skipContainer looks.
var isStop = [256]bool{'"': true, '{': true, '[': true, '}': true, ']': true}

// skipContainer returns the index after the container that opens at raw[i].
func skipContainer(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		c := raw[i]
		if !isStop[c] {
			continue
		}
		switch c {
		case '"':
			i = skipString(raw, i) - 1
		case '{', '[':
			depth++
		default:
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(raw)
}

// trim returns raw without surrounding blanks.
func trim(raw []byte) []byte {
	i, j := skipBlanks(raw, 0), len(raw)
	for j > i && isBlank(raw[j-1]) {
		j--
	}
	return raw[i:j:j]
}
