package behaviour

import (
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/builtin"
	"github.com/pawlhq/pawl/fsm"
)

// world is a machine and its twin, with a clock that the test moves.
type world struct {
	t     testing.TB
	a, b  *fsm.State
	index uint64
	now   fsm.Millis
	next  fsm.Millis // when the next timer fires
	more  bool       // background work is left
	slot  uint64
	rng   *rand.Rand
	// restoreEvery is, on average, how many entries lie between two restores of the twin.
	restoreEvery int
	ready        map[fsm.Queue]int
	held         map[fsm.TaskID]fsm.Leased // leased to the test and not answered
	events       []fsm.Event
	// idle leaves script jobs unanswered.
	idle bool
	// patience is how long a script may take.
	patience time.Duration
}

var node = fsm.NodeID{1}

// seed is PAWL_SEED, or another in each run.
func seed(t testing.TB) uint64 {
	t.Helper()
	if text := os.Getenv("PAWL_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("PAWL_SEED: %v", err)
		}
		return n
	}
	return uint64(time.Now().UnixNano())
}

// begin makes a world for the test of one behaviour.
func begin(t *testing.T) *world {
	t.Helper()
	record(t)
	return newWorld(t, seed(t))
}

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, a: fsm.New(1), b: fsm.New(1), now: 1_700_000_000_000, restoreEvery: 24, patience: builtin.Limit,
		rng: rand.New(rand.NewPCG(seed, 1)), ready: map[fsm.Queue]int{}, held: map[fsm.TaskID]fsm.Leased{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PAWL_SEED=%d", seed)
		}
	})
	w.apply(&fsm.Entry{Commands: []*fsm.Command{{Body: &fsm.BeginTerm{Node: node, Boot: 1}}}})
	return w
}

// apply applies an entry to both machines and looks at them.
func (w *world) apply(e *fsm.Entry) *fsm.Applied {
	w.t.Helper()
	w.index++
	e.Time = w.now
	bytes := e.AppendTo(nil)
	out := w.a.Apply(w.index, w.decode(bytes))
	w.b.Apply(w.index, w.decode(bytes))
	if w.a.Digest() != w.b.Digest() {
		w.t.Fatalf("index %d: the twins differ", w.index)
	}
	if err := w.a.Verify(fsm.Touched); err != nil {
		w.t.Fatalf("index %d: %v", w.index, err)
	}
	if w.rng.IntN(w.restoreEvery) == 0 {
		w.restore()
	}
	for _, ev := range out.Events {
		if ev.Kind == fsm.CommandFaulted || ev.Kind == fsm.ExecutionFaulted {
			w.t.Fatalf("index %d: a fault: %+v", w.index, ev)
		}
	}
	w.events = append(w.events, out.Events...)
	for _, q := range out.Ready {
		w.ready[q.Queue] = q.Ready
	}
	w.more, w.next = out.More, out.NextDue
	for _, l := range out.Grants {
		w.held[l.Task] = l
	}
	return out
}

func (w *world) decode(b []byte) *fsm.Entry {
	w.t.Helper()
	e, err := fsm.Decode(b)
	if err != nil {
		w.t.Fatalf("decode: %v", err)
	}
	return e
}

// restore makes the second machine anew from its own snapshot.
func (w *world) restore() {
	w.t.Helper()
	v := w.b.View()
	restored, err := fsm.Load(copied(v), v.Digest())
	if err != nil {
		w.t.Fatalf("index %d: restore: %v", w.index, err)
	}
	w.b = restored
}

func copied(v fsm.View) iter.Seq2[fsm.TableID, iter.Seq[[]byte]] {
	return func(yield func(fsm.TableID, iter.Seq[[]byte]) bool) {
		for t := range v.Tables() {
			var rows [][]byte
			for row := range t.Rows {
				rows = append(rows, slices.Clone(row))
			}
			if !yield(t.ID, slices.Values(rows)) {
				return
			}
		}
	}
}

// at is State as of now.
func (w *world) at() fsm.View { return w.a.View() }

// send applies commands in one entry and gives their answers, before anything else
// happens. A command of a wrong shape is refused as a node refuses it.
func (w *world) send(bodies ...fsm.Body) []fsm.Result {
	w.t.Helper()
	e := &fsm.Entry{Work: fsm.MaxWork}
	out := make([]fsm.Result, len(bodies))
	var at []int
	for i, b := range bodies {
		c := &fsm.Command{Body: b}
		if err := fsm.Validate(c); err != nil {
			r, ok := err.(*fsm.Rejection)
			if !ok {
				w.t.Fatalf("%T: %v", b, err)
			}
			out[i].Rejection = r
			continue
		}
		e.Commands = append(e.Commands, c)
		at = append(at, i)
	}
	for i, r := range w.apply(e).Results {
		out[at[i]] = r
	}
	return out
}

// do applies one command and works until all is quiet.
func (w *world) do(b fsm.Body) fsm.Result {
	w.t.Helper()
	r := w.send(b)[0]
	w.quiet()
	return r
}

