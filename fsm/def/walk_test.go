package def

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testSeed returns the seed of a random test: PAWL_SEED, or a new one.
func testSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PAWL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("PAWL_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("PAWL_SEED=%d", seed)
	return seed
}

// tree is a definition that knows nothing of plans.
type tree struct {
	Name  string            `json:"name"`
	Ref   string            `json:"taskReferenceName"`
	Type  string            `json:"type"`
	Input map[string]any    `json:"inputParameters,omitempty"`
	Cases map[string][]tree `json:"decisionCases,omitempty"`
	Else  []tree            `json:"defaultCase,omitempty"`
	Forks [][]tree          `json:"forkTasks,omitempty"`
	On    []string          `json:"joinOn,omitempty"`
	Body  []tree            `json:"loopOver,omitempty"`
	Eval  string            `json:"evaluatorType,omitempty"`
	Expr  string            `json:"expression,omitempty"`
	Cond  string            `json:"loopCondition,omitempty"`
}

// grower makes random definitions.
type grower struct {
	*rand.Rand
	n    int
	refs []string
}

func (g *grower) list(depth, most int) []tree {
	list := []tree{}
	for range g.IntN(most + 1) {
		list = append(list, g.grow(depth)...)
	}
	return list
}

// grow returns a step, and its JOIN if it is a fork.
func (g *grower) grow(depth int) []tree {
	s := tree{Ref: "t" + strconv.Itoa(g.n), Name: "n" + strconv.Itoa(g.n%7)}
	g.n++
	g.refs = append(g.refs, s.Ref)
	pick := g.IntN(10)
	if depth == 0 {
		pick = g.IntN(6)
	}
	switch pick {
	case 0, 1:
		s.Type = "SIMPLE"
	case 2:
		s.Type = "OWN"
	case 3:
		s.Type = "NOOP"
	case 4:
		s.Type, s.Input = "TERMINATE", map[string]any{"terminationStatus": "FAILED"}
	case 5:
		s.Type = "WAIT"
	case 6, 7:
		s.Type, s.Eval, s.Expr = "SWITCH", "value-param", "k"
		s.Cases = map[string][]tree{"a": g.list(depth-1, 2)}
		if g.IntN(2) == 0 {
			s.Cases["b"] = g.list(depth-1, 2)
		}
		s.Else = g.list(depth-1, 2)
	case 8:
		s.Type = "FORK_JOIN"
		for range 1 + g.IntN(3) {
			s.Forks = append(s.Forks, g.list(depth-1, 2))
		}
		join := tree{Ref: "t" + strconv.Itoa(g.n), Name: "j", Type: "JOIN"}
		g.n++
		for range g.IntN(3) {
			join.On = append(join.On, g.refs[g.IntN(len(g.refs))])
		}
		return []tree{s, join}
	case 9:
		s.Type, s.Cond = "DO_WHILE", "$.x > 1"
		s.Body = append(g.grow(depth-1), g.list(depth-1, 2)...)
	}
	return []tree{s}
}

// where is what the slow walker knows of a step.
type where struct {
	t     *tree
	list  []tree // it is in
	i     int
	in    *where // the step that the list is in, nil for the root list
	inner int    // steps inside, all levels
}

// walk visits every step and returns how many there were.
func walk(list []tree, in *where, found map[string]*where) int {
	total := 0
	for i := range list {
		s := &list[i]
		w := &where{t: s, list: list, i: i, in: in}
		found[s.Ref] = w
		for _, l := range s.lists() {
			w.inner += walk(l, w, found)
		}
		total += 1 + w.inner
	}
	return total
}

func (s *tree) lists() [][]tree {
	var out [][]tree
	for _, l := range s.Cases {
		out = append(out, l)
	}
	return append(append(append(out, s.Else), s.Forks...), s.Body)
}

// next finds the successor by climbing, as Conductor does at run time.
func (w *where) next() string {
	if w.i+1 < len(w.list) {
		return w.list[w.i+1].Ref
	}
	switch {
	case w.in == nil:
		return "root."
	case w.in.t.Type == "SWITCH":
		return w.in.next()
	case w.in.t.Type == "FORK_JOIN":
		return "branch."
	}
	return "iteration."
}

func (w *where) loop() *where {
	for up := w.in; up != nil; up = up.in {
		if up.t.Type == "DO_WHILE" {
			return up
		}
	}
	return nil
}

