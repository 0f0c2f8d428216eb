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

func (s *State) bulkOne(c *Bulk, id ExecID) (rej *Rejection) {
	switch c.Verb {
	case BulkPause:
		_, rej = s.pauseExecution(&PauseExecution{Exec: id})
	case BulkResume:
		_, rej = s.resumeExecution(&ResumeExecution{Exec: id})
	case BulkRestart:
		_, rej = s.restartExecution(&RestartExecution{Exec: id, Latest: c.Latest})
	case BulkRetry:
		_, rej = s.retryExecution(&RetryExecution{Exec: id})
	case BulkDelete:
		_, rej = s.deleteExecution(&DeleteExecution{Exec: id, Force: c.Force})
	case BulkTerminate, BulkTerminateDelete:
		_, rej = s.terminateExecution(&TerminateExecution{Exec: id, Reason: c.Reason, TriggerFailureWorkflow: c.TriggerFailureWorkflow})
		if rej == nil && c.Verb == BulkTerminateDelete {
			_, rej = s.deleteExecution(&DeleteExecution{Exec: id})
		}
	}
	return rej
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
