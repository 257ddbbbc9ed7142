package scenarios

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// A success without a version is logged once for a plan; one with a version is not.
func TestAnUncheckedSuccessIsLoggedOnce(t *testing.T) {
	for version, want := range map[string]int{"": 1, "2": 0} {
		inScene(t, func(s *scene) {
			log := s.withLog(s.store)
			s.fleet.do = func(context.Context, ota.Attempt) (ota.Result, bool, error) {
				return ota.Result{Version: version}, true, nil
			}
			id := s.start(ota.Policy{}, ota.Shape{Size: 2}, names("ok", 9)...)
			s.run(s.e)
			s.after(time.Minute)
			s.status(id, ota.StatusCompleted)
			require.Len(s, log.lines("level=WARN", "success counts without a check of the version", "plan="+id), want, "%s", log)
		})
	}
}
