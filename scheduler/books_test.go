package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// clockFunc is a Clock.
type clockFunc func() fsm.Millis

func (f clockFunc) Now() fsm.Millis { return f() }

var (
	self  = fsm.NodeID{1}
	other = fsm.NodeID{2}
)

// leadingBooks are open for term 1 from an empty View.
func leadingBooks() *books {
	b := newBooks(clockFunc(func() fsm.Millis { return 10_000 }))
	b.lead(1, fsm.View{})
	return b
}

func set(seq uint64, groups ...fsm.SlotGroup) fsm.SlotSet {
	return fsm.SlotSet{Term: 1, Boot: 1, Seq: seq, Full: seq == 1, Add: groups}
}

func streamOf(id fsm.StreamID, queues string, slots ...uint64) fsm.SlotGroup {
	g := fsm.SlotGroup{Stream: id, Worker: "w", Slots: slots}
	for q := range strings.SplitSeq(queues, ",") {
		g.Queues = append(g.Queues, fsm.Queue(q))
	}
	return g
}

func pollOf(id fsm.StreamID, queues string, slots ...uint64) fsm.SlotGroup {
	g := streamOf(id, queues, slots...)
	g.Once = true
	return g
}

// show gives offers as slot:queue.
func show(offers []fsm.Offer) string {
	var out []string
	for _, o := range offers {
		out = append(out, fmt.Sprintf("%d:%s", o.Slot.N, o.Queue))
	}
	return strings.Join(out, " ")
}

func (b *books) offer(max int, cs ...*fsm.Command) []fsm.Offer {
	st, _ := b.stamp(cs, max, 10_000, time.Time{})
	return st.Offers
}

func TestStampOffersWhatWaits(t *testing.T) {
	tests := []struct {
		name    string
		groups  []fsm.SlotGroup
		ready   map[string]int
		permits map[string]int
		max     int
		want    string
	}{
		{"nothing waits", []fsm.SlotGroup{streamOf(1, "a", 1, 2)}, nil, nil, 9, ""},
		{"as many as wait", []fsm.SlotGroup{streamOf(1, "a", 1, 2, 3)}, map[string]int{"a": 2}, nil, 9, "3:a 2:a"},
		{"as many as there are slots", []fsm.SlotGroup{streamOf(1, "a", 1)}, map[string]int{"a": 5}, nil, 9, "1:a"},
		{"as many as the limit has left", []fsm.SlotGroup{streamOf(1, "a", 1, 2, 3)}, map[string]int{"a": 3}, map[string]int{"a": 1}, 9, "3:a"},
		{"none under a full limit", []fsm.SlotGroup{streamOf(1, "a", 1)}, map[string]int{"a": 3}, map[string]int{"a": 0}, 9, ""},
		{"a limit is shared by domains", []fsm.SlotGroup{streamOf(1, "a,d:a", 1, 2, 3)}, map[string]int{"a": 2, "d:a": 2}, map[string]int{"a": 2}, 9, "3:a 2:a"},
		{"at most max", []fsm.SlotGroup{streamOf(1, "a", 1, 2, 3)}, map[string]int{"a": 3}, nil, 2, "3:a 2:a"},
		{"streams take turns", []fsm.SlotGroup{streamOf(1, "a", 1, 2), streamOf(2, "a", 3, 4)}, map[string]int{"a": 3}, nil, 9, "2:a 4:a 1:a"},
		{"a poll is filled first", []fsm.SlotGroup{pollOf(1, "a", 1, 2), pollOf(2, "a", 3, 4)}, map[string]int{"a": 3}, nil, 9, "2:a 1:a 4:a"},
		{"a slot goes to one queue", []fsm.SlotGroup{streamOf(1, "a,b", 1)}, map[string]int{"a": 1, "b": 1}, nil, 9, "1:a"},
		{"no slot serves the queue", []fsm.SlotGroup{streamOf(1, "b", 1)}, map[string]int{"a": 1}, nil, 9, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b := leadingBooks()
			b.register(1, self, set(1, tc.groups...))
			a := &fsm.Applied{}
			for _, q := range []string{"a", "b", "d:a"} {
				if n, ok := tc.ready[q]; ok {
					a.Ready = append(a.Ready, fsm.QueueReady{Queue: fsm.Queue(q), Type: kindName(fsm.Queue(q)), Ready: n})
				}
			}
			for name, n := range tc.permits {
				a.Permits = append(a.Permits, fsm.LimitFree{Type: name, Free: n})
			}
			b.observe(1, a)
			if got := show(b.offer(tc.max)); got != tc.want {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			if got := b.offer(tc.max); tc.max > 2 && len(got) != 0 {
				t.Fatalf("offered again: %s", show(got))
			}
		})
	}
}

