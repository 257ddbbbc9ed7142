package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Run drives every plan of the Store that can move, until ctx ends: those that run, pause, cancel or roll back, those that are
// observed while paused, and those that were given an order. Then nothing more starts, calls get DrainTimeout to
// return, and Run returns nil, or an *AbandonedError that counts calls which ignore their contexts. What was in flight then
// is called again, under the same key, by the next engine.
//
// Where the Store is a Leaser, plans of other engines that are alive are left alone, and taken over when they are not.
// Without it this engine takes over every plan it finds when Run begins.
func (e *Engine) Run(ctx context.Context) error {
	if e.exec == nil {
		return &FieldError{Field: "executor", Problem: "is missing", Allowed: "an ota.Executor"}
	}
	release, err := e.lease.acquire(ctx)
	if err != nil {
		return nil // ctx ended first
	}
	defer release()
	s := &supervisor{e: e, started: map[string]uint64{}}
	s.watch(ctx)
	for ctx.Err() == nil {
		began := e.now()
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			e.opt.Logger.WarnContext(ctx, "plans could not be listed", "error", err)
		}
		_ = e.sleep(ctx, min(lookRest*e.now().Sub(began), e.opt.Poll)) // an error says that ctx ended
		s.wait(ctx)
	}
	return s.end()
}

// end waits for all drivers, and returns an *AbandonedError when calls were left behind.
func (s *supervisor) end() error {
	s.wg.Wait()
	if n := s.abandoned.Load(); n > 0 {
		return &AbandonedError{Calls: int(n)}
	}
	return nil
}

// lookRest is how many times as long as a list of the plans took Run rests before the next: when many begin or end at once, a list
// for each would be work that grows with their square.
const lookRest = 9

// supervisor starts a driver for every plan that needs one.
type supervisor struct {
	e         *Engine
	wg        sync.WaitGroup
	abandoned atomic.Int64
	wake      <-chan struct{}
	changes   <-chan string

	mu      sync.Mutex
	started map[string]uint64 // plans that came to rest: at which revision
	fenced  map[string]bool   // plans that another engine took
	shared  map[string]truce  // plans that another process took in this engine's name
}

func (s *supervisor) watch(ctx context.Context) {
	wake, stop := s.e.hub.watch("")
	s.wake = wake
	context.AfterFunc(ctx, stop)
	if n := s.e.with.Notifier; n != nil {
		changes, err := n.Changes(ctx)
		if err != nil {
			s.e.opt.Logger.WarnContext(ctx, "changes are polled for", "error", err)
			return
		}
		s.changes = changes
	}
}

// wait returns when a plan has changed, after Poll at the latest.
func (s *supervisor) wait(ctx context.Context) {
	t := s.e.opt.Clock.Timer(s.e.opt.Poll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case <-s.wake:
			return
		case id, ok := <-s.changes:
			if !ok {
				s.changes = nil
				continue
			}
			if s.nudge(id) {
				continue
			}
			return
		}
	}
}

// nudge tells the driver of a plan that it was changed, and reports whether it has one.
func (s *supervisor) nudge(id string) bool {
	d := s.e.driver(id)
	if d == nil {
		s.e.changed(id)
		return false
	}
	d.nudge()
	return true
}

// look lists the plans that can move, and starts drivers for those that have none.
func (s *supervisor) look(ctx context.Context) error {
	q := PlanQuery{
		Status: []Status{StatusRunning, StatusPausing, StatusPaused, StatusCanceling, StatusRollingBack, StatusPending},
	}
	for {
		page, owners, err := s.list(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			s.consider(ctx, &page.Items[i], owners)
		}
		if !page.More || len(page.Items) == 0 {
			return nil
		}
		q.Offset += len(page.Items)
	}
}

// list reads some plans, and then who is alive: who owns one of them has been alive at least until then.
func (s *supervisor) list(ctx context.Context, q PlanQuery) (page Page[PlanRow], owners []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	if page, err = s.e.store.Plans(ctx, q); err == nil {
		owners, err = s.e.owners(ctx)
	}
	return page, owners, err
}

