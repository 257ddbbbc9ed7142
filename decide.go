package ota

import (
	"math"
	"time"
)

// statusOf computes a plan's status from its two halves. When several hold, the first in this order wins.
func statusOf(c *Control, p *Progress) Status {
	switch {
	case c.Rollback != nil && !c.Rollback.Done.IsZero():
		return StatusRolledBack
	case c.Rollback.begun(), undoing(c, p):
		return StatusRollingBack
	case p.End == StatusCompleted:
		return StatusCompleted
	case c.Cancel != nil && p.Counts.Running+p.Counts.Waiting == 0:
		return StatusCanceled
	case c.Cancel != nil:
		return StatusCanceling
	case c.Started == nil:
		return StatusPending
	case c.Paused == nil && c.Rollback == nil && standing(c, p) == nil:
		return StatusRunning
	case p.Counts.Running > 0:
		return StatusPausing
	default:
		return StatusPaused
	}
}

// view is what deciding looks at: counters, never the fleet. It is small, and made anew for every decision.
type view struct {
	status Status
	spec   *PlanSpec
	c      *Control
	p      *Progress
	b      *BatchRow // the current batch; nil when all are closed
	now    int64
	calls  callsView
	held   int   // queued agents that hold a slot
	fresh  int   // agents that need one, and may be looked at; 0 only when none could have one
	inLine int   // agents whose lane has no room
	asked  int   // agents that count as open because they are prechecked, those that are ready too
	ready  int   // of asked: those that may be started
	barred int   // pending agents that may not start yet, because a call for them is out
	bars   []bar // those agents, and others
	wake   int64 // when the next timer is due; 0: none
	probed bool  // every agent of the batch was asked since it was settled
}

func (s *state) view(now int64) view {
	v := view{
		status: s.status(), spec: &s.spec, c: &s.c, p: &s.p, now: now, calls: s.calls,
		held: s.queue.held(), inLine: s.queue.lanes.inLine,
		asked: len(s.queue.checks.of), ready: s.queue.checks.ready.len(), barred: s.queue.waitingBarred(), bars: s.queue.barred, probed: s.probing.rounds > 0,
	}
	if b := s.current(); b != nil {
		v.b, v.fresh = &b.BatchRow, s.queue.fresh(b)
	}
	if len(s.queue.timers) > 0 {
		v.wake = s.queue.timers[0].at
	}
	return v
}

// tolerance returns how many failures are tolerated, and how many count, in the scope of the threshold.
func (v *view) tolerance() (tolerated, failed int) {
	if v.c.Policy.Scope == ScopePlan {
		return Tolerated(*v.c.Policy.FailureThreshold, v.spec.Agents), v.p.Counts.Bad() - v.p.Accepted
	}
	return Tolerated(*v.c.Policy.FailureThreshold, v.b.Size), v.b.Counts.Bad() - v.b.Accepted
}

// deadline is when the next limit of time passes; 0 for none.
func (v *view) deadline() int64 {
	if v.status != StatusRunning {
		return 0
	}
	var at int64
	if !v.p.Late {
		at = nanos(planDeadline(v.c))
	}
	if v.b != nil && !v.b.Late {
		at = earlier(at, nanos(batchDeadline(v.c, v.b)))
	}
	return at
}

// decision is what to do next.
type decision struct {
	do    deed
	all   int   // of doStart: how many agents of any kind
	ready int   // of them: those that hold no slot yet, and may start by their precheck
	fresh int   // and those that hold no slot yet, whom nobody has looked at
	wake  int64 // of doWait: when to look again; 0: only an input can help
	gate  bool  // of doAsk: the gate is next
}

type deed uint8

const (
	doWait     deed = iota // nothing now
	doSweep                // end the agents that wait, since the plan ends
	doOpen                 // begin the current batch
	doStart                // start agents
	doSettle               // all agents of the batch have ended: observe it, or close it
	doClose                // the batch was observed and passed
	doNext                 // go on to the batch after a closed one
	doComplete             // the last batch is closed
	doAsk                  // ask about the observed batch: its agents how they are, then its gate
)

// decide says what to do next. It is pure, and costs as much for a million agents as for one.
func (v *view) decide() decision {
	switch v.status {
	case StatusCanceling, StatusRollingBack:
		if v.p.Counts.Waiting > 0 && !v.c.Rollback.refusable() {
			return decision{do: doSweep}
		}
		return decision{}
	case StatusRunning, StatusPausing, StatusPaused:
	default:
		return decision{}
	}
	if v.b == nil {
		if v.status == StatusRunning && v.p.Batch >= v.spec.Batches {
			return decision{do: doComplete}
		}
		return decision{}
	}
	switch v.b.Status {
	case BatchPending:
		return v.decideOpen()
	case BatchRunning:
		if settled(v.b) {
			return decision{do: doSettle}
		}
		return v.decideStart()
	case BatchObserving:
		return v.decideClose()
	default:
		return decision{do: doNext}
	}
}

func settled(b *BatchRow) bool { return b.Counts.Pending+b.Counts.Running+b.Counts.Waiting == 0 }

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
	return decision{do: doOpen}
}

