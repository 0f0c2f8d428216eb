// Package table holds the ordered tables that the state machine keeps its
// records in: a B+-tree with row counts and cheap immutable views.
//
// # Views
//
// Every node carries the generation of the tree at the time it was made. As
// long as the two agree no view can reach the node, and writes change it in
// place. [Tree.View] raises the generation, which costs the same for an empty
// tree and for one of a million rows; from then on the first write to a node
// copies it, once. Values that are pointers can play by the same rule: a record
// that stores [Tree.Gen] when it is made or copied may be changed in place for
// as long as it still equals Gen.
//
// # Concurrency
//
// One goroutine owns a tree and may write to it. A view never changes and may
// be read by any number of goroutines while the owner writes on, provided that
// it was handed to them by something that orders memory, as a channel, a lock
// or an atomic pointer does. Nothing here locks, allocates lazily on reads, or
// keeps state outside the tree.
package table

// fanout is the most rows of a leaf and the most children of an inner node.
// Thirty-two keeps a copied path within a few KiB and a million rows within
// four levels.
const fanout = 32

// minFill is the fill below which a node that lost a row looks to a sibling. A
// quarter, not a half, so that rows coming and going at a border do not make
// nodes split and merge in turns.
const minFill = fanout / 4

// mergeFill is the most that two siblings may hold together to become one. It
// leaves room, so that the next insert does not split them again.
const mergeFill = fanout * 3 / 4

// loadFill is how full bulk loading makes a node, leaving room for a few rows.
const loadFill = fanout * 7 / 8

// Tree is an ordered map from K to V. Make one with [New] or [Load]; the zero
// value has no order and only its Len may be called.
type Tree[K, V any] struct {
	compare func(a, b K) int
	root    *node[K, V] // nil when the tree is empty
	rows    int
	gen     uint64
	frozen  bool
}

// node is a leaf when kids is nil. A leaf has as many vals as keys. An inner
// node has as many kids and counts as keys: keys[i] is at most the smallest key
// below kids[i] and greater than every key below kids[i-1] (keys[0] is never
// looked at), counts[i] is the number of rows below kids[i].
type node[K, V any] struct {
	gen    uint64
	keys   []K
	vals   []V
	kids   []*node[K, V]
	counts []int
}

// New returns an empty tree ordered by compare, which must be a strict total
// order, negative for a before b, and must depend on nothing but its arguments.
func New[K, V any](compare func(a, b K) int) *Tree[K, V] {
	return &Tree[K, V]{compare: compare, gen: 1}
}

// View returns the tree as it is now, as a tree that never changes: writing to
// it panics. It costs a small constant; afterwards the owner copies each node
// once before changing it. A view of a view is the view itself.
func (t *Tree[K, V]) View() *Tree[K, V] {
	if t.frozen {
		return t
	}
	view := *t
	view.frozen = true
	t.gen++
	return &view
}

// Gen returns the owner generation, which is at least 1 and raised by each
// View. Whatever was made or copied under the present one is in no view.
func (t *Tree[K, V]) Gen() uint64 { return t.gen }

// Len returns the number of rows.
func (t *Tree[K, V]) Len() int { return t.rows }

// Get returns the value stored under k and whether there is one.
func (t *Tree[K, V]) Get(k K) (V, bool) {
	for n := t.root; n != nil; {
		if n.kids == nil {
			if i, found := t.search(n.keys, k); found {
				return n.vals[i], true
			}
			break
		}
		n = n.kids[t.child(n, k)]
	}
	var none V
	return none, false
}

