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

// faulty are public definitions that the original refuses too.
var faulty = map[string]string{
	"wf-diagram-port_in_wf.json":  "taskReferenceName: update_records_on_failure should be unique",
	"wf-resources-completed.json": "schemaVersion: 2 is only supported",
	// A page of a guide that lists the allowed values in the place of one.
	"taskdef-WORKER_SDK_IMPLEMENTATION_GUIDE-b43.json": "allowed are",
	// A template with names in the place of its two times.
	"schedule-bounded-schedule-template.json": "_MS__",
	// What a read answers, without the part that says what is started.
	"schedule-examples-README-b3.json": "is required: what the schedule starts",
	// Kinds that cannot run yet.
	"wf-get-workflow-b2.json":       "type GET_WORKFLOW is not supported yet",
	"wf-terminate-workflow-b3.json": "type TERMINATE_WORKFLOW is not supported yet",
	"wf-update-task-b4.json":        "type UPDATE_TASK is not supported yet",
	"wf-wmq_echo_loop.json":         "type PULL_WORKFLOW_MESSAGES is not supported yet",
}

func TestCorpusDefinitionsAreValid(t *testing.T) {
	for _, file := range corpusFiles(t, "definitions") {
		name := filepath.Base(file)
		src := readCorpus(t, name)
		for _, one := range def.Split(src) {
			wantSound(t, name, one)
		}
	}
}

// wantSound demands that a document of the corpus is what its shape says, or is refused
// for a known reason.
func wantSound(t *testing.T, name string, src []byte) {
	t.Helper()
	var found []def.Problem
	switch shape := def.Sniff(src); shape {
	case def.ShapeWorkflow:
		_, found = def.Compile(src)
	case def.ShapeTaskType:
		_, found = def.ParseTaskType(src)
	case def.ShapeStart:
		_, found = def.ParseStart(src)
	case def.ShapeEventHandler:
		_, found = def.ParseEventHandler(src)
	case def.ShapeSchedule:
		_, found = def.ParseSchedule(src)
	default:
		t.Errorf("%s has the shape %s", name, shape)
	}
	excuse, known := faulty[name]
	for _, p := range found {
		if !known || !strings.Contains(p.Message, excuse) {
			t.Errorf("%s: %s: %s", name, p.Path, p.Message)
		}
	}
	if known && len(found) == 0 {
		t.Errorf("%s is valid, want it refused with %q", name, excuse)
	}
}

func TestCorpusInvalidFilesAreRefusedForTheirReason(t *testing.T) {
	reasons := map[string]string{
		"event-b5-orkes.json":                         "not JSON",
		"image_convert_resize_multipleformat.json":    "not JSON",
		"image_effects_pipeline.json":                 "not JSON",
		"index-b3-swift.json":                         "not JSON",
		"task-inputs-b30.json":                        "not JSON",
		"task-issue-netflix-1848-trailing-comma.json": "not JSON",
		"taskdef-isolationgroups-b3.json":             "responseTimeoutSeconds: 3600 must be less than timeoutSeconds: 1200",
		"wf-MakerCheckerFlow2.json":                   "terminationStatus",
		"wf-beginner-b9.json":                         "decisionCases should have atleast one task",
		"wf-dynamic-task-b3.json":                     "shipping_info",
		"wf-sub-workflow-task-b7.json":                "upload_toS3_webp_ref",
		"wf-wf1.json":                                 "schemaVersion: 2 is only supported",
		// The original takes this one and joins on nothing; a JOIN that names nothing waits
		// for every branch here.
		"wf-issue-go-sdk-263-join-on-nothing.json": "",
		"wf-review_approval.json":                  "user_action",
	}
	for _, file := range corpusFiles(t, "invalid") {
		name := filepath.Base(file)
		want, known := reasons[name]
		if !known {
			t.Errorf("%s: nobody says why it is refused", name)
			continue
		}
		src := readCorpus(t, "../invalid/"+name)
		_, found := def.Compile(src)
		if strings.HasPrefix(name, "taskdef") {
			_, found = def.ParseTaskType(src)
		}
		text := ""
		for _, p := range found {
			text += p.Path + ": " + p.Message + "\n"
		}
		if want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%s: problems %q, want one with %q", name, text, want)
		}
	}
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
		if faulty[name] != "" {
			continue
		}
		var all []json.RawMessage
		for _, src := range def.Split(readCorpus(t, name)) {
			switch def.Sniff(src) {
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
