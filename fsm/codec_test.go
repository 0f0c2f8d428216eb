package fsm

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// everyCommand is one command of each kind, every field filled.
func everyCommand() []*Command {
	id := ExecID{Hi: 7<<16 | 8<<12, Lo: 2<<62 | 1<<56}
	task := TaskID{Exec: id, Serial: 3}
	bodies := []Body{
		&StartExecution{Name: "w", Version: 2, Definition: []byte("{}"), Input: []byte(`{"a":1}`), Correlation: "c", Priority: 9,
			Domains: []Domain{{Type: "*", Domain: "d"}}, Key: "k", Strategy: FailOnRunning, CreatedBy: "me", Event: "e"},
		&CompleteTask{Task: task, Lease: 1 << 57, Output: []byte(`{}`), Worker: "w1"},
		&FailTask{Task: task, Lease: 5, Reason: "down", Terminal: true, Output: []byte(`{}`), Worker: "w1"},
		&ProgressTask{Task: task, Lease: 5, Output: []byte(`{}`), CallbackSeconds: 2, Worker: "w1"},
		&UpdateTask{Task: task, Exec: id, Ref: "t", Status: TaskStatusFailedTerminal, Output: []byte(`{}`), Reason: "r", Worker: "w1", CallbackSeconds: 3},
		&ExtendLeases{Items: []Extension{{Task: task, Lease: 5}, {Task: task, Lease: 6}}},
		&ReturnLease{Task: task, Lease: 5},
		&PauseExecution{Exec: id}, &ResumeExecution{Exec: id}, &TerminateExecution{Exec: id, Reason: "r"},
		&Signal{Exec: id, Ref: "t", Status: TaskStatusFailed, Output: []byte(`{}`), Reason: "r"},
		&PutDefinition{Source: []byte("{}"), Overwrite: true}, &DeleteDefinition{Name: "w", Version: 2},
		&PutTaskType{Source: []byte("{}")}, &DeleteTaskType{Name: "a"},
		&PauseQueue{Queue: "a"}, &ResumeQueue{Queue: "a"},
		&BeginTerm{Node: NodeID{15: 1}, Boot: 4, Gap: 1500}, &RaiseIncarnation{To: 3},
		&FinishJob{Task: task, Lease: 5, Failure: JobThrew, Message: "m", Line: 2, Result: []byte(`{}`)},
		&RestartExecution{Exec: id, Latest: true}, &RetryExecution{Exec: id, ResumeSubworkflows: true},
		&RerunExecution{Exec: id, Task: task, TaskInput: []byte(`{}`), WorkflowInput: []byte(`{}`), Correlation: "c"},
		&SkipTask{Exec: id, Ref: "t", Input: []byte(`{}`), Output: []byte(`{}`)}, &JumpTo{Exec: id, Ref: "t", Input: []byte(`{}`)},
		&SetVariables{Exec: id, Variables: []byte(`{}`), Append: true}, &ResetCallbacks{Exec: id}, &Decide{Exec: id},
		&DeleteExecution{Exec: id, Force: true},
		&Bulk{Verb: BulkTerminate, IDs: []ExecID{id, id}, Reason: "r", Latest: true, TriggerFailureWorkflow: true, Force: true,
			ResumeSubworkflows: true, Append: true, Ref: "f", Input: []byte(`{"i":1}`), Output: []byte(`{"o":1}`), Correlation: "c"},
		&TerminateExecution{Exec: id, Reason: "r", TriggerFailureWorkflow: true},
		&UpdateTask{Task: task, Status: TaskStatusCompleted, Replace: true, ExtendLease: true},
		&PushMessage{Exec: id, Message: []byte(`{"a":1}`)},
		&PutSecret{Name: "S", Value: "v"}, &DeleteSecret{Name: "S"}, &PutVariable{Name: "V", Value: "v"}, &DeleteVariable{Name: "V"},
	}
	var out []*Command
	for i, b := range bodies {
		out = append(out, &Command{RequestID: RequestID{15: byte(i)}, Principal: "me", Body: b})
	}
	return out
}

// golden compares lines with a file of testdata; -rewrite writes it.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	path := "testdata/" + name
	got := strings.Join(lines, "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("stored bytes differ (-recorded +now):\n%s", diff)
	}
}

