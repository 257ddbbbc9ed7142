package ota

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Stepper drives one plan by hand. Run and RunPlan make calls, ask questions and wait. A Stepper
// does none of that: Step commits what is due and returns what its caller has to do. So a plan can
// run in virtual time, as package simulate does, or inside another engine, as a job or a workflow.
// What decides is the same code in all cases.
//
// The loop around it:
//
//	step, err := s.Step(ctx, now)
//	for _, c := range step.Calls { … }     // make each call, and hand in how it ended: Returned
//	for _, q := range step.Questions { … } // ask each question, and hand in its answer
//
// Then call Step again when an answer is in, at step.Wake, or after Refresh has found a change.
//
// # Ownership
//
// The first Step takes the plan: it becomes the plan's owner, under a new epoch. It returns an
// error that matches ErrConflict while an engine that is alive drives the plan, this one included.
// From then until Close this engine drives the plan in no other way: Run leaves it out, and RunPlan
// returns ErrConflict. Verbs go to the Store, and reports to the Store's Inbox; Refresh finds them.
//
// A Stepper starts no goroutine and renews no lease. While no lease of this engine lasts, another
// engine on the same Store, and a Stepper of one, takes the plan over. Each Step then returns an
// error that matches ErrFenced, and this Stepper writes nothing more. The program around it makes
// sure that only one drives a plan; fencing protects the record of the plan in any case.
//
// # Crashes
//
// Everything that Step has returned is committed, and a Stepper keeps no other state that matters.
// After a crash, make a new Stepper for the plan. Calls that were returned and not answered are
// repeated, under the same Attempt.Key and with a higher Epoch; they pass every limit but a pause.
// Questions are asked again. Answers that no Step has committed are lost with the process, like
// calls that have not returned.
//
// One goroutine at a time uses a Stepper.
type Stepper struct {
	e       *Engine
	id      string
	can     Answers
	session *session // nil before the first Step
	in      input    // answers since the last Step
	over    error    // the plan has another owner, or is gone
	now     time.Time
	wake    time.Time
	asleep  bool // the plan had come to rest when it was read

	slots []callSlot // of the calls that are out
	free  []int      // slots without a call
	given uint64     // calls so far
	asked map[askKey]bool

	draining    bool
	around      surroundings // of the last step, and what Counterpart has found
	interrupted bool
	late        bool // an abandoned call has returned since the last Step
	refusals    refusals
	inbox       uint64    // the last message that was read
	kept        time.Time // when the claims of abandoned calls were last renewed

	givenUp   []callKey // calls of the step that were given up
	calls     []Call    // reused
	ended     []Call
	questions []Question
}

// Answers says which questions the caller of a Stepper can answer. The engine does not ask the
// others: it goes on as with an Executor that lacks the optional interface.
type Answers struct {
	Health   bool // as a Prober
	Precheck bool // as a Prechecker
	Inspect  bool // as an Inspector
	Gate     bool // as a Gater
}

// Stepper returns a Stepper for a plan of this engine's Store. It reads nothing: the first Step
// does. The engine may have no Executor.
func (e *Engine) Stepper(id string, can Answers) *Stepper {
	return &Stepper{e: e, id: id, can: can}
}

// Step is what one step has committed, and what its caller has to do now. The slices are valid
// until the next Step.
type Step struct {
	// Calls are to be made now, each once. Each ends with Returned, or with Abandoned if it ignores
	// the end of its context.
	Calls []Call
	// Ended are calls of earlier steps that need not go on: their outcome was reported, or an
	// operator has given them up. End their contexts. Each still ends with Returned or Abandoned.
	Ended []Call
	// Interrupt says that every call that is out should end: the plan is canceled or rolled back,
	// with Interrupt. End their contexts.
	Interrupt bool
	// Questions are to be asked now, each once.
	Questions []Question
	// Wake is when to step again, even without an answer. Zero: only an answer or a change that
	// Refresh finds can help.
	Wake time.Time
	// Again says that more is due at once: step again without waiting.
	Again bool
	// Committed says that the step has changed the plan. Counterpart may have something to do then.
	Committed bool
}

