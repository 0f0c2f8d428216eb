package fsm

import "github.com/pawlhq/pawl/fsm/expr"

// maxFailedTasks bounds the records that a failure workflow is told of.
const maxFailedTasks = 1000

// snapshotJSON renders an execution as Conductor's workflow object, for the input of a
// failure workflow. Records beyond the bound, or payloads that would make it larger
// than a task may have, are left out.
func (s *State) snapshotJSON(e *execution) []byte {
	head := s.workflowJSON(e)
	b := append(append([]byte(nil), head...), `,"tasks":[`...)
	n := 0
	for id, t := range s.tasks.tree.From(TaskID{Exec: e.id}) {
		if id.Exec != e.id || n == maxFailedTasks {
			break
		}
		if n > 0 {
			b = append(b, ',')
		}
		b = expr.Composite(&taskEnv{s: s, e: e, t: t}).AppendJSON(b)
		n++
		if len(b) > MaxCommandBytes {
			return append(append([]byte(nil), head...), `,"tasks":[]}`...)
		}
	}
	return append(b, "]}"...)
}

// workflowJSON is the object without its tasks and without its closing brace.
func (s *State) workflowJSON(e *execution) []byte {
	b := expr.Composite(&workflowEnv{s: s, e: e}).AppendJSON(nil)
	return b[:len(b)-1]
}
