package def

import "github.com/pawlhq/pawl/fsm/expr"

// Resolve compiles what the DYNAMIC step n of plan p becomes when its input names a
// task: a step of a built-in type, or one for workers. Node 0 of the result is that
// step. Its successors are those of n, which are nodes of p. It returns nil for a type
// whose steps have others inside or beside them, and for what does not compile.
func Resolve(p *Plan, n *Node, name string) *Plan {
	typ := "SIMPLE"
	if kindOf(name) != Worker || Served(name) {
		typ = name
	}
	step := expr.SetKey(n.Written, "name", expr.AppendString(nil, name))
	step = expr.SetKey(step, "type", expr.AppendString(nil, typ))
	compiled, _ := CompileFragment(p, append(append([]byte{'['}, step...), ']'))
	if compiled == nil || len(compiled.Nodes) != 1 {
		return nil
	}
	is := &compiled.Nodes[0]
	switch is.Kind {
	case Fork, DynamicFork, Join, ExclusiveJoin, DoWhile, Dynamic, Switch:
		return nil
	}
	is.Next, is.Loop, is.Top, is.Joiners, is.Reach = n.Next, n.Loop, n.Top, n.Joiners, n.Reach
	return compiled
}
