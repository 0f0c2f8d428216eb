package fsm_test

import (
	"errors"
	"fmt"
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
// every step, and compares all that can be seen after each.
func TestFlowAgreesWithModel(t *testing.T) {
	seed, runs := uint64(1), 60 // the same everywhere: a failure is of the change at hand
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
		if os.Getenv("PAWL_SEED") == "" {
			seed = rand.Uint64()
		}
	}
	counts := map[string]int{}
	for i := range runs {
		c := randomCase(seed + uint64(i))
		if err := c.run(counts); err != nil {
			c, err = c.shrink(err)
			t.Fatalf("PAWL_SEED=%d: %v\n%s", seed+uint64(i), err, c)
		}
	}
	t.Logf("PAWL_SEED=%d, %d runs: %v", seed, runs, counts)
}

// modelCase is one run: definitions, the first of which is started, and the seed of
// what happens to them.
type modelCase struct {
	definitions [][]byte
	events      uint64
}

// modelKinds are the further kinds of steps that are written.
var modelKinds = []string{
	"HTTP", "HUMAN", "YIELD", "EXCLUSIVE_JOIN", "START_WORKFLOW", "TERMINATE", "cache", "failure", "version", "restart",
	"INLINE", "LAMBDA", "JSON_JQ_TRANSFORM", "DECISION", "jobs", "inline", "nested",
}

// dynamicKinds name steps when they run.
var dynamicKinds = []string{"DYNAMIC", "FORK_JOIN_DYNAMIC"}

func randomCase(seed uint64) modelCase {
	r := rand.New(rand.NewPCG(seed, 1))
	o := model.Options{
		Name: "root", Depth: 1 + r.IntN(4), Width: 1 + r.IntN(5), Steps: 4 + r.IntN(50), Timing: r.IntN(3) > 0, Scripts: true,
		Ends: r.IntN(2) == 0,
	}
	for _, k := range modelKinds {
		if r.IntN(3) > 0 {
			o.Kinds = append(o.Kinds, k)
		}
	}
	if r.IntN(3) == 0 {
		// A key over a step's own input would be read as one over the fork's.
		o.Kinds = append(slices.DeleteFunc(o.Kinds, func(k string) bool { return k == "cache" }), dynamicKinds...)
	}
	names := []string{"child", "grandchild", "leaf"}[:r.IntN(4)]
	if len(names) > 1 && r.IntN(2) == 0 {
		o.Steps, o.Depth, o.Width = 6, 2, 3 // a tree is enough
	}
	c := modelCase{events: r.Uint64()}
	o.Children = names[:min(1, len(names))]
	c.definitions = append(c.definitions, model.Random(r, o))
	for i, name := range names {
		below := o
		below.Name, below.Depth, below.Width, below.Steps, below.Children = name, 1, 2, 5, names[i+1:min(i+2, len(names))]
		c.definitions = append(c.definitions, model.Random(r, below))
		if i == 0 && slices.Contains(o.Kinds, "version") {
			below.Version = 2
			c.definitions = append(c.definitions, model.Random(r, below))
		}
	}
	for _, name := range []string{"rescue", "other"} {
		alone := model.Options{Name: name, Depth: 0, Width: 2, Steps: 2}
		c.definitions = append(c.definitions, model.Random(r, alone))
	}
	return c
}

func (c modelCase) String() string {
	var b strings.Builder
	for _, d := range c.definitions {
		fmt.Fprintf(&b, "%s\n", d)
	}
	return b.String()
}

// modelSteps bounds a run: a loop may go on for ever.
const modelSteps = 120

func (c modelCase) run(counts map[string]int) error {
	p := newPair(c)
	if err := p.start(c); err != nil {
		return fmt.Errorf("%w: %w", errNotStarted, err)
	}
	if err := p.compare(); err != nil {
		return fmt.Errorf("after start: %w", err)
	}
	for range modelSteps {
		before := p.world.Fired
		what, err := p.step()
		if err == nil {
			err = p.compare()
		}
		if err != nil && p.fault == nil && p.world.Fired > before+1 {
			counts["ambiguous"]++ // several limits passed together
			return nil
		}
		p.done = append(p.done, what)
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(p.done, ", "), err)
		}
		if what == "" {
			break
		}
		p.count(counts, what)
	}
	for _, e := range p.world.Execs() {
		counts["ended "+e.Status]++
	}
	return nil
}

