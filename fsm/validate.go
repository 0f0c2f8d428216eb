package fsm

import (
	"unicode/utf8"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Validate checks the shape and size of a command, without State. It gives nil or a
// *Rejection that names the field. What passes here can still be rejected when
// applied. Safe on any goroutine.
func Validate(c *Command) error {
	if c.Body == nil {
		return reject(Malformed, "a command needs a body")
	}
	if rej := c.check(c.Size()); rej != nil {
		return rej
	}
	return nil
}

// check is Validate for a command that takes size bytes.
func (c *Command) check(size int) *Rejection {
	if size > MaxCommandBytes {
		return reject(TooLarge, "the request takes ", itoa(int64(size)), " bytes; at most ", itoa(MaxCommandBytes), " are allowed")
	}
	return first(checkName("principal", c.Principal, false), c.Body.validate())
}

// first gives the first rejection of a list of checks.
func first(checks ...*Rejection) *Rejection {
	for _, r := range checks {
		if r != nil {
			return r
		}
	}
	return nil
}

func checkName(field, name string, required bool) *Rejection {
	switch {
	case name == "" && required:
		return badField(field, "must not be empty")
	case len(name) > MaxName:
		return badField(field, "has ", itoa(int64(len(name))), " bytes; at most ", itoa(MaxName), " are allowed")
	case !utf8.ValidString(name):
		return badField(field, "must be valid UTF-8")
	}
	return nil
}

// checkObject checks a payload: absent, or a JSON object.
func checkObject(field string, b []byte) *Rejection {
	if len(b) == 0 {
		return nil
	}
	if err := expr.Check(b); err != nil {
		return badField(field, err.Error())
	}
	if expr.KindOf(b) != expr.Map {
		return badField(field, "must be a JSON object")
	}
	return nil
}

func checkText(field, text string) *Rejection {
	if !utf8.ValidString(text) {
		return badField(field, "must be valid UTF-8")
	}
	return nil
}

func checkExec(field string, e ExecID) *Rejection {
	if e.IsZero() {
		return badField(field, "must not be empty")
	}
	return nil
}

func checkTask(field string, t TaskID) *Rejection {
	if t.Exec.IsZero() || t.Serial == 0 {
		return badField(field, "must be the id of a task")
	}
	return nil
}

func checkLease(l Lease) *Rejection {
	if l == 0 {
		return badField("lease", "must not be 0")
	}
	return nil
}

func (c *StartExecution) validate() *Rejection {
	if rej := first(
		checkName("name", c.Name, len(c.Definition) == 0),
		checkObject("input", c.Input), checkName("correlation", c.Correlation, false),
		checkName("key", c.Key, false), checkName("created_by", c.CreatedBy, false), checkName("event", c.Event, false),
	); rej != nil {
		return rej
	}
	switch {
	case c.Version < 0:
		return badField("version", "must be 0 for the latest, or above")
	case c.Priority < 0 || c.Priority > MaxPriority:
		return badField("priority", "is ", itoa(int64(c.Priority)), "; 0 to ", itoa(MaxPriority), " are allowed")
	case c.Strategy > FailOnRunning:
		return badField("strategy", "is not known")
	case len(c.Domains) > MaxDomains:
		return badField("domains", "has ", itoa(int64(len(c.Domains))), " entries; at most ", itoa(MaxDomains), " are allowed")
	}
	for i, d := range c.Domains {
		if rej := first(checkName("domains", d.Type, true), checkName("domains", d.Domain, true)); rej != nil {
			return rej
		}
		if i > 0 && d.Type <= c.Domains[i-1].Type {
			return badField("domains", "must be in ascending order without repeats")
		}
	}
	return nil
}

func (c *CompleteTask) validate() *Rejection {
	return first(checkTask("task", c.Task), checkLease(c.Lease), checkObject("output", c.Output), checkName("worker", c.Worker, false))
}

func (c *FailTask) validate() *Rejection {
	return first(checkTask("task", c.Task), checkLease(c.Lease), checkObject("output", c.Output),
		checkText("reason", c.Reason), checkName("worker", c.Worker, false))
}

func (c *ProgressTask) validate() *Rejection {
	if c.CallbackSeconds < 0 {
		return badField("callback_seconds", "must not be negative")
	}
	return first(checkTask("task", c.Task), checkLease(c.Lease), checkObject("output", c.Output), checkName("worker", c.Worker, false))
}

func (c *UpdateTask) validate() *Rejection {
	switch c.Status {
	case TaskStatusCompleted, TaskStatusFailed, TaskStatusFailedTerminal, TaskStatusInProgress:
	case 0:
		if c.ExtendLease {
			break
		}
		fallthrough
	default:
		return badField("status", "must be COMPLETED, FAILED, FAILED_WITH_TERMINAL_ERROR or IN_PROGRESS")
	}
	if c.CallbackSeconds < 0 {
		return badField("callback_seconds", "must not be negative")
	}
	if c.Task.IsZero() {
		if rej := first(checkExec("execution", c.Exec), checkName("ref", c.Ref, true)); rej != nil {
			return rej
		}
	} else if rej := checkTask("task", c.Task); rej != nil {
		return rej
	}
	return first(checkObject("output", c.Output), checkText("reason", c.Reason), checkName("worker", c.Worker, false))
}

func (c *ExtendLeases) validate() *Rejection {
	if len(c.Items) == 0 || len(c.Items) > MaxExtensions {
		return badField("items", "needs 1 to ", itoa(MaxExtensions), " entries")
	}
	for _, x := range c.Items {
		if rej := first(checkTask("items", x.Task), checkLease(x.Lease)); rej != nil {
			return rej
		}
	}
	return nil
}

func (c *ReturnLease) validate() *Rejection {
	return first(checkTask("task", c.Task), checkLease(c.Lease))
}

func (c *PauseExecution) validate() *Rejection  { return checkExec("execution", c.Exec) }
func (c *ResumeExecution) validate() *Rejection { return checkExec("execution", c.Exec) }
func (c *TerminateExecution) validate() *Rejection {
	return first(checkExec("execution", c.Exec), checkText("reason", c.Reason))
}

func (c *Signal) validate() *Rejection {
	switch c.Status {
	case 0, TaskStatusCompleted, TaskStatusFailed, TaskStatusFailedTerminal:
	default:
		return badField("status", "must be COMPLETED, FAILED or FAILED_WITH_TERMINAL_ERROR")
	}
	return first(checkExec("execution", c.Exec), checkName("ref", c.Ref, false), checkObject("output", c.Output), checkText("reason", c.Reason))
}

func (c *PutDefinition) validate() *Rejection {
	if len(c.Source) == 0 {
		return badField("source", "must not be empty")
	}
	return nil
}

func (c *DeleteDefinition) validate() *Rejection {
	if c.Version < 1 {
		return badField("version", "must be 1 or above")
	}
	return checkName("name", c.Name, true)
}

func (c *PutTaskType) validate() *Rejection {
	if len(c.Source) == 0 {
		return badField("source", "must not be empty")
	}
	return nil
}

func (c *DeleteTaskType) validate() *Rejection { return checkName("name", c.Name, true) }
func (c *PauseQueue) validate() *Rejection     { return checkName("queue", string(c.Queue), true) }
func (c *ResumeQueue) validate() *Rejection    { return checkName("queue", string(c.Queue), true) }

func (c *BeginTerm) validate() *Rejection {
	if c.Node.IsZero() || c.Gap < 0 || c.Gap > MaxGap {
		return badField("gap", "needs a node and 0 to ", itoa(int64(MaxGap)), " ms")
	}
	return nil
}

func (c *RaiseIncarnation) validate() *Rejection {
	if c.To > MaxIncarnation {
		return badField("incarnation", "is above ", itoa(MaxIncarnation))
	}
	return nil
}
