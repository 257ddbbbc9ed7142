package ota

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// abandonedCalls are the abandoned calls of this process that have not returned. They belong to
// agents, not to a plan. An agent takes no other attempt until its call has returned, even when the
// driver or the plan has ended since.
//
// If the Store is a Claimer and a Leaser, it keeps these agents for this instance of the engine. So
// other engines and later plans know of them. The instance has a lease of its own, as long as there
// are such calls. The engine's lease would not do: Run gives it back, and a new process of the same
// name takes it over.
type abandonedCalls struct {
	host *host
	name string // of this instance; no other process has it
	// the agents with a call out in drivers that may have lost their plan, except those of this
	// plan
	doubtful func(plan string) []string

	mu    sync.Mutex
	calls []abandonedCall
	// plans for which the Store keeps agents under this name, or may do so
	keptPlans map[string]bool
	stop      chan struct{} // ends renewLoop; nil: it does not run

	// Taken during calls of the Store: a later list must not be overtaken by an earlier one.
	storing turn
}

// abandonedCall is one call that has not returned.
type abandonedCall struct {
	plan, agent string
	ordinal     int // of the agent in that plan
}

// instanceName names a process for its lease. No engine has such a name, except on purpose.
func instanceName(engine, life string) string {
	return engine[:min(len(engine), maxText-len(life)-1)] + "#" + life
}

// add records an abandoned call. Its claim is not renewed yet.
func (s *abandonedCalls) add(c abandonedCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
}

// startKeeper starts the goroutine that renews the claims of abandoned calls, unless it runs.
func (s *abandonedCalls) startKeeper() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store() != nil && s.stop == nil {
		s.stop = make(chan struct{})
		go s.renewLoop(s.stop)
	}
}

// remove forgets a call that has returned.
func (s *abandonedCalls) remove(c abandonedCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.calls, c); i >= 0 {
		s.calls = slices.Delete(s.calls, i, i+1)
	}
}

// ofPlan returns the blocked agents with which a new driver of the plan begins.
func (s *abandonedCalls) ofPlan(plan string) []blockedAgent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []blockedAgent
	for _, c := range s.calls {
		if c.plan == plan {
			out = append(out, blockedAgent{ordinal: c.ordinal, agent: c.agent, own: true})
		}
	}
	return out
}

// agents lists the agents of a plan's abandoned calls, each once. With other, it lists those of all
// other plans.
func (s *abandonedCalls) agents(plan string, other bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, c := range s.calls {
		if (c.plan == plan) != other && !slices.Contains(out, c.agent) {
			out = append(out, c.agent)
		}
	}
	return out
}

// planOf returns a plan with an abandoned call for the agent, or "".
func (s *abandonedCalls) planOf(agent string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.agent == agent {
			return c.plan
		}
	}
	return ""
}

// keepingStore is a Store that can keep an agent for an engine instance.
type keepingStore struct {
	Claimer
	Leaser
}

// store returns the Store if it can keep agents, or nil.
func (s *abandonedCalls) store() *keepingStore {
	with := &s.host.with
	if with.Claimer == nil || with.Leaser == nil {
		return nil
	}
	return &keepingStore{with.Claimer, with.Leaser}
}

// sync makes the Store keep exactly the agents of a plan whose calls are out. It runs before the
// commit that records an abandoned call, so no commit that ends the plan can come before it.
func (s *abandonedCalls) sync(ctx context.Context, plan string) error {
	store := s.store()
	if store == nil {
		return nil
	}
	if err := s.storing.take(ctx); err != nil {
		return err
	}
	defer s.storing.give()
	agents := s.agents(plan, false)
	s.mu.Lock()
	known := s.keptPlans[plan]
	if len(agents) > 0 {
		if s.keptPlans == nil {
			s.keptPlans = map[string]bool{}
		}
		s.keptPlans[plan] = true
	}
	s.mu.Unlock()
	if len(agents) > 0 {
		if err := store.Renew(ctx, s.name, s.host.opt.Lease); err != nil {
			return err
		}
	}
	if len(agents) > 0 || known {
		if err := store.Keep(ctx, plan, s.name, agents); err != nil {
			return err
		}
	}
	return s.stopIfIdle(ctx, store, plan, len(agents) > 0)
}

