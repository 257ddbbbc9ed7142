package servicefabric

import (
	"errors"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// moveNext is ResumeApplicationUpgrade.
func (c *call) moveNext() error {
	var name string
	given := false
	err := c.body(func(d *decoder) fields {
		return fields{"UpgradeDomainName": func() error {
			given = true
			return d.text(&name)()
		}}
	})
	if err != nil {
		return err
	}
	if !given {
		return refuse(codeInvalid, "UpgradeDomainName is missing.")
	}
	if err := c.retry(func() error { return c.tryMoveNext(name) }); err != nil {
		return err
	}
	return c.ok()
}

func (c *call) tryMoveNext(name string) error {
	u, err := c.h.load(c.ctx, c.app)
	if err != nil {
		return err
	}
	if err := c.allow(httpapi.VerbAction(ota.VerbPromote), u.plan); err != nil {
		return err
	}
	if !u.pending() {
		return refuse(codeNotUpgrading, messageNoUpgrade)
	}
	ds, err := u.domains(c.ctx, c.h.engine)
	if err != nil {
		return err
	}
	next := ds.next()
	if next == nil {
		return refuse(codeNotUpgrading, "No upgrade domain is left that is pending.")
	}
	for _, d := range ds.list {
		if d.Name == name && d.State == domainCompleted {
			return refuse(codeDomainDone, "Upgrade domain %s is completed.", name)
		}
	}
	switch {
	case ds.running != nil:
		return refuse(codeInvalid, "Upgrade domain %s is in progress.", ds.running.Name)
	case name != next.Name:
		return refuse(codeInvalid, "The next upgrade domain is %s.", next.Name)
	case !u.waitsFor(next):
		return refuse(codeInvalid, "Upgrade domain %s is about to begin.", name)
	case u.mode() != modeManual:
		return refuse(codeInvalid, "The upgrade does not wait: its mode is %s.", u.mode())
	}
	return c.move(u, ds.plan, next.batch)
}

// move lets a batch of the plan at work begin, and answers the breach that it waits for, if there
// is one.
func (c *call) move(u *upgrade, p *ota.Plan, batch int) error {
	stopped := u.stopped()
	if u.breach() != nil {
		next := u.kept
		next.Description.RollingUpgradeMode = modeManual
		if err := c.change(u, &next, true); err != nil {
			return err
		}
		if stopped && p.Batch == batch { // it goes on where it was stopped
			return nil
		}
	}
	_, err := c.h.engine.Promote(c.ctx, p.ID, batch, c.by(""))
	return stale(err)
}

// change gives an upgrade that rolls forward another description. With answer, a breach that stands
// is answered: what it was about is kept, and what has failed is accepted.
func (c *call) change(u *upgrade, next *kept, answer bool) error {
	e := c.h.engine
	text, err := written(next)
	if err != nil {
		return err
	}
	notes := next.Description.attemptNotes()
	notes[keyUpgrade] = text
	answer = answer && u.breach() != nil
	if answer && u.failure == nil {
		f, err := u.failing(c.ctx, e, u.breach())
		if err != nil {
			return err
		}
		if notes[keyFailure], err = written(f); err != nil {
			return err
		}
	}
	if err := c.annotate(u.plan, notes, nil); err != nil {
		return err
	}
	if _, err := e.Edit(c.ctx, u.plan.ID, next.Description.apply, c.by("")); err != nil {
		return stale(err)
	}
	if !answer {
		return nil
	}
	failed := u.plan.Counts.Bad()
	for {
		_, err := e.Resume(c.ctx, u.plan.ID, ota.Accept(failed), c.by(""))
		var more *ota.BreachError
		if errors.As(err, &more) && more.Failed > failed {
			failed = more.Failed
			continue
		}
		return stale(err)
	}
}
