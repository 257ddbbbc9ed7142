package avi

import (
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// trace is what a plan's log tells about times: when it was changed last, and when its status was.
type trace struct {
	created  time.Time // tells a plan from an earlier one with the same ID
	revision uint64
	status   ota.Status
	modified time.Time
	changed  time.Time
}

// traces remembers them, so that only the records are read that are new.
type traces struct {
	mu sync.Mutex
	of map[string]trace
}

const (
	maxTraces = 4096   // how many plans are remembered
	maxRead   = 10_000 // how many records of a plan that is not are read
)

// trace reads the log up to the revision at which the plan was read. When the plan is not
// remembered and its status did not change within the newest maxRead records, the change is taken
// to be the one that the plan itself tells.
func (l *look) trace() (trace, error) {
	if l.seen != nil {
		return *l.seen, nil
	}
	p, all := l.plan, &l.c.h.traces
	all.mu.Lock()
	t, known := all.of[p.ID]
	all.mu.Unlock()
	if !known || !t.created.Equal(p.CreatedAt) {
		t = trace{created: p.CreatedAt}
		if p.Revision > maxRead {
			t.revision, t.status, t.changed = p.Revision-maxRead, p.Status, told(p)
		}
	}
	if t.revision < p.Revision {
		for record, err := range l.c.h.engine.Watch(l.ctx(), p.ID, t.revision) {
			if err != nil {
				return t, err
			}
			if record.Status != t.status {
				t.status, t.changed = record.Status, record.At
			}
			t.revision, t.modified = record.Revision, record.At
			if t.revision >= p.Revision {
				break
			}
		}
		all.mu.Lock()
		if len(all.of) >= maxTraces {
			clear(all.of)
		}
		all.of[p.ID] = t
		all.mu.Unlock()
	}
	l.seen = &t
	return t, nil
}

// told is when a plan came into its status, as far as it tells.
func told(p *ota.Plan) time.Time {
	for _, t := range []time.Time{endOf(p), p.PausedAt, p.StartedAt} {
		if !t.IsZero() {
			return t
		}
	}
	return p.CreatedAt
}
