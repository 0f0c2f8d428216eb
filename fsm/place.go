package fsm

import (
	"slices"

	"github.com/pawlhq/pawl/fsm/def"
)

// ageStep is how much older a task of one priority less must be to be handed out
// first. Priorities therefore hold strictly among tasks of the same hour, and nothing
// starves.
const ageStep Millis = 3_600_000

// activeFor is how long after a worker asked its queue counts as served.
const activeFor Millis = 10_000

// placeWorker decides where a record that a worker does will wait.
func (s *State) placeWorker(r *run, t *task, n *def.Node, tt *def.TaskType, delay int64, jitter Millis) {
	t.status = TaskStatusScheduled
	t.queue = s.queueFor(r.e, n, tt)
	t.place, t.ready = placeReady, s.now
	if after := addSeconds(s.now, delay) + jitter; after > s.now {
		t.place, t.ready = placeDelayed, after
	}
}

// enterPlace files a record where its place says.
func (s *State) enterPlace(t *task) {
	t = s.tasks.mut(t)
	switch t.place {
	case placeReady:
		s.enterLane(s.mutQueue(t.queue), t)
		if !t.returned {
			t.rank = int64(t.ready - Millis(s.execOf(t).priority)*ageStep)
		}
		s.ready.put(t.readyKey(), none{})
	case placeDelayed:
		if t.queue != 0 {
			s.mutQueue(t.queue).delayed++
		}
	case placeLeased:
		s.mutQueue(t.queue).leased++
		s.leases.put(t.leaseKey(), t.lease)
		s.takePermit(t, 1)
	case placeWaiting:
		if t.awaited() {
			s.takePermit(t, 1)
		}
	}
	s.arm(t)
}

// leavePlace takes an open record out of where it is, and ends its job.
func (s *State) leavePlace(t *task) {
	s.unfile(t)
	s.dropJob(t)
	t.place = placeNone
}

// unfile takes an open record out of where it is, for another place.
func (s *State) unfile(t *task) {
	switch t.place {
	case placeReady:
		s.ready.drop(t.readyKey())
		s.leaveLane(s.mutQueue(t.queue), t)
	case placeDelayed:
		if t.queue != 0 {
			s.mutQueue(t.queue).delayed--
		}
	case placeLeased:
		s.mutQueue(t.queue).leased--
		s.leases.drop(t.leaseKey())
		s.takePermit(t, -1)
		t.lease, t.holder = 0, Slot{}
	case placeWaiting:
		s.waits.drop(t.id)
		s.inbox.drop(pullKey(t.id))
		if t.awaited() {
			s.takePermit(t, -1)
		}
	}
}

func (t *task) readyKey() readyKey {
	return readyKey{queue: t.queue, lane: t.lane, rank: t.rank, task: t.id}
}

func (t *task) leaseKey() leaseKey {
	return leaseKey{node: t.holder.Node, boot: t.holder.Boot, task: t.id}
}

// awaited says whether a call is made and its task is to be completed from outside. It
// is in progress and keeps its permit.
func (t *task) awaited() bool {
	return t.place == placeWaiting && t.queue != 0 && t.status == TaskStatusInProgress
}

// takePermit takes or gives back the permit of a task in progress.
func (s *State) takePermit(t *task, n int) {
	q, _ := s.queues.get(t.queue)
	name := s.limitOf(t, q)
	if name == "" {
		return
	}
	l := s.mutLimit(name)
	l.inflight = count(l.inflight, n)
	if n > 0 && t.place == placeLeased {
		s.noteGrant(l, q.id)
	}
	s.touchLimit(name)
}

func (s *State) mutLimit(name string) *limit {
	if l, ok := s.limits.get(name); ok {
		return s.limits.mut(l)
	}
	return s.limits.insert(&limit{name: name})
}

// permits tells how many more tasks of a type may be leased now.
func (s *State) permits(name string) LimitFree {
	free := -1
	if t, ok := s.taskTypes.get(name); ok && t.parsed.ConcurrentLimit > 0 {
		free = int(t.parsed.ConcurrentLimit)
		if l, held := s.limits.get(name); held {
			free = max(0, free-int(l.inflight))
		}
	}
	if rate, _ := s.rateFree(name); rate >= 0 && (free < 0 || rate < free) {
		free = rate
	}
	return LimitFree{Type: name, Free: free}
}

// mutQueue makes a queue ours to change and notes that its counts are to be told.
func (s *State) mutQueue(id queueID) *queue {
	q, ok := s.queues.get(id)
	if !ok {
		panic("fsm: task in an unknown queue")
	}
	s.scratch.queues = append(s.scratch.queues, id)
	return s.queues.mut(q)
}

