package fsm

import (
	"cmp"
	"strings"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// A definition may say how many of its executions run at a time for each value of a
// key. Executions of one key share a limit; each stands in the table of parked rows,
// holding a part of the limit or waiting for one in the order in which they came.
//
// One place takes and gives parts: moveStatus. An execution that is revived takes its
// part at once, above the limit if need be, so that a tree that is retried never waits
// for itself; others then wait until enough have ended.

// quotaState says how an execution stands to its quota. Stored.
type quotaState uint8

const (
	quotaNone quotaState = iota
	quotaWaits
	quotaHolds
)

// parkedKey orders the executions of a key: those that wait, in turn, then those that
// hold a part.
type parkedKey struct {
	limit string
	holds bool
	turn  uint64
}

func compareParked(a, b parkedKey) int {
	if c := strings.Compare(a.limit, b.limit); c != 0 || a.holds == b.holds {
		return cmp.Or(c, cmp.Compare(a.turn, b.turn))
	}
	if a.holds {
		return 1
	}
	return -1
}

func encodeParked(w *writer, k parkedKey, e ExecID) {
	w.str(1, k.limit)
	w.flag(2, k.holds)
	w.num(3, k.turn)
	w.exec(4, e)
}

func decodeParked(r *reader) (k parkedKey, e ExecID) {
	for r.next() {
		switch r.tag {
		case 1:
			k.limit = r.str()
		case 2:
			k.holds = r.flag()
		case 3:
			k.turn = r.num()
		case 4:
			e = r.exec()
		default:
			r.unknown()
		}
	}
	return k, e
}

// quotaPrefix begins the names of all limits of a definition's quota. No task type has
// such a name, as it is no UTF-8.
func quotaPrefix(definition string) string { return join("\xff", definition, ":") }

// quotaName names the limit that an execution counts against by its key.
func (s *State) quotaName(e *execution) string {
	p := s.planOf(e)
	b := expr.Budget{Steps: expr.MaxEvalSteps}
	v, err := p.Quota.Key.Eval(expr.Composite(&rootEnv{s: s, e: e}), &b)
	var text []byte
	if err == nil {
		text, _ = expr.AppendText(nil, v, &b)
	}
	s.spend((expr.MaxEvalSteps - b.Steps) / 1024)
	if len(text) > MaxName {
		text = []byte(join("#", rowHash(text).String()))
	}
	return join(quotaPrefix(p.Name), string(text))
}

// quotaOf is how many executions of a definition's key may run now: what the newest
// registered version says, else the execution's own; 0 means as many as like.
func (s *State) quotaOf(p *def.Plan) uint32 {
	if d, ok := s.lookup(p.Name, 0); ok {
		newest, _ := s.plans.get(d.plan)
		p = newest.compiled
	}
	if p.Quota == nil {
		return 0
	}
	return uint32(p.Quota.Limit)
}

// refusedByQuota says why an execution may not be started, empty if it may.
func (s *State) refusedByQuota(p *plan, e *execution) string {
	q := p.compiled.Quota
	if q == nil || !q.Reject {
		return ""
	}
	e.plan = p.id
	name := s.quotaName(e)
	most := s.quotaOf(p.compiled)
	if l, ok := s.limits.get(name); !ok || most == 0 || l.inflight < most {
		return ""
	}
	return join("definition ", p.compiled.Name, " has ", itoa(int64(most)), " executions of the key ",
		name[len(quotaPrefix(p.compiled.Name)):], " running, and no more are allowed")
}

// acquireQuota takes an execution's part, or a place in the line.
func (s *State) acquireQuota(e *execution) bool {
	p := s.planOf(e)
	if p.Quota == nil {
		s.releaseQuota(e)
		return true
	}
	if e.quota == "" {
		e.quota = s.quotaName(e)
	}
	most, l := s.quotaOf(p), s.mutLimit(e.quota)
	if e.quotaState == quotaHolds { // revived, and to begin anew
		if most == 0 || l.inflight <= most {
			return true
		}
		s.releaseQuota(e)
	} else if _, waiting := s.firstParked(e.quota); most == 0 || l.inflight < most && !waiting {
		s.holdQuota(e, l)
		return true
	}
	s.nextTie++
	e.quotaState, e.quotaTurn = quotaWaits, s.nextTie
	s.parked.put(e.parkedKey(), e.id)
	return false
}

func (e *execution) parkedKey() parkedKey {
	return parkedKey{limit: e.quota, holds: e.quotaState == quotaHolds, turn: e.quotaTurn}
}

func (s *State) holdQuota(e *execution, l *limit) {
	s.nextTie++
	l.inflight++
	e.quotaState, e.quotaTurn = quotaHolds, s.nextTie
	s.parked.put(e.parkedKey(), e.id)
}

// regainQuota takes the part of an execution that runs again.
func (s *State) regainQuota(e *execution) {
	if e.quota != "" && e.quotaState == quotaNone {
		s.holdQuota(e, s.mutLimit(e.quota))
	}
}

// releaseQuota gives up an execution's part, or its place in the line. Who comes next
// begins in an item of its own.
func (s *State) releaseQuota(e *execution) {
	if e.quotaState == quotaNone {
		return
	}
	s.parked.drop(e.parkedKey())
	held := e.quotaState == quotaHolds
	e.quotaState, e.quotaTurn = quotaNone, 0
	if !held {
		return
	}
	l := s.mutLimit(e.quota)
	l.inflight = count(l.inflight, -1)
	s.admitNext(e.quota)
}

func (s *State) firstParked(limit string) (ExecID, bool) {
	for k, id := range s.parked.tree.From(parkedKey{limit: limit}) {
		return id, k.limit == limit && !k.holds
	}
	return ExecID{}, false
}

// admitNext gives the next in line its part if there is one, and says whether it did.
func (s *State) admitNext(limit string) bool {
	id, ok := s.firstParked(limit)
	if !ok {
		return false
	}
	e, _ := s.executions.get(id)
	l := s.mutLimit(limit)
	if most := s.quotaOf(s.planOf(e)); most != 0 && l.inflight >= most {
		return false
	}
	e = s.executions.mut(e)
	s.parked.drop(e.parkedKey())
	s.holdQuota(e, l)
	s.scratch.soon = append(s.scratch.soon, item{kind: itemAdmit, exec: e.id})
	return true
}

// admit lets an execution begin that has got its part. One that is paused begins when
// it is resumed.
func (s *State) admit(e *execution) {
	t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: e.parkedTask})
	if !ok || t.place != placeParked || e.status.Terminal() {
		return
	}
	r := s.enter(e)
	r.batch = addSorted(r.batch, t.id.Serial)
	s.leave(r)
}

