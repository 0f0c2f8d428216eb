package fsm

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// wideFork starts a dynamic fork of n steps of one task type, and the join behind it, and
// leases so many of them.
func wideFork(s *State, index *uint64, now *Millis, n, leased int) (ExecID, []Leased) {
	apply(s, index, now, &Entry{Commands: []*Command{
		{Body: &PutDefinition{Source: []byte(`{"name":"fork","version":1,"schemaVersion":2,"tasks":[
 {"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{"forkTaskName":"a","forkTaskInputs":"${workflow.input.list}"}},
 {"name":"j","taskReferenceName":"j","type":"JOIN"}]}`)}}}})
	list := []byte(`{"list":[`)
	for i := range n {
		if i > 0 {
			list = append(list, ',')
		}
		list = fmt.Appendf(list, `{"i":%d}`, i)
	}
	*index++
	*now += 2
	out := s.Apply(*index, &Entry{Time: *now, Work: MaxWork, Commands: []*Command{{Body: &StartExecution{Name: "fork", Input: append(list, "]}"...)}}}})
	for out.More {
		*index++
		*now += 2
		out = s.Apply(*index, &Entry{Time: *now, Work: MaxWork})
	}
	id, _, _ := s.executions.tree.Max()
	slot, grants := uint64(0), []Leased(nil)
	for len(grants) < min(n, leased) {
		e := &Entry{}
		for range MaxOffers {
			slot++
			e.Offers = append(e.Offers, Offer{Slot: Slot{Node: testNode, N: slot}, Queue: "a", Worker: "w"})
		}
		got := apply(s, index, now, e)
		if len(got) == 0 {
			break
		}
		grants = append(grants, got...)
	}
	return id, grants
}

// heapMiB is the memory that is in use.
func heapMiB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkWholeFork runs dynamic forks from start to end: made, every task leased and
// completed, joined. It reports the time of one task, the memory of a task that is
// open, and the longest entry.
func BenchmarkWholeFork(b *testing.B) {
	for _, width := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				before := heapMiB()
				b.StartTimer()
				s := New(1)
				index, now := uint64(1), Millis(1000)
				id, grants := wideFork(s, &index, &now, width, width)
				if len(grants) != width {
					b.Fatalf("%d of %d tasks leased", len(grants), width)
				}
				b.StopTimer()
				open := heapMiB()
				b.StartTimer()
				longest := time.Duration(0)
				for at := 0; at < width; at += 64 {
					e := &Entry{Work: 256}
					for _, g := range grants[at:min(at+64, width)] {
						e.Commands = append(e.Commands, &Command{Body: &CompleteTask{Task: g.Task, Lease: g.Lease, Output: []byte(`{"ok":true}`)}})
					}
					began := time.Now()
					apply(s, &index, &now, e)
					longest = max(longest, time.Since(began))
				}
				if e, _ := s.executions.get(id); e.status != Completed {
					b.Fatalf("the execution is %s", e.status)
				}
				b.ReportMetric((open-before)*1024/float64(width), "KiB/task")
				b.ReportMetric(float64(longest.Microseconds()), "µs/64-completions")
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*width), "µs/task")
		})
	}
}

// BenchmarkFinishOne completes single tasks of forks of several widths. The rows that one
// touches do not depend on the width, and the list that is forked over enters the digest
// by its hash.
func BenchmarkFinishOne(b *testing.B) {
	for _, width := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			s := New(1)
			index, now := uint64(1), Millis(1000)
			_, grants := wideFork(s, &index, &now, width, width)
			i := 0
			for b.Loop() {
				if i == len(grants) {
					b.StopTimer()
					_, grants = wideFork(s, &index, &now, width, width)
					i = 0
					b.StartTimer()
				}
				g := grants[i]
				i++
				apply(s, &index, &now, &Entry{Commands: []*Command{{Body: &CompleteTask{Task: g.Task, Lease: g.Lease, Output: []byte(`{"ok":true}`)}}}})
			}
		})
	}
}

// BenchmarkWholeLoop runs a loop of 10,000 iterations of one worker's step.
func BenchmarkWholeLoop(b *testing.B) {
	const iterations = 10_000
	for b.Loop() {
		s := New(1)
		index, now, slot := uint64(1), Millis(1000), uint64(0)
		apply(s, &index, &now, &Entry{Commands: []*Command{{Body: &PutDefinition{Source: []byte(`{"name":"loop","version":1,"schemaVersion":2,"tasks":[
 {"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"$.l['iteration'] < 10000","loopOver":[
  {"name":"a","taskReferenceName":"x","type":"SIMPLE","inputParameters":{"i":"${l.output.iteration}"}}]}]}`)}}}})
		offer := func() []Offer {
			slot++
			return []Offer{{Slot: Slot{Node: testNode, N: slot}, Queue: "a", Worker: "w"}}
		}
		grants := apply(s, &index, &now, &Entry{Offers: offer(), Commands: []*Command{{Body: &StartExecution{Name: "loop"}}}})
		n := 0
		for ; len(grants) == 1; n++ {
			grants = apply(s, &index, &now, &Entry{Offers: offer(), Commands: []*Command{{Body: &CompleteTask{Task: grants[0].Task, Lease: grants[0].Lease, Output: []byte(`{"ok":true}`)}}}})
		}
		if n != iterations {
			b.Fatalf("%d iterations", n)
		}
		b.StopTimer()
		b.ReportMetric(heapMiB()*1024/iterations, "KiB/iteration")
		b.StartTimer()
		runtime.KeepAlive(s)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*iterations), "µs/iteration")
}
