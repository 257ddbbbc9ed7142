package ota

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShowPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		c    Control
		p    Progress
		want string
	}{
		{
			"a plan that an operator and a breach have paused",
			Control{AnsweredBreach: 1, Paused: &Audit{At: noonTime.Add(time.Minute), Actor: "jane", Reason: "disk\n\"full\"\x00\xff"}},
			Progress{
				Owner: "engine-1", At: noonTime, Batch: 3, Reached: 3, Changed: 33, Counts: Counts{Pending: 17, Succeeded: 31, Failed: 2},
				Breaches: []Breach{
					{Number: 1, Reason: ReasonFault, Text: "answered already"},
					{Number: 2, Reason: ReasonThreshold, Batch: 3, Failed: 2, Size: 10, Tolerated: 1},
				},
			},
			`{"batch":3,"batches":10,"agents":{"pending":17,"succeeded":31,"failed":2},"touched":33,"owner":"engine-1",` +
				`"at":"2026-01-01T12:00:00Z","paused":{"at":"2026-01-01T12:01:00Z","actor":"jane","reason":"disk\n\"full\"` + "\uFFFD\uFFFD" + `"},` +
				`"breach":"Failure threshold exceeded: 2 of 10 failed in batch 3, tolerates 1"}`,
		},
		{
			"what was never started is canceled, as in Plan",
			Control{Cancel: &Stop{Audit: Audit{At: noonTime, Actor: "joe"}}, Rollback: &RollbackRef{ID: "plan-2"}},
			Progress{Counts: Counts{Pending: 4, Succeeded: 1}},
			`{"batch":0,"batches":10,"agents":{"succeeded":1,"canceled":4},"canceled":{"at":"2026-01-01T12:00:00Z","actor":"joe"},"rollback":"plan-2"}`,
		},
	} {
		require.Equal(t, c.want, string(showPlan(nil, &PlanSpec{Batches: 10}, &c.c, &c.p)), c.name)
	}
}

func TestShowBatch(t *testing.T) {
	t.Parallel()
	b := BatchRow{Name: "canary", First: 0, Size: 5, Counts: Counts{Succeeded: 4, Unknown: 1}, Accepted: 1, Gate: GateFail, StartedAt: noonTime}
	require.Equal(t, `x{"name":"canary","first":0,"size":5,"agents":{"succeeded":4,"unknown":1},"accepted":1,"gate":"fail","started":"2026-01-01T12:00:00Z"}`,
		string(showBatch([]byte("x"), &b)))
}

// Whatever the values are, what is shown is JSON, and shows every text as it is but for what a
// database refuses.
func TestShowIsJSON(t *testing.T) {
	t.Parallel()
	for i := range uint64(100) {
		r := rand.New(rand.NewPCG(10, i))
		s, c, p, b := new(specPart), new(Control), new(Progress), new(BatchRow)
		for _, v := range []codedPart{s, c, p, b} {
			filled(v, r, i == 0)
		}
		for _, text := range [][]byte{showPlan(nil, &s.PlanSpec, c, p), showBatch(nil, b)} {
			var v map[string]any
			require.NoError(t, json.Unmarshal(text, &v), "%s", text)
			require.NotContains(t, string(text), `\u0000`)
		}
	}
}

func TestShowAllocatesNothing(t *testing.T) {
	p, b, c := busyProgress(), busyBatch(), busyControl()
	s, buf := PlanSpec{Batches: 10}, make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = showBatch(showPlan(buf[:0], &s, &c, &p), &b) }))
}
