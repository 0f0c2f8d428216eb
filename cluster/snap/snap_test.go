package snap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

var testOptions = Options{Dir: "snap", ClusterID: [16]byte{1}, Genesis: [16]byte{2}, Incarnation: 3, Group: 4}

var testConfiguration = raft.Configuration{Servers: []raft.Server{
	{Suffrage: raft.Voter, ID: "node-a", Address: "node-a"},
	{Suffrage: raft.Nonvoter, ID: "node-b", Address: "node-b"},
}}

func quiet() *guard.Guard {
	return guard.New(guard.Options{Exit: func(int, string) {}, Stderr: io.Discard})
}

func open(t testing.TB, fsys disk.FS, o Options) *Store {
	t.Helper()
	s, err := Open(fsys, o, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stream is the content of the snapshot at an index.
func stream(index uint64, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(index)}).Read(b) // cannot fail
	return b
}

func create(t testing.TB, s *Store, index, term uint64) *Sink {
	t.Helper()
	k, err := s.Create(raft.SnapshotVersionMax, index, term, testConfiguration, index-1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*Sink)
}

// take writes a snapshot in uneven pieces.
func take(s *Store, index, term uint64, content []byte) error {
	k, err := s.Create(raft.SnapshotVersionMax, index, term, testConfiguration, index-1, nil)
	if err != nil {
		return err
	}
	for n := 1; len(content) > 0; n = n*3 + 1 {
		part := content[:min(n, len(content))]
		if _, err := k.Write(part); err != nil {
			return errors.Join(err, k.Cancel())
		}
		content = content[len(part):]
	}
	return k.Close()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func listed(t testing.TB, s *Store) (ids []string) {
	t.Helper()
	metas, err := s.List()
	must(t, err)
	for _, m := range metas {
		ids = append(ids, m.ID)
	}
	return ids
}

func content(s *Store, id string) ([]byte, error) {
	_, r, err := s.Open(id)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func TestRoundTrip(t *testing.T) {
	real, err := disk.Dir(t.TempDir())
	must(t, err)
	for name, fsys := range map[string]disk.FS{"dir": real, "mem": disk.Mem()} {
		for _, size := range []int{0, 1, maxChunk, 2*maxChunk + 5} {
			t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) {
				o := testOptions
				o.Dir = fmt.Sprintf("raft/snap-%d", size)
				s := open(t, fsys, o)
				if got := listed(t, s); got != nil {
					t.Fatalf("an empty store lists %v", got)
				}
				want := stream(7, size)
				k := create(t, s, 7, 2)
				must(t, k.SetNotes([]byte("notes")))
				if n, err := k.Write(want); n != size || err != nil {
					t.Fatalf("write: got %d and %v", n, err)
				}
				must(t, k.Close())
				for range 2 {
					metas, err := s.List()
					must(t, err)
					wantMeta := []*raft.SnapshotMeta{{
						Version: 1, ID: "2-7", Index: 7, Term: 2, Configuration: testConfiguration, ConfigurationIndex: 6, Size: int64(size),
					}}
					if diff := cmp.Diff(wantMeta, metas); diff != "" {
						t.Fatalf("list (-want +got):\n%s", diff)
					}
					got, err := content(s, "2-7")
					must(t, err)
					if !bytes.Equal(got, want) {
						t.Fatal("the stream differs")
					}
					if notes, err := s.Notes("2-7"); err != nil || string(notes) != "notes" {
						t.Fatalf("notes: got %q and %v", notes, err)
					}
					must(t, s.Verify("2-7"))
					s = open(t, fsys, o)
				}
			})
		}
	}
}

