package ota

import (
	"cmp"
	"strconv"

	"github.com/seed-19b57ce3/ota/internal/expect"
	"github.com/seed-19b57ce3/ota/internal/plural"
)

// The defaults of an Expect.
const (
	DefaultNormal = 0.01
	DefaultAlpha  = 0.01
)

// Expect says how often agents usually fail with a good release. The plan learns from every agent:
// more failures than that explains are a breach, with the reason expect. The test needs no smallest
// sample and no schedule. It judges the whole plan, and each batch by itself.
//
// If each agent fails with a probability of at most Normal, the plan is stopped by mistake with a
// probability of at most Alpha. A release that is no worse than usual is not found. A usual rate
// above Normal stops good releases.
//
// An agent counts as begun when it has succeeded with a change, or has failed, or is open. An agent
// that was away until its last answer, was skipped, or had the target already, does not count.
// Alpha counts on agents that fail for reasons of their own: see docs/policies.md.
type Expect struct {
	// Normal is the largest usual rate of failures: the fraction of agents that fail with a good
	// release. 0.000001 to 0.5.
	Normal float64 `json:"normal"`
	// Alpha is the largest tolerated probability of a stop by mistake, for the whole plan. 1e-12 to
	// 0.5; 0 means DefaultAlpha.
	Alpha float64 `json:"alpha,omitempty"`
}

func (e *Expect) check(m *mistakes) {
	if e == nil {
		return
	}
	m.fraction("expect.normal", e.Normal, 1e-6, 0.5, "0.000001 to 0.5; for a breach at the first failure, use failureThreshold 0")
	if e.Alpha != 0 {
		m.fraction("expect.alpha", e.Alpha, 1e-12, 0.5, "1e-12 to 0.5; 0 means 0.01")
	}
}

// judgement is the memory of the two rules by which a policy judges failures: one allocation.
type judgement struct {
	threshold float64
	expect    Expect
}

// judgeByDefault fills in how failures are judged. A threshold that is given stands alone, and so
// does an Expect. Without both, Expect judges the plan, and the threshold its first batch.
func (p *Policy) judgeByDefault() {
	own := &judgement{DefaultFailureThreshold, Expect{Normal: DefaultNormal}}
	switch {
	case p.FailureThreshold != nil:
		own.threshold = *p.FailureThreshold
	case p.Expect != nil:
		own.threshold = 1
	default:
		p.Expect = &own.expect
		if p.Scope == ScopeBatch {
			p.Scope = ScopeFirst
		}
	}
	p.FailureThreshold = &own.threshold
	if p.Expect != nil {
		own.expect = *p.Expect
		own.expect.Alpha = cmp.Or(own.expect.Alpha, DefaultAlpha)
		p.Expect = &own.expect
	}
}

// judgedAsRollback returns the policy of a rollback plan, defaults filled in. A rollback has no
// Expect: its agents were chosen because their release is bad. So its threshold judges every batch.
// It compares with no other agents.
func (p Policy) judgedAsRollback() Policy {
	if p.FailureThreshold == nil || p.Expect != nil && *p.FailureThreshold == 1 {
		threshold := DefaultFailureThreshold
		p.FailureThreshold = &threshold
	}
	p.Soak.Compare = Off
	p.Stages = nil
	if p.Expect = nil; p.Scope == ScopeFirst {
		p.Scope = ScopeBatch
	}
	return p.withDefaults()
}

// expectTables are what Expect tolerates among the agents that have begun.
type expectTables struct {
	Plan expect.Table `json:"plan,omitempty"`
	// Batch is for each batch of a plan with several. Half of Alpha is the plan's, the other half
	// is shared by the batches.
	Batch expect.Table `json:"batch,omitempty"`
}

func (p *Policy) expectTables(agents, batches, largest int) (t expectTables) {
	if e := p.Expect; e != nil {
		t.Plan = expect.New(e.Normal, e.alpha(-1, batches), agents)
		if batches > 1 {
			t.Batch = expect.New(e.Normal, e.alpha(0, batches), largest)
		}
	}
	return t
}

// alpha is the share of Alpha for the test of a batch, or of the plan for -1.
func (e *Expect) alpha(batch, batches int) float64 {
	switch {
	case batches < 2:
		return e.Alpha
	case batch < 0:
		return e.Alpha / 2
	default:
		return e.Alpha / 2 / float64(batches)
	}
}

// evidence counts the agents by which Expect judges, of a plan or of a batch.
type evidence struct {
	Failed   int `json:"failed,omitempty"`
	Finished int `json:"finished,omitempty"` // Failed, and those that succeeded and were changed
	// FailedBefore and FinishedBefore are of these: those that count no more since Accept.
	FailedBefore   int `json:"failedBefore,omitempty"`
	FinishedBefore int `json:"finishedBefore,omitempty"`
}

// accept begins the test anew. Agents that are open now belong to the new test.
func (e *evidence) accept() { e.FailedBefore, e.FinishedBefore = e.Failed, e.Finished }

// retried drops accepted failures that are to be upgraded again.
func (e *evidence) retried() {
	if n := e.FailedBefore - e.Failed; n > 0 {
		e.FailedBefore -= n
		e.FinishedBefore -= n
	}
}

// expectTest is what Expect compares: of the plan, whose batch is -1, or of one batch.
type expectTest struct {
	batch     int
	failed    int // since the last Accept, as all of these
	open      int
	begun     int
	tolerated int
}

func (t *expectTest) exceeded() bool { return t.failed > t.tolerated }

// room is how many more agents may start before as many could fail as are a breach.
func (t *expectTest) room() int { return t.tolerated + 1 - t.failed - t.open }

// String has the numbers, for example "2 of 100 agents failed, 6 are tolerated".
func (t *expectTest) String() string {
	return strconv.Itoa(t.failed) + " of " + plural.Count(t.begun, "agent") + " failed, " +
		strconv.Itoa(t.tolerated) + " " + plural.Verb(t.tolerated, "is", "are") + " tolerated"
}

func (e *evidence) test(batch, open int, table expect.Table) expectTest {
	t := expectTest{batch: batch, open: open, failed: max(0, e.Failed-e.FailedBefore), begun: max(0, e.Finished-e.FinishedBefore+open)}
	t.tolerated = table.Tolerated(t.begun)
	return t
}

// usualRates are the rates that a breach proposes as Normal.
var usualRates = []float64{
	0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
}

// remedy says how many failed in percent, and which Normal would tolerate that.
func (e *Expect) remedy(t *expectTest, batches int) string {
	text := percent(float64(t.failed)/float64(max(t.begun, 1)), 3) + " failed, " + percent(e.Normal, 3) + " is usual"
	for _, rate := range usualRates {
		if rate > e.Normal && expect.Explains(rate, e.alpha(t.batch, batches), t.begun, t.failed) {
			return text + "; if more is usual here, set expect.normal to " + strconv.FormatFloat(rate, 'f', -1, 64)
		}
	}
	return text
}
