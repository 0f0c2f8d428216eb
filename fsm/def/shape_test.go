package def

import "testing"

func TestSniff(t *testing.T) {
	for src, want := range map[string]Shape{
		`{"name":"w","tasks":[]}`:                                   ShapeWorkflow,
		"\xEF\xBB\xBF" + `{"name":"w","tasks":[]}`:                  ShapeWorkflow,
		`{"name":"w","version":1,"schemaVersion":2}`:                ShapeWorkflow,
		`[{"name":"w","tasks":[]}]`:                                 ShapeWorkflows,
		`{"name":"t","retryCount":1}`:                               ShapeTaskType,
		`{"name":"t"}`:                                              ShapeTaskType,
		`[{"name":"t","timeoutSeconds":1}]`:                         ShapeTaskTypes,
		`{"name":"w","version":1,"input":{}}`:                       ShapeStart,
		`{"name":"w","version":1}`:                                  ShapeStart,
		`{"name":"w","workflowDef":{}}`:                             ShapeStart,
		`{"name":"e","event":"x","actions":[]}`:                     ShapeEventHandler,
		`[{"name":"e","event":"x","actions":[]}]`:                   ShapeEventHandler,
		`{"name":"s","cronExpression":"0 0 * * * *"}`:               ShapeSchedule,
		`{"name":"s","startWorkflowRequest":{},"cronSchedules":[]}`: ShapeSchedule,
		`{"name":"a","taskReferenceName":"a"}`:                      ShapeUnknown,
		`{"workflowId":"x","tasks":[]}`:                             ShapeUnknown,
		`{}`:                                                        ShapeUnknown,
		`[]`:                                                        ShapeUnknown,
		`5`:                                                         ShapeUnknown,
		`{"name":`:                                                  ShapeUnknown,
	} {
		if got := Sniff([]byte(src)); got != want {
			t.Errorf("%s: got %v, want %v", src, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for src, want := range map[string][]string{
		`{"a":1}`:                  {`{"a":1}`},
		` [ {"a":1} , {"b":[2]} ]`: {`{"a":1}`, `{"b":[2]}`},
		"\xEF\xBB\xBF[1]":          {"1"},
		`[]`:                       {},
		`[1,`:                      {`[1,`},
		``:                         {``},
	} {
		got := Split([]byte(src))
		if len(got) != len(want) {
			t.Errorf("%s: got %q, want %q", src, got, want)
			continue
		}
		for i := range got {
			if string(got[i]) != want[i] {
				t.Errorf("%s: got %q, want %q", src, got, want)
			}
		}
	}
}
