package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/fsm"
)

// refusal dials b from a over a class and gives the refusal.
func refusal(t *testing.T, a, b *node, class Class) *RefusedError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := a.reach(ctx, b.self, class)
	if err == nil {
		c.Close()
		return &RefusedError{}
	}
	var no *RefusedError
	if !errors.As(err, &no) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return no
}

func TestHelloRoundTrip(t *testing.T) {
	h := Hello{
		Protocol: 1, ClusterID: "c1", Genesis: genesis, Incarnation: 3, From: idOf(1), To: idOf(2),
		Boot: 7, Nonce: [16]byte{9}, MinVersion: 1, MaxVersion: 2,
	}
	a, b := net.Pipe()
	go writeHello(a, reply{Hello: h, Refused: RefusedBoot})
	got, err := readHello(b)
	if diff := cmp.Diff(reply{Hello: h, Refused: RefusedBoot}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// A node that lost its disk has a new id. What is meant for the old id does
// not reach it, so it can neither vote nor store in the other's name.
func TestWipedNodeSameAddress(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
		acquaint(ca, cb)
		a, b := f.start(t, ca), f.start(t, cb)
		for _, n := range []*node{a, b} {
			n.Stream(ClassRaft)
		}
		hold(t, a, b)
		if _, err := a.Stream(ClassRaft).Dial(raft.ServerAddress(b.self.String()), time.Second); err != nil {
			t.Fatal(err)
		}
		b.end()
		cs := f.config(t, 9, "b")
		stranger := f.start(t, cs)
		accepted := make(chan net.Conn, 1)
		go func() {
			if c, err := stranger.Stream(ClassRaft).Accept(); err == nil {
				accepted <- c
			}
		}()
		time.Sleep(10 * time.Second)
		for _, class := range []Class{ClassRaft, ClassLink} {
			if no := refusal(t, a, b, class); no.Reason != RefusedAddressee {
				t.Errorf("%s: got %v, want %v", class, no.Reason, RefusedAddressee)
			}
		}
		if a.Connected(b.self) || a.Connected(stranger.self) || len(accepted) != 0 {
			t.Error("the stranger holds a connection")
		}
	})
}

// A stranger that takes over id and address, but has another key, is refused.
func TestForeignKeyRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
		acquaint(ca, cb)
		a, b := f.start(t, ca), f.start(t, cb)
		hold(t, a, b)
		b.end()
		_, cb.Identity.Key, _ = ed25519.GenerateKey(rand.Reader)
		cb.Identity.Boot, cb.Identity.Nonce[0] = 2, cb.Identity.Nonce[0]+1
		thief := f.start(t, cb)
		if err := thief.Hold(a.self); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if no := refusal(t, a, b, ClassLink); no.Reason != RefusedKey || no.ByPeer {
			t.Errorf("got %v, want %v", no, RefusedKey)
		}
		if alarm, ok := thief.alarmed(RefusedKey); !ok || alarm.Fatal {
			t.Errorf("got alarm %+v, %v, want one that is not fatal", alarm, ok)
		}
	})
}

// Two processes run from one data folder: the second is refused and told so.
func TestClonedDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		boot  uint32 // of the copy, the original has 1
		want  Refusal
		after time.Duration
	}{
		{"same boot", 1, RefusedClone, time.Second},
		{"started again", 2, RefusedLive, 12 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fabric) {
				ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
				acquaint(ca, cb)
				a, b := f.start(t, ca), f.start(t, cb)
				hold(t, a, b)
				live := a.liveLink(b.self)
				copied := cb
				copied.Book = new(Book)
				copied.Book.Learn(Fact{ID: a.self, Addrs: []string{"a"}, Key: FingerprintOf(a.PublicKey())})
				copied.Addr, copied.Dial = "c", f.dialer("c")
				copied.Identity.Boot = c.boot
				copied.Identity.Nonce[0]++
				clone := f.start(t, copied)
				if err := clone.Hold(a.self); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.after)
				alarm, ok := clone.alarmed(c.want)
				if !ok || !alarm.Fatal || alarm.ExitCode() != guard.ExitIdentity {
					t.Errorf("got alarm %+v, %v, want a fatal one", alarm, ok)
				}
				if _, ok := a.alarmed(c.want); !ok {
					t.Error("the node that met both raised no alarm")
				}
				if a.liveLink(b.self) != live {
					t.Error("the original lost its link to the copy")
				}
			})
		})
	}
}

