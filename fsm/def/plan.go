package def

import "github.com/pawlhq/pawl/fsm/expr"

// Kind is what a step does when the flow reaches it.
type Kind uint8

// The kinds of step.
const (
	Worker            Kind = iota // SIMPLE: leased to a worker, ended by its report
	Switch                        // SWITCH, DECISION: goes on with one of its lists
	Fork                          // FORK_JOIN: starts all its branches
	Join                          // JOIN: waits for named steps
	DoWhile                       // DO_WHILE: repeats its list
	SubWorkflow                   // SUB_WORKFLOW: runs another definition as a child
	Wait                          // WAIT: ends by time, signal or update
	SetVariable                   // SET_VARIABLE: writes workflow variables
	Terminate                     // TERMINATE: ends the execution
	Noop                          // NOOP: ends at once
	Call                          // HTTP, HTTP_POLL, EVENT, KAFKA_PUBLISH: leased to a worker of the server
	Human                         // HUMAN, WAIT_FOR_WEBHOOK: waits for an update from outside
	Yield                         // YIELD: a WAIT without a time
	ExclusiveJoin                 // EXCLUSIVE_JOIN: waits for the first of its steps that is there
	StartWorkflow                 // START_WORKFLOW: starts an execution and goes on
	Inline                        // INLINE: evaluates an expression of its input
	Lambda                        // LAMBDA: evaluates the body of a function of its input
	Jq                            // JSON_JQ_TRANSFORM: runs a jq program of its input over its input
	Dynamic                       // DYNAMIC: becomes what the input names when it is made
	DynamicFork                   // FORK_JOIN_DYNAMIC: starts the steps that its input lists
	PullMessages                  // PULL_WORKFLOW_MESSAGES: takes messages that its execution was given
	GetWorkflow                   // GET_WORKFLOW: shows an execution
	TerminateWorkflow             // TERMINATE_WORKFLOW: ends executions
	UpdateTask                    // UPDATE_TASK: reports on a task
)

// Successors that are no node.
const (
	EndRoot      int32 = -1 // the root list has come to its end
	EndBranch    int32 = -2 // a branch of a fork has come to its end; joins are driven by counters
	EndIteration int32 = -3 // the body of a loop has come to its end
	None         int32 = -4 // there is no such list
	Empty        int32 = -5 // the list is there and empty
)

// Plan is a compiled definition. It is immutable and shared by every execution of
// the same bytes.
type Plan struct {
	Source  []byte // the definition as registered, byte for byte
	Name    string
	Version int32
	Nodes   []Node         // depth first in textual order
	First   int32          // first node of the root list, or EndRoot when it has no tasks
	Output  *expr.Template // outputParameters; nil when absent or empty
	// InputDefaults is the definition's inputTemplate, a raw object, nil when absent.
	InputDefaults []byte
	// Variables is the raw object of initial variables, nil when absent.
	Variables      []byte
	ByRef          map[string]int32 // look-ups only, never ranged over
	TimeoutSeconds int64
	TimeoutPolicy  TimeoutPolicy // TimeOutWorkflow or AlertOnly
	Restartable    bool
	// FailureWorkflow names what to start when an execution fails; nil when absent.
	FailureWorkflow        *expr.Template
	FailureWorkflowVersion int32
	Quota                  *Quota // nil when as many may run as like
	// Members are, in a fragment, the nodes of its members in order; nil otherwise.
	Members []int32
	// DynamicForks are the nodes of FORK_JOIN_DYNAMIC steps.
	DynamicForks []int32
	// Reach lists up to MaxReach task types that can become ready when an execution starts.
	Reach []string
	// Asks lists what registered task types must give, or the definition is not valid.
	Asks []Ask
	// Rules selects meanings that changed between releases; 0 is the first set.
	Rules uint16
}

// MaxReach bounds the hints kept for a step: more cost offers that are seldom used.
const MaxReach = 8

