package avi

import (
	"errors"
	"net/http"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// patchOne is PATCH of one object.
func (c *call) patchOne() error {
	var p *patch
	err := c.read(func(r *strictjson.Reader) (err error) {
		p, err = readPatch(r)
		return err
	})
	if err != nil {
		return err
	}
	shown, err := c.shown()
	if err != nil {
		return err
	}
	plan, err := c.plan(c.id)
	if err == nil && !p.empty() {
		plan, err = c.change(p, plan)
	}
	if err != nil {
		return err
	}
	return c.answerOne(&plan, shown)
}

// rounds is how often a patch is applied anew because somebody has changed the plan meanwhile.
const rounds = 16

// change carries out a patch. All of it is checked against the plan as it stands before anything is
// done. What then is to be done are up to three verbs: each is said to the very plan that was
// looked at, or all is looked at again.
func (c *call) change(p *patch, plan ota.Plan) (ota.Plan, error) {
	x := &changing{c: c}
	for round := 1; ; round++ {
		w, err := p.apply(c.look(&plan))
		if err == nil {
			var next ota.Plan
			if next, err = x.carryOut(plan, w); err == nil {
				return next, nil
			}
		}
		if !errors.Is(err, ota.ErrConflict) {
			x.undo()
			return plan, err
		}
		if round == rounds {
			x.undo()
			return plan, refuse(http.StatusBadRequest, "the plan is being changed by others all the time; try again")
		}
		if plan, err = c.plan(plan.ID); err != nil {
			return plan, err
		}
	}
}

// changing is a patch being carried out.
type changing struct {
	c      *call
	id     string
	before *ota.Action // what an edit that was made has replaced, until the patch cannot fail any more
	done   bool        // the plan is edited and resumed; only what is kept is left to do
}

func (x *changing) carryOut(p ota.Plan, w wish) (ota.Plan, error) {
	if x.done {
		w.action, w.resume = nil, nil
	}
	set, remove, err := annotations(&p, w.kept)
	if err != nil {
		return p, err
	}
	for _, verb := range []struct {
		ota.Verb
		said bool
	}{{ota.VerbEdit, w.action != nil}, {ota.VerbResume, w.resume != nil}, {ota.VerbAnnotate, len(set)+len(remove) > 0}} {
		if !verb.said {
			continue
		}
		if err := x.c.allow(httpapi.VerbAction(verb.Verb), &p); err != nil {
			return p, err
		}
	}
	x.id = p.ID
	if p, err = x.decide(p, w); err != nil {
		return p, err
	}
	x.done, x.before = true, nil
	if len(set)+len(remove) == 0 {
		return p, nil
	}
	return x.c.h.engine.Annotate(x.c.r.Context(), p.ID, set, remove, x.by(&p))
}

func (x *changing) by(p *ota.Plan) ota.Request {
	return ota.Request{Actor: x.c.who.Name, Generation: p.Generation}
}

// decide edits the plan, and then resumes it, so that the new action counts from the first outcome
// on.
func (x *changing) decide(p ota.Plan, w wish) (ota.Plan, error) {
	ctx, engine := x.c.r.Context(), x.c.h.engine
	if w.action != nil {
		before := p.Policy.OnBreach
		next, err := engine.Edit(ctx, p.ID, func(policy *ota.Policy) { policy.OnBreach = *w.action }, x.by(&p))
		if err != nil {
			return p, err
		}
		if p = next; x.before == nil {
			x.before = &before
		}
	}
	if w.resume == nil {
		return p, nil
	}
	decision, failed := ota.RetryFailed(), p.Counts.Bad()
	if *w.resume {
		decision = ota.Accept(failed)
	}
	next, err := engine.Resume(ctx, p.ID, decision, x.by(&p))
	var breach *ota.BreachError
	if errors.As(err, &breach) && *w.resume && breach.Failed != failed {
		return p, ota.ErrConflict // one more has failed meanwhile: count again
	}
	return next, err
}

// undo takes an edit back whose patch was refused after all.
func (x *changing) undo() {
	if x.before == nil {
		return
	}
	_, err := x.c.h.engine.Edit(x.c.r.Context(), x.id, func(policy *ota.Policy) { policy.OnBreach = *x.before }, ota.Request{Actor: x.c.who.Name})
	if err != nil {
		x.c.h.base.Logger.WarnContext(x.c.r.Context(), "edit not taken back", "plan", x.id, "error", err)
	}
}
