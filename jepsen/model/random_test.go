package model

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
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

// TestRandomDefinitionsRun lets random workers work on random definitions and
// checks what must hold whatever happens.
func TestRandomDefinitionsRun(t *testing.T) {
	r := seeded(t)
	ends := map[string]int{}
	kinds := map[string]int{}
	for range 400 {
		o := Options{Name: "root", Depth: 3, Width: 3, Steps: 25, Children: []string{"c"}, Timing: true, Scripts: true, Ends: true}
		root := Random(r, o)
		o = Options{Name: "c", Depth: 1, Width: 3, Steps: 6, Timing: true, Scripts: true, Ends: true}
		below := Random(r, o)
		w := &World{Script: Script, Now: 1000, Definition: func(name string, _ int) []byte {
			if name == "c" {
				return below
			}
			return nil
		}}
		e, err := w.Start(root, []byte(`{"n":2,"s":"a","list":[1,"b"]}`))
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			if e.Ended() {
				break
			}
			if err := doSomething(r, w, e); err != nil {
				t.Fatalf("%v\n%s\n%s", err, root, e)
			}
		}
		if e.Status == "RUNNING" {
			if err := w.Terminate(e, "enough"); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range e.All() {
			ends[x.Status]++
			if err := sound(x); err != nil {
				t.Fatalf("%v\n%s\n%s", err, root, e)
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
	var keys []string
	for _, x := range e.All() {
		for _, task := range x.Tasks() {
			if task.Open() && !x.Ended() && (task.Kind() == "SIMPLE" || task.Kind() == "WAIT") {
				keys = append(keys, task.Key())
			}
		}
	}
	if due, ok := w.NextDue(); ok && (len(keys) == 0 || r.IntN(8) == 0) {
		w.Advance(due - w.Now)
		return nil
	}
	if len(keys) == 0 {
		return nil
	}
	key := keys[r.IntN(len(keys))]
	switch r.IntN(12) {
	case 0, 1:
		return w.Fail(key, "no luck", r.IntN(4) == 0, nil)
	case 2, 3:
		if t := w.Find(key); t.Kind() == "SIMPLE" && t.Status == "SCHEDULED" && t.ready <= w.Now {
			return w.Poll(key)
		}
		return nil
	}
	return w.Complete(key, fmt.Appendf(nil, `{"x":%d,"s":"a"}`, 1+r.IntN(3)))
}

// sound checks a finished execution.
func sound(e *Exec) error {
	seen := map[string]bool{}
	last := 0
	for _, t := range e.tasks {
		id := fmt.Sprintf("%s/%d", t.Name(), t.Retry)
		switch {
		case !e.Ended():
			return fmt.Errorf("execution %q is %s below an ended one", e.Key(), e.Status)
		case t.Open():
			return fmt.Errorf("record %s is open in an ended execution", t.Key())
		case seen[id]:
			return fmt.Errorf("two records %s", id)
		case t.Seq <= last:
			return fmt.Errorf("record %d follows %d", t.Seq, last)
		case e.Status == "COMPLETED" && e.Reason == "" && t.Status == "CANCELED":
			return fmt.Errorf("record %s was canceled without a reason", t.Key())
		}
		seen[id], last = true, t.Seq
	}
	return nil
}

func TestSmallerTakesSomethingOut(t *testing.T) {
	r := seeded(t)
	for range 30 {
		o := Options{Name: "r", Depth: 3, Width: 4, Steps: 30, Children: []string{"c"}, Timing: true, Scripts: true, Ends: true}
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
