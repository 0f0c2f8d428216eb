package model

import (
	"errors"
	"fmt"
	"maps"
)

// settle works on children and due times until nothing is left. Children of ended
// parents come last, so that those just started have made their first records.
func (w *World) settle() {
	for {
		w.work()
		switch {
		case len(w.cleanup) > 0:
			next := w.cleanup[0]
			w.cleanup = w.cleanup[1:]
			next()
		case !w.fireAll():
			return
		}
	}
}

// work lets children begin and parents hear of their ends.
func (w *World) work() {
	for len(w.pending) > 0 {
		next := w.pending[0]
		w.pending = w.pending[1:]
		next()
	}
}

// fireAll does everything that is due and says whether there was anything.
func (w *World) fireAll() bool {
	any := false
	for w.fire() {
		any = true
		w.work()
	}
	return any
}

func (w *World) open(key string) (*Task, error) {
	t := w.Find(key)
	if t == nil || !t.Open() || t.exec.Ended() {
		return nil, fmt.Errorf("record %s is not open: %w", key, ErrRefused)
	}
	return t, nil
}

func (w *World) closeTask(key, status, reason string, output []byte) error {
	t, err := w.open(key)
	if err != nil {
		return err
	}
	if t.waits {
		return fmt.Errorf("record %s waits for its script: %w", key, ErrRefused)
	}
	switch t.step.Type {
	case "JOIN", "EXCLUSIVE_JOIN", "DO_WHILE", "SUB_WORKFLOW", "START_WORKFLOW":
		return fmt.Errorf("record %s ends by its own rules: %w", key, ErrRefused)
	}
	t.Status, t.Reason = status, reason
	maps.Copy(t.own, object(output))
	if status == "COMPLETED" {
		t.exec.keep(t)
	}
	t.exec.decide()
	w.settle()
	return nil
}

// Complete completes an open record. Its output is merged over what was reported
// of the same attempt before.
func (w *World) Complete(key string, output []byte) error {
	return w.closeTask(key, "COMPLETED", "", output)
}

// Fail fails an open record; terminal says that it may not be retried.
func (w *World) Fail(key, reason string, terminal bool, output []byte) error {
	status := "FAILED"
	if terminal {
		status = "FAILED_WITH_TERMINAL_ERROR"
	}
	return w.closeTask(key, status, reason, output)
}

// CompleteRef completes the newest open record of a step.
func (w *World) CompleteRef(e *Exec, ref string, output []byte) error {
	var found *Task
	for _, t := range e.tasks {
		if t.step.Ref == ref && t.Open() {
			found = t
		}
	}
	if found == nil {
		return fmt.Errorf("step %s has no open record: %w", ref, ErrRefused)
	}
	return w.Complete(found.Key(), output)
}

// Called completes an open record under its lease: one that is asyncComplete goes
// on to wait for its end from outside.
func (w *World) Called(key string, output []byte) error {
	t, err := w.open(key)
	if err != nil || !t.step.Async || t.step.Type == "SIMPLE" {
		return w.Complete(key, output)
	}
	t.Status, t.called = "IN_PROGRESS", true
	maps.Copy(t.own, object(output))
	w.settle()
	return nil
}

// AnswerJob gives a record the value of its script, or says how it failed: late is
// true for a script that took too long.
func (w *World) AnswerJob(key string, value []byte, failure string, late bool) error {
	t, err := w.open(key)
	if err != nil || !t.waits {
		return fmt.Errorf("record %s waits for no script: %w", key, ErrRefused)
	}
	var v any
	if failure == "" {
		if err := decode(value, &v); err != nil {
			return err
		}
		t.exec.answer(t, v, nil)
	} else if late {
		t.exec.answer(t, nil, errLate)
	} else {
		t.exec.answer(t, nil, errors.New(failure))
	}
	t.exec.decide()
	w.settle()
	return nil
}

// Poll hands a scheduled record to a worker.
func (w *World) Poll(key string) error {
	t, err := w.open(key)
	if err != nil {
		return err
	}
	if !t.leased() || t.Status != "SCHEDULED" || w.Now < t.ready {
		return fmt.Errorf("record %s is not to be polled: %w", key, ErrRefused)
	}
	t.Status, t.callback, t.updated = "IN_PROGRESS", 0, w.Now
	if t.start == 0 {
		t.start = w.Now
	}
	w.settle()
	return nil
}

// Progress takes a record back from its worker for some seconds.
func (w *World) Progress(key string, output []byte, callbackSeconds int64) error {
	t, err := w.open(key)
	if err != nil {
		return err
	}
	t.Status, t.callback, t.updated = "SCHEDULED", callbackSeconds, w.Now
	maps.Copy(t.own, object(output))
	t.ready = w.Now + 1000*callbackSeconds
	w.settle()
	return nil
}