// findQueue gives the number of a queue that is known.
func (s *State) findQueue(name Queue) (*queue, bool) {
	if s.queueIDs == nil { // a view
		for _, q := range s.queues.tree.All() {
			if q.name == name {
				return q, true
			}
		}
		return nil, false
	}
	q, ok := s.queues.get(s.queueIDs[name])
	return q, ok && q.name == name
}

// internQueue gives a queue its number, which it keeps.
func (s *State) internQueue(name Queue, limit string) *queue {
	if q, ok := s.findQueue(name); ok {
		switch {
		case limit == "" || q.limit == limit || q.shared:
		case q.limit == "":
			q = s.queues.mut(q)
			q.limit = limit
		default: // one more type than the limit that is counted
			q = s.mutQueue(q.id)
			q.shared = true
		}
		return q
	}
	s.nextQueue++
	q := s.queues.insert(&queue{id: s.nextQueue, name: name, limit: limit})
	s.queueIDs[name] = q.id
	return q
}

// queueFor picks the queue of a step: its type, in the first domain that workers have
// asked for lately, or the last one named.
func (s *State) queueFor(e *execution, n *def.Node, tt *def.TaskType) queueID {
	base := n.Queue()
	if n.Kind == def.Call { // for workers of the server itself
		return s.internQueue(Queue(base), n.Name).id
	}
	suffix := ""
	if tt.Namespace != "" {
		suffix = join("@", tt.Namespace)
	}
	if tt.Isolation != "" {
		suffix = join(suffix, "-", tt.Isolation)
	}
	for rest := domainFor(e.domains, base); rest != ""; {
		var first string
		first, rest = nextDomain(rest)
		if first == "NO_DOMAIN" {
			break
		}
		if first == "" {
			continue
		}
		name := Queue(join(first, ":", base, suffix))
		q, known := s.findQueue(name)
		if rest == "" || known && q.seen != 0 && s.now-q.seen <= activeFor {
			return s.internQueue(name, n.Name).id
		}
	}
	return s.internQueue(Queue(join(base, suffix)), n.Name).id
}

func domainFor(ds []Domain, taskType string) string {
	all := ""
	for _, d := range ds {
		if d.Type == taskType && trimBlanks(d.Domain) != "" {
			return d.Domain
		}
		if d.Type == "*" {
			all = d.Domain
		}
	}
	return all
}

// nextDomain takes the first domain off a comma list.
func nextDomain(list string) (first, rest string) {
	for i := 0; i < len(list); i++ {
		if list[i] == ',' {
			first, rest = list[:i], list[i+1:]
			return trimBlanks(first), rest
		}
	}
	return trimBlanks(list), ""
}

