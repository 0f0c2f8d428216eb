package fsm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/jepsen/model"
)

// TestFlowAgreesWithModel runs random definitions with random reports, verbs and
// times on the machine and on a naive model that looks at everything again after
// every step, and compares all records after each.
func TestFlowAgreesWithModel(t *testing.T) {
	seed, runs := rand.Uint64(), 100
	if s := os.Getenv("PAWL_SEED"); s != "" {
		runs = 1
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("PAWL_SEED: %v", err)
		}
		seed = n
	}
	if s := os.Getenv("PAWL_RUNS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("PAWL_RUNS: %v", err)
		}
		runs = n
	}
	counts := map[string]int{}
	for i := range runs {
		c := randomCase(seed + uint64(i))
		if err := c.run(counts); err != nil {
			c, err = c.shrink(err)
			t.Fatalf("PAWL_SEED=%d: %v\nroot  %s\nchild %s", seed+uint64(i), err, c.root, c.child)
		}
	}
	t.Logf("PAWL_SEED=%d, %d runs: %v", seed, runs, counts)
}

// modelCase is one run: two definitions, and the seed of what happens to them.
type modelCase struct {
	root, child []byte
	events      uint64
}

func randomCase(seed uint64) modelCase {
	r := rand.New(rand.NewPCG(seed, 1))
	o := model.Options{
		Name: "root", Depth: 1 + r.IntN(4), Width: 1 + r.IntN(5), Steps: 4 + r.IntN(50), Timing: r.IntN(3) > 0, Scripts: true,
		Ends: r.IntN(2) == 0,
	}
	if r.IntN(3) > 0 {
		o.Children = []string{"child"}
	}
	below := model.Options{Name: "child", Depth: 1, Width: 2, Steps: 5, Timing: o.Timing, Scripts: true, Ends: o.Ends}
	return modelCase{root: model.Random(r, o), child: model.Random(r, below), events: r.Uint64()}
}

// modelSteps bounds a run: a loop may go on for ever.
const modelSteps = 120

func (c modelCase) run(counts map[string]int) error {
	r := rand.New(rand.NewPCG(c.events, 2))
	p := &pair{
		r: r, state: fsm.New(0), unlucky: []int{4, 20, 60}[r.IntN(3)],
		frugal: !bytes.Contains(c.root, []byte("SUB_WORKFLOW")),
		execs:  map[string]fsm.ExecID{}, tasks: map[string]fsm.TaskID{}, leases: map[fsm.TaskID]fsm.Lease{},
	}
	if err := p.start(c); err != nil {
		return fmt.Errorf("%w: %w", errNotStarted, err)
	}
	if err := p.compare(); err != nil {
		return fmt.Errorf("after start: %w", err)
	}
	for i := range modelSteps {
		before := p.world.Fired
		what, err := p.step()
		if err == nil {
			err = p.compare()
		}
		if err != nil && p.fault == nil && p.world.Fired > before+1 {
			counts["ambiguous"]++ // several limits passed together
			return nil
		}
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, what, err)
		}
		if what == "" {
			break
		}
		counts[strings.Fields(what)[0]]++
	}
	counts["ended "+p.root.Status]++
	return nil
}

// pair is the machine and the model side by side.
type pair struct {
	r       *rand.Rand
	unlucky int // one in so many reports is a failure
	// frugal says that entries may do little work each. That may change which of
	// several limits that pass in one step is felt first, and whether a child of an
	// ended parent has begun.
	frugal bool
	fault  error // what the machine caught
	state  *fsm.State
	index  uint64
	slots  uint64
	world  *model.World
	root   *model.Exec
	execs  map[string]fsm.ExecID // by key of the model
	tasks  map[string]fsm.TaskID
	leases map[fsm.TaskID]fsm.Lease
	ids    []string // id, key, id, key …
}

