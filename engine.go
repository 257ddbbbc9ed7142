package ota

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Engine makes plans, takes verbs and answers questions about them, and drives them while Run or RunPlan is called. All
// methods are safe for concurrent use. It holds no state of its own: whatever it is told is in the Store before it
// answers, and any number of engines may share one Store.
type Engine struct {
	host
	alone turn // of foldAlone

	mu      sync.Mutex
	drivers map[string]*driver // of plans driven by this engine now
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
	e := &Engine{host: host{store: store, exec: executor, opt: options.withDefaults(), instance: uuid.NewString()[:8]}}
	e.alone, e.abandoned.storing, e.drivers = newTurn(), newTurn(), map[string]*driver{}
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
	e.lease.host, e.lease.base = &e.host, e.opt.Clock.Now()
	e.abandoned.host, e.abandoned.name = &e.host, instanceName(e.opt.Name, e.instance)
	return e, nil
}

// Start makes a pending plan run, once its agents are claimed; until then Edit and Cancel are cheap. It returns a
// *ClaimError when agents belong to another active plan, or to one that has ended while a call of it for an agent has
// not returned. It returns a *StateError when the plan is not pending or running.
// Starting a rollback plan makes its source roll back.
func (e *Engine) Start(ctx context.Context, id string, by Request) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: start plan %s: %w", id, err)
	}
	if row.Source != "" && statusOf(&row.Control, &row.Progress) == StatusPending {
		if err := by.checkGeneration(&row); err != nil {
			return Plan{}, err
		}
		return e.startRollback(ctx, row, by)
	}
	if statusOf(&row.Control, &row.Progress) == StatusPending {
		if err := e.claim(ctx, id, ""); err != nil {
			return Plan{}, err
		}
	}
	return e.apply(ctx, id, VerbStart, by, (*command).start)
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
// were made drain. The returned plan is paused only if nothing is in flight. If it is pausing, InFlight counts what was in
// flight when Pause read the plan. The plan stays paused until Resume.
func (e *Engine) Pause(ctx context.Context, id string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbPause, by, (*command).pause)
}

// Resume makes a pausing or paused plan run again, and answers everything that paused it: an operator, and every breach that
// stands. The zero Decision suffices unless a threshold is still exceeded, which takes Accept, Raise or RetryFailed, or a
// PlanTimeout or BatchTimeout has passed, which takes Accept, or more time by Edit beforehand. Without it Resume changes nothing
// and returns a *BreachError with the first breach that needs more. A gate is asked again, unless Accept passes it.
func (e *Engine) Resume(ctx context.Context, id string, d Decision, by Request) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: resume plan %s: %w", id, err)
	}
	if row.Control.Rollbacks > 0 && row.Control.Rollback == nil { // a rollback had taken the claims over
		if err := e.claim(ctx, id, ""); err != nil {
			return Plan{}, err
		}
	}
	return e.apply(ctx, id, VerbResume, by, func(w *command) error { return w.resume(d) })
}

// Promote lets a held batch begin, given by its index: the next one that was not begun.
func (e *Engine) Promote(ctx context.Context, id string, batch int, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbPromote, by, func(w *command) error { return w.promote(batch) })
}

// Skip leaves agents out that were not started; an agent that waits for a retry fails with its last error. Other plans
// may have a skipped agent at once, unless this plan has changed it.
func (e *Engine) Skip(ctx context.Context, id string, agents []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbSkip, by, func(w *command) error { return w.skip(agents) })
}

// Retry puts failed agents back; all of them when none is named, those whose failure was accepted too. Their batches run, and
// are observed, again.
func (e *Engine) Retry(ctx context.Context, id string, agents []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbRetry, by, func(w *command) error { return w.retry(agents) })
}

// Edit changes the policy of a plan that has not ended: change gets the present policy and alters it. The new one counts
// from the next decision on, and the plan is judged by it at once; a breach that stands is answered by Resume only.
func (e *Engine) Edit(ctx context.Context, id string, change func(*Policy), by Request) (Plan, error) {
	return e.apply(ctx, id, VerbEdit, by, func(w *command) error { return w.edit(change) })
}

// Annotate sets and removes annotations, in any status.
func (e *Engine) Annotate(ctx context.Context, id string, set map[string]string, remove []string, by Request) (Plan, error) {
	return e.apply(ctx, id, VerbAnnotate, by, func(w *command) error { return w.annotate(set, remove) })
}

// say carries out a verb: through the plan's owner when that is in this process, which keeps the two from refusing each
// other's commits, and straight in the Store otherwise.
func (e *Engine) apply(ctx context.Context, id string, verb Verb, by Request, f func(*command) error) (Plan, error) {
	w := &command{ctx: ctx, store: e.store, verb: verb, recordAs: verb, request: by}
	row, err := e.applyCommand(ctx, id, w, f)
	if err != nil {
		return Plan{}, err
	}
	return w.plan(&row), nil
}

