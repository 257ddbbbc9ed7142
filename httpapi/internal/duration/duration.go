// Package duration reads lengths of time as the documented APIs write them.
package duration

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads a Go duration ("1h30m"), an ISO 8601 one ("PT1H30M", weeks to seconds, no months),
// whole seconds ("90"), or numbers with units ("1d", "2 hours"). It reports false for any other
// text, for a negative length and for one beyond 292 years.
func Parse(s string) (time.Duration, bool) {
	if d, ok := ISO(s); ok {
		return d, true
	}
	if n, err := strconv.ParseUint(s, 10, 63); err == nil {
		if n > uint64(math.MaxInt64/time.Second) {
			return 0, false
		}
		return time.Duration(n) * time.Second, true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d, d >= 0
	}
	return spelled(s)
}

// ISO reads an ISO 8601 duration of weeks, days, hours, minutes and seconds, of which the last may
// have a fraction. It reports false for one beyond 292 years too.
func ISO(s string) (time.Duration, bool) {
	n, ok := iso(s)
	if !ok || n >= math.MaxInt64 {
		return 0, false
	}
	return time.Duration(n), true
}

// CappedISO is ISO, but cuts what is beyond 292 years to that.
func CappedISO(s string) (time.Duration, bool) {
	n, ok := iso(s)
	if n >= math.MaxInt64 {
		return math.MaxInt64, ok
	}
	return time.Duration(n), ok
}

// iso returns nanoseconds.
func iso(s string) (float64, bool) {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return 0, false
	}
	units := []struct {
		letter byte
		unit   time.Duration
	}{{'W', 7 * 24 * time.Hour}, {'D', 24 * time.Hour}, {'T', 0}, {'H', time.Hour}, {'M', time.Minute}, {'S', time.Second}}
	const timePart = 3
	var total float64
	at := 0 // the first unit that may still come
	for rest != "" {
		if rest[0] == 'T' {
			if at >= timePart || len(rest) == 1 {
				return 0, false
			}
			at, rest = timePart, rest[1:]
			continue
		}
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 || rest[0] == '.' || rest[n-1] == '.' {
			return 0, false
		}
		v, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, false
		}
		i := at
		for i < len(units) && units[i].letter != rest[n] {
			i++
		}
		if i == len(units) || i >= timePart && at < timePart || units[i].unit == 0 {
			return 0, false
		}
		if strings.Contains(rest[:n], ".") && n+1 != len(rest) {
			return 0, false
		}
		total += v * float64(units[i].unit)
		at, rest = i+1, rest[n+1:]
	}
	return math.Round(total), true
}
