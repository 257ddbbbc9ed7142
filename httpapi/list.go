package httpapi

import (
	"context"
	"errors"
	"slices"
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
	what, err := c.shown(false, false)
	if err != nil {
		return err
	}
	q, needs, err := c.planQuery()
	if err != nil {
		return err
	}
	if err := c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: ActionList}); err != nil {
		return err
	}
	found, err := c.plans(q, needs)
	if err != nil {
		return err
	}
	return c.answerList(found, q, what)
}

// planQuery reads what a list selects. needs is empty, or what the plans have to wait for.
func (c *call) planQuery() (q ota.PlanQuery, needs []ota.Needs, err error) {
	q = ota.PlanQuery{Total: true, Search: c.r.URL.Query().Get("q")}
	if q.Limit, q.Offset, err = c.window(); err != nil {
		return q, nil, err
	}
	q.Status, err = words(c, "status", "is no status", planStatuses, q.Status)
	if err == nil && slices.Contains(q.Status, ota.StatusUnknown) {
		err = notAWord("status", "is no status", ota.StatusUnknown.String(), planStatuses)
	}
	if err == nil {
		q.Coverage, err = words(c, "coverage", "is no coverage", "none, partial, all", q.Coverage)
	}
	if err == nil {
		needs, err = words(c, "needs", "is no need", "time, person, engine", needs)
	}
	if err == nil {
		q.Hold, err = words(c, "reason", "is no reason", "the reasons in docs/http.md", q.Hold)
	}
	if err != nil {
		return q, nil, err
	}
	for _, pair := range c.query["label"] {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return q, nil, notAWord("label", "is no label", pair, "name=value")
		}
		if q.Labels == nil {
			q.Labels = map[string]string{}
		}
		q.Labels[k] = v
	}
	q.Person = len(needs) == 1 && needs[0] == ota.NeedsPerson
	return q, needs, nil
}

// words reads the values of a parameter.
func words[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](c *call, parameter, problem, allowed string, all []T) ([]T, error) {
	for _, word := range c.query[parameter] {
		var v T
		if P(&v).UnmarshalText([]byte(word)) != nil {
			return nil, notAWord(parameter, problem, word, allowed)
		}
		all = append(all, v)
	}
	return all, nil
}

func notAWord(parameter, problem, value, allowed string) error {
	return newProblem("malformed", "", wire.Mistake{Pointer: parameter, Problem: problem, Value: texts.Shorten(value), Allowed: allowed})
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
// of a plan that must not be seen. Whether an engine drives a plan is no fact of the Store, so plans
// that need one are found in the same way.
func (c *call) plans(q ota.PlanQuery, needs []ota.Needs) (ota.Page[ota.Plan], error) {
	ctx := c.r.Context()
	if c.h.opt.Auth.Authorize == nil && (len(needs) == 0 || q.Person) {
		return c.h.engine.Plans(ctx, q)
	}
	var out ota.Page[ota.Plan]
	all := q
	all.Offset, all.Limit, all.Total = 0, 0, false
	err := c.eachPlan(ctx, all, func(p *ota.Plan) error {
		if len(needs) > 0 && (p.Waiting == nil || !slices.Contains(needs, p.Waiting.Needs)) {
			return nil
		}
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
