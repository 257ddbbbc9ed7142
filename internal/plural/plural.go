// Package plural counts things in English sentences: 1 agent is, 2 agents are.
package plural

import (
	"strconv"
	"strings"
)

// Count returns a number and its noun, "1 agent" or "2 agents". The noun is singular, and may have
// words after it that do not change, after a slash: "agent/of batch 3".
func Count(n int, noun string) string {
	noun, rest, more := strings.Cut(noun, "/")
	out := strconv.Itoa(n) + " " + Noun(n, noun)
	if more {
		out += " " + rest
	}
	return out
}

// Noun returns the noun alone, in the form that follows the number.
func Noun(n int, noun string) string {
	switch {
	case n == 1:
		return noun
	case strings.HasSuffix(noun, "ch"), strings.HasSuffix(noun, "s"):
		return noun + "es"
	default:
		return noun + "s"
	}
}

// Verb returns one for a single thing, and many otherwise: "is" or "are".
func Verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Are is Count with the verb: "1 agent is", "2 agents are".
func Are(n int, noun string) string { return Count(n, noun) + " " + Verb(n, "is", "are") }

// Have is Count with the verb: "1 agent has", "2 agents have".
func Have(n int, noun string) string { return Count(n, noun) + " " + Verb(n, "has", "have") }
