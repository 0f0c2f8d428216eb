package table

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
)

type row struct{ k, v int }

// seeded returns a source whose seed is logged and can be given by PAWL_SEED.
func seeded(t testing.TB) *rand.Rand {
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

func collect(rows iter.Seq2[int, int]) []row {
	var out []row
	for k, v := range rows {
		out = append(out, row{k, v})
	}
	return out
}

func find(rows []row, k int) (int, bool) {
	return slices.BinarySearchFunc(rows, k, func(r row, k int) int { return cmp.Compare(r.k, k) })
}

// check verifies the shape of a tree: order, separators, counts, fill, depth.
func check(t *Tree[int, int]) error {
	if t.root == nil {
		if t.rows != 0 {
			return fmt.Errorf("no root but %d rows", t.rows)
		}
		return nil
	}
	depth := -1
	var walk func(n *node[int, int], level int, low, high *int) (int, error)
	walk = func(n *node[int, int], level int, low, high *int) (int, error) {
		if len(n.keys) == 0 || len(n.keys) > fanout || n.gen > t.gen {
			return 0, fmt.Errorf("node of %d entries, generation %d of %d", len(n.keys), n.gen, t.gen)
		}
		if n.kids == nil {
			if depth < 0 {
				depth = level
			}
			if depth != level || len(n.vals) != len(n.keys) || !slices.IsSorted(n.keys) {
				return 0, fmt.Errorf("bad leaf %v at level %d of %d", n.keys, level, depth)
			}
			if low != nil && n.keys[0] < *low || high != nil && n.keys[len(n.keys)-1] >= *high {
				return 0, fmt.Errorf("leaf %v outside its bounds", n.keys)
			}
			return len(n.keys), nil
		}
		if len(n.kids) != len(n.keys) || len(n.counts) != len(n.keys) || n.vals != nil {
			return 0, fmt.Errorf("bad inner node: %d keys, %d kids, %d counts", len(n.keys), len(n.kids), len(n.counts))
		}
		sum := 0
		for i, kid := range n.kids {
			low, high := low, high
			if i > 0 {
				low = &n.keys[i]
			}
			if i+1 < len(n.keys) {
				high = &n.keys[i+1]
			}
			rows, err := walk(kid, level+1, low, high)
			if err != nil {
				return 0, err
			}
			if rows != n.counts[i] {
				return 0, fmt.Errorf("count %d for %d rows", n.counts[i], rows)
			}
			sum += rows
		}
		return sum, nil
	}
	rows, err := walk(t.root, 0, nil, nil)
	if err == nil && rows != t.rows {
		err = fmt.Errorf("Len %d for %d rows", t.rows, rows)
	}
	return err
}

// same compares everything a reader can see of the tree with the rows.
func same(t *testing.T, tree *Tree[int, int], want []row, probe int) {
	t.Helper()
	if err := check(tree); err != nil {
		t.Fatal(err)
	}
	if tree.Len() != len(want) {
		t.Fatalf("Len %d, want %d", tree.Len(), len(want))
	}
	if got := collect(tree.All()); !slices.Equal(got, want) {
		t.Fatalf("All %v, want %v", got, want)
	}
	back := slices.Clone(want)
	slices.Reverse(back)
	if got := collect(tree.Backward()); !slices.Equal(got, back) {
		t.Fatalf("Backward %v, want %v", got, back)
	}
	at, found := find(want, probe)
	if got := tree.Rank(probe); got != at {
		t.Fatalf("Rank(%d) %d, want %d", probe, got, at)
	}
	if got := collect(tree.From(probe)); !slices.Equal(got, want[at:]) {
		t.Fatalf("From(%d) %v, want %v", probe, got, want[at:])
	}
	if got := collect(tree.Before(probe)); !slices.Equal(got, back[len(want)-at:]) {
		t.Fatalf("Before(%d) %v, want %v", probe, got, back[len(want)-at:])
	}
	if v, ok := tree.Get(probe); ok != found || found && v != want[at].v {
		t.Fatalf("Get(%d) %d %v", probe, v, ok)
	}
	minKey, _, okMin := tree.Min()
	maxKey, _, okMax := tree.Max()
	if okMin != (len(want) > 0) || okMax != okMin {
		t.Fatalf("Min %v, Max %v of %d rows", okMin, okMax, len(want))
	}
	if len(want) == 0 {
		return
	}
	if minKey != want[0].k || maxKey != back[0].k {
		t.Fatalf("Min %d, Max %d, want %d, %d", minKey, maxKey, want[0].k, back[0].k)
	}
	i := (probe%len(want) + len(want)) % len(want)
	if k, v := tree.At(i); k != want[i].k || v != want[i].v {
		t.Fatalf("At(%d) %d=%d, want %v", i, k, v, want[i])
	}
}

func TestRandomOperationsAgainstSortedSlice(t *testing.T) {
	r := seeded(t)
	for range 60 {
		span := 1 << (1 + r.IntN(12))
		bias := 1 + r.IntN(9)
		tree := New[int, int](cmp.Compare[int])
		var rows []row
		for step := range 1500 {
			k := r.IntN(span)
			if r.IntN(4) == 0 && len(rows) > 0 {
				k = rows[len(rows)-1].k + 1
			}
			at, found := find(rows, k)
			if r.IntN(10) < bias {
				old, had := tree.Set(k, step)
				if had != found || found && old != rows[at].v {
					t.Fatalf("Set(%d) %d %v", k, old, had)
				}
				if found {
					rows[at].v = step
				} else {
					rows = slices.Insert(rows, at, row{k, step})
				}
			} else {
				old, had := tree.Delete(k)
				if had != found || found && old != rows[at].v {
					t.Fatalf("Delete(%d) %d %v", k, old, had)
				}
				if found {
					rows = slices.Delete(rows, at, at+1)
				}
			}
			if r.IntN(20) == 0 {
				same(t, tree, rows, r.IntN(span+2)-1)
			}
			if r.IntN(50) == 0 {
				tree.View()
			}
		}
	}
}

func TestViewsDoNotChange(t *testing.T) {
	r := seeded(t)
	type kept struct {
		view *Tree[int, int]
		rows []row
	}
	tree := New[int, int](cmp.Compare[int])
	var rows []row
	var views []kept
	for step := range 20_000 {
		k := r.IntN(3000)
		if at, found := find(rows, k); !found {
			tree.Set(k, step)
			rows = slices.Insert(rows, at, row{k, step})
		} else if r.IntN(2) == 0 {
			tree.Set(k, step)
			rows[at].v = step
		} else {
			tree.Delete(k)
			rows = slices.Delete(rows, at, at+1)
		}
		if r.IntN(400) == 0 {
			before := tree.Gen()
			views = append(views, kept{tree.View(), slices.Clone(rows)})
			if tree.Gen() <= before {
				t.Fatalf("Gen %d after a view, %d before", tree.Gen(), before)
			}
		}
	}
	same(t, tree, rows, 7)
	for _, v := range views {
		same(t, v.view, v.rows, r.IntN(3000))
	}
}

func TestViewIsReadWhileOwnerWrites(t *testing.T) {
	tree := New[int, int](cmp.Compare[int])
	for k := range 2000 {
		tree.Set(k, 0)
	}
	var readers sync.WaitGroup
	for round := range 20 {
		view := tree.View()
		readers.Go(func() {
			for k, v := range view.All() {
				if v != round {
					t.Errorf("row %d of view %d holds %d", k, round, v)
				}
			}
			if view.Rank(1999) != 1999 {
				t.Errorf("Rank %d, want 1999", view.Rank(1999))
			}
		})
		for k := range 2000 {
			if k%3 == 0 {
				tree.Delete(k)
			}
			tree.Set(k, round+1)
		}
	}
	readers.Wait()
}

func TestWritingToViewPanics(t *testing.T) {
	tree := New[int, int](cmp.Compare[int])
	tree.Set(1, 1)
	view := tree.View()
	if view.View() != view {
		t.Error("a view of a view is another tree")
	}
	for name, write := range map[string]func(){
		"Set":    func() { view.Set(1, 2) },
		"Delete": func() { view.Delete(1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			write()
		})
	}
}

func TestDeleteEverything(t *testing.T) {
	r := seeded(t)
	orders := map[string]func([]int){
		"ascending":  func([]int) {},
		"descending": slices.Reverse[[]int],
		"random":     func(k []int) { r.Shuffle(len(k), func(i, j int) { k[i], k[j] = k[j], k[i] }) },
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			const size = 5000
			tree := New[int, int](cmp.Compare[int])
			keys := make([]int, size)
			for i := range keys {
				keys[i] = i
				tree.Set(i, -i)
			}
			order(keys)
			for i, k := range keys {
				if old, had := tree.Delete(k); !had || old != -k {
					t.Fatalf("Delete(%d) %d %v", k, old, had)
				}
				if i%37 == 0 || i > size-70 {
					if err := check(tree); err != nil {
						t.Fatalf("after %d deletes: %v", i+1, err)
					}
				}
			}
			if tree.Len() != 0 || tree.root != nil {
				t.Errorf("%d rows left, root %v", tree.Len(), tree.root)
			}
			tree.Set(1, 1)
			same(t, tree, []row{{1, 1}}, 1)
		})
	}
}

