package sqlstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// BenchmarkLookup reads agents by their IDs, in plans of two sizes.
// TestReadsUseAnIndex tests that both use an index.
func BenchmarkLookup(b *testing.B) {
	for name, p := range map[string]place{"SQLite": sqlitePlace(b), "PostgreSQL": postgresPlace(b)} {
		s := p.open(b)
		for _, n := range []int{1_000, 300_000} {
			sqltest.Create(b, s, fmt.Sprint("p-", n), n)
		}
		for _, k := range []int{1, 500} {
			for _, n := range []int{1_000, 300_000} {
				b.Run(fmt.Sprintf("%s/of=%d/ids=%d", name, n, k), func(b *testing.B) {
					for b.Loop() {
						lookUp(b, s, n, k)
					}
				})
			}
		}
	}
}

func lookUp(b *testing.B, s *Store, n, k int) time.Duration {
	b.Helper()
	ids := make([]string, k)
	for i := range ids {
		ids[i] = fmt.Sprintf("agent-%07d", rand.IntN(n))
	}
	began := time.Now()
	page, err := s.Rows(context.Background(), fmt.Sprint("p-", n), ota.RowQuery{Kind: ota.KindAgent, IDs: ids, Limit: k})
	if err != nil || len(page.Items) == 0 {
		b.Fatal(len(page.Items), err)
	}
	return time.Since(began)
}
