package duration

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// units are the words of people for lengths of time, in lower case.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "millisecond": time.Millisecond,
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour,
}

// longer are words for lengths that differ from one month or year to the next. No duration has
// them.
var longer = []string{"month", "quarter", "year"}

// unit returns the length of a word for one, in any case, singular or plural. A lone M is none: it
// may be a minute or a month.
func unit(word string) (time.Duration, bool) {
	if word == "M" {
		return 0, false
	}
	d, ok := units[singular(word)]
	return d, ok
}

func singular(word string) string {
	word = strings.ToLower(word)
	if len(word) > 2 && word != "ms" {
		return strings.TrimSuffix(word, "s")
	}
	return word
}

// spelled reads numbers that are each followed by a unit: "1d", "2 hours", "1 h 30 min".
func spelled(s string) (time.Duration, bool) {
	var total float64
	rest := s
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 || rest[0] == '.' || rest[n-1] == '.' {
			return 0, false
		}
		v, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, false
		}
		rest = strings.TrimLeft(rest[n:], " ")
		w := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) })
		if w < 0 {
			w = len(rest)
		}
		u, ok := unit(rest[:w])
		if !ok {
			return 0, false
		}
		total += v * float64(u)
		rest = strings.TrimLeft(rest[w:], " ")
	}
	total = math.Round(total)
	return time.Duration(total), s != "" && total < math.MaxInt64
}

// Looks reports whether a text may be meant as a length of time: it has a digit, or a word for a
// length of time.
func Looks(s string) bool {
	if strings.ContainsFunc(s, unicode.IsNumber) {
		return true
	}
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if _, ok := units[singular(word)]; ok && len(word) > 2 {
			return true
		}
		for _, other := range longer {
			if singular(word) == other {
				return true
			}
		}
	}
	return false
}
