package ota

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Maps are written in order of their keys, so that equal values are equal bytes. Another order is
// refused.
func TestPartsAreDeterministic(t *testing.T) {
	s := specPart{planSpec: planSpec{Labels: map[string]string{}}}
	for i := range maxPairs {
		s.Labels[fmt.Sprint("key", i)] = "value"
	}
	want := s.appendPart(nil)
	for range 20 {
		if got := s.appendPart(nil); !bytes.Equal(got, want) {
			t.Fatalf("got %x, want %x", got, want)
		}
	}
	wrong := bytes.Replace(want, []byte("key10"), []byte("key99"), 1)
	if err := s.decodePart(reframed(partSpec, 1, wrong[2:len(wrong)-4])); !errors.Is(err, errDamaged) {
		t.Errorf("keys out of order: got error %v", err)
	}
}

func TestPartsKeepTimes(t *testing.T) {
	for _, want := range []time.Time{
		{},
		time.Unix(0, 0), time.Unix(0, 1), time.Unix(0, -1), time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64-1),
		time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 12, 0, 0, 0, time.FixedZone("", 3600)),
	} {
		b := batchRow{StartedAt: want}
		var got batchRow
		if err := got.decodePart(b.appendPart(nil)); err != nil {
			t.Fatal(err)
		}
		if !got.StartedAt.Equal(want) || got.StartedAt.IsZero() != want.IsZero() || got.StartedAt.Location() != time.UTC {
			t.Errorf("got %v, want %v", got.StartedAt, want)
		}
	}
}

// evolving is a part that had one field in schema 1, a list with another one in schema 2, and a
// third field in schema 3.
type evolving struct {
	Old  int
	List []struct{ Old, New int }
	Last string
}

func (e *evolving) code(c *coder) {
	num(c, &e.Old)
	for i := range each(c, &e.List) {
		num(c, &e.List[i].Old)
		if c.from(2, e.List[i].New != 0) {
			num(c, &e.List[i].New)
		}
	}
	if c.from(3, e.Last != "") {
		c.text(&e.Last)
	}
}

func (e *evolving) encode() []byte {
	c := partWriter([]byte("x"), partBatch)
	for c.again() {
		e.code(&c)
	}
	return c.b[1:]
}

// A part has the lowest schema that can express it, all of its fields are of that schema, and an
// older version refuses it as newer exactly when it needs more.
func TestPartsHaveTheLowestSchema(t *testing.T) {
	for _, test := range []struct {
		value  evolving
		schema byte
		fields string
	}{
		{evolving{Old: 1}, 1, "0200"},
		{evolving{Old: 1, List: []struct{ Old, New int }{{1, 0}, {2, 0}}}, 1, "02040204"},
		{evolving{Old: 1, List: []struct{ Old, New int }{{1, 0}, {2, 5}}}, 2, "02040200040a"},
		{evolving{Last: "z"}, 3, "0000027a"},
		{evolving{List: []struct{ Old, New int }{{1, 0}}, Last: "z"}, 3, "00020200027a"},
	} {
		b := test.value.encode()
		if got := hex.EncodeToString(b[2 : len(b)-4]); b[0] != test.schema || got != test.fields {
			t.Errorf("%+v: got schema %d and %s, want %d and %s", test.value, b[0], got, test.schema, test.fields)
		}
		for newest := byte(1); newest <= 3; newest++ {
			var got evolving
			c := partReader(b, partBatch, newest)
			got.code(&c)
			err := c.end()
			if newest < test.schema && !errors.Is(err, errSchema) {
				t.Errorf("%+v read by version %d: got error %v", test.value, newest, err)
			}
			if newest >= test.schema && (err != nil || !reflect.DeepEqual(got, test.value)) {
				t.Errorf("%+v read by version %d: got %+v, %v", test.value, newest, got, err)
			}
		}
	}
}

