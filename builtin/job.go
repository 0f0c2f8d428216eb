package builtin

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/expr"
)

// Bounds of an evaluation.
const (
	// Limit is how long a source may take, as in Conductor.
	Limit = 4 * time.Second
	// MaxSource bounds the bytes of a source.
	MaxSource = 256 << 10
	// MaxResult bounds the bytes of a result: with a report around it, it has to fit
	// one command.
	MaxResult = fsm.MaxCommandBytes - 4096
	// maxNesting bounds the brackets that may be open at one place of a source: the
	// parsers recurse.
	maxNesting = 500
	// maxDepth bounds the nesting of a value: the task's output around it takes two of
	// the levels that a document may have.
	maxDepth = expr.MaxDepth - 2
	// maxMessage bounds the bytes of a message.
	maxMessage = fsm.MaxReason
)

// Languages of a Job.
const (
	JavaScript = "javascript"
	JQ         = "jq"
	// Zone turns `yyyy-MM-dd HH:mm Zone/Name` into epoch milliseconds.
	Zone   = "zone"
	python = "python"
)

// Job is one source to be evaluated: the input of a task of a `$` queue.
type Job struct {
	Language string `json:"language"`
	// Function says that the source is the body of a function without parameters.
	Function bool   `json:"function,omitempty"`
	Source   string `json:"source"`
	// Input is any JSON: `$` in JavaScript, the document in jq. Empty is null.
	Input json.RawMessage `json:"input,omitempty"`
	// Now is the time of `new Date()` and of jq's `now`, in epoch milliseconds.
	Now int64 `json:"now,omitempty"`
}

// Outcome is the answer to a job: a result, or a failure with its message.
type Outcome struct {
	// Result is JSON: the value of a script, an array of all results of jq, a number.
	Result  json.RawMessage `json:"result,omitempty"`
	Failure fsm.JobFailure  `json:"failure,omitempty"`
	Message string          `json:"message,omitempty"`
	// Line is where a script failed, from 1 on; 0 when that is not known.
	Line int32 `json:"line,omitempty"`
}

func failed(f fsm.JobFailure, message string) Outcome {
	return Outcome{Failure: f, Message: cut(message)}
}

// timedOut is what a job ends with whose source takes longer than limit.
func timedOut(limit time.Duration) Outcome {
	seconds := strconv.FormatFloat(limit.Seconds(), 'g', -1, 64)
	return failed(fsm.JobTimedOut, "Script not evaluated within "+seconds+" seconds, interrupted.")
}

// tooLarge is what a job ends with whose result would take size bytes or more.
func tooLarge(size int) Outcome {
	return failed(fsm.JobThrew, "the result takes "+strconv.Itoa(size)+" bytes or more; at most "+strconv.Itoa(MaxResult)+" are allowed")
}

var tooDeep = failed(fsm.JobThrew, "the result is nested more than "+strconv.Itoa(maxDepth)+" levels deep, or contains itself")

// cut makes valid text of at most maxMessage bytes of s.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxMessage {
		return s
	}
	n := maxMessage
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Evaluate does a job in this process. It returns within limit unless the source keeps
// an engine busy inside one of its own functions, and takes the memory that the source
// asks for. Local times are in time.Local; a child sets that to UTC.
func Evaluate(j Job, limit time.Duration) Outcome {
	if o := checkSource(j.Source); o.Failure != fsm.JobDone {
		return o
	}
	if len(j.Input) == 0 {
		j.Input = json.RawMessage("null")
	}
	if err := expr.Check(j.Input); err != nil {
		return failed(fsm.JobThrew, "input: "+err.Error())
	}
	var o Outcome
	switch j.Language {
	case JavaScript:
		o = runScript(&j, limit)
	case JQ:
		o = runQuery(&j, limit)
	case Zone:
		o = readZoned(j.Source)
	default:
		return noEvaluator(j.Language)
	}
	switch {
	case o.Failure != fsm.JobDone:
	case len(o.Result) > MaxResult:
		return tooLarge(len(o.Result))
	case expr.Check(nest(o.Result, j.Language != JQ)) != nil:
		return tooDeep
	}
	return o
}

// nest puts brackets around a result, so that what is checked is as deep as the output
// that will hold it.
func nest(result []byte, twice bool) []byte {
	open, end := "[", "]"
	if twice {
		open, end = "[[", "]]"
	}
	return append(append(append(make([]byte, 0, len(result)+4), open...), result...), end...)
}

func noEvaluator(language string) Outcome {
	if language == python {
		return failed(fsm.JobThrew, "Python is not available on this server: use javascript")
	}
	return failed(fsm.JobThrew, "no evaluator for "+strconv.Quote(language))
}

// check finds out whether a job's source can be parsed.
func check(j *Job) Outcome {
	if o := checkSource(j.Source); o.Failure != fsm.JobDone {
		return o
	}
	switch j.Language {
	case JavaScript:
		_, o := compileScript(j)
		return o
	case JQ:
		_, o := compileQuery(j)
		return o
	case Zone:
		return readZoned(j.Source)
	}
	return noEvaluator(j.Language)
}

func checkSource(src string) Outcome {
	if len(src) > MaxSource {
		return failed(fsm.JobMalformed, "the source takes "+strconv.Itoa(len(src))+" bytes; at most "+strconv.Itoa(MaxSource)+" are allowed")
	}
	if !utf8.ValidString(src) {
		return failed(fsm.JobMalformed, "the source is not UTF-8")
	}
	depth := 0
	for i := range len(src) {
		switch src[i] {
		case '(', '[', '{':
			if depth++; depth > maxNesting {
				return failed(fsm.JobMalformed, "the source has more than "+strconv.Itoa(maxNesting)+" open brackets at one place")
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return Outcome{}
}
