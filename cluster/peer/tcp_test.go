package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/fsm"
)

// tcpPair starts two nodes on loopback.
func tcpPair(t testing.TB) (a, b *Net) {
	t.Helper()
	var nets []*Net
	for i := range byte(2) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		n, err := New(Config{
			Identity: Identity{ClusterID: "c1", Genesis: genesis, Node: idOf(i + 1), Key: key, Boot: 1, Nonce: [16]byte{i + 1}},
			Book:     new(Book), Log: quiet(), Addr: "127.0.0.1:0",
		})
		if err != nil {
			t.Fatal(err)
		}
		nets = append(nets, n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	for i, n := range nets {
		other := nets[1-i]
		n.Book().Learn(Fact{ID: other.self, Addrs: []string{other.Addr().String()}, Key: FingerprintOf(other.PublicKey())})
		wg.Go(func() { n.Run(ctx) })
		if err := n.Hold(other.self); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range nets {
		if err := n.Await(ctx, nets[1-i].self); err != nil {
			t.Fatal(err)
		}
	}
	return nets[0], nets[1]
}

func TestCallsAndStreamsOverTCP(t *testing.T) {
	a, b := tcpPair(t)
	b.Handle(Propose, echo)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			req := bytes.Repeat([]byte{byte(i)}, 1+i*200)
			for range 10 {
				got, err := a.Call(t.Context(), b.self, Propose, req)
				if err != nil || !bytes.Equal(got, req) {
					t.Errorf("got %d bytes, %v, want %d", len(got), err, len(req))
				}
			}
		})
	}
	wg.Wait()

	in := b.Stream(ClassBulk)
	out, err := a.Stream(ClassBulk).Dial(raft.ServerAddress(b.self.String()), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := in.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if from := accepted.(interface{ From() fsm.NodeID }).From(); from != a.self {
		t.Errorf("got a connection from %s, want %s", from, a.self)
	}
	want := bytes.Repeat([]byte("bulk"), 1<<18)
	go func() { out.Write(want); out.Close() }()
	got, err := io.ReadAll(accepted)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
}

// One follower's clients, forwarded: many small calls at once.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			x, y := tcpPair(b)
			y.Handle(Propose, echo)
			req := make([]byte, 256)
			b.ReportAllocs()
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := x.Call(context.Background(), y.self, Propose, req); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkCast(b *testing.B) {
	x, y := tcpPair(b)
	y.HandleInline(Slots, echo)
	req := make([]byte, 256)
	b.ReportAllocs()
	refused := 0
	for b.Loop() {
		if x.Cast(y.self, Slots, req) != nil {
			refused++
		}
	}
	b.ReportMetric(float64(refused)/float64(b.N), "refused/op")
}
