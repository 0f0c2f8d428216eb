package cluster

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/fsm"
)

// late makes everything that goes to or from a node take as long as it says; 0 ends it.
func (c *testCluster) late(to, from func() time.Duration, n *node) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.net.delay = func(a, b string) time.Duration {
		switch {
		case b == n.name && to != nil:
			return to()
		case a == n.name && from != nil:
			return from()
		}
		return 0
	}
}

// freshOrRefused reads on a node until a deadline; each read that succeeds must see
// what was acknowledged before it began.
func (c *testCluster) freshOrRefused(n *node, name string, long time.Duration) (served int) {
	c.t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); {
		v, err := read(n, 100*time.Millisecond)
		if err != nil {
			continue
		}
		served++
		if !has(v, name) {
			c.t.Fatalf("a read on %s does not see %s", n.name, name)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return served
}

// An answer that was given before the question must not confirm a leader.
func TestHeldHeartbeatAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		c.mustPropose(l, "old")
		// What is on its way to the leader stays in its socket; nothing leaves it.
		release := time.Now().Add(4 * time.Second)
		c.late(func() time.Duration { return max(0, time.Until(release)) }, nil, l)
		time.Sleep(50 * time.Millisecond) // some answers are held now
		for _, o := range c.others(l) {
			c.net.set(l.name, o.name, true)
		}
		rest := c.others(l)
		c.until(3*time.Second, "another leader", func() bool {
			for _, n := range rest {
				if _, open := n.p.Leadership.Current(); open {
					return true
				}
			}
			return false
		})
		c.mustPropose(rest[0], "new")
		if time.Until(release) <= 0 {
			t.Fatal("the answers were not held long enough")
		}
		c.freshOrRefused(l, "new", 5*time.Second)
		l.isolate(false)
		c.net.mu.Lock()
		c.net.delay = nil
		c.net.mu.Unlock()
		c.until(20*time.Second, "a read", func() bool { v, err := read(l, time.Second); return err == nil && has(v, "new") })
	})
}

// A process that stood still finds old answers in its sockets when it goes on.
func TestPauseLeaderReadAfterResume(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		c.mustPropose(l, "old")
		resume := time.Now().Add(8 * time.Second)
		left := func() time.Duration { return max(0, time.Until(resume)) }
		c.late(left, left, l)
		rest := c.others(l)
		c.mustPropose(rest[0], "new")
		if left() == 0 {
			t.Fatal("nobody took over during the pause")
		}
		time.Sleep(left())
		if c.freshOrRefused(l, "new", 3*time.Second) == 0 {
			t.Fatal("no read was served after the pause")
		}
	})
}

// A term that was lost and the next that was won must be told apart, though raft's
// channel says only that this node leads.
func TestLostAndRewonBeforeNoticed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		term, _ := l.p.Leadership.Current()
		// The goroutine that follows the role is held while leadership goes and returns.
		l.host.mu.Lock()
		held := make(chan struct{})
		l.p.Leadership.host = &slowHost{host: l.host, held: held}
		l.host.mu.Unlock()
		o := c.others(l)[0]
		give := func(from, to *node) {
			t.Helper()
			c.until(10*time.Second, "transfer", func() bool {
				id := to.p.Node.String()
				_ = from.p.Raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id)).Error()
				return to.p.Raft.State() == raft.Leader
			})
		}
		give(l, o)
		c.until(5*time.Second, "the other to lead", func() bool { _, open := o.p.Leadership.Current(); return open })
		give(o, l)
		give(l, o)
		give(o, l)
		close(held)
		c.until(5*time.Second, "the first to lead again", func() bool {
			now, open := l.p.Leadership.Current()
			return open && now > term
		})
		c.mustPropose(l, "after")
		c.agree()
		l.host.mu.Lock()
		defer l.host.mu.Unlock()
		for _, s := range l.host.calls {
			if strings.Contains(s, "without") || strings.Contains(s, "another") {
				t.Fatalf("calls: %v", l.host.calls)
			}
		}
	})
}

