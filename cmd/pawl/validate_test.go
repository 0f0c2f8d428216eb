package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateTellsFilesByTheirShapeAndCountsThem(t *testing.T) {
	s := shell{t: t}
	noop := `{"name":"n","taskReferenceName":"n","type":"NOOP"}`
	good := []string{
		write(t, "w.json", `{"name":"w","tasks":[`+noop+`]}`),
		write(t, "w.yaml", "name: w\ntasks:\n  - name: n\n    taskReferenceName: n\n    type: NOOP\n"),
		write(t, "types.yaml", "- name: a\n- name: b\n  retryCount: 2\n"),
		write(t, "h.json", `{"name":"h","event":"conductor:e","actions":[{"action":"start_workflow","start_workflow":{"name":"w"}}]}`),
		write(t, "s.yaml", "name: s\ncronExpression: 0 0 9 * * MON-FRI\nstartWorkflowRequest: {name: w}\n"),
		write(t, "start.json", `{"name":"w","input":{},"workflowDef":{"name":"w","tasks":[`+noop+`]}}`),
	}
	bad := []string{
		write(t, "bad.json", `{"name":"w","tasks":[`+noop+`,`+noop+`]}`),
		write(t, "list.json", `[{"name":"a"},{"name":"b","retryCount":-1}]`),
		write(t, "bad.yaml", "name: w\nname: v\n"),
		write(t, "start.yaml", "name: w\nworkflowDef:\n  name: w\n  tasks: []\n"),
		write(t, "empty.json", "[]"),
		write(t, "odd.json", `{"hello":1}`),
	}
	r := s.want(exitFailed, append([]string{"definition", "validate", "-o", "json"}, append(good, bad...)...)...)
	var got struct {
		Accepted, Rejected int
		Files              []struct {
			File     string
			Kind     string
			OK       bool
			Problems []struct{ Path, Message string }
		}
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	if got.Accepted != len(good) || got.Rejected != len(bad) || len(got.Files) != len(good)+len(bad) {
		t.Fatalf("got %d accepted, %d rejected of %d files: %s", got.Accepted, got.Rejected, len(got.Files), r.out)
	}
	kinds := []string{"workflow definition", "workflow definition", "list of task definitions", "event handler", "schedule", "start request"}
	for i, kind := range kinds {
		if f := got.Files[i]; !f.OK || f.Kind != kind || len(f.Problems) != 0 || f.Problems == nil {
			t.Errorf("%s: got %+v, want a valid %s with an empty list of problems", filepath.Base(f.File), f, kind)
		}
	}
	for i, want := range []string{
		"tasks[1].taskReferenceName taskReferenceName: n should be unique",
		"[1].retryCount TaskDef retryCount: 0 must be >= 0",
		` line 2: the key "name" is there twice`,
		"workflowDef.tasks WorkflowTask list cannot be empty",
		" the list is empty",
		" is none of a workflow definition",
	} {
		f := got.Files[len(good)+i]
		if f.OK || len(f.Problems) == 0 || !strings.HasPrefix(f.Problems[0].Path+" "+f.Problems[0].Message, want) {
			t.Errorf("%s: got %+v, want %q", filepath.Base(f.File), f, want)
		}
	}
	s.want(0, append([]string{"definition", "validate"}, good...)...)
}

func TestValidateParsesScriptsWithTheirEngines(t *testing.T) {
	s := shell{t: t}
	step := func(ref, typ, more string) string {
		return `{"name":"` + ref + `","taskReferenceName":"` + ref + `","type":"` + typ + `",` + more + `}`
	}
	flow := `{"name":"w","tasks":[` +
		step("s", "SWITCH", `"evaluatorType":"javascript","expression":"x => ","decisionCases":{"a":[]}`) + "," +
		step("i", "INLINE", `"retryCount":-1,"inputParameters":{"expression":"(function(){ return [1,2].map(x => x) })()"}`) + "," +
		step("l", "LAMBDA", `"inputParameters":{"scriptExpression":"var a b"}`) + "," +
		step("q", "JSON_JQ_TRANSFORM", `"inputParameters":{"queryExpression":".a |"}`) + `]}`
	bad := write(t, "bad.json", flow)
	listed := write(t, "list.yaml", "- name: a\n- name: h\n  event: e\n  condition: 'x =>'\n  actions: [{action: start_workflow, start_workflow: {name: w}}]\n")
	good := write(t, "good.json", `{"name":"w","tasks":[`+step("l", "LAMBDA", `"inputParameters":{"scriptExpression":"return [1].map(x => x)"}`)+`]}`)
	r := s.want(exitFailed, "definition", "validate", "-o", "json", bad, listed, good)
	var got checks
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.Accepted != 1 || got.Rejected != 2 || !got.Files[2].OK {
		t.Fatalf("%v: %s", err, r.out)
	}
	for i, want := range [][]string{
		{"tasks[1].retryCount must be", "tasks[0].expression Expression is not well formatted: SyntaxError", "tasks[2].inputParameters.scriptExpression Expression is not well formatted: SyntaxError",
			"tasks[3].inputParameters.queryExpression Expression is not well formatted: "},
		{"[1].condition Expression is not well formatted: SyntaxError"},
	} {
		if found := got.Files[i].Problems; len(found) != len(want) {
			t.Errorf("%s: got %+v, want %q", got.Files[i].File, found, want)
		} else {
			for j, w := range want {
				if line := found[j].Path + " " + found[j].Message; !strings.HasPrefix(line, w) {
					t.Errorf("%s: got %q, want %q", got.Files[i].File, line, w)
				}
			}
		}
	}
	if r := s.want(exitRefused, "definition", "apply", bad); !strings.Contains(r.errs, "nothing was registered") {
		t.Errorf("got %s", r.errs) // without a server: nothing was sent
	}
}

func TestApplyTakesYAML(t *testing.T) {
	_, addrs := startDev(t, "--nodes", "1")
	s := shell{t, []string{"PAWL_ADDR=" + strings.Join(addrs, ","), "PAWL_OUTPUT=json"}}
	s.want(0, "definition", "apply", write(t, "w.yaml", "name: w\ntasks:\n  - {name: n, taskReferenceName: n, type: NOOP}\n---\nname: a\nretryCount: 0\n"))
	r := s.want(0, "execution", "start", "w", "--wait")
	if !strings.Contains(r.out, "COMPLETED") {
		t.Errorf("got %s", r.out)
	}
	// A task type of the same file may bring what a step leaves to it.
	s.want(0, "definition", "apply", write(t, "h.yaml", "- {name: h, tasks: [{name: call, taskReferenceName: c, type: HTTP}]}\n"+
		"- {name: call, inputTemplate: {uri: 'http://localhost'}}\n"))
	s.want(exitRefused, "definition", "apply", write(t, "s.yaml", "name: s\ncronExpression: '@daily'\nstartWorkflowRequest: {name: w}\n"))
}