func (s *supervisor) consider(ctx context.Context, row *PlanRow, owners []string) {
	if !s.e.mayOwn(row, owners) {
		return
	}
	if !s.wants(row) {
		s.tendFrozen(ctx, row)
		return
	}
	if !s.e.lease.ok(s.e.opt.Clock.Now()) { // two engines that nobody takes for alive would take it from each other again and again
		return
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.e.drivers[row.ID] != nil {
		return
	}
	d := s.e.newDriver(ctx, row)
	s.e.drivers[row.ID] = d
	s.e.opt.Logger.InfoContext(ctx, "plan is driven by this engine", "plan", row.ID, "name", row.Spec.Name, "status", row.Status, "engine", s.e.opt.Name)
	s.wg.Go(func() { s.drive(ctx, d) })
}

// wants reports whether a plan can move. One that came to rest can, once it was changed.
func (s *supervisor) wants(row *PlanRow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e.with.Leaser == nil && s.fenced[row.ID] && row.Progress.Owner != s.e.opt.Name {
		return false
	}
	if p := &row.Progress; p.Owner == s.e.opt.Name && p.Instance != s.e.instance && s.e.now().Before(s.shared[row.ID].until) {
		return false
	}
	if s.started[row.ID] == row.Revision || row.newer() {
		return false
	}
	return row.canMove()
}

// tendFrozen looks after a plan at rest that waits for its rollback plan: that may have been canceled by a process which
// died before it gave the plan back.
func (s *supervisor) tendFrozen(ctx context.Context, row *PlanRow) {
	if row.Control.Rollback == nil || row.newer() || s.e.driver(row.ID) != nil {
		return
	}
	if err := s.e.advanceSource(ctx, row); err != nil && ctx.Err() == nil {
		s.e.opt.Logger.WarnContext(ctx, "rollback does not go on", "plan", row.ID, "error", err)
	}
}

func (s *supervisor) drive(ctx context.Context, d *driver) {
	err := d.run(ctx)
	defer s.e.remove(d) // once it is remembered how the plan came to rest: the next look asks that
	var left *AbandonedError
	switch {
	case errors.As(err, &left):
		s.abandoned.Add(int64(left.Calls))
	case errors.Is(err, errAtRest):
	case errors.Is(err, ErrFenced):
		s.e.opt.Logger.InfoContext(ctx, "another engine drives the plan", "plan", d.id)
	case err != nil && ctx.Err() == nil:
		s.e.opt.Logger.WarnContext(ctx, "plan is driven no more", "plan", d.id, "error", err)
	}
	if errors.Is(err, ErrFenced) {
		s.lose(ctx, d.id)
		return
	}
	if d.session.st != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.started[d.id] = d.session.revision
	}
}

// lose remembers that another process has taken a plan.
func (s *supervisor) lose(ctx context.Context, id string) {
	row, err := (&limited{store: s.e.store}).plan(context.WithoutCancel(ctx), id) // without the lock: it may take its time
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fenced == nil {
		s.fenced = map[string]bool{}
	}
	s.fenced[id] = true
	if err == nil && row.Progress.Owner == s.e.opt.Name && row.Progress.Instance != s.e.instance {
		s.share(ctx, id)
	}
}

// truce is how long a plan is left to another process of the same name.
type truce struct {
	wait  time.Duration
	until time.Time
}

// share leaves a plan to another process that has taken it in this engine's name, each time for longer: otherwise the two would
// take it from each other for ever, and no call of it would ever count. The other one may have ended by then.
func (s *supervisor) share(ctx context.Context, id string) {
	if s.shared == nil {
		s.shared = map[string]truce{}
	}
	wait := min(max(2*s.shared[id].wait, 2*s.e.opt.Lease), time.Hour)
	s.shared[id] = truce{wait, s.e.now().Add(wait)}
	s.e.opt.Logger.ErrorContext(ctx, "another process drives a plan under this engine's name: Options.Name has to be its own",
		"plan", id, "name", s.e.opt.Name, "left_alone_for", wait)
}

func (e *Engine) remove(d *driver) {
	e.mu.Lock()
	if e.drivers[d.id] == d {
		delete(e.drivers, d.id)
	}
	e.mu.Unlock()
	e.changed(d.id)
}

