package httpapi

import (
	"context"
	"errors"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// agents says a verb about some agents of a plan.
func (c *call) agents(v ota.Verb, required bool, do func(context.Context, string, []string, ota.Request) (ota.Plan, error)) error {
	var ids []string
	given := false
	return c.say(v, func(d *decoder) fields {
		return fields{"agentIds": {read: func() error {
			given = true
			return d.names(c.h.opt.Limits.Named, func(id []byte) error {
				ids = append(ids, string(id))
				return nil
			})
		}}}
	}, func() error {
		if len(ids) == 0 && (required || given) { // an empty list must not mean "all"
			return missing("agentIds")
		}
		return nil
	}, func(p ota.Plan, by ota.Request) (ota.Plan, error) {
		p, err := do(c.r.Context(), p.ID, ids, by)
		if errors.Is(err, ota.ErrNotFound) { // the plan was found, so it is an agent that was not
			made := problemOf(err)
			unknown := newProblem("invalid", made.Detail, wire.Mistake{Pointer: "/agentIds", Problem: "names an agent that the plan does not have"})
			return p, unknown
		}
		return p, err
	})
}
