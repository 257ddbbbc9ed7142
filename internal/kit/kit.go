// Package kit runs conformance suites, with a *testing.T and without. storetest and executortest
// are built on it. A case stops at the first broken rule.
package kit

import (
	"errors"
	"fmt"
	"runtime/debug"
	"testing"
)

// Guard runs a case and returns what stopped it: a broken rule, a reason to skip, or a panic.
func Guard(run func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case stop:
			err = r.err
		default:
			err = fmt.Errorf("nothing panics\n\tgot a panic: %v\n%s", r, debug.Stack())
		}
	}()
	run()
	return nil
}

// stop is what Skip and That panic with, as testing's FailNow does. Only the goroutine that runs
// the case may call them.
type stop struct{ err error }

// skipped is the error of a case that does not apply.
type skipped struct{ reason string }

func (s skipped) Error() string { return "skipped: " + s.reason }

// Skip stops a case that does not apply.
func Skip(reason string) { panic(stop{skipped{reason}}) }

// That stops the case unless held. The failure text is the rule, then what was seen.
func That(rule string, held bool, format string, args ...any) {
	if !held {
		panic(stop{fmt.Errorf("%s\n\t%s", rule, fmt.Sprintf(format, args...))})
	}
}

// End ends the subtest of a case by what stopped that.
func End(t *testing.T, err error) {
	t.Helper()
	var skip skipped
	switch {
	case errors.As(err, &skip):
		t.Skip(skip.reason)
	case err != nil:
		t.Fatal(err)
	}
}

// Failed reports whether what stopped a case is a failure.
func Failed(err error) bool { return err != nil && !errors.As(err, new(skipped)) }
