package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// files are the contents of a log's folder.
type files map[string][]byte

func readFiles(t testing.TB, fsys disk.FS) files {
	t.Helper()
	list, err := fsys.ReadDir("wal")
	if err != nil {
		t.Fatal(err)
	}
	fs := files{}
	for _, e := range list {
		if fs[e.Name()], err = disk.ReadFile(fsys, "wal/"+e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// image is a file system with these contents.
func (fs files) image(t testing.TB) *disk.MemFS {
	t.Helper()
	m := disk.Mem()
	if err := m.MkdirAll("wal", disk.FolderPerm); err != nil {
		t.Fatal(err)
	}
	for name, data := range fs {
		if err := disk.Replace(m, "wal/"+name, data); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// with is a copy in which one file is changed.
func (fs files) with(name string, change func(data []byte)) files {
	c := files{}
	for n, data := range fs {
		c[n] = data
	}
	c[name] = bytes.Clone(fs[name])
	change(c[name])
	return c
}

// spot is the file and offset of the record of an entry.
func spot(l *Log, index uint64) (string, int) {
	at := l.index.locs[index-l.index.first]
	return l.segmentLocked(at.segment).name, int(at.offset)
}

// checkNothingWrong fails if the log holds anything but the entries of term 1.
func checkNothingWrong(t testing.TB, l *Log, where string) {
	t.Helper()
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	for i := first; i <= last && first > 0; i++ {
		var e raft.Log
		if err := l.GetLog(i, &e); err != nil {
			t.Fatalf("%s: entry %d: %v", where, i, err)
		}
		if !reflect.DeepEqual(&e, entry(i, 1)) {
			t.Fatalf("%s: entry %d: got %+v", where, i, e)
		}
	}
}

// hundred is a log of a hundred entries, as its folder looks after a kill, and
// the places of its entries.
func hundred(t testing.TB, o Options) (files, func(index uint64) (string, int)) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, o)
	for i := uint64(1); i <= 100; i += 4 {
		store(t, l, i, i+3, 1)
	}
	return readFiles(t, fsys), func(index uint64) (string, int) { return spot(l, index) }
}

var damages = map[string]func(record []byte){
	"payload":    func(r []byte) { r[recordHeader] ^= 1 },
	"header":     func(r []byte) { r[17] ^= 1 },
	"length":     func(r []byte) { r[8] ^= 0xff },
	"zeros":      func(r []byte) { clear(r[:min(512, len(r))]) },
	"ones":       func(r []byte) { copy(r[:64], bytes.Repeat([]byte{0xff}, 64)) },
	"two blocks": func(r []byte) { clear(r[8:16]); clear(r[200:208]) },
}

// The proof that an entry was durable may be in its own segment or in a later
// one.
func TestDamagedMiddle(t *testing.T) {
	for _, size := range []int64{minSegment, 64 << 10} {
		o := testOptions
		o.SegmentBytes = size
		fs, place := hundred(t, o)
		name, at := place(50)
		for what, damage := range damages {
			t.Run(fmt.Sprintf("%s %d", what, size), func(t *testing.T) {
				bad := fs.with(name, func(data []byte) { damage(data[at:]) })
				_, _, err := Open(bad.image(t), o, quiet())
				var d *guard.Damaged
				if !errors.As(err, &d) || guard.Code(err) != guard.ExitDamaged {
					t.Fatalf("got %v, want damage", err)
				}
				if d.File != "wal/"+name || d.Offset != int64(at) {
					t.Fatalf("got %v, want %s at %d", d, name, at)
				}
			})
		}
	}
}

// Damage that a snapshot covers costs nothing: the log begins behind it, and
// goes on as ever.
func TestDamageUnderASnapshot(t *testing.T) {
	fs, place := hundred(t, testOptions)
	name, at := place(50)
	for what, damage := range damages {
		for _, covered := range []uint64{70, 100} {
			t.Run(fmt.Sprintf("%s %d", what, covered), func(t *testing.T) {
				image := fs.with(name, func(data []byte) { damage(data[at:]) }).image(t)
				o := testOptions
				o.SnapshotIndex = covered
				l, report := open(t, image, o)
				if report.Last != 100 || report.First < 51 || report.First > 71 || report.Dropped != report.First-1 || len(report.Damage) == 0 {
					t.Fatalf("report: %+v", report)
				}
				checkNothingWrong(t, l, what)
				store(t, l, 101, 120, 1)
				l, report = open(t, image, o)
				if report.Last != 120 {
					t.Fatalf("second start: %+v", report)
				}
				checkNothingWrong(t, l, what)
			})
		}
	}
	o := testOptions
	o.SnapshotIndex = 49
	bad := fs.with(name, func(data []byte) { damages["payload"](data[at:]) })
	if _, _, err := Open(bad.image(t), o, quiet()); guard.Code(err) != guard.ExitDamaged {
		t.Fatalf("a snapshot that ends before the damage: got %v, want damage", err)
	}
}

// The last write is all there is no proof of: what of it cannot be read was
// never acknowledged.
func TestTornTail(t *testing.T) {
	fs, place := hundred(t, testOptions)
	for last := uint64(97); last <= 100; last++ {
		name, at := place(last)
		for what, damage := range damages {
			if what == "two blocks" {
				continue
			}
			t.Run(fmt.Sprintf("%d %s", last, what), func(t *testing.T) {
				image := fs.with(name, func(data []byte) { damage(data[at:]) }).image(t)
				l, report := open(t, image, testOptions)
				if report.Last != last-1 {
					t.Fatalf("got %+v, want the last entry %d", report, last-1)
				}
				if what != "zeros" && what != "ones" && !report.Torn { // these may leave no trace
					t.Fatal("a torn write was not told")
				}
				store(t, l, last, last+1, 1)
				l, report = open(t, image, testOptions)
				if report.Torn || report.Last != last+1 {
					t.Fatalf("second start: %+v", report)
				}
				checkNothingWrong(t, l, what)
			})
		}
	}
}

// After a clean stop all of it was durable: any flipped byte is refused, or
// costs nothing.
func TestFlippedByte(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 6, 1)
	if err := l.DeleteRange(5, 6); err != nil {
		t.Fatal(err)
	}
	store(t, l, 5, 12, 1)
	closeLog(t, l)
	l, _ = open(t, fsys, testOptions)
	store(t, l, 13, 16, 1)
	closeLog(t, l)
	fs := readFiles(t, fsys)
	refused, harmless := 0, 0
	for name, data := range fs {
		for at := range data {
			if at > 80 && at < segmentHeader-4 && at%32 != 0 {
				continue // zeros under one checksum: a sample will do
			}
			where := fmt.Sprintf("%s byte %d", name, at)
			bad := fs.with(name, func(data []byte) { data[at] ^= 1 << (at % 8) })
			l, report, err := Open(bad.image(t), testOptions, quiet())
			if err != nil {
				if guard.Code(err) != guard.ExitDamaged {
					t.Fatalf("%s: got %v, want damage", where, err)
				}
				refused++
				continue
			}
			harmless++
			if report.First != 1 || report.Last != 16 {
				t.Fatalf("%s: acknowledged entries are gone: %+v", where, report)
			}
			checkNothingWrong(t, l, where)
		}
	}
	t.Logf("%d flips refused, %d harmless", refused, harmless)
	if refused < 16*recordHeader {
		t.Fatalf("only %d flips were refused", refused)
	}
}

func TestFlippedByteIsNotRead(t *testing.T) {
	fsys := disk.Mem()
	o := testOptions
	o.CacheBytes = 1
	code := 0
	g := guard.New(guard.Options{Exit: func(c int, _ string) { code = c }, Stderr: &bytes.Buffer{}})
	l, _, err := Open(fsys, o, g)
	if err != nil {
		t.Fatal(err)
	}
	store(t, l, 1, 5, 1)
	_, at := spot(l, 3)
	if _, err := l.segments[0].file.WriteAt([]byte{0xff}, int64(at+recordHeader+2)); err != nil {
		t.Fatal(err)
	}
	var e raft.Log
	if err := l.GetLog(3, &e); guard.Code(err) != guard.ExitDamaged || code != guard.ExitDamaged || e.Data != nil {
		t.Fatalf("got %v, exit code %d, data %q", err, code, e.Data)
	}
}

// A disk that says "synced" and is not: after the power cut the log is refused,
// or holds a clean beginning of what was stored. It never holds anything else.
func TestLyingSyncThenPowerCut(t *testing.T) {
	s := seed(t)
	refused, short := 0, 0
	for run := range uint64(200) {
		rng := rand.New(rand.NewPCG(s, run))
		fsys := disk.Faulty(disk.Mem(), disk.Plan{Seed: rng.Uint64()})
		l, _ := open(t, fsys, testOptions)
		store(t, l, 1, 10, 1)
		fsys.Add(disk.Rule{Ops: disk.OpSync, Do: disk.Lie})
		last := 10 + 5*rng.Uint64N(12)
		for i := uint64(11); i <= last; i += 5 {
			store(t, l, i, i+4, 1)
		}
		fsys.Clear()
		fsys.Crash(disk.KeepSome)
		l, report, err := Open(fsys, testOptions, quiet())
		switch {
		case err != nil:
			refused++
			if guard.Code(err) != guard.ExitDamaged {
				t.Fatalf("run %d: got %v, want damage", run, err)
			}
			continue
		case report.Last < last:
			short++
		}
		if report.Last < 10 {
			t.Fatalf("run %d: what was synced is gone: %+v\n%s", run, report, strings.Join(fsys.Log(), "\n"))
		}
		checkNothingWrong(t, l, fmt.Sprintf("run %d", run))
	}
	t.Logf("%d of 200 refused, %d short", refused, short)
	if refused == 0 {
		t.Error("no lie was noticed")
	}
}

func TestMissingSegment(t *testing.T) {
	fs, _ := hundred(t, testOptions)
	names := sortedSegments(fs)
	for i, name := range names[1:] {
		c := fs.with(name, func([]byte) {})
		delete(c, name)
		if _, _, err := Open(c.image(t), testOptions, quiet()); guard.Code(err) != guard.ExitDamaged {
			t.Errorf("without segment %d: got %v, want damage", i+1, err)
		}
	}
	c := fs.with(names[1], func([]byte) {})
	delete(c, names[1])
	o := testOptions
	o.SnapshotIndex = 90
	l, report := open(t, c.image(t), o)
	if report.First < 2 || report.Last != 100 {
		t.Fatalf("under a snapshot: %+v", report)
	}
	checkNothingWrong(t, l, "under a snapshot")
}

func sortedSegments(fs files) (names []string) {
	for n := uint64(1); n <= uint64(len(fs)); n++ {
		for name := range fs {
			if _, number, ok := parseName(name); ok && number == n {
				names = append(names, name)
			}
		}
	}
	return names
}

func TestSwappedSegments(t *testing.T) {
	fs, _ := hundred(t, testOptions)
	names := sortedSegments(fs)
	c := fs.with(names[1], func([]byte) {})
	c[names[1]], c[names[2]] = c[names[2]], c[names[1]]
	if _, _, err := Open(c.image(t), testOptions, quiet()); guard.Code(err) != guard.ExitDamaged {
		t.Errorf("swapped files: got %v, want damage", err)
	}
	// An older copy of a segment of the same node, under its right name.
	other, _ := hundred(t, testOptions)
	c = fs.with(names[1], func([]byte) {})
	c[names[1]] = other[names[1]]
	l, report, err := Open(c.image(t), testOptions, quiet())
	if err == nil {
		// The logs are equal in content, and so may be the chains.
		checkNothingWrong(t, l, "foreign copy")
		if report.Last != 100 {
			t.Errorf("a copy of another use: %+v", report)
		}
	} else if guard.Code(err) != guard.ExitDamaged {
		t.Errorf("a copy of another use: got %v", err)
	}
}

func TestNewerVersions(t *testing.T) {
	fs, place := hundred(t, testOptions)
	name, at := place(1)
	le := binary.LittleEndian
	salt := le.Uint64(fs[name][64:])
	for what, change := range map[string]func(data []byte){
		"segment": func(data []byte) {
			le.PutUint16(data[8:], segmentVersion+1)
			le.PutUint32(data[segmentHeader-4:], crc32.Checksum(data[:segmentHeader-4], castagnoli))
		},
		"record": func(data []byte) {
			le.PutUint16(data[at+14:], recordVersion+1)
			le.PutUint32(data[at+4:], headerCRC(salt, data[at:]))
		},
	} {
		if _, _, err := Open(fs.with(name, change).image(t), testOptions, quiet()); guard.Code(err) != guard.ExitVersion {
			t.Errorf("%s of a newer version: got %v", what, err)
		}
	}
}

// A segment in its second use still has the records of the first one behind
// its end. They are never read.
func TestStaleRecordsAfterRecycling(t *testing.T) {
	s := seed(t)
	fsys := disk.Faulty(disk.Mem(), disk.Plan{Trace: true})
	l, _ := open(t, fsys, testOptions)
	for i := uint64(1); i <= 200; i++ {
		store(t, l, i, i, 7)
		if i%50 == 0 {
			first, _ := l.FirstIndex()
			if err := l.DeleteRange(first, i-1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Reset(1); err != nil {
		t.Fatal(err)
	}
	recycled := l.w.segment.number
	for i := uint64(1); l.w.segment.number < recycled+2; i++ {
		store(t, l, i, i, 1)
	}
	last, _ := l.LastIndex()
	stale := readFiles(t, fsys)[l.w.segment.name][l.w.offset:]
	if !bytes.Contains(stale, []byte("/7 ")) {
		t.Fatal("the segment holds nothing of an earlier use")
	}
	for i := range uint64(200) {
		image := fsys.Image(fsys.Steps(), disk.Keep(i%3), s+i)
		l, report := open(t, image, testOptions)
		if report.Last != last || report.Torn {
			t.Fatalf("got %+v, want %d entries", report, last)
		}
		checkNothingWrong(t, l, "recycled")
	}
}

// A tail that was cut does not come back, whatever kills the process.
func TestTruncateTailKillRestart(t *testing.T) {
	for _, keep := range []disk.Keep{disk.KeepAll, disk.KeepNone, disk.KeepSome} {
		for from := uint64(1); from <= 40; from++ {
			fsys := disk.Faulty(disk.Mem(), disk.Plan{Seed: from})
			l, _ := open(t, fsys, testOptions)
			store(t, l, 1, 40, 1)
			if err := l.DeleteRange(from, 40); err != nil {
				t.Fatal(err)
			}
			fsys.Crash(keep)
			l, report := open(t, fsys, testOptions)
			if report.Last != from-1 {
				t.Fatalf("keep %d: last is %d after a cut from %d", keep, report.Last, from)
			}
			store(t, l, from, 45, 1)
			checkNothingWrong(t, l, "after the cut")
		}
	}
}

// What is left of a write that was cut can end up right behind a record that
// came later, with the very index that is due. It stays dead.
func TestLeftoversOfATornWriteStayDead(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 3, 1)
	lost := []*raft.Log{{Index: 4, Term: 1, Data: make([]byte, 2*recordHeader)}, {Index: 5, Term: 1, Data: []byte("never acknowledged")}}
	if err := l.StoreLogs(lost); err != nil {
		t.Fatal(err)
	}
	name, at := spot(l, 4)
	image := readFiles(t, fsys).with(name, func(data []byte) { data[at] ^= 1 }).image(t)
	l, report := open(t, image, testOptions)
	if report.Last != 3 || !report.Torn {
		t.Fatalf("report: %+v", report)
	}
	// The mark of the start takes one header of the room, this entry the rest.
	if err := l.StoreLog(&raft.Log{Index: 4, Term: 2, Data: make([]byte, recordHeader)}); err != nil {
		t.Fatal(err)
	}
	if h, ok := parseHeader(readFiles(t, image)[name][l.w.offset:], l.w.segment.salt); !ok || h.index != 5 {
		t.Fatal("the leftover is not where the log ends")
	}
	if _, report = open(t, image, testOptions); report.Last != 4 || report.Torn {
		t.Fatalf("after the restart: %+v", report)
	}
}

// A start counts what it found, so later damage to it is no torn tail.
func TestStartProvesTheTail(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 3, 1)
	name, at := spot(l, 3)
	open(t, fsys, testOptions)
	bad := readFiles(t, fsys).with(name, func(data []byte) { data[at+recordHeader] ^= 1 })
	if _, _, err := Open(bad.image(t), testOptions, quiet()); guard.Code(err) != guard.ExitDamaged {
		t.Fatalf("got %v, want damage", err)
	}
}

// Damaged entries that were truncated later are nobody's loss.
func TestDamageToTruncatedEntries(t *testing.T) {
	fsys := disk.Mem()
	l, _ := open(t, fsys, testOptions)
	store(t, l, 1, 9, 1)
	name, at := spot(l, 6)
	if err := l.DeleteRange(5, 9); err != nil {
		t.Fatal(err)
	}
	store(t, l, 5, 9, 1)
	bad := readFiles(t, fsys).with(name, func(data []byte) { data[at+recordHeader] ^= 1 })
	l, report := open(t, bad.image(t), testOptions)
	if report.Last != 9 || len(report.Damage) != 1 || report.Dropped != 0 {
		t.Fatalf("report: %+v", report)
	}
	checkNothingWrong(t, l, "truncated")
}

// FuzzScan changes bytes of a log. Whatever is changed, opening it does not
// panic, and what it then holds is what was stored.
func FuzzScan(f *testing.F) {
	fs, place := hundred(f, testOptions)
	names := sortedSegments(fs)
	_, at := place(50)
	f.Add([]byte{0, 0, 0, 1}, uint64(0))
	f.Add([]byte{1, byte(at >> 8), byte(at), 0xff, 1, byte(at >> 8), byte(at + 8), 3}, uint64(60))
	f.Add([]byte{2, 16, 0, 1, 2, 16, 16, 1}, uint64(100))
	f.Fuzz(func(t *testing.T, edits []byte, snapshot uint64) {
		c := fs
		edits = edits[:min(len(edits), 64)]
		for ; len(edits) >= 4; edits = edits[4:] {
			c = c.with(names[int(edits[0])%len(names)], func(data []byte) {
				data[(int(edits[1])<<8|int(edits[2]))%len(data)] ^= edits[3]
			})
		}
		o := testOptions
		o.SnapshotIndex = snapshot % 120
		l, _, err := Open(c.image(t), o, quiet())
		if err == nil {
			checkNothingWrong(t, l, "fuzzed")
		}
	})
}
