package behaviour

import (
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// hits demands the executions that a query finds, and their number.
func (w *world) hits(where string, want ...*run) {
	w.t.Helper()
	page, err := w.at().Search(fsm.Query{Where: where, Count: true})
	if err != nil {
		w.t.Fatalf("%s: %v", where, err)
	}
	found := map[fsm.ExecID]bool{}
	for _, e := range page.Items {
		found[e.ID] = true
	}
	for _, r := range want {
		if !found[r.id] {
			w.t.Errorf("%s does not find %s", where, r.id)
		}
	}
	if len(page.Items) != len(want) || page.Total != len(want) {
		w.t.Errorf("%s finds %d, counted as %d, want %d", where, len(page.Items), page.Total, len(want))
	}
}

// B175: workflows are found by type and status with IN, and by equality with AND; single
// and double quotes mean the same, and an unknown type has no hits.
func TestB175SearchByTypeStatusAndCorrelation(t *testing.T) {
	w := begin(t)
	w.define(flow("a", simple("t1")), flow("b", simple("t1")), flow("c", simple("t1")))
	a := w.startWith(&fsm.StartExecution{Name: "a", Correlation: "one"})
	b := w.startWith(&fsm.StartExecution{Name: "b", Correlation: "one"})
	c := w.startWith(&fsm.StartExecution{Name: "c", Correlation: "two"})
	c.terminate("enough")
	w.hits("workflowType IN (a)", a)
	w.hits("workflowType IN (a,b)", a, b)
	w.hits("workflowType IN ('a', \"c\")", a, c)
	w.hits("status IN (RUNNING)", a, b)
	w.hits("status IN (RUNNING,TERMINATED)", a, b, c)
	w.hits("correlationId='one' AND workflowType='a'", a)
	w.hits(`correlationId="one" AND workflowType="b"`, b)
	w.hits("correlationId='one' AND status='TERMINATED'")
	w.hits("workflowType IN (nobody)")
	w.hits("workflowType='nobody'")
}

// B176: a search gives summaries, or whole workflows with their payloads; by tasks it finds
// the workflow of a task once; one that is gone is found by nothing.
func TestB176SearchGivesSummariesOrWholeWorkflows(t *testing.T) {
	w := begin(t)
	w.taskTypes(1, "t2")
	r := w.startFlow(flow("f", simple("t1"), simple("t2")), m{"order": 7})
	gone := w.start("f", m{"order": 8})
	r.complete("t1", m{"done": 1})
	r.fail("t2", "no")
	for _, payloads := range []bool{false, true} {
		page, err := w.at().Search(fsm.Query{Where: "workflowId='" + r.id.String() + "'", Payloads: payloads})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("%d hits, %v", len(page.Items), err)
		}
		if has := len(page.Items[0].Input) > 0; has != payloads {
			t.Errorf("with payloads %v: input %s", payloads, page.Items[0].Input)
		}
	}
	byTasks := func(where string, n int) []fsm.ExecutionInfo {
		t.Helper()
		page, err := w.at().SearchByTasks(fsm.Query{Where: where})
		if err != nil || len(page.Items) != n {
			t.Fatalf("%s: %d hits, want %d; %v", where, len(page.Items), n, err)
		}
		return page.Items
	}
	if found := byTasks("taskType='t2'", 1); found[0].ID != r.id {
		t.Errorf("found %s, want %s", found[0].ID, r.id)
	}
	byTasks("taskType='t1'", 2)
	w.must(remove(gone))
	byTasks("taskType='t1'", 1)
	w.hits("workflowType='f'", r)
}
