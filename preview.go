package ota

import (
	"context"
	"fmt"
	"iter"
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
	// Conflicts are agents that plans hold which are under way now: the first 32 found. Where the Store is a Claimer, Start
	// would refuse such a plan; what these plans have done by then, and what others will have begun, nobody knows yet.
	Conflicts []Conflict `json:"conflicts,omitempty"`
	// ConflictCount is how many such agents there are, counted once for each plan that holds them.
	ConflictCount int `json:"conflictCount,omitempty"`
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

// Preview shows what Create would make of a Spec, and writes nothing. It returns the error that Create would return for a
// Spec that is refused; whether its ID and its request key are free is not looked at. call, when more than 0, is how
// long a call of the Executor takes: the plan is then simulated on a fleet where every call takes that long and
// succeeds, and held batches are promoted at once, which gives the earliest times. Agents are held in memory only then. A fleet
// with failures is for Simulate, and for Trials.
//
// It reads the Store once for each plan under way and every 1,000 agents.
func (e *Engine) Preview(ctx context.Context, spec Spec, call time.Duration) (Preview, error) {
	var m mistakes
	spec.check(&m)
	checkDuration(&m, "call", call, maxDuration, "0 or more, at most ten years")
	if spec.Agents == nil {
		return Preview{}, m.result()
	}
	spec = Resolved(ctx, spec, e.opt.Resolver)
	var held []Agent
	if call > 0 {
		spec.Agents = keep(spec.Agents, &held)
	}
	c := conflictSearch{engine: e}
	if err := c.begin(ctx); err != nil {
		return Preview{}, fmt.Errorf("ota: preview: %w", err)
	}
	d := newDraft(spec, &m)
	for row, err := range d.rows() {
		if err == nil {
			err = c.add(ctx, row.Agent.ID)
		}
		if err != nil {
			return Preview{}, fmt.Errorf("ota: preview plan %q: %w", shorten(spec.Name), err)
		}
	}
	if err := c.ask(ctx); err != nil {
		return Preview{}, fmt.Errorf("ota: preview: %w", err)
	}
	made, err := d.finish(e.warnings(), e.now())
	if err != nil {
		return Preview{}, err
	}
	p := Preview{
		Agents: made.Spec.Agents, Policy: made.Control.Policy, Warnings: made.Spec.Warnings,
		Conflicts: c.found, ConflictCount: c.total,
	}
	for _, b := range made.Batches {
		p.Batches = append(p.Batches, PreviewBatch{
			Index: b.Index, Name: b.Name, Size: b.Size, Tolerated: Tolerated(*p.Policy.FailureThreshold, b.Size),
		})
	}
	if call > 0 {
		spec.Agents = listed(held)
		err = p.earliest(ctx, spec, call, e.now())
	}
	return p, err
}

// earliest fills in the times.
func (p *Preview) earliest(ctx context.Context, spec Spec, call time.Duration, start time.Time) error {
	fleet := SimFleetFunc(func(a Attempt, _ time.Time) SimCall {
		return SimCall{Latency: call, Result: Result{Version: a.ToVersion}}
	})
	sim, err := Simulate(ctx, spec, fleet, SimOptions{Start: start, Limit: maxDuration, Promote: true})
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
			c.plans = append(c.plans, row.ID)
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

func (c *conflictSearch) ask(ctx context.Context) error {
	for _, plan := range c.plans {
		if len(c.ids) == 0 {
			break
		}
		page, err := c.engine.store.Agents(ctx, plan, RowQuery{IDs: c.ids, Limit: len(c.ids)})
		if err != nil {
			return err
		}
		c.total += len(page.Items)
		for _, row := range page.Items {
			if len(c.found) < maxNamed {
				c.found = append(c.found, Conflict{Agent: row.Agent.ID, Plan: plan})
			}
		}
	}
	c.ids = c.ids[:0]
	return nil
}
