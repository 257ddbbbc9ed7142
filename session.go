package ota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// session is everything that the owner of one plan does, but for calling and waiting: load, fold, decide, commit, and
// what to call next. The engine's loop and the simulator both drive it, so there is one copy to be right.
//
// A commit that was refused, or whose result is unknown, is treated like a crash: the state in memory is dropped and loaded
// again, outcomes that are held are folded again, and what the store says is running without a call being out here is
// called again under the same key. Whether the commit landed is never asked.
type session struct {
	store Store
	plan  string
	owner string // name of the engine
	life  string // what no other engine has, even of that name

	st     *state // nil: to be loaded
	raise  bool   // the next load takes the ownership, under a new epoch
	epoch  uint64 // the newest of which this session has known; a higher one that is not its own fences it off
	loaded bool
	alive  map[int]callKey
	left   []bar
	calls  callsView

	untouched []doubt // of a rollback: tasks that turned out not to be needed

	aside func(func(context.Context)) // runs something beside the owner; nil where nothing may
	ahead *ahead                      // a page that was read like that, or is; nil for none

	revision  uint64 // the newest this session has seen
	held      input  // not acknowledged by a commit yet
	committed bool   // something was committed since the shell last looked
	starts    []job
	settled   []settledCall
	asks      []ask

	agents  []AgentRow // reused
	batches []BatchRow
}

// newSession begins a session of a plan that may be taken over as it is: at that epoch, and at none that came after it.
func newSession(store Store, plan, owner string, epoch uint64) *session {
	return &session{store: store, plan: plan, owner: owner, epoch: epoch, raise: true}
}

// newSession begins a session of this engine.
func (e *Engine) newSession(plan string, epoch uint64) *session {
	x := newSession(e.store, plan, e.opt.Name, epoch)
	x.life = e.life
	return x
}

// turn takes in what has happened and goes as far as it can: what is to be called and asked then waits in starts and
// asks, all of it committed. It returns when to come back without an input (zero: only an input can help), and whether to come back at
// once. After an error nothing is lost: what was given is held, and the next turn begins by loading.
func (x *session) turn(ctx context.Context, now time.Time, in input) (wake time.Time, again bool, err error) {
	x.hold(in)
	for range maxRefusals {
		if x.st == nil {
			if err := x.load(ctx, now); err != nil {
				return time.Time{}, false, err
			}
		} else {
			x.st.in.take(in)
		}
		in = input{}
		wake, err = x.step(ctx, now)
		if err == nil {
			again, err = x.commit(ctx, now)
		}
		if err == nil {
			return wake, again, nil
		}
		x.drop()
		if !errors.Is(err, ErrConflict) {
			x.raise = true
			return time.Time{}, false, err
		}
	}
	return time.Time{}, true, nil
}

// maxRefusals is how many commits in a row may be refused before the shell gets to look around.
const maxRefusals = 4

func (x *session) hold(in input) {
	x.held.take(in)
}

func (in *input) take(more input) {
	in.outcomes = append(in.outcomes, more.outcomes...)
	in.reports = append(in.reports, more.reports...)
	in.health = append(in.health, more.health...)
	in.probes = append(in.probes, more.probes...)
	in.inspects = append(in.inspects, more.inspects...)
	in.gates = append(in.gates, more.gates...)
	in.prechecks = append(in.prechecks, more.prechecks...)
}

// drop forgets the state in memory, but for what only this process can know: which calls are out.
func (x *session) drop() {
	if x.st == nil {
		return
	}
	x.alive = map[int]callKey{}
	x.st.rows.busyRows(func(r *resident) {
		if r.live {
			i := r.State.active()
			x.alive[r.Ordinal] = callKey{i, r.State.task(i).Number}
		}
	})
	for _, o := range x.held.outcomes {
		x.alive[o.ordinal] = callKey{o.task, o.number}
	}
	x.left, x.st, x.ahead = x.st.queue.barred, nil, nil
}

