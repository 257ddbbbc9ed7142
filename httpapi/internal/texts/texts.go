// Package texts has the rules for texts of requests: IDs, and values that are quoted in refusals.
package texts

import "strings"

// LegalID reports whether a plan, or a record of the history, can have this ID.
func LegalID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

// Plain returns the text of an error of package ota without the name of that package, which means
// nothing to callers of an HTTP API. Errors have it at their beginning, and errors that are joined
// have it at the beginning of each line.
func Plain(err error) string {
	text := strings.TrimPrefix(err.Error(), "ota: ")
	for _, before := range []string{": ", "\n"} {
		text = strings.ReplaceAll(text, before+"ota: ", before)
	}
	return text
}

// Shorten returns a value of a request for a refusal: at most 64 bytes of it, as valid UTF-8.
func Shorten(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
