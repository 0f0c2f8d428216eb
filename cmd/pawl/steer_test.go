package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// threeSteps is a definition whose steps a test ends by hand.
func threeSteps(name string) string {
	return fmt.Sprintf(`{"name":%q,"version":1,"schemaVersion":2,"tasks":[
 {"name":"paint","taskReferenceName":"a","type":"SIMPLE","inputParameters":{"n":"${workflow.input.n}"}},
 {"name":"paint","taskReferenceName":"b","type":"SIMPLE"},{"name":"paint","taskReferenceName":"c","type":"SIMPLE"}]}`, name)
}

// results gives what became of each execution of a bulk: done, or a code.
func results(t *testing.T, out string) string {
	t.Helper()
	var bulk struct {
		Results []struct {
			Error *struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(out), &bulk); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var list []string
	for _, r := range bulk.Results {
		if r.Error == nil {
			list = append(list, "done")
		} else {
			list = append(list, r.Error.Code)
		}
	}
	return strings.Join(list, " ")
}

// status is that of an execution.
func (s shell) status(id string) string {
	s.t.Helper()
	var got struct{ Execution struct{ Status string } }
	out := s.want(0, "execution", "get", id).out
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return got.Execution.Status
}

// steer runs a verb on one execution and demands the status that it is then in.
func (s shell) steer(status, verb, id string, more ...string) string {
	s.t.Helper()
	out := s.want(0, append([]string{"execution", verb, id}, more...)...).out
	if field(s.t, out, "position") == "" {
		s.t.Errorf("%s does not tell its position: %s", verb, out)
	}
	if got := s.status(id); got != status {
		s.t.Fatalf("after %s the execution is %s, want %s", verb, got, status)
	}
	return out
}

func TestEachVerbSteersOneExecution(t *testing.T) {
	_, addrs := startDev(t, "--nodes", "1")
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ","), "PAWL_OUTPUT=json"}}
	s.want(0, "definition", "apply", write(t, "a.json", "["+threeSteps("house")+`,{"name":"paint","retryCount":0}]`))
	id := field(t, s.want(0, "execution", "start", "house", "--input", `{"n":1}`).out, "executionId")
	update := func(ref, status string, more ...string) {
		t.Helper()
		s.want(0, append([]string{"task", "update", "--execution", id, "--ref", ref, "--status", status}, more...)...)
	}
	s.steer("PAUSED", "pause", id)
	s.steer("RUNNING", "resume", id)
	s.steer("RUNNING", "decide", id)
	s.steer("RUNNING", "message", id, "--body", `{"paid":true}`)
	s.steer("RUNNING", "set-variables", id, "--input", `{"v":[1]}`)
	s.steer("RUNNING", "set-variables", id, "--input", `{"v":[2]}`, "--append")
	if got := s.want(0, "execution", "get", id).out; !strings.Contains(got, `{\"v\":[1,2]}`) {
		t.Errorf("variables are not there: %s", got)
	}
	update("a", "IN_PROGRESS", "--callback-seconds", "3600")
	s.steer("RUNNING", "reset-callbacks", id)
	task := field(t, s.steer("RUNNING", "skip", id, "--ref", "b", "--result", `{"o":1}`), "taskId")
	if got := s.want(0, "task", "get", task).out; !strings.Contains(got, "SKIPPED") {
		t.Errorf("the skipped task is %s", got)
	}
	s.want(exitRefused, "execution", "skip", id, "--ref", "b")
	s.steer("RUNNING", "jump", id, "--ref", "c", "--input", `{"n":2}`)
	update("c", "FAILED", "--reason", "no paint")
	s.steer("RUNNING", "retry", id)
	update("c", "COMPLETED", "--result", `{"ok":true}`)
	s.steer("RUNNING", "restart", id, "--latest")
	first := strings.TrimSuffix(id, "00000000") // serials go on
	var polled struct {
		Tasks []struct{ Task struct{ ID string } }
	}
	out := s.want(0, "task", "list", "--query", "workflowId = '"+id+"' AND status = SCHEDULED").out
	if err := json.Unmarshal([]byte(out), &polled); err != nil || len(polled.Tasks) != 1 || !strings.HasPrefix(polled.Tasks[0].Task.ID, first) {
		t.Fatalf("tasks after the restart: %v, %s", err, out)
	}
	s.want(0, "task", "update", polled.Tasks[0].Task.ID, "--status", "FAILED_WITH_TERMINAL_ERROR")
	s.steer("RUNNING", "rerun", id, "--from", polled.Tasks[0].Task.ID, "--task-input", `{"n":3}`)
	if got := s.want(0, "task", "get", polled.Tasks[0].Task.ID).out; !strings.Contains(got, `{\"n\":3}`) {
		t.Errorf("the task that was rerun is %s", got)
	}
	s.steer("TERMINATED", "terminate", id, "--reason", "enough", "--failure-workflow")
	s.steer("RUNNING", "rerun", id, "--input", `{"n":4}`, "--correlation", "again")
	s.want(exitRefused, "execution", "delete", id)
	s.want(0, "execution", "delete", id, "--force")
	s.want(exitNotFound, "execution", "get", id)
}

