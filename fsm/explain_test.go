package fsm

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/jepsen/model"
)

func kinds(list []Reason) (out []string) {
	for _, r := range list {
		out = append(out, r.Kind)
	}
	return out
}

func (w *twin) explain(id ExecID) Explanation {
	w.t.Helper()
	e, ok := w.a.View().ExplainExecution(id)
	if !ok {
		w.t.Fatalf("execution %s is not known", id)
	}
	return e
}

func TestFaultsAreExplained(t *testing.T) {
	w := newPoisoned(t)
	w.define(twoSteps)
	id := w.start("two", `{}`)
	heal := w.poison(TaskID{Exec: id, Serial: 1})
	w.alter(func(s *State) { s.quarantine(id) })
	heal()
	if got := kinds(w.explain(id).Reasons); !slices.Equal(got, []string{WhyFault, WhyNoWorker}) {
		t.Errorf("paused by a fault: got %q", got)
	}
	w.must(&ResumeExecution{Exec: id})
	// What the machine never does: a record that nothing will move, and none at all.
	w.alter(func(s *State) {
		k, _ := s.tasks.get(TaskID{Exec: id, Serial: 1})
		k = s.tasks.mut(k)
		s.leavePlace(k)
		k.place = placeWaiting
	})
	if got := kinds(w.a.View().Explain(TaskID{Exec: id, Serial: 1})); !slices.Equal(got, []string{WhyFault}) {
		t.Errorf("a task that nothing moves: got %q", got)
	}
	w.alter(func(s *State) {
		k, _ := s.tasks.get(TaskID{Exec: id, Serial: 1})
		k = s.tasks.mut(k)
		k.place, k.status = placeNone, TaskStatusCompleted
		e, _ := s.executions.get(id)
		e = s.executions.mut(e)
		e.open, e.openAll = 0, 0
	})
	if got := kinds(w.explain(id).Reasons); !slices.Equal(got, []string{WhyFault}) {
		t.Errorf("an execution without an open task: got %q", got)
	}
}

func TestExplanationsAreBounded(t *testing.T) {
	w := newTwin(t)
	w.define(`{"name":"wide","version":1,"schemaVersion":2,"tasks":[
 {"name":"d","taskReferenceName":"d","type":"FORK_JOIN_DYNAMIC","dynamicForkTasksParam":"t","dynamicForkTasksInputParamName":"i",
  "inputParameters":{"t":"${workflow.input.t}","i":{}}},{"name":"j","taskReferenceName":"j","type":"JOIN"}]}`)
	var members []string
	for i := range 1500 {
		members = append(members, fmt.Sprintf(`{"name":"a","taskReferenceName":"%s%d","type":"SIMPLE"}`, strings.Repeat("m", 200), i))
	}
	id := w.start("wide", `{"t":[`+strings.Join(members, ",")+`]}`)
	w.tick(0)
	got := w.explain(id)
	if !got.More || len(got.Reasons) != maxReasons {
		t.Errorf("1,500 open tasks: got %d reasons, more %v", len(got.Reasons), got.More)
	}
	j, _ := w.a.View().NewestTask(id, "j")
	list := w.a.View().Explain(j)
	if len(list) != 1 || list[0].Count != 1500 || len(list[0].Names) != maxNamed || len(list[0].Text) > MaxReason {
		t.Errorf("a join of 1,500: got %+v", list)
	}
	// A line of executions, each the child of the one before.
	w.define(`{"name":"end","version":1,"schemaVersion":2,"tasks":[{"name":"h","taskReferenceName":"h","type":"HUMAN"}]}`)
	last := "end"
	for i := range maxExplainDepth + 3 {
		name := fmt.Sprintf("n%d", i)
		w.define(fmt.Sprintf(`{"name":%q,"version":1,"schemaVersion":2,"tasks":[{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":%q}}]}`, name, last))
		last = name
	}
	deep := w.explain(w.start(last, `{}`)).Reasons
	if len(deep) != maxExplainDepth+1 || deep[maxExplainDepth].Depth != maxExplainDepth || deep[maxExplainDepth].Kind != WhyChild {
		t.Errorf("a line of %d executions: got %q", maxExplainDepth+4, kinds(deep))
	}
	for _, id := range []TaskID{{}, {Exec: id, Serial: 9999}} {
		if r := w.a.View().Explain(id); r != nil {
			t.Errorf("unknown task: got %v", r)
		}
	}
	if _, ok := w.a.View().ExplainExecution(ExecID{}); ok {
		t.Error("an unknown execution is explained")
	}
}

