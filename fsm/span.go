package fsm

import (
	"slices"
	"strings"

	"github.com/pawlhq/pawl/fsm/query"
)

// span is a range of an index that holds executions in the order of their times, or a
// list of them.
type span struct {
	kind   spanKind
	status Status
	text   string // definition name, correlation id
	exec   ExecID // itself, or its parent
	lo, hi Millis // created within them, both included
}

type spanKind uint8

const (
	spanTime        spanKind = iota // byTime
	spanType                        // byType of a name
	spanStatus                      // byStatus of a status and name
	spanCorrelation                 // byCorrelation, sorted by time when opened
	spanChildren                    // byParent, sorted by time when opened
	spanOne                         // one execution
)

// Times beyond those of all executions.
const (
	firstTime Millis = -1 << 63
	lastTime  Millis = 1<<63 - 1
)

// access is where executions that satisfy a condition are: in the union of spans.
type access struct {
	spans []span
	rows  int
	// exact says that the condition holds for all that is in the spans, and that
	// none is in two of them.
	exact bool
}

// maxSpans bounds the spans of one walk; what needs more walks along time.
const maxSpans = 1024

// plan finds the narrowest access that a condition implies, within bounds of time.
func (v View) plan(c *condition, taskFields bool) access {
	p := planner{v: v, tasks: taskFields}
	if a, ok := p.access(c, firstTime, lastTime); ok {
		return a
	}
	a := p.sized([]span{{kind: spanTime, lo: firstTime, hi: lastTime}})
	a.exact = c.op == query.And && len(c.kids) == 0
	return a
}

// planner looks for access paths. For tasks it leaves alone what is said of the task:
// its times, id and status.
type planner struct {
	v     View
	tasks bool
}

// sized counts the rows of index ranges without walking them.
func (p *planner) sized(spans []span) access {
	a := access{spans: spans, exact: true}
	for i := range spans {
		n, exact := p.v.spanRows(&spans[i])
		a.rows += n
		a.exact = a.exact && exact
	}
	return a
}

// access gives a path for c; none when only a walk through all would do.
func (p *planner) access(c *condition, lo, hi Millis) (access, bool) {
	switch c.op {
	case query.And:
		return p.both(c, lo, hi)
	case query.Or:
		return p.either(c, lo, hi)
	}
	if low, high, exact, ok := p.times(c); ok {
		a := p.sized([]span{{kind: spanTime, lo: max(lo, low), hi: min(hi, high)}})
		a.exact = exact
		return a, true
	}
	spans, ok := p.leaf(c, lo, hi)
	if !ok {
		return access{}, false
	}
	a := p.sized(spans)
	if len(spans) > 0 && spans[0].kind >= spanCorrelation && a.rows > maxScan {
		return access{}, false // too many to be sorted by time
	}
	return a, true
}

// either unites the paths of all alternatives.
func (p *planner) either(c *condition, lo, hi Millis) (access, bool) {
	var out access
	for i := range c.kids {
		a, ok := p.access(&c.kids[i], lo, hi)
		if !ok || len(out.spans)+len(a.spans) > maxSpans {
			return access{}, false
		}
		out.spans = append(out.spans, a.spans...)
		out.rows += a.rows
	}
	return out, true
}

// both takes the narrowest path of the parts. Bounds of time narrow every path, and a
// status together with a type have a path of their own.
func (p *planner) both(c *condition, lo, hi Millis) (access, bool) {
	covered, found := 0, false // parts that the bounds of time say in full
	for i := range c.kids {
		if low, high, exact, ok := p.times(&c.kids[i]); ok {
			lo, hi, found = max(lo, low), min(hi, high), true
			if exact {
				covered++
			}
		}
	}
	best := p.sized([]span{{kind: spanTime, lo: lo, hi: hi}})
	best.exact = best.exact && covered == len(c.kids)
	for i := range c.kids {
		if _, _, _, timed := p.times(&c.kids[i]); timed {
			continue
		}
		for j := i; j < len(c.kids); j++ {
			a, ok := p.pair(&c.kids[i], &c.kids[j], lo, hi)
			if !ok {
				continue
			}
			parts := 1
			if j > i {
				parts = 2
			}
			a.exact = a.exact && covered+parts == len(c.kids)
			if !found || a.rows < best.rows || a.rows == best.rows && a.exact {
				best, found = a, true
			}
		}
	}
	return best, found
}

// pair gives the path of one part, or of a status and a type together.
func (p *planner) pair(a, b *condition, lo, hi Millis) (access, bool) {
	if a == b {
		return p.access(a, lo, hi)
	}
	if a.field == fieldWorkflowType && b.field == fieldStatus {
		a, b = b, a
	}
	if p.tasks || a.field != fieldStatus || b.field != fieldWorkflowType {
		return access{}, false
	}
	statuses, ok := statusesOf(a)
	names, named := p.names(b)
	if !ok || !named || len(statuses)*len(names) > maxSpans {
		return access{}, false
	}
	var spans []span
	for _, status := range statuses {
		for _, name := range names {
			spans = append(spans, span{kind: spanStatus, status: status, text: name, lo: lo, hi: hi})
		}
	}
	return p.sized(spans), true
}

// times reads a condition on the time of the start. Exact says that the bounds are all
// that it says.
func (p *planner) times(c *condition) (lo, hi Millis, exact, ok bool) {
	lo, hi = firstTime, lastTime
	if p.tasks || c.field != fieldStart || len(c.values) == 0 || !c.values[0].whole {
		return lo, hi, false, false
	}
	at := Millis(c.values[0].num)
	switch c.op {
	case query.Equal:
		return at, at, true, true
	case query.Less:
		return lo, max(at, firstTime+1) - 1, at > firstTime, true
	case query.LessOrEqual:
		return lo, at, true, true
	case query.Greater:
		return min(at, lastTime-1) + 1, hi, at < lastTime, true
	case query.GreaterOrEqual:
		return at, hi, true, true
	case query.Between:
		if c.values[1].whole {
			return at, Millis(c.values[1].num), true, true
		}
	}
	return lo, hi, false, false
}