func TestKeepsTwo(t *testing.T) {
	fsys := disk.Mem()
	s := open(t, fsys, testOptions)
	must(t, take(s, 1, 1, stream(1, 100)))
	_, old, err := s.Open("1-1")
	must(t, err)
	for i := uint64(2); i < 6; i++ {
		must(t, take(s, i, 1, stream(i, 100)))
	}
	if diff := cmp.Diff([]string{"1-5", "1-4"}, listed(t, s)); diff != "" {
		t.Fatalf("list (-want +got):\n%s", diff)
	}
	if entries, _ := fsys.ReadDir("snap"); len(entries) != 2 {
		t.Fatalf("files: got %v, want two", entries)
	}
	if got, err := io.ReadAll(old); err != nil || !bytes.Equal(got, stream(1, 100)) {
		t.Fatalf("a reader opened before the removal: %v", err)
	}
	if _, _, err := s.Open("1-1"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("open of a removed one: got %v", err)
	}
	must(t, take(s, 5, 1, stream(55, 100)))
	if got, err := content(s, "1-5"); err != nil || !bytes.Equal(got, stream(55, 100)) {
		t.Fatalf("a second snapshot of one index does not replace the first: %v", err)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	fsys := disk.Mem()
	s := open(t, fsys, testOptions)
	k := create(t, s, 1, 1)
	_, err := k.Write(stream(1, 2*maxChunk))
	must(t, err)
	must(t, k.Cancel())
	must(t, k.Cancel())
	must(t, k.Close())
	if _, err := k.Write([]byte("x")); err == nil {
		t.Fatal("a cancelled sink takes data")
	}
	if entries, _ := fsys.ReadDir("snap"); len(entries) != 0 || listed(t, s) != nil {
		t.Fatalf("left behind: %v", entries)
	}
}

func TestRate(t *testing.T) {
	now := time.Unix(0, 0)
	o := testOptions
	o.BytesPerSecond = 1 << 20
	o.Now = func() time.Time { return now }
	o.Sleep = func(d time.Duration) { now = now.Add(d) }
	s := open(t, disk.Mem(), o)
	must(t, take(s, 1, 1, stream(1, 10*maxChunk)))
	if took := now.Sub(time.Unix(0, 0)); took < 10*time.Second || took > 11*time.Second {
		t.Fatalf("10 MiB at 1 MiB/s: took %v", took)
	}
}

// Whatever byte is flipped, the snapshot is told and not listed, and an older
// one serves.
func TestFlippedByte(t *testing.T) {
	fsys := disk.Mem()
	s := open(t, fsys, testOptions)
	must(t, take(s, 1, 1, stream(1, 50)))
	must(t, take(s, 2, 1, stream(2, 50)))
	data, err := disk.ReadFile(fsys, "snap/1-2.snap")
	must(t, err)
	for at := range data {
		bad := bytes.Clone(data)
		bad[at] ^= 0x20
		must(t, disk.Replace(fsys, "snap/1-2.snap", bad))
		s := open(t, fsys, testOptions)
		if diff := cmp.Diff([]string{"1-1"}, listed(t, s)); diff != "" {
			t.Fatalf("byte %d of %d: list (-want +got):\n%s", at, len(data), diff)
		}
		if d := s.Damaged(); len(d) != 1 || d[0].File != "snap/1-2.snap" {
			t.Fatalf("byte %d: damage told: %v", at, d)
		}
		if err := s.Verify("1-2"); guard.Code(err) != guard.ExitDamaged {
			t.Fatalf("byte %d: verify: got %v", at, err)
		}
	}
	for cut := range data {
		must(t, disk.Replace(fsys, "snap/1-2.snap", data[:cut]))
		if diff := cmp.Diff([]string{"1-1"}, listed(t, open(t, fsys, testOptions))); diff != "" {
			t.Fatalf("cut to %d: list (-want +got):\n%s", cut, diff)
		}
	}
}

// Damage that comes after a snapshot was verified ends the stream before a
// wrong byte is handed out, and makes the older one the newest.
func TestDamageWhileServing(t *testing.T) {
	fsys := disk.Mem()
	s := open(t, fsys, testOptions)
	must(t, take(s, 1, 1, stream(1, 50)))
	want := stream(2, 3*maxChunk)
	must(t, take(s, 2, 1, want))
	s = open(t, fsys, testOptions)
	f, err := fsys.Open("snap/1-2.snap", os.O_RDWR, disk.FilePerm)
	must(t, err)
	_, err = f.WriteAt([]byte("damage"), 2*maxChunk)
	must(t, err)
	got, err := content(s, "1-2")
	if guard.Code(err) != guard.ExitDamaged || !bytes.HasPrefix(want, got) {
		t.Fatalf("got %d bytes and %v, want a clean beginning and damage", len(got), err)
	}
	if diff := cmp.Diff([]string{"1-1"}, listed(t, s)); diff != "" {
		t.Fatalf("list (-want +got):\n%s", diff)
	}
}

func TestWriteThatWentWrongIsNotPublished(t *testing.T) {
	fsys := disk.Faulty(disk.Mem(), disk.Plan{Rules: []disk.Rule{{Ops: disk.OpWrite, After: 2, Count: 1, Do: disk.Flip}}})
	s := open(t, fsys, testOptions)
	must(t, take(s, 1, 1, stream(1, 50)))
	if err := take(s, 2, 1, stream(2, 2*maxChunk)); guard.Code(err) != guard.ExitDamaged {
		t.Fatalf("got %v, want damage", err)
	}
	if entries, _ := fsys.ReadDir("snap"); len(entries) != 1 || len(listed(t, s)) != 1 {
		t.Fatalf("left behind: %v", entries)
	}
	must(t, take(s, 2, 1, stream(2, 100)))
}

// A crash behind any step leaves the snapshots there were, and the new one
// whole or not at all.
func TestCrashBetweenAnyTwoCalls(t *testing.T) {
	fsys := disk.Faulty(disk.Mem(), disk.Plan{Trace: true})
	s := open(t, fsys, testOptions)
	from := fsys.Steps()
	sizes := map[string]int{"1-1": 50, "1-2": maxChunk + 5, "1-3": 20, "2-4": 2000}
	ends := []int{from}
	for i, term := range []uint64{1, 1, 1, 2} {
		index := uint64(i + 1)
		must(t, take(s, index, term, stream(index, sizes[snapshotID(term, index)])))
		ends = append(ends, fsys.Steps())
	}
	for n := from; n <= fsys.Steps(); n++ {
		done := 0
		for done+1 < len(ends) && ends[done+1] <= n {
			done++
		}
		for seed, keep := range []disk.Keep{disk.KeepAll, disk.KeepNone, disk.KeepSome, disk.KeepSome, disk.KeepSome} {
			image := fsys.Image(n, keep, uint64(seed))
			s := open(t, image, testOptions)
			metas, err := s.List()
			must(t, err)
			if len(metas) == 0 && done > 0 || len(metas) > 0 && (metas[0].Index < uint64(done) || metas[0].Index > uint64(done+1)) {
				t.Fatalf("step %d, keep %d: %d taken, list %v", n, keep, done, listed(t, s))
			}
			if d := s.Damaged(); len(d) > 0 {
				t.Fatalf("step %d, keep %d: %v", n, keep, d)
			}
			for _, m := range metas {
				if got, err := content(s, m.ID); err != nil || !bytes.Equal(got, stream(m.Index, sizes[m.ID])) {
					t.Fatalf("step %d, keep %d: %s differs: %v", n, keep, m.ID, err)
				}
			}
			entries, err := image.ReadDir("snap")
			must(t, err)
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), tempPrefix) {
					t.Fatalf("step %d, keep %d: %s is left", n, keep, e.Name())
				}
			}
		}
	}
}

func TestFilesOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		code   int
	}{
		"cluster":           {func(o *Options) { o.ClusterID[0]++ }, guard.ExitIdentity},
		"genesis":           {func(o *Options) { o.Genesis[0]++ }, guard.ExitIdentity},
		"group":             {func(o *Options) { o.Group++ }, guard.ExitIdentity},
		"older incarnation": {func(o *Options) { o.Incarnation-- }, guard.ExitIdentity},
		"newer incarnation": {func(o *Options) { o.Incarnation++ }, guard.ExitOK},
		"genesis not known": {func(o *Options) { o.Genesis = [16]byte{} }, guard.ExitOK},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := disk.Mem()
			must(t, take(open(t, fsys, testOptions), 1, 1, nil))
			o := testOptions
			c.change(&o)
			if _, err := Open(fsys, o, quiet()); guard.Code(err) != c.code {
				t.Fatalf("got %v, want exit code %d", err, c.code)
			}
		})
	}
}

func TestFullDiskEndsTheNode(t *testing.T) {
	fsys := disk.Faulty(disk.Mem(), disk.Plan{Rules: []disk.Rule{{Ops: disk.OpWrite, After: 1, Do: disk.Full}}})
	code := 0
	g := guard.New(guard.Options{Exit: func(c int, _ string) { code = c }, Stderr: io.Discard})
	s, err := Open(fsys, testOptions, g)
	must(t, err)
	if err := take(s, 1, 1, stream(1, 3*maxChunk)); err == nil || code != guard.ExitNoSpace {
		t.Fatalf("got %v and exit code %d, want %d", err, code, guard.ExitNoSpace)
	}
	fsys.Clear()
	fsys.Crash(disk.KeepSome)
	if got := listed(t, open(t, fsys, testOptions)); got != nil {
		t.Fatalf("list after the restart: %v", got)
	}
}
