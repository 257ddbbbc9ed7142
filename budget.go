package ota

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Budget limits how many agents with one value of a label are unavailable at once, as Concurrency
// limits all that are open. For example, at most one of each cluster, whatever the order of the
// agents. When a value has reached its limit, further agents with that value wait; agents with
// other values continue.
//
// An agent that is down already needs no room, and starts first. When all that is left waits for
// values whose unavailable agents do not come back by themselves, the plan pauses with the reason
// starved. Accepted failures stay unavailable. A rollback repairs: its budgets count open agents.
type Budget struct {
	// Label is the agents' label whose values are counted. Agents without it share the empty
	// value. 1 to 255 bytes.
	Label string `json:"label"`
	// Max is how many agents with one value may be unavailable. 1 to 1,000,000; 0 means no limit
	// for values that Each does not name.
	Max int `json:"max,omitempty"`
	// Each gives single values a limit of their own, instead of Max. 1 to 1,000,000, for at most 64
	// values.
	Each map[string]int `json:"each,omitempty"`
	// Values is how many values may be in use at once; only one budget may have it. A value is in
	// use while an agent of it counts (see Of), and from its first start in the current batch until
	// its agents in that batch have finished. So a batch takes its values one after the other. 1 to
	// 64; 0 means any number. It has no effect in a rollback plan.
	Values int `json:"values,omitempty"`
	// Of says which agents count.
	Of BudgetOf `json:"of"`
}

// BudgetOf says which agents count in a Budget.
type BudgetOf uint8

// The agents that count in a Budget.
const (
	// Open agents, and those that are down: an attempt failed that may have changed the agent, or
	// it is unhealthy or silent, or its precheck says so (Precheck.Down). Only a success, or a
	// healthy answer, makes it available again.
	UnavailableAgents BudgetOf = iota
	// Open agents only. An agent that failed gives its place back.
	OpenAgents
)

var budgetOfs = enum[BudgetOf]{"budget", []string{"unavailable", "open"}}

// maxBudgets and maxEach bound the budgets of a policy, and the values that have a limit of their
// own.
const (
	maxBudgets = 8
	maxEach    = 64
	maxValues  = 64
)

// limit is how many agents with a value may count.
func (b *Budget) limit(value string) int {
	if n, ok := b.Each[value]; ok {
		return n
	}
	if b.Max == 0 {
		return maxConcurrency
	}
	return b.Max
}

func (b Budget) equal(c Budget) bool {
	return b.Label == c.Label && b.Max == c.Max && b.Values == c.Values && b.Of == c.Of && maps.Equal(b.Each, c.Each)
}

func cloneBudgets(budgets []Budget) []Budget {
	budgets = slices.Clone(budgets)
	for i := range budgets {
		budgets[i].Each = maps.Clone(budgets[i].Each)
	}
	return budgets
}

// checkBudgets adds every mistake of a policy's budgets to m.
func checkBudgets(m *mistakes, budgets []Budget) {
	if len(budgets) > maxBudgets {
		m.add("budgets", strconv.Itoa(len(budgets)), "has too many entries", "at most 8")
	}
	turns := -1
	for i, b := range budgets[:min(len(budgets), maxBudgets)] {
		if b.Values > 0 && turns >= 0 {
			m.add(fmt.Sprintf("budgets[%d].values", i), strconv.Itoa(b.Values), fmt.Sprintf("is in budgets[%d] too", turns), "in one budget")
		} else if b.Values > 0 {
			turns = i
		}
		b.check(m, fmt.Sprintf("budgets[%d].", i))
		if slices.ContainsFunc(budgets[:i], func(c Budget) bool { return c.Label == b.Label && c.Of == b.Of }) {
			m.add(fmt.Sprintf("budgets[%d].label", i), b.Label, "has an earlier budget of the same agents", "one budget for a label and of; each gives single values another limit")
		}
	}
}

func (b *Budget) check(m *mistakes, at string) {
	const allowed = "1 to 1000000"
	checkText(m, at+"label", b.Label, maxText)
	if b.Label == "" {
		m.add(at+"label", "", "is missing", "the name of a label of the agents")
	}
	switch {
	case b.Max < 0 || b.Max > maxConcurrency:
		m.add(at+"max", strconv.Itoa(b.Max), "is out of range", allowed+"; 0 means no limit for values that each does not name")
	case b.Max == 0 && len(b.Each) == 0 && b.Values == 0:
		m.add(at+"max", "0", "limits nothing", allowed+", or each, or values")
	}
	m.numbers(numberRule{at + "values", b.Values, 0, maxValues, "1 to 64; 0 means any number of values"})
	budgetOfs.check(m, at+"of", b.Of)
	if n := len(b.Each); n > maxEach {
		m.add(at+"each", strconv.Itoa(n), "has too many values", "at most 64")
		return
	}
	for _, value := range slices.Sorted(maps.Keys(b.Each)) {
		checkText(m, at+"each", value, maxText)
		if n := b.Each[value]; n < 1 || n > maxConcurrency {
			m.add(at+"each."+value, strconv.Itoa(n), "is out of range", allowed)
		}
	}
}