func TestPlanAgreesWithASlowWalker(t *testing.T) {
	seed := testSeed(t)
	for round := range 150 {
		g := grower{Rand: rand.New(rand.NewPCG(seed, uint64(round)))}
		root := append(g.grow(4), g.list(4, 6)...)
		src, err := json.Marshal(map[string]any{"name": "w", "tasks": root})
		if err != nil {
			t.Fatal(err)
		}
		plan := mustCompile(t, string(src))
		found := map[string]*where{}
		if total := walk(root, nil, found); total != len(plan.Nodes) {
			t.Fatalf("got %d nodes, want %d", len(plan.Nodes), total)
		}
		if plan.First != 0 {
			t.Errorf("got first %d, want 0", plan.First)
		}
		for ref, w := range found {
			compare(t, plan, ref, w, found)
		}
		if t.Failed() {
			t.Fatalf("round %d: %s", round, src)
		}
	}
}

// compare checks one node against what the slow walker says.
func compare(t *testing.T, plan *Plan, ref string, w *where, found map[string]*where) {
	t.Helper()
	self := plan.ByRef[ref]
	n := &plan.Nodes[self]
	name := func(i int32) string {
		switch i {
		case EndRoot:
			return "root."
		case EndBranch:
			return "branch."
		case EndIteration:
			return "iteration."
		case None, Empty:
			return ""
		}
		return plan.Nodes[i].Ref
	}
	if got, want := name(n.Next), w.next(); got != want {
		t.Errorf("%s: got next %s, want %s", ref, got, want)
	}
	loop := ""
	if up := w.loop(); up != nil {
		loop = up.t.Ref
	}
	if got := name(n.Loop); got != loop {
		t.Errorf("%s: got loop %q, want %q", ref, got, loop)
	}
	if w.t.Type == "DO_WHILE" && n.LoopEnd != self+int32(w.inner)+1 {
		t.Errorf("%s: got loop end %d, want %d", ref, n.LoopEnd, self+int32(w.inner)+1)
	}
	if n.Top != (w.in == nil) {
		t.Errorf("%s: got top %v", ref, n.Top)
	}
	head := func(l []tree) string {
		if len(l) == 0 {
			return ""
		}
		return l[0].Ref
	}
	for key, list := range w.t.Cases {
		if got := name(n.Cases[key]); got != head(list) {
			t.Errorf("%s: got %s for case %s, want %s", ref, got, key, head(list))
		}
	}
	if got := name(n.Default); got != head(w.t.Else) {
		t.Errorf("%s: got default %q, want %q", ref, got, head(w.t.Else))
	}
	compareJoins(t, plan, n, w, found)
}

