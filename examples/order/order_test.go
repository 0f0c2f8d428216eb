package order

import (
	"encoding/json"
	"testing"

	"github.com/pawlhq/pawl/fsm/def"
)

func TestDefinitionCompiles(t *testing.T) {
	plan, problems := def.Compile(Definition)
	for _, p := range problems {
		t.Errorf("order.json: %s: %s", p.Path, p.Message)
	}
	if plan == nil {
		t.Fatal("no plan")
	}
}

func TestEveryTaskHasATypeAndAHandler(t *testing.T) {
	types, err := TaskTypes()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, source := range types {
		tt, problems := def.ParseTaskType(source)
		for _, p := range problems {
			t.Errorf("tasktypes.json: %s: %s", p.Path, p.Message)
		}
		if tt == nil {
			t.Fatalf("no type in %s", source)
		}
		known[tt.Name] = true
		if tt.RetryDelay > 3 || tt.ResponseTimeout > 3 {
			t.Errorf("%s: delay %d s and response timeout %d s make the example slow", tt.Name, tt.RetryDelay, tt.ResponseTimeout)
		}
	}
	for _, name := range simpleTasks(t) {
		if !known[name] {
			t.Errorf("task %s has no type", name)
		}
	}
}

// simpleTasks lists the names of the tasks that workers do.
func simpleTasks(t *testing.T) []string {
	t.Helper()
	type step struct {
		Name, Type    string
		DecisionCases map[string][]step
		DefaultCase   []step
	}
	var doc struct{ Tasks []step }
	if err := json.Unmarshal(Definition, &doc); err != nil {
		t.Fatal(err)
	}
	var names []string
	var walk func(steps []step)
	walk = func(steps []step) {
		for _, s := range steps {
			if s.Type == "SIMPLE" {
				names = append(names, s.Name)
			}
			for _, c := range s.DecisionCases {
				walk(c)
			}
			walk(s.DefaultCase)
		}
	}
	walk(doc.Tasks)
	if len(names) != 6 {
		t.Errorf("got tasks %v, want 6", names)
	}
	return names
}