func TestVerbsOnManyExecutionsTellWhatBecameOfEach(t *testing.T) {
	_, addrs := startDev(t, "--nodes", "1")
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ","), "PAWL_OUTPUT=json"}}
	s.want(0, "definition", "apply", write(t, "a.json", "["+threeSteps("house")+`,{"name":"paint","retryCount":0,"concurrentExecLimit":2,"rateLimitPerFrequency":5,"rateLimitFrequencyInSeconds":60}]`))
	var ids []string
	for range 2 {
		ids = append(ids, field(t, s.want(0, "execution", "start", "house", "--correlation", "batch").out, "executionId"))
	}
	nobody := "00000000-0000-8000-8000-000000000000"
	for _, c := range []struct {
		code int
		want string // of the two, then of one that does not exist
		args []string
	}{
		{exitFailed, "done done not_found", []string{"pause"}},
		{exitFailed, "done done not_found", []string{"resume"}},
		{exitFailed, "done done not_found", []string{"set-variables", "--input", `{"v":1}`}},
		{exitFailed, "done done not_found", []string{"reset-callbacks"}},
		{exitFailed, "done done not_found", []string{"decide"}},
		{exitFailed, "done done not_found", []string{"skip", "--ref", "b"}},
		{exitFailed, "done done not_found", []string{"jump", "--ref", "c"}},
		{exitFailed, "done done not_found", []string{"terminate", "--reason", "enough"}},
		{exitFailed, "done done not_found", []string{"retry", "--resume-children"}},
		{exitFailed, "conflict conflict not_found", []string{"restart"}},
		{exitFailed, "done done not_found", []string{"terminate"}},
		{exitFailed, "done done not_found", []string{"restart"}},
		{exitFailed, "done done not_found", []string{"terminate"}},
		{exitFailed, "done done not_found", []string{"rerun"}},
		{exitFailed, "conflict conflict not_found", []string{"delete"}},
	} {
		r := s.want(c.code, append(append([]string{"execution"}, c.args...), ids[0], ids[1], nobody)...)
		if got := results(t, r.out); got != c.want || !strings.Contains(r.errs, "of 3 executions were not") {
			t.Errorf("%s: got %s and %s, want %s", c.args, got, r.errs, c.want)
		}
	}
	found := []string{"--query", "correlationId = batch AND status = RUNNING"}
	if out := s.want(0, append([]string{"execution", "terminate", "--dry-run"}, found...)...).out; strings.Count(out, ids[0])+strings.Count(out, ids[1]) != 2 {
		t.Errorf("the dry run tells %s, want both ids", out)
	}
	plain := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ",")}}
	if out := plain.want(0, append([]string{"execution", "delete", "--force"}, found...)...).out; strings.Count(out, "deleted") != 2 {
		t.Errorf("two were deleted, and it tells\n%s", out)
	}
	if out := plain.want(0, append([]string{"execution", "pause"}, found...)...).out; out != "" {
		t.Errorf("a query that selects nothing tells %s", out)
	}
	if out := plain.want(0, "queue", "list").out; !strings.Contains(out, "5 in 60s") || !strings.Contains(out, "PERMITS") {
		t.Errorf("queues are told without their limits:\n%s", out)
	}
}

