package ota

import (
	"errors"
	"fmt"
	"strings"
)

// The sentinels. Every error this package returns matches at most one of them with errors.Is, through every layer.
var (
	// ErrNotFound says that there is no such plan, batch or agent.
	ErrNotFound = errors.New("ota: not found")
	// ErrExists says that a plan with this ID or this request key is already there.
	ErrExists = errors.New("ota: already exists")
	// ErrConflict says that a number compared by a commit, or by a caller's precondition, is not the present one.
	ErrConflict = errors.New("ota: changed by somebody else")
	// ErrFenced says that another engine has taken the plan over; this one can write nothing to it any more.
	ErrFenced = errors.New("ota: another engine owns the plan")
	// ErrRefused says that the Store will never make a write, however often it is tried, and has changed nothing: the
	// write breaks a rule of the Store, for example with a text that its database cannot keep.
	ErrRefused = errors.New("ota: the store refuses the write for good")

	// ErrState says that the plan's present status forbids the verb; see StateError.
	ErrState = errors.New("ota: the plan's state forbids it")
	// ErrBreach says that a breach stands and Resume needs a decision; see BreachError.
	ErrBreach = errors.New("ota: a breach stands")
	// ErrClaimed says that agents belong to another plan; see ClaimError.
	ErrClaimed = errors.New("ota: agents belong to another plan")
	// ErrNothing says that there is nothing to roll back.
	ErrNothing = errors.New("ota: nothing to roll back")
	// ErrAbandoned says that calls of the Executor were still out when Run or RunPlan returned; see AbandonedError.
	ErrAbandoned = errors.New("ota: calls were abandoned")
)

// StateError says that a verb is illegal in the plan's present status. It matches ErrState.
type StateError struct {
	Plan  string
	Verb  Verb
	Have  Status
	Legal []Verb // what may be said instead, now: each is accepted, but for agents that other plans hold
	Hint  string // more about this case, for example which batch may be promoted; may be empty
}

func (e *StateError) Error() string {
	s := fmt.Sprintf("ota: %s is not possible while plan %s is %s", e.Verb, e.Plan, e.Have)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	if len(e.Legal) == 0 {
		return s
	}
	words := make([]string, len(e.Legal))
	for i, v := range e.Legal {
		words[i] = v.String()
	}
	return s + "; possible now: " + strings.Join(words, ", ")
}

// Is makes every StateError match ErrState.
func (e *StateError) Is(target error) bool { return target == ErrState }

// BreachError says that Resume needs a decision, and shows the counts to decide on. It matches ErrBreach.
type BreachError struct {
	Plan   string
	Breach Breach // the first that stands
	Failed int    // failed agents of the whole plan, now: what Accept has to be given
}

func (e *BreachError) Error() string {
	with := fmt.Sprintf("with Accept(%d), a raised limit, or a retry of the failed", e.Failed)
	if e.Breach.Reason != ReasonThreshold {
		with = decisions[e.Breach.Reason]
	}
	return fmt.Sprintf("ota: plan %s: %s; %d agents failed so far: resume %s", e.Plan, e.Breach, e.Failed, with)
}

// Is makes every BreachError match ErrBreach.
func (e *BreachError) Is(target error) bool { return target == ErrBreach }

// Conflict is one agent that another plan holds.
type Conflict struct {
	Agent string // the agent's ID
	Plan  string // the plan that holds it
	// Engine is set when a call of Plan for the agent has not returned, although Plan may have ended: the running
	// instance of an engine that made the call. The agent is free once the call returns or that process is gone.
	Engine string `json:",omitempty"`
}

func (c Conflict) String() string {
	if c.Engine == "" {
		return c.Agent + " is in " + c.Plan
	}
	return c.Agent + ": a call of plan " + c.Plan + " by engine " + c.Engine + " has not returned"
}

// ClaimError lists agents of a plan that another plan holds, because it is active or because a call of it for the
// agent has not returned. It matches ErrClaimed.
type ClaimError struct {
	Plan      string
	Conflicts []Conflict // in the plan's order, at most 32
	Total     int        // how many there are
}

func (e *ClaimError) Error() string {
	s := make([]string, 0, 4)
	for i, c := range e.Conflicts {
		if i == 3 {
			s = append(s, "…")
			break
		}
		s = append(s, c.String())
	}
	return fmt.Sprintf("ota: plan %s: %d agents belong to another plan: %s", e.Plan, e.Total, strings.Join(s, ", "))
}

// Is makes every ClaimError match ErrClaimed.
func (e *ClaimError) Is(target error) bool { return target == ErrClaimed }

// DuplicateError says that an agent is in a plan twice. A Store returns it from Create. It matches ErrInvalid.
type DuplicateError struct {
	Agent string
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("ota: agent %q is in the plan twice", e.Agent)
}

// Is makes every DuplicateError match ErrInvalid.
func (e *DuplicateError) Is(target error) bool { return target == ErrInvalid }

// AbandonedError counts the calls that had not returned, although their contexts had ended, when Run or RunPlan returned. It
// matches ErrAbandoned.
type AbandonedError struct {
	Calls int
}

func (e *AbandonedError) Error() string {
	return fmt.Sprintf("ota: %d calls of the executor ignore their contexts and were left behind", e.Calls)
}

// Is makes every AbandonedError match ErrAbandoned.
func (e *AbandonedError) Is(target error) bool { return target == ErrAbandoned }

var errAtRest = errors.New("ota: the plan has come to rest")

var errSchema = errors.New("written by a newer version of this library")
