package builtin

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// desk is a scheduler and a log in which tests say what happens.
type desk struct {
	leases chan fsm.Leased
	// refuse gives what becomes of a command instead of its being taken.
	refuse func(fsm.Body, int) (*fsm.Rejection, error)

	mu       sync.Mutex
	credits  int
	order    []string
	tries    int
	finished []*fsm.FinishJob
	returned []*fsm.ReturnLease
	spec     fsm.SlotSpec
}

func (d *desk) Park(ctx context.Context, s fsm.SlotSpec) (fsm.StreamID, <-chan fsm.Leased, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spec = s
	out := make(chan fsm.Leased)
	go func() {
		defer close(out)
		for {
			select {
			case l := <-d.leases:
				out <- l
			case <-ctx.Done():
				return
			}
		}
	}()
	return 1, out, nil
}

func (d *desk) Credit(_ fsm.StreamID, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.credits += n
	d.order = append(d.order, "credit")
}

func (d *desk) Propose(_ context.Context, c *fsm.Command) (out fsm.Outcome, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries++
	if d.refuse != nil {
		if out.Result.Rejection, err = d.refuse(c.Body, d.tries); err != nil || out.Result.Rejection != nil {
			return out, err
		}
	}
	d.order = append(d.order, "answer")
	switch b := c.Body.(type) {
	case *fsm.FinishJob:
		d.finished = append(d.finished, b)
	case *fsm.ReturnLease:
		d.returned = append(d.returned, b)
	}
	return out, nil
}

func (d *desk) AtLeast(_ context.Context, p fsm.Position) (fsm.View, error) {
	s := fsm.New(0)
	s.Apply(p.Index, &fsm.Entry{Commands: []*fsm.Command{{Body: &fsm.PutSecret{Name: "key", Value: "s3"}}}})
	return s.View(), nil
}

func (d *desk) Stale() (fsm.View, time.Duration) { return fsm.View{}, 0 }

func (d *desk) look(see func() bool) func() bool {
	return func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return see()
	}
}

var someExec = fsm.ExecID{Hi: 1, Lo: 2}

func lease(serial uint32, j Job) fsm.Leased {
	input, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	return fsm.Leased{Task: fsm.TaskID{Exec: someExec, Serial: serial}, Lease: fsm.Lease(serial), Queue: Queues[0],
		Input: input, Scheduled: 1000, ResponseMillis: 15_000}
}

