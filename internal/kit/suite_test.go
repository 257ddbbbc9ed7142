package kit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// env counts in which cases it was bound.
type env struct{ ctx context.Context }

func (e *env) Bind(ctx context.Context) { e.ctx = ctx }

func suite(cases Cases[*env]) *Suite[*env] {
	return &Suite[*env]{Themes: []Theme[*env]{{Name: "Theme", Cases: cases}}, Limit: time.Hour}
}

// Check names every case that failed or panicked, and none that passed or was skipped.
func TestCheckNamesFailures(t *testing.T) {
	made := 0
	err := suite(Cases[*env]{
		{"Passes", func(e *env) { That("a case has a limit", deadline(e), "got none") }},
		{"Breaks", func(*env) { That("a rule", false, "seen %d", 7) }},
		{"Skips", func(*env) { Skip("does not apply") }},
		{"Panics", func(*env) { panic("oops") }},
	}).Check(t.Context(), func() (*env, error) {
		made++
		return &env{}, nil
	})
	if made != 4 {
		t.Errorf("%d environments for 4 cases", made)
	}
	for part, want := range map[string]bool{
		"Theme/Breaks: a rule": true, "seen 7": true, "Theme/Panics": true, "oops": true, "Passes": false, "Skips": false,
	} {
		if err == nil || strings.Contains(err.Error(), part) != want {
			t.Errorf("%q: want %v in %v", part, want, err)
		}
	}
}

func deadline(e *env) bool {
	_, ok := e.ctx.Deadline()
	return ok
}

// An environment that cannot be made is a failure of its case, and Check stops when its context
// ends.
func TestCheckStops(t *testing.T) {
	mine, n := errors.New("no database"), 0
	ctx, cancel := context.WithCancel(t.Context())
	err := suite(Cases[*env]{{"One", func(*env) {}}, {"Two", func(*env) {}}}).Check(ctx, func() (*env, error) {
		n++
		cancel()
		return nil, mine
	})
	if n != 1 || !errors.Is(err, mine) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after %d cases", err, n)
	}
}

// Run makes a subtest of every case, on an environment of its own, and skips what does not apply.
func TestRun(t *testing.T) {
	var ran []string
	seen := map[*env]bool{}
	note := func(name string) func(*env) {
		return func(e *env) {
			ran = append(ran, name)
			seen[e] = true
		}
	}
	suite(Cases[*env]{
		{"One", note("One")},
		{"Skips", func(e *env) {
			note("Skips")(e)
			Skip("it does not apply")
		}},
		{"Two", note("Two")},
	}).Run(t, func(*testing.T) *env { return &env{} })
	if !slices.Equal(ran, []string{"One", "Skips", "Two"}) || len(seen) != 3 {
		t.Errorf("ran %q on %d environments", ran, len(seen))
	}
}
