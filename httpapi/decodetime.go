package httpapi

import (
	"time"

	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
)

const durations = `a duration such as "90s", "1h30m", "1d", "2 hours", "PT1H30M", or a number of seconds`

// duration is a field that is a length of time: a Go duration, an ISO 8601 one, or seconds.
func (d *decoder) duration(words map[string]time.Duration, set func(time.Duration)) field {
	return field{read: func() error {
		s, err := d.durationText()
		if err != nil {
			return err
		}
		v, ok := words[s]
		if !ok {
			v, ok = duration.Parse(s)
		}
		if !ok {
			d.refuse(s, "is no duration", durations)
			return nil
		}
		set(v)
		return nil
	}}
}

func (d *decoder) durationText() (string, error) {
	next, err := d.Next()
	if err != nil {
		return "", err
	}
	if next == '0' {
		return d.Number()
	}
	return d.String()
}

// timeOfDay is a field that is what the clock on the wall shows, or how long after midnight that
// is.
func (d *decoder) timeOfDay(set func(time.Duration)) field {
	return field{read: func() error {
		s, err := d.durationText()
		if err != nil {
			return err
		}
		v, ok := clockTime(s)
		if !ok {
			v, ok = duration.Parse(s)
		}
		if !ok {
			d.refuse(s, "is no time of day", `"00:00" to "23:59", with seconds if need be ("22:30:15"), or a duration after midnight such as "22h30m"`)
			return nil
		}
		set(v)
		return nil
	}}
}

// clockTime reads HH:MM and HH:MM:SS.
func clockTime(s string) (sinceMidnight time.Duration, ok bool) {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if len(s) != len(layout) {
			continue // time.Parse takes more than these: hours of one digit, and fractions
		}
		if t, err := time.Parse(layout, s); err == nil {
			return t.Sub(t.Truncate(24 * time.Hour)), true
		}
	}
	return 0, false
}
