package ota

import (
	"math"
	"time"
)

func (s *state) view(now int64) view {
	v := view{
		status: s.status(), spec: &s.spec, c: &s.c, p: &s.p, now: now, calls: s.calls,
		slotted: s.queue.slotted(), inLine: s.queue.lanes.InLine(),
		prechecking: len(s.queue.checks.of), ready: s.queue.checks.ready.Len(), blocked: s.queue.waitingBlocked(), blockedAgents: s.queue.blocked, allProbed: s.probing.rounds > 0,
	}
	if b := s.current(); b != nil {
		v.b, v.fresh = &b.BatchRow, s.queue.fresh(b)
	}
	if s.queue.timers.Len() > 0 {
		v.wake = s.queue.timers.First().At
	}
	return v
}

// deadline is when the next limit of time passes; 0 for none.
func (v *view) deadline() int64 {
	if v.status != StatusRunning {
		return 0
	}
	var at int64
	if !v.p.TimeoutReported {
		at = nanos(planDeadline(v.c))
	}
	if v.b != nil && !v.b.TimeoutReported {
		at = earlier(at, nanos(batchDeadline(v.c, v.b)))
	}
	return at
}

// decision is what to do next.
type decision struct {
	action actionKind
	all    int   // of doStart: how many agents of any kind
	ready  int   // of them: those that hold no slot yet, and may start by their precheck
	fresh  int   // and those that hold no slot yet, whom nobody has looked at
	wake   int64 // of doWait: when to look again; 0: only an input can help
	gate   bool  // of doAsk: the gate is next
}

type actionKind uint8

const (
	actWait        actionKind = iota // nothing now
	actSweep                         // end the agents that wait, since the plan ends
	actOpenBatch                     // begin the current batch
	actStart                         // start agents
	actFinishBatch                   // all agents of the batch have ended: observe it, or close it
	actCloseBatch                    // the batch was observed and passed
	actNextBatch                     // go on to the batch after a closed one
	actComplete                      // the last batch is closed
	actAsk                           // ask about the observed batch: its agents how they are, then its gate
)

// decide says what to do next. It is pure, and costs as much for a million agents as for one.
func (v *view) decide() decision {
	switch v.status {
	case StatusCanceling, StatusRollingBack:
		if v.p.Counts.Waiting > 0 && !v.c.Rollback.refusable() {
			return decision{action: actSweep}
		}
		return decision{}
	case StatusRunning, StatusPausing, StatusPaused:
	default:
		return decision{}
	}
	if v.b == nil {
		if v.status == StatusRunning && v.p.Batch >= v.spec.Batches {
			return decision{action: actComplete}
		}
		return decision{}
	}
	switch v.b.Status {
	case BatchPending:
		return v.decideOpen()
	case BatchRunning:
		if allFinished(v.b) {
			return decision{action: actFinishBatch}
		}
		return v.decideStart()
	case BatchSoaking:
		return v.decideClose()
	default:
		return decision{action: actNextBatch}
	}
}

func allFinished(b *BatchRow) bool { return b.Counts.Pending+b.Counts.Running+b.Counts.Waiting == 0 }

func (v *view) decideOpen() decision {
	for _, barrier := range openers {
		if h, holds := barrier(v); holds {
			return decision{wake: h.Until}
		}
	}
	all, _, wake := v.admission()
	if all == 0 {
		return decision{wake: wake}
	}
	return decision{action: actOpenBatch}
}

func (v *view) decideStart() decision {
	all, fresh, wake := v.admission()
	held := min(all, v.slotted)
	fresh = min(fresh, all-held)
	ready := min(fresh, v.ready)
	fresh = min(max(fresh-v.prechecking, 0), v.fresh)
	if n := held + ready + fresh; n > 0 {
		return decision{action: actStart, all: n, ready: ready, fresh: fresh}
	}
	return decision{wake: earlier(wake, v.wake)}
}

// admission asks every limit: how many agents of any kind may start, how many of those that need a slot, and when to ask again.
func (v *view) admission() (all, fresh int, wake int64) {
	all, fresh = math.MaxInt32, math.MaxInt32
	for _, limit := range limits {
		r := limit(v)
		all, fresh = min(all, r.All), min(fresh, r.New)
		if r.All == 0 || r.New == 0 {
			wake = earlier(wake, r.Until)
		}
	}
	return all, fresh, wake
}

func (v *view) decideClose() decision {
	wake := v.wake
	for _, barrier := range closers {
		if h, holds := barrier(v); holds {
			return decision{action: actAsk, wake: earlier(wake, h.Until), gate: h.asksGate}
		}
	}
	return decision{action: actCloseBatch}
}

func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// soonest is earlier for times, of which the zero one is none.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
