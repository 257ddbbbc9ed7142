package servicefabric

import (
	"context"
	"errors"
	"maps"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// The reasons of a failure.
const (
	reasonNone          = "None"
	reasonInterrupted   = "Interrupted"
	reasonHealth        = "HealthCheck"
	reasonDomainTimeout = "UpgradeDomainTimeout"
	reasonTimeout       = "OverallUpgradeTimeout"
)

// rollback is RollbackApplicationUpgrade. While the upgrade rolls back already it is success again,
// and drops what was to follow.
func (c *call) rollback() error {
	if err := c.retry(c.tryRollback); err != nil {
		return err
	}
	return c.ok()
}

func (c *call) tryRollback() error {
	u, err := c.h.load(c.ctx, c.app)
	if err != nil {
		return err
	}
	if u.plan == nil {
		if err := c.allow(httpapi.VerbAction(ota.VerbRollback), nil); err != nil {
			return err
		}
		return refuse(codeNotUpgrading, messageNoUpgrade)
	}
	if err := c.allow(httpapi.VerbAction(ota.VerbRollback), u.plan); err != nil {
		return err
	}
	switch {
	case u.launch != nil: // what was to follow is being started: it is what is taken back
		if _, err := c.h.settle(c.ctx, u.plan.ID); err != nil {
			return err
		}
		return errAgain
	case u.goal != nil && u.plan.Status.Ended():
		return c.annotate(u.plan, nil, []string{keyGoal})
	case !u.pending():
		return refuse(codeNotUpgrading, messageNoUpgrade)
	}
	return c.interrupt(u, nil, []string{keyGoal}, "")
}

// interrupt makes a pending upgrade roll back, with annotations set and removed before it can have
// ended.
//
// The plan is paused first: a paused plan does not complete, so that what is taken back is an
// upgrade that was under way, and what it has touched stays what it was when the Engine looks.
func (c *call) interrupt(u *upgrade, set map[string]string, remove []string, why string) error {
	h, p, by := c.h, *u.plan, c.by(why)
	hold := u.mode() == modeManual && set[keyGoal] == ""
	switch p.Status {
	case ota.StatusPending: // nothing to take back, and nobody was told that it had begun
		if _, err := h.engine.Cancel(c.ctx, p.ID, false, by); err != nil {
			return stale(err)
		}
		if set != nil {
			return errAgain
		}
		return nil
	case ota.StatusRunning, ota.StatusPausing, ota.StatusPaused:
		if u.goingBack() {
			break
		}
		var err error
		if p, err = h.engine.Pause(c.ctx, p.ID, by); err != nil {
			return stale(err)
		}
	}
	notes := map[string]string{}
	maps.Copy(notes, set)
	if !u.goingBack() {
		f, err := u.failing(c.ctx, h.engine, &ota.Breach{Batch: p.Batch, At: h.base.Clock.Now().UTC()})
		if err != nil {
			return err
		}
		f.Reason, f.Actor = reasonInterrupted, c.who.Name
		if notes[keyFailure], err = written(f); err != nil {
			return err
		}
	}
	if err := c.annotate(&p, notes, remove); err != nil {
		return err
	}
	h.track(p.ID)
	if p.Status == ota.StatusRollingBack {
		return c.unhold(u, set)
	}
	err := stale(h.undo(c.ctx, &p, hold, by))
	if errors.Is(err, errAgain) { // Run may have seen the annotation, and been faster
		if q, err := h.engine.Plan(c.ctx, p.ID); err == nil && (q.Status == ota.StatusRollingBack || q.Status.Ended()) {
			return nil
		}
	}
	return err
}

// annotate writes what differs, if nobody has said anything to the plan since it was read.
func (c *call) annotate(p *ota.Plan, set map[string]string, remove []string) error {
	by := c.by("")
	by.Generation = p.Generation
	q, err := c.h.engine.Annotate(c.ctx, p.ID, set, remove, by)
	if err == nil {
		*p = q
	}
	return stale(err)
}

// unhold lets a rollback that waits for MoveToNextUpgradeDomain go through when an upgrade is to
// follow it.
func (c *call) unhold(u *upgrade, set map[string]string) error {
	if set[keyGoal] == "" || u.back == nil || !u.back.Policy.Hold.All {
		return nil
	}
	_, err := c.h.engine.Edit(c.ctx, u.back.ID, func(p *ota.Policy) { p.Hold = ota.Hold{} }, c.by("another upgrade is to follow"))
	return stale(err)
}

// undo rolls a paused plan back, or ends it when it has touched nothing.
func (h *Handler) undo(ctx context.Context, p *ota.Plan, hold bool, by ota.Request) error {
	spec := ota.RollbackSpec{
		Policy: backPolicy(p.Policy, hold), Inherit: ota.InheritBatches, Annotations: map[string]string{}, Interrupt: true,
	}
	for _, key := range []string{keyForceRestart, keyCheckTimeout} {
		if v, ok := p.Annotations[key]; ok {
			spec.Annotations[key] = v
		}
	}
	_, err := h.engine.Rollback(ctx, p.ID, spec, by)
	if errors.Is(err, ota.ErrNothing) {
		_, err = h.engine.Cancel(ctx, p.ID, true, by)
	}
	return err
}

// holdsBack reports whether the rollback of an interrupted plan waits for MoveToNextUpgradeDomain.
func holdsBack(p *ota.Plan) bool { return p.Policy.Hold.All && p.Annotations[keyGoal] == "" }

// failing describes what was in progress when a breach struck, or an interruption that is given as
// one.
func (u *upgrade) failing(ctx context.Context, e *ota.Engine, b *ota.Breach) (*failure, error) {
	f := &failure{At: b.At, Reason: reasonHealth}
	switch b.Reason {
	case ota.ReasonBatchTimeout:
		f.Reason = reasonDomainTimeout
	case ota.ReasonPlanTimeout:
		f.Reason = reasonTimeout
	}
	batch := b.Batch
	if batch < 0 {
		batch = u.plan.Batch
	}
	domain, err := domainAt(ctx, e, u.plan.ID, batch, b.At)
	f.Domain = domain
	return f, err
}