func TestStampFollowsCommands(t *testing.T) {
	task := fsm.TaskID{Exec: fsm.ExecID{Hi: 1}, Serial: 1}
	tests := []struct {
		name string
		body fsm.Body
		want string
	}{
		{"complete", &fsm.CompleteTask{Task: task}, "2:b 3:c"},
		{"fail", &fsm.FailTask{Task: task}, "1:a"},
		{"fail for good", &fsm.FailTask{Task: task, Terminal: true}, "2:b 3:c"},
		{"progress for later", &fsm.ProgressTask{Task: task, CallbackSeconds: 9}, "2:b 3:c"},
		{"progress", &fsm.ProgressTask{Task: task}, "1:a"},
		{"return", &fsm.ReturnLease{Task: task}, "1:a"},
		{"update", &fsm.UpdateTask{Task: task}, "2:b 3:c"},
		{"unknown task", &fsm.CompleteTask{Task: fsm.TaskID{Serial: 9}}, ""},
		{"start", &fsm.StartExecution{Name: "d"}, "3:c"},
		{"start of a version", &fsm.StartExecution{Name: "d", Version: 1}, "2:b"},
		{"start of another version", &fsm.StartExecution{Name: "d", Version: 7}, ""},
		{"start in a domain", &fsm.StartExecution{Name: "d", Domains: []fsm.Domain{{Type: "*", Domain: "none, x"}}}, "4:x:c"},
		{"start in no domain", &fsm.StartExecution{Name: "d", Domains: []fsm.Domain{{Type: "c", Domain: "none,NO_DOMAIN"}}}, "3:c"},
		{"pause", &fsm.PauseExecution{}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b := leadingBooks()
			b.register(1, self, set(1, streamOf(1, "a", 1), streamOf(2, "b", 2), streamOf(3, "c", 3), streamOf(4, "x:c", 4)))
			b.observe(1, &fsm.Applied{
				Grants: []fsm.Leased{{Slot: fsm.Slot{Node: other}, Task: task, Lease: 1, Queue: "a", Hints: []fsm.Queue{"b", "c"}}},
				Defined: []fsm.DefinitionHint{{Name: "d", Version: 1, Queues: []fsm.Queue{"b"}},
					{Name: "d", Version: 2, Latest: true, Queues: []fsm.Queue{"c"}}},
			})
			if got := show(b.offer(9, &fsm.Command{Body: tc.body})); got != tc.want {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestOffersComeBack(t *testing.T) {
	b := leadingBooks()
	b.register(1, self, set(1, streamOf(1, "a", 1, 2, 3)))
	b.observe(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 3}}})
	offers := b.offer(9)
	if got, want := show(offers), "3:a 2:a 1:a"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	b.observe(2, &fsm.Applied{
		Grants: []fsm.Leased{{Slot: offers[0].Slot, Queue: "a"}},
		Unused: offers[1:],
		Ready:  []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 1}},
	})
	second := b.offer(9)
	if got, want := show(second), "2:a"; got != want {
		t.Fatalf("after an entry: got %s, want %s", got, want)
	}
	b.settle(slices.Clone(offers), false) // no Stamp gave it
	b.settle(offers, true)
	if got := b.offer(9); len(got) != 0 {
		t.Fatalf("a settled entry freed another's offer: %s", show(got))
	}
	b.settle(second, false)
	if got, want := show(b.offer(9)), "2:a"; got != want {
		t.Fatalf("after a loss: got %s, want %s", got, want)
	}
}

