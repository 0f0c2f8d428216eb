package pawl

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives growing pauses between tries, with jitter so that clients that lost
// the same node do not come back together.
type backoff struct {
	first, most time.Duration
	tries       int
}

// next gives the pause before the next try: at least atLeast, which a server asks for.
func (b *backoff) next(atLeast time.Duration) time.Duration {
	d := b.most
	if b.tries < 16 { // beyond, the shift would pass any bound
		d = min(b.first<<b.tries, b.most)
	}
	b.tries++
	d = d/2 + rand.N(d/2+1)
	return max(d, atLeast)
}

func (b *backoff) reset() { b.tries = 0 }

// sleep pauses for d, or gives the error of ctx when that ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// token wakes the one goroutine that receives from c, which has room for one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
