package httpapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
	"github.com/seed-19b57ce3/ota/httpapi/internal/policy"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
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
		ID: p.ID, Name: p.Name, FromVersion: p.FromVersion, ToVersion: p.ToVersion, FromRelease: p.FromRelease,
		ToRelease: p.ToRelease, Batches: []wire.Batch{}, FailureThreshold: *p.Policy.FailureThreshold, Concurrency: p.Policy.Concurrency,
		Status: p.Status, CurrentBatch: p.Batch, CreatedBy: p.CreatedBy, CreatedAt: wire.Time{Time: p.CreatedAt}, StartedAt: wire.Time{Time: p.StartedAt},
		PausedAt: wire.Time{Time: p.PausedAt}, PauseReason: pauseReason(p), CompletedAt: wire.Time{Time: p.EndedAt}, SourcePlanUUID: p.Source, Error: faults(p),
		Labels: p.Labels, Annotations: shownAnnotations(p.Annotations), RollbackPlanUUID: p.RollbackPlan, Rollback: templateOf(p.RollbackSpec), TotalAgents: p.Agents,
		Policy: policy.Of(&p.Policy).Policy, Warnings: p.Warnings,
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
	out := &wire.RollbackTemplate{Name: t.Name, Labels: t.Labels, Annotations: shownAnnotations(t.Annotations), Mode: "drain"}
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

// faults is what paused a plan when it was not the number of its failures.
func faults(p *ota.Plan) string {
	if p.Status != ota.StatusPausing && p.Status != ota.StatusPaused {
		return ""
	}
	for _, b := range p.Breaches {
		if b.Reason != ota.ReasonThreshold && b.Reason != ota.ReasonConsecutive && b.Action != ota.ActionContinue {
			return b.String()
		}
	}
	return ""
}