// work runs workers until the test ends, or either function is called.
func work(t *testing.T, d *desk, limit time.Duration) (stop, kill func()) {
	t.Helper()
	d.leases = make(chan fsm.Leased)
	w := NewWorkers("me", newPool(t, limit), d, d, d, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	stopped, ended := make(chan struct{}), make(chan struct{})
	stop = sync.OnceFunc(func() { close(stopped); <-ended })
	go func() {
		w.Run(ctx, stopped)
		close(ended)
	}()
	t.Cleanup(func() { stop(); cancel() })
	return stop, func() { cancel(); <-ended }
}

func TestWorkersAnswerTheJobsTheyLease(t *testing.T) {
	var d desk
	work(t, &d, time.Second)
	jobs := []Job{
		{Language: script, Source: "$.a + 1", Input: json.RawMessage(`{"a": 1}`)},
		{Language: script, Source: "1;\nthrow 'x'"},
		{Language: JQ, Source: ".[]", Input: json.RawMessage(`[1, 2]`)},
		{Language: Zone, Source: "1970-01-01 01:00 Europe/Berlin"},
		{Language: script, Source: "new Date().getTime()"},
		{Language: script, Source: "Date.now()", Now: 7},
		{Language: "python", Source: "1"},
	}
	for i, j := range jobs {
		d.leases <- lease(uint32(i+1), j)
		await(t, "the job is answered", d.look(func() bool { return len(d.finished) == i+1 }))
	}
	for i, want := range []Outcome{
		{Result: json.RawMessage("2")}, {Failure: fsm.JobThrew, Message: "x", Line: 2}, {Result: json.RawMessage("[1,2]")},
		{Result: json.RawMessage("0")}, {Result: json.RawMessage("1000")}, {Result: json.RawMessage("7")},
		{Failure: fsm.JobThrew, Message: "Python is not available on this server: use javascript"},
	} {
		got := d.finished[i]
		if got.Task.Serial != uint32(i+1) || got.Lease != fsm.Lease(i+1) || string(got.Result) != string(want.Result) ||
			got.Failure != want.Failure || got.Message != want.Message || got.Line != want.Line {
			t.Errorf("job %d: got %+v, want %+v", i+1, got, want)
		}
	}
	if d.credits != len(jobs) || d.order[0] != "credit" {
		t.Errorf("credit: got %d, %v; want one for each job, before its answer", d.credits, d.order)
	}
	if d.spec.Worker != "me" || len(d.spec.Queues) != 3 || d.spec.Credit < 1 {
		t.Errorf("slots: got %+v", d.spec)
	}
}

func TestJobsAreToldTheSecretsOfTheirInputOnly(t *testing.T) {
	var d desk
	work(t, &d, time.Second)
	l := lease(1, Job{Language: script, Source: "$.k + '${workflow.secrets.key}'.length", Input: json.RawMessage(`{"k": "${workflow.secrets.key}"}`)})
	l.Index = 5
	d.leases <- l
	await(t, "the job is answered", d.look(func() bool { return len(d.finished) == 1 }))
	if got := string(d.finished[0].Result); got != `"s323"` {
		t.Errorf("got %s, want the secret and the length of its name in the source", got)
	}
}

func TestAnAnswerIsRepeatedUntilItIsTaken(t *testing.T) {
	d := desk{refuse: func(_ fsm.Body, try int) (*fsm.Rejection, error) {
		switch try {
		case 1:
			return nil, fsm.ErrNoLeader
		case 2:
			return nil, fsm.ErrUnknown
		case 3:
			return nil, &fsm.OverloadedError{Reason: "queue"}
		}
		return nil, nil
	}}
	work(t, &d, time.Second)
	d.leases <- lease(1, Job{Language: script, Source: "1"})
	await(t, "the job is answered", d.look(func() bool { return len(d.finished) == 1 && d.tries == 4 }))
}

func TestAnAnswerIsNotRepeatedBeyondItsLease(t *testing.T) {
	d := desk{refuse: func(_ fsm.Body, _ int) (*fsm.Rejection, error) { return nil, fsm.ErrNoLeader }}
	stop, _ := work(t, &d, time.Second)
	l := lease(1, Job{Language: script, Source: "1"})
	l.ResponseMillis = 200
	d.leases <- l
	await(t, "the slot is free again", d.look(func() bool { return d.credits == 1 }))
	began := time.Now()
	stop()
	if took := time.Since(began); took > returnWithin+10*time.Second || len(d.finished)+len(d.returned) > 0 {
		t.Errorf("got %d answers after %v", len(d.finished), took)
	}
}

func TestAResultThatIsNotTakenIsAFailure(t *testing.T) {
	d := desk{refuse: func(b fsm.Body, _ int) (*fsm.Rejection, error) {
		if f, ok := b.(*fsm.FinishJob); ok && f.Failure == 0 {
			return &fsm.Rejection{Code: fsm.TooLarge, Message: "much"}, nil
		}
		return nil, nil
	}}
	work(t, &d, time.Second)
	d.leases <- lease(1, Job{Language: script, Source: "1"})
	await(t, "the job is answered", d.look(func() bool { return len(d.finished) == 1 }))
	if got := d.finished[0]; got.Failure != fsm.JobThrew || got.Message != "the result is not taken: much" {
		t.Errorf("got %+v", got)
	}
}

func TestAStaleAnswerIsDropped(t *testing.T) {
	d := desk{refuse: func(fsm.Body, int) (*fsm.Rejection, error) { return &fsm.Rejection{Code: fsm.StaleLease}, nil }}
	work(t, &d, time.Second)
	d.leases <- lease(1, Job{Language: script, Source: "1"})
	d.leases <- lease(2, Job{Language: script, Source: "1"})
	await(t, "both were tried once", d.look(func() bool { return d.tries == 2 && d.credits == 2 }))
}

func TestANodeThatStopsGivesItsJobsBack(t *testing.T) {
	var d desk
	stop, _ := work(t, &d, time.Minute)
	d.leases <- lease(1, Job{Language: script, Source: "while(true){}"})
	d.leases <- lease(2, Job{Language: script, Source: "while(true){}"})
	stop()
	if len(d.returned) != 2 || len(d.finished) != 0 {
		t.Errorf("got %d given back and %d answered, want 2 and 0", len(d.returned), len(d.finished))
	}
}

func TestANodeThatIsKilledSaysNothing(t *testing.T) {
	var d desk
	_, kill := work(t, &d, time.Minute)
	d.leases <- lease(1, Job{Language: script, Source: "while(true){}"})
	kill()
	if d.tries != 0 {
		t.Errorf("got %d commands, want none", d.tries)
	}
}