func TestStopWriteAndResume(t *testing.T) {
	tree := New[int, int](cmp.Compare[int])
	for k := range 1000 {
		tree.Set(k, k)
	}
	next, seen := 0, 0
	for {
		found := -1
		for k := range tree.From(next) {
			found = k
			break
		}
		if found < 0 {
			break
		}
		tree.Delete(found)
		tree.Set(found-5000, 0)
		next = found + 1
		seen++
	}
	if seen != 1000 || tree.Len() != 1000 {
		t.Errorf("saw %d rows, %d left, want 1000 and 1000", seen, tree.Len())
	}
}

func TestLoad(t *testing.T) {
	r := seeded(t)
	for _, size := range []int{0, 1, loadFill, loadFill + 1, fanout, 1000, loadFill*loadFill + 1, 30_000} {
		rows := make([]row, size)
		for i := range rows {
			rows[i] = row{3 * i, i}
		}
		tree, err := Load(cmp.Compare[int], func(yield func(int, int) bool) {
			for _, r := range rows {
				if !yield(r.k, r.v) {
					return
				}
			}
		})
		if err != nil {
			t.Fatalf("%d rows: %v", size, err)
		}
		same(t, tree, rows, 3*size/2)
		for step := range 2000 {
			k := r.IntN(3*size + 10)
			if at, found := find(rows, k); found {
				tree.Delete(k)
				rows = slices.Delete(rows, at, at+1)
			} else {
				tree.Set(k, step)
				rows = slices.Insert(rows, at, row{k, step})
			}
		}
		same(t, tree, rows, size)
	}
}

