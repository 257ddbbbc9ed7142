package ota_test

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
	"github.com/seed-19b57ce3/ota/storetest"
)

func TestMain(m *testing.M) { harness.Main(m) }

// TestTestStore holds the Store of this package's own tests to the contract.
func TestTestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) ota.Store { return ota.NewTestStore() }, storetest.Options{})
}
