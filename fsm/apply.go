package fsm

import "slices"

// Bounds of the work in one entry, in units: a record made, ended, moved or deleted,
// or 64 KiB of payload produced.
const (
	// MaxSteps bounds what the flow does for one command; the rest goes to the agenda.
	MaxSteps = 4096
	// MaxEntrySteps bounds all commands of an entry together.
	MaxEntrySteps = 16384
	// MaxDue bounds the timers that one entry fires.
	MaxDue = 1024
	// quantum is what one agenda item may spend before the next has its turn.
	quantum = 1024
	// payloadUnit is the number of bytes that count as one unit.
	payloadUnit = 64 << 10
)

// Apply applies the entry at index and tells what it did. It never fails: a command
// that cannot be done is rejected, and has then changed nothing. It keeps payloads of
// the commands, never the entry. Only one goroutine may call it.
func (s *State) Apply(index uint64, e *Entry) *Applied {
	if index <= s.index {
		panic("fsm: entry applied twice")
	}
	s.begin(index, e)
	s.work(e)
	return s.finish()
}

func (s *State) work(e *Entry) {
	s.fireDue()
	for _, c := range e.Commands {
		budget := min(MaxSteps, s.scratch.left)
		s.scratch.steps = budget
		s.out.Results = append(s.out.Results, s.step(c))
		s.runSoon()
		s.scratch.left = max(0, s.scratch.left-(budget-s.scratch.steps))
	}
	s.runAgenda()
	s.dispatch(e.Offers)
}

func (s *State) begin(index uint64, e *Entry) {
	s.index = index
	s.now = max(s.now, e.Time)
	s.out = &Applied{Results: make([]Result, 0, len(e.Commands)), Events: make([]Event, 0, 3*len(e.Commands)+4)}
	s.scratch.executions, s.scratch.leases, s.scratch.skips, s.scratch.jobBytes = 0, 0, 0, 0
	s.scratch.work = int(min(e.Work, MaxWork))
	s.scratch.left = MaxEntrySteps
	s.j.mark++
	for _, q := range e.Seen {
		s.markSeen(q)
	}
	if len(e.Commands) > 0 { // before the timers that the outage made late
		if c, ok := e.Commands[0].Body.(*BeginTerm); ok && e.Commands[0].malformed == nil {
			s.spareLeases(c.Gap)
		}
	}
	s.expireRequests(len(e.Commands))
}

// step does one command, or refuses it and leaves no trace.
func (s *State) step(c *Command) Result {
	var res Result
	refused, fault := s.guarded(func() *Rejection {
		if c.malformed != nil {
			return reject(Malformed, c.malformed.Error())
		}
		if again, rej, seen := s.repeated(c); seen {
			res = again
			return rej
		}
		var rej *Rejection
		if res, rej = s.do(c.Body); rej != nil {
			return rej
		}
		s.remember(c, res)
		return nil
	})
	switch {
	case fault:
		s.emit(Event{Kind: CommandFaulted})
		return Result{Index: s.index, Rejection: reject(Faulted, "the machine caught a fault of its own and changed nothing")}
	case refused != nil:
		return Result{Index: s.index, Rejection: refused}
	case res.Index == 0:
		res.Index = s.index
	}
	return res
}

func (s *State) do(b Body) (Result, *Rejection) {
	switch c := b.(type) {
	case *StartExecution:
		return s.startExecution(c)
	case *CompleteTask:
		return s.completeTask(c)
	case *FailTask:
		return s.failTask(c)
	case *ProgressTask:
		return s.progressTask(c)
	case *UpdateTask:
		return s.updateTask(c)
	case *ExtendLeases:
		return s.extendLeases(c)
	case *ReturnLease:
		return s.returnLease(c)
	case *FinishJob:
		return s.finishJob(c)
	case *PauseExecution:
		return s.pauseExecution(c)
	case *ResumeExecution:
		return s.resumeExecution(c)
	case *TerminateExecution:
		return s.terminateExecution(c)
	case *Signal:
		return s.signal(c)
	}
	return s.doAdmin(b)
}

