package fsm

// bulk does a verb to many executions, each for itself: one that is refused, or whose
// verb faults, leaves no trace and does not keep the others from it.
func (s *State) bulk(c *Bulk) (Result, *Rejection) {
	res := Result{Items: make([]BulkItem, 0, len(c.IDs))}
	for _, id := range c.IDs {
		refused, fault := s.guarded(func() *Rejection { return s.bulkOne(c, id) })
		if fault {
			refused = reject(Faulted, "the machine caught a fault of its own and changed nothing")
		}
		res.Items = append(res.Items, BulkItem{Exec: id, Rejection: refused})
	}
	return res, nil
}

func (s *State) bulkOne(c *Bulk, id ExecID) *Rejection {
	_, rej := s.do(c.one(id))
	if rej == nil && c.Verb == BulkTerminateDelete {
		_, rej = s.do(&DeleteExecution{Exec: id})
	}
	return rej
}

// one is the command that a Bulk of a known verb stands for with one of its executions.
func (c *Bulk) one(id ExecID) Body {
	switch c.Verb {
	case BulkPause:
		return &PauseExecution{Exec: id}
	case BulkResume:
		return &ResumeExecution{Exec: id}
	case BulkRestart:
		return &RestartExecution{Exec: id, Latest: c.Latest}
	case BulkRetry:
		return &RetryExecution{Exec: id, ResumeSubworkflows: c.ResumeSubworkflows}
	case BulkDelete:
		return &DeleteExecution{Exec: id, Force: c.Force}
	case BulkRerun:
		return &RerunExecution{Exec: id, WorkflowInput: c.Input, Correlation: c.Correlation}
	case BulkSkip:
		return &SkipTask{Exec: id, Ref: c.Ref, Input: c.Input, Output: c.Output}
	case BulkJump:
		return &JumpTo{Exec: id, Ref: c.Ref, Input: c.Input}
	case BulkSetVariables:
		return &SetVariables{Exec: id, Variables: c.Input, Append: c.Append}
	case BulkResetCallbacks:
		return &ResetCallbacks{Exec: id}
	case BulkDecide:
		return &Decide{Exec: id}
	}
	return &TerminateExecution{Exec: id, Reason: c.Reason, TriggerFailureWorkflow: c.TriggerFailureWorkflow}
}

// maxRefused bounds what is remembered of a Bulk for a caller that asks again; beyond
// it messages are left out.
const maxRefused = 64 << 10

// refusedItems is what a repeated request needs to be answered as the first.
func refusedItems(items []BulkItem) []byte {
	w := writer{}
	for n, i := range items {
		if i.Rejection == nil {
			continue
		}
		w.nest(1, func(w *writer) {
			w.num(1, uint64(n))
			w.str(2, string(i.Rejection.Code))
			if len(w.b) < maxRefused {
				w.str(3, cut(i.Rejection.Message))
			}
		})
	}
	return w.b
}

// itemsOf is the answer to a repeated Bulk.
func itemsOf(b Body, refused []byte) []BulkItem {
	c, ok := b.(*Bulk)
	if !ok {
		return nil
	}
	items := make([]BulkItem, len(c.IDs))
	for i, id := range c.IDs {
		items[i].Exec = id
	}
	r := reader{b: refused}
	for r.next() {
		n, rej := uint64(0), &Rejection{}
		r.nest(func(r *reader) {
			switch r.tag {
			case 1:
				n = r.num()
			case 2:
				rej.Code = Code(r.str())
			case 3:
				rej.Message = r.str()
			default:
				r.unknown()
			}
		})
		if n < uint64(len(items)) {
			items[n].Rejection = rej
		}
	}
	return items
}
