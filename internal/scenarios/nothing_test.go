package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// When there is nothing to roll back, the error has the real reason, also for a repeated request.
func TestWhyThereIsNothingToRollBack(t *testing.T) {
	for name, c := range map[string]struct {
		from  string   // version before the plan
		later []string // agents that a later plan changes
		want  []string
		not   []string
	}{
		"no version":            {"", nil, []string{"no version to go back to is known of ok-000, ok-001, ok-002 and others"}, []string{"later plan"}},
		"a later plan":          {"1", names("ok", 4), []string{"a later plan has changed ok-00"}, []string{"version"}},
		"both":                  {"", []string{"ok-001"}, []string{"a later plan has changed ok-001", "no version to go back to is known of ok-00"}, nil},
		"a later plan for most": {"1", names("ok", 3), nil, nil},
	} {
		for _, verb := range []ota.Verb{ota.VerbRollback, ota.VerbCreateRollback} {
			t.Run(name+"/"+verb.String(), func(t *testing.T) {
				inScene(t, func(s *scene) {
					upgrade := func(from, to string, agents ...string) string {
						p, err := s.e.Create(s.ctx, ota.Spec{Name: "x", FromVersion: from, ToVersion: to, Agents: ota.AgentIDs(agents...)})
						require.NoError(s, err)
						s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
						require.Equal(s, ota.StatusCompleted.String(), s.drive(p.ID).Status.String())
						return p.ID
					}
					id := upgrade(c.from, "2", names("ok", 4)...)
					if len(c.later) > 0 {
						s.after(time.Second)
						upgrade("2", "3", c.later...)
					}
					for range 2 { // it may be repeated
						var err error
						if verb == ota.VerbRollback {
							_, err = s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{ID: "r"})
						} else {
							_, err = s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{ID: "r"})
						}
						if c.want == nil {
							require.NoError(s, err)
							return
						}
						require.ErrorIs(s, err, ota.ErrNothing)
						for _, text := range c.want {
							require.ErrorContains(s, err, text)
						}
						for _, text := range c.not {
							require.NotContains(s, err.Error(), text)
						}
						s.status(id, ota.StatusCompleted)
					}
				})
			})
		}
	}
}

// When Wait for a rollback plan has returned, its source has ended too, and its agents are free.
func TestWaitForARollbackWaitsForItsSource(t *testing.T) {
	for _, driven := range []bool{true, false} {
		for range 20 {
			inScene(t, func(s *scene) {
				id := s.start(ota.Policy{}, ota.Shape{}, "ok-0", "ok-1")
				s.drive(id)
				undo := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
				if driven {
					s.run(s.e)
				} else {
					s.drive(undo.ID)
				}
				p := s.said(s.e.Wait(s.ctx, undo.ID))
				require.Equal(s, ota.StatusCompleted.String(), p.Status.String())
				s.status(id, ota.StatusRolledBack)
				s.start(ota.Policy{}, ota.Shape{}, "ok-0", "ok-1")
			})
		}
	}
}