func (e *Engine) applyRow(ctx context.Context, id string, verb Verb, by Request, f func(*command) error) (PlanRow, error) {
	return e.applyCommand(ctx, id, &command{ctx: ctx, store: e.store, verb: verb, recordAs: verb, request: by}, f)
}

// applyCommand is applyRow for a command that exists already.
func (e *Engine) applyCommand(ctx context.Context, id string, w *command, f func(*command) error) (PlanRow, error) {
	var m mistakes
	checkText(&m, "by.actor", w.request.Actor, maxText)
	checkText(&m, "by.reason", w.request.Reason, maxText)
	checkText(&m, "by.request", w.request.ID, maxText)
	if err := m.result(); err != nil {
		return PlanRow{}, err
	}
	row, err := e.sayTo(ctx, id, w, f)
	if err == nil {
		e.changed(id)
	}
	return row, err
}

func (e *Engine) sayTo(ctx context.Context, id string, w *command, f func(*command) error) (PlanRow, error) {
	for try := 0; ; try++ {
		row, handled, err := e.throughOwner(ctx, id, w, f)
		if !handled {
			row, err = e.commitVerb(ctx, id, w, f)
		}
		if err == nil || w.request.Generation != 0 || !errors.Is(err, ErrConflict) {
			return row, err
		}
		w.inexact = true
		if err := e.sleep(ctx, backoff(try, time.Millisecond, 100*time.Millisecond)); err != nil {
			return PlanRow{}, err
		}
	}
}

// commitVerb is one try to carry out a verb in the Store.
func (e *Engine) commitVerb(ctx context.Context, id string, w *command, f func(*command) error) (PlanRow, error) {
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

// logCompanions says once which optional interfaces count for this engine.
func (e *Engine) logCompanions() {
	has, lacks := named(&e.with.storeCompanions)
	attrs := []any{"engine", e.opt.Name, "store", typeName(e.store), "store_has", strings.Join(has, ", "), "store_lacks", strings.Join(lacks, ", ")}
	if e.exec != nil {
		has, lacks = named(&e.with.executorCompanions)
		attrs = append(attrs, "executor", typeName(e.exec), "executor_has", strings.Join(has, ", "), "executor_lacks", strings.Join(lacks, ", "))
	}
	e.opt.Logger.InfoContext(context.Background(), "engine is ready", attrs...)
}

func (e *Engine) newDriver(ctx context.Context, row *PlanRow) *driver {
	id := row.ID
	d := &driver{host: &e.host, office: e, id: id, ready: make(chan struct{}, 1), done: make(chan struct{}), session: e.newSession(id, row.Epoch)}
	d.notice = notice{lastBreach: row.Progress.LastBreach, status: row.Status}
	d.base, d.endBase = context.WithCancelCause(context.WithoutCancel(ctx))
	d.callsContext, d.endCalls = context.WithCancelCause(d.base)
	d.pool = newPool(e.exec, e.opt.Clock, d.callsContext, d.wake, e.lease.ok)
	d.pool.onAbandoned = func(j job) { e.abandoned.add(abandonedCall{id, j.agent, j.ordinal}) }
	d.pool.onReturned = d.lateReturn
	d.pool.panicked = func(agent string, err error) { e.logPanic(d.base, err, "plan", id, "agent", agent) }
	d.session.blocked, d.session.callsInFlight = e.abandoned.ofPlan(id), d.pool.calls
	d.session.calls.prober = e.with.Prober != nil
	d.session.calls.prechecker = e.with.Prechecker != nil
	d.session.calls.inspector = e.with.Inspector != nil
	d.session.calls.gater = e.with.Gater != nil
	return d
}

// driver is that of a plan which this engine drives now, or nil.
func (e *Engine) driver(id string) *driver {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drivers[id]
}

// crowded reports whether this engine drives more plans than there are processors.
func (e *Engine) moreDriversThanCPUs() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.drivers) > runtime.GOMAXPROCS(0)
}

// throughOwner says a verb by way of the driver of this process, if there is one.
func (e *Engine) throughOwner(ctx context.Context, id string, w *command, f func(*command) error) (row PlanRow, handled bool, err error) {
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

// owners lists the engines that are alive.
func (e *Engine) owners(ctx context.Context) ([]string, error) {
	l := e.with.Leaser
	if l == nil {
		return nil, nil
	}
	return l.Owners(ctx)
}

// mayOwn reports whether this engine may take the plan: it is its own, nobody's, or its owner is not alive.
func (e *Engine) mayOwn(row *PlanRow, owners []string) bool {
	owner := row.Progress.Owner
	return owner == "" || owner == e.opt.Name || !slices.Contains(owners, owner)
}

// newSession begins a session of this engine.
func (e *Engine) newSession(plan string, epoch uint64) *session {
	x := newSession(e.store, plan, e.opt.Name, epoch)
	x.instance, x.same = e.instance, e.opt.SameVersion
	x.syncAbandoned, x.readBlocked = e.abandoned.sync, e.blockedElsewhere
	return x
}
