package fsm

// verifyLanes recounts the lanes of shared queues and who knows of them.
func (s *State) verifyLanes() error {
	type laneOf struct {
		queue queueID
		lane  uint32
	}
	counted := map[laneOf]uint32{}
	for k := range s.ready.tree.All() {
		counted[laneOf{k.queue, k.lane}]++
	}
	lanes, known := 0, 0
	for id, q := range s.queues.tree.All() {
		rest := q.ready
		for _, l := range q.lanes {
			if l.ready == 0 || counted[laneOf{id, l.n}] != l.ready || l.n == 0 {
				return broken("queue ", string(q.name), ": lane of ", l.limit, " differs from a recount")
			}
			rest -= l.ready
			lanes++
		}
		if counted[laneOf{id, 0}] != rest {
			return broken("queue ", string(q.name), ": has ready tasks in no lane")
		}
	}
	for name, l := range s.limits.tree.All() {
		for _, id := range l.lanes {
			q, ok := s.queues.get(id)
			if !ok || !q.hasLane(name) {
				return broken("limit ", name, ": names a queue without a lane of it")
			}
			known++
		}
	}
	if lanes != known {
		return broken("a lane is not known to its limit")
	}
	return nil
}

func (q *queue) hasLane(name string) bool {
	for _, l := range q.lanes {
		if l.limit == name {
			return true
		}
	}
	return false
}

// verifyRates checks that no window has more leases than allowed and that a type whose
// window is full is woken in time.
func (s *State) verifyRates() error {
	for name, l := range s.limits.tree.All() {
		if len(l.grants) > maxGrants {
			return broken("limit ", name, ": remembers too many leases")
		}
		for i := 1; i < len(l.grants); i++ {
			if l.grants[i].at <= l.grants[i-1].at {
				return broken("limit ", name, ": leases do not ascend")
			}
		}
		free, next := s.rateFree(name)
		switch {
		case free == 0 && l.due.at != next:
			return broken("limit ", name, ": is blocked and its timer is not at ", itoa(int64(next)))
		case free != 0 && l.due.at > s.now:
			return broken("limit ", name, ": is free and has a timer")
		}
	}
	return nil
}

// verifyParked matches executions and their rows, and recounts the parts that are held.
func (s *State) verifyParked() error {
	held := map[string]uint32{}
	n := 0
	for id, e := range s.executions.tree.All() {
		if e.quotaState == quotaNone {
			continue
		}
		n++
		row, ok := s.parked.get(e.parkedKey())
		switch {
		case !ok || row != id:
			return broken("execution ", id.String(), ": its quota has no row of it")
		case e.status.Terminal():
			return broken("execution ", id.String(), ": has ended and stands in a quota")
		case e.quotaState == quotaHolds:
			held[e.quota]++
		case e.parkedTask == 0:
			return broken("execution ", id.String(), ": waits for its quota without a record")
		}
	}
	if s.parked.tree.Len() != n {
		return broken("a row of a quota has no execution")
	}
	for name, l := range s.limits.tree.All() {
		if name[0] == '\xff' && held[name] != l.inflight {
			return broken("quota ", name[1:], ": inflight is ", itoa(int64(l.inflight)), ", recounted ", itoa(int64(held[name])))
		}
	}
	return nil
}

// verifyCache matches outputs and their ages.
func (s *State) verifyCache() error {
	outputs := 0
	for k, c := range s.cache.tree.All() {
		if k.age != 0 {
			if x, ok := s.cache.get(cacheKey{name: k.name, key: k.key}); !ok || x.age != k.age {
				return broken("age of an output of ", k.name, " that is not kept")
			}
			continue
		}
		outputs++
		if len(c.output.raw) > maxCachedOutput || len(k.key) > maxCacheKey || !s.cache.has(cacheKey{age: c.age, name: k.name, key: k.key}) {
			return broken("output of ", k.name, ": is too large or has no age")
		}
	}
	if s.cache.tree.Len() != 2*outputs || outputs > MaxCached+1 {
		return broken("outputs and their ages differ in number, or there are too many")
	}
	return nil
}
