package def

import (
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Compile reads a workflow definition. It returns the plan, or everything that
// is wrong with the definition, up to a hundred problems; then the plan is nil.
// Where the definition names a field twice the last one counts, and the others
// are not in Plan.Source; a byte-order mark is not either.
func Compile(src []byte) (*Plan, []Problem) {
	return newParser().compile(src, false)
}

// CompileInline is Compile for a definition that is not to be registered: it may
// have no tasks, and its executions are then complete at once.
func CompileInline(src []byte) (*Plan, []Problem) {
	return newParser().compile(src, true)
}

// CompileSub is Compile for a definition that a SUB_WORKFLOW step brings along. What
// its steps read need not be in it: that gives null, and definitions in use rely on it.
func CompileSub(src []byte) (*Plan, []Problem) {
	p := newParser()
	p.sub = true
	return p.compile(src, false)
}

// Recompile compiles what one of the others has taken before.
func Recompile(src []byte) (*Plan, []Problem) {
	p := newParser()
	p.sub = true
	return p.compile(src, true)
}

func (p *parser) compile(src []byte, mayBeEmpty bool) (*Plan, []Problem) {
	raw := p.document(src)
	if raw == nil {
		return nil, p.problems
	}
	rec := p.record(nil, raw, workflowFields)
	if expr.KindOf(raw) != expr.Map {
		return nil, p.problems
	}
	plan := p.header(raw, rec)
	root := p.branch(rootField("tasks"), "", rec.raw("tasks"))
	if len(root.steps) == 0 && !mayBeEmpty {
		p.add(rootField("tasks"), "WorkflowTask list cannot be empty")
	}
	if out := rec.raw("outputParameters"); expr.Count(out) > 0 {
		plan.Output = p.template(rootField("outputParameters"), out)
	}
	return p.finish(plan, root)
}

// CompileFragment compiles steps that are added to an execution of p while it
// runs: raw is a JSON list of steps, each a branch of its own that comes to
// EndBranch, and Plan.Members says which nodes they are. Names are looked up
// within raw alone, and a FORK_JOIN that is a member needs no JOIN.
func CompileFragment(p *Plan, raw []byte) (*Plan, []Problem) {
	ps := newParser()
	ps.fragment, ps.workflow = true, p.Name
	src := ps.document(raw)
	if src == nil {
		return nil, ps.problems
	}
	if expr.KindOf(src) != expr.Array {
		ps.add(nil, "found "+describe(src)+", allowed is a list of tasks")
		return nil, ps.problems
	}
	plan := &Plan{Source: src, Name: p.Name, Version: p.Version, Rules: p.Rules}
	return ps.finishFragment(plan, ps.branch(nil, "", src))
}

// finishFragment finishes a list whose steps are each a branch of its own.
func (p *parser) finishFragment(plan *Plan, root branch) (*Plan, []Problem) {
	for _, s := range root.steps {
		s.before, s.after = nil, nil // each in a list of its own
	}
	return p.finish(plan, root)
}

// header reads all of a definition but its steps and its output.
func (p *parser) header(raw []byte, rec record) *Plan {
	p.workflow = rec.text("name")
	switch name := rootField("name"); {
	case p.workflow == "":
		p.add(name, "WorkflowDef name cannot be null or empty")
	case strings.Contains(p.workflow, ":"):
		p.add(name, "Invalid name '"+clip(p.workflow)+"'. A colon is not allowed")
	}
	if v := rec.int("schemaVersion", 2); v != 2 {
		p.add(rootField("schemaVersion"), "workflowDef schemaVersion: 2 is only supported")
	}
	plan := &Plan{
		Source:                 raw,
		Name:                   p.workflow,
		Version:                int32(rec.boxed("version", 1)),
		InputDefaults:          rec.raw("inputTemplate"),
		Variables:              rec.raw("variables"),
		TimeoutSeconds:         rec.seconds("timeoutSeconds", 0),
		TimeoutPolicy:          AlertOnly,
		Restartable:            rec.flag("restartable", true),
		FailureWorkflowVersion: int32(rec.boxed("failureWorkflowVersion", 0)),
	}
	switch policy := rec.text("timeoutPolicy"); policy {
	case "", "ALERT_ONLY":
	case "TIME_OUT_WF":
		plan.TimeoutPolicy = TimeOutWorkflow
	default:
		p.add(rootField("timeoutPolicy"), "found "+quote(policy)+", allowed are TIME_OUT_WF and ALERT_ONLY")
	}
	if rec.text("failureWorkflow") != "" {
		plan.FailureWorkflow = p.template(rootField("failureWorkflow"), asString(rec.raw("failureWorkflow")))
	}
	for _, sub := range []struct {
		name  string
		table []field
	}{{"inputSchema", schemaFields}, {"outputSchema", schemaFields}, {"cacheConfig", cacheFields}} {
		if raw := rec.raw(sub.name); raw != nil {
			p.record(rootField(sub.name), raw, sub.table)
		}
	}
	plan.Quota = p.quota(rootField("rateLimitConfig"), rec.raw("rateLimitConfig"))
	return plan
}

// finish makes the nodes of a plan unless there are problems.
func (p *parser) finish(plan *Plan, root branch) (*Plan, []Problem) {
	for _, s := range root.steps {
		s.top = true
	}
	p.wholeRules()
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	plan.Asks = p.asks
	c := compiler{plan: plan, byRef: p.byRef}
	plan.Nodes = make([]Node, 0, len(p.all))
	plan.ByRef = make(map[string]int32, len(p.all))
	c.number(root.steps, None)
	if p.fragment {
		for _, s := range root.steps {
			plan.Members = append(plan.Members, s.node)
			c.link([]*step{s}, EndBranch)
			plan.Nodes[s.node].Top = false
		}
		plan.First = EndBranch
	} else {
		plan.First = c.link(root.steps, EndRoot)
	}
	c.joins(p.all)
	c.reach()
	return plan, nil
}

// compiler makes nodes of the steps of a definition without problems.
type compiler struct {
	plan  *Plan
	byRef map[string]*step
}

// number makes the nodes of a list, each before those inside it, so that a
// node's number is its place in the text.
func (c *compiler) number(steps []*step, loop int32) {
	for _, s := range steps {
		s.node = int32(len(c.plan.Nodes))
		c.plan.ByRef[s.ref] = s.node
		c.plan.Nodes = append(c.plan.Nodes, s.makeNode(loop))
		for _, b := range s.cases {
			c.number(b.steps, loop)
		}
		if s.fallback != nil {
			c.number(s.fallback.steps, loop)
		}
		for _, b := range s.forks {
			c.number(b.steps, loop)
		}
		if s.kind == DynamicFork {
			c.plan.DynamicForks = append(c.plan.DynamicForks, s.node)
		}
		if s.kind == DoWhile {
			c.number(s.body.steps, s.node)
			c.plan.Nodes[s.node].LoopEnd = int32(len(c.plan.Nodes))
		}
	}
}

// makeNode returns a step's node without anything that points to other nodes.
func (s *step) makeNode(loop int32) Node {
	n := Node{
		Ref:        s.ref,
		Name:       s.name,
		Type:       s.typ,
		Kind:       s.kind,
		Loop:       loop,
		Top:        s.top,
		Optional:   s.flag("optional", false),
		Permissive: s.flag("permissive", false),
		Async:      s.flag("asyncComplete", false),
		StartDelay: int32(s.int("startDelay", 0)),
		Retries:    int32(s.boxed("retryCount", -1)),
		Input:      s.input,
		Embedded:   s.embedded,
		Source:     s.source,
		Script:     s.script,
		Evaluator:  s.evaluator,
		Param:      s.param,
		Default:    None,
		JoinOf:     None,
		ForkOf:     None,
		Items:      s.items,
		Cache:      s.cache,
		OnState:    s.told,
	}
	switch s.kind {
	case DoWhile:
		n.Bare = !s.captures()
	case Wait:
		n.Zone = s.zone
	case SubWorkflow:
		n.SubName, n.SubVersion, n.SubPriority = s.sub.name, s.sub.version, s.sub.priority
		n.SubDomains, n.SubDomainsExpr = s.sub.rawDomains, s.sub.domains
		n.SubInline, n.SubDefinition = s.sub.inline, s.sub.definition
		n.SubKey, n.SubStrategy = s.sub.key, s.sub.strategy
	default:
		s.more(&n)
	}
	return n
}

// link sets the successors in a list that goes on with next, and returns the
// list's first node, or next when it is empty.
func (c *compiler) link(steps []*step, next int32) int32 {
	for _, s := range steps {
		n := &c.plan.Nodes[s.node]
		n.Next = next
		if s.after != nil {
			n.Next = s.after.node
		}
		switch s.kind {
		case Switch:
			n.Cases = make(map[string]int32, len(s.cases))
			for _, b := range s.cases {
				n.Cases[b.key] = c.linkCase(b, n)
			}
			if s.fallback != nil {
				n.Default = c.linkCase(*s.fallback, n)
			}
		case Fork:
			for _, b := range s.forks {
				if len(b.steps) > 0 {
					n.Heads = append(n.Heads, c.link(b.steps, EndBranch))
				}
			}
			if s.after != nil {
				n.JoinOf = s.after.node
			}
		case DynamicFork:
			if s.after != nil && s.after.kind == Join {
				n.JoinOf = s.after.node
				c.plan.Nodes[n.JoinOf].ForkOf = s.node
			}
		case DoWhile:
			n.Heads = []int32{c.link(s.body.steps, EndIteration)}
		}
	}
	if len(steps) == 0 {
		return next
	}
	return steps[0].node
}

// linkCase links a list of a SWITCH; n.Heads gets it too if it is not empty.
func (c *compiler) linkCase(b branch, n *Node) int32 {
	if len(b.steps) == 0 {
		return Empty
	}
	head := c.link(b.steps, n.Next)
	n.Heads = append(n.Heads, head)
	return head
}

// joins makes numbers of the names that JOINs wait for. A name that occurs twice
// is waited for once.
func (c *compiler) joins(all []*step) {
	for _, s := range all {
		if s.kind != Join && s.kind != ExclusiveJoin {
			continue
		}
		n := &c.plan.Nodes[s.node]
		n.JoinOn = c.waitsFor(s, s.joinOn, n.JoinOn)
		n.Fallback = c.waitsFor(s, s.fallbackOn, n.Fallback)
	}
}

func (c *compiler) waitsFor(s *step, names []string, list []int32) []int32 {
	for _, name := range names {
		member := c.byRef[name].node
		m := &c.plan.Nodes[member]
		if len(m.Joiners) > 0 && m.Joiners[len(m.Joiners)-1] == s.node {
			continue
		}
		list = append(list, member)
		m.Joiners = append(m.Joiners, s.node)
	}
	return list
}
