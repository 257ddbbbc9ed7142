package ota

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Preview is what a plan would be, before it is made.
type Preview struct {
	// Agents is how many agents the plan would have.
	Agents int `json:"agents"`
	// Policy is the plan's, defaults filled in.
	Policy Policy `json:"policy"`
	// Batches are those the agents would be cut into.
	Batches []PreviewBatch `json:"batches"`
	// Warnings are the plan's: what is legal but deserves a look.
	Warnings []string `json:"warnings,omitempty"`
	// Readiness tells of conflicts: agents that plans hold which are under way now. Where the Store is a Claimer, Start
	// would refuse such a plan; what these plans have done by then, and what others will have begun, nobody knows yet. It
	// tells when the next window opens, and, if that was asked for, what a Prechecker says of the agents.
	Readiness Readiness `json:"readiness"`
	// Takes is how long the plan takes at least, or 0 when no length of a call was given.
	Takes time.Duration `json:"takes,omitempty"`
}

// PreviewBatch is a batch that would be.
type PreviewBatch struct {
	Index     int    `json:"index"`
	Name      string `json:"name,omitempty"`
	Size      int    `json:"size"`
	Tolerated int    `json:"tolerated"` // how many of its agents may fail; with ScopePlan it is the plan that counts
	// Begins and Ends are, from the plan's start on, when the batch begins and when it is closed at the earliest. Both are
	// 0 when no length of a call was given.
	Begins time.Duration `json:"begins,omitempty"`
	Ends   time.Duration `json:"ends,omitempty"`
}

// PreviewOptions are what a Preview looks at besides the Spec. The zero value asks no agent and tells no times.
type PreviewOptions struct {
	// Call, when more than 0, is how long a call of the Executor takes: the plan is then simulated on a fleet where every
	// call takes that long and succeeds, and held batches are promoted at once, which gives the earliest times. Agents are
	// held in memory only then. At most ten years.
	Call time.Duration
	// Precheck asks the Prechecker about every agent, at most Concurrency at once. It means nothing where the Executor is
	// none.
	Precheck bool
}

// Preview shows what Create would make of a Spec, and writes nothing. It returns the error that Create would return for a
// Spec that is refused; whether its ID and its request key are free is not looked at. A fleet with failures is for
// Simulate, and for Trials.
//
// It reads the Store once for each plan under way and every 1,000 agents.
func (e *Engine) Preview(ctx context.Context, spec Spec, options PreviewOptions) (Preview, error) {
	var m mistakes
	spec.check(&m)
	checkDuration(&m, "call", options.Call, maxDuration, durationAllowed)
	if spec.Agents == nil {
		return Preview{}, m.result()
	}
	spec = Resolved(ctx, spec.trimmed(), e.opt.Resolver)
	var held []Agent
	if options.Call > 0 {
		spec.Agents = keep(spec.Agents, &held)
	}
	d := e.newDraft(spec, &m)
	r := e.newReadiness(ctx, spec.Policy)
	if !options.Precheck || m.err != nil {
		r.prechecker = nil
	}
	if err := r.ask(d.attempts()); err != nil {
		return Preview{}, fmt.Errorf("ota: preview plan %q: %w", shorten(spec.Name), err)
	}
	made, err := d.finish(e.warnings(), e.now())
	if err != nil {
		return Preview{}, err
	}
	p := Preview{
		Agents: made.Spec.Agents, Policy: made.Control.Policy, Warnings: slices.Concat(made.Spec.Warnings, made.Control.Warnings), Readiness: r.found,
	}
	if limit := p.Policy.PlanTimeout; limit > 0 && neverOpens(p.Policy.Windows, r.found.At, r.found.At.Add(limit)) {
		p.Warnings = append(p.Warnings, "no window opens before planLimit has passed, if the plan is started now: Start would refuse it")
	}
	for _, b := range made.Batches {
		p.Batches = append(p.Batches, PreviewBatch{
			Index: b.Index, Name: b.Name, Size: b.Size, Tolerated: Tolerated(*p.Policy.FailureThreshold, b.Size),
		})
	}
	if options.Call > 0 {
		spec.Agents = listed(held)
		err = p.earliest(ctx, spec, options.Call, e.now())
	}
	return p, err
}

