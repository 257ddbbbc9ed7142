package arcgis

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// The labels that make a plan a version.
const (
	labelPatch      = "patch"      // the version's id, pat_… or rel_…
	labelPatchFrom  = "patchFrom"  // the id of the version below it, pat_…
	labelDeployment = "deployment" // where it is installed
)

func isPatch(id string) bool   { return strings.HasPrefix(id, "pat_") }
func isRelease(id string) bool { return strings.HasPrefix(id, "rel_") }

// site is the deployment as its plans tell.
type site struct {
	chain   []ota.Plan // the versions that led here, the oldest first; the last is where it stands
	job     *job       // the newest rollback job; nil when there never was one
	working *ota.Plan  // a labelled plan, or the rollback of one, that was begun and has not ended
	waiting *ota.Plan  // one that was not started yet
}

// survey reads the deployment's plans.
func (h *Handler) survey(ctx context.Context) (site, error) {
	var s site
	var done []ota.Plan
	err := h.plans(ctx, ota.PlanQuery{
		Labels: h.labels(nil),
		Status: []ota.Status{
			ota.StatusPending, ota.StatusRunning, ota.StatusPausing, ota.StatusPaused, ota.StatusCanceling,
			ota.StatusRollingBack, ota.StatusCompleted,
		},
	}, func(p *ota.Plan) bool {
		id := p.Labels[labelPatch]
		switch {
		case !isPatch(id) && !isRelease(id):
		case p.Status == ota.StatusPending:
			s.waiting = cmp.Or(s.waiting, p)
		case p.Status != ota.StatusCompleted, p.RollbackPlan != "": // a rollback of it was begun, or is about to be made
			s.working = cmp.Or(s.working, p) // the newest
		case p.Source == "":
			done = append(done, *p)
		}
		return true
	})
	if err != nil {
		return s, err
	}
	s.chain = chainOf(done)
	s.job, err = h.newest(ctx)
	return s, err
}

// plans calls each for all plans that match, the newest first, until it returns false.
func (h *Handler) plans(ctx context.Context, q ota.PlanQuery, each func(*ota.Plan) bool) error {
	seen := map[string]bool{} // a plan made meanwhile moves the others onto the next page
	for {
		page, err := h.engine.Plans(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			p := &page.Items[i]
			if seen[p.ID] {
				continue
			}
			seen[p.ID] = true
			if !each(p) {
				return nil
			}
		}
		q.Offset += len(page.Items)
		if !page.More || len(page.Items) == 0 {
			return nil
		}
	}
}

// labels are what a query for plans of the deployment asks for.
func (h *Handler) labels(also map[string]string) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, also)
	if h.opt.Deployment != "" {
		labels[labelDeployment] = h.opt.Deployment
	}
	return labels
}

// chainOf orders versions by their completion and keeps what leads to the newest: a version that
// does not begin where the one before it ended begins a chain of its own.
func chainOf(done []ota.Plan) []ota.Plan {
	slices.SortStableFunc(done, func(a, b ota.Plan) int {
		return cmp.Or(a.EndedAt.Compare(b.EndedAt), a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	first := max(0, len(done)-1)
	for first > 0 && done[first].FromVersion == done[first-1].ToVersion {
		first--
	}
	return done[first:]
}

// closed refuses everything below upgrades while something is at work.
func (s *site) closed() error {
	const message = "An upgrade or rollback is in progress."
	switch {
	case s.job != nil && !s.job.done():
		return bad(message, "the rollback to "+s.job.to)
	case s.working != nil:
		return bad(message, fmt.Sprintf("plan %s is %s", s.working.ID, describe(s.working)))
	}
	return nil
}

func describe(p *ota.Plan) string {
	if p.Status == ota.StatusCompleted {
		return "about to be rolled back"
	}
	return p.Status.String()
}

// target is a version that can be gone back to.
type target struct {
	id, text, previous string
	name, description  string
	released           int64      // epoch milliseconds; 0 when not known
	undo               []ota.Plan // what is to be undone, the newest first
}

// targets are the versions below the present one, the newest first, as far as only patches have to
// be undone.
func (s *site) targets() []target {
	var list []target
	var undo []ota.Plan
	for i := len(s.chain) - 1; i >= 0; i-- {
		p := &s.chain[i]
		if !isPatch(p.Labels[labelPatch]) {
			break
		}
		undo = append(undo, *p)
		t := target{text: p.FromVersion, undo: slices.Clone(undo)}
		if i > 0 && isPatch(s.chain[i-1].Labels[labelPatch]) {
			below := &s.chain[i-1]
			t.id, t.previous, t.released = below.Labels[labelPatch], below.FromVersion, below.EndedAt.UnixMilli()
			t.name, t.description = below.Name, below.Annotations["description"]
		} else if id := p.Labels[labelPatchFrom]; isPatch(id) {
			t.id, t.name = id, p.FromVersion
		}
		if t.id != "" && t.text != "" {
			list = append(list, t)
		}
	}
	return list
}

// update is a version on the wire.
type update struct {
	ID              string `json:"id"`
	Version         string `json:"version"`
	Build           string `json:"build"`
	Name            string `json:"name"`
	Description     string `json:"description"`
	Update          string `json:"update"`
	Released        int64  `json:"released,omitempty"`
	PreviousVersion string `json:"previousVersion"`
	PreviousBuild   string `json:"previousBuild"`
}

// split cuts a version's text at its last dot: 10.9.0.505 is build 505 of version 10.9.0.
func split(text string) (version, build string) {
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// checkRollback lists the versions that rollback takes.
func (c *call) checkRollback(s site) (any, error) {
	if err := c.only("POST"); err != nil {
		return nil, err
	}
	if err := s.closed(); err != nil {
		return nil, err
	}
	list := []update{}
	for _, t := range s.targets() {
		if ok, err := c.mayRead(&t.undo[len(t.undo)-1]); err != nil {
			return nil, err
		} else if !ok {
			break // nor what is below it
		}
		u := update{ID: t.id, Name: t.name, Description: t.description, Update: "patch", Released: t.released}
		u.Version, u.Build = split(t.text)
		u.PreviousVersion, u.PreviousBuild = split(t.previous)
		list = append(list, u)
	}
	return struct {
		Updates []update `json:"updates"`
	}{list}, nil
}
