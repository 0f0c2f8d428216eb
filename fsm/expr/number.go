package expr

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
)

// FormatNumber returns f as JavaScript's Number to string does: the shortest
// digits that read back as f.
func FormatNumber(f float64) string { return string(appendNumber(nil, f)) }

func appendNumber(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 0):
		if f < 0 {
			dst = append(dst, '-')
		}
		return append(dst, "Infinity"...)
	case f == 0:
		return append(dst, '0') // minus zero too
	}
	var buf [32]byte
	neg, digits, point := decimal(buf[:0], f, -1)
	if neg {
		dst = append(dst, '-')
	}
	n := len(digits)
	switch {
	case n <= point && point <= 21:
		return appendZeros(append(dst, digits...), point-n)
	case 0 < point && point <= 21:
		dst = append(dst, digits[:point]...)
		return append(append(dst, '.'), digits[point:]...)
	case -6 < point && point <= 0:
		return append(appendZeros(append(dst, '0', '.'), -point), digits...)
	}
	dst = append(dst, digits[0])
	if n > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	dst = append(dst, 'e')
	if point > 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, int64(point-1), 10)
}

// FormatJavaDouble returns f as Java's Double.toString does.
func FormatJavaDouble(f float64) string { return string(appendJavaDouble(nil, f)) }

func appendJavaDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendNumber(dst, f)
	}
	if f == 0 {
		if math.Float64bits(f) != 0 {
			dst = append(dst, '-')
		}
		return append(dst, "0.0"...)
	}
	var buf [32]byte
	neg, digits, point := decimal(buf[:0], f, -1)
	if len(digits) == 1 { // Java always has two digits, and takes the closest two
		neg, digits, point = decimal(buf[:0], f, 1)
		if digits[1] == '0' {
			digits = digits[:1]
		}
	}
	if neg {
		dst = append(dst, '-')
	}
	n := len(digits)
	switch {
	case 0 < point && point <= 7:
		if n <= point {
			return append(appendZeros(append(dst, digits...), point-n), '.', '0')
		}
		dst = append(dst, digits[:point]...)
		return append(append(dst, '.'), digits[point:]...)
	case -3 < point && point <= 0:
		return append(appendZeros(append(dst, '0', '.'), -point), digits...)
	}
	dst = append(dst, digits[0], '.')
	if n > 1 {
		dst = append(dst, digits[1:]...)
	} else {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(append(dst, 'E'), int64(point-1), 10)
}

// decimal returns the sign and digits of a finite f other than zero and where
// the decimal point stands in them: f = ±0.digits × 10^point. prec is that of
// the exponent form of strconv, -1 for the shortest.
func decimal(buf []byte, f float64, prec int) (neg bool, digits []byte, point int) {
	b := strconv.AppendFloat(buf, f, 'e', prec, 64)
	if b[0] == '-' {
		neg, b = true, b[1:]
	}
	e := bytes.IndexByte(b, 'e')
	exp, _ := strconv.Atoi(string(b[e+1:]))
	if e > 1 {
		copy(b[1:], b[2:e]) // over the point
		return neg, b[:e-1], exp + 1
	}
	return neg, b[:1], exp + 1
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}

// toFloat reads a number token; what is too large becomes an infinity.
func toFloat(tok []byte) float64 {
	f, _ := strconv.ParseFloat(string(tok), 64)
	return f
}

// isInteger reports whether a number token has neither fraction nor exponent.
func isInteger(tok []byte) bool {
	for _, c := range tok {
		if c == '.' || c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}

// compareNumbers orders two number tokens: integers exactly, at any length,
// others as floats.
func compareNumbers(a, b []byte) int {
	if !isInteger(a) || !isInteger(b) {
		return cmp.Compare(toFloat(a), toFloat(b))
	}
	negA, a := splitSign(a)
	negB, b := splitSign(b)
	if negA != negB {
		if negA {
			return -1
		}
		return 1
	}
	order := cmp.Compare(len(a), len(b))
	if order == 0 {
		order = bytes.Compare(a, b)
	}
	if negA {
		return -order
	}
	return order
}

// splitSign takes the sign off an integer token; minus zero has none.
func splitSign(tok []byte) (neg bool, digits []byte) {
	if len(tok) > 1 && tok[0] == '-' {
		return tok[1] != '0', tok[1:]
	}
	return false, tok
}

func intValue(n int) Value { return Value{raw: strconv.AppendInt(nil, int64(n), 10)} }

// floatValue returns f written as Java does; what JSON cannot write is missing.
func floatValue(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	return Value{raw: appendJavaDouble(nil, f)}
}