// leaf gives the ranges of a condition that an index answers.
func (p *planner) leaf(c *condition, lo, hi Millis) (spans []span, ok bool) {
	if c.field == fieldWorkflowType {
		names, ok := p.names(c)
		for _, name := range names {
			spans = append(spans, span{kind: spanType, text: name, lo: lo, hi: hi})
		}
		return spans, ok
	}
	if c.field == fieldStatus && !p.tasks {
		statuses, ok := statusesOf(c)
		for _, status := range statuses {
			names := p.v.statusNames(status)
			if len(spans)+len(names) > maxSpans {
				return nil, false
			}
			for _, name := range names {
				spans = append(spans, span{kind: spanStatus, status: status, text: name, lo: lo, hi: hi})
			}
		}
		return spans, ok
	}
	texts, ok := textsOf(c)
	if !ok || len(texts) > maxSpans {
		return nil, false
	}
	for _, text := range texts {
		s := span{text: text, lo: lo, hi: hi}
		switch id, err := ParseExecID(text); {
		case text == "":
			return nil, false // whatever has none
		case c.field == fieldCorrelation:
			s.kind = spanCorrelation
		case c.field == fieldWorkflowID || c.field == fieldParent:
			if err != nil {
				continue // no execution has it
			}
			s.exec, s.kind = id, spanOne
			if c.field == fieldParent {
				s.kind = spanChildren
			}
		case c.field == fieldTaskID:
			task, err := ParseID(text)
			if err != nil {
				continue
			}
			s.exec, s.kind = task.Exec, spanOne
		default:
			return nil, false
		}
		spans = append(spans, s)
	}
	return spans, true
}

// textsOf gives what a condition wants a field to be, each once; none when it says
// anything else.
func textsOf(c *condition) ([]string, bool) {
	if c.op != query.Equal && c.op != query.In {
		return nil, false
	}
	var out []string
	for i := range c.values {
		if c.values[i].Wild() {
			return nil, false
		}
		out = append(out, c.values[i].Parts[0])
	}
	slices.Sort(out)
	return slices.Compact(out), true
}

func statusesOf(c *condition) ([]Status, bool) {
	texts, ok := textsOf(c)
	var out []Status
	for _, text := range texts {
		if status, known := ParseStatus(text); known {
			out = append(out, status)
		}
	}
	return out, ok
}

// names gives the definitions that a condition on the type allows: those it names, or
// those of executions that begin as it says.
func (p *planner) names(c *condition) ([]string, bool) {
	if texts, ok := textsOf(c); ok {
		return texts, len(texts) <= maxSpans
	}
	prefix := ""
	switch {
	case c.op == query.StartsWith:
		prefix = c.values[0].Text
	case c.op == query.Equal && len(c.values[0].Parts) == 2 && c.values[0].Parts[1] == "":
		prefix = c.values[0].Parts[0]
	default:
		return nil, false
	}
	var names []string
	for next := prefix; ; {
		k, ok := p.v.firstType(next)
		if !ok || !strings.HasPrefix(k, prefix) {
			return names, true
		}
		if len(names) == maxSpans {
			return nil, false
		}
		names = append(names, k)
		next = join(k, "\x00")
	}
}

// firstType is the first definition name of an execution at or after a text.
func (v View) firstType(name string) (string, bool) {
	for k := range v.s.byType.tree.From(typeKey{name: name, created: lastTime, exec: newestExec}) {
		return k.name, true
	}
	return "", false
}

// statusNames gives the definitions that have executions of a status.
func (v View) statusNames(status Status) []string {
	var names []string
	for next := ""; len(names) <= maxSpans; {
		k, ok := v.firstOfStatus(status, next)
		if !ok {
			break
		}
		names = append(names, k)
		next = join(k, "\x00")
	}
	return names
}

func (v View) firstOfStatus(status Status, name string) (string, bool) {
	for k := range v.s.byStatus.tree.From(statusKey{status: status, name: name, created: lastTime, exec: newestExec}) {
		return k.name, k.status == status
	}
	return "", false
}

// spanRows counts a span, and says whether the count is exact for its bounds of time.
func (v View) spanRows(s *span) (rows int, exact bool) {
	if s.lo > s.hi {
		return 0, true
	}
	switch s.kind {
	case spanTime:
		t := v.s.byTime.tree
		return t.Rank(timeKey{created: s.lo}) - t.Rank(timeKey{created: s.hi, exec: newestExec}), true
	case spanType:
		t := v.s.byType.tree
		return t.Rank(typeKey{name: s.text, created: s.lo}) - t.Rank(typeKey{name: s.text, created: s.hi, exec: newestExec}), true
	case spanStatus:
		t := v.s.byStatus.tree
		return t.Rank(statusKey{status: s.status, name: s.text, created: s.lo}) -
			t.Rank(statusKey{status: s.status, name: s.text, created: s.hi, exec: newestExec}), true
	case spanCorrelation:
		t := v.s.byCorrelation.tree
		return t.Rank(correlationKey{corr: s.text}) - t.Rank(correlationKey{corr: s.text, exec: newestExec}), false
	case spanChildren:
		t := v.s.byParent.tree
		return t.Rank(parentKey{parent: s.exec, exec: newestExec}) - t.Rank(parentKey{parent: s.exec}), false
	}
	return 1, false
}