// TestWhatNeverComesDoesNot runs random definitions to their ends, with joins that name
// steps of cases too: no step is made of which it was said that nothing leads to it.
// PAWL_RUNS is the number of runs, PAWL_SEED the seed of the first.
func TestWhatNeverComesDoesNot(t *testing.T) {
	seed, runs := envInt(t, "PAWL_SEED", rand.Uint64()), envInt(t, "PAWL_RUNS", 200)
	said := 0
	for i := range runs {
		said += neverRun(t, seed+i)
		if t.Failed() {
			t.Fatalf("PAWL_SEED=%d PAWL_RUNS=1", seed+i)
		}
	}
	t.Logf("PAWL_SEED=%d PAWL_RUNS=%d: said of %d steps", seed, runs, said)
	if runs >= 200 && said == 0 {
		t.Error("it was never said")
	}
}

// neverRun runs one definition; neither verbs nor failures change its flow.
func neverRun(t *testing.T, seed uint64) (said int) {
	c := newChaos(t, seed, &coverage{done: map[string]int{}, refused: map[Code]int{}})
	o := model.Options{Name: "d", Depth: 3, Width: 4, Steps: 24, Scripts: true, Kinds: []string{"FORK_JOIN_DYNAMIC", "EXCLUSIVE_JOIN", "nested"}}
	if c.do(&PutDefinition{Source: looseJoins(c.r, model.Random(c.r, o))}).Rejection != nil {
		return 0
	}
	id := c.start("d", `{"n":2,"s":"a","list":[1,2]}`)
	type step struct {
		ref             string
		loop, iteration uint32
	}
	never := map[step]Reason{}
	for range 200 {
		e, ok := c.a.View().ExplainExecution(id)
		if !ok || e.Status.Terminal() {
			break
		}
		for _, r := range e.Reasons {
			if k, _ := c.a.tasks.get(r.Task); r.Kind == WhyNever {
				for _, ref := range r.Names {
					never[step{ref, k.loop, k.iteration}] = r
				}
			}
		}
		for k := range c.a.tasks.tree.All() {
			x, _ := c.a.tasks.get(k)
			if r, ok := never[step{x.ref, x.loop, x.iteration}]; ok {
				t.Fatalf("%s was made, and before: %+v\n%q", x.ref, r, c.table(id))
			}
		}
		if c.finishOne(id) {
			continue
		}
		if e := c.explain(id); !slices.Contains(kinds(e.Reasons), WhyStuck) && !e.Status.Terminal() {
			t.Fatalf("nothing can be done, and it is not stuck: %+v\n%q", e, c.table(id))
		}
		break
	}
	return len(never)
}

// finishOne ends one of the tasks of an execution that may be ended, if there is one.
func (c *chaos) finishOne(id ExecID) bool {
	c.tick(60_000)
	var open []TaskID
	for t := range c.a.View().Tasks(id, 1) {
		if !t.Status.Terminal() {
			open = append(open, t.ID)
		}
	}
	c.r.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for _, t := range open {
		x, _ := c.a.tasks.get(t)
		if x.job != jobNone {
			l := c.mustPoll(x.job.queue())
			c.must(&FinishJob{Task: l.Task, Lease: l.Lease, Result: []byte(`"a"`)})
			return true
		}
		if r := c.do(&UpdateTask{Task: t, Status: TaskStatusCompleted, Output: []byte(`{"x":1,"s":"a"}`)}); r.Rejection == nil {
			return true
		}
	}
	return false
}

var (
	aRef    = regexp.MustCompile(`"taskReferenceName":"([^"]+)"`)
	aJoinOn = regexp.MustCompile(`"joinOn":\["`)
)

// looseJoins lets joins wait for steps that are not the last of their branches.
func looseJoins(r *rand.Rand, source []byte) []byte {
	refs := aRef.FindAllSubmatch(source, -1)
	return aJoinOn.ReplaceAllFunc(source, func(on []byte) []byte {
		return fmt.Appendf(nil, `%s%s","`, on, refs[r.IntN(len(refs))][1])
	})
}
