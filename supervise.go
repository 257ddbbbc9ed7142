package ota

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Run drives every plan of the Store that can move, until ctx ends. These are plans that run,
// pause, cancel or roll back, plans that soak while they are paused, and plans with an order to
// carry out.
//
// When ctx ends, nothing more starts, and calls get DrainTimeout to return. Run then returns nil,
// or an *AbandonedError that counts the calls that ignore their contexts. The next engine repeats
// the calls that were in flight, under the same keys.
//
// If the Store is a Leaser, Run does not touch the plans of other live engines, and takes over
// plans of engines whose lease has ended. Without a Leaser it takes over every plan that it finds
// when it begins.
func (e *Engine) Run(ctx context.Context) error {
	if e.exec == nil {
		return &FieldError{Field: "executor", Problem: "is missing", Allowed: "an ota.Executor"}
	}
	release, err := e.lease.acquire(ctx)
	if err != nil {
		return nil // ctx ended before the lease was acquired
	}
	defer release()
	s := &supervisor{e: e, restedAt: map[string]uint64{}}
	s.watch(ctx)
	for ctx.Err() == nil {
		began := e.now()
		if err := s.scan(ctx); err != nil && ctx.Err() == nil {
			e.storeFailed(ctx, "list plans", "", err)
		}
		// Its error means that ctx has ended.
		_ = e.sleep(ctx, min(scanRest*e.now().Sub(began), e.opt.Poll))
		s.wait(ctx)
	}
	return s.waitForDrivers()
}

// waitForDrivers waits for all drivers, and returns an *AbandonedError if calls were abandoned.
func (s *supervisor) waitForDrivers() error {
	s.wg.Wait()
	if n := s.abandoned.Load(); n > 0 {
		return &AbandonedError{Calls: int(n)}
	}
	return nil
}

// scanRest is the rest of Run after a scan, as a multiple of the time that the scan took. Without
// the rest, many plans that begin or end at once would cost one scan each: work that grows with the
// square of their number.
const scanRest = 9

// supervisor starts a driver for every plan that can move.
type supervisor struct {
	e           *Engine
	untilPaused string // a plan that has a driver only until it is paused; empty: none
	wg          sync.WaitGroup
	abandoned   atomic.Int64
	wake        <-chan struct{}
	changes     <-chan string

	mu       sync.Mutex
	restedAt map[string]uint64    // by plan that came to rest: its revision then
	fenced   map[string]bool      // plans that another engine has taken
	clashes  map[string]nameClash // plans that another process has taken under this engine's name
}

// watch subscribes to changes in this process and, if the Store is a Notifier, in the Store.
func (s *supervisor) watch(ctx context.Context) {
	wake, stop := s.e.hub.Watch("")
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

// wait returns when a plan has changed, or after Options.Poll.
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

// nudge wakes the driver of a changed plan, and reports whether the plan has one.
func (s *supervisor) nudge(id string) bool {
	d := s.e.driver(id)
	if d == nil {
		s.e.changed(id)
		return false
	}
	d.nudge()
	return true
}

// scan lists the plans that can move, and starts a driver for each that has none.
func (s *supervisor) scan(ctx context.Context) error {
	q := PlanQuery{
		Status: []Status{StatusRunning, StatusPausing, StatusPaused, StatusCanceling, StatusRollingBack, StatusPending},
	}
	for {
		page, owners, err := s.list(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			s.driveIfDue(ctx, &page.Items[i], owners)
		}
		if !page.More || len(page.Items) == 0 {
			return nil
		}
		q.Offset += len(page.Items)
	}
}

// list reads a page of plans, and then the live engines. In this order a plan's owner cannot be
// missing from owners because it started after owners was read.
func (s *supervisor) list(ctx context.Context, q PlanQuery) (page Page[planRow], owners []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	if page, err = s.e.store.Plans(ctx, q); err == nil {
		owners, err = s.e.owners(ctx)
	}
	return page, owners, err
}

// driveIfDue starts a driver for a plan that can move, has none, and may be driven by this engine.
func (s *supervisor) driveIfDue(ctx context.Context, row *planRow, owners []string) {
	if !s.e.mayOwn(row, owners) {
		return
	}
	if !s.canDrive(row) {
		s.advanceFrozen(ctx, row)
		return
	}
	// Two engines without a lease would take the plan from each other again and again.
	if !s.e.lease.ok(s.e.opt.Clock.Now()) {
		return
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.e.drivers[row.ID] != nil || s.e.stepped[row.ID] != nil {
		return
	}
	d := s.e.newDriver(ctx, row)
	d.untilPaused = row.ID == s.untilPaused
	s.e.drivers[row.ID] = d
	s.e.opt.Logger.InfoContext(ctx, "plan is driven by this engine", "plan", row.ID, "name", row.Spec.Name, "status", row.Status, "engine", s.e.opt.Name)
	s.wg.Go(func() { s.drive(ctx, d) })
}

// canDrive reports whether this engine should drive a plan now. A plan that came to rest can move
// again only after a change.
func (s *supervisor) canDrive(row *planRow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e.with.Leaser == nil && s.fenced[row.ID] && row.Progress.Owner != s.e.opt.Name {
		return false
	}
	if p := &row.Progress; p.Owner == s.e.opt.Name && p.Instance != s.e.instance && s.e.now().Before(s.clashes[row.ID].until) {
		return false
	}
	if s.restedAt[row.ID] == row.Revision || row.unreadable != nil || s.e.restsAt(row) {
		return false
	}
	return row.canMove()
}

// advanceFrozen advances the rollback of a plan at rest. A process may have canceled the rollback
// plan, and died before it detached that from its source.
func (s *supervisor) advanceFrozen(ctx context.Context, row *planRow) {
	if row.Control.Rollback == nil || row.unreadable != nil || s.e.driver(row.ID) != nil {
		return
	}
	if err := s.e.advanceSource(ctx, row); err != nil && ctx.Err() == nil {
		s.e.opt.Logger.WarnContext(ctx, "rollback cannot continue", "plan", row.ID, "error", withoutPlan(err, row.ID))
	}
}

// drive runs a driver, and records how it ended.
func (s *supervisor) drive(ctx context.Context, d *driver) {
	err := d.run(ctx)
	defer s.e.remove(d) // only after restedAt is set: the next scan reads it
	var abandoned *AbandonedError
	switch {
	case errors.As(err, &abandoned):
		s.abandoned.Add(int64(abandoned.Calls))
	case errors.Is(err, errAtRest):
	case errors.Is(err, ErrFenced):
		s.e.opt.Logger.InfoContext(ctx, "another engine drives the plan", "plan", d.id)
	case err != nil && ctx.Err() == nil:
		s.e.opt.Logger.WarnContext(ctx, "engine stopped driving the plan", "plan", d.id, "error", withoutPlan(err, d.id))
	}
	if errors.Is(err, ErrFenced) {
		s.planTaken(ctx, d.id)
		return
	}
	if d.session.st != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.restedAt[d.id] = d.session.revision
		if err == nil && ctx.Err() == nil && !d.untilPaused { // of RunPlan: the plan may only be paused
			s.e.rest(d.id, d.session.revision)
		}
	}
}

// rest records that a plan has come to rest. Each Run and RunPlan of the engine knows it then: two
// would otherwise wake the plan for each other without end, because a driver that begins commits.
func (e *Engine) rest(id string, revision uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rested == nil {
		e.rested = map[string]uint64{}
	}
	e.rested[id] = revision
}

// restsAt reports whether the plan has not changed since it came to rest.
func (e *Engine) restsAt(row *planRow) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.rested[row.ID]
	return ok && at == row.Revision
}

