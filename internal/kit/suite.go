package kit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Suite is a conformance suite, whose cases run on an environment E.
type Suite[E Env] struct {
	Themes   []Theme[E]
	Limit    time.Duration // ends a case that hangs, if the implementation respects its context
	Parallel bool          // cases may run at the same time
}

// Theme is the cases of one file.
type Theme[E Env] struct {
	Name  string
	Cases Cases[E]
}

// Cases are cases by name. Each proves one promise on a new environment.
type Cases[E Env] []struct {
	Name string
	Run  func(E)
}

// Env is what a case works with.
type Env interface {
	// Bind sets the context for the case, which is called next.
	Bind(ctx context.Context)
}

// Run runs every case as a subtest of t, each on an environment of its own.
func (s *Suite[E]) Run(t *testing.T, newEnv func(t *testing.T) E) {
	t.Helper()
	for _, theme := range s.Themes {
		t.Run(theme.Name, func(t *testing.T) {
			for _, c := range theme.Cases {
				t.Run(c.Name, func(t *testing.T) {
					if s.Parallel {
						t.Parallel()
					}
					End(t, s.one(t.Context(), newEnv(t), c.Run))
				})
			}
		})
	}
}

// Check runs the cases one after the other without a *testing.T. It returns every failure, each
// with the name of its case, joined; or nil. It stops when ctx ends.
func (s *Suite[E]) Check(ctx context.Context, newEnv func() (E, error)) error {
	var failures []error
	for _, theme := range s.Themes {
		for _, c := range theme.Cases {
			if ctx.Err() != nil {
				return errors.Join(append(failures, ctx.Err())...)
			}
			e, err := newEnv()
			if err == nil {
				err = s.one(ctx, e, c.Run)
			}
			if Failed(err) {
				failures = append(failures, fmt.Errorf("%s/%s: %w", theme.Name, c.Name, err))
			}
		}
	}
	return errors.Join(failures...)
}

// one runs one case and returns what stopped it.
func (s *Suite[E]) one(ctx context.Context, e E, run func(E)) error {
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	e.Bind(ctx)
	return Guard(func() { run(e) })
}
