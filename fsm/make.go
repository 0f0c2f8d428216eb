package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// maxInline bounds how deep heads are made inside heads; definitions are not deeper.
const maxInline = 64

// step is what a record is to be made of.
type step struct {
	node            nodeRef
	ref             string // of a member of a dynamic fork; else the node's
	member          uint32 // its place in the fork, from 1; 0 for other steps
	loop, iteration uint32
	serial, seq     uint32    // reserved for it; 0: the next
	resolved        *fragment // of a DYNAMIC step
}

// make makes the record of a step, unless it has one in this iteration already.
func (s *State) make(r *run, ref nodeRef, loop, iteration uint32) {
	s.makeAt(r, ref, loop, iteration, 0)
}

func (s *State) makeAt(r *run, ref nodeRef, loop, iteration uint32, depth int) {
	s.makeStep(r, step{node: ref, loop: loop, iteration: iteration}, depth)
}

func (s *State) makeStep(r *run, st step, depth int) {
	if r.stop {
		return
	}
	if depth > maxInline {
		panic("fsm: steps nested too deeply")
	}
	n := s.nodeOf(r.e, st.node)
	if st.member == 0 {
		st.ref = n.Ref
	}
	if x, ok := s.latestOf(r.e, st.ref); r.as == nil && ok && s.madeAlready(r, &st, n, x) {
		return
	}
	if n.Kind == def.Dynamic {
		var ok bool
		if n, ok = s.resolve(r, &st, n); !ok {
			return
		}
	}
	if n.Kind == def.Worker && s.unregistered(n) {
		s.end(r, Failed, join("Invalid task specified. Cannot find task by name ", n.Name, " in the task definitions"), ending{})
		return
	}
	if st.resolved != nil && n.Type == "SIMPLE" && s.nobodys(n) {
		s.end(r, Failed, join("Invalid task specified.  Cannot find task by name ", n.Name, " in the task definitions"), ending{})
		return
	}
	before := r.e.nextSerial
	t := s.newTask(r, st.node, n, st.loop, st.iteration)
	s.number(r, t, &st)
	switch n.Kind {
	case def.DynamicFork:
		s.makeDynamicFork(r, t, n, depth)
	case def.Fork:
		s.makeFork(r, t, n, depth)
	case def.Switch:
		s.makeSwitch(r, t, n, depth)
	default:
		s.addTask(r, t, n)
	}
	if _, made := s.tasks.get(t.id); !made && r.e.nextSerial == before+1 { // it ended the execution instead
		r.e.nextSerial--
		r.e.nextSeq--
	}
}

// madeAlready says whether the newest record of a step's name stands for the step. One
// that was skipped is passed over.
func (s *State) madeAlready(r *run, st *step, n *def.Node, x *task) bool {
	if s.clashes(r.e, st, x) {
		s.duplicateName(r, n, st.ref)
		return true
	}
	if x.loop != st.loop || x.iteration != st.iteration || s.leftBehind(r, x) {
		return false
	}
	s.passOver(r, x, n)
	return true
}

// number gives a new record what its step brings: name, place in a fork, the numbers
// reserved for it, and the fragment of what a DYNAMIC step was resolved to.
func (s *State) number(r *run, t *task, st *step) {
	t.ref, t.member = st.ref, st.member
	if st.serial != 0 {
		r.e.nextSerial--
		r.e.nextSeq--
		t.id.Serial, t.seq = st.serial, st.seq
	}
	if st.resolved != nil {
		st.resolved.id = t.id
		s.fragments.insert(st.resolved)
		t.node = nodeRef{fragment: t.id.Serial}
	}
}

// newTask numbers a record; it is not in any table yet.
func (s *State) newTask(r *run, ref nodeRef, n *def.Node, loop, iteration uint32) *task {
	s.spend(1)
	if r.as != nil {
		return s.remakeTask(r, ref, n, loop, iteration)
	}
	t := &task{
		id: TaskID{Exec: r.e.id, Serial: r.e.nextSerial}, node: ref, ref: n.Ref,
		loop: loop, iteration: iteration, seq: r.e.nextSeq,
		status: TaskStatusInProgress, scheduled: s.now, firstScheduled: s.now,
	}
	if loop != 0 { // as Conductor counts
		t.retry = s.taskAt(r.e, loop).retry
	}
	r.e.nextSerial++
	r.e.nextSeq++
	return t
}

