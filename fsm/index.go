package fsm

// indexExecution adds the rows by which an execution is found. They are changed in the
// step that changes the execution, so a search is never behind a write.
func (s *State) indexExecution(e *execution) {
	name := s.planOf(e).Name
	s.byTime.put(timeKey{created: e.created, exec: e.id}, none{})
	s.byType.put(typeKey{name: name, created: e.created, exec: e.id}, none{})
	s.byStatus.put(statusKey{status: e.status, name: name, created: e.created, exec: e.id}, none{})
	if e.corr != "" {
		s.byCorrelation.put(correlationKey{corr: e.corr, exec: e.id}, none{})
	}
	if !e.parent.IsZero() {
		s.byParent.put(parentKey{parent: e.parent.Exec, exec: e.id}, none{})
	}
}

// unindexExecution takes the rows away again.
func (s *State) unindexExecution(e *execution) {
	name := s.planOf(e).Name
	s.byTime.drop(timeKey{created: e.created, exec: e.id})
	s.byType.drop(typeKey{name: name, created: e.created, exec: e.id})
	s.byStatus.drop(statusKey{status: e.status, name: name, created: e.created, exec: e.id})
	if e.corr != "" {
		s.byCorrelation.drop(correlationKey{corr: e.corr, exec: e.id})
	}
	if !e.parent.IsZero() {
		s.byParent.drop(parentKey{parent: e.parent.Exec, exec: e.id})
	}
}

// moveStatus changes an execution's status together with its row and its part of a quota.
func (s *State) moveStatus(e *execution, status Status) {
	switch was := e.status; {
	case status.Terminal() && !was.Terminal():
		s.dropParked(e)
		s.releaseQuota(e)
	case was.Terminal() && !status.Terminal():
		s.regainQuota(e)
	}
	name := s.planOf(e).Name
	s.byStatus.drop(statusKey{status: e.status, name: name, created: e.created, exec: e.id})
	e.status = status
	s.byStatus.put(statusKey{status: e.status, name: name, created: e.created, exec: e.id}, none{})
}

// Records enter and leave openTasks at the end of an entry, when nothing is rolled back
// any more, so that no code that makes, ends or removes one has to think of it: first
// those that were removed leave, then each that was changed is looked at.

// dropOpen takes the rows away of records that the entry removed, or made anew in their
// place.
func (s *State) dropOpen() {
	for _, t := range s.tasks.gone {
		if now, back := s.tasks.get(t.id); t.opened != "" && (!back || now.opened == "") {
			s.openTasks.Delete(openKey{taskType: t.opened, task: t.id})
		}
	}
}

// noteOpen brings the row of one record up to date.
func (s *State) noteOpen(t *task) {
	switch {
	case t.open() == (t.opened != ""):
	case t.open():
		t.opened = shownType(s.nodeOf(s.execOf(t), t.node))
		s.openTasks.Set(openKey{taskType: t.opened, task: t.id}, none{})
	default:
		s.openTasks.Delete(openKey{taskType: t.opened, task: t.id})
		t.opened = ""
	}
}
