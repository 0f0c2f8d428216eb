// Package trial runs one execution on a machine of its own, with mocked results of its
// tasks and time that skips. Nothing of it comes near the log: a Trial is used by one
// goroutine, in memory, and is gone afterwards.
package trial

import (
	"context"
	"slices"
	"strings"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// maxEntries bounds a trial: more than a definition with a loop of some hundred
	// iterations takes, and some seconds of work.
	maxEntries = 2000
	// maxJobs bounds the scripts of one entry.
	maxJobs = 64
	// worker is who reports what is mocked.
	worker = "trial"
)

// Mock is what one attempt of a task comes to.
type Mock struct {
	Status fsm.TaskStatus // Completed when 0; or Failed, FailedTerminal, InProgress
	Output []byte         // JSON object; empty means {}
	Reason string
	// Wait and Work are how long it lay in its queue and was worked on. Time-outs hold.
	Wait, Work fsm.Millis
}

// Mocks are the results of the tasks of an execution.
type Mocks struct {
	// Tasks lists, by reference name without the suffix of an iteration, what the attempts
	// of a step come to, one after another.
	Tasks map[string][]Mock
	// Children are the mocks of the execution that a SUB_WORKFLOW step starts.
	Children map[string]*Mocks
}

// Trial says what is to be run. Known and Start are required.
type Trial struct {
	// Documents are workflow definitions and task types, as JSON, that come before those
	// of the same names in Known.
	Documents [][]byte
	// Known has the other definitions, the task types and the environment.
	Known fsm.View
	Start fsm.StartExecution
	Mocks *Mocks
	// Evaluate does a job of the server's own, such as a script. When it is nil, a step
	// that needs one is not gone beyond.
	Evaluate func(ctx context.Context, l fsm.Leased) (fsm.Body, error)
}

// Outcome is how far a trial came.
type Outcome struct {
	View fsm.View
	Exec fsm.ExecID
	// Waiting are the open tasks that have no mock, in the order of a walk through the
	// execution and its children.
	Waiting []fsm.TaskInfo
	// Cut says that the trial was ended at its bound of work.
	Cut bool
}

// bench is a trial under way.
type bench struct {
	*Trial
	state *fsm.State
	now   fsm.Millis
	last  *fsm.Applied
	exec  fsm.ExecID
	slot  uint64
	used  map[*Mock]bool
	begun uint64 // index at which the execution was started
}

// Run runs the execution until it has ended, or waits for a task without a mock. A wrong
// definition or start is a *fsm.Rejection; other errors are those of ctx and Evaluate.
func (t *Trial) Run(ctx context.Context) (Outcome, error) {
	b := &bench{Trial: t, state: fsm.New(0), now: t.Known.Time(), used: map[*Mock]bool{}}
	b.now = max(b.now, 1)
	if err := b.register(); err != nil {
		return Outcome{}, err
	}
	b.begun = b.state.Index()
	start := t.Start
	r := b.do(&start)
	if r.Rejection != nil {
		return Outcome{}, r.Rejection
	}
	b.exec = r.Exec
	waiting, cut, err := b.run(ctx)
	return Outcome{View: b.state.View(), Exec: b.exec, Waiting: waiting, Cut: cut}, err
}

// do applies one command, which is refused as a node refuses it.
func (b *bench) do(body fsm.Body) fsm.Result {
	c := &fsm.Command{Body: body}
	if err := fsm.Validate(c); err != nil {
		rej, ok := err.(*fsm.Rejection) //nolint:errorlint // what Validate gives
		if !ok {
			rej = &fsm.Rejection{Code: fsm.Malformed, Message: err.Error()}
		}
		return fsm.Result{Rejection: rej}
	}
	return b.apply(&fsm.Entry{Commands: []*fsm.Command{c}}).Results[0]
}

func (b *bench) apply(e *fsm.Entry) *fsm.Applied {
	e.Time, e.Work = b.now, fsm.MaxWork
	decoded, err := fsm.Decode(e.AppendTo(nil))
	if err != nil {
		panic("trial: an entry that was made here does not decode: " + err.Error())
	}
	b.last = b.state.Apply(b.state.Index()+1, decoded)
	return b.last
}

// run goes on until nothing does.
func (b *bench) run(ctx context.Context) (waiting []fsm.TaskInfo, cut bool, err error) {
	for b.within() {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		if b.last.More {
			b.apply(&fsm.Entry{})
			continue
		}
		if did, err := b.jobs(ctx); did || err != nil {
			if err != nil {
				return nil, false, err
			}
			continue
		}
		s := sight{b: b, v: b.state.View(), open: map[fsm.ExecID][]fsm.TaskInfo{}}
		if err := s.find(); err != nil {
			return nil, false, err
		}
		s.look(b.exec, b.Mocks)
		switch {
		case len(s.mocked) > 0:
			b.report(s.mocked)
		case len(s.waiting) > 0 || b.last.NextDue == 0 || b.ended():
			return s.waiting, false, nil
		default:
			b.now = max(b.now, b.last.NextDue)
			b.apply(&fsm.Entry{})
		}
	}
	return nil, true, nil
}

// within reports whether the trial is within its bound of work.
func (b *bench) within() bool { return b.state.Index() < b.begun+maxEntries }

func (b *bench) ended() bool {
	info, _ := b.state.View().Execution(b.exec)
	return info.Status.Terminal()
}