func trimBlanks(s string) string {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// markSeen notes that a worker asked for a queue with a domain.
func (s *State) markSeen(name Queue) {
	if name == "" || len(name) > 2*MaxName {
		return
	}
	q := s.queues.mut(s.internQueue(name, ""))
	q.seen = s.now
}

func (s *State) setQueuePaused(name Queue, paused bool) (Result, *Rejection) {
	q, ok := s.findQueue(name)
	if !ok {
		return Result{}, reject(NotFound, "no queue of the name ", string(name))
	}
	if q.paused == paused {
		return Result{Repeated: true}, nil
	}
	s.mutQueue(q.id).paused = paused
	kind := QueueResumed
	if paused {
		kind = QueuePaused
	}
	s.emit(Event{Kind: kind, Queue: name, Ref: string(name)})
	return Result{}, nil
}

// dispatch leases ready tasks to the slots that the entry offers. Each offer gets the
// first task of its queue, if its limit has a permit; else the slot comes back.
func (s *State) dispatch(offers []Offer) {
	if len(offers) == 0 {
		return
	}
	start := int(s.index % uint64(len(offers))) // no queue is always the first
	_, fault := s.guarded(func() *Rejection {
		for i := range offers {
			s.scratch.offers = len(offers) - i
			s.offerOnce(offers[(start+i)%len(offers)])
		}
		return nil
	})
	if !fault {
		return
	}
	s.out.Unused = s.out.Unused[:0]
	for i := range offers { // one by one: a fault is that of one task
		o := offers[(start+i)%len(offers)]
		s.scratch.offers = len(offers) - i
		if _, fault = s.guarded(func() *Rejection { s.offerOnce(o); return nil }); fault {
			s.out.Unused = append(s.out.Unused, o)
			s.setAside(s.scratch.offered)
		}
	}
}

func (s *State) offerOnce(o Offer) {
	if !s.offer(o) {
		s.out.Unused = append(s.out.Unused, o)
	}
}

// setAside takes a task that cannot be leased out of its queue, for the others in it,
// until a person resumes its execution.
func (s *State) setAside(id TaskID) {
	t, ok := s.tasks.get(id)
	if !ok || t.place != placeReady {
		return
	}
	t = s.tasks.mut(t)
	s.unfile(t)
	t.place = placeWaiting
	s.held.put(heldKey{exec: id.Exec, list: heldAside, serial: id.Serial}, none{})
	s.quarantine(id.Exec)
}

// maxSkips bounds the tasks of ended executions that an entry passes over; the sweep
// takes the others away.
const maxSkips = 1024

func (s *State) offer(o Offer) bool {
	q, ok := s.findQueue(o.Queue)
	if !ok || q.paused {
		return false
	}
	for ; s.scratch.skips < maxSkips; s.scratch.skips++ {
		q, _ = s.queues.get(q.id)
		k, ok, again := s.pick(q)
		if again {
			continue
		}
		if !ok {
			return false
		}
		s.scratch.offered = k.task
		t, _ := s.tasks.get(k.task)
		e := s.execOf(t)
		switch {
		case e.over(t):
		case t.job == jobNone:
			s.grant(e, t, o)
			return true
		default:
			return s.grantJob(e, t, o)
		}
		// Ended already: readers see it canceled, and the sweep only stores that.
		t = s.tasks.mut(t)
		s.leavePlace(t)
		t.place = placeWaiting
		s.arm(t)
	}
	return false
}

// firstReady is the first task of a lane.
func (s *State) firstReady(id queueID, lane uint32) (readyKey, bool) {
	for k := range s.ready.tree.From(readyKey{queue: id, lane: lane, rank: -1 << 63}) {
		return k, k.queue == id && k.lane == lane
	}
	return readyKey{}, false
}

// grant leases a task to a slot.
func (s *State) grant(e *execution, t *task, o Offer) {
	t = s.tasks.mut(t)
	s.leavePlace(t)
	lease := max(newLease(s.index, s.incarnation, s.scratch.leases), t.last+1)
	s.scratch.leases++
	t.lease, t.last, t.holder = lease, lease, o.Slot
	t.place, t.status = placeLeased, TaskStatusInProgress
	first := t.start == 0
	if first {
		t.start = s.now
	}
	t.updated = s.now
	t.callback, t.worker, t.returned = 0, o.Worker, false
	t.polls++
	s.enterPlace(t)
	n := s.nodeOf(e, t.node)
	tt := s.typeOf(n)
	p := s.planOf(e)
	l := Leased{
		Slot: o.Slot, Task: t.id, Lease: lease, Queue: o.Queue, Type: shownType(n), Ref: visibleRef(s, t),
		Definition: p.Name, Retry: t.retry, Iteration: t.iteration, Priority: e.priority, Correlation: e.corr,
		Worker: o.Worker, Input: t.input.bytes(), Scheduled: t.scheduled,
		ResponseMillis: addSeconds(0, tt.ResponseTimeout), Hints: s.hints(e, n.Reach), Index: s.index, Wants: tt.RuntimeMetadata,
	}
	s.addGrant(l, t.queue)
	s.emit(Event{Kind: TaskLeased, Exec: e.id, Serial: t.id.Serial, Ref: l.Ref, Task: t.status, Retry: t.retry,
		Lease: lease, Slot: o.Slot, Queue: o.Queue})
	if first {
		s.tell(def.OnStart, t)
	}
}

// addGrant adds a lease to what the entry tells. Room is made at once for as many as its
// queue has tasks for and slots were offered for.
func (s *State) addGrant(l Leased, from queueID) {
	if grants := s.out.Grants; len(grants) == cap(grants) {
		q, _ := s.queues.get(from)
		s.out.Grants = slices.Grow(grants, min(s.scratch.offers, int(q.ready)+1))
	}
	s.out.Grants = append(s.out.Grants, l)
}

// hints names the queues that can become ready when a task is finished.
func (s *State) hints(e *execution, reach []string) []Queue {
	if len(reach) == 0 {
		return nil
	}
	out := make([]Queue, 0, len(reach))
	for _, taskType := range reach {
		domain, _ := nextDomain(domainFor(e.domains, taskType))
		if domain == "" || domain == "NO_DOMAIN" || ownQueue(taskType) {
			out = append(out, Queue(taskType))
		} else {
			out = append(out, Queue(join(domain, ":", taskType)))
		}
	}
	return out
}
