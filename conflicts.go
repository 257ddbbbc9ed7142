package ota

import (
	"context"
	"slices"
)

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
	if len(c.but) == 0 { // the plan does not exist yet, so the Store cannot list its kept agents
		if plan := c.engine.abandoned.planOf(id); plan != "" && !slices.Contains(c.plans, plan) {
			c.count(Conflict{Agent: id, Plan: plan, Engine: c.engine.abandoned.name})
		}
	}
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
		page, err := c.engine.store.Agents(ctx, plan, rowQuery{IDs: c.ids, Limit: len(c.ids)})
		if err != nil {
			return err
		}
		for i := range page.Items {
			if r := &page.Items[i]; r.State.Flags&agentReleased == 0 {
				c.count(Conflict{Agent: r.Agent.ID, Plan: plan})
			}
		}
	}
	c.ids = c.ids[:0]
	return nil
}

// claimsCompared is how many agents of a pending plan Create and Explain compare with the claims of
// other plans: the first ones. Start compares all of them.
const claimsCompared = 10 * maxIDs

// claimed adds the agents among ids, at most maxIDs, that other plans have claimed. It stops when
// maxNamed are found.
func (c *conflictSearch) claimed(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	holders, err := c.engine.with.Claimer.Holders(ctx, ids)
	if err != nil {
		return err
	}
	slices.Sort(holders)
	for _, plan := range holders {
		if slices.Contains(c.but, plan) {
			continue
		}
		c.plans, c.ids = []string{plan}, append(c.ids[:0], ids...)
		if err := c.ask(ctx); err != nil || c.total >= maxNamed {
			return err
		}
	}
	return nil
}

// claims are the agents of a pending plan that other plans have claimed, or keep.
type claims struct {
	found []Conflict // some of them
	total int        // how many there are
	more  bool       // there may be more
}

// claimsOf compares the first agents of a pending plan with the claims of other plans.
func (e *Engine) claimsOf(ctx context.Context, row *planRow) (claims, error) {
	if e.with.Claimer == nil {
		return claims{}, nil
	}
	c := conflictSearch{engine: e, but: []string{row.ID}}
	if row.Source != "" { // a rollback takes over the claims of its source, and waits for kept agents
		c.but = append(c.but, row.Source)
	} else if err := c.kept(ctx, row.ID); err != nil {
		return claims{}, err
	}
	q, more := rowQuery{Limit: maxIDs}, true
	for compared := 0; more && compared < claimsCompared && c.total < maxNamed; compared += maxIDs {
		page, err := e.store.Agents(ctx, row.ID, q)
		if err != nil {
			return claims{}, err
		}
		var ids []string
		for i := range page.Items {
			q.From = page.Items[i].Ordinal + 1
			if page.Items[i].State.Flags&agentReleased == 0 {
				ids = append(ids, page.Items[i].Agent.ID)
			}
		}
		if err := c.claimed(ctx, ids); err != nil {
			return claims{}, err
		}
		more = page.More && len(page.Items) > 0
	}
	return claims{c.found, c.total, more || c.total >= maxNamed}, nil
}

// blocker is what Explain says of a pending plan.
func (c *claims) blocker() []Blocker {
	if c.total == 0 {
		return nil
	}
	return []Blocker{{Reason: ReasonClaimed, Text: c.String(), Verb: VerbSkip, With: "of these agents"}}
}

// warning is what Create and Preview say.
func (c *claims) warning() []string {
	if c.total == 0 {
		return nil
	}
	return []string{"start would be refused now: " + c.String()}
}

// String names some agents, and the plans that they belong to.
func (c *claims) String() string {
	text := (&ClaimError{Conflicts: c.found, Total: c.total}).text()
	if c.more {
		text = "at least " + text
	}
	return text
}

// withClaims is the answer of Create. It warns of agents that belong to other plans. The warning is
// not stored, because these agents may be free when the plan starts.
func (e *Engine) withClaims(ctx context.Context, row *planRow) Plan {
	p := planOf(row)
	if p.Status != StatusPending {
		return p
	}
	c, err := e.claimsOf(ctx, row)
	warnings := c.warning()
	if err != nil { // the plan is made all the same
		warnings = []string{"claims of other plans could not be read: " + plainText(err)}
	}
	p.Warnings = append(slices.Clip(p.Warnings), warnings...)
	return p
}
