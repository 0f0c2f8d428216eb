package fsm

// Code classifies a Rejection. Codes are stored by nobody and may be renamed.
type Code string

// The rejections. Transport maps each to a wire code in one table.
const (
	NotFound          Code = "not_found"
	AlreadyExists     Code = "already_exists"
	Conflict          Code = "conflict"    // the state does not allow it
	StaleLease        Code = "stale_lease" // another lease is newer, or the task has ended
	Busy              Code = "busy"        // a sweep is under way: ask again
	Malformed         Code = "malformed"   // a field is wrong
	InvalidDefinition Code = "invalid_definition"
	NoDefinition      Code = "no_definition"
	TooLarge          Code = "too_large"
	Duplicate         Code = "duplicate_request" // request id used with other content
	NothingWaits      Code = "nothing_waits"
	Faulted           Code = "faulted"   // the machine caught a fault of its own and rolled back
	Exhausted         Code = "exhausted" // a bound of State is reached
	NotRestartable    Code = "not_restartable"
	NothingToRetry    Code = "nothing_to_retry"
)

// Codes lists every Code, for tests that must meet each.
func Codes() []Code {
	return []Code{NotFound, AlreadyExists, Conflict, StaleLease, Busy, Malformed, InvalidDefinition, NoDefinition,
		TooLarge, Duplicate, NothingWaits, Faulted, Exhausted, NotRestartable, NothingToRetry}
}

// Problem is one thing wrong with a document or request.
type Problem struct {
	Path    string // of the field, e.g. tasks[0].inputParameters.total
	Message string // what is wrong and what is allowed
}

// Rejection is why a command was refused. It is a value that the machine returns, the
// same on every node; a refused command has changed nothing.
type Rejection struct {
	Code      Code
	Message   string
	Field     string    // the field at fault, when one is
	Problems  []Problem // of a document, when there are several
	Exec      ExecID    // AlreadyExists: the execution that has the key
	Task      TaskID
	Got, Want Lease // StaleLease
}

// Error gives the message, or the first problem when there is no message.
func (r *Rejection) Error() string {
	if r.Message == "" && len(r.Problems) > 0 {
		return r.Problems[0].Path + ": " + r.Problems[0].Message
	}
	return r.Message
}

func reject(code Code, parts ...string) *Rejection {
	return &Rejection{Code: code, Message: join(parts...)}
}

func badField(field string, parts ...string) *Rejection {
	return &Rejection{Code: Malformed, Field: field, Message: field + ": " + join(parts...)}
}

// join concatenates; the machine has no use for fmt, whose output may change.
func join(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		b = append(b, p...)
	}
	return string(b)
}
