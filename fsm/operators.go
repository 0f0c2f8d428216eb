package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// execute does what a new record does by itself. Records that only wait are left.
func (s *State) execute(r *run, t *task) {
	if t.place == placeParked {
		s.unpark(r, t)
		return
	}
	n := s.nodeOf(r.e, t.node)
	if t.status.Terminal() {
		s.afterSwitch(r, t, n)
		return
	}
	s.spend(1)
	switch n.Kind {
	case def.Noop:
		s.completeInline(r, t, nil)
	case def.Inline, def.Lambda:
		s.beginInline(r, t, n)
	case def.Jq:
		s.beginJq(r, t)
	case def.SetVariable:
		s.setVariable(r, t)
	case def.Terminate:
		s.terminateByTask(r, t)
	case def.Wait:
		s.beginWait(r, t)
	case def.DoWhile:
		if t.loops.cur > 0 {
			r.loops = addSorted(r.loops, t.id.Serial)
			return
		}
		s.beginLoop(r, t, n)
	case def.SubWorkflow:
		s.startChild(r, t, n)
	case def.Join:
		if t.join.pending == 0 {
			r.joins = addSorted(r.joins, t.id.Serial)
		}
	case def.ExclusiveJoin:
		r.joins = addSorted(r.joins, t.id.Serial)
	case def.Yield:
		s.block(r, t)
	case def.PullMessages:
		s.pullMessages(r, t)
	case def.GetWorkflow:
		s.getWorkflow(r, t)
	case def.StartWorkflow, def.TerminateWorkflow, def.UpdateTask:
		s.scratch.soon = append(s.scratch.soon, item{kind: itemAct, exec: r.e.id, serial: t.id.Serial})
	}
}

func (s *State) completeInline(r *run, t *task, output []byte) {
	t = s.closeTask(r, t, TaskStatusCompleted, "")
	t.output = raw(output)
	s.emitTask(TaskCompleted, t)
}

func (s *State) failInline(r *run, t *task, status TaskStatus, reason string) {
	t = s.closeTask(r, t, status, reason)
	s.emitTask(TaskFailed, t)
}

// makeFork makes the fork, the heads of its branches and the join behind them.
func (s *State) makeFork(r *run, t *task, n *def.Node, depth int) {
	t.start, t.updated, t.end = s.now, s.now, s.now
	t.status, t.executed, t.settled = TaskStatusCompleted, true, true
	if failure := s.evaluateInput(r, t, n, &adHocOther); failure != "" {
		t.status, t.executed, t.settled, t.reason = TaskStatusFailed, false, false, cut(failure)
		t = s.store(r, t)
		s.bad.put(t.id, none{})
		r.fin = addSorted(r.fin, t.id.Serial)
		return
	}
	t = s.store(r, t)
	s.emitTask(TaskCompleted, t)
	s.settleFork(r, t, n)
	s.expand(r, t, n, depth)
}

// settleFork counts the fork itself in joins that name it, which is odd but legal.
func (s *State) settleFork(r *run, t *task, n *def.Node) {
	if len(n.Joiners) > 0 || t.member != 0 {
		t = s.tasks.mut(t)
		t.settled = false
		s.settle(r, t)
	}
}

// expandQuantum is the number of branches that one step of a fork begins.
const expandQuantum = 1024

// expand begins further branches; the join is made behind the last. A fork up to the
// quantum is complete in the step that makes it.
func (s *State) expand(r *run, t *task, n *def.Node, depth int) {
	first := t.done == 0
	to := min(len(n.Heads), int(t.done)+expandQuantum)
	for i := int(t.done); i < to; i++ {
		s.makeAt(r, t.node.at(n.Heads[i]), t.loop, t.iteration, depth+1)
	}
	t = s.tasks.mut(t)
	t.done = uint32(to)
	switch more := to < len(n.Heads); {
	case first && more:
		s.occupy(r, t, 1) // branches that are not there yet keep the scope from ending
	case !first && !more:
		s.occupy(r, t, -1)
		if t.loop != 0 {
			r.loops = addSorted(r.loops, t.loop)
		}
	}
	if to < len(n.Heads) {
		s.push(item{kind: itemExpand, exec: r.e.id, serial: t.id.Serial})
		return
	}
	if n.JoinOf != def.None { // a fork that is a member of a fragment has none
		s.makeJoin(r, t.node.at(n.JoinOf), t.loop, t.iteration)
	}
}

