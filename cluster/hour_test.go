package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/fsm"
)

// soak is a cluster under clients and faults, and what the clients were told.
type soak struct {
	*testCluster
	r    *rand.Rand
	t0   time.Time
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	acked  []string
	never  map[string]error
	open   int
	reads  int
	faults []string
}

func (s *soak) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf("%9s ", time.Since(s.t0).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// client proposes and reads on nodes of its choice.
func (s *soak) client(id int, r *rand.Rand) {
	for i := 0; ; i++ {
		select {
		case <-s.stop:
			return
		case <-time.After(time.Duration(r.IntN(1500)) * time.Millisecond):
		}
		n := s.nodes[r.IntN(len(s.nodes))].parts()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if r.IntN(3) == 0 {
			s.read(ctx, n, r)
		} else {
			s.write(ctx, n, fmt.Sprintf("c%d-%d", id, i))
		}
		cancel()
	}
}

func (s *soak) write(ctx context.Context, n *Parts, name string) {
	o, err := n.Proposer.Propose(ctx, put(name))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && o.Result.Rejection == nil:
		s.acked = append(s.acked, name)
	case err == nil:
		s.t.Errorf("%s was rejected: %v", name, o.Result.Rejection)
	case fsm.Definite(err):
		s.never[name] = err
	default:
		s.open++
	}
}

// read checks that what was acknowledged before is there.
func (s *soak) read(ctx context.Context, n *Parts, r *rand.Rand) {
	s.mu.Lock()
	k := len(s.acked)
	name := ""
	if k > 0 {
		name = s.acked[k-1-r.IntN(min(k, 5))]
	}
	s.mu.Unlock()
	v, err := n.Reads.Linearizable(ctx)
	if err != nil || name == "" {
		return
	}
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	if !has(v, name) {
		s.t.Errorf("at %s a read does not see %s, which was acknowledged before it", time.Since(s.t0), name)
	}
}

// fault does one thing to the cluster and undoes it.
func (s *soak) fault() {
	n := s.nodes[s.r.IntN(len(s.nodes))]
	o := s.others(n)[s.r.IntN(len(s.nodes)-1)]
	long := time.Duration(200+s.r.IntN(9_000)) * time.Millisecond
	switch s.r.IntN(7) {
	case 0:
		s.note("isolate %s for %s", n.name, long)
		n.isolate(true)
		time.Sleep(long)
		n.isolate(false)
	case 1:
		s.note("cut %s to %s for %s", n.name, o.name, long)
		s.net.set(n.name, o.name, true)
		time.Sleep(long)
		s.net.set(n.name, o.name, false)
	case 2:
		s.note("cut %s and %s for %s", n.name, o.name, long)
		s.net.both(n.name, o.name, true)
		time.Sleep(long)
		s.net.both(n.name, o.name, false)
	case 3:
		keep := disk.Keep(s.r.IntN(3))
		s.note("kill %s, keep %d, for %s", n.name, keep, long)
		n.kill(keep)
		time.Sleep(long / 4)
		n.restart()
	case 4:
		s.note("stop %s for %s", n.name, long/4)
		n.stop()
		time.Sleep(long / 4)
		n.restart()
	case 5:
		s.slow(n, long)
	case 6:
		for _, x := range s.nodes {
			if id, err := x.p.Members.Transfer(context.Background(), fsm.NodeID{}); err == nil {
				s.note("transfer from %s to %s", x.name, id)
				break
			}
		}
	}
}

// slow makes everything that a node sends late.
func (s *soak) slow(n *node, long time.Duration) {
	by := time.Duration(1+s.r.IntN(150)) * time.Millisecond
	s.note("delay %s by %s for %s", n.name, by, long)
	s.net.mu.Lock()
	s.net.delay = func(from, _ string) time.Duration {
		if from == n.name {
			return by
		}
		return 0
	}
	s.net.mu.Unlock()
	time.Sleep(long)
	s.net.mu.Lock()
	s.net.delay = nil
	s.net.mu.Unlock()
}

// TestVirtualHour takes half a minute or more of two processors. Under the race
// detector it runs two minutes; PAWL_SOAK gives another duration.
func TestVirtualHour(t *testing.T) {
	long := time.Hour
	if raceEnabled || testing.Short() {
		long = 2 * time.Minute
	}
	if d, err := time.ParseDuration(os.Getenv("PAWL_SOAK")); err == nil {
		long = d
	}
	sd := seed(t)
	begun := time.Now()
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3, func(_ int, n *node) {
			n.cfg.Timing = Timing{Heartbeat: time.Second, Election: time.Second, Lease: 500 * time.Millisecond, Commit: 200 * time.Millisecond}
			n.cfg.SnapshotMin, n.cfg.WALKeep = 256<<10, 1<<40
		})
		defer c.stopAll()
		s := &soak{testCluster: c, r: rand.New(rand.NewPCG(sd, 1)), t0: time.Now(), stop: make(chan struct{}), never: map[string]error{}}
		defer func() {
			if t.Failed() {
				t.Logf("faults:\n%s", strings.Join(s.faults, "\n"))
			}
		}()
		c.leader()
		const clients = 6
		for i := range clients {
			r := rand.New(rand.NewPCG(sd, uint64(i)+2))
			s.wg.Go(func() { s.client(i, r) })
		}
		for time.Since(s.t0) < long && !t.Failed() {
			time.Sleep(time.Duration(s.r.IntN(15_000)) * time.Millisecond)
			s.fault()
		}
		close(s.stop)
		s.wg.Wait()
		c.agree()
		s.judge()
		t.Logf("acknowledged %d, never %d, unknown %d, reads %d, faults %d", len(s.acked), len(s.never), s.open, s.reads, len(s.faults))
	})
	t.Logf("took %s", time.Since(begun))
}

// judge compares what clients were told with the log of every node.
func (s *soak) judge() {
	s.t.Helper()
	for _, n := range s.nodes {
		times := s.counted(n)
		for _, name := range s.acked {
			if times[name] != 1 {
				s.t.Errorf("%s is %d times in the log of %s, though it was acknowledged", name, times[name], n.name)
			}
		}
		for name, err := range s.never {
			if times[name] != 0 {
				s.t.Errorf("%s is in the log of %s, though the answer was: %v", name, n.name, err)
			}
		}
	}
	if len(s.acked) == 0 || s.reads == 0 {
		s.t.Errorf("nothing happened: %d commands, %d reads", len(s.acked), s.reads)
	}
}

// counted says how often each command is in the log of a node.
func (s *soak) counted(n *node) map[string]int {
	times := map[string]int{}
	first, err := n.p.stores.log.FirstIndex()
	if err != nil || first != 1 {
		s.t.Fatalf("the log of %s begins at %d: %v", n.name, first, err)
	}
	for i := first; i <= n.p.Replica.Applied(); i++ {
		var l raft.Log
		if err := n.p.stores.log.GetLog(i, &l); err != nil {
			s.t.Fatal(err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		env, err := readEnvelope(l.Data)
		if err != nil {
			s.t.Fatal(err)
		}
		e, err := fsm.Decode(env.entry)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, c := range e.Commands {
			if p, ok := c.Body.(*fsm.PutTaskType); ok {
				times[strings.Split(string(p.Source), `"`)[3]]++
			}
		}
	}
	return times
}
