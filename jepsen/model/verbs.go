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

const runAgain = "~Parent workflow has been run again"

// clear deletes the records after t, all if t is nil, and ends what they started.
func (e *Exec) clear(t *Task) {
	keep := 0
	if t != nil {
		keep = t.Seq
	}
	for _, x := range e.tasks {
		if x.Seq > keep {
			e.abandon(x, runAgain)
			x.reopenLoops()
		}
	}
	e.tasks = slices.DeleteFunc(slices.Clone(e.tasks), func(x *Task) bool { return x.Seq > keep })
	e.seq = keep
	if keep < e.jumped {
		e.jumped = 0
	}
}

// reopenLoops opens the loops around a record again that is gone or done again.
func (t *Task) reopenLoops() {
	for l := t.loop; l != nil; l = l.loop {
		if !l.Open() && !l.retried {
			l.reopen()
		}
	}
}

// failed returns the records that a retry tries again: the last attempt at each
// step that ended without success and that the flow has not passed.
func (e *Exec) failed() []*Task {
	var found []*Task
	for _, t := range e.tasks {
		passed := t.executed && t.step.Permissive
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
			if t.failedChild() && (len(t.Child.failed()) > 0 || t.Child.Status == "TIMED_OUT") {
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
			n := e.attempt(t)
			n.first = n.scheduled // its time begins anew
			e.unfold(n)
		}
	}
	e.again(nil)
}

// again does what ended the execution again, opens what waits for records that are
// open again, and makes what is missing, first behind the record that is run again.
func (e *Exec) again(target *Task) {
	for _, t := range e.tasks {
		if t.step.Type == "TERMINATE" && t.Status == "COMPLETED" {
			t.refresh()
		}
	}
	for e.reopenOne() {
	}
	e.refill(target)
}

// reopen lets a JOIN or loop go on where it was.
func (t *Task) reopen() {
	t.Status, t.Reason, t.executed, t.waits, t.verdict = "IN_PROGRESS", "", false, false, nil
}

// refresh begins a record anew, with the input that it has.
func (t *Task) refresh() {
	if t.step.Type == "DYNAMIC" { // it was skipped
		if s := t.exec.resolve(t.step); s != nil {
			t.step = s
		}
	}
	t.fresh()
	if t.step.Type == "DO_WHILE" {
		t.exec.listItems(t)
	}
	t.exec.recall(t)
}

// revive brings the parents of an execution back that lives again, to wait for it.
// One that has passed it has gone on, and one that is complete waits only for a
// child that began anew.
func (w *World) revive(e *Exec, anew bool) {
	for e.parent != nil {
		t := e.parent
		p := t.exec
		if !p.has(t) || !t.present() || t.step.Optional || t.retried || t.Child != e || !p.Ended() && t.executed || p.Status == "COMPLETED" && !anew {
			return
		}
		t.Status, t.Reason, t.executed = "IN_PROGRESS", "", false
		if !p.Ended() {
			return
		}
		p.goOn(t)
		e = p
	}
}

// goOn brings an execution back around a record that is open again, if there is one.
func (e *Exec) goOn(t *Task) {
	e.live()
	e.later()
	e.reviveOthers(t)
	e.again(nil)
}

// reviveOthers opens again what failed or was canceled beside a record: left as it
// is, it would end the execution at once.
func (e *Exec) reviveOthers(t *Task) {
	for _, x := range e.failed() {
		switch {
		case x == t:
		case x.goOnBelow():
		case x.step.Type == "JOIN" || x.step.Type == "DO_WHILE":
			if x.Status != "CANCELED" {
				x.Retry++
			}
			x.reopen()
		default:
			x.Retry++
			x.refresh()
		}
	}
}

// goOnBelow lets the child of a record go on, if it has one.
func (t *Task) goOnBelow() bool {
	c := t.Child
	if c == nil || c.gone {
		return false
	}
	t.Status, t.Reason = "IN_PROGRESS", ""
	c.world.cleanup = append(c.world.cleanup, func() {
		switch {
		case c.gone || !c.awaited():
		case c.Status == "COMPLETED": // its end was not heard
			c.tell()
		case c.unsuccessful():
			c.goOn(nil)
		}
	})
	return true
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
	if t == nil || !slices.Contains(e.All(), t.exec) || !t.exec.Ended() || t.Status == "SKIPPED" && t.step.Type == "JOIN" {
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
	e.abandon(t, runAgain)
	for _, x := range e.tasks {
		x.retried = x.retried && x.Seq < e.jumped || x.retried && slices.ContainsFunc(e.tasks, func(n *Task) bool { return n.Of == x })
	}
	if len(input) > 0 {
		t.Input = object(input)
	}
	t.refresh()
	t.reopenLoops()
	for _, x := range e.failed() {
		switch {
		case x.goOnBelow():
		case x.step.Type == "JOIN" || x.step.Type == "DO_WHILE":
			x.reopen()
		default:
			x.refresh()
		}
	}
	for _, l := range e.tasks {
		if l.step.Type == "DO_WHILE" && l.round > 0 {
			l.round = l.kept + 1
			for _, x := range e.tasks {
				if x.loop == l {
					l.round = max(l.round, x.Iteration)
				}
			}
		}
	}
	e.again(t)
	e.later()
}

// reopenOne opens a JOIN or loop that had ended but has something to wait for again.
func (e *Exec) reopenOne() bool {
	for _, t := range e.tasks {
		if t.Open() || t.Status == "SKIPPED" || t.retried {
			continue
		}
		waits := false
		switch t.step.Type {
		case "JOIN":
			waits = e.waitsFor(t)
		case "EXCLUSIVE_JOIN":
			status, _, _ := e.first(t)
			waits = status == ""
		case "DO_WHILE":
			waits = t.begun && !(t.listed && len(t.items) == 0) && !e.over(t)
		}
		if waits {
			t.reopen()
			return true
		}
	}
	return false
}

// refill makes what follows on records that had been passed and is gone, first on the
// one that is run again.
// What was skipped counts as passed only if the flow still comes to it.
func (e *Exec) refill(target *Task) {
	for _, x := range e.tasks {
		x.executed = x.executed && (x.Status != "SKIPPED" || !x.present() || x.loop != nil && !x.loop.Open())
	}
	all := slices.DeleteFunc(slices.Clone(e.tasks), func(x *Task) bool { return x.Seq < e.jumped })
	if target != nil {
		all = append([]*Task{target}, slices.DeleteFunc(all, func(x *Task) bool { return x == target })...)
	}
	defer e.make(e.def.Tasks[0], nil)
	for _, t := range all {
		switch {
		case e.Status != "RUNNING":
			return
		case !t.present():
		case t.Type == "FORK" && t.step.Type == "FORK_JOIN_DYNAMIC" && t != target:
			e.spreadAgain(t)
		case t.Type == "FORK":
			e.spread(t)
		case t.Open() && !t.begun && (t.step.Type == "SWITCH" || t.step.Type == "DECISION"):
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
	if e.Status != "RUNNING" || s == nil || s.owner != nil || s.Type == "JOIN" || e.latest(ref) != nil {
		return refuse("%s cannot jump to %s", e.Key(), ref)
	}
	e.jumped = e.seq + 1
	for _, t := range e.tasks {
		if t.Open() {
			e.cancel(t)
			t.retried = true // it counts no more
		}
	}
	for _, before := range e.def.Tasks[:s.at] {
		if e.latest(before.Ref) == nil {
			e.skip(before, nil, 0, object(nil))
		}
	}
	for _, before := range e.def.Tasks[:s.at] {
		t := e.latest(before.Ref)
		t.jumped = t.Status == "SKIPPED"
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
