package fsm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// sized is a machine with one large execution: a dynamic fork of tasks, or of children
// with a task each. PAWL_TASKS and PAWL_CHILDREN say how wide; the log has what each verb
// costs.
type sized struct {
	*twin
	id   ExecID
	wide int
	tree bool
	cost cost
}

// cost is what the entries of one verb cost.
type cost struct {
	entries, records, most int // records changed by all of them, and by one at most
	took, longest          time.Duration
}

const (
	// sizedWork is the background work of an entry.
	sizedWork = quantum
	// perUnit is how many records a unit of work changes at most: a task that is made, and
	// the one that it replaces, or a child and its task.
	perUnit = 2
	// perEntry is how many records an entry changes besides: those all else hangs on.
	perEntry = 16
	// smallSize is up to which width a second machine runs beside, and each entry is
	// looked at in full.
	smallSize = 5000
)

func newSized(t *testing.T, tree bool) *sized {
	z := &sized{twin: newTwin(t), tree: tree, wide: int(envInt(t, "PAWL_TASKS", 1500))}
	flow, member := "forked", `"forkTaskName":"a"`
	if tree {
		flow, member = "tree", `"forkTaskWorkflow":"kid"`
		z.wide = int(envInt(t, "PAWL_CHILDREN", 600))
	}
	z.define(`{"name":"kid","version":1,"schemaVersion":2,"tasks":[{"name":"a","taskReferenceName":"t","type":"SIMPLE"}]}`,
		`{"name":"`+flow+`","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{`+member+`,"forkTaskInputs":"${workflow.input.i}"}},
 {"name":"j","taskReferenceName":"j","type":"JOIN"}]}`)
	z.taskType(`{"name":"a","retryCount":0}`)
	before := heapMiB()
	out := z.enter(&Entry{Work: sizedWork, Commands: []*Command{{Body: &StartExecution{Name: flow,
		Input: []byte(`{"i":[` + strings.TrimSuffix(strings.Repeat("{},", z.wide), ",") + `]}`)}}}})
	z.id = out.Results[0].Exec
	z.drain(nil)
	z.report("start")
	z.t.Logf("%.0f MiB, %.2f KiB for each of %d", heapMiB()-before, (heapMiB()-before)*1024/float64(z.wide), z.wide)
	z.wantOpen(z.wide)
	return z
}

// enter applies an entry to the machine, and to its twin if it is small, and holds it to
// the bound on what one entry changes.
func (z *sized) enter(e *Entry) *Applied {
	z.t.Helper()
	z.index++
	e.Time = z.now
	began := time.Now()
	z.a.begin(z.index, e)
	z.a.work(e)
	n := len(z.a.tasks.dirty) + len(z.a.tasks.gone) + len(z.a.executions.dirty) + len(z.a.executions.gone)
	out := z.a.finish()
	took := time.Since(began)
	c := &z.cost
	c.entries, c.records, c.took = c.entries+1, c.records+n, c.took+took
	c.longest, c.most = max(c.longest, took), max(c.most, n)
	most := perEntry + perUnit*(int(e.Work)+min(MaxEntrySteps, MaxSteps*len(e.Commands))) + min(maxSkips, maxSkips*len(e.Offers)) + len(e.Offers)
	if n > most {
		z.t.Errorf("index %d: an entry changed %d records, at most %d are allowed", z.index, n, most)
	}
	if z.wide <= smallSize {
		z.b.Apply(z.index, z.decode(e.AppendTo(nil)))
		if z.a.Digest() != z.b.Digest() {
			z.t.Fatalf("index %d: digests differ", z.index)
		}
		if err := z.a.Verify(Touched); err != nil {
			z.t.Fatalf("index %d: %v", z.index, err)
		}
	}
	return out
}

// drain applies entries until nothing is left to do. What readers see is looked at on the
// way, in a large machine now and then.
func (z *sized) drain(see func()) {
	z.t.Helper()
	every := 1 + z.wide/smallSize*16
	for n := 0; ; n++ {
		if see != nil && n%every == 0 {
			see()
		}
		if !z.enter(&Entry{Work: sizedWork}).More {
			return
		}
		if n > 10_000 {
			z.t.Fatal("the agenda never drains")
		}
	}
}

func (z *sized) report(what string) {
	c := z.cost
	z.t.Logf("%s: %d entries in %v, %.2f µs a record; the longest %v, with at most %d records", what, c.entries,
		c.took.Round(time.Millisecond), float64(c.took.Microseconds())/float64(max(1, c.records)), c.longest.Round(10*time.Microsecond), c.most)
	z.cost = cost{}
}

