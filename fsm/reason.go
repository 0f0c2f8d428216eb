package fsm

// Reason says one thing that a task or an execution waits for, with what is known of it.
// Fields that do not go with its kind are zero.
type Reason struct {
	Kind string // one of the Why words
	Text string // the same for people, at most MaxReason bytes
	// Task is the task that it is said of, or with serial 0 an execution as a whole; Ref
	// is the reference name of that task, with the suffix of its iteration.
	Task TaskID
	Ref  string
	// Depth is 0 for what was asked about and n for what waits n executions below it.
	Depth int
	Until Millis // when it is over by itself; 0 when no time ends it
	Count int    // how many are ahead, missing, open, allowed or left to do; tries of a job
	Queue Queue
	Type  string // the task type whose limit holds
	// Of are tasks, or with serial 0 executions: the child that is waited for, those that
	// hold what is waited for; at most maxNamed.
	Of []TaskID
	// Names are the reference names of the steps that are waited for, at most maxNamed.
	Names []string
}

// What a task or an execution may wait for. The words are part of the API.
const (
	WhyEnded       = "ended"        // nothing: it is over
	WhyClosing     = "closing"      // its execution has ended, and what it left behind is being swept
	WhyPaused      = "paused"       // somebody to resume the execution
	WhyFault       = "fault"        // somebody to look at a fault of the machine, and to resume the execution
	WhyStuck       = "stuck"        // nothing: all that is open waits for each other
	WhySweep       = "sweep"        // the sweep that puts records in order after a verb
	WhyAgenda      = "agenda"       // its turn in the machine's own unfinished work
	WhyDue         = "due"          // the next entry: its time has come
	WhyHeld        = "held"         // its execution to go on: it has its own part done, or not begun
	WhyQuota       = "quota"        // a part of the quota of its definition
	WhyDelayed     = "delayed"      // the end of its delay
	WhyBackoff     = "backoff"      // the end of the delay of a further attempt
	WhyCallback    = "callback"     // the end of the time that its worker asked for
	WhyQueuePaused = "queue_paused" // somebody to resume its queue
	WhyRate        = "rate"         // a window of time in which its type may have another lease
	WhyLimit       = "limit"        // a lease of its type to end
	WhyBehind      = "behind"       // the tasks that are ahead of it in its queue
	WhyNoWorker    = "no_worker"    // a worker with a free slot
	WhyLeased      = "leased"       // the report of its worker
	WhyJob         = "job"          // work of the server itself, such as a script
	WhyMembers     = "members"      // the steps that a join names
	WhyNever       = "never"        // steps to which no open task leads
	WhyIteration   = "iteration"    // the iteration of a loop
	WhyChild       = "child"        // the execution that it started
	WhyTimer       = "timer"        // a time
	WhySignal      = "signal"       // a signal, or an update from outside
	WhyUpdate      = "update"       // an update from outside
	WhyMessage     = "message"      // a message to its execution
)

// Explanation says what an execution waits for.
type Explanation struct {
	Status Status
	// Reasons are those of the execution as a whole, then of its open tasks by serial.
	Reasons []Reason
	// More says that it has more open tasks than are explained.
	More bool
}

const (
	// maxNamed bounds the tasks, executions and steps that a reason names.
	maxNamed = 10
	// maxReasons bounds the reasons of one explanation.
	maxReasons = 1000
	// maxExplainSteps bounds the records and rows that one explanation looks at.
	maxExplainSteps = 1 << 16
	// maxExplainDepth bounds how many executions below the one asked about are explained,
	// and maxBelow the tasks of each.
	maxExplainDepth = 8
	maxBelow        = 3
)

// names makes a list for a text, which ends when there are more than maxNamed.
type names struct {
	text string
	n    int
}

func (l *names) full() bool { return l.n > maxNamed }

// add adds a name and says whether it is among those that are listed.
func (l *names) add(name string) bool {
	l.n++
	switch {
	case l.n == 1:
		l.text = name
	case l.n <= maxNamed:
		l.text = join(l.text, ", ", name)
	case l.n == maxNamed+1:
		l.text = join(l.text, " and more")
	}
	return l.n <= maxNamed
}

// plural is a number and what it is of.
func plural(n int, one, more string) string {
	if n == 1 {
		return join("1 ", one)
	}
	return join(itoa(int64(n)), " ", more)
}

// spanText says a length of time.
func spanText(d Millis) string {
	switch {
	case d < 10_000:
		return join(itoa(int64(d)), " ms")
	case d < 600_000:
		return join(itoa(int64(d/1000)), " s")
	case d < 36_000_000:
		return join(itoa(int64(d/60_000)), " min")
	}
	return join(itoa(int64(d/3_600_000)), " h")
}
