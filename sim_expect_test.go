package ota

import (
	"slices"

	"github.com/seed-19b57ce3/ota/internal/expect"
)

// refEvidence is what the referee counts of the agents by which Expect judges: of a plan or a batch.
type refEvidence struct {
	failed, finished, open int
	putBack                int // failed before this commit, and not after it
}

// evidenceOf counts rows. The plan is the key -1. failed says which rows counted as failed at the
// last call, and is brought up to date.
func evidenceOf(rows []agentRow, failed map[int]bool) map[int]refEvidence {
	all := map[int]refEvidence{}
	for i := range rows {
		a := &rows[i]
		var e refEvidence
		why := ReasonNone
		for k := range a.State.tasks() {
			if t := a.State.task(k); t.Status == TaskFailed || t.Status == TaskUnknown {
				why = t.Why
			}
		}
		switch {
		case a.State.Flags&agentOpen != 0:
			e.open = 1
		case a.State.Status == TaskSucceeded && a.State.Flags&agentChanged != 0:
			e.finished = 1
		case why == ReasonUnreachable, why == ReasonThrottled:
		case a.State.Status == TaskFailed, a.State.Status == TaskUnknown:
			e.failed, e.finished = 1, 1
		}
		if failed[i] && e.failed == 0 {
			e.putBack = 1
		}
		failed[i] = e.failed == 1
		for _, k := range []int{-1, a.Batch} {
			n := all[k]
			all[k] = refEvidence{n.failed + e.failed, n.finished + e.finished, n.open + e.open, n.putBack + e.putBack}
		}
	}
	return all
}

// expects checks what Expect counts, that every breach of it is right, and that none is missing.
func (r *referee) expects(p *refPlan, before, after *planRow, rows []agentRow, batches []batchRow, rec *Record) {
	now := evidenceOf(rows, p.failed)
	r.evidence(p, after, now, batches)
	e := after.Control.Policy.Expect
	switch {
	case e == nil:
		return
	case after.Source != "":
		r.fail("rollback plan %s has an Expect", p.id)
	}
	r.reserves(p, after, rows, now)
	for k, n := range now {
		failed, begun := max(0, n.failed-p.before[k].failed), max(0, n.finished+n.open-p.before[k].finished)
		tolerated := r.tolerated(after, k, begun)
		for _, b := range after.Progress.Breaches {
			if b.Reason == ReasonExpect && b.Batch == k && b.Number > before.Progress.LastBreach && b.Failed <= r.tolerated(after, k, b.Size) {
				r.fail("a breach of %s in %d for %d of %d failed", p.id, k, b.Failed, b.Size)
			}
		}
		st := statusOf(&after.Control, &after.Progress)
		judged := after.ProgressNumber > before.ProgressNumber && after.Control.OrderCount <= after.Progress.LastOrder
		if st == StatusRunning && judged && after.Control.Policy.OnBreach != ActionContinue && failed > tolerated && r.inMemory(k, batches) {
			r.fail("plan %s goes on with %d of %d failed in %d, %d are tolerated", p.id, failed, begun, k, tolerated)
		}
	}
}

// inMemory reports whether the engine surely has a batch in memory, and so judges it.
func (r *referee) inMemory(k int, batches []batchRow) bool {
	return k < 0 || batches[k].Status == BatchRunning || batches[k].Status == BatchSoaking
}

// tolerated is what the plan (-1) or a batch tolerates, from the definition.
func (r *referee) tolerated(row *planRow, k, begun int) int {
	e := row.Control.Policy.Expect
	switch alpha := e.Alpha; {
	case row.Spec.Batches == 1 && k >= 0:
		return begun
	case row.Spec.Batches == 1:
	case k < 0:
		alpha /= 2
		return expect.New(e.Normal, alpha, begun).Tolerated(begun)
	default:
		alpha = alpha / 2 / float64(row.Spec.Batches)
		return expect.New(e.Normal, alpha, begun).Tolerated(begun)
	}
	return expect.New(e.Normal, e.Alpha, begun).Tolerated(begun)
}

// evidence compares the stored counters with the rows, and follows what was accepted: an Accept that is
// carried out accepts everything from before that commit, in the plan and in each batch in memory.
func (r *referee) evidence(p *refPlan, after *planRow, now map[int]refEvidence, batches []batchRow) {
	stored := map[int]evidence{-1: after.Progress.Evidence}
	for i := range batches {
		stored[i] = batches[i].Evidence
	}
	accepted := p.accepting != 0 && p.accepting <= after.Progress.LastOrder
	for k, s := range stored {
		base := p.before[k]
		if was := p.evidence[k]; accepted && (r.inMemory(k, batches) || s.FinishedBefore == was.finished && s.FailedBefore == was.failed) {
			base = was
		}
		// Orders come first in a commit: what they put back is gone before another agent fails.
		if n := base.failed - (p.evidence[k].failed - now[k].putBack); n > 0 {
			base.failed, base.finished = base.failed-n, base.finished-n
		}
		base.open = 0
		p.before[k] = base
		if want := (evidence{now[k].failed, now[k].finished, base.failed, base.finished}); s != want {
			r.fail("plan %s counts %+v in %d; its rows are %+v", p.id, s, k, want)
		}
	}
	p.evidence = now
	if accepted {
		p.accepting = 0
	}
	for _, o := range after.Control.Orders {
		if o.Kind == orderAccept && o.Number > after.Progress.LastOrder {
			p.accepting = o.Number
		}
	}
}

// reserves checks that at most one agent more than tolerated could fail, until a person has decided or
// an agent turned unhealthy.
func (r *referee) reserves(p *refPlan, after *planRow, rows []agentRow, now map[int]refEvidence) {
	unhealthy := slices.ContainsFunc(rows, func(a agentRow) bool { return turnedUnhealthy(&a.State) })
	if !after.Control.Policy.Reserve || p.loose || p.decided || unhealthy {
		return
	}
	for k, n := range now {
		if most := r.tolerated(after, k, n.finished+n.open) + 1; n.failed+n.open > most {
			r.fail("plan %s reserves: %d failed and %d are open in %d, at most %d may be", p.id, n.failed, n.open, k, most)
		}
	}
}

// expectations give every fifth random plan, the one that would tolerate every failure, an Expect, and
// half of those with a threshold of 0.1 the default. They draw from the choices made already, so that
// the schedules of the other plans stay what they are.
func expectations(p *Policy, n int) {
	switch *p.FailureThreshold {
	case 1:
		p.Expect = &Expect{Normal: []float64{1e-6, 0.01, 0.2}[n%3], Alpha: []float64{0.5, 0.01}[n%2]}
		if n%4 == 0 {
			p.FailureThreshold = nil
		}
	case 0.1:
		if n%2 == 0 {
			p.FailureThreshold, p.Scope = nil, ScopeBatch
		}
	}
}
