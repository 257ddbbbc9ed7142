package ota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/uuid"
)

// Engine makes plans, takes verbs and answers questions about them, and drives them while Run or RunPlan is called. All
// methods are safe for concurrent use. It holds no state of its own: whatever it is told is in the Store before it
// answers, and any number of engines may share one Store.
type Engine struct {
	store  Store
	exec   Executor
	with   companions
	opt    Options
	life   string // not shared even with an engine of the same name
	hub    hub
	lease  lease
	strays strays
	alone  chan struct{} // holds a value while foldAlone is at work

	mu      sync.Mutex
	drivers map[string]*driver // of plans driven by this engine now
}

// Options are the settings of an Engine. The zero value is right for one process.
type Options struct {
	// Name names this engine among those that share the Store; two that run at the same time must not share a name. An engine
	// that comes back under its old name, for example after a crash, takes its plans back at once. When the old one turns out
	// to be alive, it logs an error, and leaves them alone for at least twice the Lease. Empty means a random name.
	Name string
	// Resolver tells which tasks the agents of new plans have. Nil means one task for each agent whose Tasks the Spec does not
	// give.
	Resolver Resolver
	// SameVersion says whether two texts name the same version, for example "v1.3.0" and "1.3.0": an agent that reports
	// one where the other is the target is at its target. Nil means that only equal texts do; equal texts are never
	// asked about. It must be a pure function of its two arguments, the same in every engine on the Store, and quick: it is
	// called while the engine decides. A panic counts as false.
	SameVersion func(a, b string) bool
	// Logger receives what operators should see: of the plans that this engine drives breaches and pauses (warnings) and every
	// other change of status; of the Store and of the lease what fails; of a panic in user code its
	// stack. Nil means none.
	Logger *slog.Logger
	// Clock is the source of time. Nil means the real one.
	Clock clock.Clock
	// Lease is how long this engine counts as alive after it was last heard of, where the Store is a Leaser; it is renewed
	// three times as often. 100 ms or more; 0 means 5 s.
	Lease time.Duration
	// Poll is how often changes are looked for that the Store does not tell of. 0 means 1 s.
	Poll time.Duration
	// DrainTimeout is how long calls may go on after Run's context has ended, before theirs do. 0 means 20 s; negative
	// means not at all.
	DrainTimeout time.Duration
	// AbandonAfter is how long a call may go on after its context has ended, before it is left behind. 0 means 5 s.
	AbandonAfter time.Duration
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "engine-" + uuid.NewString()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&o.Lease, 5 * time.Second},
		{&o.Poll, time.Second},
		{&o.DrainTimeout, 20 * time.Second},
		{&o.AbandonAfter, 5 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	return o
}

func (o Options) check() error {
	var m mistakes
	checkText(&m, "name", o.Name, maxText)
	if o.Lease != 0 && o.Lease < 100*time.Millisecond {
		m.add("lease", o.Lease.String(), "is too short", "100ms or more; 0 means 5s")
	}
	if o.Poll < 0 {
		m.add("poll", o.Poll.String(), "is negative", "more than 0; 0 means 1s")
	}
	if o.AbandonAfter < 0 {
		m.add("abandonAfter", o.AbandonAfter.String(), "is negative", "more than 0; 0 means 5s")
	}
	return m.result()
}

