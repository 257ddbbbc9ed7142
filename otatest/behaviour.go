package otatest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Behaviour is how an agent of a Fleet reacts to an upgrade.
type Behaviour uint8

// The behaviours. The prefix of an agent's ID selects its behaviour: the word and a hyphen, for
// example "fail-7". An ID without one of these prefixes behaves as OK.
const (
	OK     Behaviour = iota // succeeds
	Fail                    // "fail-": fails on every attempt, with an error that may be retried
	Flaky                   // "flaky-": fails like that on the first attempt of a plan, then succeeds
	Hang                    // "hang-": does not answer before its context ends
	Stuck                   // "stuck-": does not answer and ignores its context; Release ends the call
	Slow                    // "slow-": succeeds after 10 times the latency
	Panic                   // "panic-": the call panics
	Wrong                   // "wrong-": answers without an error, but runs another version than the target
	Sick                    // "sick-": succeeds, and is unhealthy from its first probe on
	Away                    // "away-": is always unreachable
	Busy                    // "busy-": throttled three times, then succeeds
	Silent                  // "silent-": succeeds, and then answers no question about its health
	Late                    // "late-": succeeds, is healthy for Options.SickAfter, and then unhealthy
)

var names = []string{"ok", "fail", "flaky", "hang", "stuck", "slow", "panic", "wrong", "sick", "away", "busy", "silent", "late"}

// String returns the word, for example "fail".
func (b Behaviour) String() string {
	if int(b) < len(names) {
		return names[b]
	}
	return fmt.Sprintf("Behaviour(%d)", uint8(b))
}

// BehaviourOf returns the behaviour that the prefix of an agent's ID selects.
func BehaviourOf(id string) Behaviour {
	word, _, found := strings.Cut(id, "-")
	if i := slices.Index(names, word); found && i >= 0 {
		return Behaviour(i)
	}
	return OK
}

// IDs returns n agent IDs: the prefix and a number from 1, with as many digits as n has, so that
// they sort. IDs("ok-", 10) is "ok-01" to "ok-10".
func IDs(prefix string, n int) []string {
	ids := make([]string, max(n, 0))
	width := len(strconv.Itoa(n))
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%0*d", prefix, width, i+1)
	}
	return ids
}
