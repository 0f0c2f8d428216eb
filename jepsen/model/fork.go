package model

import (
	"encoding/json"
	"fmt"
	"maps"
)

// makeFork makes a fork with the first steps of its branches and its JOIN.
func (e *Exec) makeFork(s *step, loop *Task, iteration, retry int) {
	if join := s.after(); join == nil || join.Type != "JOIN" {
		e.end("FAILED", "~is not followed by a join task", nil)
		return
	}
	var members []*step
	names := []any{}
	if s.Type == "FORK_JOIN_DYNAMIC" {
		var problem string
		if members, problem = e.membersOf(s, e.inputOf(s)); problem == "" {
			problem = e.clash(members, loop, iteration)
		}
		if problem != "" {
			e.end("FAILED", "~"+problem, nil)
			return
		}
	}
	t := e.record(s, loop, iteration, retry)
	t.members = members
	for _, m := range members {
		names = append(names, m.Ref)
	}
	if s.Type == "FORK_JOIN_DYNAMIC" {
		t.Input["forkedTasks"] = names
	}
	e.spread(t)
}

// spread makes the first steps of a fork's branches and its JOIN, as far as they are
// not there. The members of a dynamic one and its JOIN get their numbers before anything
// that they lead to.
func (e *Exec) spread(t *Task) {
	for _, b := range t.step.Branches {
		if len(b) > 0 {
			e.make(b[0], t.loop)
		}
	}
	var made []*Task
	for _, m := range t.members {
		made = append(made, e.makeMember(t, m))
	}
	e.makeJoin(t)
	for _, m := range made {
		e.unfold(m)
	}
}

// spreadAgain makes what is gone of a dynamic fork. Its JOIN comes first: it counts
// the members that are there.
func (e *Exec) spreadAgain(t *Task) {
	e.makeJoin(t)
	for _, m := range t.members {
		if e.last(m.Ref, t.loop, t.Iteration) == nil && e.Status == "RUNNING" {
			e.unfold(e.makeMember(t, m))
		}
	}
}

func (e *Exec) makeMember(t *Task, m *step) *Task {
	retry := 0
	if t.loop != nil {
		retry = t.loop.Retry
	}
	return e.record(m, t.loop, t.Iteration, retry)
}

func (e *Exec) makeJoin(t *Task) {
	join := t.step.after()
	e.make(join, t.loop)
	if j := e.last(join.Ref, t.loop, t.Iteration); j != nil && t.step.Type == "FORK_JOIN_DYNAMIC" {
		j.on = []string{}
		for _, m := range t.members {
			j.on = append(j.on, m.Ref)
		}
	}
}

// clash says what is wrong with the names of members.
func (e *Exec) clash(members []*step, loop *Task, iteration int) string {
	seen := map[string]bool{}
	for _, m := range members {
		if seen[m.Ref] || e.last(m.Ref, loop, iteration) != nil {
			return "duplicate task reference name: " + m.Ref
		}
		seen[m.Ref] = true
	}
	return ""
}

// membersOf returns the steps that a dynamic fork makes, or what is wrong.
func (e *Exec) membersOf(s *step, in map[string]any) (members []*step, problem string) {
	if list, ok := in["forkTaskInputs"].([]any); ok {
		members = e.alike(s, in, list)
	} else if s.LegacyParam != "" {
		members, problem = legacy(s, in[s.LegacyParam])
	} else {
		members, problem = given(s, in)
	}
	for _, m := range members {
		adopt([]*step{m}, nil)
	}
	return members, problem
}

// alike makes one member for each input.
func (e *Exec) alike(s *step, in map[string]any, inputs []any) []*step {
	name, kind := text(in["forkTaskName"]), text(in["forkTaskType"])
	if in["forkTaskType"] == nil {
		kind = "SIMPLE"
	}
	flow := in["forkTaskWorkflow"]
	if flow != nil {
		kind = "SUB_WORKFLOW"
	}
	if in["forkTaskName"] == nil {
		if name = s.Ref; kind != "SIMPLE" && flow == nil {
			name = kind
		}
	}
	prefix := "_" + name
	for _, t := range e.tasks {
		if t.step.Type == "FORK_JOIN_DYNAMIC" && t.step.Ref != s.Ref {
			prefix = "_" + s.Ref + "_" + name
		}
	}
	var members []*step
	for i, x := range inputs {
		m := &step{Name: name, Ref: fmt.Sprintf("%s_%d", prefix, i), Type: kind, Optional: s.Optional, Input: map[string]any{"input": x}}
		if fields, ok := x.(map[string]any); ok {
			m.Input = copyOf(fields).(map[string]any)
			if v, ok := fields["optional"].(bool); ok && v {
				m.Optional = true
			}
		}
		m.Input["__index"] = number(i)
		if flow != nil {
			m.Child = &childParam{Name: text(flow), Version: in["forkTaskWorkflowVersion"]}
		}
		members = append(members, m)
	}
	return members
}

// given decodes the members of a list of steps with a map of inputs.
func given(s *step, in map[string]any) (members []*step, problem string) {
	list, ok := in[s.ForkParam].([]any)
	if !ok {
		return nil, "Input '" + s.ForkParam + "' is invalid"
	}
	for _, x := range list {
		m := &step{}
		b, err := json.Marshal(x)
		if err != nil || decode(b, m) != nil || m.Ref == "" {
			return nil, "Input '" + s.ForkParam + "' is invalid"
		}
		members = append(members, m)
	}
	inputs, ok := in[s.InputsParam].(map[string]any)
	if !ok {
		return nil, "Input to the dynamically forked tasks is not a map"
	}
	for _, m := range members {
		more, _ := inputs[m.Ref].(map[string]any)
		merged := map[string]any{}
		maps.Copy(merged, m.Input)
		maps.Copy(merged, more)
		m.Input = merged
	}
	return members, ""
}

// legacy decodes the members of the oldest form.
func legacy(s *step, from any) (members []*step, problem string) {
	list, ok := member(from, "dynamicTasks").([]any)
	if !ok {
		return nil, "'" + s.LegacyParam + "'"
	}
	for _, x := range list {
		m := &step{Name: text(member(x, "taskName")), Ref: text(member(x, "referenceName")), Type: "SIMPLE"}
		if kind, ok := member(x, "type").(string); ok && kind != "" {
			m.Type = kind
		}
		m.Input, _ = member(x, "input").(map[string]any)
		if flow, ok := member(x, "workflowName").(string); ok && flow != "" {
			m.Type, m.Child = "SUB_WORKFLOW", &childParam{Name: flow}
		}
		members = append(members, m)
	}
	return members, ""
}
