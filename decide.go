package ota

import (
	"math"
)

// view collects what a decision needs. It costs the same for every size of plan.
func (s *state) view(now int64) view {
	v := view{
		status: s.status(), spec: &s.spec, c: &s.c, p: &s.p, now: now, calls: s.calls,
		slotted: s.queue.slotted(), inLine: s.queue.lanes.InLine(),
		prechecking: len(s.queue.checks.of), ready: s.queue.checks.readyLen(), stale: s.stale(now),
		blocked: s.queue.countBlocked((*blockedAgent).waits), blockedAgents: s.queue.blocked, urgent: s.urgent(), urgents: s.urgents,
	}
	if b := s.current(); b != nil {
		v.b, v.fresh = &b.batchRow, s.queue.fresh(b)
	}
	v.postponed = s.queue.lanes.turns.postponed()
	v.starved = s.starved(&v)
	if pr := &s.probing; v.b != nil && pr.batch == v.b.Index { // else the rounds were about another batch
		v.allProbed, v.unproven = pr.rounds > 0, pr.unproven
		if pr.unproven > 0 {
			v.silent = pr.silentNames
		}
	}
	if s.queue.timers.Len() > 0 {
		v.wake = s.queue.timers.First().At
	}
	return v
}

// nextTimeout is when the next timeout of the plan or batch expires; 0: none.
func (s *state) nextTimeout(v *view) int64 {
	if v.status != StatusRunning {
		return 0
	}
	var at int64
	if !s.p.TimeoutReported {
		at = nanos(planDeadline(&s.c))
	}
	if b := s.current(); b != nil && !b.TimeoutReported {
		at = earlier(at, nanos(s.batchDeadline(b)))
	}
	return at
}

// decision is what to do next.
type decision struct {
	action actionKind
	all    int   // of actStart: how many agents may start
	ready  int   // of all: agents without a slot that passed their precheck
	fresh  int   // of all: agents without a slot that were not examined yet
	wake   int64 // of actWait and actAsk: when to decide again; 0: after the next input
	gate   bool  // of actAsk: ask the gate too
}

type actionKind uint8

const (
	actWait        actionKind = iota // nothing now
	actSweep                         // the plan ends: end the agents that wait
	actOpenBatch                     // open the current batch
	actStart                         // start agents
	actStartUrgent                   // start urgent agents
	actStarve                        // agents wait for room that never comes: pause
	actFinishBatch                   // the batch waits for no agent any more: soak it, or close it
	actCloseBatch                    // the batch has soaked and passed every barrier
	actNextBatch                     // go on to the batch after a closed one
	actComplete                      // the last batch is closed
	// ask about the soaking batch: the health of its agents, then its gate; or about the batch
	// before a pending one.
	actAsk
)

// decide returns what to do next. It is pure, and costs as much for a million agents as for one.
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
	urgent := v.decideUrgent()
	if urgent.action != actWait {
		return urgent
	}
	d := v.decideBatch()
	if v.urgents > 0 && v.status == StatusRunning && (d.action == actWait || d.action == actAsk) {
		d.wake = earlier(d.wake, earlier(urgent.wake, v.wake))
	}
	return d
}

// decideBatch returns what to do next with the current batch.
func (v *view) decideBatch() decision {
	switch v.b.Status {
	case BatchPending:
		return v.stragglersFirst((*view).decideOpen)
	case BatchRunning:
		if allFinished(v.b) {
			return decision{action: actFinishBatch}
		}
		return v.withoutStragglers(v.decideStart())
	case BatchSoaking:
		return v.stragglersFirst((*view).decideClose)
	default:
		return decision{action: actNextBatch}
	}
}

func (v *view) decideOpen() decision {
	for _, barrier := range openers {
		if h, holds := barrier(v); holds {
			return v.watchOn(h.Until)
		}
	}
	all, _, wake := v.admission(limits)
	if all == 0 {
		return v.watchOn(wake)
	}
	return decision{action: actOpenBatch}
}

// watchOn waits, and goes on to ask the agents of the batch before. A paused plan without a soak
// rests; it asks once more after Resume.
func (v *view) watchOn(wake int64) decision {
	if !v.calls.prober || v.b.Index == 0 || v.status != StatusRunning && !v.c.Policy.at(v.b.Index-1).soaks {
		return decision{wake: wake}
	}
	return decision{action: actAsk, wake: wake}
}

func (v *view) decideStart() decision {
	all, fresh, wake := v.admission(limits)
	slotted := min(all, v.slotted)
	fresh = min(fresh, all-slotted)
	ready := min(fresh, v.ready)
	fresh = min(max(fresh-v.prechecking, 0), v.fresh)
	if n := slotted + ready + fresh; n > 0 {
		return decision{action: actStart, all: n, ready: ready, fresh: fresh}
	}
	if len(v.starved) > 0 && all > 0 {
		return decision{action: actStarve}
	}
	return decision{wake: earlier(wake, v.wake)}
}

// admission asks these limits. It returns how many agents of any kind may start, how many that need
// a slot, and when the answer may change.
func (v *view) admission(limits []func(*view) allowance) (all, fresh int, wake int64) {
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
		h, holds := barrier(v)
		switch {
		case !holds:
		case len(v.starved) > 0 && (h.Verb != 0 || h.Why == ReasonStragglers): // an agent that waits would have the verb refused
			return decision{action: actStarve}
		default:
			return decision{action: actAsk, wake: earlier(wake, h.Until), gate: h.asksGate}
		}
	}
	return decision{action: actCloseBatch}
}
