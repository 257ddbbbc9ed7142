package ota

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A text gets into a plan in one of two ways. A text that a caller gives, in a Spec or with a verb, is checked: one that
// breaks the rules is a mistake of the caller. A text that user code answers, or that the engine makes of other texts,
// is cleaned: nobody can correct it any more. Either way every Store can keep it: it is UTF-8 without NUL, and bounded.

const (
	maxText       = 255
	maxMessage    = 4 << 10
	maxAnnotation = 64 << 10
	maxPairs      = 64
)

// cleaned is a text that every Store can keep. It is a constant, or what cleanLine, cleanMessage or cleanVersion has
// returned.
type cleaned string

// cleanLine makes one line of at most 255 bytes: a name, a reason, a version.
func cleanLine(s string) cleaned { return clean(s, maxText, ' ') }

// cleanMessage makes a text of at most 4 KiB, which may have several lines: an error, a message.
func cleanMessage(s string) cleaned { return clean(s, maxMessage, 0) }

// clean cuts s between two letters, so that at most that many bytes stay. What is not UTF-8 becomes U+FFFD, and so does
// a control character, unless it ends a line or is a tab: then it becomes blank, or stays when blank is 0.
func clean(s string, most int, blank rune) cleaned {
	s = cutBetween(s, most)
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return cleaned(cutBetween(strings.Map(func(r rune) rune { return cleanRune(r, blank) }, s), most))
		}
	}
	return cleaned(s)
}

func cleanRune(r, blank rune) rune {
	switch {
	case r == '\r':
		return -1
	case r == '\n' || r == '\t':
		if blank != 0 {
			return blank
		}
		return r
	case unicode.IsControl(r):
		return utf8.RuneError
	default:
		return r
	}
}

// cutBetween cuts s to at most that many bytes, between two letters.
func cutBetween(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := most
	for n > most-utf8.UTFMax && n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func checkText(m *mistakes, field, value string, most int) {
	if problem := textProblem(value, most); problem != "" {
		m.add(field, strconv.Quote(shorten(value)), problem, textAllowed(most))
	}
}

func textAllowed(most int) string {
	return fmt.Sprintf("at most %d bytes of UTF-8 without control characters", most)
}

func textProblem(s string, most int) string {
	if len(s) > most {
		return fmt.Sprintf("is too long by %d bytes", len(s)-most)
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return unusualProblem(s)
		}
	}
	return ""
}

func unusualProblem(s string) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Sprintf("has the control character %U", r)
		}
	}
	return ""
}

func checkMap(m *mistakes, field string, pairs map[string]string, most int) {
	if len(pairs) > maxPairs {
		m.add(field, strconv.Itoa(len(pairs)), "has too many entries", "at most 64")
		return
	}
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		if k == "" {
			m.add(field, "", "has an empty key", "1 to 255 bytes")
		}
		checkText(m, field, k, maxText)
		checkText(m, field+"["+shorten(k)+"]", pairs[k], most)
	}
}
