package fsm

import (
	"slices"

	"github.com/pawlhq/pawl/fsm/def"
)

// maxLanes bounds the types that have a lane in one queue; tasks of further types wait
// in the first lane.
const maxLanes = 256

// postpone is how long a blocked task of a type without a lane is put off.
const postpone Millis = 1000

// lane is the ready tasks of one type in a queue that several types share, as steps of
// a type that is built in do: a type that has reached its limit does not hold up the
// others behind it. Lane 0 holds the tasks that count against no limit.
type lane struct {
	n     uint32
	limit string // the type
	ready uint32
}

func readLane(r *reader) (l lane) {
	r.nest(func(r *reader) {
		switch r.tag {
		case 1:
			l.n = r.num32()
		case 2:
			l.limit = r.str()
		case 3:
			l.ready = r.num32()
		default:
			r.unknown()
		}
	})
	return l
}

// limitOf names the type whose limits hold for a task. Jobs of the machine count
// against none.
func (s *State) limitOf(t *task, q *queue) string {
	switch {
	case t.job != jobNone:
		return ""
	case !q.shared:
		return q.limit
	}
	return s.nodeOf(s.execOf(t), t.node).Name
}

// limited says whether a type has any limit now.
func (s *State) limited(name string) bool {
	t, ok := s.taskTypes.get(name)
	return ok && (t.parsed.ConcurrentLimit > 0 || t.parsed.RateLimit > 0)
}

// enterLane counts a task that has become ready into its lane.
func (s *State) enterLane(q *queue, t *task) {
	q.ready++
	t.lane = 0
	if !q.shared {
		return
	}
	name := s.limitOf(t, q)
	if name == "" || !s.limited(name) {
		return
	}
	i := slices.IndexFunc(q.lanes, func(l lane) bool { return l.limit == name })
	if i < 0 && len(q.lanes) == maxLanes {
		return
	}
	q.lanes = slices.Clone(q.lanes) // a View may see the old list
	if i < 0 {
		i = len(q.lanes)
		q.lanes = append(q.lanes, lane{n: freeLane(q.lanes), limit: name})
		l := s.mutLimit(name)
		l.lanes = append(slices.Clone(l.lanes), q.id)
	}
	q.lanes[i].ready++
	t.lane = q.lanes[i].n
}

// leaveLane is the reverse of enterLane. A lane without a task goes.
func (s *State) leaveLane(q *queue, t *task) {
	q.ready--
	if t.lane == 0 {
		return
	}
	i := slices.IndexFunc(q.lanes, func(l lane) bool { return l.n == t.lane })
	if i < 0 {
		panic("fsm: task in a lane that is not there")
	}
	q.lanes = slices.Clone(q.lanes)
	if q.lanes[i].ready--; q.lanes[i].ready > 0 {
		return
	}
	l := s.mutLimit(q.lanes[i].limit)
	l.lanes = slices.DeleteFunc(slices.Clone(l.lanes), func(id queueID) bool { return id == q.id })
	q.lanes = slices.Delete(q.lanes, i, i+1)
}

// freeLane is the lowest number from 1 that no lane has.
func freeLane(lanes []lane) uint32 {
	for n := uint32(1); ; n++ {
		if !slices.ContainsFunc(lanes, func(l lane) bool { return l.n == n }) {
			return n
		}
	}
}

// pick finds the task that a queue hands out next: the first of the lanes whose type
// has a permit. It passes over tasks that wait in the wrong lane since limits were
// changed, and says again then.
func (s *State) pick(q *queue) (k readyKey, ok, again bool) {
	if !q.shared && s.permits(q.limit).Free == 0 {
		return readyKey{}, false, false
	}
	if k, ok = s.firstReady(q.id, 0); ok && q.shared {
		s.scratch.offered = k.task
		t, _ := s.tasks.get(k.task)
		if s.permits(s.limitOf(t, q)).Free == 0 {
			s.changeLane(t)
			return readyKey{}, false, true
		}
	}
	for _, l := range q.lanes {
		if s.permits(l.limit).Free == 0 {
			continue
		}
		if x, found := s.firstReady(q.id, l.n); found && (!ok || beforeInQueue(x, k)) {
			k, ok = x, true
		}
	}
	return k, ok, false
}

// firstInQueue is the first of all lanes, permits or not.
func (s *State) firstInQueue(q *queue) (k readyKey, ok bool) {
	k, ok = s.firstReady(q.id, 0)
	for _, l := range q.lanes {
		if x, found := s.firstReady(q.id, l.n); found && (!ok || beforeInQueue(x, k)) {
			k, ok = x, true
		}
	}
	return k, ok
}

// beforeInQueue orders ready tasks of one queue whatever their lanes.
func beforeInQueue(a, b readyKey) bool {
	a.lane, b.lane = 0, 0
	return compareReady(a, b) < 0
}

// changeLane moves a task out of the first lane, whose limit did not count when it
// came: into the lane of its type, or off for a while where there are too many.
func (s *State) changeLane(t *task) {
	t = s.tasks.mut(t)
	rank := t.rank
	s.leavePlace(t)
	t.place = placeReady
	q, _ := s.queues.get(t.queue)
	if len(q.lanes) == maxLanes && !slices.ContainsFunc(q.lanes, func(l lane) bool { return l.limit == s.limitOf(t, q) }) {
		t.place, t.ready = placeDelayed, s.now+postpone
	}
	t.returned = true // it keeps its rank
	t.rank = rank
	s.enterPlace(t)
	t.returned = false
}

// readyToTell is how many tasks of a queue could be leased. Those of types without a
// permit do not count where the queue is shared; else the scheduler knows the permits.
func (s *State) readyToTell(q *queue) QueueReady {
	r := QueueReady{Queue: q.name, Type: q.limit, Ready: int(q.ready)}
	if q.shared {
		r.Type = ""
		for _, l := range q.lanes {
			if free := s.permits(l.limit).Free; free >= 0 {
				r.Ready -= max(0, int(l.ready)-free)
			}
		}
	}
	if q.paused {
		r.Ready = 0
	}
	return r
}

// wakeHints adds the queues of a type to those that the alarm offers slots to.
func (s *State) wakeHints(out []Queue, name string) []Queue {
	l, ok := s.limits.get(name)
	if !ok {
		return out
	}
	ids := l.lanes
	if l.queue != 0 {
		ids = append([]queueID{l.queue}, ids...)
	}
	for _, id := range ids {
		if q, found := s.queues.get(id); found && q.ready > 0 && len(out) < def.MaxReach {
			out = append(out, q.name)
		}
	}
	return out
}