func TestSettleOfAnEarlierTermFreesNothing(t *testing.T) {
	b := leadingBooks()
	b.register(1, self, set(1, streamOf(1, "a", 1)))
	ready := &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 2}}}
	b.observe(1, ready)
	old := b.offer(9)
	b.resign(1)
	b.lead(2, fsm.View{})
	b.register(2, self, set(1, streamOf(1, "a", 1)))
	b.observe(2, ready)
	if got, want := show(b.offer(9)), "1:a"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	b.settle(old, false)
	if got := b.offer(9); len(got) != 0 {
		t.Fatalf("offered twice: %s", show(got))
	}
}

func TestRegistrationsOfOtherTerms(t *testing.T) {
	b := leadingBooks()
	b.observe(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 9}}})
	b.register(2, self, set(1, streamOf(1, "a", 1)))
	b.register(2, self, set(2, streamOf(2, "a", 2)))
	b.register(0, self, set(1, streamOf(3, "a", 3)))
	if got := b.offer(9); len(got) != 0 {
		t.Fatalf("offered slots of another term: %s", show(got))
	}
	b.lead(2, fsm.View{})
	b.register(1, self, set(3, streamOf(4, "a", 4)))
	b.observe(2, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 9}}})
	if got, want := show(b.offer(9)), "1:a 2:a"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestGapsAsk(t *testing.T) {
	b := leadingBooks()
	ask := note{node: other, boot: 1}
	steps := []struct {
		name string
		set  fsm.SlotSet
		want []note
	}{
		{"a difference first", set(2, streamOf(1, "a", 1)), []note{ask}},
		{"more of it", set(3, streamOf(1, "a", 2)), nil},
		{"nothing to tell", set(4), []note{ask}},
		{"full", fsm.SlotSet{Boot: 1, Seq: 5, Full: true, Add: []fsm.SlotGroup{streamOf(1, "a", 1)}}, nil},
		{"repeated", fsm.SlotSet{Boot: 1, Seq: 5, Full: true}, nil},
		{"next", set(6, streamOf(1, "", 2)), nil},
		{"a gap", set(8), []note{ask}},
		{"full again", fsm.SlotSet{Boot: 1, Seq: 9, Full: true, Add: []fsm.SlotGroup{streamOf(1, "a", 1, 2)}}, nil},
		{"a stream that was never told", fsm.SlotSet{Boot: 1, Seq: 10, Add: []fsm.SlotGroup{{Stream: 7, Slots: []uint64{7}}}}, []note{ask}},
	}
	for _, st := range steps {
		if got := b.register(1, other, st.set); !slices.Equal(got, st.want) {
			t.Fatalf("%s: got %v, want %v", st.name, got, st.want)
		}
	}
	b.observe(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 9}}})
	if got, want := show(b.offer(9)), "2:a 1:a"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// TestFullSetDoesNotReviveGrantedSlots covers a node that lists a slot whose grant it
// has not seen yet.
func TestFullSetDoesNotReviveGrantedSlots(t *testing.T) {
	b := leadingBooks()
	b.register(1, other, set(1, streamOf(1, "a", 1, 2)))
	b.observe(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 1}}})
	offers := b.offer(9)
	b.observe(2, &fsm.Applied{Grants: []fsm.Leased{{Slot: offers[0].Slot}}, Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 5}}})
	b.register(1, other, fsm.SlotSet{Boot: 1, Seq: 2, Full: true, Add: []fsm.SlotGroup{streamOf(1, "a", 1, 2)}})
	if got, want := show(b.offer(9)), "1:a"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	b.register(1, other, fsm.SlotSet{Boot: 1, Seq: 3, Drop: []uint64{2}})
	if nb := b.nodes[nodeBoot{other, 1}]; len(nb.slots) != 1 {
		t.Fatalf("an acknowledged slot is kept: %v", nb.slots)
	}
}

func TestNodeThatWentKeepsItsOffersOnTheBooks(t *testing.T) {
	b := leadingBooks()
	b.register(1, other, set(1, streamOf(1, "a", 1, 2)))
	b.observe(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 1}}})
	offers := b.offer(9)
	b.gone(other)
	if q := b.queues["a"]; q.flying != 1 {
		t.Fatalf("%d slots fly, want 1", q.flying)
	}
	b.observe(2, &fsm.Applied{Unused: offers})
	if q := b.queues["a"]; q.flying != 0 || q.head() != nil || len(b.nodes) != 0 {
		t.Fatalf("kept: %+v, %d nodes", q, len(b.nodes))
	}
}

