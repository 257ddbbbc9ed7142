// Package calendar finds when a local time of day comes, in zones whose clocks change.
//
// Instants are Unix nanoseconds. A wall time is what a clock on the wall shows, as the nanoseconds
// that the same date and time would have in UTC. Days are counted from 1 January 1970. Instants and
// wall times must be in the years 1700 to 2200.
package calendar

import (
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Zone converts between instants and the wall times of one place. It is safe for concurrent use.
type Zone struct {
	loc  *time.Location
	last atomic.Pointer[stretch] // of the last question; the next one is mostly about the same
}

// stretch is a time, [from, to), in which a zone has one offset.
type stretch struct{ off, from, to int64 }

// maxOffset is more than any zone is ahead of UTC.
const maxOffset = 26 * int64(time.Hour)

// Wall returns the wall time at t.
func (z *Zone) Wall(t int64) int64 { return t + z.at(t).off }

// First returns the first instant at which the wall time is wall or later. Where clocks are put
// forward over wall, that is the first instant after the gap. Where they are put back over it, that
// is the first of the two instants.
func (z *Zone) First(wall int64) int64 {
	for t := wall - maxOffset; ; {
		s := z.at(t)
		if at := max(t, wall-s.off); at < s.to { // t is later only if a gap has skipped wall
			return at
		}
		t = s.to
	}
}

func (z *Zone) at(t int64) *stretch {
	if s := z.last.Load(); s != nil && s.from <= t && t < s.to {
		return s
	}
	at := time.Unix(0, t).In(z.loc)
	_, off := at.Zone()
	from, to := at.ZoneBounds()
	s := &stretch{off: int64(off) * int64(time.Second), from: edge(from), to: edge(to)}
	if to.IsZero() {
		s.to = math.MaxInt64
	}
	z.last.Store(s)
	return s
}

// edge is UnixNano within its range, and the end of that range beyond it.
func edge(t time.Time) int64 {
	return min(max(t.Unix(), math.MinInt64/int64(time.Second)), math.MaxInt64/int64(time.Second)) * int64(time.Second)
}

var (
	zonesMu sync.RWMutex
	zones   = map[string]*Zone{"": {loc: time.UTC}} // the zones that were found; reading one takes a file
)

// Load returns the zone of an IANA name such as "Europe/Berlin"; an empty name is UTC. A zone is
// read once per process, from the system or from the package time/tzdata. Load fails for a name
// that neither has, and for "Local", which differs between machines.
func Load(name string) (*Zone, error) {
	zonesMu.RLock()
	z := zones[name]
	zonesMu.RUnlock()
	if z != nil {
		return z, nil
	}
	if name == "Local" {
		return nil, errors.New("the zone Local differs between machines")
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	z = &Zone{loc: loc}
	zonesMu.Lock()
	zones[strings.Clone(name)] = z
	zonesMu.Unlock()
	return z, nil
}
