package httpapi

import (
	"context"
	"errors"

	"github.com/seed-19b57ce3/ota"
)

// agents says a verb about some agents of a plan.
func (c *call) agents(v ota.Verb, required bool, do func(context.Context, string, []string, ota.By) (ota.Plan, error)) error {
	var ids []string
	given := false
	return c.say(v, func(d *decoder) fields {
		return fields{"agentIds": {read: func() error {
			given = true
			return d.names(c.h.opt.Limits.Named, func(id string) error {
				ids = append(ids, id)
				return nil
			})
		}}}
	}, func() error {
		if len(ids) == 0 && (required || given) { // an empty list must not mean "all"
			return missing("agentIds")
		}
		return nil
	}, func(p ota.Plan, by ota.By) (ota.Plan, error) {
		p, err := do(c.r.Context(), p.ID, ids, by)
		if errors.Is(err, ota.ErrNotFound) { // the plan was found, so it is an agent that was not
			made := problemOf(err)
			unknown := newProblem("invalid", made.Detail, Mistake{Pointer: "/agentIds", Problem: "names an agent that the plan does not have"})
			return p, unknown
		}
		return p, err
	})
}

// reportHealth is ReportHealth.
func reportHealth(c *call) error {
	var reports []ota.HealthReport
	d, err := c.body(false, func(d *decoder) error {
		return d.Array(func(i int) error {
			if i == c.h.opt.Limits.Named {
				return newProblem("invalid", "", Mistake{Pointer: d.Pointer(), Problem: "is one report too many"})
			}
			r, err := d.report()
			reports = append(reports, r)
			return err
		})
	})
	if err != nil {
		return err
	}
	p, err := c.plan(c.id, ActionReport)
	if err != nil {
		return err
	}
	if err := d.valid(); err != nil {
		return err
	}
	if err := c.h.engine.ReportHealth(c.r.Context(), p.ID, reports); err != nil {
		return err
	}
	return c.json(struct {
		Reports int `json:"reports"`
	}{len(reports)})
}

// report reads one report of an agent's health.
func (d *decoder) report() (ota.HealthReport, error) {
	var r ota.HealthReport
	said := false
	at := d.Pointer()
	err := d.object(fields{
		"agentId": d.text(&r.Agent),
		"healthy": d.truth(func(v bool) { r.Healthy, said = v, true }),
		"at": {read: func() error {
			s, err := d.String()
			if err == nil && r.At.UnmarshalText([]byte(s)) != nil {
				d.refuse(s, "is no time", "RFC 3339, for example 2026-01-15T08:00:00Z")
			}
			return err
		}},
		"reason": d.text(&r.Reason),
	})
	if err == nil && (r.Agent == "" || !said) {
		var p *Problem
		errors.As(missing("agentId, healthy"), &p)
		p.Errors[0].Pointer = at
		return r, p
	}
	return r, err
}
