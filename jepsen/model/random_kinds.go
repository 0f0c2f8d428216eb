package model

// acting makes a step of a kind that the naive machine does not know.
func (g *generator) acting(kind string, s scope) []any {
	switch kind {
	case "PULL_WORKFLOW_MESSAGES":
		t := g.plain(kind, "pull", s)
		in := t["inputParameters"].(map[string]any)
		if in["batchSize"] = g.pick3(1, 3, "${workflow.input.n}"); g.one(3) {
			in["blocking"] = g.pick3(true, false, "${workflow.input.none}")
		}
		g.soften(t)
		return []any{t}
	}
	return nil
}
