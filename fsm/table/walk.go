package table

import "iter"

// All yields every row in ascending order.
//
// As with every iterator here, the tree must not be written to while the loop
// runs. Leaving the loop ends the iteration at once and keeps nothing, so the
// way to change what one walks is to stop at a row, write, and start again with
// From at its key; or to walk a view.
func (t *Tree[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.root.ascend(yield)
		}
	}
}

// From yields the rows whose key is not before k, in ascending order. See All
// for what may happen meanwhile.
func (t *Tree[K, V]) From(k K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.ascendFrom(t.root, k, yield)
		}
	}
}

// Backward yields every row in descending order. See All for what may happen
// meanwhile.
func (t *Tree[K, V]) Backward() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.root.descend(yield)
		}
	}
}

// Before yields the rows whose key is before k, in descending order. See All
// for what may happen meanwhile.
func (t *Tree[K, V]) Before(k K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.descendBefore(t.root, k, yield)
		}
	}
}

// Min returns the first row and whether there is one.
func (t *Tree[K, V]) Min() (k K, v V, ok bool) {
	n := t.root
	if n == nil {
		return k, v, false
	}
	for n.kids != nil {
		n = n.kids[0]
	}
	return n.keys[0], n.vals[0], true
}

// Max returns the last row and whether there is one.
func (t *Tree[K, V]) Max() (k K, v V, ok bool) {
	n := t.root
	if n == nil {
		return k, v, false
	}
	for n.kids != nil {
		n = n.kids[len(n.kids)-1]
	}
	last := len(n.keys) - 1
	return n.keys[last], n.vals[last], true
}

// Rank returns the number of rows whose key is before k, whether or not k is
// there, in logarithmic time.
func (t *Tree[K, V]) Rank(k K) int {
	n := t.root
	if n == nil {
		return 0
	}
	rank := 0
	for n.kids != nil {
		i := t.child(n, k)
		for _, c := range n.counts[:i] {
			rank += c
		}
		n = n.kids[i]
	}
	i, _ := t.search(n.keys, k)
	return rank + i
}

// At returns the row that has i rows before it, in logarithmic time. It panics
// unless 0 ≤ i < Len.
func (t *Tree[K, V]) At(i int) (K, V) {
	if i < 0 || i >= t.rows {
		panic("table: row number out of range")
	}
	n := t.root
	for n.kids != nil {
		kid := 0
		for i >= n.counts[kid] {
			i -= n.counts[kid]
			kid++
		}
		n = n.kids[kid]
	}
	return n.keys[i], n.vals[i]
}

func (n *node[K, V]) ascend(yield func(K, V) bool) bool {
	for _, kid := range n.kids {
		if !kid.ascend(yield) {
			return false
		}
	}
	for i, v := range n.vals {
		if !yield(n.keys[i], v) {
			return false
		}
	}
	return true
}

func (n *node[K, V]) descend(yield func(K, V) bool) bool {
	for i := len(n.kids) - 1; i >= 0; i-- {
		if !n.kids[i].descend(yield) {
			return false
		}
	}
	for i := len(n.vals) - 1; i >= 0; i-- {
		if !yield(n.keys[i], n.vals[i]) {
			return false
		}
	}
	return true
}

func (t *Tree[K, V]) ascendFrom(n *node[K, V], k K, yield func(K, V) bool) bool {
	if n.kids == nil {
		first, _ := t.search(n.keys, k)
		for i := first; i < len(n.keys); i++ {
			if !yield(n.keys[i], n.vals[i]) {
				return false
			}
		}
		return true
	}
	first := t.child(n, k)
	if !t.ascendFrom(n.kids[first], k, yield) {
		return false
	}
	for _, kid := range n.kids[first+1:] {
		if !kid.ascend(yield) {
			return false
		}
	}
	return true
}

func (t *Tree[K, V]) descendBefore(n *node[K, V], k K, yield func(K, V) bool) bool {
	if n.kids == nil {
		end, _ := t.search(n.keys, k)
		for i := end - 1; i >= 0; i-- {
			if !yield(n.keys[i], n.vals[i]) {
				return false
			}
		}
		return true
	}
	last := t.child(n, k)
	if !t.descendBefore(n.kids[last], k, yield) {
		return false
	}
	for i := last - 1; i >= 0; i-- {
		if !n.kids[i].descend(yield) {
			return false
		}
	}
	return true
}