// verb gives a command alone, without any background work, and wants readers to see what
// it does from that entry on. Nothing may be left of it in the end.
func (z *sized) verb(body Body, see func()) {
	z.t.Helper()
	out := z.enter(&Entry{Commands: []*Command{{Body: body}}})
	if out.Results[0].Rejection != nil {
		z.t.Fatalf("%T: %v", body, out.Results[0].Rejection)
	}
	z.drain(see)
	z.report(fmt.Sprintf("%T", body))
	if see != nil {
		see()
	}
	if n := z.a.agenda.tree.Len() + z.a.held.tree.Len(); n > 0 {
		z.t.Fatalf("%T left %d rows of work", body, n)
	}
	if err := z.a.Verify(Full); err != nil {
		z.t.Fatalf("%T: %v", body, err)
	}
}

// shows wants the execution to have a status for every reader, and, if it is not to run,
// no task of it to be open.
func (z *sized) shows(status Status) func() {
	return func() {
		z.t.Helper()
		v := z.a.View()
		if e, ok := v.Execution(z.id); !ok || e.Status != status {
			z.t.Fatalf("index %d: shows as %s, want %s", z.index, e.Status, status)
		}
		if n := v.List(ListQuery{Status: status}).Total; n < 1 {
			z.t.Fatalf("index %d: %d executions are found as %s", z.index, n, status)
		}
		if !status.Terminal() {
			return
		}
		for t := range v.Tasks(z.id, 0) {
			if !t.Status.Terminal() {
				z.t.Fatalf("index %d: task %s shows as %s", z.index, t.ID, t.Status)
			}
		}
		found, err := v.SearchTasks(Query{Where: "workflowId = '" + z.id.String() + "' AND status IN (SCHEDULED, IN_PROGRESS)", Count: true})
		if err != nil || len(found.Items) > 0 {
			z.t.Fatalf("index %d: a search finds %d open tasks, %v", z.index, len(found.Items), err)
		}
		if !z.tree {
			if out := z.enter(&Entry{Offers: z.offers(4)}); len(out.Grants) > 0 {
				z.t.Fatalf("index %d: a task of an execution that has ended was leased", z.index)
			}
		}
	}
}

func (z *sized) offers(n int) (out []Offer) {
	for range n {
		z.slot++
		out = append(out, Offer{Slot: Slot{Node: testNode, N: z.slot}, Queue: "a", Worker: "w"})
	}
	return out
}

// wantOpen wants so many tasks in the workers' queue, and for a tree as many children
// to run.
func (z *sized) wantOpen(n int) {
	z.t.Helper()
	v := z.a.View()
	if q, _ := v.Queue("a"); int(q.Ready) != n {
		z.t.Fatalf("%d tasks are ready, want %d", q.Ready, n)
	}
	if got := v.List(ListQuery{Definition: "kid", Status: Running}).Total; z.tree && got != n {
		z.t.Fatalf("%d children run, want %d", got, n)
	}
}

// answer lets workers answer until nobody has anything to do.
func (z *sized) answer() {
	z.t.Helper()
	e := &Entry{Work: sizedWork, Offers: z.offers(64)}
	for {
		out := z.enter(e)
		if len(out.Grants) == 0 && !out.More {
			z.report("all tasks completed")
			return
		}
		e = &Entry{Work: sizedWork, Offers: z.offers(64)}
		for _, g := range out.Grants {
			e.Commands = append(e.Commands, &Command{Body: &CompleteTask{Task: g.Task, Lease: g.Lease, Output: []byte(`{"ok":true}`)}})
		}
	}
}

// finish lets workers answer, and wants every execution to have ended well then, apart
// from so many that a verb left behind.
func (z *sized) finish(left int) {
	z.t.Helper()
	z.answer()
	z.shows(Completed)()
	for _, x := range z.a.executions.tree.All() {
		if x.status == Completed {
			continue
		}
		if left--; left < 0 || !x.status.Terminal() {
			z.t.Fatalf("execution %s is %s", x.id, x.status)
		}
	}
	if n := z.a.openTasks.Len() + z.a.ready.tree.Len() + z.a.leases.tree.Len() + z.a.waits.tree.Len() + z.a.agenda.tree.Len() + z.a.held.tree.Len(); n > 0 {
		z.t.Fatalf("%d rows are left", n)
	}
	if err := z.a.Verify(Full); err != nil {
		z.t.Fatal(err)
	}
}

