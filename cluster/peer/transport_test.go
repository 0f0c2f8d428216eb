package peer

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// slowStable is a stable store whose writes of chosen terms take their time
// before the write lock is had, as with one writer at a time and a busy disk.
type slowStable struct {
	*raft.InmemStore
	delay map[uint64]time.Duration // by term
}

func (s *slowStable) SetUint64(k []byte, v uint64) error {
	if string(k) == "CurrentTerm" {
		time.Sleep(s.delay[v])
	}
	return s.InmemStore.SetUint64(k, v)
}

// slowLogs is a log store whose appends take their time.
type slowLogs struct {
	*raft.InmemStore
	delay time.Duration
}

func (s *slowLogs) StoreLogs(logs []*raft.Log) error {
	time.Sleep(s.delay)
	return s.InmemStore.StoreLogs(logs)
}

type noMachine struct{}

func (noMachine) Apply(*raft.Log) any                 { return nil }
func (noMachine) Snapshot() (raft.FSMSnapshot, error) { return nil, io.EOF }
func (noMachine) Restore(io.ReadCloser) error         { return nil }

// rafter is a node with raft on it.
type rafter struct {
	*node
	t    *Transport
	raft *raft.Raft
}

// planted lets raft set its own heartbeat handler: the difference between this
// transport and one that takes heartbeats as the library would.
type planted struct{ *Transport }

func (p planted) SetHeartbeatHandler(f func(raft.RPC)) {
	p.main.SetHeartbeatHandler(f)
	p.beat.SetHeartbeatHandler(f)
}

func serverOf(b byte) raft.Server {
	id := idOf(b).String()
	return raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)}
}

func raftConfig(b byte, heartbeat time.Duration) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = serverOf(b).ID
	c.Logger = hclog.NewNullLogger()
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = heartbeat, heartbeat, heartbeat/2
	c.CommitTimeout = time.Second // so that appends do not stand in for heartbeats
	c.NoLegacyTelemetry = true
	return c
}

// storeWith has n entries, the last of term 5, of a cluster of the servers.
func storeWith(n int, servers ...raft.Server) *raft.InmemStore {
	s := raft.NewInmemStore()
	s.SetUint64([]byte("CurrentTerm"), 5)
	s.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(raft.Configuration{Servers: servers})})
	for i := 2; i <= n; i++ {
		s.StoreLog(&raft.Log{Index: uint64(i), Term: 5, Type: raft.LogCommand, Data: []byte("committed")})
	}
	return s
}

// runRaft puts raft on a node. It is stopped before the node is.
func runRaft(t *testing.T, n *node, b byte, heartbeat time.Duration, logs raft.LogStore, stable raft.StableStore, plant bool, gate Gate) *rafter {
	t.Helper()
	x := &rafter{node: n, t: n.Transport(TransportConfig{Logger: hclog.NewNullLogger(), Gate: gate})}
	var tr raft.Transport = x.t
	if plant {
		tr = planted{x.t}
	}
	var err error
	if x.raft, err = raft.NewRaft(raftConfig(b, heartbeat), noMachine{}, logs, stable, raft.NewInmemSnapshotStore(), tr); err != nil {
		t.Fatal(err)
	}
	x.t.Attach(x.raft)
	t.Cleanup(func() { x.raft.Shutdown().Error(); x.t.Close() })
	return x
}

func header(b byte) raft.RPCHeader {
	id := []byte(idOf(b).String())
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: id, Addr: id}
}

// onlyTransport gives a node that speaks raft's protocol without raft.
func onlyTransport(t *testing.T, n *node) *Transport {
	tr := n.Transport(TransportConfig{Logger: hclog.NewNullLogger()})
	t.Cleanup(func() { tr.Close() })
	return tr
}

// A heartbeat of term 6, whose store is slow, races a vote in term 7. The term
// must not go back: a vote was given in it. With raft's own handler it does.
func TestHeartbeatRacesVote(t *testing.T) {
	for _, plant := range []bool{false, true} {
		t.Run(fmt.Sprint("raft's handler ", plant), func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fabric) {
				n, a := f.pair(t)
				logs := storeWith(10, serverOf(1), serverOf(2), serverOf(3))
				stable := &slowStable{logs, map[uint64]time.Duration{6: 100 * time.Millisecond}}
				x := runRaft(t, n, 1, 20*time.Second, logs, stable, plant, nil)
				at := onlyTransport(t, a)
				self := serverOf(1)
				var wg sync.WaitGroup
				wg.Go(func() {
					var resp raft.AppendEntriesResponse
					at.AppendEntries(self.ID, self.Address, &raft.AppendEntriesRequest{RPCHeader: header(3), Term: 6}, &resp)
				})
				time.Sleep(30 * time.Millisecond)
				var vote raft.RequestVoteResponse
				err := at.RequestVote(self.ID, self.Address, &raft.RequestVoteRequest{RPCHeader: header(2), Term: 7, LastLogIndex: 10, LastLogTerm: 5}, &vote)
				if err != nil {
					t.Fatal(err)
				}
				wg.Wait()
				back := vote.Granted && x.raft.CurrentTerm() < 7
				if back != plant {
					t.Errorf("granted %v, term then %d: term went back is %v, want %v", vote.Granted, x.raft.CurrentTerm(), back, plant)
				}
				if x.raft.CurrentTerm() < 6 {
					t.Errorf("got term %d, want at least 6", x.raft.CurrentTerm())
				}
			})
		})
	}
}

