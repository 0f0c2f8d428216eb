package builtin

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// zoneinfo is the zone data of the IANA in the form of Go's distribution, release
// 2025c. The machine's own files are never read: two nodes may have different ones.
//
//go:embed zoneinfo.zip
var zoneinfo []byte

var zones = sync.OnceValues(func() (*zip.Reader, error) {
	return zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
})

// abbreviations that mean one offset, in hours, as Java reads them.
var abbreviations = map[string]float64{
	"AKST": -9, "AKDT": -8, "BST": 1, "CDT": -5, "CEST": 2, "CET": 1, "CST": -6, "EDT": -4, "EEST": 3, "EET": 2, "EST": -5,
	"HST": -10, "IST": 5.5, "JST": 9, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8, "WEST": 1, "WET": 0, "Z": 0,
}

// maxZoneName bounds the name of a zone: the longest of the IANA has 32 bytes.
const maxZoneName = 64

// readZoned reads `yyyy-MM-dd HH:mm Zone/Name`. A local time that a zone skips is as
// much later as the gap is long, one that comes twice is the first.
func readZoned(src string) Outcome {
	src = strings.TrimSpace(src)
	bad := func(what string) Outcome {
		return failed(fsm.JobMalformed, what+" in "+strconv.Quote(cut(src))+": expected yyyy-MM-dd HH:mm Zone/Name")
	}
	const layout = "2006-01-02 15:04"
	if len(src) <= len(layout) || src[len(layout)] != ' ' {
		return bad("no date, time and zone")
	}
	local, err := time.Parse(layout, src[:len(layout)])
	if err != nil {
		return bad("no date and time")
	}
	loc, err := zone(strings.TrimSpace(src[len(layout):]))
	if err != nil {
		return bad("no zone that is known")
	}
	return Outcome{Result: json.RawMessage(strconv.FormatInt(inZone(local, loc).UnixMilli(), 10))}
}

// inZone gives the instant at which a clock in loc shows what local shows in UTC.
func inZone(local time.Time, loc *time.Location) time.Time {
	// The offsets a day before and after are those on both sides of a change.
	_, before := local.Add(-24 * time.Hour).In(loc).Zone()
	_, after := local.Add(24 * time.Hour).In(loc).Zone()
	early := local.Add(-time.Duration(before) * time.Second)
	if _, is := early.In(loc).Zone(); is == before {
		return early
	}
	late := local.Add(-time.Duration(after) * time.Second)
	if _, is := late.In(loc).Zone(); is == after {
		return late
	}
	return early // in a gap: later by its length
}

func zone(name string) (*time.Location, error) {
	if hours, ok := abbreviations[name]; ok {
		return time.FixedZone(name, int(hours*3600)), nil
	}
	if seconds, ok := offset(name); ok {
		return time.FixedZone(name, seconds), nil
	}
	if len(name) > maxZoneName {
		name = name[:maxZoneName]
	}
	all, err := zones()
	if err != nil {
		return nil, err
	}
	f, err := all.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(name, data)
}

// offset reads GMT+1, UTC-04:30, +0400 and the like.
func offset(name string) (seconds int, ok bool) {
	for _, prefix := range []string{"GMT", "UTC", "UT"} {
		name = strings.TrimPrefix(name, prefix)
	}
	if len(name) < 2 || name[0] != '+' && name[0] != '-' {
		return 0, false
	}
	for _, layout := range []string{"15:04", "1504", "15"} {
		at, err := time.Parse(layout, name[1:])
		if err != nil {
			continue
		}
		seconds = at.Hour()*3600 + at.Minute()*60
		if name[0] == '-' {
			seconds = -seconds
		}
		return seconds, seconds <= 18*3600 && seconds >= -18*3600
	}
	return 0, false
}
