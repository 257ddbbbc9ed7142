package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Plan returns a plan without its batches.
func (c *Client) Plan(ctx context.Context, id string) (wire.Plan, error) {
	return c.plan(ctx, request{
		method: http.MethodGet, path: "/upgrade-plans/{id}", id: id, query: withoutBatches(),
	})
}

// Detail returns a plan with its batches, agents and tasks. All of it is held in memory.
func (c *Client) Detail(ctx context.Context, id string) (wire.Plan, error) {
	return c.plan(ctx, request{method: http.MethodGet, path: "/upgrade-plans/{id}", id: id})
}

// PlanQuery selects plans. The zero value selects the newest 50.
type PlanQuery struct {
	Status   []ota.Status      // any of these; none means all
	Coverage []ota.Coverage    // any of these; none means all
	Needs    []ota.Needs       // any of these; none means all
	Reason   []ota.Reason      // what holds the plan: any of these; none means all
	Search   string            // part of the name, or how the ID begins
	Labels   map[string]string // all of these
	// CreatedAfter and CreatedBefore select plans by their time of creation: at the first or later,
	// and before the second. Zero means no limit.
	CreatedAfter, CreatedBefore time.Time

	Sort   ota.Sort // zero means newest first
	Limit  int      // 1 to 500; 0 means 50
	Offset int      // how many are skipped
}

// Plans returns one page of plans without their batches, in the order of q.Sort.
func (c *Client) Plans(ctx context.Context, q PlanQuery) (wire.List[wire.Plan], error) {
	v := withoutBatches()
	for _, s := range q.Status {
		v.Add("status", s.String())
	}
	for _, c := range q.Coverage {
		v.Add("coverage", c.String())
	}
	for _, n := range q.Needs {
		v.Add("needs", n.String())
	}
	for _, r := range q.Reason {
		v.Add("reason", r.String())
	}
	if q.Search != "" {
		v.Set("q", q.Search)
	}
	for name, label := range q.Labels {
		v.Add("label", name+"="+label)
	}
	for name, t := range map[string]time.Time{"createdAfter": q.CreatedAfter, "createdBefore": q.CreatedBefore} {
		if !t.IsZero() {
			v.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Sort != ota.SortNewest {
		if int(q.Sort) >= len(protocol.Sorts) {
			return wire.List[wire.Plan]{}, fmt.Errorf("client: there is no order %d of plans", q.Sort)
		}
		v.Set("sort", protocol.Sorts[q.Sort])
	}
	setPage(v, q.Limit, q.Offset)
	var out wire.List[wire.Plan]
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/upgrade-plans", query: v}, &out)
	return out, err
}

func setPage(v url.Values, limit, offset int) {
	if limit != 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	if offset != 0 {
		v.Set("offset", strconv.Itoa(offset))
	}
}

// Summary returns the counts of a plan's agents.
func (c *Client) Summary(ctx context.Context, id string) (wire.Summary, error) {
	var out wire.Summary
	_, err := c.do(ctx, request{
		method: http.MethodGet, path: "/upgrade-plans/{id}/summary", id: id,
	}, &out)
	return out, err
}

// Explain is Engine.Explain.
func (c *Client) Explain(ctx context.Context, id string) (wire.Explanation, error) {
	var out wire.Explanation
	_, err := c.do(ctx, request{
		method: http.MethodGet, path: "/upgrade-plans/{id}/explain", id: id,
	}, &out)
	return out, err
}

// Tasks yields a plan's tasks in order, a page at a time. With statuses, it yields the tasks that
// are in one of them. An error is the last thing that it yields.
func (c *Client) Tasks(
	ctx context.Context, id string, status ...ota.TaskStatus,
) iter.Seq2[wire.TaskInfo, error] {
	return func(yield func(wire.TaskInfo, error) bool) {
		v := url.Values{"limit": {strconv.Itoa(protocol.MaxTasks)}}
		for _, s := range status {
			v.Add("status", s.String())
		}
		for {
			var out wire.TaskPage
			_, err := c.do(ctx, request{
				method: http.MethodGet, path: "/upgrade-plans/{id}/tasks", id: id, query: v,
			}, &out)
			if err != nil {
				yield(wire.TaskInfo{}, err)
				return
			}
			for _, t := range out.Items {
				if !yield(t, nil) {
					return
				}
			}
			if out.Next == "" {
				return
			}
			v.Set("cursor", out.Next)
		}
	}
}

// HistoryQuery selects records of the history. The zero value selects the first 50 of all plans.
type HistoryQuery struct {
	PlanID    string // empty means all plans
	Component string // a component's name; empty means all
	Status    string // "running" or "completed"; empty means both
	Limit     int    // 1 to 500; 0 means 50
	Offset    int    // how many are skipped
}

// History returns one page of the history.
func (c *Client) History(ctx context.Context, q HistoryQuery) (wire.List[wire.History], error) {
	v := url.Values{}
	for name, s := range map[string]string{
		"planId": q.PlanID, "component": q.Component, "status": q.Status,
	} {
		if s != "" {
			v.Set(name, s)
		}
	}
	setPage(v, q.Limit, q.Offset)
	var out wire.List[wire.History]
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/upgrade-history", query: v}, &out)
	return out, err
}

// HistoryLogs returns one record of the history with all its logs.
func (c *Client) HistoryLogs(ctx context.Context, uuid string) (wire.History, error) {
	var out wire.History
	_, err := c.do(ctx, request{
		method: http.MethodGet, path: "/upgrade-history/{id}/logs", id: uuid,
	}, &out)
	return out, err
}