// held finds a record that a worker has.
func (w *World) held(key string) (*Task, error) {
	t, err := w.open(key)
	if err == nil && (!t.leased() || t.called || t.Status != "IN_PROGRESS") {
		err = fmt.Errorf("record %s is with no worker: %w", key, ErrRefused)
	}
	return t, err
}

// Extend says that the worker of a record is alive.
func (w *World) Extend(key string) error {
	t, err := w.held(key)
	if err == nil {
		t.updated = w.Now
	}
	return err
}

// Return gives back a record that never reached its worker.
func (w *World) Return(key string) error {
	t, err := w.held(key)
	if err == nil {
		t.Status, t.updated = "SCHEDULED", w.Now
		w.settle()
	}
	return err
}

// Pause pauses a running execution.
func (w *World) Pause(e *Exec) error {
	if e.Ended() {
		return fmt.Errorf("execution %q is %s: %w", e.Key(), e.Status, ErrRefused)
	}
	e.Status = "PAUSED"
	return nil
}

// Resume lets a paused execution go on.
func (w *World) Resume(e *Exec) error {
	if e.Status != "PAUSED" {
		return fmt.Errorf("execution %q is %s: %w", e.Key(), e.Status, ErrRefused)
	}
	e.Status, e.retried = "RUNNING", w.Now
	e.decide()
	w.settle()
	return nil
}

// Terminate ends an execution, with its failure workflow if that is asked for.
func (w *World) Terminate(e *Exec, reason string, failure bool) error {
	switch e.Status {
	case "COMPLETED":
		return fmt.Errorf("execution %q is COMPLETED: %w", e.Key(), ErrRefused)
	case "TERMINATED":
		return nil
	case "FAILED", "TIMED_OUT":
		e.Status, e.Reason = "TERMINATED", reason
		return nil
	}
	e.stop("TERMINATED", reason, nil)
	if failure && e.def.FailureWorkflow != "" {
		e.startFailure(nil)
	}
	w.settle()
	return nil
}

// Skip makes a SKIPPED record for a step that has none.
func (w *World) Skip(e *Exec, ref string, output []byte) error {
	s := find(e.def.Tasks, ref)
	if e.Status != "RUNNING" || s == nil {
		return fmt.Errorf("step %s cannot be skipped: %w", ref, ErrRefused)
	}
	loop, iteration, ok := e.scopeOf(s)
	if !ok || e.last(ref, loop, iteration) != nil {
		return fmt.Errorf("step %s cannot be skipped now: %w", ref, ErrRefused)
	}
	e.skip(s, loop, iteration, object(output))
	e.decide()
	w.settle()
	return nil
}

// scopeOf returns the round of the loop in which a step would be made now, and false
// if that loop does not run.
func (e *Exec) scopeOf(s *step) (loop *Task, iteration int, ok bool) {
	for o := s.owner; o != nil; o = o.owner {
		if o.Type == "DO_WHILE" {
			l := e.latest(o.Ref)
			if l == nil || !l.Open() || l.round == 0 {
				return nil, 0, false
			}
			return l, l.round, true
		}
	}
	return nil, 0, true
}

func (e *Exec) skip(s *step, loop *Task, iteration int, output map[string]any) *Task {
	retry := 0
	if loop != nil {
		retry = loop.Retry
	}
	t := e.record(s, loop, iteration, retry)
	t.Status, t.Type, t.own, t.Input, t.executed = "SKIPPED", s.Name, output, map[string]any{}, false
	join := s.after()
	if (s.Type == "FORK_JOIN" || s.Type == "FORK_JOIN_DYNAMIC") && join != nil && e.last(join.Ref, loop, iteration) == nil {
		e.skip(join, loop, iteration, object(nil)) // it would wait for ever
	}
	return t
}

// Signal completes the first open WAIT of an execution, else of the first
// running child, depth first, that has one.
func (w *World) Signal(e *Exec, output []byte) error {
	t := e.waiting()
	if t == nil {
		return fmt.Errorf("nothing waits in %q: %w", e.Key(), ErrRefused)
	}
	t.Status = "COMPLETED"
	maps.Copy(t.own, object(output))
	t.exec.decide()
	w.settle()
	return nil
}

func (e *Exec) waiting() *Task {
	if e.Ended() || e.gone {
		return nil
	}
	for _, t := range e.tasks {
		if (t.step.Type == "WAIT" || t.step.Type == "YIELD") && t.Open() {
			return t
		}
	}
	for _, t := range e.tasks {
		if t.Child != nil {
			if found := t.Child.waiting(); found != nil {
				return found
			}
		}
	}
	return nil
}

// Advance moves the time on and lets everything happen that is due by then.
func (w *World) Advance(millis int64) {
	w.Now += millis
	w.fireAll()
	w.settle()
}
