package ota

import (
	"fmt"
	"hash/maphash"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-19b57ce3/ota/internal/hashset"
)

// An agent's ID is compared byte by byte, so two IDs that look alike are two agents, and one
// machine could be called twice at once. Therefore an ID with invisible characters is refused. IDs
// that differ in details that people overlook cause a warning.

const idAllowed = "1 to 255 bytes of UTF-8 without control and invisible characters, and without blanks around it"

// invisibleNames are the invisible characters that people paste most often.
var invisibleNames = map[rune]string{
	0x00a0: "no-break space", 0x00ad: "soft hyphen", 0x200b: "zero width space", 0x200c: "zero width non-joiner",
	0x200d: "zero width joiner", 0x200e: "left-to-right mark", 0x200f: "right-to-left mark", 0x2028: "line separator",
	0x2029: "paragraph separator", 0x202a: "left-to-right embedding", 0x202b: "right-to-left embedding",
	0x202c: "pop directional formatting", 0x202d: "left-to-right override", 0x202e: "right-to-left override",
	0x202f: "narrow no-break space", 0x2060: "word joiner", 0x3000: "ideographic space", 0xfeff: "byte order mark",
}

// idProblem returns the problem of an agent's ID; empty when there is none.
func idProblem(id string) string {
	if problem := textProblem(id, maxText); problem != "" {
		return problem
	}
	if id != "" && (id[0] == ' ' || id[len(id)-1] == ' ') {
		return "begins or ends with a blank (U+0020)"
	}
	for i, r := range id {
		if r < utf8.RuneSelf {
			continue
		}
		if !invisible(r) {
			continue
		}
		if name := invisibleNames[r]; name != "" {
			return fmt.Sprintf("has the invisible character %U (%s) at byte %d", r, name, i)
		}
		return fmt.Sprintf("has the invisible character %U at byte %d", r, i)
	}
	return ""
}

// invisible reports whether a character beyond ASCII shows nothing by itself: spaces, formats,
// fillers, variation selectors.
func invisible(r rune) bool {
	return unicode.IsSpace(r) || r == 0x2800 || unicode.In(r, unicode.Z, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// lookAlikes finds the IDs of a plan that people may confuse. It keeps a hash of each ID, and a
// second hash of IDs with capitals, dashes or quotes.
type lookAlikes struct {
	folded hashset.Set // of IDs that differ from their own folded form
	room   []byte

	twins  int    // IDs that equal another one after fold
	twin   string // one of them
	quoted int    // IDs in quotes
	marked int    // IDs with a combining mark
}

// see adds an ID that is in the plan once. hash is its hash; seen has the hashes of all IDs.
func (l *lookAlikes) see(id string, hash uint64, seed maphash.Seed, seen *hashset.Set) {
	var twin bool
	if l.fold(id) {
		h := maphash.Bytes(seed, l.room)
		twin = seen.Has(h) || !l.folded.Add(h)
	} else {
		twin = l.folded.Has(hash)
	}
	if twin {
		l.twins, l.twin = l.twins+1, id
	}
	if n := len(id); n > 1 && (id[0] == '"' || id[0] == '\'') && id[n-1] == id[0] {
		l.quoted++
	}
}

// fold writes the form of an ID that is compared to find twins into room: small letters, plain
// dashes and quotes. It reports whether that differs from the ID.
func (l *lookAlikes) fold(id string) (other bool) {
	l.room = l.room[:0]
	for i := range len(id) {
		c := id[i]
		if c >= utf8.RuneSelf {
			return l.foldRunes(id)
		}
		if c >= 'A' && c <= 'Z' {
			c, other = c+'a'-'A', true
		}
		l.room = append(l.room, c)
	}
	return other
}

func (l *lookAlikes) foldRunes(id string) bool {
	l.room = l.room[:0]
	marked := false
	for _, r := range id {
		marked = marked || r >= 0x300 && r < 0x370
		switch {
		case unicode.Is(unicode.Pd, r), r == 0x2212:
			r = '-'
		case strings.ContainsRune("‘’‚‛′", r):
			r = '\''
		case strings.ContainsRune("“”„‟″", r):
			r = '"'
		default:
			r = unicode.ToLower(unicode.ToUpper(r))
		}
		l.room = utf8.AppendRune(l.room, r)
	}
	if marked {
		l.marked++
	}
	return string(l.room) != id
}

// warnings returns the warnings about the IDs.
func (l *lookAlikes) warnings() (w []string) {
	if l.twins > 0 {
		w = append(w, fmt.Sprintf("%d agents have an ID that differs from another one only in capitals, dashes or quotes, for example %q", l.twins, l.twin))
	}
	if l.quoted > 0 {
		w = append(w, fmt.Sprintf("%d agents have an ID in quotes", l.quoted))
	}
	if l.marked > 0 {
		w = append(w, fmt.Sprintf("%d agents have an ID with a combining mark: with the composed letter it would be another agent", l.marked))
	}
	return w
}
