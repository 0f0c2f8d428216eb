package expr

import (
	"math"
	"strconv"
	"strings"
)

type jsKind uint8

const (
	jsUndefined jsKind = iota
	jsNull
	jsBool
	jsNumber
	jsString
	jsObject // an object or an array
)

// jsValue is a JavaScript value.
type jsValue struct {
	kind jsKind
	b    bool
	num  float64
	str  string // may hold half surrogates, never two that meet
	obj  Value
}

func boolValue(b bool) jsValue      { return jsValue{kind: jsBool, b: b} }
func numberValue(f float64) jsValue { return jsValue{kind: jsNumber, num: f} }
func stringValue(s string) jsValue  { return jsValue{kind: jsString, str: s} }

// fromJSON returns what a script sees of a JSON value; a missing one is undefined.
func fromJSON(v Value, b *Budget) (jsValue, error) {
	switch v.Kind() {
	case Null:
		return jsValue{kind: jsNull}, nil
	case Bool:
		return boolValue(v.raw[0] == 't'), nil
	case Number:
		return numberValue(toFloat(v.raw)), b.spend(len(v.raw))
	case String:
		return stringValue(normalHalves(appendUnquoted(nil, v.raw[1:max(len(v.raw)-1, 1)]))), b.spend(len(v.raw))
	case Map, Array:
		return jsValue{kind: jsObject, obj: v}, nil
	}
	return jsValue{}, nil
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// text is String(v) of anything but an object.
func (v jsValue) text() string {
	switch v.kind {
	case jsUndefined:
		return "undefined"
	case jsNull:
		return "null"
	case jsBool:
		if v.b {
			return "true"
		}
		return "false"
	case jsNumber:
		return FormatNumber(v.num)
	}
	return v.str
}

// truth is the truth of v in a condition.
func (v jsValue) truth() bool {
	switch v.kind {
	case jsBool:
		return v.b
	case jsNumber:
		return v.num != 0 && !math.IsNaN(v.num)
	case jsString:
		return v.str != ""
	}
	return v.kind == jsObject
}

// number is Number(v) of anything but an object; ok is false for a number that
// is not read exactly here.
func (v jsValue) number() (f float64, ok bool) {
	switch v.kind {
	case jsUndefined:
		return math.NaN(), true
	case jsBool:
		if v.b {
			return 1, true
		}
		return 0, true
	case jsNumber:
		return v.num, true
	case jsString:
		return stringToNumber(v.str)
	}
	return 0, true
}

// maxExact bounds the integers whose neighbours a float can tell apart.
const maxExact = 1 << 53

// stringToNumber is Number(s); ok is false for numbers in another base above maxExact.
func stringToNumber(s string) (f float64, ok bool) {
	s = trimJS(s)
	if s == "" {
		return 0, true
	}
	if base := radix(s); base > 0 {
		return digitsToNumber(s[2:], base)
	}
	body, sign := s, 1.0
	if s[0] == '-' || s[0] == '+' {
		body = s[1:]
		if s[0] == '-' {
			sign = -1
		}
	}
	if body == "Infinity" {
		return math.Inf(int(sign)), true
	}
	if n := decimalLength(body); n == 0 || n < len(body) {
		return math.NaN(), true
	}
	f, _ = strconv.ParseFloat(body, 64) // out of range is an infinity, as there
	return float64(sign * f), true
}

func radix(s string) int {
	if len(s) < 2 || s[0] != '0' {
		return 0
	}
	switch s[1] {
	case 'x', 'X':
		return 16
	case 'o', 'O':
		return 8
	case 'b', 'B':
		return 2
	}
	return 0
}

func digitsToNumber(s string, base int) (float64, bool) {
	n := int64(0)
	for i := range len(s) {
		d := hexDigit(s[i])
		if d < 0 || d >= base {
			return math.NaN(), true
		}
		if n = n*int64(base) + int64(d); n > maxExact {
			return 0, false
		}
	}
	if s == "" {
		return math.NaN(), true
	}
	return float64(n), true
}

func trimJS(s string) string {
	for s != "" {
		n, _ := jsBlank(s)
		if n == 0 {
			break
		}
		s = s[n:]
	}
	for s != "" {
		from := len(s) - 1
		for from > 0 && from > len(s)-3 && s[from]&0xC0 == 0x80 {
			from--
		}
		if n, _ := jsBlank(s[from:]); n == 0 || from+n != len(s) {
			break
		}
		s = s[:from]
	}
	return s
}

// remainder is JavaScript's a % b: exact, with the sign of a.
func remainder(a, b float64) float64 {
	if !isFinite(a) || b == 0 || math.IsNaN(b) {
		return math.NaN()
	}
	x, y := math.Abs(a), math.Abs(b)
	if x < y || a == 0 {
		return a
	}
	if x <= maxExact && y >= 1 && x == math.Trunc(x) && y == math.Trunc(y) {
		x = float64(int64(x) % int64(y))
	} else {
		x = longRemainder(x, y)
	}
	if a < 0 || math.Float64bits(a)>>63 != 0 {
		return -x
	}
	return x
}

// longRemainder divides bit by bit, for finite x ≥ y > 0.
func longRemainder(x, y float64) float64 {
	mx, ex := mantissa(x)
	my, ey := mantissa(y)
	r := mx % my
	for ; ex > ey; ex-- {
		r = (r << 1) % my
	}
	f := float64(r)
	for ; ey > 0; ey-- {
		f = float64(f * 2)
	}
	for ; ey < 0; ey++ {
		f = float64(f * 0.5)
	}
	return f
}

// mantissa returns m and e with f = m × 2^e, for finite f > 0.
func mantissa(f float64) (m uint64, e int) {
	bits := math.Float64bits(f)
	m, e = bits&(1<<52-1), int(bits>>52)
	if e == 0 {
		return m, -1074
	}
	return m | 1<<52, e - 1075
}

// looseEqual is == of values that are no objects, or null and undefined with one.
func looseEqual(a, b jsValue) (same, ok bool) {
	if a.kind == b.kind {
		return strictEqual(a, b), true
	}
	if a.kind <= jsNull || b.kind <= jsNull {
		return a.kind <= jsNull && b.kind <= jsNull, true
	}
	x, ok1 := a.number()
	y, ok2 := b.number()
	return x == y, ok1 && ok2
}

// strictEqual is === of values that are not both objects.
func strictEqual(a, b jsValue) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case jsBool:
		return a.b == b.b
	case jsNumber:
		return a.num == b.num
	case jsString:
		return a.str == b.str
	}
	return true
}

