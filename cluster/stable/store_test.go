package stable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// place is where a store can be opened again and again.
type place struct {
	open func(exit func(int, string)) (*Store, error)
}

func quiet() *guard.Guard {
	return guard.New(guard.Options{Exit: func(int, string) {}, Stderr: io.Discard})
}

// places are the implementations, all held to the same tests.
func places(t *testing.T) map[string]place {
	path := filepath.Join(t.TempDir(), "stable.db")
	fsys := disk.Mem()
	return map[string]place{
		"bolt": {func(exit func(int, string)) (*Store, error) { return OpenBolt(path, quiet(), exit) }},
		"fs":   {func(exit func(int, string)) (*Store, error) { return OpenFS(fsys, "raft/stable", quiet(), exit) }},
	}
}

func (p place) must(t *testing.T) *Store {
	t.Helper()
	s, err := p.open(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p place) reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return p.must(t)
}

// persistVote does what raft does.
func persistVote(s *Store, term uint64, candidate string) error {
	if err := s.SetUint64([]byte(keyVoteTerm), term); err != nil {
		return err
	}
	return s.Set([]byte(keyVoteCandidate), []byte(candidate))
}

// voted is the vote as raft reads it.
func voted(s *Store) string {
	term, err1 := s.GetUint64([]byte(keyVoteTerm))
	candidate, err2 := s.Get([]byte(keyVoteCandidate))
	if err := errors.Join(err1, err2); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", term, candidate)
}

func TestValuesComeBack(t *testing.T) {
	for name, p := range places(t) {
		t.Run(name, func(t *testing.T) {
			s := p.must(t)
			for _, key := range []string{keyCurrentTerm, keyVoteTerm, "other"} {
				if _, err := s.GetUint64([]byte(key)); err == nil || err.Error() != "not found" {
					t.Fatalf("number %s of an empty store: got %v", key, err)
				}
			}
			for _, key := range []string{keyVoteCandidate, "other"} {
				if _, err := s.Get([]byte(key)); err == nil || err.Error() != "not found" {
					t.Fatalf("value %s of an empty store: got %v", key, err)
				}
			}
			err := errors.Join(
				s.SetUint64([]byte(keyCurrentTerm), 7),
				persistVote(s, 7, "node-a"),
				s.Set([]byte("other"), []byte("value")),
			)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				term, err := s.GetUint64([]byte(keyCurrentTerm))
				if err != nil || term != 7 {
					t.Fatalf("term: got %d and %v, want 7", term, err)
				}
				if got := voted(s); got != "7 node-a" {
					t.Fatalf("vote: got %q", got)
				}
				if v, err := s.Get([]byte("other")); err != nil || string(v) != "value" {
					t.Fatalf("other: got %q and %v", v, err)
				}
				s = p.reopen(t, s)
			}
			if err := persistVote(s, 9, ""); err != nil || voted(s) != "9 " {
				t.Fatalf("vote without a candidate: got %q and %v", voted(s), err)
			}
			s.Close()
		})
	}
}

// A crash between the two calls of a vote leaves the older vote, whole.
func TestCrashBetweenVoteWrites(t *testing.T) {
	for name, p := range places(t) {
		t.Run(name, func(t *testing.T) {
			s := p.must(t)
			if err := persistVote(s, 6, "node-a"); err != nil {
				t.Fatal(err)
			}
			if err := s.SetUint64([]byte(keyVoteTerm), 7); err != nil {
				t.Fatal(err)
			}
			if got := voted(s); got != "6 node-a" {
				t.Fatalf("between the calls: got %q", got)
			}
			s = p.reopen(t, s)
			if got := voted(s); got != "6 node-a" {
				t.Fatalf("after a restart between the calls: got %q, want the vote of term 6", got)
			}
			if err := persistVote(s, 7, "node-b"); err != nil {
				t.Fatal(err)
			}
			if got := voted(s); got != "7 node-b" {
				t.Fatalf("after both calls: got %q", got)
			}
			s.Close()
		})
	}
}