func (p *pair) start(c modelCase) error {
	p.world = &model.World{Now: 1000, Script: model.Script, Definition: func(name string, _ int) []byte {
		if name == "child" {
			return c.child
		}
		return nil
	}}
	input := []byte(fmt.Sprintf(`{"n":%d,"s":"a","list":[1,"b",{"k":null}]}`, 1+p.r.IntN(3)))
	for _, d := range [][]byte{c.root, c.child} {
		if r := p.apply(&fsm.PutDefinition{Source: d}); r.Rejection != nil {
			return r.Rejection
		}
	}
	result := p.apply(&fsm.StartExecution{Name: "root", Input: input})
	if result.Rejection != nil {
		return result.Rejection
	}
	p.execs[""] = result.Exec
	var err error
	p.root, err = p.world.Start(c.root, input)
	return err
}

// errNotStarted says that the machine refused what was written, as it must when
// shrinking leaves a step without something it needs.
var errNotStarted = errors.New("not started")

// apply applies a command in an entry of its own, and then what it left to do.
func (p *pair) apply(body fsm.Body, offers ...fsm.Offer) fsm.Result {
	e := &fsm.Entry{Time: fsm.Millis(p.now()), Work: p.budget(), Offers: offers}
	if body != nil {
		e.Commands = []*fsm.Command{{Body: body}}
	}
	var first *fsm.Applied
	for more := true; more; {
		decoded, err := fsm.Decode(e.AppendTo(nil))
		if err != nil {
			panic(err)
		}
		p.index++
		applied := p.state.Apply(p.index, decoded)
		for _, g := range applied.Grants {
			p.leases[g.Task] = g.Lease
		}
		if first == nil {
			first = applied
		}
		more = applied.More
		for _, x := range applied.Events {
			if x.Kind == fsm.CommandFaulted || x.Kind == fsm.ExecutionFaulted {
				p.fault = errors.New("the machine caught a fault of its own")
			}
		}
		if err := p.state.Verify(fsm.Touched); err != nil {
			p.fault = err
		}
		e = &fsm.Entry{Time: e.Time, Work: p.budget()}
	}
	if body == nil {
		return fsm.Result{}
	}
	return first.Results[0]
}

func (p *pair) budget() uint32 {
	if p.frugal {
		return 1 + p.r.Uint32N(12)
	}
	return fsm.MaxWork
}

func (p *pair) now() int64 { return p.world.Now }

// step does one random thing to both sides and says what it was, nothing when the
// root execution has ended.
func (p *pair) step() (string, error) {
	if p.root.Ended() {
		return "", nil
	}
	// No two things are asked at the same time: which of several limits that pass
	// together is judged first is not laid down.
	p.world.Advance(1 + p.r.Int64N(50))
	p.apply(nil)
	if p.root.Ended() {
		return "advance to the end", nil
	}
	if err := p.compare(); err != nil {
		return "advance a moment", err
	}
	var open []*model.Task
	for _, e := range p.root.All() {
		for _, t := range e.Tasks() {
			if t.Open() && !e.Ended() && (t.Kind() == "SIMPLE" || t.Kind() == "WAIT") {
				open = append(open, t)
			}
		}
	}
	due, timed := p.world.NextDue()
	switch x := p.r.IntN(100); {
	case x < 3 && len(p.leases) > 0:
		return p.late()
	case x < 4:
		return "restore", p.restore()
	case x < 7 || len(open) == 0 && !timed:
		return p.verb()
	case timed && (x < 20 || len(open) == 0):
		millis := due - p.now()
		if p.r.IntN(5) == 0 {
			millis += p.r.Int64N(30_000)
		}
		p.world.Advance(millis)
		p.apply(nil)
		return fmt.Sprintf("advance %d ms", millis), nil
	case len(open) == 0:
		return p.verb()
	case x < 25:
		p.world.Advance(1 + p.r.Int64N(3000))
		p.apply(nil)
		return "advance a little", nil
	}
	return p.report(open[p.r.IntN(len(open))])
}