func TestPollIsToldWhenNothingFlies(t *testing.T) {
	b := leadingBooks()
	b.register(1, other, set(1, pollOf(1, "a", 1, 2, 3)))
	b.observe(1, &fsm.Applied{Ready: []fsm.QueueReady{{Queue: "a", Type: "a", Ready: 2}}})
	offers := b.offer(9)
	_, notes := b.observe(2, &fsm.Applied{Grants: []fsm.Leased{{Slot: offers[0].Slot}}})
	if len(notes) != 0 {
		t.Fatalf("told while a slot flies: %v", notes)
	}
	_, notes = b.observe(3, &fsm.Applied{Unused: offers[1:]})
	if len(notes) != 1 || notes[0].node != other || notes[0].n == 0 {
		t.Fatalf("got %v, want one note", notes)
	}
	b.register(1, other, fsm.SlotSet{Boot: 1, Seq: 2, Closed: []fsm.StreamID{1}})
	if nb := b.nodes[nodeBoot{other, 1}]; len(nb.groups)+len(nb.slots) != 0 {
		t.Fatalf("kept %v %v", nb.groups, nb.slots)
	}
}

func TestSeenIsThinned(t *testing.T) {
	now := fsm.Millis(10_000)
	b := newBooks(clockFunc(func() fsm.Millis { return now }))
	b.lead(1, fsm.View{})
	var seq uint64
	poll := func() {
		seq++
		s := set(seq, streamOf(1, "d:a", seq))
		s.Polled = []fsm.Queue{"d:a"}
		b.register(1, self, s)
	}
	seen := func() int {
		st, _ := b.stamp(nil, 9, now, time.Time{})
		return len(st.Seen)
	}
	for i, step := range []struct {
		wait fsm.Millis
		poll bool
		want int
	}{{0, true, 1}, {0, false, 0}, {1_000, true, 0}, {2_000, true, 1}, {5_000, false, 0}} {
		now += step.wait
		if step.poll {
			poll()
		}
		if got := seen(); got != step.want {
			t.Fatalf("step %d: %d queues marked, want %d", i, got, step.want)
		}
	}
	poll()
	if now += seenStale; seen() != 0 {
		t.Fatal("marked for a poll of long ago")
	}
}

func TestWorkFollowsLoad(t *testing.T) {
	b := leadingBooks()
	c := []*fsm.Command{{Body: &fsm.ReturnLease{}}}
	for i, step := range []struct {
		cs   []*fsm.Command
		want uint32
	}{{nil, fsm.MaxWork}, {c, workBusy}, {nil, workTick}, {nil, fsm.MaxWork}} {
		if st, _ := b.stamp(step.cs, 9, 0, time.Time{}); st.Work != step.want {
			t.Fatalf("stamp %d: work %d, want %d", i, st.Work, step.want)
		}
	}
}

// BenchmarkStamp stamps full entries of completions over many queues and streams.
func BenchmarkStamp(b *testing.B) {
	bk := leadingBooks()
	const queues = 1_000
	a := &fsm.Applied{}
	var groups []fsm.SlotGroup
	var slots uint64
	for i := range 10_000 {
		g := streamOf(fsm.StreamID(i+1), fmt.Sprintf("q%d,q%d", i%queues, (i+7)%queues))
		for range 6 {
			slots++
			g.Slots = append(g.Slots, slots)
		}
		groups = append(groups, g)
	}
	bk.register(1, self, set(1, groups...))
	cs := make([]*fsm.Command, fsm.MaxCommands)
	for i := range cs {
		task := fsm.TaskID{Exec: fsm.ExecID{Hi: uint64(i)}, Serial: 1}
		a.Grants = append(a.Grants, fsm.Leased{Task: task, Queue: "q0", Hints: []fsm.Queue{fsm.Queue(fmt.Sprintf("q%d", i%queues))}})
		cs[i] = &fsm.Command{Body: &fsm.CompleteTask{Task: task}}
	}
	bk.observe(1, a)
	for b.Loop() {
		st, _ := bk.stamp(cs, fsm.MaxOffers, 10_000, time.Time{})
		b.StopTimer()
		bk.settle(st.Offers, false)
		b.StartTimer()
	}
}
