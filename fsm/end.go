package fsm

import "github.com/pawlhq/pawl/fsm/def"

// fail ends the execution through a record that failed for good.
func (s *State) fail(r *run, t *task) {
	status := Failed
	switch t.status {
	case TaskStatusCanceled:
		status = Terminated
	case TaskStatusTimedOut:
		status = TimedOut
	}
	r.e.failedTask = t.id.Serial
	s.end(r, status, join("Task ", t.id.String(), " failed with status: ", status.String(), " and reason: '", t.reason, "'"),
		ending{output: &t.output})
}

func (s *State) totalUsedUp(t *task, tt *def.TaskType) bool {
	return tt.TotalTimeout > 0 && s.now >= addSeconds(t.firstScheduled, tt.TotalTimeout)
}

// failTotal ends the execution because all attempts together took too long.
func (s *State) failTotal(r *run, t *task, tt *def.TaskType) {
	status := Failed
	if t.status == TaskStatusTimedOut {
		status = TimedOut
	}
	r.e.failedTask = t.id.Serial
	s.end(r, status, join("Task ", t.id.String(), "/", s.nodeOf(r.e, t.node).Name, " exceeded total timeout of ",
		itoa(tt.TotalTimeout), " seconds (elapsed ", itoa(int64(s.now-t.firstScheduled)/1000),
		" seconds across all attempts). No further retries will be attempted."), ending{output: &t.output})
}

// permissiveReasons joins what the permissive failures say that the flow has passed.
func (s *State) permissiveReasons(e *execution) string {
	var b []byte
	for id := range s.bad.tree.From(TaskID{Exec: e.id}) {
		if id.Exec != e.id || len(b) > MaxReason {
			break
		}
		t, ok := s.tasks.get(id)
		if !ok || t.retried || !s.nodeOf(e, t.node).Permissive {
			continue
		}
		if len(b) > 0 {
			b = append(b, ". "...)
		}
		b = append(b, join("Task ", id.String(), " failed with status: ", t.status.String(), " and reason: '", t.reason, "'")...)
	}
	return string(b)
}

// ending is how an execution ends.
type ending struct {
	// output is taken when the definition has no template; nil means that of the last record.
	output *Data
	fixed  bool // output stands whatever the definition says
	asked  bool // by a verb or a parent's end: no failure workflow follows
}

// end ends the execution at once for every reader. Records that are still open are
// swept behind it.
func (s *State) end(r *run, status Status, reason string, how ending) {
	e := r.e
	atFault := e.faulted
	s.takeFaults(e)
	s.moveStatus(e, status)
	e.reason = cut(reason)
	e.endTime, e.updated, e.endIndex = s.now, s.now, s.index
	s.disarmExecution(e)
	output, failure := s.outputOf(e, how)
	if failure != "" && status == Completed {
		status = Failed
		s.moveStatus(e, status)
		e.reason = cut(failure)
	}
	e.output = output
	r.stop = true
	r.batch, r.fin, r.joins, r.loops = r.batch[:0], r.fin[:0], r.joins[:0], r.loops[:0]
	s.emit(Event{Kind: endKind(status), Exec: e.id, Status: status, Reason: e.reason})
	if !e.parent.IsZero() {
		s.scratch.soon = append(s.scratch.soon, item{kind: itemReport, exec: e.id})
	}
	if status != Completed && !how.asked {
		s.announceFailure(r)
	}
	if s.early(e.id) {
		s.cutRevival(e)
		if atFault { // which took its item away
			s.scratch.soon = append(s.scratch.soon, item{kind: itemRevive, exec: e.id})
		}
		return
	}
	s.closeAfter(e)
}

// closeAfter sweeps what an execution that has ended left open.
func (s *State) closeAfter(e *execution) {
	e.revival, e.cutTo = nil, 0
	if _, _, kept := s.firstRow(e.id, inboxMessages); kept || e.openAll > 0 || e.ending > 0 || s.heldAny(e) {
		e.sweep = sweepClosing
		s.scratch.soon = append(s.scratch.soon, item{kind: itemClose, exec: e.id})
		return
	}
	s.swept(e)
}

func endKind(status Status) EventKind {
	switch status {
	case Completed:
		return ExecutionCompleted
	case Failed:
		return ExecutionFailed
	case TimedOut:
		return ExecutionTimedOut
	}
	return ExecutionTerminated
}