// load reads the plan, and takes it over when that is due.
func (x *session) load(ctx context.Context, now time.Time) error {
	row, err := x.store.Plan(ctx, x.plan)
	if err != nil {
		return fmt.Errorf("ota: load plan %s: %w", x.plan, err)
	}
	if row.newer() {
		return fmt.Errorf("ota: load plan %s: %w", x.plan, errSchema)
	}
	if row.Epoch != x.epoch && (!x.raise || row.Progress.Owner != x.owner) {
		return fmt.Errorf("ota: load plan %s: %w", x.plan, ErrFenced)
	}
	if !x.loaded && x.held.empty() && !row.canMove() {
		return errAtRest // it came to rest after somebody had looked; nothing is to be taken over
	}
	x.loaded, x.epoch = true, row.Epoch
	st := &state{
		id: row.ID, spec: row.Spec, c: row.Control, p: row.Progress, told: row.Status,
		controlNumber: row.ControlNumber, progressNumber: row.ProgressNumber, epoch: row.Epoch,
		batches: map[int]*batch{}, calls: x.calls,
	}
	st.rows.bits = pageBitsOf(row.Control.Policy.Concurrency)
	st.fx.step = 1
	st.fx.log.reset()
	st.queue.barred = x.left
	if err := x.loadBusy(ctx, st, now); err != nil {
		return fmt.Errorf("ota: load plan %s: %w", x.plan, err)
	}
	st.enterBatch()
	if x.raise {
		st.p.Owner, st.p.Life = x.owner, x.life
		st.event(Event{Kind: EventOwned, Batch: -1, Number: int(st.epoch) + 1, Text: x.owner})
	}
	st.in.take(x.held)
	x.st, x.revision = st, row.Revision
	return nil
}

var errAtRest = errors.New("ota: the plan has come to rest")

var errSchema = errors.New("written by a newer version of this library")

// loadBusy reads the batches that are open, and of their agents those that are busy.
func (x *session) loadBusy(ctx context.Context, st *state, now time.Time) error {
	if st.p.Batch >= st.spec.Batches {
		return nil
	}
	end := max(st.p.Reached, st.p.Batch) + 1
	last := 0
	for from := st.p.Batch; from < end; {
		page, err := x.store.Batches(ctx, x.plan, RowQuery{From: from, To: end})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return fmt.Errorf("batch %d is missing", from)
		}
		for i := range page.Items {
			b := page.Items[i]
			last, from = b.First+b.Size, b.Index+1
			if b.Status != BatchCompleted || b.Index == st.p.Batch {
				st.batches[b.Index] = &batch{BatchRow: b}
				st.judgeLater(st.batches[b.Index])
			}
		}
	}
	return x.loadRows(ctx, st, now, st.batches[st.p.Batch].First, last)
}

func (x *session) loadRows(ctx context.Context, st *state, now time.Time, from, to int) error {
	q := RowQuery{From: from, To: to, Status: []TaskStatus{TaskRunning, TaskWaiting}}
	for _, b := range st.batches {
		if b.Unhealthy > 0 {
			q.Status = append(q.Status, TaskSucceeded)
			break
		}
	}
	for {
		page, err := x.store.Agents(ctx, x.plan, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			row := page.Items[i]
			q.From = row.Ordinal + 1
			if row.State.Status == TaskSucceeded {
				if m := row.State.More; row.State.Flags&AgentUnhealthy != 0 && m != nil {
					st.queue.timers.push(timer{at: m.Unhealthy + int64(st.c.Policy.Observe.Retry), ordinal: row.Ordinal, health: true})
				}
				continue
			}
			r := st.rows.add(row)
			call, live := x.alive[r.Ordinal]
			k := r.State.active()
			t := r.State.task(k)
			r.live = live && call == callKey{k, t.Number} && t.Status == TaskRunning
			st.recovered(r, now.UnixNano())
		}
		if !page.More || q.From >= to {
			return nil
		}
	}
}

// step runs the core until it waits, giving it the rows that it needs.
func (x *session) step(ctx context.Context, now time.Time) (time.Time, error) {
	x.st.calls = x.calls
	x.st.untouched = x.untouched
	for {
		n, wake := x.st.step(now)
		if n.kind == needNothing {
			return wake, nil
		}
		if err := x.fetch(ctx, n); err != nil {
			return time.Time{}, fmt.Errorf("ota: read plan %s: %w", x.plan, err)
		}
	}
}

func (x *session) fetch(ctx context.Context, n need) error {
	st := x.st
	switch n.kind {
	case needPage:
		from, to := st.rows.span(n.from)
		rows, err := x.page(ctx, from, to)
		if err != nil {
			return err
		}
		if i := n.from - from; i >= len(rows) || rows[i].Ordinal != n.from {
			return fmt.Errorf("agent at ordinal %d is missing", n.from)
		}
		st.rows.addPage(rows)
		x.readAhead(to)
	case needBatch:
		page, err := x.store.Batches(ctx, x.plan, RowQuery{From: n.from, To: min(n.from+64, st.spec.Batches)})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 || page.Items[0].Index != n.from {
			return fmt.Errorf("batch %d is missing", n.from)
		}
		for i := range page.Items {
			if b := page.Items[i]; st.batches[b.Index] == nil {
				st.batches[b.Index] = &batch{BatchRow: b}
			}
		}
	case needFailed:
		page, err := x.store.Agents(ctx, x.plan, RowQuery{From: n.from, Status: n.status, Limit: orderChunk})
		if err != nil {
			return err
		}
		st.give(page.Items, page.More)
	case needIDs, needHealth, needReports:
		page, err := x.store.Agents(ctx, x.plan, RowQuery{IDs: n.ids, Limit: len(n.ids)})
		if err != nil {
			return err
		}
		switch n.kind {
		case needHealth:
			st.found(n.ids, page.Items)
		case needReports:
			st.foundReports(n.ids, page.Items)
		default:
			st.give(page.Items, false)
		}
	}
	return nil
}