func (w *world) must(b fsm.Body) fsm.Result {
	w.t.Helper()
	r := w.do(b)
	if r.Rejection != nil {
		w.t.Fatalf("%T was refused: %s: %v %v", b, r.Rejection.Code, r.Rejection, r.Rejection.Problems)
	}
	return r
}

// refused demands that a command is refused with a code and a text, and changes
// nothing that anybody can read.
func (w *world) refused(b fsm.Body, code fsm.Code, text string) *fsm.Rejection {
	w.t.Helper()
	before := w.everything()
	r := w.do(b)
	if r.Rejection == nil {
		w.t.Fatalf("%T was done, want it refused with %s", b, code)
	}
	if r.Rejection.Code != code || !strings.Contains(r.Rejection.Error(), text) {
		w.t.Errorf("%T: refused with %s %q, want %s with %q", b, r.Rejection.Code, r.Rejection.Error(), code, text)
	}
	if after := w.everything(); after != before {
		w.t.Errorf("%T was refused and changed something:\nbefore\n%s\nafter\n%s", b, before, after)
	}
	return r.Rejection
}

// maxRest bounds the entries until a machine must have come to rest.
const maxRest = 20_000

// quiet works until nothing is left that goes on by itself: no agenda, no due timer,
// no script.
func (w *world) quiet() {
	w.t.Helper()
	for range maxRest {
		switch {
		case w.more:
			w.apply(&fsm.Entry{Work: fsm.MaxWork})
		case !w.idle && w.answerJobs():
		default:
			return
		}
	}
	w.t.Fatalf("the machine does not come to rest")
}

// pass moves time, stopping at each timer on the way as a leader does.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	target := w.now + fsm.Millis(d.Milliseconds())
	for range maxRest {
		if w.next == 0 || w.next > target {
			w.now = target
			w.apply(&fsm.Entry{Work: fsm.MaxWork})
			w.quiet()
			return
		}
		w.now = max(w.now, w.next)
		w.apply(&fsm.Entry{Work: fsm.MaxWork})
		w.quiet()
	}
	w.t.Fatalf("time does not pass")
}

// polls asks a queue for up to n tasks at a time.
func (w *world) polls(queue string, n int) []fsm.Leased {
	w.t.Helper()
	e := &fsm.Entry{Work: fsm.MaxWork}
	for range n {
		w.slot++
		e.Offers = append(e.Offers, fsm.Offer{Slot: fsm.Slot{Node: node, Boot: 1, N: w.slot}, Queue: fsm.Queue(queue), Worker: "worker"})
	}
	out := w.apply(e).Grants
	w.quiet()
	return out
}

// poll asks a queue for one task.
func (w *world) poll(queue string) (fsm.Leased, bool) {
	w.t.Helper()
	got := w.polls(queue, 1)
	if len(got) == 0 {
		return fsm.Leased{}, false
	}
	return got[0], true
}

func (w *world) mustPoll(queue string) fsm.Leased {
	w.t.Helper()
	l, ok := w.poll(queue)
	if !ok {
		w.t.Fatalf("a poll of %s gives nothing", queue)
	}
	return l
}

func (w *world) wantNothing(queue string) {
	w.t.Helper()
	if l, ok := w.poll(queue); ok {
		w.t.Fatalf("a poll of %s gives %s %s, want nothing", queue, l.Ref, l.Task)
	}
}

// waiting is how many tasks a queue holds, those that are not visible yet included.
func (w *world) waiting(queue string) int {
	q, _ := w.at().Queue(fsm.Queue(queue))
	return q.Ready + q.Delayed
}

// lease gets the lease of a task: the one that the test holds, or a new one.
func (w *world) lease(id fsm.TaskID) fsm.Leased {
	w.t.Helper()
	for range 200 {
		if l, ok := w.held[id]; ok {
			if t, _ := w.at().Task(id); t.Lease == l.Lease {
				return l
			}
			delete(w.held, id)
		}
		t, ok := w.at().Task(id)
		if !ok {
			w.t.Fatalf("task %s is not there", id)
		}
		if _, ok := w.poll(string(t.Queue)); !ok {
			w.t.Fatalf("a poll of %q gives nothing, want %s, which is %s", t.Queue, t.Ref, t.Status)
		}
	}
	w.t.Fatalf("task %s is never leased", id)
	return fsm.Leased{}
}

// everything renders all executions and records.
func (w *world) everything() string {
	var b strings.Builder
	v := w.at()
	for _, id := range w.executions() {
		e, _ := v.Execution(id)
		b.WriteString(show(e) + "\n")
		for t := range v.Tasks(id, 0) {
			b.WriteString("  " + show(t) + "\n")
		}
	}
	return b.String()
}

// executions lists all executions, oldest first.
func (w *world) executions() []fsm.ExecID {
	var out []fsm.ExecID
	q := fsm.ListQuery{Limit: fsm.MaxPage}
	for {
		page := w.at().List(q)
		for _, e := range page.Items {
			out = append(out, e.ID)
		}
		if page.Next == "" {
			slices.SortFunc(out, fsm.ExecID.Compare)
			return out
		}
		q.After = page.Next
	}
}
