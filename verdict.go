package ota

import (
	"fmt"
	"slices"
	"time"
)

// A verdict answers whether something has gone wrong. It is asked after everything that happened has been folded and
// before anything is decided; what it finds is recorded as a Breach in the same commit as what caused it.

// judge asks the verdicts of every batch whose failures changed, and of all that are at hand when the limits were edited.
func (s *state) judge(now time.Time) {
	if s.c.OrderCount > s.p.LastOrder || !canBreach(s.status()) {
		return
	}
	s.consecutiveVerdict(now)
	s.timeVerdicts(now)
	slices.Sort(s.toJudge)
	for _, i := range s.toJudge {
		b := s.batch(i)
		b.judge = false
		s.thresholdVerdict(b, now)
	}
	s.toJudge = s.toJudge[:0]
}

// judged reports whether a plan in status st can still be breached: one that ends or is undone cannot.
func canBreach(st Status) bool {
	return st == StatusRunning || st == StatusPausing || st == StatusPaused
}

// thresholdVerdict strikes when more agents failed than tolerated, of the batch or of the plan.
func (s *state) thresholdVerdict(b *batch, now time.Time) {
	br := Breach{Reason: ReasonThreshold, At: now, Action: s.c.Policy.OnBreach, Batch: b.Index}
	accepted := b.Accepted
	br.Failed, br.Size = b.Counts.Bad(), b.Size
	if s.c.Policy.Scope == ScopePlan {
		br.Batch, accepted = -1, s.p.Accepted
		br.Failed, br.Size = s.p.Counts.Bad(), s.spec.Agents
	}
	br.Tolerated = Tolerated(*s.c.Policy.FailureThreshold, br.Size)
	if br.Failed-accepted <= br.Tolerated {
		return
	}
	if old := s.openBreach(br); old != nil {
		if old.Failed != br.Failed {
			s.pruneBreaches() // a copy: what was committed before keeps its own
			s.openBreach(br).Failed = br.Failed
			s.event(Event{Kind: EventBreach, Batch: br.Batch, Number: br.Failed, Reason: br.Reason, Text: br.String()})
		}
		return
	}
	if br.Action == ActionContinue {
		if b.Continued {
			return
		}
		b.Continued = true
		s.dirtyBatch(b)
		s.event(Event{Kind: EventBreach, Batch: br.Batch, Number: br.Failed, Reason: br.Reason, Text: br.String()})
		return
	}
	s.recordBreach(br)
}

// consecutiveVerdict strikes when more agents failed in a row than the policy allows; the count begins anew then.
func (s *state) consecutiveVerdict(now time.Time) {
	most := s.c.Policy.MaxConsecutive
	if most == 0 || s.p.ConsecutiveFailures <= most {
		return
	}
	text := fmt.Sprintf("%d in a row, %d may", s.p.ConsecutiveFailures, most)
	s.p.ConsecutiveFailures = 0
	s.recordOrContinue(Breach{Reason: ReasonConsecutive, Batch: -1, At: now, Action: s.c.Policy.OnBreach, Text: text})
}

// timeVerdicts strike when the plan, or its current batch, has taken longer than it may. A paused plan's time stands still.
func (s *state) timeVerdicts(now time.Time) {
	if s.c.Policy.PlanTimeout == 0 && s.c.Policy.BatchTimeout == 0 || s.status() != StatusRunning {
		return
	}
	if at := planDeadline(&s.c); at.IsZero() || now.Before(at) {
		s.p.TimeoutReported = false // it has none, or was given more time
	} else if !s.p.TimeoutReported {
		s.p.TimeoutReported = true
		s.recordOrContinue(Breach{Reason: ReasonPlanTimeout, Batch: -1, At: now, Action: s.c.Policy.OnBreach, Text: s.c.Policy.PlanTimeout.String()})
	}
	b := s.current()
	if b == nil {
		return
	}
	if at := batchDeadline(&s.c, &b.BatchRow); at.IsZero() || now.Before(at) {
		b.TimeoutReported = false
	} else if !b.TimeoutReported {
		b.TimeoutReported = true
		s.dirtyBatch(b)
		s.recordOrContinue(Breach{Reason: ReasonBatchTimeout, Batch: b.Index, At: now, Action: s.c.Policy.OnBreach, Text: s.c.Policy.BatchTimeout.String()})
	}
}

// planDeadline is when the plan's limit passes, zero when it has none or it was lifted.
func planDeadline(c *Control) time.Time {
	if c.Policy.PlanTimeout == 0 || c.PlanTimeoutAccepted || c.Started == nil {
		return time.Time{}
	}
	return c.Started.At.Add(c.Policy.PlanTimeout + c.PausedFor)
}

