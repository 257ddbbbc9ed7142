package scenarios

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/oddtext"
	"github.com/seed-19b57ce3/ota/memstore"
)

// Whatever text user code answers or a caller gives, wherever: the plan ends.
func TestOddTexts(t *testing.T) {
	t.Parallel()
	oddtext.Run(t, func(*testing.T) ota.Store { return memstore.New() })
}
