package model

import (
	"encoding/json"
	"maps"
	"slices"
)

// Smaller returns the n-th of the definitions that have one thing less than the
// given one, counted from 0: a step, the steps around a list, or a setting. It says
// false when there are no more. Not all of them can be registered.
func Smaller(definition []byte, n int) ([]byte, bool) {
	var doc map[string]any
	if decode(definition, &doc) != nil {
		return nil, false
	}
	p := pruner{n: n}
	p.definition(doc)
	if p.n >= 0 {
		return nil, false
	}
	b, err := json.Marshal(doc)
	return b, err == nil
}

// pruner takes the n-th thing out of a definition; n is negative once it has.
type pruner struct{ n int }

func (p *pruner) hit() bool { p.n--; return p.n == -1 }

func (p *pruner) definition(doc map[string]any) {
	doc["tasks"] = p.list(doc["tasks"].([]any), false)
	p.keys(doc, "timeoutSeconds", "failureWorkflow", "restartable")
	dropNames(doc["tasks"].([]any), names(doc["tasks"].([]any)))
}

func (p *pruner) keys(m map[string]any, keys ...string) {
	for _, k := range keys {
		if _, ok := m[k]; ok && p.hit() {
			delete(m, k)
		}
	}
}

func (p *pruner) list(list []any, mayEmpty bool) []any {
	for i := 0; i < len(list); i++ {
		t := list[i].(map[string]any)
		width := 1
		if t["type"] == "FORK_JOIN" || t["type"] == "FORK_JOIN_DYNAMIC" {
			width = 2
		}
		if t["type"] != "JOIN" && (mayEmpty || len(list) > width) && p.hit() {
			return slices.Delete(list, i, i+width)
		}
		for _, inner := range inside(t) {
			if width == 1 && len(inner) > 0 && p.hit() {
				return slices.Concat(list[:i], inner, list[i+1:])
			}
		}
		p.task(t)
	}
	return list
}

func (p *pruner) task(t map[string]any) {
	p.keys(t, "optional", "permissive", "retryCount", "startDelay", "items", "defaultCase", "cacheConfig", "asyncComplete")
	if c, ok := t["subWorkflowParam"].(map[string]any); ok {
		p.keys(c, "workflowDefinition", "version")
	}
	if in, ok := t["inputParameters"].(map[string]any); ok {
		for _, k := range slices.Sorted(maps.Keys(in)) {
			if !slices.Contains([]string{"c", "n", "terminationStatus", "expression", "scriptExpression", "queryExpression", "which"}, k) {
				p.keys(in, k)
			}
			if list, ok := in[k].([]any); ok {
				in[k] = p.elements(list)
			}
		}
	}
	if d, ok := t["taskDefinition"].(map[string]any); ok {
		p.keys(d, "inputTemplate", "retryLogic", "maxRetryDelaySeconds", "timeoutSeconds", "pollTimeoutSeconds", "totalTimeoutSeconds")
	}
	if cases, ok := t["decisionCases"].(map[string]any); ok {
		for _, k := range slices.Sorted(maps.Keys(cases)) {
			if p.keys(cases, k); cases[k] != nil {
				cases[k] = p.list(cases[k].([]any), true)
			}
		}
	}
	if other, ok := t["defaultCase"].([]any); ok {
		t["defaultCase"] = p.list(other, true)
	}
	if body, ok := t["loopOver"].([]any); ok {
		t["loopOver"] = p.list(body, false)
	}
	if branches, ok := t["forkTasks"].([]any); ok {
		for i := range branches {
			if len(branches) > 1 && p.hit() {
				t["forkTasks"] = slices.Delete(branches, i, i+1)
				return
			}
			branches[i] = p.list(branches[i].([]any), false)
		}
	}
}

func (p *pruner) elements(list []any) []any {
	for i := range list {
		if p.hit() {
			return slices.Delete(list, i, i+1)
		}
		if t, ok := list[i].(map[string]any); ok && t["type"] != nil {
			p.task(t)
		}
	}
	return list
}

// inside returns the lists of a step.
func inside(t map[string]any) [][]any {
	var lists [][]any
	for _, key := range []string{"loopOver", "defaultCase"} {
		if l, ok := t[key].([]any); ok {
			lists = append(lists, l)
		}
	}
	if cases, ok := t["decisionCases"].(map[string]any); ok {
		for _, k := range slices.Sorted(maps.Keys(cases)) {
			lists = append(lists, cases[k].([]any))
		}
	}
	if branches, ok := t["forkTasks"].([]any); ok {
		for _, b := range branches {
			lists = append(lists, b.([]any))
		}
	}
	return lists
}

func names(list []any) map[string]bool {
	all := map[string]bool{}
	for _, x := range list {
		t := x.(map[string]any)
		all[t["taskReferenceName"].(string)] = true
		for _, l := range inside(t) {
			maps.Copy(all, names(l))
		}
	}
	return all
}

// dropNames takes names that are gone out of joinOn.
func dropNames(list []any, known map[string]bool) {
	for _, x := range list {
		t := x.(map[string]any)
		if on, ok := t["joinOn"].([]any); ok {
			left := slices.DeleteFunc(slices.Clone(on), func(n any) bool { return !known[n.(string)] })
			if len(left) > 0 { // a JOIN without names has a meaning of its own
				t["joinOn"] = left
			}
		}
		for _, l := range inside(t) {
			dropNames(l, known)
		}
	}
}