// planTaken records that another process has taken a plan.
func (s *supervisor) planTaken(ctx context.Context, id string) {
	// The mutex is free here, because the Store may be slow.
	row, err := (&limited{store: s.e.store}).plan(context.WithoutCancel(ctx), id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fenced == nil {
		s.fenced = map[string]bool{}
	}
	s.fenced[id] = true
	if err == nil && row.Progress.Owner == s.e.opt.Name && row.Progress.Instance != s.e.instance {
		s.yieldPlan(ctx, id)
	}
}

// nameClash is how long this engine yields a plan to another process with the same name.
type nameClash struct {
	wait  time.Duration
	until time.Time
}

// yieldPlan leaves a plan to another process that has taken it under this engine's name, each time
// for longer. Otherwise the two would take the plan from each other again and again, and no call
// would ever count. The wait is limited, because the other process may end.
func (s *supervisor) yieldPlan(ctx context.Context, id string) {
	if s.clashes == nil {
		s.clashes = map[string]nameClash{}
	}
	wait := min(max(2*s.clashes[id].wait, 2*s.e.opt.Lease), time.Hour)
	s.clashes[id] = nameClash{wait, s.e.now().Add(wait)}
	s.e.opt.Logger.ErrorContext(ctx, "another process drives a plan under this engine's name: give each process its own Options.Name",
		"plan", id, "name", s.e.opt.Name, "retries_in", wait)
}

// doubtfulCalls lists the agents with a call out in drivers of this engine that may have lost their
// plan, except the plan itself.
func (e *Engine) doubtfulCalls(plan string) (agents []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, d := range e.drivers {
		if id != plan && d.doubtful() {
			agents = d.pool.agents(agents)
		}
	}
	return agents
}

// remove forgets a driver that has ended.
func (e *Engine) remove(d *driver) {
	e.mu.Lock()
	if e.drivers[d.id] == d {
		delete(e.drivers, d.id)
	}
	e.mu.Unlock()
	e.changed(d.id)
}

// foldWithoutDriver commits what happened to a plan that no engine drives. It starts nothing. It
// returns ErrConflict if another engine owns the plan.
func (e *Engine) foldWithoutDriver(ctx context.Context, id string, in input, blocked []blockedAgent) error {
	if err := e.foldTurn.take(ctx); err != nil { // two at once would take the plan from each other
		return err
	}
	defer e.foldTurn.give()
	ctx, cancel := context.WithTimeout(ctx, storeLimit) // the next one waits for foldTurn
	defer cancel()
	for try := 0; ; try++ {
		err := e.foldOnce(ctx, id, in, blocked)
		if !errors.Is(err, ErrFenced) {
			return err
		}
		// Another engine has done the same at the same time. It may own the plan now, or not.
		if err := e.sleep(ctx, backoff(try, time.Millisecond, 100*time.Millisecond)); err != nil {
			return err
		}
	}
}

// foldOnce is foldWithoutDriver, once. It returns ErrFenced if another engine took the plan
// meanwhile.
func (e *Engine) foldOnce(ctx context.Context, id string, in input, blocked []blockedAgent) error {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return err
	}
	owners, err := e.owners(ctx)
	if err != nil {
		return err
	}
	owner := row.Progress.Owner
	if !e.mayOwn(&row, owners) || e.steps(id) || e.with.Leaser == nil && owner != "" && owner != e.opt.Name {
		return errOwned(&row)
	}
	x := e.newSession(id, row.Epoch)
	x.blocked = blocked
	x.addInput(in)
	// Orders come first, and another process may commit.
	for again := true; again && err == nil && !x.unacked.empty(); {
		_, again, err = x.turn(ctx, e.now(), turnInput{surroundings: surroundings{draining: true}})
	}
	e.release(ctx, x)
	e.changed(id)
	return err
}
