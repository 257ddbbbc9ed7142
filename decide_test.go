package ota

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatusOf(t *testing.T) {
	on, stop := &Audit{}, &planStop{}
	breach := []Breach{{Number: 1, Reason: ReasonThreshold}}
	undo := []Breach{{Number: 1, Reason: ReasonThreshold, Action: ActionRollback}}
	done := time.Unix(1, 0)
	for _, c := range []struct {
		name string
		c    planControl
		p    planProgress
		want Status
	}{
		{"made", planControl{}, planProgress{}, StatusPending},
		{"started", planControl{Started: on}, planProgress{}, StatusRunning},
		{"paused in flight", planControl{Started: on, Paused: on}, planProgress{Counts: Counts{Running: 1}}, StatusPausing},
		{"paused", planControl{Started: on, Paused: on}, planProgress{Counts: Counts{Waiting: 3}}, StatusPaused},
		{"breach in flight", planControl{Started: on}, planProgress{Counts: Counts{Running: 1}, Breaches: breach}, StatusPausing},
		{"breach", planControl{Started: on}, planProgress{Breaches: breach}, StatusPaused},
		{"breach answered", planControl{Started: on, AnsweredBreach: 1}, planProgress{Breaches: breach}, StatusRunning},
		{"breach answered, and a pause", planControl{Started: on, AnsweredBreach: 1, Paused: on}, planProgress{Breaches: breach}, StatusPaused},
		{"frozen", planControl{Started: on, Rollback: &rollbackRef{}}, planProgress{}, StatusPaused},
		{"frozen in flight", planControl{Started: on, Rollback: &rollbackRef{}}, planProgress{Counts: Counts{Running: 1}}, StatusPausing},
		{"canceled while pending", planControl{Cancel: stop}, planProgress{}, StatusCanceled},
		{"canceling, waiting", planControl{Started: on, Cancel: stop}, planProgress{Counts: Counts{Waiting: 1}}, StatusCanceling},
		{"canceling, in flight, paused, breached", planControl{Started: on, Cancel: stop, Paused: on}, planProgress{Counts: Counts{Running: 1}, Breaches: breach}, StatusCanceling},
		{"canceled", planControl{Started: on, Cancel: stop, Paused: on}, planProgress{Breaches: breach}, StatusCanceled},
		{"completed", planControl{Started: on}, planProgress{End: StatusCompleted}, StatusCompleted},
		{"completed before it was paused", planControl{Started: on, Paused: on}, planProgress{End: StatusCompleted}, StatusCompleted},
		{"completed and frozen", planControl{Started: on, Rollback: &rollbackRef{}}, planProgress{End: StatusCompleted}, StatusCompleted},
		{"wants a rollback", planControl{Started: on}, planProgress{Breaches: undo, Counts: Counts{Running: 2}}, StatusRollingBack},
		{"had its rollback", planControl{Started: on, RolledBackBreach: 1}, planProgress{Breaches: undo}, StatusPaused},
		{"rolls back", planControl{Started: on, Rollback: &rollbackRef{Started: stop}}, planProgress{End: StatusCompleted}, StatusRollingBack},
		{"rolls back, canceled", planControl{Started: on, Cancel: stop, Rollback: &rollbackRef{Started: stop}}, planProgress{}, StatusRollingBack},
		{"rolled back", planControl{Started: on, Cancel: stop, Rollback: &rollbackRef{Started: stop, Done: done}}, planProgress{End: StatusCompleted}, StatusRolledBack},
	} {
		require.Equal(t, c.want.String(), statusOf(&c.c, &c.p).String(), c.name)
	}
}

// someView is a plan that could start as many as it has slots.
func someView(change func(*view)) *view {
	p := Policy{Concurrency: 4, FailureThreshold: ptr(0.2)}.withDefaults()
	v := &view{
		status: StatusRunning, spec: &planSpec{Agents: 20, Batches: 2}, now: noon, fresh: 10,
		c: &planControl{Started: &Audit{}, Policy: p}, p: &planProgress{Counts: Counts{Pending: 20}},
		b: &batchRow{Size: 10, Status: BatchRunning, Counts: Counts{Pending: 10}},
	}
	change(v)
	return v
}

func rack(most int) []Budget { return []Budget{{Label: "rack", Max: most}} }