// late reports under a lease that is over, which must change nothing.
func (p *pair) late() (string, error) {
	keys := slices.Sorted(maps.Keys(p.tasks))
	from := p.r.IntN(len(keys))
	for _, key := range slices.Concat(keys[from:], keys[:from]) {
		id := p.tasks[key]
		if t := p.world.Find(key); p.leases[id] != 0 && (t == nil || t.Status != "IN_PROGRESS" || t.Exec().Ended()) {
			p.apply(&fsm.CompleteTask{Task: id, Lease: p.leases[id], Output: []byte(`{"late":true}`)})
			return "late " + key, nil
		}
	}
	return "late", nil
}

// restore goes on with a machine that was made from a snapshot.
func (p *pair) restore() error {
	v := p.state.View()
	s, err := fsm.Load(func(yield func(fsm.TableID, iter.Seq[[]byte]) bool) {
		for t := range v.Tables() {
			if !yield(t.ID, t.Rows) {
				return
			}
		}
	}, v.Digest())
	if err == nil {
		p.state = s
	}
	return err
}

// report polls a record or reports on it.
func (p *pair) report(t *model.Task) (string, error) {
	key := t.Key()
	id := p.tasks[key]
	lease, leased := p.leases[id], t.Kind() == "SIMPLE" && t.Status == "IN_PROGRESS"
	x := p.r.IntN(100)
	if t.Kind() == "SIMPLE" && !leased && x < 50 {
		return p.poll(t)
	}
	output := p.output()
	bad := p.r.IntN(p.unlucky) == 0
	switch {
	case !bad && leased && x >= 95:
		return "extend " + key, p.both(p.world.Extend(key), &fsm.ExtendLeases{Items: []fsm.Extension{{Task: id, Lease: lease}}})
	case !bad && leased && x >= 93:
		return "return " + key, p.both(p.world.Return(key), &fsm.ReturnLease{Task: id, Lease: lease})
	case !bad && leased && x >= 85:
		seconds := p.r.Int32N(10)
		return "progress " + key, p.both(p.world.Progress(key, output, int64(seconds)),
			&fsm.ProgressTask{Task: id, Lease: lease, Output: output, CallbackSeconds: seconds})
	case !bad && leased:
		return "complete " + key, p.both(p.world.Complete(key, output), &fsm.CompleteTask{Task: id, Lease: lease, Output: output})
	case !bad:
		return "update " + key, p.both(p.world.Complete(key, output),
			&fsm.UpdateTask{Task: id, Status: fsm.TaskStatusCompleted, Output: output})
	}
	terminal := p.r.IntN(5) == 0
	if leased {
		return "fail " + key, p.both(p.world.Fail(key, "no luck", terminal, output),
			&fsm.FailTask{Task: id, Lease: lease, Reason: "no luck", Terminal: terminal, Output: output})
	}
	status := fsm.TaskStatusFailed
	if terminal {
		status = fsm.TaskStatusFailedTerminal
	}
	return "update " + key, p.both(p.world.Fail(key, "no luck", terminal, output),
		&fsm.UpdateTask{Task: id, Status: status, Output: output, Reason: "no luck"})
}

// poll offers a slot for the queue of a record. Whatever the machine hands out, the
// model must find that right.
func (p *pair) poll(t *model.Task) (string, error) {
	p.slots++
	known := maps.Clone(p.leases)
	p.apply(nil, fsm.Offer{Slot: fsm.Slot{Node: fsm.NodeID{1}, Boot: 1, N: p.slots}, Queue: fsm.Queue(t.Type), Worker: "w"})
	for id, l := range p.leases {
		if known[id] == l {
			continue
		}
		for key, task := range p.tasks {
			if task == id {
				return "poll " + key, p.world.Poll(key)
			}
		}
		return "poll " + t.Key(), fmt.Errorf("task %v, which was granted, is unknown", id)
	}
	if err := p.world.Poll(t.Key()); !errors.Is(err, model.ErrRefused) {
		return "poll " + t.Key(), errors.New("nothing was granted, but the record is ready")
	}
	return "poll " + t.Key() + " in vain", nil
}

