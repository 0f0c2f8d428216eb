package fsm

import (
	"iter"
	"slices"
	"testing"
)

// twin applies entries to two machines, one of them restored from a snapshot now and
// then, and holds them to the same digest. Faults that the machine would roll back
// fail the test.
type twin struct {
	t      testing.TB
	a, b   *State
	index  uint64
	now    Millis
	slot   uint64
	events []Event
	keep   bool               // keep events
	lax    bool               // commands may be malformed
	seen   func(entry []byte) // sees what is applied
	blind  bool               // a record is wrong on purpose: no Verify
	// restoreEvery restores the second machine from a snapshot after so many entries.
	restoreEvery uint64
}

func newTwin(t testing.TB) *twin {
	w := &twin{t: t, a: New(1), b: New(1), now: 1_000_000, restoreEvery: 7}
	w.watch(w.a)
	w.watch(w.b)
	return w
}

func (w *twin) watch(s *State) {
	s.fault = func(v any) { w.t.Helper(); panic(v) }
}

func copyTables(v View) iter.Seq2[TableID, iter.Seq[[]byte]] {
	type table struct {
		id   TableID
		rows [][]byte
	}
	var all []table
	for t := range v.Tables() {
		x := table{id: t.ID}
		for row := range t.Rows {
			x.rows = append(x.rows, slices.Clone(row))
		}
		all = append(all, x)
	}
	return func(yield func(TableID, iter.Seq[[]byte]) bool) {
		for _, t := range all {
			if !yield(t.id, slices.Values(t.rows)) {
				return
			}
		}
	}
}

func (w *twin) apply(e *Entry) *Applied {
	w.t.Helper()
	w.index++
	if e.Time == 0 {
		e.Time = w.now
	}
	w.now = max(w.now, e.Time)
	for _, c := range e.Commands {
		if err := Validate(c); err != nil && !w.lax {
			w.t.Fatalf("command %T is not valid: %v", c.Body, err)
		}
	}
	bytes := e.AppendTo(nil)
	if w.seen != nil {
		w.seen(bytes)
	}
	out := w.a.Apply(w.index, w.decode(bytes))
	w.b.Apply(w.index, w.decode(bytes))
	if w.a.Digest() != w.b.Digest() {
		w.t.Fatalf("index %d: digests differ", w.index)
	}
	if w.blind {
		return out
	}
	if err := w.a.Verify(Touched); err != nil {
		w.t.Fatalf("index %d: %v", w.index, err)
	}
	if w.index%64 == 0 {
		if err := w.a.Verify(Full); err != nil {
			w.t.Fatalf("index %d: %v", w.index, err)
		}
	}
	if w.index%w.restoreEvery == 0 {
		v := w.b.View()
		restored, err := Load(copyTables(v), v.Digest())
		if err != nil {
			w.t.Fatalf("index %d: restore: %v", w.index, err)
		}
		w.b = restored
		w.watch(w.b)
	}
	if w.keep {
		w.events = append(w.events, out.Events...)
	}
	return out
}

func (w *twin) decode(b []byte) *Entry {
	w.t.Helper()
	e, err := Decode(b)
	if err != nil {
		w.t.Fatalf("decode: %v", err)
	}
	return e
}

// do applies one command with plenty of background work and gives its result.
func (w *twin) do(b Body) Result {
	w.t.Helper()
	return w.apply(&Entry{Work: MaxWork, Commands: []*Command{{Body: b}}}).Results[0]
}

func (w *twin) must(b Body) Result {
	w.t.Helper()
	r := w.do(b)
	if r.Rejection != nil {
		w.t.Fatalf("%T: rejected: %v %v", b, r.Rejection, r.Rejection.Problems)
	}
	return r
}

// tick applies an entry without commands after some time.
func (w *twin) tick(d Millis) *Applied {
	w.t.Helper()
	w.now += d
	out := w.apply(&Entry{Work: MaxWork})
	for n := 0; out.More && n < 1000; n++ {
		out = w.apply(&Entry{Work: MaxWork})
	}
	return out
}

var testNode = NodeID{1}

// poll offers one slot to a queue and gives what it was leased.
func (w *twin) poll(q Queue) (Leased, bool) {
	w.t.Helper()
	w.slot++
	o := Offer{Slot: Slot{Node: testNode, Boot: 1, N: w.slot}, Queue: q, Worker: "w"}
	out := w.apply(&Entry{Work: MaxWork, Offers: []Offer{o}})
	if len(out.Grants) == 0 {
		return Leased{}, false
	}
	return out.Grants[0], true
}

func (w *twin) mustPoll(q Queue) Leased {
	w.t.Helper()
	l, ok := w.poll(q)
	if !ok {
		w.t.Fatalf("nothing to lease in %s", q)
	}
	return l
}

func (w *twin) complete(l Leased, output string) Result {
	w.t.Helper()
	return w.must(&CompleteTask{Task: l.Task, Lease: l.Lease, Output: []byte(output)})
}

func (w *twin) define(sources ...string) {
	w.t.Helper()
	for _, s := range sources {
		w.must(&PutDefinition{Source: []byte(s)})
	}
}

func (w *twin) taskType(source string) {
	w.t.Helper()
	w.must(&PutTaskType{Source: []byte(source)})
}

func (w *twin) start(name, input string) ExecID {
	w.t.Helper()
	return w.must(&StartExecution{Name: name, Input: []byte(input)}).Exec
}

func (w *twin) execution(id ExecID) ExecutionInfo {
	w.t.Helper()
	e, ok := w.a.View().Execution(id)
	if !ok {
		w.t.Fatalf("execution %s is gone", id)
	}
	return e
}

// table renders the records of an execution, one a line.
func (w *twin) table(id ExecID) []string {
	var out []string
	for t := range w.a.View().Tasks(id, 0) {
		line := join(itoa(int64(t.Seq)), " ", t.Ref, " ", t.Status.String())
		if t.Retry > 0 {
			line = join(line, " retry=", itoa(int64(t.Retry)))
		}
		out = append(out, line)
	}
	return out
}

func (w *twin) wantTable(id ExecID, want ...string) {
	w.t.Helper()
	if got := w.table(id); !slices.Equal(got, want) {
		w.t.Fatalf("records:\ngot  %q\nwant %q", got, want)
	}
}