// makeFirst makes the first record of an execution, or while its quota is used up one
// that stands for it.
func (s *State) makeFirst(r *run) {
	if s.acquireQuota(r.e) {
		s.make(r, nodeRef{node: r.p.First}, 0, 0)
		return
	}
	s.parkFirst(r)
}

// parkFirst makes the first record of an execution that has to wait for its part. It
// only stands for what begin makes in its place.
func (s *State) parkFirst(r *run) {
	ref := nodeRef{node: r.p.First}
	n := s.nodeOf(r.e, ref)
	t := s.newTask(r, ref, n, 0, 0)
	t.status, t.place = TaskStatusScheduled, placeParked
	if in, err := s.evaluate(r.e, t, n.Input); err == nil && len(in) <= MaxPayload {
		t.input = raw(in)
	}
	t = s.tasks.insert(t)
	s.latest.put(latestKey{exec: r.e.id, ref: t.ref}, t.id.Serial)
	s.scope(r, t, 1)
	r.e.parkedTask = t.id.Serial
	s.emit(Event{Kind: ExecutionParked, Exec: r.e.id, Serial: t.id.Serial, Ref: t.ref})
}

// unpark makes the real first record in the place of the one that stood for it.
func (s *State) unpark(r *run, t *task) {
	if r.e.quotaState == quotaWaits {
		return
	}
	s.dropParked(r.e)
	if r.e.nextSerial == t.id.Serial+1 { // nothing was made behind it
		r.e.nextSerial, r.e.nextSeq = t.id.Serial, t.seq
	}
	s.make(r, t.node, 0, 0)
}

// dropParked takes away the record that stands for the first. An execution that ends
// before its turn has not begun: it has no record.
func (s *State) dropParked(e *execution) {
	t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: e.parkedTask})
	e.parkedTask = 0
	if !ok || t.place != placeParked {
		return
	}
	e.open, e.openAll = count(e.open, -1), count(e.openAll, -1)
	s.latest.drop(latestKey{exec: e.id, ref: t.ref})
	s.tasks.remove(t)
}

// retuneQuota lets executions begin that a changed definition has room for.
func (s *State) retuneQuota(definition string) {
	prefix := quotaPrefix(definition)
	for k := range s.parked.tree.From(parkedKey{limit: prefix}) {
		if strings.HasPrefix(k.limit, prefix) {
			s.scratch.soon = append(s.scratch.soon, item{kind: itemQuota, reason: definition})
		}
		return
	}
}

// retuneMore goes through the keys of a definition, one unit each, from the one where
// it stopped.
func (s *State) retuneMore(i item) (again bool) {
	prefix := quotaPrefix(i.reason)
	at := parkedKey{limit: join(prefix, i.cursor)}
	for {
		var limit string
		for k := range s.parked.tree.From(at) {
			limit = k.limit
			break
		}
		if !strings.HasPrefix(limit, prefix) {
			return false
		}
		for s.scratch.steps > 0 && s.admitNext(limit) {
			s.spend(1)
		}
		s.spend(1)
		if s.scratch.steps <= 0 {
			i.cursor = limit[len(prefix):]
			s.push(i)
			return true
		}
		at = parkedKey{limit: limit, holds: true, turn: 1<<64 - 1}
	}
}

// aheadOf counts the executions that wait before one for their part.
func (s *State) aheadOf(e *execution) int {
	return s.parked.tree.Rank(e.parkedKey()) - s.parked.tree.Rank(parkedKey{limit: e.quota})
}
