package sqlstore

import (
	"sync"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/storetest"
)

func conformance(t *testing.T, newPlace func(testing.TB) place) {
	var places sync.Map // from a store to its place
	open := func(t *testing.T, p place) ota.Store {
		s := p.open(t)
		places.Store(s, p)
		return s
	}
	storetest.Run(t, func(t *testing.T) ota.Store { return open(t, newPlace(t)) }, storetest.Options{
		Reopen: func(t *testing.T, s ota.Store) ota.Store {
			p, _ := places.Load(s)
			return open(t, p.(place))
		},
	})
}

func TestConformanceSQLite(t *testing.T)   { conformance(t, sqlitePlace) }
func TestConformancePostgres(t *testing.T) { conformance(t, postgresPlace) }
