package policy

import (
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// BenchmarkOf is what the policy costs in each plan of an answer.
func BenchmarkOf(b *testing.B) {
	p := &ota.Policy{FailureThreshold: new(float64), Windows: []ota.Window{{Start: time.Hour}}}
	b.ReportAllocs()
	for b.Loop() {
		_ = Of(p)
	}
}