func (p *pair) count(counts map[string]int, what string) {
	word := strings.Fields(what)[0]
	if p.refused {
		word += " refused"
	}
	counts[word]++
}

// errNotStarted says that the machine refused what was written, as it must when
// shrinking leaves a step without something it needs.
var errNotStarted = errors.New("not started")

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
	for part := range c.definitions {
		for n := 0; time.Now().Before(deadline); n++ {
			definition, ok := model.Smaller(c.definitions[part], n)
			if !ok {
				break
			}
			less := modelCase{definitions: slices.Clone(c.definitions), events: c.events}
			less.definitions[part] = definition
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
	}
	return c, nil
}

// registered finds definitions as the machine does.
func (c modelCase) registered() func(name string, version int) []byte {
	type key struct {
		name    string
		version int
	}
	all := map[key][]byte{}
	newest := map[string]int{}
	for _, d := range c.definitions {
		v := parse(d)
		name := fmt.Sprint(v["name"])
		n, _ := strconv.Atoi(fmt.Sprint(v["version"]))
		all[key{name, n}] = d
		newest[name] = max(newest[name], n)
	}
	return func(name string, version int) []byte {
		if version == 0 {
			version = newest[name]
		}
		return all[key{name, version}]
	}
}

// modelTaskTypes are registered beside the definitions.
var modelTaskTypes = map[string]string{
	"dyn_worker": `{"name":"dyn_worker","retryCount":1,"retryDelaySeconds":0}`,
	"dyn_other":  `{"name":"dyn_other","retryCount":0,"retryDelaySeconds":0,"responseTimeoutSeconds":20}`,
}

func newPair(c modelCase) *pair {
	r := rand.New(rand.NewPCG(c.events, 2))
	p := &pair{
		r: r, state: fsm.New(0), unlucky: []int{4, 20, 60}[r.IntN(3)], frugal: r.IntN(3) == 0,
		execs: map[string]fsm.ExecID{}, tasks: map[string]fsm.TaskID{}, leases: map[fsm.TaskID]fsm.Lease{}, names: map[string]string{},
	}
	p.watchFaults()
	if r.IntN(4) == 0 {
		p.twin = fsm.New(0)
	}
	for _, d := range c.definitions {
		if strings.Contains(string(d), "SUB_WORKFLOW") {
			p.frugal = false
		}
	}
	p.world = &model.World{
		Now: 1000, Script: model.Script, Definition: c.registered(),
		Job: func(script string) bool { return strings.Contains(script, "for (") },
		TaskType: func(name string) []byte {
			if s, ok := modelTaskTypes[name]; ok {
				return []byte(s)
			}
			return nil
		},
	}
	return p
}

func (p *pair) start(c modelCase) error {
	input := fmt.Appendf(nil, `{"n":%d,"s":"a","end":"COMPLETED","list":[1,"b",{"k":null}]}`, 1+p.r.IntN(3))
	for _, d := range c.definitions {
		if r := p.apply(&fsm.PutDefinition{Source: d}); r.Rejection != nil {
			return fmt.Errorf("%v %v", r.Rejection, r.Rejection.Problems)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(modelTaskTypes)) {
		if r := p.apply(&fsm.PutTaskType{Source: []byte(modelTaskTypes[name])}); r.Rejection != nil {
			return r.Rejection
		}
	}
	result := p.apply(&fsm.StartExecution{Name: "root", Input: input})
	if result.Rejection != nil {
		return result.Rejection
	}
	root, err := p.world.Start(c.definitions[0], input)
	if err == nil {
		p.execs[root.Key()] = result.Exec
	}
	return err
}
