package httpapi

import (
	"cmp"

	"github.com/seed-19b57ce3/ota"
)

// releaseKey is the annotation that keeps the release that the agents of a plan had, if the request
// did not say it.
const releaseKey = ownKeys + "fromRelease"

// agreeing is how many agents decide about a plan's fromRelease.
const agreeing = 1000

// noteRelease finds the release that the plan's first agents have, and keeps it with the plan if they
// agree. A rollback finds the release of each agent by itself.
func (x *creation) noteRelease() error {
	s := &x.spec
	if s.FromRelease != "" || len(s.Annotations) >= maxAnnotations {
		return nil
	}
	var ids []string
	release := ""
	for a, err := range x.agents.All() {
		switch {
		case err != nil:
			return spooled(err)
		case a.Release == "":
			ids = append(ids, a.ID)
		case release != "" && release != a.Release:
			return nil
		default:
			release = a.Release
		}
		if len(ids) == agreeing {
			break
		}
	}
	found, err := x.c.h.engine.Releases(x.c.r.Context(), s.FromVersion, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		have := found[id]
		if have == "" || release != "" && have != release {
			return nil
		}
		release = have
	}
	if release == "" {
		return nil
	}
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[releaseKey] = release
	return nil
}

// maxAnnotations is how many annotations a plan may have.
const maxAnnotations = 64

// fromRelease is the release that the agents of a plan had.
func fromRelease(p *ota.Plan) string { return cmp.Or(p.FromRelease, p.Annotations[releaseKey]) }
