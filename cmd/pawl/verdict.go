package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

// verdict is what a demo found. lost and completed_twice come from the ledgers and
// from reading every execution back from each node, never from a server's counters.
type verdict struct {
	Started        int     `json:"started"`
	Completed      int     `json:"completed"`
	Failed         int     `json:"failed"`
	Lost           int     `json:"lost"`
	CompletedTwice int     `json:"completed_twice"`
	TasksCompleted int     `json:"tasks_completed"`
	Redelivered    int     `json:"redelivered"`
	Stale          int     `json:"stale_completions_refused"`
	LeaderKills    int     `json:"leader_kills"`
	LongestGap     int64   `json:"longest_commit_gap_ms"`
	Seconds        float64 `json:"seconds"`

	// Faults says what was lost or twice, for people.
	Faults []string `json:"faults"`
}

// maxFaults bounds the faults that are told one by one.
const maxFaults = 20

func (v *verdict) fault(format string, args ...any) {
	if len(v.Faults) < maxFaults {
		v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
	}
}

// ends is what each execution came to on the first node that was read.
type ends map[string]*apiv1.Execution

// judgeLedger counts what the worker saw, and finds tasks that were accepted under two
// leases. It gives the accepted reports by task.
func (v *verdict) judgeLedger(notes []note) map[string]note {
	accepted := map[string]note{}
	runs := map[string]map[uint64]bool{}
	for _, n := range notes {
		switch n.Kind {
		case noteRun:
			if runs[n.Task] == nil {
				runs[n.Task] = map[uint64]bool{}
			}
			runs[n.Task][n.Lease] = true
		case noteStale:
			v.Stale++
		case noteDone, noteFailed:
			if before, twice := accepted[n.Task]; twice && before.Lease != n.Lease {
				v.CompletedTwice++
				v.fault("task %s was accepted under leases %d and %d", n.Task, before.Lease, n.Lease)
			} else if !twice && n.Kind == noteDone {
				v.TasksCompleted++
			}
			accepted[n.Task] = n
		}
	}
	for task, leases := range runs { // a run without an accepted report was for nothing: the step ran again
		for lease := range leases {
			if accepted[task].Lease != lease {
				v.Redelivered++
			}
		}
	}
	return accepted
}

// judgeNode reads every execution back from one node and compares it with what was
// acknowledged and with what other nodes said.
func (v *verdict) judgeNode(ctx context.Context, addr, position string, started []string, accepted map[string]note, seen ends) {
	c := nodeClient(addr)
	read := &apiv1.Read{AtLeast: position}
	byExecution := map[string][]note{}
	for _, n := range accepted {
		byExecution[n.Execution] = append(byExecution[n.Execution], n)
	}
	for _, id := range started {
		e, tasks, err := readExecution(ctx, c, id, read)
		if err != nil {
			v.Lost++
			v.fault("node %s: execution %s was acknowledged and cannot be read: %v", addr, id, err)
			continue
		}
		v.judgeExecution(addr, e, seen)
		v.judgeTasks(addr, byExecution[id], tasks)
		delete(byExecution, id)
	}
	for id, notes := range byExecution {
		v.Lost += len(notes)
		v.fault("node %s: execution %s is not among the started ones and has %d reports", addr, id, len(notes))
	}
}

// nodeClient asks one node and no other: it follows no leader.
func nodeClient(addr string) apiv1connect.ExecutionServiceClient {
	return apiv1connect.NewExecutionServiceClient(http.DefaultClient, "http://"+addr)
}

func readExecution(ctx context.Context, c apiv1connect.ExecutionServiceClient, id string, read *apiv1.Read) (*apiv1.Execution, map[string]*apiv1.Task, error) {
	tasks := map[string]*apiv1.Task{}
	req := &apiv1.GetExecutionRequest{ExecutionId: id, Tasks: true, Read: read}
	for {
		res, err := c.Get(ctx, req)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range res.Tasks {
			tasks[t.Id] = t
		}
		if res.NextSerial == 0 {
			return res.Execution, tasks, nil
		}
		req.FirstSerial = res.NextSerial
	}
}

func (v *verdict) judgeExecution(addr string, e *apiv1.Execution, seen ends) {
	if e.Status == apiv1.Execution_RUNNING || e.Status == apiv1.Execution_PAUSED {
		v.Lost++
		v.fault("node %s: execution %s has no end", addr, e.Id)
		return
	}
	first, ok := seen[e.Id]
	if !ok {
		seen[e.Id] = e
		return
	}
	if first.Status != e.Status || !first.Ended.AsTime().Equal(e.Ended.AsTime()) || first.Output != e.Output {
		v.CompletedTwice++
		v.fault("execution %s ended as %s, and on node %s as %s", e.Id, first.Status, addr, e.Status)
	}
}

func (v *verdict) judgeTasks(addr string, notes []note, tasks map[string]*apiv1.Task) {
	for _, n := range notes {
		t, ok := tasks[n.Task]
		switch {
		case !ok:
			v.Lost++
			v.fault("node %s: task %s was reported and is not there", addr, n.Task)
		case t.DoneLease != n.Lease:
			v.CompletedTwice++
			v.fault("node %s: task %s was acknowledged under lease %d and is done under %d", addr, n.Task, n.Lease, t.DoneLease)
		case n.Kind == noteDone && t.Status != apiv1.Task_COMPLETED,
			n.Kind == noteFailed && t.Status == apiv1.Task_COMPLETED:
			v.Lost++
			v.fault("node %s: task %s was acknowledged as %s and is %s", addr, n.Task, n.Kind, t.Status)
		}
	}
}

// count sums up how the executions ended.
func (v *verdict) count(seen ends) {
	for _, e := range seen {
		if e.Status == apiv1.Execution_COMPLETED {
			v.Completed++
		} else {
			v.Failed++
		}
	}
}

// longestGap is the longest time between two acknowledgements that follow one another
// at one client, while load was offered.
func longestGap(acks []int64, until int64) int64 {
	slices.Sort(acks)
	var longest int64
	for i := 1; i < len(acks) && acks[i-1] < until; i++ {
		longest = max(longest, acks[i]-acks[i-1])
	}
	return longest
}

func (v *verdict) good() bool { return v.Lost == 0 && v.CompletedTwice == 0 }

// text is the table that ends a demo.
func (v *verdict) text() string {
	var b strings.Builder
	t := newTable(&b, "RESULT", "")
	for _, r := range []struct {
		name  string
		value any
	}{
		{"started", v.Started}, {"completed", v.Completed}, {"failed", v.Failed}, {"lost", v.Lost},
		{"completed twice", v.CompletedTwice}, {"tasks completed", v.TasksCompleted}, {"redelivered", v.Redelivered},
		{"stale completions refused", v.Stale}, {"leader kills", v.LeaderKills},
		{"longest commit gap", time.Duration(v.LongestGap) * time.Millisecond}, {"seconds", fmt.Sprintf("%.1f", v.Seconds)},
	} {
		t.row(r.name, fmt.Sprint(r.value))
	}
	_ = t.flush() // into memory
	return b.String()
}
