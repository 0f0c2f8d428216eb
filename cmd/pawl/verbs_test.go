package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestEveryCommandSaysWhatItDoesAndShowsAnExample(t *testing.T) {
	var walk func(c *cobra.Command)
	root := newRoot()
	walk = func(c *cobra.Command) {
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if c != root && root.PersistentFlags().Lookup(f.Name) != nil {
				t.Errorf("%s: its flag --%s hides that of every command", c.CommandPath(), f.Name)
			}
		})
		if c.Short == "" || c.Example == "" && !c.Hidden {
			t.Errorf("%s: short %q, example %q; want both", c.CommandPath(), c.Short, c.Example)
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(root)
	help := run(t, nil, "", "--help")
	for _, word := range []string{"cluster", "completion", "definition", "demo", "dev", "execution", "queue", "server", "task", "version", "worker", "Exit codes"} {
		if !strings.Contains(help.out, word) {
			t.Errorf("pawl --help does not speak of %s", word)
		}
	}
}

func oneStep(name, version, taskType string) string {
	return fmt.Sprintf(`{"name":%q,"version":%s,"schemaVersion":2,"tasks":[{"name":%q,"taskReferenceName":"r","type":"SIMPLE"}]}`, name, version, taskType)
}

// shell runs commands against one cluster.
type shell struct {
	t   *testing.T
	env []string
}

func (s shell) want(code int, args ...string) ran {
	s.t.Helper()
	r := run(s.t, s.env, "", args...)
	if r.code != code {
		s.t.Errorf("pawl %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.errs)
	}
	if code != exitExecution && code != exitFailed && code != 0 && r.out != "" {
		s.t.Errorf("pawl %s: failed and wrote to standard output: %s", strings.Join(args, " "), r.out)
	}
	return r
}

// field gives one field of a JSON answer, as text.
func field(t *testing.T, text, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("not a JSON object: %v: %s", err, text)
	}
	return fmt.Sprint(m[name])
}

func TestVerbsCarryAnExecutionFromStartToEnd(t *testing.T) {
	_, addrs := startDev(t, "--nodes", "1")
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ","), "PAWL_OUTPUT=json"}}
	s.want(0, "definition", "apply", write(t, "a.json", "["+oneStep("byhand", "1", "paint")+`,{"name":"paint","retryCount":0}]`))
	s.want(0, "definition", "apply", write(t, "w.json",
		`{"name":"signalled","version":1,"schemaVersion":2,"tasks":[{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"1 hours"}}]}`))
	s.want(0, "definition", "list")
	s.want(0, "definition", "get", "byhand", "--version", "1")
	s.want(0, "definition", "get", "paint", "--task-type")

	id := field(t, s.want(0, "execution", "start", "byhand", "--key", "k1", "--input", `{"n":1}`).out, "executionId")
	s.want(exitRefused, "execution", "start", "byhand", "--key", "k1")
	if again := field(t, s.want(0, "execution", "start", "byhand", "--key", "k1", "--on-conflict", "RETURN_EXISTING").out, "executionId"); again != id {
		t.Errorf("the key k1 gave %s, want %s", again, id)
	}
	if why := s.want(0, "execution", "why", id).out; !strings.Contains(why, "paint") {
		t.Errorf("why: %s; want the queue paint in it", why)
	}
	if why := s.want(0, "execution", "why", id, "r").out; !strings.Contains(why, "no_worker") {
		t.Errorf("why r: %s; want that it has no worker", why)
	}
	var asked struct {
		Reasons []struct{ Kind, Queue, Ref string }
	}
	if err := json.Unmarshal([]byte(s.want(0, "execution", "why", id, "-o", "json").out), &asked); err != nil ||
		len(asked.Reasons) != 1 || asked.Reasons[0].Queue != "paint" || asked.Reasons[0].Ref != "r" {
		t.Errorf("why as JSON: %v, %v", asked, err)
	}
	s.want(0, "queue", "pause", "paint")
	s.want(0, "queue", "resume", "paint")
	s.settings()
	var polled struct {
		Tasks []struct{ TaskID, Lease string }
	}
	if err := json.Unmarshal([]byte(s.want(0, "task", "poll", "--type", "paint").out), &polled); err != nil || len(polled.Tasks) != 1 {
		t.Fatalf("poll gave %v, %v; want one task", polled, err)
	}
	task := polled.Tasks[0]
	s.want(exitRefused, "task", "complete", task.TaskID, "--lease", "1")
	s.want(0, "task", "complete", task.TaskID, "--lease", task.Lease, "--result", `{"done":true}`)
	s.want(0, "task", "get", task.TaskID)
	if end := s.want(0, "execution", "get", id, "--tasks").out; !strings.Contains(end, `"status":"COMPLETED"`) {
		t.Errorf("the execution is %s; want it completed", end)
	}

	id = field(t, s.want(0, "execution", "start", "byhand").out, "executionId")
	if err := json.Unmarshal([]byte(s.want(0, "task", "poll", "--type", "paint").out), &polled); err != nil || len(polled.Tasks) != 1 {
		t.Fatalf("poll gave %v, %v; want one task", polled, err)
	}
	s.want(0, "task", "fail", polled.Tasks[0].TaskID, "--lease", polled.Tasks[0].Lease, "--reason", "no paint", "--terminal")
	if end := s.want(0, "execution", "get", id).out; !strings.Contains(end, `"status":"FAILED"`) || !strings.Contains(end, "no paint") {
		t.Errorf("the execution is %s; want it failed for want of paint", end)
	}

	id = field(t, s.want(0, "execution", "start", "signalled").out, "executionId")
	s.want(0, "execution", "pause", id)
	s.want(0, "execution", "resume", id)
	s.want(0, "execution", "signal", id, "--payload", `{"x":1}`)
	s.want(exitRefused, "execution", "signal", id)
	id = field(t, s.want(0, "execution", "start", "signalled").out, "executionId")
	s.want(0, "execution", "terminate", id, "--reason", "enough")
	s.want(0, "execution", "list", "--status", "TERMINATED")
	s.want(0, "cluster", "status")
	s.want(0, "version")
}