func (s *State) makeJoin(r *run, ref nodeRef, loop, iteration uint32) {
	n := s.nodeOf(r.e, ref)
	if r.stop {
		return
	}
	if x, ok := s.recordAt(r.e, ref, loop, iteration); ok {
		s.passOver(r, x, n)
		return
	}
	t := s.newTask(r, ref, n, loop, iteration)
	s.addTask(r, t, n)
}

// countMembers sets the counters of a new JOIN from the members that are there
// already, and shows their names in its input.
func (s *State) countMembers(e *execution, t *task, n *def.Node) {
	t.output = Data{kind: dataJoin, of: t.id.Serial} // fills as the members end
	if n.ForkOf != def.None {
		s.countForked(e, t, n)
		return
	}
	t.input = raw(expr.SetKey(t.input.bytes(), "joinOn", s.namesJSON(e, t, n.JoinOn)))
	for _, number := range n.JoinOn {
		m := s.nodeOf(e, t.node.at(number))
		if x, ok := s.recordAt(e, t.node.at(number), t.loop, t.iteration); ok && x.settled {
			addMember(&t.join, x, m.Permissive)
			continue
		}
		t.join.pending++
	}
	s.spend(len(n.JoinOn) / 64)
}

// closeJoin judges a JOIN whose members have all settled.
func (s *State) closeJoin(r *run, t *task) {
	if !t.open() || t.join.pending > 0 || t.job != jobNone {
		return
	}
	s.spend(1)
	if n := s.nodeOf(r.e, t.node); n.Kind == def.ExclusiveJoin {
		s.closeExclusive(r, t, n)
		return
	} else if n.Source != "" {
		s.askJoin(r, t, n)
		return
	}
	t = s.tasks.mut(t)
	j := t.join
	switch {
	case j.bad == 0 && j.soft == 0:
		t = s.closeTask(r, t, TaskStatusCompleted, "")
		s.emitTask(TaskCompleted, t)
	case j.bad == 0:
		t = s.closeTask(r, t, TaskStatusCompletedWithErrors, s.memberReasons(r.e, t, true))
		s.emitTask(TaskCompletedWithErrors, t)
	case j.bad == j.badCanceled:
		t = s.closeTask(r, t, TaskStatusCanceled, s.memberReasons(r.e, t, false))
		s.emitTask(TaskCanceled, t)
	default:
		t = s.closeTask(r, t, TaskStatusFailed, s.memberReasons(r.e, t, false))
		s.emitTask(TaskFailed, t)
	}
}

// memberReasons joins the reasons of the members that did not succeed, in member
// order; soft ones ended with errors that are allowed.
func (s *State) memberReasons(e *execution, t *task, soft bool) string {
	if t.fork != 0 {
		return s.forkedReasons(e, t, soft)
	}
	n := s.nodeOf(e, t.node)
	var b []byte
	for _, number := range n.JoinOn {
		m, ok := s.recordAt(e, t.node.at(number), t.loop, t.iteration)
		if !ok {
			continue
		}
		if b = s.appendReason(e, b, m, soft); len(b) > MaxReason {
			break
		}
	}
	return string(b)
}

// appendReason adds what a member says that did not succeed, or, for soft, that ended
// with errors that are allowed.
func (s *State) appendReason(e *execution, b []byte, m *task, soft bool) []byte {
	if m.status.Successful() != soft || m.status == TaskStatusCompleted || m.status == TaskStatusSkipped {
		return b
	}
	if len(b) > 0 {
		b = append(b, ' ')
	}
	if soft {
		return append(b, join(s.nodeOf(e, m.node).Name, "/", m.id.String(), " ", m.reason, " completed with errors")...)
	}
	return append(b, m.reason...)
}

// setVariable writes the record's input over the execution's variables.
func (s *State) setVariable(r *run, t *task) {
	vars := expr.Merge(r.e.variables.bytes(), t.input.bytes())
	if len(vars) > MaxVariables {
		s.failInline(r, t, TaskStatusFailedTerminal, join("The variables payload size: ", itoa(int64(len(vars))),
			" of workflow: ", r.e.id.String(), " is greater than the permissible limit: ", itoa(MaxVariables>>10), " kilobytes"))
		return
	}
	r.e.variables = raw(vars)
	s.completeInline(r, t, nil)
}

