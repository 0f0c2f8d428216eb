package fsm

import "testing"

// BenchmarkThreeSteps carries executions of three steps in sequence from start to end,
// 64 commands an entry, and reports the time of one step.
func BenchmarkThreeSteps(b *testing.B) {
	s := New(1)
	src := []byte(`{"name":"w","version":1,"schemaVersion":2,"tasks":[
 {"name":"a","taskReferenceName":"t1","type":"SIMPLE","inputParameters":{"p":"${workflow.input.p}"}},
 {"name":"b","taskReferenceName":"t2","type":"SIMPLE","inputParameters":{"p":"${t1.output.p}"}},
 {"name":"c","taskReferenceName":"t3","type":"SIMPLE","inputParameters":{"p":"${t2.output.p}"}}]}`)
	payload := make([]byte, 0, 300)
	payload = append(payload, `{"p":"`...)
	for range 248 {
		payload = append(payload, 'x')
	}
	payload = append(payload, `"}`...)
	index, now, slot := uint64(1), Millis(1000), uint64(0)
	s.Apply(index, &Entry{Time: now, Commands: []*Command{{Body: &PutDefinition{Source: src}}}})
	const width = 64
	steps := 0
	b.ReportAllocs()
	for b.Loop() {
		e := &Entry{Work: 256}
		for range width {
			slot++
			e.Commands = append(e.Commands, &Command{Body: &StartExecution{Name: "w", Input: payload}})
			e.Offers = append(e.Offers, Offer{Slot: Slot{Node: testNode, N: slot}, Queue: "a", Worker: "w"})
		}
		grants := apply(s, &index, &now, e)
		for _, q := range []Queue{"b", "c", ""} {
			e := &Entry{Work: 256}
			for _, g := range grants {
				slot++
				e.Commands = append(e.Commands, &Command{Body: &CompleteTask{Task: g.Task, Lease: g.Lease, Output: payload}})
				if q != "" {
					e.Offers = append(e.Offers, Offer{Slot: Slot{Node: testNode, N: slot}, Queue: q, Worker: "w"})
				}
			}
			steps += len(grants)
			grants = apply(s, &index, &now, e)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
}

func apply(s *State, index *uint64, now *Millis, e *Entry) []Leased {
	*index++
	*now += 2
	e.Time = *now
	return s.Apply(*index, e).Grants
}
