package httpapi

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
	"github.com/seed-19b57ce3/ota/httpapi/internal/policy"
	"github.com/seed-19b57ce3/ota/httpapi/internal/spool"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/simulate"
)

// previewPlan is PreviewPlan: what the same body would make of CreateGraduatedPlan. Nothing is
// written.
func previewPlan(c *call) error {
	if err := c.h.opt.Auth.Allow(c.r.Context(), c.who, Access{Action: ActionCreate}); err != nil {
		return err
	}
	one, err := c.length("callDuration")
	if err != nil {
		return err
	}
	x := &creation{c: c, agents: spool.Spool{Dir: c.h.opt.TempDir}, most: c.h.opt.Limits.Preview}
	defer x.agents.Close()
	if _, err = c.decode(c.h.opt.Limits.CreateBody, false, nil, x.read); err != nil {
		return err
	}
	if err := x.settle(); err != nil {
		return err
	}
	c.wait.For(x.agents.Len(), time.Millisecond)
	p, err := c.h.engine.Preview(c.r.Context(), x.spec, ota.PreviewOptions{})
	if err != nil {
		return x.explain(err)
	}
	out := previewOf(&p, x.spec.Annotations)
	out.Warnings = append(slices.Clip(out.Warnings), c.warnings...)
	if one != 0 {
		spec := c.h.engine.Resolved(c.r.Context(), x.spec)
		s, err := simulate.Earliest(c.r.Context(), spec, one, p.Readiness.At)
		if err != nil {
			return x.explain(err)
		}
		schedule(&out, s)
	}
	return c.json(out)
}

// length reads a parameter that is a length of time.
func (c *call) length(name string) (time.Duration, error) {
	values := c.query[name]
	if len(values) == 0 {
		return 0, nil
	}
	d, ok := duration.Parse(values[0])
	if !ok || len(values) > 1 {
		return 0, newProblem("malformed", "", wire.Mistake{Pointer: name, Problem: "is no duration", Value: texts.Shorten(values[0]), Allowed: durations})
	}
	return d, nil
}

func previewOf(p *ota.Preview, annotations map[string]string) wire.Preview {
	text, warning := observeText(&p.Policy, annotations)
	out := wire.Preview{
		TotalAgents: p.Agents, ToleratedFailures: p.Tolerated, FailureThreshold: *p.Policy.FailureThreshold, Concurrency: p.Policy.Concurrency, ObserveDuration: text,
		Policy: policy.Of(&p.Policy).Policy, Batches: make([]wire.PreviewBatch, len(p.Batches)), Warnings: append([]string{}, p.Warnings...),
		Conflicts: []wire.Conflict{}, TotalConflicts: p.Readiness.ConflictCount,
	}
	out.Summary, out.PolicyText = strings.Split(p.String(), "\n"), strings.Split(p.Policy.String(), "\n")
	if warning != "" {
		out.Warnings = append(slices.Clip(out.Warnings), warning)
	}
	for _, x := range p.Readiness.Conflicts {
		out.Conflicts = append(out.Conflicts, wire.Conflict{AgentID: x.Agent, PlanID: x.Plan})
	}
	for _, h := range p.Harm {
		out.Harm = append(out.Harm, wire.Harm{Kind: h.Kind, After: wire.Duration(h.After), Agents: h.Agents, Stops: h.Stops})
	}
	for _, s := range p.Sees {
		out.Sees = append(out.Sees, wire.Sees{BatchIndex: s.Batch, Agents: s.Agents, Shows: s.Shows, Stops: s.Stops})
	}
	for i, b := range p.Batches {
		out.Batches[i] = wire.PreviewBatch{BatchIndex: b.Index, Name: b.Name, Agents: b.Size, ToleratedFailures: b.Tolerated, Concurrency: b.Concurrency, Soak: wire.Duration(b.Soak), Held: b.Held}
	}
	return out
}

// schedule adds when the plan and its batches begin and end at the earliest.
func schedule(out *wire.Preview, s *simulate.Schedule) {
	out.Duration = wire.Duration(s.Takes)
	for i, b := range s.Batches {
		if b.Ends > 0 {
			begins, ends := wire.Duration(b.Begins), wire.Duration(b.Ends)
			out.Batches[i].BeginsAfter, out.Batches[i].EndsAfter = &begins, &ends
		}
	}
}
