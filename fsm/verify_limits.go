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
