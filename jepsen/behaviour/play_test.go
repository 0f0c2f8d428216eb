package behaviour

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// player lets a specimen of the corpus run to its end.
type player struct {
	*world
	root *run
	// failFirst fails the first attempt of each task.
	failFirst bool
	// done counts the verbs that were not refused, by command.
	done map[string]int
	// ended is the status that the workflow had come to by itself.
	ended fsm.Status
}

// Bounds of a play, so that endless loops come to an end.
const (
	maxMoves = 160
	maxVerbs = 30
)

// runs is how often a random play is repeated: PAWL_RUNS, or once.
func runs(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PAWL_RUNS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PAWL_RUNS: %v", err)
	}
	return n
}

func newPlayer(t *testing.T, s specimen, seed uint64) *player {
	t.Helper()
	p := &player{world: newWorld(t, seed)}
	p.restoreEvery = 60
	p.prepare(s)
	p.root = p.start(nameOf(t, s.definition), inputFor(t, s.definition))
	return p
}

// open gives the records that have not ended, of all executions that have not.
func (p *player) open() []fsm.TaskInfo {
	p.t.Helper()
	var out []fsm.TaskInfo
	for _, id := range p.executions() {
		r := &run{p.world, id}
		if r.info().Status.Terminal() {
			continue
		}
		for _, task := range r.records() {
			if !task.Status.Terminal() {
				out = append(out, task)
			}
		}
	}
	return out
}

// output is what the player's worker returns for a task; it has something for everybody.
func (p *player) output(task fsm.TaskInfo) m {
	ref := fmt.Sprintf("dyn_%d", task.ID.Serial)
	return m{
		"result": "ok", "op": leaf, "name": leaf, "status": "ok", "number": 7, "go": true,
		"response":     m{"statusCode": 200, "reasonPhrase": "OK", "headers": m{}, "body": m{"id": 1, "name": leaf, "list": l{1, 2}, "result": l{}}},
		"dynamicTasks": l{simple(ref, m{"name": leaf})}, "dynamicTasksInput": m{ref: m{"k": "v"}},
	}
}

// answer does one task as a worker, or fails its first attempt.
func (p *player) answer(task fsm.TaskInfo) {
	p.t.Helper()
	l, ok := p.tryLease(task.ID)
	if !ok {
		return
	}
	if p.failFirst && l.Retry == 0 {
		p.must(&fsm.FailTask{Task: l.Task, Lease: l.Lease, Reason: "the first attempt fails", Worker: "worker"})
		return
	}
	p.must(&fsm.CompleteTask{Task: l.Task, Lease: l.Lease, Output: js(p.output(task)), Worker: "worker"})
}

// tryLease leases a task if it can be leased now.
func (p *player) tryLease(id fsm.TaskID) (fsm.Leased, bool) {
	p.t.Helper()
	for range 100 {
		task, ok := p.at().Task(id)
		if !ok || task.Status.Terminal() {
			return fsm.Leased{}, false
		}
		if l, ok := p.held[id]; ok && task.Lease == l.Lease {
			return l, true
		}
		if task.Status != fsm.TaskStatusScheduled || task.Queue == "" {
			return fsm.Leased{}, false
		}
		if _, ok := p.poll(string(task.Queue)); !ok {
			return fsm.Leased{}, false
		}
	}
	return fsm.Leased{}, false
}

// move lets the workers and the clock do what they can, and says whether there was
// anything.
func (p *player) move() bool {
	p.t.Helper()
	for _, task := range p.open() {
		if _, ok := p.tryLease(task.ID); ok {
			p.answer(task)
			return true
		}
	}
	if p.next != 0 && p.next < p.now+fsm.Millis((365*24*time.Hour).Milliseconds()) {
		p.pass(time.Duration(p.next-p.now) * time.Millisecond)
		return true
	}
	return false
}

// outsiders are the kinds of reasons that say: somebody outside must act.
var outsiders = []string{"signal", "update", "message"}

