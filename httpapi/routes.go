package httpapi

import (
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
)

// Route is one operation of the API.
type Route struct {
	Method    string // for example "POST"
	Pattern   string // with the prefix, in the syntax of http.ServeMux
	Operation string // its operationId in openapi.json
	Action    Action // what the authorizer is asked for
}

type route struct {
	Route
	serve  func(*call) error
	query  []string // names of the parameters it knows
	undone string   // what has not happened if the Store does not answer; empty if the route only reads
	parts  []string // of the pattern without the prefix
	wild   int      // which part is the ID; -1: none
	param  string   // the ID's name
}

// Routes yields every operation that h serves.
func (h *Handler) Routes() iter.Seq[Route] {
	return func(yield func(Route) bool) {
		for _, r := range h.routes {
			if !yield(r.Route) {
				return
			}
		}
	}
}

func (h *Handler) table() []route {
	const (
		plans = protocol.Base + "/upgrade-plans"
		plan  = plans + "/{planId}"
		hist  = protocol.Base + "/upgrade-history"
	)
	shown := []string{"tasks", "batches"}
	table := []route{
		{Route{http.MethodPost, plans, "CreateGraduatedPlan", ActionCreate}, createPlan, shown, "the plan is not made", nil, 0, ""},
		{Route{http.MethodGet, plans, "ListGraduatedPlans", ActionList}, listPlans, append([]string{"status", "coverage", "needs", "reason", "q", "label", "createdAfter", "createdBefore", "sort", "limit", "offset"}, shown...), "", nil, 0, ""},
		{Route{http.MethodGet, plan, "GetGraduatedPlan", ActionRead}, getPlan, shown, "", nil, 0, ""},
		{Route{http.MethodPatch, plan, "EditPlan", VerbAction(ota.VerbEdit)}, editPlan, shown, "the plan is not changed", nil, 0, ""},
		{Route{http.MethodGet, plan + "/summary", "GetPlanSummary", ActionRead}, getSummary, nil, "", nil, 0, ""},
		{Route{http.MethodGet, plan + "/explain", "ExplainPlan", ActionRead}, explainPlan, nil, "", nil, 0, ""},
		{Route{http.MethodGet, plan + "/tasks", "ListTasks", ActionRead}, listTasks, []string{"status", "batch", "agentId", "limit", "cursor"}, "", nil, 0, ""},
		{Route{http.MethodGet, plan + "/events", "WatchPlan", ActionRead}, watchPlan, []string{"after"}, "", nil, 0, ""},
		{Route{http.MethodPost, plan + "/health", "ReportHealth", ActionReport}, reportHealth, nil, "the reports are not accepted", nil, 0, ""},
		{Route{http.MethodPost, plan + "/precheck", "Precheck", VerbAction(ota.VerbAnnotate)}, precheckPlan, nil, "the result of the precheck is not stored", nil, 0, ""},
		{Route{http.MethodPost, plan + "/reports", "ReportOutcomes", ActionReport}, reportOutcomes, nil, "the reports are not accepted", nil, 0, ""},
		{Route{http.MethodPost, protocol.Base + "/plans/preview", "PreviewPlan", ActionCreate}, previewPlan, []string{"callDuration"}, "", nil, 0, ""},
		{Route{http.MethodPost, protocol.Base + "/plans/downgrade", "CreateDowngradePlan", ActionCreate}, createDowngrade, shown, "the plan is not made", nil, 0, ""},
		{Route{http.MethodPost, protocol.Base + "/plans/rollback", "CreateRollbackPlan", VerbAction(ota.VerbCreateRollback)}, createRollback, shown, "the rollback plan is not made", nil, 0, ""},
		{Route{http.MethodPost, plan + "/rollback", "RollbackPlan", VerbAction(ota.VerbRollback)}, rollbackPlan, shown, "the plan is not rolled back", nil, 0, ""},
		{Route{http.MethodGet, hist, "ListHistory", ActionList}, listHistory, []string{"planId", "component", "status", "limit", "offset"}, "", nil, 0, ""},
		{Route{http.MethodGet, hist + "/{historyId}/logs", "GetHistoryLogs", ActionRead}, historyLogs, nil, "", nil, 0, ""},
		{Route{http.MethodGet, protocol.Base + "/openapi.json", "GetOpenAPI", ActionDescribe}, getOpenAPI, nil, "", nil, 0, ""},
	}
	for _, v := range verbs {
		table = append(table, route{
			Route{http.MethodPost, plan + "/" + v.path, v.operation, VerbAction(v.verb)}, v.serve, shown, v.undone, nil, 0, "",
		})
	}
	for i := range table {
		r := &table[i]
		r.parts = strings.Split(r.Pattern, "/")
		r.wild = slices.IndexFunc(r.parts, func(s string) bool { return strings.HasPrefix(s, "{") })
		if r.wild >= 0 {
			r.param = strings.Trim(r.parts[r.wild], "{}")
		}
		r.Pattern = h.opt.Prefix + r.Pattern
	}
	return table
}
