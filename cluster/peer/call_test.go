package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

func echo(_ context.Context, _ fsm.NodeID, req []byte) ([]byte, error) { return req, nil }

func TestCallAnswersBothWays(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		for _, n := range []*node{a, b} {
			n.Handle(Propose, func(_ context.Context, from fsm.NodeID, req []byte) ([]byte, error) {
				return fmt.Appendf(nil, "%s from %s", req, from), nil
			})
		}
		for _, c := range []struct{ from, to *node }{{a, b}, {b, a}} {
			got, err := c.from.Call(t.Context(), c.to.self, Propose, []byte("hello"))
			want := "hello from " + c.from.self.String()
			if err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
	})
}

func TestHandlerErrorReachesCaller(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		b.Handle(Propose, func(context.Context, fsm.NodeID, []byte) ([]byte, error) { return nil, errors.New("no leader") })
		_, err := a.Call(t.Context(), b.self, Propose, nil)
		var remote *RemoteError
		if !errors.As(err, &remote) || remote.Text != "no leader" || errors.Is(err, ErrNotSent) || errors.Is(err, ErrSent) {
			t.Errorf("got %v, want the handler's words", err)
		}
		if _, err := a.Call(t.Context(), b.self, Digest, nil); !errors.Is(err, ErrNotSent) {
			t.Errorf("call nobody handles: got %v, want not sent", err)
		}
		if _, err := a.Call(t.Context(), idOf(9), Propose, nil); !errors.Is(err, ErrNotSent) {
			t.Errorf("call without link: got %v, want not sent", err)
		}
	})
}

// The deadline travels, and a call whose frame left is unknown.
func TestDeadlineTravels(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		ended := make(chan time.Duration, 1)
		b.Handle(Propose, func(ctx context.Context, _ fsm.NodeID, _ []byte) ([]byte, error) {
			begin := time.Now()
			<-ctx.Done()
			ended <- time.Since(begin)
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := a.Call(ctx, b.self, Propose, nil)
		var remote *RemoteError
		if !errors.Is(err, ErrSent) && !errors.As(err, &remote) {
			t.Errorf("got %v, want sent or answered", err)
		}
		if d := <-ended; d != 300*time.Millisecond {
			t.Errorf("handler had %v, want 300ms", d)
		}
	})
}

func TestCastsKeepTheirOrder(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		const n = 500
		a, b := f.pair(t)
		var next atomic.Uint32
		b.HandleInline(Slots, func(_ context.Context, _ fsm.NodeID, req []byte) ([]byte, error) {
			if got, want := binary.BigEndian.Uint32(req), next.Add(1); got != want {
				t.Errorf("got cast %d, want %d", got, want)
			}
			return nil, nil
		})
		for i := range uint32(n) {
			if err := a.Cast(b.self, Slots, binary.BigEndian.AppendUint32(nil, i+1)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := next.Load(); got != n {
			t.Errorf("got %d casts, want %d", got, n)
		}
	})
}

func TestLargestFramePasses(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		b.Handle(Propose, echo)
		req := bytes.Repeat([]byte("x"), MaxPayload)
		got, err := a.Call(t.Context(), b.self, Propose, req)
		if err != nil || !bytes.Equal(got, req) {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(req))
		}
		if _, err := a.Call(t.Context(), b.self, Propose, append(req, 'x')); !errors.Is(err, ErrNotSent) {
			t.Errorf("one byte more: got %v, want not sent", err)
		}
		b.Handle(Propose, func(context.Context, fsm.NodeID, []byte) ([]byte, error) { return append(req, 'x'), nil })
		var remote *RemoteError
		if _, err := a.Call(t.Context(), b.self, Propose, nil); !errors.As(err, &remote) {
			t.Errorf("answer too large: got %v, want a remote error", err)
		}
	})
}

