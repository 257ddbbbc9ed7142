package avi

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// look is one plan being looked at: what its object shows is found out field by field, and only
// where it is wanted.
type look struct {
	c    *call
	plan *ota.Plan
	kept map[string]any

	now  time.Time
	why  *ota.Explanation
	seen *trace
}

func (c *call) look(p *ota.Plan) *look {
	return &look{c: c, plan: p, kept: keptOf(p), now: c.h.base.Clock.Now()}
}

func (l *look) ctx() context.Context { return l.c.r.Context() }

// projections are the fields that the Engine tells. Nil is absent.
var projections map[string]func(*look) (any, error)

func init() { // a field may show others
	projections = map[string]func(*look) (any, error){
		"uuid":           func(l *look) (any, error) { return l.plan.ID, nil },
		"url":            func(l *look) (any, error) { return l.c.base() + collection + "/" + l.plan.ID, nil },
		"_last_modified": (*look).modified,
		"tenant_ref": func(l *look) (any, error) {
			return l.c.base() + "/api/tenant/" + url.PathEscape(cmp.Or(l.plan.Labels["tenant"], "admin")), nil
		},
		"name":        func(l *look) (any, error) { return nameOf(l.plan), nil },
		"node_type":   func(l *look) (any, error) { return nodeTypeOf(l.plan), nil },
		"upgrade_ops": func(l *look) (any, error) { return opsOf(l.plan), nil },
		"state":       (*look).state,
		"reason":      func(l *look) (any, error) { return l.reason() },
		"total_tasks": func(l *look) (any, error) { return l.plan.Tasks.Total(), nil },
		"tasks_completed": func(l *look) (any, error) {
			return ended(l.plan.Tasks), nil
		},
		"progress":              func(l *look) (any, error) { return progressOf(l.plan), nil },
		"enqueue_time":          func(l *look) (any, error) { return timeText(l.plan.CreatedAt), nil },
		"start_time":            func(l *look) (any, error) { return timeText(l.plan.StartedAt), nil },
		"end_time":              func(l *look) (any, error) { return timeText(endOf(l.plan)), nil },
		"duration":              (*look).duration,
		"version":               func(l *look) (any, error) { return versionOf(l.plan), nil },
		"previous_version":      func(l *look) (any, error) { return previousOf(l.plan), nil },
		"enable_rollback":       (*look).rollback,
		"enable_patch_rollback": (*look).patchRollback,
		"params":                func(l *look) (any, error) { return map[string]any{}, nil },
		"system":                func(l *look) (any, error) { return false, nil },
		"seg_status":            (*look).segStatus,
		"upgrade_events":        (*look).events,
		"se_upgrade_events":     (*look).failures,
		"history":               (*look).history,
		"upgrade_readiness":     (*look).readiness,
	}
}

// field is what the object shows of a field: what a client has set, else what the Engine tells. Nil
// is absent.
func (l *look) field(name string) (any, error) {
	v, kept := l.kept[name]
	if project, ok := projections[name]; ok && !kept {
		var err error
		if v, err = project(l); err != nil {
			return nil, err
		}
	}
	if m, ok := v.(map[string]any); ok && document[name].shape == params { // the plan's action, in whatever a client has set
		o, _ := m["se_group_options"].(map[string]any)
		m, o = maps.Clone(m), maps.Clone(o)
		if o == nil {
			o = map[string]any{}
		}
		o["action_on_error"] = actionWord(l.plan.Policy.OnBreach)
		m["se_group_options"] = o
		v = m
	}
	if v == "" && absent[name] {
		return nil, nil
	}
	return v, nil
}

// absent are the texts that are left out, not empty, when there is nothing to tell.
var absent = map[string]bool{"start_time": true, "end_time": true, "previous_version": true}

// object is the whole object, or the fields of it that are wanted.
func (l *look) object(s shown) (map[string]any, error) {
	out := map[string]any{}
	for name := range document {
		if !s.wants(name) {
			continue
		}
		v, err := l.field(name)
		if err != nil {
			return nil, err
		}
		if v == nil || s.skipDefault && isDefault(v) {
			continue
		}
		out[name] = v
	}
	return out, nil
}

// isDefault reports whether skip_default leaves a value out.
func isDefault(v any) bool {
	switch v := v.(type) {
	case bool:
		return !v
	case string:
		return v == ""
	case int:
		return v == 0
	case int64:
		return v == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// base is what comes before a path in a URL of this server, as the client reached it.
func (c *call) base() string {
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.r.Host + c.h.opt.Prefix
}

// explain asks why the plan does not go on, once.
func (l *look) explain() (ota.Explanation, error) {
	if l.why == nil {
		x, err := l.c.h.engine.Explain(l.ctx(), l.plan.ID)
		if err != nil {
			return x, err
		}
		l.why = &x
	}
	return *l.why, nil
}

// rollback tells whether the plan could be rolled back now, and anything with it.
func (l *look) rollback() (any, error) {
	if l.plan.Source != "" || !slices.Contains(ota.LegalVerbs(l.plan.Status), ota.VerbRollback) {
		return false, nil
	}
	n, err := l.c.h.engine.CanRollback(l.ctx(), l.plan.ID)
	for _, no := range []error{ota.ErrState, ota.ErrNothing, ota.ErrClaimed, ota.ErrConflict, ota.ErrExists} {
		if errors.Is(err, no) {
			return false, nil
		}
	}
	return n > 0, err
}

func (l *look) patchRollback() (any, error) {
	if !isPatch(l.plan) {
		return false, nil
	}
	return l.rollback()
}

func (l *look) modified() (any, error) {
	t, err := l.trace()
	return microText(t.modified), err
}

// nameOf is the node that a plan is for, else the plan's own name.
func nameOf(p *ota.Plan) string {
	if node := p.Labels["node"]; node != "" {
		return node
	}
	return p.Name
}

func nodeTypeOf(p *ota.Plan) string {
	for _, known := range nodeTypes.words {
		if p.Labels["node_type"] == known {
			return known
		}
	}
	return "NODE_SE_GROUP"
}

func isPatch(p *ota.Plan) bool { return strings.HasPrefix(p.Labels["patch"], "pat_") }
