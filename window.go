package ota

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Window is a maintenance window: on some days of the week, from a local time of day on, for a
// length of time. A window belongs to the local day on which it opens, even after midnight. For
// example, one of Fridays at 22:00 for eight hours is open until Saturday at 06:00, and none opens
// on Saturday.
//
// If the clocks are put forward over Start, the window opens at the first instant after the gap.
// If they are put back over Start, it opens once, at the first of the two. A local day that does
// not exist has no window. A change of the clocks does not affect an open window: Length is
// elapsed time.
//
// Zones come from the system, or from the package time/tzdata if the program imports it. Each is
// read once per process.
type Window struct {
	// Days are the days of the week on which it opens, each at most once; in JSON 0 (Sunday) to 6
	// (Saturday). Empty means every day.
	Days []time.Weekday `json:"days,omitempty"`
	// Start is the local time of day at which it opens, as a clock on the wall shows it. 0
	// (midnight) to less than 24 h; not between 0 and 1 ms.
	Start time.Duration `json:"start"`
	// Length is how long it is open. 1 ms to 7 days.
	Length time.Duration `json:"length"`
	// Zone is the IANA name of the zone of Days and Start, such as "Europe/Berlin". Empty means UTC.
	Zone string `json:"zone,omitempty"`
	// Margin is how much of Length must remain for an agent to start. Each window has its own: a
	// window that follows at once does not extend it. 1 ms to less than Length; 0 means that
	// agents start up to the end. If Margin is less than the policy's AttemptTimeout, a call may
	// outlive the window.
	Margin time.Duration `json:"margin,omitempty"`
}

// maxWindows limits the cost of a decision.
const maxWindows = 64

// NextOpen returns the first instant, t or later, at which the policy's windows allow an agent to
// start. That is t itself when one is open, or when there are none. It is zero when there is no
// such instant: the zone of every window is unknown in this process, a window is not valid, or t
// is not in the years 1700 to 2200.
func (p Policy) NextOpen(t time.Time) time.Time {
	if len(p.Windows) == 0 {
		return t
	}
	if y := t.UTC().Year(); y < 1700 || y > 2200 {
		return time.Time{}
	}
	switch at, ok := nextOpen(p.Windows, t.UnixNano()); {
	case !ok:
		return time.Time{}
	case at == t.UnixNano():
		return t
	default:
		return time.Unix(0, at).UTC()
	}
}

// neverOpens reports whether windows let nothing start from one time until before another; a zero until is no end.
func neverOpens(windows []Window, from, until time.Time) bool {
	if until.IsZero() {
		return false
	}
	at := Policy{Windows: windows}.NextOpen(from)
	return at.IsZero() || !at.Before(until)
}

// nextOpen is the earliest next of all windows, of which there is at least one.
func nextOpen(windows []Window, t int64) (at int64, ok bool) {
	for i := range windows {
		if next, opens := windows[i].next(t); opens && (!ok || next < at) {
			at, ok = next, true
		}
		if ok && at == t {
			break
		}
	}
	return at, ok
}

const day = int64(24 * time.Hour)

// next returns the first instant, t or later, at which w lets an agent start, in Unix nanoseconds. Days are counted from
// 1 January 1970, a Thursday, and a time on the wall is what its nanoseconds would be in UTC.
func (w *Window) next(t int64) (int64, bool) {
	z, err := zoneOf(w.Zone)
	if err != nil {
		return 0, false
	}
	usable := int64(w.Length - w.Margin)
	since := z.wall(t - usable)                  // what opened at an earlier time on the wall is closed
	first := (since - (since%day+day)%day) / day // its day, also before 1970
	last := t/day + 21                           // by then every day of the week has come, even if one was left out
	for d := first; d <= last; d++ {
		if len(w.Days) > 0 && !slices.Contains(w.Days, time.Weekday((d%7+11)%7)) {
			continue
		}
		opens := z.first(d*day + int64(w.Start))
		if opens+usable > t && (z.wall(opens) < (d+1)*day || z.wall(z.first(d*day)) < (d+1)*day) {
			return max(opens, t), usable > 0
		}
	}
	return 0, false
}

// zone tells the time on the wall.
type zone struct {
	loc  *time.Location
	last atomic.Pointer[stretch] // that was looked up; the next question is mostly about the same
}

// stretch is a time, [from, to), in which a zone has one offset.
type stretch struct{ off, from, to int64 }

// maxOffset is more than any zone is ahead of UTC.
const maxOffset = 26 * int64(time.Hour)

// first returns the first instant at which the wall shows a time or a later one.
func (z *zone) first(wall int64) int64 {
	for t := wall - maxOffset; ; {
		s := z.at(t)
		if at := max(t, wall-s.off); at < s.to { // t is later only when a gap has swallowed that time
			return at
		}
		t = s.to
	}
}

// wall returns what the wall shows at t.
func (z *zone) wall(t int64) int64 { return t + z.at(t).off }

func (z *zone) at(t int64) *stretch {
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
	zones   = map[string]*zone{"": {loc: time.UTC}} // those that were found; reading one takes a file
)

func zoneOf(name string) (*zone, error) {
	zonesMu.RLock()
	z := zones[name]
	zonesMu.RUnlock()
	if z != nil {
		return z, nil
	}
	if name == "Local" {
		return nil, errors.New("ota: the zone Local is another one on every machine")
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	z = &zone{loc: loc}
	zonesMu.Lock()
	zones[strings.Clone(name)] = z
	zonesMu.Unlock()
	return z, nil
}

func unknownZones(windows []Window) string {
	var names []string
	for i := range windows {
		if _, err := zoneOf(windows[i].Zone); err != nil && !slices.Contains(names, windows[i].Zone) {
			names = append(names, windows[i].Zone)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "unknown here: the zone " + strings.Join(names, ", ")
}

func checkWindows(m *mistakes, windows []Window) {
	if len(windows) > maxWindows {
		m.add("windows", strconv.Itoa(len(windows)), "are too many", "at most 64")
		return
	}
	for i := range windows {
		windows[i].check(m, fmt.Sprintf("windows[%d].", i))
	}
}

func (w *Window) check(m *mistakes, at string) {
	for i, d := range w.Days {
		switch {
		case d < time.Sunday || d > time.Saturday:
			m.add(at+"days", strconv.Itoa(int(d)), "is no day of the week", "0 (Sunday) to 6 (Saturday); empty means every day")
		case slices.Contains(w.Days[:i], d):
			m.add(at+"days", d.String(), "is there twice", "every day once; empty means every day")
		}
	}
	if w.Start < 0 || w.Start >= 24*time.Hour {
		m.add(at+"start", w.Start.String(), "is no time of day", "0 to less than 24h")
	}
	if w.Length <= 0 || w.Length > 7*24*time.Hour {
		m.add(at+"length", w.Length.String(), "is out of range", "more than 0, at most 168h")
	} else if w.Margin < 0 || w.Margin >= w.Length {
		m.add(at+"margin", w.Margin.String(), "is out of range", "0 or more, less than the length")
	}
	if _, err := zoneOf(w.Zone); err != nil {
		m.add(at+"zone", strconv.Quote(w.Zone), "is unknown", "an IANA name such as Europe/Berlin, which the system or time/tzdata has; empty means UTC")
	}
}

func cloneWindows(windows []Window) []Window {
	windows = slices.Clone(windows)
	for i := range windows {
		windows[i].Days = slices.Clone(windows[i].Days)
	}
	return windows
}
