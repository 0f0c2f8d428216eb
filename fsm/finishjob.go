package fsm

import (
	"unicode/utf8"

	"github.com/pawlhq/pawl/fsm/expr"
)

// FinishJob answers a job of the server itself: a script, a jq program, a time in a
// named zone. Only the lease under which the job was handed out may answer it.
type FinishJob struct {
	Task  TaskID
	Lease Lease
	// Result is JSON: of a script its value, of jq the list of all results, of a time
	// the instant in milliseconds since 1970. Empty when Failure is set.
	Result  []byte
	Failure JobFailure
	Message string // of a failure, at most MaxReason bytes
	Line    int32  // of the script that failed, from 1; 0 when it is not known
}

// JobFailure says why a job has no result.
type JobFailure uint8

// The failures of jobs.
const (
	JobDone      JobFailure = iota // none: there is a result
	JobThrew                       // the source threw, or has a result that cannot be kept
	JobTimedOut                    // it did not end within its time
	JobDied                        // it took too much memory or stack, or its process ended
	JobMalformed                   // its source does not parse
	jobLost                        // no worker answered; never sent
)

func (*FinishJob) kind() kind { return kindFinishJob }

func (c *FinishJob) append(w *writer) {
	w.task(1, c.Task)
	w.num(2, uint64(c.Lease))
	w.bytes(3, c.Result)
	w.num(4, uint64(c.Failure))
	w.str(5, c.Message)
	w.int(6, int64(c.Line))
}

func (c *FinishJob) field(r *reader) {
	switch r.tag {
	case 1:
		c.Task = r.task()
	case 2:
		c.Lease = Lease(r.num())
	case 3:
		c.Result = r.bytes()
	case 4:
		c.Failure = JobFailure(r.num8())
	case 5:
		c.Message = r.str()
	case 6:
		c.Line = r.int32()
	default:
		r.unknown()
	}
}

func (c *FinishJob) validate() *Rejection {
	switch {
	case c.Failure >= jobLost:
		return badField("failure", "is not known")
	case c.Failure != JobDone && len(c.Result) > 0:
		return badField("result", "must be empty when there is a failure")
	case c.Line < 0:
		return badField("line", "must not be negative")
	case len(c.Message) > MaxReason:
		return badField("message", "has ", itoa(int64(len(c.Message))), " bytes; at most ", itoa(MaxReason), " are allowed")
	case !utf8.ValidString(c.Message):
		return badField("message", "must be valid UTF-8")
	}
	if c.Failure == JobDone {
		if err := expr.Check(c.Result); err != nil {
			return badField("result", err.Error())
		}
	}
	return first(checkTask("task", c.Task), checkLease(c.Lease))
}
