package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

// book is a node that answers from what a test wrote into it.
type book struct {
	apiv1connect.UnimplementedExecutionServiceHandler
	executions map[string]*apiv1.Execution
	tasks      map[string][]*apiv1.Task
}

func (b *book) Get(_ context.Context, req *apiv1.GetExecutionRequest) (*apiv1.GetExecutionResponse, error) {
	e, ok := b.executions[req.ExecutionId]
	if !ok {
		return nil, connect.NewError(connect.CodeNotFound, nil)
	}
	return &apiv1.GetExecutionResponse{Execution: e, Tasks: b.tasks[req.ExecutionId]}, nil
}

// story is a run in which nothing went wrong: two executions of one task each, one of
// them run twice, on three nodes that agree.
type story struct {
	started []string
	notes   []note
	nodes   []*book
}

func goodStory() *story {
	s := &story{
		started: []string{"e1", "e2"},
		notes: []note{
			{Kind: noteRun, Task: "t1", Execution: "e1", Lease: 11},
			{Kind: noteDone, Task: "t1", Execution: "e1", Lease: 11},
			{Kind: noteRun, Task: "t2", Execution: "e2", Lease: 12}, // its worker was killed
			{Kind: noteRun, Task: "t2", Execution: "e2", Lease: 13},
			{Kind: noteStale, Task: "t2", Execution: "e2", Lease: 12},
			{Kind: noteFailed, Task: "t2", Execution: "e2", Lease: 13},
		},
	}
	for range 3 {
		ended := timestamppb.New(time.Unix(1_800_000_000, 0))
		s.nodes = append(s.nodes, &book{
			executions: map[string]*apiv1.Execution{
				"e1": {Id: "e1", Status: apiv1.Execution_COMPLETED, Ended: ended, Output: `{"n":1}`},
				"e2": {Id: "e2", Status: apiv1.Execution_FAILED, Ended: ended},
			},
			tasks: map[string][]*apiv1.Task{
				"e1": {{Id: "t1", Status: apiv1.Task_COMPLETED, DoneLease: 11}},
				"e2": {{Id: "t2", Status: apiv1.Task_FAILED, DoneLease: 13}},
			},
		})
	}
	return s
}

// judge reads the story as a demo reads its cluster.
func (s *story) judge(t *testing.T) *verdict {
	t.Helper()
	v, seen := &verdict{Started: len(s.started)}, ends{}
	accepted := v.judgeLedger(s.notes)
	for _, b := range s.nodes {
		mux := http.NewServeMux()
		mux.Handle(apiv1connect.NewExecutionServiceHandler(b))
		node := httptest.NewServer(mux)
		defer node.Close()
		v.judgeNode(t.Context(), strings.TrimPrefix(node.URL, "http://"), "", s.started, accepted, seen)
	}
	v.count(seen)
	return v
}

func TestJudgeFindsNothingInAGoodRun(t *testing.T) {
	v := goodStory().judge(t)
	if !v.good() || len(v.Faults) != 0 {
		t.Fatalf("the judge found %v; want nothing", v.Faults)
	}
	if v.Completed != 1 || v.Failed != 1 || v.TasksCompleted != 1 || v.Redelivered != 1 || v.Stale != 1 {
		t.Errorf("got %+v; want one of each", *v)
	}
}