// Step folds the answers that were handed in, judges the plan, decides what is next, and commits
// all of that as one change. now is the time for all of it; it must not go back.
//
// An error means that nothing new is to be done now. Except after ErrFenced and ErrNotFound, step
// again later: answers that were handed in are not lost.
//   - ErrConflict: an engine that is alive drives the plan.
//   - ErrFenced: another owner has taken the plan. This Stepper is over.
//   - ErrNotFound: there is no such plan.
//   - ErrRefused: the Store refuses the change for good. The next Step drops it, and pauses the
//     plan with the Store's words.
//   - any other: the Store did not answer. Whether the change landed does not matter.
func (s *Stepper) Step(ctx context.Context, now time.Time) (Step, error) {
	if err := s.begin(ctx); err != nil {
		return Step{}, named(err, "step", s.id)
	}
	x := s.session
	s.now, s.asleep, s.wake = now.UTC(), false, time.Time{}
	s.around.draining, s.around.leaseOut = s.draining, !s.e.lease.ok(s.e.opt.Clock.Now())
	s.around.muted = s.now.Before(s.refusals.until)
	wake, again, err := x.turn(ctx, s.now, turnInput{input: s.in, surroundings: s.around})
	s.in = input{outcomes: s.in.outcomes[:0]}
	if errors.Is(err, errAtRest) {
		s.asleep = true
		return Step{}, nil
	}
	if err != nil {
		return Step{}, named(s.failed(err), "step", s.id)
	}
	s.wake = wake
	if s.now.Sub(s.refusals.until) > refusalMemory {
		s.refusals = refusals{}
	}
	step := Step{Wake: wake, Again: again, Committed: x.committed}
	if x.committed {
		s.e.hub.TellPlan(s.id)
	}
	x.committed = false
	step.Calls, step.Ended, step.Questions = s.handOut(), s.endedCalls(), s.questionsOf()
	if st := x.st; st != nil {
		s.interrupted = interrupting(&st.c)
		step.Interrupt = s.interrupted && s.waitsForCalls()
	}
	s.protect(ctx)
	return step, nil
}

// begin makes the session, unless the plan has an owner that is alive.
func (s *Stepper) begin(ctx context.Context) error {
	if s.session != nil || s.over != nil {
		return s.over
	}
	row, err := s.e.store.Plan(ctx, s.id)
	if err != nil {
		return err
	}
	owners, err := s.e.owners(ctx)
	if err != nil {
		return err
	}
	if !s.e.mayOwn(&row, owners) || !s.e.lend(s) {
		return errOwned(&row)
	}
	x := s.e.newSession(s.id, row.Epoch)
	x.abilities = abilities{prober: s.can.Health, prechecker: s.can.Precheck, inspector: s.can.Inspect, gater: s.can.Gate}
	x.blocked, x.callsInFlight = s.e.abandoned.ofPlan(s.id), s.callsOut
	x.giveUpCalls = s.giveUp
	s.session = x
	return nil
}

// failed takes in why nothing was committed.
func (s *Stepper) failed(err error) error {
	switch {
	case errors.Is(err, ErrFenced), errors.Is(err, ErrNotFound), unreadable(err):
		s.over = err
		s.Close()
	case errors.Is(err, ErrRefused):
		s.session.giveUp(err)
		s.refusals.consecutive++
		s.refusals.until = s.now.Add(backoff(s.refusals.consecutive-1, 10*time.Millisecond, 30*time.Second))
	}
	return err
}

// protect tells the Store which agents are free. Agents whose abandoned calls have not returned are
// not free. A later step repeats what fails.
func (s *Stepper) protect(ctx context.Context) {
	due := s.now.Sub(s.kept) >= s.e.opt.Lease/3
	if due {
		s.kept = s.now
	}
	if s.late || due && len(s.e.abandoned.agents(s.id, false)) > 0 {
		s.late = false
		s.e.abandoned.syncLater(s.id)
	}
	s.e.release(ctx, s.session)
}

// Refresh reads what others have done: verbs, and reports of outcomes and health. Without it a Step
// notices a verb only when its own commit is refused. It reports whether to step again. Call it
// after verbs in this process, after a hint of a Notifier, and every few seconds otherwise.
func (s *Stepper) Refresh(ctx context.Context) (changed bool, err error) {
	if s.session == nil || s.session.st == nil {
		return true, s.over
	}
	number, out := s.session.st.controlNumber, len(s.session.blockedElsewhere)
	left, last, more, err := s.e.refresh(ctx, s.session, s.inbox)
	s.inbox = last
	s.in.add(left)
	if err != nil {
		return false, named(err, "read", s.id)
	}
	st := s.session.st
	changed = st == nil || st.controlNumber != number || len(s.session.blockedElsewhere) != out
	return changed || !left.empty() || more || s.asleep, nil
}

