package httpapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
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
	q, err := c.planQuery()
	if err != nil {
		return err
	}
	if err := c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: ActionList}); err != nil {
		return err
	}
	found, err := c.plans(q)
	if err != nil {
		return err
	}
	return c.answerList(found, &q, what)
}

// selection is what a list selects: what the Store finds, and what only the plans that were read
// show, such as that no engine drives them.
type selection struct {
	ota.PlanQuery
	needs   []ota.Needs  // any of these; none means all
	reasons []ota.Reason // any of these; none means all
}

// afterReading reports whether the Store alone cannot select the plans.
func (q *selection) afterReading() bool { return len(q.needs) > 0 || len(q.reasons) > 0 }

// has reports whether a plan that the Store found is selected.
func (q *selection) has(p *ota.Plan) bool {
	if !q.afterReading() {
		return true
	}
	w := p.Waiting
	return w != nil && (len(q.needs) == 0 || slices.Contains(q.needs, w.Needs)) &&
		(len(q.reasons) == 0 || slices.Contains(q.reasons, w.Reason))
}

// planQuery reads what a list selects.
func (c *call) planQuery() (q selection, err error) {
	q.Total = true
	if q.Limit, q.Offset, err = c.window(); err != nil {
		return q, err
	}
	q.Status, err = words(c, "status", "is no status", planStatuses, q.Status)
	if err == nil && slices.Contains(q.Status, ota.StatusUnknown) {
		err = notAWord("status", "is no status", ota.StatusUnknown.String(), planStatuses)
	}
	if err == nil {
		q.Coverage, err = words(c, "coverage", "is no coverage", "none, partial, all", q.Coverage)
	}
	if err == nil {
		q.needs, err = words(c, "needs", "is no need", "time, person, engine", q.needs)
	}
	if err == nil {
		q.Hold, err = words(c, "reason", "is no reason", "the reasons in docs/http.md", q.Hold)
	}
	if err == nil {
		q.Labels, err = c.labels()
	}
	if err == nil {
		q.Search, err = c.one("q")
	}
	if err == nil {
		q.After, err = c.time("createdAfter")
	}
	if err == nil {
		q.Before, err = c.time("createdBefore")
	}
	if err == nil {
		q.Sort, err = c.sort()
	}
	if slices.Equal(q.needs, []ota.Needs{ota.NeedsPerson}) {
		q.Person, q.needs = true, nil
	}
	if slices.Contains(q.Hold, ota.ReasonNoEngine) {
		q.reasons, q.Hold = q.Hold, nil
	}
	return q, err
}

// labels reads the labels that a plan must have.
func (c *call) labels() (map[string]string, error) {
	var all map[string]string
	for _, pair := range c.query["label"] {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return nil, notAWord("label", "is no label", pair, "name=value")
		}
		if all == nil {
			all = map[string]string{}
		}
		all[k] = v
	}
	return all, nil
}

// one reads a parameter that may be given once. It is empty if the parameter is absent.
func (c *call) one(parameter string) (string, error) {
	switch v := c.query[parameter]; len(v) {
	case 0:
		return "", nil
	case 1:
		return v[0], nil
	default:
		return "", notAWord(parameter, "is given more than once", v[1], "one value")
	}
}

// time reads a parameter that is a time. It is zero if the parameter is absent.
func (c *call) time(parameter string) (time.Time, error) {
	s, err := c.one(parameter)
	if err != nil || len(c.query[parameter]) == 0 {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.IsZero() {
		return time.Time{}, notAWord(parameter, "is no time", s, `RFC 3339, such as "2026-01-15T08:00:00Z"`)
	}
	return t, nil
}

// sort reads the order of a list.
func (c *call) sort() (ota.Sort, error) {
	s, err := c.one("sort")
	if err != nil || len(c.query["sort"]) == 0 {
		return ota.SortNewest, err
	}
	i := slices.Index(protocol.Sorts, s)
	if i < 0 {
		return ota.SortNewest, notAWord("sort", "is no order", s, strings.Join(protocol.Sorts, ", "))
	}
	return ota.Sort(i), nil
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
func (c *call) plans(q selection) (ota.Page[ota.Plan], error) {
	ctx := c.r.Context()
	if c.h.opt.Auth.Authorize == nil && !q.afterReading() {
		return c.h.engine.Plans(ctx, q.PlanQuery)
	}
	var out ota.Page[ota.Plan]
	all := q.PlanQuery
	all.Offset, all.Limit, all.Total = 0, 0, false
	err := c.eachPlan(ctx, all, func(p *ota.Plan) error {
		if !q.has(p) {
			return nil
		}
		if out.Total++; out.Total > q.Offset && len(out.Items) < q.Limit {
			out.Items = append(out.Items, *p)
		}
		return nil
	})
	return out, err
}

// eachPlan calls f for every plan that matches and may be read, in the order of the query.
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

func (c *call) answerList(found ota.Page[ota.Plan], q *selection, what shown) error {
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
