package expr

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Strings inside this package are UTF-8, with one addition: half of a surrogate
// pair, which JSON and JavaScript can write and UTF-8 cannot, is kept as the
// three bytes ED A0..BF 80..BF. AppendString turns it into an escape again, so
// it survives; Unquote, whose result leaves the package, replaces it.

// AppendString appends s to dst as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, c)
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r != utf8.RuneError || n > 1 {
			i += n
			continue
		}
		dst = append(dst, s[from:i]...)
		if half, ok := halfAt(s, i); ok {
			dst = appendUnicodeEscape(dst, half)
			i += 3
		} else {
			dst = append(dst, "\uFFFD"...)
			i++
		}
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return appendUnicodeEscape(dst, rune(c))
}

func appendUnicodeEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// halfAt returns the half surrogate encoded at s[i].
func halfAt(s string, i int) (rune, bool) {
	if i+2 < len(s) && s[i] == 0xED && s[i+1] >= 0xA0 && s[i+1] <= 0xBF && s[i+2]&0xC0 == 0x80 {
		return 0xD000 | rune(s[i+1]&0x3F)<<6 | rune(s[i+2]&0x3F), true
	}
	return 0, false
}

// appendRune appends r, which may be half of a surrogate pair.
func appendRune(dst []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(dst, 0xED, 0x80|byte(r>>6&0x3F), 0x80|byte(r&0x3F))
	}
	return utf8.AppendRune(dst, r)
}

// Unquote returns the text of the JSON string raw, and false if raw is none.
// The result is valid UTF-8: half of a surrogate pair becomes U+FFFD.
func Unquote(raw []byte) (string, bool) {
	raw = trim(raw)
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	s := unquote(raw)
	if !utf8.ValidString(s) {
		s = mend(s)
	}
	return s, true
}

// mend replaces half surrogates and invalid bytes.
func mend(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if _, ok := halfAt(s, i); ok {
			out = append(out, "\uFFFD"...)
			i += 3
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		out = utf8.AppendRune(out, r)
		i += n
	}
	return string(out)
}

// unquote returns the text of a string token, half surrogates kept.
func unquote(tok []byte) string {
	if len(tok) < 2 {
		return ""
	}
	body := tok[1 : len(tok)-1]
	if bytes.IndexByte(body, '\\') < 0 {
		return string(body)
	}
	return string(appendUnquoted(make([]byte, 0, len(body)), body))
}

// appendUnquoted appends the text of body, the inside of a string token.
func appendUnquoted(dst, body []byte) []byte {
	for i := 0; i < len(body); {
		c := body[i]
		if c != '\\' || i+1 >= len(body) {
			dst = append(dst, c)
			i++
			continue
		}
		i += 2
		switch c = body[i-1]; c {
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r := hex4(body, i)
			i += 4
			if utf16.IsSurrogate(r) && i+6 <= len(body) && body[i] == '\\' && body[i+1] == 'u' {
				if pair := utf16.DecodeRune(r, hex4(body, i+2)); pair != utf8.RuneError {
					r = pair
					i += 6
				}
			}
			dst = appendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// hex4 reads four hexadecimal digits at b[i].
func hex4(b []byte, i int) rune {
	r := rune(0)
	for k := i; k < i+4 && k < len(b); k++ {
		r = r<<4 | rune(max(hexDigit(b[k]), 0))
	}
	return r
}

// keyText returns the text of a key token as Unquote would.
func keyText(tok []byte) string {
	s := unquote(tok)
	if !utf8.ValidString(s) {
		return mend(s)
	}
	return s
}

// keyIs reports whether the key token reads as key.
func keyIs(tok []byte, key string) bool {
	if len(tok) < 2 {
		return false
	}
	body := tok[1 : len(tok)-1]
	if len(body) < len(key) {
		return false // an escape is never shorter than what it means
	}
	if string(body) == key {
		return true
	}
	return bytes.IndexByte(body, '\\') >= 0 && keyText(tok) == key
}

// sameKey reports whether two key tokens read the same.
func sameKey(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return false
	}
	return keyText(a) == keyText(b)
}

// joinHalves appends tail to s, making one character of a high and a low
// surrogate that meet.
func joinHalves(s, tail string) string {
	if len(s) >= 3 {
		hi, ok := halfAt(s, len(s)-3)
		if lo, ok2 := halfAt(tail, 0); ok && ok2 {
			if r := utf16.DecodeRune(hi, lo); r != utf8.RuneError {
				return s[:len(s)-3] + string(r) + tail[3:]
			}
		}
	}
	return s + tail
}

// isASCII reports whether s needs no thought about UTF-16.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// units returns s as UTF-16.
func units(s string) []uint16 {
	out := make([]uint16, 0, len(s))
	for i := 0; i < len(s); {
		if half, ok := halfAt(s, i); ok {
			out = append(out, uint16(half))
			i += 3
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		out = utf16.AppendRune(out, r)
		i += n
	}
	return out
}

// fromUnits is the inverse of units.
func fromUnits(u []uint16) string {
	out := make([]byte, 0, len(u))
	for i := 0; i < len(u); i++ {
		r := rune(u[i])
		if utf16.IsSurrogate(r) && i+1 < len(u) {
			if pair := utf16.DecodeRune(r, rune(u[i+1])); pair != utf8.RuneError {
				r = pair
				i++
			}
		}
		out = appendRune(out, r)
	}
	return string(out)
}

// unitCount returns the length of s in UTF-16 units.
func unitCount(s string) int {
	if isASCII(s) {
		return len(s)
	}
	return len(units(s))
}

// compareUnits orders strings by their UTF-16 units, as Java and JavaScript do.
func compareUnits(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n == len(a) || n == len(b) || a[n] < utf8.RuneSelf && b[n] < utf8.RuneSelf {
		return strings.Compare(a[n:], b[n:])
	}
	ua, ub := units(a), units(b)
	for i := range min(len(ua), len(ub)) {
		if ua[i] != ub[i] {
			return int(ua[i]) - int(ub[i])
		}
	}
	return len(ua) - len(ub)
}