// Counterpart does what is due between the two plans of a rollback: it makes and starts the
// rollback plan, lets it begin when its source has drained, and ends the source when the rollback
// plan has ended. It returns the ID of the other plan once that has to be stepped too, by a Stepper
// of its own, and whether to step this one again. Call it after each Step that has committed, for
// both plans. It does nothing for a plan without a rollback. Its errors are those of Step; after
// any but ErrFenced and ErrNotFound, call it again later.
func (s *Stepper) Counterpart(ctx context.Context) (other string, changed bool, err error) {
	if err := s.begin(ctx); err != nil {
		return "", false, named(err, "step", s.id)
	}
	x := s.session
	if st := x.st; st != nil && st.spec.Source == "" && st.c.Rollback == nil && !undoing(&st.c, &st.p) {
		return "", false, nil
	}
	link, err := s.e.advanceRollback(ctx, s.id)
	s.around.refusal = onlyRefused(err)
	if err != nil {
		return "", false, named(err, "step", s.id)
	}
	if link.drained {
		changed = !s.around.source || len(link.blocked) != len(x.blockedElsewhere)
		s.around.source, s.around.untouched, s.around.bad, x.blockedElsewhere = true, link.untouched, link.bad, link.blocked
	}
	more, err := s.Refresh(ctx)
	if err != nil || x.st == nil {
		return "", true, err
	}
	switch st := x.st; {
	case st.spec.Source != "":
		other = st.spec.Source
	case st.c.Rollback != nil && st.c.Rollback.Started != nil:
		other = st.c.Rollback.ID
	}
	return other, changed || more, nil
}

// Close lets Run, RunPlan and reports of this engine have the plan again, and a Stepper of it. It
// changes nothing in the plan: calls that are out are repeated by the next owner, as after a crash.
// Drain first, and step until Resting, or hand in what is out as Abandoned, if that must not be.
// Each Step after Close returns ErrFenced.
func (s *Stepper) Close() {
	if s.over == nil {
		s.over = wrapError(fmt.Errorf("%w: the Stepper was closed", ErrFenced), "step plan %s", s.id)
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.e.stepped[s.id] == s {
		delete(s.e.stepped, s.id)
	}
}

// lend gives a plan to a Stepper, in place of an older one. It reports false while the engine
// drives the plan.
func (e *Engine) lend(s *Stepper) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.drivers[s.id] != nil {
		return false
	}
	if e.stepped == nil {
		e.stepped = map[string]*Stepper{}
	}
	e.stepped[s.id] = s
	return true
}

// steps reports whether a Stepper of this engine has the plan.
func (e *Engine) steps(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stepped[id] != nil
}

// Drain makes the Stepper start and ask nothing more: further Steps only commit what returns. The
// plan's status stays as it is. Use it before another owner is to go on with the plan.
func (s *Stepper) Drain() { s.draining = true }

// Resting reports whether nothing more happens to the plan until someone acts on it: it is pending,
// paused or has ended, no call is out, and no question would change that. Abandoned calls do not
// count. A paused plan that waits for the time, or for its rollback plan, is not resting.
func (s *Stepper) Resting() bool {
	if s.session == nil {
		return false
	}
	return s.asleep || s.in.empty() && !s.waitsForCalls() && s.session.idle(s.wake, false)
}

// Plan returns the plan as of the last Step, Refresh or Counterpart. Where none of them has read
// it, or the last one has failed, it reads the Store, and returns its error.
func (s *Stepper) Plan(ctx context.Context) (Plan, error) {
	if s.session == nil || s.session.st == nil {
		return s.e.Plan(ctx, s.id)
	}
	row := s.session.row()
	return planOf(&row), nil
}

// Blockers returns what holds the plan back, as of the last Step: what Explain returns, without a
// read of the Store, and without the agents that Explain names. It returns nil where the plan is
// not in memory, as after an error.
func (s *Stepper) Blockers() []Blocker {
	if s.session == nil || s.session.st == nil {
		return nil
	}
	v := s.session.st.view(s.now.UnixNano())
	return v.explain()
}

// Held returns the index of the next batch, and true, while the plan runs and only Promote of that
// batch lets it begin: the batch is held, or the canary before it changed no agent.
func (s *Stepper) Held() (batch int, held bool) {
	if s.session == nil || s.session.st == nil {
		return 0, false
	}
	v := s.session.st.view(s.now.UnixNano())
	if v.status != StatusRunning || v.b == nil {
		return 0, false
	}
	switch v.b.Status {
	case BatchPending:
		_, held = promotedBarrier(&v)
		return v.b.Index, held
	case BatchSoaking:
		for _, barrier := range closers {
			if h, holds := barrier(&v); holds {
				return v.b.Index + 1, h.Verb == VerbPromote
			}
		}
	}
	return v.b.Index, false
}