// slowHost takes its time to resign.
type slowHost struct {
	*host
	held chan struct{}
}

func (s *slowHost) Resign(term uint64) {
	<-s.held
	s.host.Resign(term)
}

// A hand-over that fails leaves the leader in office, with nothing lost; the next works.
func TestTransferTimesOutThenSucceeds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		to := c.others(l)[0]
		c.net.set(l.name, to.name, true) // it is still linked, for a moment
		var wg sync.WaitGroup
		wg.Go(func() {
			if id, err := l.p.Members.Transfer(context.Background(), to.p.Node); err == nil && id == to.p.Node {
				t.Log("the hand-over happened through the cut")
			}
		})
		for i := range 20 {
			c.mustPropose([]*node{l, c.others(l)[1]}[i%2], fmt.Sprint("during", i))
		}
		wg.Wait()
		c.net.set(l.name, to.name, false)
		c.until(20*time.Second, "a hand-over", func() bool {
			now := c.leader()
			if now == to {
				return true
			}
			id, err := now.p.Members.Transfer(context.Background(), to.p.Node)
			return err == nil && id == to.p.Node
		})
		c.agree()
		v, err := read(to, 5*time.Second)
		for i := range 20 {
			if err != nil || !has(v, fmt.Sprint("during", i)) {
				t.Fatalf("command %d is lost: %v", i, err)
			}
		}
	})
}

// A leader whose clock is an hour ahead must not stop time for an hour when it dies.
func TestClockAheadLeaderDies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3, func(i int, n *node) {
			if i == 0 {
				n.wall = func() time.Time { return time.Now().Add(time.Hour) }
			}
		})
		defer c.stopAll()
		ahead := c.nodes[0]
		c.until(30*time.Second, "the node ahead to lead", func() bool {
			l := c.leader()
			if l == ahead {
				return true
			}
			_, _ = l.p.Members.Transfer(context.Background(), ahead.p.Node)
			return false
		})
		time.Sleep(3 * time.Second)
		c.mustPropose(ahead, "a")
		off := func(n *node) time.Duration {
			return time.Duration(int64(n.p.Clock.Now())-time.Now().UnixMilli()) * time.Millisecond
		}
		if d := off(ahead); d > 2*time.Second || d < -2*time.Second {
			t.Fatalf("cluster time is off by %s", d)
		}
		ahead.kill(disk.KeepNone)
		l := c.leader()
		before, at := l.p.Clock.Now(), time.Now()
		time.Sleep(10 * time.Second)
		c.mustPropose(l, "b")
		ran := time.Duration(l.p.Clock.Now()-before) * time.Millisecond
		if real := time.Since(at); ran < real*4/10 || ran > real*12/10 {
			t.Fatalf("cluster time ran %s in %s", ran, real)
		}
		ahead.restart()
	})
}

// A leader that can speak but not hear must make room.
func TestOneWayCutToLeader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		rest := c.others(l)
		for _, o := range rest {
			c.net.set(o.name, l.name, true)
		}
		c.mustPropose(rest[0], "elsewhere")
		c.freshOrRefused(l, "elsewhere", 3*time.Second)
		for _, o := range rest {
			c.net.set(o.name, l.name, false)
		}
		c.agree()
	})
}