// A process that starts again while the link of the one before is half open is
// no copy: it gets in when the old link is found dead.
func TestRestartBehindHalfOpenLink(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
		acquaint(ca, cb)
		a, b := f.start(t, ca), f.start(t, cb)
		hold(t, a, b)
		f.isolate("b")
		again := cb
		again.Book, again.Addr, again.Dial = new(Book), "c", f.dialer("c")
		again.Book.Learn(Fact{ID: a.self, Addrs: []string{"a"}})
		again.Identity.Boot, again.Identity.Nonce[0] = 2, again.Identity.Nonce[0]+1
		n := f.start(t, again)
		if err := n.Hold(a.self); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if h, ok := a.Remote(b.self); !ok || h.Boot != 2 {
			t.Errorf("got %+v, %v, want the new process", h, ok)
		}
		if alarm, _ := n.alarmed(RefusedLive); alarm.Fatal {
			t.Error("a restart was taken for a copy")
		}
	})
}

// A disk that was set back to an older state may have forgotten votes.
func TestOldBootRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
		cb.Identity.Boot = 5
		acquaint(ca, cb)
		a, b := f.start(t, ca), f.start(t, cb)
		hold(t, a, b)
		b.end()
		cb.Identity.Boot, cb.Identity.Nonce[0] = 4, cb.Identity.Nonce[0]+1
		old := f.start(t, cb)
		if err := old.Hold(a.self); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if alarm, ok := old.alarmed(RefusedBoot); !ok || !alarm.Fatal {
			t.Errorf("got alarm %+v, %v, want a fatal one", alarm, ok)
		}
		if a.Connected(b.self) {
			t.Error("the old disk is connected")
		}
	})
}

func TestForeignGenesisRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
		cb.Identity.Genesis = [16]byte{7}
		acquaint(ca, cb)
		a, b := f.start(t, ca), f.start(t, cb)
		for _, class := range []Class{ClassLink, ClassRaft, ClassGossip} {
			if no := refusal(t, a, b, class); no.Reason != RefusedGenesis {
				t.Errorf("%s: got %v, want %v", class, no.Reason, RefusedGenesis)
			}
		}
		if alarm, ok := a.alarmed(RefusedGenesis); !ok || alarm.Fatal {
			t.Errorf("got alarm %+v, %v, want one that is not fatal", alarm, ok)
		}
		if h, err := a.Probe(t.Context(), "b"); err != nil || h.Genesis != cb.Identity.Genesis || h.From != b.self {
			t.Errorf("probe: got %+v, %v", h, err)
		}
	})
}

// A node of an incarnation that people left behind learns that it must end.
func TestOldIncarnationMustEnd(t *testing.T) {
	for dialler := range 2 {
		t.Run(fmt.Sprint("dialled by ", dialler), func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fabric) {
				ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
				cb.Identity.Incarnation = 1
				acquaint(ca, cb)
				n := []*node{f.start(t, ca), f.start(t, cb)}
				if no := refusal(t, n[dialler], n[1-dialler], ClassLink); no.Reason != RefusedIncarnation {
					t.Errorf("got %v, want %v", no.Reason, RefusedIncarnation)
				}
				synctest.Wait()
				if alarm, ok := n[0].alarmed(RefusedIncarnation); !ok || !alarm.Fatal {
					t.Errorf("old one: got alarm %+v, %v, want a fatal one", alarm, ok)
				}
				if alarm, _ := n[1].alarmed(RefusedIncarnation); alarm.Fatal {
					t.Error("the new one was told to end")
				}
			})
		})
	}
}

func TestExpelledRefused(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		b.Book().Expel(a.self)
		synctest.Wait()
		if b.Connected(a.self) {
			t.Error("the link survived")
		}
		if no := refusal(t, a, b, ClassLink); no.Reason != RefusedExpelled {
			t.Errorf("got %v, want %v", no.Reason, RefusedExpelled)
		}
	})
}

