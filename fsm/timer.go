package fsm

import "github.com/pawlhq/pawl/fsm/def"

// owner is whose time a row of due is.
type owner struct {
	kind  ownerKind
	task  TaskID // serial 0 for an execution
	limit string // task type whose window is full
}

// ownerKind numbers are stored.
type ownerKind uint8

const (
	ownerTask ownerKind = 1 + iota
	ownerExecution
	ownerLimit
)

// deadline is one time limit of a record.
type deadline struct {
	at   Millis
	what deadlineKind
}

type deadlineKind uint8

const (
	dueTotal deadlineKind = 1 + iota
	dueAttempt
	duePoll
	dueResponse
	dueReady // a delay or a wait is over
	dueJob   // the lease of a job is over
)

// deadlines lists the limits that hold for a record where it is, in the order in which
// they are judged.
func (s *State) deadlines(t *task, n *def.Node, tt *def.TaskType) (list [4]deadline, count int) {
	add := func(at Millis, what deadlineKind) {
		list[count] = deadline{at: at, what: what}
		count++
	}
	enforced := tt.TimeoutPolicy != def.AlertOnly
	if tt.TotalTimeout > 0 && enforced {
		add(addSeconds(t.firstScheduled, tt.TotalTimeout), dueTotal)
	}
	if tt.Timeout > 0 && enforced && t.start != 0 { // also while it waits to be called back
		add(addSeconds(t.start, tt.Timeout+t.startDelay), dueAttempt)
	}
	if t.job != jobNone {
		if t.place == placeLeased {
			add(max(t.granted+jobLease, s.noExpiryBefore), dueJob)
		}
		return list, count
	}
	switch t.place {
	case placeReady:
		if tt.PollTimeout > 0 && enforced {
			add(addSeconds(t.scheduled, t.startDelay+tt.PollTimeout+t.callback), duePoll)
		}
	case placeLeased:
		if tt.ResponseTimeout > 0 {
			add(max(addSeconds(t.updated, tt.ResponseTimeout+t.callback), s.noExpiryBefore), dueResponse)
		}
	case placeDelayed, placeWaiting:
		if t.ready > 0 && (t.place == placeDelayed || n.Kind == def.Wait) {
			add(t.ready, dueReady)
		}
	}
	return list, count
}

// arm sets a record's timer to the earliest of its limits. A timer that would fire too
// early is left: it is judged then, and set anew. So a heartbeat moves no timer.
func (s *State) arm(t *task) {
	e := s.execOf(t)
	if t.place == placeNone || e.over(t) {
		s.disarm(t)
		return
	}
	n := s.nodeOf(e, t.node)
	list, count := s.deadlines(t, n, s.typeOf(n))
	var first Millis
	for _, d := range list[:count] {
		if first == 0 || d.at < first {
			first = d.at
		}
	}
	if first == 0 {
		s.disarm(t)
		return
	}
	if t.due.at != 0 && t.due.at <= first {
		return
	}
	s.disarm(t)
	t = s.tasks.mut(t)
	t.due = s.nextDue(first)
	s.due.put(t.due, owner{kind: ownerTask, task: t.id})
}

func (s *State) nextDue(at Millis) dueKey {
	s.nextTie++
	return dueKey{at: at, tie: s.nextTie}
}

func (s *State) disarm(t *task) {
	if t.due.at == 0 {
		return
	}
	s.due.drop(t.due)
	s.tasks.mut(t).due = dueKey{}
}

// armExecution sets the timer of an execution's own time limit.
func (s *State) armExecution(e *execution) {
	p := s.planOf(e)
	if p.TimeoutSeconds <= 0 || p.TimeoutPolicy == def.AlertOnly {
		return
	}
	s.disarmExecution(e)
	e.due = s.nextDue(addSeconds(s.executionClock(e), p.TimeoutSeconds))
	s.due.put(e.due, owner{kind: ownerExecution, task: TaskID{Exec: e.id}})
}

