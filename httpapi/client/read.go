package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

func value(v any) io.Reader {
	b, err := json.Marshal(v)
	if err != nil {
		return failing{err}
	}
	return bytes.NewReader(b)
}

// Plan returns a plan without its batches.
func (c *Client) Plan(ctx context.Context, id string) (wire.Plan, error) {
	return c.plan(ctx, request{method: http.MethodGet, path: planPath(id, ""), query: without("batches")})
}

// Detail returns a plan with its batches, agents and tasks, all of it in memory.
func (c *Client) Detail(ctx context.Context, id string) (wire.Plan, error) {
	return c.plan(ctx, request{method: http.MethodGet, path: planPath(id, "")})
}

// PlanQuery selects plans. The zero value selects the newest 50.
type PlanQuery struct {
	Status []ota.Status      // any of these
	Labels map[string]string // all of these
	Limit  int               // 1 to 500; 0 means 50
	Offset int
}

// Plans returns one page of plans without their batches, newest first.
func (c *Client) Plans(ctx context.Context, q PlanQuery) (wire.List[wire.Plan], error) {
	v := without("batches")
	for _, s := range q.Status {
		v.Add("status", s.String())
	}
	for name, label := range q.Labels {
		v.Add("label", name+"="+label)
	}
	window(v, q.Limit, q.Offset)
	var out wire.List[wire.Plan]
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/upgrade-plans", query: v}, &out)
	return out, err
}

func window(v url.Values, limit, offset int) {
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
	_, err := c.do(ctx, request{method: http.MethodGet, path: planPath(id, "/summary")}, &out)
	return out, err
}

// Explain is Engine.Explain.
func (c *Client) Explain(ctx context.Context, id string) (wire.Explanation, error) {
	var out wire.Explanation
	_, err := c.do(ctx, request{method: http.MethodGet, path: planPath(id, "/explain")}, &out)
	return out, err
}

// Tasks yields a plan's tasks in order, those in one of the statuses if any is given, a page at a time.
func (c *Client) Tasks(ctx context.Context, id string, status ...ota.TaskStatus) iter.Seq2[wire.TaskInfo, error] {
	return func(yield func(wire.TaskInfo, error) bool) {
		v := url.Values{"limit": {strconv.Itoa(protocol.MaxTasks)}}
		for _, s := range status {
			v.Add("status", s.String())
		}
		for {
			var out wire.TaskPage
			if _, err := c.do(ctx, request{method: http.MethodGet, path: planPath(id, "/tasks"), query: v}, &out); err != nil {
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
	PlanID    string
	Component string
	Status    string // "running" or "completed"
	Limit     int    // 1 to 500; 0 means 50
	Offset    int
}

// History returns one page of the history.
func (c *Client) History(ctx context.Context, q HistoryQuery) (wire.List[wire.History], error) {
	v := url.Values{}
	for name, s := range map[string]string{"planId": q.PlanID, "component": q.Component, "status": q.Status} {
		if s != "" {
			v.Set(name, s)
		}
	}
	window(v, q.Limit, q.Offset)
	var out wire.List[wire.History]
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/upgrade-history", query: v}, &out)
	return out, err
}

// HistoryLogs returns one record of the history with all its logs.
func (c *Client) HistoryLogs(ctx context.Context, uuid string) (wire.History, error) {
	var out wire.History
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/upgrade-history/" + url.PathEscape(uuid) + "/logs"}, &out)
	return out, err
}
