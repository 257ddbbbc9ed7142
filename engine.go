package ota

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/uuid"

	"github.com/seed-19b57ce3/ota/internal/wrap"
)

// Engine creates plans, applies verbs to them and answers queries about them. It drives plans while
// Run or RunPlan is called. All methods are safe for concurrent use.
//
// An engine has no state of its own: a method returns only when its change is in the Store. Any
// number of engines may share one Store.
type Engine struct {
	host
	foldTurn turn // foldWithoutDriver runs once at a time

	mu      sync.Mutex
	drivers map[string]*driver  // by plan: those that this engine drives now
	stepped map[string]*Stepper // by plan: those that have it
	rested  map[string]uint64   // by plan that came to rest: its revision then
}

// New returns an engine. It starts nothing: plans move only while Run or RunPlan is called. The
// store is required. With a nil executor the engine can do everything except Run and RunPlan.
//
// New looks for the optional interfaces of both once, as [As] does. It logs those that it uses, in
// one line. New refuses a wrapper that hides optional interfaces. Such a wrapper is a struct with
// an Executor or Store in a field. It lacks an interface of that value, and has no Unwrap method.
// New also refuses a nil function or pointer. Its errors are FieldErrors.
func New(store Store, executor Executor, options Options) (*Engine, error) {
	if store == nil {
		return nil, &FieldError{Field: "store", Problem: "is missing", Allowed: "for example memstore.New()"}
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	e := &Engine{host: host{exec: executor, opt: options.withDefaults(), instance: uuid.NewString()[:8]}}
	if o := options.Observer; o != nil {
		e.observer = &observer{to: o, clock: e.opt.Clock, logger: e.opt.Logger}
	}
	e.store = rowStore{store, e.observer}
	e.clock = callClock{e.opt.Clock}
	e.foldTurn, e.abandoned.storing, e.drivers = newTurn(), newTurn(), map[string]*driver{}
	var m mistakes
	findCompanions(&m, "store", store, &e.with.storeCompanions)
	if executor != nil {
		findCompanions(&m, "executor", executor, &e.with.executorCompanions)
	}
	if options.Resolver != nil && wrap.IsNil(options.Resolver) {
		m.add("resolver", wrap.TypeName(options.Resolver), "is nil inside", "a value; nil means one task for each agent")
	}
	if options.Observer != nil && wrap.IsNil(options.Observer) {
		m.add("observer", wrap.TypeName(options.Observer), "is nil inside", "a value; nil means that nothing is observed")
	}
	if err := m.result(); err != nil {
		return nil, err
	}
	e.logCompanions()
	e.lease.host, e.lease.base = &e.host, e.opt.Clock.Now()
	e.abandoned.host, e.abandoned.name = &e.host, instanceName(e.opt.Name, e.instance)
	e.abandoned.doubtful = e.doubtfulCalls
	return e, nil
}

// Start claims the agents of a pending plan, and makes the plan run. Before Start, Edit and Cancel
// are cheap. Starting a rollback plan makes its source roll back.
//
// Start returns a *ClaimError if agents belong to another active plan. It returns one, too, if a
// call of a plan that has ended has not returned for an agent. It returns a *StateError if the plan
// is neither pending nor running.
func (e *Engine) Start(ctx context.Context, id string, by Request) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, wrapError(err, "start plan %s", id)
	}
	if row.Source != "" && statusOf(&row.Control, &row.Progress) == StatusPending {
		if err := by.checkGeneration(&row); err != nil {
			return Plan{}, err
		}
		return e.startRollback(ctx, row, by)
	}
	if statusOf(&row.Control, &row.Progress) == StatusPending {
		if err := e.wouldRefuse(ctx, row, VerbStart, by, (*command).start); err != nil {
			return Plan{}, err
		}
		if err := e.claim(ctx, id, ""); err != nil {
			return Plan{}, err
		}
	}
	return e.apply(ctx, id, VerbStart, by, (*command).start)
}

// wouldRefuse returns the error with which a verb refuses the plan as it is. A verb that is refused
// must not claim agents first: other plans could not start with them.
func (e *Engine) wouldRefuse(ctx context.Context, row planRow, verb Verb, by Request, f func(*command) error) error {
	if err := by.check(); err != nil {
		return named(err, verb.String(), row.ID)
	}
	w := &command{ctx: ctx, store: e.store, verb: verb, recordAs: verb, request: by, row: row, now: e.now()}
	_, _, err := w.prepare(f)
	return named(err, verb.String(), row.ID)
}

