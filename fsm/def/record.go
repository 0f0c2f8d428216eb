package def

import (
	"strconv"
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// record is an object whose members are known fields with values of their sorts.
// Getters take absent fields and null alike unless they say otherwise.
type record struct {
	at   *place
	have []present
}

type present struct {
	name string
	raw  []byte
}

// record reads the object raw by table. What is unknown or of a wrong sort is
// reported and left out.
func (r *report) record(at *place, raw []byte, table []field) record {
	rec := record{at: at}
	if expr.KindOf(raw) != expr.Map {
		r.add(at, "found "+describe(raw)+", allowed is an object")
		return rec
	}
	for name, val := range expr.Members(raw) {
		f, ok := known(table, name)
		if !ok && !r.lenient && !r.full() { // looking for the nearest is work
			r.add(at.member(name), "unknown field "+quote(name)+"; the nearest known one is "+quote(nearest(table, name)))
		}
		if !ok {
			continue
		}
		if expr.KindOf(val) != expr.Null && !r.fits(at.member(f.name), val, f.sort) {
			continue
		}
		rec.have = append(rec.have, present{f.name, val})
	}
	return rec
}

// fits reports whether the value, which is not null, is of the sort; if not it
// adds a problem.
func (r *report) fits(at *place, raw []byte, s sort) bool {
	kind := expr.KindOf(raw)
	ok := true
	switch s {
	case text:
		_, ok = textOf(raw)
	case whole:
		n, isInt := intOf(raw)
		if isInt && (n != int64(int32(n))) {
			r.add(at, "found "+describe(raw)+", allowed is an integer of 32 bits")
			return false
		}
		ok = isInt
	case long:
		_, ok = intOf(raw)
	case flag:
		_, ok = flagOf(raw)
	case object:
		ok = kind == expr.Map
	case list, texts:
		ok = kind == expr.Array
	}
	if !ok {
		r.add(at, "found "+describe(raw)+", allowed is "+s.allowed())
		return false
	}
	if s == texts {
		i := 0
		for el := range expr.Elements(raw) {
			if _, isText := textOf(el); !isText && expr.KindOf(el) != expr.Null {
				r.add(at.element(i), "found "+describe(el)+", allowed is a string")
				ok = false
			}
			i++
		}
	}
	return ok
}

// raw returns the value of a field, nil when it is absent or null.
func (rec record) raw(name string) []byte {
	if raw := rec.any(name); expr.KindOf(raw) != expr.Null {
		return raw
	}
	return nil
}

// any returns the value of a field, null too, and nil when it is absent.
func (rec record) any(name string) []byte {
	for _, m := range rec.have {
		if m.name == name {
			return m.raw
		}
	}
	return nil
}

func (rec record) text(name string) string {
	s, _ := textOf(rec.raw(name))
	return s
}

func (rec record) flag(name string, absent bool) bool {
	raw := rec.any(name)
	if raw == nil {
		return absent
	}
	b, _ := flagOf(raw) // null is false, as it is for a Java primitive
	return b
}

// int returns the value of an integer field; null is 0, as for a Java primitive.
func (rec record) int(name string, absent int64) int64 {
	if expr.KindOf(rec.any(name)) == expr.Null {
		return 0
	}
	return rec.boxed(name, absent)
}

// boxed returns the value of an integer field for which null means absent.
func (rec record) boxed(name string, absent int64) int64 {
	if n, ok := intOf(rec.raw(name)); ok {
		return n
	}
	return absent
}

// seconds is int within what can be turned into milliseconds; negative is none.
func (rec record) seconds(name string, absent int64) int64 {
	return min(max(rec.int(name, absent), 0), maxSeconds)
}

// maxSeconds is more than 30,000 years; a thousand times it still fits 64 bits.
const maxSeconds = 1 << 40

// textOf reads a text. Numbers and booleans read as what was written.
func textOf(raw []byte) (string, bool) {
	switch expr.KindOf(raw) {
	case expr.String:
		return expr.Unquote(raw)
	case expr.Number, expr.Bool:
		return string(raw), true
	}
	return "", false
}

// intOf reads an integer: 5, 5.0, "5". An empty text has no value and reads as 0.
func intOf(raw []byte) (int64, bool) {
	s := string(raw)
	switch expr.KindOf(raw) {
	case expr.String:
		s, _ = expr.Unquote(raw)
		if s = strings.Trim(s, " \t\r\n"); s == "" {
			return 0, true
		}
	case expr.Number:
	default:
		return 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false // strconv also reads names and hexadecimal digits
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < -exact || f > exact || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}

// flagOf reads a boolean: true, "true", 1.
func flagOf(raw []byte) (bool, bool) {
	switch expr.KindOf(raw) {
	case expr.Bool:
		return raw[0] == 't', true
	case expr.Number:
		n, ok := intOf(raw)
		return n != 0, ok
	case expr.String:
		switch s, _ := expr.Unquote(raw); s {
		case "true", "True", "TRUE":
			return true, true
		case "false", "False", "FALSE", "":
			return false, true
		}
	}
	return false, false
}

// describe names a value in messages.
func describe(raw []byte) string {
	switch expr.KindOf(raw) {
	case expr.Null:
		return "null"
	case expr.Bool:
		return "the boolean " + string(raw)
	case expr.Number:
		return "the number " + clip(string(raw))
	case expr.String:
		s, _ := expr.Unquote(raw)
		return "the string " + quote(s)
	case expr.Array:
		return "a list"
	case expr.Map:
		return "an object"
	}
	return "no value"
}

// quote returns s in quotation marks, cut to a readable length.
func quote(s string) string { return string(expr.AppendString(nil, clip(s))) }