func TestBytesOfCommandsAreForEver(t *testing.T) {
	seen := map[kind]bool{}
	var lines []string
	for _, c := range everyCommand() {
		seen[c.Body.kind()] = true
		e := &Entry{Time: 1234, Work: 5, Seen: []Queue{"d:a"}, Commands: []*Command{c},
			Offers: []Offer{{Slot: Slot{Node: NodeID{1}, Boot: 2, N: 3}, Queue: "a", Worker: "w1"}}}
		b := e.AppendTo(nil)
		lines = append(lines, fmt.Sprintf("%T %x", c.Body, b))
		back, err := Decode(b)
		if err != nil {
			t.Fatalf("%T: %v", c.Body, err)
		}
		if diff := cmp.Diff(e, back, cmpopts.IgnoreUnexported(Command{})); diff != "" {
			t.Errorf("%T decodes to another (-want +got):\n%s", c.Body, diff)
		}
		if n := c.Size(); n <= 0 || n > len(b) {
			t.Errorf("%T: size %d of %d", c.Body, n, len(b))
		}
	}
	for k := kindStart; k < kindEnd; k++ {
		if newBody(k) != nil && !seen[k] {
			t.Errorf("%T is not among them", newBody(k))
		}
	}
	golden(t, "commands.golden", lines)
}

const quotaed = `{"name":"quotaed","version":1,"schemaVersion":2,"rateLimitConfig":{"rateLimitKey":"${workflow.input.k}","concurrentExecLimit":1},
 "tasks":[{"name":"c","taskReferenceName":"t","type":"SIMPLE","inputParameters":{"x":"${workflow.input.k}"},"cacheConfig":{"key":"${x}","ttlInSecond":60}},
 {"name":"c2","taskReferenceName":"t2","type":"SIMPLE"}]}`

// lived is a State that holds rows of every table.
func lived(t *testing.T) *twin {
	w := newTwin(t)
	w.define(twoSteps, forked, looped, parent, `{"name":"w","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"9s"}}]}`)
	w.taskType(`{"name":"a","retryCount":1,"retryDelaySeconds":2,"responseTimeoutSeconds":10,"timeoutSeconds":0,"concurrentExecLimit":9}`)
	w.apply(&Entry{Commands: []*Command{{RequestID: RequestID{1}, Body: &StartExecution{Name: "two", Key: "k", Correlation: "c", Input: []byte(`{"p":1}`),
		Domains: []Domain{{Type: "a", Domain: "west"}}}}}})
	l := w.mustPoll("west:a")
	w.must(&FailTask{Task: l.Task, Lease: l.Lease, Reason: "down"})
	w.start("forked", `{}`)
	w.start("looped", `{"n":2}`)
	w.mustPoll("a")
	id := w.start("parent", `{}`)
	w.must(&PauseExecution{Exec: id})
	w.start("w", `{}`)
	held := w.start("two", `{}`)
	w.must(&PauseExecution{Exec: held})
	w.must(&UpdateTask{Exec: held, Ref: "t1", Status: TaskStatusCompleted})
	w.must(&PutSecret{Name: "S", Value: "v"})
	w.must(&PutVariable{Name: "V", Value: "v"})
	w.define(quotaed)
	kept := w.start("quotaed", `{"k":"x"}`)
	w.start("quotaed", `{"k":"x"}`)
	w.must(&UpdateTask{Exec: kept, Ref: "t", Status: TaskStatusCompleted, Output: []byte(`{"y":1}`)})
	w.taskType(`{"name":"slow","rateLimitPerFrequency":1}`)
	w.define(`{"name":"slow","version":1,"schemaVersion":2,"tasks":[{"name":"slow","taskReferenceName":"t","type":"OWN"}]}`,
		`{"name":"slower","version":1,"schemaVersion":2,"tasks":[{"name":"a","taskReferenceName":"t","type":"OWN"}]}`)
	w.start("slower", `{}`)
	w.start("slow", `{}`)
	w.start("slow", `{}`)
	w.mustPoll("OWN")
	w.mustPoll("OWN")
	w.define(`{"name":"df","version":1,"schemaVersion":2,"tasks":[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{"forkTaskName":"a","forkTaskInputs":[1]}},
 {"name":"j","taskReferenceName":"j","type":"JOIN"}]}`, `{"name":"dy","version":1,"schemaVersion":2,"tasks":[{"name":"d","taskReferenceName":"d","type":"DYNAMIC","dynamicTaskNameParam":"n","inputParameters":{"n":"HUMAN"}}]}`)
	w.start("df", `{}`)
	w.start("dy", `{}`)
	w.must(&PushMessage{Exec: held, Message: []byte(`{"a":1}`)})
	w.define(wide(3000, wideTask))
	w.apply(&Entry{Commands: []*Command{{Body: &StartExecution{Name: "wide"}}}})
	return w
}