// waitsForSomebody demands that what is left waits for a person, a signal or an event, and
// that Explain says so. It gives the records that an update would end.
func (p *player) waitsForSomebody() []fsm.TaskInfo {
	p.t.Helper()
	var outside []fsm.TaskInfo
	open := p.open()
	for _, task := range open {
		reasons := p.at().Explain(task.ID)
		if len(reasons) == 0 {
			p.t.Fatalf("nothing explains what %s waits for: %s", task.Ref, show(task))
		}
		if slices.ContainsFunc(reasons, func(r fsm.Reason) bool { return r.Depth == 0 && slices.Contains(outsiders, r.Kind) }) {
			outside = append(outside, task)
		}
	}
	if len(outside) == 0 && !slices.ContainsFunc(open, p.joinsOnNothing) {
		p.t.Fatalf("stuck: %v\n%s", p.root.lines(), p.everything())
	}
	return outside
}

// joinsOnNothing reports whether a record is a join on a step that was never reached, which
// waits for ever in the original too.
func (p *player) joinsOnNothing(task fsm.TaskInfo) bool {
	if task.Type != "JOIN" && task.Type != "EXCLUSIVE_JOIN" {
		return false
	}
	on, _ := find(p.t, task.Input, "joinOn")
	names, _ := on.(l)
	r := &run{p.world, task.ID.Exec}
	for _, name := range names {
		text, _ := name.(string)
		if !slices.ContainsFunc(r.records(), func(x fsm.TaskInfo) bool {
			return x.Ref == text || x.Iteration == task.Iteration && strings.HasPrefix(x.Ref, text+"__")
		}) {
			return true
		}
	}
	return false
}

// play runs to the end: workers and clock first, then somebody tells what waits to go on;
// what is left after so many moves is terminated.
func (p *player) play() {
	p.t.Helper()
	for range maxMoves {
		if p.root.info().Status.Terminal() && len(p.open()) == 0 {
			break
		}
		if p.move() {
			continue
		}
		outside := p.waitsForSomebody()
		if len(outside) == 0 {
			break
		}
		task := outside[0]
		p.must(&fsm.UpdateTask{Task: task.ID, Status: fsm.TaskStatusCompleted, Output: js(p.output(task))})
	}
	p.ended = p.root.info().Status
	p.finish()
}

// finish terminates what has not ended and looks at everything.
func (p *player) finish() {
	p.t.Helper()
	for range 3 {
		for _, id := range p.executions() {
			if r := (&run{p.world, id}); !r.info().Status.Terminal() {
				p.do(&fsm.TerminateExecution{Exec: id, Reason: "the play is over"})
			}
		}
	}
	for _, id := range p.executions() {
		r := &run{p.world, id}
		if !r.info().Status.Terminal() {
			p.t.Fatalf("%s is %s in the end: %v", r.info().Definition, r.info().Status, r.lines())
		}
		for _, task := range r.records() {
			if !task.Status.Terminal() {
				p.t.Fatalf("%s is %s in an execution that is %s", task.Ref, task.Status, r.info().Status)
			}
		}
	}
	for _, q := range p.queuesLeft() {
		p.t.Errorf("queue %s still holds %d tasks", q.Queue, q.Ready+q.Delayed+q.Leased)
	}
	if err := p.a.Verify(fsm.Full); err != nil {
		p.t.Fatal(err)
	}
	p.restore()
}

// queuesLeft gives the queues that still hold something.
func (p *player) queuesLeft() []fsm.QueueInfo {
	var out []fsm.QueueInfo
	for q := range p.at().Queues() {
		if q.Ready+q.Delayed+q.Leased > 0 {
			out = append(out, q)
		}
	}
	return out
}

// TestCorpusRunsToItsEnd plays every workflow of the corpus with a worker that answers
// everything, and with one that fails each first attempt.
func TestCorpusRunsToItsEnd(t *testing.T) {
	ended := map[fsm.Status]int{}
	for i, s := range specimens(t) {
		for _, failFirst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s-%d-failFirst=%v", s.name, i, failFirst), func(t *testing.T) {
				p := newPlayer(t, s, seed(t))
				p.failFirst = failFirst
				p.play()
				ended[p.ended]++
			})
		}
	}
	all := 0
	for _, n := range ended {
		all += n
	}
	if ended[fsm.Completed] < all*3/4 {
		t.Errorf("%d of %d completed, want three quarters: %v", ended[fsm.Completed], all, ended)
	}
}

