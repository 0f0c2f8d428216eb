package fsm

import (
	"cmp"
	"errors"
	"slices"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/table"
)

// Level says how much Verify looks at.
type Level uint8

// The levels.
const (
	// Touched looks at the executions that the last entry changed.
	Touched Level = iota
	// Full looks at everything.
	Full
)

// maxTouched bounds the executions remembered for Verify(Touched); an entry that
// changes more is checked by Full only.
const maxTouched = 4096

// noteTouched remembers what the entry changed, before the tables forget it.
func (s *State) noteTouched() {
	s.touched = s.touched[:0]
	for _, t := range s.tasks.dirty {
		if n := len(s.touched); n < maxTouched && (n == 0 || s.touched[n-1] != t.id.Exec) {
			s.touched = append(s.touched, t.id.Exec)
		}
	}
	for _, e := range s.executions.dirty {
		if len(s.touched) < maxTouched {
			s.touched = append(s.touched, e.id)
		}
	}
}

// Verify checks that State is whole: every record where its place says, every counter
// equal to a recount, every index row matched. It gives the first thing that is wrong.
// It reads only, on the goroutine that applies, or on a View's by any other.
func (s *State) Verify(l Level) error {
	if l == Full {
		return s.verifyAll()
	}
	ids := slices.Clone(s.touched)
	slices.SortFunc(ids, ExecID.Compare)
	for _, id := range slices.Compact(ids) {
		if e, ok := s.executions.get(id); ok {
			if err := s.verifyExecution(e); err != nil {
				return err
			}
		}
	}
	return s.verifyBounds()
}

// Verify checks the View as State.Verify does with Full.
func (v View) Verify() error {
	if v.s == nil {
		return nil
	}
	return v.s.verifyAll()
}

func broken(parts ...string) error { return errors.New(join(parts...)) }

func (s *State) verifyAll() error {
	for _, e := range s.executions.tree.All() {
		if err := s.verifyExecution(e); err != nil {
			return err
		}
	}
	return cmp.Or(s.verifyFragments(), s.verifyQueues(), s.verifyRows(), s.verifyIndexes(), s.verifyPlans(), s.verifyDigest(), s.verifyBounds())
}

// recounted is what the records of an execution add up to.
type recounted struct {
	open, openAll, permBad, jobs uint32
	loops                        map[uint32]uint32 // open records by DO_WHILE record
	byStep                       map[stepKey]uint32
}

type stepKey struct {
	ref             string
	loop, iteration uint32
}

func (s *State) verifyExecution(e *execution) error {
	name := join("execution ", e.id.String(), ": ")
	c := recounted{loops: map[uint32]uint32{}, byStep: map[stepKey]uint32{}}
	var prior *task
	for id, t := range s.tasks.tree.From(TaskID{Exec: e.id}) {
		if id.Exec != e.id {
			break
		}
		if e.hides(id.Serial) {
			continue
		}
		if err := s.verifyTask(e, t, &c); err != nil {
			return broken(name, err.Error())
		}
		if prior != nil && (t.seq <= prior.seq || t.id.Serial <= prior.id.Serial) {
			return broken(name, "serials and seqs do not ascend together at ", id.String())
		}
		prior = t
	}
	if e.sweep == sweepPurging || e.early() { // its counters do not stand
		if err := s.verifyLife(e); err != nil {
			return broken(name, err.Error())
		}
		return nil
	}
	switch {
	case c.open != e.open:
		return broken(name, "open is ", itoa(int64(e.open)), ", recounted ", itoa(int64(c.open)))
	case c.openAll != e.openAll:
		return broken(name, "openAll is ", itoa(int64(e.openAll)), ", recounted ", itoa(int64(c.openAll)))
	case c.permBad != e.permBad && e.status == Running && !s.heldAny(e):
		return broken(name, "permBad is ", itoa(int64(e.permBad)), ", recounted ", itoa(int64(c.permBad)))
	}
	if c.jobs != e.jobs {
		return broken(name, "jobs is ", itoa(int64(e.jobs)), ", recounted ", itoa(int64(c.jobs)))
	}
	if err := s.verifyStructure(e, &c); err != nil {
		return broken(name, err.Error())
	}
	if err := s.verifyLife(e); err != nil {
		return broken(name, err.Error())
	}
	return nil
}