func TestBytesOfRecordsAreForEver(t *testing.T) {
	var lines []string
	for table := range lived(t).a.View().Tables() {
		n := 0
		for row := range table.Rows {
			if n++; n <= 2 && len(row) < 2000 {
				lines = append(lines, fmt.Sprintf("%d %x", table.ID, row))
			}
		}
		if n == 0 && table.ID != tableFragments {
			t.Errorf("table %d has no row", table.ID)
		}
	}
	golden(t, "records.golden", lines)
}

func TestLoadRefusesWhatIsNotWhatWasWritten(t *testing.T) {
	v := lived(t).a.View()
	if _, err := Load(copyTables(v), Digest{Lo: 1}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another digest: %v", err)
	}
	for id := range numbered(v) {
		tables := copyTables(v)
		missing := func(yield func(TableID, iter.Seq[[]byte]) bool) {
			for tid, rows := range tables {
				if tid != id && !yield(tid, rows) {
					return
				}
			}
		}
		if id == tableFragments {
			continue
		}
		if _, err := loadAll(missing, v.Digest()); err == nil {
			t.Errorf("table %d may be missing", id)
		}
	}
}

// numbered gives the numbers of the tables that there are.
func numbered(v View) iter.Seq[TableID] {
	return func(yield func(TableID) bool) {
		for t := range v.Tables() {
			if t.ID >= tableEnd || !yield(t.ID) {
				return
			}
		}
	}
}

// loadAll is Load with a panic over a table that others need taken as its refusal.
func loadAll(tables iter.Seq2[TableID, iter.Seq[[]byte]], want Digest) (s *State, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return Load(tables, want)
}

