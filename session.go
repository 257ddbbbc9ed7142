package ota

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// session is what the owner of a plan does, except calling and waiting: load, fold, decide, commit,
// and what to call next. The engine's loop and the simulator both drive it. Only the owner's
// goroutine reads and writes its fields.
//
// A commit that failed, or whose result is unknown, is treated like a crash. The state in memory is
// dropped and loaded again, and uncommitted outcomes are folded again. A row that runs in the Store
// without a call here is called again under the same key. So the session never has to know whether
// the commit landed.
type session struct {
	store    limited
	plan     string
	owner    string // name of the engine
	instance string // unique, even among engines of the same name
	same     sameness

	st    *state // nil: to be loaded
	raise bool   // the next commit takes the plan over, under a new epoch
	// the newest own epoch; a higher one in the Store fences this session off
	epoch     uint64
	loaded    bool           // the plan was loaded before
	blocked   []blockedAgent // while st is nil: its blocked agents, for the next load
	abilities abilities

	// Agents with a call of another plan or engine.
	blockedElsewhere []blockedAgent
	// Makes the Store keep the agents with abandoned calls; nil: no call is ever abandoned.
	syncAbandoned func(context.Context, string) error
	// Reads blockedElsewhere; nil: there are none.
	readBlocked func(context.Context, string) ([]blockedAgent, error)

	// Runs a function beside the owner; nil: nothing may run there. Set by turn.
	background func(func(context.Context))
	prefetch   *prefetch // a page that is read in advance; nil: none

	// callsInFlight adds the calls of this plan that the shell answers for. Each will come back as
	// an outcome, or it is lost. lost reports that a call was lost since the last time. Nil: the
	// shell makes no calls. Only the shell knows which calls are out.
	callsInFlight func(calls map[callKey]bool) (lost bool)
	// giveUpCalls ends calls and abandons them at once. It returns those that have not returned.
	// Nil: the shell makes no calls.
	giveUpCalls func(calls []callKey, now time.Time) (out []callKey)
	refusal     cleaned // why the Store refused the last commit for good; empty: it did not

	revision      uint64    // the newest seen
	unacked       input     // not yet acknowledged by a commit
	committed     bool      // something was committed since the shell last looked
	starts        []job     // calls to make, committed
	reportedCalls []callKey // calls that are over, because their outcomes were reported
	asks          []ask     // questions to ask
	released      []string  // agents whose claims end
	head          Head      // buffer of commit
	view          view      // likewise
}

// newSession begins a session that may take over the plan at this epoch, and at no later one.
func newSession(store rowStore, plan, owner string, epoch uint64) *session {
	return &session{store: limited{store: store}, plan: plan, owner: owner, epoch: epoch, raise: true}
}

// turnInput is what the shell gives to a turn.
type turnInput struct {
	input        input
	surroundings surroundings
	// runs a function beside the owner; nil: nothing may run there
	background func(func(context.Context))
}