func (s *State) doAdmin(b Body) (Result, *Rejection) {
	switch c := b.(type) {
	case *PutDefinition:
		return s.putDefinition(c)
	case *DeleteDefinition:
		return s.deleteDefinition(c)
	case *PutTaskType:
		return s.putTaskType(c)
	case *DeleteTaskType:
		return s.deleteTaskType(c)
	case *PauseQueue:
		return s.setQueuePaused(c.Queue, true)
	case *ResumeQueue:
		return s.setQueuePaused(c.Queue, false)
	case *BeginTerm:
		return s.beginTerm(c)
	case *RaiseIncarnation:
		return s.raiseIncarnation(c)
	}
	return s.doVerb(b)
}

func (s *State) doVerb(b Body) (Result, *Rejection) {
	switch c := b.(type) {
	case *RestartExecution:
		return s.restartExecution(c)
	case *RetryExecution:
		return s.retryExecution(c)
	case *RerunExecution:
		return s.rerunExecution(c)
	case *SkipTask:
		return s.skipTask(c)
	case *JumpTo:
		return s.jumpTo(c)
	case *SetVariables:
		return s.setVariables(c)
	case *ResetCallbacks:
		return s.resetCallbacks(c)
	case *Decide:
		return s.decideExecution(c)
	case *DeleteExecution:
		return s.deleteExecution(c)
	case *Bulk:
		return s.bulk(c)
	case *PushMessage:
		return s.pushMessage(c)
	}
	return s.doSetting(b)
}

// finish closes the entry: the digest, what changed for the scheduler, what is due.
func (s *State) finish() *Applied {
	out := s.out
	s.reportQueues(out)
	s.noteTouched()
	s.dropOpen()
	s.tables.settle()
	s.j.ops = shrink(s.j.ops)
	if k, _, ok := s.due.tree.Min(); ok {
		out.NextDue = k.at
		out.DueHints = s.dueHints()
	}
	out.More = s.agenda.tree.Len() > 0 || out.NextDue != 0 && out.NextDue <= s.now
	s.out = nil
	s.scratch.queues = s.scratch.queues[:0]
	s.scratch.limits = s.scratch.limits[:0]
	return out
}

func (s *State) reportQueues(out *Applied) {
	slices.Sort(s.scratch.limits)
	s.scratch.limits = slices.Compact(s.scratch.limits)
	for _, name := range s.scratch.limits {
		if l, ok := s.limits.get(name); ok {
			s.scratch.queues = append(s.scratch.queues, l.lanes...)
		}
		out.Permits = append(out.Permits, s.permits(name))
	}
	slices.Sort(s.scratch.queues)
	for _, id := range slices.Compact(s.scratch.queues) {
		if q, ok := s.queues.get(id); ok {
			out.Ready = append(out.Ready, s.readyToTell(q))
		}
	}
}

// shortGap is an outage too short to have kept a worker from extending its lease.
const shortGap Millis = 1000

// spareLeases lets no lease expire before an outage has passed once more: while nobody
// led, nobody could extend one.
func (s *State) spareLeases(gap Millis) {
	if gap > shortGap {
		s.noExpiryBefore = max(s.noExpiryBefore, s.now+gap)
	}
}

// beginTerm notes that a node leads.
func (s *State) beginTerm(c *BeginTerm) (Result, *Rejection) {
	s.spareLeases(c.Gap)
	s.out.Begun = &TermBegun{Node: c.Node, Boot: c.Boot}
	s.emit(Event{Kind: TermBegan})
	return Result{}, nil
}

func (s *State) raiseIncarnation(c *RaiseIncarnation) (Result, *Rejection) {
	if c.To <= s.incarnation {
		return Result{}, reject(Conflict, "incarnation: must be above the current one")
	}
	s.incarnation = c.To
	s.emit(Event{Kind: IncarnationRaised})
	return Result{}, nil
}
