package ota

import (
	"slices"
	"time"
)

// How the shell stops waiting for a call: because its context has ended long ago, or because an
// operator has given its attempt up.

// endGivenUp ends the calls of the attempts that this step gives up. It runs before the commit, so
// that the Store keeps the agents of those that have not returned. If the commit fails, the next
// owner finds a lost call and the same order. Agents without a call are free again.
func (x *session) endGivenUp(now time.Time) {
	given := x.st.change.givenUp
	if len(given) == 0 {
		return
	}
	calls := make([]callKey, len(given))
	for i := range given {
		calls[i] = given[i].call
	}
	x.starts = slices.DeleteFunc(x.starts, func(j job) bool { return slices.Contains(calls, j.key()) })
	var out []callKey
	if x.giveUpCalls != nil {
		out = x.giveUpCalls(calls, now)
	}
	for _, g := range given {
		if !g.blocked && !slices.Contains(out, g.call) && x.st.queue.unblock(g.call.ordinal) {
			x.st.change.again = true // a retry in this step may start it now
		}
	}
}

// giveUp gives calls up, and notes when the driver no longer waits for their return.
func (d *driver) giveUp(calls []callKey, now time.Time) (out []callKey) {
	d.nextAbandonCheck = soonest(d.nextAbandonCheck, now.Add(d.host.opt.AbandonAfter))
	return d.pool.giveUp(calls, now)
}

// giveUp ends these calls and abandons them. It removes those that were not made yet, and returns
// those that have not returned. The plan does not wait for them. The end of the driver does, for as
// long as for a call whose context has ended, so that it reports only calls that ignore that.
func (p *pool) giveUp(calls []callKey, now time.Time) (out []callKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.Delete(p.queue, 0, p.head)
	p.head = 0
	p.queue = slices.DeleteFunc(p.queue, func(j job) bool { return slices.Contains(calls, j.key()) })
	for _, w := range p.workers {
		if !w.busy || !slices.Contains(calls, w.job.key()) {
			continue
		}
		out = append(out, w.job.key())
		w.job.call.End()
		if !w.abandoned {
			w.endedAt, w.givenUp = now.UnixNano(), true
			p.returning++
			p.letGo(w)
		}
	}
	p.wakeOne()
	return out
}

// letGo stops waiting for the call of a worker. Another worker may take its place.
func (p *pool) letGo(w *worker) {
	w.abandoned = true
	p.awaited--
	p.abandoned++
	p.liveWorkers--
	p.onAbandoned(w.job)
}

// abandon abandons the calls whose context ended more than after ago. ended is when all contexts
// were ended at once, zero if they were not. It returns when to check again. All calls of a plan
// have the same time limit, and a later call ends later. So nothing is due between two checks.
func (p *pool) abandon(now, ended time.Time, after time.Duration, reason Reason) (again time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		if !w.busy || w.abandoned && !w.givenUp {
			continue
		}
		end, why := stamp(earlier(w.job.deadline, w.endedAt)), ReasonAbandoned
		if w.calls.Err() != nil && (end.IsZero() || ended.Before(end)) {
			end, why = ended, reason
		}
		if end.IsZero() {
			continue
		}
		end = end.Add(after)
		if now.Before(end) {
			if again.IsZero() || end.Before(again) {
				again = end
			}
			continue
		}
		if w.givenUp {
			w.givenUp = false
			p.returning--
			continue
		}
		p.letGo(w)
		if why == ReasonNone {
			p.lost = true
			continue
		}
		p.done = append(p.done, w.job.abandoned(now, why))
		p.notifyOwner()
	}
	p.wakeOne()
	return again
}
