package sqlcore

import (
	"testing"

	"github.com/seed-19b57ce3/ota/internal/kit"
)

func TestKeepable(t *testing.T) {
	for name, text := range kit.Texts() {
		if keepable(text) != kit.Storable(text) {
			t.Errorf("%s is taken for the contrary", name)
		}
	}
}