// compareJoins checks who waits for whom.
func compareJoins(t *testing.T, plan *Plan, n *Node, w *where, found map[string]*where) {
	t.Helper()
	if w.t.Type == "FORK_JOIN" && plan.Nodes[n.JoinOf].Ref != w.list[w.i+1].Ref {
		t.Errorf("%s: got join %s", w.t.Ref, plan.Nodes[n.JoinOf].Ref)
	}
	waits := func(join *where) []string {
		on := join.t.On
		if len(on) == 0 && join.i > 0 {
			for _, branch := range join.list[join.i-1].Forks {
				if k := len(branch); k > 0 {
					on = append(on, branch[k-1].Ref)
				}
			}
		}
		return on
	}
	if w.t.Type == "JOIN" {
		var got, want []string
		for _, m := range n.JoinOn {
			got = append(got, plan.Nodes[m].Ref)
		}
		for _, ref := range waits(w) {
			if !slices.Contains(want, ref) {
				want = append(want, ref)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got joinOn %v, want %v", w.t.Ref, got, want)
		}
	}
	joiners := 0
	for _, join := range found {
		if join.t.Type == "JOIN" && slices.Contains(waits(join), w.t.Ref) {
			joiners++
		}
	}
	if len(n.Joiners) != joiners {
		t.Errorf("%s: got %d joiners, want %d", w.t.Ref, len(n.Joiners), joiners)
	}
}

// reached is the slow walker's answer to what can become ready: every list that
// could be taken, without bounds.
func reached(w *where, found map[string]*where, joins map[string][]string, seen map[string]bool, out map[string]bool) {
	var enter func(ref string)
	var leave func(w *where)
	enter = func(ref string) {
		if seen[ref] {
			return
		}
		seen[ref] = true
		switch w := found[ref]; w.t.Type {
		case "SIMPLE":
			out[w.t.Name] = true
		case "OWN":
			out["OWN"] = true
		case "DO_WHILE":
			enter(w.t.Body[0].Ref)
		case "WAIT", "TERMINATE":
		default:
			leave(w)
		}
	}
	leave = func(w *where) {
		if w.t.Type == "TERMINATE" {
			return
		}
		for _, list := range append(w.t.lists(), nil) {
			if len(list) > 0 && w.t.Type != "DO_WHILE" {
				enter(list[0].Ref)
			}
		}
		for _, join := range joins[w.t.Ref] {
			enter(join)
		}
		switch next := w.next(); {
		case next == "iteration.":
			loop := w.loop()
			enter(loop.t.Body[0].Ref)
			leave(loop)
		case strings.HasSuffix(next, "."):
		case w.t.Type == "FORK_JOIN" && slices.ContainsFunc(w.t.Forks, func(b []tree) bool { return len(b) > 0 }):
		case w.t.Type == "FORK_JOIN" && len(found[next].t.On) > 0:
		default:
			enter(next)
		}
	}
	leave(w)
}

func TestReachAgreesWithASlowWalker(t *testing.T) {
	seed := testSeed(t)
	compared := 0
	for round := range 150 {
		g := grower{Rand: rand.New(rand.NewPCG(seed, uint64(round)))}
		root := append(g.grow(3), g.list(3, 3)...)
		src, err := json.Marshal(map[string]any{"name": "w", "tasks": root})
		if err != nil {
			t.Fatal(err)
		}
		plan := mustCompile(t, string(src))
		if len(plan.Nodes) > maxLook {
			continue
		}
		found := map[string]*where{}
		walk(root, nil, found)
		joins := map[string][]string{}
		for i := range plan.Nodes {
			for _, j := range plan.Nodes[i].Joiners {
				joins[plan.Nodes[i].Ref] = append(joins[plan.Nodes[i].Ref], plan.Nodes[j].Ref)
			}
		}
		for ref, w := range found {
			// A JOIN that names steps of its own can be met by way of a fork too.
			if hasOwnNames(found) {
				continue
			}
			compared++
			want := map[string]bool{}
			reached(w, found, joins, map[string]bool{}, want)
			got := plan.Nodes[plan.ByRef[ref]].Reach
			for _, typ := range got {
				if !want[typ] {
					t.Errorf("%s: got %v, want of %v", ref, got, want)
				}
			}
			if len(got) < min(len(want), MaxReach) {
				t.Errorf("%s: got %v, want %v", ref, got, want)
			}
		}
		if t.Failed() {
			t.Fatalf("round %d: %s", round, src)
		}
	}
	if compared < 100 {
		t.Errorf("only %d steps compared", compared)
	}
}

func hasOwnNames(found map[string]*where) bool {
	for _, w := range found {
		if len(w.t.On) > 0 {
			return true
		}
	}
	return false
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(workflow(task("a", "SIMPLE", `"inputParameters":{"k":"${b.output['x'][0]}"}`))))
	f.Add([]byte(workflow(task("f", "FORK_JOIN", `"forkTasks":[[`+task("a", "WAIT", "")+`]]`), task("j", "JOIN", `"joinOn":["a"]`))))
	f.Add([]byte(workflow(task("l", "DO_WHILE", `"loopCondition":"$.l['iteration'] < 2","loopOver":[`+task("a", "NOOP", "")+`]`))))
	f.Add([]byte(`[` + task("s", "SWITCH", `"evaluatorType":"value-param","expression":"k","decisionCases":{"":[],"x":[`+task("t", "TERMINATE", "")+`]}`) + `]`))
	f.Add([]byte(`{"name":"t","retryCount":"3","timeoutSeconds":1e3}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		plan, problems := Compile(src)
		again, same := Compile(slices.Clone(src))
		if !slices.Equal(problems, same) || (plan == nil) != (again == nil) || (plan == nil) == (len(problems) == 0) {
			t.Fatalf("got %v, then %v", problems, same)
		}
		if plan != nil {
			if checkPlan(t, plan); table(plan) != table(again) {
				t.Fatalf("got\n%s\nthen\n%s", table(plan), table(again))
			}
		}
		_, problems = ParseTaskType(src)
		if _, same = ParseTaskType(src); !slices.Equal(problems, same) {
			t.Fatalf("task type: got %v, then %v", problems, same)
		}
		fragment, problems := CompileFragment(&Plan{}, src)
		if (fragment == nil) == (len(problems) == 0) {
			t.Fatalf("fragment: got %v", problems)
		}
		for _, part := range Split(src) {
			Sniff(part)
		}
		ParseDuration(string(src))
		ParseUntil(string(src))
		_ = fmt.Sprint(Sniff(src))
	})
}
