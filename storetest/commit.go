package storetest

import (
	"math"
	"time"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleControl  = "a commit whose Control is not the stored number is ErrConflict"
	ruleProgress = "an owner's commit whose Progress is not the stored number is ErrConflict"
	ruleExact    = "an exact verb whose Progress is not the stored number is ErrConflict"
	ruleHead     = "Head is what the last commit with one wrote"
	ruleRows     = "a commit with a row that the plan does not have is ErrRefused"
)

var commitCases = cases{
	{"EachCommitIsOneRevisionHigher", func(e *env) {
		const rule = "Commit returns the plan's new revision, which is one higher each time"
		e.made("p")
		e.made("q")
		for want := uint64(2); want < 8; want++ {
			c := e.owner("p")
			if want%2 == 0 {
				c = e.verb("p")
			}
			e.same(rule, e.commit(c), want)
			e.same(rule, e.plan("p").Revision, want)
		}
		e.same("a commit changes no other plan", e.plan("q").Revision, 1)
	}},
	{"PartsThatAreZeroAreLeft", func(e *env) {
		const rule = "parts of a commit that are zero are left as they are"
		e.made("p")
		want := e.everything("p")
		c := e.verb("p")
		e.commit(c)
		want.Plan.Revision++
		want.Log = append(want.Log, ota.LogRow{Revision: 2, Data: c.Log})
		e.same(rule, e.everything("p"), want)
	}},
	{"PartsThatAreGivenReplace", func(e *env) {
		const rule = "a commit applies everything that it carries"
		e.made("p")
		want := e.everything("p")
		c := e.changing(1)
		e.commit(c)
		want.apply(c)
		e.same(rule, e.everything("p"), want)
	}},
	{"EachHalfHasItsOwnNumber", func(e *env) {
		const rule = "only a new half, or BumpControl, raises its number, by one"
		e.made("p")
		numbers := func(control, progress uint64) {
			p := e.plan("p")
			e.that(rule, p.ControlNumber == control && p.ProgressNumber == progress, "got Control %d and Progress %d, want %d and %d",
				p.ControlNumber, p.ProgressNumber, control, progress)
		}
		verb := e.verb("p")
		verb.NewControl = &ota.Control{Schema: ota.Schema, Promoted: 1}
		e.commit(verb)
		numbers(2, 1)
		owner := e.owner("p")
		owner.NewProgress = &ota.Progress{Schema: ota.Schema, Batch: 1}
		e.commit(owner)
		numbers(2, 2)
		breach := e.owner("p")
		breach.NewProgress = &ota.Progress{Schema: ota.Schema, LastBreach: 1}
		breach.BumpControl = true
		e.commit(breach)
		numbers(3, 3)
		e.same("BumpControl leaves the Control half as it is", e.plan("p").Control, verb.NewControl)
		e.commit(e.owner("p"))
		numbers(3, 3)
		both := e.changing(1)
		both.BumpControl = true
		e.commit(both)
		numbers(4, 4)
	}},
	{"AStaleControlNumberIsErrConflict", func(e *env) {
		e.made("p")
		verb := e.changing(1)
		verb.Owner = false
		owner := e.changing(2)
		pause := e.verb("p")
		pause.NewControl = &ota.Control{Schema: ota.Schema}
		e.commit(pause)
		e.refused(ruleControl, verb, ota.ErrConflict)
		e.refused(ruleControl, owner, ota.ErrConflict)
		owner.Control = 99
		e.refused(ruleControl, owner, ota.ErrConflict)
	}},
	{"AStaleProgressNumberIsErrConflict", func(e *env) {
		e.made("p")
		stale := e.changing(1)
		step := e.owner("p")
		step.NewProgress = &ota.Progress{Schema: ota.Schema}
		e.commit(step)
		e.refused(ruleProgress, stale, ota.ErrConflict)
		stale.Progress = 99
		e.refused(ruleProgress, stale, ota.ErrConflict)
	}},
	{"AVerbComparesProgressOnlyWhenExact", func(e *env) {
		e.made("p")
		exact := e.verb("p")
		exact.Exact, exact.Progress = true, 1
		exact.NewControl = &ota.Control{Schema: ota.Schema, Promoted: 3}
		plain := e.verb("p")
		step := e.owner("p")
		step.NewProgress = &ota.Progress{Schema: ota.Schema}
		e.commit(step)
		e.refused(ruleExact, exact, ota.ErrConflict)
		_, err := e.store.Commit(e.ctx, plain)
		e.ok("a verb that is not exact does not look at Progress", err)
		exact.Progress = 2
		_, err = e.store.Commit(e.ctx, exact)
		e.ok("an exact verb with the stored number is applied", err)
	}},
	{"AStatusAloneIsKept", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.Status = ota.StatusPaused
		e.commit(c)
		e.same("Status is what the last commit wrote", e.plan("p").Status, ota.StatusPaused)
		e.commit(e.verb("p"))
		e.same("a commit without a Status leaves it", e.plan("p").Status, ota.StatusPaused)
	}},
	{"AHeadIsKeptAsAWhole", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.Head = &ota.Head{
			Status: ota.StatusCompleted, Hold: ota.ReasonBlocked, Since: e.now(1), Person: true, Ended: e.now(2), Owner: "engine",
			Coverage: ota.CoverageAll, Show: []byte(`{"breach": "\"ü\" 1 of 2"}`),
		}
		c.Status = c.Head.Status
		e.commit(c)
		e.same(ruleHead, e.plan("p").Head, c.Head)
		e.commit(e.verb("p"))
		e.same("a commit without a Head leaves it", e.plan("p").Head, c.Head)
		c = e.verb("p")
		c.Status, c.Head = ota.StatusPaused, &ota.Head{Status: ota.StatusPaused}
		e.commit(c)
		e.same(ruleHead, e.plan("p").Head, c.Head)
	}},
	{"ARowThatIsNotThereIsRefused", func(e *env) {
		e.made("p")
		for _, n := range []int{-1, 6, math.MaxInt} {
			c := e.changing(1)
			c.Agents = append(c.Agents, ota.AgentRow{Ordinal: n})
			e.refused(ruleRows, c, ota.ErrRefused)
		}
		for _, n := range []int{-1, 3} {
			c := e.changing(1)
			c.Batches = append(c.Batches, ota.BatchRow{Index: n})
			e.refused(ruleRows, c, ota.ErrRefused)
		}
	}},
	{"AnEmptyLogIsRefused", func(e *env) {
		e.made("p")
		c := e.changing(1)
		c.Log = nil
		e.refused("a commit without a log record is ErrRefused", c, ota.ErrRefused)
	}},
	{"OnlyAnOwnerRaises", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.Raise = true
		e.refused("a commit that raises the epoch and is no owner's is ErrRefused", c, ota.ErrRefused)
	}},
	{"TheIdenticalCommitTwiceConflicts", func(e *env) {
		e.made("p")
		c := e.changing(1)
		e.commit(c)
		e.refused("the identical commit, sent twice, lands once: the second is ErrConflict", c, ota.ErrConflict)
	}},
	{"TheAgentPartIsNotLookedAt", func(e *env) {
		p := e.made("p")
		c := e.owner("p")
		c.Agents = []ota.AgentRow{{Ordinal: 4, Batch: 99, Agent: ota.AgentSpec{ID: "other"}, State: e.busy(1)}}
		e.commit(c)
		p.agents[4].State = e.busy(1)
		e.same("a commit changes the State of an agent and nothing else of it", e.agents("p", ota.RowQuery{}), p.agents)
	}},
	{"FurtherTasksComeAndGo", func(e *env) {
		p := e.made("p")
		for _, n := range []int{2, 3, 0, 1} {
			c := e.owner("p")
			state := e.busy(n)
			state.Rest = make([]ota.TaskState, n)
			for i := range state.Rest {
				state.Rest[i] = ota.TaskState{Status: ota.TaskRunning, Number: uint32(10*n + i)}
			}
			if n == 0 {
				state.Rest, state.More = nil, nil
			}
			c.Agents = []ota.AgentRow{{Ordinal: 5, State: state}}
			e.commit(c)
			p.agents[5].State = state
			e.same("a commit replaces the whole State of an agent", e.agents("p", ota.RowQuery{}), p.agents)
		}
	}},
}

