package def

import (
	"strconv"
	"strings"
)

// cronPart is one field of a cron expression.
type cronPart struct {
	name     string
	min, max int
	names    string // three letters each, of min and the following
	any      bool   // ? is allowed
	days     bool   // L, W and # may occur
	weekdays bool
}

// cronParts are the fields in the order of Spring's cron expressions.
var cronParts = []cronPart{
	{name: "second", max: 59},
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of month", min: 1, max: 31, any: true, days: true},
	{name: "month", min: 1, max: 12, names: "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"},
	{name: "day of week", max: 7, names: "SUNMONTUEWEDTHUFRISAT", any: true, weekdays: true},
}

// cronMacros are names for frequent expressions.
var cronMacros = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}

// cronFault says what is wrong with a cron expression, nothing when it is well formed.
func cronFault(s string) string {
	if s == "" {
		return "is required: a cron expression such as 0 0 9 * * MON-FRI"
	}
	for _, m := range cronMacros {
		if sameFold(s, m) {
			return ""
		}
	}
	var parts []string
	for part := range strings.SplitSeq(s, " ") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) != len(cronParts) {
		return "found " + strconv.Itoa(len(parts)) + " fields in " + quote(s) + ", allowed are six: second, minute, hour, day of month, month, day of week"
	}
	for i, part := range parts {
		if !cronParts[i].takes(part) {
			return "found " + quote(part) + " for the " + cronParts[i].name + " in " + quote(s) + ", allowed is " + cronParts[i].allowed()
		}
	}
	return ""
}

func (p cronPart) allowed() string {
	s := "*, numbers from " + strconv.Itoa(p.min) + " to " + strconv.Itoa(p.max)
	if p.names != "" {
		s += " or names such as " + p.names[:3]
	}
	s += ", ranges, steps with / and lists with commas"
	switch {
	case p.days:
		s += ", ?, L, L-n, LW and nW"
	case p.weekdays:
		s += ", ?, nL and n#k"
	}
	return s
}

// takes reports whether the text is a list of what the field may hold.
func (p cronPart) takes(s string) bool {
	if s == "?" {
		return p.any
	}
	for item := range strings.SplitSeq(s, ",") {
		if !p.item(item) {
			return false
		}
	}
	return true
}

// item takes *, a value or a range, each with a step if need be, or a special day.
func (p cronPart) item(s string) bool {
	if p.days && p.monthDay(s) || p.weekdays && p.weekDay(s) {
		return true
	}
	base, step, stepped := strings.Cut(s, "/")
	if stepped {
		if n, ok := digitsOnly(step); !ok || n < 1 || n > p.max {
			return false
		}
	}
	if base == "*" {
		return true
	}
	low, high, isRange := strings.Cut(base, "-")
	from, ok := p.value(low)
	if !ok || !isRange {
		return ok
	}
	to, ok := p.value(high)
	if p.weekdays && from == 7 {
		from = 0
	}
	if p.weekdays && to == 0 {
		to = 7
	}
	return ok && from <= to
}

// monthDay takes the last day of the month, days before it, and working days.
func (p cronPart) monthDay(s string) bool {
	s = upper(s)
	if s == "L" || s == "LW" {
		return true
	}
	if before, ok := strings.CutPrefix(s, "L-"); ok {
		n, isNumber := digitsOnly(before)
		return isNumber && n >= 1 && n < p.max
	}
	day, ok := strings.CutSuffix(s, "W")
	n, isNumber := digitsOnly(day)
	return ok && isNumber && n >= p.min && n <= p.max
}

// weekDay takes the last of a weekday in the month, or its n-th.
func (p cronPart) weekDay(s string) bool {
	if day, nth, ok := strings.Cut(s, "#"); ok {
		_, known := p.value(day)
		n, isNumber := digitsOnly(nth)
		return known && isNumber && n >= 1 && n <= 5
	}
	day, ok := strings.CutSuffix(upper(s), "L")
	_, known := p.value(day)
	return ok && known
}

// value reads a number or a name.
func (p cronPart) value(s string) (int, bool) {
	if n, ok := digitsOnly(s); ok {
		return n, n >= p.min && n <= p.max
	}
	if len(s) == 3 {
		if i := strings.Index(p.names, upper(s)); i >= 0 && i%3 == 0 {
			return p.min + i/3, true
		}
	}
	return 0, false
}

// digitsOnly reads a number of at most four digits.
func digitsOnly(s string) (int, bool) {
	if s == "" || len(s) > 4 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// upper raises ASCII letters.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
