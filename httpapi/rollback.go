package httpapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// rollbackRequest is a request for a rollback plan.
type rollbackRequest struct {
	source string
	reason string
	policy policyEdit
	spec   ota.RollbackSpec
}

// fields are what may be said of a rollback plan: the document's two fields, and where it is to differ from its source.
func (x *rollbackRequest) fields(d *decoder) fields {
	x.policy.d = d
	known := x.policy.fields()
	known["sourcePlanUuid"] = d.text(&x.source)
	known["reason"] = d.text(&x.reason)
	known["name"] = d.text(&x.spec.Name)
	known["labels"] = d.pairs(func(m map[string]string) { x.spec.Labels = m })
	known["mode"] = d.mode(&x.spec.Interrupt)
	return known
}

// settle fills the spec in for a source. The policy is the source's, but for what the request says.
func (x *rollbackRequest) settle(source *ota.Plan) {
	x.policy.settle()
	if len(x.policy.changes) > 0 {
		p := source.Policy
		p.Hold.Batches = nil // they name the source's batches
		x.policy.apply(&p)
		x.spec.Policy = &p
	}
	if t := x.policy.observe; t != nil {
		x.spec.Annotations = map[string]string{observeKey: *t}
	}
}

// createRollback is CreateRollbackPlan: the plan is made, and waits to be started.
func createRollback(c *call) error {
	what, err := c.shown(true)
	if err != nil {
		return err
	}
	var x rollbackRequest
	d, err := c.body(false, func(d *decoder) error {
		if err := d.object(x.fields(d)); err != nil {
			return err
		}
		var absent []string
		if x.source == "" {
			absent = append(absent, "sourcePlanUuid")
		}
		if x.policy.observe == nil || *x.policy.observe == "" {
			absent = append(absent, "observeDuration")
		}
		return missing(absent...)
	})
	if err != nil {
		return err
	}
	p, warnings, err := c.rollback(d, x.source, ota.VerbCreateRollback, &x, c.h.engine.CreateRollback)
	if err != nil {
		return err
	}
	return c.answerPlan(p, what, func(s *stream, plan func() error) error {
		s.buf.WriteString(`{"plan":`)
		if err := plan(); err != nil {
			return err
		}
		s.buf.WriteString(`,"warnings":`)
		s.value(append(warnings, planOf(&p).Warnings...))
		s.buf.WriteString(`}`)
		return nil
	})
}

// rollbackPlan is RollbackPlan: the rollback plan is made and started.
func rollbackPlan(c *call) error {
	what, err := c.shown(false)
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
	do func(context.Context, string, ota.RollbackSpec, ota.By) (ota.Plan, error),
) (ota.Plan, []string, error) {
	src, by, err := c.verb(source, v)
	if err != nil {
		return src, nil, err
	}
	if err := d.valid(); err != nil {
		return src, nil, err
	}
	x.settle(&src)
	by.Reason = x.reason
	p, err := do(c.r.Context(), src.ID, x.spec, by)
	if err != nil {
		return p, nil, refused(by, err)
	}
	warnings := []string{}
	have := p.Annotations[observeKey]
	if t := x.policy.observe; src.Rollback != "" && t != nil && *t != have {
		warnings = append(warnings, fmt.Sprintf("the rollback plan was there already, with observeDuration %q", have))
	}
	return p, warnings, nil
}
