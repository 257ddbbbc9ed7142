package ota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEndedAt(t *testing.T) {
	t.Parallel()
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	canceled := planControl{Cancel: &planStop{Audit: Audit{At: at(1)}}}
	rolledBack := planControl{Rollback: &rollbackRef{Done: at(3)}}
	for name, test := range map[string]struct {
		status Status
		c      planControl
		p      planProgress
		want   time.Time
	}{
		"running":                {StatusRunning, canceled, planProgress{EndedAt: at(2)}, time.Time{}},
		"completed":              {StatusCompleted, planControl{}, planProgress{EndedAt: at(2)}, at(2)},
		"canceled and drained":   {StatusCanceled, canceled, planProgress{EndedAt: at(2)}, at(2)},
		"canceled while pending": {StatusCanceled, canceled, planProgress{}, at(1)},
		"rolled back":            {StatusRolledBack, rolledBack, planProgress{EndedAt: at(2)}, at(3)},
		"ended at no known time": {StatusCompleted, planControl{}, planProgress{}, time.Time{}},
	} {
		require.Equal(t, test.want, endedAt(test.status, &test.c, &test.p), name)
	}
}

// A Head says what holds the plan, since when, and whether a person is needed: in each status, and
// for each barrier. before is the Head of the commit before.
func TestHeadSaysWhatHolds(t *testing.T) {
	t.Parallel()
	at := func(n int) time.Time { return time.Date(2026, 3, 1, n, 0, 0, 0, time.UTC) }
	now, threshold := at(9), 0.0
	audit := func(n int) *Audit { return &Audit{At: at(n), Actor: "ann"} }
	shut := Policy{Windows: []Window{{Start: 23 * time.Hour, Length: time.Hour}}}
	started := func(change func(*planControl)) planControl {
		c := planControl{Started: audit(1)}
		if change != nil {
			change(&c)
		}
		return c
	}
	breach := planProgress{Breaches: []Breach{{Number: 1, Reason: ReasonThreshold, At: at(4)}}, LastBreach: 1, Changed: 1}
	tests := map[string]struct {
		c       planControl
		p       planProgress
		b       *batchRow // nil: as for a verb
		can     abilities
		blocked int
		before  Head
		want    Head // of its fields Hold, Since and Person
	}{
		"pending":  {want: Head{Hold: ReasonPending, Since: at(0), Person: true}},
		"at work":  {c: started(nil), p: planProgress{Counts: Counts{Running: 1}}},
		"starting": {c: started(nil), b: &batchRow{Status: BatchRunning}},
		"paused": {
			c:    started(func(c *planControl) { c.Paused = audit(3) }),
			want: Head{Hold: ReasonPaused, Since: at(3), Person: true},
		},
		"pausing": {
			c: started(func(c *planControl) { c.Paused = audit(3) }), p: planProgress{Counts: Counts{Running: 2}},
			want: Head{Hold: ReasonPaused, Since: at(3), Person: true},
		},
		"breached": {c: started(nil), p: breach, want: Head{Hold: ReasonBreached, Since: at(4), Person: true}},
		"canceling": {
			c:    started(func(c *planControl) { c.Cancel = &planStop{Audit: *audit(5)} }),
			p:    planProgress{Counts: Counts{Running: 1}},
			want: Head{Hold: ReasonCanceling, Since: at(5)},
		},
		"canceled": {c: started(func(c *planControl) { c.Cancel = &planStop{Audit: *audit(5)} })},
		"frozen": {
			c:    started(func(c *planControl) { c.Rollback = &rollbackRef{ID: "r", Frozen: *audit(6)} }),
			p:    planProgress{Changed: 1},
			want: Head{Hold: ReasonFrozen, Since: at(6), Person: true},
		},
		"rolling back": {
			c:    started(func(c *planControl) { c.Rollback = &rollbackRef{ID: "r", Frozen: *audit(6), Wanted: audit(7)} }),
			want: Head{Hold: ReasonRollingBack, Since: at(7)},
		},
		"held, to a verb": {
			c:    started(func(c *planControl) { c.Policy.Hold.Batches = []int{1} }),
			p:    planProgress{Batch: 1},
			want: Head{Hold: ReasonHeld, Since: at(9), Person: true},
		},
		"held before": {
			c: started(func(c *planControl) { c.Policy.Hold.Batches = []int{1} }),
			p: planProgress{Batch: 1}, b: &batchRow{Index: 1}, before: Head{Hold: ReasonHeld, Since: at(8)},
			want: Head{Hold: ReasonHeld, Since: at(8), Person: true},
		},
		"promoted": {
			c: started(func(c *planControl) { c.Policy.Hold.Batches, c.Promoted = []int{1}, 1 }),
			p: planProgress{Batch: 1}, before: Head{Hold: ReasonHeld, Since: at(8), Person: true},
		},
		"soaking": {
			c: started(func(c *planControl) { c.Policy.Soak.Duration = time.Hour }), b: &batchRow{Status: BatchSoaking, FinishedAt: now},
			want: Head{Hold: ReasonSoaking, Since: at(9)},
		},
		"soaking, to a verb": {
			c: started(func(c *planControl) { c.Policy.Soak.Duration = time.Hour }), before: Head{Hold: ReasonSoaking, Since: at(8)},
			want: Head{Hold: ReasonSoaking, Since: at(8)},
		},
		"gate": {
			c: started(nil), b: &batchRow{Status: BatchSoaking, Changed: 1}, can: abilities{gater: true},
			want: Head{Hold: ReasonGate, Since: at(9)},
		},
		"evidence": {
			c: started(nil), b: &batchRow{Status: BatchSoaking, Canary: true},
			want: Head{Hold: ReasonEvidence, Since: at(9), Person: true},
		},
		"an abandoned call": {
			c: started(nil), b: &batchRow{Status: BatchRunning}, blocked: 1,
			want: Head{Hold: ReasonAbandonedCall, Since: at(9)},
		},
		"coverage": {
			c: started(func(c *planControl) { c.Policy.Complete.Min = 1 }), p: planProgress{Batch: 2, Reached: 2},
			b:    &batchRow{Index: 2, Status: BatchSoaking, Changed: 1},
			want: Head{Hold: ReasonCoverage, Since: at(9), Person: true},
		},
		"coverage, to a verb": {
			c: started(func(c *planControl) { c.Policy.Complete.Min = 1 }), p: planProgress{Batch: 2, Reached: 2},
			before: Head{Hold: ReasonCoverage, Since: at(8), Person: true},
			want:   Head{Hold: ReasonCoverage, Since: at(8), Person: true},
		},
		"retries": {
			c: started(nil), p: planProgress{Counts: Counts{Waiting: 1}, Open: 1}, b: &batchRow{Status: BatchRunning, Counts: Counts{Waiting: 1}},
			want: Head{Hold: ReasonBackoff, Since: at(9)},
		},
		"windows": {
			c: started(func(c *planControl) { c.Policy = shut }), b: &batchRow{Status: BatchRunning},
			want: Head{Hold: ReasonWindow, Since: at(9)},
		},
		"completed": {c: started(nil), p: planProgress{End: StatusCompleted, EndedAt: at(8)}, want: Head{Ended: at(8)}},
	}
	for name, test := range tests {
		spec := planSpec{CreatedAt: at(0), Batches: 3, Agents: 9}
		test.c.Policy.FailureThreshold, test.c.Policy.Concurrency = &threshold, 1
		st := statusOf(&test.c, &test.p)
		v := headView(&spec, &test.c, &test.p, st, now)
		if test.b != nil {
			v.b = test.b
		}
		v.calls.abilities, v.blocked = test.can, test.blocked
		h := v.headAfter(&test.before, nil)
		require.Equal(t, st, h.Status, name)
		require.Equal(t, test.want.Hold, h.Hold, name)
		require.Equal(t, test.want.Since, h.Since, name)
		require.Equal(t, test.want.Person, h.Person, name)
		require.NotEmpty(t, h.Show, name)
	}
}

func TestCoverageOfAPlan(t *testing.T) {
	t.Parallel()
	for succeeded, want := range []Coverage{CoverageNone, CoveragePartial, CoveragePartial, CoverageAll} {
		v := headView(&planSpec{Agents: 3}, &planControl{}, &planProgress{Counts: Counts{Succeeded: succeeded}}, StatusRunning, time.Now())
		require.Equal(t, want, coverageOf(v.spec, v.p))
	}
}