func TestLimits(t *testing.T) {
	at := time.Unix(0, noon).UTC()
	for _, c := range []struct {
		name   string
		change func(*view)
		all    int // -1: plenty
		fresh  int
		why    Reason
	}{
		{"nothing", func(*view) {}, -1, 4, ReasonNone},
		{"open ones", func(v *view) { v.p.Open = 3 }, -1, 1, ReasonNone},
		{"concurrency", func(v *view) { v.p.Open = 4 }, -1, 0, ReasonConcurrency},
		{"lowered concurrency", func(v *view) { v.p.Open = 9 }, -1, 0, ReasonConcurrency},
		{"paused", func(v *view) { v.c.Paused = &Audit{At: at} }, 0, 0, ReasonPaused},
		{"breached", func(v *view) { v.p.Breaches = []Breach{{Number: 1}} }, 0, 0, ReasonBreached},
		{"answered", func(v *view) { v.p.Breaches, v.c.AnsweredBreach = []Breach{{Number: 1}}, 1 }, -1, 4, ReasonNone},
		{"canceled", func(v *view) { v.c.Cancel = &planStop{} }, 0, 0, ReasonCanceling},
		{"frozen", func(v *view) { v.c.Rollback = &rollbackRef{} }, 0, 0, ReasonFrozen},
		{"rolling back", func(v *view) { v.c.Rollback = &rollbackRef{Started: &planStop{}} }, 0, 0, ReasonRollingBack},
		{"order", func(v *view) { v.c.OrderCount = 1 }, 0, 0, ReasonOrders},
		{"order done", func(v *view) { v.c.OrderCount, v.p.LastOrder = 1, 1 }, -1, 4, ReasonNone},
		{"draining", func(v *view) { v.calls.draining = true }, 0, 0, ReasonDraining},
		{"lease", func(v *view) { v.calls.leaseOut = true }, 0, 0, ReasonLease},
		{"source in flight", func(v *view) { v.spec.Source = "x" }, 0, 0, ReasonSource},
		{"source drained, doubts left", func(v *view) { v.spec.Source, v.spec.Unconfirmed, v.calls.source = "x", 2, true }, 0, 0, ReasonSource},
		{"source drained", func(v *view) { v.spec.Source, v.calls.source = "x", true }, -1, 4, ReasonNone},
		{"reserve", func(v *view) { v.c.Policy.Reserve = true }, -1, 3, ReasonNone},
		{"reserve, one failed", func(v *view) { v.c.Policy.Reserve, v.b.Counts.Failed = true, 1 }, -1, 2, ReasonNone},
		{"reserve, one failed and accepted", func(v *view) { v.c.Policy.Reserve, v.b.Counts.Failed, v.b.Accepted = true, 1, 1 }, -1, 3, ReasonNone},
		{"budget", func(v *view) { v.inLine, v.fresh, v.c.Policy.Budgets = 7, 0, rack(2) }, -1, 0, ReasonBudget},
		{"budget, one of the lane is prechecked and ready", func(v *view) {
			v.inLine, v.fresh, v.prechecking, v.ready, v.c.Policy.Budgets = 7, 0, 1, 1, rack(1)
		}, -1, 4, ReasonNone},
		{"budget, another lane has room", func(v *view) { v.inLine, v.c.Policy.Budgets = 7, rack(2) }, -1, 4, ReasonNone},
		{"reserve, all open", func(v *view) { v.c.Policy.Reserve, v.p.Open, v.b.Open = true, 3, 3 }, -1, 0, ReasonReserve},
	} {
		v := someView(c.change)
		all, fresh, _ := v.admission(limits)
		if c.all < 0 {
			require.Greater(t, all, 1<<20, c.name)
		} else {
			require.Equal(t, c.all, all, c.name)
		}
		require.Equal(t, c.fresh, min(fresh, 1<<20), "%s", c.name)
		var why []Reason
		for _, limit := range limits {
			if r := limit(v); r.All == 0 || r.New == 0 {
				why = append(why, r.Why)
			}
		}
		if c.why == ReasonNone {
			require.Empty(t, why, c.name)
		} else {
			require.Equal(t, []Reason{c.why}, why, c.name)
		}
	}
}

