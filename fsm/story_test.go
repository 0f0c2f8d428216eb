package fsm

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write what the stories in testdata see into their files")

// TestStories plays the stories in testdata: blocks of command lines, a line of
// dashes, and what is seen. Executions are named e1, e2 … in the order in which they
// come to be, tasks by execution and serial, leases L1, L2 … by grant. A line that
// begins with a blank goes on with the line before; one that begins with & joins the
// entry of the line before. Lines after # are comments.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := newStory(t).play(string(text))
			if *rewrite {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("seen differs from recorded (-recorded +seen):\n%s", diff)
			}
		})
	}
}

type story struct {
	*twin
	execs   map[ExecID]string
	byName  map[string]ExecID
	leases  []Lease
	leaseOf map[TaskID]Lease
	out     strings.Builder
}

func newStory(t testing.TB) *story {
	return &story{twin: newTwin(t), execs: map[ExecID]string{}, byName: map[string]ExecID{}, leaseOf: map[TaskID]Lease{}}
}

func (s *story) play(text string) string {
	var kept strings.Builder
	for i, block := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		input, _, _ := strings.Cut(block+"\n", "----\n")
		if i > 0 {
			kept.WriteByte('\n')
		}
		kept.WriteString(strings.TrimSuffix(input, "\n") + "\n")
		s.out.Reset()
		if s.block(input) {
			kept.WriteString("----\n" + s.out.String())
		}
	}
	return kept.String()
}

// block plays the commands of a block and says whether there were any.
func (s *story) block(input string) bool {
	var lines []string
	for line := range strings.Lines(input) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == ' ':
			lines[len(lines)-1] += " " + strings.TrimSpace(line)
		default:
			lines = append(lines, line)
		}
	}
	for i := 0; i < len(lines); i++ {
		e := &Entry{Work: MaxWork}
		if !s.add(e, lines[i]) {
			continue
		}
		for i+1 < len(lines) && lines[i+1][0] == '&' {
			i++
			s.add(e, strings.TrimSpace(lines[i][1:]))
		}
		s.entry(e)
	}
	return len(lines) > 0
}

// args are the words of a line: those with = by name, the others in order.
type args struct {
	story *story
	words []string
	named map[string]string
}

func (s *story) parse(line string) args {
	a := args{story: s, named: map[string]string{}}
	depth, quoted, from := 0, false, 0
	for i := 0; i <= len(line); i++ {
		if i == len(line) || line[i] == ' ' && depth == 0 && !quoted {
			if word := line[from:i]; word != "" {
				if k, v, ok := strings.Cut(word, "="); ok && !strings.ContainsAny(k, "{\"") {
					a.named[k] = strings.Trim(v, `"`)
				} else {
					a.words = append(a.words, word)
				}
			}
			from = i + 1
			continue
		}
		switch line[i] {
		case '"':
			quoted = !quoted || line[i-1] == '\\'
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return a
}

func (a args) word(i int) string {
	if i < len(a.words) {
		return a.words[i]
	}
	a.story.t.Fatalf("%v: a word is missing", a.words)
	return ""
}

func (a args) num(name string) int64 {
	n, err := strconv.ParseInt(a.named[name], 10, 64)
	if err != nil && a.named[name] != "" {
		a.story.t.Fatal(err)
	}
	return n
}

func (a args) exec(name string) ExecID {
	id, ok := a.story.byName[name]
	if !ok {
		return ExecID{Hi: 1 << 62, Lo: 1 << 63} // somebody else's
	}
	return id
}

func (a args) task(name string) TaskID {
	exec, serial, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(serial)
	if err != nil {
		a.story.t.Fatalf("%q names no task", name)
	}
	return TaskID{Exec: a.exec(exec), Serial: uint32(n)}
}

// lease is the one named, or the last that the task was given.
func (a args) lease(t TaskID) Lease {
	if name := a.named["lease"]; name == "before" { // the last but one that anybody was given
		return a.story.leases[len(a.story.leases)-2]
	} else if name != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(name, "L"))
		if err != nil || n < 1 || n > len(a.story.leases) {
			return 1
		}
		return a.story.leases[n-1]
	}
	return max(1, a.story.leaseOf[t])
}

func (a args) status() TaskStatus {
	st, _ := ParseTaskStatus(a.named["status"])
	return st
}

