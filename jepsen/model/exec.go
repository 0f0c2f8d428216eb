package model

import (
	"errors"
	"fmt"
	"strings"
)

// World is what an execution and its children share: what is registered, and
// the time. Fill in the functions and start one root execution in it.
type World struct {
	Definition func(name string, version int) []byte                  // nil if not registered; version 0 is the newest
	TaskType   func(name string) []byte                               // nil if not registered; may be nil itself
	Script     func(script string, scope map[string]any) (any, error) // value of a script over $

	Now int64 // milliseconds
	// Fired counts the times and limits that have passed. The language does not say
	// which is felt first of several that pass together: what follows then is only
	// one of the possibilities.
	Fired int

	root    *Exec
	made    int      // records and executions made so far
	pending []func() // starts and ends of children that are still to be worked on
	cleanup []func() // children that are still to be told that their parent has ended
}

// Exec is one execution.
type Exec struct {
	Status    string
	Reason    string
	Output    map[string]any
	world     *World
	def       *definition
	parent    *Task
	input     map[string]any
	tasks     []*Task
	made      int // records, also those deleted
	created   int64
	retried   int64 // when it was last resumed or retried
	order     int
	variables map[string]any
}

// Task is one record, that is one attempt.
type Task struct {
	Seq       int
	Status    string
	Retry     int
	Iteration int
	Type      string
	Reason    string
	Input     map[string]any
	Of        *Task // the attempt that this one replaces
	Child     *Exec

	exec     *Exec
	step     *step
	loop     *Task // the DO_WHILE record around it
	own      map[string]any
	order    int
	retried  bool
	executed bool

	scheduled, first, start, updated int64 // milliseconds, 0 is never
	delay, callback                  int64 // seconds
	ready                            int64 // when it may be polled
	timed                            bool  // WAIT: ends by itself
	until                            int64 // then

	begun  bool // WAIT, DO_WHILE: what it does at first is done
	round  int
	listed bool
	items  []any
}

// ErrRefused is returned for an operation that the state does not allow.
var ErrRefused = errors.New("refused")

// Start starts the root execution. It may be called once for a World.
func (w *World) Start(source, input []byte) (*Exec, error) {
	d, err := decodeDefinition(source)
	if err != nil {
		return nil, err
	}
	w.root = w.create(d, object(input), nil)
	w.root.begin()
	w.settle()
	return w.root, nil
}

func (w *World) create(d *definition, input map[string]any, parent *Task) *Exec {
	for k, v := range d.InputTemplate {
		if _, given := input[k]; !given && len(input) > 0 {
			input[k] = v
		}
	}
	w.made++
	return &Exec{
		Status: "RUNNING", world: w, def: d, parent: parent, input: input, Output: map[string]any{},
		variables: copyOf(map[string]any(d.Variables)).(map[string]any), created: w.Now, order: w.made,
	}
}

func (e *Exec) begin() {
	if e.Status != "RUNNING" {
		return
	}
	if len(e.def.Tasks) == 0 {
		e.end("COMPLETED", "No tasks found to be executed", nil)
		return
	}
	e.make(e.def.Tasks[0], nil)
	e.decide()
}

// All returns the execution and everything below it, a child after the record
// that started it was made.
func (e *Exec) All() []*Exec {
	all := []*Exec{e}
	for _, t := range e.tasks {
		if t.Child != nil {
			all = append(all, t.Child.All()...)
		}
	}
	return all
}

// Tasks returns the records in the order they were made.
func (e *Exec) Tasks() []*Task { return e.tasks }

// Key names an execution within its world: empty for the root, else the key of
// the record that started it.
func (e *Exec) Key() string {
	if e.parent == nil {
		return ""
	}
	return e.parent.Key() + "/"
}

// Key names a record within its world.
func (t *Task) Key() string { return t.exec.Key() + fmt.Sprint(t.Seq) }

// Exec returns the execution the record is of.
func (t *Task) Exec() *Exec { return t.exec }

// Ref returns the reference name without suffix, Kind the type in the definition.
func (t *Task) Ref() string { return t.step.Ref }

// Kind returns the type that the definition gives the step.
func (t *Task) Kind() string { return t.step.Type }

// Name returns the reference name with a suffix for each loop around it.
func (t *Task) Name() string {
	suffix := ""
	for x := t; x.loop != nil; x = x.loop {
		suffix = fmt.Sprintf("__%d", x.Iteration) + suffix
	}
	return t.step.Ref + suffix
}

// Find returns the record of that key, nil if there is none.
func (w *World) Find(key string) *Task {
	e := w.root
	parts := strings.Split(key, "/")
	for i, p := range parts {
		var t *Task
		for _, x := range e.tasks {
			if fmt.Sprint(x.Seq) == p {
				t = x
			}
		}
		if t == nil || i == len(parts)-1 {
			return t
		}
		if e = t.Child; e == nil {
			return nil
		}
	}
	return nil
}

// Open says whether the record is not terminal.
func (t *Task) Open() bool { return t.Status == "SCHEDULED" || t.Status == "IN_PROGRESS" }

// Ended says whether the execution is terminal.
func (e *Exec) Ended() bool { return e.Status != "RUNNING" && e.Status != "PAUSED" }

func successful(status string) bool {
	switch status {
	case "FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED":
		return false
	}
	return true
}

// last returns the newest record of a step in one round of one loop record.
func (e *Exec) last(ref string, loop *Task, iteration int) *Task {
	var found *Task
	for _, t := range e.tasks {
		if t.step.Ref == ref && t.loop == loop && t.Iteration == iteration {
			found = t
		}
	}
	return found
}

// latest returns the newest record of a step.
func (e *Exec) latest(ref string) *Task {
	var found *Task
	for _, t := range e.tasks {
		if t.step.Ref == ref {
			found = t
		}
	}
	return found
}

// inside says whether the record belongs to the present round of a loop,
// however deep.
func (t *Task) inside(l *Task) bool {
	for x := t; x.loop != nil; x = x.loop {
		if x.loop == l && x.Iteration == l.round {
			return true
		}
	}
	return false
}