// executionClock is when an execution's time began: it starts anew when resumed.
func (s *State) executionClock(e *execution) Millis {
	if e.lastRetried > 0 {
		return e.lastRetried
	}
	return e.created
}

func (s *State) disarmExecution(e *execution) {
	if e.due.at != 0 {
		s.due.drop(e.due)
		e.due = dueKey{}
	}
}

// fireDue fires what is due, in order, as far as the entry's work goes.
func (s *State) fireDue() {
	for n := 0; n < MaxDue && s.scratch.work > 0; n++ {
		k, o, ok := s.due.tree.Min()
		if !ok || k.at > s.now {
			return
		}
		budget := min(quantum, s.scratch.work)
		s.scratch.steps = budget
		_, fault := s.guarded(func() *Rejection {
			s.fire(k, o)
			return nil
		})
		if fault {
			s.quarantineTimer(k, o)
		}
		s.runSoon()
		s.scratch.work -= max(1, budget-s.scratch.steps)
	}
}

// quarantineTimer takes away a timer that faulted and pauses the execution it belongs
// to; the timer is judged again when that is resumed.
func (s *State) quarantineTimer(k dueKey, o owner) {
	s.due.drop(k)
	if l, ok := s.limits.get(o.limit); ok && l.due == k {
		s.limits.mut(l).due = dueKey{} // armed anew by the next lease
		return
	}
	if t, ok := s.tasks.get(o.task); ok {
		s.tasks.mut(t).due = dueKey{}
		s.held.put(heldKey{exec: o.task.Exec, list: heldOverdue, serial: o.task.Serial}, none{})
	} else if e, ok := s.executions.get(o.task.Exec); ok {
		s.executions.mut(e).due = dueKey{}
	}
	s.quarantine(o.task.Exec)
}

func (s *State) fire(k dueKey, o owner) {
	s.due.drop(k)
	if o.kind == ownerLimit {
		s.fireWake(k, o.limit)
		return
	}
	if o.kind == ownerExecution {
		if e, ok := s.executions.get(o.task.Exec); ok {
			s.fireExecution(s.executions.mut(e))
		}
		return
	}
	t, ok := s.tasks.get(o.task)
	if !ok {
		return
	}
	t = s.tasks.mut(t)
	t.due = dueKey{}
	e := s.execOf(t)
	if e.over(t) {
		return
	}
	n := s.nodeOf(e, t.node)
	list, count := s.deadlines(t, n, s.typeOf(n))
	for _, d := range list[:count] {
		if d.at > s.now {
			continue
		}
		if d.what == dueReady {
			s.fireReady(e, t, n)
		} else if d.what == dueJob {
			s.loseJob(e, t)
		} else if e.status == Paused {
			// Judged when the execution is resumed.
			s.held.put(heldKey{exec: e.id, list: heldOverdue, serial: t.id.Serial}, none{})
		} else {
			s.timeOut(e, t, n, d.what)
		}
		return
	}
	s.arm(t)
}

// fireReady ends a delay or a wait.
func (s *State) fireReady(e *execution, t *task, n *def.Node) {
	switch {
	case t.place == placeDelayed && t.queue != 0:
		s.leavePlace(t)
		t.place = placeReady
		s.enterPlace(t)
		s.emitTask(TaskReady, t)
	case t.place == placeDelayed:
		r := s.enter(e)
		s.leavePlace(t)
		t.place, t.ready = placeWaiting, 0
		if !begins(n.Kind) {
			t.status, t.start, t.updated = TaskStatusInProgress, s.now, s.now
			s.tell(def.OnStart, t)
		}
		s.arm(t)
		r.batch = addSorted(r.batch, t.id.Serial)
		s.leave(r)
	default: // a WAIT
		r := s.enter(e)
		t = s.closeTask(r, t, TaskStatusCompleted, "")
		s.emitTask(TaskCompleted, t)
		s.leave(r)
	}
}

