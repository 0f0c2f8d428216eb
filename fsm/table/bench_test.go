package table

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"testing"
)

var sizes = []int{1_000, 1_000_000}

func filled(size int) *Tree[int, int] {
	t, err := Load(cmp.Compare[int], func(yield func(int, int) bool) {
		for k := range size {
			if !yield(k, k) {
				return
			}
		}
	})
	if err != nil {
		panic(err)
	}
	return t
}

func BenchmarkGet(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t, r := filled(size), rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				t.Get(r.IntN(size))
			}
		})
	}
}

func BenchmarkSet(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t, r := filled(size), rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				t.Set(r.IntN(size), 1)
			}
		})
	}
}

func BenchmarkDeleteAndSet(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t, r := filled(size), rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				k := r.IntN(size)
				t.Delete(k)
				t.Set(k, 1)
			}
		})
	}
}

// BenchmarkSetHot updates a hot set of rows with a view taken every so many
// updates: what is allocated is what the views cost.
func BenchmarkSetHot(b *testing.B) {
	for _, every := range []int{0, 512, 64, 1} {
		b.Run(fmt.Sprintf("view=%d", every), func(b *testing.B) {
			t, r := filled(1_000_000), rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if n++; every > 0 && n%every == 0 {
					t.View()
				}
				t.Set(500_000+r.IntN(2_000), 1)
			}
		})
	}
}
