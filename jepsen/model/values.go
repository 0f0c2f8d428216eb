package model

import (
	"encoding/json"
	"fmt"
	"strings"
)

// evaluate returns the value with every ${path} in its texts replaced. A text
// that is nothing but one expression becomes the value found.
func (e *Exec) evaluate(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[k] = e.evaluate(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = e.evaluate(inner)
		}
		return out
	case string:
		return e.evaluateText(v)
	}
	return v
}

func (e *Exec) evaluateText(s string) any { return expand(s, e.lookup) }

// expand replaces the expressions of a text by what lookup finds for them.
func expand(s string, lookup func(path string) any) any {
	var b strings.Builder
	rest := s
	for {
		open := strings.Index(rest, "${")
		if open < 0 {
			b.WriteString(rest)
			return b.String()
		}
		end := strings.Index(rest[open:], "}") + open
		value := lookup(rest[open+2 : end])
		if len(rest) == len(s) && open == 0 && end == len(s)-1 {
			return copyOf(value)
		}
		b.WriteString(rest[:open])
		b.WriteString(text(value))
		rest = rest[end+1:]
	}
}

func (e *Exec) lookup(path string) any {
	name, rest, deeper := strings.Cut(path, ".")
	var v any
	if name == "workflow" {
		v = e.document()
	} else if t := e.latest(name); t != nil {
		v = t.document()
	}
	if !deeper {
		return v
	}
	return follow(v, rest)
}

// follow follows a path of names.
func follow(v any, path string) any {
	for _, p := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// document is what expressions see of the execution.
func (e *Exec) document() map[string]any {
	return map[string]any{
		"input":        e.input,
		"output":       e.Output,
		"status":       e.Status,
		"variables":    e.variables,
		"workflowType": e.def.Name,
		"version":      json.Number(fmt.Sprint(e.def.Version)),
	}
}

// document is what expressions see of a record.
func (t *Task) document() map[string]any {
	return map[string]any{
		"input":             t.Input,
		"output":            t.output(),
		"status":            t.Status,
		"taskType":          t.Type,
		"retryCount":        json.Number(fmt.Sprint(t.Retry)),
		"iteration":         json.Number(fmt.Sprint(t.shownIteration())),
		"referenceTaskName": t.Name(),
	}
}

// output returns the output of a record. Those of JOIN and DO_WHILE are made of
// the outputs of other records, as they are now.
func (t *Task) output() map[string]any {
	if t.Status == "SKIPPED" {
		return t.own
	}
	switch t.step.Type {
	case "JOIN":
		out := map[string]any{}
		for _, ref := range t.joinsOn() {
			if m := t.exec.last(ref, t.loop, t.Iteration); m != nil && !m.Open() && len(m.output()) > 0 {
				out[ref] = m.output()
			}
		}
		return out
	case "DO_WHILE":
		return t.loopOutput()
	}
	return t.own
}

func (t *Task) loopOutput() map[string]any {
	if !t.begun {
		return map[string]any{}
	}
	out := map[string]any{"iteration": number(t.round)}
	if t.listed && t.round > 0 {
		out["loopIndex"] = number(t.round - 1)
		out["loopItem"] = t.items[t.round-1]
	}
	under := t.Open() && t.exec.under(t)
	for _, x := range t.exec.tasks {
		if x.loop != t || under && x.Iteration == t.round {
			continue
		}
		key := fmt.Sprint(x.Iteration)
		round, _ := out[key].(map[string]any)
		if round == nil {
			round = map[string]any{}
			out[key] = round
		}
		round[x.step.Ref] = x.output()
	}
	return out
}

func number(n int) json.Number { return json.Number(fmt.Sprint(n)) }

// text is how a value reads within a text.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case bool, json.Number:
		return fmt.Sprint(v)
	}
	return canonical(v)
}

// canonical writes a value as JSON with its keys in order.
func canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "not JSON: " + err.Error()
	}
	return string(b)
}

// copyOf returns a value that shares nothing with v.
func copyOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[k] = copyOf(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = copyOf(inner)
		}
		return out
	}
	return v
}

func object(source []byte) map[string]any {
	var m map[string]any
	if len(source) > 0 && decode(source, &m) != nil {
		m = nil
	}
	if m == nil {
		m = map[string]any{}
	}
	return m
}

// shownIteration is the round that a record shows: a loop the one that it is in (B62).
func (t *Task) shownIteration() int {
	if t.step.Type == "DO_WHILE" {
		return t.round
	}
	return t.Iteration
}