// timeOut ends a record whose limit has passed, and with some policies the execution.
func (s *State) timeOut(e *execution, t *task, n *def.Node, what deadlineKind) {
	tt := s.typeOf(n)
	r := s.enter(e)
	reason := s.timeOutReason(t, n, tt, what)
	t = s.closeTask(r, t, TaskStatusTimedOut, reason)
	s.emitTask(TaskTimedOut, t)
	ends := what != dueResponse && tt.TimeoutPolicy == def.TimeOutWorkflow
	s.timeOutBelow(r.e, t, reason, ends)
	if ends {
		r.e.failedTask = t.id.Serial
		s.end(r, TimedOut, reason, ending{output: &t.output})
	}
	s.leave(r)
}

// timeOutBelow ends the child of a record whose time is up, with its execution or alone.
func (s *State) timeOutBelow(e *execution, t *task, reason string, ends bool) {
	i, runs := item{kind: itemOrphan, exec: t.child, reason: join("Parent workflow has gone on without it: ", reason)}, !t.child.IsZero()
	if ends {
		i, runs = s.endBelow(e, t, join("Parent workflow has been terminated with reason: ", reason))
	}
	if runs {
		s.scratch.soon = append(s.scratch.soon, i)
	}
}

func (s *State) timeOutReason(t *task, n *def.Node, tt *def.TaskType, what deadlineKind) string {
	policy := policyName(tt.TimeoutPolicy)
	switch what {
	case dueTotal:
		return join("Task ", n.Name, "/", t.id.String(), " exceeded total timeout of ", itoa(tt.TotalTimeout),
			" seconds (elapsed ", itoa(int64(s.now-t.firstScheduled)/1000),
			" seconds across all attempts including retry delays). Timeout policy: ", policy)
	case dueAttempt:
		return join("Task timed out after ", itoa(int64(s.now-t.start)/1000-t.startDelay), " seconds. Timeout configured as ",
			itoa(tt.Timeout), " seconds. Timeout policy configured to ", policy)
	case duePoll:
		return join("Task poll timed out after ", itoa(int64(s.now-t.scheduled)/1000-t.startDelay), " seconds. Poll timeout configured as ",
			itoa(tt.PollTimeout), " seconds. Timeout policy configured to ", policy)
	}
	return join("responseTimeout: ", itoa(tt.ResponseTimeout), " exceeded for the taskId: ", t.id.String(),
		" with Task Definition: ", n.Name)
}

func policyName(p def.TimeoutPolicy) string {
	switch p {
	case def.Retry:
		return "RETRY"
	case def.AlertOnly:
		return "ALERT_ONLY"
	}
	return "TIME_OUT_WF"
}

// fireExecution ends an execution whose time is up, paused or not.
func (s *State) fireExecution(e *execution) {
	e.due = dueKey{}
	p := s.planOf(e)
	if e.status.Terminal() || p.TimeoutSeconds <= 0 {
		return
	}
	began := s.executionClock(e)
	if s.now < addSeconds(began, p.TimeoutSeconds) {
		s.armExecution(e)
		return
	}
	r := s.enter(e)
	s.end(r, TimedOut, join("Workflow timed out after ", itoa(int64(s.now-began)/1000), " seconds. Timeout configured as ",
		itoa(p.TimeoutSeconds), " seconds. Timeout policy configured to TIME_OUT_WF"), ending{})
	s.leave(r)
}

// maxDueScan bounds the timers looked at for hints.
const maxDueScan = 16

// dueHints names the queues of the delayed tasks that come due next.
func (s *State) dueHints() []Queue {
	var out []Queue
	n := 0
	for _, o := range s.due.tree.All() {
		if n++; n > maxDueScan || len(out) == def.MaxReach {
			break
		}
		if o.kind == ownerLimit {
			out = s.wakeHints(out, o.limit)
			continue
		}
		if o.kind != ownerTask {
			continue
		}
		if t, ok := s.tasks.get(o.task); ok && t.place == placeDelayed && t.queue != 0 {
			if q, found := s.queues.get(t.queue); found {
				out = append(out, q.name)
			}
		}
	}
	return out
}
