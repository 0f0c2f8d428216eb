package fsm

import "github.com/pawlhq/pawl/fsm/expr"

// setVariables writes over an execution's variables. Nothing ever waits on one, so the
// flow does not move.
func (s *State) setVariables(c *SetVariables) (Result, *Rejection) {
	e, rej := s.idle(c.Exec)
	if rej != nil {
		return Result{}, rej
	}
	if e.status.Terminal() {
		return Result{}, reject(Conflict, "Workflow ", s.named(e), " has ended, its variables cannot be updated.")
	}
	vars := c.Variables
	if c.Append {
		vars = appended(e.variables.bytes(), vars)
	}
	vars = expr.Merge(e.variables.bytes(), vars)
	if len(vars) > MaxVariables {
		return Result{}, tooManyVariables(e, len(vars))
	}
	e = s.executions.mut(e)
	e.variables, e.updated = raw(vars), s.now
	s.emit(Event{Kind: VariablesSet, Exec: e.id})
	return Result{Exec: e.id}, nil
}

func tooManyVariables(e *execution, size int) *Rejection {
	return reject(TooLarge, "The variables payload size: ", itoa(int64(size)), " of workflow: ", e.id.String(),
		" is greater than the permissible limit: ", itoa(MaxVariables>>10), " kilobytes")
}

// appended replaces the new value of each variable that is a list by the list with the
// new value, or its elements, behind it.
func appended(old, vars []byte) []byte {
	out := vars
	for k, v := range expr.Members(vars) {
		list, ok := expr.Get(old, k)
		if !ok || expr.KindOf(list) != expr.Array {
			continue
		}
		b := append([]byte(nil), list[:len(list)-1]...)
		if expr.KindOf(v) == expr.Array {
			if expr.Count(v) == 0 {
				out = expr.SetKey(out, k, list)
				continue
			}
			v = v[1 : len(v)-1]
		}
		if expr.Count(list) > 0 {
			b = append(b, ',')
		}
		out = expr.SetKey(out, k, append(append(b, v...), ']'))
	}
	return out
}
