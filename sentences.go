package ota

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// sentences are the rules of a policy in plain English, in the order of String. Each returns "" if
// its rule does not apply. To add a rule, add a function to this list.
var sentences = []func(*Policy) string{
	concurrencySentence,
	thresholdSentence,
	expectSentence,
	consecutiveSentence,
	timeoutSentence,
	breachSentence,
	reserveSentence,
	budgetSentences,
	holdSentence,
	stageSentences,
	windowSentence,
	rateSentence,
	attemptSentence,
	unreachableSentence,
	soakSentence,
	healthSentence,
	earlierSentence,
	compareSentence,
	gateSentence,
	stragglersSentence,
	completeSentence,
	abandonedSentence,
}

// String returns the policy as sentences, one rule a line, with defaults filled in. It omits rules
// that are off. Two policies whose fields differ have different texts, unless the fields mean the
// same, or have no effect. The text is for people and may change.
func (p Policy) String() string {
	p = p.withDefaults()
	lines := make([]string, 0, len(sentences))
	for _, sentence := range sentences {
		if text := sentence(&p); text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "\n")
}

func concurrencySentence(p *Policy) string {
	text := "At most " + plural.Count(p.Concurrency, "agent") + " " + plural.Verb(p.Concurrency, "is", "are") + " upgraded at once."
	if p.Halve {
		text += " Each batch with a failure halves that; each batch without one doubles it again."
	}
	return text
}

func thresholdSentence(p *Policy) string {
	of := [...]string{ScopeBatch: "a batch", ScopePlan: "the plan", ScopeFirst: "the first batch"}[p.Scope]
	switch threshold := *p.FailureThreshold; {
	case threshold == 0:
		return "The first failure in " + of + " is a breach."
	case threshold < 1:
		return "More failures than " + percent(threshold, exactly) + " of " + of + " are a breach."
	case p.Expect == nil:
		return "No number of failures is a breach."
	default:
		return ""
	}
}

func expectSentence(p *Policy) string {
	if p.Expect == nil {
		return ""
	}
	return "Usually at most " + percent(p.Expect.Normal, exactly) + " of agents fail: more failures than that explains are a breach. " +
		"It stops a good release by mistake in at most " + percent(p.Expect.Alpha, exactly) + " of plans."
}

func consecutiveSentence(p *Policy) string {
	if p.MaxConsecutive == 0 {
		return ""
	}
	return "More than " + plural.Count(p.MaxConsecutive, "failure/in a row") + " " + plural.Verb(p.MaxConsecutive, "is", "are") + " a breach."
}

func timeoutSentence(p *Policy) string {
	var limits []string
	if p.BatchTimeout > 0 {
		limits = append(limits, "a batch that takes longer than "+brief(p.BatchTimeout))
	}
	if p.PlanTimeout > 0 {
		limits = append(limits, "a plan that takes longer than "+brief(p.PlanTimeout))
	}
	if len(limits) == 0 {
		return ""
	}
	return "Also a breach: " + strings.Join(limits, "; ") + "."
}

func breachSentence(p *Policy) string {
	return "On a breach the plan " + [...]string{
		ActionPause:    "pauses, and a person decides.",
		ActionRollback: "rolls back the agents that it may have changed.",
		ActionContinue: "records it and continues.",
	}[p.OnBreach]
}

func reserveSentence(p *Policy) string {
	if !p.Reserve {
		return ""
	}
	return "Agents start only while, if all open ones fail, at most one more has failed than is tolerated."
}

func budgetSentences(p *Policy) string {
	lines := make([]string, len(p.Budgets))
	for i, b := range p.Budgets {
		lines[i] = b.sentence()
	}
	return strings.Join(lines, "\n")
}

// sentence returns for example "Of the agents with the same cluster, at most 1 may be unavailable at
// once; with cluster "db" at most 3".
func (b *Budget) sentence() string {
	most := "any number"
	if b.Max > 0 {
		most = "at most " + strconv.Itoa(b.Max)
	}
	of := [...]string{UnavailableAgents: "unavailable", OpenAgents: "open"}[b.Of]
	parts := []string{"Of the agents with the same " + b.Label + ", " + most + " may be " + of + " at once"}
	for _, value := range slices.Sorted(maps.Keys(b.Each)) {
		parts = append(parts, fmt.Sprintf("with %s %q at most %d", b.Label, value, b.Each[value]))
	}
	if b.Values > 0 {
		parts = append(parts, "at most "+plural.Count(b.Values, "value/of "+b.Label)+" at a time")
	}
	return strings.Join(parts, "; ") + "."
}

