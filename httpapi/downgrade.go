package httpapi

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Inventory knows where components are installed. CreateDowngradePlan asks it, for its request
// names components, not agents.
type Inventory interface {
	// AgentsOf yields every installation of a component, which is named as in the request. An agent
	// may be there several times, with installations of different Instances. It is called by many
	// goroutines at once. An error ends the request with 503.
	AgentsOf(ctx context.Context, component string) iter.Seq2[Installation, error]
}

// Installation is a component on an agent.
type Installation struct {
	Agent       string        // ID
	Component   ota.Component // without a Name it has that of the request
	FromVersion string        // what runs there; empty means the request's
	FromRelease string
}

// part is a component of a request, and where it is to go.
type part struct{ uuid, toVersion, toRelease string }

// task is what becomes of an installation.
func (p part) task(in Installation) ota.TaskSpec {
	t := ota.TaskSpec{
		Component: in.Component, FromVersion: in.FromVersion, FromRelease: in.FromRelease, ToVersion: p.toVersion, ToRelease: p.toRelease,
	}
	if t.Component.ID == "" {
		t.Component.ID = p.uuid
	}
	if t.Component.Name == "" {
		t.Component.Name = p.uuid
	}
	return t
}

// downgrade is a request for a plan that brings components to versions they had before.
type downgrade struct {
	creation
	parts []part
}

// maxParts bounds the components of one request: an agent has at most 64 tasks.
const maxParts = 64

// createDowngrade is CreateDowngradePlan. The plan's own target is that of the first component.
func createDowngrade(c *call) error {
	x := &downgrade{creation: newCreation(c)}
	defer x.agents.Close()
	return x.answer(x.read, x.create)
}

func (x *downgrade) read(d *decoder) error {
	x.d, x.policy.d = d, d
	s := &x.spec
	known := x.policy.fields()
	maps.Copy(known, fields{
		"name":        d.text(&s.Name),
		"components":  {read: x.components},
		"batchSize":   d.integer(1, 1<<30, func(n int) { s.Shape.Size = n }),
		"agentIds":    {read: x.agentIDs},
		"fromVersion": d.text(&s.FromVersion),
		"fromRelease": d.text(&s.FromRelease),
		"createdBy":   d.text(&s.CreatedBy),
		"labels":      d.pairs(func(m map[string]string) { s.Labels = m }),
		"annotations": d.pairs(func(m map[string]string) { s.Annotations = m }),
	})
	err := d.documented(known)
	x.c.warnings = d.warnings
	if err != nil {
		return err
	}
	var absent []string
	for _, f := range []struct {
		name  string
		empty bool
	}{
		{"name", s.Name == ""},
		{"components", len(x.parts) == 0},
		{"batchSize", s.Shape.Size == 0},
		{"observeDuration", x.policy.observe == nil || *x.policy.observe == ""},
	} {
		if f.empty {
			absent = append(absent, f.name)
		}
	}
	return d.missing(absent...)
}

func (x *downgrade) components() error {
	return x.d.Array(func(i int) error {
		at := x.d.Pointer()
		if i == maxParts {
			return newProblem("invalid", "", wire.Mistake{Pointer: at, Problem: "is one component too many", Allowed: fmt.Sprintf("at most %d", maxParts)})
		}
		var p part
		if err := x.d.documented(fields{
			"componentUuid": x.d.text(&p.uuid),
			"toVersion":     x.d.text(&p.toVersion),
			"toRelease":     x.d.text(&p.toRelease),
		}); err != nil {
			return err
		}
		for _, f := range []struct{ name, value string }{
			{"componentUuid", p.uuid}, {"toVersion", p.toVersion}, {"toRelease", p.toRelease},
		} {
			if f.value == "" {
				return newProblem("malformed", "", wire.Mistake{Pointer: at + "/" + f.name, Problem: "is missing or empty"})
			}
		}
		for _, other := range x.parts {
			if other.uuid == p.uuid {
				x.d.refuseAt(at+"/componentUuid", p.uuid, "is there twice", "every component once")
			}
		}
		x.parts = append(x.parts, p)
		return nil
	})
}

func (x *downgrade) create() (ota.Plan, error) {
	x.spec.ToVersion, x.spec.ToRelease = x.parts[0].toVersion, x.parts[0].toRelease
	if err := x.settle(); err != nil {
		return ota.Plan{}, err
	}
	var err error
	switch {
	case x.agents.Len() > 0:
		x.spec.Agents = x.named(x.agents.All())
	case x.c.h.opt.Inventory != nil:
		x.spec.Agents, err = x.installed()
	default:
		err = newProblem("invalid", "", wire.Mistake{Pointer: "/agentIds", Problem: "are missing", Allowed: "at least one agent, since this server has no inventory of components"})
	}
	if err != nil {
		return ota.Plan{}, err
	}
	p, err := x.c.h.engine.Create(x.c.r.Context(), x.spec)
	return p, x.explain(err)
}

// named gives every agent of the request all components.
func (x *downgrade) named(agents iter.Seq2[ota.Agent, error]) iter.Seq2[ota.Agent, error] {
	var tasks []ota.TaskSpec
	for _, p := range x.parts {
		tasks = append(tasks, p.task(Installation{}))
	}
	return func(yield func(ota.Agent, error) bool) {
		for a, err := range agents {
			a.Tasks = tasks
			if !yield(a, err) {
				return
			}
		}
	}
}

// installed asks the inventory: agents come in the order in which they are first named, their tasks
// in that of the components.
func (x *downgrade) installed() (iter.Seq2[ota.Agent, error], error) {
	var order []string
	tasks := map[string][]ota.TaskSpec{}
	for i, p := range x.parts {
		found := false
		for in, err := range x.c.h.opt.Inventory.AgentsOf(x.c.r.Context(), p.uuid) {
			if err != nil {
				return nil, fmt.Errorf("inventory of component %s: %w", texts.Shorten(p.uuid), err)
			}
			found = true
			if tasks[in.Agent] == nil {
				if len(order) == x.most {
					return nil, newProblem("invalid", "", wire.Mistake{Pointer: "/components", Problem: "are installed on too many agents", Allowed: fmt.Sprintf("at most %d", x.most)})
				}
				order = append(order, in.Agent)
			}
			tasks[in.Agent] = append(tasks[in.Agent], p.task(in))
		}
		if !found {
			return nil, newProblem("invalid", "", wire.Mistake{
				Pointer: fmt.Sprintf("/components/%d/componentUuid", i), Problem: "is installed nowhere", Value: texts.Shorten(p.uuid), Allowed: "a component of the inventory",
			})
		}
	}
	return func(yield func(ota.Agent, error) bool) {
		for _, id := range order {
			if !yield(ota.Agent{ID: id, Tasks: tasks[id]}, nil) {
				return
			}
		}
	}, nil
}
