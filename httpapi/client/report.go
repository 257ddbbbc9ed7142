package client

import (
	"context"
	"net/http"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// ReportHealth is Engine.ReportHealth.
func (c *Client) ReportHealth(ctx context.Context, id string, reports []ota.HealthReport) error {
	list := make([]wire.HealthReport, len(reports))
	for i, r := range reports {
		list[i] = wire.HealthReport{AgentID: r.Agent, Healthy: r.Healthy, At: r.At, Reason: r.Reason}
	}
	return c.report(ctx, id, "health", list)
}

// ReportOutcomes is Engine.ReportOutcomes. It returns nil once the effects of all reports are
// committed.
func (c *Client) ReportOutcomes(ctx context.Context, id string, reports []ota.OutcomeReport) error {
	list := make([]wire.OutcomeReport, len(reports))
	for i, r := range reports {
		list[i] = outcomeOf(r)
		list[i].AgentID, list[i].Task, list[i].Number = r.Agent, r.Task, r.Number
	}
	return c.report(ctx, id, "reports", list)
}

// ReportOutcome reports how one attempt ended, for an agent that has nothing but the attempt's Key.
// It means the same as an Executor's call that returns res and err.
func (c *Client) ReportOutcome(ctx context.Context, key string, res ota.Result, err error) error {
	plan, _, _, _, bad := ota.ParseKey(key)
	if bad != nil {
		return bad
	}
	r := outcomeOf(ota.ReportOf(ota.Attempt{}, res, err))
	r.Key = key
	return c.report(ctx, plan, "reports", []wire.OutcomeReport{r})
}

// outcomeOf is a report without the name of its attempt.
func outcomeOf(r ota.OutcomeReport) wire.OutcomeReport {
	return wire.OutcomeReport{
		Outcome: r.Reason, Version: r.Version, Unchanged: r.Unchanged, After: wire.Duration(r.After),
		Message: r.Message,
	}
}

func (c *Client) report(ctx context.Context, id, kind string, list any) error {
	var out struct{}
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: "/upgrade-plans/{id}/" + kind, id: id, body: value(list),
	}, &out)
	return err
}
