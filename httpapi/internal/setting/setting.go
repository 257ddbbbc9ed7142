// Package setting collects the mistakes in the settings of a handler or a client.
package setting

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/seed-19b57ce3/ota"
)

// Mistakes are the settings that are not legal.
type Mistakes struct{ errs []error }

// Add adds the mistake of one field.
func (m *Mistakes) Add(field, value, problem, allowed string) {
	m.errs = append(m.errs, &ota.FieldError{Field: field, Value: value, Problem: problem, Allowed: allowed})
}

// Auth adds a missing authenticator.
func (m *Mistakes) Auth(given bool) {
	if !given {
		m.Add("auth", "", "is missing", "for example httpapi.Tokens(…), or httpapi.Open() to let everybody in")
	}
}

// Prefix adds a prefix of paths that is none.
func (m *Mistakes) Prefix(p, example string) {
	if p != "" && (p[0] != '/' || p[len(p)-1] == '/' || strings.Contains(p, "//") || strings.ContainsAny(p, "{}%?# ")) {
		m.Add("prefix", p, "is not a path", fmt.Sprintf("empty, or for example %q", example))
	}
}

// Negative adds a number or a length of time that is negative. 0 means the default.
func (m *Mistakes) Negative(field string, n int64) {
	if n < 0 {
		m.Add(field, "", "is negative", "more than 0; 0 means the default")
	}
}

// In returns the mistakes as the error of a package, or nil. ota.FieldErrors finds all of them.
func (m *Mistakes) In(pkg string) error {
	if len(m.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", pkg, &multierror.Error{Errors: m.errs, ErrorFormat: lines})
}

func lines(errs []error) string { return errors.Join(errs...).Error() }
