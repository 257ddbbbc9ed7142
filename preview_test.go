package ota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAPreviewWritesNothing(t *testing.T) {
	inScene(t, func(s *scene) {
		busy := s.start(Policy{}, Shape{}, append(names("a", 40), "z")...)
		spec := Spec{
			Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs(names("a", 25)...), Shape: Shape{Size: 9},
			Policy: Policy{Concurrency: 3, Soak: Soak{Duration: time.Minute}, Hold: Hold{All: true}},
		}
		p, err := s.e.Preview(s.ctx, spec, PreviewOptions{})
		require.NoError(s, err)
		require.Equal(s, 25, p.Agents)
		require.Equal(s, DefaultAttemptTimeout, p.Policy.AttemptTimeout)
		require.Len(s, p.Warnings, 1, "%v", p.Warnings)
		require.Equal(s, []PreviewBatch{
			{Index: 0, Size: 9}, {Index: 1, Size: 9}, {Index: 2, Size: 7},
		}, p.Batches)
		require.Equal(s, 25, p.Readiness.ConflictCount)
		require.Equal(s, Conflict{Agent: "a-000", Plan: busy}, p.Readiness.Conflicts[0])
		page, err := s.e.store.Plans(s.ctx, PlanQuery{})
		require.NoError(s, err)
		require.Len(s, page.Items, 1, "nothing was made")
	})
}

func TestAPreviewOfManyAgents(t *testing.T) {
	inScene(t, func(s *scene) {
		all := ids("a", 2500)
		s.start(Policy{}, Shape{}, all...)
		p, err := s.e.Preview(s.ctx, Spec{Name: "x", ToVersion: "2", Agents: AgentIDs(all...)}, PreviewOptions{})
		require.NoError(s, err)
		require.Equal(s, 2500, p.Readiness.ConflictCount)
		require.Len(s, p.Readiness.Conflicts, 32)
		require.Equal(s, 1, p.Batches[249].Tolerated)
	})
}

// A preview refuses what Create refuses, with the same mistakes.
func TestAPreviewRefusesWhatCreateRefuses(t *testing.T) {
	inScene(t, func(s *scene) {
		for _, spec := range []Spec{
			{},
			{Name: "x", ToVersion: "2", Agents: AgentIDs()},
			{Name: "x", ToVersion: "2", Agents: AgentIDs("a", "a", "")},
			{Name: "x", ToVersion: "2", Agents: AgentIDs("a", "b"), Shape: Shape{Batches: []BatchShape{{Size: 1}}}},
			{Name: "x", ToVersion: "2", Agents: AgentIDs("a"), Policy: Policy{Concurrency: -1, Hold: Hold{Batches: []int{7}}}},
		} {
			_, previewed := s.e.Preview(s.ctx, spec, PreviewOptions{})
			_, created := s.e.Create(s.ctx, spec)
			require.NotEmpty(s, FieldErrors(created))
			require.Equal(s, FieldErrors(created), FieldErrors(previewed))
		}
	})
}
