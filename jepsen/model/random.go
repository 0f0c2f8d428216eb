package model

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Options bound what Random writes.
type Options struct {
	Name     string
	Depth    int      // lists within lists
	Width    int      // most steps in a list, at least 1
	Steps    int      // about how many steps in all
	Children []string // names that SUB_WORKFLOW may start; some are asked for that are not registered
	Timing   bool     // delays, time limits, retries that wait
	Scripts  bool     // conditions of SWITCH as scripts; otherwise by value only
	Ends     bool     // TERMINATE steps
	Kinds    []string // further kinds of steps, and "cache", "failure", "inline", "version", "jobs", "nested", "tells" for what their names say
	Version  int      // 0 means 1
}

// Random writes a definition with unique reference names. Its workers are
// expected to answer with x (1 to 3), s ("a" or "b") and perhaps other keys, and
// the input to hold n (1 to 3), s and list. Loops end after a few rounds unless
// a worker's answers keep them going. It uses nothing but r for chance.
func Random(r *rand.Rand, o Options) []byte {
	g := &generator{r: r, o: o, left: o.Steps}
	d := map[string]any{
		"name": o.Name, "version": max(o.Version, 1), "schemaVersion": 2,
		"tasks":     g.list(o.Depth, scope{}),
		"variables": map[string]any{"v": 1, "w": "a"},
	}
	if g.grows || g.one(2) {
		p := g.parameters(scope{refs: g.refs})
		p["status"] = "${workflow.status}"
		d["outputParameters"] = p
	}
	if o.Timing && g.one(6) {
		d["timeoutSeconds"] = 50 + r.IntN(400)
		d["timeoutPolicy"] = g.pick("TIME_OUT_WF", "TIME_OUT_WF", "ALERT_ONLY")
	}
	if g.has("failure") && g.one(3) {
		d["failureWorkflow"] = g.pick("rescue", "rescue", "none")
	}
	if g.has("restart") && g.one(6) {
		d["restartable"] = false
	}
	source, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("random definition: %v", err))
	}
	return source
}

type generator struct {
	r     *rand.Rand
	o     Options
	left  int
	made  int
	refs  []string // every step so far whose output does not grow while it is open
	grows bool     // there are others
}

// scope is what a list may refer to: steps that were finished before it began.
type scope struct {
	refs []string
	loop string // the innermost loop
	bare bool   // it is part of an input: what it says is evaluated before its steps are made
}

func (g *generator) has(kind string) bool { return slices.Contains(g.o.Kinds, kind) }

func (g *generator) one(in int) bool { return g.r.IntN(in) == 0 }

func (g *generator) pick(of ...string) string { return of[g.r.IntN(len(of))] }

func (g *generator) ref(kind string) string {
	g.made++
	g.left--
	return fmt.Sprintf("%s%d", kind, g.made)
}

func (g *generator) list(depth int, s scope) []any {
	var tasks []any
	s.refs = append([]string(nil), s.refs...)
	for range 1 + g.r.IntN(g.o.Width) {
		made := g.step(depth, s)
		tasks = append(tasks, made...)
		for _, m := range made {
			ref := m.(map[string]any)["taskReferenceName"].(string)
			if s.bare {
				continue
			}
			s.refs = append(s.refs, ref)
			if kind := m.(map[string]any)["type"]; kind == "JOIN" || kind == "DO_WHILE" || kind == "EXCLUSIVE_JOIN" {
				g.grows = true
			} else {
				g.refs = append(g.refs, ref)
			}
		}
	}
	return tasks
}

// step makes one step, or a FORK_JOIN with its JOIN.
func (g *generator) step(depth int, s scope) []any {
	x := g.r.IntN(100)
	if depth <= 0 || g.left <= 0 {
		x = 40 + x*6/10
	}
	if made := g.special(x, depth, s); made != nil {
		return made
	}
	switch {
	case x < 14:
		return g.fork(depth, s)
	case x < 28:
		return []any{g.choice(depth, s)}
	case x < 40:
		return []any{g.loop(depth, s)}
	case x < 46 && len(g.o.Children) > 0:
		return []any{g.child(s)}
	case x < 51:
		return []any{g.wait(s)}
	case x < 57:
		return []any{g.variable(s)}
	case x < 59 && g.o.Ends:
		return []any{g.end(s)}
	case x < 66:
		return []any{g.plain("NOOP", "noop", s)}
	}
	return []any{g.worker(s)}
}

func (g *generator) plain(kind, prefix string, s scope) map[string]any {
	ref := g.ref(prefix)
	return map[string]any{"name": "t_" + ref, "taskReferenceName": ref, "type": kind, "inputParameters": g.parameters(s)}
}

