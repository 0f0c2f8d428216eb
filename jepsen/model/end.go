package model

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// end ends the execution by its own flow: if it fails, its failure workflow starts.
func (e *Exec) end(status, reason string, because *Task) {
	e.stop(status, reason, because)
	if e.def.FailureWorkflow != "" && status != "COMPLETED" {
		e.startFailure(because)
	}
}

// stop ends the execution and what is open in it, and has its children told. The
// output is made after that: it is that of a TERMINATE record, or the definition's,
// or that of the record that is to blame, or that of the last one.
func (e *Exec) stop(status, reason string, because *Task) {
	e.Status, e.Reason, e.Output = status, reason, map[string]any{}
	for _, t := range e.tasks {
		if t.Open() {
			e.cancel(t)
		}
	}
	if because == nil && len(e.tasks) > 0 {
		because = e.tasks[len(e.tasks)-1]
	}
	switch {
	case because == nil:
	case because.step.Type == "TERMINATE" && because.Status == "COMPLETED":
		e.Output = copyOf(because.own).(map[string]any)
	case len(e.def.Output) > 0:
		e.Output = e.evaluate(e.def.Output).(map[string]any)
	default:
		e.Output = copyOf(because.output()).(map[string]any)
	}
	if e.parent != nil {
		e.tell()
	}
}

// tell has the parent hear of the end, without what a failure workflow adds to the
// output.
func (e *Exec) tell() {
	output := copyOf(e.Output).(map[string]any)
	e.world.pending = append(e.world.pending, func() { e.report(output) })
}

// cancel ends a record with what it started.
func (e *Exec) cancel(t *Task) {
	t.Status, t.waits = "CANCELED", false
	reason := "Parent workflow has been terminated with reason: " + e.Reason
	switch {
	case !e.Ended():
		reason = "~Parent workflow has gone on"
	case e.Reason == "":
		reason = "Parent workflow has been terminated with status " + e.Status
	}
	e.abandon(t, reason)
}

// abandon ends the child of a record that is over, once all is quiet.
func (e *Exec) abandon(t *Task, reason string) {
	c := t.Child
	if c == nil {
		return
	}
	e.world.cleanup = append(e.world.cleanup, func() {
		if !c.Ended() && !c.gone && !c.awaited() {
			c.stop("TERMINATED", reason, nil)
		}
	})
}

// awaited says whether the record that started the execution waits for its end.
func (e *Exec) awaited() bool {
	t := e.parent
	return t.Child == e && t.Open() && t.exec.has(t) && !t.exec.Ended()
}

// startFailure starts the failure workflow of an execution that has failed.
func (e *Exec) startFailure(because *Task) {
	w := e.world
	name := text(e.evaluate(e.def.FailureWorkflow))
	source := w.Definition(name, e.def.FailureVersion)
	if source == nil {
		e.Output["conductor.failure_workflow"] = "~Error workflow " + name + " failed to start."
		return
	}
	d, err := decodeDefinition(source)
	if err != nil {
		e.Output["conductor.failure_workflow"] = "~Error workflow"
		return
	}
	input := copyOf(e.input).(map[string]any)
	input["workflowId"], input["reason"], input["failureStatus"] = e.Key(), e.Reason, e.Status
	if because != nil {
		input["failureTaskId"] = because.Key()
	}
	f := w.create(d, input, nil)
	e.Output["conductor.failure_workflow"] = f.Key()
	w.pending = append(w.pending, f.begin)
}

// startChild starts the execution of a SUB_WORKFLOW record.
func (e *Exec) startChild(t *Task) {
	w := e.world
	name, version := text(t.Input["subWorkflowName"]), e.evaluate(t.step.Child.Version)
	d, problem := w.find(name, version, e.evaluate(t.step.Child.Definition))
	if problem != "" {
		t.Status, t.Reason = "FAILED", problem
		return
	}
	t.Status, t.start = "IN_PROGRESS", w.Now
	input := copyOf(t.Input["workflowInput"]).(map[string]any)
	if t.step.Child.Definition != nil {
		input["_systemMetadata"] = map[string]any{"dynamic": true}
	}
	t.Child = w.create(d, input, t)
	t.own = map[string]any{"subWorkflowId": t.Child.Key()}
	w.pending = append(w.pending, t.Child.begin)
}

// find returns a registered definition, or the one that is given instead.
func (w *World) find(name string, version, inline any) (d *definition, problem string) {
	var source []byte
	if inline != nil {
		source = []byte(canonical(inline))
	} else {
		n, _ := strconv.Atoi(text(version))
		if source = w.Definition(name, n); source == nil {
			shown := "latest"
			if n != 0 {
				shown = fmt.Sprint(n)
			}
			return nil, fmt.Sprintf("No such workflow defined. name=%s, version=%s", name, shown)
		}
	}
	d, err := decodeDefinition(source)
	if err != nil {
		return nil, "~" + err.Error()
	}
	return d, ""
}

// startOther starts what a START_WORKFLOW asks for, on its own.
func (e *Exec) startOther(t *Task) {
	if !t.Open() || e.Ended() {
		return
	}
	asked, ok := t.Input["startWorkflow"].(map[string]any)
	d, problem := &definition{}, "Missing 'startWorkflow' in input data."
	if ok {
		d, problem = e.world.find(text(asked["name"]), asked["version"], asked["workflowDef"])
	}
	if problem != "" {
		t.Status, t.Reason = "FAILED", problem
		e.decide()
		return
	}
	input, _ := asked["input"].(map[string]any)
	if input == nil {
		input = map[string]any{}
	}
	t.Started = e.world.create(d, copyOf(input).(map[string]any), nil)
	t.Started.by = t
	t.Status, t.own = "COMPLETED", map[string]any{"workflowId": t.Started.Key()}
	e.world.pending = append(e.world.pending, t.Started.begin)
	e.decide()
}

// report carries the end of a child to the record that started it.
func (e *Exec) report(output map[string]any) {
	t := e.parent
	if !e.awaited() || !e.Ended() {
		return
	}
	t.Status = e.Status
	if e.Status == "TERMINATED" {
		t.Status = "CANCELED"
	}
	maps.Copy(t.own, output)
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