// A node promises itself once: of two groups that share it, one founds a cluster.
func TestTwoBootstraps(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &testCluster{t: t, net: newWires(), log: testLog(t)}
		groups := [][]string{{"n0", "n1", "n2"}, {"n0", "n1", "n2"}, nil, {"n2", "n3", "n4"}, {"n2", "n3", "n4"}}
		groups[2] = []string{"n0", "n1", "n2", "n3", "n4"}
		var wg sync.WaitGroup
		opened := make([]*Parts, len(groups))
		for i, join := range groups {
			name := fmt.Sprint("n", i)
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				p, err := Open(ctx, Config{FS: disk.Mem(), Expect: 3, Join: join, PeerListen: name, WALSegment: 1 << 20},
					Deps{Log: c.log, Listen: c.net.listen, Dial: c.net.dialer(name), Exit: func(int, string) {}})
				if err == nil {
					opened[i] = p
				}
			})
		}
		wg.Wait()
		clusters := map[string]int{}
		for _, p := range opened {
			if p == nil {
				continue
			}
			clusters[p.Cluster]++
			if err := Close(context.Background(), p); err != nil {
				t.Error(err)
			}
		}
		if len(clusters) > 1 {
			t.Fatalf("clusters: %v", clusters)
		}
		for id, n := range clusters {
			if n > 3 {
				t.Fatalf("cluster %s has %d nodes", id, n)
			}
		}
	})
}

// Everything that waits when a node stops is answered, once.
func TestShutdownWithFullQueue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3, func(_ int, n *node) { n.cfg.QueueNormal = 64 })
		defer c.stopAll()
		l := c.leader()
		var mu sync.Mutex
		answers := map[int]int{}
		errs := map[int]error{}
		const calls = 300
		for i := range calls {
			l.p.Proposer.ProposeAsync(put(fmt.Sprint("s", i)), func(_ fsm.Outcome, err error) {
				mu.Lock()
				defer mu.Unlock()
				answers[i]++
				errs[i] = err
			})
		}
		l.stop()
		mu.Lock()
		defer mu.Unlock()
		rest := c.others(l)[0]
		c.mustPropose(rest, "marker")
		v, err := read(rest, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for i := range calls {
			there := has(v, fmt.Sprint("s", i))
			switch {
			case answers[i] != 1:
				t.Fatalf("command %d was answered %d times", i, answers[i])
			case errs[i] == nil && !there, fsm.Definite(errs[i]) && there:
				t.Fatalf("command %d: answer %v, there %v", i, errs[i], there)
			}
		}
	})
}

// An entry that the machine cannot apply stops the node and names it, at any restart;
// one of a newer version stops it before it is applied.
func TestPoisonCommand(t *testing.T) {
	log := testLog(t)
	entry := func() []byte {
		return (&fsm.Entry{Time: 1}).AppendTo(appendHead(nil, Nonce{Node: me, Boot: 1, Seq: 1}, 1, nil))
	}
	cases := []struct {
		name  string
		index uint64
		data  []byte
		code  int
		says  string
	}{
		{"broken invariant", 4, entry(), guard.ExitInvariant, "entry 4"},
		{"newer envelope", 6, append([]byte{envelopeVersion + 1}, entry()[1:]...), guard.ExitVersion, "entry 6"},
		{"newer entry", 6, append(entry(), 0xfa, 0x01, 0x00), guard.ExitVersion, "entry 6"},
		{"no entry", 6, []byte{envelopeVersion, 1, 2}, guard.ExitDamaged, "entry 6"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			code, reason := 0, ""
			r := newReplica(fsm.New(0), 0, newJournal(0), newClock(time.Now, time.Now, 0, log), log, func(c int, s string) { code, reason = c, s })
			r.ApplyBatch([]*raft.Log{{Index: 5, Term: 1, Type: raft.LogCommand, Data: entry()}})
			if code != 0 || r.Applied() != 5 {
				t.Fatalf("a good entry: code %d, applied %d", code, r.Applied())
			}
			r.ApplyBatch([]*raft.Log{{Index: tc.index, Term: 1, Type: raft.LogCommand, Data: tc.data}})
			if code != tc.code || !strings.Contains(reason, tc.says) {
				t.Fatalf("exit %d %q, want %d and %q", code, reason, tc.code, tc.says)
			}
			r.ApplyBatch([]*raft.Log{{Index: 9, Term: 1, Type: raft.LogCommand, Data: entry()}})
			if r.Applied() != 5 {
				t.Fatal("an entry was skipped")
			}
		})
	}
}

