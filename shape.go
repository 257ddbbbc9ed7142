package ota

import (
	"fmt"
	"slices"
	"strconv"
)

// Shape cuts a plan's agents into batches. The zero value cuts them, in the given order, into
// batches of DefaultBatchSize. Every agent is in exactly one batch.
type Shape struct {
	// Size is the number of agents in a batch; the last batch has the remaining ones. 1 or more; 0
	// means DefaultBatchSize. Not together with Batches.
	Size int
	// Percent is a batch's share of all agents in percent: 25 is a quarter. The number is rounded
	// up, to at least one; the last batch has the remaining agents. More than 0, at most 100; 0
	// means Size. The agents are then kept in memory while the plan is made.
	Percent float64
	// Canary puts a batch of this many agents before all others. The canary must change at least
	// one agent, or the next batch must be promoted, before another batch begins. 1 or more; 0
	// means no canary.
	Canary int
	// Growth makes each batch larger than the one before, instead of Size and Percent.
	Growth Growth
	// Batches lists every batch, by its size, by its share, or as the rest. Agents are assigned in
	// order, and the batches must add up to all agents. Policy.Stages says what differs in one.
	Batches []BatchShape
	// Shuffle, when not 0, is the seed of a shuffle of all agents, so that the same agents are not
	// always the first to get a bad release. The same seed and agents give the same order. Not
	// together with a list of sizes. The agents are then kept in memory while the plan is made.
	Shuffle uint64
	// Represent names labels of agents. Every batch, the canary first of all, then holds each value
	// of these labels in proportion, and at least one agent of each value while there is room and
	// one is left. Otherwise values of many agents come first, and Plan.Warnings names the values
	// that the first batch lacks. Agents without a label share the empty value. The order is
	// shuffled with the seed Shuffle, or else with a seed made of ToVersion, so that each release
	// has other agents in its canary. At most 3, of 255 bytes each. Not together with a list of
	// sizes, and not with a Budget that has Values for the same label. The agents are then kept in
	// memory while the plan is made.
	Represent []string
	// First and Last say which agents come first and last: volunteers first, hospitals last. Agents
	// with the first label come before those with the second, and so on; those with the last label
	// of Last come at the end. An agent of both lists comes last. They cut no batch; Represent
	// counts only within each group. At most 16 each. The agents are then kept in memory while the
	// plan is made.
	First, Last []Label
}

// Growth is a series of batch sizes. The first is First. Each later one is Factor times the one
// before, rounded down, but at least one more (with Factor 1 it stays the same). No batch is
// larger than Max.
type Growth struct {
	First  int     // 1 or more; 0 means no growth
	Factor float64 // 1 to 100; 0 means 2
	Max    int     // 0 means no limit
}

// size returns the size of batch k of the series, from 0.
func (g Growth) size(k int) int {
	factor, size := g.Factor, g.First
	if factor == 0 {
		factor = 2
	}
	for range k {
		if g.Max > 0 && size >= g.Max || size >= maxAgents {
			break
		}
		if next := int(min(float64(size)*factor, maxAgents)); next > size || factor == 1 {
			size = next
		} else {
			size++
		}
	}
	if g.Max > 0 {
		size = min(size, g.Max)
	}
	return min(size, maxAgents)
}

// BatchShape is one batch of an explicit list. It has a Size or a Percent. The last one may have
// neither: it has the remaining agents.
type BatchShape struct {
	Name string // for people; may be empty; at most 255 bytes
	Size int    // how many agents; 1 or more
	// Percent is the batch's share of all agents in percent: 1, 10, 50, and then the rest. More
	// than 0, at most 100. Shares are rounded up so that the batches from the first to each of them
	// add up. Each has at least one agent. The agents are then kept in memory while the plan is
	// made.
	Percent float64
}

// check adds every mistake of s to m.
func (s Shape) check(m *mistakes) {
	m.numbers(numberRule{"shape.size", s.Size, 0, maxAgents, "1 or more; 0 means 10"})
	m.fraction("shape.percent", s.Percent, 0, 100, "more than 0, at most 100")
	m.numbers(numberRule{"shape.canary", s.Canary, 0, maxAgents, "1 or more; 0 means none"})
	s.Growth.check(m)
	rules := 0
	for _, used := range []bool{s.Size != 0, s.Percent != 0, s.Growth != (Growth{})} {
		if used {
			rules++
		}
	}
	if rules > 1 {
		m.add("shape", "", "has more than one of size, percent and growth", "one of them")
	}
	if len(s.Batches) > 0 {
		s.checkList(m)
	}
	s.checkOrder(m)
}

func (g Growth) check(m *mistakes) {
	if g == (Growth{}) {
		return
	}
	m.numbers(numberRule{"shape.growth.first", g.First, 1, maxAgents, "1 or more"})
	if g.Factor != 0 {
		m.fraction("shape.growth.factor", g.Factor, 1, 100, "1 to 100; 0 means 2")
	}
	if g.Max < 0 || g.Max > 0 && g.Max < g.First {
		m.add("shape.growth.max", strconv.Itoa(g.Max), "is less than the first batch", "at least shape.growth.first; 0 means no limit")
	}
}