// verifyTask checks one record and adds it to the recount.
func (s *State) verifyTask(e *execution, t *task, c *recounted) error {
	n := s.nodeOf(e, t.node)
	if t.open() {
		c.openAll++
	}
	if t.open() || n.Kind == def.Fork && t.done > 0 && unexpanded(t, n) {
		if t.loop == 0 {
			c.open++
		} else {
			c.loops[t.loop]++
		}
	}
	key := stepKey{ref: t.ref, loop: t.loop, iteration: t.iteration}
	if last, seen := c.byStep[key]; seen {
		prior := s.taskAt(e, last)
		if t.retriedOf != last || !prior.retried || t.retry <= prior.retry {
			return broken(t.id.String(), ": attempts of ", t.ref, " are not a chain")
		}
	} else if t.retriedOf != 0 {
		return broken(t.id.String(), ": replaces an attempt that is not there")
	}
	c.byStep[key] = t.id.Serial
	bad := t.status.Terminal() && !t.status.Successful()
	if bad && n.Permissive && !n.Optional && t.executed {
		c.permBad++
	}
	if s.bad.has(t.id) != bad {
		return broken(t.id.String(), ": row of failures does not match ", t.status.String())
	}
	if t.loop != 0 && !s.iterations.has(iterationKey{exec: e.id, loop: t.loop, iteration: t.iteration, serial: t.id.Serial}) {
		return broken(t.id.String(), ": has no row in its iteration")
	}
	if t.retried && !t.status.Terminal() || t.settled && !t.status.Terminal() {
		return broken(t.id.String(), ": is open, and retried or settled")
	}
	if t.job != jobNone {
		c.jobs++
	}
	return cmp.Or(s.verifyFork(e, t, n), s.verifyJob(e, t, n), s.verifyPlace(e, t, n))
}

func (s *State) verifyPlace(e *execution, t *task, n *def.Node) error {
	id := t.id.String()
	if t.open() == (t.place == placeNone) {
		return broken(id, ": ", t.status.String(), " does not go with its place")
	}
	if (t.place == placeReady) != s.ready.has(t.readyKey()) {
		return broken(id, ": ready row does not match its place")
	}
	row, leased := s.leases.get(t.leaseKey())
	if (t.place == placeLeased) != leased || leased && row != t.lease || (t.lease != 0) != leased || t.lease > t.last {
		return broken(id, ": lease does not match its place")
	}
	if t.place == placeLeased && t.lease >= newLease(s.index+1, s.incarnation, 0) {
		return broken(id, ": lease is from the future")
	}
	if t.place != placeWaiting && s.waits.has(t.id) {
		return broken(id, ": has a row of waits and does not wait")
	}
	if n.Kind == def.PullMessages && t.place == placeWaiting && !s.inbox.has(pullKey(t.id)) && !s.toRun(e, t) {
		return broken(id, ": waits for messages without a row in the inbox")
	}
	if t.due.at == 0 {
		if t.place == placeDelayed && e.status != Paused && !e.status.Terminal() {
			return broken(id, ": is delayed and has no timer")
		}
		if _, count := s.deadlines(t, n, s.typeOf(n)); count > 0 && n.Embedded != nil && e.status == Running && e.sweep == sweepNone && !e.over(t) {
			return broken(id, ": has a limit and no timer")
		}
		return nil
	}
	if o, ok := s.due.get(t.due); !ok || o.task != t.id || !t.open() {
		return broken(id, ": timer row does not match")
	}
	list, count := s.deadlines(t, n, s.typeOf(n))
	for _, d := range list[:count] {
		if t.due.at > d.at {
			// Types are read live, so a limit may have become shorter since.
			if _, registered := s.taskTypes.get(n.Name); !registered && n.Embedded == nil || d.what == dueReady {
				return broken(id, ": timer is later than its limit")
			}
		}
	}
	return nil
}

// verifyStructure recounts joins and loops.
func (s *State) verifyStructure(e *execution, c *recounted) error {
	for _, serial := range sortedSerials(c.byStep) {
		t := s.taskAt(e, serial)
		if t.place == placeParked {
			continue
		}
		n := s.nodeOf(e, t.node)
		switch n.Kind {
		case def.DoWhile:
			if t.loops.open != c.loops[serial] {
				return broken(t.id.String(), ": open is ", itoa(int64(t.loops.open)), ", recounted ", itoa(int64(c.loops[serial])))
			}
		case def.Join:
			if t.open() {
				if err := s.verifyJoin(e, t, n); err != nil {
					return err
				}
			}
		}
		if latest, ok := s.latest.get(latestKey{exec: e.id, ref: t.ref}); !ok || latest < serial {
			return broken(t.id.String(), ": is newer than the latest of ", t.ref)
		}
	}
	return nil
}