func TestJudgeFindsWhatADoctoredRunHides(t *testing.T) {
	for _, c := range []struct {
		name   string
		doctor func(s *story)
		lost   bool
		twice  bool
		says   string
	}{
		{"a start is gone", func(s *story) { delete(s.nodes[2].executions, "e1") }, true, false, "e1 was acknowledged and cannot be read"},
		{"a completed task is gone", func(s *story) { s.nodes[1].tasks["e1"] = nil }, true, false, "t1 was reported and is not there"},
		{"a completion is gone", func(s *story) { s.nodes[0].tasks["e1"][0].Status = apiv1.Task_TIMED_OUT }, true, false, "t1 was acknowledged as done and is TIMED_OUT"},
		{"a failure became a success", func(s *story) { s.nodes[0].tasks["e2"][0].Status = apiv1.Task_COMPLETED }, true, false, "t2 was acknowledged as failed and is COMPLETED"},
		{"an execution has no end", func(s *story) { s.nodes[0].executions["e2"].Status = apiv1.Execution_RUNNING }, true, false, "e2 has no end"},
		{"a paused execution has no end", func(s *story) { s.nodes[2].executions["e2"].Status = apiv1.Execution_PAUSED }, true, false, "e2 has no end"},
		{"a report of an execution nobody started", func(s *story) { s.started = s.started[:1] }, true, false, "e2 is not among the started ones"},
		{"two leases were accepted", func(s *story) {
			s.notes = append(s.notes, note{Kind: noteDone, Task: "t1", Execution: "e1", Lease: 14})
		}, false, true, "t1 was accepted under leases 11 and 14"},
		{"a completion and a failure were accepted", func(s *story) {
			s.notes = append(s.notes, note{Kind: noteFailed, Task: "t1", Execution: "e1", Lease: 15})
		}, false, true, "t1 was accepted under leases 11 and 15"},
		{"a task is done under another lease", func(s *story) { s.nodes[1].tasks["e1"][0].DoneLease = 16 }, false, true, "is done under 16"},
		{"two nodes tell two ends", func(s *story) { s.nodes[2].executions["e1"].Status = apiv1.Execution_TERMINATED }, false, true, "e1 ended as COMPLETED"},
		{"two nodes tell two outputs", func(s *story) { s.nodes[1].executions["e1"].Output = `{"n":2}` }, false, true, "e1 ended as COMPLETED"},
		{"two nodes tell two times", func(s *story) {
			s.nodes[1].executions["e1"].Ended = timestamppb.New(time.Unix(1_800_000_001, 0))
		}, false, true, "e1 ended as COMPLETED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := goodStory()
			c.doctor(s)
			v := s.judge(t)
			if c.lost && v.Lost == 0 || c.twice && v.CompletedTwice == 0 || v.good() {
				t.Errorf("the judge says lost %d, twice %d; want lost %v, twice %v", v.Lost, v.CompletedTwice, c.lost, c.twice)
			}
			if !slices.ContainsFunc(v.Faults, func(f string) bool { return strings.Contains(f, c.says) }) {
				t.Errorf("it says %q; want %q", v.Faults, c.says)
			}
		})
	}
}

func TestLedgerKeepsWholeLinesAndDropsTheHalfOfAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := openLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range []string{"t1", "t2"} {
		if err := l.write(note{Kind: noteDone, Task: task, Lease: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `{"kind":"do`...), 0o600); err != nil {
		t.Fatal(err)
	}
	notes, err := readLedger(path)
	if err != nil || len(notes) != 2 || notes[1].Task != "t2" {
		t.Errorf("got %v, %v; want both notes", notes, err)
	}
	if err := os.WriteFile(path, append([]byte("rubbish\n"), whole...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readLedger(path); err == nil {
		t.Error("a damaged ledger was read; want an error, since it proves nothing")
	}
}

func TestGapIsTheLongestSilenceUnderLoad(t *testing.T) {
	for _, c := range []struct {
		acks  []int64
		until int64
		want  int64
	}{
		{nil, 100, 0},
		{[]int64{10}, 100, 0},
		{[]int64{30, 10, 25}, 100, 15},
		{[]int64{10, 20, 900}, 20, 10}, // nothing was offered after 20
	} {
		if got := longestGap(slices.Clone(c.acks), c.until); got != c.want {
			t.Errorf("longestGap(%v, %d) = %d, want %d", c.acks, c.until, got, c.want)
		}
	}
}

func TestVerdictOfALossEndsTheDemoWithAnError(t *testing.T) {
	d := &demo{talk: &strings.Builder{}}
	cmd := newRoot()
	cmd.SetOut(&strings.Builder{})
	for _, v := range []*verdict{{Lost: 1}, {CompletedTwice: 1}} {
		if err := d.tell(cmd, &globals{output: "json"}, v, "somewhere"); exitCode(err) != exitFailed {
			t.Errorf("%+v ends with %v; want exit code 1", *v, err)
		}
	}
	if err := d.tell(cmd, &globals{output: "json"}, &verdict{}, "somewhere"); err != nil {
		t.Errorf("a good run ends with %v", err)
	}
}
