package fsm

// The verbs: commands that steer an execution that is already there.

const (
	kindRestart kind = 21 + iota
	kindRetry
	kindRerun
	kindSkip
	kindJump
	kindSetVariables
	kindResetCallbacks
	kindDecide
	kindDelete
	kindBulk
)

func newVerb(k kind) Body {
	switch k {
	case kindRestart:
		return &RestartExecution{}
	case kindRetry:
		return &RetryExecution{}
	case kindRerun:
		return &RerunExecution{}
	case kindSkip:
		return &SkipTask{}
	case kindJump:
		return &JumpTo{}
	case kindSetVariables:
		return &SetVariables{}
	case kindResetCallbacks:
		return &ResetCallbacks{}
	case kindDecide:
		return &Decide{}
	case kindDelete:
		return &DeleteExecution{}
	case kindBulk:
		return &Bulk{}
	case kindPush:
		return &PushMessage{}
	}
	return nil
}

// MaxBulk bounds the executions that one Bulk names.
const MaxBulk = 1000

// RestartExecution runs an execution that has ended from its first step, under its id:
// all records go, the input stays, variables are those of the definition again.
type RestartExecution struct {
	Exec ExecID
	// Latest takes the newest version of the definition instead of the one it has.
	Latest bool
}

// RetryExecution gives the failed and canceled steps of an execution that has ended a
// further attempt each.
type RetryExecution struct {
	Exec ExecID
	// ResumeSubworkflows goes on inside children that failed instead of starting new ones.
	ResumeSubworkflows bool
}

// RerunExecution runs an execution that has ended again, from one of its tasks or from
// one of an execution below it; without a task, from its first step. What came after
// the task goes.
type RerunExecution struct {
	Exec          ExecID
	Task          TaskID
	TaskInput     []byte // JSON object: the task's input; empty keeps what it had
	WorkflowInput []byte // JSON object: the execution's input; empty keeps what it had
	Correlation   string // empty keeps what it had
}

// SkipTask lets a running execution pass over a step that it has not come to.
type SkipTask struct {
	Exec   ExecID
	Ref    string
	Input  []byte
	Output []byte
}

// JumpTo lets a running execution go on at a step of its main line that it has not come
// to: what is open is canceled, and the steps between are skipped.
type JumpTo struct {
	Exec  ExecID
	Ref   string
	Input []byte // JSON object: the step's input; empty evaluates the definition's
}

// SetVariables writes variables of an execution that has not ended, by top-level key.
type SetVariables struct {
	Exec      ExecID
	Variables []byte // JSON object
	// Append adds to variables that are lists instead of replacing them.
	Append bool
}

// ResetCallbacks makes the tasks of an execution that wait for their callback time
// ready at once.
type ResetCallbacks struct{ Exec ExecID }

// Decide lets an execution go on as far as it can. The machine does so by itself after
// every change, so it never has to be asked.
type Decide struct{ Exec ExecID }

// DeleteExecution removes an execution with all its records.
type DeleteExecution struct {
	Exec ExecID
	// Force removes one that has not ended too: it is terminated first. Otherwise only
	// an execution that has ended may be removed.
	Force bool
}

// Bulk does one verb to many executions. Each is judged for itself; the answers stand
// in Result.Items, in the order of IDs.
type Bulk struct {
	Verb   BulkVerb
	IDs    []ExecID // 1 to MaxBulk
	Reason string   // BulkTerminate, BulkTerminateDelete
	// Latest is that of RestartExecution, TriggerFailureWorkflow that of
	// TerminateExecution, Force that of DeleteExecution.
	Latest, TriggerFailureWorkflow, Force bool
	// ResumeSubworkflows is that of RetryExecution, Append that of SetVariables.
	ResumeSubworkflows, Append bool
	Ref                        string // BulkSkip, BulkJump
	// Input is that of SkipTask and JumpTo, WorkflowInput of RerunExecution, Variables
	// of SetVariables.
	Input       []byte
	Output      []byte // BulkSkip
	Correlation string // BulkRerun
}

// BulkVerb is what Bulk does. Numbers are stored.
type BulkVerb uint8

// The verbs of Bulk.
const (
	BulkPause BulkVerb = 1 + iota
	BulkResume
	BulkRestart
	BulkRetry
	BulkTerminate
	BulkDelete
	BulkTerminateDelete
	BulkRerun // from the first step
	BulkSkip
	BulkJump
	BulkSetVariables
	BulkResetCallbacks
	BulkDecide
	bulkEnd // one past the last
)

func (*RestartExecution) kind() kind { return kindRestart }
func (*RetryExecution) kind() kind   { return kindRetry }
func (*RerunExecution) kind() kind   { return kindRerun }
func (*SkipTask) kind() kind         { return kindSkip }
func (*JumpTo) kind() kind           { return kindJump }
func (*SetVariables) kind() kind     { return kindSetVariables }
func (*ResetCallbacks) kind() kind   { return kindResetCallbacks }
func (*Decide) kind() kind           { return kindDecide }
func (*DeleteExecution) kind() kind  { return kindDelete }
func (*Bulk) kind() kind             { return kindBulk }

func (c *RestartExecution) append(w *writer) {
	w.exec(1, c.Exec)
	w.flag(2, c.Latest)
}

func (c *RestartExecution) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Latest = r.flag()
	default:
		r.unknown()
	}
}

func (c *RetryExecution) append(w *writer) {
	w.exec(1, c.Exec)
	w.flag(2, c.ResumeSubworkflows)
}

func (c *RetryExecution) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.ResumeSubworkflows = r.flag()
	default:
		r.unknown()
	}
}

func (c *RerunExecution) append(w *writer) {
	w.exec(1, c.Exec)
	w.task(2, c.Task)
	w.bytes(3, c.TaskInput)
	w.bytes(4, c.WorkflowInput)
	w.str(5, c.Correlation)
}