// Node is one step of a plan.
type Node struct {
	Ref, Name string // taskReferenceName and name
	Type      string // type as written, SIMPLE when absent
	Kind      Kind
	Next      int32 // the following node, or EndRoot, EndBranch, EndIteration
	Loop      int32 // innermost enclosing DO_WHILE node, None outside loops
	// LoopEnd is, for a DO_WHILE, one past its last inner node: inner nodes are
	// those numbered from its own number + 1 up to LoopEnd.
	LoopEnd    int32
	Top        bool // in the root list
	Optional   bool
	Permissive bool
	Async      bool           // asyncComplete
	StartDelay int32          // seconds
	Retries    int32          // retryCount of the step, -1 when it has none of its own
	Input      *expr.Template // inputParameters; never nil, an object
	// Embedded is the task type given inline in the step, nil when there is none.
	Embedded *TaskType
	Cache    *Cache // nil when its outputs are not kept
	OnState  []StateEvent

	// Heads are the first nodes of the lists in a step that are not empty: branches
	// of a FORK_JOIN, cases and default of a SWITCH, the body of a DO_WHILE.
	Heads []int32

	// Source is what decides: expression or caseExpression, loopCondition, the
	// expression of a JOIN; empty when the input named Param does, or nothing.
	Source string
	// Script is Source compiled, nil when it is more than can be evaluated here.
	Script *expr.Script
	// Evaluator says what Source is written in.
	Evaluator Evaluator
	Param     string           // with NoEvaluator the name that is none
	Cases     map[string]int32 // SWITCH, DECISION: case → first node, or Empty
	Default   int32            // first node, None or Empty
	// Bare is set for a DO_WHILE that keeps no outputs (captureOutput is false).
	Bare bool
	// Zone is set for a WAIT until a time in a zone that is known by its name.
	Zone bool

	JoinOn  []int32 // JOIN: nodes it waits for, in order; a name that is no step is refused at registration
	Joiners []int32 // JOINs that name this step, ascending
	JoinOf  int32   // FORK_JOIN: the JOIN that follows it; None for other kinds

	// Fallback are the steps that an EXCLUSIVE_JOIN tries when none of JoinOn is there.
	Fallback []int32

	ForkOf int32 // JOIN: the FORK_JOIN_DYNAMIC before it, whose members it waits for; None for others

	Items *expr.Template // DO_WHILE: list to go over, nil when absent

	// DYNAMIC: Written is the step as written; Param names the input that holds its name.
	Written []byte

	// FORK_JOIN_DYNAMIC: the inputs that hold its members, in the forms that there are.
	TasksParam, InputsParam, LegacyParam string

	// Rescue is set for a TERMINATE_WORKFLOW that starts failure workflows unless its input
	// says otherwise.
	Rescue bool

	Sink *expr.Template // EVENT: a string template, nil for other types

	// SUB_WORKFLOW
	SubName     *expr.Template // a string template
	SubVersion  *expr.Template // number or string; nil = latest
	SubPriority *expr.Template // nil = 0
	SubDomains  []byte         // raw taskToDomain object, nil when absent
	// SubDomainsExpr is SubDomains compiled, nil when it is absent.
	SubDomainsExpr *expr.Template
	// SubInline is the source of a definition that the step brings along; SubDefinition
	// an expression for one. Name and version are then taken from it.
	SubInline     []byte
	SubDefinition *expr.Template
	SubKey        *expr.Template // idempotency key, nil when there is none
	SubStrategy   *expr.Template // what to do when it is taken, nil for FAIL

	// Reach lists up to MaxReach task types that can become ready in the apply that finishes this step.
	Reach []string
}

// TimeoutPolicy says what a passed time limit does.
type TimeoutPolicy uint8

// The time-out policies.
const (
	TimeOutWorkflow TimeoutPolicy = iota // TIME_OUT_WF
	Retry                                // RETRY
	AlertOnly                            // ALERT_ONLY
)

// RetryLogic says how the delay before a further attempt grows.
type RetryLogic uint8

// The retry logics.
const (
	Fixed       RetryLogic = iota // FIXED
	Exponential                   // EXPONENTIAL_BACKOFF
	Linear                        // LINEAR_BACKOFF
)

// TaskType is what is registered about a kind of task.
type TaskType struct {
	Source        []byte // as registered, byte for byte
	Name          string
	RetryCount    int32
	RetryLogic    RetryLogic
	RetryDelay    int32 // seconds
	BackoffScale  int32
	MaxRetryDelay int32 // seconds, 0 = no cap
	BackoffJitter int32 // milliseconds
	Timeout       int64 // seconds per attempt, 0 = none
	TimeoutPolicy TimeoutPolicy
	// ResponseTimeout is how many seconds a leased task may be silent; 0 = for ever.
	ResponseTimeout int64
	PollTimeout     int64  // seconds in the queue without a lease, 0 = none
	TotalTimeout    int64  // seconds over all attempts, 0 = none
	ConcurrentLimit int32  // tasks leased at a time over the cluster, 0 = no limit
	RateLimit       int32  // leases per RateWindow, 0 = no limit
	RateWindow      int32  // seconds
	InputTemplate   []byte // raw object, nil when absent
	// InputExpr is InputTemplate compiled, nil when it is absent.
	InputExpr *expr.Template
	Isolation string // isolationGroupId
	Namespace string // executionNameSpace
	// RuntimeMetadata names secrets and environment values that a worker is told with
	// the task.
	RuntimeMetadata []string
}
