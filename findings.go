package ota

import (
	"fmt"
	"time"
)

// PrecheckState is how an agent is before anything is done to it.
type PrecheckState uint8

// The states that a precheck can find an agent in.
const (
	PrecheckReady       PrecheckState = iota // it may be upgraded
	PrecheckAtTarget                         // nothing has to be done: it succeeds untouched
	PrecheckBlocked                          // it is to be left out: it is skipped, which is no failure
	PrecheckUnreachable                      // it does not answer: it is asked again later, until UnreachableTimeout, without a slot
)

var precheckStates = enum[PrecheckState]{"precheck state", []string{"ready", "at_target", "blocked", "away"}}

// Readiness is what was found by asking a Prechecker about many agents, and by looking at the plans and windows around
// them.
type Readiness struct {
	At    time.Time `json:"at,omitzero"`     // when it was asked
	Actor string    `json:"actor,omitempty"` // who asked
	// Asked is how many agents were asked about: none when the Executor is no Prechecker. Each is counted in one of the
	// four that follow.
	Asked       int `json:"asked"`
	Ready       int `json:"ready"`
	AtTarget    int `json:"atTarget"`
	Blocked     int `json:"blocked"`
	Unreachable int `json:"away"` // they do not answer, or the Prechecker gave an error
	// Findings are the first 32 agents that are blocked or away.
	Findings []Finding `json:"findings,omitempty"`
	// Conflicts are agents that other plans hold which are under way now: the first 32 found. ConflictCount is how many
	// there are, counted once for each plan that holds them. Precheck also finds agents that an ended plan keeps.
	Conflicts     []Conflict `json:"conflicts,omitempty"`
	ConflictCount int        `json:"conflictCount,omitempty"`
	// NextOpen is when a maintenance window lets agents be started: At itself when one is open, or there is none; zero
	// when none opens any more.
	NextOpen time.Time `json:"nextOpen,omitzero"`
}

// Finding is an agent that could not be upgraded now.
type Finding struct {
	Agent  string        `json:"agent"` // ID
	State  PrecheckState `json:"state"`
	Reason string        `json:"reason,omitempty"` // cut to 255 bytes
}

// Clear reports whether nothing stands in the way: no agent is blocked, away, or held by another plan, and a window is
// open.
func (r Readiness) Clear() bool {
	return r.Blocked+r.Unreachable+r.ConflictCount == 0 && r.NextOpen.Equal(r.At)
}

// String returns the counts, for example "10 asked: 7 ready, 1 at the target, 2 blocked, 0 away; 0 conflicts".
func (r Readiness) String() string {
	return fmt.Sprintf("%d asked: %d ready, %d at the target, %d blocked, %d away; %d conflicts",
		r.Asked, r.Ready, r.AtTarget, r.Blocked, r.Unreachable, r.ConflictCount)
}
