package behaviour

import (
	"testing"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/expr"
)

// filled evaluates a template over a document.
func filled(t *testing.T, template any, document any) []byte {
	t.Helper()
	x, err := expr.ParseTemplate(js(template))
	if err != nil {
		t.Fatalf("%s: %v", js(template), err)
	}
	out, err := x.Append(nil, expr.Raw(js(document)), &expr.Budget{Steps: expr.MaxEvalSteps})
	if err != nil {
		t.Fatalf("%s: %v", js(template), err)
	}
	return out
}

// B188: an expression that is the whole value keeps its type, whether it begins with $. or
// not.
func TestB188LoneExpressionsKeepTheirType(t *testing.T) {
	record(t)
	document := m{"name": "conductor", "version": 2, "externalId": m{"a": l{1, true, nil}}}
	wantJSON(t, filled(t, m{"k1": "${$.externalId}", "k4": "${name}", "k5": "${version}", "k6": 7}, document),
		m{"k1": m{"a": l{1, true, nil}}, "k4": "conductor", "k5": 2, "k6": 7})
}

// B189: $${name} is the text ${name}; escaped and live ones mix in one value. ${} and ${   }
// are an empty text.
func TestB189EscapedAndEmptyExpressions(t *testing.T) {
	record(t)
	document := m{"name": "conductor", "version": 2}
	wantJSON(t, filled(t, m{
		"k1": "x $${name}", "k2": "${name} and $${name} and ${version}", "k3": "a${}b", "k4": "a${   }b", "k5": "$${name}", "k6": "${}",
	}, document), m{"k1": "x ${name}", "k2": "conductor and ${name} and 2", "k3": "ab", "k4": "ab", "k5": "${name}", "k6": ""})
}

// B190: expressions nest, three deep; the inner one is first.
func TestB190ExpressionsNest(t *testing.T) {
	record(t)
	document := m{"list": l{"x", "y", "z"}, "index": 1, "key": "inner", "map": m{"inner": l{10, 20, 30}}, "names": m{"y": "index"}, "which": "y"}
	wantJSON(t, filled(t, m{
		"a": "${list[${index}]}", "b": "${map.${key}[${index}]}", "c": "${list[${${names.${which}}}]}", "d": "at ${index}: ${list[${index}]}",
	}, document), m{"a": "y", "b": 20, "c": "y", "d": "at 1: y"})
}

// B191: expressions are resolved at any depth of maps and lists, and resolving leaves the
// definition as it was.
func TestB191ExpressionsAtAnyDepth(t *testing.T) {
	w := begin(t)
	inputs := m{"a": l{m{"b": l{"${workflow.input.x}", m{"c": "${workflow.input.y}"}}}, 5}, "text": "x=${workflow.input.x}"}
	f := flow("f", simple("t1", in(inputs)))
	w.define(f)
	before, _ := w.at().Definition("f", 1)
	for _, x := range []any{1, "two", l{3}} {
		r := w.start("f", m{"x": x, "y": m{"z": x}})
		wantAt(t, r.task("t1").Input, "a", l{m{"b": l{x, m{"c": m{"z": x}}}}, 5})
		r.complete("t1", nil)
	}
	after, _ := w.at().Definition("f", 1)
	if string(before.Source) != string(after.Source) {
		t.Errorf("the definition changed:\n%s\n%s", before.Source, after.Source)
	}
}

// B192: a path to nothing is null and its key is there; one with a filter, .. or a
// wildcard is a list.
func TestB192MissingPathsAreNullOrAnEmptyList(t *testing.T) {
	w := begin(t)
	w.taskTypes(0, "t2")
	r := w.startFlow(flow("f", simple("t1"), simple("t2", in(m{
		"missing": "${t1.output.no.such.path}", "nobody": "${workflow.input.x.y}", "filter": "${t1.output.list[?(@.n > 1)].s}",
		"nothing": "${t1.output.list[?(@.n > 9)].s}", "deep": "${t1.output..s}", "all": "${t1.output.list[*].n}",
	}))), m{"x": "text"})
	r.complete("t1", m{"list": l{m{"n": 1, "s": "a"}, m{"n": 2, "s": "b"}, m{"n": 3, "s": "c"}}})
	wantJSON(t, r.task("t2").Input, m{"missing": nil, "nobody": nil, "filter": l{"b", "c"}, "nothing": l{}, "deep": l{"a", "b", "c"}, "all": l{1, 2, 3}})
	r.want(fsm.Running, "t1 COMPLETED", "t2 SCHEDULED")
}