// settings sets, lists and forgets secrets and variables. A secret comes in by standard
// input and never out again.
func (s shell) settings() {
	s.t.Helper()
	if r := run(s.t, s.env, "s3cret\n", "secret", "put", "KEY"); r.code != 0 {
		s.t.Errorf("pawl secret put: exit code %d\n%s", r.code, r.errs)
	}
	if r := s.want(0, "secret", "list"); !strings.Contains(r.out, "KEY") || strings.Contains(r.out, "s3cret") {
		s.t.Errorf("pawl secret list: got %s", r.out)
	}
	s.want(0, "secret", "delete", "KEY")
	s.want(exitNotFound, "secret", "delete", "KEY")
	s.want(exitUsage, "secret", "put", "KEY")
	s.want(0, "env", "put", "HOST", "example.org")
	if r := s.want(0, "env", "list"); !strings.Contains(r.out, "example.org") {
		s.t.Errorf("pawl env list: got %s", r.out)
	}
	s.want(0, "env", "delete", "HOST")
}

func TestWorkerRunsACommandAndStartWaitsForTheEnd(t *testing.T) {
	_, addrs := startDev(t)
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ",")}}
	s.want(0, "definition", "apply", write(t, "a.json", "["+oneStep("good", "1", "echo")+","+oneStep("bad", "1", "broken")+`,{"name":"broken","retryCount":0}]`))
	worker := func(taskType, command string) {
		w := exec.Command(program(t), "worker", "run", "--type", taskType, "--exec", command, "--address", addrs[0])
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (&running{cmd: w}).end(t) })
	}
	worker("echo", "cat")
	worker("broken", "echo no paint >&2; exit 3")
	s.want(0, "execution", "start", "good", "--wait")
	r := s.want(exitExecution, "execution", "start", "bad", "--wait", "-o", "json")
	if !strings.Contains(r.errs, "no paint") || field(t, r.out, "status") != "FAILED" {
		t.Errorf("the failed execution says %s and %s; want the worker's reason", r.out, r.errs)
	}
	began := time.Now()
	r = s.want(exitUnknown, "execution", "start", "good", "--domain", "echo=nobody", "--wait", "--timeout", "1s")
	if took := time.Since(began); took > 10*time.Second || !strings.Contains(r.errs, "no end within 1s") {
		t.Errorf("after %s: %s", took, r.errs)
	}
}

