package fsm

import (
	"iter"

	"github.com/pawlhq/pawl/fsm/table"
)

// journal remembers, within one entry, how to put every change back. A savepoint is a
// position in it.
type journal struct {
	ops []undoer
	// mark numbers savepoints: the first change of a record after one saves its old
	// value, later changes do not.
	mark   uint64
	digest Digest
	buf    writer // scratch of row encodings
	hashed uint64 // bytes of rows that were hashed for the digest
}

// row begins the encoding of a row for the digest.
func (j *journal) row(id TableID) *writer {
	j.buf.b, j.buf.form = append(j.buf.b[:0], byte(id)), formDigest
	return &j.buf
}

// rowHash hashes the row that was encoded.
func (j *journal) rowHash() Digest {
	j.hashed += uint64(len(j.buf.b))
	return rowHash(j.buf.b)
}

// undoer takes back the newest change of one table.
type undoer interface{ undo() }

// save opens a savepoint and returns it.
func (j *journal) save() int {
	j.mark++
	return len(j.ops)
}

// rollback takes back what was done since the savepoint.
func (j *journal) rollback(to int) {
	for i := len(j.ops) - 1; i >= to; i-- {
		j.ops[i].undo()
	}
	j.ops = j.ops[:to]
	j.mark++
}

// rows is a table of small values. A row is hashed into the digest as it changes.
type rows[K comparable, V any] struct {
	id      TableID
	tree    *table.Tree[K, V]
	j       *journal
	compare func(a, b K) int
	enc     func(w *writer, k K, v V)
	old     []oldRow[K, V]
}

type oldRow[K comparable, V any] struct {
	key K
	val V
	had bool
}

func newRows[K comparable, V any](id TableID, j *journal, compare func(a, b K) int, enc func(w *writer, k K, v V)) *rows[K, V] {
	return &rows[K, V]{id: id, tree: table.New[K, V](compare), j: j, compare: compare, enc: enc}
}

func (t *rows[K, V]) view() *rows[K, V] {
	return &rows[K, V]{id: t.id, tree: t.tree.View(), enc: t.enc}
}

func (t *rows[K, V]) hash(k K, v V) Digest {
	t.enc(t.j.row(t.id), k, v)
	return t.j.rowHash()
}

func (t *rows[K, V]) get(k K) (V, bool) { return t.tree.Get(k) }

func (t *rows[K, V]) has(k K) bool {
	_, ok := t.tree.Get(k)
	return ok
}

func (t *rows[K, V]) put(k K, v V) {
	old, had := t.tree.Set(k, v)
	if had {
		t.j.digest = t.j.digest.sub(t.hash(k, old))
	}
	t.j.digest = t.j.digest.add(t.hash(k, v))
	t.saved(k, old, had)
}

// drop deletes a row and reports whether there was one.
func (t *rows[K, V]) drop(k K) bool {
	old, had := t.tree.Delete(k)
	if !had {
		return false
	}
	t.j.digest = t.j.digest.sub(t.hash(k, old))
	t.saved(k, old, true)
	return true
}

func (t *rows[K, V]) saved(k K, old V, had bool) {
	t.old = append(t.old, oldRow[K, V]{key: k, val: old, had: had})
	t.j.ops = append(t.j.ops, t)
}

// undo leaves the digest alone: a savepoint restores it as a whole.
func (t *rows[K, V]) undo() {
	last := len(t.old) - 1
	o := t.old[last]
	if o.had {
		t.tree.Set(o.key, o.val)
	} else {
		t.tree.Delete(o.key)
	}
	t.old[last] = oldRow[K, V]{}
	t.old = t.old[:last]
}

// settle forgets the undo entries at the end of an entry.
func (t *rows[K, V]) settle() {
	if len(t.old) > 0 {
		clear(t.old)
		t.old = shrink(t.old)
	}
}

func (t *rows[K, V]) encoded(f form) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		w := writer{form: f}
		for k, v := range t.tree.All() {
			w.b = append(w.b[:0], byte(t.id))
			t.enc(&w, k, v)
			if !yield(w.b) {
				return
			}
		}
	}
}

// keepUndo bounds the undo space kept between entries; one large sweep must not pin
// its peak for ever.
const keepUndo = 1 << 14

func shrink[E any](s []E) []E {
	if cap(s) > keepUndo {
		return nil
	}
	return s[:0]
}

// meta is what every record carries for its table.
type meta struct {
	gen   uint64 // tree generation that owns the record: equal means no view sees it
	mark  uint64 // savepoint since which the old value is saved
	hash  Digest // as counted in the digest; zero while the record is new
	dirty bool   // changed in this entry
}

func (m *meta) header() *meta { return m }

// record is a pointer to a struct that embeds meta and knows its key.
type record[K comparable, R any] interface {
	*R
	header() *meta
	key() K
	encode(w *writer)
}

