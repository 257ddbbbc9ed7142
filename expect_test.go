package ota

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each way in which an agent can end, and what it says about the release.
func TestEvidenceOfAnAgent(t *testing.T) {
	type said struct{ failed, finished int }
	none, good, bad := said{}, said{0, 1}, said{1, 1}
	for _, c := range []struct {
		name    string
		status  TaskStatus
		why     Reason
		changed bool
		want    said
	}{
		{"pending", TaskPending, ReasonNone, false, none},
		{"running", TaskRunning, ReasonNone, true, none},
		{"waiting after an error", TaskWaiting, ReasonError, true, none},
		{"waiting away", TaskWaiting, ReasonUnreachable, false, none},
		{"succeeded", TaskSucceeded, ReasonSucceeded, true, good},
		{"at the target", TaskSucceeded, ReasonAtTarget, false, none},
		{"skipped", TaskSkipped, ReasonOperator, false, none},
		{"blocked", TaskSkipped, ReasonBlocked, false, none},
		{"canceled", TaskCanceled, ReasonPlanEnded, false, none},
		{"unknown", TaskUnknown, ReasonInterrupted, true, bad},
		{"given up", TaskUnknown, ReasonOperator, true, bad},
		{"away until its last answer", TaskFailed, ReasonUnreachable, false, none},
		{"away until its last answer, and changed", TaskFailed, ReasonUnreachable, true, none},
		{"throttled until its last answer", TaskFailed, ReasonThrottled, false, none},
		{"error", TaskFailed, ReasonError, true, bad},
		{"permanent", TaskFailed, ReasonPermanent, false, bad},
		{"rejected", TaskFailed, ReasonRejected, false, bad},
		{"timeout", TaskFailed, ReasonTimeout, true, bad},
		{"abandoned", TaskFailed, ReasonAbandoned, true, bad},
		{"another version", TaskFailed, ReasonWrongVersion, true, bad},
		{"panic", TaskFailed, ReasonPanic, true, bad},
		{"unhealthy", TaskFailed, ReasonUnhealthy, true, bad},
		{"silent", TaskFailed, ReasonSilent, true, bad},
	} {
		a := agentState{Status: c.status, Task: taskState{Status: c.status, Why: c.why, Changed: c.changed}}
		if c.changed {
			a.Flags |= agentChanged
		}
		failed, finished := a.evidence()
		require.Equal(t, c.want, said{failed, finished}, c.name)
		// With a task before it that has succeeded, an agent says the same.
		two := agentState{Status: a.Status, Flags: a.Flags, Task: taskState{Status: TaskSucceeded, Why: ReasonSucceeded}, Rest: []taskState{a.Task}}
		failed, finished = two.evidence()
		require.Equal(t, c.want, said{failed, finished}, "%s, two tasks", c.name)
	}
}

// What Expect and the threshold tolerate of a batch and of the plan, by the policy.
func TestToleratedByEveryPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		policy                     Policy
		first, later, plan, single int
	}{
		"default":           {Policy{}, 2, 3, 24, 2},
		"default, of plan":  {Policy{Scope: ScopePlan}, 2, 2, 24, 2},
		"threshold":         {Policy{FailureThreshold: ptr(0.1)}, 2, 2, 100, 2},
		"first":             {Policy{FailureThreshold: ptr(0.1), Scope: ScopeFirst}, 2, 20, 1000, 2},
		"expect":            {Policy{Expect: &Expect{Normal: 0.01}}, 3, 3, 24, 3},
		"both":              {Policy{FailureThreshold: ptr(0.05), Expect: &Expect{Normal: 0.01}}, 1, 1, 24, 1},
		"expect of nothing": {Policy{Expect: &Expect{Normal: 1e-6, Alpha: 0.5}}, 0, 0, 0, 0},
	} {
		p := c.policy.withDefaults()
		many := planControl{Policy: p, Expected: p.expectTables(1000, 50, 20)}
		require.Equal(t, c.first, many.toleratedInBatch(0, 20), name)
		require.Equal(t, c.later, many.toleratedInBatch(7, 20), name)
		require.Equal(t, c.plan, many.toleratedInPlan(1000, 50), name)
		one := planControl{Policy: p, Expected: p.expectTables(20, 1, 20)}
		require.Equal(t, c.single, one.toleratedInPlan(20, 1), name)
		require.Equal(t, c.single, one.toleratedInBatch(0, 20), name)
	}
}

// Reserve takes the least room of all verdicts, before the start.
func TestReserveByExpect(t *testing.T) {
	for _, c := range []struct {
		name                string
		plan, batch         evidence
		planOpen, batchOpen int
		room                int
		text                string
	}{
		{"nothing has begun", evidence{}, evidence{}, 0, 0, 1, "0 of 0 agents failed, 0 are tolerated"},
		{"one is open", evidence{}, evidence{}, 1, 1, 1, "0 of 1 agent failed, 1 is tolerated"},
		{"two are open", evidence{}, evidence{}, 2, 2, 0, "0 of 2 agents failed, 1 is tolerated"},
		{"all succeeded", evidence{Finished: 100}, evidence{Finished: 10}, 0, 0, 3, "0 of 10 agents failed, 2 are tolerated"},
		{"the plan has failures of other batches", evidence{Failed: 6, Finished: 100}, evidence{Finished: 10}, 0, 0, 1, "6 of 100 agents failed, 6 are tolerated"},
		{"these were accepted", evidence{Failed: 6, Finished: 100, FailedBefore: 6, FinishedBefore: 100}, evidence{Finished: 10}, 0, 0, 1, "0 of 0 agents failed, 0 are tolerated"},
	} {
		v := someView(func(v *view) {
			v.c.Policy.Reserve, v.c.Policy.FailureThreshold, v.c.Policy.Expect = true, ptr(1.0), &Expect{Normal: 0.01, Alpha: 0.01}
			v.c.Expected = v.c.Policy.expectTables(1000, 2, 500)
			v.p.Evidence, v.b.Evidence, v.p.Open, v.b.Open = c.plan, c.batch, c.planOpen, c.batchOpen
		})
		r := reserveLimit(v)
		require.Equal(t, c.room, r.New, c.name)
		require.Equal(t, c.text, r.Text, c.name)
		v.c.Policy.FailureThreshold = ptr(0.0) // one at a time
		require.Equal(t, max(0, min(c.room, 1-c.planOpen)), reserveLimit(v).New, c.name)
		v.c.Policy.Scope, v.b.Index = ScopeFirst, 1 // it judges another batch
		require.Equal(t, c.room, reserveLimit(v).New, c.name)
	}
}

