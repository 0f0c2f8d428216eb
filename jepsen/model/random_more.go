package model

import (
	"maps"
)

// Outside is a script that no one who takes only simple ones can evaluate: its value
// is up to the job.
const Outside = "(function () { for (var k in $) { if (k == 'zzz') { return k; } } return $.c; })()"

// special makes a step of a further kind now and then, if there are any.
func (g *generator) special(x, depth int, s scope) []any {
	if len(g.o.Kinds) == 0 || !g.one(3) {
		return nil
	}
	kind := g.pick(g.o.Kinds...)
	switch kind {
	case "INLINE", "LAMBDA", "JSON_JQ_TRANSFORM":
		return []any{g.script(kind, s)}
	case "HUMAN", "YIELD":
		t := g.plain(kind, "human", s)
		g.soften(t)
		return []any{t}
	case "HTTP":
		return []any{g.remote(s)}
	case "DYNAMIC":
		return []any{g.dynamic(s)}
	case "FORK_JOIN_DYNAMIC":
		return g.dynamicFork(depth, s)
	case "EXCLUSIVE_JOIN":
		if depth > 0 {
			return g.exclusive(depth, s)
		}
	case "START_WORKFLOW":
		return []any{g.starter(s)}
	}
	return g.acting(kind, s)
}

func (g *generator) script(kind string, s scope) map[string]any {
	t := g.plain(kind, "calc", s)
	in := t["inputParameters"].(map[string]any)
	in["c"] = g.path(s)
	expression := "$.c > 1 ? 'big' : 'small'"
	if g.has("jobs") && g.one(2) {
		expression = Outside
	}
	switch kind {
	case "INLINE":
		in["expression"] = expression
		in["evaluatorType"] = g.pick("javascript", "javascript", "graaljs", "value-param", "basic")
		if in["evaluatorType"] == "value-param" {
			in["expression"] = "c"
		}
	case "LAMBDA":
		if in["scriptExpression"] = "return " + expression; expression == Outside {
			in["scriptExpression"] = Outside
		}
	default:
		in["queryExpression"] = ".c"
	}
	g.soften(t)
	if kind != "INLINE" && g.one(3) {
		d := g.settings(t["name"].(string))
		for _, limit := range []string{"timeoutSeconds", "responseTimeoutSeconds", "totalTimeoutSeconds", "pollTimeoutSeconds"} {
			delete(d, limit)
		}
		t["taskDefinition"] = d
	}
	return t
}

func (g *generator) remote(s scope) map[string]any {
	t := g.plain("HTTP", "http", s)
	t["inputParameters"].(map[string]any)["uri"] = "http://a"
	t["asyncComplete"] = g.one(2)
	g.soften(t)
	if g.one(3) {
		t["taskDefinition"] = g.settings(t["name"].(string))
	}
	return t
}

// decision makes a DECISION of a SWITCH.
func (g *generator) decision(t map[string]any) {
	t["type"] = "DECISION"
	if t["evaluatorType"] == "value-param" {
		t["caseValueParam"] = t["expression"]
	} else {
		t["caseExpression"] = t["expression"]
	}
	delete(t, "evaluatorType")
	delete(t, "expression")
}

func (g *generator) dynamic(s scope) map[string]any {
	t := g.plain("DYNAMIC", "dyn", s)
	t["dynamicTaskNameParam"] = "which"
	in := t["inputParameters"].(map[string]any)
	switch in["which"] = g.pick("dyn_worker", "dyn_worker", "dyn_other", "NOOP", "WAIT", "HUMAN"); g.r.IntN(20) {
	case 0:
		in["which"] = "${workflow.input.none}"
	case 1:
		in["which"] = "nobody"
	}
	g.soften(t)
	return t
}

