package ota

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/internal/calendar"
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
	// Zone is the IANA name of the zone of Days and Start, such as "Europe/Berlin". Empty means
	// UTC.
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

// neverOpens reports whether no window lets an agent start at from or later, before until. It is
// false if until is zero, which means no end.
func neverOpens(windows []Window, from, until time.Time) bool {
	if until.IsZero() {
		return false
	}
	at := Policy{Windows: windows}.NextOpen(from)
	return at.IsZero() || !at.Before(until)
}

// nextOpen returns the earliest next of all windows. There is at least one window.
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

// next returns the first instant, t or later, at which w lets an agent start, in Unix nanoseconds.
// ok is false if there is none.
func (w *Window) next(t int64) (at int64, ok bool) {
	from, _, ok := w.opening(t)
	return max(from, t), ok
}

// opening returns the first stretch of time, at t or later, in which w lets agents start. It may
// begin before t.
func (w *Window) opening(t int64) (from, to int64, ok bool) {
	z, err := calendar.Load(w.Zone)
	if err != nil {
		return 0, 0, false
	}
	usable := w.Length - w.Margin
	return calendar.Weekly{Days: w.Days, Start: w.Start, Length: usable}.Opening(z, t)
}

// firstOpening is opening for all windows together. The stretch may end while another window is
// open.
func firstOpening(windows []Window, t int64) (from, to int64, ok bool) {
	for i := range windows {
		f, e, opens := windows[i].opening(t)
		f = max(f, t)
		if opens && (!ok || f < from || f == from && e > to) {
			from, to, ok = f, e, true
		}
	}
	return from, to, ok
}

// openFor returns for how long of the time from since to until the windows let agents start.
func openFor(windows []Window, since, until time.Time) (open time.Duration) {
	if !since.Before(until) {
		return 0
	}
	if len(windows) == 0 {
		return until.Sub(since)
	}
	t, end := since.UnixNano(), until.UnixNano()
	for range maxOpenings {
		from, to, ok := firstOpening(windows, t)
		if !ok || from >= end {
			return open
		}
		open += time.Duration(min(to, end) - from)
		if t = to; t >= end {
			return open
		}
	}
	return open + time.Duration(end-t)
}

// openUntil returns the instant at which the windows have let agents start for d since then. It is
// zero if that never comes.
func openUntil(windows []Window, since time.Time, d time.Duration) time.Time {
	if len(windows) == 0 {
		return since.Add(d)
	}
	t := since.UnixNano()
	for range maxOpenings {
		from, to, ok := firstOpening(windows, t)
		switch open := time.Duration(to - from); {
		case !ok:
			return time.Time{}
		case d <= open:
			return time.Unix(0, from+int64(d)).UTC()
		default:
			t, d = to, d-open
		}
	}
	return time.Unix(0, t).UTC().Add(d)
}

// maxOpenings limits the cost of openFor and openUntil: time beyond so many openings counts as
// open. It is years with a window a day, and months with as many windows as a policy may have.
const maxOpenings = 4096

// unknownZones names the zones that this process cannot find. It is empty if there are none.
func unknownZones(windows []Window) string {
	var names []string
	for i := range windows {
		if _, err := calendar.Load(windows[i].Zone); err != nil && !slices.Contains(names, windows[i].Zone) {
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
	if _, err := calendar.Load(w.Zone); err != nil {
		m.add(at+"zone", strconv.Quote(w.Zone), "is unknown",
			"an IANA name such as Europe/Berlin, which the system or time/tzdata has; empty means UTC")
	}
}

func cloneWindows(windows []Window) []Window {
	windows = slices.Clone(windows)
	for i := range windows {
		windows[i].Days = slices.Clone(windows[i].Days)
	}
	return windows
}
