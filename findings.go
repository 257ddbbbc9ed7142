package ota

import (
	"fmt"
	"time"
)

// PrecheckState is the state of an agent before the plan changes anything.
type PrecheckState uint8

// The states that a precheck can find.
const (
	PrecheckReady       PrecheckState = iota // it may be upgraded
	PrecheckAtTarget                         // it needs no change: it succeeds at once
	PrecheckBlocked                          // it is skipped, which is no failure
	PrecheckUnreachable                      // no answer: asked again until UnreachableTimeout
)

var precheckStates = enum[PrecheckState]{"precheck state", []string{"ready", "at_target", "blocked", "away"}}

// Readiness is the result of asking a Prechecker about many agents, and of looking at the plans
// and windows that concern them.
type Readiness struct {
	At    time.Time `json:"at,omitzero"`     // when the agents were asked
	Actor string    `json:"actor,omitempty"` // who asked
	// Asked is how many agents were asked about: 0 when the Executor is no Prechecker. Each is
	// counted in one of the next four fields.
	Asked       int `json:"asked"`
	Ready       int `json:"ready"`
	AtTarget    int `json:"atTarget"`
	Blocked     int `json:"blocked"`
	Unreachable int `json:"away"` // no answer, or an error of the Prechecker
	// Findings are the first 32 agents that are blocked or away.
	Findings []Finding `json:"findings,omitempty"`
	// Conflicts are agents that other active plans have claimed: the first 32 found. ConflictCount
	// is their number, counted once for each plan that claims them. Precheck also finds agents
	// that an ended plan keeps.
	Conflicts     []Conflict `json:"conflicts,omitempty"`
	ConflictCount int        `json:"conflictCount,omitempty"`
	// NextOpen is when a maintenance window next allows starts. It is At itself when one is open
	// or there is none, and zero when none opens again.
	NextOpen time.Time `json:"nextOpen,omitzero"`
}

// Finding is an agent that cannot be upgraded now.
type Finding struct {
	Agent  string        `json:"agent"` // ID
	State  PrecheckState `json:"state"`
	Reason string        `json:"reason,omitempty"` // cut to 255 bytes
}

// Clear reports whether a plan could start its agents now: no agent is blocked, away, or claimed
// by another plan, and a window is open.
func (r Readiness) Clear() bool {
	return r.Blocked+r.Unreachable+r.ConflictCount == 0 && r.NextOpen.Equal(r.At)
}

// String returns the counts, for example "10 asked: 7 ready, 1 at the target, 2 blocked, 0 away; 0
// conflicts".
func (r Readiness) String() string {
	return fmt.Sprintf("%d asked: %d ready, %d at the target, %d blocked, %d away; %d conflicts",
		r.Asked, r.Ready, r.AtTarget, r.Blocked, r.Unreachable, r.ConflictCount)
}
