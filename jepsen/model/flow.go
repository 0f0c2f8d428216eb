package model

import (
	"fmt"
	"maps"
	"slices"
)

// decide looks at everything until nothing changes: first what runs by itself,
// then what follows on finished records, then joins, then loops.
func (e *Exec) decide() {
	for e.Status == "RUNNING" {
		e.execute()
		if e.Status == "RUNNING" && (e.finishAll() || e.closeJoins() || e.turnLoops()) {
			continue
		}
		break
	}
	if e.Status == "RUNNING" && e.reached(e.def.Tasks, nil) && !slices.ContainsFunc(e.tasks, (*Task).Open) {
		e.complete()
	}
}

// make makes the record of a step in the present round of a loop record, and
// with a fork and a SWITCH what belongs to it, depth first.
func (e *Exec) make(s *step, loop *Task) {
	if e.Status != "RUNNING" {
		return // a step before it in the same batch could not be made
	}
	iteration, retry := 0, 0
	if loop != nil {
		iteration, retry = loop.round, loop.Retry
	}
	if t := e.last(s.Ref, loop, iteration); t != nil {
		if t.Status == "SKIPPED" && !t.executed {
			t.executed = true
			e.passOn(t)
		}
		return
	}
	switch s.Type {
	case "FORK_JOIN", "FORK_JOIN_DYNAMIC":
		e.makeFork(s, loop, iteration, retry)
		return
	case "DYNAMIC":
		if s = e.resolve(s); s == nil {
			return
		}
	}
	e.unfold(e.record(s, loop, iteration, retry))
}

// unfold decides a SWITCH that was just made, if it can be decided at once.
func (e *Exec) unfold(t *Task) {
	if t.step.Type != "SWITCH" && t.step.Type != "DECISION" {
		return
	}
	e.choose(t)
	if len(t.taken) > 0 {
		t.executed = true
		e.make(t.taken[0], t.loop)
	}
}

// passOn makes what comes after a finished record.
func (e *Exec) passOn(t *Task) {
	next := t.step.after()
	if len(t.taken) > 0 {
		next = t.taken[0]
	}
	if next != nil {
		e.make(next, t.loop)
	}
}

// record appends a record as it looks when it is made.
func (e *Exec) record(s *step, loop *Task, iteration, retry int) *Task {
	w := e.world
	w.made++
	w.tasks++
	e.seq++
	t := &Task{
		exec: e, step: s, loop: loop, Iteration: iteration, Retry: retry, Seq: e.seq, order: w.made, number: w.tasks,
	}
	t.fresh()
	t.Input = e.inputOf(s)
	switch s.Type {
	case "HTTP", "KAFKA_PUBLISH":
		t.Input["asyncComplete"] = s.Async
	case "EVENT":
		t.Input["asyncComplete"], t.Input["sink"] = s.Async, e.evaluate(s.Sink)
	case "SUB_WORKFLOW":
		t.Input = map[string]any{"subWorkflowName": e.evaluate(s.Child.Name), "workflowInput": t.Input}
	case "DO_WHILE":
		e.listItems(t)
	}
	e.tasks = append(e.tasks, t)
	e.recall(t)
	return t
}

// fresh gives a record the state that a new one has, but for its input.
func (t *Task) fresh() {
	now := t.exec.world.Now
	t.Status, t.Type, t.Reason, t.own, t.Child, t.Started = "IN_PROGRESS", t.step.Type, "", map[string]any{}, nil, nil
	t.retried, t.executed, t.begun, t.waits, t.called, t.timed = false, false, false, false, false, false
	t.kept, t.round, t.verdict, t.taken, t.on, t.listed, t.items = 0, 0, nil, nil, nil, false, nil
	t.scheduled, t.first, t.start, t.updated, t.ready, t.delay, t.callback = now, now, 0, 0, now, 0, 0
	switch t.step.Type {
	case "SIMPLE":
		t.Status, t.Type = "SCHEDULED", t.step.Name
		t.delay, t.callback = t.step.StartDelay, t.step.StartDelay
		t.ready = now + 1000*t.delay
	case "HTTP", "KAFKA_PUBLISH", "EVENT", "SUB_WORKFLOW", "START_WORKFLOW":
		t.Status = "SCHEDULED"
	case "FORK_JOIN", "FORK_JOIN_DYNAMIC":
		t.Status, t.Type, t.executed = "COMPLETED", "FORK", true
	}
}

