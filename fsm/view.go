package fsm

import "iter"

// View is State as of one index. It is a small value, and any goroutine may read it
// without a lock. A View that is kept holds on to the records changed since.
type View struct{ s *State }

// Index is the index of the last entry in the View; 0 for the zero View.
func (v View) Index() uint64 {
	if v.s == nil {
		return 0
	}
	return v.s.index
}

// Time is cluster time as of the View.
func (v View) Time() Millis {
	if v.s == nil {
		return 0
	}
	return v.s.now
}

// Incarnation is the cluster's as of the View.
func (v View) Incarnation() uint8 {
	if v.s == nil {
		return 0
	}
	return v.s.incarnation
}

// Digest sums up the View's rows.
func (v View) Digest() Digest {
	if v.s == nil {
		return Digest{}
	}
	return v.s.Digest()
}

// Execution gives one execution.
func (v View) Execution(id ExecID) (ExecutionInfo, bool) {
	if v.s == nil {
		return ExecutionInfo{}, false
	}
	e, ok := v.s.find(id)
	if !ok {
		return ExecutionInfo{}, false
	}
	i := v.summary(e)
	i.Input, i.Variables = e.input.bytes(), e.variables.bytes()
	i.Output = v.s.render(e, e.output)
	i.FailedRefs, i.FailedNames = v.failed(e)
	return i, true
}

// summary is an execution without its payloads.
func (v View) summary(e *execution) ExecutionInfo {
	p := v.s.planOf(e)
	i := ExecutionInfo{
		ID: e.id, Definition: p.Name, Version: p.Version, Status: e.status, Reason: e.reason,
		Created: e.created, Updated: e.updated, Ended: e.endTime, Correlation: e.corr, Priority: e.priority,
		CreatedBy: e.createdBy, Key: e.key_, Parent: e.parent, Tasks: v.records(e), Jobs: int(e.jobs),
	}
	if e.quota != "" {
		i.Quota, i.Parked = e.quota[len(quotaPrefix(p.Name)):], e.quotaState == quotaWaits
	}
	if !e.status.Terminal() {
		i.Messages = v.s.messages(e.id)
	}
	if e.failedTask != 0 {
		i.FailedTask = TaskID{Exec: e.id, Serial: e.failedTask}
	}
	return i
}

func (v View) records(e *execution) int {
	t := v.s.tasks.tree
	hidden := t.Rank(TaskID{Exec: e.id, Serial: e.hideTo}) - t.Rank(TaskID{Exec: e.id, Serial: e.hideFrom})
	return t.Rank(TaskID{Exec: e.id, Serial: 1<<32 - 1}) - t.Rank(TaskID{Exec: e.id}) - hidden
}

// Tasks gives the records of an execution from a serial on, in the order in which they
// were made.
func (v View) Tasks(id ExecID, from uint32) iter.Seq[TaskInfo] {
	return func(yield func(TaskInfo) bool) {
		if v.s == nil {
			return
		}
		e, ok := v.s.find(id)
		if !ok {
			return
		}
		for t := range v.recordsOf(e, from) {
			if !yield(v.info(e, t)) {
				return
			}
		}
	}
}

// Task gives one record.
func (v View) Task(id TaskID) (TaskInfo, bool) {
	if v.s == nil {
		return TaskInfo{}, false
	}
	t, ok := v.s.findTask(id)
	if !ok {
		return TaskInfo{}, false
	}
	return v.info(v.s.execOf(t), t), true
}

func (v View) info(e *execution, t *task) TaskInfo {
	i := v.brief(e, t)
	i.Input, i.Output = v.s.shownJSON(e, t), v.s.render(e, t.output)
	return i
}

// brief is a record without its payloads.
func (v View) brief(e *execution, t *task) TaskInfo {
	n := v.s.nodeOf(e, t.node)
	i := TaskInfo{
		ID: t.id, Ref: visibleRef(v.s, t), Name: shownName(n), Type: shownType(n), Kind: n.Type,
		Status: effective(e, t), Seq: t.seq, Retry: t.retry, Iteration: shownIteration(n, t), Retried: t.retried,
		Executed: t.executed, Scheduled: t.scheduled, Started: t.start, Ended: t.end, Updated: t.updated,
		Reason: t.reason, Worker: t.worker, Lease: t.lease,
		DoneLease: t.doneLease, Unfenced: t.unfenced, Child: t.child, Polls: t.polls, StartDelay: t.startDelay,
		CallbackSeconds: t.callback, Due: t.due.at,
	}
	if evaluates(n.Kind) { // how a job is done is nobody's business
		i.Lease, i.DoneLease = 0, 0
	}
	if i.Status != t.status { // swept only in what readers see
		i.Ended, i.Lease = e.endTime, 0
	}
	if t.status == TaskStatusSkipped {
		i.Type = n.Name // as Conductor shows steps that a verb skips
	}
	if t.retriedOf != 0 {
		i.RetriedOf = TaskID{Exec: e.id, Serial: t.retriedOf}
	}
	if t.job != jobNone {
		i.Due = 0
	} else if q, ok := v.s.queues.get(t.queue); ok {
		i.Queue = q.name
	}
	return i
}

