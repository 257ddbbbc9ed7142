package scenarios_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// A ClaimError names each plan once, with some of its agents.
func TestClaimErrorNamesEachPlanOnce(t *testing.T) {
	e := &ota.ClaimError{Plan: "new", Total: 40}
	for _, id := range []string{"a", "b", "c", "d"} {
		e.Conflicts = append(e.Conflicts, ota.Conflict{Agent: id, Plan: "july"})
	}
	for _, id := range []string{"x", "y"} {
		e.Conflicts = append(e.Conflicts, ota.Conflict{Agent: id, Plan: "june", Engine: "engine-1"}, ota.Conflict{Agent: "a-" + id, Plan: "may"})
	}
	want := "ota: plan new: 40 agents belong to another plan: a, b, c, … are in july; " +
		"x, y: a call of plan june by engine engine-1 has not returned; a-x, a-y are in may"
	if got := e.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Every verb that refuses a value says so with the package, the verb and the plan.
func TestErrorsOfVerbsBeginAlike(t *testing.T) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, long := t.Context(), ota.Request{Actor: strings.Repeat("x", 300)}
	for name, call := range map[string]func() error{
		"skip nothing":  func() error { _, err := e.Skip(ctx, p.ID, nil, ota.Request{}); return err },
		"skip unknown":  func() error { _, err := e.Skip(ctx, p.ID, []string{"z"}, ota.Request{}); return err },
		"long actor":    func() error { _, err := e.Pause(ctx, p.ID, long); return err },
		"pause pending": func() error { _, err := e.Pause(ctx, p.ID, ota.Request{}); return err },
		"no plan":       func() error { _, err := e.Pause(ctx, "none", ota.Request{}); return err },
		"edit": func() error {
			_, err := e.Edit(ctx, p.ID, func(p *ota.Policy) { p.Concurrency = -1 }, ota.Request{})
			return err
		},
		"generation": func() error { _, err := e.Start(ctx, p.ID, ota.Request{Generation: 9}); return err },
		"accept":     func() error { _, err := e.Resume(ctx, p.ID, ota.Accept(-1), ota.Request{}); return err },
		"promote":    func() error { _, err := e.Promote(ctx, p.ID, 9, ota.Request{}); return err },
		"annotate": func() error {
			_, err := e.Annotate(ctx, p.ID, map[string]string{"": "x"}, nil, ota.Request{})
			return err
		},
		"rollback": func() error { _, err := e.Rollback(ctx, p.ID, ota.RollbackSpec{}, ota.Request{}); return err },
	} {
		if err := call(); err == nil || !strings.HasPrefix(err.Error(), "ota: ") {
			t.Errorf("%s: %v (%T)", name, err, errors.Unwrap(err))
		}
	}
}