// claim claims the agents of plan id. from is the plan whose claims it takes over, or empty.
func (e *Engine) claim(ctx context.Context, id, from string) error {
	c := e.with.Claimer
	if c == nil {
		return nil
	}
	conflicts, total, err := c.Claim(ctx, id, from)
	if err != nil {
		return wrapError(err, "claim the agents of plan %s", id)
	}
	if total > 0 {
		return &ClaimError{Plan: id, Conflicts: conflicts, Total: total}
	}
	return nil
}

// Pause stops all starts of a plan. After Pause has returned, no process commits a start. Calls in
// flight drain. The returned plan is paused only if nothing is in flight. If it is pausing,
// InFlight counts what was in flight when Pause read the plan. The plan stays paused until Resume.
func (e *Engine) Pause(ctx context.Context, id string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbPause, by, (*command).pause)
}

// Resume makes a pausing or paused plan run again. It answers everything that paused the plan: the
// operator's Pause, and every open breach.
//
// The zero Decision suffices, except for two kinds of breach:
//   - A threshold that is still exceeded needs Accept, Raise or RetryFailed.
//   - A PlanTimeout or BatchTimeout that is exceeded needs Accept, or more time by Edit beforehand.
//
// Without that decision Resume changes nothing, and returns a *BreachError with the first breach
// that needs one. A gate is asked again, unless Accept passes it.
func (e *Engine) Resume(ctx context.Context, id string, d Decision, by Request) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, wrapError(err, "resume plan %s", id)
	}
	// An earlier rollback plan had taken the claims over.
	resume := func(w *command) error { return w.resume(d) }
	if row.Control.Rollbacks > 0 && row.Control.Rollback == nil {
		if err := e.wouldRefuse(ctx, row, VerbResume, by, resume); err != nil {
			return Plan{}, err
		}
		if err := e.claim(ctx, id, ""); err != nil {
			return Plan{}, err
		}
	}
	return e.apply(ctx, id, VerbResume, by, resume)
}

// Cancel ends a plan for good. Calls in flight drain; with interrupt, their contexts end. Agents
// that have not started do not change.
//
// A plan that rolls back because of a breach accepts Cancel until its rollback plan has started.
// Cancel then calls the rollback off. It is the way out if the rollback plan cannot be created.
func (e *Engine) Cancel(ctx context.Context, id string, interrupt bool, by Request) (Plan, error) {
	if err := e.cancelPendingRollback(ctx, id, by); err != nil {
		return Plan{}, err
	}
	p, err := e.apply(ctx, id, VerbCancel, by, func(w *command) error { return w.cancel(interrupt) })
	if err == nil && p.Source != "" && p.Status == StatusCanceled {
		_, err = e.advanceRollback(ctx, p.Source)
	}
	return p, err
}

// Promote lets a held batch begin. batch is the index of the next batch that has not begun. A batch
// may be promoted before its turn comes. While agents of the batch before it have not ended, a
// batch that is not held is refused with a *StateError: it would begin no earlier.
//
// Promote with Plan.Batches, the number of batches, completes a plan that Policy.Complete keeps
// open.
func (e *Engine) Promote(ctx context.Context, id string, batch int, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbPromote, by, func(w *command) error { return w.promote(batch) })
}

// Skip leaves out agents that have not started. An agent that waits for a retry fails with its last
// error. Other plans may claim a skipped agent at once, unless this plan has changed it.
func (e *Engine) Skip(ctx context.Context, id string, agents []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbSkip, by, func(w *command) error { return w.skip(agents) })
}

// Now makes these agents start next. They start also while no window is open, while their batch is
// held, and before its turn has come. Further tries of such an agent start in the same way. At most
// 100 agents, which are pending or waiting. The plan must have been started.
//
// Every other limit applies: a pause, an open breach, Concurrency, Reserve, Rate and Budgets. A
// Prechecker is asked first. The agents stay in their batch: their failures count there, and they
// soak with it. The log names the actor. Repeating Now changes nothing.
func (e *Engine) Now(ctx context.Context, id string, agents []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbNow, by, func(w *command) error { return w.urgent(agents) })
}

