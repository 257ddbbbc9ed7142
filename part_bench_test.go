package ota

import (
	"hash/crc32"
	"testing"
	"time"
)

func partTime(n int) time.Time { return time.Unix(0, noon+int64(n)).UTC() }

// busyProgress is a plan of 100,000 agents in its third batch.
func busyProgress() Progress {
	return Progress{
		Schema: 1, Owner: "engine-1", Instance: "0199c2f2-1f0c-7aa0-8d3e-5b6f2f3a9c11", At: partTime(1), Batch: 3,
		Counts: Counts{Pending: 51_234, Running: 64, Waiting: 3, Succeeded: 48_600, Failed: 99, AtTarget: 12},
		Tasks:  Counts{Pending: 51_234, Running: 64, Waiting: 3, Succeeded: 48_600, Failed: 99, AtTarget: 12},
		Open:   67, Changed: 48_700, Accepted: 2, RateAt: noon, LastBreach: 2, LastOrder: 4, Inbox: 1_234, Reached: 3,
	}
}

func busyBatch() BatchRow {
	return BatchRow{
		Index: 3, Name: "europe", First: 33_000, Size: 33_000, Status: BatchRunning, Cursor: 48_766,
		Counts: Counts{Pending: 17_000, Running: 64, Waiting: 3, Succeeded: 15_600, Failed: 33, AtTarget: 4},
		Tasks:  Counts{Pending: 17_000, Running: 64, Waiting: 3, Succeeded: 15_600, Failed: 33, AtTarget: 4},
		Open:   67, Changed: 15_633, Gate: GatePass, GateAt: partTime(3), StartedAt: partTime(4),
	}
}

func busyControl() Control {
	threshold := 0.02
	return Control{
		Schema: 1, Policy: Policy{
			Concurrency: 64, FailureThreshold: &threshold, OnBreach: ActionRollback, AttemptTimeout: time.Hour, UnreachableTimeout: time.Hour,
			Windows: []Window{{Days: []time.Weekday{1, 2, 3}, Start: 22 * time.Hour, Length: 6 * time.Hour, Zone: "Europe/Berlin"}},
			Soak:    Soak{Duration: time.Hour, Stable: time.Minute}, Retry: RetryPolicy{Max: 3, Backoff: time.Minute},
		}.withDefaults(),
		Annotations: map[string]string{"ticket": "OPS-1234", "team": "edge"},
		Started:     &Audit{At: partTime(5), Actor: "jane@example.com", Reason: "approved"}, Promoted: 2, AnsweredBreach: 1, OrderCount: 4,
		Requests: []PastRequest{{ID: "0199c2f2-1f0c-7aa0-8d3e-5b6f2f3a9c11", Verb: VerbStart}, {ID: "0199c2f2-1f0c-7aa0-8d3e-5b6f2f3a9c12", Verb: VerbPause}},
	}
}

func BenchmarkParts(b *testing.B) {
	p, r, k := busyProgress(), busyBatch(), busyControl()
	breached := busyProgress()
	breached.Breaches = []Breach{{Number: 1, Reason: ReasonThreshold, At: noonTime, Failed: 4, Size: 100}, {Number: 2, Reason: ReasonFault, Text: "x"}}
	for _, part := range []struct {
		name   string
		encode func([]byte) []byte
		decode func([]byte) error
	}{
		{"Progress", p.appendPart, new(Progress).decodePart},
		{"ProgressBreached", breached.appendPart, new(Progress).decodePart},
		{"Batch", r.appendPart, new(BatchRow).decodePart},
		{"Control", k.appendPart, new(Control).decodePart},
	} {
		buf := part.encode(nil)
		b.Run(part.name+"/out", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = part.encode(buf[:0])
			}
			b.ReportMetric(float64(len(buf)), "bytes")
		})
		b.Run(part.name+"/in", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := part.decode(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var noonTime = partTime(0)

func BenchmarkAgentState(b *testing.B) {
	s := codecCases[1].state
	buf, _ := s.AppendBinary(nil)
	b.Run("out", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = s.AppendBinary(buf[:0])
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("in", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.UnmarshalBinary(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("crc", func(b *testing.B) {
		n := uint32(0)
		for b.Loop() {
			n += crc32.Checksum(buf, castagnoli)
		}
	})
}

func BenchmarkShow(b *testing.B) {
	p, r, c := busyProgress(), busyBatch(), busyControl()
	s, buf := PlanSpec{Batches: 10}, make([]byte, 0, 1024)
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			buf = showPlan(buf[:0], &s, &c, &p)
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("batch", func(b *testing.B) {
		for b.Loop() {
			buf = showBatch(buf[:0], &r)
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
}
