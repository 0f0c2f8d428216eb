package fsm

import "github.com/pawlhq/pawl/fsm/def"

// State is the machine: every execution, task, queue, timer and definition of the
// cluster. One goroutine applies entries; others read Views.
type State struct {
	tables
	scalars
	j *journal

	// Derived look-ups, checked at use since a rollback does not undo them. Never
	// ranged over, never in a View.
	queueIDs map[Queue]queueID
	planIDs  map[Digest]planID

	out     *Applied
	touched []ExecID // by the last entry, for Verify
	scratch scratch
	// fault, when a test sets it, sees panics that are about to be rolled back.
	fault func(any)
}

// scalars is the part of State that is no table. A savepoint keeps a copy.
type scalars struct {
	index       uint64
	now         Millis
	incarnation uint8
	features    uint64
	nextPlan    planID
	nextQueue   queueID
	nextTie     uint64
	nextItem    uint64
	nextRequest uint64
	// noExpiryBefore protects leases that nobody could extend during an outage.
	noExpiryBefore Millis
}

// scratch is what one entry needs while it is applied. It is empty between entries.
type scratch struct {
	executions uint32 // made by this entry, for ids
	leases     uint32
	offers     int    // not yet looked at
	offered    TaskID // looked at by an offer
	skips      int    // tasks of ended executions passed over by offers
	jobBytes   int    // in the inputs of jobs that were leased
	work       int    // units of background work left
	left       int    // units that commands may still spend
	steps      int    // of them or of work: what the item at hand may still spend
	soon       []item
	queues     []queueID // touched, for Applied.Ready
	limits     []string  // touched, for Applied.Permits
	run        run
	eval       []byte
}

// New makes an empty State.
func New(incarnation uint8) *State {
	s := &State{j: &journal{}, queueIDs: map[Queue]queueID{}, planIDs: map[Digest]planID{}}
	s.tables = newTables(s.j)
	s.tasks.settled = s.noteOpen
	s.incarnation = incarnation
	return s
}

// Index is the index of the last entry applied.
func (s *State) Index() uint64 { return s.index }

// Now is cluster time as of the last entry.
func (s *State) Now() Millis { return s.now }

// Digest sums up State as of the last entry.
func (s *State) Digest() Digest { return s.j.digest.add(s.scalars.hash()) }

// savepoint marks a place to return to.
type savepoint struct {
	ops     int
	digest  Digest
	scalars scalars
	events  int
	soon    int
	grants  int
	defined int
	begun   *TermBegun
}

func (s *State) save() savepoint {
	return savepoint{
		ops: s.j.save(), digest: s.j.digest, scalars: s.scalars,
		events: len(s.out.Events), soon: len(s.scratch.soon), grants: len(s.out.Grants),
		defined: len(s.out.Defined), begun: s.out.Begun,
	}
}

func (s *State) rollback(p savepoint) {
	s.j.rollback(p.ops)
	s.j.digest = p.digest
	s.scalars = p.scalars
	s.out.Events = s.out.Events[:p.events]
	s.scratch.soon = s.scratch.soon[:p.soon]
	s.out.Grants = s.out.Grants[:p.grants]
	s.out.Defined, s.out.Begun = s.out.Defined[:p.defined], p.begun
	s.scratch.run.reset()
}

// guarded runs f behind a savepoint. When f refuses or panics, State is as before;
// a panic gives fault true.
func (s *State) guarded(f func() *Rejection) (refused *Rejection, fault bool) {
	p := s.save()
	defer func() {
		if v := recover(); v != nil {
			if s.fault != nil {
				s.fault(v)
			}
			s.rollback(p)
			refused, fault = nil, true
		}
	}()
	if refused = f(); refused != nil {
		s.rollback(p)
	}
	return refused, false
}

func (s *State) emit(e Event) { s.out.Events = append(s.out.Events, e) }

