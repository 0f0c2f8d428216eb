package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// fenced finds the task that a lease may finish. done is true when the same lease has
// finished it before: the first answer is given again.
func (s *State) fenced(id TaskID, lease Lease) (t *task, done bool, rej *Rejection) {
	t, ok := s.findTask(id)
	if !ok {
		return nil, false, notFound("No such task found by id: ", id.String())
	}
	if lease != 0 && t.doneLease == lease {
		return t, true, nil
	}
	if e := s.execOf(t); t.lease != lease || lease == 0 || e.over(t) {
		return nil, false, stale(e, t, lease)
	}
	return t, false, nil
}

// workerFenced is fenced for what workers say: a job of the server is finished by its
// own command.
func (s *State) workerFenced(id TaskID, lease Lease) (t *task, done bool, rej *Rejection) {
	t, done, rej = s.fenced(id, lease)
	if rej == nil && evaluates(s.nodeOf(s.execOf(t), t.node).Kind) {
		return nil, false, reject(Conflict, "task ", id.String(), ": lease ", lease.String(), " is of a job of the server, which takes no report")
	}
	return t, done, rej
}

// stale refuses a lease that does not hold, and says why it does not.
func stale(e *execution, t *task, lease Lease) *Rejection {
	var why string
	switch {
	case lease > t.last:
		why = "was never given"
	case lease != t.last && t.open():
		why = join("superseded by ", t.last.String())
	case e.over(t):
		why = join("is over: the task is ", effective(e, t).String())
	default:
		why = "was given back"
	}
	rej := reject(StaleLease, "task ", t.id.String(), ": lease ", lease.String(), " ", why)
	rej.Task, rej.Got, rej.Want = t.id, lease, t.last
	return rej
}

func notFound(parts ...string) *Rejection { return reject(NotFound, parts...) }

func again(t *task) Result {
	return Result{Exec: t.id.Exec, Task: t.id, Repeated: true, Index: t.doneIndex}
}

func (s *State) completeTask(c *CompleteTask) (Result, *Rejection) {
	t, done, rej := s.workerFenced(c.Task, c.Lease)
	if rej != nil {
		return Result{}, rej
	}
	if done {
		return again(t), nil
	}
	p := report{status: TaskStatusCompleted, output: c.Output, worker: c.Worker}
	if n := s.nodeOf(s.execOf(t), t.node); n.Kind == def.Call && n.Async {
		return s.called(t, p)
	}
	return s.report(t, p)
}

func (s *State) failTask(c *FailTask) (Result, *Rejection) {
	t, done, rej := s.workerFenced(c.Task, c.Lease)
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
	return s.report(t, report{status: status, output: c.Output, reason: c.Reason, worker: c.Worker})
}

// report is what somebody says of a task.
type report struct {
	status   TaskStatus
	output   []byte
	reason   string
	worker   string
	unfenced bool // told without a lease
}

// report ends a task as told and lets its execution go on. A lease that runs meanwhile
// is revoked by a report without one: only the lease that was used may ask again.
func (s *State) report(t *task, p report) (Result, *Rejection) {
	output, over := merged(t, p.output)
	if over > 0 {
		p.status, p.reason = TaskStatusFailedTerminal, payloadTooLarge(t, over)
	}
	r := s.enter(s.execOf(t))
	t = s.tasks.mut(t)
	if !p.unfenced {
		t.doneLease = t.lease
	}
	t.doneIndex = s.index
	t.unfenced = p.unfenced
	if p.worker != "" {
		t.worker = p.worker
	}
	t.reason = ""
	t.output = output
	t = s.closeTask(r, t, p.status, p.reason)
	s.keepOutput(t, s.nodeOf(r.e, t.node))
	s.emitTask(endOfTask(p.status), t)
	s.leave(r)
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}

// merged is what a task's output becomes by a report: over what earlier reports of the
// same attempt left. When that would go over the bound, over is its size, the output
// stays as it was, and the report is one of a failure for good.
func merged(t *task, output []byte) (out Data, over int) {
	switch {
	case t.output.kind != dataRaw:
		return raw(output), 0
	case len(output) == 0:
		return t.output, 0
	}
	both := expr.Merge(t.output.bytes(), output)
	if len(both) > MaxPayload {
		return t.output, len(both)
	}
	return raw(both), 0
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
	t, done, rej := s.workerFenced(c.Task, c.Lease)
	if rej != nil {
		return Result{}, rej
	}
	if done {
		return again(t), nil
	}
	return s.callBack(t, report{output: c.Output, worker: c.Worker}, int64(c.CallbackSeconds))
}

