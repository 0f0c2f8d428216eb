package model

import (
	"fmt"
	"maps"
	"slices"
)

func refuse(form string, args ...any) error {
	return fmt.Errorf(form+": %w", append(args, ErrRefused)...)
}

// live gives an ended execution its life back.
func (e *Exec) live() {
	e.Status, e.Reason, e.Output = "RUNNING", "", map[string]any{}
	e.retried = e.world.Now
}

// later has the execution looked at once everything has been set.
func (e *Exec) later() { e.world.pending = append(e.world.pending, e.decide) }

// Restart begins an ended execution anew, with the newest version of its
// definition if that is asked for.
func (w *World) Restart(e *Exec, latest bool) error {
	again := e.def.Restartable == nil || *e.def.Restartable
	if !e.Ended() || e.Status == "COMPLETED" && !again {
		return refuse("execution %s is %s", e.Key(), e.Status)
	}
	if latest {
		d, problem := w.find(e.def.Name, nil, nil)
		if problem != "" {
			return refuse("%s", problem)
		}
		e.def = d
	}
	e.clear(nil)
	e.live()
	e.created, e.retried = w.Now, 0
	e.resetVariables()
	w.revive(e, true)
	w.pending = append([]func(){e.begin}, w.pending...)
	w.settle()
	return nil
}

// clear deletes the records after t, all if t is nil, and ends what they started.
func (e *Exec) clear(t *Task) {
	keep := 0
	if t != nil {
		keep = t.Seq
	}
	for _, x := range e.tasks {
		if x.Seq > keep && x.Child != nil {
			e.world.cleanup = append(e.world.cleanup, x.Child.orphan)
		}
	}
	e.tasks = slices.DeleteFunc(slices.Clone(e.tasks), func(x *Task) bool { return x.Seq > keep })
	e.seq = keep
}

// failed returns the records that a retry tries again: the last attempt at each
// step that ended without success and that the flow has not passed.
func (e *Exec) failed() []*Task {
	var found []*Task
	for _, t := range e.tasks {
		passed := t.executed && t.step.Permissive || t.dropped
		if !t.Open() && !successful(t.Status) && !t.retried && !passed && e.last(t.step.Ref, t.loop, t.Iteration) == t {
			found = append(found, t)
		}
	}
	return found
}

// Retry tries again what failed in an execution; with resume, in the deepest child
// below it that failed.
func (w *World) Retry(e *Exec, resume bool) error {
	if !e.unsuccessful() || len(e.tasks) == 0 {
		return refuse("execution %s is %s", e.Key(), e.Status)
	}
	for deeper := resume; deeper; {
		deeper = false
		for _, t := range e.failed() {
			if t.failedChild() {
				e, deeper = t.Child, true
				break
			}
		}
	}
	if len(e.failed()) == 0 && e.Status != "TIMED_OUT" {
		return refuse("nothing to retry in %s", e.Key())
	}
	e.retry()
	w.revive(e, false)
	w.settle()
	return nil
}

func (t *Task) failedChild() bool { return t.Child != nil && !t.Child.gone && t.Child.unsuccessful() }

// retry makes the next attempts in an execution.
func (e *Exec) retry() {
	e.later()
	failed := e.failed()
	e.live()
	for _, t := range failed {
		switch t.step.Type {
		case "JOIN", "DO_WHILE":
			if t.Status != "CANCELED" {
				t.Retry++
			}
			t.reopen()
		case "EXCLUSIVE_JOIN":
			t.Retry++
			t.reopen()
		default:
			e.unfold(e.attempt(t))
		}
	}
}

// reopen lets a JOIN or loop go on where it was.
func (t *Task) reopen() {
	t.Status, t.Reason, t.executed, t.waits, t.verdict = "IN_PROGRESS", "", false, false, nil
}

// refresh begins a record anew, with the input that it has.
func (t *Task) refresh() {
	t.fresh()
	if t.step.Type == "DO_WHILE" {
		t.exec.listItems(t)
	}
}

// revive makes the parents of an execution that lives again wait for it. A parent
// that is complete only does so for a child that began anew.
func (w *World) revive(e *Exec, anew bool) {
	for e.parent != nil {
		t := e.parent
		p := t.exec
		if !p.has(t) || t.step.Optional || t.retried || t.Child != e || t.Open() && !p.Ended() || p.Status == "COMPLETED" && !anew {
			return
		}
		t.Status, t.Reason, t.executed = "IN_PROGRESS", "", false
		if p.Ended() {
			p.live()
			p.later()
			p.reviveOthers(t)
		}
		e = p
	}
}

// reviveOthers opens again what was canceled beside a record.
func (e *Exec) reviveOthers(t *Task) {
	for _, x := range e.failed() {
		switch {
		case x == t:
		case x.failedChild():
			x.Status, x.Reason = "IN_PROGRESS", ""
			x.Child.retry()
		case x.Status != "CANCELED":
		case x.step.Type == "JOIN" || x.step.Type == "DO_WHILE":
			x.reopen()
		default:
			x.Retry++
			x.refresh()
		}
	}
}

