package cluster

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/fsm"
)

func TestIdentitySurvivesRestartsAndRaisesItsBoot(t *testing.T) {
	fsys := disk.Mem()
	first, err := loadIdentity(fsys)
	if err != nil || first.id.Boot != 1 || first.id.Node.IsZero() || first.id.Admitted {
		t.Fatalf("got %+v, %v", first, err)
	}
	first.id.Promised = fsm.NodeID{7}
	first.id.Cluster, first.id.Genesis, first.id.Admitted, first.id.Incarnation = [16]byte{1}, [16]byte{2}, true, 3
	members := []Member{{ID: fsm.NodeID{7}, PeerAddr: "a:1", ClientAddr: "a:2"}}
	if err := errors.Join(first.save(), first.saveMembers(members)); err != nil {
		t.Fatal(err)
	}
	want := first.id
	want.Boot = 2
	second, err := loadIdentity(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, second.id); d != "" {
		t.Fatal(d)
	}
	got, err := second.loadMembers()
	if d := cmp.Diff(members, got); err != nil || d != "" {
		t.Fatal(err, d)
	}
}

func TestIdentityThatIsNotWholeEndsTheNode(t *testing.T) {
	write := func(t *testing.T, fsys disk.FS, at int64, b byte) {
		f, err := fsys.Open(identityFile, os.O_RDWR, disk.FilePerm)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{b}, at); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name  string
		spoil func(t *testing.T, fsys disk.FS)
		code  int
	}{
		{"flipped", func(t *testing.T, f disk.FS) { write(t, f, 30, 0xff) }, guard.ExitDamaged},
		{"other file", func(t *testing.T, f disk.FS) { write(t, f, 0, 'X') }, guard.ExitDamaged},
		{"newer", func(t *testing.T, f disk.FS) { write(t, f, 8, 9) }, guard.ExitVersion},
		{"missing beside data", func(t *testing.T, f disk.FS) {
			if err := f.Remove(identityFile); err != nil {
				t.Fatal(err)
			}
			if err := f.MkdirAll("raft/wal/x", disk.FolderPerm); err != nil {
				t.Fatal(err)
			}
		}, guard.ExitDamaged},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			fsys := disk.Mem()
			if _, err := loadIdentity(fsys); err != nil {
				t.Fatal(err)
			}
			tc.spoil(t, fsys)
			_, err := loadIdentity(fsys)
			var coded interface{ ExitCode() int }
			if !errors.As(err, &coded) || coded.ExitCode() != tc.code {
				t.Fatalf("got %v, want an error of code %d", err, tc.code)
			}
		})
	}
}

func TestConfigNamesTheFieldThatIsWrong(t *testing.T) {
	cases := map[string]Config{
		"data":                 {},
		"profile":              {Dir: "d", Profile: "moon"},
		"expect":               {Dir: "d", Expect: 2},
		"batch.commands":       {Dir: "d", BatchCommands: 1},
		"lease (ms)":           {Dir: "d", Timing: Timing{Lease: 10_000_000_000}},
		"join (addresses)":     {Dir: "d", Join: make([]string, maxSeeds+1)},
		"propose_timeout (ms)": {Dir: "d", ProposeTimeout: 1},
	}
	for field, cfg := range cases {
		var wrong *FieldError
		if _, err := cfg.check(); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestEnvelopeRoundTripAndRefusals(t *testing.T) {
	n := Nonce{fsm.NodeID{1}, 2, 3}
	origins := []origin{{fsm.NodeID{1}, 2, 9}, {fsm.NodeID{4}, 5, 1 << 40}, {fsm.NodeID{1}, 2, 10}}
	b := append(appendHead(nil, n, 7, origins), "entry"...)
	e, err := readEnvelope(b)
	if err != nil || e.nonce != n || e.term != 7 || string(e.entry) != "entry" || !cmp.Equal(e.origins, origins, cmp.AllowUnexported(origin{})) {
		t.Fatalf("got %+v, %v", e, err)
	}
	for i := range len(b) - len("entry") {
		if _, err := readEnvelope(b[:i]); !errors.Is(err, fsm.ErrCorrupt) {
			t.Fatalf("cut at %d: got %v", i, err)
		}
	}
}

func TestOutcomeAndLeaseRoundTrip(t *testing.T) {
	outcomes := []struct {
		o   fsm.Outcome
		err error
	}{
		{o: fsm.Outcome{Position: fsm.Position{Incarnation: 1, Group: 2, Index: 3}, Result: fsm.Result{
			Exec: fsm.ExecID{Hi: 1, Lo: 2}, Task: fsm.TaskID{Exec: fsm.ExecID{Hi: 3, Lo: 4}, Serial: 5}, Version: -1, Index: 3, Repeated: true, Ignored: true,
			Rejection: &fsm.Rejection{Code: fsm.StaleLease, Message: "m", Problems: []fsm.Problem{{Path: "p", Message: "q"}}, Got: 1, Want: 2}}}},
		{err: &fsm.NotLeaderError{Leader: fsm.NodeID{9}, Addr: "x"}},
		{err: &fsm.OverloadedError{Reason: "r", RetryAfter: 7}},
		{err: fsm.ErrNoLeader},
		{err: fsm.ErrUnknown},
	}
	for _, tc := range outcomes {
		w := &out{}
		writeOutcome(w, tc.o, tc.err)
		r := &in{b: w.b}
		o, err := readOutcome(r)
		if r.err != nil || len(r.b) != 0 || !cmp.Equal(o, tc.o) || (err == nil) != (tc.err == nil) || err != nil && err.Error() != tc.err.Error() {
			t.Errorf("got %+v, %v; want %+v, %v (%v)", o, err, tc.o, tc.err, r.err)
		}
	}
	l := fsm.Leased{
		Slot: fsm.Slot{Node: fsm.NodeID{1}, Boot: 2, N: 3}, Task: fsm.TaskID{Exec: fsm.ExecID{Hi: 1}, Serial: 2}, Lease: 4, Queue: "q", Type: "t", Ref: "r",
		Definition: "d", Retry: 1, Iteration: 2, Priority: -3, Correlation: "c", Worker: "w", Input: []byte("{}"), Scheduled: 5, ResponseMillis: 6, Hints: []fsm.Queue{"h"}, Index: 7, Wants: []string{"s", "t"},
	}
	w := &out{}
	writeLeased(w, &l)
	r := &in{b: w.b}
	if got := readLeased(r); r.err != nil || len(r.b) != 0 || !cmp.Equal(got, l) {
		t.Errorf("got %+v, want %+v (%v)", got, l, r.err)
	}
}