func holdSentence(p *Policy) string {
	switch n := len(p.Hold.Batches); {
	case p.Hold.All:
		return "Each batch but the first waits for Promote."
	case n > 0:
		return plural.Noun(n, "Batch") + " " + list(p.Hold.Batches) + " " + plural.Verb(n, "waits", "wait") + " for Promote."
	default:
		return ""
	}
}

func stageSentences(p *Policy) string {
	lines := make([]string, len(p.Stages))
	for i := range p.Stages {
		lines[i] = p.Stages[i].sentence()
	}
	return strings.Join(lines, "\n")
}

// sentence returns for example "In batch 2: concurrency 50, soak 1h, waits for Promote".
func (s *Stage) sentence() string {
	var rules []string
	if s.Concurrency > 0 {
		rules = append(rules, "concurrency "+strconv.Itoa(s.Concurrency))
	}
	if s.FailureThreshold != nil {
		rules = append(rules, "failure threshold "+percent(*s.FailureThreshold, exactly))
	}
	if s.Soak != nil {
		rules = append(rules, "soak "+brief(*s.Soak))
	}
	if s.Hold != nil {
		rules = append(rules, map[bool]string{true: "waits for Promote", false: "does not wait for Promote"}[*s.Hold])
	}
	if len(rules) == 0 {
		rules = []string{"as in every batch"}
	}
	return "In batch " + strconv.Itoa(s.Batch) + ": " + strings.Join(rules, ", ") + "."
}

func windowSentence(p *Policy) string {
	if len(p.Windows) == 0 {
		return ""
	}
	windows := make([]string, len(p.Windows))
	for i := range p.Windows {
		windows[i] = p.Windows[i].words()
	}
	return "Agents start only in these windows: " + strings.Join(windows, "; ") + "."
}

// words returns for example "Sat, Sun 22:00 for 8h in Europe/Berlin, not in the last 30m".
func (w *Window) words() string {
	days := make([]string, len(w.Days))
	for i, d := range w.Days {
		days[i] = d.String()[:min(3, len(d.String()))]
	}
	text := "daily"
	if len(days) > 0 {
		text = strings.Join(days, ", ")
	}
	zone := w.Zone
	if zone == "" {
		zone = "UTC"
	}
	clock := time.Time{}.Add(w.Start)
	layout := "15:04"
	if w.Start%time.Minute != 0 {
		layout = "15:04:05.999"
	}
	text += " " + clock.Format(layout) + " for " + brief(w.Length) + " in " + zone
	if w.Margin > 0 {
		text += ", not in the last " + brief(w.Margin)
	}
	return text
}

func rateSentence(p *Policy) string {
	if p.Rate.Starts == 0 {
		return ""
	}
	return "At most " + plural.Count(p.Rate.Starts, "attempt") + " " + plural.Verb(p.Rate.Starts, "starts", "start") + " in " + brief(p.Rate.Per) + "."
}

func attemptSentence(p *Policy) string {
	text := "An attempt may take " + brief(p.AttemptTimeout) + "; "
	r := p.Retry
	if r.Max == 0 {
		return text + "a failed one is not repeated."
	}
	text += "a failed one is repeated at most " + plural.Count(r.Max, "time")
	switch {
	case r.Backoff == 0:
		text += ", at once"
	case r.Max == 1:
		text += ", after " + brief(r.Backoff)
	default:
		text += ", after " + brief(r.Backoff) + ", then twice as long each time"
	}
	if r.MaxBackoff > 0 {
		text += ", never after more than " + brief(r.MaxBackoff)
	}
	return text + "."
}

func unreachableSentence(p *Policy) string {
	does := [...]string{UnreachableFails: "fails", UnreachableSkipped: "is skipped, which is no failure"}[p.OnUnreachable]
	if p.UnreachableTimeout == NoTimeout {
		return "The plan waits for an unreachable agent for any time."
	}
	return "An agent that is unreachable for more than " + brief(p.UnreachableTimeout) + " " + does + "."
}

func soakSentence(p *Policy) string {
	o := p.Soak
	switch {
	case o.None():
		return "A batch is not observed for any time after its last agent."
	case o.Stable == 0:
		return "A batch is observed for " + brief(o.Duration) + " after its last agent."
	case o.Duration == 0:
		return "A batch is observed until all its agents have been healthy for " + brief(o.Stable) + "."
	default:
		return "A batch is observed for " + brief(o.Duration) + " after its last agent, and until all have been healthy for another " + brief(o.Stable) + "."
	}
}

