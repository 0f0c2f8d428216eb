package behaviour

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

type (
	m = map[string]any
	l = []any
)

// js is a value as JSON; text is JSON already, and nothing stays nothing.
func js(v any) []byte {
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		return []byte(x)
	case []byte:
		return x
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// flow is a workflow definition.
func flow(name string, tasks ...m) m {
	return m{"name": name, "version": 1, "schemaVersion": 2, "tasks": tasks}
}

// with is a map with more members.
func with(base m, more ...m) m {
	out := maps.Clone(base)
	for _, x := range more {
		maps.Copy(out, x)
	}
	return out
}

func step(kind, ref string, more ...m) m {
	return with(m{"name": ref, "taskReferenceName": ref, "type": kind}, more...)
}

func in(inputs m) m { return m{"inputParameters": inputs} }

var optional, permissive = m{"optional": true}, m{"permissive": true}

func simple(ref string, more ...m) m { return step("SIMPLE", ref, more...) }
func wait(ref string, more ...m) m   { return step("WAIT", ref, more...) }

func list(tasks ...m) []m { return tasks }

func fork(ref string, branches ...[]m) m { return step("FORK_JOIN", ref, m{"forkTasks": branches}) }

func join(ref string, on ...string) m { return step("JOIN", ref, m{"joinOn": on}) }

// choice is a SWITCH over the text of a value.
func choice(ref, value string, cases m, more ...m) m {
	return step("SWITCH", ref, append([]m{in(m{"case": value}),
		{"evaluatorType": "value-param", "expression": "case", "decisionCases": cases}}, more...)...)
}

func loop(ref, condition string, body []m, more ...m) m {
	return step("DO_WHILE", ref, append([]m{{"loopCondition": condition, "loopOver": body}}, more...)...)
}

// rounds is a loop that goes round n times.
func rounds(ref string, n int, body []m, more ...m) m {
	return loop(ref, fmt.Sprintf("if ($.%s['iteration'] < %d) { true; } else { false; }", ref, n), body, more...)
}

func child(ref, name string, more ...m) m {
	return step("SUB_WORKFLOW", ref, append([]m{{"subWorkflowParam": m{"name": name}}}, more...)...)
}

func terminate(ref, status string, inputs ...m) m {
	return step("TERMINATE", ref, in(with(m{"terminationStatus": status}, inputs...)))
}

func setVariable(ref string, variables m) m { return step("SET_VARIABLE", ref, in(variables)) }

func inline(ref, expression string, inputs ...m) m {
	return step("INLINE", ref, in(with(m{"evaluatorType": "javascript", "expression": expression}, inputs...)))
}

func lambda(ref, script string, inputs ...m) m {
	return step("LAMBDA", ref, in(with(m{"scriptExpression": script}, inputs...)))
}

func jq(ref, expression string, inputs ...m) m {
	return step("JSON_JQ_TRANSFORM", ref, in(with(m{"queryExpression": expression}, inputs...)))
}

// forkOf is a dynamic fork whose tasks and inputs come from expressions.
func forkOf(ref string, tasks, inputs any, more ...m) m {
	return step("FORK_JOIN_DYNAMIC", ref, append([]m{in(m{"dynamicTasks": tasks, "dynamicTasksInput": inputs}),
		{"dynamicForkTasksParam": "dynamicTasks", "dynamicForkTasksInputParamName": "dynamicTasksInput"}}, more...)...)
}

// define registers workflow definitions, replacing what is there.
func (w *world) define(definitions ...m) {
	w.t.Helper()
	for _, d := range definitions {
		w.must(&fsm.PutDefinition{Source: js(d), Overwrite: true})
	}
}

// taskType registers a task type.
func (w *world) taskType(name string, more ...m) {
	w.t.Helper()
	w.must(&fsm.PutTaskType{Source: js(with(m{"name": name, "retryCount": 0, "retryDelaySeconds": 0}, more...))})
}

// taskTypes registers task types that are tried again so often, without delay.
func (w *world) taskTypes(retries int, names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.taskType(name, m{"retryCount": retries})
	}
}

// integration registers the types integration_task_1 to 20.
func (w *world) integration(retries int) {
	w.t.Helper()
	for n := range 21 {
		w.taskTypes(retries, "integration_task_"+strconv.Itoa(n))
	}
}

// corpusDir holds public definitions that are kept beside the repository.
const corpusDir = "../../../shared/corpus"

// readCorpus reads a file of the corpus, or skips the test where there is none.
func readCorpus(t testing.TB, name string) []byte {
	t.Helper()
	if _, err := os.Stat(corpusDir); os.IsNotExist(err) {
		t.Skip("the public definitions are not at " + corpusDir)
	}
	src, err := os.ReadFile(filepath.Join(corpusDir, "definitions", name))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// corpus registers the definitions of files of the corpus.
func (w *world) corpus(names ...string) {
	w.t.Helper()
	for _, name := range names {
		for _, src := range def.Split(readCorpus(w.t, name)) {
			w.must(&fsm.PutDefinition{Source: src, Overwrite: true})
		}
	}
}

// corpusFlow reads the one definition of a file of the corpus, to change it.
func (w *world) corpusFlow(name string) m {
	w.t.Helper()
	var out m
	if err := json.Unmarshal(readCorpus(w.t, name), &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// value reads a JSON document; numbers keep their digits.
func value(t testing.TB, raw []byte) any {
	t.Helper()
	if len(raw) == 0 {
		return m{}
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q is not JSON: %v", raw, err)
	}
	return v
}

// find gives what is at a path of keys and list indexes with dots; "a.0.b".
func find(t testing.TB, raw []byte, path string) (any, bool) {
	t.Helper()
	v := value(t, raw)
	for _, key := range strings.Split(path, ".") {
		switch x := v.(type) {
		case m:
			member, ok := x[key]
			if !ok {
				return nil, false
			}
			v = member
		case l:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// wantAt demands that a document has a value at a path; numbers are compared as
// numbers.
func wantAt(t testing.TB, raw []byte, path string, want any) {
	t.Helper()
	got, ok := find(t, raw, path)
	if !ok {
		t.Fatalf("%s has nothing at %s, want %s", raw, path, js(want))
	}
	if !sameJSON(t, must(json.Marshal(got)), must(json.Marshal(want))) {
		t.Fatalf("at %s: got %s, want %s", path, must(json.Marshal(got)), must(json.Marshal(want)))
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// wantJSON demands that a document is a value.
func wantJSON(t testing.TB, raw []byte, want any) {
	t.Helper()
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	if !sameJSON(t, raw, js(want)) {
		t.Fatalf("got %s, want %s", raw, js(want))
	}
}

func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatalf("%q is not JSON: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("%q is not JSON: %v", b, err)
	}
	return cmp.Equal(x, y)
}

// wantTexts demands that a text has parts.
func wantTexts(t testing.TB, what, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Fatalf("%s is %q, want %q in it", what, got, p)
		}
	}
}

// show renders a value of the machine's API; payloads as text.
func show(v any) string {
	var b strings.Builder
	x := reflect.ValueOf(v)
	for i := range x.NumField() {
		f := x.Field(i)
		switch raw := f.Interface().(type) {
		case []byte:
			fmt.Fprintf(&b, "%s=%s ", x.Type().Field(i).Name, raw)
		default:
			if !f.IsZero() {
				fmt.Fprintf(&b, "%s=%v ", x.Type().Field(i).Name, raw)
			}
		}
	}
	return b.String()
}

// wantList demands the elements of a list.
func wantList(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}
