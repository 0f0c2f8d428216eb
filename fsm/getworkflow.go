package fsm

import "github.com/pawlhq/pawl/fsm/expr"

// getWorkflow completes a GET_WORKFLOW record with the execution that it names, as it is
// now.
func (s *State) getWorkflow(r *run, t *task) {
	q := request{in: t.input.bytes(), of: "the input of GET_WORKFLOW"}
	text, withTasks := q.text("id"), q.flag("includeTasks", false)
	id, err := ParseExecID(text)
	e, ok := s.find(id)
	switch {
	case q.failure != "":
		s.failInline(r, t, TaskStatusFailed, q.failure)
		return
	case text == "":
		s.failInline(r, t, TaskStatusFailed, "Missing 'id' in input data.")
		return
	case err != nil || !ok:
		s.failInline(r, t, TaskStatusFailed, join("No such workflow found by id: ", cut(text)))
		return
	}
	b := expr.Budget{Steps: expr.MaxEvalSteps}
	out, err := s.appendExecution(nil, e, &b)
	if err == nil && withTasks {
		out, err = s.appendTasks(out, e, &b)
	}
	s.spend((expr.MaxEvalSteps - b.Steps) / 1024)
	if err != nil || len(out) >= MaxPayload {
		s.failInline(r, t, TaskStatusFailedTerminal, join("Workflow ", id.String(), " is larger than the output of a task may be"))
		return
	}
	s.completeInline(r, t, append(out, '}'))
}

// appendExecution appends an execution as Conductor's workflow object, without its tasks
// and without the closing brace.
func (s *State) appendExecution(b []byte, e *execution, budget *expr.Budget) ([]byte, error) {
	b, err := expr.Composite(&workflowEnv{s: s, e: e}).AppendWithin(b, budget)
	if err != nil {
		return nil, err
	}
	b = appendInt(append(b[:len(b)-1], `,"startTime":`...), int64(e.created))
	b = appendInt(append(b, `,"updateTime":`...), int64(e.updated))
	if e.status.Terminal() {
		b = appendInt(append(b, `,"endTime":`...), int64(e.endTime))
	}
	return b, nil
}

// appendTasks appends the member with the records of an execution.
func (s *State) appendTasks(b []byte, e *execution, budget *expr.Budget) ([]byte, error) {
	b = append(b, `,"tasks":[`...)
	first := true
	for id, t := range s.tasks.tree.From(TaskID{Exec: e.id}) {
		switch {
		case id.Exec != e.id:
			return append(b, ']'), nil
		case e.hides(id.Serial):
			continue
		case !first:
			b = append(b, ',')
		}
		first = false
		var err error
		if b, err = expr.Composite(&taskEnv{s: s, e: e, t: t}).AppendWithin(b, budget); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}
