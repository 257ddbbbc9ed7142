package ota

import (
	"slices"
	"time"
)

// shownAfter are the times after which a preview assumes that a failure shows.
var shownAfter = []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour}

// harm returns what releases would do to the plan.
func (p *createdPlan) harm() []Harm {
	all := []Harm{p.harmOf(HarmFails, 0), p.harmOf(HarmHangs, 0)}
	for _, after := range shownAfter {
		all = append(all, p.harmOf(HarmUnhealthy, after))
	}
	return all
}

func (p *createdPlan) harmOf(kind HarmKind, after time.Duration) Harm {
	h := newHarmed(p)
	stops := false
	switch {
	case kind == HarmUnhealthy:
		stops = h.showsAfter(int64(after))
	case kind == HarmHangs && p.Control.Policy.AttemptTimeout == NoTimeout:
		h.open(0)
		h.start()
	default:
		stops = h.failsAtOnce()
	}
	return Harm{Kind: kind, After: after, Agents: h.changed, Stops: stops}
}

// harmed is a plan whose release breaks every agent. It has the counters that limits and verdicts
// read.
type harmed struct {
	view
	batches []batchRow
	changed int
	// Of showsAfter, by batch: when its agents succeeded, and how many questions about agents of
	// earlier batches were asked when they became unhealthy; -1: they are healthy so far.
	succeeded, asked []int64
	shown            []bool // by batch: its agents have failed
	first            int    // all batches before it are shown
}

func newHarmed(p *createdPlan) *harmed {
	n := len(p.Batches)
	return &harmed{
		view:    view{spec: &p.Spec, c: &p.Control, p: &planProgress{Counts: Counts{Pending: p.Spec.Agents}}},
		batches: slices.Clone(p.Batches), succeeded: make([]int64, 0, n), asked: make([]int64, 0, n), shown: make([]bool, n),
	}
}

// open makes a batch the current one.
func (h *harmed) open(i int) { h.b, h.p.Batch = &h.batches[i], i }

// start starts agents of the current batch, as many as may be open.
func (h *harmed) start() {
	for h.b.Counts.Pending > 0 {
		n := min(concurrencyLimit(&h.view).New, reserveLimit(&h.view).New, h.b.Counts.Pending)
		if n == 0 {
			return
		}
		h.changed += n
		h.p.Open += n
		h.b.Open += n
		h.b.Counts.Pending -= n
	}
}

// fail fails agents of a batch.
func (h *harmed) fail(b *batchRow, n int) {
	for _, c := range [2]*Counts{&h.p.Counts, &b.Counts} {
		c.Failed += n
	}
	for _, e := range [2]*evidence{&h.p.Evidence, &b.Evidence} {
		e.Failed += n
	}
}

// finish ends agents of a batch, whatever their outcome is.
func (h *harmed) finish(b *batchRow, n int) {
	h.p.Open -= n
	b.Open -= n
	h.p.Evidence.Finished += n
	b.Evidence.Finished += n
}

// breached reports whether the failures of a batch, or of the plan, are a breach.
func (h *harmed) breached(b *batchRow) bool {
	current := h.b
	h.b = b
	tolerated, failed := h.tolerance()
	if h.b = current; failed > tolerated {
		return true
	}
	if h.c.Policy.Expect == nil {
		return false
	}
	for _, t := range h.c.expectTests(h.spec, h.p, b) {
		if t.exceeded() {
			return true
		}
	}
	return false
}

// neverStops reports whether no number of failures stops the plan.
func (h *harmed) neverStops() bool {
	p := &h.c.Policy
	stages := slices.ContainsFunc(p.Stages, func(s Stage) bool { return s.FailureThreshold != nil && *s.FailureThreshold < 1 })
	return p.OnBreach == ActionContinue || *p.FailureThreshold == 1 && !stages && p.Expect == nil && p.MaxConsecutive == 0
}

// failsAtOnce lets each agent fail, one after the other, with as many open as may be. It reports
// whether the plan stops.
func (h *harmed) failsAtOnce() bool {
	if h.neverStops() {
		h.changed = h.spec.Agents
		return false
	}
	most := h.c.Policy.MaxConsecutive
	for i := range h.batches {
		h.open(i)
		for h.start(); h.b.Open > 0; h.start() {
			h.fail(h.b, 1)
			h.finish(h.b, 1)
			if h.breached(h.b) || most > 0 && h.p.Counts.Failed > most {
				return true
			}
		}
		h.p.Halved = halved(h.p.Halved, h.c.Policy.at(i).concurrency, h.b.Counts.Failed)
	}
	return false
}

// showsAfter lets each agent succeed at once, and become unhealthy so long after. It reports whether
// the plan stops.
func (h *harmed) showsAfter(after int64) bool {
	if h.neverStops() {
		h.changed = h.spec.Agents
		return false
	}
	now, asked := int64(0), int64(0)
	for i := range h.batches {
		h.open(i)
		n := h.b.Size
		h.changed += n
		h.finish(h.b, n)
		h.p.Open, h.b.Open = 0, 0
		h.succeeded, h.asked = append(h.succeeded, now), append(h.asked, -1)
		end := h.soak(now, after)
		stops := h.shown[i] && h.breached(h.b)
		if h.c.Policy.Soak.ToEnd && h.earlier(now, end, after, &asked) || stops {
			return true
		}
		now = end
	}
	return false
}

// soak returns when the current batch passes. Its agents fail in it, if a round of questions finds
// them unhealthy.
func (h *harmed) soak(now, after int64) (end int64) {
	o, soak := &h.c.Policy.Soak, int64(h.c.Policy.at(h.b.Index).soak)
	end = now + soak + int64(o.Stable)
	first := (after + o.interval() - 1) / o.interval() // the round that finds them
	if first >= rounds(now, end, o.interval()) {
		return end
	}
	h.shown[h.b.Index] = true
	h.fail(h.b, h.b.Size)
	failed := now + first*o.interval() + int64(o.Grace)
	return max(failed, now+soak) + int64(o.Stable)
}

// rounds is how many rounds of questions begin before end. The first one begins at once.
func rounds(now, end, interval int64) int64 { return max((end-now+interval-1)/interval, 1) }

// earlier asks agents of earlier batches, in the rounds of the current one. The agents of a batch
// have failed at the latest when as many questions were asked since they became unhealthy as there
// are agents in all earlier batches. It reports whether that is a breach.
func (h *harmed) earlier(now, end, after int64, asked *int64) bool {
	o, agents := &h.c.Policy.Soak, h.b.First
	sample, n := int64(o.sample(agents)), rounds(now, end, o.interval())
	defer func() { *asked += n * sample }()
	stops := false
	for h.first < h.b.Index && h.shown[h.first] {
		h.first++
	}
	for j := h.first; j < h.b.Index; j++ {
		if h.shown[j] {
			continue
		}
		sick := max((h.succeeded[j]+after-now+o.interval()-1)/o.interval(), 0)
		if sick >= n { // later batches succeeded later
			break
		}
		if h.asked[j] < 0 {
			h.asked[j] = *asked + sick*sample
		}
		if *asked+n*sample-h.asked[j] < int64(agents) {
			continue
		}
		h.shown[j] = true
		h.fail(&h.batches[j], h.batches[j].Size)
		stops = stops || h.breached(&h.batches[j])
	}
	return stops
}