func sortedSerials(m map[stepKey]uint32) []uint32 {
	out := make([]uint32, 0, len(m))
	for _, serial := range m { // order does not matter: sorted below
		out = append(out, serial)
	}
	slices.Sort(out)
	return out
}

func (s *State) verifyJoin(e *execution, t *task, n *def.Node) error {
	var want joinState
	if t.fork != 0 {
		return s.verifyForked(e, t)
	}
	for _, number := range n.JoinOn {
		m := s.nodeOf(e, t.node.at(number))
		x, ok := s.recordAt(e, t.node.at(number), t.loop, t.iteration)
		if !ok || !x.settled {
			want.pending++
			continue
		}
		addMember(&want, x, m.Permissive)
	}
	if want != t.join {
		return broken(t.id.String(), ": join counts differ from a recount, pending ", itoa(int64(t.join.pending)), " and ", itoa(int64(want.pending)))
	}
	return nil
}

// verifyLife checks that something will wake what is not over.
func (s *State) verifyLife(e *execution) error {
	items, closing, reviving := 0, false, false
	for _, i := range s.agenda.tree.All() {
		if i.exec == e.id {
			items++
			closing = closing || i.kind == itemClose
			reviving = reviving || i.kind == itemRevive
		}
	}
	switch {
	case e.status == Running && e.sweep == sweepNone && e.open == 0 && items == 0:
		return broken("runs and nothing will move it")
	case e.faulted && e.status == Running || s.heldFault(e) && !e.faulted:
		return broken("is at fault, and nobody can resume it")
	case e.status == Running && e.sweep == sweepNone && s.holds(e) && !e.advancing:
		return broken("holds records back without an item to take them up")
	case e.status.Terminal() && e.openAll > 0 && !closing && e.sweep != sweepReviving && !e.faulted:
		return broken("has ended with open records and no sweep")
	case e.sweep == sweepReviving && !reviving && !e.faulted:
		return broken("is being revived without an item")
	case e.sweep != sweepReviving && e.hideTo > 0:
		return broken("hides records for ever")
	case e.sweep == sweepNone && (e.ending > 0 || e.status.Terminal() && e.openAll > 0):
		return broken("is said to be swept and is not")
	case e.status.Terminal() && e.due.at != 0:
		return broken("has ended and has a timer")
	}
	if e.due.at != 0 {
		if o, ok := s.due.get(e.due); !ok || o.task.Exec != e.id {
			return broken("timer row does not match")
		}
	}
	return nil
}

// heldFault says whether an item waits for a person to resume the execution.
func (s *State) heldFault(e *execution) bool { return len(s.heldRows(e, heldItem, heldAside, 1)) > 0 }

// verifyQueues recounts queues and limits.
func (s *State) verifyQueues() error {
	type counts struct{ ready, delayed, leased uint32 }
	queues := map[queueID]counts{}
	limits := map[string]uint32{}
	for _, t := range s.tasks.tree.All() {
		c := queues[t.queue]
		switch {
		case t.place == placeReady:
			c.ready++
		case t.place == placeDelayed && t.queue != 0:
			c.delayed++
		case t.place == placeLeased:
			c.leased++
		}
		if q, ok := s.queues.get(t.queue); ok && (t.place == placeLeased || t.awaited()) {
			limits[s.limitOf(t, q)]++
		}
		queues[t.queue] = c
	}
	for id, q := range s.queues.tree.All() {
		if queues[id] != (counts{q.ready, q.delayed, q.leased}) {
			return broken("queue ", string(q.name), ": counts differ from a recount")
		}
	}
	for name, l := range s.limits.tree.All() {
		if name[0] != '\xff' && limits[name] != l.inflight {
			return broken("limit ", name, ": inflight is ", itoa(int64(l.inflight)), ", recounted ", itoa(int64(limits[name])))
		}
	}
	return cmp.Or(s.verifyLanes(), s.verifyRates(), s.verifyParked(), s.verifyCache(), s.verifyInbox())
}