// isBuiltin reports whether some value of JavaScript has a property of that name
// that is not its own: the engine finds something where JSON has nothing.
func isBuiltin(name string) bool {
	const names = " __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ __proto__ add anchor at big blink" +
		" bold charAt charCodeAt codePointAt concat constructor containsKey copyWithin endsWith entries every fill" +
		" filter find findIndex findLast findLastIndex fixed flat flatMap fontcolor fontsize forEach get group" +
		" groupToMap hasOwnProperty includes indexOf isPrototypeOf isWellFormed italics join keys lastIndexOf link" +
		" localeCompare map match matchAll normalize padEnd padStart pop propertyIsEnumerable push put reduce" +
		" reduceRight repeat replace replaceAll reverse search shift size slice small some sort splice split" +
		" startsWith strike sub substr substring sup toExponential toFixed toLocaleLowerCase toLocaleString" +
		" toLocaleUpperCase toLowerCase toPrecision toReversed toSorted toSpliced toString toUpperCase toWellFormed" +
		" trim trimEnd trimLeft trimRight trimStart unshift valueOf values with "
	return name != "" && strings.IndexByte(name, ' ') < 0 && strings.Contains(names, " "+name+" ")
}

// isObjectBuiltin is isBuiltin for plain objects.
func isObjectBuiltin(name string) bool {
	switch name {
	case "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf":
		return true
	}
	return strings.HasPrefix(name, "__") && isBuiltin(name)
}
