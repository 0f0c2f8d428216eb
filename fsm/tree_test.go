package fsm

import (
	"math/rand/v2"
	"testing"
)

// treeDefinitions are three levels of forks with children, loops, waits, optional and
// permissive steps. Everything in them can come to an end.
func treeDefinitions() []string {
	return []string{
		`{"name":"leaf","version":1,"schemaVersion":2,"tasks":[
 {"name":"a","taskReferenceName":"x","type":"SIMPLE"},{"name":"s","taskReferenceName":"v","type":"SET_VARIABLE","inputParameters":{"n":"${x.output.n}"}},
 {"name":"a","taskReferenceName":"y","type":"SIMPLE"}]}`,
		`{"name":"mid","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[
  [{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"leaf"}},{"name":"a","taskReferenceName":"t","type":"SIMPLE"}],
  [{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"$.l['iteration'] < 2","loopOver":[
    {"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"${l.output.iteration}"},
     "decisionCases":{"1":[{"name":"c","taskReferenceName":"d","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"leaf"}}]}},
    {"name":"a","taskReferenceName":"u","type":"SIMPLE"}]}],
  [{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"3s"}}]]},
 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["t","l","w"]},
 {"name":"a","taskReferenceName":"z","type":"SIMPLE"}]}`,
		`{"name":"root","version":1,"schemaVersion":2,"tasks":[
 {"name":"a","taskReferenceName":"b","type":"SIMPLE"},
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[
  [{"name":"c","taskReferenceName":"c1","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"mid"}}],
  [{"name":"c","taskReferenceName":"c2","type":"SUB_WORKFLOW","optional":true,"subWorkflowParam":{"name":"leaf"}}],
  [{"name":"c","taskReferenceName":"c3","type":"SUB_WORKFLOW","permissive":true,"subWorkflowParam":{"name":"leaf"}}]]},
 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["c1","c2","c3"]},
 {"name":"a","taskReferenceName":"e","type":"SIMPLE"}]}`,
	}
}

// TestTreesUnderEveryVerb lets verbs loose on trees of executions at every point of the
// sweeps of others, and wants every agenda to drain and every execution to end once its
// tasks are done. PAWL_RUNS is the number of trees, PAWL_SEED the seed of the first.
func TestTreesUnderEveryVerb(t *testing.T) {
	seed, runs := envInt(t, "PAWL_SEED", rand.Uint64()), envInt(t, "PAWL_RUNS", 40)
	for i := range runs {
		growTree(t, seed+i)
		if t.Failed() {
			return
		}
	}
}

func growTree(t *testing.T, seed uint64) {
	c := newChaos(t, seed, &coverage{done: map[string]int{}, refused: map[Code]int{}})
	defer func() {
		if v := recover(); v != nil || t.Failed() {
			t.Logf("PAWL_SEED=%d PAWL_RUNS=1, index %d", seed, c.index)
			if v != nil {
				panic(v)
			}
		}
	}()
	c.define(treeDefinitions()...)
	c.taskType(`{"name":"a","retryCount":0}`)
	c.names = []string{"root", "mid", "leaf"}
	for range 60 + c.r.IntN(60) {
		e := &Entry{Work: [...]uint32{0, 1, 3, 20, MaxWork}[c.r.IntN(5)]}
		c.now += Millis(c.r.IntN(1500))
		for range 1 + c.r.IntN(4) {
			e.Commands = append(e.Commands, &Command{Body: c.treeCommand()})
		}
		c.note(e, c.apply(e))
	}
	c.harvest()
}

func (c *chaos) treeCommand() Body {
	switch x := c.r.IntN(20); {
	case x < 2 && len(c.execs) < 60 || len(c.execs) == 0:
		return &StartExecution{Name: c.names[c.r.IntN(2)]}
	case x < 12:
		status := TaskStatusCompleted
		if c.r.IntN(4) == 0 {
			status = TaskStatusFailed
		}
		return &UpdateTask{Task: c.task(), Status: status, Output: []byte(`{"n":1}`)}
	case x < 13:
		return &TerminateExecution{Exec: c.exec(), TriggerFailureWorkflow: true}
	case x < 14:
		return &PauseExecution{Exec: c.exec()}
	case x < 15:
		return &ResumeExecution{Exec: c.exec()}
	}
	return c.verbs()
}

// harvest finishes all tasks until nothing runs any more.
func (c *chaos) harvest() {
	for range 60 {
		c.tick(10_000)
		if n := c.a.agenda.tree.Len(); n > 0 {
			c.t.Fatalf("%d items are left in the agenda", n)
		}
		e := &Entry{Work: MaxWork}
		for _, x := range c.a.executions.tree.All() {
			if x.status == Paused {
				e.Commands = append(e.Commands, &Command{Body: &ResumeExecution{Exec: x.id}})
			}
		}
		for k := range c.a.openTasks.All() { // a WAIT may have been run again with an input that has no end
			if (k.taskType == "a" || k.taskType == "WAIT") && len(e.Commands) < MaxCommands {
				e.Commands = append(e.Commands, &Command{Body: &UpdateTask{Task: k.task, Status: TaskStatusCompleted}})
			}
		}
		if len(e.Commands) == 0 {
			break
		}
		c.apply(e)
	}
	c.tick(0)
	for _, e := range c.a.executions.tree.All() {
		if !e.status.Terminal() || e.sweep != sweepNone || e.gone {
			c.t.Fatalf("execution %s of %s is %s, sweep %d, parent %s: %q", e.id, c.a.planOf(e).Name, e.status, e.sweep, e.parent, c.table(e.id))
		}
	}
	if err := c.a.Verify(Full); err != nil {
		c.t.Fatal(err)
	}
	if n := c.a.held.tree.Len() + c.a.waits.tree.Len() + c.a.due.tree.Len(); n > 0 {
		c.t.Fatalf("%d rows are left of executions that have all ended", n)
	}
}
