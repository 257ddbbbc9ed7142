package scenarios_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// releaseWorld runs plans to their ends.
type releaseWorld struct {
	*testing.T
	e *ota.Engine
}

func newReleaseWorld(t *testing.T) *releaseWorld {
	t.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	require.NoError(t, err)
	return &releaseWorld{t, e}
}

// plan makes a plan and runs it to its end.
func (w *releaseWorld) plan(from, to, release string, change func(*ota.Spec), agents ...string) string {
	w.Helper()
	spec := ota.Spec{Name: "to " + to, FromVersion: from, ToVersion: to, ToRelease: release, Agents: ota.AgentIDs(agents...)}
	if change != nil {
		change(&spec)
	}
	p, err := w.e.Create(w.Context(), spec)
	require.NoError(w, err)
	w.run(p.ID)
	return p.ID
}

func (w *releaseWorld) run(id string) {
	w.Helper()
	_, err := w.e.Start(w.Context(), id, ota.Request{})
	require.NoError(w, err)
	p, err := w.e.RunPlan(w.Context(), id)
	require.NoError(w, err)
	require.Equal(w, ota.StatusCompleted, p.Status)
}

// back makes the rollback of a plan and returns the target release of each agent, and the plan.
func (w *releaseWorld) back(id string) (map[string]string, ota.Plan) {
	w.Helper()
	p, err := w.e.CreateRollback(w.Context(), id, ota.RollbackSpec{}, ota.Request{})
	require.NoError(w, err)
	page, err := w.e.Agents(w.Context(), p.ID, ota.AgentQuery{})
	require.NoError(w, err)
	releases := map[string]string{}
	for i := range page.Items {
		releases[page.Items[i].ID] = page.Items[i].Tasks[0].TargetRelease
	}
	return releases, p
}

func unknownReleases(p ota.Plan) bool {
	return slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "no release to go back to is known") })
}

// A rollback targets the release that each agent had: what the Spec says of the agent, else what it
// says of the plan, else that of the newest completed plan that brought the agent to its version.
func TestReleaseToGoBackTo(t *testing.T) {
	t.Parallel()
	t.Run("of an earlier plan", func(t *testing.T) {
		w := newReleaseWorld(t)
		w.plan("1.1", "1.2", "214", nil, "a", "b")
		w.plan("1.2", "1.2", "215", nil, "a", "b") // a newer release of the same version
		w.plan("1.1", "1.1", "999", nil, "a")      // another version
		id := w.plan("1.2", "1.3", "221", nil, "a", "b")
		releases, p := w.back(id)
		require.Equal(t, map[string]string{"a": "215", "b": "215"}, releases)
		require.Equal(t, []string{"221", "215"}, []string{p.FromRelease, p.ToRelease})
		require.False(t, unknownReleases(p), p.Warnings)
	})
	t.Run("of the agent", func(t *testing.T) {
		w := newReleaseWorld(t)
		w.plan("1.1", "1.2", "214", nil, "a", "b", "c")
		id := w.plan("1.2", "1.3", "221", func(s *ota.Spec) {
			s.Agents = func(yield func(ota.Agent, error) bool) {
				_ = yield(ota.Agent{ID: "a", Release: "200"}, nil) && yield(ota.Agent{ID: "b", Release: " 201 "}, nil) && yield(ota.Agent{ID: "c"}, nil)
			}
		})
		releases, p := w.back(id)
		require.Equal(t, map[string]string{"a": "200", "b": "201", "c": "214"}, releases)
		require.Empty(t, p.ToRelease, "they do not agree")
	})
	t.Run("of the plan", func(t *testing.T) {
		w := newReleaseWorld(t)
		w.plan("1.1", "1.2", "214", nil, "a")
		id := w.plan("1.2", "1.3", "221", func(s *ota.Spec) { s.FromRelease = "210" }, "a")
		releases, p := w.back(id)
		require.Equal(t, map[string]string{"a": "210"}, releases)
		require.Equal(t, "210", p.ToRelease)
	})
	t.Run("unknown", func(t *testing.T) {
		w := newReleaseWorld(t)
		w.plan("1.1", "1.2", "214", nil, "a")
		id := w.plan("1.2", "1.3", "221", nil, "a", "new")
		releases, p := w.back(id)
		require.Equal(t, map[string]string{"a": "214", "new": ""}, releases)
		require.Empty(t, p.ToRelease)
		require.True(t, unknownReleases(p), p.Warnings)
	})
	t.Run("of a rollback", func(t *testing.T) {
		w := newReleaseWorld(t)
		w.plan("1.1", "1.2", "214", nil, "a")
		undone := w.plan("1.2", "1.3", "221", nil, "a")
		_, p := w.back(undone)
		_, err := w.e.Rollback(t.Context(), undone, ota.RollbackSpec{}, ota.Request{})
		require.NoError(t, err)
		_, err = w.e.RunPlan(t.Context(), p.ID)
		require.NoError(t, err)
		found, err := w.e.Releases(t.Context(), "1.2", []string{"a", "b"})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"a": "214"}, found)
		id := w.plan("1.2", "1.4", "230", nil, "a")
		releases, _ := w.back(id)
		require.Equal(t, map[string]string{"a": "214"}, releases)
	})
}

// found is a Prechecker that knows versions and releases.
type found struct {
	ota.Executor
	agents map[string]ota.Precheck
}

func (f found) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	return f.agents[a.Agent], nil
}

// A release that a precheck reports counts where the Spec has none, or where the agent ran another
// version than the Spec says.
func TestReleaseOfAPrecheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		release string // of the plan
		want    map[string]string
	}{
		"the plan has none": {"", map[string]string{"same": "215", "other": "199", "none": "", "own": "200"}},
		"the plan has one":  {"210", map[string]string{"same": "210", "other": "199", "none": "210", "own": "200"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newReleaseWorld(t)
			e, err := ota.New(memstore.New(), found{ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
				return ota.Result{Version: a.ToVersion}, nil
			}), map[string]ota.Precheck{
				"same": {Version: "1.2", Release: " 215 "}, "other": {Version: "1.1", Release: "199"}, "none": {Version: "1.2"},
				"own": {Version: "1.2", Release: "299"},
			}}, ota.Options{})
			require.NoError(t, err)
			w.e = e
			id := w.plan("1.2", "1.3", "221", func(s *ota.Spec) {
				s.FromRelease = c.release
				s.Agents = func(yield func(ota.Agent, error) bool) {
					_ = yield(ota.Agent{ID: "same"}, nil) && yield(ota.Agent{ID: "other"}, nil) && yield(ota.Agent{ID: "none"}, nil) &&
						yield(ota.Agent{ID: "own", Release: "200"}, nil)
				}
			})
			releases, _ := w.back(id)
			require.Equal(t, c.want, releases)
		})
	}
}

// A release that breaks the rules is refused by its name.
func TestReleaseOfAnAgentIsChecked(t *testing.T) {
	t.Parallel()
	w := newReleaseWorld(t)
	for _, bad := range []string{"a\nb", strings.Repeat("x", 256)} {
		_, err := w.e.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", Agents: func(yield func(ota.Agent, error) bool) {
			yield(ota.Agent{ID: "a", Release: bad}, nil)
		}})
		require.ErrorContains(t, err, "agents[0].release")
	}
}
