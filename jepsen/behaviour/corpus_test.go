package behaviour

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

// corpusFiles lists the files of a folder of the corpus, or skips the test.
func corpusFiles(t *testing.T, folder string) []string {
	t.Helper()
	readCorpus(t, "wf-simple_workflow.json")
	files, err := filepath.Glob(filepath.Join(corpusDir, folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	return files
}

// specimen is a workflow of the corpus that can be executed.
type specimen struct {
	name string
	// definition is registered under its own name; those beside it in its file too.
	definition json.RawMessage
	siblings   []json.RawMessage
}

// specimens lists every workflow of the corpus, those in start requests included.
func specimens(t *testing.T) []specimen {
	t.Helper()
	var out []specimen
	for _, file := range corpusFiles(t, "definitions") {
		name := filepath.Base(file)
		var all []json.RawMessage
		for _, src := range def.Split(readCorpus(t, name)) {
			shape := def.Sniff(src)
			if len(shape.Problems(src)) > 0 {
				continue // the tests of def say which may have some
			}
			switch shape {
			case def.ShapeWorkflow:
				all = append(all, clean(src))
			case def.ShapeStart:
				var start struct {
					WorkflowDef json.RawMessage `json:"workflowDef"`
				}
				if err := json.Unmarshal(clean(src), &start); err == nil && start.WorkflowDef != nil {
					all = append(all, start.WorkflowDef)
				}
			}
		}
		for _, d := range all {
			out = append(out, specimen{strings.TrimSuffix(name, ".json"), d, all})
		}
	}
	return out
}

// clean is a document without a byte-order mark.
func clean(src []byte) []byte { return []byte(strings.TrimPrefix(string(src), "\ufeff")) }

// walk visits every object of a document.
func walk(v any, visit func(m)) {
	switch x := v.(type) {
	case m:
		visit(x)
		for _, member := range x {
			walk(member, visit)
		}
	case l:
		for _, e := range x {
			walk(e, visit)
		}
	}
}

// texts visits every text of a document.
func texts(v any, visit func(string)) {
	switch x := v.(type) {
	case string:
		visit(x)
	case m:
		for _, member := range x {
			texts(member, visit)
		}
	case l:
		for _, e := range x {
			texts(e, visit)
		}
	}
}

// leaf is the name that inputs give wherever a definition or task type is asked for.
const leaf = "corpus_leaf"

// prepare registers what a specimen needs: itself, the definitions it starts, and a task
// type for each of its steps that is tried again at once.
func (w *world) prepare(s specimen) {
	w.t.Helper()
	registered := map[string]bool{}
	put := func(source []byte, name string) {
		if !registered[name] {
			registered[name] = true
			w.must(&fsm.PutDefinition{Source: source, Overwrite: true})
		}
	}
	for _, d := range append([]json.RawMessage{s.definition}, s.siblings...) {
		put(d, nameOf(w.t, d))
	}
	put(js(flow(leaf, simple("leaf_task"))), leaf)
	types := map[string]bool{leaf: true, "leaf_task": true}
	for _, d := range append([]json.RawMessage{s.definition}, s.siblings...) {
		walk(value(w.t, d), func(o m) {
			if name, ok := o["name"].(string); ok && o["taskReferenceName"] != nil {
				types[name] = true
			}
			for _, key := range []string{"subWorkflowParam", "startWorkflow"} {
				param, _ := o[key].(m)
				if name, _ := param["name"].(string); name != "" && !strings.Contains(name, "${") {
					version, _ := param["version"].(json.Number)
					v, _ := version.Int64()
					put(js(with(flow(name, simple("only_task")), m{"version": max(1, v)})), name)
				}
			}
			if name, _ := o["failureWorkflow"].(string); name != "" && !strings.Contains(name, "$") {
				put(js(flow(name, simple("only_task"))), name)
			}
		})
	}
	for name := range types {
		w.taskType(name, m{"retryCount": 2})
	}
}

func nameOf(t testing.TB, d []byte) string {
	t.Helper()
	name, _ := find(t, d, "name")
	return name.(string)
}

// lists and numbers name inputs that are used as such.
var lists = []string{"batch", "list", "urls", "items", "tasks", "inputs", "vendors", "devices", "values"}
var numbers = []string{"loop", "count", "max", "size", "number", "iterations", "batchSize", "amount", "price"}

// inputFor gives every workflow input that a definition reads a plausible value.
func inputFor(t testing.TB, d []byte) m {
	t.Helper()
	out := m{}
	const prefix = "${workflow.input."
	texts(value(t, d), func(text string) {
		for {
			_, rest, ok := strings.Cut(text, prefix)
			if !ok {
				return
			}
			text = rest
			name := rest[:strings.IndexFunc(rest+"}", func(r rune) bool { return strings.ContainsRune(".}['$ ", r) })]
			if name != "" {
				out[name] = plausible(name)
			}
		}
	})
	return out
}

func plausible(name string) any {
	if name == "startWorkflow" {
		return m{"name": leaf}
	}
	for _, part := range lists {
		if strings.Contains(strings.ToLower(name), part) {
			return l{l{"a"}, l{"b", "c"}}
		}
	}
	for _, part := range numbers {
		if strings.Contains(strings.ToLower(name), strings.ToLower(part)) {
			return 2
		}
	}
	return leaf
}