func (c *RerunExecution) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Task = r.task()
	case 3:
		c.TaskInput = r.bytes()
	case 4:
		c.WorkflowInput = r.bytes()
	case 5:
		c.Correlation = r.str()
	default:
		r.unknown()
	}
}

func (c *SkipTask) append(w *writer) {
	w.exec(1, c.Exec)
	w.str(2, c.Ref)
	w.bytes(3, c.Input)
	w.bytes(4, c.Output)
}

func (c *SkipTask) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Ref = r.str()
	case 3:
		c.Input = r.bytes()
	case 4:
		c.Output = r.bytes()
	default:
		r.unknown()
	}
}

func (c *JumpTo) append(w *writer) {
	w.exec(1, c.Exec)
	w.str(2, c.Ref)
	w.bytes(3, c.Input)
}

func (c *JumpTo) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Ref = r.str()
	case 3:
		c.Input = r.bytes()
	default:
		r.unknown()
	}
}

func (c *SetVariables) append(w *writer) {
	w.exec(1, c.Exec)
	w.bytes(2, c.Variables)
	w.flag(3, c.Append)
}

func (c *SetVariables) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Variables = r.bytes()
	case 3:
		c.Append = r.flag()
	default:
		r.unknown()
	}
}

func (c *ResetCallbacks) append(w *writer) { w.exec(1, c.Exec) }
func (c *ResetCallbacks) field(r *reader)  { c.Exec = onlyExec(r) }
func (c *Decide) append(w *writer)         { w.exec(1, c.Exec) }
func (c *Decide) field(r *reader)          { c.Exec = onlyExec(r) }

func (c *DeleteExecution) append(w *writer) {
	w.exec(1, c.Exec)
	w.flag(2, c.Force)
}

func (c *DeleteExecution) field(r *reader) {
	switch r.tag {
	case 1:
		c.Exec = r.exec()
	case 2:
		c.Force = r.flag()
	default:
		r.unknown()
	}
}

func (c *Bulk) append(w *writer) {
	w.num(1, uint64(c.Verb))
	for _, id := range c.IDs {
		w.exec(2, id)
	}
	w.str(3, c.Reason)
	w.flag(4, c.Latest)
	w.flag(5, c.TriggerFailureWorkflow)
	w.flag(6, c.Force)
	w.flag(7, c.ResumeSubworkflows)
	w.flag(8, c.Append)
	w.str(9, c.Ref)
	w.bytes(10, c.Input)
	w.bytes(11, c.Output)
	w.str(12, c.Correlation)
}

func (c *Bulk) field(r *reader) {
	switch r.tag {
	case 1:
		c.Verb = BulkVerb(r.num8())
	case 2:
		c.IDs = append(c.IDs, r.exec())
	case 3:
		c.Reason = r.str()
	case 4:
		c.Latest = r.flag()
	case 5:
		c.TriggerFailureWorkflow = r.flag()
	case 6:
		c.Force = r.flag()
	case 7:
		c.ResumeSubworkflows = r.flag()
	case 8:
		c.Append = r.flag()
	case 9:
		c.Ref = r.str()
	case 10:
		c.Input = r.bytes()
	case 11:
		c.Output = r.bytes()
	case 12:
		c.Correlation = r.str()
	default:
		r.unknown()
	}
}

func (c *RestartExecution) validate() *Rejection { return checkExec("execution", c.Exec) }
func (c *RetryExecution) validate() *Rejection   { return checkExec("execution", c.Exec) }

func (c *RerunExecution) validate() *Rejection {
	if !c.Task.IsZero() {
		if rej := checkTask("task", c.Task); rej != nil {
			return rej
		}
	} else if len(c.TaskInput) > 0 {
		return badField("task_input", "needs a task")
	}
	return first(checkExec("execution", c.Exec), checkObject("task_input", c.TaskInput),
		checkObject("workflow_input", c.WorkflowInput), checkName("correlation", c.Correlation, false))
}

func (c *SkipTask) validate() *Rejection {
	return first(checkExec("execution", c.Exec), checkName("ref", c.Ref, true),
		checkObject("input", c.Input), checkObject("output", c.Output))
}

func (c *JumpTo) validate() *Rejection {
	return first(checkExec("execution", c.Exec), checkName("ref", c.Ref, true), checkObject("input", c.Input))
}

func (c *SetVariables) validate() *Rejection {
	if len(c.Variables) == 0 {
		return badField("variables", "must not be empty")
	}
	return first(checkExec("execution", c.Exec), checkObject("variables", c.Variables))
}

func (c *ResetCallbacks) validate() *Rejection  { return checkExec("execution", c.Exec) }
func (c *Decide) validate() *Rejection          { return checkExec("execution", c.Exec) }
func (c *DeleteExecution) validate() *Rejection { return checkExec("execution", c.Exec) }

func (c *Bulk) validate() *Rejection {
	switch {
	case c.Verb < BulkPause || c.Verb >= bulkEnd:
		return badField("verb", "is not known")
	case len(c.IDs) == 0:
		return badField("ids", "WorkflowIds list cannot be null.")
	case len(c.IDs) > MaxBulk:
		return badField("ids", "Cannot process more than ", itoa(MaxBulk), " workflows. Please use multiple requests.")
	}
	for _, id := range c.IDs {
		if rej := checkExec("ids", id); rej != nil {
			return rej
		}
	}
	if c.Verb == BulkSetVariables && len(c.Input) == 0 {
		return badField("input", "must not be empty: it holds the variables")
	}
	if rej := first(checkText("reason", c.Reason), checkObject("input", c.Input)); rej != nil {
		return rej
	}
	return c.one(c.IDs[0]).validate()
}
