package ota

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
)

// ErrInvalid means that input was refused; see FieldErrors.
var ErrInvalid = errors.New("ota: invalid")

// FieldError describes one mistake of some input: the field, the problem, and what is allowed. It
// matches ErrInvalid.
type FieldError struct {
	Field   string // a path such as "concurrency" or "agents[17].id"
	Value   string // as given, cut to 64 bytes; may be empty
	Problem string // for example "is negative"
	Allowed string // for example "1 or more; 0 means 5"; may be empty
}

func (e *FieldError) Error() string {
	var b strings.Builder
	b.WriteString(e.Field)
	if e.Value != "" {
		fmt.Fprintf(&b, " (%s)", e.Value)
	}
	b.WriteByte(' ')
	b.WriteString(e.Problem)
	if e.Allowed != "" {
		b.WriteString("; allowed: ")
		b.WriteString(e.Allowed)
	}
	return b.String()
}

// Is makes every FieldError match ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// FieldErrors returns every mistake that err reports, in the order in which they were found. It
// returns nil when err is of another kind. Of very many mistakes among agents only the first 32
// are named; one more entry then has the number of the others.
func FieldErrors(err error) []*FieldError {
	var many *multierror.Error
	if errors.As(err, &many) {
		var out []*FieldError
		for _, e := range many.Errors {
			var f *FieldError
			if errors.As(e, &f) {
				out = append(out, f)
			}
		}
		return out
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var out []*FieldError
		for _, e := range joined.Unwrap() {
			out = append(out, FieldErrors(e)...)
		}
		return out
	}
	var one *FieldError
	if errors.As(err, &one) {
		return []*FieldError{one}
	}
	return nil
}

// maxNamed is how many mistakes among agents one error names.
const maxNamed = 32

// mistakes collects all mistakes of one input for one error.
type mistakes struct {
	err   *multierror.Error
	in    string // prefix of the names of fields
	named int    // mistakes of agents in err
	more  int    // further mistakes of agents
}

func (m *mistakes) add(field, value, problem, allowed string) {
	m.err = multierror.Append(m.err, &FieldError{Field: m.in + field, Value: shorten(value), Problem: problem, Allowed: allowed})
}

// agent is like add, for mistakes that a large fleet may make a million times.
func (m *mistakes) agent(field, value, problem, allowed string) {
	if m.named == maxNamed {
		m.more++
		return
	}
	m.named++
	m.add(field, value, problem, allowed)
}

func (m *mistakes) result() error {
	if m.more > 0 {
		m.add("agents", "", fmt.Sprintf("have %d more mistakes", m.more), "")
		m.more = 0
	}
	if m.err != nil {
		m.err.ErrorFormat = func(es []error) string {
			s := make([]string, len(es))
			for i, e := range es {
				s[i] = e.Error()
			}
			return "ota: invalid: " + strings.Join(s, "\n\t")
		}
	}
	return m.err.ErrorOrNil()
}

func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(cutBetween(s, most), "\uFFFD") + "…"
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

// maxIndex is how many labels of agents a plan may index.
const maxIndex = 4

func checkIndex(m *mistakes, names []string) {
	if len(names) > maxIndex {
		m.add("index", strconv.Itoa(len(names)), "has too many names", "at most 4")
		return
	}
	for i, name := range names {
		switch {
		case name == "":
			m.add("index", "", "has an empty name", "1 to 255 bytes")
		case slices.Contains(names[:i], name):
			m.add("index", strconv.Quote(shorten(name)), "is there twice", "every name once")
		default:
			checkText(m, "index", name, maxText)
		}
	}
}

func safeID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

func cloneMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

// noMost is the limit of a number that has none.
const noMost = math.MaxInt

// numberRule is the range of a whole number, its limits included.
type numberRule struct {
	field       string
	value       int
	least, most int
	allowed     string // the range in words, and what zero means
}

// numbers adds a mistake for each number out of its range.
func (m *mistakes) numbers(rules ...numberRule) {
	for _, r := range rules {
		switch {
		case r.value < r.least && r.most == noMost:
			m.add(r.field, strconv.Itoa(r.value), "is negative", r.allowed)
		case r.value < r.least || r.value > r.most:
			m.add(r.field, strconv.Itoa(r.value), "is out of range", r.allowed)
		}
	}
}

// fraction adds a mistake when v is not a number from least to most.
func (m *mistakes) fraction(field string, v, least, most float64, allowed string) {
	value := strconv.FormatFloat(v, 'g', -1, 64)
	switch {
	case math.IsNaN(v):
		m.add(field, value, "is not a number", allowed)
	case v < least || v > most:
		m.add(field, value, "is out of range", allowed)
	}
}

// minDuration is the shortest duration that anybody means. A shorter one is a number without a
// unit, such as AttemptTimeout: 30, which Go takes for 30 nanoseconds.
const minDuration = time.Millisecond

// maxDuration keeps a time plus a duration within int64 nanoseconds.
const maxDuration = 10 * 365 * 24 * time.Hour

// durationAllowed is the range of a duration that may be left out.
const durationAllowed = "0, or 1ms to ten years"

// durationRule is the range of a duration: 0, or from minDuration to most.
type durationRule struct {
	field   string
	value   time.Duration
	most    time.Duration
	allowed string
}

// durations adds a mistake for each duration out of its range.
func (m *mistakes) durations(rules ...durationRule) {
	for _, r := range rules {
		checkDuration(m, r.field, r.value, r.most, r.allowed)
	}
}

// checkDuration is durations for one rule.
func checkDuration(m *mistakes, field string, d, most time.Duration, allowed string) {
	switch {
	case d < 0:
		m.add(field, d.String(), "is negative", allowed)
	case d > most:
		m.add(field, d.String(), "is too long", allowed)
	default:
		checkUnit(m, field, d, allowed)
	}
}

// checkUnit adds a mistake when d has no unit, and reports whether it did. The unit that it asks
// for is the largest one that makes less than a day.
func checkUnit(m *mistakes, field string, d time.Duration, allowed string) bool {
	if d <= 0 || d >= minDuration {
		return false
	}
	unit := "time.Second"
	if d >= 24*60*60 {
		unit = "time.Millisecond"
	}
	m.add(field, d.String(), fmt.Sprintf("is less than a millisecond (did you mean %d * %s?)", d, unit), allowed)
	return true
}