// At every step of a vote, a power cut leaves the old vote or the new one.
func TestCrashDuringAVote(t *testing.T) {
	fsys := disk.Faulty(disk.Mem(), disk.Plan{Trace: true})
	s, err := OpenFS(fsys, "raft/stable", quiet(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := persistVote(s, 1, "node-0"); err != nil {
		t.Fatal(err)
	}
	for i := uint64(2); i < 6; i++ {
		from := fsys.Steps()
		if err := persistVote(s, i, fmt.Sprintf("node-%d", i)); err != nil {
			t.Fatal(err)
		}
		before, after := fmt.Sprintf("%d node-%d", i-1, i-1), fmt.Sprintf("%d node-%d", i, i)
		if i == 2 {
			before = "1 node-0"
		}
		for n := from; n <= fsys.Steps(); n++ {
			for seed, keep := range []disk.Keep{disk.KeepAll, disk.KeepNone, disk.KeepSome, disk.KeepSome, disk.KeepSome} {
				again, err := OpenFS(fsys.Image(n, keep, uint64(seed)), "raft/stable", quiet(), nil)
				if err != nil {
					t.Fatalf("step %d, keep %d: %v", n, keep, err)
				}
				if got := voted(again); got != after && (n == fsys.Steps() || got != before) {
					t.Fatalf("step %d of %d, keep %d: got %q", n, fsys.Steps(), keep, got)
				}
			}
		}
	}
}

func TestTermNeverFalls(t *testing.T) {
	for name, p := range places(t) {
		t.Run(name, func(t *testing.T) {
			var codes []int
			s, err := p.open(func(code int, _ string) { codes = append(codes, code) })
			if err != nil {
				t.Fatal(err)
			}
			for _, term := range []uint64{3, 3, 8} {
				if err := s.SetUint64([]byte(keyCurrentTerm), term); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.SetUint64([]byte(keyCurrentTerm), 7); err == nil || len(codes) != 1 || codes[0] != guard.ExitInvariant {
				t.Fatalf("term 7 after 8: got %v, exit codes %v", err, codes)
			}
			if err := persistVote(s, 7, "node-a"); err == nil {
				t.Fatal("a vote was stored after the term fell")
			}
			s = p.reopen(t, s)
			if term, err := s.GetUint64([]byte(keyCurrentTerm)); err != nil || term != 8 {
				t.Fatalf("after a restart: got %d and %v, want 8", term, err)
			}
			s.Close()
		})
	}
}

// checkFlipped says whether a store with a flipped byte was refused. If not, it
// must answer with the vote and term that were stored last.
func checkFlipped(t *testing.T, at int, s *Store, err error) (refused bool) {
	t.Helper()
	if err != nil {
		if guard.Code(err) != guard.ExitDamaged {
			t.Fatalf("byte %d: got %v, want damage", at, err)
		}
		return true
	}
	defer s.Close()
	term, err := s.GetUint64([]byte(keyCurrentTerm))
	if err != nil || term != 9 || voted(s) != "9 node-b" {
		t.Fatalf("byte %d: got term %d, %v, vote %q", at, term, err, voted(s))
	}
	return false
}

// fill leaves term 9 and a vote for node-b, after others, and closes the store.
func fill(t *testing.T, s *Store, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		s.SetUint64([]byte(keyCurrentTerm), 8), persistVote(s, 8, "node-a"),
		s.SetUint64([]byte(keyCurrentTerm), 9), persistVote(s, 9, "node-b"), s.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever byte of the file is flipped, the store refuses to open, or answers
// with the vote and term that were stored last.
func TestFlippedVote(t *testing.T) {
	fsys := disk.Mem()
	s, err := OpenFS(fsys, "s", quiet(), nil)
	fill(t, s, err)
	data, err := disk.ReadFile(fsys, "s")
	if err != nil {
		t.Fatal(err)
	}
	for at := range data {
		bad := append([]byte(nil), data...)
		bad[at] ^= 0x10
		if err := disk.Replace(fsys, "s", bad); err != nil {
			t.Fatal(err)
		}
		s, err := OpenFS(fsys, "s", quiet(), nil)
		if !checkFlipped(t, at, s, err) {
			t.Fatalf("byte %d: a flipped byte was not noticed", at)
		}
	}
}

// The same in a bbolt file, whose own structure can be hit as well.
func TestFlippedVoteInBolt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stable.db")
	s, err := OpenBolt(path, quiet(), nil)
	fill(t, s, err)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused, tried := 0, 0
	for at, b := range data {
		if b == 0 && at%256 != 0 { // each costs a real sync or two
			continue
		}
		for _, mask := range []byte{0x01, 0x10, 0xff} {
			bad := append([]byte(nil), data...)
			bad[at] ^= mask
			name := filepath.Join(dir, fmt.Sprintf("flip-%d-%d", at, mask))
			if err := os.WriteFile(name, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			tried++
			s, err := OpenBolt(name, quiet(), nil)
			if checkFlipped(t, at, s, err) {
				refused++
			}
		}
	}
	t.Logf("%d of %d flips refused, the others harmless", refused, tried)
	if refused == 0 {
		t.Fatal("no flip was noticed")
	}
}

func TestStableStoreLatches(t *testing.T) {
	fsys := disk.Faulty(disk.Mem(), disk.Plan{})
	code := 0
	g := guard.New(guard.Options{Exit: func(c int, _ string) { code = c }, Stderr: io.Discard})
	s, err := OpenFS(fsys, "s", g, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := persistVote(s, 1, "node-a"); err != nil {
		t.Fatal(err)
	}
	fsys.Add(disk.Rule{Ops: disk.OpSync, Count: 1, Do: disk.Fail})
	if err := persistVote(s, 2, "node-b"); err == nil || code != guard.ExitStorage {
		t.Fatalf("failed sync: got %v and exit code %d", err, code)
	}
	if err := persistVote(s, 3, "node-c"); err == nil {
		t.Fatal("a vote was stored after an error")
	}
}