// store puts a new record into the tables.
func (s *State) store(r *run, t *task) *task {
	t = s.tasks.insert(t)
	s.latest.put(latestKey{exec: r.e.id, ref: t.ref}, t.id.Serial)
	if t.loop != 0 {
		s.iterations.put(iterationKey{exec: r.e.id, loop: t.loop, iteration: t.iteration, serial: t.id.Serial}, none{})
	}
	s.emit(Event{Kind: TaskScheduled, Exec: r.e.id, Serial: t.id.Serial, Ref: visibleRef(s, t), Task: t.status,
		Retry: t.retry, Delay: max(0, t.ready-s.now)})
	on := def.OnScheduled
	if t.status != TaskStatusScheduled {
		on |= def.OnStart
	}
	s.tell(on, t)
	return t
}

// addTask makes a record that is open when it is made.
func (s *State) addTask(r *run, t *task, n *def.Node) {
	tt := s.typeOf(n)
	failure := s.evaluateInput(r, t, n, tt)
	switch n.Kind {
	case def.Join:
		s.countMembers(r.e, t, n)
	case def.ExclusiveJoin:
		s.showCandidates(r.e, t, n)
	}
	if failure == "" && s.completeFromCache(r, t, n) {
		return
	}
	switch {
	case n.Kind.Leased():
		t.startDelay, t.callback = int64(n.StartDelay), int64(n.StartDelay)
		s.placeWorker(r, t, n, tt, t.startDelay, 0)
	case begins(n.Kind):
		t.startDelay, t.callback = int64(n.StartDelay), int64(n.StartDelay)
		s.delayOther(t, n, t.startDelay, 0)
	default:
		t.start, t.updated = s.now, s.now
		t.place = placeWaiting
	}
	t = s.store(r, t)
	s.scope(r, t, 1)
	if failure != "" {
		s.failNew(r, t, failure)
		return
	}
	s.enterPlace(t)
	if t.place != placeDelayed && !n.Kind.Leased() { // else nothing is to be done now but by a worker
		r.batch = addSorted(r.batch, t.id.Serial)
	}
}

// failNew ends a record whose input cannot be made. It never was in its place.
func (s *State) failNew(r *run, t *task, failure string) {
	t.place = placeNone
	s.failInline(r, t, TaskStatusFailedTerminal, failure)
}

// unregistered says whether a step of a type that is not built in lacks its task type.
func (s *State) unregistered(n *def.Node) bool {
	if def.Served(n.Type) || n.Embedded != nil {
		return false
	}
	return s.nobodys(n)
}

// nobodys says whether no task type is known for a step.
func (s *State) nobodys(n *def.Node) bool {
	_, ok := s.taskTypes.get(n.Name)
	return !ok && n.Embedded == nil
}

// evaluateInput gives a new record its input. It returns why that cannot be, if so.
func (s *State) evaluateInput(r *run, t *task, n *def.Node, tt *def.TaskType) (failure string) {
	if t.id.Serial == r.given {
		r.given = 0
		return ""
	}
	var in []byte
	tmpl, err := s.inputTemplate(r.e, t, n)
	if err == nil {
		in, err = s.evaluate(r.e, t, tmpl)
	}
	if err == nil && tt.InputExpr != nil && takesTemplate(n) {
		var defaults []byte
		if defaults, err = s.evaluate(r.e, t, tt.InputExpr); err == nil {
			in = withDefaults(in, defaults, tt.InputTemplate)
		}
	}
	if err == nil && n.Kind == def.Call {
		in, err = s.callInput(r.e, t, n, in)
	}
	if err != nil {
		return expressionFailure(err)
	}
	if len(in) > MaxPayload {
		return payloadTooLarge(t, len(in))
	}
	t.input = raw(in)
	s.spend(len(in) / payloadUnit)
	return ""
}

// inputTemplate is what a record's input is made of: members of a dynamic fork share
// their steps, and each has an input of its own.
func (s *State) inputTemplate(e *execution, t *task, n *def.Node) (*expr.Template, error) {
	if t.member == 0 {
		return n.Input, nil
	}
	return s.membersOf(e, s.base(e, t.node).fragment).Input(int(t.member) - 1)
}

func takesTemplate(n *def.Node) bool {
	switch n.Kind {
	case def.Worker, def.DoWhile, def.Inline, def.Lambda, def.Jq:
		return true
	}
	return n.Kind == def.Call && n.Type != "EVENT"
}

// begins says whether records of a kind are SCHEDULED until the step that they begin.
func begins(k def.Kind) bool { return k == def.SubWorkflow || acts(k) }

// withDefaults fills keys that the step does not give; one that is null even so takes
// the template's text as it stands.
func withDefaults(in, defaults, template []byte) []byte {
	out := expr.Merge(defaults, in)
	filled := out
	for k, v := range expr.Members(out) {
		if expr.KindOf(v) == expr.Null {
			if d, ok := expr.Get(template, k); ok {
				filled = expr.SetKey(filled, k, d)
			}
		}
	}
	return filled
}

