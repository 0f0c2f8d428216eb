package fsm

import (
	"fmt"
	"strings"
	"testing"
)

const pulling = `{"name":"pulling","version":1,"schemaVersion":2,"tasks":[
 {"name":"w","taskReferenceName":"w","type":"WAIT"},
 {"name":"p","taskReferenceName":"p","type":"PULL_WORKFLOW_MESSAGES","inputParameters":{"batchSize":1000}},
 {"name":"w2","taskReferenceName":"w2","type":"WAIT"}]}`

// fill pushes messages until one is refused, and gives their number.
func (w *twin) fill(id ExecID, message string) int {
	w.t.Helper()
	for n := 0; ; n++ {
		r := w.do(&PushMessage{Exec: id, Message: []byte(message)})
		if r.Rejection == nil {
			continue
		}
		if r.Rejection.Code != Exhausted {
			w.t.Fatalf("message %d: %v", n, r.Rejection)
		}
		return n
	}
}

func TestMessagesOfAnExecutionAreBounded(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 101
	w.define(pulling)
	id := w.start("pulling", `{}`)
	if n := w.fill(id, `{"n":1}`); n != MaxMessages {
		t.Errorf("%d messages are kept, want %d", n, MaxMessages)
	}
	w.must(&Signal{Exec: id})
	out := string(w.output(id, 2))
	if n := strings.Count(out, `"payload":{"n":1}`); n != maxBatch || !strings.HasSuffix(out, fmt.Sprintf(`],"count":%d}`, maxBatch)) {
		t.Errorf("%d messages were taken at once, want %d", n, maxBatch)
	}
	if n := w.execution(id).Messages; n != MaxMessages-maxBatch {
		t.Errorf("%d are left", n)
	}
	n, _ := w.changes(&Entry{Commands: []*Command{{Body: &TerminateExecution{Exec: id}}}})
	if n > entryBound {
		t.Errorf("the end changed %d rows and records", n)
	}
	if w.settle(); w.a.inbox.tree.Len() > 0 || w.execution(id).Messages > 0 {
		t.Error("messages outlive their execution")
	}
}

func TestBytesOfMessagesAreBounded(t *testing.T) {
	w := newTwin(t)
	w.restoreEvery = 1 << 40
	w.define(pulling)
	id := w.start("pulling", `{}`)
	large := fmt.Sprintf(`{"x":%q}`, strings.Repeat("x", 1_000_000))
	if n := w.fill(id, large); n != MaxMessageBytes/len(large) {
		t.Errorf("%d messages are kept, want %d", n, MaxMessageBytes/len(large))
	}
	w.must(&PushMessage{Exec: id}) // there is room for a small one
	w.must(&Signal{Exec: id})
	if out := w.output(id, 2); len(out) < MaxMessageBytes-len(large) || len(out) > MaxPayload {
		t.Errorf("one step took %d bytes", len(out))
	}
	if err := w.a.Verify(Full); err != nil {
		t.Error(err)
	}
}

// output is that of a task.
func (w *twin) output(id ExecID, serial uint32) []byte {
	w.t.Helper()
	t, ok := w.a.View().Task(TaskID{Exec: id, Serial: serial})
	if !ok {
		w.t.Fatalf("there is no task %d", serial)
	}
	return t.Output
}

func TestAMessageThatCannotBeTakenIsNotKept(t *testing.T) {
	w := newPoisoned(t)
	w.define(strings.Replace(pulling, `"WAIT"`, `"NOOP"`, 1))
	id := w.start("pulling", `{}`)
	heal := w.poison(TaskID{Exec: id, Serial: 2})
	before := w.a.j.digest
	if r := w.do(&PushMessage{Exec: id}); r.Rejection == nil || r.Rejection.Code != Faulted || w.a.j.digest != before {
		t.Fatalf("got %+v", r)
	}
	heal()
	w.must(&PushMessage{Exec: id})
	if out := string(w.output(id, 2)); !strings.Contains(out, `"count":1}`) || w.execution(id).Messages != 0 {
		t.Errorf("took %s", out)
	}
	if err := w.a.Verify(Full); err != nil {
		t.Error(err)
	}
}

// TestVerifySeesBrokenInboxes breaks an inbox in each way that Verify is to see.
func TestVerifySeesBrokenInboxes(t *testing.T) {
	for name, f := range map[string]func(s *State, kept, waits ExecID){
		"bytes":     func(s *State, kept, _ ExecID) { e, _ := s.executions.get(kept); s.executions.mut(e).inboxBytes++ },
		"number":    func(s *State, kept, _ ExecID) { s.inbox.put(inboxKey{kept, inboxMessages, 99}, message{}) },
		"waits not": func(s *State, _, waits ExecID) { s.inbox.put(pullKey(TaskID{Exec: waits, Serial: 1}), message{}) },
		"execution": func(s *State, _, _ ExecID) { s.inbox.put(inboxKey{ExecID{Hi: 1}, inboxMessages, 1}, message{}) },
		"no row":    func(s *State, _, waits ExecID) { s.inbox.drop(pullKey(TaskID{Exec: waits, Serial: 2})) },
		"both": func(s *State, _, waits ExecID) {
			e, _ := s.executions.get(waits)
			s.executions.mut(e).received++
			s.inbox.put(inboxKey{waits, inboxMessages, 1}, message{})
		},
	} {
		w := newPoisoned(t)
		w.define(pulling, strings.Replace(strings.Replace(pulling, `"WAIT"`, `"NOOP"`, 1), "pulling", "waiting", 1))
		kept, waits := w.start("pulling", `{}`), w.start("waiting", `{}`)
		w.must(&PushMessage{Exec: kept})
		if err := w.a.Verify(Full); err != nil {
			t.Fatal(err)
		}
		w.alter(func(s *State) { f(s, kept, waits) })
		if err := w.a.Verify(Full); err == nil || !strings.Contains(err.Error(), "messages") && !strings.Contains(err.Error(), "inbox") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
