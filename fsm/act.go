package fsm

import (
	"slices"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// Steps that act on other executions do so by an item of their own, when nothing else is
// under way: what they do may go through any execution, their own among them.

// acts says whether steps of a kind do.
func acts(k def.Kind) bool {
	return k == def.StartWorkflow || k == def.TerminateWorkflow || k == def.UpdateTask
}

// actMore does one quantum of what a step does by an item of its own.
func (s *State) actMore(e *execution, i item) (again bool) {
	t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: i.serial})
	if !ok || e.over(t) {
		return false
	}
	if e.status == Paused { // it begins nothing
		s.held.put(heldKey{exec: e.id, list: heldExpand, serial: i.serial}, none{})
		return false
	}
	s.spend(1)
	switch s.nodeOf(e, t.node).Kind {
	case def.TerminateWorkflow:
		return s.terminateMore(e, t, i)
	case def.UpdateTask:
		s.updateByTask(e, t)
	default:
		s.startByTask(e, t)
	}
	return false
}

// unfinished is the item that goes on with a record of heldExpand.
func (s *State) unfinished(e *execution, serial uint32) itemKind {
	if t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: serial}); ok && acts(s.nodeOf(e, t.node).Kind) {
		return itemAct
	}
	return itemExpand
}

// ask does to another execution what a step asks for. A fault there is not the step's: it
// is told of it.
func (s *State) ask(f func() *Rejection) (failure string) {
	switch refused, fault := s.guarded(f); {
	case fault:
		return "the machine caught a fault of its own and changed nothing"
	case refused != nil:
		return refused.Error()
	}
	return ""
}

// acted ends a record that has acted, unless what it did has ended it.
func (s *State) acted(id TaskID, output []byte, failure string) {
	t, ok := s.findTask(id)
	if !ok || s.execOf(t).over(t) {
		return
	}
	r := s.enter(s.execOf(t))
	t = s.tasks.mut(s.taskAt(r.e, id.Serial))
	t.start = s.now
	s.tell(def.OnStart, t)
	if failure != "" {
		s.failInline(r, t, TaskStatusFailed, failure)
	} else {
		s.completeInline(r, t, output)
	}
	s.leave(r)
}

// request reads the fields of an object that a step's input holds; the first of a wrong
// sort is what it fails with.
type request struct {
	in      []byte
	of      string // what it is, for the failure
	failure string
}

func (q *request) wrong(field string) {
	if q.failure == "" {
		q.failure = join("Error reading ", q.of, ". The value of '", field, "' is not one that it may have")
	}
}

func (q *request) get(field string) ([]byte, bool) {
	v, ok := expr.Get(q.in, field)
	return v, ok && expr.KindOf(v) != expr.Null
}

func (q *request) text(field string) string {
	v, ok := q.get(field)
	if !ok {
		return ""
	}
	switch expr.KindOf(v) {
	case expr.String:
		text, _ := expr.Unquote(v)
		return text
	case expr.Number, expr.Bool:
		return string(v)
	}
	q.wrong(field)
	return ""
}

func (q *request) int32(field string) int32 {
	text := q.text(field)
	n, ok := atoi([]byte(text))
	if text != "" && (!ok || n != int64(int32(n))) {
		q.wrong(field)
		return 0
	}
	return int32(n)
}

func (q *request) object(field string) []byte {
	v, ok := q.get(field)
	if ok && expr.KindOf(v) != expr.Map {
		q.wrong(field)
		return nil
	}
	if !ok {
		return nil
	}
	return slices.Clone(v) // a part of a payload must not keep the whole of it
}

// flag is a truth value, given as such or as text.
func (q *request) flag(field string, otherwise bool) bool {
	switch q.text(field) {
	case "":
		return otherwise
	case "true":
		return true
	case "false":
		return false
	}
	q.wrong(field)
	return otherwise
}
