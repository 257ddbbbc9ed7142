package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// undoEdit is what a request says of a rollback plan: where it is to differ from its source.
type undoEdit struct {
	given  bool
	policy policyEdit
	spec   ota.RollbackSpec
}

// fields are what may be said of a rollback plan, besides its source.
func (x *undoEdit) fields(d *decoder) fields {
	x.policy.d = d
	known := x.policy.fields()
	known["name"] = d.text(&x.spec.Name)
	known["labels"] = d.pairs(func(m map[string]string) { x.spec.Labels = m })
	at := d.Pointer()
	known["annotations"] = d.pairs(func(m map[string]string) {
		d.foreign(at+"/annotations", m)
		x.spec.Annotations = m
	})
	known["mode"] = d.mode(&x.spec.Interrupt)
	known["inherit"] = d.enum(&x.spec.Inherit, "limits, batches, all", func() {})
	return known
}

// settle fills the spec in. What the request omits of the policy is as without a policy.
func (x *undoEdit) settle(source *ota.Policy) {
	x.policy.settle()
	if len(x.policy.changes) > 0 {
		p := source.ForRollback()
		if x.spec.Inherit == ota.InheritAll {
			p = *source
			p.Hold.Batches, p.Stages = nil, nil // they name the source's batches
			if p.Gate == (ota.Gate{}) {
				p.Gate.Interval = ota.DefaultGateInterval // a zero Gate asks no Gater
			}
			x.spec.Inherit = ota.InheritBatches // the policy is complete
		}
		x.policy.apply(&p)
		x.spec.Policy = &p
	}
	if t := x.policy.observe; t != nil {
		if x.spec.Annotations == nil {
			x.spec.Annotations = map[string]string{}
		}
		x.spec.Annotations[observeKey] = *t
	}
}

// rollbackRequest is a request for a rollback plan.
type rollbackRequest struct {
	undoEdit
	source string
	reason string
}

func (x *rollbackRequest) fields(d *decoder) fields {
	known := x.undoEdit.fields(d)
	known["sourcePlanUuid"] = d.text(&x.source)
	known["reason"] = d.text(&x.reason)
	return known
}

// createRollback is CreateRollbackPlan: the plan is made, and waits to be started.
func createRollback(c *call) error {
	what, err := c.shown(true, true)
	if err != nil {
		return err
	}
	var x rollbackRequest
	d, err := c.body(false, func(d *decoder) error {
		if err := d.documented(x.fields(d)); err != nil {
			return err
		}
		var absent []string
		if x.source == "" {
			absent = append(absent, "sourcePlanUuid")
		}
		if x.policy.observe == nil || *x.policy.observe == "" {
			absent = append(absent, "observeDuration")
		}
		return d.missing(absent...)
	})
	if err != nil {
		return err
	}
	verb, do := ota.VerbCreateRollback, c.h.engine.CreateRollback
	if c.h.opt.StartOnCreate {
		verb, do = ota.VerbRollback, c.h.engine.Rollback
	}
	p, warnings, err := c.rollback(d, x.source, verb, &x, do)
	if err != nil {
		return err
	}
	return c.answerPlan(p, what, func(s *stream, plan func() error) error {
		s.buf.WriteString(`{"plan":`)
		if err := plan(); err != nil {
			return err
		}
		s.buf.WriteString(`,"warnings":`)
		s.value(append(append(warnings, d.warnings...), planOf(&p).Warnings...))
		s.buf.WriteString(`}`)
		return nil
	})
}

// rollbackPlan is RollbackPlan: the rollback plan is made and started.
func rollbackPlan(c *call) error {
	what, err := c.shown(true, false)
	if err != nil {
		return err
	}
	var x rollbackRequest
	d, err := c.body(true, func(d *decoder) error { return d.object(x.fields(d)) })
	if err != nil {
		return err
	}
	if x.source != "" && strings.TrimPrefix(x.source, "plan-") != strings.TrimPrefix(c.id, "plan-") {
		d.refuseAt("/sourcePlanUuid", x.source, "is another plan than the path's", c.id)
	}
	p, _, err := c.rollback(d, c.id, ota.VerbRollback, &x, c.h.engine.Rollback)
	if err != nil {
		return err
	}
	return c.answerPlan(p, what, bare)
}

func (c *call) rollback(d *decoder, source string, v ota.Verb, x *rollbackRequest,
	do func(context.Context, string, ota.RollbackSpec, ota.Request) (ota.Plan, error),
) (ota.Plan, []string, error) {
	src, by, err := c.verb(source, v)
	if err != nil {
		return src, nil, err
	}
	if err := d.valid(); err != nil {
		return src, nil, err
	}
	x.settle(&src.Policy)
	c.wait.For(src.Agents, time.Millisecond)
	by.Reason = x.reason
	p, err := do(c.r.Context(), src.ID, x.spec, by)
	if errors.Is(err, ota.ErrInvalid) { // the whole body is about the rollback
		made := problemOf(err)
		for i := range made.Errors {
			made.Errors[i].Pointer = strings.TrimPrefix(made.Errors[i].Pointer, "/rollback")
		}
		return p, nil, made
	}
	if err != nil {
		return p, nil, refused(by, err)
	}
	warnings := []string{}
	have := p.Annotations[observeKey]
	if t := x.policy.observe; src.RollbackPlan != "" && t != nil && *t != have {
		warnings = append(warnings, fmt.Sprintf("the rollback plan was there already, with observeDuration %q", have))
	}
	return p, warnings, nil
}