// child is the execution of a member.
func (z *sized) child(member int) ExecID {
	t, _ := z.a.View().Task(TaskID{Exec: z.id, Serial: uint32(member + 1)})
	return t.Child
}

// sizedVerbs are the verbs at size. Each begins with all tasks open.
var sizedVerbs = map[string]func(z *sized){
	"pause and resume": func(z *sized) {
		z.verb(&PauseExecution{Exec: z.id}, z.shows(Paused))
		z.wantOpen(z.wide)
		z.verb(&ResumeExecution{Exec: z.id}, z.shows(Running))
		z.finish(0)
	},
	"pause, answer and resume": func(z *sized) {
		z.verb(&PauseExecution{Exec: z.id}, z.shows(Paused))
		z.answer()
		z.shows(Paused)()
		z.verb(&ResumeExecution{Exec: z.id}, nil)
		z.finish(0)
	},
	"terminate and retry": func(z *sized) {
		z.verb(&TerminateExecution{Exec: z.id}, z.shows(Terminated))
		z.wantOpen(0)
		z.verb(&RetryExecution{Exec: z.id}, z.shows(Running))
		z.wantOpen(z.wide)
		if z.tree {
			z.finish(z.wide)
		} else {
			z.finish(0)
		}
	},
	"terminate and retry with children": func(z *sized) {
		z.verb(&TerminateExecution{Exec: z.id}, z.shows(Terminated))
		z.verb(&RetryExecution{Exec: z.id, ResumeSubworkflows: true}, z.shows(Running))
		z.wantOpen(z.wide)
		z.finish(0)
	},
	"fail and retry": func(z *sized) {
		at := &UpdateTask{Task: TaskID{Exec: z.id, Serial: uint32(z.wide / 2)}, Status: TaskStatusFailed}
		if z.tree {
			at.Task = TaskID{Exec: z.child(z.wide / 2), Serial: 1}
		}
		z.verb(at, z.shows(Failed))
		z.wantOpen(0)
		z.verb(&RetryExecution{Exec: at.Task.Exec}, z.shows(Running))
		z.wantOpen(z.wide)
		z.finish(0)
	},
	"terminate and rerun from a task": func(z *sized) {
		at := TaskID{Exec: z.id, Serial: uint32(z.wide / 2)}
		if z.tree {
			at = TaskID{Exec: z.child(z.wide / 2), Serial: 1}
		}
		z.verb(&TerminateExecution{Exec: z.id}, z.shows(Terminated))
		z.verb(&RerunExecution{Exec: z.id, Task: at}, z.shows(Running))
		z.wantOpen(z.wide)
		z.finish(0)
	},
	"terminate and rerun": func(z *sized) {
		z.verb(&TerminateExecution{Exec: z.id}, z.shows(Terminated))
		z.verb(&RerunExecution{Exec: z.id}, z.shows(Running))
		z.wantOpen(z.wide)
		if z.tree {
			z.finish(z.wide)
		} else {
			z.finish(0)
		}
	},
	"complete and restart": func(z *sized) {
		z.finish(0)
		z.verb(&RestartExecution{Exec: z.id}, z.shows(Running))
		z.wantOpen(z.wide)
		z.finish(0)
	},
	"delete": func(z *sized) {
		z.verb(&DeleteExecution{Exec: z.id, Force: true}, func() {
			v := z.a.View()
			if _, ok := v.Execution(z.id); ok || v.List(ListQuery{Definition: "forked"}).Total+v.List(ListQuery{Definition: "tree"}).Total > 0 {
				z.t.Fatal("an execution that was deleted is found")
			}
		})
		z.wantOpen(0)
		if n := z.a.tasks.tree.Len() + z.a.executions.tree.Len(); n > 0 && !z.tree {
			z.t.Fatalf("%d records are left", n)
		}
	},
}

func TestVerbsOnVeryManyOpenTasks(t *testing.T) {
	for name, verbs := range sizedVerbs {
		t.Run(name, func(t *testing.T) { verbs(newSized(t, false)) })
	}
}

func TestVerbsOnVeryManyChildren(t *testing.T) {
	for name, verbs := range sizedVerbs {
		t.Run(name, func(t *testing.T) { verbs(newSized(t, true)) })
	}
}
