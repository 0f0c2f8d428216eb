package model

import (
	"fmt"
	"strings"
)

// Record is what can be seen of a Task. Ids are keys.
type Record struct {
	Key, Ref, Status, Type, Reason string
	Seq, Retry, RetriedOf          int // RetriedOf is the seq of the attempt it replaces, 0 for none
	Iteration                      int
	Retried                        bool
	Input, Output                  string // JSON with sorted keys
}

// Records returns what can be seen of an execution's records, in order.
func (e *Exec) Records() []Record {
	var out []Record
	for _, t := range e.tasks {
		r := Record{
			Key: t.Key(), Ref: t.Name(), Status: t.Status, Type: t.Type, Reason: t.Reason,
			Seq: t.Seq, Retry: t.Retry, Iteration: t.Iteration, Retried: t.retried,
			Input: canonical(t.Input), Output: canonical(t.output()),
		}
		if t.Of != nil {
			r.RetriedOf = t.Of.Seq
		}
		out = append(out, r)
	}
	return out
}

// String writes a record in a line.
func (r Record) String() string {
	return fmt.Sprintf("%s %s %s type=%s retry=%d of=%d retried=%v iteration=%d in=%s out=%s reason=%q",
		r.Key, r.Ref, r.Status, r.Type, r.Retry, r.RetriedOf, r.Retried, r.Iteration, r.Input, r.Output, r.Reason)
}

// String writes the execution and its records, a line each.
func (e *Exec) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "execution %q %s %s out=%s reason=%q failed=%v\n",
		e.Key(), e.def.Name, e.Status, canonical(e.Output), e.Reason, e.Failed())
	for _, r := range e.Records() {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	return b.String()
}
