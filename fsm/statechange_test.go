package fsm

import "testing"

func TestTellingOfManyCanceledTasksIsSpreadOverEntries(t *testing.T) {
	const width = 3000
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(wide(width, `{"name":"a","taskReferenceName":"b%d","type":"SIMPLE","onStateChange":{"onCancelled":[{"type":"gone","payload":{"s":"${workflow.status}"}}]}}`))
	id := w.start("wide", `{}`)
	w.settle()
	all := 0
	count := func(out *Applied) {
		told := 0
		for _, e := range out.Events {
			if e.Kind == TaskStateChanged {
				told++
				if string(e.Told.Payload) != `{"s":"TERMINATED"}` || e.Told.On != "onCancelled" {
					t.Fatalf("told %+v", e.Told)
				}
			}
		}
		if most := (MaxSteps + MaxWork) / tellUnits; told > most {
			t.Errorf("an entry tells of %d changes, want at most %d", told, most)
		}
		all += told
	}
	out := w.apply(&Entry{Commands: []*Command{{Body: &TerminateExecution{Exec: id}}}})
	count(out)
	for n := 0; out.More && n < 100; n++ {
		out = w.apply(&Entry{Work: MaxWork})
		count(out)
	}
	if all != width {
		t.Errorf("%d changes were told, want %d", all, width)
	}
}
