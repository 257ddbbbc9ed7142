package memstore_test

import (
	"testing"

	"github.com/seed-19b57ce3/ota/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