// View is State as of now. It costs little, but the first change of each record after
// it copies the record, so one is taken only when somebody reads.
func (s *State) View() View {
	return View{s: &State{tables: s.tables.view(), scalars: s.scalars, j: &journal{digest: s.j.digest}}}
}

func (s scalars) hash() Digest {
	w := writer{b: []byte{byte(tableMeta)}}
	s.encode(&w)
	return rowHash(w.b)
}

func (s scalars) encode(w *writer) {
	w.num(1, s.index)
	w.int(2, int64(s.now))
	w.num(3, uint64(s.incarnation))
	w.num(4, s.features)
	w.num(5, uint64(s.nextPlan))
	w.num(6, uint64(s.nextQueue))
	w.num(7, s.nextTie)
	w.num(8, s.nextItem)
	w.int(9, int64(s.noExpiryBefore))
	w.num(10, s.nextRequest)
}

func (s *scalars) field(r *reader) {
	switch r.tag {
	case 1:
		s.index = r.num()
	case 2:
		s.now = Millis(r.int())
	case 3:
		s.incarnation = r.num8()
	case 4:
		s.features = r.num()
	case 5:
		s.nextPlan = planID(r.num())
	case 6:
		s.nextQueue = queueID(r.num32())
	case 7:
		s.nextTie = r.num()
	case 8:
		s.nextItem = r.num()
	case 9:
		s.noExpiryBefore = Millis(r.int())
	case 10:
		s.nextRequest = r.num()
	default:
		r.unknown()
	}
}

// planOf is the compiled plan of an execution.
func (s *State) planOf(e *execution) *def.Plan {
	p, ok := s.plans.get(e.plan)
	if !ok {
		panic("fsm: execution without a plan")
	}
	return p.compiled
}

// nodeOf is the step that a record is an attempt at.
func (s *State) nodeOf(e *execution, ref nodeRef) *def.Node {
	return &s.planFor(e, ref).Nodes[ref.node]
}

// planFor is the plan or fragment that a step belongs to.
func (s *State) planFor(e *execution, ref nodeRef) *def.Plan {
	if ref.fragment == 0 {
		return s.planOf(e)
	}
	f, ok := s.fragments.get(TaskID{Exec: e.id, Serial: ref.fragment})
	if !ok {
		panic("fsm: record without its fragment")
	}
	return f.compiled
}

// execOf is the execution of a task that exists.
func (s *State) execOf(t *task) *execution {
	e, ok := s.executions.get(t.id.Exec)
	if !ok {
		panic("fsm: task without its execution")
	}
	return e
}

func (s *State) taskAt(e *execution, serial uint32) *task {
	t, ok := s.tasks.get(TaskID{Exec: e.id, Serial: serial})
	if !ok {
		panic("fsm: no record with that serial")
	}
	return t
}

// latestOf is the newest record of a step, whatever its iteration.
func (s *State) latestOf(e *execution, ref string) (*task, bool) {
	serial, ok := s.latest.get(latestKey{exec: e.id, ref: ref})
	if !ok {
		return nil, false
	}
	return s.newestVisible(e, s.taskAt(e, serial))
}

// recordOf is the newest record of a step in one iteration of one loop; loop 0 is the
// root scope. Usually that is the latest; older iterations are searched.
func (s *State) recordOf(e *execution, ref string, loop, iteration uint32) (*task, bool) {
	t, ok := s.latestOf(e, ref)
	if ok && t.loop == loop && t.iteration == iteration {
		return t, true
	}
	if loop == 0 {
		return nil, false
	}
	var found *task
	from := iterationKey{exec: e.id, loop: loop, iteration: iteration}
	for k := range s.iterations.tree.From(from) {
		if k.exec != e.id || k.loop != loop || k.iteration != iteration {
			break
		}
		if x := s.taskAt(e, k.serial); x.ref == ref && !e.hides(k.serial) {
			found = x
		}
	}
	return found, found != nil
}