func TestBarriers(t *testing.T) {
	sec := func(n int) time.Time { return time.Unix(0, noon).UTC().Add(time.Duration(n) * time.Second) }
	observing := func(change func(*view)) func(*view) {
		return func(v *view) {
			v.b.Status, v.b.FinishedAt, v.b.HealthySince = BatchSoaking, sec(-10), sec(-10)
			v.c.Policy.Soak = Soak{Duration: 20 * time.Second}
			change(v)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*view)
		list   []func(*view) (block, bool)
		want   *block
	}{
		{"first batch is never held", func(v *view) { v.c.Policy.Hold.All = true }, openers, nil},
		{"held", func(v *view) { v.c.Policy.Hold.All, v.b.Index = true, 2 }, openers, &block{Why: ReasonHeld, Verb: VerbPromote, Text: "batch 2"}},
		{"promoted", func(v *view) { v.c.Policy.Hold.All, v.b.Index, v.c.Promoted = true, 2, 2 }, openers, nil},
		{"watched", observing(func(*view) {}), closers, &block{Why: ReasonSoaking, Until: noon + 10e9, Text: "batch 0"}},
		{"watched long enough", observing(func(v *view) { v.now += 10e9 }), closers, nil},
		{"not stable yet", observing(func(v *view) { v.c.Policy.Soak.Stable = 30 * time.Second; v.now += 39e9 }), closers, &block{Why: ReasonSoaking, Until: noon + 40e9, Text: "batch 0"}},
		{"stable", observing(func(v *view) { v.c.Policy.Soak.Stable = 30 * time.Second; v.now += 40e9 }), closers, nil},
		{"healthy again only later", observing(func(v *view) {
			v.c.Policy.Soak.Stable, v.b.HealthySince = 30*time.Second, sec(15)
			v.now += 44e9
		}), closers, &block{Why: ReasonSoaking, Until: noon + 45e9, Text: "batch 0"}},
		{"unhealthy", observing(func(v *view) { v.b.Unhealthy, v.now = 2, v.now+1e12 }), closers, &block{Why: ReasonSoaking, Text: "2 agents of batch 0 are unhealthy"}},
		{"nobody was asked", observing(func(v *view) { v.calls.prober, v.now = true, v.now+1e12 }), closers, &block{Why: ReasonInquiry, Text: "asking the agents of the batch how they are"}},
		{"too few at the target", observing(func(v *view) {
			v.spec.Agents = 100
			v.c.Policy.Complete, v.p.Counts.Succeeded, v.now = Complete{Min: 0.9}, 89, v.now+1e12
			v.b.Index = v.spec.Batches - 1
		}), closers, &block{Why: ReasonCoverage, Verb: VerbPromote, Text: "89 of 100 agents are at the target, 1 more must be"}},
		{"enough at the target", observing(func(v *view) {
			v.spec.Agents = 100
			v.c.Policy.Complete, v.p.Counts.Succeeded, v.now = Complete{Min: 0.9}, 90, v.now+1e12
			v.b.Index = v.spec.Batches - 1
		}), closers, nil},
		{"too few at the target, not the last batch", observing(func(v *view) {
			v.c.Policy.Complete, v.now = Complete{Min: 1}, v.now+1e12
		}), closers, nil},
		{"too few at the target, promoted", observing(func(v *view) {
			v.c.Policy.Complete, v.c.Promoted, v.now = Complete{Min: 1}, v.spec.Batches, v.now+1e12
			v.b.Index = v.spec.Batches - 1
		}), closers, nil},
		{"too few at the target, for a while", observing(func(v *view) {
			v.c.Policy.Complete, v.now = Complete{Min: 1, Within: 60 * time.Second}, v.now+50e9-1
			v.b.Index = v.spec.Batches - 1
		}), closers, &block{Why: ReasonCoverage, Until: noon + 50e9, Verb: VerbPromote, Text: "0 of 20 agents are at the target, 20 more must be"}},
		{"too few at the target, long enough", observing(func(v *view) {
			v.c.Policy.Complete, v.now = Complete{Min: 1, Within: 60 * time.Second}, v.now+50e9
			v.b.Index = v.spec.Batches - 1
		}), closers, nil},
		{"the gate has not passed", observing(func(v *view) { v.calls.gater, v.b.Changed, v.now = true, 1, v.now+1e12 }), closers, &block{Why: ReasonGate, Text: "batch 0", asksGate: true}},
		{"a rollback without a gate", observing(func(v *view) {
			v.calls.gater, v.spec.Ungated, v.b.Changed, v.now = true, true, 1, v.now+1e12
		}), closers, nil},
		{"all were asked", observing(func(v *view) { v.calls.prober, v.allProbed, v.now = true, true, v.now+1e12 }), closers, nil},
	} {
		v := someView(c.change)
		var got *block
		for _, barrier := range c.list {
			if h, holds := barrier(v); holds && got == nil {
				got = &h
			}
		}
		require.Equal(t, c.want, got, c.name)
	}
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*view)
		want   decision
	}{
		{"starts", func(*view) {}, decision{action: actStart, all: 4, fresh: 4}},
		{"no more than there are", func(v *view) { v.b.Counts.Pending, v.fresh = 2, 2 }, decision{action: actStart, all: 2, fresh: 2}},
		{"those that hold a slot go first", func(v *view) { v.slotted, v.p.Open = 3, 3 }, decision{action: actStart, all: 4, fresh: 1}},
		{"held ones pass a full house", func(v *view) { v.slotted, v.p.Open = 3, 4 }, decision{action: actStart, all: 3}},
		{"held ones do not pass a pause", func(v *view) { v.slotted, v.status, v.c.Paused = 3, StatusPaused, &Audit{} }, decision{}},
		{"barred ones do not count", func(v *view) { v.b.Counts.Pending, v.blocked, v.fresh = 2, 2, 0 }, decision{}},
		{"those of full lanes do not count", func(v *view) { v.inLine, v.fresh = 10, 0 }, decision{}},
		{"wakes for the next timer", func(v *view) { v.b.Counts, v.fresh = Counts{Waiting: 1}, 0; v.wake = noon + 5 }, decision{wake: noon + 5}},
		{"opens", func(v *view) { v.b.Status = BatchPending }, decision{action: actOpenBatch}},
		{"opens nothing that may not start", func(v *view) { v.b.Status, v.calls.draining = BatchPending, true }, decision{}},
		{"settles", func(v *view) { v.b.Counts = Counts{Succeeded: 9, Failed: 1} }, decision{action: actFinishBatch}},
		{"settles while paused", func(v *view) { v.status, v.b.Counts = StatusPaused, Counts{Succeeded: 10} }, decision{action: actFinishBatch}},
		{"closes", func(v *view) { v.b.Status = BatchSoaking }, decision{action: actCloseBatch}},
		{"goes on", func(v *view) { v.b.Status = BatchCompleted }, decision{action: actNextBatch}},
		{"completes", func(v *view) { v.b, v.p.Batch = nil, 2 }, decision{action: actComplete}},
		{"completes no paused plan", func(v *view) { v.b, v.p.Batch, v.status = nil, 2, StatusPaused }, decision{}},
		{"sweeps", func(v *view) { v.status, v.p.Counts.Waiting = StatusCanceling, 1 }, decision{action: actSweep}},
		{"drains", func(v *view) { v.status, v.p.Counts.Running = StatusCanceling, 1 }, decision{}},
		{"sweeps before it is rolled back", func(v *view) { v.status, v.p.Counts.Waiting = StatusRollingBack, 1 }, decision{action: actSweep}},
		{"has ended", func(v *view) { v.status = StatusCompleted }, decision{}},
		{"is pending", func(v *view) { v.status = StatusPending }, decision{}},
	} {
		require.Equal(t, c.want, someView(c.change).decide(), c.name)
	}
}

