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
	store    limited
	plan     string
	owner    string // name of the engine
	instance string // what no other engine has, even of that name
	same     sameness

	st      *state // nil: to be loaded
	raise   bool   // the next load takes the ownership, under a new epoch
	epoch   uint64 // the newest of which this session has known; a higher one that is not its own fences it off
	loaded  bool
	blocked []blockedAgent
	calls   callsView

	blockedElsewhere []blockedAgent                                        // agents for which a call of another plan or engine is out
	syncAbandoned    func(context.Context, string) error                   // makes the Store keep the agents whose calls are out; nil: there are none
	readBlocked      func(context.Context, string) ([]blockedAgent, error) // reads elsewhere; nil: there are none

	untouched []unconfirmed // of a rollback: tasks that turned out not to be needed

	background func(func(context.Context)) // runs something beside the owner; nil where nothing may
	prefetch   *prefetch                   // a page that was read like that, or is; nil for none

	// out adds the calls of this plan that the shell answers for: each will come back as an outcome, or makes lost true, which
	// says that a call came to nothing since the last time. Nil: the shell makes no calls. Nothing else knows which calls are out.
	callsInFlight func(calls map[callKey]bool) (lost bool)
	refusal       cleaned // why the Store refused the last commit for good; empty when it did not

	revision      uint64 // the newest this session has seen
	unacked       input  // not acknowledged by a commit yet
	committed     bool   // something was committed since the shell last looked
	starts        []job
	reportedCalls []callKey
	asks          []ask
	released      []string   // agents whose claims are to be released
	agents        []AgentRow // reused
	batches       []BatchRow
}

// newSession begins a session of a plan that may be taken over as it is: at that epoch, and at none that came after it.
func newSession(store Store, plan, owner string, epoch uint64) *session {
	return &session{store: limited{store: store}, plan: plan, owner: owner, epoch: epoch, raise: true}
}

// turn takes in what has happened and goes as far as it can: what is to be called and asked then waits in starts and
// asks, all of it committed. It returns when to come back without an input (zero: only an input can help), and whether to come back at
// once. After an error nothing is lost: what was given is held, and the next turn begins by loading.
func (x *session) turn(ctx context.Context, now time.Time, in input) (wake time.Time, again bool, err error) {
	x.addInput(in)
	for range maxRefusals {
		if x.st == nil {
			if err := x.load(ctx, now); err != nil {
				return time.Time{}, false, err
			}
		}
		wake, err = x.step(ctx, now)
		if err == nil {
			err = x.keepAbandoned(ctx)
		}
		if err == nil {
			again, err = x.commit(ctx, now)
		}
		x.refusal = onlyRefused(err)
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

// hold takes in what has happened. It is kept until a commit has acknowledged it.
func (x *session) addInput(in input) {
	x.unacked.add(in)
	if x.st != nil {
		x.st.in.add(in)
	}
}

// step runs the core until it waits, giving it the rows that it needs.
func (x *session) step(ctx context.Context, now time.Time) (time.Time, error) {
	x.st.calls = x.calls
	x.st.untouched = x.untouched
	if err := x.blockElsewhere(ctx); err != nil {
		return time.Time{}, err
	}
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
		page, err := x.store.batches(ctx, x.plan, RowQuery{From: n.from, To: min(n.from+64, st.spec.Batches)})
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
		page, err := x.store.agents(ctx, x.plan, RowQuery{From: n.from, Status: n.status, Limit: orderChunk})
		if err != nil {
			return err
		}
		st.orderRowsLoaded(page.Items, page.More)
	case needIDs, needHealth, needReports:
		page, err := x.store.agents(ctx, x.plan, RowQuery{IDs: n.ids, Limit: len(n.ids)})
		if err != nil {
			return err
		}
		switch n.kind {
		case needHealth:
			st.healthRowsLoaded(n.ids, page.Items)
		case needReports:
			st.reportRowsLoaded(n.ids, page.Items)
		default:
			st.orderRowsLoaded(page.Items, false)
		}
	}
	return nil
}

// commit writes what the step has changed, and only then hands out what it implies.
func (x *session) commit(ctx context.Context, now time.Time) (again bool, err error) {
	st := x.st
	if st.change.log.events == 0 {
		if len(st.change.agents)+len(st.change.batches) > 0 {
			return false, fmt.Errorf("ota: plan %s: a change without an event", x.plan)
		}
		x.markCommitted()
		return x.dispatch(), nil
	}
	st.p.At = now
	c := Commit{
		Plan: x.plan, Owner: true, Raise: x.raise, BumpControl: st.change.bump,
		Control: st.controlNumber, Progress: st.progressNumber, Epoch: st.epoch,
		NewProgress: &st.p, Status: st.loggedStatus, Log: st.change.log.finish(now, st.loggedStatus),
	}
	n := len(st.change.agents)
	x.agents, x.batches = slices.Grow(x.agents[:0], n)[:n], x.batches[:0]
	for i, o := range st.change.agents { // in place: the rest of these rows is never filled in, and half as much is copied
		x.invalidate(o)
		r, row := st.rows.at(o), &x.agents[i]
		row.Ordinal, row.Batch, row.State = o, r.Batch, r.State
	}
	for _, i := range st.change.batches {
		x.batches = append(x.batches, st.batches[i].BatchRow)
	}
	c.Agents, c.Batches = x.agents, x.batches
	rev, err := x.store.commit(ctx, c)
	if err != nil {
		return false, fmt.Errorf("ota: commit plan %s: %w", x.plan, err)
	}
	st.progressNumber++
	if st.change.bump {
		st.controlNumber++
	}
	if x.raise {
		st.epoch++
		x.raise, x.epoch = false, st.epoch
	}
	x.committed, x.revision = true, rev
	x.markCommitted()
	return x.dispatch(), nil
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
		ControlNumber: st.controlNumber, ProgressNumber: st.progressNumber, Epoch: st.epoch, Revision: x.revision, Status: st.loggedStatus,
	}
}

// said takes in a verb that was committed.
func (x *session) adopt(row *PlanRow) {
	st := x.st
	x.revision = max(x.revision, row.Revision)
	if row.ControlNumber == st.controlNumber {
		return
	}
	st.c, st.controlNumber, st.loggedStatus, st.over = row.Control, row.ControlNumber, row.Status, row.over()
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
	row, err := x.store.plan(ctx, x.plan)
	if err != nil {
		return err
	}
	if row.Epoch != st.epoch {
		x.drop() // fenced off: the next load says so
		return nil
	}
	x.adopt(&row)
	return nil
}

// acknowledged forgets what the Store now knows. What the step has not folded is still held: orders come first, some at a time.
func (x *session) markCommitted() {
	x.unacked = input{outcomes: x.unacked.outcomes[:0]}
	x.unacked.add(x.st.in)
	x.blocked = nil
}
