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

// moveStatus changes an execution's status together with its row.
func (s *State) moveStatus(e *execution, status Status) {
	name := s.planOf(e).Name
	s.byStatus.drop(statusKey{status: e.status, name: name, created: e.created, exec: e.id})
	e.status = status
	s.byStatus.put(statusKey{status: e.status, name: name, created: e.created, exec: e.id}, none{})
}