// verifyRows checks that each row points to a record that agrees.
func (s *State) verifyRows() error {
	for k := range s.ready.tree.All() {
		if t, ok := s.tasks.get(k.task); !ok || t.place != placeReady || t.readyKey() != k {
			return broken("ready row of ", k.task.String(), " has no ready record")
		}
	}
	for k := range s.leases.tree.All() {
		if t, ok := s.tasks.get(k.task); !ok || t.place != placeLeased || t.leaseKey() != k {
			return broken("lease row of ", k.task.String(), " has no leased record")
		}
	}
	for k, o := range s.due.tree.All() {
		if o.kind == ownerLimit {
			if l, ok := s.limits.get(o.limit); !ok || l.due != k {
				return broken("timer row has no limit")
			}
		} else if o.kind == ownerExecution {
			if e, ok := s.executions.get(o.task.Exec); !ok || e.due != k {
				return broken("timer row has no execution")
			}
		} else if t, ok := s.tasks.get(o.task); !ok || t.due != k {
			return broken("timer row of ", o.task.String(), " has no record")
		}
	}
	for id := range s.waits.tree.All() {
		if t, ok := s.tasks.get(id); !ok || t.place != placeWaiting {
			return broken("row of waits of ", id.String(), " has no waiting record")
		}
	}
	for k, serial := range s.latest.tree.All() {
		if t, ok := s.tasks.get(TaskID{Exec: k.exec, Serial: serial}); !ok || t.ref != k.ref {
			return broken("latest of ", k.ref, " is no record of it")
		}
	}
	return nil
}

func (s *State) verifyIndexes() error {
	byStatus, byCorr, byParent := 0, 0, 0
	for _, e := range s.executions.tree.All() {
		if e.gone {
			continue
		}
		name := s.planOf(e).Name
		if !s.byTime.has(timeKey{e.created, e.id}) || !s.byType.has(typeKey{name, e.created, e.id}) ||
			!s.byStatus.has(statusKey{e.status, name, e.created, e.id}) {
			return broken("execution ", e.id.String(), " lacks an index row")
		}
		byStatus++
		if e.corr != "" {
			byCorr++
		}
		if !e.parent.IsZero() {
			byParent++
		}
	}
	for k, id := range s.keys.tree.All() {
		if e, ok := s.find(id); !ok || e.key_ != k.key || s.planOf(e).Name != k.name {
			return broken("the key ", k.key, " of ", k.name, " has no execution")
		}
	}
	open := 0
	for _, t := range s.tasks.tree.All() {
		if !t.open() {
			continue
		}
		open++
		taskType := shownType(s.nodeOf(s.execOf(t), t.node))
		if _, found := s.openTasks.Get(openKey{taskType, t.id}); !found || taskType != t.opened {
			return broken("task ", t.id.String(), " is open and not to be found as such")
		}
	}
	if s.openTasks.Len() != open || s.byTime.tree.Len() != byStatus || s.byType.tree.Len() != byStatus || s.byStatus.tree.Len() != byStatus ||
		s.byCorrelation.tree.Len() != byCorr || s.byParent.tree.Len() != byParent {
		return broken("an index has rows without an execution")
	}
	return nil
}

func (s *State) verifyPlans() error {
	refs := map[planID]uint64{}
	for _, e := range s.executions.tree.All() {
		refs[e.plan]++
	}
	for _, d := range s.definitions.tree.All() {
		refs[d.plan]++
	}
	for id, p := range s.plans.tree.All() {
		if refs[id] != p.refs {
			return broken("plan of ", p.compiled.Name, ": references are ", itoa(int64(p.refs)), ", recounted ", itoa(int64(refs[id])))
		}
	}
	return nil
}

// verifyDigest sums up all rows anew, from the bytes of their payloads.
func (s *State) verifyDigest() error {
	var sum Digest
	for t := range (View{s: s}).tables(formRehashed) {
		if t.ID == tableMeta {
			continue
		}
		for row := range t.Rows {
			sum = sum.add(rowHash(row))
		}
	}
	if sum != s.j.digest {
		return broken("the digest differs from the sum of all rows")
	}
	return nil
}

func (s *State) verifyBounds() error {
	last := func(t *table.Tree[uint64, *item]) uint64 {
		n, _, _ := t.Max()
		return n
	}
	switch {
	case last(s.agenda.tree) > s.nextItem:
		return broken("an agenda item is numbered beyond the next")
	case s.requests.tree.Len() != s.requestAges.tree.Len():
		return broken("requests and their ages differ in number")
	case s.requests.tree.Len() > maxRequests+MaxCommands:
		return broken("more requests are remembered than allowed")
	}
	return nil
}
