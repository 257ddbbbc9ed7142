package ota

import (
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// step folds the input, judges the result, and carries out decisions until it has to wait or has
// enough for one commit. wake is when to call step again without an input.
//
// If it needs rows, it returns that need. The shell loads them and calls step again. The work done
// so far stays in the state.
func (s *state) step(now time.Time) (n need, wake time.Time) {
	if n := s.countBudgets(); n.kind != needNothing {
		return n, time.Time{}
	}
	n = s.fold(now)
	if n.kind == needNothing && !s.change.again {
		n, wake = s.decideAll(now)
	}
	if n.kind == needNothing {
		s.recordStatus(now)
		wake = s.recordWait(now, wake)
	}
	return n, wake
}

// fold folds everything that happened, in a fixed order: orders of operators, results of calls,
// the time. Then it judges.
//
// Each part either finishes or returns the rows that it needs; fold then starts again, and finished
// parts are no-ops.
func (s *state) fold(now time.Time) need {
	ns := now.UnixNano()
	if n := s.foldOrders(now); n.kind != needNothing || s.change.again {
		return n
	}
	if n := s.foldUnconfirmed(ns); n.kind != needNothing {
		return n
	}
	s.foldRefusal(now)
	s.foldOutcomes()
	if n := s.foldReports(); n.kind != needNothing {
		return n
	}
	s.foldInspects()
	if n := s.foldPrechecks(); n.kind != needNothing {
		return n
	}
	s.foldGates(now)
	if n := s.foldHealth(); n.kind != needNothing {
		return n
	}
	if n := s.foldTimers(ns); n.kind != needNothing {
		return n
	}
	s.judge(now)
	return need{}
}

// decideAll carries out one decision after another until the next one is to wait.
func (s *state) decideAll(now time.Time) (need, time.Time) {
	v := &s.deciding
	for {
		if s.spec.Batches > s.p.Batch && s.current() == nil {
			return need{kind: needBatch, from: s.p.Batch}, time.Time{}
		}
		s.limitBlocked(now.UnixNano())
		s.nextTurns()
		*v = s.view(now.UnixNano())
		switch d := v.decide(); d.action {
		case actWait, actAsk:
			n, due := s.ask(d, now)
			return n, stamp(earlier(earlier(d.wake, due), s.nextTimeout(v)))
		default:
			if n := s.carryOut(d, now); n.kind != needNothing || s.change.again {
				return n, time.Time{}
			}
		}
	}
}

// ask asks about the batch, if that was decided, and compares with agents that the plan has not
// begun. It returns when to ask again.
func (s *state) ask(d decision, now time.Time) (n need, due int64) {
	if d.action == actAsk {
		n, due = s.probe(now.UnixNano())
		if d.gate && n.kind == needNothing && s.status() == StatusRunning {
			due = earlier(due, s.askGate(now))
		}
	}
	if n.kind != needNothing {
		return n, due
	}
	n, compare := s.compare(now.UnixNano())
	return n, earlier(due, compare)
}

// carryOut applies a decision to the state. Calls and questions wait for the commit.
func (s *state) carryOut(d decision, now time.Time) need {
	b := s.current()
	switch d.action {
	case actSweep:
		s.sweep(now.UnixNano(), orderChunk)
		s.change.again = true
	case actOpenBatch:
		b.Status, b.StartedAt = BatchRunning, now
		s.p.Reached = max(s.p.Reached, b.Index)
		s.startClock(b, now)
		s.noteStart(b, now.UnixNano())
		s.event(Event{Kind: EventBatchStarted, Batch: b.Index, Number: b.Size})
		s.enterBatch()
	case actStart:
		return s.pick(d, now.UnixNano())
	case actStartUrgent:
		s.startUrgent(d, now.UnixNano())
	case actStarve:
		s.starvedVerdict(now)
	case actFinishBatch:
		s.finishBatch(b, now)
	case actCloseBatch:
		s.closeBatch(b, now)
	case actNextBatch:
		if next := s.p.Batch + 1; next < s.spec.Batches && s.batch(next) == nil {
			return need{kind: needBatch, from: next} // the queues are built for it
		}
		s.p.Batch++
		if b := s.current(); b != nil && (b.Status == BatchRunning || b.Status == BatchSoaking) {
			s.startClock(b, now) // it waited for an earlier batch that ran again
		}
		s.enterBatch()
	case actComplete:
		s.p.End = StatusCompleted
	}
	return need{}
}

// finishBatch moves a batch on when all its agents have ended, or when it goes on without those that
// are out: it soaks, or closes at once.
func (s *state) finishBatch(b *batch, now time.Time) {
	b.FinishedAt, b.HealthySince = now, now
	s.dirtyBatch(b)
	observed := s.c.Policy.at(b.Index).soaks || s.calls.gater || s.calls.prober
	last := b.Index+1 == s.spec.Batches && (s.c.Policy.Complete.Min > 0 || s.p.Stragglers > 0) // it may have to wait
	changed := b.Changed+b.out() > 0                                                           // an agent that is out may be changed
	if b.Unhealthy == 0 && !last && (changed && !observed || !changed && !b.Canary) {
		s.closeBatch(b, now)
		return
	}
	b.Status = BatchSoaking
	s.probing.beginSoak(b)
	s.gating = false // an open question is about an earlier soak
	s.event(Event{Kind: EventBatchSoaking, Batch: b.Index})
}

// closeBatch completes a batch.
func (s *state) closeBatch(b *batch, now time.Time) {
	b.Status, b.ClosedAt = BatchCompleted, now
	b.InUseLabel, b.InUse = "", nil
	s.leaveStragglers(b)
	// An unfinished round of probes asks about this batch. Its answers are not needed any more.
	s.probing.active = false
	if s.c.Policy.Halve {
		s.p.Halved = halved(s.p.Halved, s.c.Policy.at(b.Index).concurrency, b.Counts.Bad())
	}
	s.dirtyBatch(b)
	e := Event{Kind: EventBatchCompleted, Batch: b.Index, Number: b.Counts.Bad()}
	if n := b.out(); n > 0 {
		e.Text = plural.Are(n, "agent") + " out"
	}
	s.event(e)
}
