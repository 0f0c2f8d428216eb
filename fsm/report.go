package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// fenced finds the task that a lease may finish. done is true when the same lease has
// finished it before: the first answer is given again.
func (s *State) fenced(id TaskID, lease Lease) (t *task, done bool, rej *Rejection) {
	t, ok := s.tasks.get(id)
	if !ok {
		return nil, false, notFound("No such task found by id: ", id.String())
	}
	if lease != 0 && t.doneLease == lease {
		return t, true, nil
	}
	if t.lease != lease || lease == 0 || s.execOf(t).status.Terminal() {
		rej = reject(StaleLease, "task ", id.String(), ": lease ", lease.String(), " superseded by ", t.last.String())
		if t.lease == lease {
			rej = reject(StaleLease, "task ", id.String(), ": its execution has ended")
		}
		rej.Task, rej.Got, rej.Want = id, lease, t.last
		return nil, false, rej
	}
	return t, false, nil
}

func notFound(parts ...string) *Rejection { return reject(NotFound, parts...) }

func again(t *task) Result {
	return Result{Exec: t.id.Exec, Task: t.id, Repeated: true, Index: t.doneIndex}
}

func (s *State) completeTask(c *CompleteTask) (Result, *Rejection) {
	t, done, rej := s.fenced(c.Task, c.Lease)
	if rej != nil {
		return Result{}, rej
	}
	if done {
		return again(t), nil
	}
	s.report(t, report{status: TaskStatusCompleted, output: c.Output, worker: c.Worker})
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}

func (s *State) failTask(c *FailTask) (Result, *Rejection) {
	t, done, rej := s.fenced(c.Task, c.Lease)
	if rej != nil {
		return Result{}, rej
	}
	if done {
		return again(t), nil
	}
	status := TaskStatusFailed
	if c.Terminal {
		status = TaskStatusFailedTerminal
	}
	s.report(t, report{status: status, output: c.Output, reason: c.Reason, worker: c.Worker})
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}

// report is what somebody says of a task.
type report struct {
	status   TaskStatus
	output   []byte
	reason   string
	worker   string
	unfenced bool // told without a lease
}

// report ends a task as told and lets its execution go on.
func (s *State) report(t *task, p report) {
	r := s.enter(s.execOf(t))
	t = s.tasks.mut(t)
	t.doneLease, t.doneIndex = t.lease, s.index
	t.unfenced = p.unfenced
	if p.worker != "" {
		t.worker = p.worker
	}
	t.reason = ""
	if t.output.kind == dataRaw { // left by earlier reports of the same attempt
		t.output = raw(expr.Merge(t.output.bytes(), orEmpty(p.output)))
	} else {
		t.output = raw(p.output)
	}
	t = s.closeTask(r, t, p.status, p.reason)
	s.emitTask(endOfTask(p.status), t)
	s.leave(r)
}

func orEmpty(b []byte) []byte {
	if len(b) == 0 {
		return []byte(emptyObject)
	}
	return b
}

func endOfTask(s TaskStatus) EventKind {
	if s == TaskStatusCompleted {
		return TaskCompleted
	}
	return TaskFailed
}

// progressTask takes a lease back together with some output; the same attempt is
// ready again after the callback time.
func (s *State) progressTask(c *ProgressTask) (Result, *Rejection) {
	t, done, rej := s.fenced(c.Task, c.Lease)
	if rej != nil {
		return Result{}, rej
	}
	if done {
		return again(t), nil
	}
	s.callBack(t, c.Output, int64(c.CallbackSeconds), c.Worker)
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}

func (s *State) callBack(t *task, output []byte, after int64, worker string) {
	t = s.tasks.mut(t)
	s.leavePlace(t)
	t.output = raw(expr.Merge(t.output.bytes(), orEmpty(output)))
	t.status, t.updated, t.callback = TaskStatusScheduled, s.now, after
	if worker != "" {
		t.worker = worker
	}
	t.place, t.ready = placeReady, s.now
	if after > 0 {
		t.place, t.ready = placeDelayed, addSeconds(s.now, after)
	}
	s.enterPlace(t)
	s.emitTask(TaskProgressed, t)
}