// turn folds the input and goes as far as it can. Calls and questions are then in starts and asks,
// all committed. It returns when to come back without input (zero: only input helps), and whether
// to come back at once. After an error nothing is lost: the session keeps the input, and the next
// turn loads the plan again.
func (x *session) turn(ctx context.Context, now time.Time, in turnInput) (wake time.Time, again bool, err error) {
	x.addInput(in.input)
	x.background = in.background
	for try := 1; try <= maxRefusals; try++ {
		if x.st == nil {
			if err := x.load(ctx, now); errors.Is(err, ErrConflict) && try < maxRefusals {
				continue
			} else if err != nil {
				return time.Time{}, false, err
			}
		}
		wake, err = x.step(ctx, now, in.surroundings)
		if err == nil {
			err = x.keepAbandoned(ctx, now)
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

// maxRefusals is how many commits in a row may conflict before the shell gets to look around.
const maxRefusals = 4

// addInput adds what happened. The session keeps it until a commit acknowledges it.
func (x *session) addInput(in input) {
	x.unacked.add(in)
	if x.st != nil {
		x.st.in.add(in)
	}
}

// step runs the core until it waits, and loads the rows that it needs.
func (x *session) step(ctx context.Context, now time.Time, around surroundings) (time.Time, error) {
	x.st.calls = callsView{x.abilities, around}
	if err := x.blockElsewhere(ctx); err != nil {
		return time.Time{}, err
	}
	for {
		n, wake := x.st.step(now)
		if n.kind == needNothing {
			return wake, nil
		}
		if err := x.fetch(ctx, n); err != nil {
			return time.Time{}, wrapError(err, "read plan %s", x.plan)
		}
	}
}

// fetch loads the rows that the core needs.
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
	case needRow:
		page, err := x.store.agents(ctx, x.plan, rowQuery{From: n.from, To: n.from + 1, Limit: 1})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return fmt.Errorf("agent at ordinal %d is missing", n.from)
		}
		st.rows.add(page.Items[0])
	case needBatch:
		page, err := x.store.batches(ctx, x.plan, rowQuery{From: n.from, To: min(n.from+64, st.spec.Batches)})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 || page.Items[0].Index != n.from {
			return fmt.Errorf("batch %d is missing", n.from)
		}
		for i := range page.Items {
			if b := page.Items[i]; st.batches[b.Index] == nil {
				st.batches[b.Index] = &batch{batchRow: b}
			}
		}
	case needFailed:
		page, err := x.store.agents(ctx, x.plan, rowQuery{From: n.from, Status: n.status, Limit: orderChunk})
		if err != nil {
			return err
		}
		st.orderRowsLoaded(page.Items, page.More)
	case needDown:
		page, err := x.store.agents(ctx, x.plan, rowQuery{From: n.from, Down: true})
		if err != nil {
			return err
		}
		st.downRowsLoaded(page.Items, page.More)
	case needIDs, needHealth, needReports:
		page, err := x.store.agents(ctx, x.plan, rowQuery{IDs: n.ids, Limit: len(n.ids)})
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

// commit writes what the step has changed. Only then it hands out the calls that the change
// implies.
func (x *session) commit(ctx context.Context, now time.Time) (again bool, err error) {
	st := x.st
	if st.change.log.events == 0 {
		if len(st.change.agents)+len(st.change.batches) > 0 {
			return false, fmt.Errorf("ota: plan %s: a change without an event", x.plan)
		}
		return x.finishStep(), nil
	}
	st.p.At = now
	x.view = st.view(now.UnixNano())
	x.head = x.view.headAfter(&st.head, x.head.Show[:0])
	c := planCommit{
		Plan: x.plan, Owner: true, Raise: x.raise, BumpControl: st.change.bump,
		Control: st.controlNumber, Progress: st.progressNumber, Epoch: st.epoch,
		NewProgress: &st.p, Head: &x.head, Log: st.change.log.finish(now, st.loggedStatus), At: now, Notable: st.change.log.notable,
		Name: st.spec.Name, Was: st.head.Status, Counts: &st.p.Counts,
	}
	if err := x.addRows(); err != nil {
		return false, err
	}
	rev, err := x.store.commit(ctx, &c)
	if err != nil {
		return false, wrapError(err, "commit plan %s", x.plan)
	}
	st.progressNumber++
	if st.change.bump {
		st.controlNumber++
	}
	if x.raise {
		st.epoch++
		x.raise, x.epoch = false, st.epoch
	}
	st.head = x.head
	st.head.Show = nil // the buffer of commit
	x.committed, x.revision = true, rev
	return x.finishStep(), nil
}

// addRows adds the rows that the step has changed to the next commit.
func (x *session) addRows() error {
	st, w := x.st, &x.store.writer
	w.reset()
	for _, o := range st.change.agents {
		x.invalidate(o)
		if err := w.agent(o, &st.rows.at(o).State); err != nil {
			return err
		}
	}
	for _, i := range st.change.batches {
		w.batch(&st.batches[i].batchRow)
	}
	return nil
}

// finishStep runs after a commit, or after a step that changed nothing. It reports whether the core
// has more to do at once. The order matters: dispatch reads rows that releaseRows may free, and
// both read the change that nextChange clears.
func (x *session) finishStep() (again bool) {
	x.markCommitted()
	x.dispatch()
	x.st.releaseRows()
	return x.st.nextChange()
}

// idle reports whether the plan rests, provided that no call is out. Either it has ended, or only a
// verb or report can move it. wake is the result of turn. awaited means that something else is
// expected, such as the other plan of a rollback.
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
		return wake.IsZero() && !x.st.asking() && !awaited
	}
	return false
}

// paused reports whether the plan is paused, and the last round of health questions has ended.
func (x *session) paused() bool {
	return x.st != nil && x.st.status() == StatusPaused && !x.st.asking()
}

// asking reports whether a round of health questions is under way, or a breach waits for one.
func (s *state) asking() bool { return s.probing.active || s.group.active || waitsForGroup(&s.c, &s.p) }

// row is the plan as it is stored. It is valid while no change waits for a commit.
func (x *session) row() planRow {
	st := x.st
	return planRow{
		ID: st.id, Source: st.spec.Source, Spec: st.spec, Control: st.c, Progress: st.p,
		ControlNumber: st.controlNumber, ProgressNumber: st.progressNumber, Epoch: st.epoch, Revision: x.revision, Status: st.loggedStatus,
		Head: st.head,
	}
}

// adopt takes over a verb that was committed.
func (x *session) adopt(row *planRow) {
	st := x.st
	x.revision = max(x.revision, row.Revision)
	if row.ControlNumber == st.controlNumber {
		return
	}
	st.c, st.controlNumber, st.loggedStatus, st.over = row.Control, row.ControlNumber, row.Status, row.over()
	st.head = row.Head
	for _, i := range sortedKeys(st.batches) {
		st.judgeLater(st.batches[i])
	}
}

// refresh reads the plan again and adopts verbs that were committed elsewhere.
func (x *session) refresh(ctx context.Context) error {
	st := x.st
	if st == nil {
		return nil
	}
	row, err := x.store.plan(ctx, x.plan)
	if unreadable(err) {
		x.drop() // the next load returns the error
		return nil
	}
	if err != nil {
		return err
	}
	if row.Epoch != st.epoch {
		x.drop() // fenced off: the next load returns ErrFenced
		return nil
	}
	x.adopt(&row)
	return nil
}

// markCommitted forgets the input that a commit has recorded. Input that the step has not folded
// stays: orders come first, a chunk at a time.
func (x *session) markCommitted() {
	x.unacked = input{outcomes: x.unacked.outcomes[:0]}
	x.unacked.add(x.st.in)
	x.blocked = nil
}
