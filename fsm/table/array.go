package table

import "slices"

// room is the capacity given to a part of a node that holds n entries: small
// tables stay small, and a part is allocated at most three times.
func room(n int) int {
	for _, size := range [...]int{minFill, fanout / 2} {
		if n < size {
			return size
		}
	}
	return fanout
}

func clone[E any](s []E) []E { return append(make([]E, 0, room(len(s))), s...) }

func insertAt[E any](s []E, i int, e E) []E {
	if len(s) == cap(s) {
		s = clone(s)
	}
	return slices.Insert(s, i, e)
}

// deleteAt also clears the slot it frees, so that nothing is kept alive by it.
func deleteAt[E any](s []E, i int) []E { return slices.Delete(s, i, i+1) }

// cutAt returns the entries from i on in an array of their own, and the others.
func cutAt[E any](s []E, i int) (tail, head []E) {
	tail = append(make([]E, 0, room(fanout/2)), s[i:]...)
	return tail, slices.Delete(s, i, len(s))
}

// moveFront moves the first count entries of b behind those of a.
func moveFront[E any](a, b []E, count int) (grownA, shrunkB []E) {
	if len(a)+count > cap(a) {
		a = append(make([]E, 0, fanout), a...)
	}
	return append(a, b[:count]...), slices.Delete(b, 0, count)
}

// moveBack moves the last count entries of b before those of a.
func moveBack[E any](a, b []E, count int) (grownA, shrunkB []E) {
	if len(a)+count > cap(a) {
		a = append(make([]E, 0, fanout), a...)
	}
	from := len(b) - count
	return slices.Insert(a, 0, b[from:]...), slices.Delete(b, from, len(b))
}