func (p *pair) output() []byte {
	switch p.r.IntN(8) {
	case 0:
		return nil
	case 1:
		return []byte(`{"x":true,"s":null,"deep":{"a":[1,{"b":"c"}]}}`)
	}
	return fmt.Appendf(nil, `{"x":%d,"s":"%c"}`, 1+p.r.IntN(3), 'a'+rune(p.r.IntN(2)))
}

// verb does something to an execution that has not ended.
func (p *pair) verb() (string, error) {
	var live []*model.Exec
	for _, e := range p.root.All() {
		if !e.Ended() {
			live = append(live, e)
		}
	}
	e := live[p.r.IntN(len(live))]
	id := p.execs[e.Key()]
	switch x := p.r.IntN(10); {
	case e.Status == "PAUSED" && x < 8:
		return "resume " + e.Key(), p.both(p.world.Resume(e), &fsm.ResumeExecution{Exec: id})
	case x < 4:
		return "pause " + e.Key(), p.both(p.world.Pause(e), &fsm.PauseExecution{Exec: id})
	case x < 8:
		output := p.output()
		return "signal " + e.Key(), p.both(p.world.Signal(e, output), &fsm.Signal{Exec: id, Output: output})
	}
	return "terminate " + e.Key(), p.both(p.world.Terminate(e, "enough"), &fsm.TerminateExecution{Exec: id, Reason: "enough"})
}

// both applies a command and checks that the two sides agree on whether it is allowed.
func (p *pair) both(refused error, body fsm.Body) error {
	result := p.apply(body)
	if (refused != nil) != (result.Rejection != nil) {
		return fmt.Errorf("model says %v, machine says %v", refused, result.Rejection)
	}
	return nil
}

// compare compares everything that can be seen of both sides.
func (p *pair) compare() error {
	if p.fault != nil {
		return p.fault
	}
	if err := p.state.Verify(fsm.Full); err != nil {
		return err
	}
	v := p.state.View()
	p.ids = p.ids[:0]
	if err := p.learn(v, p.root); err != nil {
		return err
	}
	names := strings.NewReplacer(p.ids...)
	for _, e := range p.root.All() {
		got, _ := v.Execution(p.execs[e.Key()])
		have := names.Replace(fmt.Sprintf("%s out=%s failed=%v", got.Status, canon(got.Output), slices.Sorted(slices.Values(got.FailedRefs))))
		want := fmt.Sprintf("%s out=%s failed=%v", e.Status, canon([]byte(canonAny(e.Output))), e.Failed())
		if have != want || !sameReason(names, got.Reason, e.Reason) {
			return fmt.Errorf("execution %q\nmachine %s %q\nmodel   %s %q\n%s", e.Key(), have, got.Reason, want, e.Reason, e)
		}
		records := e.Records()
		i := 0
		for got := range v.Tasks(p.execs[e.Key()], 0) {
			have, want := names.Replace(p.machineRecord(got)), modelRecord(records[i])
			if have != want || !sameReason(names, got.Reason, records[i].Reason) {
				return fmt.Errorf("record\nmachine %s %q\nmodel   %s %q\n%s", have, names.Replace(got.Reason), want, records[i].Reason, e)
			}
			i++
		}
	}
	return nil
}

