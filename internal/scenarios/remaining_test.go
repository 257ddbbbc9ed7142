package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// left makes a plan of what remains of another one, and returns its agents in order.
func (s *scene) left(id string, skipped bool) (out []string) {
	s.Helper()
	spec, err := s.e.RemainingSpec(s.ctx, id, skipped)
	require.NoError(s, err)
	for a, err := range spec.Agents {
		require.NoError(s, err)
		out = append(out, a.ID)
	}
	return out
}

// However an agent of a plan has ended, it is in the rest of the plan if and only if the plan did not bring it to the target.
func TestRemainingSpecHasWhatIsLeft(t *testing.T) {
	all := []string{"ok-1", "perm-2", "same-3", "hang-4", "ok-5", "ok-6"}
	for name, c := range map[string]struct {
		end           func(*scene, string)
		rest, skipped []string
	}{
		"while it runs": {
			end:  func(*scene, string) {},
			rest: []string{"perm-2"}, skipped: []string{"perm-2", "ok-6"},
		},
		"canceled": {
			end:  func(s *scene, id string) { s.said(s.e.Cancel(s.ctx, id, true, ota.Request{})) },
			rest: []string{"perm-2", "hang-4", "ok-5"}, skipped: []string{"perm-2", "hang-4", "ok-5", "ok-6"},
		},
		"completed": {
			end:  func(s *scene, id string) { s.said(s.e.GiveUp(s.ctx, id, []string{"hang-4"}, ota.Request{})) },
			rest: []string{"perm-2", "hang-4"}, skipped: []string{"perm-2", "hang-4", "ok-6"},
		},
		"rolled back": {
			end: func(s *scene, id string) {
				s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{Interrupt: true}, ota.Request{}))
			},
			rest: []string{"ok-1", "perm-2", "hang-4", "ok-5"}, skipped: []string{"ok-1", "perm-2", "hang-4", "ok-5", "ok-6"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Concurrency: 1, AttemptTimeout: ota.NoTimeout}, ota.Shape{}, all...)
				s.said(s.e.Skip(s.ctx, id, []string{"ok-6"}, ota.Request{}))
				s.run(s.e)
				s.after(time.Minute)
				c.end(s, id)
				s.after(time.Minute)
				require.Equal(s, c.rest, s.left(id, false))
				require.Equal(s, c.skipped, s.left(id, true))
			})
		})
	}
}

// The Spec has what the agents and the plan had, and Create takes it, whatever the name is.
func TestRemainingSpecIsTaken(t *testing.T) {
	for _, name := range []string{"n", strings.Repeat("n", 255), strings.Repeat("ü", 127)} {
		inScene(t, func(s *scene) {
			agents := []ota.Agent{
				{ID: "ok-1", Version: "0.9", Labels: map[string]string{"rack": "a"}},
				{ID: "ok-2", Labels: map[string]string{"rack": "b"}, Tasks: []ota.TaskSpec{{ToVersion: "3"}}},
			}
			p, err := s.e.Create(s.ctx, ota.Spec{
				Name: name, FromVersion: "1", ToVersion: "2", ToRelease: "r", Labels: map[string]string{"team": "x"}, Policy: ota.Policy{Concurrency: 7},
				Agents: func(yield func(ota.Agent, error) bool) { _ = yield(agents[0], nil) && yield(agents[1], nil) },
			})
			require.NoError(s, err)
			s.said(s.e.Cancel(s.ctx, p.ID, false, ota.Request{}))
			for prefix, f := range map[string]func() (ota.Spec, error){
				"Rest of ":   func() (ota.Spec, error) { return s.e.RemainingSpec(s.ctx, p.ID, false) },
				"Failed of ": func() (ota.Spec, error) { return s.e.FailedSpec(s.ctx, p.ID) },
			} {
				spec, err := f()
				require.NoError(s, err)
				require.True(s, strings.HasPrefix(spec.Name, prefix), spec.Name)
				require.LessOrEqual(s, len(spec.Name), 255)
				if prefix == "Failed of " { // none has failed
					spec.Agents = ota.AgentIDs("ok-1")
				}
				again, err := s.e.Create(s.ctx, spec)
				require.NoError(s, err)
				require.Equal(s, []any{p.FromVersion, p.ToVersion, p.ToRelease, p.Labels, p.Policy}, []any{again.FromVersion, again.ToVersion, again.ToRelease, again.Labels, again.Policy})
			}
			spec, err := s.e.RemainingSpec(s.ctx, p.ID, false)
			require.NoError(s, err)
			var got []ota.Agent
			for a, err := range spec.Agents {
				require.NoError(s, err)
				got = append(got, a)
			}
			require.True(s, slices.EqualFunc(got, agents, func(a, b ota.Agent) bool { return a.ID == b.ID }))
			require.Equal(s, "0.9", got[0].Version)
			require.Equal(s, agents[0].Labels, got[0].Labels)
			require.Equal(s, "3", got[1].Tasks[0].ToVersion)
		})
	}
}
