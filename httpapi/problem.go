package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// Problem is a refusal: what the handler answers as application/problem+json (RFC 9457) and what Client returns. It
// matches the sentinel of its Code, and errors.As finds the Engine's own error in it: *ota.StateError, *ota.BreachError,
// *ota.ClaimError or *ota.FieldError.
type Problem struct { //nolint:errname // RFC 9457 calls it a problem, and it is no wrapper of one error
	Type   string `json:"type"`             // "urn:ota:problem:" and Code
	Title  string `json:"title"`            // the same for every problem with this Code
	Status int    `json:"status"`           // the HTTP status
	Code   string `json:"code"`             // one word for programs
	Detail string `json:"detail,omitempty"` // this case, for people

	// Errors names every mistake of the request that was found.
	Errors []Mistake `json:"errors,omitempty"`

	PlanID string      `json:"planId,omitempty"` // the plan whose state forbids it
	State  *ota.Status `json:"state,omitempty"`  // its present status
	Verb   *ota.Verb   `json:"verb,omitempty"`   // what was said to it
	Legal  []ota.Verb  `json:"legal,omitempty"`  // what may be said to it now
	Hint   string      `json:"hint,omitempty"`   // what can be done, for people

	Breach *ota.Breach `json:"breach,omitempty"` // what needs a decision
	Failed *int        `json:"failed,omitempty"` // the count that "accept" has to be given

	Conflicts      []Conflict `json:"conflicts,omitempty"` // agents of other active plans, at most 32
	TotalConflicts int        `json:"totalConflicts,omitempty"`

	cause error
	allow string // of a 405
}

// Mistake is one mistake of a request.
type Mistake struct {
	Pointer string `json:"pointer"`         // JSON Pointer into the body; for a query parameter or a header its name
	Problem string `json:"problem"`         // for example "is out of range"
	Value   string `json:"value,omitempty"` // as given, cut to 64 bytes
	Allowed string `json:"allowed,omitempty"`
}

// Conflict is an agent that another active plan holds.
type Conflict struct {
	AgentID string `json:"agentId"`
	PlanID  string `json:"planId"`
}

func (p *Problem) Error() string {
	s := fmt.Sprintf("httpapi: %d %s: %s", p.Status, p.Code, cmp.Or(p.Detail, p.Title))
	for _, m := range p.Errors {
		if !strings.Contains(p.Detail, m.Problem) {
			s = fmt.Sprintf("%s; %s %s", s, m.Pointer, m.Problem)
		}
	}
	return s
}

// Unwrap returns the error that the problem stands for.
func (p *Problem) Unwrap() []error {
	if p.cause != nil {
		return []error{p.cause}
	}
	return p.causes()
}

// newProblem is a refusal that the handler makes itself.
func newProblem(code, detail string, mistakes ...Mistake) *Problem {
	r := rowCalled(code)
	return &Problem{
		Type: "urn:ota:problem:" + code, Title: r.title, Status: r.status, Code: code, Detail: detail, Errors: mistakes, cause: r.err,
	}
}

// problemOf is the problem that stands for an error of the Engine, of Auth or of the handler.
func problemOf(err error) *Problem {
	var made *Problem
	if errors.As(err, &made) {
		return made
	}
	r := rowOf(err)
	p := newProblem(r.code, "")
	p.cause = err
	if slices.Contains([]error{ota.ErrNotFound, ota.ErrState, ota.ErrBreach, ota.ErrClaimed, ota.ErrNothing, ota.ErrConflict, ota.ErrExists, ota.ErrInvalid}, r.err) {
		p.Detail = strings.TrimPrefix(err.Error(), "ota: ")
	}
	var state *ota.StateError
	if errors.As(err, &state) {
		p.PlanID, p.State, p.Verb, p.Legal, p.Hint = state.Plan, &state.Have, &state.Verb, state.Legal, state.Hint
	}
	var breach *ota.BreachError
	if errors.As(err, &breach) {
		p.PlanID, p.Breach, p.Failed = breach.Plan, &breach.Breach, &breach.Failed
		p.Detail = fmt.Sprintf("plan %s: %s; %d agents failed so far", breach.Plan, breach.Breach, breach.Failed)
		p.Hint = decisions(breach)
	}
	var claim *ota.ClaimError
	if errors.As(err, &claim) {
		p.PlanID, p.TotalConflicts = claim.Plan, claim.Total
		for _, c := range claim.Conflicts {
			p.Conflicts = append(p.Conflicts, Conflict{AgentID: c.Agent, PlanID: c.Plan})
		}
	}
	var twice *ota.DuplicateError
	if errors.As(err, &twice) {
		p.Errors = []Mistake{{Pointer: "/agentIds", Problem: "has an agent twice", Value: twice.Agent}}
	}
	if fields := ota.FieldErrors(err); len(fields) > 0 {
		p.Detail = fmt.Sprintf("%d values were refused", len(fields))
		for _, f := range fields {
			p.Errors = append(p.Errors, Mistake{Pointer: pointerOf(f.Field), Problem: f.Problem, Value: f.Value, Allowed: f.Allowed})
		}
	}
	return p
}

// decisions are the bodies with which a plan can be resumed over a breach.
func decisions(e *ota.BreachError) string {
	accept := fmt.Sprintf(`resume with {"decision":"accept","failed":%d}`, e.Failed)
	switch e.Breach.Reason {
	case ota.ReasonPlanLimit:
		return accept + `, which lifts the limit, or after a PATCH with a longer "planLimit"`
	case ota.ReasonBatchLimit:
		return accept + `, which lifts the limit, or after a PATCH with a longer "batchLimit"`
	default:
		return accept + `, with {"decision":"retry"}, which tries the failed again, or with {"decision":"raise","failureThreshold":…} and a threshold that what failed does not exceed`
	}
}

// causes is problemOf backwards.
func (p *Problem) causes() []error {
	var errs []error
	switch {
	case p.Code == "state" && p.State != nil && p.Verb != nil:
		errs = append(errs, &ota.StateError{Plan: p.PlanID, Verb: *p.Verb, Have: *p.State, Legal: p.Legal, Hint: p.Hint})
	case p.Code == "breach" && p.Breach != nil && p.Failed != nil:
		errs = append(errs, &ota.BreachError{Plan: p.PlanID, Breach: *p.Breach, Failed: *p.Failed})
	case p.Code == "claimed":
		e := &ota.ClaimError{Plan: p.PlanID, Total: p.TotalConflicts}
		for _, c := range p.Conflicts {
			e.Conflicts = append(e.Conflicts, ota.Conflict{Agent: c.AgentID, Plan: c.PlanID})
		}
		errs = append(errs, e)
	case p.Code == "invalid", p.Code == "malformed":
		for _, m := range p.Errors {
			errs = append(errs, &ota.FieldError{Field: m.Pointer, Value: m.Value, Problem: m.Problem, Allowed: m.Allowed})
		}
	}
	for _, r := range refusals {
		if r.code == p.Code && len(errs) == 0 {
			errs = append(errs, r.err)
		}
	}
	return errs
}

// Where a field of the Engine is called otherwise on the wire.
var (
	fieldNames = strings.NewReplacer(
		"agents[", "agentIds[", "shape.size", "batchSize", "shape.batches", "batches", "shape.percent", "percent", "shape.canary", "canary", "shape.growth", "growth", "shape.shuffle", "shuffleSeed", "by.reason", "reason",
	)
	fieldIndex = regexp.MustCompile(`\[([^\]]*)\]`)
)

// pointerOf turns the Engine's name of a field, such as "agents[17].id", into a JSON Pointer, such as "/agentIds/17".
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
