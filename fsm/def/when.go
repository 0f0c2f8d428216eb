package def

import "strings"

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// durationUnits are the units of a duration in the order they must come in, and
// how each may be written, longest first.
var durationUnits = []struct {
	millis int64
	names  []string
}{
	{day, []string{"days", "day", "d"}},
	{hour, []string{"hours", "hour", "hrs", "hr", "h"}},
	{minute, []string{"minutes", "minute", "mins", "min", "m"}},
	{second, []string{"seconds", "second", "secs", "sec", "s"}},
}

// ParseDuration reads how long a WAIT lasts, such as 2 days 3 hrs or 1h30m, and
// returns it in milliseconds. Case and blanks do not count. ok is false for text
// of another form and for the empty text, which callers take for no duration.
func ParseDuration(s string) (millis int64, ok bool) {
	if s == "" {
		return 0, false
	}
	in := scanner{s: s}
	for _, unit := range durationUnits {
		in.blanks()
		mark := in.i
		n, digits := in.digits(10)
		if digits == 0 {
			continue
		}
		if n > maxDelay {
			return 0, false
		}
		in.blanks()
		if !in.word(unit.names) {
			in.i = mark
			continue
		}
		millis += n * unit.millis
	}
	in.blanks()
	if in.i < len(s) {
		return 0, false
	}
	return millis, true
}

// ParseUntil reads when a WAIT ends: 2027-01-31, 2027-01-31 18:30 or
// 2027-01-31 18:30 GMT+04:00, in UTC if it does not say, and returns it in
// milliseconds since 1970. zone is true, and ok is not, if all is well but for a
// time zone that is given by name and so needs tables that change.
func ParseUntil(s string) (unixMillis int64, ok, zone bool) {
	in := scanner{s: strings.Trim(s, " \t\r\n")}
	date, ok := in.date()
	if !ok || in.i == len(in.s) {
		return date * day, ok, false
	}
	clock, ok := in.clock()
	if !ok {
		return 0, false, false
	}
	unixMillis = date*day + clock
	if in.i == len(in.s) {
		return unixMillis, true, false
	}
	if in.blanks() == 0 {
		return 0, false, false
	}
	offset, ok, zone := zoneOffset(in.s[in.i:])
	if !ok {
		return 0, false, zone
	}
	return unixMillis - offset, true, false
}

// scanner reads text from the left.
type scanner struct {
	s string
	i int
}

// blanks skips what Java's \s matches and returns how much it was.
func (in *scanner) blanks() int {
	from := in.i
	for in.i < len(in.s) && strings.IndexByte(" \t\n\v\f\r", in.s[in.i]) >= 0 {
		in.i++
	}
	return in.i - from
}

// digits reads up to most digits and returns how many there were.
func (in *scanner) digits(most int) (n int64, count int) {
	for in.i < len(in.s) && count < most && in.s[in.i] >= '0' && in.s[in.i] <= '9' {
		n = n*10 + int64(in.s[in.i]-'0')
		in.i++
		count++
	}
	return n, count
}

// one reads a single character.
func (in *scanner) one(c byte) bool {
	if in.i < len(in.s) && in.s[in.i] == c {
		in.i++
		return true
	}
	return false
}

// word reads the first of the names that comes next, whatever its case.
func (in *scanner) word(names []string) bool {
	for _, name := range names {
		if rest := in.s[in.i:]; len(rest) >= len(name) && sameFold(rest[:len(name)], name) {
			in.i += len(name)
			return true
		}
	}
	return false
}

// sameFold reports whether two texts are equal but for the case of ASCII letters.
func sameFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// date reads yyyy-MM-dd and returns the days since 1970-01-01.
func (in *scanner) date() (int64, bool) {
	year, digits := in.digits(4)
	if digits != 4 || !in.one('-') {
		return 0, false
	}
	month, digits := in.digits(2)
	if digits == 0 || !in.one('-') || month < 1 || month > 12 {
		return 0, false
	}
	d, digits := in.digits(2)
	if digits == 0 || d < 1 || d > daysIn(year, month) {
		return 0, false
	}
	return civilDays(year, month, d), true
}

