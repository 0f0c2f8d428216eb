package builtin

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if IsChild() {
		os.Exit(ServeChild(os.Stdin, os.Stdout))
	}
	time.Local = time.UTC // as in a child
	os.Exit(m.Run())
}

// newPool makes a pool whose children are this test program.
func newPool(t testing.TB, limit time.Duration) *Pool {
	t.Helper()
	p, err := NewPool(PoolConfig{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func evaluate(t testing.TB, p *Pool, j Job) Outcome {
	t.Helper()
	o, err := p.Evaluate(t.Context(), j)
	if err != nil {
		t.Fatalf("%s %.60q: %v", j.Language, j.Source, err)
	}
	return o
}

func itoa(n int) string { return strconv.Itoa(n) }

// await looks at a condition until it holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not so in time: %s", what)
		}
	}
}