func (g *generator) dynamicFork(depth int, s scope) []any {
	fork := g.plain("FORK_JOIN_DYNAMIC", "dfork", s)
	in := fork["inputParameters"].(map[string]any)
	join := map[string]any{"name": "join", "taskReferenceName": g.ref("join"), "type": "JOIN", "joinOn": []any{}}
	switch g.r.IntN(4) {
	case 0:
		var list []any
		for range g.r.IntN(4) {
			list = append(list, g.pick3(map[string]any{"a": g.path(s)}, g.path(s), 3))
		}
		in["forkTaskName"], in["forkTaskInputs"] = "dyn_worker", list
		if list == nil {
			in["forkTaskInputs"] = []any{}
		}
		if g.one(4) && len(g.o.Children) > 0 {
			in["forkTaskWorkflow"] = g.o.Children[0]
		}
		if g.one(6) {
			fork["optional"] = true
		}
	case 1:
		fork["dynamicForkJoinTasksParam"] = "old"
		list := []any{}
		for range g.r.IntN(3) {
			list = append(list, map[string]any{"taskName": "dyn_other", "referenceName": g.ref("m"), "type": "SIMPLE", "input": map[string]any{"a": g.path(s)}})
		}
		in["old"] = map[string]any{"dynamicTasks": list}
	default:
		g.members(fork, depth, s)
	}
	if g.one(6) {
		g.soften(join)
	}
	return []any{fork, join}
}

func (g *generator) pick3(of ...any) any { return of[g.r.IntN(len(of))] }

// members gives a dynamic fork whole steps to make.
func (g *generator) members(fork map[string]any, depth int, s scope) {
	in := fork["inputParameters"].(map[string]any)
	fork["dynamicForkTasksParam"], fork["dynamicForkTasksInputParamName"] = "list", "inputs"
	list, inputs := []any{}, map[string]any{}
	refs, grows := g.refs, g.grows
	for range g.r.IntN(4) {
		m := g.member(depth, s)
		list = append(list, m)
		if g.one(2) {
			inputs[m["taskReferenceName"].(string)] = map[string]any{"p1": g.r.IntN(9), "more": "x"}
		}
	}
	g.refs, g.grows = refs, grows // what is made at run time cannot be referred to
	switch {
	case g.one(20) && len(list) > 0 && len(inside(list[0].(map[string]any))) == 0:
		list = append(list, list[0])
	case g.one(20) && len(list) > 0:
		delete(list[0].(map[string]any), "taskReferenceName")
	case g.one(20):
		in["inputs"] = "none"
	}
	in["list"] = list
	if in["inputs"] == nil {
		in["inputs"] = inputs
	}
}

func (g *generator) member(depth int, s scope) map[string]any {
	none := scope{bare: true}
	switch x := g.r.IntN(10); {
	case x < 2 && g.has("nested") && depth > 0:
		return g.choice(0, none)
	case x < 3 && g.has("nested") && depth > 0:
		return g.loop(0, none)
	case x < 5 && len(g.o.Children) > 0:
		return g.child(none)
	case x < 6:
		return g.plain("NOOP", "noop", s)
	}
	return g.worker(s)
}

// exclusive makes a SWITCH and an EXCLUSIVE_JOIN on the ends of its cases.
func (g *generator) exclusive(depth int, s scope) []any {
	t := g.choice(depth-1, s)
	join := g.plain("EXCLUSIVE_JOIN", "exjoin", scope{})
	on := []any{}
	lists := inside(t)
	for _, l := range lists {
		if len(l) > 0 && !g.one(6) {
			on = append(on, l[len(l)-1].(map[string]any)["taskReferenceName"])
		}
	}
	join["joinOn"] = on
	join["defaultExclusiveJoinTask"] = []any{t["taskReferenceName"]}
	if g.one(6) {
		g.soften(join)
	}
	return []any{t, join}
}

func (g *generator) starter(s scope) map[string]any {
	t := g.plain("START_WORKFLOW", "start", s)
	t["inputParameters"] = map[string]any{"startWorkflow": map[string]any{
		"name": g.pick("other", "other", "other", "unknown"), "input": map[string]any{"n": g.path(s), "s": "b"}}}
	if g.one(10) {
		t["inputParameters"] = map[string]any{}
	}
	g.soften(t)
	return t
}

// childParam names a child, or gives its definition.
func (g *generator) childParam(name string) map[string]any {
	p := map[string]any{"name": name}
	if g.has("version") && g.one(2) {
		p["version"] = g.r.IntN(4)
	}
	if g.has("inline") && g.one(5) {
		p["workflowDefinition"] = map[string]any{"name": "inline", "version": 1, "schemaVersion": 2, "tasks": []any{
			map[string]any{"name": "in_worker", "taskReferenceName": "only", "type": "SIMPLE", "retryCount": g.r.IntN(2),
				"taskDefinition": map[string]any{"name": "in_worker", "retryDelaySeconds": 0}}}}
	}
	return maps.Clone(p)
}