// An entry that was stored in another term than it was proposed for means nothing: its
// callers were told so.
func TestEntryOfALeadershipThatWasOver(t *testing.T) {
	log := testLog(t)
	r := newReplica(fsm.New(0), 0, newJournal(0), newClock(time.Now, time.Now, 0, log), log, func(int, string) { t.Error("exit") })
	var seen []landed
	r.onApplied = func(done []landed) { seen = append(seen, done...) }
	data := (&fsm.Entry{Time: 1}).AppendTo(appendHead(nil, Nonce{Node: me, Boot: 1, Seq: 1}, 4, []origin{{me, 1, 9}}))
	r.ApplyBatch([]*raft.Log{{Index: 5, Term: 5, Type: raft.LogCommand, Data: data}})
	if r.state.Index() != 0 || r.Applied() != 5 || len(seen) != 1 || !seen[0].void || seen[0].origins != nil {
		t.Fatalf("machine at %d, applied %d, told %+v", r.state.Index(), r.Applied(), seen)
	}
}

// Nodes restart one after the other while clients go on: nothing fails.
func TestRollingRestartUnderLoad(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		c.leader()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		var acked []string
		for i := range 4 {
			wg.Go(func() {
				for k := 0; ; k++ {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
					name := fmt.Sprintf("r%d-%d", i, k)
					n := c.nodes[(i+k)%3]
					if n.dead.Load() {
						continue
					}
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					_, err := n.parts().Proposer.Propose(ctx, put(name))
					cancel()
					if err == nil {
						mu.Lock()
						acked = append(acked, name)
						mu.Unlock()
					} else if !fsm.Definite(err) {
						t.Errorf("%s on %s: %v", name, n.name, err)
					}
				}
			})
		}
		for _, n := range c.nodes {
			time.Sleep(time.Second)
			n.stop()
			time.Sleep(time.Second)
			n.restart()
			c.until(10*time.Second, "readiness", func() bool { return Ready(n.p) == nil })
		}
		close(stop)
		wg.Wait()
		c.agree()
		v, err := read(c.nodes[0], 5*time.Second)
		if err != nil || len(acked) < 100 {
			t.Fatalf("%d commands, %v", len(acked), err)
		}
		for _, name := range acked {
			if !has(v, name) {
				t.Fatalf("%s is lost", name)
			}
		}
	})
}

// frozen hangs every sync of a node's disk and says when its process is killed for it.
func (c *testCluster) frozen(n *node) time.Duration {
	c.t.Helper()
	begun := time.Now()
	n.fs.Add(disk.Rule{Ops: disk.OpSync | disk.OpWrite, Do: disk.Hang})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = propose(n, "frozen", 5*time.Second) })
	c.until(30*time.Second, "a kill", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(n.exits) > 0
	})
	took := time.Since(begun)
	n.kill(disk.KeepNone)
	wg.Wait()
	return took
}

func TestFreezeLeaderDisk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		c.mustPropose(l, "before")
		if took := c.frozen(l); took > 3*time.Second {
			t.Fatalf("killed after %s", took)
		}
		c.mustPropose(c.others(l)[0], "after")
		l.restart()
		c.agree()
	})
}

func TestFreezeFollowerDisk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		n := c.others(l)[0]
		term, _ := l.p.Leadership.Current()
		took := c.frozen(n)
		if took < 10*time.Second {
			t.Fatalf("killed after %s", took)
		}
		if now, open := l.p.Leadership.Current(); now != term || !open {
			t.Fatalf("the leader changed: term %d, open %v", now, open)
		}
		c.mustPropose(l, "after")
		n.restart()
		c.agree()
	})
}