// A heartbeat of a later term reaches a node that leads. What the node is
// asked to append then must not get into its log under the other's term. With
// raft's own handler it does.
func TestHeartbeatRacesLeaderLoop(t *testing.T) {
	for _, plant := range []bool{false, true} {
		t.Run(fmt.Sprint("raft's handler ", plant), func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fabric) {
				n, a := f.pair(t)
				logs := storeWith(3, serverOf(1))
				x := runRaft(t, n, 1, 500*time.Millisecond, logs, logs, plant, nil)
				at := onlyTransport(t, a)
				for x.raft.State() != raft.Leader {
					time.Sleep(time.Millisecond)
				}
				if err := x.raft.Apply([]byte("x"), time.Second).Error(); err != nil {
					t.Fatal(err)
				}
				term := x.raft.CurrentTerm()
				self := serverOf(1)
				var resp raft.AppendEntriesResponse
				if err := at.AppendEntries(self.ID, self.Address, &raft.AppendEntriesRequest{RPCHeader: header(2), Term: term + 1}, &resp); err != nil {
					t.Fatal(err)
				}
				x.raft.Apply([]byte("mine"), time.Second)
				synctest.Wait()
				last, err := logs.LastIndex()
				if err != nil {
					t.Fatal(err)
				}
				var entry raft.Log
				if err := logs.GetLog(last, &entry); err != nil {
					t.Fatal(err)
				}
				if stolen := entry.Term > term; stolen != plant {
					t.Errorf("last entry %q has term %d: of a term it does not lead is %v, want %v", entry.Data, entry.Term, stolen, plant)
				}
			})
		})
	}
}

// trio starts three nodes with raft and waits for a leader.
func (f *fabric) trio(t *testing.T, heartbeat time.Duration) ([]*rafter, *rafter) {
	t.Helper()
	var cfgs []Config
	for i := range 3 {
		c := f.config(t, byte(i+1), fmt.Sprint("n", i+1))
		c.Heartbeat = heartbeat
		cfgs = append(cfgs, c)
	}
	acquaint(cfgs...)
	var nodes []*node
	for _, c := range cfgs {
		nodes = append(nodes, f.start(t, c))
	}
	hold(t, nodes...)
	var all []*rafter
	for i, n := range nodes {
		logs := storeWith(1, serverOf(1), serverOf(2), serverOf(3))
		all = append(all, runRaft(t, n, byte(i+1), heartbeat, logs, logs, false, nil))
	}
	return all, leaderOf(t, all)
}

func leaderOf(t *testing.T, all []*rafter) *rafter {
	t.Helper()
	for range 60_000 {
		for _, x := range all {
			if x.raft.State() == raft.Leader && x.raft.Barrier(time.Second).Error() == nil {
				return x
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no leader in a minute")
	return nil
}

// Ten quiet minutes: heartbeats that are answered apart from raft keep the
// leader, and raft hears of them often enough to stand still.
func TestQuietTenMinutesKeepTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		all, leader := f.trio(t, 500*time.Millisecond)
		term := leader.raft.CurrentTerm()
		for range 10 {
			time.Sleep(time.Minute)
			if err := leader.raft.Apply([]byte("x"), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range all {
			if got := x.raft.CurrentTerm(); got != term {
				t.Errorf("%s: got term %d, want %d", x.addr, got, term)
			}
			if x != leader && x.t.Beats() < 1000 {
				t.Errorf("%s: got %d heartbeats", x.addr, x.t.Beats())
			}
			if got := x.t.LateBeats(); got != 0 {
				t.Errorf("%s: got %d late heartbeats, want 0", x.addr, got)
			}
		}
		if leader.raft.State() != raft.Leader {
			t.Error("the leader changed")
		}
	})
}

// A silent leader is replaced, a cut one steps down, and late heartbeats count.
func TestIsolatedLeaderIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		all, leader := f.trio(t, 500*time.Millisecond)
		begin := time.Now()
		f.isolate(leader.addr)
		var rest []*rafter
		for _, x := range all {
			if x != leader {
				rest = append(rest, x)
			}
		}
		next := leaderOf(t, rest)
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("the next leader took %v", d)
		}
		if err := next.raft.Apply([]byte("x"), time.Second).Error(); err != nil {
			t.Error(err)
		}
		if leader.raft.State() == raft.Leader {
			t.Error("the isolated node still leads")
		}
	})
}

// shutGate is a gate that can be opened once.
type shutGate struct {
	open    chan struct{}
	waiting atomic.Int32
}

