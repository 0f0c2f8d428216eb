package def

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]int64{
		"1h30m":                          90 * minute,
		"30 seconds":                     30 * second,
		"2 days 3 hrs":                   2*day + 3*hour,
		"45 seconds":                     45 * second,
		"60seconds":                      60 * second,
		"1 s":                            second,
		"1 D 2 H 3 M 4 S":                day + 2*hour + 3*minute + 4*second,
		"1 day 1 hour 1 minute 1 second": day + hour + minute + second,
		"2days2hours2minutes2seconds":    2 * (day + hour + minute + second),
		"1hr 1min 1sec":                  hour + minute + second,
		"5 mins 6 secs":                  5*minute + 6*second,
		"\t7\n MINUTES ":                 7 * minute,
		"0s":                             0,
		"  ":                             0,
		"2147483647 d":                   2147483647 * day,
		"0000000001 s":                   second,
	} {
		if got, ok := ParseDuration(s); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "5", "PT1H", "1.5 h", "1 s 1 m", "1 h 1 h", "-1 s", "1 week", "s", "1 monthes", "2147483648 s", "1 ss",
		"99999999999999999999 s", "1 h, 2 m", "一 s", "1 ſ"} {
		if got, ok := ParseDuration(s); ok {
			t.Errorf("%q: got %d, want a refusal", s, got)
		}
	}
}

func TestAppendInstant(t *testing.T) {
	const most = 253402300799999 // the year 9999
	for at := int64(-62167219200000); at <= most; at += 86_399_999 * 7 {
		want := time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(AppendInstant(nil, at)); got != want {
			t.Fatalf("%d: got %s, want %s", at, got, want)
		}
	}
	if got := string(AppendInstant([]byte("at "), most)); got != "at 9999-12-31T23:59:59.999Z" {
		t.Errorf("got %s", got)
	}
}

func TestParseUntil(t *testing.T) {
	at := func(y, mo, d, h, mi, offset int) int64 {
		return time.Date(y, time.Month(mo), d, h, mi-offset, 0, 0, time.UTC).UnixMilli()
	}
	for s, want := range map[string]int64{
		"2027-01-31":                 at(2027, 1, 31, 0, 0, 0),
		"2027-01-31 18:30":           at(2027, 1, 31, 18, 30, 0),
		" 2024-02-29 00:00 ":         at(2024, 2, 29, 0, 0, 0),
		"2027-01-31 18:30 GMT+04:00": at(2027, 1, 31, 18, 30, 240),
		"2027-01-31 18:30 GMT-3:30":  at(2027, 1, 31, 18, 30, -210),
		"2027-01-31 18:30 GMT+4":     at(2027, 1, 31, 18, 30, 240),
		"2027-01-31 18:30 +0530":     at(2027, 1, 31, 18, 30, 330),
		"2027-01-31 18:30 UTC":       at(2027, 1, 31, 18, 30, 0),
		"2027-01-31 18:30 gmt":       at(2027, 1, 31, 18, 30, 0),
		"2027-01-31 18:30 Z":         at(2027, 1, 31, 18, 30, 0),
		"1969-12-31 23:59":           -minute,
		"0001-03-01":                 at(1, 3, 1, 0, 0, 0),
		"9999-12-31 23:59":           at(9999, 12, 31, 23, 59, 0),
		"2027-1-5 7:05":              at(2027, 1, 5, 7, 5, 0),
	} {
		if got, ok, zone := ParseUntil(s); !ok || zone || got != want {
			t.Errorf("%q: got %d, %v, %v, want %d", s, got, ok, zone, want)
		}
	}
	for _, s := range []string{"2027-01-31 18:30 PST", "2027-01-31 18:30 Europe/Paris", "2027-01-31 18:30 Pacific Standard Time", "2027-01-31 18:30 Etc/GMT+4"} {
		if _, ok, zone := ParseUntil(s); ok || !zone {
			t.Errorf("%q: got %v, %v, want a named zone", s, ok, zone)
		}
	}
	for _, s := range []string{"", "tomorrow", "2027-02-29", "2100-02-29", "2027-04-31", "2027-13-01", "2027-00-01", "2027-01-00", "27-01-01", "12027-01-01",
		"2027-01-31T18:30", "2027-01-31 24:00", "2027-01-31 18:60", "2027-01-31 18", "2027-01-31 18:30:15", "2027-01-31 18:30 ???",
		"2027-01-31 18:30 +5:3", "2027-01-31 18:30 +24:00", "2027-01-31 18:30PST", "2027-01-31PST"} {
		if got, ok, zone := ParseUntil(s); ok || zone {
			t.Errorf("%q: got %d, %v, %v, want a refusal", s, got, ok, zone)
		}
	}
}

func TestCivilDaysAgreeWithTheCalendar(t *testing.T) {
	for d := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2500; d = d.AddDate(0, 0, 1) {
		year, month := int64(d.Year()), int64(d.Month())
		if got, want := civilDays(year, month, int64(d.Day())), d.Unix()/86400; got != want {
			t.Fatalf("%v: got %d, want %d", d, got, want)
		}
		if last := d.AddDate(0, 0, 1).Day() == 1; last != (int64(d.Day()) == daysIn(year, month)) {
			t.Fatalf("%v: last of its month %v", d, last)
		}
	}
}
