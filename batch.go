package ota

import (
	"fmt"
	"strconv"
	"time"
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
	// Batches lists every batch. Agents are assigned in order, and the sizes must add up to all
	// agents.
	Batches []BatchShape
	// Shuffle, when not 0, is the seed of a shuffle of all agents, so that the same agents are not
	// always the first to get a bad release. The same seed and agents give the same order. Not
	// together with Batches. The agents are then kept in memory while the plan is made.
	Shuffle uint64
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

// BatchShape is one batch of an explicit list.
type BatchShape struct {
	Name string // for people; may be empty; at most 255 bytes
	Size int    // how many agents; 1 or more
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
	if s.Shuffle != 0 {
		m.add("shape.shuffle", strconv.FormatUint(s.Shuffle, 10), "does not go with a list of batches", "one of the two")
	}
	for i, b := range s.Batches {
		field := fmt.Sprintf("shape.batches[%d]", i)
		checkText(m, field+".name", b.Name, maxText)
		if b.Size < 1 || b.Size > maxAgents {
			m.add(field+".size", strconv.Itoa(b.Size), "makes an empty or impossible batch", "1 or more")
		}
	}
}

// maxAgents keeps ordinals within an int32.
const maxAgents = 1 << 30

// Batch is a snapshot of a batch.
type Batch struct {
	Index       int         `json:"index"`
	Name        string      `json:"name,omitempty"`
	Size        int         `json:"size"` // number of its agents
	Status      BatchStatus `json:"status"`
	Tolerated   int         `json:"tolerated"` // failures before the threshold is exceeded
	Accepted    int         `json:"accepted"`  // failures that an operator accepted in addition
	Counts      Counts      `json:"counts"`    // its agents by status
	Tasks       Counts      `json:"tasks"`     // its tasks by status
	StartedAt   time.Time   `json:"startedAt,omitzero"`
	FinishedAt  time.Time   `json:"settledAt,omitzero"` // when its last agent ended, most recently
	CompletedAt time.Time   `json:"completedAt,omitzero"`
}