// Set stores v under k. It returns the value it replaced and whether there was
// one; the stored key then stays the old one. It panics on a view.
func (t *Tree[K, V]) Set(k K, v V) (old V, had bool) {
	t.mustOwn()
	if t.root == nil {
		t.root = &node[K, V]{gen: t.gen}
	}
	t.root = t.own(t.root)
	old, had, right := t.insert(t.root, k, v, true)
	if right != nil {
		left := t.root
		t.root = &node[K, V]{
			gen:    t.gen,
			keys:   append(make([]K, 0, minFill), left.keys[0], right.keys[0]),
			kids:   append(make([]*node[K, V], 0, minFill), left, right),
			counts: append(make([]int, 0, minFill), left.total(), right.total()),
		}
	}
	if !had {
		t.rows++
	}
	return old, had
}

// Delete removes the row under k. It returns the value it had and whether there
// was one. It panics on a view.
func (t *Tree[K, V]) Delete(k K) (old V, had bool) {
	t.mustOwn()
	if t.root == nil {
		return old, false
	}
	t.root = t.own(t.root)
	if old, had = t.remove(t.root, k); !had {
		return old, false
	}
	for t.root.kids != nil && len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
	if len(t.root.keys) == 0 {
		t.root = nil
	}
	t.rows--
	return old, true
}

// insert puts a row below n, which the tree owns. If n was full it returns the
// new right half, whose keys[0] divides the two. last says that n is the
// rightmost node of its level.
func (t *Tree[K, V]) insert(n *node[K, V], k K, v V, last bool) (old V, had bool, right *node[K, V]) {
	if n.kids == nil {
		i, found := t.search(n.keys, k)
		if found {
			old, n.vals[i] = n.vals[i], v
			return old, true, nil
		}
		to := n
		if len(n.keys) == fanout {
			right, to, i = t.split(n, i, last)
		}
		to.keys = insertAt(to.keys, i, k)
		to.vals = insertAt(to.vals, i, v)
		return old, false, right
	}
	i := t.child(n, k)
	kid := t.own(n.kids[i])
	n.kids[i] = kid
	old, had, fresh := t.insert(kid, k, v, last && i == len(n.kids)-1)
	if had {
		return old, true, nil
	}
	if fresh == nil {
		n.counts[i]++
		return old, false, nil
	}
	n.counts[i] = kid.total()
	to, at := n, i+1
	if len(n.kids) == fanout {
		right, to, at = t.split(n, at, last)
	}
	to.keys = insertAt(to.keys, at, fresh.keys[0])
	to.kids = insertAt(to.kids, at, fresh)
	to.counts = insertAt(to.counts, at, fresh.total())
	return old, false, right
}

// split divides the full node n, into which something is to go at i, and says
// in which half, and where there, that is. At the right end of the tree the
// left half stays full: keys that only ever ascend then leave no half-empty
// nodes behind. Elsewhere that would strand one row per node when keys descend
// towards a gap.
func (t *Tree[K, V]) split(n *node[K, V], i int, last bool) (right, to *node[K, V], at int) {
	cut := fanout / 2
	if last && i == fanout {
		cut = fanout
	}
	right = &node[K, V]{gen: t.gen}
	right.keys, n.keys = cutAt(n.keys, cut)
	if n.kids == nil {
		right.vals, n.vals = cutAt(n.vals, cut)
	} else {
		right.kids, n.kids = cutAt(n.kids, cut)
		right.counts, n.counts = cutAt(n.counts, cut)
	}
	if i > cut || cut == fanout {
		return right, right, i - cut
	}
	return right, n, i
}

// remove deletes the row of k, if there is one, from below n, which the tree owns.
func (t *Tree[K, V]) remove(n *node[K, V], k K) (old V, had bool) {
	if n.kids == nil {
		i, found := t.search(n.keys, k)
		if !found {
			return old, false
		}
		old = n.vals[i]
		n.keys = deleteAt(n.keys, i)
		n.vals = deleteAt(n.vals, i)
		return old, true
	}
	i := t.child(n, k)
	kid := t.own(n.kids[i])
	n.kids[i] = kid
	if old, had = t.remove(kid, k); !had {
		return old, false
	}
	n.counts[i]--
	if len(kid.keys) < minFill {
		t.refill(n, i)
	}
	return old, true
}

