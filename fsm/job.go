package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// jobKind is work of the server itself that a record waits for: what takes a script
// engine, a jq program or the rules of time zones. It rides on the record, whose
// visible status does not change by it. Stored.
type jobKind uint8

const (
	jobNone jobKind = iota
	jobScript
	jobJq
	jobTime
)

const (
	// jobLease is how long a job may go without an answer. Scripts stop themselves
	// long before.
	jobLease Millis = 15_000
	// maxTries bounds the leases of one job: what takes its worker down each time is
	// not handed out for ever.
	maxTries = 3
	// maxJobBytes bounds the inputs of the jobs that one entry hands out, since each
	// is built for the occasion; the first goes whatever its size.
	maxJobBytes = 8 << 20
	// maxJobSteps bounds what is gathered for one job, to 16 MiB.
	maxJobSteps = 1 << 16
)

func (k jobKind) queue() Queue {
	switch k {
	case jobScript:
		return def.ScriptQueue
	case jobJq:
		return def.JqQueue
	}
	return def.TimeQueue
}

// ownQueue says whether a queue is of the server's own work, which has no domains.
func ownQueue(name string) bool { return name != "" && name[0] == '$' }

// evaluates says whether records of a kind may wait for a job. Workers never have them.
func evaluates(k def.Kind) bool {
	switch k {
	case def.Switch, def.Join, def.DoWhile, def.Wait, def.Inline, def.Lambda, def.Jq:
		return true
	}
	return false
}

// beginJob lets a record wait for work of the server itself.
func (s *State) beginJob(t *task, k jobKind) {
	t = s.tasks.mut(t)
	s.leavePlace(t)
	e := s.executions.mut(s.execOf(t))
	e.jobs = count(e.jobs, 1)
	t.job = k
	name := k.queue()
	t.queue = s.internQueue(name, string(name)).id
	t.place, t.ready = placeReady, s.now
	s.enterPlace(t)
}

// dropJob ends the job of a record that leaves its place.
func (s *State) dropJob(t *task) {
	if t.job == jobNone {
		return
	}
	e := s.executions.mut(s.execOf(t))
	e.jobs = count(e.jobs, -1)
	t.job, t.grants, t.granted = jobNone, 0, 0
	t.queue, t.rank, t.ready = 0, 0, 0
	t.loops.verdict = verdictNone
}

// refile makes a leased job ready again.
func (s *State) refile(t *task) {
	s.unfile(t)
	t.place = placeReady
	s.enterPlace(t)
}

// grantJob leases a job to a slot, unless the entry has handed out enough.
func (s *State) grantJob(e *execution, t *task, o Offer) bool {
	if s.scratch.jobBytes >= maxJobBytes {
		return false
	}
	t = s.tasks.mut(t)
	s.unfile(t)
	lease := max(newLease(s.index, s.incarnation, s.scratch.leases), t.last+1)
	s.scratch.leases++
	t.lease, t.last, t.holder = lease, lease, o.Slot
	t.place, t.granted = placeLeased, s.now
	t.grants++
	s.enterPlace(t)
	n := s.nodeOf(e, t.node)
	input := s.jobInput(e, t, n)
	s.scratch.jobBytes += len(input)
	s.out.Grants = append(s.out.Grants, Leased{
		Slot: o.Slot, Task: t.id, Lease: lease, Queue: o.Queue, Type: string(t.job.queue()), Ref: visibleRef(s, t),
		Definition: s.planOf(e).Name, Retry: t.retry, Iteration: t.iteration, Priority: e.priority, Correlation: e.corr,
		Worker: o.Worker, Input: input, Scheduled: t.scheduled, ResponseMillis: jobLease, Hints: s.hints(e, n.Reach),
		Index: s.index,
	})
	return true
}

// jobSource is what a job evaluates.
type jobSource struct {
	language string // javascript, python, jq or zone
	function bool   // the source is the body of a function
	source   string
	input    []byte // JSON that it evaluates over
}

// jobInput is what the worker of a job is told. It is made when the job is leased and
// stored nowhere.
func (s *State) jobInput(e *execution, t *task, n *def.Node) []byte {
	j := s.jobSource(e, t, n)
	b := make([]byte, 0, len(j.source)+len(j.input)+128)
	b = expr.AppendString(append(b, `{"language":`...), j.language)
	b = append(b, `,"function":false`...)
	if j.function {
		b = append(b[:len(b)-len("false")], "true"...)
	}
	b = expr.AppendString(append(b, `,"source":`...), j.source)
	b = append(append(b, `,"input":`...), j.input...)
	b = appendInt(append(b, `,"now":`...), int64(s.now))
	return append(b, '}')
}