// MaxPayload bounds a payload that the machine itself produces.
const MaxPayload = 10 << 20

func expressionFailure(err error) string { return join("expression: ", err.Error()) }

// evaluate fills a template for a record; the result is State's to keep.
func (s *State) evaluate(e *execution, t *task, tmpl *expr.Template) ([]byte, error) {
	b := expr.Budget{Steps: expr.MaxEvalSteps}
	return s.evaluateWithin(e, t, tmpl, &b)
}

// evaluateWithin is evaluate within a budget.
func (s *State) evaluateWithin(e *execution, t *task, tmpl *expr.Template, b *expr.Budget) ([]byte, error) {
	if tmpl == nil {
		return nil, nil
	}
	if tmpl.Constant() {
		return tmpl.Raw(), nil
	}
	before := b.Steps
	buf, err := tmpl.Append(s.scratch.eval[:0], expr.Composite(&rootEnv{s: s, e: e, self: t}), b)
	s.spend((before - b.Steps) / 1024)
	if err != nil {
		return nil, err
	}
	s.scratch.eval = buf[:0]
	if cap(buf) > payloadUnit {
		s.scratch.eval = nil
	}
	return append(make([]byte, 0, len(buf)), buf...), nil
}

// adHoc holds for steps whose task type is not registered.
var (
	adHocWorker = def.TaskType{RetryCount: 3, RetryDelay: 60, BackoffScale: 1, ResponseTimeout: 3600}
	adHocCall   = def.TaskType{RetryDelay: 60, BackoffScale: 1, ResponseTimeout: 3600}
	adHocOther  = def.TaskType{RetryDelay: 60, BackoffScale: 1}
)

// typeOf is the task type that holds for a step now: the inline one, the registered
// one, or the defaults.
func (s *State) typeOf(n *def.Node) *def.TaskType {
	if n.Embedded != nil {
		return n.Embedded
	}
	if t, ok := s.taskTypes.get(n.Name); ok {
		return t.parsed
	}
	switch {
	case n.Type == "SIMPLE":
		return &adHocWorker
	case n.Kind == def.Call:
		return &adHocCall
	}
	return &adHocOther
}

// retryTask replaces an attempt by a further one after the delay of its type.
func (s *State) retryTask(r *run, old *task, n *def.Node, tt *def.TaskType) {
	old = s.tasks.mut(old)
	old.retried = true
	t := s.newTask(r, old.node, n, old.loop, old.iteration)
	t.ref, t.member = old.ref, old.member
	t.retry, t.retriedOf = old.retry+1, old.id.Serial
	t.firstScheduled = old.firstScheduled
	t.reason = old.reason
	t.last = 0
	delay := def.RetryDelay(tt, old.retry)
	failure := s.evaluateInput(r, t, n, tt)
	if failure == "" && s.completeFromCache(r, t, n) {
		return
	}
	t.startDelay, t.callback = delay, delay
	jitter := drawJitter(t.id, tt.BackoffJitter)
	if n.Kind.Leased() {
		s.placeWorker(r, t, n, tt, delay, jitter)
	} else {
		s.delayOther(t, n, delay, jitter)
	}
	t = s.store(r, t)
	s.scope(r, t, 1)
	if failure != "" {
		s.failNew(r, t, failure)
		return
	}
	s.enterPlace(t)
	if t.place != placeDelayed || n.Kind.Leased() {
		r.batch = addSorted(r.batch, t.id.Serial)
	}
}

// delayOther places a further attempt of a step that no worker does: it acts only
// when its delay is over.
func (s *State) delayOther(t *task, n *def.Node, delay int64, jitter Millis) {
	t.place = placeWaiting
	t.status = TaskStatusScheduled
	if after := addSeconds(s.now, delay) + jitter; after > s.now {
		t.place, t.ready = placeDelayed, after
		return
	}
	if !begins(n.Kind) {
		t.status, t.start = TaskStatusInProgress, s.now
	}
}

// drawJitter spreads further attempts over 0 to n milliseconds, the same on every node.
func drawJitter(id TaskID, n int32) Millis {
	if n <= 0 {
		return 0
	}
	return Millis(splitmix64(id.Exec.Hi^id.Exec.Lo^uint64(id.Serial)) % (uint64(n) + 1))
}

// splitmix64 is Steele, Lea and Flood's mixing function.
func splitmix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// addSeconds adds a duration that a user chose without overflow.
func addSeconds(at Millis, seconds int64) Millis {
	const most = 1 << 42 // beyond any date that can be shown
	if seconds > most/1000 {
		return at + most
	}
	return at + Millis(seconds*1000)
}
