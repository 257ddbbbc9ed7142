package ota

import (
	"context"
	"strconv"
	"testing"
	"time"
)

// BenchmarkCore is what the owner of a plan does for one agent, without goroutines: fold its outcome, decide, commit to
// MemStore, hand out the next start. The outcomes come 64 at a time.
func BenchmarkCore(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = "agent-" + strconv.Itoa(i)
			}
			var spent time.Duration
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				e, id := benchPlan(b, ids)
				x := newSession(e.store, id, "bench", 0)
				b.StartTimer()
				began := time.Now()
				if p := playCore(b, x); p.Counts.Succeeded != n {
					b.Fatal(p.Counts)
				}
				spent += time.Since(began)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*n), "ns/task")
		})
	}
}

// playCore answers every call at once.
func playCore(b *testing.B, x *session) Progress {
	b.Helper()
	ctx, now := context.Background(), time.Now()
	var in input
	for {
		_, again, err := x.turn(ctx, now, turnInput{input: in})
		if err != nil {
			b.Fatal(err)
		}
		in.outcomes = in.outcomes[:0]
		for i := range x.starts {
			o := x.starts[i].outcome(now)
			o.reason = ReasonSucceeded
			in.outcomes = append(in.outcomes, o)
		}
		x.starts, x.reportedCalls = x.starts[:0], x.reportedCalls[:0]
		if len(in.outcomes) == 0 && !again {
			return x.st.p
		}
	}
}