func TestMistakesAreNamedAndNothingIsHalfDone(t *testing.T) {
	_, addrs := startDev(t, "--nodes", "1")
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ",")}}
	s.want(0, "definition", "apply", write(t, "there.json", oneStep("there", "1", "t")))
	def := func(source string) []string { return []string{"definition", "apply", write(t, "d.json", source)} }
	start := func(more ...string) []string { return append([]string{"execution", "start", "there"}, more...) }
	big := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	nobody := "00000000-0000-8000-8000-000000000000"
	for _, c := range []struct {
		name string
		code int
		says string
		args []string
	}{
		{"unknown field", exitRefused, "tassks", def(`{"name":"x","version":1,"tassks":[],"tasks":[]}`)},
		{"wrong type", exitRefused, "version: found the string", def(oneStep("x", `"one"`, "t"))},
		{"bad template", exitRefused, "inputParameters.a", def(`{"name":"x","version":1,"schemaVersion":2,"tasks":[{"name":"t","taskReferenceName":"r","type":"SIMPLE","inputParameters":{"a":"${a b}"}}]}`)},
		{"dangling reference", exitRefused, "inputParameters.a", def(`{"name":"x","version":1,"schemaVersion":2,"tasks":[{"name":"t","taskReferenceName":"r","type":"SIMPLE","inputParameters":{"a":"${nobody.output.b}"}}]}`)},
		{"duplicate reference", exitRefused, "tasks[1].taskReferenceName", def(`{"name":"x","version":1,"schemaVersion":2,"tasks":[{"name":"t","taskReferenceName":"r","type":"SIMPLE"},{"name":"t","taskReferenceName":"r","type":"SIMPLE"}]}`)},
		{"input left to a task type", exitRefused, "inputParameters.uri or", def(`{"name":"x","version":1,"schemaVersion":2,"tasks":[{"name":"t","taskReferenceName":"r","type":"HTTP"}]}`)},
		{"not JSON", exitRefused, "not JSON", def(`{"name":`)},
		{"nothing", exitRefused, "the document is empty", def(``)},
		{"large definition", exitRefused, "allowed", def(oneStep(strings.Repeat("x", 1<<20), "1", "t"))},
		{"one bad of three", exitRefused, "tasks[0].inputParameters", def("[" + oneStep("one", "1", "t") + `,{"name":"x","version":1,"schemaVersion":2,"tasks":[{"name":"t","taskReferenceName":"r","type":"HTTP"}]},` + oneStep("three", "1", "t") + "]")},
		{"one taken of two", exitRefused, "other contents", def("[" + oneStep("one", "1", "t") + "," + oneStep("there", "1", "other") + "]")},
		{"one twice", exitRefused, "is also in", def("[" + oneStep("one", "1", "t") + "," + oneStep("one", "1", "u") + "]")},
		{"no such file", exitUsage, "no such file", []string{"definition", "apply", "/nowhere.json"}},
		{"unknown definition", exitNotFound, "nowhere", []string{"execution", "start", "nowhere"}},
		{"get unknown definition", exitNotFound, "nowhere", []string{"definition", "get", "nowhere"}},
		{"unknown version", exitNotFound, "version 9", []string{"definition", "get", "there", "--version", "9"}},
		{"bad input", exitRefused, "input: invalid JSON at offset 1", start("--input", "{bad")},
		{"input no object", exitRefused, "input: must be a JSON object", start("--input", "[1]")},
		{"large input", exitRefused, "input: has more than the 1048576 bytes", start("--input", "@"+write(t, "big.json", big))},
		{"negative priority", exitRefused, "priority: is -1; 0 to 99", start("--priority=-1")},
		{"strategy", exitUsage, "on-conflict", start("--on-conflict", "MAYBE")},
		{"domain", exitUsage, "TYPE=DOMAIN", start("--domain", "x")},
		{"no id", exitRefused, "not the id of an execution", []string{"execution", "get", "xyz"}},
		{"no such execution", exitNotFound, nobody, []string{"execution", "get", nobody}},
		{"no such execution to end", exitNotFound, nobody, []string{"execution", "terminate", nobody}},
		{"no task id", exitRefused, "not the id of a task", []string{"task", "complete", "xyz"}},
		{"signal status", exitUsage, "CANCELED", []string{"execution", "signal", nobody, "--status", "CANCELED"}},
		{"list status", exitUsage, "RUNNING", []string{"execution", "list", "--status", "running"}},
		{"list limit", exitRefused, "limit", []string{"execution", "list", "--limit", "5001"}},
		{"query", exitRefused, `query: at character 8: found "FAILED", want =`, []string{"execution", "list", "--query", "status FAILED"}},
		{"field of a query", exitRefused, `query: at character 1: found "state", want one of`, []string{"execution", "retry", "--query", "state = FAILED"}},
		{"query for tasks", exitRefused, `query: at character 12: found "FAILED", want (`, []string{"task", "list", "--query", "(status in FAILED)"}},
		{"sort", exitRefused, "want ASC or DESC", []string{"task", "list", "--sort", "status:DOWN"}},
		{"no id to retry", exitUsage, "at least one id, or --query", []string{"execution", "retry"}},
		{"ids and query", exitUsage, "cannot be combined", []string{"execution", "retry", nobody, "--query", "a = b"}},
		{"dry run of ids", exitUsage, "needs --query", []string{"execution", "retry", nobody, "--dry-run"}},
		{"rerun of many from one task", exitUsage, "one execution", []string{"execution", "rerun", nobody, nobody, "--from", nobody}},
		{"task input alone", exitUsage, "needs --from", []string{"execution", "rerun", nobody, "--task-input", "{}"}},
		{"rerun from no task", exitRefused, "taskId: not the id of a task", []string{"execution", "rerun", nobody, "--from", "xyz"}},
		{"skip of nothing", exitRefused, "ref: must not be empty", []string{"execution", "skip", nobody}},
		{"no variables", exitRefused, "variables: must not be empty", []string{"execution", "set-variables", nobody}},
		{"no variables of many", exitRefused, "input: must not be empty", []string{"execution", "set-variables", nobody, nobody}},
		{"bad input of many", exitRefused, "input: must be a JSON object", []string{"execution", "jump", nobody, nobody, "--ref", "a", "--input", "[1]"}},
		{"no such execution to retry", exitNotFound, nobody, []string{"execution", "retry", nobody}},
		{"update of nothing", exitUsage, "the id of a task, or", []string{"task", "update"}},
		{"update by ref alone", exitRefused, "executionId", []string{"task", "update", "--ref", "a", "--status", "FAILED"}},
		{"update without status", exitRefused, "status: must be", []string{"task", "update", "--execution", nobody, "--ref", "a"}},
		{"unknown queue", exitNotFound, "nobody", []string{"queue", "pause", "nobody"}},
		{"unknown node", exitRefused, "32 hexadecimal digits", []string{"cluster", "transfer", "banana"}},
		{"unknown flag", exitUsage, "--bogus", []string{"execution", "list", "--bogus"}},
		{"unknown command", exitUsage, `no command "exection"; did you mean execution?`, []string{"exection"}},
		{"unknown verb", exitUsage, `no command "strt"`, []string{"execution", "strt"}},
		{"argument too few", exitUsage, "one argument", []string{"execution", "get"}},
		{"output", exitUsage, "table and json", []string{"version", "-o", "xml"}},
		{"timeout", exitUsage, "timeout", []string{"version", "--timeout", "0s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := shell{t, s.env}
			if r := s.want(c.code, c.args...); !strings.HasPrefix(r.errs, "pawl: ") || !strings.Contains(r.errs, c.says) {
				t.Errorf("says %q; want %q in it", r.errs, c.says)
			}
			r := s.want(c.code, append([]string{"-o", "json"}, c.args...)...)
			if c.name == "output" {
				return // it is the later one that counts
			}
			if got := field(t, r.errs, "exit"); got != fmt.Sprint(c.code) {
				t.Errorf("the JSON error has exit %s, want %d", got, c.code)
			}
		})
	}
	if left := s.want(0, "definition", "list").out; strings.Count(left, "\n") != 2 {
		t.Errorf("definitions afterwards:\n%swant one, and no trace of those refused", left)
	}
}

func TestAClusterThatDoesNotAnswerIsToldSoon(t *testing.T) {
	addr, err := freeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, args := range [][]string{
		{"execution", "list"},
		{"worker", "run", "--type", "t", "--exec", "true", "--timeout", "1s"},
	} {
		s := shell{t, []string{"PAWL_ADDR=" + addr[0]}}
		s.want(exitUnreachable, args...)
	}
	if took := time.Since(began); took > 3*connectLimit {
		t.Errorf("it took %s, want about %s", took, connectLimit)
	}
	s := shell{t, []string{"PAWL_TIMEOUT=soon"}}
	s.want(exitUsage, "version")
}
