package fsm

// EventKind says what happened.
type EventKind uint8

// The events, in past tense. Numbers are for ever.
const (
	ExecutionStarted EventKind = 1 + iota
	ExecutionPaused
	ExecutionResumed
	ExecutionCompleted
	ExecutionFailed
	ExecutionTimedOut
	ExecutionTerminated
	TaskScheduled
	TaskReady
	TaskLeased
	TaskProgressed
	TaskReturned
	TaskCompleted
	TaskCompletedWithErrors
	TaskFailed
	TaskTimedOut
	TaskCanceled
	LoopIteration
	SignalReceived
	ExecutionBlocked // a WAIT without a timer is open
	DefinitionPut
	DefinitionDeleted
	TaskTypePut
	TaskTypeDeleted
	QueuePaused
	QueueResumed
	CommandFaulted
	ExecutionFaulted
	TermBegan
	IncarnationRaised
)

// The events of the verbs.
const (
	ExecutionRestarted EventKind = 40 + iota
	ExecutionRetried
	ExecutionReran
	ExecutionRevived // a child of it goes on, and so does it
	ExecutionJumped
	ExecutionDeleted
	VariablesSet
	TaskSkipped
	TaskReopened // a record that had ended is open again
)

// The events of limits and settings.
const (
	ExecutionParked EventKind = 60 + iota // it waits for its quota
	SecretPut
	SecretDeleted
	VariablePut
	VariableDeleted
)

// The events of messages.
const (
	MessageStored   EventKind = 70 + iota // an execution was given one; Ref is its id
	MessagesDropped                       // those that an execution kept are too old
)

// TaskStateChanged is an event of a step's own, which its onStateChange asks for; it
// follows the event of the machine that it is about.
const TaskStateChanged EventKind = 80

// Event tells one thing that an entry did. Events order by (index, position in the
// entry); fields that do not belong to the kind are zero.
type Event struct {
	Kind    EventKind
	Exec    ExecID
	Serial  uint32 // task
	Ref     string // reference name with suffix; for definitions, task types and queues their name
	Status  Status // TaskStatus of tasks in Task
	Task    TaskStatus
	Retry   uint32
	Retries bool   // TaskFailed, TaskTimedOut: another attempt follows
	Delay   Millis // TaskScheduled
	Queue   Queue
	Lease   Lease
	Slot    Slot
	Reason  string
	Told    *Told // TaskStateChanged
}
