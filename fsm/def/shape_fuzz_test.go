package def

import "testing"

// FuzzDocuments holds that any bytes are told by a shape and either read or refused
// with a bounded list of problems, the same each time.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"name":"h","event":"e","actions":[{"action":"fail_task","fail_task":{"taskId":"${t}"}}]}`))
	f.Add([]byte(`{"name":"s","cronExpression":"0 0/5 9-17 L-3 JAN,MAR MON#2","zoneId":"GMT+04:00","startWorkflowRequest":{"name":"w"}}`))
	f.Add([]byte(`{"name":"w","priority":3,"workflowDef":{"name":"w","tasks":[]}}`))
	f.Add([]byte(`[{"name":"t","retryLogic":"FIXED"}]`))
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, part := range Split(src) {
			shape := Sniff(part)
			first, second := shape.Problems(part), shape.Problems(part)
			if len(first) > maxProblems || len(first) != len(second) {
				t.Fatalf("%q: %d problems, then %d", part, len(first), len(second))
			}
			for i, p := range first {
				if p != second[i] || p.Message == "" {
					t.Fatalf("%q: problem %d is %v, then %v", part, i, p, second[i])
				}
			}
			if shape == ShapeUnknown && len(first) == 0 {
				t.Fatalf("%q: is of no shape and has no problem", part)
			}
		}
	})
}
