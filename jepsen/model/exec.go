package model

import (
	"errors"
	"fmt"
	"slices"
)

// World is what executions share: what is registered, and the time. Fill in the
// functions and start one execution in it; others may follow from that.
type World struct {
	Definition func(name string, version int) []byte                  // nil if not registered; version 0 is the newest
	TaskType   func(name string) []byte                               // nil if not registered; may be nil itself
	Script     func(script string, scope map[string]any) (any, error) // value of a script over $
	// Job says whether a script waits for AnswerJob; nil means that none does but jq.
	Job func(script string) bool

	Now int64 // milliseconds
	// Fired counts the times and limits that have passed. The language does not say
	// which is felt first of several that pass together: what follows then is only
	// one of the possibilities.
	Fired int
	due   int // things that have passed and were not done

	execs   []*Exec // all that were not deleted, in the order they were made
	made    int     // records and executions made so far
	tasks   int     // records made so far
	starts  int     // executions made so far
	cached  map[string]cached
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
	by        *Task // the START_WORKFLOW that started it, which does not wait for it
	input     map[string]any
	tasks     []*Task
	seq       int // the last one given out
	jumped    int // the first one given out since the last jump: nothing comes of those before
	created   int64
	retried   int64 // when it was last resumed or retried
	order     int
	number    int
	gone      bool
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
	Child     *Exec // of a SUB_WORKFLOW
	Started   *Exec // by a START_WORKFLOW

	exec     *Exec
	step     *step
	loop     *Task // the DO_WHILE record around it
	own      map[string]any
	order    int
	number   int
	retried  bool
	executed bool
	jumped   bool // SKIPPED by a jump: the flow has passed it

	scheduled, first, start, updated int64 // milliseconds, 0 is never
	delay, callback                  int64 // seconds
	ready                            int64 // when it may be polled
	timed                            bool  // WAIT: ends by itself
	until                            int64 // then

	begun   bool // what it does at first is done
	waits   bool // for the answer to its script
	called  bool // asyncComplete: the call is made, its end comes from outside
	round   int
	kept    int // rounds up to this one have been forgotten
	listed  bool
	items   []any
	verdict any      // DO_WHILE: what its condition gave; nil before
	taken   []*step  // SWITCH, DECISION: the list chosen
	members []*step  // FORK of a dynamic fork
	on      []string // JOIN of a dynamic fork
}

// ErrRefused is returned for an operation that the state does not allow.
var ErrRefused = errors.New("refused")

// Start starts the first execution. It may be called once for a World.
func (w *World) Start(source, input []byte) (*Exec, error) {
	d, err := decodeDefinition(source)
	if err != nil {
		return nil, err
	}
	e := w.create(d, object(input), nil)
	e.begin()
	w.settle()
	return e, nil
}

func (w *World) create(d *definition, input map[string]any, parent *Task) *Exec {
	for k, v := range d.InputTemplate {
		if _, given := input[k]; !given && len(input) > 0 {
			input[k] = v
		}
	}
	w.made++
	w.starts++
	e := &Exec{
		Status: "RUNNING", world: w, def: d, parent: parent, input: input, Output: map[string]any{},
		variables: object(nil), created: w.Now, order: w.made, number: w.starts,
	}
	e.resetVariables()
	w.execs = append(w.execs, e)
	return e
}

func (e *Exec) resetVariables() {
	e.variables = copyOf(map[string]any(e.def.Variables)).(map[string]any)
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
		if t.Child != nil && !t.Child.gone {
			all = append(all, t.Child.All()...)
		}
	}
	return all
}

// Execs returns all executions that were not deleted, also those without a
// parent, in the order they were made.
func (w *World) Execs() []*Exec { return w.execs }

// Attached says whether the record that started the execution is still there; one
// that was started by itself is.
func (e *Exec) Attached() bool {
	return (e.parent == nil || e.parent.exec.has(e.parent)) && (e.by == nil || e.by.exec.has(e.by))
}

// Tasks returns the records in the order they were made.
func (e *Exec) Tasks() []*Task { return e.tasks }

// Key names an execution within its world, for ever.
func (e *Exec) Key() string { return fmt.Sprintf("e%d", e.number) }

// Name returns the name of the definition.
func (e *Exec) Name() string { return e.def.Name }

// Parent returns the execution whose record started this one, nil when none did, and
// whether that record is still there.
func (e *Exec) Parent() (p *Exec, recorded bool) {
	if e.parent == nil {
		return nil, false
	}
	return e.parent.exec, e.parent.exec.has(e.parent)
}

// Variables returns the variables as JSON.
func (e *Exec) Variables() string { return canonical(e.variables) }

// Key names a record within its world, for ever.
func (t *Task) Key() string { return fmt.Sprintf("t%d", t.number) }

// Exec returns the execution the record is of.
func (t *Task) Exec() *Exec { return t.exec }

// Ref returns the reference name without suffix.
func (t *Task) Ref() string { return t.step.Ref }

// Kind returns the type of the step; that of a DYNAMIC one is what it became.
func (t *Task) Kind() string { return t.step.Type }

// Waits says whether the record waits for the answer to its script.
func (t *Task) Waits() bool { return t.waits && t.Open() }

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
	for _, e := range w.execs {
		for _, t := range e.tasks {
			if t.Key() == key {
				return t
			}
		}
	}
	return nil
}

// Open says whether the record is not terminal.
func (t *Task) Open() bool { return t.Status == "SCHEDULED" || t.Status == "IN_PROGRESS" }

// Ended says whether the execution is terminal.
func (e *Exec) Ended() bool { return e.Status != "RUNNING" && e.Status != "PAUSED" }

// unsuccessful says whether the execution has ended without success.
func (e *Exec) unsuccessful() bool { return e.Ended() && e.Status != "COMPLETED" }

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

// present says whether the record is of the present round of every loop around it.
func (t *Task) present() bool {
	for x := t; x.loop != nil; x = x.loop {
		if x.Iteration != x.loop.round {
			return false
		}
	}
	return true
}

// has says whether the record is still one of the execution's.
func (e *Exec) has(t *Task) bool { return !e.gone && slices.Contains(e.tasks, t) }

// Leased says whether a worker has the record now.
func (t *Task) Leased() bool { return t.leased() && t.Status == "IN_PROGRESS" && !t.called }
