package httpapi

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// newProblem is a refusal that the handler itself makes.
func newProblem(code, detail string, mistakes ...wire.Mistake) *wire.Problem {
	r := protocol.RefusalCalled(code)
	return &wire.Problem{
		Type: "urn:ota:problem:" + code, Title: r.Title, Status: r.Status, Code: code, Detail: detail, Errors: mistakes,
	}
}

// problemOf is the problem that stands for an error of the Engine, of Auth or of the handler.
func problemOf(err error) *wire.Problem {
	var made *wire.Problem
	if errors.As(err, &made) {
		return made
	}
	r := protocol.RefusalOf(err)
	p := newProblem(r.Code, "")
	if slices.Contains([]error{ota.ErrNotFound, ota.ErrState, ota.ErrBreach, ota.ErrClaimed, ota.ErrNothing, ota.ErrConflict, ota.ErrExists, ota.ErrInvalid}, r.Err) {
		p.Detail = texts.Plain(err)
	}
	var state *ota.StateError
	if errors.As(err, &state) {
		p.PlanID, p.State, p.Verb, p.Legal, p.Hint = state.Plan, &state.Have, &state.Verb, state.Legal, state.Hint
	}
	var breach *ota.BreachError
	if errors.As(err, &breach) {
		p.PlanID, p.Breach, p.Failed = breach.Plan, &breach.Breach, &breach.Failed
		p.Detail = fmt.Sprintf("plan %s: %s; %s failed so far", breach.Plan, breach.Breach, plural.Count(breach.Failed, "agent"))
		p.Hint = decisions(breach)
	}
	var claim *ota.ClaimError
	if errors.As(err, &claim) {
		p.PlanID, p.TotalConflicts = claim.Plan, claim.Total
		for _, c := range claim.Conflicts {
			p.Conflicts = append(p.Conflicts, wire.Conflict{AgentID: c.Agent, PlanID: c.Plan, Engine: c.Engine})
		}
	}
	var twice *ota.DuplicateError
	if errors.As(err, &twice) {
		p.Errors = []wire.Mistake{{Pointer: "/agentIds", Problem: "has an agent twice", Value: twice.Agent}}
	}
	if fields := ota.FieldErrors(err); len(fields) > 0 {
		p.Detail = fmt.Sprintf("%d values were refused", len(fields))
		for _, f := range fields {
			p.Errors = append(p.Errors, wire.Mistake{Pointer: pointerOf(f.Field), Problem: f.Problem, Value: f.Value, Allowed: f.Allowed})
		}
	}
	return p
}

// decisions are the bodies with which a plan can be resumed over a breach.
func decisions(e *ota.BreachError) string {
	accept := fmt.Sprintf(`resume with {"decision":"accept","failed":%d}`, e.Failed)
	switch e.Breach.Reason {
	case ota.ReasonPlanTimeout:
		return accept + `, which lifts the limit, or after a PATCH with a longer "planLimit"`
	case ota.ReasonBatchTimeout:
		return accept + `, which lifts the limit, or after a PATCH with a longer "batchLimit"`
	case ota.ReasonExpect:
		return accept + `, with {"decision":"retry"}, which tries the failed again, or after a PATCH with a larger "expect":{"normal":…}, if so many failures are usual`
	case ota.ReasonStarved:
		return `resume with {"decision":"retry"}, which tries the failed again, or after a retry or a skip, or after a PATCH of "budgets"`
	default:
		return accept + `, with {"decision":"retry"}, which tries the failed again, or with {"decision":"raise","failureThreshold":…} and a threshold that what failed does not exceed`
	}
}

// The fields of the Engine that have another name on the wire.
var (
	fieldNames = strings.NewReplacer(
		"agents[", "agentIds[", "shape.size", "batchSize", "shape.batches", "batches", "shape.percent", "percent", "shape.canary", "canary", "shape.growth", "growth", "shape.shuffle", "shuffleSeed", "shape.represent", "represent", "shape.first", "first", "shape.last", "last", "by.reason", "reason",
	)
	fieldIndex = regexp.MustCompile(`\[([^\]]*)\]`)
)

// pointerOf turns the Engine's name of a field, such as "agents[17].id", into a JSON Pointer, such
// as "/agentIds/17".
func pointerOf(field string) string {
	if field == "shape" {
		return "/batchSize"
	}
	if field == "agents" {
		return "/agentIds"
	}
	if field == "call" {
		return "callDuration" // a parameter
	}
	if rest, ok := strings.CutPrefix(field, "reports["); ok { // the body is the list
		field = strings.NewReplacer("]", "", ".agent", ".agentId").Replace(rest)
	}
	field = fieldNames.Replace(field)
	if strings.HasPrefix(field, "agentIds[") {
		field = strings.TrimSuffix(field, ".id")
	}
	return "/" + strings.ReplaceAll(fieldIndex.ReplaceAllString(field, ".$1"), ".", "/")
}

// Status returns the HTTP status and the code of the Problem for an error of the Engine or of Auth.
// An error that the table does not know, such as that of a Store that does not answer, is 503
// "unavailable".
func Status(err error) (status int, code string) {
	r := protocol.RefusalOf(err)
	return r.Status, r.Code
}
