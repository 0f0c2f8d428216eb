package model

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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

// execute does what records do by themselves, also for those made on the way.
func (e *Exec) execute() {
	for i := 0; i < len(e.tasks) && e.Status == "RUNNING"; i++ {
		t := e.tasks[i]
		if !t.Open() {
			continue
		}
		switch t.step.Type {
		case "NOOP":
			t.Status = "COMPLETED"
		case "SET_VARIABLE":
			maps.Copy(e.variables, copyOf(t.Input).(map[string]any))
			t.Status = "COMPLETED"
		case "TERMINATE":
			e.terminate(t)
		case "DO_WHILE":
			e.enter(t)
		case "WAIT":
			e.arm(t)
		case "SUB_WORKFLOW":
			if t.Status == "SCHEDULED" && e.world.Now >= t.ready {
				e.startChild(t)
			}
		}
	}
}

func (e *Exec) terminate(t *Task) {
	status := text(t.Input["terminationStatus"])
	t.Status = "COMPLETED"
	switch out := t.Input["workflowOutput"].(type) {
	case map[string]any:
		t.own = out
	case nil:
	default:
		t.own = map[string]any{"output": out}
	}
	reason := fmt.Sprintf("Workflow is %s by TERMINATE task: %s", status, t.Key())
	if given, ok := t.Input["terminationReason"].(string); ok {
		reason = given
	}
	e.end(status, reason, t)
}

// enter begins the first round of a loop, or ends one that has nothing to loop over.
func (e *Exec) enter(t *Task) {
	if t.begun {
		return
	}
	t.begun = true
	if t.listed && len(t.items) == 0 {
		t.Status = "COMPLETED"
		return
	}
	t.round = 1
	e.make(t.step.Body[0], t)
}

// make makes the record of a step in the present round of a loop record, and
// with a FORK and a SWITCH what belongs to it, depth first.
func (e *Exec) make(s *step, loop *Task) {
	iteration, retry := 0, 0
	if loop != nil {
		iteration, retry = loop.round, loop.Retry
	}
	if t := e.last(s.Ref, loop, iteration); t != nil {
		if t.Status == "SKIPPED" && !t.executed {
			t.executed = true
			if next := s.after(); next != nil {
				e.make(next, loop)
			}
		}
		return
	}
	t := e.record(s, loop, iteration, retry)
	switch s.Type {
	case "FORK_JOIN":
		t.Status, t.Type, t.executed = "COMPLETED", "FORK", true
		for _, b := range s.Branches {
			if len(b) > 0 {
				e.make(b[0], loop)
			}
		}
		e.make(s.after(), loop)
	case "SWITCH":
		if list := e.choose(t); len(list) > 0 {
			t.executed = true
			e.make(list[0], loop)
		}
	}
}

// record appends a record as it looks when it is made.
func (e *Exec) record(s *step, loop *Task, iteration, retry int) *Task {
	w := e.world
	w.made++
	e.made++
	t := &Task{
		exec: e, step: s, loop: loop, Iteration: iteration, Retry: retry, Seq: e.made, order: w.made,
		Status: "IN_PROGRESS", Type: s.Type, own: map[string]any{},
		scheduled: w.Now, first: w.Now, ready: w.Now,
	}
	t.Input = e.inputOf(s)
	switch s.Type {
	case "SIMPLE":
		t.Status, t.Type = "SCHEDULED", s.Name
		t.delay = s.StartDelay
		t.ready = w.Now + 1000*t.delay
	case "SUB_WORKFLOW":
		t.Status = "SCHEDULED"
		t.Input = map[string]any{"subWorkflowName": s.Child.Name, "workflowInput": t.Input}
	case "DO_WHILE":
		e.listItems(t)
	}
	e.tasks = append(e.tasks, t)
	return t
}

func (e *Exec) inputOf(s *step) map[string]any {
	from := map[string]any{}
	template := map[string]any{}
	if s.Type == "SIMPLE" {
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

func (e *Exec) listItems(t *Task) {
	var v any
	switch {
	case t.step.Items != "":
		v = e.evaluate(t.step.Items)
	case t.Input["_items"] != nil:
		v = t.Input["_items"]
	case t.Input["items"] != nil:
		v = t.Input["items"]
	default:
		return
	}
	t.listed = true
	if list, ok := v.([]any); ok {
		t.items = list
	} else if v != nil {
		t.items = []any{v}
	}
}

// choose decides a SWITCH and returns the list it takes.
func (e *Exec) choose(t *Task) []*step {
	s := t.step
	value := t.Input[s.Expression]
	if s.Evaluator != "value-param" {
		var err error
		if value, err = e.world.Script(s.Expression, t.Input); err != nil {
			t.Status, t.Reason = "FAILED", err.Error()
			return nil
		}
	}
	result := text(value)
	list, named := s.Cases[result]
	if !named {
		list = s.Default
	}
	t.Status = "COMPLETED"
	t.Input["case"] = result
	if len(list) > 0 {
		t.Input["hasChildren"] = "true"
	}
	t.own = map[string]any{"evaluationResult": []any{result}, "selectedCase": result}
	return list
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
			e.again(t)
			return
		case t.step.Optional:
			t.Status = "COMPLETED_WITH_ERRORS"
		case !t.step.Permissive:
			e.fail(t, "")
			return
		}
	}
	t.executed = true
	if next := t.step.after(); next != nil {
		e.make(next, t.loop)
	}
}

