package httpapi

import (
	"errors"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// What a record's status may be, as statuses of tasks.
var historyStatus = map[string][]ota.TaskStatus{
	"running":   {ota.TaskRunning, ota.TaskWaiting},
	"completed": {ota.TaskSucceeded, ota.TaskFailed, ota.TaskSkipped, ota.TaskCanceled, ota.TaskUnknown},
}

// historyQuery selects records.
type historyQuery struct {
	status        []ota.TaskStatus
	component     string
	limit, offset int
	plan          string // its ID; empty: all plans
	read          int    // agents of plans of which only some tasks are about the component
}

// listHistory is ListHistory: one record for each task that has left pending, by plan, newest plan
// first, then in the plan's order. Plans before the offset are counted, not read.
func listHistory(c *call) error {
	q := historyQuery{}
	var err error
	if q.limit, q.offset, err = c.window(); err != nil {
		return err
	}
	q.status = append(append(q.status, historyStatus["running"]...), historyStatus["completed"]...)
	if word := c.query.Get("status"); word != "" {
		if q.status = historyStatus[word]; q.status == nil {
			return newProblem("malformed", "", wire.Mistake{Pointer: "status", Problem: "is no status of a record", Value: texts.Shorten(word), Allowed: "running, completed"})
		}
	}
	q.component = c.query.Get("component")
	out := wire.List[wire.History]{Items: []wire.History{}, Limit: q.limit, Offset: q.offset}
	collect := func(p *ota.Plan) error { return c.collect(p, &q, &out) }
	if q.plan = c.query.Get("planId"); q.plan != "" {
		p, err := c.plan(q.plan, ActionRead)
		if err == nil {
			err = collect(&p)
		}
		if err != nil {
			return err
		}
		return c.json(out)
	}
	if err := c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: ActionList}); err != nil {
		return err
	}
	if err := c.eachPlan(c.r.Context(), ota.PlanQuery{}, collect); err != nil {
		return err
	}
	return c.json(out)
}

// collect adds what a plan has of the page, and its number of records to the total.
func (c *call) collect(p *ota.Plan, q *historyQuery, out *wire.List[wire.History]) error {
	if q.component != "" && q.component != componentName && !slices.Contains(p.Components, q.component) {
		return nil
	}
	counted := q.component == "" || len(p.Components) == 0 // the counters know how many records there are
	before := out.Total
	if counted {
		for _, s := range q.status {
			out.Total += p.Tasks.Of(s)
		}
		if out.Total <= q.offset || len(out.Items) == q.limit {
			return nil
		}
	} else if err := c.bounded(p, q); err != nil {
		return err
	}
	rows := ota.AgentQuery{Limit: page}
	if p.Tasks.Total() == p.Agents {
		rows.Status = q.status // a task of another status would be an agent of another
	}
	at := before // how many records are before the next one
	for {
		found, err := c.h.engine.Agents(c.r.Context(), p.ID, rows)
		if err != nil {
			return err
		}
		c.wait.Again()
		for i := range found.Items {
			a := &found.Items[i]
			rows.From = a.Ordinal + 1
			for k := range a.Tasks {
				if !q.selects(&a.Tasks[k]) {
					continue
				}
				if at++; at > q.offset && len(out.Items) < q.limit {
					out.Items = append(out.Items, historyOf(p, a, k))
				}
			}
			if counted && len(out.Items) == q.limit {
				return nil
			}
		}
		if !found.More {
			break
		}
	}
	if !counted {
		out.Total = at
	}
	return nil
}

// bounded counts the agents of a plan that are to be read for the sake of a component, and refuses
// what would read too many.
func (c *call) bounded(p *ota.Plan, q *historyQuery) error {
	most := c.h.opt.Limits.Search
	if q.read += p.Agents; q.plan != "" || q.read <= most {
		return nil
	}
	return newProblem("invalid", "", wire.Mistake{
		Pointer: "component", Problem: "is in too many plans", Value: texts.Shorten(q.component),
		Allowed: "with planId; or, without one, plans with at most " + plural.Count(most, "agent") + " together",
	})
}

// selects reports whether a task's record is asked for.
func (q *historyQuery) selects(t *ota.Task) bool {
	return slices.Contains(q.status, t.Status) && (q.component == "" || q.component == nameOf(t.Component))
}

func historyOf(p *ota.Plan, a *ota.AgentInfo, i int) wire.History {
	t := &a.Tasks[i]
	h := wire.History{
		UUID: "hist-" + taskKey{p.ID, a.Ordinal, i}.String(), PlanID: p.ID, PlanName: p.Name, FromVersion: t.From, ToVersion: t.Target,
		FromRelease: t.FromRelease, ToRelease: t.TargetRelease, Component: nameOf(t.Component), AgentID: a.ID, Status: "completed",
		Logs: t.Error, StartedAt: wire.Time{Time: t.StartedAt}, CompletedAt: wire.Time{Time: t.EndedAt},
	}
	switch t.Status {
	case ota.TaskSucceeded:
		h.Result = "success"
	case ota.TaskFailed, ota.TaskUnknown:
		h.Result = "failure"
	case ota.TaskSkipped:
		h.Result = "skipped"
	case ota.TaskCanceled:
		h.Result = "canceled"
	default:
		h.Status = "running"
	}
	return h
}

// historyLogs is GetHistoryLogs. It reads the plan's log, so it costs more than a page of the list.
func historyLogs(c *call) error {
	unknown := newProblem("not_found", "there is no record "+texts.Shorten(c.id))
	digits, ok := strings.CutPrefix(c.id, "hist-")
	if !ok {
		return unknown
	}
	key, ok := parseTaskKey(digits)
	if !ok {
		return unknown
	}
	p, err := c.plan(key.plan, ActionRead)
	if errors.Is(err, ota.ErrNotFound) {
		return unknown
	}
	if err != nil {
		return err
	}
	found, err := c.h.engine.Agents(c.r.Context(), p.ID, ota.AgentQuery{From: key.ordinal, To: key.ordinal + 1})
	if err != nil {
		return err
	}
	if len(found.Items) == 0 || key.task >= len(found.Items[0].Tasks) || found.Items[0].Tasks[key.task].Status == ota.TaskPending {
		return unknown
	}
	h := historyOf(&p, &found.Items[0], key.task)
	h.CreateDate = wire.Time{Time: p.CreatedAt}
	var logs []string
	for rec, err := range c.h.engine.Watch(c.r.Context(), p.ID, 0) {
		if err != nil {
			return err
		}
		c.wait.Again()
		for _, e := range rec.Events {
			if e.Kind == ota.EventStarted {
				h.Operator = e.Actor
			}
			if e.Agent == h.AgentID && e.Task == key.task && e.Text != "" {
				logs = append(logs, e.Text)
			}
		}
		if rec.Revision >= p.Revision {
			break
		}
	}
	if len(logs) > 0 {
		h.Logs = strings.Join(logs, "\n")
	}
	return c.json(h)
}