// attempts yields an attempt for every agent of a plan that is to be.
func (d *draft) attempts() iter.Seq2[Attempt, error] {
	s := &d.spec
	st := &state{id: s.ID, c: Control{Annotations: s.Annotations, Policy: s.Policy.withDefaults()}, spec: PlanSpec{
		FromVersion: s.FromVersion, FromRelease: s.FromRelease, ToVersion: s.ToVersion, ToRelease: s.ToRelease,
	}}
	return func(yield func(Attempt, error) bool) {
		for row, err := range d.rows() {
			if err != nil {
				yield(Attempt{}, err)
				return
			}
			if !yield(st.attempt(&cachedRow{AgentRow: &row}, 0), nil) {
				return
			}
		}
	}
}

// earliest fills in the times.
func (p *Preview) earliest(ctx context.Context, spec Spec, call time.Duration, start time.Time) error {
	fleet := SimFleetFunc(func(a Attempt, _ time.Time) SimCall {
		return SimCall{Latency: call, Result: Result{Version: a.ToVersion}}
	})
	sim, err := Simulate(ctx, spec, fleet, SimOptions{Start: start, MaxTime: maxDuration, Promote: true})
	if err != nil {
		return err
	}
	for _, b := range sim.Batches {
		if !b.StartedAt.IsZero() {
			p.Batches[b.Index].Begins = b.StartedAt.Sub(sim.Start)
		}
		if !b.CompletedAt.IsZero() {
			p.Batches[b.Index].Ends = b.CompletedAt.Sub(sim.Start)
		}
	}
	p.Takes = sim.Took()
	return nil
}

// keep yields what it keeps.
func keep(agents iter.Seq2[Agent, error], into *[]Agent) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for a, err := range agents {
			*into = append(*into, a)
			if !yield(a, err) {
				return
			}
		}
	}
}

// listed yields agents that are held.
func listed(agents []Agent) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for _, a := range agents {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// conflictSearch looks for agents in plans that are under way.
type conflictSearch struct {
	engine *Engine
	but    []string // plans that are no conflict
	plans  []string
	ids    []string
	found  []Conflict
	total  int
}

func (c *conflictSearch) begin(ctx context.Context) error {
	q := PlanQuery{Status: []Status{StatusRunning, StatusPausing, StatusPaused, StatusCanceling, StatusRollingBack}}
	for {
		page, err := c.engine.store.Plans(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range page.Items {
			if !slices.Contains(c.but, row.ID) {
				c.plans = append(c.plans, row.ID)
			}
		}
		if !page.More || len(page.Items) == 0 {
			return nil
		}
		q.Offset += len(page.Items)
	}
}

func (c *conflictSearch) add(ctx context.Context, id string) error {
	if len(c.plans) == 0 {
		return nil
	}
	c.ids = append(c.ids, id)
	if len(c.ids) < DefaultPage {
		return nil
	}
	return c.ask(ctx)
}

func (c *conflictSearch) count(x Conflict) {
	c.total++
	if len(c.found) < maxNamed {
		c.found = append(c.found, x)
	}
}

// kept counts the agents of a plan that plans keep which have ended.
func (c *conflictSearch) kept(ctx context.Context, plan string) error {
	store := c.engine.abandoned.store()
	if store == nil || plan == "" {
		return nil
	}
	kept, err := store.Kept(ctx, plan)
	for _, k := range kept {
		if !slices.Contains(c.but, k.Plan) && !slices.Contains(c.plans, k.Plan) {
			c.count(k)
		}
	}
	return err
}

func (c *conflictSearch) ask(ctx context.Context) error {
	for _, plan := range c.plans {
		if len(c.ids) == 0 {
			break
		}
		page, err := c.engine.store.Agents(ctx, plan, RowQuery{IDs: c.ids, Limit: len(c.ids)})
		if err != nil {
			return err
		}
		for i := range page.Items {
			if r := &page.Items[i]; r.State.Flags&AgentReleased == 0 {
				c.count(Conflict{Agent: r.Agent.ID, Plan: plan})
			}
		}
	}
	c.ids = c.ids[:0]
	return nil
}