// Beyond its credit a caller is told at once that nothing was sent, and the
// credit of a call comes back with its answer, not with its caller's patience.
func TestFloodOfCallsIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		free := make(chan struct{})
		b.Handle(Propose, func(context.Context, fsm.NodeID, []byte) ([]byte, error) { <-free; return nil, nil })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var sent, not atomic.Int32
		for range maxCalls + 50 {
			wg.Go(func() {
				switch _, err := a.Call(ctx, b.self, Propose, []byte("x")); {
				case errors.Is(err, ErrNotSent):
					not.Add(1)
				case errors.Is(err, ErrSent):
					sent.Add(1)
				}
			})
		}
		synctest.Wait()
		if got := not.Load(); got != 50 {
			t.Errorf("got %d calls refused, want 50", got)
		}
		cancel()
		wg.Wait()
		if got := sent.Load(); got != maxCalls {
			t.Errorf("got %d unknown, want %d", got, maxCalls)
		}
		if _, err := a.Call(t.Context(), b.self, Propose, nil); !errors.Is(err, ErrNotSent) {
			t.Errorf("abandoned calls still run: got %v, want not sent", err)
		}
		close(free)
		synctest.Wait()
		if _, err := a.Call(t.Context(), b.self, Propose, nil); err != nil {
			t.Errorf("after the answers: %v", err)
		}
	})
}

// A peer that ignores its credit loses the link.
func TestFloodIgnoringCreditEndsLink(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		free := make(chan struct{})
		defer close(free)
		b.Handle(Propose, func(ctx context.Context, _ fsm.NodeID, _ []byte) ([]byte, error) {
			select {
			case <-free:
			case <-ctx.Done():
			}
			return nil, nil
		})
		l := a.liveLink(b.self)
		l.mu.Lock()
		for i := range uint64(maxCalls + 1) {
			l.queueLocked(Propose, 1000+i, time.Second, nil)
		}
		l.mu.Unlock()
		l.signal()
		synctest.Wait()
		if b.liveLink(a.self) != nil && b.liveLink(a.self).hello.Nonce == l.hello.Nonce {
			t.Error("the link survived a flood")
		}
	})
}

func TestBytesOutstandingAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		free := make(chan struct{})
		b.Handle(Propose, func(context.Context, fsm.NodeID, []byte) ([]byte, error) { <-free; return nil, nil })
		var wg sync.WaitGroup
		var ok, not atomic.Int32
		for range 10 {
			wg.Go(func() {
				switch _, err := a.Call(t.Context(), b.self, Propose, make([]byte, 1<<20)); {
				case errors.Is(err, ErrNotSent):
					not.Add(1)
				case err == nil:
					ok.Add(1)
				}
			})
		}
		synctest.Wait()
		close(free)
		wg.Wait()
		if ok.Load() != 3 || not.Load() != 7 {
			t.Errorf("got %d accepted and %d refused, want 3 and 7", ok.Load(), not.Load())
		}
	})
}

func TestHandlersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		b.Handle(Propose, echo)
		b.running.Store(maxHandlers)
		if _, err := a.Call(t.Context(), b.self, Propose, nil); !errors.Is(err, ErrNotSent) {
			t.Errorf("got %v, want not sent", err)
		}
		b.running.Store(0)
		if _, err := a.Call(t.Context(), b.self, Propose, nil); err != nil {
			t.Error(err)
		}
	})
}

// A forwarded request whose link dies is unknown once its bytes left, and
// certainly without effect before.
func TestFollowerForwardLinkDiesAfterSend(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		arrived := make(chan struct{}, 2) // the second call may get there before its link is cut
		b.Handle(Propose, func(ctx context.Context, _ fsm.NodeID, _ []byte) ([]byte, error) {
			arrived <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		result := make(chan error, 1)
		go func() {
			_, err := a.Call(t.Context(), b.self, Propose, []byte("x"))
			result <- err
		}()
		<-arrived
		a.liveLink(b.self).conn.Close()
		if err := <-result; !errors.Is(err, ErrSent) || errors.Is(err, ErrNotSent) {
			t.Errorf("after send: got %v, want sent", err)
		}

		hold(t, a, b)
		l := a.liveLink(b.self)
		l.mu.Lock() // the writer cannot take what comes now
		l.queueLocked(kindNone, 0, 0, nil)
		l.mu.Unlock()
		c, id, err := l.open(Propose, time.Second, []byte("y"))
		if err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		c.end = l.taken + uint64(len(l.pending)) + 1 // as if it were still queued
		l.mu.Unlock()
		l.end(errors.New("cut"))
		if got := <-c.done; !errors.Is(got.err, ErrNotSent) || errors.Is(got.err, ErrSent) {
			t.Errorf("call %d before send: got %v, want not sent", id, got.err)
		}
	})
}