func (v *view) decideStart() decision {
	all, fresh, wake := v.admission()
	held := min(all, v.held)
	fresh = min(fresh, all-held)
	ready := min(fresh, v.ready)
	fresh = min(max(fresh-v.asked, 0), v.fresh)
	if n := held + ready + fresh; n > 0 {
		return decision{do: doStart, all: n, ready: ready, fresh: fresh}
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
			return decision{do: doAsk, wake: earlier(wake, h.Until), gate: h.asksGate}
		}
	}
	return decision{do: doClose}
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

// step folds what is in, judges it and decides until there is nothing to do but wait, or enough for one commit. When it
// needs rows it says so and is called again once it has them; what it has done so far is kept. wake is when to call it
// again without an input.
func (s *state) step(now time.Time) (n need, wake time.Time) {
	if s.queue.lanes.budget != s.c.Policy.Budget {
		s.enterBatch()
	}
	n = s.fold(now)
	if n.kind == needNothing && !s.fx.again {
		n, wake = s.decideAll(now)
	}
	if n.kind == needNothing {
		s.finish(now)
	}
	return n, wake
}

// fold takes in everything that has happened, in a fixed order: what people ordered, what calls told, the time; then it
// is judged.
func (s *state) fold(now time.Time) need {
	ns := now.UnixNano()
	if n := s.foldOrders(now); n.kind != needNothing || s.fx.again {
		return n
	}
	if n := s.foldDoubts(ns); n.kind != needNothing {
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

// decideAll carries out one decision after the other until the next one is to wait.
func (s *state) decideAll(now time.Time) (need, time.Time) {
	var v view
	for {
		if s.spec.Batches > s.p.Batch && s.current() == nil {
			return need{kind: needBatch, from: s.p.Batch}, time.Time{}
		}
		v = s.view(now.UnixNano())
		switch d := v.decide(); d.do {
		case doWait:
			return need{}, stamp(earlier(d.wake, v.deadline()))
		case doAsk:
			n, due := s.probe(now.UnixNano())
			if d.gate && n.kind == needNothing && v.status == StatusRunning {
				due = earlier(due, s.askGate(now))
			}
			return n, stamp(earlier(earlier(d.wake, due), v.deadline()))
		default:
			if n := s.carryOut(d, now); n.kind != needNothing || s.fx.again {
				return n, time.Time{}
			}
		}
	}
}

// carryOut does what was decided, in the state; what it implies outside waits for the commit.
func (s *state) carryOut(d decision, now time.Time) need {
	b := s.current()
	switch d.do {
	case doSweep:
		s.sweep(now.UnixNano(), orderChunk)
		s.fx.again = true
	case doOpen:
		b.Status, b.StartedAt, b.PausedFor = BatchRunning, now, s.c.PausedFor
		s.p.Reached = max(s.p.Reached, b.Index)
		s.dirtyBatch(b)
		s.event(Event{Kind: EventBatchStarted, Batch: b.Index, Number: b.Size})
		s.enterBatch()
	case doStart:
		return s.pick(d, now.UnixNano())
	case doSettle:
		s.settle(b, now)
	case doClose:
		s.close(b, now)
	case doNext:
		s.p.Batch++
		s.enterBatch()
	case doComplete:
		s.p.End = StatusCompleted
	}
	return need{}
}

// settle goes on with a batch whose agents have all ended.
func (s *state) settle(b *batch, now time.Time) {
	b.SettledAt, b.HealthySince = now, now
	s.dirtyBatch(b)
	observed := !s.c.Policy.Observe.None() || s.calls.gater
	if b.Unhealthy == 0 && (b.Changed > 0 && !observed || b.Changed == 0 && !b.Canary) {
		s.close(b, now)
		return
	}
	b.Status = BatchObserving
	s.probing = probing{out: s.probing.out}
	s.gating = false // what was asked before was about another observation
	s.event(Event{Kind: EventBatchObserving, Batch: b.Index})
}

func (s *state) close(b *batch, now time.Time) {
	b.Status, b.ClosedAt = BatchCompleted, now
	s.probing.active = false // a round that is not over asks about this batch, and nobody waits for it any more
	if p := s.c.Policy; p.Halve {
		s.p.Halved = halved(s.p.Halved, p.Concurrency, b.Counts.Bad())
	}
	s.dirtyBatch(b)
	s.event(Event{Kind: EventBatchCompleted, Batch: b.Index, Number: b.Counts.Bad()})
}

// finish tells the plan's status, when what happened has changed it, and its end.
func (s *state) finish(now time.Time) {
	st := s.status()
	if st == s.told {
		return
	}
	s.told = st
	s.fx.bump = s.fx.bump || st.Ended() // so that no verb lands which was decided before the end
	e := Event{Kind: EventStatus, Batch: -1}
	switch st {
	case StatusCanceled:
		if b := s.current(); b != nil && (b.Status == BatchRunning || b.Status == BatchObserving) {
			b.Status, b.ClosedAt = BatchCanceled, now
			s.dirtyBatch(b)
			s.event(Event{Kind: EventBatchCanceled, Batch: b.Index})
		}
		s.p.EndedAt = now
	case StatusCompleted:
		s.p.EndedAt = now
	case StatusPaused, StatusPausing:
		if br := standing(&s.c, &s.p); br != nil {
			e.Reason, e.Text = br.Reason, br.String()
		}
	}
	s.event(e)
}