// batchDeadline is when a batch's limit passes, zero when it has none, it was lifted, or the batch is not open.
func batchDeadline(c *Control, b *BatchRow) time.Time {
	if c.Policy.BatchTimeout == 0 || c.BatchTimeoutAccepted > b.Index || b.Status != BatchRunning && b.Status != BatchSoaking {
		return time.Time{}
	}
	return b.StartedAt.Add(c.Policy.BatchTimeout + c.PausedFor - b.PausedFor)
}

// strikeOrTell strikes, or only tells when the policy is to go on.
func (s *state) recordOrContinue(br Breach) {
	if br.Action == ActionContinue {
		s.event(Event{Kind: EventBreach, Batch: br.Batch, Reason: br.Reason, Text: br.String()})
		return
	}
	s.recordBreach(br)
}

// gateVerdict strikes when the gate said no, or gave no answer too often; only a clear no takes the policy's action.
func (s *state) gateVerdict(b *batch, now time.Time) {
	g := s.c.Policy.Gate
	br := Breach{Batch: b.Index, At: now, Action: ActionPause}
	switch {
	case b.Gate == GateFail:
		br.Reason, br.Action = ReasonGateFailed, s.c.Policy.OnBreach
	case b.Inconclusive > g.MaxInconclusive:
		br.Reason, br.Text = ReasonGateUndecided, fmt.Sprintf("%d inconclusive answers, %d may be", b.Inconclusive, g.MaxInconclusive)
	case b.GateErrors > g.MaxErrors:
		br.Reason, br.Text = ReasonGateUndecided, fmt.Sprintf("%d errors, %d may be", b.GateErrors, g.MaxErrors)
	default:
		return
	}
	b.Gate, b.GateAt, b.Inconclusive, b.GateErrors = GateNone, time.Time{}, 0, 0 // whoever resumes asks anew
	if br.Action == ActionContinue {
		b.Gate = GatePass
	}
	s.recordOrContinue(br)
}

// tooManyAbandoned strikes when more calls were left behind than the policy allows.
func (s *state) abandonedVerdict(at int64) {
	most, n := s.c.Policy.MaxAbandoned, len(s.queue.blocked)
	if n <= most || !canBreach(s.status()) {
		return
	}
	br := Breach{Reason: ReasonTooManyAbandoned, Batch: -1, At: stamp(at), Action: ActionPause}
	br.Text = tooManyText(n, most)
	if s.openBreach(br) == nil {
		s.recordBreach(br)
	}
}

// fault strikes when something is not as it must be, in a way that going on cannot mend.
func (s *state) fault(at int64, text string) {
	br := Breach{Reason: ReasonFault, Batch: -1, At: stamp(at), Action: ActionPause, Text: text}
	if s.openBreach(br) == nil {
		s.recordBreach(br)
	}
}

// foldRefusal takes in that the Store has refused a commit for good. What that was to tell is lost, as in a crash, and
// what it was to begin would be refused again: so the plan is paused, and a person is told why.
func (s *state) foldRefusal(now time.Time) {
	why, inbox := s.in.refusal, s.in.inbox
	s.in.refusal, s.in.inbox = "", 0
	if why == "" {
		return
	}
	s.p.Inbox = max(s.p.Inbox, inbox)
	br := Breach{Reason: ReasonRefused, Batch: -1, At: now, Action: ActionPause, Text: string(why)}
	if canBreach(s.status()) && s.openBreach(br) == nil {
		s.recordBreach(br)
		return
	}
	s.event(Event{Kind: EventBreach, Batch: -1, Reason: br.Reason, Text: br.String()})
}

// standsFor returns the standing breach of the same kind and place, or nil.
func (s *state) openBreach(br Breach) *Breach {
	for i := range s.p.Breaches {
		if b := &s.p.Breaches[i]; b.Number > s.c.AnsweredBreach && b.Reason == br.Reason && b.Batch == br.Batch {
			return b
		}
	}
	return nil
}

// strike records a breach. A rollback of a rollback, or of nothing, is a pause.
func (s *state) recordBreach(br Breach) {
	if br.Action == ActionRollback && (s.spec.Source != "" || s.p.Changed+s.p.Counts.Running == 0) {
		br.Action = ActionPause
	}
	s.pruneBreaches()
	s.p.LastBreach++
	br.Number = s.p.LastBreach
	s.p.Breaches = append(s.p.Breaches, br)
	s.change.bump = true
	s.event(Event{Kind: EventBreach, Batch: br.Batch, Number: br.Failed, Reason: br.Reason, Text: br.String()})
}

func tooManyText(n, most int) string {
	return fmt.Sprintf("%d calls have not returned, %d are allowed", n, most)
}

// pruneBreaches forgets breaches that were answered.
func (s *state) pruneBreaches() {
	s.p.Breaches = slices.DeleteFunc(slices.Clone(s.p.Breaches), func(b Breach) bool { return b.Number <= s.c.AnsweredBreach })
}
