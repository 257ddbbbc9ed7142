package ota

import (
	"fmt"
	"math"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/expect"
	"github.com/seed-19b57ce3/ota/internal/plural"
)

// Sees is which failure rates a plan finds with a probability of 95 %, by the end of a batch. A
// release with a rate of 0.1 breaks each agent with a probability of 0.1, independently of the
// others. Rates are rounded to a millionth.
type Sees struct {
	Batch  int `json:"batch"`
	Agents int `json:"agents"` // of this batch and all before it
	// Shows is the smallest rate with which at least one of the agents fails. A person who looks
	// sees it.
	Shows float64 `json:"shows"`
	// Stops is a rate from which on the plan stops by itself: more agents of the plan or of this
	// batch have failed than are tolerated. The smallest such rate may be less, since the plan is
	// judged after every agent. 0: it stops no release.
	Stops float64 `json:"stops"`
}

// sees returns which failure rates the plan finds.
func (p *createdPlan) sees() (all []Sees) {
	agents, reported, stops := 0, 0, 1.0
	for i := range p.Batches {
		b := &p.Batches[i]
		if agents += b.Size; agents < 2*reported && i+1 < len(p.Batches) {
			continue
		}
		reported = agents
		stops = min(stops, p.stopsAfter(b, agents))
		x := Sees{Batch: i, Agents: agents, Shows: millionths(expect.Sees(agents, 0))}
		if stops < 1 && p.Control.Policy.OnBreach != ActionContinue {
			x.Stops = millionths(stops)
		}
		all = append(all, x)
	}
	return all
}

// millionths rounds a rate. Processors differ in the last digits.
func millionths(rate float64) float64 { return math.Round(rate*1e6) / 1e6 }

// stopsAfter returns the smallest rate that a verdict finds after a batch, when so many agents have
// begun; 1: it finds none.
func (p *createdPlan) stopsAfter(b *batchRow, agents int) float64 {
	c := &p.Control
	rate := 1.0
	switch r := c.Policy.at(b.Index); {
	case c.Policy.Scope == ScopePlan:
		rate = expect.Sees(agents, Tolerated(*c.Policy.FailureThreshold, p.Spec.Agents))
	case r.judges:
		rate = expect.Sees(b.Size, r.tolerated(b.Size))
	}
	if c.Policy.Expect == nil {
		return rate
	}
	rate = min(rate, expect.Sees(agents, c.Expected.Plan.Tolerated(agents)))
	if len(p.Batches) > 1 {
		rate = min(rate, expect.Sees(b.Size, c.Expected.Batch.Tolerated(b.Size)))
	}
	return rate
}

// String says in at most twelve lines what the plan tolerates, which failure rates it finds, and
// what a release would harm that breaks every agent. The text is for people and may change.
func (p Preview) String() string {
	if len(p.Batches) == 0 || len(p.Sees) == 0 {
		return ""
	}
	first, last := p.Sees[0], p.Sees[len(p.Sees)-1]
	lines := []string{
		p.batchesText(),
		fmt.Sprintf("It tolerates %s in the first batch, and %d of all agents.", plural.Count(p.Batches[0].Tolerated, "failure"), p.Tolerated),
		fmt.Sprintf("The first batch shows a failure, with 95 %%, of a release that breaks %s of agents or more.", percent(first.Shows, 2)),
	}
	if first.Stops > 0 {
		lines = append(lines, fmt.Sprintf("It stops by itself, with 95 %%, a release that breaks %s or more.", percent(first.Stops, 2)))
	} else {
		lines = append(lines, "It stops no release by itself.")
	}
	if last.Stops > 0 {
		lines = append(lines, fmt.Sprintf("A release that breaks less than %s passes unseen.", percent(last.Stops, 2)))
	} else {
		lines = append(lines, "No failure rate stops the plan.")
	}
	return strings.Join(append(append(lines, "A release that breaks every agent reaches, if health is asked or reported:"), p.harmLines()...), "\n")
}

// batchesText returns for example "100 agents in 3 batches: the first has 10, the largest 50".
func (p *Preview) batchesText() string {
	largest := 0
	for _, b := range p.Batches {
		largest = max(largest, b.Size)
	}
	text := plural.Count(p.Agents, "agent") + " in " + plural.Count(len(p.Batches), "batch")
	if len(p.Batches) > 1 {
		text += fmt.Sprintf(": the first has %d, the largest %d", p.Batches[0].Size, largest)
	}
	return text + "."
}

// harmLines has a line for each different number of agents, with the kinds of harm that reach it.
func (p *Preview) harmLines() []string {
	var lines []string
	for i, h := range p.Harm {
		if i > 0 && h.Agents == p.Harm[i-1].Agents && h.Stops == p.Harm[i-1].Stops {
			lines[len(lines)-1] += ", " + h.words()
			continue
		}
		agents := "at most " + plural.Count(h.Agents, "agent")
		if h.Agents == p.Agents {
			agents = "all " + plural.Count(h.Agents, "agent")
		}
		if !h.Stops {
			agents += ", and nothing stops the plan"
		}
		lines = append(lines, "  "+agents+": "+h.words())
	}
	return lines
}

// words returns for example "it shows after 5m".
func (h *Harm) words() string {
	switch h.Kind {
	case HarmFails:
		return "calls fail"
	case HarmHangs:
		return "calls hang"
	default:
		return "it shows after " + brief(h.After)
	}
}
