package client

import (
	"context"
	"maps"
	"net/http"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Start is Engine.Start.
func (c *Client) Start(ctx context.Context, id string, by ota.By) (wire.Plan, error) {
	return c.say(ctx, id, "start", by, nil)
}

// Pause is Engine.Pause.
func (c *Client) Pause(ctx context.Context, id string, by ota.By) (wire.Plan, error) {
	return c.say(ctx, id, "pause", by, nil)
}

// Decision answers a breach; the zero value is none. See ota.Accept, ota.Raise and ota.RetryFailed.
type Decision struct {
	Word             string  // "accept", "retry" or "raise"
	Failed           int     // with accept: the count that was seen
	FailureThreshold float64 // with raise: the new one, 0 to 1
}

// Resume is Engine.Resume. Over a breach that needs a decision it returns a *Problem in which errors.As finds an *ota.BreachError.
func (c *Client) Resume(ctx context.Context, id string, d Decision, by ota.By) (wire.Plan, error) {
	body := map[string]any{}
	switch d.Word {
	case "":
	case "accept":
		body["failed"] = d.Failed
	case "raise":
		body["failureThreshold"] = d.FailureThreshold
	}
	if d.Word != "" {
		body["decision"] = d.Word
	}
	return c.say(ctx, id, "resume", by, body)
}

// Cancel is Engine.Cancel: calls in flight are interrupted, or may end.
func (c *Client) Cancel(ctx context.Context, id string, interrupt bool, by ota.By) (wire.Plan, error) {
	mode := "drain"
	if interrupt {
		mode = "interrupt"
	}
	return c.say(ctx, id, "cancel", by, map[string]any{"mode": mode})
}

// Promote is Engine.Promote. A negative batch means the next one that was not begun.
func (c *Client) Promote(ctx context.Context, id string, batch int, by ota.By) (wire.Plan, error) {
	if batch < 0 {
		return c.say(ctx, id, "promote", by, nil)
	}
	return c.say(ctx, id, "promote", by, map[string]any{"batchIndex": batch})
}

// Skip is Engine.Skip.
func (c *Client) Skip(ctx context.Context, id string, agents []string, by ota.By) (wire.Plan, error) {
	return c.say(ctx, id, "skip", by, map[string]any{"agentIds": append([]string{}, agents...)})
}

// Retry is Engine.Retry. No agents mean all that failed.
func (c *Client) Retry(ctx context.Context, id string, agents []string, by ota.By) (wire.Plan, error) {
	if len(agents) == 0 {
		return c.say(ctx, id, "retry", by, nil)
	}
	return c.say(ctx, id, "retry", by, map[string]any{"agentIds": agents})
}

// Edit changes a plan's policy by a JSON merge patch: for example {"concurrency": 3, "retry": nil}, where nil is the
// default.
func (c *Client) Edit(ctx context.Context, id string, patch map[string]any, by ota.By) (wire.Plan, error) {
	return c.plan(ctx, request{
		method: http.MethodPatch, path: planPath(id, ""), query: without("batches"), by: by, body: object(by, patch),
	})
}

// CreateRollback is Engine.CreateRollback. observeDuration is required by the API; more is what else the rollback plan
// is to have, by the names of the wire, and may be nil. The plan comes back without its batches.
func (c *Client) CreateRollback(ctx context.Context, source, observeDuration string, more map[string]any, by ota.By) (wire.RollbackAnswer, error) {
	body := map[string]any{"sourcePlanUuid": source, "observeDuration": observeDuration}
	maps.Copy(body, more)
	var out wire.RollbackAnswer
	h, err := c.do(ctx, request{
		method: http.MethodPost, path: "/plans/rollback", query: without("batches"), by: by, body: object(by, body),
	}, &out)
	out.Plan.ETag = h.Get("ETag")
	return out, err
}

// Downgrade makes a plan that brings components to the versions named; agents may be empty where the server has an
// Inventory. more are further members of the request, as for CreateRollback; a batchSize and an observeDuration are required.
func (c *Client) Downgrade(ctx context.Context, name string, components []wire.DowngradeComponent, agents []string, more map[string]any) (wire.Plan, error) {
	body := map[string]any{"name": name, "components": components}
	if len(agents) > 0 {
		body["agentIds"] = agents
	}
	maps.Copy(body, more)
	return c.plan(ctx, request{method: http.MethodPost, path: "/plans/downgrade", query: without("batches"), body: value(body)})
}

// Rollback is Engine.Rollback: the plan that is returned is the rollback plan. more is as for CreateRollback.
func (c *Client) Rollback(ctx context.Context, id string, more map[string]any, by ota.By) (wire.Plan, error) {
	return c.say(ctx, id, "rollback", by, more)
}

// ReportHealth is Engine.ReportHealth.
func (c *Client) ReportHealth(ctx context.Context, id string, reports []ota.HealthReport) error {
	list := make([]wire.HealthReport, len(reports))
	for i, r := range reports {
		list[i] = wire.HealthReport{AgentID: r.Agent, Healthy: r.Healthy, At: r.At, Reason: r.Reason}
	}
	var out struct{}
	_, err := c.do(ctx, request{method: http.MethodPost, path: planPath(id, "/health"), body: value(list)}, &out)
	return err
}

// ReportOutcomes is Engine.ReportOutcomes: it returns nil once what follows from all reports is committed.
func (c *Client) ReportOutcomes(ctx context.Context, id string, reports []ota.OutcomeReport) error {
	list := make([]wire.OutcomeReport, len(reports))
	for i, r := range reports {
		list[i] = outcomeOf(r)
		list[i].AgentID, list[i].Task, list[i].Number = r.Agent, r.Task, r.Number
	}
	return c.report(ctx, id, list)
}

// ReportOutcome is ReportOutcomes of one attempt, for an agent that was given nothing but the attempt's Key: it says what a
// call of the Executor that returns res and err would say.
func (c *Client) ReportOutcome(ctx context.Context, key string, res ota.Result, err error) error {
	plan, _, _, _, bad := ota.ParseKey(key)
	if bad != nil {
		return bad
	}
	r := outcomeOf(ota.ReportOf(ota.Attempt{}, res, err))
	r.Key = key
	return c.report(ctx, plan, []wire.OutcomeReport{r})
}

// outcomeOf is a report on the wire, but for which attempt it is about.
func outcomeOf(r ota.OutcomeReport) wire.OutcomeReport {
	return wire.OutcomeReport{Outcome: r.Reason, Version: r.Version, Unchanged: r.Unchanged, After: wire.Duration(r.After), Message: r.Message}
}

func (c *Client) report(ctx context.Context, id string, list []wire.OutcomeReport) error {
	var out struct{}
	_, err := c.do(ctx, request{method: http.MethodPost, path: planPath(id, "/reports"), body: value(list)}, &out)
	return err
}

// Precheck is Engine.Precheck: it asks about every agent that was not started, and returns when all have answered. item names
// the one check that is wanted; empty means all.
func (c *Client) Precheck(ctx context.Context, id, item string, by ota.By) (wire.Precheck, error) {
	body := map[string]any{}
	if item != "" {
		body["item"] = item
	}
	by.Reason = "" // a question needs none
	var out wire.Precheck
	_, err := c.do(ctx, request{method: http.MethodPost, path: planPath(id, "/precheck"), by: by, body: object(by, body)}, &out)
	return out, err
}
