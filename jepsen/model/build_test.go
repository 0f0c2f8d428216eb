package model

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

type m = map[string]any

// task is a step with the given keys.
func task(kind, ref string, more m) m {
	t := m{"name": "n_" + ref, "taskReferenceName": ref, "type": kind}
	for k, v := range more {
		t[k] = v
	}
	return t
}

// simple is a worker step without retries unless more says so.
func simple(ref string, more m) m {
	t := task("SIMPLE", ref, m{"retryCount": 0})
	for k, v := range more {
		t[k] = v
	}
	return t
}

func fork(ref string, branches ...[]m) m { return task("FORK_JOIN", ref, m{"forkTasks": branches}) }

func join(ref string, on ...string) m { return task("JOIN", ref, m{"joinOn": on}) }

func list(steps ...m) []m { return steps }

func byValue(ref, value string, cases m, other []m) m {
	return task("SWITCH", ref, m{"evaluatorType": "value-param", "expression": "c", "inputParameters": m{"c": value},
		"decisionCases": cases, "defaultCase": other})
}

func times(ref string, n int, body ...m) m {
	return task("DO_WHILE", ref, m{"inputParameters": m{"n": n}, "loopOver": body,
		"loopCondition": fmt.Sprintf("$.%s['iteration'] < $.n", ref)})
}

func child(ref, name string, more m) m {
	t := task("SUB_WORKFLOW", ref, m{"subWorkflowParam": m{"name": name}, "inputParameters": m{"from": ref}})
	for k, v := range more {
		t[k] = v
	}
	return t
}

func flow(steps ...m) m { return m{"name": "flow", "version": 1, "tasks": steps} }

// story runs a definition step by step.
type story struct {
	t *testing.T
	w *World
	e *Exec
}

func tell(t *testing.T, definition m, input string, others ...m) *story {
	t.Helper()
	registered := map[string][]byte{}
	for _, d := range others {
		registered[d["name"].(string)] = source(d)
	}
	w := &World{Script: Script, Now: 1000, Definition: func(name string, _ int) []byte { return registered[name] }}
	e, err := w.Start(source(definition), []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return &story{t, w, e}
}

func source(d m) []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return b
}

// open finds the newest open record of that reference name, with or without
// suffix, here or in a child.
func (s *story) open(name string) string {
	s.t.Helper()
	key := ""
	for _, e := range s.e.All() {
		for _, x := range e.Tasks() {
			if x.Open() && (x.Name() == name || x.Ref() == name) {
				key = x.Key()
			}
		}
	}
	if key == "" {
		s.t.Fatalf("no open record %s in\n%s", name, s.e)
	}
	return key
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.e)
	}
}

// complete completes records by name; "t={...}" gives an output.
func (s *story) complete(names ...string) {
	s.t.Helper()
	for _, n := range names {
		name, output, _ := strings.Cut(n, "=")
		s.must(s.w.Complete(s.open(name), []byte(output)))
	}
}

func (s *story) fail(names ...string) {
	s.t.Helper()
	for _, n := range names {
		s.must(s.w.Fail(s.open(n), n+" broke", false, nil))
	}
}

func (s *story) poll(name string) {
	s.t.Helper()
	s.must(s.w.Poll(s.open(name)))
}

func (s *story) after(seconds int64) { s.w.Advance(1000 * seconds) }

// expect compares the state of the execution, and of its children, written as
// "STATUS: ref STATUS, ref STATUS; STATUS: …".
func (s *story) expect(want string) {
	s.t.Helper()
	var all []string
	for _, e := range s.e.All() {
		var parts []string
		for _, x := range e.Tasks() {
			parts = append(parts, x.Name()+" "+x.Status)
		}
		all = append(all, strings.TrimSpace(e.Status+": "+strings.Join(parts, ", ")))
	}
	if got := strings.Join(all, "; "); got != want {
		s.t.Fatalf("\ngot  %s\nwant %s", got, want)
	}
}

// record returns the newest record of that name in the root execution.
func (s *story) record(name string) Record {
	s.t.Helper()
	var found *Record
	for _, r := range s.e.Records() {
		if r.Ref == name {
			found = &r
		}
	}
	if found == nil {
		s.t.Fatalf("no record %s in\n%s", name, s.e)
	}
	return *found
}

func (s *story) same(what, got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Fatalf("%s\ngot  %s\nwant %s", what, got, want)
	}
}
