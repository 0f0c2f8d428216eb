package def

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusDir holds public definitions that are kept beside the repository.
const corpusDir = "../../../shared/corpus"

// corpus returns the files that match a pattern. Without a corpus there is
// nothing to test.
func corpus(t *testing.T, pattern string) []string {
	t.Helper()
	if _, err := os.Stat(corpusDir); os.IsNotExist(err) {
		t.Skip("no corpus at " + corpusDir)
	}
	files, err := filepath.Glob(filepath.Join(corpusDir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	return files
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// faulty are the public documents that are refused, and why.
var faulty = map[string]string{
	// Conductor would refuse these too.
	"wf-diagram-port_in_wf.json":  "taskReferenceName: update_records_on_failure should be unique",
	"wf-resources-completed.json": "workflowDef schemaVersion: 2 is only supported",
	// A page of a guide that lists the allowed names in the place of one.
	"taskdef-WORKER_SDK_IMPLEMENTATION_GUIDE-b43.json": "allowed are",
	// A template with names in the place of its two times.
	"schedule-bounded-schedule-template.json": "_MS__",
	// What a read answers, without the part that says what is started.
	"schedule-examples-README-b3.json": "is required: what the schedule starts",
}

func TestCorpusDefinitionsAreValid(t *testing.T) {
	for _, file := range corpus(t, "definitions/*.json") {
		name := filepath.Base(file)
		for i, src := range Split(readFile(t, file)) {
			problems := Sniff(src).Problems(src)
			excuse, known := faulty[name]
			for _, p := range problems {
				if !known || !strings.Contains(p.Message, excuse) {
					t.Errorf("%s[%d]: %s: %s", name, i, p.Path, p.Message)
				}
			}
			if known && len(problems) == 0 {
				t.Errorf("%s[%d]: is valid, want it refused with %q", name, i, excuse)
			}
			if plan, _ := Compile(src); Sniff(src) == ShapeWorkflow && plan != nil {
				checkPlan(t, plan)
			}
		}
	}
}

func TestCorpusInvalidDefinitionsAreRefused(t *testing.T) {
	want := map[string]Problem{
		"event-b5-orkes.json":                         {"", "not JSON"},
		"image_convert_resize_multipleformat.json":    {"", "not JSON"},
		"image_effects_pipeline.json":                 {"", "not JSON"},
		"index-b3-swift.json":                         {"", "not JSON"},
		"task-inputs-b30.json":                        {"", "not JSON"},
		"task-issue-netflix-1848-trailing-comma.json": {"", "not JSON"},
		"taskdef-isolationgroups-b3.json":             {"responseTimeoutSeconds", "responseTimeoutSeconds: 3600 must be less than timeoutSeconds: 1200"},
		"wf-MakerCheckerFlow2.json":                   {"tasks[2].defaultCase[0].inputParameters.terminationStatus", "must have an terminationStatus"},
		"wf-beginner-b9.json":                         {"tasks[1].decisionCases", "decisionCases should have atleast one task"},
		"wf-dynamic-task-b3.json":                     {"tasks[1].inputParameters.taskToExecute", "taskReferenceName: shipping_info for given task: shipping_task"},
		"wf-review_approval.json":                     {"tasks[0].loopOver[3].inputParameters.switchCaseValue", "taskReferenceName: user_action for given task: Review1Check"},
		"wf-sub-workflow-task-b7.json":                {"tasks[1].joinOn[1]", "upload_toS3_webp_ref"},
		"wf-wf1.json":                                 {"schemaVersion", "workflowDef schemaVersion: 2 is only supported"},
	}
	// Conductor takes these, and so does this package.
	accepted := map[string]func(*Plan){
		// A JOIN that names nothing waits for every branch.
		"wf-issue-go-sdk-263-join-on-nothing.json": func(plan *Plan) {
			if on := plan.Nodes[plan.ByRef["join1"]].JoinOn; len(on) != 1 || on[0] != plan.ByRef["w1"] {
				t.Errorf("got joinOn %v, want the end of the branch", on)
			}
		},
	}
	for _, file := range corpus(t, "invalid/*.json") {
		name := filepath.Base(file)
		src := readFile(t, file)
		var problems []Problem
		if strings.HasPrefix(name, "taskdef") {
			_, problems = ParseTaskType(src)
		} else {
			var plan *Plan
			if plan, problems = Compile(src); accepted[name] != nil {
				if len(problems) > 0 {
					t.Errorf("%s: got problems %v, want none", name, problems)
				} else {
					accepted[name](plan)
				}
				continue
			}
		}
		w, ok := want[name]
		if !ok {
			t.Errorf("%s: no reason is known why it is refused", name)
			continue
		}
		if !mentions(problems, w) {
			t.Errorf("%s: got %v, want one at %q with %q", name, problems, w.Path, w.Message)
		}
	}
}

// mentions reports whether one of the problems is at the path wanted, if one
// is, and says what is wanted.
func mentions(problems []Problem, want Problem) bool {
	for _, p := range problems {
		if (want.Path == "" || p.Path == want.Path) && strings.Contains(p.Message, want.Message) {
			return true
		}
	}
	return false
}

func TestCorpusShapes(t *testing.T) {
	want := map[string]Shape{
		"wf":       ShapeWorkflow,
		"wfs":      ShapeWorkflows,
		"taskdef":  ShapeTaskType,
		"taskdefs": ShapeTaskTypes,
		"start":    ShapeStart,
		"event":    ShapeEventHandler,
		"events":   ShapeEventHandler,
		"schedule": ShapeSchedule,
	}
	for _, file := range corpus(t, "definitions/*.json") {
		name := filepath.Base(file)
		prefix, _, _ := strings.Cut(name, "-")
		if got := Sniff(readFile(t, file)); got != want[prefix] {
			t.Errorf("%s: got %v, want %v", name, got, want[prefix])
		}
	}
}