func healthSentence(p *Policy) string {
	text := "A Prober is asked every " + brief(p.Soak.Interval) + "; "
	switch n := p.Soak.misses(); n {
	case 0:
		text += "its batch waits for an agent that does not answer."
	case 1:
		text += "an agent that does not answer counts as unhealthy."
	default:
		text += plural.Count(n, "question") + " in a row without an answer count as unhealthy."
	}
	if p.Soak.Grace == 0 {
		return text + " An unhealthy agent fails at once."
	}
	return text + " An unhealthy agent fails after " + brief(p.Soak.Grace) + "."
}

func earlierSentence(p *Policy) string {
	sample := "1 % of them, 10 to 1000"
	if p.Soak.Sample > 0 {
		sample = plural.Count(p.Soak.Sample, "agent")
	}
	switch {
	case p.Soak.ToEnd:
		return "Agents of earlier batches are observed until the plan ends; a round asks " + sample + "."
	case p.Soak.Sample > 0:
		return "While the next batch waits, a round asks " + sample + " of the batch before."
	default:
		return ""
	}
}

func compareSentence(p *Policy) string {
	if n := p.Soak.Compare; n > 0 && n != DefaultSoakCompare {
		return "A breach is compared with " + plural.Count(n, "agent") + " that the plan has not begun."
	} else if n == Off {
		return "A breach is not compared with agents that the plan has not begun."
	}
	return ""
}

func stragglersSentence(p *Policy) string {
	if p.Stragglers.Share == 0 {
		return ""
	}
	return "A batch goes on without its last " + percent(p.Stragglers.Share, exactly) + " of agents, " + brief(p.Stragglers.After) + " after its last start."
}

func gateSentence(p *Policy) string {
	g := p.Gate
	if g == (Gate{Interval: DefaultGateInterval}) {
		return ""
	}
	return fmt.Sprintf("A Gater is asked every %s after a batch; more than %s or %s pause the plan.", brief(g.Interval),
		plural.Count(g.MaxInconclusive, "inconclusive answer"), plural.Count(g.MaxErrors, "error"))
}

func completeSentence(p *Policy) string {
	c := p.Complete
	if c.Min == 0 {
		return ""
	}
	text := "The plan is completed once " + percent(c.Min, exactly) + " of its agents are at the target"
	if c.Within > 0 {
		text += ", or " + brief(c.Within) + " after its last agent"
	}
	return text + "; Promote completes it as it is."
}

func abandonedSentence(p *Policy) string {
	if p.MaxAbandoned == p.Concurrency {
		return ""
	}
	return "More than " + plural.Count(p.MaxAbandoned, "call") + " that " + plural.Verb(p.MaxAbandoned, "does", "do") + " not return after the timeout " +
		plural.Verb(p.MaxAbandoned, "pauses", "pause") + " the plan."
}

// Harm is what a release does that breaks every agent that it reaches: how many agents, until the
// plan starts no more. It is arithmetic over the plan's batches, by the limits and verdicts of the
// engine.
//
// Agents is exact where calls end one after the other, and agents succeed and answer at once.
// Otherwise it is an upper bound. Everything that delays a plan can only lower it: calls that take
// time, Rate, Budgets, Windows, a Hold (each batch counts as promoted at once), prechecks. So can
// everything that stops it earlier: a gate, BatchTimeout, PlanTimeout, a call that is abandoned. With
// Soak.ToEnd, it is exact while Soak.Sample is all agents of earlier batches.
//
// A failure that shows later needs a Prober whose rounds take less than Soak.Interval, or reports of
// health that come at least as soon.
type Harm struct {
	Kind HarmKind `json:"kind"`
	// After is how long after its success an agent becomes unhealthy. It is 0 for the other kinds.
	After time.Duration `json:"after,omitempty"`
	// Agents is how many agents the release changes before the plan starts no more.
	Agents int `json:"agents"`
	// Stops reports that a breach stops the plan. Otherwise it goes on to its end, or waits for calls
	// that never return.
	Stops bool `json:"stops"`
}

// HarmKind is how a release breaks an agent.
type HarmKind uint8

// The kinds of harm.
const (
	HarmFails     HarmKind = iota // each call fails
	HarmHangs                     // each call hangs, until AttemptTimeout ends it
	HarmUnhealthy                 // each call succeeds; the agent is unhealthy Harm.After later
)

var harmKinds = enum[HarmKind]{"harm", []string{"fails", "hangs", "unhealthy"}}