// A node in no cluster answers admission and nothing else, except to the one
// it promised itself to; after it was admitted it answers everything.
func TestUnadmittedNodeAnswersAdmissionOnly(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb, cc := f.config(t, 1, "a"), f.config(t, 2, "b"), f.config(t, 3, "c")
		cb.Identity.Genesis, cb.Identity.ClusterID = [16]byte{}, ""
		promised := idOf(3)
		cb.Allow = func(id fsm.NodeID) bool { return id == promised }
		acquaint(ca, cb, cc)
		a, b, c := f.start(t, ca), f.start(t, cb), f.start(t, cc)
		for _, n := range []*node{a, b, c} {
			n.Stream(ClassRaft)
			n.Handle(Promise, echo)
			n.Handle(Propose, echo)
		}
		hold(t, a, b, c)
		if no := refusal(t, a, b, ClassRaft); no.Reason != RefusedUnadmitted {
			t.Errorf("raft from a member: got %v, want %v", no.Reason, RefusedUnadmitted)
		}
		if no := refusal(t, b, a, ClassRaft); no.Reason != RefusedUnadmitted {
			t.Errorf("raft to a member: got %v, want %v", no.Reason, RefusedUnadmitted)
		}
		if no := refusal(t, c, b, ClassRaft); no.Reason != 0 {
			t.Errorf("raft from the initiator: got %v", no.Reason)
		}
		for _, call := range []struct {
			from, to *node
			kind     Kind
			ok       bool
		}{
			{a, b, Promise, true}, {b, a, Promise, true}, {a, b, Propose, false}, {b, a, Propose, false}, {c, b, Propose, true},
		} {
			_, err := call.from.Call(t.Context(), call.to.self, call.kind, nil)
			if (err == nil) != call.ok || err != nil && !errors.Is(err, ErrNotSent) {
				t.Errorf("kind %d from %s to %s: %v", call.kind, call.from.addr, call.to.addr, err)
			}
		}
		if err := b.Admit("c1", genesis, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Call(t.Context(), a.self, Propose, nil); err != nil {
			t.Errorf("to a member, after admission: %v", err)
		}
		if _, err := a.Call(t.Context(), b.self, Propose, nil); err != nil {
			t.Errorf("from a member, after admission: %v", err)
		}
		if no := refusal(t, a, b, ClassRaft); no.Reason != 0 {
			t.Errorf("raft after admission: got %v", no.Reason)
		}
		if err := c.Admit("c1", [16]byte{8}, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if a.Connected(c.self) || b.Connected(c.self) {
			t.Error("a link to another genesis survived")
		}
	})
}

func TestProbe(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		if h, err := a.Probe(t.Context(), "b"); err != nil || h.From != b.self || h.Genesis != genesis {
			t.Errorf("got %+v, %v", h, err)
		}
		if h, err := a.Probe(t.Context(), "a"); err != nil || h.From != a.self {
			t.Errorf("itself: got %+v, %v", h, err)
		}
		if _, err := a.Probe(t.Context(), "nowhere"); err == nil {
			t.Error("nobody answered, and there was no error")
		}
		if c := f.config(t, 5, "e"); len(a.Book().Resolve(c.Identity.Node)) != 0 {
			t.Error("an address for a node nobody named")
		}
	})
}

func TestBookOrdersAndBounds(t *testing.T) {
	var b Book
	id := idOf(1)
	b.Seed("seed:1")
	b.Suggest(id, "gossip:1")
	b.Learn(Fact{ID: id, Addrs: []string{"fact:1", "fact:2"}})
	b.met(id, "good:1")
	if diff := cmp.Diff([]string{"good:1", "fact:1", "fact:2", "gossip:1", "seed:1"}, b.Resolve(id)); diff != "" {
		t.Error(diff)
	}
	b.Learn(Fact{ID: id, Addrs: []string{"new:1"}})
	for i := range 10 {
		b.Suggest(id, fmt.Sprintf("lie:%d", i))
	}
	if diff := cmp.Diff([]string{"new:1", "lie:9", "lie:8", "lie:7", "lie:6", "seed:1"}, b.Resolve(id)); diff != "" {
		t.Error(diff)
	}
	for i := range 2 * maxRecords {
		b.Suggest(fsm.NodeID{2, byte(i), byte(i >> 8)}, "lie:1")
	}
	if len(b.records) > maxRecords {
		t.Errorf("got %d records, want at most %d", len(b.records), maxRecords)
	}
	if no := b.judge(Hello{From: idOf(4), Boot: 1}, Fingerprint{4}, nil); no != 0 {
		t.Errorf("a proven node found no room: %v", no)
	}
	b.Learn(Fact{ID: idOf(4), Boot: 1})
	fact := Fact{ID: idOf(3), Addrs: []string{"c:1"}, Key: Fingerprint{1}, Boot: 4}
	b.Learn(fact)
	want := []Fact{fact, {ID: idOf(4), Key: Fingerprint{4}, Boot: 1}}
	if diff := cmp.Diff(want, b.Facts()); diff != "" {
		t.Errorf("a fact found no room: %s", diff)
	}
}

// Many nodes dial each other at once: each pair ends with one link, both ways.
func TestOneLinkAPair(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		var cfgs []Config
		for i := range 5 {
			cfgs = append(cfgs, f.config(t, byte(i+1), fmt.Sprint("n", i)))
		}
		acquaint(cfgs...)
		var nodes []*node
		for _, c := range cfgs {
			nodes = append(nodes, f.start(t, c))
		}
		hold(t, nodes...)
		time.Sleep(10 * time.Second)
		for _, n := range nodes {
			n.mu.Lock()
			conns := len(n.conns)
			n.mu.Unlock()
			if conns != len(nodes)-1 {
				t.Errorf("%s has %d connections, want %d", n.addr, conns, len(nodes)-1)
			}
		}
		for _, n := range nodes {
			for _, m := range nodes {
				if n != m && n.liveLink(m.self).dialed == m.liveLink(n.self).dialed {
					t.Errorf("%s and %s use different links", n.addr, m.addr)
				}
			}
		}
	})
}

