package ota

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// A verdict answers whether something has gone wrong. It runs after all input was folded, and
// before anything is decided. It records a Breach in the same commit as the cause.

// judge evaluates the verdicts of every batch whose failures changed. After an edit of the policy,
// these are all batches in memory.
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
		s.expectVerdict(b, now)
	}
	s.toJudge = s.toJudge[:0]
}

// judgeLater marks a batch to be judged once all input is folded.
func (s *state) judgeLater(b *batch) {
	if !b.judge {
		b.judge = true
		s.toJudge = append(s.toJudge, b.Index)
	}
}

// canBreach reports whether a plan with status st can be breached. A plan that ends or rolls back
// cannot.
func canBreach(st Status) bool {
	return st == StatusRunning || st == StatusPausing || st == StatusPaused
}

// thresholdVerdict finds more failures than tolerated, in the batch or in the plan.
func (s *state) thresholdVerdict(b *batch, now time.Time) {
	br := Breach{Reason: ReasonThreshold, At: now, Action: s.c.Policy.OnBreach, Batch: b.Index}
	r, ofPlan := s.c.Policy.at(b.Index), s.c.Policy.Scope == ScopePlan
	if !r.judges && !ofPlan {
		return
	}
	accepted := b.Accepted
	br.Failed, br.Size = b.Counts.Bad(), b.Size
	if ofPlan {
		br.Batch, accepted = -1, s.p.Accepted
		br.Failed, br.Size = s.p.Counts.Bad(), s.spec.Agents
	}
	br.Tolerated = Tolerated(*r.threshold, br.Size)
	if br.Failed-accepted > br.Tolerated {
		s.tooManyFailed(b, br, &b.Continued)
	}
}

// expectVerdict finds more failures than are usual, in the plan or in the batch.
func (s *state) expectVerdict(b *batch, now time.Time) {
	e := s.c.Policy.Expect
	if e == nil {
		return
	}
	for _, t := range s.c.expectTests(&s.spec, &s.p, &b.batchRow) {
		if t.exceeded() {
			s.tooManyFailed(b, Breach{
				Reason: ReasonExpect, Batch: t.batch, At: now, Action: s.c.Policy.OnBreach,
				Failed: t.failed, Tolerated: t.tolerated, Size: t.begun, Text: e.remedy(&t, s.spec.Batches),
			}, &b.ExpectContinued)
		}
	}
}

// expectTests returns the tests of the plan and of a batch. The only batch of a plan tolerates
// everything, since the test of the plan is the same.
func (c *planControl) expectTests(spec *planSpec, p *planProgress, b *batchRow) [2]expectTest {
	tests := [2]expectTest{p.Evidence.test(-1, p.Open, c.Expected.Plan), b.Evidence.test(b.Index, b.Open, c.Expected.Batch)}
	if spec.Batches < 2 {
		tests[1].tolerated = b.Size
	}
	return tests
}

// countEvidence adds an agent to what Expect judges by, or takes it away: as its row is now.
func (s *state) countEvidence(b *batch, r *cachedRow, by int) {
	failed, finished := r.State.evidence()
	if finished == 0 {
		return
	}
	for _, e := range [2]*evidence{&s.p.Evidence, &b.Evidence} {
		e.Failed += failed * by
		e.Finished += finished * by
	}
}

// evidence says whether an agent speaks for or against the release: it failed, or it finished at
// all. An agent that was away until its last answer says nothing, and neither does one that was not
// changed.
func (a *agentState) evidence() (failed, finished int) {
	switch {
	case a.Status == TaskSucceeded && a.Flags&agentChanged != 0:
		return 0, 1
	case !bad(a.Status):
		return 0, 0
	}
	for i := range a.tasks() {
		if t := a.task(i); bad(t.Status) && (t.Why == ReasonUnreachable || t.Why == ReasonThrottled) {
			return 0, 0
		}
	}
	return 1, 1
}

// tooManyFailed records a breach by the number of failures. An open one gets the present numbers.
// If the policy's action is to continue, it records the event, once per batch: recorded says that
// it did.
func (s *state) tooManyFailed(b *batch, br Breach, recorded *bool) {
	if old := s.openBreach(br); old != nil {
		if old.Failed != br.Failed {
			// This copies the breaches: the last commit still refers to the old slice.
			s.pruneBreaches()
			old = s.openBreach(br)
			old.Failed, old.Size, old.Tolerated, old.Text = br.Failed, br.Size, br.Tolerated, br.Text
			s.event(Event{Kind: EventBreach, Batch: br.Batch, Number: br.Failed, Reason: br.Reason, Text: br.String()})
		}
		return
	}
	if br.Action == ActionContinue {
		if *recorded {
			return
		}
		*recorded = true
		s.compareFirst(br.Reason, br.Action, s.p.LastBreach+1)
		s.dirtyBatch(b)
		s.event(Event{Kind: EventBreach, Batch: br.Batch, Number: br.Failed, Reason: br.Reason, Text: br.String()})
		return
	}
	s.recordBreach(br)
}

