package table

import "iter"

// OrderError says that rows given to [Load] were not strictly ascending.
type OrderError struct {
	Row int // number of the first row, from 0, that is not after the one before it
}

// Error implements error.
func (e *OrderError) Error() string { return "table: rows are not in strictly ascending order" }

// Load returns a tree of the given rows, built from the leaves up in linear
// time. Rows must come in strictly ascending order; else Load stops at the first
// that does not and returns an [*OrderError].
func Load[K, V any](compare func(a, b K) int, rows iter.Seq2[K, V]) (*Tree[K, V], error) {
	t := New[K, V](compare)
	var (
		level []*node[K, V]
		leaf  *node[K, V]
		prev  K
		fault *OrderError
	)
	for k, v := range rows {
		if t.rows > 0 && compare(prev, k) >= 0 {
			fault = &OrderError{Row: t.rows}
			break
		}
		if leaf == nil || len(leaf.keys) == loadFill {
			leaf = &node[K, V]{gen: t.gen, keys: make([]K, 0, fanout), vals: make([]V, 0, fanout)}
			level = append(level, leaf)
		}
		leaf.keys = append(leaf.keys, k)
		leaf.vals = append(leaf.vals, v)
		prev = k
		t.rows++
	}
	if fault != nil {
		return nil, fault
	}
	for len(level) > 1 {
		level = t.parents(level)
	}
	if len(level) == 1 {
		t.root = level[0]
	}
	return t, nil
}

// parents returns the nodes above those of a level.
func (t *Tree[K, V]) parents(level []*node[K, V]) []*node[K, V] {
	above := make([]*node[K, V], 0, len(level)/loadFill+1)
	for len(level) > 0 {
		kids := level[:min(len(level), loadFill)]
		level = level[len(kids):]
		n := &node[K, V]{
			gen:    t.gen,
			keys:   make([]K, 0, fanout),
			kids:   make([]*node[K, V], 0, fanout),
			counts: make([]int, 0, fanout),
		}
		for _, kid := range kids {
			n.keys = append(n.keys, kid.keys[0])
			n.kids = append(n.kids, kid)
			n.counts = append(n.counts, kid.total())
		}
		above = append(above, n)
	}
	return above
}
