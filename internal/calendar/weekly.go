package calendar

import (
	"slices"
	"time"
)

const day = int64(24 * time.Hour)

// Weekly opens on days of the week. It belongs to the local day on which it opens, also after
// midnight. A local day that a zone has skipped has no opening. Length is elapsed time: clocks may
// change while it is open.
type Weekly struct {
	Days   []time.Weekday // empty means every day
	Start  time.Duration  // wall time of day: 0 to less than 24h
	Length time.Duration  // more than 0; otherwise it never opens
}

// Next returns the first instant, t or later, at which w is open in z. ok is false if there is
// none.
func (w Weekly) Next(z *Zone, t int64) (at int64, ok bool) {
	opens, _, ok := w.Opening(z, t)
	return max(opens, t), ok
}

// Opening returns the first opening of w in z that is open at t or later: from an instant, which
// may be before t, to the end. ok is false if there is none.
func (w Weekly) Opening(z *Zone, t int64) (from, to int64, ok bool) {
	since := z.Wall(t - int64(w.Length))         // an opening at an earlier wall time is over
	first := (since - (since%day+day)%day) / day // its day, also before 1970
	last := t/day + 21                           // by then every day of the week has come, even if one was skipped
	for d := first; d <= last; d++ {
		if len(w.Days) > 0 && !slices.Contains(w.Days, weekday(d)) {
			continue
		}
		opens := z.First(d*day + int64(w.Start))
		if opens+int64(w.Length) > t && z.has(d, opens) {
			return opens, opens + int64(w.Length), w.Length > 0
		}
	}
	return 0, 0, false
}

// weekday returns the day of the week of a day. 1 January 1970 was a Thursday.
func weekday(day int64) time.Weekday { return time.Weekday((day%7 + 11) % 7) }

// has reports whether a local day exists. opens is its opening: it is mostly on that day, and then
// no second look is necessary.
func (z *Zone) has(d, opens int64) bool {
	return z.Wall(opens) < (d+1)*day || z.Wall(z.First(d*day)) < (d+1)*day
}