// A snapshot that is in place and a log that was not cut are both good.
func TestKillBetweenSnapshotAndCompaction(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3, func(_ int, n *node) { n.cfg.TrailingLogs, n.cfg.WALKeep = 1, 1 })
		defer c.stopAll()
		for i := range 30 {
			c.mustPropose(c.nodes[i%3], fmt.Sprint("k", i))
		}
		for _, n := range c.nodes {
			c.leader()
			// The log is not cut: nothing of it may be removed any more.
			n.fs.Add(disk.Rule{Ops: disk.OpRemove | disk.OpRename, Name: "*.wal", Do: disk.Hang})
			if err := n.p.Snapshots.Take(context.Background()); err != nil {
				t.Fatal(err)
			}
			n.kill(disk.KeepNone)
			n.restart()
			if list, err := n.p.stores.snaps.List(); err != nil || len(list) != 1 {
				t.Fatalf("%d snapshots after the restart: %v", len(list), err)
			}
		}
		c.agree()
	})
}

// A node that dies anywhere in the install of a snapshot gets it again.
func TestKillDuringInstallEachChunk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3, func(_ int, n *node) { n.cfg.TrailingLogs, n.cfg.WALKeep, n.cfg.WALSegment = 1, 1, 32<<10 })
		defer c.stopAll()
		l := c.leader()
		n := c.others(l)[0]
		installs := 0
		for k := 0; k < 14; k++ {
			n.stop()
			l = c.leader()
			big := strings.Repeat("x", 8<<10)
			for i := range 8 {
				cmd := put(fmt.Sprintf("i%d-%d", k, i))
				body := cmd.Body.(*fsm.PutTaskType)
				body.Source = bytes.Replace(body.Source, []byte(`}`), []byte(`,"description":"`+big+`"}`), 1)
				if o, err := l.p.Proposer.Propose(context.Background(), cmd); err != nil || o.Result.Rejection != nil {
					t.Fatalf("propose: %v %v", err, o.Result.Rejection)
				}
			}
			if err := l.p.Snapshots.Take(context.Background()); err != nil {
				t.Fatal(err)
			}
			n.fs.Add(disk.Rule{Ops: disk.OpWrite | disk.OpSync | disk.OpRename | disk.OpSyncDir, Name: "*tmp-*", After: k, Count: 1, Do: disk.Hang})
			n.restart()
			time.Sleep(2 * time.Second)
			if n.p.Replica.Applied() < l.p.Replica.Applied() {
				installs++
			}
			n.kill(disk.KeepSome)
			n.restart()
			c.agree()
		}
		if installs == 0 {
			t.Fatal("no install was interrupted")
		}
		t.Logf("%d installs were interrupted", installs)
	})
}

func TestJournalOvertakesSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(0)
		slow, err := j.From(1)
		if err != nil {
			t.Fatal(err)
		}
		now := j.Now()
		for i := uint64(2); i < journalEntries+10; i += 2 {
			j.add(fsm.Batch{Index: i}, 3000)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := slow.Next(ctx); err != fsm.ErrLapped {
			t.Fatalf("got %v, want %v", err, fsm.ErrLapped)
		}
		if _, err := now.Next(ctx); err != fsm.ErrLapped {
			t.Fatalf("got %v, want %v", err, fsm.ErrLapped)
		}
		fresh := j.Now()
		if _, err := fresh.Next(ctx); err != context.DeadlineExceeded {
			t.Fatalf("got %v", err)
		}
		j.add(fsm.Batch{Index: 1 << 20}, 1)
		if b, err := fresh.Next(context.Background()); err != nil || b.Index != 1<<20 {
			t.Fatalf("got %d, %v", b.Index, err)
		}
		j.reset(1 << 21)
		if _, err := fresh.Next(context.Background()); err != fsm.ErrLapped {
			t.Fatalf("got %v, want %v", err, fsm.ErrLapped)
		}
		if _, err := j.From(1 << 21); err != fsm.ErrLapped {
			t.Fatalf("got %v, want %v", err, fsm.ErrLapped)
		}
	})
}
