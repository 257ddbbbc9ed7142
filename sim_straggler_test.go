package ota

import (
	"math/rand/v2"
	"slices"
	"time"
)

// simStragglers are drawn from a generator of their own, so that schedules without them stay as they are.
func simStragglers(n int) (s Stragglers) {
	if draw := rand.New(rand.NewPCG(uint64(n), 1208)); draw.IntN(3) == 0 {
		s.Share = []float64{0.2, 0.5, 1}[draw.IntN(3)]
		s.After = []time.Duration{time.Second, 10 * time.Second, 2 * time.Minute}[draw.IntN(3)]
	}
	return s
}

// stragglers checks that a batch goes on without agents only by the plan's rule or by a person, that these
// agents are counted, and that no plan is completed while one is out or has not answered.
func (r *referee) stragglers(p *refPlan, after *planRow, rec *Record, rows []agentRow, batches []batchRow) {
	per, lowest := make([]int, len(batches)), len(batches)
	for i := range rows {
		a := &rows[i]
		b, out := &batches[a.Batch], busy(a.State.Status)
		flagged := a.State.Flags&agentStraggler != 0
		if flagged {
			per[a.Batch]++
			lowest = min(lowest, a.Batch)
		}
		switch {
		case flagged && !out && (a.State.Status != TaskSucceeded || a.State.Flags&agentChanged == 0):
			r.fail("agent %s is a straggler, and it is %s", a.Agent.ID, a.State.Status)
		case b.Status == BatchCompleted && !a.State.Status.Finished() && !(out && flagged):
			r.fail("batch %d of %s is closed, and agent %s is %s, a straggler: %t", b.Index, p.id, a.Agent.ID, a.State.Status, flagged)
		case rec.Status == StatusCompleted && (out || flagged && !r.w.every):
			r.fail("plan %s is completed, and agent %s is %s, a straggler: %t", p.id, a.Agent.ID, a.State.Status, flagged)
		}
	}
	sum := 0
	for i := range batches {
		sum += per[i]
		if batches[i].Stragglers != per[i] {
			r.fail("batch %d of %s counts %d stragglers, it has %d", i, p.id, batches[i].Stragglers, per[i])
		}
	}
	if after.Progress.Stragglers != sum || sum > 0 && after.Progress.StragglersFrom > lowest {
		r.fail("plan %s counts %d stragglers from batch %d on, it has %d from %d on", p.id, after.Progress.Stragglers, after.Progress.StragglersFrom, sum, lowest)
	}
	r.goesOn(p, after, rec, batches)
}

// goesOn checks each batch that soaks or closes now while agents of it are out.
func (r *referee) goesOn(p *refPlan, after *planRow, rec *Record, batches []batchRow) {
	for _, e := range rec.Events {
		switch e.Kind {
		case EventBatchStarted, EventBatchReopened:
			p.began[e.Batch], p.left[e.Batch] = rec.At, false
		case EventTaskStarted, EventTaskRepeated:
			if e.Number == 1 || e.Kind == EventTaskRepeated {
				p.began[e.Batch] = rec.At
			}
		case EventBatchSoaking, EventBatchCompleted:
			b, rule := &batches[e.Batch], after.Control.Policy.Stragglers
			if p.left[e.Batch] || b.out() == 0 {
				continue
			}
			p.left[e.Batch] = true
			waited := rec.At.Sub(p.began[e.Batch])
			few := float64(b.out())/float64(b.Size) <= rule.Share && waited >= rule.After
			if e.Batch+1 == len(batches) || !few && after.Control.StragglersAccepted <= e.Batch && !p.loose {
				r.fail("batch %d of %s goes on without %d of %d agents, %s after its last start: %+v", e.Batch, p.id, b.out(), b.Size, waited, rule)
			}
		}
	}
}

// isLate reports whether an agent was a straggler at the last commit: its health counts after its batch has closed.
func (p *refPlan) isLate(agent string) bool { return slices.Contains(p.late, agent) }

func (p *refPlan) keepLate(rows []agentRow) {
	p.late = p.late[:0]
	for i := range rows {
		if rows[i].State.Flags&agentStraggler != 0 {
			p.late = append(p.late, rows[i].Agent.ID)
		}
	}
}
