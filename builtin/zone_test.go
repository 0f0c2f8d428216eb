package builtin

import (
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

func TestLocalTimesInNamedZones(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"2026-01-15 12:00 Europe/Berlin", "2026-01-15T11:00:00Z"},
		{"2026-07-15 12:00 Europe/Berlin", "2026-07-15T10:00:00Z"},
		{"2026-07-15 12:00 Asia/Kolkata", "2026-07-15T06:30:00Z"},
		{"2026-03-08 02:30 America/New_York", "2026-03-08T07:30:00Z"}, // skipped: 03:30
		{"2026-03-08 01:59 America/New_York", "2026-03-08T06:59:00Z"},
		{"2026-03-08 03:00 America/New_York", "2026-03-08T07:00:00Z"},
		{"2026-11-01 01:30 America/New_York", "2026-11-01T05:30:00Z"}, // twice: the first
		{"2026-11-01 02:00 America/New_York", "2026-11-01T07:00:00Z"},
		{"2026-10-04 02:15 Australia/Lord_Howe", "2026-10-03T15:45:00Z"}, // a gap of half an hour
		{"2026-07-15 12:00 UTC", "2026-07-15T12:00:00Z"}, {"2026-07-15 12:00 Z", "2026-07-15T12:00:00Z"},
		{"2026-07-15 12:00 GMT+04:00", "2026-07-15T08:00:00Z"}, {"2026-07-15 12:00 GMT-4", "2026-07-15T16:00:00Z"},
		{"2026-07-15 12:00 +0530", "2026-07-15T06:30:00Z"}, {"2026-07-15 12:00 Etc/GMT+5", "2026-07-15T17:00:00Z"},
		{"2026-07-15 12:00 PST", "2026-07-15T20:00:00Z"}, {"2026-07-15 12:00 PDT", "2026-07-15T19:00:00Z"},
		{"  1969-12-31 23:00 Europe/London ", "1969-12-31T22:00:00Z"},
	} {
		o := Evaluate(Job{Language: Zone, Source: c.source}, time.Second)
		at, err := time.Parse(time.RFC3339, c.want)
		if err != nil {
			t.Fatal(err)
		}
		if want := itoa(int(at.UnixMilli())); string(o.Result) != want {
			t.Errorf("%s: got %+v, want %s (%s)", c.source, o, want, c.want)
		}
	}
	for _, source := range []string{"", "2026-01-15 12:00", "2026-01-15 12:00 ", "2026-13-15 12:00 UTC", "2026-01-15 12:00 Europe/Nowhere",
		"2026-01-15 12:00 ../zone.go", "2026-01-15 12:00 /etc/localtime", "2026-01-15 12:00 GMT+99", "2026-01-15 12:00 Europe", "2026-02-30 12:00 UTC"} {
		if o := Evaluate(Job{Language: Zone, Source: source}, time.Second); o.Failure != fsm.JobMalformed || o.Message == "" {
			t.Errorf("%q: got %+v", source, o)
		}
	}
}

func TestZonesDoNotComeFromTheMachine(t *testing.T) {
	t.Setenv("ZONEINFO", "/nonexistent")
	all, err := zones()
	if err != nil || len(all.File) < 400 {
		t.Fatalf("zone data: %d zones, %v", len(all.File), err)
	}
}