// GiveUp ends the attempts that are out for these agents, without waiting for them. The contexts of
// their calls end. The agents become unknown, which counts as failed, and count as changed. A call
// that does not return blocks nothing but its agent: the agent stays claimed, and takes no other
// attempt, until the call has returned. What it then returns is only an event in the log
// ([EventLate]).
//
// The plan's owner carries this out within its Options.Poll. An attempt that has ended by then
// keeps its outcome. GiveUp returns a *FieldError for an agent that is not running. A running agent
// is also one whose call was lost and is to be repeated.
func (e *Engine) GiveUp(ctx context.Context, id string, agents []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbGiveUp, by, func(w *command) error { return w.giveUp(agents) })
}

// Retry makes failed agents pending again, also those whose failure was accepted. With no agents
// named it means every failed agent. Their batches run and soak again.
func (e *Engine) Retry(ctx context.Context, id string, agents []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbRetry, by, func(w *command) error { return w.retry(agents) })
}

// Edit changes the policy of a plan that has not ended: change gets the present policy and alters
// it. The new policy applies from the next decision on, and the engine judges the plan by it at
// once. An open breach stays open until Resume.
//
// change only alters its argument. Edit may call it more than once, from another goroutine, and
// also just after ctx has ended.
//
// An edit ends no call, and changes nothing that has happened. The returned plan's Warnings also
// name what this edit does not affect, for example that a new AttemptTimeout does not apply to
// attempts in flight. These are in the answer only.
func (e *Engine) Edit(ctx context.Context, id string, change func(*Policy), by Request) (Plan, error) {
	return e.apply(ctx, id, VerbEdit, by, func(w *command) error { return w.edit(change) })
}

// Annotate sets and removes annotations, in any status.
func (e *Engine) Annotate(ctx context.Context, id string, set map[string]string, remove []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbAnnotate, by, func(w *command) error { return w.annotate(set, remove) })
}

// apply applies a verb. If this process drives the plan, the verb goes through its driver, so that
// the two do not conflict in the Store. Otherwise apply commits it to the Store itself.
func (e *Engine) apply(ctx context.Context, id string, verb Verb, by Request, f func(*command) error) (Plan, error) {
	w := &command{ctx: ctx, store: e.store, verb: verb, recordAs: verb, request: by}
	row, err := e.applyCommand(ctx, id, w, f)
	if err != nil {
		return Plan{}, err
	}
	return w.plan(&row), nil
}

// applyRow is apply, and returns the stored row.
func (e *Engine) applyRow(ctx context.Context, id string, verb Verb, by Request, f func(*command) error) (planRow, error) {
	return e.applyCommand(ctx, id, &command{ctx: ctx, store: e.store, verb: verb, recordAs: verb, request: by}, f)
}

// applyCommand checks the request of a command, applies the command, and wakes those who wait for
// the plan.
func (e *Engine) applyCommand(ctx context.Context, id string, w *command, f func(*command) error) (planRow, error) {
	if err := w.request.check(); err != nil {
		return planRow{}, err
	}
	row, err := e.applyWithRetry(ctx, id, w, f)
	if err == nil {
		e.changed(id)
	}
	return row, named(err, w.verb.String(), id)
}

// applyWithRetry repeats a command after each conflict, except that with the generation that its
// request names.
func (e *Engine) applyWithRetry(ctx context.Context, id string, w *command, f func(*command) error) (planRow, error) {
	for try := 0; ; try++ {
		row, handled, err := e.throughOwner(ctx, id, w, f)
		if !handled {
			row, err = e.commitVerb(ctx, id, w, f)
		}
		var asked *generationError
		if err == nil || errors.As(err, &asked) || !errors.Is(err, ErrConflict) {
			return row, err
		}
		w.inexact = true
		if err := e.sleep(ctx, backoff(try, time.Millisecond, 100*time.Millisecond)); err != nil {
			return planRow{}, err
		}
	}
}

// commitVerb tries once to apply a verb in the Store.
func (e *Engine) commitVerb(ctx context.Context, id string, w *command, f func(*command) error) (planRow, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return planRow{}, wrapError(err, "%s plan %s", w.verb, id)
	}
	w.row, w.now = row, e.now()
	row, err = w.commit(f)
	e.logVerb(w)
	return row, err
}

// Clock returns the engine's source of time: Options.Clock, or the real clock.
func (e *Engine) Clock() clock.Clock { return e.opt.Clock }