// New returns an engine. It starts nothing: plans move only while Run or RunPlan is called. The store is required; an
// executor of nil makes an engine that can do everything but Run and RunPlan.
//
// The optional interfaces of both are looked for once, here, as [As] does. Those that count are one line in the Logger. New refuses
// a wrapper that hides some: a struct that keeps an Executor or Store in a field, cannot do what that can, and has no Unwrap
// method. It refuses a nil function or pointer, too. Its errors are FieldErrors.
func New(store Store, executor Executor, options Options) (*Engine, error) {
	if store == nil {
		return nil, &FieldError{Field: "store", Problem: "is missing", Allowed: "for example ota.NewMemStore()"}
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	e := &Engine{store: store, exec: executor, opt: options.withDefaults(), life: uuid.NewString()[:8]}
	e.alone, e.drivers = make(chan struct{}, 1), map[string]*driver{}
	var m mistakes
	findCompanions(&m, "store", store, &e.with.storeCompanions)
	if executor != nil {
		findCompanions(&m, "executor", executor, &e.with.executorCompanions)
	}
	if options.Resolver != nil && isNil(options.Resolver) {
		m.add("resolver", typeName(options.Resolver), "is nil inside", "a value; nil means one task for each agent")
	}
	if err := m.result(); err != nil {
		return nil, err
	}
	e.logCompanions()
	e.lease.engine, e.lease.begun = e, e.opt.Clock.Now()
	e.strays.e, e.strays.name = e, instanceName(e.opt.Name, e.life)
	return e, nil
}

func (e *Engine) now() time.Time { return e.opt.Clock.Now().UTC() }

// Start makes a pending plan run, once its agents are claimed; until then Edit and Cancel are cheap. It returns a
// *ClaimError when agents belong to another active plan, or to one that has ended while a call of it for an agent has
// not returned. It returns a *StateError when the plan is not pending or running.
// Starting a rollback plan makes its source roll back.
func (e *Engine) Start(ctx context.Context, id string, by By) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: start plan %s: %w", id, err)
	}
	if row.Source != "" && statusOf(&row.Control, &row.Progress) == StatusPending {
		if err := by.holds(&row); err != nil {
			return Plan{}, err
		}
		return e.startRollback(ctx, row, by)
	}
	if statusOf(&row.Control, &row.Progress) == StatusPending {
		if err := e.claim(ctx, id, ""); err != nil {
			return Plan{}, err
		}
	}
	return e.say(ctx, id, VerbStart, by, (*saying).start)
}

// claim takes the plan's agents for it.
func (e *Engine) claim(ctx context.Context, id, from string) error {
	c := e.with.Claimer
	if c == nil {
		return nil
	}
	conflicts, total, err := c.Claim(ctx, id, from)
	if err != nil {
		return fmt.Errorf("ota: claim the agents of plan %s: %w", id, err)
	}
	if total > 0 {
		return &ClaimError{Plan: id, Conflicts: conflicts, Total: total}
	}
	return nil
}

// Pause makes a plan start nothing more. Once it has returned, no commit makes a task running in any process; calls that
// were made drain, and InFlight of the returned plan tells how many there are. The plan stays paused until Resume.
func (e *Engine) Pause(ctx context.Context, id string, by By) (Plan, error) {
	return e.say(ctx, id, VerbPause, by, (*saying).pause)
}

// Resume makes a pausing or paused plan run again, and answers everything that paused it: an operator, and every breach that
// stands. The zero Decision suffices unless a threshold is still exceeded, which takes Accept, Raise or RetryFailed, or a
// PlanLimit or BatchLimit has passed, which takes Accept, or more time by Edit beforehand. Without it Resume changes nothing
// and returns a *BreachError with the first breach that needs more. A gate is asked again, unless Accept passes it.
func (e *Engine) Resume(ctx context.Context, id string, d Decision, by By) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: resume plan %s: %w", id, err)
	}
	if row.Control.Rollbacks > 0 && row.Control.Rollback == nil { // a rollback had taken the claims over
		if err := e.claim(ctx, id, ""); err != nil {
			return Plan{}, err
		}
	}
	return e.say(ctx, id, VerbResume, by, func(w *saying) error { return w.resume(d) })
}

// Cancel ends a plan for good. Calls in flight drain, or, with interrupt, have their contexts ended. Agents not started
// stay as they are. Of a plan that rolls back because of a breach, Cancel is legal until its rollback plan was started. It
// calls the rollback off, and is the way out when that plan cannot be made.
func (e *Engine) Cancel(ctx context.Context, id string, interrupt bool, by By) (Plan, error) {
	if err := e.uncreate(ctx, id, by); err != nil {
		return Plan{}, err
	}
	p, err := e.say(ctx, id, VerbCancel, by, func(w *saying) error { return w.cancel(interrupt) })
	if err == nil && p.Source != "" && p.Status == StatusCanceled {
		_, err = e.tend(ctx, p.Source)
	}
	return p, err
}

// Promote lets a held batch begin, given by its index: the next one that was not begun.
func (e *Engine) Promote(ctx context.Context, id string, batch int, by By) (Plan, error) {
	return e.say(ctx, id, VerbPromote, by, func(w *saying) error { return w.promote(batch) })
}

// Skip leaves agents out that were not started; an agent that waits for a retry fails with its last error. Other plans
// may have a skipped agent at once, unless this plan has changed it.
func (e *Engine) Skip(ctx context.Context, id string, agents []string, by By) (Plan, error) {
	return e.say(ctx, id, VerbSkip, by, func(w *saying) error { return w.skip(agents) })
}