// leased says whether a worker does the step.
func (t *Task) leased() bool {
	switch t.step.Type {
	case "SIMPLE", "HTTP", "KAFKA_PUBLISH", "EVENT":
		return true
	}
	return false
}

func (e *Exec) inputOf(s *step) map[string]any {
	from := map[string]any{}
	template := map[string]any{}
	switch s.Type {
	case "SIMPLE", "DYNAMIC", "HTTP", "KAFKA_PUBLISH", "INLINE", "LAMBDA", "JSON_JQ_TRANSFORM", "DO_WHILE":
		template = e.world.settings(s).InputTemplate
	}
	maps.Copy(from, template)
	maps.Copy(from, s.Input)
	in := e.evaluate(from).(map[string]any)
	for k, raw := range template {
		if in[k] == nil {
			in[k] = raw
		}
	}
	return in
}

// finishAll goes on from every finished record, in the order they were made.
func (e *Exec) finishAll() bool {
	var finished []*Task
	for _, t := range e.tasks {
		if !t.Open() && !t.retried && !t.executed && t.Status != "SKIPPED" {
			finished = append(finished, t)
		}
	}
	for _, t := range finished {
		if e.Status == "RUNNING" {
			e.finish(t)
		}
	}
	return len(finished) > 0
}

func (e *Exec) finish(t *Task) {
	if !successful(t.Status) {
		total := e.world.settings(t.step).TotalTimeout
		elapsed := (e.world.Now - t.first) / 1000
		retriable := t.Status == "FAILED" || t.Status == "TIMED_OUT"
		switch {
		case total > 0 && elapsed >= total:
			e.fail(t, fmt.Sprintf("Task %s/%s exceeded total timeout of %d seconds (elapsed %d seconds across all attempts)."+
				" No further retries will be attempted.", t.Key(), t.step.Name, total, elapsed))
			return
		case retriable && t.Retry < e.world.allowed(t.step):
			e.tryAgain(t)
			return
		case t.step.Optional:
			t.Status = "COMPLETED_WITH_ERRORS"
		case !t.step.Permissive:
			e.fail(t, "")
			return
		}
	}
	t.executed = true
	e.passOn(t)
}

// tryAgain makes the next attempt.
func (e *Exec) tryAgain(t *Task) {
	n := e.attempt(t)
	n.Reason = t.Reason
	n.delay = e.world.retryDelay(t.step, t.Retry)
	n.callback = n.delay
	n.ready = e.world.Now + 1000*n.delay
	if n.delay > 0 && n.Open() {
		n.Status = "SCHEDULED"
	}
}

// idle says whether the record is an attempt at something that the machine itself does,
// and waits for its delay.
func (t *Task) idle() bool {
	return t.Status == "SCHEDULED" && !t.leased() && t.step.Type != "SUB_WORKFLOW" && t.step.Type != "START_WORKFLOW"
}

// awake ends the delay of an idle record.
func (t *Task) awake() {
	t.Status = "IN_PROGRESS"
	t.exec.decide()
}

// attempt makes a record that replaces t.
func (e *Exec) attempt(t *Task) *Task {
	t.retried = true
	n := e.record(t.step, t.loop, t.Iteration, t.Retry+1)
	n.Of, n.first = t, t.first
	return n
}

// settled says whether a join may count the record.
func (t *Task) settled() bool {
	decided := (t.step.Type == "SWITCH" || t.step.Type == "DECISION") && successful(t.Status)
	return !t.Open() && !t.retried && (t.executed || decided || t.Status == "SKIPPED")
}

// reached says whether a list has been gone through to its end, in the root or
// in the present round of a loop.
func (e *Exec) reached(list []*step, loop *Task) bool {
	iteration := 0
	if loop != nil {
		iteration = loop.round
	}
	for _, s := range list {
		if t := e.last(s.Ref, loop, iteration); t == nil || t.Open() || !t.executed && !t.retried && !t.jumped {
			return false
		}
	}
	return true
}