func FuzzParts(f *testing.F) {
	for kind, zero := range codedParts {
		for i := range uint64(4) {
			b := filled(zero(), rand.New(rand.NewPCG(8, i)), i == 0).appendPart(nil)
			if len(b) > 0 {
				f.Add(kind, b[2:len(b)-4])
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, fields []byte) {
		zero := codedParts[kind]
		if zero == nil {
			return
		}
		b := reframed(kind, 1, fields)
		v := zero()
		if err := v.decodePart(b); err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			return
		}
		if again := v.appendPart(nil); !bytes.Equal(again, b) && (kind != partAgent || len(again) > 0) {
			t.Fatalf("%x was read as %+v and written as %x", b, v, again)
		}
		if _, err := Describe(b); err != nil && !strings.Contains(err.Error(), "json") {
			t.Fatal(err)
		}
		if len(fields) > 0 && zero().decodePart(reframed(kind, 1, fields[:len(fields)-1])) == nil {
			t.Fatal("without its last byte the part was accepted, too")
		}
	})
}

// FuzzPartBytes is FuzzParts without a frame that fits.
func FuzzPartBytes(f *testing.F) {
	f.Add([]byte{1, partProgress, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Describe(b)
		for _, zero := range codedParts {
			v := zero()
			if v.decodePart(b) == nil && !bytes.Equal(v.appendPart(nil), b) {
				t.Fatalf("%x was read as %+v", b, v)
			}
		}
	})
}

func partTime(n int) time.Time { return time.Unix(0, noon+int64(n)).UTC() }

// busyProgress is a plan of 100,000 agents in its third batch.
func busyProgress() planProgress {
	return planProgress{
		Schema: 1, Owner: "engine-1", Instance: "0199c2f2-1f0c-7aa0-8d3e-5b6f2f3a9c11", At: partTime(1), Batch: 3,
		Counts: Counts{Pending: 51_234, Running: 64, Waiting: 3, Succeeded: 48_600, Failed: 99, AtTarget: 12},
		Tasks:  Counts{Pending: 51_234, Running: 64, Waiting: 3, Succeeded: 48_600, Failed: 99, AtTarget: 12},
		Open:   67, Changed: 48_700, Accepted: 2, RateAt: noon, LastBreach: 2, LastOrder: 4, Inbox: 1_234, Reached: 3,
	}
}

func busyBatch() batchRow {
	return batchRow{
		Index: 3, Name: "europe", First: 33_000, Size: 33_000, Status: BatchRunning, Cursor: 48_766,
		Counts: Counts{Pending: 17_000, Running: 64, Waiting: 3, Succeeded: 15_600, Failed: 33, AtTarget: 4},
		Tasks:  Counts{Pending: 17_000, Running: 64, Waiting: 3, Succeeded: 15_600, Failed: 33, AtTarget: 4},
		Open:   67, Changed: 15_633, Gate: GatePass, GateAt: partTime(3), StartedAt: partTime(4),
	}
}

func busyControl() planControl {
	threshold := 0.02
	return planControl{
		Schema: 1, Policy: Policy{
			Concurrency: 64, FailureThreshold: &threshold, OnBreach: ActionRollback, AttemptTimeout: time.Hour, UnreachableTimeout: time.Hour,
			Windows: []Window{{Days: []time.Weekday{1, 2, 3}, Start: 22 * time.Hour, Length: 6 * time.Hour, Zone: "Europe/Berlin"}},
			Soak:    Soak{Duration: time.Hour, Stable: time.Minute}, Retry: RetryPolicy{Max: 3, Backoff: time.Minute},
		}.withDefaults(),
		Annotations: map[string]string{"ticket": "OPS-1234", "team": "edge"},
		Started:     &Audit{At: partTime(5), Actor: "jane@example.com", Reason: "approved"}, Promoted: 2, AnsweredBreach: 1, OrderCount: 4,
		Requests: []pastRequest{{ID: "0199c2f2-1f0c-7aa0-8d3e-5b6f2f3a9c11", Verb: VerbStart}, {ID: "0199c2f2-1f0c-7aa0-8d3e-5b6f2f3a9c12", Verb: VerbPause}},
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
		{"Progress", p.appendPart, new(planProgress).decodePart},
		{"ProgressBreached", breached.appendPart, new(planProgress).decodePart},
		{"Batch", r.appendPart, new(batchRow).decodePart},
		{"Control", k.appendPart, new(planControl).decodePart},
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
	s, buf := planSpec{Batches: 10}, make([]byte, 0, 1024)
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