func TestWatchTellsAnExecutionToItsEnd(t *testing.T) {
	_, addrs := startDev(t)
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ",")}}
	s.want(0, "definition", "apply", write(t, "a.json", "["+threeSteps("house")+`,{"name":"paint","retryCount":0}]`))
	start := func() string {
		t.Helper()
		id := strings.TrimSpace(s.want(0, "execution", "start", "house").out)
		s.want(0, "task", "update", "--execution", id, "--ref", "a", "--status", "COMPLETED")
		return id
	}
	id := start()
	w := exec.Command(program(t), "execution", "watch", id, "-o", "json", "--address", addrs[0])
	out, err := w.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for lines := json.NewDecoder(out); ; {
		var c told
		if err := lines.Decode(&c); err != nil {
			break
		}
		kinds = append(kinds, strings.TrimSpace(c.Kind+" "+c.Ref+" "+c.TaskStatus+c.Status))
		switch {
		case c.Kind == "state" && c.Ref == "b":
			s.want(0, "task", "update", "--execution", id, "--ref", "b", "--status", "COMPLETED")
		case c.Kind == "task_scheduled" && c.Ref == "c":
			s.want(0, "task", "update", "--execution", id, "--ref", "c", "--status", "COMPLETED")
		}
	}
	if err := w.Wait(); err != nil {
		t.Errorf("the watch ends with %v", err)
	}
	want := "state  RUNNING, state a COMPLETED, state b SCHEDULED, task_completed b COMPLETED, task_scheduled c SCHEDULED, task_completed c COMPLETED, execution_completed  COMPLETED"
	if got := strings.Join(kinds, ", "); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
	id = start()
	s.want(0, "execution", "terminate", id)
	if r := s.want(exitExecution, "execution", "watch", id); !strings.Contains(r.out, "TERMINATED") {
		t.Errorf("the watch of what was terminated tells %s", r.out)
	}
	s.want(exitNotFound, "execution", "watch", "00000000-0000-8000-8000-000000000000")
	if r := run(t, s.env, "", "execution", "watch", start(), "--timeout", "1s"); r.code != exitUnknown || !strings.Contains(r.errs, "has not ended within 1s") {
		t.Errorf("a watch of a second ends with %d: %s", r.code, r.errs)
	}
}

func TestStartWaitsForNamedTasks(t *testing.T) {
	_, addrs := startDev(t, "--nodes", "1")
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ",")}}
	s.want(0, "definition", "apply", write(t, "a.json", `{"name":"pause","version":1,"schemaVersion":2,"tasks":[
 {"name":"i","taskReferenceName":"i","type":"SET_VARIABLE","inputParameters":{"n":1}},
 {"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"1 seconds"}},
 {"name":"paint","taskReferenceName":"p","type":"SIMPLE"}]}`))
	if r := s.want(0, "execution", "start", "pause", "--wait-for", "w, p"); !strings.Contains(r.out, "RUNNING") || !strings.Contains(r.out, "w is COMPLETED") {
		t.Errorf("it tells %s", r.out)
	}
	if r := run(t, s.env, "", "execution", "start", "pause", "--wait-for", "p", "--timeout", "3s"); r.code != exitUnknown || !strings.Contains(r.errs, "none of p has ended yet") {
		t.Errorf("a wait in vain ends with %d: %s", r.code, r.errs)
	}
	s.want(exitUsage, "execution", "start", "pause", "--wait-for", "p", "--wait")
	s.want(exitRefused, "execution", "start", "pause", "--wait-for", "w,,p")
}

func TestDefinitionTestGoesAsFarAsTheMocks(t *testing.T) {
	_, addrs := startDev(t, "--nodes", "1")
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ",")}}
	file := write(t, "a.json", "["+threeSteps("house")+`,{"name":"paint","retryCount":1,"retryDelaySeconds":3600}]`)
	short := write(t, "short.json", `{"a":[{"status":"FAILED","reasonForIncompletion":"no paint"},{"output":{"n":2},"executionTime":1000}]}`)
	whole := write(t, "whole.yaml", "taskRefToMockOutput:\n  a: [{}]\n  b: [{}]\n  c: [{output: {n: 3}}]\n")
	if r := s.want(exitFailed, "definition", "test", file, "--input", `{"n":1}`); !strings.Contains(r.errs, "waits for a mock of a") || !strings.Contains(r.out, "SCHEDULED") {
		t.Errorf("without mocks it tells\n%s%s", r.out, r.errs)
	}
	if r := s.want(exitFailed, "definition", "test", file, "--mocks", short); !strings.Contains(r.errs, "waits for a mock of b") || !strings.Contains(r.out, "no paint") || !strings.Contains(r.out, `{"n":2}`) {
		t.Errorf("with some mocks it tells\n%s%s", r.out, r.errs)
	}
	if r := s.want(0, "definition", "test", file, "--mocks", whole, "-o", "json"); !strings.Contains(r.out, `"status":"COMPLETED"`) {
		t.Errorf("with all mocks it tells\n%s", r.out)
	}
	bad := write(t, "bad.json", `{"a":[{"status":"BEST"}]}`)
	s.want(exitUsage, "definition", "test", file, "--mocks", bad)
	s.want(exitUsage, "definition", "test", file, "--mocks", "/nowhere.json")
	s.want(exitRefused, "definition", "test", write(t, "wrong.json", `{"name":"x","tasks":[{"type":"NO_SUCH"}]}`))
	if list := s.want(0, "definition", "list").out; strings.Count(list, "\n") != 1 {
		t.Errorf("afterwards there are\n%s", list)
	}
}