// Retry puts failed agents back; all of them when none is named, those whose failure was accepted too. Their batches run, and
// are observed, again.
func (e *Engine) Retry(ctx context.Context, id string, agents []string, by By) (Plan, error) {
	return e.say(ctx, id, VerbRetry, by, func(w *saying) error { return w.retry(agents) })
}

// Edit changes the policy of a plan that has not ended: change gets the present policy and alters it. The new one counts
// from the next decision on, and the plan is judged by it at once; a breach that stands is answered by Resume only.
func (e *Engine) Edit(ctx context.Context, id string, change func(*Policy), by By) (Plan, error) {
	return e.say(ctx, id, VerbEdit, by, func(w *saying) error { return w.edit(change) })
}

// Annotate sets and removes annotations, in any status.
func (e *Engine) Annotate(ctx context.Context, id string, set map[string]string, remove []string, by By) (Plan, error) {
	return e.say(ctx, id, VerbAnnotate, by, func(w *saying) error { return w.annotate(set, remove) })
}

// say carries out a verb: through the plan's owner when that is in this process, which keeps the two from refusing each
// other's commits, and straight in the Store otherwise.
func (e *Engine) say(ctx context.Context, id string, verb Verb, by By, f func(*saying) error) (Plan, error) {
	row, err := e.sayRow(ctx, id, verb, by, f)
	if err != nil {
		return Plan{}, err
	}
	return planOf(&row), nil
}

func (e *Engine) sayRow(ctx context.Context, id string, verb Verb, by By, f func(*saying) error) (PlanRow, error) {
	return e.sayAs(ctx, id, &saying{ctx: ctx, store: e.store, verb: verb, as: verb, by: by}, f)
}

// sayAs is sayRow for a verb that is ready to be said.
func (e *Engine) sayAs(ctx context.Context, id string, w *saying, f func(*saying) error) (PlanRow, error) {
	var m mistakes
	checkText(&m, "by.actor", w.by.Actor, maxText)
	checkText(&m, "by.reason", w.by.Reason, maxText)
	checkText(&m, "by.request", w.by.Request, maxText)
	if err := m.result(); err != nil {
		return PlanRow{}, err
	}
	row, err := e.sayTo(ctx, id, w, f)
	if err == nil {
		e.changed(id)
	}
	return row, err
}

func (e *Engine) sayTo(ctx context.Context, id string, w *saying, f func(*saying) error) (PlanRow, error) {
	for try := 0; ; try++ {
		row, handled, err := e.throughOwner(ctx, id, w, f)
		if !handled {
			row, err = e.commitVerb(ctx, id, w, f)
		}
		if err == nil || w.by.Control != 0 || !errors.Is(err, ErrConflict) {
			return row, err
		}
		w.loose = true
		if err := e.sleep(ctx, backoff(try, time.Millisecond, 100*time.Millisecond)); err != nil {
			return PlanRow{}, err
		}
	}
}

// commitVerb is one try to carry out a verb in the Store.
func (e *Engine) commitVerb(ctx context.Context, id string, w *saying, f func(*saying) error) (PlanRow, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return PlanRow{}, fmt.Errorf("ota: %s plan %s: %w", w.verb, id, err)
	}
	if row.newer() {
		return PlanRow{}, fmt.Errorf("ota: %s plan %s: %w", w.verb, id, errSchema)
	}
	w.row, w.now = row, e.now()
	return w.commit(f)
}

// commit prepares and commits once.
func (w *saying) commit(f func(*saying) error) (PlanRow, error) {
	c, ok, err := w.prepare(f)
	if err != nil || !ok {
		return w.row, err
	}
	rev, err := w.store.Commit(w.ctx, c)
	if err != nil {
		return PlanRow{}, fmt.Errorf("ota: %s plan %s: %w", w.verb, w.row.ID, err)
	}
	w.done(c, rev)
	return w.row, nil
}

// sleep waits for d or until ctx ends.
func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := e.opt.Clock.Timer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// backoff doubles from least to most, and is shortened at random so that rivals part.
func backoff(try int, least, most time.Duration) time.Duration {
	d := min(least<<min(try, 20), most)
	return d/2 + rand.N(d/2+1)
}