// parameters makes a template map.
func (g *generator) parameters(s scope) map[string]any {
	p := map[string]any{}
	for i := range g.r.IntN(3) {
		p[fmt.Sprintf("p%d", i)] = g.value(s)
	}
	return p
}

func (g *generator) value(s scope) any {
	switch g.r.IntN(9) {
	case 0:
		return g.r.IntN(100)
	case 1:
		return map[string]any{"k": []any{g.path(s), "plain", nil, true}}
	case 2:
		return "n=" + g.path(s) + ", again " + g.path(s)
	case 3:
		if len(s.refs) > 0 {
			return "${" + s.refs[g.r.IntN(len(s.refs))] + ".output}"
		}
		return "${workflow.input}"
	}
	return g.path(s)
}

// path is an expression for a number, a text or null.
func (g *generator) path(s scope) string {
	switch x := g.r.IntN(10); {
	case x < 2:
		return "${workflow.input." + g.pick("n", "s", "none") + "}"
	case x < 4:
		return "${workflow.variables." + g.pick("v", "w") + "}"
	case x < 5 && s.loop != "":
		return "${" + s.loop + ".output.iteration}"
	case len(s.refs) > 0:
		return "${" + s.refs[g.r.IntN(len(s.refs))] + "." +
			g.pick("output.x", "output.x", "output.s", "output.none", "status", "retryCount") + "}"
	}
	return g.pick("${workflow.input.n}", "${workflow.status}")
}

func (g *generator) worker(s scope) map[string]any {
	t := g.plain("SIMPLE", "do", s)
	g.soften(t)
	if g.one(3) {
		t["retryCount"] = g.r.IntN(3)
	}
	if g.o.Timing && g.one(8) {
		t["startDelay"] = 1 + g.r.IntN(20)
	}
	if g.has("cache") && g.one(5) {
		t["cacheConfig"] = map[string]any{"key": "k-${p0}-${p1}", "ttlInSecond": 5 + g.r.IntN(60)}
	}
	t["taskDefinition"] = g.settings(t["name"].(string))
	return t
}

func (g *generator) soften(t map[string]any) {
	g.tells(t)
	switch g.r.IntN(10) {
	case 0, 1:
		t["optional"] = true
	case 2:
		t["permissive"] = true
	case 3:
		t["optional"], t["permissive"] = true, true
	}
}

func (g *generator) settings(name string) map[string]any {
	d := map[string]any{"name": name, "retryCount": g.r.IntN(3), "retryDelaySeconds": 0}
	if g.one(4) {
		d["inputTemplate"] = map[string]any{"p0": g.pick("${workflow.input.none}", "fixed"), "extra": 7}
	}
	if !g.o.Timing {
		return d
	}
	d["retryDelaySeconds"] = g.r.IntN(12)
	d["retryLogic"] = g.pick("FIXED", "LINEAR_BACKOFF", "EXPONENTIAL_BACKOFF")
	d["backoffScaleFactor"] = 1 + g.r.IntN(3)
	if g.one(3) {
		d["maxRetryDelaySeconds"] = 1 + g.r.IntN(15)
	}
	d["timeoutPolicy"] = g.pick("RETRY", "RETRY", "RETRY", "TIME_OUT_WF", "ALERT_ONLY")
	d["responseTimeoutSeconds"] = 5 + g.r.IntN(30)
	if g.one(3) {
		d["timeoutSeconds"] = d["responseTimeoutSeconds"].(int) + g.r.IntN(60)
	}
	if g.one(3) {
		d["pollTimeoutSeconds"] = 5 + g.r.IntN(60)
	}
	if g.one(4) {
		d["totalTimeoutSeconds"] = 100 + g.r.IntN(100)
	}
	return d
}

func (g *generator) fork(depth int, s scope) []any {
	fork := g.plain("FORK_JOIN", "fork", s)
	join := map[string]any{"name": "join", "taskReferenceName": g.ref("join"), "type": "JOIN"}
	var branches, joinOn []any
	for range 1 + g.r.IntN(3) {
		branch := g.list(depth-1, s)
		branches = append(branches, branch)
		if last := branch[len(branch)-1].(map[string]any); joinOn == nil || !g.one(6) {
			joinOn = append(joinOn, last["taskReferenceName"])
		}
	}
	if g.one(10) && len(s.refs) > 0 {
		joinOn = append(joinOn, s.refs[g.r.IntN(len(s.refs))])
	}
	fork["forkTasks"], join["joinOn"] = branches, joinOn
	if g.one(6) {
		g.soften(join)
	}
	return []any{fork, join}
}

