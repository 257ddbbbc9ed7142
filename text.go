package ota

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A text enters a plan in one of two ways. A text that a caller gives, in a Spec or with a verb,
// is checked: an invalid one is a mistake of the caller. A text that user code returns, or that
// the engine makes of other texts, is cleaned, because no caller can correct it any more. Either
// way every Store can keep it: it is UTF-8 without NUL, and of limited length.

const (
	maxText       = 255
	maxMessage    = 4 << 10
	maxAnnotation = 64 << 10
	maxPairs      = 64
)

// cleaned is a text that every Store can keep. It is a constant, or a result of cleanLine,
// cleanMessage or cleanVersion.
type cleaned string

// cleanLine makes one line of at most 255 bytes: a name, a reason, a version.
func cleanLine(s string) cleaned { return clean(s, maxText, ' ') }

// cleanMessage makes a text of at most 4 KiB, which may have several lines: an error, a message.
func cleanMessage(s string) cleaned { return clean(s, maxMessage, 0) }

// clean cuts s between two characters to at most that many bytes. Bytes that are not UTF-8 become
// U+FFFD, and so do control characters. A line end or a tab becomes blank instead, or stays when
// blank is 0.
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

// cutBetween cuts s to at most that many bytes, between two characters.
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