// records is a table of records that are changed in place while no view can see them.
type records[K comparable, R any, P record[K, R]] struct {
	id      TableID
	tree    *table.Tree[K, P]
	j       *journal
	compare func(a, b K) int
	old     []oldRecord[R, P]
	settled func(P) // if set, sees each record that the entry has changed, when it is over
	detach  func(P) // if set, gives a copied record its own copies of what it points to
	dirty   []P
	gone    []P // removed in this entry, though a rollback may have put them back
}

type oldRecord[R any, P any] struct {
	at     P // the record changed, inserted or deleted
	before P // for a copied record: what the tree held
	was    R // for a record changed in place
	how    uint8
}

const (
	changedInPlace uint8 = iota
	copied
	inserted
	deleted
)

func newRecords[K comparable, R any, P record[K, R]](id TableID, j *journal, compare func(a, b K) int) *records[K, R, P] {
	return &records[K, R, P]{id: id, tree: table.New[K, P](compare), j: j, compare: compare}
}

func (t *records[K, R, P]) view() *records[K, R, P] {
	return &records[K, R, P]{id: t.id, tree: t.tree.View()}
}

// get gives a record to read. It may be changed only through mut.
func (t *records[K, R, P]) get(k K) (P, bool) { return t.tree.Get(k) }

// mut makes p ours to change: the caller goes on with the result, never with p.
func (t *records[K, R, P]) mut(p P) P {
	m := p.header()
	if m.gen != t.tree.Gen() {
		c := P(new(R))
		*c = *p
		h := c.header()
		h.gen, h.mark = t.tree.Gen(), t.j.mark
		if t.detach != nil {
			t.detach(c)
		}
		t.tree.Set(c.key(), c)
		t.push(oldRecord[R, P]{at: c, before: p, how: copied})
		t.touch(c)
		return c
	}
	if m.mark != t.j.mark {
		t.push(oldRecord[R, P]{at: p, was: *p, how: changedInPlace})
		m.mark = t.j.mark
		if t.detach != nil {
			t.detach(p)
		}
	}
	t.touch(p)
	return p
}

func (t *records[K, R, P]) push(o oldRecord[R, P]) {
	t.old = append(t.old, o)
	t.j.ops = append(t.j.ops, t)
}

func (t *records[K, R, P]) touch(p P) {
	if m := p.header(); !m.dirty {
		m.dirty = true
		t.dirty = append(t.dirty, p)
	}
}

// insert adds a new record, which the table owns from now on.
func (t *records[K, R, P]) insert(p P) P {
	m := p.header()
	m.gen, m.mark, m.hash = t.tree.Gen(), t.j.mark, Digest{}
	t.tree.Set(p.key(), p)
	t.push(oldRecord[R, P]{at: p, how: inserted})
	t.touch(p)
	return p
}

func (t *records[K, R, P]) remove(p P) {
	if _, had := t.tree.Delete(p.key()); !had {
		return
	}
	t.push(oldRecord[R, P]{at: p, how: deleted})
	t.gone = append(t.gone, p)
	t.j.digest = t.j.digest.sub(p.header().hash)
	// A view may see p, so its header is left alone; hashed skips what is not in the tree.
}

func (t *records[K, R, P]) undo() {
	last := len(t.old) - 1
	o := &t.old[last]
	switch o.how {
	case changedInPlace:
		dirty := o.at.header().dirty
		*o.at = o.was
		o.at.header().dirty = dirty // it stays in the dirty list
	case copied:
		t.tree.Set(o.before.key(), o.before)
		o.at.header().gen = 0
	case inserted:
		t.tree.Delete(o.at.key())
	case deleted:
		t.tree.Set(o.at.key(), o.at)
	}
	*o = oldRecord[R, P]{}
	t.old = t.old[:last]
}

// settle brings the digest up to date with the records that the entry changed.
func (t *records[K, R, P]) settle() {
	for _, p := range t.dirty {
		if now, ok := t.tree.Get(p.key()); !ok || now != p {
			continue
		}
		m := p.header()
		m.dirty = false
		if t.settled != nil {
			t.settled(p)
		}
		p.encode(t.j.row(t.id))
		h := t.j.rowHash()
		t.j.digest = t.j.digest.sub(m.hash).add(h)
		m.hash = h
	}
	clear(t.dirty)
	t.dirty = shrink(t.dirty)
	clear(t.gone)
	t.gone = shrink(t.gone)
	if len(t.old) > 0 {
		clear(t.old)
		t.old = shrink(t.old)
	}
}

func (t *records[K, R, P]) encoded(f form) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		w := writer{form: f}
		for _, p := range t.tree.All() {
			w.b = append(w.b[:0], byte(t.id))
			p.encode(&w)
			if !yield(w.b) {
				return
			}
		}
	}
}
