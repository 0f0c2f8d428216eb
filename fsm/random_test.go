package fsm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/jepsen/model"
)

// envInt reads a number from the environment, so that a run can be told what to do.
func envInt(t testing.TB, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestRandomHistories lets random commands loose on random definitions, two machines
// side by side, and stops at the first thing that does not hold. PAWL_RUNS is the number
// of histories, PAWL_SEED the seed of the first.
func TestRandomHistories(t *testing.T) {
	seed, runs := envInt(t, "PAWL_SEED", rand.Uint64()), envInt(t, "PAWL_RUNS", 100)
	met := &coverage{done: map[string]int{}, refused: map[Code]int{}}
	for i := range runs {
		history(t, seed+i, met)
	}
	t.Logf("PAWL_SEED=%d PAWL_RUNS=%d: done %v, refused %v, ended %v", seed, runs, met.done, met.refused, met.ended)
	if runs < 100 {
		return
	}
	if met.admitted == 0 {
		t.Error("no execution began with a part of a quota")
	}
	for k := kindStart; k < kindEnd; k++ {
		if newBody(k) == nil {
			continue // a number that is not used
		}
		if name := fmt.Sprintf("%T", newBody(k)); met.done[name] == 0 {
			t.Errorf("%s never succeeded", name)
		}
	}
	for _, c := range Codes() {
		switch c {
		case Faulted, Exhausted, TooLarge: // tests of their own
		default:
			if met.refused[c] == 0 {
				t.Errorf("%s was never met", c)
			}
		}
	}
}

type coverage struct {
	done     map[string]int
	refused  map[Code]int
	ended    [Terminated + 1]int
	admitted int // executions that began with a part of a quota
}

// chaos is one history.
type chaos struct {
	*twin
	r      *rand.Rand
	met    *coverage
	names  []string
	execs  []ExecID
	leased []Leased
	old    []Leased
	boot   uint32
	// What must never happen twice.
	accepted map[TaskID]bool
	again    map[TaskID]bool // opened again by the entry at hand
	slots    map[Slot]bool
	last     map[TaskID]Lease
	rates    map[string][]Millis
	holders  map[string][]ExecID // by quota, after the entry before
}

func newChaos(t testing.TB, seed uint64, met *coverage) *chaos {
	c := &chaos{twin: newTwin(t), r: rand.New(rand.NewPCG(seed, 1)), met: met,
		accepted: map[TaskID]bool{}, slots: map[Slot]bool{}, last: map[TaskID]Lease{}, rates: map[string][]Millis{}}
	c.lax = true
	c.restoreEvery = uint64(5 + c.r.IntN(40))
	return c
}

func history(t *testing.T, seed uint64, met *coverage) {
	c := newChaos(t, seed, met)
	defer func() {
		if v := recover(); v != nil || t.Failed() {
			t.Logf("PAWL_SEED=%d PAWL_RUNS=1, index %d", seed, c.index)
			if v != nil {
				panic(v)
			}
		}
	}()
	c.setUp()
	for range 60 + c.r.IntN(120) {
		c.step()
	}
	c.rest()
}

func (c *chaos) setUp() {
	for i := range 4 {
		name := fmt.Sprintf("d%d", i)
		o := model.Options{Name: name, Depth: 1 + c.r.IntN(3), Width: 1 + c.r.IntN(4), Steps: 4 + c.r.IntN(16),
			Children: append([]string{"nobody"}, c.names...), Timing: c.r.IntN(2) == 0, Scripts: true, Kinds: chaosKinds()}
		c.apply(&Entry{Commands: []*Command{{Body: &PutDefinition{Source: model.Random(c.r, o)}}}})
		c.names = append(c.names, name)
	}
	c.must(&PutDefinition{Source: []byte(`{"name":"wait","version":1,"schemaVersion":2,"failureWorkflow":"d0","restartable":false,"tasks":[
 {"name":"w","taskReferenceName":"w","type":"WAIT"},{"name":"hot","taskReferenceName":"h","type":"SIMPLE"}]}`)})
	c.must(&PutDefinition{Source: []byte(jobsDefinition)})
	c.must(&PutDefinition{Source: []byte(`{"name":"shared","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"s1","taskReferenceName":"a","type":"OWN"}],
 [{"name":"s2","taskReferenceName":"b","type":"OWN"}],[{"name":"s3","taskReferenceName":"c","type":"OWN","startDelay":2}]]},
 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["a","b","c"]}]}`)})
	c.apply(&Entry{Commands: []*Command{{Body: c.quotaDefinition()}}})
	c.names = append(c.names, "queued", "refused")
	for _, name := range []string{"s1", "s2", "s3"} {
		c.must(&PutTaskType{Source: c.taskTypeSource(name)})
	}
	c.names = append(c.names, "wait", "shared", "jobs")
	for _, name := range c.taskNames() {
		if c.r.IntN(3) > 0 {
			c.apply(&Entry{Commands: []*Command{{Body: &PutTaskType{Source: c.taskTypeSource(name)}}}})
		}
	}
}

// taskNames are the types that have met a queue, and one that every history has.
func (c *chaos) taskNames() []string {
	out := []string{"hot", "s1", "s2", "s3"}
	for q := range c.a.View().Queues() {
		if q.Type != "" {
			out = append(out, q.Type)
		}
	}
	return out
}

func (c *chaos) taskTypeSource(name string) []byte {
	policy := []string{"RETRY", "TIME_OUT_WF", "ALERT_ONLY"}[c.r.IntN(3)]
	response := 1 + c.r.IntN(20)
	s := fmt.Sprintf(`{"name":%q,"retryCount":%d,"retryDelaySeconds":%d,"timeoutPolicy":%q,"responseTimeoutSeconds":%d,"timeoutSeconds":%d,"concurrentExecLimit":%d`,
		name, c.r.IntN(3), c.r.IntN(3), policy, response, [...]int{0, 0, response, response + c.r.IntN(9)}[c.r.IntN(4)], c.r.IntN(4))
	if c.r.IntN(4) == 0 {
		s += fmt.Sprintf(`,"pollTimeoutSeconds":%d`, 1+c.r.IntN(20))
	}
	if c.r.IntN(4) == 0 {
		s += fmt.Sprintf(`,"totalTimeoutSeconds":%d`, response+9+c.r.IntN(20))
	}
	if c.r.IntN(3) == 0 {
		s += fmt.Sprintf(`,"rateLimitPerFrequency":%d,"rateLimitFrequencyInSeconds":%d`, [...]int{0, 1, 2, 3, 70}[c.r.IntN(5)], c.r.IntN(9))
	}
	if c.r.IntN(4) == 0 {
		s += `,"backoffJitterMs":1500,"retryLogic":"EXPONENTIAL_BACKOFF"`
	}
	return []byte(s + "}")
}

// step applies one entry.
func (c *chaos) step() {
	e := &Entry{Work: [...]uint32{0, 1, 7, 256, MaxWork}[c.r.IntN(5)]}
	switch c.r.IntN(12) {
	case 0:
		c.now += Millis(c.r.IntN(30_000))
	case 1: // an outage: a storm of what came due meanwhile
		gap := Millis(c.r.IntN(60_000))
		c.now += gap
		c.boot++
		e.Commands = append(e.Commands, &Command{Body: &BeginTerm{Node: testNode, Boot: c.boot, Gap: gap}})
	case 2, 3, 4:
		c.now += Millis(c.r.IntN(3000))
	case 5: // a verb on the heels of a parent's end
		for id := range c.a.waits.tree.All() {
			if t, _ := c.a.tasks.get(id); !t.child.IsZero() && c.r.IntN(3) == 0 {
				e.Commands = append(e.Commands, &Command{Body: &TerminateExecution{Exec: id.Exec}}, &Command{Body: &PauseExecution{Exec: id.Exec}})
				break
			}
		}
	}
	if c.r.IntN(3) == 0 {
		c.lone()
		return
	}
	for range c.r.IntN(6) {
		e.Commands = append(e.Commands, c.command())
	}
	for range c.r.IntN(6) {
		e.Offers = append(e.Offers, c.offer())
	}
	if c.r.IntN(4) == 0 {
		e.Seen = append(e.Seen, "west:hot")
	}
	c.note(e, c.apply(e))
}

// lone applies a command alone: refused, it must leave no trace but the index.
func (c *chaos) lone() {
	e := &Entry{Commands: []*Command{c.command()}}
	_, _, old := c.a.requestAges.tree.Min()
	k, _, _ := c.a.requestAges.tree.Min()
	quiet := c.now == c.a.now && (!old || k.at > c.now-keepRequests)
	digest, scalars := c.a.j.digest, c.a.scalars
	out := c.apply(e)
	if quiet && out.Results[0].Rejection != nil {
		scalars.index = c.a.index
		if c.a.j.digest != digest || c.a.scalars != scalars {
			c.t.Fatalf("index %d: %T was refused (%v) and left a trace", c.index, e.Commands[0].Body, out.Results[0].Rejection)
		}
	}
	c.note(e, out)
}

func (c *chaos) note(e *Entry, out *Applied) {
	c.reopened(out.Events)
	for i, r := range out.Results {
		if r.Rejection != nil {
			c.met.refused[r.Rejection.Code]++
			continue
		}
		c.met.done[fmt.Sprintf("%T", e.Commands[i].Body)]++
		c.fence(e.Commands[i].Body, r)
		if _, ok := e.Commands[i].Body.(*StartExecution); ok && !r.Repeated {
			c.execs = append(c.execs, r.Exec)
		}
	}
	for _, ev := range out.Events {
		switch ev.Kind {
		case ExecutionStarted:
			if len(c.execs) == 0 || c.execs[len(c.execs)-1] != ev.Exec {
				c.execs = append(c.execs, ev.Exec)
			}
		case ExecutionCompleted, ExecutionFailed, ExecutionTimedOut, ExecutionTerminated:
			c.met.ended[ev.Status]++
		}
	}
	c.leased = append(c.leased, out.Grants...)
	c.checkLimits(out.Grants)
	c.checkQuotas(e, out.Events)
}

// fence lets each task be finished once, whoever says so.
func (c *chaos) fence(b Body, r Result) {
	if r.Repeated || r.Ignored {
		return
	}
	switch b := b.(type) {
	case *CompleteTask:
		if t, ok := c.a.tasks.get(b.Task); ok {
			if n := c.a.nodeOf(c.a.execOf(t), t.node); n.Kind == def.Call && n.Async {
				return // finished from outside
			}
		}
	case *FailTask, *Signal:
	case *UpdateTask:
		if b.Status == TaskStatusInProgress {
			return
		}
	default:
		return
	}
	if c.again[r.Task] {
		return // finished before and after it was opened again, in one entry
	}
	if c.accepted[r.Task] {
		c.t.Fatalf("index %d: task %s was finished twice", c.index, r.Task)
	}
	c.accepted[r.Task] = true
}

// checkLimits holds the machine to its limits at every index: what is leased is what
// is counted, a grant leaves no type above its limit, no slot is used twice, and leases
// of a task ascend.
func (c *chaos) checkLimits(grants []Leased) {
	leased := map[string]int{}
	for _, t := range c.a.tasks.tree.All() { // a call that waits for its end is in progress too
		if t.job == jobNone && (t.place == placeLeased || t.awaited()) { // jobs count against no type
			leased[c.a.nodeOf(c.a.execOf(t), t.node).Name]++
		}
	}
	for name, l := range c.a.limits.tree.All() {
		if name[0] != '\xff' && leased[name] != int(l.inflight) {
			c.t.Fatalf("index %d: %d tasks of %s are leased, %d counted", c.index, leased[name], name, l.inflight)
		}
	}
	for _, g := range grants {
		q, _ := c.a.findQueue(g.Queue)
		t, _ := c.a.tasks.get(g.Task)
		name := c.a.nodeOf(c.a.execOf(t), t.node).Name
		if tt, ok := c.a.taskTypes.get(name); ok && t.job == jobNone {
			if n := int(tt.parsed.ConcurrentLimit); n > 0 && leased[name] > n {
				c.t.Fatalf("index %d: %d tasks of %s are leased, %d allowed", c.index, leased[name], name, n)
			}
			c.checkRate(name, int(tt.parsed.RateLimit), 1000*Millis(tt.parsed.RateWindow))
		}
		if q.paused || c.slots[g.Slot] || g.Lease <= c.last[g.Task] {
			c.t.Fatalf("index %d: wrong grant %+v, paused %v, lease before %s", c.index, g, q.paused, c.last[g.Task])
		}
		c.slots[g.Slot], c.last[g.Task] = true, g.Lease
	}
}

// checkRate holds the leases of a type, noted while it has a rate, to that.
func (c *chaos) checkRate(name string, most int, window Millis) {
	if most == 0 {
		return
	}
	c.rates[name] = append(c.rates[name], c.now)
	n := 0
	for _, at := range c.rates[name] {
		if at > c.now-window {
			n++
		}
	}
	if n > most {
		c.t.Fatalf("index %d: %d leases of %s in a window of %d ms, %d allowed", c.index, n, name, window, most)
	}
}

func (c *chaos) offer() Offer {
	c.slot++
	q := Queue("hot")
	if n := c.a.queues.tree.Len(); n > 0 && c.r.IntN(10) > 0 {
		if x, ok := c.a.queues.get(queueID(1 + c.r.IntN(n))); ok {
			q = x.name
		}
	}
	return Offer{Slot: Slot{Node: testNode, Boot: 1 + c.boot, N: c.slot}, Queue: q, Worker: "w"}
}

func (c *chaos) exec() ExecID {
	if len(c.execs) == 0 || c.r.IntN(20) == 0 {
		return ExecID{Hi: 8 << 12, Lo: 1 << 63}
	}
	return c.execs[c.r.IntN(len(c.execs))]
}

// task picks a task, an open one if it can, or one that is not there.
func (c *chaos) task() TaskID {
	id := c.exec()
	for t := range c.a.View().Tasks(id, uint32(c.r.IntN(6))) {
		if !t.Status.Terminal() || c.r.IntN(8) == 0 {
			return t.ID
		}
	}
	return TaskID{Exec: id, Serial: uint32(1 + c.r.IntN(9))}
}

// held picks a lease: often one that holds, at times one that held once.
func (c *chaos) held() (TaskID, Lease) {
	if len(c.leased) > 0 && c.r.IntN(6) > 0 {
		i := c.r.IntN(len(c.leased))
		l := c.leased[i]
		if c.r.IntN(3) > 0 {
			c.leased = append(c.leased[:i], c.leased[i+1:]...)
			c.old = append(c.old, l)
		}
		return l.Task, l.Lease
	}
	if len(c.old) > 0 && c.r.IntN(4) > 0 {
		l := c.old[c.r.IntN(len(c.old))]
		return l.Task, l.Lease + Lease(c.r.IntN(2))
	}
	return c.task(), Lease(1 + c.r.IntN(1<<20))
}

func (c *chaos) output() []byte {
	switch c.r.IntN(6) {
	case 0:
		return nil
	case 1:
		return []byte(`{"x":3,"deep":{"a":[1,2,{"b":null}]},"big":12345678901234567890}`)
	}
	return fmt.Appendf(nil, `{"x":%d,"s":%q}`, 1+c.r.IntN(3), []string{"a", "b"}[c.r.IntN(2)])
}

func (c *chaos) command() *Command {
	cmd := &Command{Body: c.body()}
	if c.r.IntN(5) == 0 {
		cmd.RequestID = RequestID{1: byte(c.r.IntN(12)), 15: 1}
	}
	return cmd
}

func (c *chaos) body() Body {
	switch x := c.r.IntN(100); {
	case x < 18:
		return c.startBody()
	case x < 26:
		return c.finishJob()
	case x < 44:
		t, l := c.held()
		return &CompleteTask{Task: t, Lease: l, Output: c.output(), Worker: "w"}
	case x < 51:
		t, l := c.held()
		return &FailTask{Task: t, Lease: l, Output: c.output(), Reason: "down", Terminal: c.r.IntN(4) == 0}
	case x < 55:
		t, l := c.held()
		return &ProgressTask{Task: t, Lease: l, Output: c.output(), CallbackSeconds: int32(c.r.IntN(3))}
	case x < 68:
		return c.update()
	case x < 72:
		b := &ExtendLeases{}
		for range 1 + c.r.IntN(3) {
			t, l := c.held()
			b.Items = append(b.Items, Extension{Task: t, Lease: l})
		}
		return b
	case x < 76:
		t, l := c.held()
		return &ReturnLease{Task: t, Lease: l}
	}
	return c.verb()
}

func (c *chaos) startBody() Body {
	b := &StartExecution{Name: c.names[c.r.IntN(len(c.names))], Priority: int32(c.r.IntN(5)),
		Input: fmt.Appendf(nil, `{"n":%d,"s":"a","list":[1,2],"id":%q}`, 1+c.r.IntN(3), c.exec())}
	switch c.r.IntN(12) {
	case 0:
		b.Name = "nothing"
	case 1, 2:
		b.Key, b.Strategy = fmt.Sprint("k", c.r.IntN(3)), Strategy(c.r.IntN(3))
	case 3:
		b.Domains = []Domain{{Type: "*", Domain: "west,NO_DOMAIN"}}
	case 4:
		b.Definition = []byte(`{"name":"inline","version":1,"schemaVersion":2,"tasks":[{"name":"hot","taskReferenceName":"h","type":"SIMPLE"}]}`)
		b.Key, b.Strategy = "inline", Strategy(c.r.IntN(3))
	case 5:
		b.Correlation = "c1"
	}
	return b
}

func (c *chaos) update() Body {
	b := &UpdateTask{Task: c.task(), Output: c.output(), Reason: "by hand",
		Status: [...]TaskStatus{TaskStatusCompleted, TaskStatusCompleted, TaskStatusFailed, TaskStatusFailedTerminal, TaskStatusInProgress}[c.r.IntN(5)]}
	if c.r.IntN(4) == 0 {
		if t, ok := c.a.View().Task(b.Task); ok {
			b.Task, b.Exec, b.Ref = TaskID{}, t.ID.Exec, t.Ref
		}
	}
	return b
}

func (c *chaos) verb() Body {
	if c.r.IntN(2) == 0 {
		return c.verbs()
	}
	switch c.r.IntN(20) {
	case 14, 15:
		return c.setting()
	case 16, 17:
		return c.quotaDefinition()
	case 0, 1:
		return &PauseExecution{Exec: c.exec()}
	case 2, 3, 4:
		return &ResumeExecution{Exec: c.exec()}
	case 5, 6:
		return &TerminateExecution{Exec: c.exec(), Reason: "enough"}
	case 7:
		return &Signal{Exec: c.exec(), Output: c.output()}
	case 8, 18, 19:
		return &PushMessage{Exec: c.exec(), Message: c.output()}
	case 9:
		return &PauseQueue{Queue: c.offer().Queue}
	case 10:
		return &ResumeQueue{Queue: c.offer().Queue}
	case 11:
		names := c.taskNames()
		if name := names[c.r.IntN(len(names))]; c.r.IntN(3) == 0 {
			return &DeleteTaskType{Name: name}
		} else {
			return &PutTaskType{Source: c.taskTypeSource(name)}
		}
	case 12:
		return c.definition()
	}
	return &RaiseIncarnation{To: uint8(1 + c.r.IntN(4))}
}

func (c *chaos) definition() Body {
	name := c.names[c.r.IntN(len(c.names))]
	switch c.r.IntN(6) {
	case 5:
		return &PutDefinition{}
	case 0:
		return &DeleteDefinition{Name: name, Version: int32(1 + c.r.IntN(2))}
	case 1:
		return &PutDefinition{Source: []byte(`{"name":"bad"}`)}
	}
	o := model.Options{Name: name, Depth: 2, Width: 3, Steps: 10, Children: c.names, Timing: true, Scripts: true, Kinds: chaosKinds()}
	return &PutDefinition{Source: model.Random(c.r, o), Overwrite: c.r.IntN(2) == 0}
}

// rest ends everything: nothing stays behind, and the whole State is sound.
func (c *chaos) rest() {
	if err := c.a.Verify(Full); err != nil {
		c.t.Fatalf("index %d: %v", c.index, err)
	}
	for _, id := range c.execs {
		c.apply(&Entry{Commands: []*Command{{Body: &TerminateExecution{Exec: id}}}})
	}
	c.tick(0)
	c.tick(3_600_000)
	if err := c.a.Verify(Full); err != nil {
		c.t.Fatalf("index %d: %v", c.index, err)
	}
	if n := c.a.ready.tree.Len() + c.a.leases.tree.Len() + c.a.agenda.tree.Len() + c.a.held.tree.Len() + c.a.waits.tree.Len() + c.a.inbox.tree.Len(); n != 0 {
		for _, e := range c.a.executions.tree.All() {
			if !e.status.Terminal() {
				return // a failure workflow started behind the walk
			}
		}
		c.t.Fatalf("%d rows are left of executions that have all ended", n)
	}
}

// chaosKinds are the kinds of steps that random definitions have beside the usual.
func chaosKinds() []string {
	return []string{"HUMAN", "YIELD", "HTTP", "DYNAMIC", "FORK_JOIN_DYNAMIC", "EXCLUSIVE_JOIN", "START_WORKFLOW", "PULL_WORKFLOW_MESSAGES",
		"GET_WORKFLOW", "TERMINATE_WORKFLOW", "UPDATE_TASK", "nested", "tells"}
}
