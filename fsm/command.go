package fsm

// Limits of commands. They hold before a command is appended and are checked once
// more when it is decoded, by the same code.
const (
	// MaxCommandBytes bounds one encoded command: a larger payload is refused.
	MaxCommandBytes = 1 << 20
	// MaxName bounds names: of definitions, task types, queues, workers, keys.
	MaxName = 255
	// MaxReason bounds reasons; longer ones are cut, as workers send stack traces.
	MaxReason = 500
	// MaxPriority is the highest priority of an execution; 0 is the lowest.
	MaxPriority = 99
	// MaxExtensions bounds the leases that one ExtendLeases renews.
	MaxExtensions = 1024
	// MaxDomains bounds the entries of a start's task-to-domain map.
	MaxDomains = 256
)

// Command asks the machine for one change. It is immutable once proposed.
type Command struct {
	RequestID RequestID
	Principal string // who asks; empty for the cluster itself
	Body      Body
	// malformed is set by Decode for a command of a known kind whose bytes are wrong:
	// it is refused at its index, the same on every node.
	malformed error
}

// Body is what a command asks for: one of the command types of this package.
type Body interface {
	kind() kind
	append(w *writer)
	field(r *reader)
	validate() *Rejection
}

// kind numbers commands in entries. A number is for ever.
type kind uint8

const (
	kindStart kind = 1 + iota
	kindComplete
	kindFail
	kindProgress
	kindUpdate
	kindExtend
	kindReturn
	kindPause
	kindResume
	kindTerminate
	kindSignal
	kindPutDefinition
	kindDeleteDefinition
	kindPutTaskType
	kindDeleteTaskType
	kindPauseQueue
	kindResumeQueue
	kindBeginTerm
	kindRaiseIncarnation
	kindFinishJob
)

const (
	kindPutSecret kind = 32 + iota
	kindDeleteSecret
	kindPutVariable
	kindDeleteVariable
	kindEnd // one past the last; numbers between may be unused
)

func newBody(k kind) Body {
	switch k {
	case kindStart:
		return &StartExecution{}
	case kindComplete:
		return &CompleteTask{}
	case kindFail:
		return &FailTask{}
	case kindProgress:
		return &ProgressTask{}
	case kindUpdate:
		return &UpdateTask{}
	case kindExtend:
		return &ExtendLeases{}
	case kindReturn:
		return &ReturnLease{}
	case kindPause:
		return &PauseExecution{}
	case kindResume:
		return &ResumeExecution{}
	case kindTerminate:
		return &TerminateExecution{}
	case kindSignal:
		return &Signal{}
	case kindPutDefinition:
		return &PutDefinition{}
	case kindDeleteDefinition:
		return &DeleteDefinition{}
	case kindPutTaskType:
		return &PutTaskType{}
	case kindDeleteTaskType:
		return &DeleteTaskType{}
	case kindPauseQueue:
		return &PauseQueue{}
	case kindResumeQueue:
		return &ResumeQueue{}
	case kindBeginTerm:
		return &BeginTerm{}
	case kindRaiseIncarnation:
		return &RaiseIncarnation{}
	case kindFinishJob:
		return &FinishJob{}
	case kindPutSecret:
		return &PutSecret{}
	case kindDeleteSecret:
		return &DeleteSecret{}
	case kindPutVariable:
		return &PutVariable{}
	case kindDeleteVariable:
		return &DeleteVariable{}
	}
	return newVerb(k)
}

// Urgent reports whether c finishes or steers work that is already there. Such
// commands are refused only when their queue is full; starts and definitions wait
// behind them.
func (c *Command) Urgent() bool {
	switch c.Body.kind() {
	case kindStart, kindSignal, kindPush, kindPutDefinition, kindDeleteDefinition, kindPutTaskType, kindDeleteTaskType,
		kindPutSecret, kindDeleteSecret, kindPutVariable, kindDeleteVariable:
		return false
	}
	return true
}

// Strategy says what a start with an idempotency key does when the key is taken.
type Strategy uint8

// The strategies.
const (
	FailExisting   Strategy = iota // refuse, naming the execution
	ReturnExisting                 // answer with the execution that has the key
	FailOnRunning                  // refuse only while that execution has not ended
)

// Domain sends the tasks of one type to workers of a domain.
type Domain struct {
	Type   string // task type, or * for all
	Domain string // comma list tried in order; NO_DOMAIN for the plain queue
}

// StartExecution starts an execution of a registered or inline definition. It is
// answered with the execution's id.
type StartExecution struct {
	Name        string
	Version     int32  // 0: the highest registered
	Definition  []byte // inline definition; Name and Version are then taken from it
	Input       []byte // JSON object; empty means {}
	Correlation string
	Priority    int32
	Domains     []Domain // ascending by Type
	Key         string   // idempotency key, scoped to the definition's name
	Strategy    Strategy
	CreatedBy   string
	Event       string
}