// add adds the command of a line to an entry; false when the line only asked.
func (s *story) add(e *Entry, line string) bool {
	a := s.parse(line)
	if s.ask(a) {
		return false
	}
	if b := s.body(a); b != nil {
		c := &Command{Body: b}
		if n := a.num("request"); n > 0 {
			c.RequestID = RequestID{15: byte(n)}
		}
		if err := Validate(c); err != nil {
			fmt.Fprintf(&s.out, "invalid: %v\n", err)
			return false
		}
		e.Commands = append(e.Commands, c)
		return true
	}
	switch a.words[0] {
	case "offer":
		for range max(1, a.num("n")) {
			s.slot++
			worker := a.named["worker"]
			if worker == "" {
				worker = "w1"
			}
			e.Offers = append(e.Offers, Offer{Slot: Slot{Node: testNode, Boot: 1, N: s.slot}, Queue: Queue(a.word(1)), Worker: worker})
		}
	case "seen":
		e.Seen = append(e.Seen, Queue(a.word(1)))
	case "wait":
		n, err := strconv.Atoi(a.word(1))
		if err != nil {
			s.t.Fatal(err)
		}
		s.now += Millis(n)
		e.Time = s.now
	default:
		s.t.Fatalf("%q is no command", line)
	}
	return true
}

func (s *story) body(a args) Body {
	out := []byte(a.named["output"])
	switch a.words[0] {
	case "define":
		return &PutDefinition{Source: []byte(a.word(len(a.words) - 1)), Overwrite: a.words[1] == "overwrite"}
	case "undefine":
		return &DeleteDefinition{Name: a.word(1), Version: int32(a.num("version"))}
	case "type":
		return &PutTaskType{Source: []byte(a.word(1))}
	case "untype":
		return &DeleteTaskType{Name: a.word(1)}
	case "start":
		return s.startBody(a)
	case "complete":
		t := a.task(a.word(1))
		return &CompleteTask{Task: t, Lease: a.lease(t), Output: out}
	case "fail":
		t := a.task(a.word(1))
		return &FailTask{Task: t, Lease: a.lease(t), Output: out, Reason: a.named["reason"], Terminal: a.named["terminal"] != ""}
	case "progress":
		t := a.task(a.word(1))
		return &ProgressTask{Task: t, Lease: a.lease(t), Output: out, CallbackSeconds: int32(a.num("callback"))}
	case "update":
		u := &UpdateTask{Status: a.status(), Output: out, Reason: a.named["reason"], Ref: a.named["ref"], CallbackSeconds: int32(a.num("callback")),
			Replace: a.named["replace"] != "", ExtendLease: a.named["extend"] != ""}
		if u.Ref != "" {
			u.Exec = a.exec(a.word(1))
		} else {
			u.Task = a.task(a.word(1))
		}
		return u
	case "extend":
		x := &ExtendLeases{}
		for _, w := range a.words[1:] {
			t := a.task(w)
			x.Items = append(x.Items, Extension{Task: t, Lease: a.lease(t)})
		}
		return x
	case "return":
		t := a.task(a.word(1))
		return &ReturnLease{Task: t, Lease: a.lease(t)}
	case "answer":
		return answerBody(a)
	}
	return s.verbBody(a, out)
}

func (s *story) verbBody(a args, out []byte) Body {
	switch a.words[0] {
	case "pause":
		return &PauseExecution{Exec: a.exec(a.word(1))}
	case "resume":
		return &ResumeExecution{Exec: a.exec(a.word(1))}
	case "terminate":
		return &TerminateExecution{Exec: a.exec(a.word(1)), Reason: a.named["reason"], TriggerFailureWorkflow: a.named["failure"] != ""}
	case "signal":
		return &Signal{Exec: a.exec(a.word(1)), Ref: a.named["ref"], Status: a.status(), Output: out, Reason: a.named["reason"]}
	case "pause-queue":
		return &PauseQueue{Queue: Queue(a.word(1))}
	case "resume-queue":
		return &ResumeQueue{Queue: Queue(a.word(1))}
	case "term":
		return &BeginTerm{Node: testNode, Boot: 1, Gap: Millis(a.num("gap"))}
	case "incarnation":
		return &RaiseIncarnation{To: uint8(a.num("to"))}
	}
	if b := settingBody(a); b != nil {
		return b
	}
	return s.lifeBody(a, out)
}

func (s *story) startBody(a args) Body {
	c := &StartExecution{Version: int32(a.num("version")), Input: []byte(a.identified(a.named["input"])), Correlation: a.named["corr"],
		Priority: int32(a.num("priority")), Key: a.named["key"], CreatedBy: a.named["by"]}
	if w := a.word(1); w[0] == '{' {
		c.Definition = []byte(w)
	} else {
		c.Name = w
	}
	switch a.named["strategy"] {
	case "RETURN_EXISTING":
		c.Strategy = ReturnExisting
	case "FAIL_ON_RUNNING":
		c.Strategy = FailOnRunning
	}
	for _, d := range strings.Split(a.named["domains"], ";") {
		if k, v, ok := strings.Cut(d, ":"); ok {
			c.Domains = append(c.Domains, Domain{Type: k, Domain: v})
		}
	}
	return c
}