// checkList checks an explicit list of batches, and that nothing else cuts the agents.
func (s Shape) checkList(m *mistakes) {
	if s.Percent != 0 || s.Canary != 0 || s.Growth != (Growth{}) {
		m.add("shape.batches", "", "do not go with percent, canary or growth", "a list, or a rule")
	}
	if s.Size != 0 {
		m.add("shape.size", strconv.Itoa(s.Size), "does not go with a list of batches", "one of the two")
	}
	if s.Shuffle != 0 && s.listsSizes() {
		m.add("shape.shuffle", strconv.FormatUint(s.Shuffle, 10), "does not go with a list of sizes", "one of the two, or a list with percent")
	}
	if len(s.Represent) > 0 && s.listsSizes() {
		m.add("shape.represent", s.Represent[0], "does not go with a list of sizes, which assigns the agents in order", "one of the two, or a list with percent")
	}
	share := 0.0
	for i, b := range s.Batches {
		field := fmt.Sprintf("shape.batches[%d]", i)
		checkText(m, field+".name", b.Name, maxText)
		m.fraction(field+".percent", b.Percent, 0, 100, "more than 0, at most 100")
		last := i == len(s.Batches)-1
		switch {
		case b.Size != 0 && b.Percent != 0:
			m.add(field, "", "has both size and percent", "one of them, or none for the rest")
		case b.Size == 0 && b.Percent == 0 && last && i > 0:
		case b.Percent == 0 && (b.Size < 1 || b.Size > maxAgents):
			m.add(field+".size", strconv.Itoa(b.Size), "makes an empty or impossible batch", "1 or more, or percent; the last batch may have neither, for the rest")
		}
		share += b.Percent
	}
	if share > 100+shareError {
		m.add("shape.batches", strconv.FormatFloat(share, 'g', -1, 64)+" %", "is the sum of the shares", "at most 100 %")
	}
}

// shareError is how far a sum of shares may be off, by rounding.
const shareError = 1e-6

// listsSizes reports whether the shape lists the size of every batch. Such a list assigns the agents
// in the order of the caller.
func (s *Shape) listsSizes() bool {
	return len(s.Batches) > 0 && !slices.ContainsFunc(s.Batches, func(b BatchShape) bool { return b.Size == 0 })
}

// needsAll reports whether the number, or the order, of the batches needs all agents.
func (s *Shape) needsAll() bool {
	return s.Percent != 0 || s.Shuffle != 0 || len(s.Represent) > 0 || len(s.First)+len(s.Last) > 0 || len(s.Batches) > 0 && !s.listsSizes()
}

// The most labels and matchers of a shape.
const (
	maxRepresent = 3
	maxMatchers  = 16
)

// checkOrder adds every mistake of Represent, First and Last to m.
func (s Shape) checkOrder(m *mistakes) {
	if n := len(s.Represent); n > maxRepresent {
		m.add("shape.represent", strconv.Itoa(n), "has too many labels: few batches have room for all combinations of their values", "at most 3")
	}
	for i, label := range s.Represent {
		field := fmt.Sprintf("shape.represent[%d]", i)
		checkText(m, field, label, maxText)
		if label == "" || slices.Contains(s.Represent[:i], label) {
			m.add(field, label, "is empty, or there twice", "different names of labels")
		}
	}
	all := slices.Concat(s.First, s.Last)
	for i, l := range all {
		name, k := "first", i
		if i >= len(s.First) {
			name, k = "last", i-len(s.First)
		}
		field := fmt.Sprintf("shape.%s[%d]", name, k)
		checkText(m, field+".label", l.Name, maxText)
		checkText(m, field+".value", l.Value, maxText)
		switch {
		case k == maxMatchers:
			m.add("shape."+name, "", "has too many labels", "at most 16")
		case l.Name == "":
			m.add(field+".label", "", "is missing", "the name of a label of the agents")
		case slices.Contains(all[:i], l):
			m.add(field, l.Name+"="+l.Value, "is in first or last already", "each label once, in one of the two")
		}
	}
}

// checkRepresented adds a mistake for each budget whose values would have to take turns in every
// batch, since the batches hold all values of its label.
func checkRepresented(m *mistakes, represent []string, budgets []Budget) {
	for i, b := range budgets {
		if b.Values > 0 && slices.Contains(represent, b.Label) {
			m.add(fmt.Sprintf("budgets[%d].values", i), strconv.Itoa(b.Values),
				fmt.Sprintf("contradicts shape.represent, which puts every value of %s into each batch", b.Label), "0, or another label")
		}
	}
}

// Label is a name and a value. The zero Label is none.
type Label struct{ Name, Value string }