// CompleteTask finishes a leased task with success.
type CompleteTask struct {
	Task   TaskID
	Lease  Lease
	Output []byte // JSON object; empty means {}
	Worker string
}

// FailTask finishes a leased task without success; another attempt follows if its
// task type allows and Terminal is false.
type FailTask struct {
	Task     TaskID
	Lease    Lease
	Reason   string
	Terminal bool
	Output   []byte
	Worker   string
}

// ProgressTask gives a leased task back to its queue with some output; it becomes
// ready again after CallbackSeconds, as the same attempt.
type ProgressTask struct {
	Task            TaskID
	Lease           Lease
	Output          []byte
	CallbackSeconds int32
	Worker          string
}

// UpdateTask reports from outside, without a lease: by task id, or by execution and
// reference name. A running lease is revoked by it.
type UpdateTask struct {
	Task   TaskID
	Exec   ExecID
	Ref    string
	Status TaskStatus // Completed, Failed, FailedTerminal or InProgress
	Output []byte     // merged over what the task has, unless Replace
	Reason string
	Worker string
	// Replace makes Output the task's whole output.
	Replace bool
	// ExtendLease only starts the response clock anew; what else is given but the task
	// is left aside, Status may be 0.
	ExtendLease bool
	// CallbackSeconds is when a worker's task that is in progress becomes ready again.
	CallbackSeconds int32
}

// Extension renews one lease.
type Extension struct {
	Task  TaskID
	Lease Lease
}

// ExtendLeases starts the response clocks of leased tasks anew. Items whose lease is
// stale are named in the rejection only if all are.
type ExtendLeases struct{ Items []Extension }

// ReturnLease gives back a lease that never reached its worker: the task is ready
// again at its old place.
type ReturnLease struct {
	Task  TaskID
	Lease Lease
}

// PauseExecution stops an execution from making further tasks.
type PauseExecution struct{ Exec ExecID }

// ResumeExecution lets a paused execution go on.
type ResumeExecution struct{ Exec ExecID }

// TerminateExecution ends an execution and the children below it.
type TerminateExecution struct {
	Exec   ExecID
	Reason string
	// TriggerFailureWorkflow starts the definition's failure workflow, as a failure would.
	TriggerFailureWorkflow bool
}

// Signal ends the first open WAIT of an execution, or of its running children.
type Signal struct {
	Exec   ExecID
	Ref    string     // only a WAIT of this reference name; empty: any
	Status TaskStatus // 0 or Completed, Failed, FailedTerminal
	Output []byte
	Reason string
}

// PutDefinition registers a workflow definition.
type PutDefinition struct {
	Source    []byte
	Overwrite bool
}

// DeleteDefinition removes one version of a definition; running executions keep it.
type DeleteDefinition struct {
	Name    string
	Version int32
}

// PutTaskType registers or replaces a task type.
type PutTaskType struct{ Source []byte }

// DeleteTaskType removes a task type; its tasks go on with the defaults.
type DeleteTaskType struct{ Name string }

// PauseQueue stops the hand-out of a queue's tasks.
type PauseQueue struct{ Queue Queue }

// ResumeQueue undoes PauseQueue.
type ResumeQueue struct{ Queue Queue }

// BeginTerm is the first command of a term of leadership.
type BeginTerm struct {
	Node NodeID
	Boot uint32
	Gap  Millis // how long nobody led, at most MaxGap
}

// MaxGap bounds the extension that an outage gives to leases.
const MaxGap Millis = 60_000

// RaiseIncarnation opens a new incarnation of the cluster after people overrode
// consensus: ids and leases made from now on differ from all before.
type RaiseIncarnation struct{ To uint8 }

func (*StartExecution) kind() kind     { return kindStart }
func (*CompleteTask) kind() kind       { return kindComplete }
func (*FailTask) kind() kind           { return kindFail }
func (*ProgressTask) kind() kind       { return kindProgress }
func (*UpdateTask) kind() kind         { return kindUpdate }
func (*ExtendLeases) kind() kind       { return kindExtend }
func (*ReturnLease) kind() kind        { return kindReturn }
func (*PauseExecution) kind() kind     { return kindPause }
func (*ResumeExecution) kind() kind    { return kindResume }
func (*TerminateExecution) kind() kind { return kindTerminate }
func (*Signal) kind() kind             { return kindSignal }
func (*PutDefinition) kind() kind      { return kindPutDefinition }
func (*DeleteDefinition) kind() kind   { return kindDeleteDefinition }
func (*PutTaskType) kind() kind        { return kindPutTaskType }
func (*DeleteTaskType) kind() kind     { return kindDeleteTaskType }
func (*PauseQueue) kind() kind         { return kindPauseQueue }
func (*ResumeQueue) kind() kind        { return kindResumeQueue }
func (*BeginTerm) kind() kind          { return kindBeginTerm }
func (*RaiseIncarnation) kind() kind   { return kindRaiseIncarnation }
