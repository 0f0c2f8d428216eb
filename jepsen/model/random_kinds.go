package model

// acting makes a step of a kind that the naive machine does not know.
func (g *generator) acting(kind string, s scope) []any {
	t := g.plain(kind, "act", s)
	in := t["inputParameters"].(map[string]any)
	some := g.pick3("${workflow.input.id}", "${workflow.input.id}", "${workflow.workflowId}", "${workflow.parentWorkflowId}", "nobody")
	switch kind {
	case "PULL_WORKFLOW_MESSAGES":
		if in["batchSize"] = g.pick3(1, 3, "${workflow.input.n}"); g.one(3) {
			in["blocking"] = g.pick3(true, false, "${workflow.input.none}")
		}
	case "GET_WORKFLOW":
		in["id"], in["includeTasks"] = some, g.one(2)
	case "TERMINATE_WORKFLOW":
		in["workflowId"], in["triggerFailureWorkflow"] = []any{some, "${workflow.input.id}"}, g.one(2)
	case "UPDATE_TASK":
		in["workflowId"], in["mergeOutput"] = some, g.one(2)
		in["taskRefName"] = g.pick3("w", "h", "do1", "human2", "wait3")
		in["taskStatus"] = g.pick("COMPLETED", "COMPLETED", "FAILED", "IN_PROGRESS", "SKIPPED")
		in["taskOutput"] = map[string]any{"x": g.path(s)}
	default:
		return nil
	}
	g.soften(t)
	return []any{t}
}

// tells lets a step tell of its changes now and then.
func (g *generator) tells(t map[string]any) {
	if !g.has("tells") || !g.one(3) {
		return
	}
	ref := t["taskReferenceName"].(string)
	t["onStateChange"] = map[string]any{
		"onScheduled,onStart":            []any{map[string]any{"type": "begun", "payload": map[string]any{"in": "${" + ref + ".input}"}}},
		"onSuccess,onFailed,onCancelled": []any{map[string]any{"type": "over", "payload": "${" + ref + ".output} ${workflow.variables}"}},
	}
}
