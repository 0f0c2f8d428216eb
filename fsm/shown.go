package fsm

import (
	"slices"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// shownInput is a record's input as readers see it: what is stored, and members that
// follow from other records and would be large to store.
func (s *State) shownInput(e *execution, t *task) expr.Value {
	switch n := s.nodeOf(e, t.node); {
	case t.fork != 0:
		return expr.Composite(&extended{base: t.input.bytes(), keys: []string{"joinOn"},
			make: func(string) []byte { return s.forkedNames(e, t.fork) }})
	case n.Kind == def.DynamicFork && t.status == TaskStatusCompleted:
		return expr.Composite(&extended{base: t.input.bytes(), keys: []string{"forkedTasks", "forkedTaskDefs"},
			make: func(key string) []byte {
				if key == "forkedTasks" {
					return s.forkedNames(e, t.id.Serial)
				}
				return s.forkedDefinitions(e, t.id.Serial)
			}})
	}
	return s.dataValue(e, t, t.input)
}

// shownJSON is shownInput written out.
func (s *State) shownJSON(e *execution, t *task) []byte {
	v := s.shownInput(e, t)
	if raw, ok := v.Raw(); ok {
		return raw
	}
	return v.AppendJSON(nil)
}

// extended is an object with further members, which are made when asked for.
type extended struct {
	base []byte
	keys []string
	make func(key string) []byte
}

// Get answers one member; those that are made win.
func (x *extended) Get(key string) (expr.Value, bool) {
	if slices.Contains(x.keys, key) {
		return expr.Raw(x.make(key)), true
	}
	v, ok := expr.Get(x.base, key)
	return expr.Raw(v), ok
}

// Range walks the stored members, then those that are made.
func (x *extended) Range(yield func(key string, v expr.Value) bool) {
	for k, v := range expr.Members(x.base) {
		if !slices.Contains(x.keys, k) && !yield(k, expr.Raw(v)) {
			return
		}
	}
	for _, k := range x.keys {
		if !yield(k, expr.Raw(x.make(k))) {
			return
		}
	}
}