// clock reads blanks and HH:mm and returns the milliseconds since midnight.
func (in *scanner) clock() (int64, bool) {
	if in.blanks() == 0 {
		return 0, false
	}
	h, digits := in.digits(2)
	if digits == 0 || h > 23 || !in.one(':') {
		return 0, false
	}
	m, digits := in.digits(2)
	if digits == 0 || m > 59 {
		return 0, false
	}
	return h*hour + m*minute, true
}

func leap(year int64) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if leap(year) {
			return 29
		}
		return 28
	}
	return 31
}

// civilDays returns the days from 1970-01-01 to a date of the Gregorian calendar
// in the year 0 or later. Years are counted from March, so that the leap day is
// a year's last.
func civilDays(year, month, d int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	const daysIn400Years, epoch = 146097, 719468
	shifted := year + 400 // never negative
	era, inEra := shifted/400, shifted%400
	inYear := (153*(month-3)+2)/5 + d - 1
	return (era-1)*daysIn400Years + inEra*365 + inEra/4 - inEra/100 + inYear - epoch
}

// civilDate is the date that civilDays returns the days of.
func civilDate(days int64) (year, month, d int64) {
	const daysIn400Years, epoch = 146097, 719468
	days += epoch + daysIn400Years // never negative
	era, inEra := days/daysIn400Years, days%daysIn400Years
	inEraYear := (inEra - inEra/1460 + inEra/36524 - inEra/146096) / 365
	inYear := inEra - (365*inEraYear + inEraYear/4 - inEraYear/100)
	shifted := (5*inYear + 2) / 153
	d = inYear - (153*shifted+2)/5 + 1
	year, month = inEraYear+(era-1)*400, shifted+3
	if month > 12 {
		return year + 1, month - 12, d
	}
	return year, month, d
}

// AppendInstant appends a time of the years 0 to 9999, in milliseconds since 1970, as
// 2027-01-31T18:30:00.000Z.
func AppendInstant(dst []byte, unixMillis int64) []byte {
	days, in := unixMillis/day, unixMillis%day
	if in < 0 {
		days, in = days-1, in+day
	}
	year, month, d := civilDate(days)
	dst = appendPadded(dst, year, 4)
	dst = appendPadded(append(dst, '-'), month, 2)
	dst = appendPadded(append(dst, '-'), d, 2)
	dst = appendPadded(append(dst, 'T'), in/hour, 2)
	dst = appendPadded(append(dst, ':'), in%hour/minute, 2)
	dst = appendPadded(append(dst, ':'), in%minute/second, 2)
	return append(appendPadded(append(dst, '.'), in%second, 3), 'Z')
}

func appendPadded(dst []byte, n int64, digits int) []byte {
	for range digits {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; n > 0 && i >= len(dst)-digits; i-- {
		dst[i] += byte(n % 10)
		n /= 10
	}
	return dst
}

// zoneOffset reads a time zone: Z, UTC, GMT, GMT+4, GMT-03:30, +0400. named is
// true if it can be the name of another.
func zoneOffset(s string) (millis int64, ok, named bool) {
	in := scanner{s: s}
	if in.one('Z') || in.word([]string{"GMT", "UTC"}) {
		if in.i == len(s) {
			return 0, true, false
		}
	}
	sign := int64(1)
	switch {
	case in.one('+'):
	case in.one('-'):
		sign = -1
	default:
		return 0, false, zoneName(s)
	}
	h, hours := in.digits(2)
	in.one(':')
	m, minutes := in.digits(2)
	if hours == 0 || minutes == 1 || in.i < len(s) || h > 23 || m > 59 {
		return 0, false, zoneName(s)
	}
	return sign * (h*hour + m*minute), true, false
}

// zoneName reports whether s could be a name such as PST or Europe/Paris.
func zoneName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := lower(c) >= 'a' && lower(c) <= 'z'; i == 0 && !letter ||
			!letter && !strings.Contains("0123456789/_+-: ", string(rune(c))) {
			return false
		}
	}
	return s != ""
}