// A call given up before its frame was taken is withdrawn.
func TestAbandonedBeforeSendIsWithdrawn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		var seen atomic.Int32
		b.Handle(Propose, func(context.Context, fsm.NodeID, []byte) ([]byte, error) { seen.Add(1); return nil, nil })
		f.pull(a.addr, b.addr) // the writer blocks on nothing, but nothing arrives
		l := newLink(a.liveLink(b.self).peer, a.liveLink(b.self).conn, true)
		defer l.cancel()
		c, id, err := l.open(Propose, time.Second, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if got := l.abandon(c, id, context.Canceled); !errors.Is(got.err, ErrNotSent) {
			t.Errorf("got %v, want not sent", got.err)
		}
		if k := Kind(l.pending[4]); k != kindNone || l.charged != 0 || len(l.calls) != 0 {
			t.Errorf("kind %d, charged %d, %d calls, want a withdrawn frame", k, l.charged, len(l.calls))
		}
	})
}

// Nothing heard for two heartbeats: the link is closed and its calls unknown.
func TestHalfOpenLinkIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		b.Handle(Propose, func(ctx context.Context, _ fsm.NodeID, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, nil })
		l := a.liveLink(b.self)
		result := make(chan error, 1)
		go func() {
			_, err := a.Call(t.Context(), b.self, Propose, nil)
			result <- err
		}()
		synctest.Wait()
		begin := time.Now()
		f.pull(a.addr, b.addr)
		if err := <-result; !errors.Is(err, ErrSent) {
			t.Errorf("got %v, want sent", err)
		}
		if d := time.Since(begin); d > 2*a.heartbeat || d < a.heartbeat {
			t.Errorf("closed after %v, want between one and two heartbeats", d)
		}
		hold(t, a, b)
		if a.liveLink(b.self) == l {
			t.Error("the dead link is still there")
		}
	})
}

func TestIdleLinkStaysUp(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		l := a.liveLink(b.self)
		time.Sleep(10 * time.Minute)
		if a.liveLink(b.self) != l || l == nil {
			t.Error("an idle link was replaced")
		}
	})
}

func TestOversizeFrameEndsLink(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		a, b := f.pair(t)
		l := b.liveLink(a.self)
		bad := binary.BigEndian.AppendUint32(nil, MaxFrame)
		al := a.liveLink(b.self)
		al.mu.Lock()
		al.pending = append(al.pending, append(bad, make([]byte, headRest)...)...)
		al.mu.Unlock()
		al.signal()
		synctest.Wait()
		if l.err == nil || !errors.Is(l.err, errFrame) && !errors.Is(l.err, errReplaced) {
			t.Errorf("got %v, want a malformed frame", l.err)
		}
	})
}

// Callbacks come in pairs, in order, for each link that was used.
func TestUpAndDownAreTold(t *testing.T) {
	bubble(t, func(t *testing.T, f *fabric) {
		ca, cb := f.config(t, 1, "a"), f.config(t, 2, "b")
		acquaint(ca, cb)
		var mu sync.Mutex
		var told []string
		note := func(s string) func(fsm.NodeID) {
			return func(id fsm.NodeID) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, s)
			}
		}
		a := f.start(t, ca, func(n *Net) {
			n.OnUp(note("up"))
			n.OnDown(note("down"))
			n.OnDead(note("dead"))
		})
		b := f.start(t, cb)
		hold(t, a, b)
		synctest.Wait()
		time.Sleep(5 * time.Second)
		b.end()
		time.Sleep(5 * time.Second)
		cb.Identity.Boot++
		cb.Identity.Nonce[0]++
		b = f.start(t, cb)
		hold(t, a, b)
		time.Sleep(5 * time.Second)
		a.end()
		mu.Lock()
		defer mu.Unlock()
		got := fmt.Sprint(told)
		if n := len(told); n < 5 || fmt.Sprint(told[n-5:]) != "[up down dead up down]" {
			t.Errorf("got %s, want … up down dead up down", got)
		}
	})
}
