package fsm

// OnFault has a function told of what the machine catches and rolls back.
func (s *State) OnFault(f func(v any)) { s.fault = f }