// MaxVariables bounds the variables of an execution, in bytes.
const MaxVariables = 256 << 10

// terminateByTask ends the execution as a TERMINATE step says.
func (s *State) terminateByTask(r *run, t *task) {
	status, ok := terminationStatus(t.input.bytes())
	if !ok {
		s.failInline(r, t, TaskStatusFailed, "given termination status is not valid")
		return
	}
	output := []byte(nil)
	if v, found := expr.Get(t.input.bytes(), "workflowOutput"); found && expr.KindOf(v) != expr.Null {
		output = v
		if expr.KindOf(v) != expr.Map {
			output = append(append([]byte(`{"output":`), v...), '}')
		}
	}
	reason := join("Workflow is ", status.String(), " by TERMINATE task: ", t.id.String())
	if text, given := textInput(t, "terminationReason"); given {
		reason = text
	}
	s.completeInline(r, t, output)
	done := s.tasks.mut(s.taskAt(r.e, t.id.Serial))
	done.executed = true
	s.settle(r, done)
	if status != Completed {
		r.e.failedTask = t.id.Serial
	}
	s.end(r, status, reason, ending{output: &done.output, fixed: true})
}

func terminationStatus(input []byte) (Status, bool) {
	v, _ := expr.Get(input, "terminationStatus")
	text, _ := expr.Unquote(v)
	st, ok := ParseStatus(text)
	return st, ok && (st == Completed || st == Failed || st == Terminated)
}

// beginWait starts a WAIT: until a time, for a duration, or until somebody ends it.
func (s *State) beginWait(r *run, t *task) {
	until, zone, failure := s.waitUntil(t)
	switch {
	case failure != "":
		s.failInline(r, t, TaskStatusFailedTerminal, failure)
	case zone:
		s.beginJob(t, jobTime)
	default:
		s.waitFor(r, t, until)
	}
}

// waitFor lets a WAIT end at a time; 0 is when somebody ends it.
func (s *State) waitFor(r *run, t *task, until Millis) {
	if until != 0 && until <= s.now {
		s.completeInline(r, t, nil)
		return
	}
	if until == 0 {
		s.block(r, t)
		return
	}
	t = s.tasks.mut(t)
	t.place, t.ready = placeWaiting, until
	t.callback = int64((until - s.now + 999) / 1000)
	s.waits.put(t.id, none{})
	s.arm(t)
}

// block leaves a record to a signal, which finds it, or to an update.
func (s *State) block(r *run, t *task) {
	t = s.tasks.mut(t)
	t.place, t.ready = placeWaiting, 0
	t.callback = maxCallback
	s.emit(Event{Kind: ExecutionBlocked, Exec: r.e.id, Serial: t.id.Serial, Ref: visibleRef(s, t)})
	s.waits.put(t.id, none{})
	s.arm(t)
}

// maxCallback is what a WAIT without an end shows.
const maxCallback = 1<<31 - 1

// waitUntil reads when a WAIT ends; zone says that it takes the rules of a time zone
// to tell.
func (s *State) waitUntil(t *task) (until Millis, zone bool, failure string) {
	duration, hasDuration := textInput(t, "duration")
	date, hasDate := textInput(t, "until")
	switch {
	case hasDuration && hasDate:
		return 0, false, "Both 'duration' and 'until' specified. Please provide only one input"
	case hasDuration:
		millis, ok := def.ParseDuration(duration)
		if !ok {
			return 0, false, join("Not valid duration: ", cut(duration))
		}
		return addSeconds(s.now, millis/1000) + Millis(millis%1000), false, ""
	case hasDate:
		at, ok, zone := def.ParseUntil(date)
		if !ok && !zone {
			return 0, false, badUntil(date)
		}
		return max(Millis(at), 1), zone, ""
	}
	return 0, false, ""
}

func badUntil(date string) string {
	return join("Invalid/Unsupported Wait Until format.  Provided: ", cut(date))
}

// textInput is a non-empty input as text; numbers count as their digits.
func textInput(t *task, key string) (string, bool) {
	v, ok := expr.Get(t.input.bytes(), key)
	if !ok || expr.KindOf(v) == expr.Null {
		return "", false
	}
	if text, isText := expr.Unquote(v); isText {
		return text, text != ""
	}
	return string(v), true
}