func TestHalved(t *testing.T) {
	for _, c := range []struct{ before, concurrency, failed, want int }{
		{0, 8, 0, 0},
		{0, 8, 1, 1},
		{2, 8, 3, 3},
		{3, 8, 3, 3}, // 1 is left
		{3, 8, 0, 2},
		{0, 1, 1, 0},
	} {
		require.Equal(t, c.want, halved(c.before, c.concurrency, c.failed), "%+v", c)
	}
	v := someView(func(v *view) { v.c.Policy.Halve, v.p.Halved, v.p.Open = true, 1, 2 })
	r := concurrencyLimit(v)
	require.Equal(t, 0, r.New)
	require.Equal(t, "2 instead of 4, after batches with failures", r.Text)
	v.p.Halved = 60
	require.Equal(t, 1, v.concurrency())
}

// judging is the state of a plan that runs its batch 0 of two.
func judging(change func(*state)) *state {
	s := &state{
		spec: planSpec{Agents: 20, Batches: 2}, batches: map[int]*batch{},
		c: planControl{Started: &Audit{}, Policy: Policy{FailureThreshold: ptr(0.2)}.withDefaults()},
	}
	s.p.Counts = Counts{Pending: 20}
	s.batches[0] = &batch{batchRow: batchRow{Index: 0, Size: 10, Status: BatchRunning, Counts: Counts{Pending: 10}}}
	s.change.step = 1
	change(s)
	return s
}

