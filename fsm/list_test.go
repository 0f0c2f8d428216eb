package fsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// crowd makes many executions, several an entry and so of one time.
func crowd(w *twin, r *rand.Rand, n int) {
	for range n {
		e := &Entry{Work: MaxWork}
		for range 1 + r.IntN(5) {
			c := &StartExecution{Name: []string{"two", "w", "end"}[r.IntN(3)]}
			if r.IntN(2) == 0 {
				c.Correlation = fmt.Sprint("c", r.IntN(2))
			}
			e.Commands = append(e.Commands, &Command{Body: c})
		}
		w.now += Millis(r.IntN(2))
		w.apply(e)
	}
}

func TestPagesTogetherAreTheWholeList(t *testing.T) {
	seed := envInt(t, "PAWL_SEED", rand.Uint64())
	t.Logf("PAWL_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	w := newTwin(t)
	w.define(twoSteps, `{"name":"w","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT"}]}`,
		`{"name":"end","version":1,"schemaVersion":2,"tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}`)
	crowd(w, r, 60)
	for _, status := range []Status{0, Running, Completed, Failed} {
		for _, name := range []string{"", "two", "end", "nobody"} {
			for _, corr := range []string{"", "c0", "c1", "c"} {
				for _, limit := range []int{1, 3, 7, 0} {
					q := ListQuery{Definition: name, Status: status, Correlation: corr, Limit: limit}
					checkPages(t, w, r, q)
				}
			}
		}
	}
	if p := w.a.View().List(ListQuery{After: "nonsense"}); len(p.Items) != 0 || p.Next != "" {
		t.Errorf("a cursor that is none: %d items", len(p.Items))
	}
}

// checkPages walks a list page by page while executions are added, and compares it
// with a scan of everything as it was when the walk began.
func checkPages(t *testing.T, w *twin, r *rand.Rand, q ListQuery) {
	t.Helper()
	var want, got []ExecID
	for _, e := range w.a.executions.tree.All() {
		if (q.Status == 0 || e.status == q.Status) && (q.Definition == "" || w.a.planOf(e).Name == q.Definition) && (q.Correlation == "" || e.corr == q.Correlation) {
			want = append(want, e.id)
		}
	}
	slices.Reverse(want) // ids ascend with their time
	first := w.a.View().List(q)
	if first.Total != -1 && first.Total != len(want) {
		t.Errorf("%+v: total %d, want %d", q, first.Total, len(want))
	}
	for page, n := first, 0; ; n++ {
		for _, e := range page.Items {
			got = append(got, e.ID)
		}
		if page.Next == "" {
			break
		}
		if n == 2 {
			crowd(w, r, 1)
		}
		q.After = page.Next
		page = w.a.View().List(q)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v: %d in pages, %d in all", q, len(got), len(want))
	}
}

func TestZeroViewIsEmpty(t *testing.T) {
	var v View
	if v.Index() != 0 || v.Time() != 0 || v.Digest() != (Digest{}) || v.More() || v.NextDue() != 0 || v.DueHints() != nil || v.Verify() != nil {
		t.Error("the zero View is not empty")
	}
	for range v.Tables() {
		t.Error("the zero View has tables")
	}
	for range v.Queues() {
		t.Error("the zero View has queues")
	}
	if p := v.List(ListQuery{}); len(p.Items) > 0 {
		t.Error("the zero View lists executions")
	}
}

func TestAViewStaysAsItWas(t *testing.T) {
	w := newTwin(t)
	w.define(twoSteps)
	id := w.start("two", `{}`)
	v := w.a.View()
	digest := v.Digest()
	w.must(&UpdateTask{Exec: id, Ref: "t1", Status: TaskStatusCompleted})
	w.must(&TerminateExecution{Exec: id})
	if e, ok := v.Execution(id); !ok || e.Status != Running || e.Tasks != 1 {
		t.Errorf("the View moved: %+v", e)
	}
	if v.Digest() != digest {
		t.Error("the digest of the View moved")
	}
	if err := v.Verify(); err != nil {
		t.Error(err)
	}
}