func (g *shutGate) Wait(ctx context.Context) error {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// While the gate is shut entries wait; heartbeats and votes pass.
func TestGateHoldsEntriesOnly(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		n, a := f.pair(t)
		logs := storeWith(10, serverOf(1), serverOf(2), serverOf(3))
		gate := &shutGate{open: make(chan struct{})}
		x := runRaft(t, n, 1, 20*time.Second, logs, logs, false, gate)
		at := onlyTransport(t, a)
		self := serverOf(1)
		var wg sync.WaitGroup
		wg.Go(func() {
			var resp raft.AppendEntriesResponse
			err := at.AppendEntries(self.ID, self.Address, &raft.AppendEntriesRequest{
				RPCHeader: header(2), Term: 5, PrevLogEntry: 10, PrevLogTerm: 5,
				Entries: []*raft.Log{{Index: 11, Term: 5, Type: raft.LogCommand, Data: []byte("x")}},
			}, &resp)
			if err != nil || !resp.Success {
				t.Errorf("append: %v, success %v", err, resp.Success)
			}
		})
		synctest.Wait()
		if gate.waiting.Load() != 1 {
			t.Fatalf("got %d at the gate, want 1", gate.waiting.Load())
		}
		for range 3 {
			var resp raft.AppendEntriesResponse
			if err := at.AppendEntries(self.ID, self.Address, &raft.AppendEntriesRequest{RPCHeader: header(2), Term: 5}, &resp); err != nil || !resp.Success {
				t.Errorf("heartbeat: %v, success %v", err, resp.Success)
			}
		}
		var vote raft.RequestPreVoteResponse
		if err := at.RequestPreVote(self.ID, self.Address, &raft.RequestPreVoteRequest{RPCHeader: header(3), Term: 6, LastLogIndex: 10, LastLogTerm: 5}, &vote); err != nil {
			t.Error(err)
		}
		if last := x.raft.LastIndex(); last != 10 {
			t.Errorf("got last index %d behind a shut gate, want 10", last)
		}
		close(gate.open)
		wg.Wait()
		if last := x.raft.LastIndex(); last != 11 {
			t.Errorf("got last index %d, want 11", last)
		}
	})
}

// While raft's main goroutine is blocked, heartbeats of the known leader are
// answered, and one of them waits for raft, not all.
func TestBeatsAreAnsweredWhileRaftIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		n, a := f.pair(t)
		logs := storeWith(10, serverOf(1), serverOf(2), serverOf(3))
		x := runRaft(t, n, 1, 20*time.Second, &slowLogs{logs, 5 * time.Second}, logs, false, nil)
		at := onlyTransport(t, a)
		self := serverOf(1)
		beat := func() {
			t.Helper()
			var resp raft.AppendEntriesResponse
			err := at.AppendEntries(self.ID, self.Address, &raft.AppendEntriesRequest{RPCHeader: header(2), Term: 5}, &resp)
			if err != nil || !resp.Success {
				t.Errorf("heartbeat: %v, success %v", err, resp.Success)
			}
		}
		beat()
		var wg sync.WaitGroup
		wg.Go(func() {
			var resp raft.AppendEntriesResponse
			err := at.AppendEntries(self.ID, self.Address, &raft.AppendEntriesRequest{
				RPCHeader: header(2), Term: 5, PrevLogEntry: 10, PrevLogTerm: 5,
				Entries: []*raft.Log{{Index: 11, Term: 5, Type: raft.LogCommand, Data: []byte("x")}},
			}, &resp)
			if err != nil || !resp.Success {
				t.Errorf("append: %v, success %v", err, resp.Success)
			}
		})
		synctest.Wait()
		begin := time.Now()
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			beat()
		}
		if d := time.Since(begin); d != time.Second {
			t.Errorf("ten heartbeats took %v, want 1s", d)
		}
		if last := x.raft.LastIndex(); last != 10 {
			t.Fatalf("got last index %d: the store was to be slow", last)
		}
		if !x.t.waiting.Load() {
			t.Error("no copy waits for raft")
		}
		wg.Wait()
		synctest.Wait()
		if x.t.waiting.Load() {
			t.Error("raft did not take the copy")
		}
	})
}

func TestLateBeatsAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		n, a := f.pair(t)
		logs := storeWith(10, serverOf(1), serverOf(2), serverOf(3))
		x := runRaft(t, n, 1, 20*time.Second, logs, logs, false, nil)
		at := onlyTransport(t, a)
		self := serverOf(1)
		for _, pause := range []time.Duration{0, 100, 300, 200, 260} {
			time.Sleep(pause * time.Millisecond)
			var resp raft.AppendEntriesResponse
			if err := at.AppendEntries(self.ID, self.Address, &raft.AppendEntriesRequest{RPCHeader: header(2), Term: 5}, &resp); err != nil {
				t.Fatal(err)
			}
		}
		if got := x.t.LateBeats(); got != 2 {
			t.Errorf("got %d late heartbeats, want 2", got)
		}
	})
}