// outputOf is the output of an execution that ends: of a TERMINATE step, of the
// definition's template, or of the record that ended it. It says why it is none if the
// template makes more than an execution may have; what it was to be made of is there.
func (s *State) outputOf(e *execution, how ending) (out Data, failure string) {
	if how.fixed {
		return *how.output, ""
	}
	last, ok := s.lastTask(e)
	if !ok { // as Conductor does: nothing ran, so there is nothing to tell
		return Data{}, ""
	}
	if p := s.planOf(e); p.Output != nil {
		out, err := s.evaluate(e, nil, p.Output)
		switch {
		case err != nil:
			return Data{}, expressionFailure(err)
		case len(out) > MaxPayload:
			return Data{}, join("The payload size: ", itoa(int64(len(out))), " of workflow: ", e.id.String(),
				" is greater than the permissible limit: ", itoa(MaxPayload), " bytes")
		}
		return raw(out), ""
	}
	if how.output != nil {
		return *how.output, ""
	}
	if last.output.kind <= dataRaw {
		return last.output, ""
	}
	return Data{kind: dataTask, of: last.id.Serial}, ""
}

func (s *State) lastTask(e *execution) (*task, bool) {
	for id, t := range s.tasks.tree.Before(TaskID{Exec: e.id, Serial: 1<<32 - 1}) {
		return t, id.Exec == e.id
	}
	return nil, false
}

// swept tells the parent's sweep, if it waits, that nothing of this execution is left to do.
func (s *State) swept(e *execution) {
	e.sweep = sweepNone
	if e.gone {
		s.beginPurge(e)
	}
	if !e.counted {
		return
	}
	e.counted = false
	if p, ok := s.executions.get(e.parent.Exec); ok && p.ending > 0 {
		p = s.executions.mut(p)
		p.ending--
		if p.ending == 0 && p.openAll == 0 && p.status.Terminal() && p.sweep == sweepClosing {
			s.swept(p)
		}
	}
}

// closeRecords is the sweep behind an end: open records leave their queues, timers and
// leases, and running children are told to end. A record at fault is left for when a
// person resumes the execution. It reports whether it is through.
func (s *State) closeRecords(e *execution, from uint32) (next uint32, done bool) {
	s.dropHeld(e)
	s.dropMessages(e)
	var open []*task
	for id, t := range s.tasks.tree.From(TaskID{Exec: e.id, Serial: from}) {
		if id.Exec != e.id || e.openAll == uint32(len(open)) {
			break
		}
		if len(open) == quantum || s.scratch.steps <= 0 {
			next = id.Serial
			break
		}
		s.scratch.steps--
		if t.open() {
			s.scratch.steps -= s.tellCost(e, t)
			open = append(open, t)
		}
	}
	for _, t := range open {
		_, fault := s.guarded(func() *Rejection {
			s.cancel(s.executions.mut(e), t)
			return nil
		})
		if fault && !e.faulted {
			s.quarantineItem(item{kind: itemClose, exec: e.id})
		}
	}
	switch {
	case s.heldAny(e) || next != 0:
		return next, false
	case e.openAll > 0:
		return next, e.faulted
	case e.ending == 0:
		s.swept(e)
	}
	return 0, true
}

// cancel stores what readers have seen since the execution ended.
func (s *State) cancel(e *execution, t *task) {
	t = s.tasks.mut(t)
	s.leavePlace(t)
	s.disarm(t)
	t.status, t.end, t.updated = TaskStatusCanceled, e.endTime, e.endTime
	s.bad.put(t.id, none{})
	e.openAll = count(e.openAll, -1)
	if t.loop == 0 {
		e.open = count(e.open, -1)
	} else if l, ok := s.tasks.get(TaskID{Exec: e.id, Serial: t.loop}); ok {
		l = s.tasks.mut(l)
		l.loops.open = count(l.loops.open, -1)
	}
	s.emitTask(TaskCanceled, t)
	if t.child.IsZero() {
		return
	}
	if i, runs := s.endBelow(e, t, parentReason(e)); runs {
		s.push(i)
	}
}

// endBelow is the item that ends the child of a record that is over, if that runs. The
// sweep of its own execution waits for it.
func (s *State) endBelow(e *execution, t *task, reason string) (i item, runs bool) {
	c, ok := s.executions.get(t.child)
	if !ok || c.status.Terminal() {
		return item{}, false
	}
	e.ending++
	s.executions.mut(c).counted = true // whatever ends it gives back
	return item{kind: itemEnd, exec: c.id, reason: reason}, true
}

func parentReason(e *execution) string {
	if e.reason != "" {
		return join("Parent workflow has been terminated with reason: ", e.reason)
	}
	return join("Parent workflow has been terminated with status ", e.status.String())
}

// heldAny says whether rows of any list are held.
func (s *State) heldAny(e *execution) bool { return len(s.heldRows(e, heldBatch, heldExpand, 1)) > 0 }

// dropHeld forgets what a run was holding; the execution has ended.
func (s *State) dropHeld(e *execution) {
	gone := s.heldRows(e, heldBatch, heldExpand, quantum)
	s.spend(len(gone))
	for _, k := range gone {
		s.held.drop(k)
	}
}
