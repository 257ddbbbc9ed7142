package scenarios

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// Two processes that were given one name do not take a plan from each other all the time: who lost it says what is wrong, and
// leaves it alone for a while.
func TestTwoEnginesOfOneName(t *testing.T) {
	inScene(t, func(s *scene) {
		var log logBuffer
		s.fleet.latency = 4 * time.Second
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 5}, names("ok", 5)...)
		older, err := ota.New(s.store, s.fleet, ota.Options{Name: "server", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(s, err)
		s.run(older)
		s.after(2 * time.Second)
		s.run(s.engine(s.store, s.fleet, "server"))
		s.after(8 * time.Second)
		require.Len(s, s.events(id, ota.EventOwned), 2, "each took it once")
		require.Len(s, s.fleet.made("ok-000"), 2, "once by each")
		require.Contains(s, log.String(), "another process drives a plan under this engine's name")
		require.Contains(s, log.String(), "name=server")
		s.after(5 * time.Minute)
		s.status(id, ota.StatusCompleted)
		owned, calls := len(s.events(id, ota.EventOwned)), 0
		require.LessOrEqual(s, owned, 6)
		for _, agent := range names("ok", 5) {
			calls += len(s.fleet.made(agent))
		}
		require.LessOrEqual(s, calls, 5+owned-1, "each time it was taken over, at most the one call that was out is made again")
	})
}
