package fsm

// What a verb deletes is gone for every reader at once; the sweep behind it only takes
// the records away. These look-ups leave out what is gone.

// find gives an execution that has not been deleted.
func (s *State) find(id ExecID) (*execution, bool) {
	e, ok := s.executions.get(id)
	return e, ok && !e.gone
}

// findTask gives a record that has not been deleted, of an execution that has not.
func (s *State) findTask(id TaskID) (*task, bool) {
	t, ok := s.tasks.get(id)
	if !ok {
		return nil, false
	}
	if e := s.execOf(t); e.gone || e.hides(id.Serial) {
		return nil, false
	}
	return t, true
}

// hides says whether the record of a serial is deleted and only not yet taken away.
func (e *execution) hides(serial uint32) bool { return serial >= e.hideFrom && serial < e.hideTo }

// newestVisible goes from a record back to the attempt that is not hidden.
func (s *State) newestVisible(e *execution, t *task) (*task, bool) {
	for e.hides(t.id.Serial) {
		if t.retriedOf == 0 {
			return nil, false
		}
		older, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.retriedOf})
		if !ok {
			return nil, false
		}
		t = older
	}
	return t, true
}

// over says whether a record takes no report any more: it or its execution has ended.
func (e *execution) over(t *task) bool {
	return t.status.Terminal() || e.status.Terminal() || t.id.Serial < e.cutTo
}

// removeTask deletes a terminal record with all rows that hang on it. The attempt that
// it replaced is the newest of its step again.
func (s *State) removeTask(e *execution, t *task) {
	s.spend(1)
	k := latestKey{exec: e.id, ref: t.ref}
	if newest, ok := s.latest.get(k); ok && newest == t.id.Serial {
		if _, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.retriedOf}); ok && t.retriedOf != 0 {
			s.latest.put(k, t.retriedOf)
		} else {
			s.latest.drop(k)
		}
	}
	if t.loop != 0 {
		s.iterations.drop(iterationKey{exec: e.id, loop: t.loop, iteration: t.iteration, serial: t.id.Serial})
	}
	s.bad.drop(t.id)
	if f, ok := s.fragments.get(t.id); ok {
		s.fragments.remove(f)
	}
	s.tasks.remove(t)
}
