package behaviour

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pawlhq/pawl/builtin"
	"github.com/pawlhq/pawl/fsm"
)

// jobQueues are the queues of what the engine does.
var jobQueues = []fsm.Queue{"$script", "$jq", "$time"}

// serveScripts makes this process a child of the engine if it was started as one.
func serveScripts() {
	if builtin.IsChild() {
		os.Exit(builtin.ServeChild(os.Stdin, os.Stdout))
	}
}

// engines are the pools of this process by their time limit.
var engines = struct {
	sync.Mutex
	pools map[time.Duration]*builtin.Pool
}{pools: map[time.Duration]*builtin.Pool{}}

func engine(t testing.TB, limit time.Duration) *builtin.Pool {
	t.Helper()
	engines.Lock()
	defer engines.Unlock()
	if p := engines.pools[limit]; p != nil {
		return p
	}
	p, err := builtin.NewPool(builtin.PoolConfig{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	engines.pools[limit] = p
	return p
}

// closeEngines ends the children of this process.
func closeEngines() {
	engines.Lock()
	defer engines.Unlock()
	for _, p := range engines.pools {
		p.Close()
	}
}

// maxJobs bounds the jobs that are leased in one entry.
const maxJobs = 64

// answerJobs does the scripts, jq expressions and time zones that wait, and says whether
// there were any.
func (w *world) answerJobs() bool {
	w.t.Helper()
	e := &fsm.Entry{Work: fsm.MaxWork}
	for _, q := range jobQueues {
		for range min(w.ready[q], maxJobs) {
			w.slot++
			e.Offers = append(e.Offers, fsm.Offer{Slot: fsm.Slot{Node: node, Boot: 1, N: w.slot}, Queue: q, Worker: "engine"})
		}
	}
	if len(e.Offers) == 0 {
		return false
	}
	var answers []fsm.Body
	for _, l := range w.apply(e).Grants {
		delete(w.held, l.Task)
		answers = append(answers, w.evaluate(l))
	}
	for _, r := range w.send(answers...) {
		if r.Rejection != nil {
			w.t.Fatalf("the answer of a script was refused: %v", r.Rejection)
		}
	}
	return true
}

// evaluate does one job as a node does.
func (w *world) evaluate(l fsm.Leased) fsm.Body {
	w.t.Helper()
	var j builtin.Job
	if err := json.Unmarshal(l.Input, &j); err != nil {
		w.t.Fatalf("job %s: %v", l.Input, err)
	}
	if j.Now == 0 {
		j.Now = int64(w.now)
	}
	out, err := engine(w.t, w.patience).Evaluate(context.Background(), j)
	if err != nil {
		w.t.Fatalf("job %s: %v", l.Input, err)
	}
	return &fsm.FinishJob{Task: l.Task, Lease: l.Lease, Result: out.Result,
		Failure: fsm.JobFailure(out.Failure), Message: out.Message, Line: out.Line}
}
