package otatest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Behaviour is what an agent of a Fleet does when it is upgraded.
type Behaviour uint8

// The behaviours. The ID of an agent tells its behaviour by its prefix: the word and a hyphen, for example "fail-7". An ID
// without one of these prefixes behaves as OK.
const (
	OK    Behaviour = iota // succeeds
	Fail                   // "fail-": an error that may be tried again, on every try
	Flaky                  // "flaky-": the same on the first attempt of a plan, then success
	Hang                   // "hang-": never answers, until its context ends
	Stuck                  // "stuck-": never answers, and ignores its context; Release lets it go
	Slow                   // "slow-": succeeds after 10 times the latency
	Panic                  // "panic-": the call panics
	Wrong                  // "wrong-": answers without an error, but runs another version than the target
	Sick                   // "sick-": succeeds, and is unhealthy at its first probe and from then on
	Away                   // "away-": unreachable, and stays so
	Busy                   // "busy-": throttled three times, then success
)

var names = []string{"ok", "fail", "flaky", "hang", "stuck", "slow", "panic", "wrong", "sick", "away", "busy"}

// String returns the word, for example "fail".
func (b Behaviour) String() string {
	if int(b) < len(names) {
		return names[b]
	}
	return fmt.Sprintf("Behaviour(%d)", uint8(b))
}

// BehaviourOf is what the prefix of an agent's ID tells.
func BehaviourOf(id string) Behaviour {
	word, _, found := strings.Cut(id, "-")
	if i := slices.Index(names, word); found && i >= 0 {
		return Behaviour(i)
	}
	return OK
}

// IDs returns n agent IDs: the prefix and a number from 1, with as many digits as n has, so that they sort. IDs("ok-", 10)
// is "ok-01" to "ok-10".
func IDs(prefix string, n int) []string {
	ids := make([]string, max(n, 0))
	width := len(strconv.Itoa(n))
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%0*d", prefix, width, i+1)
	}
	return ids
}
