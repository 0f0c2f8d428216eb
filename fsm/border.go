package fsm

import "errors"

// Queue names where tasks wait: [domain:]type.
type Queue string

// Slot is room for one task on a connected worker. It lives in the memory of the
// node where the worker is connected; State only ever names it.
type Slot struct {
	Node NodeID
	Boot uint32 // the node's start count: slots do not survive a restart
	N    uint64 // never used twice within a boot
}

// IsZero reports whether s names no slot.
func (s Slot) IsZero() bool { return s == Slot{} }

// Offer is a slot named in an entry: a task that is ready in Queue may be leased to it.
type Offer struct {
	Slot   Slot
	Queue  Queue
	Worker string // as the worker calls itself, at most MaxName bytes
}

// Leased is a grant: the right, given by Apply, to finish one task. It carries what
// the worker is told, since the slot's node may not have applied the entry yet.
type Leased struct {
	Slot           Slot
	Task           TaskID
	Lease          Lease
	Queue          Queue
	Type           string // task type that the worker handles
	Ref            string // reference name with its iteration suffix
	Definition     string // name of the execution's definition
	Retry          uint32 // attempts before this one
	Iteration      uint32
	Priority       int32
	Correlation    string
	Worker         string
	Input          []byte  // JSON object; shared with State, read only
	Scheduled      Millis  // cluster time at which the task was made
	ResponseMillis Millis  // how long the worker may be silent; 0: no limit
	Hints          []Queue // queues that can become ready when this task is finished
	Index          uint64  // of the entry that gave it
	// Wants names secrets and variables that the worker is to be told; Told is what
	// View.Complete has found of them.
	Wants []string
	Told  []SettingInfo
}

// StreamID names a worker's connection on its node; never used twice within a boot.
type StreamID uint64

// SlotSpec is what a worker asks for.
type SlotSpec struct {
	Worker string
	Queues []Queue // at most MaxQueuesPerWorker
	Credit int     // slots that are free at once
	// Once makes the slots a group that the first grant closes, as a poll needs:
	// those still free then go, those already offered may still be granted.
	Once bool
}

// MaxQueuesPerWorker bounds the queues that one connection may serve.
const MaxQueuesPerWorker = 256

// SlotGroup is the free slots of one connection.
type SlotGroup struct {
	Stream StreamID
	Worker string
	Queues []Queue
	Slots  []uint64 // N of each
	Once   bool
}

// SlotSet is what a node tells the leader of a term about its slots.
type SlotSet struct {
	Term   uint64
	Boot   uint32
	Seq    uint64 // counts up within a term; a gap makes the leader ask for a full set by dropping the node's slots
	Full   bool   // Add is everything: slots of this node not in it are gone
	Add    []SlotGroup
	Drop   []uint64 // slots that are gone unless already offered
	Closed []StreamID
	Polled []Queue // queues with a domain that were asked for since the last set
}

// Stamp is what the scheduler adds to an entry.
type Stamp struct {
	Offers []Offer
	Work   uint32
	Seen   []Queue
}

// Applied is what one entry did. It is read only, and the same on every node.
type Applied struct {
	Results []Result // one for each command, in order
	Events  []Event
	Grants  []Leased
	Unused  []Offer
	Ready   []QueueReady // queues whose number of ready tasks changed
	Permits []LimitFree  // limits whose free permits changed
	NextDue Millis       // earliest timer; 0 when there is none
	// DueHints lists queues of the delayed tasks that come due next, at most MaxReach.
	DueHints []Queue
	More     bool // due timers or agenda are left: an entry with Work should follow at once
	// Defined lists definitions that were registered or removed, for hints at start.
	Defined []DefinitionHint
	Begun   *TermBegun // set when the entry opened a term
}

// TermBegun tells that a node opened a term of leadership.
type TermBegun struct {
	Node NodeID
	Boot uint32
}

// QueueReady is the number of tasks of a queue that could be leased if its type has
// permits: 0 while the queue is paused.
type QueueReady struct {
	Queue Queue
	Type  string // the limit that applies
	Ready int
}

// LimitFree is the number of free permits of a task type; negative means no limit.
type LimitFree struct {
	Type string
	Free int
}

// DefinitionHint lists task types that can become ready when the definition starts.
// Queues is empty for a definition that was removed.
type DefinitionHint struct {
	Name    string
	Version int32
	Latest  bool
	Queues  []Queue
}

// Batch is one applied entry as the journal hands it out.
type Batch struct {
	Index   uint64
	Term    uint64
	Time    Millis
	Applied *Applied
}

// Result is the answer to one command.
type Result struct {
	Exec     ExecID // execution made or touched
	Task     TaskID // task touched; PushMessage: the message, whose id has the form of a task's
	Version  int32  // version of a definition that was registered
	Repeated bool   // the call had been answered before: Index is that of the first answer
	Ignored  bool   // a late report that changed nothing, answered with success
	Index    uint64 // index at which the answer became true
	// Items answers each execution of a Bulk, in the order of its ids.
	Items []BulkItem
	// Rejection says why the command was refused; nil when it was done.
	Rejection *Rejection
}

// BulkItem is the answer to one execution of a Bulk.
type BulkItem struct {
	Exec      ExecID
	Rejection *Rejection // nil when it was done
}

// Outcome is the answer to a proposal: the machine's Result and where it stands.
type Outcome struct {
	Position Position
	Result   Result
}

// Errors of the way to the machine and back. A Rejection is not among them: it is an
// answer.
var (
	// ErrUnknown says that the command may or may not be applied; the caller asks
	// again with the same request id.
	ErrUnknown = errors.New("outcome unknown")
	// ErrNoLeader says that no node leads; the command was not taken.
	ErrNoLeader = errors.New("no leader")
	// ErrLapped says that a reader fell behind the journal and must start from a View.
	ErrLapped = errors.New("journal reader was overtaken")
	// ErrBadID says that a text is not an id of the kind asked for.
	ErrBadID = errors.New("not a valid id")
	// ErrVersion says that bytes were written by a newer version of the program.
	ErrVersion = errors.New("written by a newer version")
	// ErrCorrupt says that bytes are not what any version writes.
	ErrCorrupt = errors.New("corrupt encoding")
)

// NotLeaderError says that the node asked does not lead; the command was not taken.
type NotLeaderError struct {
	Leader NodeID // zero when unknown
	Addr   string // client address of Leader, empty when unknown
}

func (e *NotLeaderError) Error() string {
	if e.Leader.IsZero() {
		return "not the leader"
	}
	return "not the leader: " + e.Leader.String() + " leads"
}

// OverloadedError says that a bounded queue is full; the command was not taken.
type OverloadedError struct {
	Reason     string
	RetryAfter Millis
}

func (e *OverloadedError) Error() string { return "overloaded: " + e.Reason }

// Definite reports whether err proves that the command has not been applied and will
// never be. It says false for errors it does not know, context errors among them.
func Definite(err error) bool {
	if err == nil || errors.Is(err, ErrUnknown) {
		return false
	}
	var rejected *Rejection
	var notLeader *NotLeaderError
	var overloaded *OverloadedError
	return errors.As(err, &rejected) || errors.As(err, &notLeader) || errors.As(err, &overloaded) ||
		errors.Is(err, ErrNoLeader)
}