// changing returns an owner's commit that changes every part of a plan that made has made.
func (e *env) changing(n int) ota.Commit {
	c := e.owner("p")
	threshold := 0.5
	c.Request = "request"
	c.NewControl = &ota.Control{
		Schema: ota.Schema, Annotations: map[string]string{"note": "changed"},
		Started: &ota.Audit{At: e.now(n), Actor: "ann", Reason: "go"},
		Paused:  &ota.Audit{At: e.now(n), Actor: "bob"},
		Cancel:  &ota.Stop{Audit: ota.Audit{At: e.now(n)}, Interrupt: true},
		Rollback: &ota.RollbackRef{
			ID: "back",
			Spec: ota.RollbackSpec{
				Name: "back", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"},
				Policy: &ota.Policy{FailureThreshold: &threshold},
			},
			Frozen: ota.Audit{At: e.now(n)}, Started: &ota.Stop{Audit: ota.Audit{At: e.now(n)}}, Done: e.now(n),
		},
		Orders:           []ota.Order{{Number: 1, Kind: ota.OrderRetry, Agents: []string{"a", "b"}, Batches: []int{-1, 2}, By: ota.Audit{At: e.now(n)}}},
		RolledBackBreach: 1,
		Requests:         []ota.PastRequest{{ID: "request", Verb: ota.VerbPause}},
	}
	c.NewProgress = &ota.Progress{
		Schema: ota.Schema, Owner: "engine", At: e.now(n), Batch: 1, Counts: ota.Counts{Waiting: 1, Pending: 5}, Changed: 1,
		Breaches: []ota.Breach{{Number: 1, Reason: ota.ReasonThreshold, At: e.now(n), Text: "two"}}, LastBreach: 1,
		EndedAt: e.now(n), End: ota.StatusCanceled, Reached: 1,
	}
	c.Status = ota.StatusPausing
	c.Head = &ota.Head{Status: c.Status, Hold: ota.ReasonBreached, Since: e.now(n), Owner: "engine", Coverage: ota.CoveragePartial}
	c.Batches = []ota.BatchRow{{
		Index: 2, Name: "batch 4", First: 4, Size: 2, Status: ota.BatchRunning, Cursor: 5, Open: 1,
		Counts: ota.Counts{Waiting: 1, Pending: 1}, Tasks: ota.Counts{Waiting: 1, Pending: 3}, StartedAt: e.now(n), FinishedAt: e.now(n), HealthySince: e.now(n),
		ClosedAt: e.now(n), Changed: n, Unhealthy: n + 1, Accepted: n + 2, Continued: true, Canary: true, PausedFor: time.Duration(n + 3),
		TimeoutReported: true, Gate: ota.GateFail, GateAt: e.now(n), Inconclusive: n + 4, GateErrors: n + 5,
	}}
	c.Agents = []ota.AgentRow{{Ordinal: 1, State: e.busy(n)}, {Ordinal: 4, State: e.busy(n + 1)}}
	return c
}

// apply does to x what a store should do when it accepts c.
func (x *everything) apply(c ota.Commit) {
	x.Plan.Revision++
	if c.NewControl != nil {
		x.Plan.Control = *c.NewControl
		x.Plan.ControlNumber++
	}
	if c.NewProgress != nil {
		x.Plan.Progress = *c.NewProgress
		x.Plan.ProgressNumber++
	}
	x.Plan.Status = c.Status
	if c.Head != nil {
		x.Plan.Head = *c.Head
	}
	for _, b := range c.Batches {
		x.Batches[b.Index] = b
	}
	for _, a := range c.Agents {
		x.Agents[a.Ordinal].State = a.State
	}
	x.Log = append(x.Log, ota.LogRow{Revision: x.Plan.Revision, Request: c.Request, Data: c.Log})
}