// commit writes what the step has changed, and only then hands out what it implies.
func (x *session) commit(ctx context.Context, now time.Time) (again bool, err error) {
	st := x.st
	if st.fx.log.events == 0 {
		if len(st.fx.agents)+len(st.fx.batches) > 0 {
			return false, fmt.Errorf("ota: plan %s: a change without an event", x.plan)
		}
		x.acknowledged()
		return x.handOut(), nil
	}
	st.p.At = now
	c := Commit{
		Plan: x.plan, Owner: true, Raise: x.raise, BumpControl: st.fx.bump,
		Control: st.controlNumber, Progress: st.progressNumber, Epoch: st.epoch,
		NewProgress: &st.p, Status: st.told, Log: st.fx.log.finish(now, st.told),
	}
	n := len(st.fx.agents)
	x.agents, x.batches = slices.Grow(x.agents[:0], n)[:n], x.batches[:0]
	for i, o := range st.fx.agents { // in place: the rest of these rows is never filled in, and half as much is copied
		x.aged(o)
		r, row := st.rows.at(o), &x.agents[i]
		row.Ordinal, row.Batch, row.State = o, r.Batch, r.State
	}
	for _, i := range st.fx.batches {
		x.batches = append(x.batches, st.batches[i].BatchRow)
	}
	c.Agents, c.Batches = x.agents, x.batches
	rev, err := x.store.Commit(ctx, c)
	if err != nil {
		return false, fmt.Errorf("ota: commit plan %s: %w", x.plan, err)
	}
	st.progressNumber++
	if st.fx.bump {
		st.controlNumber++
	}
	if x.raise {
		st.epoch++
		x.raise, x.epoch = false, st.epoch
	}
	x.committed, x.revision = true, rev
	x.acknowledged()
	return x.handOut(), nil
}

// idle reports whether the plan, when no call is out, has come to rest: it has ended, or nothing happens to it any more
// until somebody says something. wake is what turn returned; awaited says that something else is to be waited for, such
// as the other plan of a rollback.
func (x *session) idle(wake time.Time, awaited bool) bool {
	if x.st == nil {
		return false
	}
	switch st := x.st.status(); {
	case st == StatusRollingBack:
		return false
	case st.Ended():
		return true
	case st == StatusPaused, st == StatusPending:
		return wake.IsZero() && !x.st.probing.active && !awaited
	}
	return false
}

// row is the plan as it is stored, when nothing is waiting to be committed.
func (x *session) row() PlanRow {
	st := x.st
	return PlanRow{
		ID: st.id, Source: st.spec.Source, Spec: st.spec, Control: st.c, Progress: st.p,
		ControlNumber: st.controlNumber, ProgressNumber: st.progressNumber, Epoch: st.epoch, Revision: x.revision, Status: st.told,
	}
}

// said takes in a verb that was committed.
func (x *session) said(row *PlanRow) {
	st := x.st
	x.revision = max(x.revision, row.Revision)
	if row.ControlNumber == st.controlNumber {
		return
	}
	st.c, st.controlNumber, st.told = row.Control, row.ControlNumber, row.Status
	for _, i := range sortedKeys(st.batches) {
		st.judgeLater(st.batches[i])
	}
}

// refresh reads the plan again, because somebody else may have said something to it.
func (x *session) refresh(ctx context.Context) error {
	st := x.st
	if st == nil {
		return nil
	}
	row, err := x.store.Plan(ctx, x.plan)
	if err != nil {
		return err
	}
	if row.Epoch != st.epoch {
		x.drop() // fenced off: the next load says so
		return nil
	}
	x.said(&row)
	return nil
}

// acknowledged forgets what the store now knows.
func (x *session) acknowledged() {
	x.held = input{outcomes: x.held.outcomes[:0]}
	x.alive, x.left = nil, nil
}
