package sqlstore

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/oddtext"
)

// Whatever text user code answers or a caller gives, wherever: the plan ends, on both databases.
func TestOddTexts(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		oddtext.Run(t, func(t *testing.T) ota.Store { return p.open(t) })
	})
}
