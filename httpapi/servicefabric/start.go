package servicefabric

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// upgrade is StartApplicationUpgrade.
func (c *call) upgrade() error {
	d, err := c.readDescription()
	if err != nil {
		return err
	}
	if err := c.retry(func() error { return c.tryUpgrade(&d) }); err != nil {
		return err
	}
	return c.ok()
}

func (c *call) tryUpgrade(d *description) error {
	u, err := c.h.load(c.ctx, c.app)
	if err != nil {
		return err
	}
	if err := c.allow(httpapi.ActionCreate, nil); err != nil {
		return err
	}
	if !u.app.provisioned(d.TargetApplicationTypeVersion) {
		return refuse(codeNoType, "Version %s of %s is not provisioned.", d.TargetApplicationTypeVersion, u.app.TypeName)
	}
	switch {
	case u.launch != nil, u.goal != nil && u.plan.Status.Ended(): // the one that waits comes first
		if _, err := c.h.settle(c.ctx, u.plan.ID); err != nil {
			return err
		}
		return errAgain
	case u.pending():
		return c.upgradeInstead(u, d)
	case u.failed: // what a rollback that was given up has left is out of the way first
		if err := c.allow(httpapi.VerbAction(ota.VerbCancel), u.plan); err != nil {
			return err
		}
		if _, err := c.h.engine.Cancel(c.ctx, u.plan.ID, true, c.by("another upgrade was started")); err != nil {
			return stale(err)
		}
		return errAgain
	}
	version, parameters := u.present()
	if d.TargetApplicationTypeVersion == version && sameParameters(d.Parameters, parameters) && !u.interrupted() {
		return refuse(codeInTarget, "The application is in version %s already.", version)
	}
	if err := d.validate(); err != nil {
		return err
	}
	return c.h.create(c.ctx, u, d, c.who.Name)
}

// upgradeInstead makes d the application's goal while another upgrade is pending: that one is
// rolled back first.
func (c *call) upgradeInstead(u *upgrade, d *description) error {
	now := &u.kept.Description
	if u.goal != nil {
		now = &u.goal.Description
	}
	if d.same(now) {
		if u.plan.Status != ota.StatusPending {
			return refuse(codeInProgress, "The application is being upgraded to version %s already.", d.TargetApplicationTypeVersion)
		}
		return c.h.start(c.ctx, u.plan.ID, c.by("")) // whoever made it did not come to it
	}
	if err := c.allow(httpapi.VerbAction(ota.VerbRollback), u.plan); err != nil {
		return err
	}
	if err := d.validate(); err != nil {
		return err
	}
	if _, err := c.h.spec(u, d, c.who.Name); err != nil { // as it will be made later
		return err
	}
	text, err := written(goal{Description: *d, Actor: c.who.Name})
	if err != nil {
		return err
	}
	return c.interrupt(u, map[string]string{keyGoal: text}, nil, "another upgrade was started")
}

// settle does the next step of what is to happen to a plan after an answer: it rolls back a plan
// that was interrupted, and starts the upgrade that waits for the end of one. It reports whether
// something is left to be done later. Every step may be done by several processes at once, and
// after any of them has died.
func (h *Handler) settle(ctx context.Context, id string) (more bool, err error) {
	p, err := h.engine.Plan(ctx, id)
	if err != nil {
		return false, err
	}
	var g, launch *goal
	var f *failure
	note(&p, keyGoal, &g)
	note(&p, keyLaunch, &launch)
	note(&p, keyFailure, &f)
	switch {
	case launch != nil:
		return false, h.launch(ctx, &p, launch)
	case g != nil && p.Status.Ended():
		by := ota.Request{Actor: g.Actor, Generation: p.Generation}
		_, err := h.engine.Annotate(ctx, id, map[string]string{keyLaunch: p.Annotations[keyGoal]}, []string{keyGoal}, by)
		return true, stale(err)
	case p.Status.Ended():
		return false, nil
	case f != nil && f.Reason == reasonInterrupted && (p.Status == ota.StatusPausing || p.Status == ota.StatusPaused):
		if gone, err := givenUp(ctx, h.engine, &p); gone || err != nil {
			return false, err
		}
		by := ota.Request{Actor: f.Actor, Reason: "interrupted"}
		return g != nil, stale(h.undo(ctx, &p, holdsBack(&p), by))
	default:
		return g != nil, nil
	}
}

// launch starts the upgrade that has waited for the end of p.
func (h *Handler) launch(ctx context.Context, p *ota.Plan, g *goal) error {
	by := ota.Request{Actor: g.Actor}
	next, err := h.engine.Plan(ctx, planID(g.Description.Name, p.ID))
	if errors.Is(err, ota.ErrNotFound) {
		next, err = h.follow(ctx, p, g)
	}
	switch {
	case err != nil && refusalOf(err).status == http.StatusBadRequest: // it was looked at before: the inventory has changed
		h.base.Logger.ErrorContext(ctx, "the upgrade that was waiting cannot be made", "application", g.Description.Name, "error", err)
	case err != nil:
		return stale(err)
	case next.Status == ota.StatusPending:
		if _, err := h.engine.Start(ctx, next.ID, by); err != nil { // agents that another plan holds are waited for
			return stale(err)
		}
	}
	_, err = h.engine.Annotate(ctx, p.ID, nil, []string{keyLaunch}, by)
	return err
}

// follow makes the plan that follows p.
func (h *Handler) follow(ctx context.Context, p *ota.Plan, g *goal) (ota.Plan, error) {
	u, err := h.load(ctx, g.Description.Name)
	if err != nil {
		return ota.Plan{}, err
	}
	u.last = p.ID
	spec, err := h.spec(u, &g.Description, g.Actor)
	if err != nil {
		return ota.Plan{}, err
	}
	return h.engine.Create(ctx, spec)
}

// cut shortens a text to what the Engine takes.
func cut(s string) string {
	if len(s) > 255 {
		s = strings.ToValidUTF8(s[:255], "")
	}
	return s
}
