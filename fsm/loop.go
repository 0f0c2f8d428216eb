package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// MaxIterations ends a loop whose condition never does.
const MaxIterations = 1_000_000

// beginLoop starts the first iteration of a DO_WHILE, or ends it when it goes over an
// empty list.
func (s *State) beginLoop(r *run, t *task, n *def.Node) {
	items, has, err := s.loopItems(r.e, t, n)
	if err != nil {
		s.failInline(r, t, TaskStatusFailedTerminal, expressionFailure(err))
		return
	}
	t = s.tasks.mut(t)
	if has {
		t.loops.items = &loopItems{list: raw(items), count: uint32(expr.Count(items))}
	}
	t.output = Data{kind: dataLoop, of: t.id.Serial}
	if has && t.loops.items.count == 0 {
		t = s.closeTask(r, t, TaskStatusCompleted, "")
		s.emitTask(TaskCompleted, t)
		return
	}
	t.loops.cur = 1
	s.beginIteration(r, t, n)
}

func (s *State) beginIteration(r *run, t *task, n *def.Node) {
	s.emit(Event{Kind: LoopIteration, Exec: r.e.id, Serial: t.id.Serial, Ref: visibleRef(s, t), Retry: t.loops.cur})
	s.make(r, t.node.at(n.Heads[0]), t.id.Serial, t.loops.cur)
}

// loopItems is the list that a DO_WHILE goes over; a value that is no list counts as
// one item. Without items there is none.
func (s *State) loopItems(e *execution, t *task, n *def.Node) (list []byte, has bool, err error) {
	if n.Items == nil {
		return nil, false, nil
	}
	list, err = s.evaluate(e, t, n.Items)
	if err != nil {
		return nil, false, err
	}
	switch expr.KindOf(list) {
	case expr.Array:
		return list, true, nil
	case expr.Null:
		return []byte("[]"), true, nil
	}
	return append(append([]byte{'['}, list...), ']'), true, nil
}

// tryIteration judges a loop whose current iteration may be over: the body list has
// come to its end, and nothing of the iteration is open, branches that no join waits
// for included.
func (s *State) tryIteration(r *run, t *task) {
	if !t.open() || !t.loops.ended || t.loops.open > 0 || t.loops.verdict == verdictAsked {
		return
	}
	s.spend(1)
	n := s.nodeOf(r.e, t.node)
	t = s.tasks.mut(t)
	if t.loops.verdict == verdictNone {
		if failure := s.evaluateInput(r, t, n, s.typeOf(n)); failure != "" {
			s.failInline(r, t, TaskStatusFailedTerminal, failure)
			return
		}
		s.dropOldIteration(r, t)
		if failure := s.condition(r.e, t, n); failure != "" {
			s.failInline(r, t, TaskStatusFailedTerminal, failure)
			return
		}
	}
	again := t.loops.verdict == verdictYes
	switch {
	case t.loops.verdict == verdictAsked:
		return
	case again && t.loops.cur >= MaxIterations:
		s.failInline(r, t, TaskStatusFailed, join("the loop did not end within ", itoa(MaxIterations), " iterations"))
	case again:
		t.loops.cur++
		t.loops.ended, t.loops.verdict = false, verdictNone
		s.beginIteration(r, t, n)
	default:
		t.loops.verdict = verdictNone
		t = s.closeTask(r, t, TaskStatusCompleted, "")
		s.emitTask(TaskCompleted, t)
	}
}

// dropOldIteration deletes the records of the iteration that keepLastN no longer keeps.
func (s *State) dropOldIteration(r *run, t *task) {
	keep, ok := intInput(t, "keepLastN")
	if !ok || keep < 1 || int64(t.loops.cur) <= keep {
		return
	}
	for it := t.loops.kept + 1; int64(it) <= int64(t.loops.cur)-keep; it++ {
		s.dropIteration(r.e, t.id.Serial, it)
		t.loops.kept = it
	}
}

func (s *State) dropIteration(e *execution, loop, iteration uint32) {
	var gone []iterationKey
	for k := range s.iterations.tree.From(iterationKey{exec: e.id, loop: loop, iteration: iteration}) {
		if k.exec != e.id || k.loop != loop || k.iteration != iteration {
			break
		}
		gone = append(gone, k)
	}
	for _, k := range gone {
		s.spend(1)
		t := s.taskAt(e, k.serial)
		for it := uint32(1); it <= t.loops.cur; it++ { // a loop inside: 0 for other kinds
			s.dropIteration(e, k.serial, it)
		}
		if latest, ok := s.latest.get(latestKey{exec: e.id, ref: t.ref}); ok && latest == k.serial {
			s.latest.drop(latestKey{exec: e.id, ref: t.ref})
		}
		if s.bad.drop(t.id) && t.executed {
			e.permBad = count(e.permBad, -1) // only a permissive step is passed with a failure
		}
		s.iterations.drop(k)
		if f, ok := s.fragments.get(t.id); ok {
			s.fragments.remove(f)
		}
		s.tasks.remove(t)
	}
}