func (s *State) jobSource(e *execution, t *task, n *def.Node) jobSource {
	j := jobSource{language: language(n.Evaluator), source: n.Source, input: t.input.bytes()}
	switch n.Kind {
	case def.Inline, def.Lambda:
		in := inlineOf(t, n)
		j.language, j.source, j.function = language(in.by), in.source, n.Kind == def.Lambda
	case def.Jq:
		j.language, j.source = "jq", ""
		j.source, _ = textInput(t, "queryExpression")
	case def.DoWhile:
		j.input, _ = s.loopInput(e, t, n)
	case def.Join:
		j.input, _ = s.joinInput(e, t, n)
	case def.Wait:
		j.language, j.input = "zone", []byte(emptyObject)
		j.source, _ = textInput(t, "until")
		j.source = trimBlanks(j.source)
	}
	return j
}

func language(by def.Evaluator) string {
	if by == def.Python {
		return "python"
	}
	return "javascript"
}

// loseJob deals with a job whose lease has passed without an answer.
func (s *State) loseJob(e *execution, t *task) {
	if t.grants < maxTries {
		s.refile(t)
		return
	}
	r := s.enter(e)
	s.answer(r, t, finding{failure: jobLost, message: "script worker lost"})
	s.leave(r)
}

// finding is the outcome of a job.
type finding struct {
	result  []byte
	failure JobFailure
	message string
	line    int32
}

func (s *State) finishJob(c *FinishJob) (Result, *Rejection) {
	t, done, rej := s.fenced(c.Task, c.Lease)
	if rej != nil {
		return Result{}, rej
	}
	e := s.execOf(t)
	if !evaluates(s.nodeOf(e, t.node).Kind) {
		return Result{}, reject(Conflict, "task ", c.Task.String(), ": lease ", c.Lease.String(), " is of a worker, not of a job of the server")
	}
	if done {
		return again(t), nil
	}
	r := s.enter(e)
	t = s.tasks.mut(t)
	t.doneLease, t.doneIndex = c.Lease, s.index
	s.answer(r, t, finding{result: c.Result, failure: c.Failure, message: c.Message, line: c.Line})
	s.leave(r)
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}

// answer does what the record's own step does with the outcome of its job.
func (s *State) answer(r *run, t *task, a finding) {
	t = s.tasks.mut(t)
	s.leavePlace(t)
	n := s.nodeOf(r.e, t.node)
	switch n.Kind {
	case def.Switch:
		s.answerSwitch(r, t, n, a)
	case def.Inline, def.Lambda, def.Jq:
		s.answerInline(r, t, n, a)
	case def.DoWhile:
		s.answerLoop(r, t, n, a)
	case def.Join:
		s.answerJoin(r, t, a)
	case def.Wait:
		s.answerWait(r, t, a)
	default:
		panic("fsm: job of a step that has none")
	}
}

// rest lets a record whose job is over wait on for what it waited for before.
func (s *State) rest(t *task) {
	t.place = placeWaiting
	s.enterPlace(t)
}

// text says what went wrong, without where.
func (a finding) text() string {
	switch {
	case a.failure == JobTimedOut:
		return "Script not evaluated within 4 seconds, interrupted."
	case a.message != "":
		return a.message
	case a.failure == JobDied:
		return "the process that evaluated the script ended"
	}
	return "the script failed"
}

// scriptError says what went wrong and where, as Conductor words it.
func (a finding) scriptError() string {
	if a.failure != JobThrew && a.failure != JobMalformed {
		return a.text()
	}
	if a.line == 0 {
		return join("Error evaluating the script `", a.text(), "`")
	}
	return join("Error evaluating the script `", a.text(), "` at line ", itoa(int64(a.line)))
}

// threw is the answer of a script that was evaluated here and threw.
func threw(err *expr.ScriptError) finding {
	return finding{failure: JobThrew, message: err.Message, line: int32(err.Line)}
}

// answerWait goes on with a WAIT whose time is known now.
func (s *State) answerWait(r *run, t *task, a finding) {
	until, ok := atoi(a.result)
	switch {
	case a.failure == jobLost, a.failure == JobTimedOut, a.failure == JobDied: // the time may be a good one
		s.failInline(r, t, TaskStatusFailedTerminal, a.text())
	case a.failure != JobDone || !ok:
		date, _ := textInput(t, "until")
		s.failInline(r, t, TaskStatusFailedTerminal, badUntil(date))
	default:
		s.waitFor(r, t, max(Millis(until), 1))
	}
}