func TestDecodeTellsNewerBytesFromBrokenOnes(t *testing.T) {
	good := (&Entry{Time: 1, Commands: []*Command{{Body: &PauseQueue{Queue: "a"}}}}).AppendTo(nil)
	entry := func(f func(w *writer)) []byte {
		w := &writer{}
		f(w)
		return w.b
	}
	command := func(kind uint64, body func(w *writer)) []byte {
		return entry(func(w *writer) {
			w.nest(5, func(w *writer) { w.num(1, kind); w.nest(4, body) })
		})
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"good":           {good, nil},
		"empty":          {nil, nil},
		"cut":            {good[:len(good)-1], ErrCorrupt},
		"entry field":    {entry(func(w *writer) { w.num(99, 1) }), ErrVersion},
		"command kind":   {command(99, func(w *writer) {}), ErrVersion},
		"command field":  {command(uint64(kindPauseQueue), func(w *writer) { w.num(99, 1) }), ErrVersion},
		"order of tags":  {entry(func(w *writer) { w.num(2, 1); w.num(1, 1) }), ErrCorrupt},
		"too much work":  {entry(func(w *writer) { w.num(2, MaxWork+1) }), ErrCorrupt},
		"without a body": {entry(func(w *writer) { w.nest(5, func(w *writer) { w.str(3, "me") }) }), ErrCorrupt},
		"wrong type":     {entry(func(w *writer) { w.str(1, "x") }), ErrCorrupt},
	} {
		if _, err := Decode(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestMalformedCommandsAreRefusedAtTheirIndex(t *testing.T) {
	w := newTwin(t)
	w.lax = true
	w.define(twoSteps)
	id := w.start("two", `{}`)
	bad := []Body{
		&StartExecution{}, &StartExecution{Name: "w", Input: []byte(`[]`)}, &StartExecution{Name: "w", Input: []byte(`{`)},
		&StartExecution{Name: "w", Priority: 100}, &StartExecution{Name: "w", Version: -1}, &StartExecution{Name: "w", Strategy: 9},
		&StartExecution{Name: strings.Repeat("x", 256)}, &StartExecution{Name: "\xff"},
		&StartExecution{Name: "w", Domains: []Domain{{Type: "b", Domain: "d"}, {Type: "a", Domain: "d"}}},
		&CompleteTask{Task: TaskID{Exec: id, Serial: 1}}, &CompleteTask{Lease: 1}, &FailTask{Task: TaskID{Exec: id}, Lease: 1},
		&ProgressTask{Task: TaskID{Exec: id, Serial: 1}, Lease: 1, CallbackSeconds: -1},
		&UpdateTask{Task: TaskID{Exec: id, Serial: 1}, Status: TaskStatusCanceled}, &UpdateTask{Exec: id, Status: TaskStatusCompleted},
		&UpdateTask{Task: TaskID{Exec: id, Serial: 1}, Status: TaskStatusInProgress, CallbackSeconds: -1},
		&ExtendLeases{}, &ReturnLease{}, &PauseExecution{}, &ResumeExecution{}, &TerminateExecution{},
		&TerminateExecution{Exec: id, Reason: "\xff"}, &Signal{Exec: id, Status: TaskStatusInProgress}, &PutDefinition{},
		&DeleteDefinition{Name: "w"}, &PutTaskType{}, &DeleteTaskType{}, &PauseQueue{}, &ResumeQueue{}, &BeginTerm{},
		&BeginTerm{Node: testNode, Gap: MaxGap + 1}, &RaiseIncarnation{To: MaxIncarnation + 1},
	}
	for _, b := range bad {
		before := w.a.j.digest
		var rej *Rejection
		if err := Validate(&Command{Body: b}); !errors.As(err, &rej) || rej.Code != Malformed || rej.Field == "" {
			t.Errorf("%T: Validate gives %v", b, err)
		}
		if r := w.do(b); r.Rejection == nil || r.Rejection.Code != Malformed {
			t.Errorf("%T: got %+v", b, r)
		}
		if w.a.j.digest != before {
			t.Errorf("%T left a trace", b)
		}
	}
	huge := &StartExecution{Name: "w", Input: []byte(`{"x":"` + strings.Repeat("x", MaxCommandBytes) + `"}`)}
	var rej *Rejection
	if err := Validate(&Command{Body: huge}); !errors.As(err, &rej) || rej.Code != TooLarge {
		t.Errorf("a huge command: %v", err)
	}
}

// FuzzDecode wants entries that decode to encode to what decodes to the same, and
// anything else to be refused without a panic.
func FuzzDecode(f *testing.F) {
	for _, c := range everyCommand() {
		f.Add((&Entry{Time: 9, Work: 1, Seen: []Queue{"q"}, Commands: []*Command{c}}).AppendTo(nil))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrVersion) && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
			return
		}
		for _, c := range e.Commands {
			if c.malformed != nil {
				return // what was wrong with it is not kept
			}
		}
		once := e.AppendTo(nil)
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("%x decodes, its encoding %x does not: %v", b, once, err)
		}
		if twice := again.AppendTo(nil); !bytes.Equal(once, twice) {
			t.Fatalf("%x becomes %x", once, twice)
		}
	})
}

// TestRecordedLogGivesItsDigest replays a log that an earlier build wrote. A change of
// what the machine does with old entries shows here first.
func TestRecordedLogGivesItsDigest(t *testing.T) {
	const path = "testdata/log.golden"
	if *rewrite {
		recordLog(t, path)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s, n := New(1), uint64(0)
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		text, isDigest := strings.CutPrefix(lines.Text(), "digest ")
		if isDigest {
			if got := s.Digest().String(); got != text {
				t.Fatalf("entry %d: got digest %s, want %s", n, got, text)
			}
			continue
		}
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(b)
		if err != nil {
			t.Fatalf("entry %d: %v", n+1, err)
		}
		n++
		s.Apply(n, e)
	}
	if err := lines.Err(); err != nil || n < 150 {
		t.Fatalf("%d entries, %v", n, err)
	}
	if err := s.Verify(Full); err != nil {
		t.Fatal(err)
	}
}

// recordLog writes the log of a random history, with the digest every 20 entries.
func recordLog(t *testing.T, path string) {
	var b bytes.Buffer
	met := &coverage{done: map[string]int{}, refused: map[Code]int{}}
	for seed := uint64(1); ; seed++ {
		b.Reset()
		c := newChaos(t, seed, met)
		c.seen = func(entry []byte) { fmt.Fprintf(&b, "%x\n", entry) }
		c.setUp()
		for i := range 190 {
			c.step()
			if i%20 == 0 {
				fmt.Fprintf(&b, "digest %s\n", c.a.Digest())
			}
		}
		fmt.Fprintf(&b, "digest %s\n", c.a.Digest())
		if b.Len() < 200_000 {
			break
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
