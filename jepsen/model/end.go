package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fail ends the execution because of a record.
func (e *Exec) fail(t *Task, reason string) {
	status := "FAILED"
	switch t.Status {
	case "CANCELED":
		status = "TERMINATED"
	case "TIMED_OUT":
		status = "TIMED_OUT"
	}
	if reason == "" {
		reason = fmt.Sprintf("Task %s failed with status: %s and reason: '%s'", t.Key(), status, t.Reason)
	}
	e.end(status, reason, t)
}

// complete ends an execution that has nothing left to do.
func (e *Exec) complete() {
	var bad []string
	for _, t := range e.tasks {
		if !t.retried && !successful(t.Status) {
			bad = append(bad, fmt.Sprintf("Task %s failed with status: %s and reason: '%s'", t.Key(), t.Status, t.Reason))
		}
	}
	if len(bad) > 0 {
		e.end("FAILED", strings.Join(bad, ". "), nil)
		return
	}
	e.end("COMPLETED", "", nil)
}

// end ends the execution and what is open in it, and has its children told. The
// output is made after that: it is that of a TERMINATE record, or the definition's,
// or that of the record that is to blame, or that of the last one.
func (e *Exec) end(status, reason string, because *Task) {
	e.Status, e.Reason = status, reason
	for _, t := range e.tasks {
		if !t.Open() {
			continue
		}
		t.Status = "CANCELED"
		if t.Child != nil {
			e.world.cleanup = append(e.world.cleanup, t.Child.orphan)
		}
	}
	if because == nil && len(e.tasks) > 0 {
		because = e.tasks[len(e.tasks)-1]
	}
	switch {
	case because == nil:
	case because.step.Type == "TERMINATE" && because.Status == "COMPLETED":
		e.Output = because.own
	case len(e.def.Output) > 0:
		e.Output = e.evaluate(e.def.Output).(map[string]any)
	default:
		e.Output = copyOf(because.output()).(map[string]any)
	}
	if e.parent != nil {
		e.world.pending = append(e.world.pending, e.report)
	}
}

// orphan ends an execution whose parent has ended.
func (e *Exec) orphan() {
	if e.Ended() {
		return
	}
	p := e.parent.exec
	reason := "Parent workflow has been terminated with reason: " + p.Reason
	if p.Reason == "" {
		reason = "Parent workflow has been terminated with status " + p.Status
	}
	e.end("TERMINATED", reason, nil)
}

// startChild starts the execution of a SUB_WORKFLOW record.
func (e *Exec) startChild(t *Task) {
	w := e.world
	p := t.step.Child
	source := w.Definition(p.Name, p.Version)
	if source == nil {
		version := fmt.Sprint(p.Version)
		if p.Version == 0 {
			version = "latest"
		}
		t.Status = "FAILED"
		t.Reason = fmt.Sprintf("No such workflow defined. name=%s, version=%s", p.Name, version)
		return
	}
	d, err := decodeDefinition(source)
	if err != nil {
		t.Status, t.Reason = "FAILED", err.Error()
		return
	}
	t.Status, t.start = "IN_PROGRESS", w.Now
	t.Child = w.create(d, copyOf(t.Input["workflowInput"]).(map[string]any), t)
	t.own = map[string]any{"subWorkflowId": t.Child.Key()}
	w.pending = append(w.pending, t.Child.begin)
}

// report carries the end of a child to the record that started it.
func (e *Exec) report() {
	t := e.parent
	if !t.Open() || t.Child != e {
		return
	}
	t.Status = e.Status
	if e.Status == "TERMINATED" {
		t.Status = "CANCELED"
	}
	maps.Copy(t.own, copyOf(e.Output).(map[string]any))
	if !successful(t.Status) {
		t.Reason = fmt.Sprintf("Sub workflow %s.%d/%s failure reason: %s", e.def.Name, e.def.Version, e.Key(), e.Reason)
	}
	t.exec.decide()
}

// Failed returns the names of the records that failed for good or for a time,
// each once, in order.
func (e *Exec) Failed() []string {
	names := map[string]bool{}
	for _, t := range e.tasks {
		if t.Status == "FAILED" || t.Status == "FAILED_WITH_TERMINAL_ERROR" {
			names[t.Name()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