func (s *State) callBack(t *task, p report, after int64) (Result, *Rejection) {
	out, over := merged(t, p.output)
	if over > 0 {
		return s.report(t, p)
	}
	t = s.tasks.mut(t)
	s.leavePlace(t)
	t.output = out
	t.status, t.updated, t.callback = TaskStatusScheduled, s.now, after
	if p.worker != "" {
		t.worker = p.worker
	}
	t.place, t.ready = placeReady, s.now
	if after > 0 {
		t.place, t.ready = placeDelayed, addSeconds(s.now, after)
	}
	s.enterPlace(t)
	s.emitTask(TaskProgressed, t)
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}

// updateTask takes a report without a lease, as people and Conductor's clients send
// it: authority is knowing the task.
func (s *State) updateTask(c *UpdateTask) (Result, *Rejection) {
	t, rej := s.taskToUpdate(c)
	if rej != nil {
		return Result{}, rej
	}
	e := s.execOf(t)
	if e.over(t) {
		return Result{Exec: e.id, Task: t.id, Ignored: true}, nil
	}
	if t.place == placeParked {
		return Result{}, reject(Conflict, "task ", t.id.String(), ": its execution waits for its quota and has not begun")
	}
	if c.ExtendLease {
		s.tasks.mut(t).updated = s.now
		return Result{Exec: e.id, Task: t.id}, nil
	}
	if c.Replace {
		t = s.tasks.mut(t)
		t.output = Data{}
	}
	n := s.nodeOf(e, t.node)
	switch n.Kind {
	case def.Join, def.ExclusiveJoin, def.DoWhile, def.SubWorkflow, def.StartWorkflow,
		def.TerminateWorkflow, def.UpdateTask:
		return Result{}, reject(Conflict, "task ", t.id.String(), ": a ", n.Type, " ends by its own rules and takes no report")
	}
	if t.job != jobNone {
		return Result{}, reject(Conflict, "task ", t.id.String(), ": the server evaluates it, and takes no report meanwhile")
	}
	p := report{status: c.Status, output: c.Output, unfenced: true, reason: c.Reason, worker: c.Worker}
	if c.Status != TaskStatusInProgress {
		return s.report(t, p)
	}
	if n.Kind == def.Worker {
		return s.callBack(t, p, int64(c.CallbackSeconds))
	}
	output, over := merged(t, c.Output)
	if over > 0 {
		return s.report(t, p)
	}
	t = s.tasks.mut(t)
	t.output = output
	t.updated = s.now
	return Result{Exec: e.id, Task: t.id}, nil
}

func (s *State) taskToUpdate(c *UpdateTask) (*task, *Rejection) {
	if !c.Task.IsZero() {
		t, ok := s.findTask(c.Task)
		if !ok {
			return nil, notFound("No such task found by id: ", c.Task.String())
		}
		return t, nil
	}
	e, ok := s.find(c.Exec)
	if !ok {
		return nil, noExecution(c.Exec)
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
	var refused *Rejection
	renewed := false
	for _, x := range c.Items {
		t, ok := s.findTask(x.Task)
		if !ok {
			refused = notFound("No such task found by id: ", x.Task.String())
			continue
		}
		if e := s.execOf(t); t.lease != x.Lease || e.over(t) {
			refused = stale(e, t, x.Lease)
			continue
		}
		if t.job == jobNone { // a job has its time, whoever does it
			s.tasks.mut(t).updated = s.now
		}
		renewed = true
	}
	if renewed {
		return Result{}, nil
	}
	return Result{}, refused
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
	if t.job != jobNone {
		t.grants--
		s.refile(t)
		return Result{Exec: t.id.Exec, Task: t.id}, nil
	}
	s.leavePlace(t)
	t.status, t.updated, t.returned = TaskStatusScheduled, s.now, true
	t.place = placeReady
	s.enterPlace(t)
	s.emitTask(TaskReturned, t)
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}