// again makes the next attempt.
func (e *Exec) again(t *Task) {
	t.retried = true
	n := e.record(t.step, t.loop, t.Iteration, t.Retry+1)
	n.Of, n.first, n.Reason = t, t.first, t.Reason
	n.delay = e.world.retryDelay(t.step, t.Retry)
	n.callback = n.delay
	n.ready = e.world.Now + 1000*n.delay
}

// settled says whether a join may count the record.
func (t *Task) settled() bool {
	return !t.Open() && !t.retried && (t.executed || t.step.Type == "SWITCH" && successful(t.Status) || t.Status == "SKIPPED")
}

// closeJoins closes every JOIN that can be closed in the present state.
func (e *Exec) closeJoins() bool {
	type verdict struct {
		join           *Task
		status, reason string
	}
	var closing []verdict
	for _, t := range e.tasks {
		if t.step.Type == "JOIN" && t.Open() {
			if status, reason := e.judge(t); status != "" {
				closing = append(closing, verdict{t, status, reason})
			}
		}
	}
	for _, c := range closing {
		c.join.Status, c.join.Reason = c.status, c.reason
	}
	return len(closing) > 0
}

// judge returns how a JOIN ends, or nothing while it still waits.
func (e *Exec) judge(join *Task) (status, reason string) {
	bad, canceled, soft := 0, 0, 0
	var reasons []string
	for _, ref := range join.step.JoinOn {
		t := e.last(ref, join.loop, join.Iteration)
		switch {
		case t == nil || !t.settled():
			return "", ""
		case !successful(t.Status):
			bad++
			reasons = append(reasons, t.Reason)
			if t.Status == "CANCELED" {
				canceled++
			}
		case t.Status == "COMPLETED_WITH_ERRORS":
			soft++
		}
	}
	switch {
	case bad == 0 && soft == 0:
		return "COMPLETED", ""
	case bad == 0:
		return "COMPLETED_WITH_ERRORS", ""
	case bad == canceled:
		return "CANCELED", strings.Join(reasons, " ")
	}
	return "FAILED", strings.Join(reasons, " ")
}

// reached says whether a list has been gone through to its end, in the root or
// in the present round of a loop.
func (e *Exec) reached(list []*step, loop *Task) bool {
	iteration := 0
	if loop != nil {
		iteration = loop.round
	}
	for _, s := range list {
		if t := e.last(s.Ref, loop, iteration); t == nil || t.Open() || !t.executed {
			return false
		}
	}
	return true
}

// turnLoops ends the round of every loop in which nothing is left to do.
func (e *Exec) turnLoops() bool {
	turned := false
	for _, t := range slices.Clone(e.tasks) {
		if t.step.Type != "DO_WHILE" || !t.Open() || !t.begun || !e.reached(t.step.Body, t) {
			continue
		}
		if slices.ContainsFunc(e.tasks, func(x *Task) bool { return x.Open() && x.inside(t) }) {
			continue
		}
		turned = true
		e.turn(t)
	}
	return turned
}

func (e *Exec) turn(t *Task) {
	t.Input = e.inputOf(t.step)
	e.forget(t)
	more := !t.listed || t.round < len(t.items)
	if more && strings.TrimSpace(t.step.LoopCondition) != "" {
		scope := copyOf(t.Input).(map[string]any)
		scope[t.step.Ref] = t.output()
		for _, x := range e.tasks {
			if find(t.step.Body, x.step.Ref) != nil {
				scope[x.step.Ref] = x.output()
			}
		}
		v, err := e.world.Script(t.step.LoopCondition, scope)
		if err != nil {
			t.Status = "FAILED_WITH_TERMINAL_ERROR"
			t.Reason = fmt.Sprintf("Unable to evaluate condition %s, exception %s", t.step.LoopCondition, err)
			return
		}
		more = truth(v)
	} else if !t.listed {
		more = false
	}
	if !more {
		t.Status = "COMPLETED"
		return
	}
	t.round++
	e.make(t.step.Body[0], t)
}

// forget deletes the records of rounds that the loop does not keep.
func (e *Exec) forget(t *Task) {
	keep, err := strconv.Atoi(text(t.Input["keepLastN"]))
	if err != nil || keep < 1 {
		return
	}
	e.tasks = slices.DeleteFunc(e.tasks, func(x *Task) bool {
		for ; x.loop != nil; x = x.loop {
			if x.loop == t && x.Iteration <= t.round-keep {
				return true
			}
		}
		return false
	})
}

// truth is what counts as true for a loop.
func truth(v any) bool {
	if b, ok := v.(bool); ok {
		return b
	}
	return false
}