// consecutiveVerdict finds more consecutive failures than the policy allows. The count then starts
// again.
func (s *state) consecutiveVerdict(now time.Time) {
	most := s.c.Policy.MaxConsecutive
	if most == 0 || s.p.ConsecutiveFailures <= most {
		return
	}
	text := fmt.Sprintf("%d in a row, %d are allowed", s.p.ConsecutiveFailures, most)
	s.p.ConsecutiveFailures = 0
	s.recordOrContinue(Breach{Reason: ReasonConsecutive, Batch: -1, At: now, Action: s.c.Policy.OnBreach, Text: text})
}

// timeVerdicts find exceeded timeouts of the plan and of its current batch. The clock of a paused
// plan stands still.
func (s *state) timeVerdicts(now time.Time) {
	if s.c.Policy.PlanTimeout == 0 && s.c.Policy.BatchTimeout == 0 || s.status() != StatusRunning {
		return
	}
	if at := planDeadline(&s.c); at.IsZero() || now.Before(at) {
		s.p.TimeoutReported = false // it has no timeout, or got more time
	} else if !s.p.TimeoutReported {
		s.p.TimeoutReported = true
		s.recordOrContinue(Breach{Reason: ReasonPlanTimeout, Batch: -1, At: now, Action: s.c.Policy.OnBreach, Text: s.c.Policy.PlanTimeout.String()})
	}
	b := s.current()
	if b == nil {
		return
	}
	if at := s.batchDeadline(b); at.IsZero() || now.Before(at) {
		b.TimeoutReported = false
	} else if !b.TimeoutReported {
		b.TimeoutReported = true
		s.dirtyBatch(b)
		s.recordOrContinue(Breach{Reason: ReasonBatchTimeout, Batch: b.Index, At: now, Action: s.c.Policy.OnBreach, Text: s.c.Policy.BatchTimeout.String()})
	}
}

// recordOrContinue records a breach. If the policy's action is to continue, it records only the
// event.
func (s *state) recordOrContinue(br Breach) {
	if br.Action == ActionContinue {
		s.compareFirst(br.Reason, br.Action, s.p.LastBreach+1)
		s.event(Event{Kind: EventBreach, Batch: br.Batch, Reason: br.Reason, Text: br.String()})
		return
	}
	s.recordBreach(br)
}

// gateVerdict finds a failed gate, or too many missing answers. Only a failed gate triggers
// OnBreach; missing answers pause.
func (s *state) gateVerdict(b *batch, now time.Time) {
	g := s.c.Policy.Gate
	br := Breach{Batch: b.Index, At: now, Action: ActionPause}
	switch {
	case b.Gate == GateFail:
		br.Reason, br.Action = ReasonGateFailed, s.c.Policy.OnBreach
	case b.Inconclusive > g.MaxInconclusive:
		br.Reason, br.Text = ReasonGateUndecided, fmt.Sprintf("%d inconclusive answers, %d are allowed", b.Inconclusive, g.MaxInconclusive)
	case b.GateErrors > g.MaxErrors:
		br.Reason, br.Text = ReasonGateUndecided, fmt.Sprintf("%s, %d allowed", plural.Count(b.GateErrors, "error"), g.MaxErrors)
	default:
		return
	}
	// after Resume the gate is asked again
	b.Gate, b.GateAt, b.Inconclusive, b.GateErrors = GateNone, time.Time{}, 0, 0
	if br.Action == ActionContinue {
		b.Gate = GatePass
	}
	s.recordOrContinue(br)
}

// abandonedVerdict finds more abandoned calls than the policy allows.
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

// fault pauses the plan because stored counters contradict each other, which going on cannot mend.
func (s *state) fault(at int64, text string) {
	br := Breach{Reason: ReasonFault, Batch: -1, At: stamp(at), Action: ActionPause, Text: text}
	if s.openBreach(br) == nil {
		s.recordBreach(br)
	}
}

// foldRefusal folds that the Store refused a commit for good. The input of that commit is lost, as
// in a crash, and a repeat would be refused too. So the plan pauses, and the breach has the Store's
// words.
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

// openBreach returns the unanswered breach with the same reason and batch, or nil.
func (s *state) openBreach(br Breach) *Breach {
	for i := range s.p.Breaches {
		if b := &s.p.Breaches[i]; b.Number > s.c.AnsweredBreach && b.Reason == br.Reason && b.Batch == br.Batch {
			return b
		}
	}
	return nil
}

// recordBreach records a breach. Rollback becomes a pause if the plan is a rollback itself, or has
// changed no agent.
func (s *state) recordBreach(br Breach) {
	if br.Action == ActionRollback && (s.spec.Source != "" || s.p.Changed+s.p.Counts.Running == 0) {
		br.Action = ActionPause
	}
	s.pruneBreaches()
	s.p.LastBreach++
	br.Number = s.p.LastBreach
	s.p.Breaches = append(s.p.Breaches, br)
	s.compareFirst(br.Reason, br.Action, br.Number)
	s.change.bump = true
	s.event(Event{Kind: EventBreach, Batch: br.Batch, Number: br.Failed, Reason: br.Reason, Text: br.String()})
}

func tooManyText(n, most int) string {
	return fmt.Sprintf("%s not returned, %d allowed", plural.Have(n, "call"), most)
}

// pruneBreaches drops breaches that were answered.
func (s *state) pruneBreaches() {
	s.p.Breaches = slices.DeleteFunc(slices.Clone(s.p.Breaches), func(b Breach) bool { return b.Number <= s.c.AnsweredBreach })
}