// stopIfIdle ends renewLoop and the lease of the instance when no call is out and the Store knows
// it.
func (s *abandonedCalls) stopIfIdle(ctx context.Context, store *keepingStore, plan string, keeps bool) error {
	s.mu.Lock()
	if !keeps {
		delete(s.keptPlans, plan)
	}
	over := len(s.calls)+len(s.keptPlans) == 0 && s.stop != nil
	if over {
		close(s.stop)
		s.stop = nil
	}
	s.mu.Unlock()
	if over {
		return store.Renew(ctx, s.name, 0)
	}
	return nil
}

// renewLoop renews the lease of this instance, and what the Store keeps for it, three times per
// lease.
func (s *abandonedCalls) renewLoop(stop <-chan struct{}) {
	for {
		t := s.host.opt.Clock.Timer(s.host.opt.Lease / 3)
		select {
		case <-stop:
			t.Stop()
			return
		case <-t.C:
		}
		s.syncAll()
	}
}

// syncAll syncs every plan that the Store has to know of, each with a time limit.
func (s *abandonedCalls) syncAll() {
	s.mu.Lock()
	plans := slices.Sorted(maps.Keys(s.keptPlans))
	for _, c := range s.calls {
		if !slices.Contains(plans, c.plan) {
			plans = append(plans, c.plan)
		}
	}
	s.mu.Unlock()
	for _, plan := range plans {
		s.syncLater(plan)
	}
}

// syncLater is sync where no commit waits for it. renewLoop repeats what fails.
func (s *abandonedCalls) syncLater(plan string) {
	ctx, cancel := context.WithTimeout(context.Background(), max(s.host.opt.Lease/3, time.Second))
	defer cancel()
	if err := s.sync(ctx, plan); err != nil {
		s.host.opt.Logger.WarnContext(ctx, "claims for abandoned calls could not be stored", "plan", plan, "error", withoutPlan(err, plan))
	}
}

// keepAbandoned makes the Store keep the agents whose calls this step abandons, before a commit
// could free them for others.
func (x *session) keepAbandoned(ctx context.Context, now time.Time) error {
	x.endGivenUp(now)
	if !x.st.change.abandoned || x.syncAbandoned == nil {
		return nil
	}
	ctx, call := x.store.begin(ctx)
	defer call.end()
	if err := x.syncAbandoned(ctx, x.plan); err != nil {
		return wrapError(err, "keep the agents of plan %s", x.plan)
	}
	return nil
}

// readBlockedElsewhere reads for which agents a call of another plan or engine is out.
func (x *session) readBlockedElsewhere(ctx context.Context) (err error) {
	if x.readBlocked == nil {
		return nil
	}
	ctx, call := x.store.begin(ctx)
	defer call.end()
	if x.blockedElsewhere, err = x.readBlocked(ctx, x.plan); err != nil {
		return wrapError(err, "read the kept agents of plan %s", x.plan)
	}
	return nil
}

// blockElsewhere blocks these agents. Before an order it reads them again: a retry may reset an
// agent whose call was abandoned since, by the process that lost the plan.
func (x *session) blockElsewhere(ctx context.Context) error {
	if x.st.c.OrderCount > x.st.p.LastOrder {
		if err := x.readBlockedElsewhere(ctx); err != nil {
			return err
		}
	}
	x.st.queue.blockElsewhere(x.blockedElsewhere)
	return nil
}

