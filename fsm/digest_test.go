package fsm

import (
	"bytes"
	"iter"
	"slices"
	"testing"
)

// TestAnEntryHashesNoPayloadAnew completes one task of forks of two widths. The input of
// the execution, and of the fork, holds the whole list.
func TestAnEntryHashesNoPayloadAnew(t *testing.T) {
	hashed := func(width int) uint64 {
		s := New(1)
		index, now := uint64(1), Millis(1000)
		id, grants := wideFork(s, &index, &now, width, MaxOffers)
		before := s.j.hashed
		g := grants[len(grants)/2]
		apply(s, &index, &now, &Entry{Commands: []*Command{{Body: &CompleteTask{Task: g.Task, Lease: g.Lease, Output: []byte(`{"ok":true}`)}}}})
		if e, _ := s.executions.get(id); len(e.input.raw) < 6*width || e.openAll != uint32(width) {
			t.Fatalf("an input of %d bytes, %d open records", len(e.input.raw), e.openAll)
		}
		return s.j.hashed - before
	}
	narrow, wide := hashed(100), hashed(int(envInt(t, "PAWL_WIDTH", 20_000)))
	const digits = 64 // larger numbers take more bytes
	if wide > narrow+digits {
		t.Errorf("finishing a task hashed %d bytes of a wide fork, %d of a narrow one", wide, narrow)
	}
}

func TestVerifyFindsAPayloadThatIsNotWhatItsHashSays(t *testing.T) {
	w := lived(t)
	payloads := map[string]*Data{}
	for _, e := range w.a.executions.tree.All() {
		if e.input.kind == dataRaw {
			payloads["input of an execution"] = &e.input
		}
	}
	for _, x := range w.a.tasks.tree.All() {
		if x.input.kind == dataRaw {
			payloads["input of a task"] = &x.input
		}
	}
	for _, p := range w.a.plans.tree.All() {
		payloads["source of a plan"] = &p.source
	}
	for name, d := range payloads {
		if err := w.a.Verify(Full); err != nil {
			t.Fatal(err)
		}
		good := d.raw
		d.raw = bytes.Clone(good)
		d.raw[0] ^= 1
		if w.a.Verify(Full) == nil {
			t.Errorf("%s: a flipped bit is not found", name)
		}
		d.raw = good
	}
}

func TestLoadRefusesAFlippedBitOfAPayload(t *testing.T) {
	v := lived(t).a.View()
	for _, part := range []string{`{"p":1}`, `{"y":1}`, `"taskReferenceName":"d"`, `"responseTimeoutSeconds":10`} {
		tables := copyTables(v)
		flipped := false
		bad := func(yield func(TableID, iter.Seq[[]byte]) bool) {
			for id, rows := range tables {
				list := slices.Collect(rows)
				for i, row := range list {
					if at := bytes.Index(row, []byte(part)); at >= 0 && !flipped {
						list[i], flipped = bytes.Clone(row), true
						list[i][at+len(part)-2] ^= 1
					}
				}
				if !yield(id, slices.Values(list)) {
					return
				}
			}
		}
		if _, err := loadAll(bad, v.Digest()); err == nil || !flipped {
			t.Errorf("%s: flipped %v, and loaded", part, flipped)
		}
	}
}
