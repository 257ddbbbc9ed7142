package ota

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// drop forgets the state in memory, except which abandoned calls have not returned: only this
// process knows that. It also forgets uncommitted answers. The next state asks again, and an answer
// that was committed after all would count twice.
func (x *session) drop() {
	if x.st != nil {
		x.blocked, x.st, x.prefetch = x.st.queue.blocked, nil, nil
		x.unacked.probes, x.unacked.gates, x.unacked.inspects, x.unacked.prechecks = nil, nil, nil, nil
	}
}

// inFlight returns the calls that will have an outcome in this session. They are to be handed to
// the shell, are out there, or have an uncommitted outcome. A row that runs without one of them is
// repeated.
func (x *session) inFlight() map[callKey]bool {
	calls := map[callKey]bool{}
	if x.callsInFlight != nil && x.callsInFlight(calls) {
		// The lost call may have been made, so its repeat needs an epoch of its own.
		x.raise = true
	}
	for i := range x.starts {
		calls[x.starts[i].key()] = true
	}
	for i := range x.unacked.outcomes {
		if o := &x.unacked.outcomes[i]; !o.returnedLate {
			calls[o.key()] = true
		}
	}
	return calls
}

// load reads the plan, and takes it over when raise is set.
func (x *session) load(ctx context.Context, now time.Time) error {
	calls := x.inFlight()
	row, err := x.store.plan(ctx, x.plan)
	if err != nil {
		return wrapError(err, "load plan %s", x.plan)
	}
	if row.Epoch != x.epoch && (!x.raise || row.Progress.Owner != x.owner) {
		return wrapError(ErrFenced, "load plan %s", x.plan)
	}
	if !x.loaded && x.unacked.empty() && !row.canMove() {
		// The plan came to rest after the engine had looked, so there is nothing to take over.
		return errAtRest
	}
	x.loaded, x.epoch = true, row.Epoch
	st := &state{
		id: row.ID, spec: row.Spec, c: row.Control, p: row.Progress, loggedStatus: row.Status, head: row.Head, over: row.over(),
		controlNumber: row.ControlNumber, progressNumber: row.ProgressNumber, epoch: row.Epoch,
		batches: map[int]*batch{}, calls: callsView{abilities: x.abilities}, same: x.same,
	}
	concurrency, _ := row.Control.Policy.most()
	st.rows.bits = pageBitsOf(concurrency)
	st.change.step = 1
	st.change.log.reset()
	st.queue.blocked = slices.Clone(x.blocked)
	if err := x.readBlockedElsewhere(ctx); err != nil {
		return err
	}
	if err := x.loadBusy(ctx, st, calls, now); err != nil {
		return wrapError(err, "load plan %s", x.plan)
	}
	st.enterBatch()
	if x.raise {
		st.p.Owner, st.p.Instance = x.owner, x.instance
		st.event(Event{Kind: EventOwned, Batch: -1, Number: int(st.epoch) + 1, Text: x.owner})
	}
	st.in.add(x.unacked)
	x.st, x.revision = st, row.Revision
	return nil
}

// loadBusy reads the open batches and their busy agents.
func (x *session) loadBusy(ctx context.Context, st *state, calls map[callKey]bool, now time.Time) error {
	if st.p.Batch >= st.spec.Batches {
		return nil
	}
	first, last, busy, lowest := -1, 0, 0, st.p.Batch
	if st.p.Stragglers > 0 {
		lowest = min(lowest, st.p.StragglersFrom)
	}
	// Batches that have not begun follow if they have urgent agents.
	for from := lowest; from < st.spec.Batches && (from <= st.p.Reached || from == st.p.Batch || busy < openAgents(&st.p)); {
		to := st.p.Reached + 1
		if from >= to {
			to = from + 64
		}
		page, err := x.store.batches(ctx, x.plan, rowQuery{From: from, To: min(to, st.spec.Batches)})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return fmt.Errorf("batch %d is missing", from)
		}
		for i := range page.Items {
			b := page.Items[i]
			from, busy = b.Index+1, busy+b.Counts.Running+b.Counts.Waiting
			last = b.First + b.Size
			begun := b.Index <= st.p.Reached || b.Counts.Running+b.Counts.Waiting > 0
			if b.Status != BatchCompleted && begun || b.Index == st.p.Batch || b.Stragglers > 0 {
				if first < 0 {
					first = b.First
				}
				st.batches[b.Index] = &batch{batchRow: b}
				st.judgeLater(st.batches[b.Index])
			}
		}
	}
	return x.loadRows(ctx, st, calls, now, first, last)
}