// Whatever is claimed about addresses, links stay where they are, and a node
// is only ever found where its key is.
func TestGossipLies(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb, cc := f.config(t, 1, "a"), f.config(t, 2, "b"), f.config(t, 3, "c")
		acquaint(ca, cb, cc)
		a, b, c := f.start(t, ca), f.start(t, cb), f.start(t, cc)
		liar := f.start(t, f.config(t, 9, "liar"))
		for _, n := range []*node{a, b, c, liar} {
			n.Stream(ClassRaft)
		}
		hold(t, a, b, c)
		link := a.liveLink(b.self)
		for _, lie := range []string{"nowhere", "a", "c", "nonsense", "liar"} {
			a.Book().Suggest(b.self, lie)
			a.Book().Suggest(idOf(77), lie)
		}
		time.Sleep(time.Minute)
		if a.liveLink(b.self) != link || a.Connected(idOf(77)) || a.Connected(liar.self) {
			t.Error("a link follows a lie")
		}
		if got := f.dialled("liar"); got != 0 {
			t.Errorf("got %d dials to the liar while the link is up, want 0", got)
		}
		b.end()
		time.Sleep(time.Minute)
		if f.dialled("liar") == 0 {
			t.Error("the claimed address was not tried")
		}
		if a.Connected(b.self) || a.Connected(liar.self) {
			t.Error("the liar got a link")
		}
		if _, err := a.Stream(ClassRaft).Dial(raft.ServerAddress(b.self.String()), 5*time.Second); err == nil {
			t.Error("the liar got a connection of raft")
		}
		cb.Identity.Boot, cb.Identity.Nonce[0] = 2, cb.Identity.Nonce[0]+1
		cb.Addr, cb.Dial = "moved", f.dialer("moved")
		f.start(t, cb)
		a.Book().Suggest(b.self, "moved")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := a.Await(ctx, b.self); err != nil {
			t.Errorf("the true address among lies: %v", err)
		}
	})
}

func TestDeadPeerIsRedialledWithBackoff(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
		acquaint(ca, cb)
		a := f.start(t, ca)
		if err := a.Hold(cb.Identity.Node); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := f.dialled("b"); got < 60/2 || got > 60+10 {
			t.Errorf("got %d dials in a minute, want one in one to two seconds", got)
		}
		if err := a.Hold(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		before := f.dialled("b")
		time.Sleep(time.Minute)
		if got := f.dialled("b"); got != before {
			t.Errorf("got %d dials to a peer that is not held", got-before)
		}
	})
}

// Gossip streams go by address, to nodes of the same cluster only.
func TestGossipStreams(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb, cc := f.config(t, 1, "a"), f.config(t, 2, "b"), f.config(t, 3, "c")
		cc.Identity.Genesis = [16]byte{9}
		a, b, c := f.start(t, ca), f.start(t, cb), f.start(t, cc)
		in, out := b.Stream(ClassGossip), a.Stream(ClassGossip)
		c.Stream(ClassGossip)
		x, err := out.DialAny("b", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		y, err := in.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go x.Write([]byte("hi"))
		var got [2]byte
		if _, err := y.Read(got[:]); err != nil || string(got[:]) != "hi" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := out.DialAny("c", time.Second); err == nil {
			t.Error("a node of another cluster was reached")
		}
		if _, err := a.Stream(ClassRaft).DialAny("b", time.Second); err == nil {
			t.Error("raft by address")
		}
	})
}

// A node that is gone is looked for where it was, not at the places of others, unless
// another one answers there.
func TestBookLeavesOthersAlone(t *testing.T) {
	b := &Book{}
	gone, other := fsm.NodeID{1}, fsm.NodeID{2}
	b.Seed("gone:1", "other:1", "seed:1")
	b.Learn(Fact{ID: gone, Addrs: []string{"gone:1"}, Key: Fingerprint{1}})
	b.Learn(Fact{ID: other, Addrs: []string{"other:1"}, Key: Fingerprint{2}})
	if diff := cmp.Diff([]string{"gone:1", "seed:1"}, b.Resolve(gone)); diff != "" {
		t.Fatal(diff)
	}
	b.astray(gone, "gone:1")
	if diff := cmp.Diff([]string{"gone:1", "other:1", "seed:1"}, b.Resolve(gone)); diff != "" {
		t.Fatal(diff)
	}
	b.met(gone, "other:1")
	if diff := cmp.Diff([]string{"other:1", "gone:1", "seed:1"}, b.Resolve(gone)); diff != "" {
		t.Fatal(diff)
	}
}