// entry applies an entry, and empty ones behind it while work is left, and prints.
func (s *story) entry(e *Entry) {
	out := s.apply(e)
	s.print(e, out)
	for n := 0; out.More && n < 1000; n++ {
		e = &Entry{Work: MaxWork}
		out = s.apply(e)
		s.print(e, out)
	}
}

func (s *story) print(e *Entry, out *Applied) {
	for _, ev := range out.Events {
		if ev.Kind == ExecutionStarted {
			s.execs[ev.Exec] = fmt.Sprintf("e%d", len(s.byName)+1)
			s.byName[s.execs[ev.Exec]] = ev.Exec
			s.nameMessages(ev.Exec)
		}
		if ev.Kind == TaskLeased {
			s.leases = append(s.leases, ev.Lease)
			s.leaseOf[TaskID{Exec: ev.Exec, Serial: ev.Serial}] = ev.Lease
		}
		s.out.WriteString(s.alias(s.event(ev)) + "\n")
	}
	for _, l := range out.Grants {
		if ownQueue(l.Type) { // a job, of which no event tells
			s.leases = append(s.leases, l.Lease)
			s.leaseOf[l.Task] = l.Lease
		}
		line := fmt.Sprintf("granted %s to %s input=%s", l.Task, l.Worker, orNothing(l.Input))
		if l.Retry > 0 {
			line += fmt.Sprintf(" retry=%d", l.Retry)
		}
		if len(l.Hints) > 0 {
			line += fmt.Sprintf(" hints=%v", l.Hints)
		}
		s.out.WriteString(s.alias(line) + "\n")
	}
	for _, o := range out.Unused {
		fmt.Fprintf(&s.out, "unused %s\n", o.Queue)
	}
	for _, r := range out.Results {
		s.printItems(r)
		switch {
		case r.Rejection != nil:
			s.out.WriteString(s.alias(fmt.Sprintf("rejected %s: %s", r.Rejection.Code, r.Rejection.Error())) + "\n")
			for _, p := range r.Rejection.Problems {
				fmt.Fprintf(&s.out, "  %s: %s\n", p.Path, p.Message)
			}
		case r.Repeated:
			of := r.Exec.String()
			if !r.Task.IsZero() {
				of = r.Task.String()
			}
			s.out.WriteString(s.alias(fmt.Sprintf("repeated %s, answer of entry %d", of, r.Index)) + "\n")
		case r.Ignored:
			s.out.WriteString("ignored\n")
		}
	}
}

func orNothing(b []byte) string {
	if len(b) == 0 {
		return "{}"
	}
	return string(b)
}

var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
var leaseText = regexp.MustCompile(`\b[0-9]{15,19}\b`)

// alias puts names in the place of ids and leases.
func (s *story) alias(text string) string {
	text = uuidText.ReplaceAllStringFunc(text, func(id string) string {
		t, err := ParseID(id)
		name, ok := s.execs[t.Exec]
		switch {
		case err != nil || !ok:
			return "?"
		case t.Serial == 0:
			return name
		}
		return fmt.Sprintf("%s/%d", name, t.Serial)
	})
	return leaseText.ReplaceAllStringFunc(text, func(n string) string {
		for i, l := range s.leases {
			if l.String() == n {
				return fmt.Sprintf("L%d", i+1)
			}
		}
		return n
	})
}

var eventNames = map[EventKind]string{
	ExecutionStarted: "started", ExecutionPaused: "paused", ExecutionResumed: "resumed",
	ExecutionCompleted: "COMPLETED", ExecutionFailed: "FAILED", ExecutionTimedOut: "TIMED_OUT",
	ExecutionTerminated: "TERMINATED", TaskScheduled: "made", TaskReady: "ready", TaskLeased: "leased",
	TaskProgressed: "progressed", TaskReturned: "returned", TaskCompleted: "completed",
	TaskCompletedWithErrors: "completed with errors", TaskFailed: "failed", TaskTimedOut: "timed out",
	TaskCanceled: "canceled", LoopIteration: "iteration", SignalReceived: "signaled", ExecutionBlocked: "blocked",
	DefinitionPut: "definition put", DefinitionDeleted: "definition deleted", TaskTypePut: "task type put",
	TaskTypeDeleted: "task type deleted", QueuePaused: "queue paused", QueueResumed: "queue resumed",
	CommandFaulted: "command faulted", ExecutionFaulted: "execution faulted", TermBegan: "term began",
	IncarnationRaised: "incarnation raised", ExecutionParked: "parked", SecretPut: "secret put", SecretDeleted: "secret deleted",
	VariablePut: "variable put", VariableDeleted: "variable deleted",
	ExecutionRestarted: "restarted", ExecutionRetried: "retried",
	ExecutionReran: "reran", ExecutionRevived: "revived", ExecutionJumped: "jumped", ExecutionDeleted: "deleted",
	TaskStateChanged: "told", MessageStored: "message", MessagesDropped: "messages dropped", VariablesSet: "variables set", TaskSkipped: "skipped", TaskReopened: "reopened",
}

