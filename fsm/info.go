package fsm

// ExecutionInfo is an execution as readers see it. Payloads are JSON, shared with
// State and read only.
type ExecutionInfo struct {
	ID         ExecID
	Definition string
	Version    int32
	Status     Status
	Reason     string
	Created    Millis
	Updated    Millis
	Ended      Millis // 0 while it runs
	Input      []byte
	Output     []byte
	Variables  []byte
	// Correlation, Priority, CreatedBy and Key are as given at start.
	Correlation string
	Priority    int32
	CreatedBy   string
	Key         string
	Parent      TaskID   // the SUB_WORKFLOW task that started it, zero when none
	FailedRefs  []string // reference names that have a failed attempt, by first failure
	FailedNames []string // task names of such attempts
	FailedTask  TaskID   // the task whose failure ended it
	Tasks       int      // records
	// Quota is the value of the definition's quota key, empty without a quota; Parked
	// says that the execution waits for its part.
	Quota  string
	Parked bool
	// Jobs counts its open tasks that wait for work of the server itself, such as a
	// script: at 0 all that a report has led to is there to see.
	Jobs int
	// Messages counts those that it was given and no step has taken.
	Messages int
}

// TaskInfo is one attempt at one step as readers see it. An open task of an execution
// that has ended shows as CANCELED.
type TaskInfo struct {
	ID              TaskID
	Ref             string // with iteration suffix
	Name            string // task definition name
	Type            string // as Conductor shows it: the name for SIMPLE, FORK for a fork
	Kind            string // type of the step in the definition
	Status          TaskStatus
	Seq             uint32
	Retry           uint32
	Iteration       uint32
	RetriedOf       TaskID
	Retried         bool // a further attempt has replaced it
	Executed        bool // its successors have been made
	Scheduled       Millis
	Started         Millis
	Ended           Millis
	Updated         Millis
	Input           []byte
	Output          []byte
	Reason          string
	Worker          string
	Lease           Lease // 0 unless leased now
	DoneLease       Lease // the lease under which it was finished
	Unfenced        bool  // finished by a report without a lease
	Queue           Queue
	Child           ExecID
	Polls           uint32
	StartDelay      int64 // seconds
	CallbackSeconds int64
	Due             Millis // when its timer fires, 0 when none
}

// ListQuery selects executions, newest first. Zero fields select all.
type ListQuery struct {
	Definition  string
	Status      Status
	Correlation string
	After       string // Page.Next of the page before
	Limit       int    // 1 to MaxPage; 0 means DefaultPage
}

// Bounds of a page.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Page is one page of executions, without payloads.
type Page struct {
	Items []ExecutionInfo
	Next  string // empty at the end
	Total int    // executions that the query selects; -1 when it is not known
	// Partial says that a search was cut short at its budget; Next goes on.
	Partial bool
}

// DefinitionInfo is a registered workflow definition.
type DefinitionInfo struct {
	Name    string
	Version int32
	Created Millis
	Updated Millis
	Source  []byte // as registered
}

// TaskTypeInfo is a registered task type.
type TaskTypeInfo struct {
	Name    string
	Created Millis
	Updated Millis
	Source  []byte // as registered
}

// QueueInfo is the state of a queue.
type QueueInfo struct {
	Queue   Queue
	Type    string
	Ready   int
	Delayed int
	Leased  int
	Paused  bool
	Oldest  Millis // time since the longest waiting ready task was made; 0 when none
	// Concurrency and Rate, in RateSeconds, are the limits of the type, 0 when it has
	// none. Permits is how many more of its tasks may be leased now, negative when any
	// number may.
	Concurrency, Rate, RateSeconds, Permits int
}
