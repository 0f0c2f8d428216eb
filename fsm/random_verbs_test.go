package fsm

import "fmt"

// reopened lets the tasks be finished once more that verbs have opened again.
func (c *chaos) reopened(events []Event) {
	c.again = map[TaskID]bool{}
	for _, ev := range events {
		if id := (TaskID{Exec: ev.Exec, Serial: ev.Serial}); ev.Kind == TaskReopened {
			c.again[id] = true
			delete(c.accepted, id)
		}
	}
}

// ended picks an execution that has ended, if it can.
func (c *chaos) ended() ExecID {
	for range 8 {
		id := c.exec()
		if e, ok := c.a.find(id); ok && e.status.Terminal() {
			return id
		}
	}
	return c.exec()
}

// sealed picks an execution that has completed and may not be restarted, if there is one.
func (c *chaos) sealed(otherwise ExecID) ExecID {
	for _, id := range c.execs {
		if e, ok := c.a.find(id); ok && e.status == Completed && !c.a.planOf(e).Restartable {
			return id
		}
	}
	return otherwise
}

// anyTask picks a record of an execution, ended ones too.
func (c *chaos) anyTask(id ExecID) TaskID {
	var all []TaskID
	for t := range c.a.View().Tasks(id, 0) {
		all = append(all, t.ID)
		if !t.Child.IsZero() && c.r.IntN(3) == 0 {
			return c.anyTask(t.Child)
		}
	}
	if len(all) == 0 || c.r.IntN(20) == 0 {
		return TaskID{Exec: id, Serial: uint32(1 + c.r.IntN(9))}
	}
	return all[c.r.IntN(len(all))]
}

// stepOf picks a reference name of an execution's definition.
func (c *chaos) stepOf(id ExecID) string {
	e, ok := c.a.find(id)
	if !ok || c.r.IntN(20) == 0 {
		return "nowhere"
	}
	nodes := c.a.planOf(e).Nodes
	return nodes[c.r.IntN(len(nodes))].Ref
}

func (c *chaos) verbs() Body {
	id := c.ended()
	switch c.r.IntN(16) {
	case 0, 1:
		if c.r.IntN(4) == 0 {
			id = c.sealed(id)
		}
		return &RestartExecution{Exec: id, Latest: c.r.IntN(2) == 0}
	case 2, 3, 4, 5:
		return &RetryExecution{Exec: id, ResumeSubworkflows: c.r.IntN(2) == 0}
	case 6, 7, 8, 9:
		b := &RerunExecution{Exec: id}
		if c.r.IntN(4) > 0 {
			b.Task = c.anyTask(id)
			if c.r.IntN(3) == 0 {
				b.TaskInput = c.output()
			}
		}
		if c.r.IntN(4) == 0 {
			b.WorkflowInput, b.Correlation = c.output(), "c2"
		}
		return b
	}
	id = c.exec()
	switch c.r.IntN(8) {
	case 0, 1:
		return &SkipTask{Exec: id, Ref: c.stepOf(id), Input: c.output(), Output: c.output()}
	case 2, 3:
		return &JumpTo{Exec: id, Ref: c.stepOf(id), Input: c.output()}
	case 4:
		return &SetVariables{Exec: id, Variables: fmt.Appendf(nil, `{"v":[%d],"w":1}`, c.r.IntN(5)), Append: c.r.IntN(2) == 0}
	case 5:
		return &ResetCallbacks{Exec: id}
	case 6:
		if c.r.IntN(2) == 0 {
			return &Decide{Exec: id}
		}
		return &DeleteExecution{Exec: id, Force: c.r.IntN(2) == 0}
	}
	b := &Bulk{Verb: BulkVerb(1 + c.r.IntN(int(bulkEnd)-1)), Reason: "all", Force: c.r.IntN(2) == 0,
		ResumeSubworkflows: c.r.IntN(2) == 0, Ref: c.stepOf(id), Input: []byte(`{"v":[1]}`), Append: c.r.IntN(2) == 0}
	for range 1 + c.r.IntN(4) {
		b.IDs = append(b.IDs, c.exec())
	}
	return b
}