// updateTask takes a report without a lease, as people and Conductor's clients send
// it: authority is knowing the task.
func (s *State) updateTask(c *UpdateTask) (Result, *Rejection) {
	t, rej := s.taskToUpdate(c)
	if rej != nil {
		return Result{}, rej
	}
	e := s.execOf(t)
	if !t.open() || e.status.Terminal() {
		return Result{Exec: e.id, Task: t.id, Ignored: true}, nil
	}
	n := s.nodeOf(e, t.node)
	if n.Kind == def.Join || n.Kind == def.DoWhile || n.Kind == def.SubWorkflow {
		return Result{}, reject(Conflict, "task ", t.id.String(), ": a ", n.Type, " ends by its own rules and takes no report")
	}
	if c.Status != TaskStatusInProgress {
		s.report(t, report{status: c.Status, output: c.Output, unfenced: true, reason: c.Reason, worker: c.Worker})
		return Result{Exec: e.id, Task: t.id}, nil
	}
	if n.Kind == def.Worker {
		s.callBack(t, c.Output, 0, c.Worker)
		return Result{Exec: e.id, Task: t.id}, nil
	}
	t = s.tasks.mut(t)
	t.output = raw(expr.Merge(t.output.bytes(), orEmpty(c.Output)))
	t.updated = s.now
	return Result{Exec: e.id, Task: t.id}, nil
}

func (s *State) taskToUpdate(c *UpdateTask) (*task, *Rejection) {
	if !c.Task.IsZero() {
		t, ok := s.tasks.get(c.Task)
		if !ok {
			return nil, notFound("No such task found by id: ", c.Task.String())
		}
		return t, nil
	}
	e, ok := s.executions.get(c.Exec)
	if !ok {
		return nil, notFound("No such workflow found by id: ", c.Exec.String())
	}
	if t, found := s.openByRef(e, c.Ref); found {
		return t, nil
	}
	return nil, notFound("Found no running task ", c.Ref, " of workflow ", c.Exec.String(), " to update")
}

// openByRef finds the newest open record of a reference name, given plain or with the
// suffix of an iteration.
func (s *State) openByRef(e *execution, ref string) (*task, bool) {
	if t, ok := s.latestOf(e, ref); ok && t.open() {
		return t, true
	}
	if plain, suffixed := plainRef(ref); suffixed {
		if t, ok := s.latestOf(e, plain); ok && t.open() && visibleRef(s, t) == ref {
			return t, true
		}
	}
	return nil, false
}

// plainRef cuts trailing __digits groups off a reference name.
func plainRef(ref string) (plain string, cut bool) {
	end := len(ref)
	for {
		i := end
		for i > 0 && ref[i-1] >= '0' && ref[i-1] <= '9' {
			i--
		}
		if i == end || i < 3 || ref[i-1] != '_' || ref[i-2] != '_' {
			return ref[:end], end < len(ref)
		}
		end = i - 2
	}
}

// extendLeases starts the response clocks of leased tasks anew. It moves no timer.
func (s *State) extendLeases(c *ExtendLeases) (Result, *Rejection) {
	var stale *Rejection
	renewed := 0
	for _, x := range c.Items {
		t, ok := s.tasks.get(x.Task)
		if !ok || t.lease != x.Lease || s.execOf(t).status.Terminal() {
			stale = reject(StaleLease, "task ", x.Task.String(), ": lease ", x.Lease.String(), " does not hold any more")
			stale.Task, stale.Got = x.Task, x.Lease
			if ok {
				stale.Want = t.last
			}
			continue
		}
		t = s.tasks.mut(t)
		t.updated = s.now
		renewed++
	}
	if renewed == 0 && stale != nil {
		return Result{}, stale
	}
	return Result{}, nil
}

// returnLease gives back a lease that never reached its worker.
func (s *State) returnLease(c *ReturnLease) (Result, *Rejection) {
	t, done, rej := s.fenced(c.Task, c.Lease)
	if rej != nil {
		return Result{}, rej
	}
	if done {
		return again(t), nil
	}
	t = s.tasks.mut(t)
	s.leavePlace(t)
	t.status, t.updated, t.returned = TaskStatusScheduled, s.now, true
	t.place = placeReady
	s.enterPlace(t)
	s.emitTask(TaskReturned, t)
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}
