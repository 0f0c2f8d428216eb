package model

import (
	"fmt"
	"strings"
)

// Record is what can be seen of a Task. Ids are keys.
type Record struct {
	Key, Ref, Status, Type, Kind, Reason string
	Seq, Retry                           int
	RetriedOf                            string // the attempt it replaces, "none" if there is none
	Child                                string // empty if there is none
	Iteration                            int
	Retried, Executed                    bool
	Input, Output                        string // JSON with sorted keys
}

// Records returns what can be seen of an execution's records, in order.
func (e *Exec) Records() []Record {
	var out []Record
	for _, t := range e.tasks {
		r := Record{
			Key: t.Key(), Ref: t.Name(), Status: t.Status, Type: t.Type, Kind: t.step.Type, Reason: t.Reason,
			Seq: t.Seq, Retry: t.Retry, RetriedOf: "none", Iteration: t.shownIteration(), Retried: t.retried, Executed: t.executed,
			Input: canonical(t.Input), Output: canonical(t.output()),
		}
		if t.Of != nil {
			r.RetriedOf = t.Of.Key()
		}
		if t.Child != nil {
			r.Child = t.Child.Key()
		}
		out = append(out, r)
	}
	return out
}

// String writes a record in a line.
func (r Record) String() string {
	return fmt.Sprintf("%s %d %s %s type=%s retry=%d of=%s retried=%v iteration=%d child=%s in=%s out=%s reason=%q",
		r.Key, r.Seq, r.Ref, r.Status, r.Type, r.Retry, r.RetriedOf, r.Retried, r.Iteration, r.Child, r.Input, r.Output, r.Reason)
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