// learn maps the ids of the machine to the keys of the model.
func (p *pair) learn(v fsm.View, e *model.Exec) error {
	id := p.execs[e.Key()]
	p.ids = append(p.ids, id.String(), e.Key())
	var seen []fsm.TaskInfo
	for t := range v.Tasks(id, 0) {
		seen = append(seen, t)
	}
	if len(seen) != len(e.Tasks()) {
		var names []string
		for _, t := range seen {
			names = append(names, fmt.Sprintf("%d %s %s", t.Seq, t.Ref, t.Status))
		}
		return fmt.Errorf("execution %q: machine has %d records %v, model\n%s", e.Key(), len(seen), names, e)
	}
	for i, t := range e.Tasks() {
		p.tasks[t.Key()] = seen[i].ID
		p.ids = append(p.ids, seen[i].ID.String(), t.Key())
		if (t.Child != nil) != !seen[i].Child.IsZero() {
			return fmt.Errorf("record %s: machine has child %v, model %v", t.Key(), seen[i].Child, t.Child != nil)
		}
		if t.Child != nil {
			p.execs[t.Child.Key()] = seen[i].Child
			if err := p.learn(v, t.Child); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pair) machineRecord(t fsm.TaskInfo) string {
	of := uint32(0)
	for _, id := range p.tasks {
		if id == t.RetriedOf {
			of = id.Serial
		}
	}
	return fmt.Sprintf("%d %s %s type=%s retry=%d of=%d retried=%v iteration=%d in=%s out=%s",
		t.Seq, t.Ref, t.Status, t.Type, t.Retry, of, t.Retried, t.Iteration,
		canonInput(t.Kind, t.Input), canonOutput(t.Kind, t.Status.String(), t.Output))
}

func modelRecord(r model.Record) string {
	return fmt.Sprintf("%d %s %s type=%s retry=%d of=%d retried=%v iteration=%d in=%s out=%s",
		r.Seq, r.Ref, r.Status, r.Type, r.Retry, r.RetriedOf, r.Retried, r.Iteration,
		canonInput(r.Type, []byte(r.Input)), canonOutput(r.Type, r.Status, []byte(r.Output)))
}

// canonOutput leaves out what outputs that are made of others show before they are
// complete.
func canonOutput(kind, status string, b []byte) string {
	v := parse(b)
	if kind == "DO_WHILE" && status != "COMPLETED" {
		return fmt.Sprint("iteration ", v["iteration"])
	}
	return canonAny(v)
}

// sameReason compares reasons. The machine cuts long ones, and its ids are longer
// than the model's keys; how allowed errors are told is not compared.
func sameReason(names *strings.Replacer, machine, model string) bool {
	short := names.Replace(machine)
	if len(machine) > fsm.MaxReason-4 {
		return strings.HasPrefix(model, short[:len(short)-40])
	}
	return short == model || strings.Contains(machine, "completed with errors")
}

// canonInput leaves out what the server adds to inputs beyond the description of
// the language.
func canonInput(kind string, b []byte) string {
	v := parse(b)
	switch kind {
	case "JOIN":
		delete(v, "joinOn")
	case "SUB_WORKFLOW":
		if given, ok := v["workflowInput"].(map[string]any); ok { // once it has started
			v = given
		}
	}
	return canonAny(v)
}

func canon(b []byte) string { return canonAny(parse(b)) }

func parse(b []byte) map[string]any {
	v := map[string]any{}
	if len(b) == 0 {
		return v
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return map[string]any{"not JSON": string(b)}
	}
	return v
}

func canonAny(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// shrink looks for a smaller definition that still shows a difference, for a while.
func (c modelCase) shrink(found error) (modelCase, error) {
	for deadline := time.Now().Add(shrinkFor); time.Now().Before(deadline); {
		smaller, err := c.smaller(deadline)
		if err == nil {
			break
		}
		c, found = smaller, err
	}
	return c, found
}

// shrinkFor bounds the search for a small definition: it is for people only.
const shrinkFor = 20 * time.Second

// smaller returns a case with one thing less, and how that fails.
func (c modelCase) smaller(deadline time.Time) (modelCase, error) {
	for n, child := 0, false; time.Now().Before(deadline); n++ {
		less := c
		part := &less.root
		if child {
			part = &less.child
		}
		definition, ok := model.Smaller(*part, n)
		if !ok && child {
			break
		}
		if !ok {
			n, child = -1, true
			continue
		}
		*part = definition
		for range 12 {
			err := less.run(map[string]int{})
			if errors.Is(err, errNotStarted) {
				break
			}
			if err != nil {
				return less, err
			}
			less.events++
		}
	}
	return c, nil
}