// TestCorpusSurvivesRandomVerbs steers every workflow of the corpus at random, then lets it
// run to its end.
func TestCorpusSurvivesRandomVerbs(t *testing.T) {
	done := map[string]int{}
	for i, s := range specimens(t) {
		for n := range runs(t) {
			t.Run(fmt.Sprintf("%s-%d-%d", s.name, i, n), func(t *testing.T) {
				p := newPlayer(t, s, seed(t)+uint64(n))
				p.done = done
				for range maxVerbs {
					p.steer()
				}
				for _, id := range p.executions() {
					if r := (&run{p.world, id}); r.info().Status == fsm.Paused {
						r.resume()
					}
				}
				p.play()
			})
		}
	}
	for _, b := range []fsm.Body{
		&fsm.PauseExecution{}, &fsm.ResumeExecution{}, &fsm.TerminateExecution{}, &fsm.RestartExecution{}, &fsm.RetryExecution{},
		&fsm.RerunExecution{}, &fsm.SkipTask{}, &fsm.UpdateTask{}, &fsm.Signal{}, &fsm.SetVariables{}, &fsm.JumpTo{}, &fsm.ResetCallbacks{}, &fsm.Decide{},
	} {
		if name := fmt.Sprintf("%T", b); done[name] == 0 {
			t.Errorf("%s was never done: %v", name, done)
		}
	}
}

// try asks for a verb, which may be refused.
func (p *player) try(b fsm.Body) {
	p.t.Helper()
	if p.do(b).Rejection == nil {
		p.done[fmt.Sprintf("%T", b)]++
	}
}

// steer does something at random to an execution at random.
func (p *player) steer() {
	p.t.Helper()
	all := p.executions()
	r := &run{p.world, all[p.rng.IntN(len(all))]}
	records := r.records()
	refs := []string{"nobody"}
	for _, task := range records {
		refs = append(refs, task.Ref)
	}
	refs = append(refs, p.later(r)...)
	ref := refs[p.rng.IntN(len(refs))]
	switch n := p.rng.IntN(28); {
	case n < 10:
		p.move()
	case n == 10:
		p.try(&fsm.PauseExecution{Exec: r.id})
	case n <= 12:
		p.try(&fsm.ResumeExecution{Exec: r.id})
	case n == 13:
		p.try(&fsm.TerminateExecution{Exec: r.id, Reason: "at random"})
	case n == 14:
		p.try(restart(r, p.rng.IntN(2) == 0))
	case n <= 16:
		p.try(retry(r, p.rng.IntN(2) == 0))
	case n == 17:
		p.try(rerun(r))
	case n <= 19 && len(records) > 0:
		p.try(rerunFrom(r, records[p.rng.IntN(len(records))].ID, nil))
	case n == 20:
		p.try(skip(r, ref, nil, m{"skipped": true}))
	case n <= 22:
		status := []fsm.TaskStatus{fsm.TaskStatusCompleted, fsm.TaskStatusFailed, fsm.TaskStatusFailedTerminal, fsm.TaskStatusInProgress}[p.rng.IntN(4)]
		p.try(&fsm.UpdateTask{Exec: r.id, Ref: ref, Status: status, Output: js(m{"updated": true})})
	case n == 23:
		p.try(&fsm.Signal{Exec: r.id, Output: js(m{"signaled": true})})
	case n == 24:
		p.try(&fsm.SetVariables{Exec: r.id, Variables: js(m{"at": "random"})})
	case n == 25:
		p.try(&fsm.JumpTo{Exec: r.id, Ref: ref})
	case n == 26:
		p.try(&fsm.ResetCallbacks{Exec: r.id})
	default:
		p.try(decide(r))
	}
	if err := p.a.Verify(fsm.Full); err != nil {
		p.t.Fatal(err)
	}
}

// later gives reference names of a run's definition, reached or not.
func (p *player) later(r *run) []string {
	d, ok := p.at().Definition(r.info().Definition, r.info().Version)
	if !ok {
		return nil
	}
	var out []string
	walk(value(p.t, d.Source), func(o m) {
		if ref, ok := o["taskReferenceName"].(string); ok {
			out = append(out, ref)
		}
	})
	slices.Sort(out)
	return out
}
