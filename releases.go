package ota

import (
	"context"
	"slices"
	"time"
)

// releasePlans is how many completed plans are searched for the release of an agent.
const releasePlans = 100

// Releases returns, by ID, the release of version that agents have: that of the newest completed
// plan that brought the agent to version, among the last 100. An agent without such a plan is
// absent.
func (e *Engine) Releases(ctx context.Context, version string, agents []string) (map[string]string, error) {
	want := make(map[string]string, len(agents))
	for _, id := range agents {
		want[id] = version
	}
	found, err := e.releasesBefore(ctx, time.Time{}, version, want)
	if err != nil {
		return nil, wrapError(err, "releases")
	}
	return found, nil
}

// releasesBefore returns the releases of these agents, whose versions are the values of want. It
// searches plans that were created before a time, if there is one. usual is the version of most
// agents.
func (e *Engine) releasesBefore(ctx context.Context, before time.Time, usual string, want map[string]string) (map[string]string, error) {
	found := map[string]string{}
	if len(want) == 0 {
		return found, nil
	}
	page, err := e.store.Plans(ctx, PlanQuery{Status: []Status{StatusCompleted}, Limit: releasePlans})
	if err != nil {
		return nil, err
	}
	open := make([]string, 0, len(want))
	for id := range want {
		open = append(open, id)
	}
	slices.Sort(open)
	for i := range page.Items {
		p := &page.Items[i]
		switch {
		case len(open) == 0:
			return found, nil
		case !before.IsZero() && !p.Spec.CreatedAt.Before(before):
		case p.Source == "" && (p.Spec.ToRelease == "" || !e.sameVersion(p.Spec.ToVersion, usual)):
		default:
			if err := e.releasesOf(ctx, p, open, want, found); err != nil {
				return nil, err
			}
			open = slices.DeleteFunc(open, func(id string) bool { return found[id] != "" })
		}
	}
	return found, nil
}

// releasesOf adds the releases to which one plan has brought agents.
func (e *Engine) releasesOf(ctx context.Context, p *planRow, ids []string, want, found map[string]string) error {
	for chunk := range slices.Chunk(ids, orderChunk) {
		page, err := e.store.Agents(ctx, p.ID, rowQuery{IDs: chunk, Limit: len(chunk)})
		if err != nil {
			return err
		}
		for i := range page.Items {
			r := &page.Items[i]
			t := p.Spec.task(&r.Agent, 0)
			if r.State.Status == TaskSucceeded && t.ToRelease != "" && e.sameVersion(t.ToVersion, want[r.Agent.ID]) {
				found[r.Agent.ID] = t.ToRelease
			}
		}
	}
	return nil
}

// sameVersion reports whether two texts name one version.
func (e *Engine) sameVersion(a, b string) bool {
	return string(sameness(e.opt.SameVersion).as(cleaned(a), b)) == b
}

// withRelease returns the tasks of an agent whose release before the plan is known.
func withRelease(tasks []TaskSpec, release string) []TaskSpec {
	if release == "" {
		return tasks
	}
	if len(tasks) == 0 {
		return []TaskSpec{{FromRelease: release}}
	}
	tasks = slices.Clone(tasks)
	for i := range tasks {
		if tasks[i].FromRelease == "" {
			tasks[i].FromRelease = release
		}
	}
	return tasks
}

// reported is the release that a precheck found, where it counts: where the Spec has none, or where
// the agent ran another version than the Spec says. It is empty otherwise.
func (r *agentRow) reported(s *planSpec) string {
	if m := r.State.More; m != nil && (m.Previous != "" || s.task(&r.Agent, 0).FromRelease == "") {
		return m.Release
	}
	return ""
}

// agreeing is how many agents decide about the release of a plan.
const agreeing = 1000

// findReleases gives agents of a rollback plan the release to go back to, if the source does not
// have it.
func (rb *rollbackBuilder) findReleases(rows []agentRow) error {
	src := &rb.source.Spec
	back := planSpec{FromVersion: src.ToVersion, FromRelease: src.ToRelease, ToVersion: src.FromVersion, ToRelease: src.FromRelease}
	want := map[string]string{}
	for i := range rows {
		if t := back.task(&rows[i].Agent, 0); t.ToRelease == "" && len(rows[i].Agent.Tasks) <= 1 {
			want[rows[i].Agent.ID] = t.ToVersion
		}
	}
	found, err := rb.e.releasesBefore(rb.ctx, src.CreatedAt, src.FromVersion, want)
	if err != nil {
		return err
	}
	for i := range rows {
		a := &rows[i].Agent
		if release := found[a.ID]; release != "" {
			if len(a.Tasks) == 0 {
				a.Tasks = []TaskSpec{{}}
			}
			a.Tasks[0].ToRelease = release
		}
		release := back.task(a, 0).ToRelease
		if release == "" {
			rb.noRelease++
		}
		switch {
		case rows[i].Ordinal == 0:
			rb.release = release
		case rows[i].Ordinal < agreeing && rb.release != release:
			rb.release = ""
		}
	}
	return nil
}