func (s *story) event(ev Event) string {
	var b strings.Builder
	b.WriteString(eventNames[ev.Kind])
	switch {
	case ev.Serial != 0:
		fmt.Fprintf(&b, " %s %s", TaskID{Exec: ev.Exec, Serial: ev.Serial}, ev.Ref)
	case !ev.Exec.IsZero():
		fmt.Fprintf(&b, " %s", ev.Exec)
	default:
		fmt.Fprintf(&b, " %s", ev.Ref)
	}
	switch ev.Kind {
	case TaskScheduled:
		b.WriteString(" " + ev.Task.String())
	case TaskLeased:
		fmt.Fprintf(&b, " %s", ev.Lease)
	case TaskFailed:
		if ev.Task != TaskStatusFailed {
			b.WriteString(" " + ev.Task.String())
		}
	case TaskStateChanged:
		fmt.Fprintf(&b, " %s %s %s", ev.Told.On, ev.Told.Type, ev.Told.Payload)
	case MessageStored:
		b.WriteString(" " + ev.Ref)
	case LoopIteration:
		fmt.Fprintf(&b, " %d", ev.Retry)
		return b.String()
	case ExecutionStarted:
		b.WriteString(" " + ev.Ref)
	}
	if ev.Retry > 0 {
		fmt.Fprintf(&b, " retry=%d", ev.Retry)
	}
	if ev.Delay > 0 {
		fmt.Fprintf(&b, " delay=%d", ev.Delay)
	}
	if ev.Reason != "" {
		fmt.Fprintf(&b, " %q", ev.Reason)
	}
	return strings.TrimRight(b.String(), " ")
}

// ask answers lines that only read.
func (s *story) ask(a args) bool {
	v := s.a.View()
	switch a.words[0] {
	case "table":
		for t := range v.Tasks(a.exec(a.word(1)), 0) {
			s.out.WriteString(s.alias(s.record(t)) + "\n")
		}
	case "show":
		e, ok := v.Execution(a.exec(a.word(1)))
		if !ok {
			s.out.WriteString("unknown\n")
			break
		}
		line := fmt.Sprintf("%s v%d %s tasks=%d output=%s", e.Definition, e.Version, e.Status, e.Tasks, orNothing(e.Output))
		if len(e.Variables) > 2 {
			line += " variables=" + string(e.Variables)
		}
		if e.Messages > 0 {
			line += fmt.Sprintf(" messages=%d", e.Messages)
		}
		if len(e.FailedRefs) > 0 {
			line += fmt.Sprintf(" failed=%v", e.FailedRefs)
		}
		if e.Reason != "" {
			line += fmt.Sprintf(" %q", e.Reason)
		}
		s.out.WriteString(s.alias(line) + "\n")
	case "task":
		t, ok := v.Task(a.task(a.word(1)))
		if !ok {
			s.out.WriteString("unknown\n")
			break
		}
		line := fmt.Sprintf("%s %s polls=%d callback=%d delay=%d input=%s output=%s", t.Ref, t.Status, t.Polls, t.CallbackSeconds, t.StartDelay, orNothing(t.Input), orNothing(t.Output))
		if t.Reason != "" {
			line += fmt.Sprintf(" %q", t.Reason)
		}
		if t.Unfenced {
			line += " unfenced"
		}
		s.out.WriteString(s.alias(line) + "\n")
	case "queue":
		q, ok := v.Queue(Queue(a.word(1)))
		fmt.Fprintf(&s.out, "known=%v ready=%d delayed=%d leased=%d paused=%v\n", ok, q.Ready, q.Delayed, q.Leased, q.Paused)
	case "explain":
		s.explain(v, a.word(1))
	case "clock":
		fmt.Fprintf(&s.out, "%d ms, next due %d\n", v.Time(), v.NextDue())
	default:
		return s.askLimits(a)
	}
	return true
}

func (s *story) record(t TaskInfo) string {
	line := fmt.Sprintf("%d %s %s %s", t.Seq, t.Ref, t.Type, t.Status)
	if t.Retry > 0 {
		line += fmt.Sprintf(" retry=%d of %s", t.Retry, t.RetriedOf)
	}
	if t.Iteration > 0 {
		line += fmt.Sprintf(" iteration=%d", t.Iteration)
	}
	if t.Retried {
		line += " retried"
	}
	if !t.Child.IsZero() {
		line += " child=" + t.Child.String()
	}
	return line
}
