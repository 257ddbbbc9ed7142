package httpapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
	"github.com/seed-19b57ce3/ota/httpapi/internal/policy"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/plural"
)

// observeKey is the annotation that keeps the text of observeDuration as it was given. Keys with
// its prefix are this package's own and are not shown.
const (
	ownKeys    = "httpapi."
	observeKey = ownKeys + "observeDuration"
)

// planOf is a plan on the wire, without its batches.
func planOf(p *ota.Plan) wire.Plan {
	out := wire.Plan{
		ID: p.ID, Name: p.Name, FromVersion: p.FromVersion, ToVersion: p.ToVersion, FromRelease: fromRelease(p),
		ToRelease: p.ToRelease, Batches: []wire.Batch{}, FailureThreshold: *p.Policy.FailureThreshold, Concurrency: p.Policy.Concurrency,
		Status: p.Status, CurrentBatch: p.Batch, CreatedBy: p.CreatedBy, CreatedAt: wire.Time{Time: p.CreatedAt}, StartedAt: wire.Time{Time: p.StartedAt},
		PausedAt: wire.Time{Time: p.PausedAt}, PauseReason: pauseReason(p), CompletedAt: wire.Time{Time: p.EndedAt}, SourcePlanUUID: p.Source, Error: faults(p),
		Labels: p.Labels, Annotations: shownAnnotations(p.Annotations), RollbackPlanUUID: p.RollbackPlan, Rollback: templateOf(p.RollbackSpec), TotalAgents: p.Agents, Coverage: p.Coverage,
		ToleratedFailures: p.Tolerated,
		Policy:            policy.Of(&p.Policy).Policy, Warnings: p.Warnings,
		Counts: p.Counts, Touched: p.Changed, BatchCount: p.Batches, Owner: p.Owner, Revision: p.Revision, Generation: p.Generation, Breaches: p.Breaches,
	}
	if a := p.Paused; a != nil {
		out.Paused = &wire.Audit{Actor: a.Actor, Reason: a.Reason, At: wire.Time{Time: a.At}}
	}
	if w := p.Waiting; w != nil {
		out.Waiting = &wire.Waiting{Reason: w.Reason, Sentence: w.Reason.Sentence(), Since: wire.Time{Time: w.Since}, Needs: w.Needs}
	}
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	var warning string
	if out.ObserveDuration, warning = observeText(&p.Policy, p.Annotations); warning != "" {
		out.Warnings = append(slices.Clip(out.Warnings), warning)
	}
	return out
}

// observeText is observeDuration as it was given, unless it was changed otherwise since; and a
// warning when it has no effect because it is no duration.
func observeText(p *ota.Policy, annotations map[string]string) (text, warning string) {
	text = annotations[observeKey]
	d, ok := duration.Parse(text)
	switch {
	case text != "" && !ok:
		return text, fmt.Sprintf("observeDuration %q is no duration and has no effect", text)
	case text != "" && d == p.Soak.Duration:
		return text, ""
	case p.Soak.Duration != 0:
		return p.Soak.Duration.String(), ""
	default:
		return "", ""
	}
}

// templateOf is what a creation said of the plan's rollback, or nil when it said nothing.
func templateOf(t *ota.RollbackSpec) *wire.RollbackTemplate {
	if t == nil {
		return nil
	}
	out := &wire.RollbackTemplate{Name: t.Name, Labels: t.Labels, Annotations: shownAnnotations(t.Annotations), Mode: "drain", Inherit: t.Inherit}
	if t.Interrupt {
		out.Mode = "interrupt"
	}
	given := &ota.Policy{}
	if t.Policy != nil {
		given = t.Policy
		whole := policy.Of(given)
		out.RollbackPolicy = &whole
	}
	out.ObserveDuration, _ = observeText(given, t.Annotations)
	return out
}

func shownAnnotations(all map[string]string) map[string]string {
	m := maps.Clone(all)
	maps.DeleteFunc(m, func(k, _ string) bool { return strings.HasPrefix(k, ownKeys) })
	return m
}

// pauseReason says why a plan is pausing or paused: first what struck, then who said so.
func pauseReason(p *ota.Plan) string {
	if p.Status != ota.StatusPausing && p.Status != ota.StatusPaused {
		return ""
	}
	var why []string
	for _, b := range p.Breaches {
		if b.Action != ota.ActionContinue {
			why = append(why, b.String())
		}
	}
	if s := p.Paused; s != nil {
		text := "Paused"
		if s.Actor != "" {
			text += " by " + s.Actor
		}
		if s.Reason != "" {
			text += ": " + s.Reason
		}
		why = append(why, text)
	}
	if p.RollbackPlan != "" {
		why = append(why, ota.ReasonFrozen.Sentence()+": "+p.RollbackPlan)
	}
	return strings.Join(why, "; ")
}

// failures is what the failed agents of a plan said, and how many said it, as in the document's
// example: "upgrade failed: timeout". It looks at a page of them.
func failures(ctx context.Context, e *ota.Engine, p *ota.Plan) (string, error) {
	if p.Counts.Bad() == 0 {
		return "", nil
	}
	const looked, named = 100, 3
	found, err := e.Agents(ctx, p.ID, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskFailed, ota.TaskUnknown}, Limit: looked})
	if err != nil {
		return "", err
	}
	var said []string
	count := map[string]int{}
	for i := range found.Items {
		text := errorOf(&found.Items[i])
		if count[text]++; count[text] == 1 {
			said = append(said, text)
		}
	}
	slices.SortStableFunc(said, func(a, b string) int { return count[b] - count[a] })
	word := "upgrade failed: "
	if p.Source != "" {
		word = "rollback failed: "
	}
	var parts []string
	for i, text := range said {
		if i == named {
			parts = append(parts, "…")
			break
		}
		agents := "agents"
		if count[text] == 1 {
			agents = "agent"
		}
		parts = append(parts, fmt.Sprintf("%s (%d %s)", text, count[text], agents))
	}
	if found.More {
		parts = append(parts, plural.Count(p.Counts.Bad(), "agent")+" failed in all")
	}
	return word + strings.Join(parts, "; "), nil
}

// errorOf is why an agent has failed: the error of its first task that did, else the reason.
func errorOf(a *ota.AgentInfo) string {
	for i := range a.Tasks {
		t := &a.Tasks[i]
		if t.Status != ota.TaskFailed && t.Status != ota.TaskUnknown {
			continue
		}
		if t.Error != "" {
			return texts.Shorten(t.Error)
		}
		return t.Reason.Sentence()
	}
	return ota.ReasonUnhealthy.Sentence()
}

// faults is what paused a plan when it was not the number of its failures.
func faults(p *ota.Plan) string {
	if p.Status != ota.StatusPausing && p.Status != ota.StatusPaused {
		return ""
	}
	for _, b := range p.Breaches {
		if b.Reason != ota.ReasonThreshold && b.Reason != ota.ReasonExpect && b.Reason != ota.ReasonConsecutive && b.Action != ota.ActionContinue {
			return b.String()
		}
	}
	return ""
}
