package avi

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// What one object tells at most: of the batches the newest, of what happened to the node before the
// newest too.
const (
	maxEvents  = 1000
	maxHistory = 20
)

// events are the batches that were begun.
func (l *look) events() (any, error) {
	out := []any{}
	for b, err := range l.c.h.engine.Batches(l.ctx(), l.plan.ID, max(0, l.plan.Batch+1-maxEvents)) {
		if err != nil {
			return nil, err
		}
		if b.StartedAt.IsZero() || len(out) == maxEvents {
			break
		}
		end := cmp.Or(b.CompletedAt, b.FinishedAt)
		sub := map[string]any{
			"start_time": timeText(b.StartedAt), "duration": l.seconds(b.StartedAt, end), "status": b.Counts.Bad() == 0,
			"message": fmt.Sprintf("%d of %d ended, %d failed", ended(b.Counts), b.Size, b.Counts.Bad()), "sub_tasks": []any{},
		}
		if !end.IsZero() {
			sub["end_time"] = timeText(end)
		}
		out = append(out, map[string]any{
			"task_name": fmt.Sprintf("Batch %d of %d", b.Index+1, l.plan.Batches), "sub_events": []any{sub},
		})
	}
	return out, nil
}

// failures are the agents that failed, and why.
func (l *look) failures() (any, error) {
	out := []any{}
	if l.plan.Counts.Bad() == 0 {
		return out, nil
	}
	err := l.agents([]ota.TaskStatus{ota.TaskFailed, ota.TaskUnknown}, func(a *ota.AgentInfo) bool {
		i := max(0, slices.IndexFunc(a.Tasks, func(t ota.Task) bool { return t.Status == ota.TaskFailed || t.Status == ota.TaskUnknown }))
		t, name := a.Tasks[i], "agent"
		if i > 0 {
			name += "-" + strconv.Itoa(i)
		}
		out = append(out, map[string]any{
			"se_ref": agentRef(a.ID), "task": name, "reason": []any{cmp.Or(t.Error, t.Reason.Sentence())}, "traffic_status": notDisrupted,
		})
		return len(out) < maxRefs
	})
	return out, err
}

// history are the plans of the same node that have ended; without a node the plan's own rollback
// plan.
func (l *look) history() (any, error) {
	q := ota.PlanQuery{Status: []ota.Status{ota.StatusCompleted, ota.StatusCanceled, ota.StatusRolledBack}, Limit: maxHistory}
	if node := l.plan.Labels["node"]; node != "" {
		q.Labels = map[string]string{"node": node}
	} else {
		q.Source = l.plan.ID
	}
	out := []any{}
	err := l.c.eachPlan(q, func(p *ota.Plan) (bool, error) {
		out = append(out, l.c.look(p).past())
		return len(out) < maxHistory, nil
	})
	slices.Reverse(out)
	return out, err
}

// past is a plan as an entry of a history.
func (l *look) past() map[string]any {
	p := l.plan
	word, _ := l.fsm() // an ended plan need not be asked about
	e := map[string]any{
		"ops": opsOf(p), "state": stateOf(word, "", endOf(p)), "end_time": timeText(endOf(p)),
		"duration": l.seconds(p.StartedAt, endOf(p)), "version": versionOf(p), "seg_status": l.segSummary(),
	}
	if !p.StartedAt.IsZero() {
		e["start_time"] = timeText(p.StartedAt)
	}
	if v, ok := l.kept["patch_version"]; ok {
		e["patch_version"] = v
	}
	return e
}

// eachPlan calls f for every plan that matches and may be read, newest first, until it returns
// false.
func (c *call) eachPlan(q ota.PlanQuery, f func(*ota.Plan) (more bool, err error)) error {
	for {
		page, err := c.h.engine.Plans(c.r.Context(), q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			p := &page.Items[i]
			if err := c.allow(httpapi.ActionRead, p); err != nil {
				if isHidden(err) {
					continue
				}
				return err
			}
			if more, err := f(p); err != nil || !more {
				return err
			}
		}
		if q.Offset += len(page.Items); !page.More || len(page.Items) == 0 {
			return nil
		}
	}
}
