package ota_test

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/storetest"
)

func TestMemStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) ota.Store { return ota.NewMemStore() }, storetest.Options{})
}

func BenchmarkMemStore(b *testing.B) {
	storetest.Bench(b, func(*testing.B) ota.Store { return ota.NewMemStore() })
}