func intInput(t *task, key string) (int64, bool) {
	v, ok := expr.Get(t.input.bytes(), key)
	if !ok || expr.KindOf(v) != expr.Number {
		return 0, false
	}
	return atoi(v)
}

// loopEnv is the $ of a loop condition: the latest output of the steps inside, the
// loop's own output, and the loop's input.
type loopEnv struct {
	s *State
	e *execution
	t *task
	n *def.Node
}

// Get answers one member; steps inside win over the loop's own name, and that over
// its input.
func (l *loopEnv) Get(key string) (expr.Value, bool) {
	if number, ok := l.s.planFor(l.e, l.t.node).ByRef[key]; ok && number > l.t.node.node && number < l.n.LoopEnd {
		if x, found := l.s.latestOf(l.e, key); found {
			return l.s.dataValue(l.e, x, x.output), true
		}
	}
	if key == l.n.Ref {
		return expr.Composite(&loopOutput{s: l.s, e: l.e, t: l.t}), true
	}
	v, ok := expr.Get(l.t.input.bytes(), key)
	return expr.Raw(v), ok
}

// Range walks the input, then the loop's own output.
func (l *loopEnv) Range(yield func(key string, v expr.Value) bool) {
	for k, v := range expr.Members(l.t.input.bytes()) {
		if !yield(k, expr.Raw(v)) {
			return
		}
	}
	yield(l.n.Ref, expr.Composite(&loopOutput{s: l.s, e: l.e, t: l.t}))
}

// loopOutput renders the output of a DO_WHILE from the records of its iterations.
type loopOutput struct {
	s *State
	e *execution
	t *task
}

// over is the last iteration that is complete.
func (l *loopOutput) over() uint32 {
	if l.t.open() && !(l.t.loops.ended && l.t.loops.open == 0) && l.t.loops.cur > 0 {
		return l.t.loops.cur - 1
	}
	return l.t.loops.cur
}

// bare says that the loop keeps no outputs.
func (l *loopOutput) bare() bool { return l.s.nodeOf(l.e, l.t.node).Bare }

// Get answers iteration, loopIndex, loopItem, or the outputs of one iteration.
func (l *loopOutput) Get(key string) (expr.Value, bool) {
	switch key {
	case "iteration":
		return expr.Raw(appendInt(nil, int64(l.t.loops.cur))), true
	case "loopIndex":
		if l.t.loops.items == nil || l.t.loops.cur == 0 {
			return expr.Value{}, false
		}
		return expr.Raw(appendInt(nil, int64(l.t.loops.cur)-1)), true
	case "loopItem":
		if l.t.loops.items == nil || l.t.loops.cur == 0 {
			return expr.Value{}, false
		}
		v, ok := expr.Index(l.t.loops.items.list.bytes(), int(l.t.loops.cur)-1)
		return expr.Raw(v), ok
	}
	it, ok := atoi([]byte(key))
	if !ok || it <= int64(l.t.loops.kept) || it > int64(l.over()) || l.bare() {
		return expr.Value{}, false
	}
	return expr.Composite(&iterationOutput{loopOutput: l, iteration: uint32(it)}), true
}

// Range walks iteration, the iterations kept, and the position in the list.
func (l *loopOutput) Range(yield func(key string, v expr.Value) bool) {
	if v, _ := l.Get("iteration"); !yield("iteration", v) {
		return
	}
	for it := l.t.loops.kept + 1; it <= l.over() && !l.bare(); it++ {
		if !yield(itoa(int64(it)), expr.Composite(&iterationOutput{loopOutput: l, iteration: it})) {
			return
		}
	}
	for _, key := range [...]string{"loopIndex", "loopItem"} {
		if v, ok := l.Get(key); ok && !yield(key, v) {
			return
		}
	}
}

// iterationOutput is {reference: output} of one iteration.
type iterationOutput struct {
	*loopOutput
	iteration uint32
}

// Get answers the output of the step's last attempt in the iteration.
func (o *iterationOutput) Get(key string) (expr.Value, bool) {
	x, ok := o.s.recordOf(o.e, key, o.t.id.Serial, o.iteration)
	if !ok {
		return expr.Value{}, false
	}
	return o.s.dataValue(o.e, x, x.output), true
}

// Range walks the steps in the order in which they were made.
func (o *iterationOutput) Range(yield func(key string, v expr.Value) bool) {
	for k := range o.s.iterations.tree.From(iterationKey{exec: o.e.id, loop: o.t.id.Serial, iteration: o.iteration}) {
		if k.exec != o.e.id || k.loop != o.t.id.Serial || k.iteration != o.iteration {
			return
		}
		x := o.s.taskAt(o.e, k.serial)
		if x.retried {
			if newest, ok := o.s.recordOf(o.e, x.ref, k.loop, k.iteration); !ok || newest.id != x.id {
				continue // there was a further attempt
			}
		}
		if !yield(x.ref, o.s.dataValue(o.e, x, x.output)) {
			return
		}
	}
}
