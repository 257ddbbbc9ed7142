package httpapi

import (
	"github.com/seed-19b57ce3/ota"
)

// fixed are fields of a plan that an edit cannot change, and says so.
var fixed = []string{
	"id", "name", "fromVersion", "fromRelease", "toVersion", "toRelease", "agentIds", "agents", "batchSize", "percent", "canary", "growth", "batches", "shuffleSeed",
	"status", "currentBatch", "createdBy", "createdAt", "startedAt", "pausedAt", "pauseReason", "completedAt", "sourcePlanUuid",
	"error", "labels", "annotations", "rollback", "rollbackPlanUuid", "totalAgents", "warnings",
}

// editPlan is EditPlan: a JSON merge patch (RFC 7396) of a plan's policy.
func editPlan(c *call) error {
	what, err := c.shown(true, false)
	if err != nil {
		return err
	}
	var e policyEdit
	var reason string
	d, err := c.body(false, func(d *decoder) error {
		e.d = d
		known := e.fields()
		for _, name := range fixed {
			known[name] = field{read: func() error {
				d.refuse("", "cannot be changed", "")
				return d.Skip()
			}, null: func() { d.refuse("null", "cannot be changed", "") }, bad: true}
		}
		known["reason"] = d.text(&reason)
		return d.object(known)
	})
	if err != nil {
		return err
	}
	e.settle()
	p, by, err := c.verb(c.id, ota.VerbEdit)
	if err != nil {
		return err
	}
	if err := d.valid(); err != nil {
		return err
	}
	by.Reason = reason
	if p, err = c.edit(p, &e, by); err != nil {
		return refused(by, err)
	}
	return c.answerPlan(p, what, bare)
}

// edit changes the policy, and then the text of observeDuration, which counts only as long as the
// policy agrees with it.
func (c *call) edit(p ota.Plan, e *policyEdit, by ota.Request) (ota.Plan, error) {
	var err error
	if len(e.changes) > 0 || e.observe == nil {
		if p, err = c.h.engine.Edit(c.r.Context(), p.ID, e.apply, by); err != nil {
			return p, err
		}
		if by.Generation != 0 {
			by.Generation = p.Generation
		}
	}
	switch {
	case e.observe != nil:
		return c.h.engine.Annotate(c.r.Context(), p.ID, map[string]string{observeKey: *e.observe}, nil, by)
	case e.reset:
		return c.h.engine.Annotate(c.r.Context(), p.ID, nil, []string{observeKey}, by)
	default:
		return p, nil
	}
}