// logCompanions logs which optional interfaces this engine uses.
func (e *Engine) logCompanions() {
	has, lacks := wrap.Named(&e.with.storeCompanions)
	attrs := []any{"engine", e.opt.Name, "store", wrap.TypeName(e.store.store), "store_has", strings.Join(has, ", "), "store_lacks", strings.Join(lacks, ", ")}
	if e.exec != nil {
		has, lacks = wrap.Named(&e.with.executorCompanions)
		attrs = append(attrs, "executor", wrap.TypeName(e.exec), "executor_has", strings.Join(has, ", "), "executor_lacks", strings.Join(lacks, ", "))
	}
	e.opt.Logger.InfoContext(context.Background(), "engine is ready", attrs...)
}

// newDriver makes the driver of a plan. It starts nothing.
func (e *Engine) newDriver(ctx context.Context, row *planRow) *driver {
	id := row.ID
	d := &driver{host: &e.host, office: e, id: id, ready: make(chan struct{}, 1), done: make(chan struct{}), session: e.newSession(id, row.Epoch)}
	d.notice = notice{lastBreach: row.Progress.LastBreach, status: row.Status}
	d.sure.Store(e.lease.lapses.Load())
	d.base, d.endBase = context.WithCancelCause(context.WithoutCancel(ctx))
	d.callsContext, d.endCalls = context.WithCancelCause(d.base)
	d.pool = newPool(e.exec, &e.clock, d.callsContext, d.wake, e.lease.ok)
	d.pool.onAbandoned = func(j job) {
		e.abandoned.add(abandonedCall{id, j.agent, j.ordinal})
		e.abandoned.startKeeper()
	}
	d.pool.onReturned, d.pool.observer = d.lateReturn, e.observer
	d.pool.panicked = func(agent string, err error) { e.logPanic(d.base, err, "plan", id, "agent", agent) }
	d.session.blocked, d.session.callsInFlight = e.abandoned.ofPlan(id), d.pool.calls
	d.session.giveUpCalls = d.giveUp
	d.session.abilities.prober = e.with.Prober != nil
	d.session.abilities.prechecker = e.with.Prechecker != nil
	d.session.abilities.inspector = e.with.Inspector != nil
	d.session.abilities.gater = e.with.Gater != nil
	return d
}

// driver returns the driver of a plan, or nil if this engine does not drive it now.
func (e *Engine) driver(id string) *driver {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drivers[id]
}

// moreDriversThanCPUs reports whether this engine drives more plans than there are processors.
func (e *Engine) moreDriversThanCPUs() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.drivers) > runtime.GOMAXPROCS(0)
}

// throughOwner applies a verb through the driver of this process. handled is false if there is
// none. The command belongs to the driver until its answer comes. A sender whose context has ended
// leaves it to the driver.
func (e *Engine) throughOwner(ctx context.Context, id string, w *command, f func(*command) error) (row planRow, handled bool, err error) {
	d := e.driver(id)
	if d == nil {
		return row, false, nil
	}
	reply := make(chan answer, 1)
	if !d.post(func(m *mail) { m.commands = append(m.commands, commandMail{w, f, reply}) }) {
		return row, false, nil
	}
	select {
	case a := <-reply:
		return a.row, !errors.Is(a.err, errStopped), a.err
	case <-ctx.Done():
		return row, true, context.Cause(ctx)
	}
}

// owners lists the engines whose lease has not ended.
func (e *Engine) owners(ctx context.Context) ([]string, error) {
	l := e.with.Leaser
	if l == nil {
		return nil, nil
	}
	return l.Owners(ctx)
}

// mayOwn reports whether this engine may drive the plan: it owns the plan already, the plan has no
// owner, or its owner is not alive.
func (e *Engine) mayOwn(row *planRow, owners []string) bool {
	owner := row.Progress.Owner
	return owner == "" || owner == e.opt.Name || !slices.Contains(owners, owner)
}

// newSession makes a session for a plan that this engine drives or folds into.
func (e *Engine) newSession(plan string, epoch uint64) *session {
	x := newSession(e.store, plan, e.opt.Name, epoch)
	x.instance, x.same = e.instance, e.opt.SameVersion
	x.syncAbandoned, x.readBlocked = e.abandoned.sync, e.blockedElsewhere
	return x
}
