package model

import (
	"errors"
	"fmt"
	"maps"
)

// execute does what records do by themselves, also for those made on the way.
func (e *Exec) execute() {
	for i := 0; i < len(e.tasks) && e.Status == "RUNNING"; i++ {
		t := e.tasks[i]
		if !t.Open() || t.idle() {
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
		case "INLINE", "LAMBDA", "JSON_JQ_TRANSFORM":
			e.compute(t)
		case "SUB_WORKFLOW":
			if t.Status == "SCHEDULED" && e.world.Now >= t.ready {
				e.startChild(t)
			}
		case "START_WORKFLOW":
			if !t.begun && e.world.Now >= t.ready {
				t.begun = true
				e.world.pending = append(e.world.pending, func() { e.startOther(t) })
			}
		}
	}
}

func (e *Exec) terminate(t *Task) {
	status, _ := t.Input["terminationStatus"].(string)
	switch status {
	case "COMPLETED", "FAILED", "TERMINATED":
	default:
		t.Status, t.Reason = "FAILED", "given termination status is not valid"
		return
	}
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

// resolve returns the step that a DYNAMIC one turns out to be, nil if it has no name.
func (e *Exec) resolve(s *step) *step {
	in := e.inputOf(s)
	name := text(in[s.NameParam])
	if in[s.NameParam] == nil || name == "" {
		e.end("FAILED", "~Cannot map a dynamic task based on the parameter and input. Parameter= "+s.NameParam, nil)
		return nil
	}
	is := *s
	is.Name, is.Type = name, "SIMPLE"
	switch name {
	case "NOOP", "WAIT", "HUMAN":
		is.Type = name
		return &is
	}
	if _, ok := e.world.registered(&is); !ok {
		e.end("FAILED", "~Cannot find task by name "+name, nil)
		return nil
	}
	return &is
}

// errLate is the failure of a script that takes too long.
var errLate = errors.New("Script not evaluated within 4 seconds, interrupted.")

// outside says whether a script is left to a job.
func (w *World) outside(script string) bool { return w.Job != nil && w.Job(script) }

// compute evaluates the script of a record, or has it wait for a job.
func (e *Exec) compute(t *Task) {
	if t.waits || t.begun {
		return
	}
	t.begun = true
	script, given := t.script()
	evaluator, named := t.Input["evaluatorType"]
	switch {
	case t.step.Type == "JSON_JQ_TRANSFORM" && given:
		t.waits = true
	case t.step.Type == "JSON_JQ_TRANSFORM":
		e.answer(t, nil, errors.New("queryExpression"))
	case !given:
		e.answer(t, nil, errors.New("mpty '"))
	case t.step.Type == "INLINE" && evaluator == "value-param":
		e.answer(t, t.Input[script], nil)
	case t.step.Type == "INLINE" && named && evaluator != "javascript" && evaluator != "graaljs":
		e.answer(t, nil, errors.New("valuator"))
	case e.world.outside(script):
		t.waits = true
	default:
		v, err := e.world.Script(script, t.Input)
		e.answer(t, v, err)
	}
}

// script returns the script of a record by its kind.
func (t *Task) script() (script string, given bool) {
	switch t.step.Type {
	case "INLINE":
		script, _ = t.Input["expression"].(string)
	case "LAMBDA":
		script, _ = t.Input["scriptExpression"].(string)
	case "JSON_JQ_TRANSFORM":
		script, _ = t.Input["queryExpression"].(string)
	case "DECISION":
		script = t.step.CaseScript
	case "SWITCH":
		script = t.step.Expression
	case "DO_WHILE":
		script = t.step.LoopCondition
	}
	return script, script != ""
}

// answer gives a record the value of its script.
func (e *Exec) answer(t *Task, v any, err error) {
	t.waits = false
	switch kind := t.step.Type; {
	case kind == "SWITCH" || kind == "DECISION":
		e.take(t, v, err)
	case kind == "DO_WHILE" && err != nil:
		t.Status, t.Reason = "FAILED_WITH_TERMINAL_ERROR", "~Unable to evaluate condition "
	case kind == "DO_WHILE":
		t.verdict = truth(v)
	case err == nil && kind == "JSON_JQ_TRANSFORM":
		all, _ := v.([]any)
		t.own = map[string]any{"result": nil, "resultList": all}
		if len(all) > 0 {
			t.own["result"] = all[0]
		}
		t.Status = "COMPLETED"
	case err == nil:
		t.Status, t.own = "COMPLETED", map[string]any{"result": v}
	default:
		t.Status, t.Reason = "FAILED", "~"+err.Error()
		if kind == "INLINE" && !errors.Is(err, errLate) {
			t.Status = "FAILED_WITH_TERMINAL_ERROR"
		}
		t.own = map[string]any{"error": err.Error()}
	}
}

// choose decides a SWITCH or DECISION, or has it wait for a job.
func (e *Exec) choose(t *Task) {
	s := t.step
	t.begun = true
	script, given := t.script()
	switch {
	case s.Type == "SWITCH" && s.Evaluator == "value-param":
		e.take(t, t.Input[script], nil)
	case s.Type == "DECISION" && !given:
		e.take(t, t.Input[s.CaseParam], nil)
	case e.world.outside(script):
		t.waits = true
	default:
		v, err := e.world.Script(script, t.Input)
		e.take(t, v, err)
	}
}

// take takes the list that a value chooses.
func (e *Exec) take(t *Task, value any, err error) {
	s := t.step
	if err != nil && s.Type == "DECISION" {
		t.Status, t.Reason = "FAILED", "~"+err.Error()
		e.end("FAILED", "~Error while evaluating script: ", t)
		return
	}
	if err != nil {
		t.Status, t.Reason = "FAILED", "~"+err.Error()
		return
	}
	result := text(value)
	list, named := s.Cases[result]
	if !named || s.Type == "DECISION" && len(list) == 0 {
		list = s.Default
	}
	t.Status, t.taken = "COMPLETED", list
	t.Input["case"] = result
	if len(list) > 0 {
		t.Input["hasChildren"] = "true"
	}
	t.own = map[string]any{"evaluationResult": []any{result}, "selectedCase": result}
	if s.Type == "DECISION" {
		t.own = map[string]any{"caseOutput": []any{result}}
	}
}

// cached is an output that is kept for a while.
type cached struct {
	output map[string]any
	until  int64
}

func (t *Task) cacheKey() string {
	return t.step.Name + "\x00" + text(expand(t.step.Cache.Key, func(path string) any { return follow(t.Input, path) }))
}

// recall completes a new record whose output is kept.
func (e *Exec) recall(t *Task) {
	if t.step.Cache == nil || !t.leased() {
		return
	}
	if c, ok := e.world.cached[t.cacheKey()]; ok && e.world.Now < c.until {
		t.Status, t.own = "COMPLETED", copyOf(c.output).(map[string]any)
	}
}

// keep keeps the output of a record that was completed.
func (e *Exec) keep(t *Task) {
	if c := t.step.Cache; c != nil && t.leased() {
		if e.world.cached == nil {
			e.world.cached = map[string]cached{}
		}
		e.world.cached[t.cacheKey()] = cached{copyOf(t.own).(map[string]any), e.world.Now + 1000*c.Seconds}
	}
}
