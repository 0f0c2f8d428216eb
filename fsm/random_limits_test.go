package fsm

import (
	"fmt"
	"slices"
)

// setting puts or deletes a secret or a variable.
func (c *chaos) setting() Body {
	name := []string{"A", "A", "B", "no name"}[c.r.IntN(4)]
	value := fmt.Sprintf(`{"v":%d}`, c.r.IntN(3))
	switch c.r.IntN(8) {
	case 0, 1:
		return &DeleteSecret{Name: name}
	case 2, 3:
		return &DeleteVariable{Name: name}
	case 4, 5:
		return &PutSecret{Name: name, Value: value}
	}
	return &PutVariable{Name: name, Value: value}
}

// quotaDefinition defines anew how many of its executions run at a time, with a first
// step of any kind and outputs that are kept.
func (c *chaos) quotaDefinition() Body {
	name, policy := "queued", "QUEUE"
	if c.r.IntN(3) == 0 {
		name, policy = "refused", "REJECT"
	}
	first := []string{
		`{"name":"hot","taskReferenceName":"h","type":"SIMPLE","inputParameters":{"n":"${workflow.input.n}","e":"${workflow.env.A.v}","s":"${workflow.secrets.A}"},"cacheConfig":{"key":"${n}","ttlInSecond":20}}`,
		`{"name":"v","taskReferenceName":"v","type":"SET_VARIABLE","inputParameters":{"x":"${workflow.env.B}"}}`,
		`{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"hot","taskReferenceName":"h1","type":"SIMPLE"}],[{"name":"s2","taskReferenceName":"h2","type":"OWN"}]]},
		 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["h1","h2"]}`,
		`{"name":"c","taskReferenceName":"c","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"refused"}}`,
		`{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"2s"}}`,
	}[c.r.IntN(5)]
	return &PutDefinition{Overwrite: true, Source: fmt.Appendf(nil, `{"name":%q,"version":%d,"schemaVersion":2,
 "rateLimitConfig":{"rateLimitKey":"${workflow.input.n}","concurrentExecLimit":%d,"policy":%q},
 "tasks":[%s,{"name":"hot","taskReferenceName":"last","type":"SIMPLE"}]}`, name, 1+c.r.IntN(2), c.r.IntN(4), policy, first)}
}

// checkQuotas holds the executions that began in the entry at hand to their quota: who
// is let in, by a start or from the line, finds a part free. Only what was revived
// stands above, and what had begun before a definition lowered the limit.
func (c *chaos) checkQuotas(e *Entry, events []Event) {
	before, held := c.holders, map[string][]ExecID{}
	for k, id := range c.a.parked.tree.All() {
		if k.holds {
			held[k.limit] = append(held[k.limit], id)
		}
	}
	c.holders = held
	if slices.ContainsFunc(e.Commands, func(c *Command) bool { _, ok := c.Body.(*PutDefinition); return ok }) {
		return
	}
	revived := map[ExecID]bool{}
	for _, ev := range events {
		switch ev.Kind {
		case ExecutionRetried, ExecutionRestarted, ExecutionReran, ExecutionRevived:
			revived[ev.Exec] = true
		}
	}
	for name, ids := range held {
		again, begun := 0, 0
		for _, id := range ids {
			if revived[id] {
				again++
			} else if !slices.Contains(before[name], id) {
				begun++
			}
		}
		x, _ := c.a.executions.get(ids[0])
		if most := int(c.a.quotaOf(c.a.planOf(x))); most > 0 && begun > 0 && len(ids)-again > most {
			c.t.Fatalf("index %d: %d executions hold a part of quota %q, %d of them revived now and %d let in, %d allowed",
				c.index, len(ids), name, again, begun, most)
		}
		c.met.admitted += begun
	}
}