// refill gives the meagre i-th child of n rows of a sibling, or merges the two.
// An only child is left alone unless it is empty: then n becomes empty itself
// and its parent refills it in turn.
func (t *Tree[K, V]) refill(n *node[K, V], i int) {
	if len(n.kids) == 1 {
		if len(n.kids[0].keys) == 0 {
			n.keys = deleteAt(n.keys, 0)
			n.kids = deleteAt(n.kids, 0)
			n.counts = deleteAt(n.counts, 0)
		}
		return
	}
	r := max(i, 1)
	left, right := t.own(n.kids[r-1]), t.own(n.kids[r])
	n.kids[r-1], n.kids[r] = left, right
	if right.kids != nil && len(right.keys) > 0 {
		right.keys[0] = n.keys[r] // about to be looked at: not the first of its node any more
	}
	have, others := len(left.keys), len(right.keys)
	if have+others <= mergeFill {
		left.takeFront(right, others)
		n.counts[r-1] += n.counts[r]
		n.keys = deleteAt(n.keys, r)
		n.kids = deleteAt(n.kids, r)
		n.counts = deleteAt(n.counts, r)
		return
	}
	if have < others {
		left.takeFront(right, (others-have)/2)
	} else {
		right.takeBack(left, (have-others)/2)
	}
	n.keys[r] = right.keys[0]
	n.counts[r-1], n.counts[r] = left.total(), right.total()
}

// takeFront moves the first count entries of right to the end of n.
func (n *node[K, V]) takeFront(right *node[K, V], count int) {
	n.keys, right.keys = moveFront(n.keys, right.keys, count)
	if right.kids == nil && n.kids == nil {
		n.vals, right.vals = moveFront(n.vals, right.vals, count)
		return
	}
	n.kids, right.kids = moveFront(n.kids, right.kids, count)
	n.counts, right.counts = moveFront(n.counts, right.counts, count)
}

// takeBack moves the last count entries of left to the front of n.
func (n *node[K, V]) takeBack(left *node[K, V], count int) {
	n.keys, left.keys = moveBack(n.keys, left.keys, count)
	if left.kids == nil && n.kids == nil {
		n.vals, left.vals = moveBack(n.vals, left.vals, count)
		return
	}
	n.kids, left.kids = moveBack(n.kids, left.kids, count)
	n.counts, left.counts = moveBack(n.counts, left.counts, count)
}

// own returns n if no view can see it, else a copy that none can.
func (t *Tree[K, V]) own(n *node[K, V]) *node[K, V] {
	if n.gen == t.gen {
		return n
	}
	c := &node[K, V]{gen: t.gen, keys: clone(n.keys)}
	if n.kids == nil {
		c.vals = clone(n.vals)
	} else {
		c.kids, c.counts = clone(n.kids), clone(n.counts)
	}
	return c
}

func (t *Tree[K, V]) mustOwn() {
	if t.frozen {
		panic("table: write to a view")
	}
}

// search returns the first index whose key is not before k, and whether it is k.
func (t *Tree[K, V]) search(keys []K, k K) (int, bool) {
	low, high := 0, len(keys)
	for low < high {
		mid := int(uint(low+high) >> 1)
		switch c := t.compare(keys[mid], k); {
		case c < 0:
			low = mid + 1
		case c > 0:
			high = mid
		default:
			return mid, true
		}
	}
	return low, false
}

// child returns the index of the child of n below which k belongs.
func (t *Tree[K, V]) child(n *node[K, V], k K) int {
	low, high := 1, len(n.keys)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if t.compare(n.keys[mid], k) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

// total returns the number of rows at and below n.
func (n *node[K, V]) total() int {
	if n.kids == nil {
		return len(n.keys)
	}
	sum := 0
	for _, c := range n.counts {
		sum += c
	}
	return sum
}
