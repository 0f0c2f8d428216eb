package model

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

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

func (e *Exec) listItems(t *Task) {
	var v any
	switch {
	case t.step.Items != nil:
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

// over says whether the round of a loop is over.
func (e *Exec) over(t *Task) bool {
	return e.reached(t.step.Body, t) && !slices.ContainsFunc(e.tasks, func(x *Task) bool { return x.Open() && x.inside(t) })
}

// under says whether the round of a loop is under way: then it does not show.
func (e *Exec) under(t *Task) bool {
	return !e.over(t) || slices.ContainsFunc(e.tasks, func(x *Task) bool {
		return x.inside(t) && !x.executed && !x.retried && x.Status != "SKIPPED"
	})
}

// turnLoops ends the round of every loop in which nothing is left to do.
func (e *Exec) turnLoops() bool {
	turned := false
	for _, t := range slices.Clone(e.tasks) {
		if t.step.Type == "DO_WHILE" && t.Open() && t.begun && !t.waits && e.over(t) {
			turned = true
			e.turn(t)
		}
	}
	return turned
}

// turn goes into the next round of a loop, ends the loop, or asks a job which.
func (e *Exec) turn(t *Task) {
	if t.verdict == nil {
		t.Input = e.inputOf(t.step)
		e.forget(t)
		e.ask(t)
		if t.waits || !t.Open() {
			return
		}
	}
	more := t.verdict == true
	t.verdict = nil
	if !more {
		t.Status = "COMPLETED"
		return
	}
	t.round++
	e.make(t.step.Body[0], t)
}

// ask evaluates the condition of a loop.
func (e *Exec) ask(t *Task) {
	more := !t.listed || t.round < len(t.items)
	if !more || strings.TrimSpace(t.step.LoopCondition) == "" {
		t.verdict = more && t.listed
		return
	}
	if e.world.outside(t.step.LoopCondition) {
		t.waits = true
		return
	}
	scope := copyOf(t.Input).(map[string]any)
	scope[t.step.Ref] = t.output()
	for _, x := range e.tasks {
		if find(t.step.Body, x.step.Ref) != nil {
			scope[x.step.Ref] = x.output()
		}
	}
	v, err := e.world.Script(t.step.LoopCondition, scope)
	e.answer(t, v, err)
}

// forget deletes the records of rounds that the loop does not keep.
func (e *Exec) forget(t *Task) {
	keep, err := strconv.Atoi(text(t.Input["keepLastN"]))
	if err != nil || keep < 1 {
		return
	}
	t.kept = max(t.kept, t.round-keep)
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
	switch v := v.(type) {
	case bool:
		return v
	case json.Number:
		f, err := v.Float64()
		return err == nil && f > 0
	}
	return false
}