func (g *generator) choice(depth int, s scope) map[string]any {
	t := g.plain("SWITCH", "if", s)
	in := t["inputParameters"].(map[string]any)
	in["c"] = g.path(s)
	cases := map[string]any{}
	keys := []string{"1", "2", "a", "null"}
	t["evaluatorType"], t["expression"] = "value-param", "c"
	if g.o.Scripts && g.one(2) {
		keys = []string{"big", "small"}
		t["evaluatorType"], t["expression"] = "javascript", "$.c > 1 ? 'big' : 'small'"
		if g.has("jobs") && g.one(3) {
			t["expression"] = Outside
		}
	}
	if g.has("DECISION") && g.one(3) {
		g.decision(t)
	}
	cases[keys[0]] = g.list(depth-1, s)
	for _, k := range keys[1:] {
		if g.one(3) {
			cases[k] = g.list(depth-1, s)
		} else if g.one(4) {
			cases[k] = []any{}
		}
	}
	t["decisionCases"] = cases
	if g.one(2) {
		t["defaultCase"] = g.list(depth-1, s)
	}
	return t
}

func (g *generator) loop(depth int, s scope) map[string]any {
	t := g.plain("DO_WHILE", "loop", s)
	ref := t["taskReferenceName"].(string)
	in := t["inputParameters"].(map[string]any)
	in["n"] = g.pick("${workflow.input.n}", "${workflow.variables.v}", "2")
	if in["n"] == "2" {
		in["n"] = 2
	}
	if g.one(4) {
		in["keepLastN"] = 1 + g.r.IntN(2)
	}
	inner := s
	if !s.bare {
		inner.loop = ref
	}
	body := g.list(depth-1, inner)
	t["loopOver"] = body
	condition := fmt.Sprintf("$.%s['iteration'] < $.n", ref)
	switch g.r.IntN(5) {
	case 0:
		last := body[len(body)-1].(map[string]any)["taskReferenceName"]
		condition = fmt.Sprintf("$.%s.x != 1 && $.%s['iteration'] < 3", last, ref)
	case 1:
		condition = fmt.Sprintf("if (%s) { true; } else { false; }", condition)
	case 2:
		t["items"] = "${workflow.input.list}"
		if g.one(2) {
			condition = ""
		}
	}
	if g.has("jobs") && g.one(5) {
		condition = Outside
	}
	t["loopCondition"] = condition
	if g.one(6) {
		g.soften(t)
	}
	return t
}

func (g *generator) child(s scope) map[string]any {
	t := g.plain("SUB_WORKFLOW", "sub", s)
	name := g.o.Children[g.r.IntN(len(g.o.Children))]
	if g.one(12) {
		name = "unknown"
	}
	t["subWorkflowParam"] = g.childParam(name)
	in := t["inputParameters"].(map[string]any)
	in["n"], in["s"], in["list"] = "${workflow.input.n}", "${workflow.variables.w}", []any{1, "b"}
	g.soften(t)
	if g.one(4) {
		d := map[string]any{"name": t["name"], "retryCount": 1, "retryDelaySeconds": 0}
		if g.o.Timing {
			d["retryDelaySeconds"] = g.r.IntN(5)
		}
		t["taskDefinition"] = d
	}
	return t
}

func (g *generator) wait(s scope) map[string]any {
	t := g.plain("WAIT", "wait", s)
	if g.one(2) {
		g.soften(t)
	}
	if g.o.Timing && g.one(2) {
		in := t["inputParameters"].(map[string]any)
		switch g.r.IntN(6) {
		case 0:
			in["until"] = g.pick("1970-01-01 00:02", "1970-01-01", "1970-01-01 00:10")
		case 1:
			in["duration"] = "1 minutes 5 sec"
		default:
			in["duration"] = fmt.Sprintf("%ds", g.r.IntN(40))
		}
	}
	return t
}

func (g *generator) variable(s scope) map[string]any {
	t := g.plain("SET_VARIABLE", "set", s)
	t["inputParameters"] = map[string]any{g.pick("v", "w"): g.pick(g.path(s), g.path(s), "a")}
	return t
}

func (g *generator) end(s scope) map[string]any {
	t := g.plain("TERMINATE", "end", s)
	in := map[string]any{"terminationStatus": g.pick("COMPLETED", "FAILED", "TERMINATED")}
	if g.has("TERMINATE") && g.one(4) {
		in["terminationStatus"] = g.pick("${workflow.input.s}", "${workflow.input.end}", "${workflow.input.none}")
	}
	if g.one(2) {
		in["terminationReason"] = "because " + g.path(s)
	}
	switch g.r.IntN(3) {
	case 0:
		in["workflowOutput"] = g.parameters(s)
	case 1:
		in["workflowOutput"] = g.path(s)
	}
	t["inputParameters"] = in
	return t
}
