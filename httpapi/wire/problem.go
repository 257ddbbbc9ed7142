package wire

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
)

// Problem is a refusal. The server answers with it as application/problem+json (RFC 9457), and the
// client returns it. It matches the sentinel of its Code. errors.As finds the Engine's own error in
// it: *ota.StateError, *ota.BreachError, *ota.ClaimError or *ota.FieldError.
type Problem struct { //nolint:errname // RFC 9457 calls it a problem, and it is no wrapper of one error
	Type   string `json:"type"`             // "urn:ota:problem:" and Code
	Title  string `json:"title"`            // the same for every problem with this Code
	Status int    `json:"status"`           // the HTTP status
	Code   string `json:"code"`             // one word for programs
	Detail string `json:"detail,omitempty"` // this case, for people

	// Errors names every mistake in the request.
	Errors []Mistake `json:"errors,omitempty"`

	PlanID string      `json:"planId,omitempty"` // the plan whose state forbids it
	State  *ota.Status `json:"state,omitempty"`  // its present status
	Verb   *ota.Verb   `json:"verb,omitempty"`   // the verb that was refused
	Legal  []ota.Verb  `json:"legal,omitempty"`  // the verbs that it accepts now
	Hint   string      `json:"hint,omitempty"`   // how to go on, for people

	Breach *ota.Breach `json:"breach,omitempty"` // the breach that needs a decision
	Failed *int        `json:"failed,omitempty"` // the count that "accept" must have

	Conflicts      []Conflict `json:"conflicts,omitempty"` // at most 32
	TotalConflicts int        `json:"totalConflicts,omitempty"`
}

// Mistake is one mistake of a request.
type Mistake struct {
	// Pointer is a JSON Pointer into the body, or the name of a query parameter or header.
	Pointer string `json:"pointer"`
	Problem string `json:"problem"`         // for example "is out of range"
	Value   string `json:"value,omitempty"` // as given, cut to 64 bytes
	Allowed string `json:"allowed,omitempty"`
}

// Conflict is an agent that belongs to another active plan.
type Conflict struct {
	AgentID string `json:"agentId"`
	PlanID  string `json:"planId"`
	// Engine is set when the plan has made a call for the agent that has not returned, also when the
	// plan has ended: the engine that made the call.
	Engine string `json:"engine,omitempty"`
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

// Unwrap returns the errors that the problem stands for.
func (p *Problem) Unwrap() []error {
	var errs []error
	switch {
	case p.Code == "state" && p.State != nil && p.Verb != nil:
		errs = append(errs, &ota.StateError{Plan: p.PlanID, Verb: *p.Verb, Have: *p.State, Legal: p.Legal, Hint: p.Hint})
	case p.Code == "breach" && p.Breach != nil && p.Failed != nil:
		errs = append(errs, &ota.BreachError{Plan: p.PlanID, Breach: *p.Breach, Failed: *p.Failed})
	case p.Code == "claimed":
		e := &ota.ClaimError{Plan: p.PlanID, Total: p.TotalConflicts}
		for _, c := range p.Conflicts {
			e.Conflicts = append(e.Conflicts, ota.Conflict{Agent: c.AgentID, Plan: c.PlanID, Engine: c.Engine})
		}
		errs = append(errs, e)
	case p.Code == "invalid", p.Code == "malformed":
		all := &multierror.Error{} // where ota.FieldErrors finds all of them
		for _, m := range p.Errors {
			all.Errors = append(all.Errors, &ota.FieldError{Field: m.Pointer, Value: m.Value, Problem: m.Problem, Allowed: m.Allowed})
		}
		if len(all.Errors) > 0 {
			errs = append(errs, all)
		}
	}
	if err := protocol.Sentinel(p.Code); err != nil && len(errs) == 0 {
		errs = append(errs, err)
	}
	return errs
}
