package avi

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/seed-19b57ce3/ota"
)

// Of the agents in one list at most maxRefs are named, found among at most maxRows rows.
const (
	maxRefs = 1000
	maxRows = 10_000
)

func (l *look) segStatus() (any, error) {
	p := l.plan
	s := l.segSummary()
	batch, err := l.batch(p.Batch)
	if err != nil {
		return nil, err
	}
	n := p.Counts
	s["notes"] = []any{
		fmt.Sprintf("tolerates %d of %d in batch %d", batch.Tolerated, batch.Size, batch.Index+1),
		fmt.Sprintf("%d succeeded, of them %d already upgraded at start; %d failed, %d skipped, %d canceled, %d in progress, %d not started",
			n.Succeeded, n.AtTarget, n.Bad(), n.Skipped, n.Canceled, n.Running+n.Waiting, n.Pending),
	}
	for _, name := range []string{
		"disrupted_vs_ref", "vs_errors", "vs_migrate_in_progress_ref", "vs_scalein_in_progress_ref", "vs_scaleout_in_progress_ref",
	} {
		s[name] = []any{}
	}
	return s, l.refs(s)
}

// segSummary is seg_status without its lists.
func (l *look) segSummary() map[string]any {
	p := l.plan
	s := map[string]any{
		"se_group_uuid": p.ID, "se_group_name": nameOf(p), "controller_version": versionOf(p), "state": segState(p),
		"in_progress": p.Status.Active() && p.Status != ota.StatusPaused, "progress": progressOf(p),
		"num_se": p.Agents, "num_se_with_no_vs": 0, "num_se_with_vs_not_scaledout": 0, "num_se_with_vs_scaledout": 0, "num_vs": 0,
		"num_vs_disrupted": 0, "request_time": timeText(p.CreatedAt), "enqueue_time": timeText(p.CreatedAt),
		"reason": []any{}, "traffic_status": notDisrupted,
	}
	if !p.StartedAt.IsZero() {
		s["start_time"] = timeText(p.StartedAt)
		s["duration"] = strconv.Itoa(l.seconds(p.StartedAt, endOf(p)))
	}
	if end := endOf(p); !end.IsZero() {
		s["end_time"] = timeText(end)
	}
	return s
}

const notDisrupted = "TRAFFIC_NOT_DISRUPTED"

// refs adds the lists of agents.
func (l *look) refs(s map[string]any) error {
	lists := map[string][]any{}
	put := func(list string, a *ota.AgentInfo) bool {
		if len(lists[list]) < maxRefs {
			lists[list] = append(lists[list], agentRef(a.ID))
		}
		return len(lists[list]) < maxRefs
	}
	n := l.plan.Counts
	for _, of := range []struct {
		list     string
		size     int
		statuses []ota.TaskStatus
	}{
		{"se_upgrade_not_started", n.Pending, []ota.TaskStatus{ota.TaskPending}},
		{"se_upgrade_in_progress", n.Running + n.Waiting, []ota.TaskStatus{ota.TaskRunning, ota.TaskWaiting}},
		{"se_upgrade_failed", n.Bad(), []ota.TaskStatus{ota.TaskFailed, ota.TaskUnknown}},
		{"se_upgrade_completed", n.Succeeded - n.AtTarget, []ota.TaskStatus{ota.TaskSucceeded}},
		{"se_already_upgraded_at_start", n.AtTarget, []ota.TaskStatus{ota.TaskSucceeded}},
	} {
		lists[of.list] = []any{}
		if of.size == 0 {
			continue
		}
		atTarget := of.list == "se_already_upgraded_at_start"
		err := l.agents(of.statuses, func(a *ota.AgentInfo) bool {
			return a.AtTarget != atTarget || put(of.list, a)
		})
		if err != nil {
			return err
		}
	}
	lists["se_disconnected_at_start"] = []any{}
	if n.Failed+n.Skipped+n.Waiting > 0 {
		err := l.agents([]ota.TaskStatus{ota.TaskFailed, ota.TaskSkipped, ota.TaskWaiting}, func(a *ota.AgentInfo) bool {
			return !unreachable(a) || put("se_disconnected_at_start", a)
		})
		if err != nil {
			return err
		}
	}
	if err := l.suspendedRefs(lists); err != nil {
		return err
	}
	for name, refs := range lists {
		s[name] = refs
	}
	return nil
}

// suspendedRefs adds the failed agents that a decision is needed about, and those that were
// accepted at a resume.
func (l *look) suspendedRefs(lists map[string][]any) error {
	suspend, skip := []any{}, []any{}
	failed, err := l.failed()
	if err != nil {
		return err
	}
	accepted, err := l.accepted(failed)
	if err != nil {
		return err
	}
	stopped := suspended(l.plan)
	for i := range failed {
		switch {
		case accepted[failed[i].Ordinal]:
			skip = append(skip, agentRef(failed[i].ID))
		case stopped:
			suspend = append(suspend, agentRef(failed[i].ID))
		}
	}
	lists["se_upgrade_suspended"], lists["se_upgrade_skip_suspended"] = suspend[:min(len(suspend), maxRefs)], skip[:min(len(skip), maxRefs)]
	return nil
}

// failed are the agents that failed, in the plan's order.
func (l *look) failed() (failed []ota.AgentInfo, err error) {
	if l.plan.Counts.Bad() == 0 {
		return nil, nil
	}
	err = l.agents([]ota.TaskStatus{ota.TaskFailed, ota.TaskUnknown}, func(a *ota.AgentInfo) bool {
		failed = append(failed, *a)
		return true
	})
	return failed, err
}

// accepted are the ordinals of the failed agents that were accepted. The Engine knows how many
// there are in a batch: they are those that failed first.
func (l *look) accepted(failed []ota.AgentInfo) (map[int]bool, error) {
	failed = slices.Clone(failed)
	slices.SortStableFunc(failed, func(x, y ota.AgentInfo) int {
		return cmp.Or(cmp.Compare(x.Batch, y.Batch), x.Tasks[0].EndedAt.Compare(y.Tasks[0].EndedAt))
	})
	out := map[int]bool{}
	left := 0
	for i := range failed {
		if i == 0 || failed[i].Batch != failed[i-1].Batch {
			b, err := l.batch(failed[i].Batch)
			if err != nil {
				return nil, err
			}
			left = b.Accepted
		}
		out[failed[i].Ordinal] = left > 0
		left--
	}
	return out, nil
}

// agents calls f for the agents in these statuses, in the plan's order, until it returns false or
// maxRows were seen.
func (l *look) agents(statuses []ota.TaskStatus, f func(*ota.AgentInfo) bool) error {
	q := ota.AgentQuery{Status: statuses, Limit: maxRefs}
	for seen := 0; seen < maxRows; {
		page, err := l.c.h.engine.Agents(l.ctx(), l.plan.ID, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if !f(&page.Items[i]) {
				return nil
			}
		}
		if !page.More || len(page.Items) == 0 {
			return nil
		}
		seen += len(page.Items)
		q.From = page.Items[len(page.Items)-1].Ordinal + 1
	}
	return nil
}

// batch is one batch of the plan.
func (l *look) batch(index int) (ota.Batch, error) {
	for b, err := range l.c.h.engine.Batches(l.ctx(), l.plan.ID, index) {
		return b, err
	}
	return ota.Batch{}, nil
}

func unreachable(a *ota.AgentInfo) bool {
	return slices.ContainsFunc(a.Tasks, func(t ota.Task) bool { return t.Reason == ota.ReasonUnreachable })
}

func agentRef(id string) string { return "/api/serviceengine/" + url.PathEscape(id) }
