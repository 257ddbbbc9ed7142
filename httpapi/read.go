package httpapi

import (
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// getPlan is GetGraduatedPlan.
func getPlan(c *call) error {
	what, err := c.shown(true, true)
	if err != nil {
		return err
	}
	p, err := c.plan(c.id, ActionRead)
	if err != nil {
		return err
	}
	return c.answerPlan(p, what, bare)
}

// getSummary is GetPlanSummary. It costs one read of the plan, whatever the plan's size.
func getSummary(c *call) error {
	p, err := c.plan(c.id, ActionRead)
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", protocol.ETag(p.Generation))
	return c.json(summaryOf(&p))
}

func summaryOf(p *ota.Plan) wire.Summary {
	n := &p.Counts
	s := wire.Summary{
		PlanID: p.ID, Status: p.Status, TotalAgents: p.Agents, CompletedCount: n.Succeeded, FailedCount: n.Bad(),
		PendingCount: p.Agents - n.Succeeded - n.Bad(), RunningCount: n.Running + n.Waiting, WaitingCount: n.Waiting,
		SkippedCount: n.Skipped, CanceledCount: n.Canceled, UnknownCount: n.Unknown,
	}
	if p.Agents > 0 {
		s.FailureRate = float64(n.Bad()) / float64(p.Agents)
	}
	return s
}

// explainPlan is ExplainPlan.
func explainPlan(c *call) error {
	p, err := c.plan(c.id, ActionRead)
	if err != nil {
		return err
	}
	x, err := c.h.engine.Explain(c.r.Context(), p.ID)
	if err != nil {
		return err
	}
	out := wire.Explanation{PlanID: p.ID, Status: x.Status, CurrentBatch: p.Batch, Sentence: x.Sentence(), Legal: append([]ota.Verb{}, x.Legal...), Blockers: []wire.Blocker{}}
	for _, b := range x.Blockers {
		blocker := wire.Blocker{Reason: b.Reason, Sentence: b.String(), Until: wire.Time{Time: b.Until}, With: b.With, Since: wire.Time{Time: b.Since}, PlanID: b.Plan}
		if b.Verb != 0 {
			blocker.Verb = b.Verb.String()
		}
		out.Blockers = append(out.Blockers, blocker)
	}
	c.w.Header().Set("ETag", protocol.ETag(p.Generation))
	return c.json(out)
}
