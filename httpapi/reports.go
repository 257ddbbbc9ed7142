package httpapi

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// report reads a body that is a list of reports, and delivers them to the plan.
func report[T any](c *call, read func(*decoder) (T, error), deliver func(context.Context, *ota.Plan, []T) error) error {
	var list []T
	d, err := c.body(false, func(d *decoder) error {
		return d.Array(func(i int) error {
			if i == c.h.opt.Limits.Named {
				return newProblem("invalid", "", wire.Mistake{Pointer: d.Pointer(), Problem: "is one report too many"})
			}
			r, err := read(d)
			list = append(list, r)
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
	if err := deliver(c.r.Context(), &p, list); err != nil {
		return err
	}
	return c.json(struct {
		Reports int `json:"reports"`
	}{len(list)})
}

// incomplete is the error for a report in which something is missing.
func incomplete(at, names string) error {
	var p *wire.Problem
	errors.As(missing(names), &p)
	p.Errors[0].Pointer = at
	return p
}

// reportHealth is ReportHealth.
func reportHealth(c *call) error {
	return report(c, (*decoder).health, func(ctx context.Context, p *ota.Plan, list []ota.HealthReport) error {
		return c.h.engine.ReportHealth(ctx, p.ID, list)
	})
}

// health reads one report of an agent's health.
func (d *decoder) health() (ota.HealthReport, error) {
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
		err = incomplete(at, "agentId, healthy")
	}
	return r, err
}

// reportOutcomes is ReportOutcomes. It answers once everything is committed, so that the sender may
// then forget it.
func reportOutcomes(c *call) error {
	return report(c, (*decoder).outcome, func(ctx context.Context, p *ota.Plan, list []outcome) error {
		reports := make([]ota.OutcomeReport, len(list))
		for i := range list {
			if o := &list[i]; o.plan != "" && o.plan != p.ID {
				return newProblem("invalid", "", wire.Mistake{
					Pointer: o.at + "/key", Problem: "is of an attempt of another plan", Value: texts.Shorten(o.plan), Allowed: p.ID,
				})
			}
			reports[i] = list[i].OutcomeReport
		}
		return c.h.engine.ReportOutcomes(ctx, p.ID, reports)
	})
}

// outcome is a report as it was read.
type outcome struct {
	ota.OutcomeReport
	at   string // its pointer
	plan string // named by its key, when that was given
}

// outcomes are the ways in which an attempt may have ended.
var outcomes = []ota.Reason{
	ota.ReasonSucceeded, ota.ReasonError, ota.ReasonPermanent, ota.ReasonRejected, ota.ReasonUnreachable, ota.ReasonThrottled,
}

const outcomeWords = "succeeded, error, permanent, rejected, unreachable, throttled"

// outcome reads one report of how an attempt ended. The attempt is named by its key, or by agent,
// task and number.
func (d *decoder) outcome() (outcome, error) {
	o := outcome{at: d.Pointer()}
	r := &o.OutcomeReport
	key, said := "", false
	word := d.enum(&r.Reason, outcomeWords, func() {
		if !slices.Contains(outcomes, r.Reason) {
			d.refuse(r.Reason.String(), "is no outcome of an attempt", outcomeWords)
		}
	})
	err := d.object(fields{
		"key":     d.text(&key),
		"agentId": d.text(&r.Agent),
		"task":    d.integer(0, 1<<30, func(n int) { r.Task = n }),
		"number":  d.integer(1, 1<<31-1, func(n int) { r.Number = n }),
		"outcome": {read: func() error {
			said = true
			return word.read()
		}},
		"version":   d.text(&r.Version),
		"unchanged": d.truth(func(v bool) { r.Unchanged = v }),
		"after":     d.duration(nil, func(v time.Duration) { r.After = v }),
		"message":   d.text(&r.Message),
	})
	switch named := r.Agent != "" || r.Task != 0 || r.Number != 0; {
	case err != nil:
		return o, err
	case key != "" && named:
		d.refuseAt(o.at+"/key", key, "does not go with agentId, task and number", "the one or the others")
	case key != "":
		if o.plan, r.Agent, r.Task, r.Number, err = ota.ParseKey(key); err != nil {
			d.refuseAt(o.at+"/key", key, "is no key of an attempt", "plan/agent/task/number")
		}
	case r.Agent == "" || r.Number == 0 && len(d.mistakes) == 0:
		return o, incomplete(o.at, "agentId, number")
	}
	if !said {
		return o, incomplete(o.at, "outcome")
	}
	return o, nil
}
