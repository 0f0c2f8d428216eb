package fsm

import (
	"cmp"
	"strings"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// Bounds of the outputs that are kept for later steps.
const (
	// MaxCached bounds their number; the oldest go first.
	MaxCached = 100_000
	// maxCachedOutput bounds one; larger ones are not kept.
	maxCachedOutput = 64 << 10
	// maxCacheKey bounds a key; a step with a longer one is done as if it had none.
	maxCacheKey = 1024
	// cacheSpare is how many outputs that are over a report forgets besides.
	cacheSpare = 4
)

// cacheKey names an output by the name of the task definition and the step's key, or,
// with an age, says when it was kept: ages ascend behind all outputs.
type cacheKey struct {
	age       uint64
	name, key string
}

// cached is an output that is kept; the row of its age has none.
type cached struct {
	output  Data
	expires Millis
	age     uint64
}

func compareCache(a, b cacheKey) int {
	return cmp.Or(cmp.Compare(a.age, b.age), strings.Compare(a.name, b.name), strings.Compare(a.key, b.key))
}

func encodeCache(w *writer, k cacheKey, v cached) {
	w.num(1, k.age)
	w.str(2, k.name)
	w.str(3, k.key)
	w.data(4, v.output)
	w.int(5, int64(v.expires))
	w.num(6, v.age)
}

func decodeCache(r *reader) (k cacheKey, v cached) {
	for r.next() {
		switch r.tag {
		case 1:
			k.age = r.num()
		case 2:
			k.name = r.str()
		case 3:
			k.key = r.str()
		case 4:
			v.output = r.data()
		case 5:
			v.expires = Millis(r.int())
		case 6:
			v.age = r.num()
		default:
			r.unknown()
		}
	}
	return k, v
}

// cacheKeyOf is under what a step's output is kept, from its own input; false when it
// is not kept.
func (s *State) cacheKeyOf(t *task, n *def.Node) (cacheKey, bool) {
	if n.Cache == nil || !n.Kind.Leased() {
		return cacheKey{}, false
	}
	b := expr.Budget{Steps: expr.MaxEvalSteps}
	v, err := n.Cache.Key.Eval(expr.Raw(t.input.bytes()), &b)
	if err != nil {
		return cacheKey{}, false
	}
	text, err := expr.AppendText(nil, v, &b)
	s.spend((expr.MaxEvalSteps - b.Steps) / 1024)
	return cacheKey{name: n.Name, key: string(text)}, err == nil && len(text) <= maxCacheKey
}

// completeFromCache ends a new record with an output that was kept. Nobody is asked to
// do it: it never was in its place.
func (s *State) completeFromCache(r *run, t *task, n *def.Node) bool {
	k, ok := s.cacheKeyOf(t, n)
	if !ok {
		return false
	}
	c, hit := s.cache.get(k)
	if !hit || c.expires <= s.now {
		return false
	}
	t.place, t.queue, t.status = placeNone, 0, TaskStatusInProgress
	t.start, t.updated = s.now, s.now
	t = s.store(r, t)
	s.scope(r, t, 1)
	s.completeInline(r, t, c.output.raw)
	return true
}

// keepOutput keeps the output of a step that succeeded, as long as it says.
func (s *State) keepOutput(t *task, n *def.Node) {
	k, ok := s.cacheKeyOf(t, n)
	if !ok || t.status != TaskStatusCompleted || t.output.kind > dataRaw || len(t.output.raw) > maxCachedOutput {
		return
	}
	s.forgetOutput(k)
	s.nextTie++
	s.cache.put(k, cached{output: t.output, expires: addSeconds(s.now, int64(n.Cache.TTL)), age: s.nextTie})
	s.cache.put(cacheKey{age: s.nextTie, name: k.name, key: k.key}, cached{})
	for range cacheSpare {
		old, ok := s.oldestOutput()
		if !ok {
			return
		}
		c, _ := s.cache.get(cacheKey{name: old.name, key: old.key})
		if c.expires > s.now && s.cache.tree.Len() <= 2*MaxCached {
			return
		}
		s.forgetOutput(cacheKey{name: old.name, key: old.key})
	}
}

// forgetOutput drops an output and its age.
func (s *State) forgetOutput(k cacheKey) {
	if c, ok := s.cache.get(k); ok {
		s.cache.drop(k)
		s.cache.drop(cacheKey{age: c.age, name: k.name, key: k.key})
	}
}

func (s *State) oldestOutput() (cacheKey, bool) {
	for k := range s.cache.tree.From(cacheKey{age: 1}) {
		return k, true
	}
	return cacheKey{}, false
}
