package httpapi

import (
	"context"
	"errors"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

const (
	defaultList = 50
	maxList     = 500
	maxOffset   = 1 << 30
)

// planStatuses are what ?status= of a list may be.
const planStatuses = "pending, running, pausing, paused, canceling, canceled, rolling_back, rolled_back, completed"

// listPlans is ListGraduatedPlans.
func listPlans(c *call) error {
	what, err := c.shown(false)
	if err != nil {
		return err
	}
	q := ota.PlanQuery{Total: true}
	if q.Limit, q.Offset, err = c.window(); err != nil {
		return err
	}
	for _, word := range c.query["status"] {
		var s ota.Status
		if s.UnmarshalText([]byte(word)) != nil || s == ota.StatusUnknown {
			return newProblem("malformed", "", wire.Mistake{
				Pointer: "status", Problem: "is no status", Value: texts.Shorten(word),
				Allowed: planStatuses,
			})
		}
		q.Status = append(q.Status, s)
	}
	for _, word := range c.query["coverage"] {
		var v ota.Coverage
		if v.UnmarshalText([]byte(word)) != nil {
			return newProblem("malformed", "", wire.Mistake{
				Pointer: "coverage", Problem: "is no coverage", Value: texts.Shorten(word), Allowed: "none, partial, all",
			})
		}
		q.Coverage = append(q.Coverage, v)
	}
	for _, pair := range c.query["label"] {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return newProblem("malformed", "", wire.Mistake{Pointer: "label", Problem: "is no label", Value: texts.Shorten(pair), Allowed: "name=value"})
		}
		if q.Labels == nil {
			q.Labels = map[string]string{}
		}
		q.Labels[k] = v
	}
	if err := c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: ActionList}); err != nil {
		return err
	}
	found, err := c.plans(q)
	if err != nil {
		return err
	}
	return c.answerList(found, q, what)
}

func (c *call) window() (limit, offset int, err error) {
	if limit, err = c.number("limit", 1, maxList, defaultList); err != nil {
		return 0, 0, err
	}
	offset, err = c.number("offset", 0, maxOffset, 0)
	return limit, offset, err
}

// plans is one page of the plans that the principal may read. Where an authorizer decides that plan
// by plan, it is asked about every plan that matches, so that neither the page nor the total tells
// of a plan that must not be seen.
func (c *call) plans(q ota.PlanQuery) (ota.Page[ota.Plan], error) {
	ctx := c.r.Context()
	if c.h.opt.Auth.Authorize == nil {
		return c.h.engine.Plans(ctx, q)
	}
	var out ota.Page[ota.Plan]
	err := c.eachPlan(ctx, ota.PlanQuery{Status: q.Status, Labels: q.Labels}, func(p *ota.Plan) error {
		if out.Total++; out.Total > q.Offset && len(out.Items) < q.Limit {
			out.Items = append(out.Items, *p)
		}
		return nil
	})
	return out, err
}

// eachPlan calls f for every plan that matches and may be read, newest first.
func (c *call) eachPlan(ctx context.Context, q ota.PlanQuery, f func(*ota.Plan) error) error {
	for {
		found, err := c.h.engine.Plans(ctx, q)
		if err != nil {
			return err
		}
		c.wait.Again()
		for i := range found.Items {
			p := &found.Items[i]
			err := c.h.opt.Auth.Allow(ctx, c.who, Access{Action: ActionRead, Plan: p})
			if errors.Is(err, ota.ErrNotFound) {
				continue
			}
			if err == nil {
				err = f(p)
			}
			if err != nil {
				return err
			}
		}
		if q.Offset += len(found.Items); !found.More {
			return nil
		}
	}
}

func (c *call) answerList(found ota.Page[ota.Plan], q ota.PlanQuery, what shown) error {
	s := &stream{c: c, list: true}
	s.buf.WriteString(`{"items":[`)
	for i := range found.Items {
		s.comma(i)
		if err := s.plan(c.r.Context(), &found.Items[i], what); err != nil {
			return err
		}
	}
	s.buf.WriteString(`],"total":`)
	s.value(found.Total)
	s.buf.WriteString(`,"limit":`)
	s.value(q.Limit)
	s.buf.WriteString(`,"offset":`)
	s.value(q.Offset)
	s.buf.WriteString("}\n")
	return s.finish()
}
