// Package pgtest gives tests a PostgreSQL of their own: one cluster per test binary, in a temporary
// folder, on a unix socket, run as an unprivileged user when the tests run as root. It is for tests
// only. The cluster that tests share does not wait for the disk: what was committed outlives the
// server, and not a crash of the machine. That of benchmarks, and one by New, do wait.
//
// OTA_TEST_POSTGRES, when set, is the URL of a server to use instead.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Env is the variable that names a server to use.
const Env = "OTA_TEST_POSTGRES"

// server is the one cluster of a test binary, started when it is needed.
type server struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

var ofTests, ofBenchmarks server

// Main runs the tests of a binary, and stops its cluster afterwards. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	for _, s := range []*server{&ofTests, &ofBenchmarks} {
		if s.cluster != nil {
			s.cluster.Stop()
		}
	}
	os.Exit(code)
}

// URL returns a server for t, which it skips when there is none.
func URL(t testing.TB) string {
	t.Helper()
	if u := os.Getenv(Env); u != "" {
		return u
	}
	shared, hasty := &ofTests, true
	if _, ok := t.(*testing.B); ok {
		shared, hasty = &ofBenchmarks, false
	}
	shared.once.Do(func() { shared.cluster, shared.err = newCluster(hasty) })
	if shared.err != nil {
		t.Skipf("no PostgreSQL to test with: %v; install it, or set %s to a server's URL", shared.err, Env)
	}
	return shared.cluster.URL()
}

// Schema returns a server for t and the name of a schema that only t uses, and that is dropped
// after it.
func Schema(t testing.TB) (dsn, schema string) {
	t.Helper()
	dsn, schema = URL(t), "t_"+rand.Text()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Logf("drop schema %s: %v", schema, err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, fmt.Sprintf(`DROP SCHEMA IF EXISTS %q CASCADE`, schema)); err != nil {
			t.Logf("drop schema %s: %v", schema, err)
		}
	})
	return dsn, schema
}

// Empty returns the URL of a server on which tables are made in a schema that only t uses, and that
// is dropped after it.
func Empty(t testing.TB) string {
	t.Helper()
	dsn, schema := Schema(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), fmt.Sprintf(`CREATE SCHEMA %q`, schema)); err != nil {
		t.Fatal(err)
	}
	return With(dsn, "search_path", fmt.Sprintf("%q", schema))
}

// With returns the URL with one more parameter.
func With(dsn, name, value string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}
