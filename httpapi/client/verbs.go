package client

import (
	"context"
	"maps"
	"net/http"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Start is Engine.Start.
func (c *Client) Start(ctx context.Context, id string, by ota.Request) (wire.Plan, error) {
	return c.verb(ctx, id, "start", by, nil)
}

// Pause is Engine.Pause.
func (c *Client) Pause(ctx context.Context, id string, by ota.Request) (wire.Plan, error) {
	return c.verb(ctx, id, "pause", by, nil)
}

// Decision answers a breach. The zero value is none. See ota.Accept, ota.Raise and ota.RetryFailed.
type Decision struct {
	Word             string  // "accept", "retry" or "raise"
	Failed           int     // with accept: the number of failed agents that the caller saw
	FailureThreshold float64 // with raise: the new one, 0 to 1
}

// Resume is Engine.Resume. A breach that needs a decision is an *ota.BreachError.
func (c *Client) Resume(
	ctx context.Context, id string, d Decision, by ota.Request,
) (wire.Plan, error) {
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
	return c.verb(ctx, id, "resume", by, body)
}

// Cancel is Engine.Cancel. With interrupt, it interrupts calls in flight; else they may finish.
func (c *Client) Cancel(
	ctx context.Context, id string, interrupt bool, by ota.Request,
) (wire.Plan, error) {
	mode := "drain"
	if interrupt {
		mode = "interrupt"
	}
	return c.verb(ctx, id, "cancel", by, map[string]any{"mode": mode})
}

// Promote is Engine.Promote. A negative batch means the next one that has not started.
func (c *Client) Promote(ctx context.Context, id string, batch int, by ota.Request) (wire.Plan, error) {
	if batch < 0 {
		return c.verb(ctx, id, "promote", by, nil)
	}
	return c.verb(ctx, id, "promote", by, map[string]any{"batchIndex": batch})
}

// Skip is Engine.Skip.
func (c *Client) Skip(
	ctx context.Context, id string, agents []string, by ota.Request,
) (wire.Plan, error) {
	return c.verb(ctx, id, "skip", by, map[string]any{"agentIds": append([]string{}, agents...)})
}

// Now is Engine.Now.
func (c *Client) Now(
	ctx context.Context, id string, agents []string, by ota.Request,
) (wire.Plan, error) {
	return c.verb(ctx, id, "now", by, map[string]any{"agentIds": append([]string{}, agents...)})
}

// GiveUp is Engine.GiveUp.
func (c *Client) GiveUp(
	ctx context.Context, id string, agents []string, by ota.Request,
) (wire.Plan, error) {
	return c.verb(ctx, id, "give-up", by, map[string]any{"agentIds": append([]string{}, agents...)})
}

// Retry is Engine.Retry. No agents mean all that failed.
func (c *Client) Retry(
	ctx context.Context, id string, agents []string, by ota.Request,
) (wire.Plan, error) {
	if len(agents) == 0 {
		return c.verb(ctx, id, "retry", by, nil)
	}
	return c.verb(ctx, id, "retry", by, map[string]any{"agentIds": agents})
}

// Edit changes a plan's policy by a JSON merge patch: for example {"concurrency": 3, "retry": nil},
// where nil means the default. The plan comes back without its batches.
func (c *Client) Edit(
	ctx context.Context, id string, patch map[string]any, by ota.Request,
) (wire.Plan, error) {
	return c.plan(ctx, request{
		method: http.MethodPatch, path: "/upgrade-plans/{id}", id: id,
		query: withoutBatches(), by: by, body: withReason(by, patch),
	})
}

// CreateRollback is Engine.CreateRollback. The API requires observeDuration. more has further
// members of the request, by the names of the API, and may be nil. The plan comes back without its
// batches.
func (c *Client) CreateRollback(
	ctx context.Context, source, observeDuration string, more map[string]any, by ota.Request,
) (wire.RollbackAnswer, error) {
	var out wire.RollbackAnswer
	if err := checkID("source", source); err != nil {
		return out, err
	}
	body := map[string]any{"sourcePlanUuid": source, "observeDuration": observeDuration}
	maps.Copy(body, more)
	h, err := c.do(ctx, request{
		method: http.MethodPost, path: "/plans/rollback", query: withoutBatches(), by: by,
		body: withReason(by, body),
	}, &out)
	out.Plan.ETag = h.Get("ETag")
	return out, err
}

// Downgrade makes a plan that brings components to older versions. agents may be empty where the
// server has an Inventory. more has further members of the request, as for CreateRollback; the API
// requires batchSize and observeDuration.
func (c *Client) Downgrade(
	ctx context.Context, name string, components []wire.DowngradeComponent, agents []string,
	more map[string]any,
) (wire.Plan, error) {
	body := map[string]any{"name": name, "components": components}
	if len(agents) > 0 {
		body["agentIds"] = agents
	}
	maps.Copy(body, more)
	return c.plan(ctx, request{
		method: http.MethodPost, path: "/plans/downgrade", query: withoutBatches(), body: value(body),
	})
}

// Rollback is Engine.Rollback. It returns the rollback plan. more is as for CreateRollback.
func (c *Client) Rollback(
	ctx context.Context, id string, more map[string]any, by ota.Request,
) (wire.Plan, error) {
	return c.verb(ctx, id, "rollback", by, more)
}

// Precheck is Engine.Precheck. It asks every agent that has not started, and returns when all have
// answered. item names the one check that is wanted; empty means all. The API takes no reason.
func (c *Client) Precheck(
	ctx context.Context, id, item string, by ota.Request,
) (wire.Precheck, error) {
	body := map[string]any{}
	if item != "" {
		body["item"] = item
	}
	var out wire.Precheck
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: "/upgrade-plans/{id}/precheck", id: id, by: by,
		body: value(body),
	}, &out)
	return out, err
}