// Definition gives a registered version; 0 means the highest.
func (v View) Definition(name string, version int32) (DefinitionInfo, bool) {
	if v.s == nil {
		return DefinitionInfo{}, false
	}
	d, ok := v.s.lookup(name, version)
	if !ok {
		return DefinitionInfo{}, false
	}
	return v.definition(d), true
}

func (v View) definition(d *definition) DefinitionInfo {
	p, _ := v.s.plans.get(d.plan)
	return DefinitionInfo{Name: d.name, Version: d.version, Created: d.created, Updated: d.updated, Source: p.source.raw}
}

// Definitions gives all registered versions by name and version.
func (v View) Definitions() iter.Seq[DefinitionInfo] {
	return func(yield func(DefinitionInfo) bool) {
		if v.s == nil {
			return
		}
		for _, d := range v.s.definitions.tree.All() {
			if !yield(v.definition(d)) {
				return
			}
		}
	}
}

// TaskType gives a registered task type.
func (v View) TaskType(name string) (TaskTypeInfo, bool) {
	if v.s == nil {
		return TaskTypeInfo{}, false
	}
	t, ok := v.s.taskTypes.get(name)
	if !ok {
		return TaskTypeInfo{}, false
	}
	return t.info(), true
}

func (t *taskType) info() TaskTypeInfo {
	return TaskTypeInfo{Name: t.name, Created: t.created, Updated: t.updated, Source: t.parsed.Source}
}

// TaskTypes gives all registered task types by name.
func (v View) TaskTypes() iter.Seq[TaskTypeInfo] {
	return func(yield func(TaskTypeInfo) bool) {
		if v.s == nil {
			return
		}
		for _, t := range v.s.taskTypes.tree.All() {
			if !yield(t.info()) {
				return
			}
		}
	}
}

// Queue gives the state of a queue.
func (v View) Queue(name Queue) (QueueInfo, bool) {
	if v.s == nil {
		return QueueInfo{}, false
	}
	q, ok := v.s.findQueue(name)
	if !ok {
		return QueueInfo{}, false
	}
	return v.queue(q), true
}

func (v View) queue(q *queue) QueueInfo {
	i := QueueInfo{Queue: q.name, Type: q.limit, Ready: int(q.ready), Delayed: int(q.delayed), Leased: int(q.leased), Paused: q.paused,
		Permits: v.s.permits(q.limit).Free}
	if t, ok := v.s.taskTypes.get(q.limit); ok {
		i.Concurrency = int(t.parsed.ConcurrentLimit)
		if i.Rate = int(t.parsed.RateLimit); i.Rate > 0 {
			i.RateSeconds = int(t.parsed.RateWindow)
		}
	}
	if k, ok := v.s.firstInQueue(q); ok {
		if t, found := v.s.tasks.get(k.task); found {
			i.Oldest = max(0, v.s.now-t.scheduled)
		}
	}
	return i
}

// Queues gives all queues in the order in which they came to be.
func (v View) Queues() iter.Seq[QueueInfo] {
	return func(yield func(QueueInfo) bool) {
		if v.s == nil {
			return
		}
		for _, q := range v.s.queues.tree.All() {
			if !yield(v.queue(q)) {
				return
			}
		}
	}
}

// Ready gives the ready count of every queue that has any, for a scheduler that takes over.
func (v View) Ready() iter.Seq[QueueReady] {
	return func(yield func(QueueReady) bool) {
		if v.s == nil {
			return
		}
		for _, q := range v.s.queues.tree.All() {
			if r := v.s.readyToTell(q); r.Ready > 0 && !yield(r) {
				return
			}
		}
	}
}

// Permits gives the free permits of every type that has a limit.
func (v View) Permits() iter.Seq[LimitFree] {
	return func(yield func(LimitFree) bool) {
		if v.s == nil {
			return
		}
		for _, t := range v.s.taskTypes.tree.All() {
			if p := v.s.permits(t.name); p.Free >= 0 && !yield(p) {
				return
			}
		}
	}
}

// NextDue is the earliest timer, 0 when there is none.
func (v View) NextDue() Millis {
	if v.s == nil {
		return 0
	}
	k, _, _ := v.s.due.tree.Min()
	return k.at
}

// DueHints names queues of the delayed tasks that come due next.
func (v View) DueHints() []Queue {
	if v.s == nil {
		return nil
	}
	return v.s.dueHints()
}

// More reports whether background work is left that an entry should carry on.
func (v View) More() bool {
	if v.s == nil {
		return false
	}
	k, _, ok := v.s.due.tree.Min()
	return v.s.agenda.tree.Len() > 0 || ok && k.at <= v.s.now
}

// DefinitionHints gives what can become ready when each registered version starts.
func (v View) DefinitionHints() iter.Seq[DefinitionHint] {
	return func(yield func(DefinitionHint) bool) {
		if v.s == nil {
			return
		}
		for k, d := range v.s.definitions.tree.All() {
			p, _ := v.s.plans.get(d.plan)
			if !yield(v.s.hintOf(k, p.compiled.Reach)) {
				return
			}
		}
	}
}
