package ota

import (
	"fmt"
	"hash/maphash"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-19b57ce3/ota/internal/hashset"
	"github.com/seed-19b57ce3/ota/internal/plural"
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
		w = append(w, fmt.Sprintf("%s an ID that differs from another one only in capitals, dashes or quotes, for example %q", plural.Have(l.twins, "agent"), l.twin))
	}
	if l.quoted > 0 {
		w = append(w, plural.Have(l.quoted, "agent")+" an ID in quotes")
	}
	if l.marked > 0 {
		w = append(w, plural.Have(l.marked, "agent")+" an ID with a combining mark: with the composed letter it would be another agent")
	}
	return w
}

// A version is a text that the engine only compares. Spaces and line ends around a version are
// dropped wherever it enters: tools print them, and people paste them.

// trimVersion drops spaces and line ends around a version.
func trimVersion(s string) string { return strings.TrimSpace(s) }

// cleanVersion makes a version of a text that user code returns. A version of spaces alone becomes
// one space. That is no target, so it is a wrong version, and not "unknown".
func cleanVersion(s string) cleaned {
	if v := cleanLine(trimVersion(s)); v != "" || s == "" {
		return v
	}
	return " "
}

// versionProblem returns the problem of a version that a caller gives; empty when there is none.
func versionProblem(s string) string {
	v := trimVersion(s)
	if v == "" && s != "" {
		return "is blank"
	}
	return textProblem(v, maxText)
}

func checkVersion(m *mistakes, field, value string) {
	if problem := versionProblem(value); problem != "" {
		m.add(field, strconv.Quote(shorten(value)), problem, textAllowed(maxText))
	}
}

// trimmed returns the spec with its versions as they are kept.
func (s Spec) trimmed() Spec {
	for _, v := range []*string{&s.FromVersion, &s.FromRelease, &s.ToVersion, &s.ToRelease} {
		*v = trimVersion(*v)
	}
	return s
}

// trim changes the versions of a task to what is kept of them.
func (t *TaskSpec) trim() {
	for _, v := range []*string{&t.FromVersion, &t.FromRelease, &t.ToVersion, &t.ToRelease} {
		*v = trimVersion(*v)
	}
}

// sameness is Options.SameVersion; nil is equality.
type sameness func(a, b string) bool

// as returns target when version is another form of it, and version otherwise.
func (f sameness) as(version cleaned, target string) cleaned {
	if f != nil && version != "" && string(version) != target && f.says(string(version), target) {
		return cleaned(target)
	}
	return version
}

// says calls the function of the user. A panic counts as false.
func (f sameness) says(a, b string) (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	return f(a, b)
}

// firstNames lists the first three names, and shows whether there are more.
func firstNames(names iter.Seq[string]) string {
	const most = 3
	var first []string
	for name := range names {
		if len(first) == most {
			return strings.Join(first, ", ") + ", …"
		}
		first = append(first, name)
	}
	return strings.Join(first, ", ")
}

// percent returns a fraction in percent with so many digits, for example "0.5 %".
func percent(fraction float64, digits int) string {
	return strconv.FormatFloat(100*fraction, 'g', digits, 64) + " %"
}

// exactly is a number of digits that shows every fraction as it was written.
const exactly = 12

// brief returns a duration without parts that are zero, for example "30m".
func brief(d time.Duration) string {
	if d == NoTimeout {
		return "any time"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// list returns numbers as "1, 2 and 3".
func list(numbers []int) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.Itoa(n)
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}