func TestLoadRefusesUnsortedRows(t *testing.T) {
	for _, keys := range [][]int{{1, 1}, {1, 2, 0}} {
		_, err := Load(cmp.Compare[int], func(yield func(int, int) bool) {
			for _, k := range keys {
				if !yield(k, 0) {
					return
				}
			}
		})
		var fault *OrderError
		if !errors.As(err, &fault) || fault.Row != len(keys)-1 {
			t.Errorf("Load(%v): %v, want an order error at row %d", keys, err, len(keys)-1)
		}
	}
}

func TestAtPanicsOutOfRange(t *testing.T) {
	tree := New[int, int](cmp.Compare[int])
	tree.Set(1, 1)
	for _, i := range []int{-1, 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("At(%d) did not panic", i)
				}
			}()
			tree.At(i)
		}()
	}
}

func TestFillOfAscendingKeys(t *testing.T) {
	tree := New[int, int](cmp.Compare[int])
	const size = 10_000
	for k := range size {
		tree.Set(k, k)
	}
	leaves := 0
	var count func(n *node[int, int])
	count = func(n *node[int, int]) {
		if n.kids == nil {
			leaves++
		}
		for _, kid := range n.kids {
			count(kid)
		}
	}
	count(tree.root)
	if most := size/fanout + 1; leaves > most {
		t.Errorf("%d leaves for %d ascending keys, want at most %d", leaves, size, most)
	}
}

func TestUpdatesWithoutViewsAllocateNothing(t *testing.T) {
	tree := New[int, int](cmp.Compare[int])
	for k := range 10_000 {
		tree.Set(k, k)
	}
	k := 0
	if got := testing.AllocsPerRun(1000, func() { tree.Set(k, -k); k = (k + 77) % 10_000 }); got != 0 {
		t.Errorf("%v allocations an update, want 0", got)
	}
}
