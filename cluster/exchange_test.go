package cluster

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlhq/pawl/fsm"
)

// Each field of an answer reaches the node that asked: a client may ask any node, and
// must not be answered with less by one that does not lead.
func TestOutcomeCrossesNodesWhole(t *testing.T) {
	stale := &fsm.Rejection{Code: fsm.StaleLease, Message: "late", Got: 3, Want: 4}
	want := fsm.Outcome{
		Position: fsm.Position{Incarnation: 1, Group: 2, Index: 3},
		Result: fsm.Result{
			Exec: fsm.ExecID{Hi: 1, Lo: 2}, Task: fsm.TaskID{Exec: fsm.ExecID{Hi: 3, Lo: 4}, Serial: 5},
			Version: -6, Repeated: true, Ignored: true, Index: 7,
			Items: []fsm.BulkItem{{Exec: fsm.ExecID{Hi: 8, Lo: 9}}, {Exec: fsm.ExecID{Hi: 10, Lo: 11}, Rejection: stale}},
			Rejection: &fsm.Rejection{Code: fsm.InvalidDefinition, Field: "tasks[0]",
				Problems: []fsm.Problem{{Path: "tasks[0].type", Message: "what"}}},
		},
	}
	for _, v := range []any{want.Result, want.Position} {
		fields := reflect.ValueOf(v)
		for i := range fields.NumField() {
			if fields.Field(i).IsZero() {
				t.Errorf("the test sets no %s of %T", fields.Type().Field(i).Name, v)
			}
		}
	}
	var w out
	writeOutcome(&w, want, nil)
	r := in{b: w.b}
	got, err := readOutcome(&r)
	if err != nil || r.err != nil {
		t.Fatal(err, r.err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-sent +received)\n%s", diff)
	}
	for n := range w.b { // cut short anywhere, it is refused
		r := in{b: w.b[:n]}
		if _, err := readOutcome(&r); err == nil && r.err == nil {
			t.Fatalf("%d of %d bytes are taken for an answer", n, len(w.b))
		}
	}
}
