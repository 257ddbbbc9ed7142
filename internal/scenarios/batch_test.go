package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

func TestShuffledPlanIsTheSameTwice(t *testing.T) {
	inScene(t, func(s *scene) {
		order := func(seed uint64) (out []string) {
			p := s.create(ota.Policy{}, ota.Shape{Shuffle: seed}, names("ok", 30)...)
			page, err := s.e.Agents(s.ctx, p.ID, ota.AgentQuery{})
			require.NoError(s, err)
			for _, a := range page.Items {
				out = append(out, a.ID)
			}
			return out
		}
		require.Equal(s, order(7), order(7))
		require.NotEqual(s, order(7), order(8))
		require.Equal(s, names("ok", 30), order(0))
	})
}
