package ota

import (
	"slices"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// A straggler is an agent whose batch has closed while it was out: in flight, or waiting for another
// attempt. The flag agentStraggler marks it. It is its turn whatever the current batch is, and it
// counts in its own batch when it ends.

// noteStart records that an agent of a batch begins, or that its lost call has to be repeated.
func (s *state) noteStart(b *batch, now int64) {
	b.LastStart = now - int64(s.c.PausedFor)
	s.dirtyBatch(b)
}

// leaveStragglers marks the agents that are out when their batch closes.
func (s *state) leaveStragglers(b *batch) {
	if b.out() == 0 {
		return
	}
	s.rows.busyRows(func(r *cachedRow) {
		if r.Batch == b.Index {
			s.setFlag(r, agentStraggler, true)
		}
	})
}

func (s *state) countStraggler(b *batch, by int) {
	switch {
	case s.p.Stragglers == 0:
		s.p.StragglersFrom = b.Index
	case by > 0:
		s.p.StragglersFrom = min(s.p.StragglersFrom, b.Index)
	}
	b.Stragglers += by
	s.p.Stragglers += by
	if s.p.Stragglers == 0 {
		s.p.StragglersFrom = 0
	}
}

// endStraggler ends what an agent was as a straggler. If it succeeded and can be asked, it remains
// one until its first healthy answer. An agent that succeeds while its batch soaks has to answer
// before the batch closes.
func (s *state) endStraggler(r *cachedRow) {
	b, asked := s.current(), r.State.Status == TaskSucceeded && s.calls.prober && r.is(agentChanged)
	switch {
	case r.is(agentStraggler) && asked:
		s.probing.note(r.Ordinal, silence{agent: r.Agent.ID, late: true})
	case r.is(agentStraggler):
		s.setFlag(r, agentStraggler, false)
	case asked && b != nil && r.Batch == b.Index && b.Status == BatchSoaking:
		s.probing.note(r.Ordinal, silence{agent: r.Agent.ID})
	}
}

// stragglersAt returns when the running batch goes on without the agents that are out. ok is false
// if it waits for them: too many are out, one is about to start, or no later batch waits.
func (v *view) stragglersAt() (at int64, ok bool) {
	b, rule := v.b, v.c.Policy.Stragglers
	switch {
	case v.status != StatusRunning, b.Counts.Pending+v.slotted+v.urgent.unbegun > 0, b.Index+1 == v.spec.Batches:
		return 0, false
	case v.c.StragglersAccepted > b.Index:
		return v.now, true
	case rule.Share == 0 || b.out() > Tolerated(rule.Share, b.Size):
		return 0, false
	}
	return b.LastStart + int64(rule.After) + int64(v.c.PausedFor), true
}

// withoutStragglers goes on with the running batch if nothing of it can start, and the agents that
// are out are stragglers.
func (v *view) withoutStragglers(d decision) decision {
	if d.action != actWait {
		return d
	}
	at, ok := v.stragglersAt()
	switch {
	case !ok:
	case v.now >= at:
		return decision{action: actFinishBatch}
	default:
		d.wake = earlier(d.wake, at)
	}
	return d
}

// stragglersFirst starts agents that wait for another attempt although the current batch starts
// none. Otherwise it decides about the batch.
func (v *view) stragglersFirst(decide func(*view) decision) decision {
	if v.p.Counts.Waiting == 0 {
		return decide(v)
	}
	start := v.decideStart()
	if start.action == actStart {
		return start
	}
	d := decide(v)
	if d.action == actWait || d.action == actAsk {
		d.wake = earlier(d.wake, start.wake)
	}
	return d
}

// stragglersLimit says that stragglers have every slot. It limits no more than the limit of slots
// itself does.
func stragglersLimit(v *view) allowance {
	if v.p.Stragglers == 0 || v.b == nil || v.b.Open > 0 {
		return unlimited
	}
	if concurrencyLimit(v).New > 0 && reserveLimit(v).New > 0 {
		return unlimited
	}
	r := slots(0, ReasonStragglers)
	r.Text = plural.Are(v.p.Open, "agent") + " open, and no slot is free"
	return r
}

// stragglersBarrier holds the last batch while an agent of an earlier batch is out: no plan is
// completed before.
func stragglersBarrier(v *view) (block, bool) {
	n := openAgents(v.p)
	return block{Why: ReasonStragglers, Text: plural.Are(n, "agent") + " out"}, n > 0 && v.b.Index+1 == v.spec.Batches
}

// straggling reports whether the plan waits for stragglers and for nothing else, as far as its
// counters say. before is the reason in the last Head: a commit that has not read the current batch
// keeps it.
func (v *view) straggling(before Reason) bool {
	switch {
	case v.p.Stragglers == 0:
		return false
	case v.b == nil:
		return before == ReasonStragglers
	case v.b.out() > 0:
		return false
	case v.b.Status == BatchSoaking:
		_, holds := stragglersBarrier(v)
		return holds && !slices.ContainsFunc(closers, func(f func(*view) (block, bool)) bool {
			b, also := f(v)
			return also && b.Why != ReasonStragglers && b.Why != ReasonCoverage
		})
	default:
		return stragglersLimit(v).New == 0
	}
}
