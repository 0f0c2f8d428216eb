package model

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("PAWL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("PAWL_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("PAWL_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestRandomDependsOnSourceOnly(t *testing.T) {
	o := Options{Name: "r", Depth: 3, Width: 4, Steps: 40, Children: []string{"c"}, Timing: true, Scripts: true, Ends: true}
	a := Random(rand.New(rand.NewPCG(1, 2)), o)
	b := Random(rand.New(rand.NewPCG(1, 2)), o)
	if !bytes.Equal(a, b) {
		t.Errorf("the same source gave\n%s\nand\n%s", a, b)
	}
}

// everything is all that Options.Kinds may name.
var everything = []string{"INLINE", "LAMBDA", "JSON_JQ_TRANSFORM", "HUMAN", "YIELD", "HTTP", "DYNAMIC", "FORK_JOIN_DYNAMIC", "EXCLUSIVE_JOIN",
	"START_WORKFLOW", "DECISION", "TERMINATE", "cache", "failure", "inline", "version", "jobs", "nested", "restart"}

// TestRandomDefinitionsRun lets random workers work on random definitions and
// checks what must hold whatever happens.
func TestRandomDefinitionsRun(t *testing.T) {
	r := seeded(t)
	ends := map[string]int{}
	kinds := map[string]int{}
	for range 300 {
		o := Options{Name: "root", Depth: 3, Width: 3, Steps: 25, Children: []string{"c"}, Timing: true, Scripts: true, Ends: true, Kinds: everything}
		root := Random(r, o)
		o = Options{Name: "c", Depth: 1, Width: 3, Steps: 6, Timing: true, Scripts: true, Ends: true}
		below := Random(r, o)
		w := &World{Script: Script, Now: 1000, Definition: func(name string, _ int) []byte {
			if name == "c" || name == "rescue" || name == "other" {
				return below
			}
			return nil
		}, Job: func(script string) bool { return strings.Contains(script, "for (") }, TaskType: func(name string) []byte {
			if strings.HasPrefix(name, "dyn_") {
				return []byte(`{"retryCount":1,"retryDelaySeconds":0}`)
			}
			return nil
		}}
		e, err := w.Start(root, []byte(`{"n":2,"s":"a","list":[1,"b"]}`))
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			if err := doSomething(r, w, e); err != nil {
				t.Fatalf("%v\n%s\n%s", err, root, e)
			}
		}
		for _, x := range w.Execs() {
			if !x.Ended() {
				if err := w.Terminate(x, "enough", false); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, x := range w.Execs() {
			ends[x.Status]++
			if err := sound(x); err != nil {
				t.Fatalf("%v\n%s\n%s", err, root, x)
			}
			for _, task := range x.Tasks() {
				kinds[task.Kind()+" "+task.Status]++
			}
		}
	}
	t.Log(ends)
	t.Log(kinds)
}

// doSomething does one random thing.
func doSomething(r *rand.Rand, w *World, e *Exec) error {
	if r.IntN(12) == 0 {
		if err := doVerb(r, w); err != nil && !errors.Is(err, ErrRefused) {
			return err
		}
		return nil
	}
	var open []*Task
	for _, x := range w.Execs() {
		for _, t := range x.Tasks() {
			if t.Open() && !x.Ended() && (t.leased() || t.Waits() || t.Kind() == "WAIT" || t.Kind() == "HUMAN" || t.Kind() == "YIELD") {
				open = append(open, t)
			}
		}
	}
	if due, ok := w.NextDue(); ok && (len(open) == 0 || r.IntN(8) == 0) {
		w.Advance(due - w.Now)
		return nil
	}
	if len(open) == 0 {
		return nil
	}
	t := open[r.IntN(len(open))]
	switch x := r.IntN(12); {
	case t.Waits() && x == 0:
		return w.AnswerJob(t.Key(), nil, "broken", r.IntN(2) == 0)
	case t.Waits():
		return w.AnswerJob(t.Key(), []byte([]string{"true", "false", "[1]", "\"big\""}[r.IntN(4)]), "", false)
	case x < 2:
		return w.Fail(t.Key(), "no luck", r.IntN(4) == 0, nil)
	case x < 4:
		if t.leased() && t.Status == "SCHEDULED" && t.ready <= w.Now {
			return w.Poll(t.Key())
		}
		return nil
	}
	return w.Called(t.Key(), fmt.Appendf(nil, `{"x":%d,"s":"a"}`, 1+r.IntN(3)))
}

// doVerb does something to an execution as a person would.
func doVerb(r *rand.Rand, w *World) error {
	if len(w.Execs()) == 0 {
		return nil
	}
	e := w.Execs()[r.IntN(len(w.Execs()))]
	switch r.IntN(13) {
	case 0:
		return w.Restart(e, r.IntN(2) == 0)
	case 1, 2:
		return w.Retry(e, false)
	case 3, 4:
		return w.Retry(e, true)
	case 5:
		return w.Rerun(e, "", nil)
	case 6, 7:
		if n := len(e.Tasks()); n > 0 {
			return w.Rerun(e, e.Tasks()[r.IntN(n)].Key(), nil)
		}
	case 8:
		return w.Pause(e)
	case 9:
		return w.Resume(e)
	case 10:
		return w.Terminate(e, "enough", true)
	case 11:
		return w.ResetCallbacks(e)
	case 12:
		if n := len(e.def.Tasks); n > 0 && r.IntN(3) == 0 {
			return w.Jump(e, e.def.Tasks[r.IntN(n)].Ref, nil)
		} else if r.IntN(6) == 0 {
			return w.Delete(e)
		}
	}
	return nil
}

// sound checks a finished execution.
func sound(e *Exec) error {
	seen := map[*Task]bool{}
	last := 0
	for _, t := range e.tasks {
		switch {
		case t.Open() && e.Ended():
			return fmt.Errorf("record %s is open in an ended execution", t.Key())
		case t.Of != nil && seen[t.Of]:
			return fmt.Errorf("two records replace %s", t.Of.Key())
		case t.Seq <= last:
			return fmt.Errorf("record %d follows %d", t.Seq, last)
		case e.Status == "RUNNING":
			return fmt.Errorf("execution %s is RUNNING after all was ended", e.Key())
		}
		seen[t.Of], last = true, t.Seq
	}
	return nil
}

func TestSmallerTakesSomethingOut(t *testing.T) {
	r := seeded(t)
	for range 30 {
		o := Options{Name: "r", Depth: 3, Width: 4, Steps: 30, Children: []string{"c"}, Timing: true, Scripts: true, Ends: true, Kinds: everything}
		source := Random(r, o)
		for n := 0; ; n++ {
			less, ok := Smaller(source, n)
			if !ok {
				break
			}
			if len(less) >= len(source) {
				t.Fatalf("change %d left %d bytes of %d:\n%s", n, len(less), len(source), source)
			}
			if _, err := decodeDefinition(less); err != nil {
				t.Fatalf("change %d: %v\n%s", n, err, less)
			}
		}
	}
}