func TestThresholdVerdict(t *testing.T) {
	fails := func(n int) func(*state) {
		return func(s *state) { s.batches[0].Counts.Failed, s.p.Counts.Failed, s.p.Changed = n, n, n }
	}
	and := func(fs ...func(*state)) func(*state) {
		return func(s *state) {
			for _, f := range fs {
				f(s)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*state)
		want   string // of the breach that stands; empty: none
		action Action
		bumps  bool
	}{
		{"tolerated", fails(2), "", 0, false},
		{"exceeded", fails(3), "Failure threshold exceeded: 3 of the 10 agents of batch 0 failed, 2 are tolerated", ActionPause, true},
		{"unknown ones count", and(fails(2), func(s *state) { s.batches[0].Counts.Unknown = 1 }), "Failure threshold exceeded: 3 of the 10 agents of batch 0 failed, 2 are tolerated", ActionPause, true},
		{"accepted", and(fails(3), func(s *state) { s.batches[0].Accepted = 1 }), "", 0, false},
		{"accepted, and more", and(fails(4), func(s *state) { s.batches[0].Accepted = 1 }), "Failure threshold exceeded: 4 of the 10 agents of batch 0 failed, 2 are tolerated", ActionPause, true},
		{"of the plan, tolerated", and(fails(4), func(s *state) { s.c.Policy.Scope = ScopePlan }), "", 0, false},
		{"of the plan", and(fails(5), func(s *state) { s.c.Policy.Scope = ScopePlan }), "Failure threshold exceeded: 5 of the 20 agents of the plan failed, 4 are tolerated", ActionPause, true},
		{"rolls back", and(fails(3), func(s *state) { s.c.Policy.OnBreach = ActionRollback }), "Failure threshold exceeded: 3 of the 10 agents of batch 0 failed, 2 are tolerated", ActionRollback, true},
		{"rolls back nothing", and(fails(3), func(s *state) { s.c.Policy.OnBreach, s.p.Changed = ActionRollback, 0 }), "Failure threshold exceeded: 3 of the 10 agents of batch 0 failed, 2 are tolerated", ActionPause, true},
		{"of a rollback never rolls back", and(fails(3), func(s *state) { s.c.Policy.OnBreach, s.spec.Source = ActionRollback, "x" }), "Failure threshold exceeded: 3 of the 10 agents of batch 0 failed, 2 are tolerated", ActionPause, true},
		{"continues", and(fails(3), func(s *state) { s.c.Policy.OnBreach = ActionContinue }), "", 0, false},
	} {
		s := judging(c.change)
		s.thresholdVerdict(s.batches[0], stamp(noon))
		br := standing(&s.c, &s.p)
		if c.want == "" {
			require.Nil(t, br, c.name)
		} else {
			require.NotNil(t, br, c.name)
			require.Equal(t, c.want, br.String(), c.name)
			require.Equal(t, c.action, br.Action, c.name)
		}
		require.Equal(t, c.bumps, s.change.bump, c.name)
	}
}

// An agent of a rollback that was bad before counts as accepted while it is bad.
func TestAgentsThatWereBadAreAccepted(t *testing.T) {
	s := judging(func(*state) {})
	r := s.rows.add(agentRow{State: agentState{Status: TaskRunning, Flags: agentWasBad}})
	s.batches[0].Counts, s.p.Counts = Counts{Pending: 9, Running: 1}, Counts{Pending: 19, Running: 1}
	for _, c := range []struct {
		to   TaskStatus
		want int
	}{{TaskFailed, 1}, {TaskPending, 0}, {TaskRunning, 0}, {TaskUnknown, 1}, {TaskFailed, 1}, {TaskPending, 0}, {TaskSucceeded, 0}, {TaskFailed, 1}} {
		s.setAgent(r, c.to)
		require.Equal(t, c.want, s.batches[0].Accepted, c.to)
		require.Equal(t, c.want, s.p.Accepted, c.to)
	}
}

func TestVerdictStrikesOnce(t *testing.T) {
	s := judging(func(s *state) { s.batches[0].Counts.Failed, s.p.Counts.Failed = 3, 3 })
	s.thresholdVerdict(s.batches[0], stamp(noon))
	events := s.change.log.events
	s.thresholdVerdict(s.batches[0], stamp(noon))
	require.Equal(t, events, s.change.log.events)
	require.Len(t, s.p.Breaches, 1)
	s.batches[0].Counts.Failed = 4 // a late failure updates the record
	s.thresholdVerdict(s.batches[0], stamp(noon))
	require.Len(t, s.p.Breaches, 1)
	require.Equal(t, 4, s.p.Breaches[0].Failed)
	require.Equal(t, events+1, s.change.log.events)
	s.c.AnsweredBreach = 1 // answered, and exceeded anew
	s.thresholdVerdict(s.batches[0], stamp(noon))
	require.Len(t, s.p.Breaches, 1)
	require.Equal(t, uint64(2), s.p.Breaches[0].Number)
}

// openFor and openUntil agree with a walk over every minute.
func TestOpenTime(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	began := time.Date(2024, 3, 29, 0, 0, 0, 0, time.UTC) // clocks change in this week
	for range 300 {
		windows := make([]Window, r.IntN(4))
		for i := range windows {
			windows[i] = Window{
				Start: time.Duration(r.IntN(24*60)) * time.Minute, Length: time.Duration(1+r.IntN(600)) * time.Minute,
				Zone: []string{"", "Europe/Berlin", "Asia/Tokyo"}[r.IntN(3)],
			}
			if r.IntN(3) == 0 {
				windows[i].Days = []time.Weekday{time.Weekday(r.IntN(7))}
			}
			windows[i].Margin = time.Duration(r.IntN(int(windows[i].Length/time.Minute))) * time.Minute
		}
		since := began.Add(time.Duration(r.IntN(1000)) * time.Minute)
		until := since.Add(time.Duration(r.IntN(4*24*60)) * time.Minute)
		var open time.Duration
		for at := since; at.Before(until); at = at.Add(time.Minute) {
			if (Policy{Windows: windows}).NextOpen(at).Equal(at) {
				open += time.Minute
			}
		}
		require.Equal(t, open, openFor(windows, since, until), "%v %v %v", windows, since, until)
		if open > 0 {
			at := openUntil(windows, since, open)
			require.False(t, at.After(until))
			require.Equal(t, open, openFor(windows, since, at))
			require.Equal(t, open-time.Minute, openFor(windows, since, at.Add(-time.Minute)), "it is the first such instant")
		}
	}
}

func TestOpenTimeAtTheEdges(t *testing.T) {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, at.Add(time.Hour), openUntil(nil, at, time.Hour))
	require.Equal(t, time.Hour, openFor(nil, at, at.Add(time.Hour)))
	require.Zero(t, openFor(nil, at, at))
	require.Zero(t, openFor(nil, at, at.Add(-time.Hour)))
	unknown := []Window{{Length: time.Hour, Zone: "Nowhere/Land"}}
	require.Zero(t, openFor(unknown, at, at.Add(time.Hour)))
	require.True(t, openUntil(unknown, at, time.Hour).IsZero(), "no window ever opens")
	short := []Window{{Length: time.Millisecond}}
	far := openUntil(short, at, 10*365*24*time.Hour)
	require.False(t, far.IsZero(), "openings beyond the limit count as a whole")
	require.Greater(t, openFor(short, at, far.Add(24*time.Hour)), 10*365*24*time.Hour)
	always := []Window{{Length: 24 * time.Hour}}
	require.Equal(t, at.Add(50*time.Hour), openUntil(always, at, 50*time.Hour))
}

func TestStandStill(t *testing.T) {
	for name, c := range map[string]struct {
		task taskState
		want int64
	}{
		"due":                {taskState{Status: TaskWaiting, Why: ReasonUnreachable, Ended: 50}, 10 + 50},
		"not due yet":        {taskState{Status: TaskWaiting, Why: ReasonUnreachable, Ended: 150}, 10},
		"its call was lost":  {taskState{Status: TaskWaiting, Why: ReasonRepeat, Started: 30, Ended: 90}, 10 + 70},
		"its call is out":    {taskState{Status: TaskRunning, Started: 30}, 10},
		"waits for a retry":  {taskState{Status: TaskWaiting, Why: ReasonError, Ended: 50}, 0},
		"its call was first": {taskState{Status: TaskWaiting, Why: ReasonRepeat, Started: 30}, 0},
	} {
		if c.want != 0 {
			c.task.More = &taskMore{UnreachableSince: 10}
		}
		before := c.task.More
		c.task.standStill(100)
		if c.want == 0 {
			require.Nil(t, c.task.More, name)
			continue
		}
		require.Equal(t, c.want, c.task.More.UnreachableSince, name)
		require.Equal(t, int64(10), before.UnreachableSince, "%s: it is shared with the last commit", name)
	}
}