// blockedElsewhere returns the agents of a plan that must not be called, because a call for them is
// out. The call belongs to another plan in this process, or to any plan in another process. A call
// that is not abandoned counts too, if its driver may have lost its plan: the new owner may already
// have ended the attempt.
func (e *host) blockedElsewhere(ctx context.Context, plan string) ([]blockedAgent, error) {
	from := map[string]blockedAgent{}
	// In this order: a call that is abandoned meanwhile is in one of the two.
	for _, agent := range slices.Concat(e.abandoned.doubtful(plan), e.abandoned.agents(plan, true)) {
		from[agent] = blockedAgent{engine: e.opt.Name, foreign: true}
	}
	if store := e.abandoned.store(); store != nil {
		kept, err := store.Kept(ctx, plan)
		if err != nil {
			return nil, err
		}
		for _, k := range kept {
			if k.Engine != e.abandoned.name { // this process knows its own calls better
				from[k.Agent] = blockedAgent{engine: k.Engine, foreign: k.Plan != plan || from[k.Agent].foreign}
			}
		}
	}
	var out []blockedAgent
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(from)), orderChunk) {
		page, err := e.store.Agents(ctx, plan, rowQuery{IDs: ids, Limit: len(ids)})
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			r := &page.Items[i]
			b := from[r.Agent.ID]
			b.ordinal, b.agent = r.Ordinal, r.Agent.ID
			b.pending = r.State.Status == TaskPending || b.foreign && r.State.Status == TaskWaiting
			out = append(out, b)
		}
	}
	return out, nil
}

// lateReturn handles the return of an abandoned call. If the driver has stopped since, the plan's
// next driver gets the outcome. If there is none, the outcome is recorded without a driver.
func (d *driver) lateReturn(o outcome) {
	d.host.abandoned.remove(abandonedCall{d.id, o.agent, o.ordinal})
	d.host.abandoned.syncLater(d.id)
	select {
	case <-d.done:
	default:
		return // the outcome is in its pool
	}
	now := d.office.driver(d.id)
	if now != nil && now.post(func(m *mail) { m.input.outcomes = append(m.input.outcomes, o) }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.host.opt.Lease)
	defer cancel()
	if err := d.office.foldWithoutDriver(ctx, d.id, input{outcomes: []outcome{o}}, []blockedAgent{{ordinal: o.ordinal, agent: o.agent, own: true}}); err != nil {
		d.host.opt.Logger.WarnContext(ctx, "outcome of an abandoned call could not be recorded", "plan", d.id, "agent", o.agent, "error", err)
	}
}

// release ends claims on agents that the plan is done with. Their commit came first. A crash in
// between leaves them claimed until the plan ends, and never frees one too early.
func (d *driver) release(now time.Time, all bool) {
	n := len(d.session.released)
	if n == 0 || !all && n < orderChunk && now.Before(d.nextRelease) {
		return
	}
	d.nextRelease = now.Add(releaseEvery)
	ctx, cancel := context.WithTimeout(context.Background(), d.host.opt.Lease)
	defer cancel()
	d.host.release(ctx, d.session)
}

// releaseDue is when agents are released next, zero if there are none.
func (d *driver) releaseDue() time.Time {
	if len(d.session.released) == 0 {
		return time.Time{}
	}
	return d.nextRelease
}

// releaseEvery is how long agents are collected for one Release, unless there are many.
const releaseEvery = time.Second

// release releases what a session has collected, if the Store is a Claimer. What fails stays
// collected.
func (e *host) release(ctx context.Context, x *session) {
	c := e.with.Claimer
	for c != nil && len(x.released) > 0 {
		chunk := x.released[:min(len(x.released), orderChunk)]
		if err := c.Release(ctx, x.plan, chunk); err != nil {
			e.opt.Logger.WarnContext(ctx, "claims could not be released yet", "plan", x.plan, "agents", len(x.released), "error", err)
			return
		}
		x.released = slices.Delete(x.released, 0, len(chunk))
	}
	x.released = x.released[:0]
}
