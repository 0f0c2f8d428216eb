package fsm

import "github.com/pawlhq/pawl/fsm/expr"

// updateByTask reports on the task that an UPDATE_TASK record names, as a call from
// outside would.
func (s *State) updateByTask(e *execution, t *task) {
	c, failure := updateRequest(e, t)
	var res Result
	if failure == "" {
		failure = s.ask(func() (rej *Rejection) {
			res, rej = s.updateTask(c)
			return rej
		})
	}
	if failure != "" {
		s.acted(t.id, nil, failure)
		return
	}
	out := expr.AppendString([]byte(`{"updatedTaskId":`), res.Task.String())
	if len(c.Output) > 0 {
		out = append(append(out, `,"taskOutput":`...), c.Output...)
	}
	s.acted(t.id, append(out, '}'), "")
}

// updateRequest reads what an UPDATE_TASK record reports. A task without its workflow is
// one of its own execution.
func updateRequest(e *execution, t *task) (c *UpdateTask, failure string) {
	q := request{in: t.input.bytes(), of: "the input of UPDATE_TASK"}
	c = &UpdateTask{Ref: q.text("taskRefName"), Output: q.object("taskOutput"), Reason: q.text("reasonForIncompletion")}
	c.Replace = len(c.Output) > 0 && !q.flag("mergeOutput", false)
	status, task, workflow := q.text("taskStatus"), q.text("taskId"), q.text("workflowId")
	if q.failure != "" {
		return nil, q.failure
	}
	c.Status, _ = ParseTaskStatus(status)
	var err error
	switch {
	case task != "":
		c.Ref = ""
		if c.Task, err = ParseID(task); err != nil {
			return nil, join("No such task found by id: ", cut(task))
		}
	case workflow == "":
		c.Exec = e.id
	default:
		if c.Exec, err = ParseExecID(workflow); err != nil {
			return nil, join("No such workflow found by id: ", cut(workflow))
		}
	}
	if rej := c.validate(); rej != nil {
		return nil, rej.Error()
	}
	return c, ""
}
