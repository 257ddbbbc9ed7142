package reuse

import "testing"

func TestPool(t *testing.T) {
	t.Parallel()
	var p Pool[int]
	if p.Get() != nil {
		t.Fatal("an empty pool has a value")
	}
	// The runtime may drop any value, and does so on purpose under the race detector: one of many stays.
	for range 100 {
		v := 7
		p.Put(&v)
		if got := p.Get(); got != nil {
			if *got != 7 {
				t.Fatalf("got %d, want the value that was put", *got)
			}
			return
		}
	}
	t.Fatal("no value came back")
}

func BenchmarkPool(b *testing.B) {
	var p Pool[[64]int]
	b.ReportAllocs()
	for b.Loop() {
		v := p.Get()
		if v == nil {
			v = new([64]int)
		}
		p.Put(v)
	}
}