// loadRows reads the busy agents of a range, and marks those without a call for a repeat. If agents
// are unhealthy, it restores their timers. Stragglers that succeeded and did not answer are asked
// again. ErrConflict: another owner has started an agent since the batches were read.
func (x *session) loadRows(ctx context.Context, st *state, calls map[callKey]bool, now time.Time, from, to int) error {
	q := rowQuery{From: from, To: to, Status: []TaskStatus{TaskRunning, TaskWaiting}}
	for _, b := range st.batches {
		if b.Unhealthy > 0 || b.Stragglers > b.Counts.Running+b.Counts.Waiting {
			q.Status = append(q.Status, TaskSucceeded)
			break
		}
	}
	for {
		page, err := x.store.agents(ctx, x.plan, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			row := page.Items[i]
			q.From = row.Ordinal + 1
			if row.State.Status == TaskSucceeded {
				if row.State.Flags&agentStraggler != 0 {
					st.probing.note(row.Ordinal, silence{agent: row.Agent.ID, late: true})
				}
				if m := row.State.More; row.State.Flags&agentUnhealthy != 0 && m != nil {
					st.queue.timers.Push(queue.Timer{At: m.Unhealthy + int64(st.c.Policy.Soak.Grace), Item: row.Ordinal, Kind: timerHealth})
				}
				continue
			}
			if st.batches[row.Batch] == nil {
				return fmt.Errorf("%w: agent %q is busy in batch %d, which was read before", ErrConflict, row.Agent.ID, row.Batch)
			}
			r := st.rows.add(row)
			if r.is(agentUrgent) {
				st.urgents++
			}
			if i := r.State.active(); !calls[callKey{r.Ordinal, i, r.State.task(i).Number}] {
				st.recovered(r, now.UnixNano())
			}
		}
		if !page.More || q.From >= to {
			return nil
		}
	}
}

// prefetch is a page of rows that is read in the background, because the owner will probably need
// it next. On a disk, reading a page takes longer than a commit, and a verb would wait for both.
//
// Only a commit of the owner can make the page stale, and the owner then drops it (invalidate).
type prefetch struct {
	from, to int
	rows     []agentRow // written in the background, until done is closed
	err      error
	done     chan struct{} // closed when rows and err are there
}

// page returns a range of rows: the prefetched page if it has this range, or else from the Store.
func (x *session) page(ctx context.Context, from, to int) ([]agentRow, error) {
	if a := x.prefetch; a != nil && a.from == from && a.to == to {
		x.prefetch = nil
		<-a.done
		if a.err == nil {
			return a.rows, nil
		}
	}
	return x.readPage(ctx, from, to, x.st.rows.buffer())
}

func (x *session) readPage(ctx context.Context, from, to int, buffer []agentRow) ([]agentRow, error) {
	page, err := x.store.agents(ctx, x.plan, rowQuery{From: from, To: to, Limit: to - from, Buffer: buffer})
	return page.Items, err
}

// readAhead begins to read the page with this ordinal, if the shell can read in the background and
// the page is not in memory.
func (x *session) readAhead(ordinal int) {
	st := x.st
	if x.background == nil || ordinal >= st.spec.Agents || st.rows.at(ordinal) != nil {
		return
	}
	from, to := st.rows.span(ordinal)
	a := &prefetch{from: from, to: to, done: make(chan struct{})}
	buffer := st.rows.buffer()
	x.prefetch = a
	x.background(func(ctx context.Context) {
		defer close(a.done)
		a.rows, a.err = x.readPage(ctx, from, to, buffer)
	})
}

// invalidate drops the prefetched page when the owner has changed one of its rows.
func (x *session) invalidate(ordinal int) {
	if a := x.prefetch; a != nil && ordinal >= a.from && ordinal < a.to {
		x.prefetch = nil
	}
}