// A breach proposes the smallest usual rate that tolerates what has failed, by the tables that an Edit
// would make of it. If no rate does, it proposes none.
func TestABreachProposesARate(t *testing.T) {
	proposes := regexp.MustCompile(`set expect.normal to ([0-9.]+)$`)
	for _, batches := range []int{1, 30} {
		for batch := -1; batch < min(batches-1, 1); batch++ {
			for begun := 1; begun <= 300; begun += 7 {
				for failed := 1; failed <= begun; failed++ {
					tolerates := func(e Expect) bool {
						p := Policy{Expect: &e}
						tables := p.expectTables(300, batches, 300)
						table := tables.Plan
						if batch >= 0 {
							table = tables.Batch
						}
						return failed <= table.Tolerated(begun)
					}
					e := Expect{Normal: 0.01, Alpha: 0.01}
					if tolerates(e) {
						continue
					}
					text := e.remedy(&expectTest{batch: batch, failed: failed, begun: begun}, batches)
					var want, got string
					for _, rate := range []float64{0.02, 0.05, 0.1, 0.2, 0.5} {
						if e.Normal = rate; want == "" && tolerates(e) {
							want = strconv.FormatFloat(rate, 'g', -1, 64)
						}
					}
					if found := proposes.FindStringSubmatch(text); found != nil {
						got = found[1]
					}
					require.Equal(t, want, got, "%d of %d failed: %s", failed, begun, text)
				}
			}
		}
	}
}

// trial is a plan in which each agent fails with a rate. Calls that fail are faster than others. It
// returns at how many failures Expect stops it; 0: it does not.
func trial(r *rand.Rand, p *Policy, t *expectTables, sizes []int, rate float64, flight, speed int) int {
	var plan evidence
	for _, size := range sizes {
		var b evidence
		var fast, slow, begun int
		for range size {
			for ; begun < size && fast+slow < flight; begun++ {
				if r.Float64() < rate {
					fast++
				} else {
					slow++
				}
			}
			failed := 0
			if r.IntN(fast*speed+slow) < fast*speed {
				fast, failed = fast-1, 1
			} else {
				slow--
			}
			plan.Failed, plan.Finished, b.Failed, b.Finished = plan.Failed+failed, plan.Finished+1, b.Failed+failed, b.Finished+1
			all, own := plan.test(-1, fast+slow, t.Plan), b.test(0, fast+slow, t.Batch)
			if p.Expect != nil && (all.exceeded() || len(sizes) > 1 && own.exceeded()) {
				return plan.Failed
			}
		}
	}
	return 0
}

// A release that is as good as usual is stopped in at most Alpha of 10,000 plans, in batches, and also
// if failures are 50 times as fast as successes. A worse one is found.
func TestExpectAndFastFailures(t *testing.T) {
	sizes := []int{20, 50, 100, 200, 400, 230}
	for _, c := range []struct {
		normal, times float64
		flight, speed int
		least, most   float64 // share of plans that are stopped
		failed        float64 // on average, at most
	}{
		{0.01, 1, 50, 50, 0, 0.01, 30},
		{0.01, 1, 500, 50, 0, 0.01, 60},
		{0.05, 1, 50, 50, 0, 0.01, 90},
		{0.01, 4, 50, 1, 0.99, 1, 14},
		{0.01, 100, 1, 1, 1, 1, 2},
	} {
		p := Policy{Expect: &Expect{Normal: c.normal}}.withDefaults()
		tables := p.expectTables(1000, len(sizes), 400)
		r := rand.New(rand.NewPCG(1, 2))
		stopped, failed := 0, 0
		for range 10_000 {
			if n := trial(r, &p, &tables, sizes, c.normal*c.times, c.flight, c.speed); n > 0 {
				stopped, failed = stopped+1, failed+n
			}
		}
		share := float64(stopped) / 10_000
		require.LessOrEqual(t, share, c.most, "%+v", c)
		require.GreaterOrEqual(t, share, c.least, "%+v", c)
		require.LessOrEqual(t, float64(failed)/float64(max(stopped, 1)), c.failed, "%+v", c)
	}
}

// Rare failures have proposals of their own size: a rate of one in 10,000 is not answered by 0.005.
func TestABreachProposesARareRate(t *testing.T) {
	e := Expect{Normal: 1e-5, Alpha: 0.01}
	text := e.remedy(&expectTest{batch: -1, failed: 6, begun: 61_110}, 5)
	require.Equal(t, "0.00982 % failed, 0.001 % is usual; if more is usual here, set expect.normal to 0.00002", text)
}