// Rerun runs an ended execution again: from its beginning, or from a record of it
// or of an execution below it, with another input if one is given.
func (w *World) Rerun(e *Exec, key string, input []byte) error {
	if !e.Ended() {
		return refuse("execution %s is %s", e.Key(), e.Status)
	}
	if key == "" {
		e.clear(nil)
		e.live()
		if len(input) > 0 {
			e.input = object(input)
		}
		w.revive(e, true)
		w.pending = append([]func(){e.begin}, w.pending...)
		w.settle()
		return nil
	}
	t := w.Find(key)
	if t == nil || !slices.Contains(e.All(), t.exec) || !t.exec.Ended() {
		return refuse("no record %s to run again in %s", key, e.Key())
	}
	t.exec.rerunFrom(t, input)
	w.revive(t.exec, true)
	w.settle()
	return nil
}

func (e *Exec) rerunFrom(t *Task, input []byte) {
	e.clear(t)
	e.live()
	if t.Child != nil {
		e.world.cleanup = append(e.world.cleanup, t.Child.orphan)
	}
	for _, x := range e.tasks {
		x.retried = x.retried && slices.ContainsFunc(e.tasks, func(n *Task) bool { return n.Of == x })
	}
	if len(input) > 0 {
		t.Input = object(input)
	}
	t.refresh()
	for _, x := range e.failed() {
		switch x.step.Type {
		case "JOIN", "DO_WHILE":
			x.reopen()
		default:
			x.refresh()
		}
	}
	for _, l := range e.tasks {
		if l.step.Type == "DO_WHILE" && l.begun {
			l.round = 0
			for _, x := range e.tasks {
				if x.loop == l {
					l.round = max(l.round, x.Iteration)
				}
			}
		}
	}
	for e.reopenOne() {
	}
	e.refill()
	e.later()
}

// reopenOne opens a JOIN or loop that had ended but has something to wait for again.
func (e *Exec) reopenOne() bool {
	for _, t := range e.tasks {
		if t.Open() || t.Status == "SKIPPED" {
			continue
		}
		waits := t.step.Type == "JOIN" && e.waitsFor(t)
		if t.step.Type == "DO_WHILE" && t.begun && !(t.listed && len(t.items) == 0) {
			waits = !e.over(t)
		}
		if waits {
			t.reopen()
			return true
		}
	}
	return false
}

// refill makes what follows on records that had been passed and is gone.
func (e *Exec) refill() {
	for _, t := range slices.Clone(e.tasks) {
		switch {
		case e.Status != "RUNNING":
			return
		case t.Type == "FORK":
			e.spread(t)
		case t.Open() && !t.begun && t.taken == nil && (t.step.Type == "SWITCH" || t.step.Type == "DECISION"):
			e.unfold(t)
		case t.Open() && t.step.Type == "DO_WHILE" && t.begun:
			t.round = max(t.round, 1)
			e.make(t.step.Body[0], t)
		case t.executed:
			e.passOn(t)
		}
	}
}

// Jump cancels what is open and goes on at a step of the main line; steps before it
// that have no record are skipped.
func (w *World) Jump(e *Exec, ref string, input []byte) error {
	s := find(e.def.Tasks, ref)
	if e.Status != "RUNNING" || s == nil || s.owner != nil || e.latest(ref) != nil {
		return refuse("%s cannot jump to %s", e.Key(), ref)
	}
	for _, t := range e.tasks {
		if t.Open() {
			e.cancel(t)
			t.dropped = true
		}
	}
	for _, before := range e.def.Tasks[:s.at] {
		if e.latest(before.Ref) == nil {
			e.skip(before, nil).executed = true
		}
	}
	e.make(s, nil)
	if t := e.latest(ref); t != nil && len(input) > 0 {
		t.Input = object(input)
	}
	e.decide()
	w.settle()
	return nil
}

// SetVariables replaces variables of an execution that has not ended.
func (w *World) SetVariables(e *Exec, values []byte) error {
	if e.Ended() {
		return refuse("execution %s is %s", e.Key(), e.Status)
	}
	maps.Copy(e.variables, object(values))
	return nil
}

// ResetCallbacks makes records ready that wait for a callback.
func (w *World) ResetCallbacks(e *Exec) error {
	if e.Ended() {
		return refuse("execution %s is %s", e.Key(), e.Status)
	}
	for _, t := range e.tasks {
		if t.leased() && t.Status == "SCHEDULED" && t.callback > 0 {
			t.callback, t.ready = 0, min(t.ready, w.Now)
		}
	}
	w.settle()
	return nil
}

// Delete ends an execution if it runs, and removes it.
func (w *World) Delete(e *Exec) error {
	if !e.Ended() {
		e.stop("TERMINATED", "", nil)
	}
	w.settle()
	e.gone = true
	w.execs = slices.DeleteFunc(slices.Clone(w.execs), func(x *Exec) bool { return x == e })
	return nil
}