// RunPlan drives one plan, and the plan at the other end of its rollback, until it is paused or has ended, which it
// returns, or until ctx ends. A plan that was not started it returns at once, pending, without an error; Wait waits for its
// Start. A batch that is held, a window that is closed and an agent that is away are no pause: RunPlan waits for what
// clears them (see Explain), for ever if need be. When ctx ends, calls get DrainTimeout to return; then it returns the plan with the
// context's error, or with an *AbandonedError if calls ignore their contexts. It returns ErrFenced when another engine takes the
// plan over, and ErrConflict when one that is alive drives it.
func (e *Engine) RunPlan(ctx context.Context, id string) (Plan, error) {
	if e.exec == nil {
		return Plan{}, &FieldError{Field: "executor", Problem: "is missing", Allowed: "an ota.Executor"}
	}
	release, err := e.lease.acquire(ctx)
	if err != nil {
		return Plan{}, err
	}
	defer release()
	r := &foreground{supervisor: supervisor{e: e, started: map[string]uint64{}}, id: id}
	return r.run(ctx)
}

// foreground drives one plan and those linked to it.
type foreground struct {
	supervisor
	id string
}

func (r *foreground) run(ctx context.Context) (Plan, error) {
	ctx, cancel := context.WithCancel(ctx)
	wake, stop := r.e.hub.watch("")
	r.wake = wake
	defer stop()
	defer r.wg.Wait()
	defer cancel()
	for {
		row, err := r.e.store.Plan(ctx, r.id)
		if err != nil {
			return Plan{}, err
		}
		if row.newer() {
			return Plan{}, fmt.Errorf("ota: run plan %s: %w", r.id, errSchema)
		}
		driven, err := r.drivePlans(ctx, &row)
		if err != nil {
			return Plan{}, err
		}
		st := statusOf(&row.Control, &row.Progress)
		if !driven && (st == StatusPaused || st == StatusPending || st.Ended()) {
			if row.Source != "" && st.Ended() { // its source ends with it, also when no driver of either is left to see to that
				if _, err := r.e.advanceRollback(ctx, row.Source); err != nil {
					return planOf(&row), err
				}
			}
			cancel()
			return planOf(&row), r.end()
		}
		r.wait(ctx)
		if ctx.Err() != nil {
			left := r.end()
			if now, err := (&limited{store: r.e.store}).plan(context.WithoutCancel(ctx), r.id); err == nil { // what was in flight has been committed meanwhile
				row = now
			}
			return planOf(&row), cmp.Or(left, context.Cause(ctx))
		}
	}
}

// other reads the plan at the other end of a rollback.
func (r *foreground) other(ctx context.Context, row *PlanRow) (PlanRow, error) {
	switch ref := row.Control.Rollback; {
	case ref != nil:
		return r.e.store.Plan(ctx, ref.ID)
	case row.Source != "":
		return r.e.store.Plan(ctx, row.Source)
	}
	return PlanRow{}, ErrNotFound
}

// drivePlans starts the drivers that are missing, and reports whether the plan itself has one.
func (r *foreground) drivePlans(ctx context.Context, row *PlanRow) (bool, error) {
	other, otherErr := r.other(ctx, row)
	owners, err := r.e.owners(ctx)
	if err != nil {
		return false, err
	}
	if !r.e.mayOwn(row, owners) {
		return false, errOwned(row)
	}
	r.consider(ctx, row, owners)
	if otherErr == nil {
		r.consider(ctx, &other, owners)
	}
	r.mu.Lock()
	fenced := r.fenced[row.ID]
	r.mu.Unlock()
	if fenced {
		return false, ErrFenced
	}
	return r.e.driver(row.ID) != nil, nil
}

// foldAlone takes in what happened to a plan that nobody drives; nothing is started. It returns
// ErrConflict when another engine owns the plan.
func (e *Engine) foldWithoutDriver(ctx context.Context, id string, in input, left []blockedAgent) error {
	if err := e.alone.take(ctx); err != nil { // or two of them would take the plan from each other
		return err
	}
	defer e.alone.give()
	ctx, cancel := context.WithTimeout(ctx, storeLimit) // the others wait
	defer cancel()
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return err
	}
	owners, err := e.owners(ctx)
	if err != nil {
		return err
	}
	if owner := row.Progress.Owner; !e.mayOwn(&row, owners) || e.with.Leaser == nil && owner != "" && owner != e.opt.Name {
		return errOwned(&row)
	}
	x := e.newSession(id, row.Epoch)
	x.blocked, x.calls.draining = left, true
	x.addInput(in)
	for again := true; again && err == nil && !x.unacked.empty(); { // orders come first, and others may commit
		_, again, err = x.turn(ctx, e.now(), input{})
	}
	e.release(ctx, x)
	e.changed(id)
	return err
}
