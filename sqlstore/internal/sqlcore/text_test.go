package sqlcore

import (
	"encoding/json"
	"testing"

	"github.com/seed-19b57ce3/ota/internal/kit"
)

// encoding/json writes a text that is not UTF-8, or has a NUL, in a way that keepsJSON knows, and
// no other text.
func TestKeepsJSON(t *testing.T) {
	for name, text := range kit.Texts() {
		b, err := json.Marshal(map[string]string{"k": text})
		if err != nil {
			t.Fatal(err)
		}
		if keepsJSON(b) != kit.Storable(text) || keepable(text) != kit.Storable(text) {
			t.Errorf("%s: %s is taken for the contrary", name, b)
		}
	}
}