// jobs does the scripts, jq expressions and time zones that wait, and says whether there
// were any.
func (b *bench) jobs(ctx context.Context) (bool, error) {
	if b.Evaluate == nil {
		return false, nil
	}
	e := &fsm.Entry{}
	for q := range b.state.View().Queues() {
		if q.Queue == "" || q.Queue[0] != '$' {
			continue
		}
		for range min(q.Ready, maxJobs) {
			b.slot++
			e.Offers = append(e.Offers, fsm.Offer{Slot: fsm.Slot{Node: fsm.NodeID{1}, Boot: 1, N: b.slot}, Queue: q.Queue, Worker: worker})
		}
	}
	if len(e.Offers) == 0 {
		return false, nil
	}
	for _, l := range b.apply(e).Grants {
		body, err := b.Evaluate(ctx, l)
		if err != nil {
			return true, err
		}
		b.do(body)
	}
	return true, nil
}

// answer is a task and what is to be said of it.
type answer struct {
	task fsm.TaskID
	mock *Mock
}

// report says what tasks come to. One that an earlier report has ended keeps its mock.
func (b *bench) report(answers []answer) {
	for _, a := range answers {
		if !b.open(a.task) {
			continue
		}
		b.used[a.mock] = true
		b.pass(a.mock.Wait + a.mock.Work)
		status := a.mock.Status
		if status == 0 {
			status = fsm.TaskStatusCompleted
		}
		b.do(&fsm.UpdateTask{Task: a.task, Status: status, Output: a.mock.Output, Reason: a.mock.Reason, Worker: worker, Replace: true})
	}
}

func (b *bench) open(id fsm.TaskID) bool {
	t, ok := b.state.View().Task(id)
	return ok && !t.Status.Terminal()
}

// pass moves time, stopping at each timer on the way as a leader does.
func (b *bench) pass(d fsm.Millis) {
	target := b.now + max(d, 0)
	for b.within() && b.last.NextDue != 0 && b.last.NextDue <= target {
		b.now = max(b.now, b.last.NextDue)
		b.apply(&fsm.Entry{})
	}
	b.now = target
}

// sight is what stands still: tasks with a mock, and tasks without.
type sight struct {
	b       *bench
	v       fsm.View
	open    map[fsm.ExecID][]fsm.TaskInfo // of each execution, as they were made; without payloads
	mocked  []answer
	waiting []fsm.TaskInfo
}

// operators are the kinds of task that go on by themselves.
var operators = []string{
	"SWITCH", "DECISION", "FORK_JOIN", "FORK_JOIN_DYNAMIC", "JOIN", "EXCLUSIVE_JOIN", "DO_WHILE", "SUB_WORKFLOW",
	"START_WORKFLOW", "SET_VARIABLE", "TERMINATE", "NOOP",
}

// find looks for the tasks that have not ended, by the index that there is of them.
func (s *sight) find() error {
	q := fsm.Query{Where: "status IN (SCHEDULED, IN_PROGRESS)", Limit: fsm.MaxSearch}
	for {
		page, err := s.v.SearchTasks(q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			t := page.Items[i].TaskInfo
			s.open[t.ID.Exec] = append(s.open[t.ID.Exec], t)
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// look walks through an execution and the children below it, which the machine bounds in
// depth.
func (s *sight) look(id fsm.ExecID, mocks *Mocks) {
	for _, t := range s.open[id] {
		called := names(&t)
		if m := s.b.next(mocks, called); m != nil && !delayed(s.v, t.ID) {
			s.mocked = append(s.mocked, answer{t.ID, m})
			continue
		}
		if !t.Child.IsZero() {
			s.look(t.Child, mocks.child(called))
			continue
		}
		timed := t.Kind == "WAIT" && t.Due != 0
		if !timed && !slices.Contains(operators, t.Kind) && !delayed(s.v, t.ID) {
			whole, _ := s.v.Task(t.ID)
			s.waiting = append(s.waiting, whole)
		}
	}
}

// next is the first mock of a step that has not been used.
func (b *bench) next(mocks *Mocks, called []string) *Mock {
	if mocks == nil {
		return nil
	}
	for _, name := range called {
		list := mocks.Tasks[name]
		for i := range list {
			if !b.used[&list[i]] {
				return &list[i]
			}
		}
	}
	return nil
}

// child gives the mocks of what a step starts.
func (m *Mocks) child(called []string) *Mocks {
	if m == nil {
		return nil
	}
	for _, name := range called {
		if below := m.Children[name]; below != nil {
			return below
		}
	}
	return nil
}

// delayed reports whether a task waits for its time: of a retry, or a callback.
func delayed(v fsm.View, id fsm.TaskID) bool {
	return slices.ContainsFunc(v.Explain(id), func(r fsm.Reason) bool { return r.Kind == "delayed" })
}

// names are what a step may be called by in mocks: its reference name with the suffixes of
// its iterations, with fewer of them, and without.
func names(t *fsm.TaskInfo) []string {
	out := []string{t.Ref}
	for ref := t.Ref; t.Iteration > 0; {
		digits := strings.TrimRight(ref, "0123456789")
		if digits == ref || !strings.HasSuffix(digits, "__") {
			break
		}
		ref = strings.TrimSuffix(digits, "__")
		out = append(out, ref)
	}
	return out
}
