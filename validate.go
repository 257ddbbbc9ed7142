package ota

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

// ErrInvalid says that input was refused; see FieldErrors.
var ErrInvalid = errors.New("ota: invalid")

// FieldError names one mistake of some input: the field, what is wrong and what is allowed. It matches ErrInvalid.
type FieldError struct {
	Field   string // a path such as "concurrency" or "agents[17].id"
	Value   string // the value as given, cut to 64 bytes; empty when there is nothing to show
	Problem string // what is wrong, for example "is negative"
	Allowed string // what is allowed, for example "1 or more; 0 means 5"; may be empty
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

// maxNamed is how many mistakes among agents are named in one error.
const maxNamed = 32

// mistakes collects every mistake of one input, so that one answer shows them all.
type mistakes struct {
	err   *multierror.Error
	in    string // comes before the names of fields
	named int
	more  int
}

func (m *mistakes) add(field, value, problem, allowed string) {
	m.err = multierror.Append(m.err, &FieldError{Field: m.in + field, Value: shorten(value), Problem: problem, Allowed: allowed})
}

// agent is add for mistakes that a fleet may make a million times.
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

// maxDuration keeps a time plus a duration within int64 nanoseconds.
const maxDuration = 10 * 365 * 24 * time.Hour

func checkDuration(m *mistakes, field string, d, most time.Duration, allowed string) {
	if d < 0 {
		m.add(field, d.String(), "is negative", allowed)
	} else if d > most {
		m.add(field, d.String(), "is too long", allowed)
	}
}
