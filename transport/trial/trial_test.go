package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
)

// tried renders how far a trial came: the execution's status, then each of its tasks.
func tried(t *testing.T, trial *Trial) (string, Outcome) {
	t.Helper()
	out, err := trial.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x, _ := out.View.Execution(out.Exec)
	text := x.Status.String()
	for k := range out.View.Tasks(out.Exec, 1) {
		text += fmt.Sprintf(" %s/%d=%s", k.Ref, k.Retry, k.Status)
	}
	return text, out
}

func documents(list ...string) (out [][]byte) {
	for _, d := range list {
		out = append(out, []byte(d))
	}
	return out
}

func steps(name string, tasks ...string) string {
	return `{"name":"` + name + `","version":1,"schemaVersion":2,"outputParameters":{"o":"${a.output.n}"},"tasks":[` + strings.Join(tasks, ",") + `]}`
}

func step(kind, ref, more string) string {
	return `{"name":"` + ref + `","taskReferenceName":"` + ref + `","type":"` + kind + `"` + more + `}`
}

func TestATrialGoesAsFarAsTheMocks(t *testing.T) {
	two := steps("two", step("SIMPLE", "a", ""), step("SIMPLE", "b", ""))
	retried := `{"name":"a","retryCount":2,"retryDelaySeconds":60,"responseTimeoutSeconds":30}`
	done := Mock{Output: []byte(`{"n":1}`)}
	for name, test := range map[string]struct {
		docs []string
		name string
		mock map[string][]Mock
		want string
	}{
		"no mock": {[]string{two}, "two", nil, "RUNNING a/0=SCHEDULED"},
		"one":     {[]string{two}, "two", map[string][]Mock{"a": {done}}, "RUNNING a/0=COMPLETED b/0=SCHEDULED"},
		"all":     {[]string{two}, "two", map[string][]Mock{"a": {done}, "b": {{}}}, "COMPLETED a/0=COMPLETED b/0=COMPLETED"},
		"attempt by attempt": {[]string{two, retried}, "two", map[string][]Mock{"a": {{Status: fsm.TaskStatusFailed, Reason: "no"}, done}},
			"RUNNING a/0=FAILED a/1=COMPLETED b/0=SCHEDULED"},
		"fewer mocks than attempts": {[]string{two, retried}, "two", map[string][]Mock{"a": {{Status: fsm.TaskStatusFailed}}}, "RUNNING a/0=FAILED a/1=SCHEDULED"},
		"a failure":                 {[]string{two}, "two", map[string][]Mock{"a": {{Status: fsm.TaskStatusFailedTerminal}}}, "FAILED a/0=FAILED_WITH_TERMINAL_ERROR"},
		"time": {[]string{steps("wait", step("WAIT", "w", `,"inputParameters":{"duration":"3 days"}`), step("SIMPLE", "a", ""))}, "wait",
			map[string][]Mock{"a": {done}}, "COMPLETED w/0=COMPLETED a/0=COMPLETED"},
		"branches": {[]string{steps("fork", step("FORK_JOIN", "f", `,"forkTasks":[[`+step("SIMPLE", "a", "")+`],[`+step("HUMAN", "h", "")+`]]`),
			step("JOIN", "j", `,"joinOn":["a","h"]`))}, "fork", map[string][]Mock{"h": {{}}}, "RUNNING f/0=COMPLETED a/0=SCHEDULED h/0=COMPLETED j/0=IN_PROGRESS"},
		"iterations": {[]string{steps("loop", step("DO_WHILE", "l", `,"loopCondition":"$.l['iteration'] < 2","loopOver":[`+step("SIMPLE", "a", "")+`]`))}, "loop",
			map[string][]Mock{"a": {done, done}}, "COMPLETED l/0=COMPLETED a__1/0=COMPLETED a__2/0=COMPLETED"},
		"a wait in the queue that is too long": {[]string{two, `{"name":"a","retryCount":0,"pollTimeoutSeconds":10,"timeoutSeconds":20,"responseTimeoutSeconds":5}`}, "two",
			map[string][]Mock{"a": {{Wait: 11_000}}}, "TIMED_OUT a/0=TIMED_OUT"},
	} {
		t.Run(name, func(t *testing.T) {
			got, out := tried(t, &Trial{Documents: documents(test.docs...), Start: fsm.StartExecution{Name: test.name}, Mocks: &Mocks{Tasks: test.mock}})
			if got != test.want || out.Cut {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if running := strings.HasPrefix(got, "RUNNING"); running != (len(out.Waiting) > 0) {
				t.Errorf("%s, and %d tasks wait for a mock", got, len(out.Waiting))
			}
		})
	}
}

func TestATrialKnowsWhatTheClusterHas(t *testing.T) {
	s := fsm.New(1)
	var cs []*fsm.Command
	for _, b := range []fsm.Body{
		&fsm.PutTaskType{Source: []byte(`{"name":"k","retryCount":0}`)},
		&fsm.PutDefinition{Source: []byte(steps("kid", step("SIMPLE", "k", `,"inputParameters":{"e":"${workflow.env.HOST}"}`)))},
		&fsm.PutDefinition{Source: []byte(steps("parent", step("SUB_WORKFLOW", "c", `,"subWorkflowParam":{"name":"kid"}`), step("SIMPLE", "a", "")))},
		&fsm.PutVariable{Name: "HOST", Value: "here"},
	} {
		cs = append(cs, &fsm.Command{Body: b})
	}
	if out := s.Apply(1, &fsm.Entry{Time: 1_000, Commands: cs}); out.Results[2].Rejection != nil {
		t.Fatal(out.Results[2].Rejection)
	}
	before := s.Digest()
	trial := &Trial{Known: s.View(), Start: fsm.StartExecution{Name: "parent"}}
	got, out := tried(t, trial)
	if got != "RUNNING c/0=IN_PROGRESS" || len(out.Waiting) != 1 || out.Waiting[0].Ref != "k" || string(out.Waiting[0].Input) != `{"e":"here"}` {
		t.Fatalf("got %s, waiting %v", got, out.Waiting)
	}
	trial.Mocks = &Mocks{Children: map[string]*Mocks{"c": {Tasks: map[string][]Mock{"k": {{}}}}}}
	if got, _ := tried(t, trial); got != "RUNNING c/0=COMPLETED a/0=SCHEDULED" {
		t.Errorf("with a mock of the child: got %s", got)
	}
	trial.Documents = documents(steps("kid", step("NOOP", "n", "")))
	if got, _ := tried(t, trial); got != "RUNNING c/0=COMPLETED a/0=SCHEDULED" {
		t.Errorf("with a child of its own: got %s", got)
	}
	if s.Digest() != before {
		t.Error("the trial changed the state that it was given")
	}
}

func TestAScriptIsEvaluatedWhenThereIsAnybodyToDoIt(t *testing.T) {
	trial := &Trial{Documents: documents(steps("s", step("INLINE", "i", `,"inputParameters":{"evaluatorType":"javascript","expression":"[1].map(String)"}`))),
		Start: fsm.StartExecution{Name: "s"}}
	if got, out := tried(t, trial); got != "RUNNING i/0=IN_PROGRESS" || len(out.Waiting) != 1 {
		t.Errorf("without an engine: got %s, %v", got, out.Waiting)
	}
	trial.Evaluate = func(_ context.Context, l fsm.Leased) (fsm.Body, error) {
		return &fsm.FinishJob{Task: l.Task, Lease: l.Lease, Result: []byte(`["1"]`)}, nil
	}
	if got, _ := tried(t, trial); got != "COMPLETED i/0=COMPLETED" {
		t.Errorf("with an engine: got %s", got)
	}
	broken := errors.New("broken")
	trial.Evaluate = func(context.Context, fsm.Leased) (fsm.Body, error) { return nil, broken }
	if _, err := trial.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("with a broken engine: got %v", err)
	}
}

func TestATrialIsBounded(t *testing.T) {
	forever := steps("forever", step("DO_WHILE", "l", `,"loopCondition":"true","loopOver":[`+step("WAIT", "w", `,"inputParameters":{"duration":"1 hours"}`)+`]`))
	if _, out := tried(t, &Trial{Documents: documents(forever), Start: fsm.StartExecution{Name: "forever"}}); !out.Cut {
		t.Error("a loop for ever is not cut")
	}
}

func TestWhatIsWrongIsARejection(t *testing.T) {
	for _, trial := range []*Trial{
		{Start: fsm.StartExecution{Name: "nowhere"}},
		{Documents: documents(`{"name":"x","tasks":[{"type":"NO_SUCH"}]}`), Start: fsm.StartExecution{Name: "x"}},
		{Documents: documents(steps("two", step("SIMPLE", "a", ""))), Start: fsm.StartExecution{Name: "two", Priority: 100}},
	} {
		var rej *fsm.Rejection
		if _, err := trial.Run(t.Context()); !errors.As(err, &rej) {
			t.Errorf("%s: got %v", trial.Start.Name, err)
		}
	}
}
