package def

import "testing"

func TestStateEventsAreReadByNamesOfChanges(t *testing.T) {
	plan, problems := Compile([]byte(workflow(task("a", "NOOP", `"onStateChange":{
 "onScheduled, onStart":[{"type":"begun","payload":{"p":"${a.input.p}"}},{"type":"bare"}],"onCancelled":[{"type":5,"payload":"gone"}],
 "onWhim":[{"type":"never"}],"onFailed":null,"onSuccess":[]}`))))
	if plan == nil {
		t.Fatal(problems)
	}
	want := []struct {
		on      State
		typ     string
		payload string
	}{
		{OnScheduled | OnStart, "begun", `{"p":"${a.input.p}"}`}, {OnScheduled | OnStart, "bare", ""}, {OnCancelled, "5", `"gone"`},
	}
	got := plan.Nodes[0].OnState
	if len(got) != len(want) {
		t.Fatalf("got %d events, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		payload := ""
		if got[i].Payload != nil {
			payload = string(got[i].Payload.Raw())
		}
		if got[i].On != w.on || got[i].Type != w.typ || payload != w.payload {
			t.Errorf("event %d: got %+v with %s, want %+v", i, got[i], payload, w)
		}
	}
	for _, s := range States() {
		if stateOf(s.String()) != s {
			t.Errorf("%s is not read back", s)
		}
	}
}
