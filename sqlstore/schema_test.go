package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
	"github.com/seed-19b57ce3/ota/sqlstore/postgres"
	"github.com/seed-19b57ce3/ota/sqlstore/sqlite"
)

func TestSchemaOfTheFutureIsRefused(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		sqltest.Exec(t, p.open(t), `INSERT INTO ota_migrations (version, name, applied_at) VALUES (99, 'future', 0)`)
		for _, mode := range []MigrateMode{MigrateApply, MigrateCheck} {
			p.opts.Migrate = mode
			if _, err := Open(t.Context(), p.dsn, p.opts); !errors.Is(err, ErrSchema) {
				t.Errorf("mode %d: %v, want ErrSchema", mode, err)
			}
		}
	})
}

func TestMigrations(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		check := p
		check.opts.Migrate = MigrateCheck
		if _, err := Open(t.Context(), check.dsn, check.opts); !errors.Is(err, ErrSchema) {
			t.Fatalf("without tables: %v, want ErrSchema", err)
		}
		p.opts.Migrate = MigrateOff
		s := p.open(t)
		for _, to := range []int{1, 0, Latest(), 0, Latest()} {
			if err := s.Migrate(t.Context(), to); err != nil {
				t.Fatalf("to %d: %v", to, err)
			}
			if have, err := s.Version(t.Context()); have != to || err != nil {
				t.Fatalf("version %d, %v, want %d", have, err, to)
			}
		}
		if err := s.Migrate(t.Context(), Latest()+1); err == nil {
			t.Fatal("there is no such version")
		}
		check.open(t)
		if list, _, err := sqlcore.MigrationsOf(sqlcore.DatabaseOf(s).Migrations()); len(list) != Latest() || err != nil {
			t.Fatalf("%d migrations, %v; Latest says %d", len(list), err, Latest())
		}
	})
}

// Many processes may start at once on an empty database.
func TestManyOpenAtOnce(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		done := make(chan error)
		const many = 8
		for range many {
			go func() {
				s, err := Open(t.Context(), p.dsn, p.opts)
				if err == nil {
					err = s.Close()
				}
				done <- err
			}()
		}
		for range many {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// Prefixes and schemas keep stores apart, whatever the schema's name.
func TestPrefixAndSchema(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		sqltest.Create(t, p.open(t), "p", 3)
		p.opts.TablePrefix = "fleet_"
		other := p.open(t)
		sqltest.Create(t, other, "p", 3)
		if p.opts.Schema != "" {
			p.opts.Schema = `odd "Name" ota_x ` + p.opts.Schema[:8]
			odd := p.open(t)
			t.Cleanup(func() {
				conn, err := pgx.Connect(context.Background(), p.dsn)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close(context.Background())
				_, _ = conn.Exec(context.Background(), `DROP SCHEMA `+pgx.Identifier{p.opts.Schema}.Sanitize()+` CASCADE`)
			})
			sqltest.Create(t, odd, "p", 3)
			if _, err := odd.Commit(t.Context(), sqltest.OwnerCommit(t, odd, "p", 0, 3)); err != nil {
				t.Fatal(err)
			}
		}
		if row, err := other.Plan(t.Context(), "p"); err != nil || row.Revision != 1 {
			t.Fatal(row, err)
		}
	})
	for _, o := range []Options{{TablePrefix: "A"}, {TablePrefix: "1x"}, {TablePrefix: `x"; drop`}, {Schema: "s"}, {Migrate: 9}} {
		if s, err := Open(t.Context(), t.TempDir()+"/x.db", o); err == nil {
			s.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
}

// A pool that was handed in stays open, and one connection of it is enough.
func TestPoolsOfTheCaller(t *testing.T) {
	use := func(t *testing.T, s *Store) {
		t.Helper()
		sqltest.Create(t, s, "p", 300)
		if _, err := s.Commit(t.Context(), sqltest.OwnerCommit(t, s, "p", 0, 64)); err != nil {
			t.Fatal(err)
		}
		if _, total, err := s.Claim(t.Context(), "p", ""); total != 0 || err != nil {
			t.Fatal(total, err)
		}
		s.Close()
	}
	t.Run("SQLite", func(t *testing.T) {
		db, err := sql.Open("sqlite", "file:"+t.TempDir()+"/x.db")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		s, err := sqlite.New(t.Context(), db, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		use(t, s)
		if err := db.Ping(); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`PRAGMA synchronous = normal`); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlite.New(t.Context(), db, sqlite.Options{}); err == nil {
			t.Fatal("a pool that loses commits was accepted")
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		p := postgresPlace(t)
		config, err := pgxpool.ParseConfig(p.dsn)
		if err != nil {
			t.Fatal(err)
		}
		config.MaxConns = 1
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		s, err := postgres.New(t.Context(), pool, postgres.Options{Schema: p.opts.Schema})
		if err != nil {
			t.Fatal(err)
		}
		use(t, s)
		if err := pool.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// What is left of a Create that died goes with the next Create of its ID, or an hour later when a
// Store is opened; one that is alive is left alone.
func TestDeadDraftsAreSwept(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		leftover := func(number int, plan string, age time.Duration) {
			sqltest.Exec(t, s, `INSERT INTO ota_drafts (number, plan, touched_at) VALUES ($1, $2, {now} - $3)`, number, plan, int64(age))
			sqltest.Exec(t, s, `INSERT INTO ota_agents (plan, ordinal, batch, id) VALUES ($1, 0, 0, 'x')`, number)
		}
		leftover(1001, "q", 2*time.Minute)
		leftover(1002, "q", 30*time.Second)
		leftover(1003, "r", 2*time.Minute)
		leftover(1004, "s", 2*time.Hour)
		left := func(want ...int) {
			t.Helper()
			var have []int
			err := sqlcore.DatabaseOf(s).Query(t.Context(), `SELECT plan FROM ota_agents WHERE plan BETWEEN 1001 AND 1004 ORDER BY plan`, nil, func(scan sqlcore.ScanFunc) error {
				var n int
				err := scan(&n)
				have = append(have, n)
				return err
			})
			if err != nil || len(have) != len(want) {
				t.Fatalf("rows of %v are left (%v), want %v", have, err, want)
			}
		}
		sqltest.Create(t, s, "q", 1)
		left(1002, 1003, 1004)
		p.open(t)
		left(1002, 1003)
	})
}

// The views answer in words about what the engine writes: a paused plan, why, since when, and who.
func TestViews(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		e, err := ota.New(s, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
			if a.Agent == "a-2" {
				return ota.Result{}, ota.Permanent(errors.New("no space left"))
			}
			return ota.Result{Version: a.ToVersion}, nil
		}), ota.Options{Name: "engine-1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"breached", "paused", "ended"} {
			spec := ota.Spec{ID: id, Name: "name of " + id, ToVersion: "2", Shape: ota.Shape{Size: 2}, Policy: ota.Policy{FailureThreshold: new(0.1)}, Agents: func(yield func(ota.Agent, error) bool) {
				for i := range 4 {
					if id == "ended" && i > 1 || !yield(ota.Agent{ID: fmt.Sprint("a-", i), Labels: map[string]string{"of": id}}, nil) {
						return
					}
				}
			}}
			if _, err := e.Create(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Start(t.Context(), "breached", ota.Request{Actor: "ann"}); err != nil {
			t.Fatal(err)
		}
		if p, err := e.RunPlan(t.Context(), "breached"); err != nil || p.Status != ota.StatusPaused {
			t.Fatal(p.Status, err)
		}
		_, err = e.Cancel(t.Context(), "paused", false, ota.Request{Actor: "bob", Reason: "not today"})
		if err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]string{
			`SELECT name || ' ' || status || ' ' || hold || ' ' || why || ' ' || (since IS NOT NULL) || ' ' || needs_person || ' ' || owner || ' ' || coverage
				FROM ota_plan_list WHERE id = 'breached'`: "name of breached paused breached A breach stands and needs a decision 1 1 engine-1 partial",
			`SELECT show->>'breach' FROM ota_plan_list WHERE id = 'breached'`:                                                              "Failure threshold exceeded",
			`SELECT status || ' ' || (ended_at IS NOT NULL) || ' ' || (why IS NULL) FROM ota_plan_list WHERE id = 'paused'`:                "canceled 1 1",
			`SELECT show->'canceled'->>'actor' FROM ota_plan_list WHERE id = 'paused'`:                                                     "bob",
			`SELECT why || ' ' || needs_person FROM ota_plan_list WHERE id = 'ended'`:                                                      "The plan has not been started 1",
			`SELECT plan || ' ' || status || ' ' || (show->'agents'->>'failed') FROM ota_batch_list WHERE plan = 'breached' AND batch = 1`: "breached completed 1",
			`SELECT agent || ' ' || status || ' ' || reason || ' ' || why FROM ota_agent_list WHERE plan = 'breached' AND agent = 'a-2'`:   "a-2 failed permanent The executor",
			`SELECT error FROM ota_agent_list WHERE plan = 'breached' AND agent = 'a-2'`:                                                   "no space left",
			`SELECT agent || ' ' || (error IS NULL) FROM ota_agent_list WHERE plan = 'breached' AND agent = 'a-1'`:                         "a-1 1",
			`SELECT agent || ' ' || status || ' ' || (reason IS NULL) FROM ota_agent_list WHERE plan = 'ended' AND ordinal = 0`:            "a-0 pending 1",
			`SELECT plan || ' ' || revision || ' ' || (bytes > 0) FROM ota_event_list WHERE plan = 'breached' AND revision = 2`:            "breached 2 1",
			`SELECT 'claims ' || count(*) FROM ota_claim_list`:                                                                             "claims 4",
		} {
			var have string
			if _, err := sqlcore.One(t.Context(), sqlcore.DatabaseOf(s), query, nil, &have); err != nil || !strings.HasPrefix(strings.ReplaceAll(have, " true", " 1"), want) {
				t.Errorf("%s: %q, %v, want %q", query, have, err, want)
			}
		}
	})
}

// The view shows the error of an agent as long as the agent has one: while it waits for its next
// attempt, after it has failed, and the error of whichever of its tasks failed. It follows each attempt.
func TestViewOfErrors(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		show := func(agent string) (text string) {
			t.Helper()
			_, err := sqlcore.One(t.Context(), sqlcore.DatabaseOf(s), `SELECT status || ': ' || coalesce(error, 'none') FROM ota_agent_list WHERE agent = $1`,
				[]any{agent}, &text)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		during := map[string]string{}
		e, err := ota.New(s, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
			during[fmt.Sprintf("%s %d", a.Agent, a.Number)] = show(a.Agent)
			switch {
			case a.Agent == "late" && a.Number < 3:
				return ota.Result{}, fmt.Errorf("try %d: \"no\" \x00", a.Number)
			case a.Agent == "two" && a.Task == 1:
				return ota.Result{}, ota.Permanent(errors.New("the second task"))
			}
			return ota.Result{Version: a.ToVersion}, nil
		}), ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		always := 1.0
		tasks := []ota.TaskSpec{{Component: ota.Component{Name: "x"}}, {Component: ota.Component{Name: "y"}}}
		_, err = e.Create(t.Context(), ota.Spec{ID: "p", Name: "p", ToVersion: "2", Agents: func(yield func(ota.Agent, error) bool) {
			_ = yield(ota.Agent{ID: "late"}, nil) && yield(ota.Agent{ID: "two", Tasks: tasks}, nil)
		}, Policy: ota.Policy{Concurrency: 1, FailureThreshold: &always, Retry: ota.RetryPolicy{Max: 2, Backoff: time.Millisecond}}})
		if err == nil {
			_, err = e.Start(t.Context(), "p", ota.Request{})
		}
		if err == nil {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			_, err = e.RunPlan(ctx, "p")
		}
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range map[string]string{
			"late 1": "running: none", "late 2": "running: try 1: \"no\" \uFFFD", "late 3": "running: try 2: \"no\" \uFFFD",
		} {
			if during[at] != want {
				t.Errorf("%s: %q, want %q", at, during[at], want)
			}
		}
		for agent, want := range map[string]string{"late": "succeeded: none", "two": "failed: the second task"} {
			if have := show(agent); have != want {
				t.Errorf("%q, want %q", have, want)
			}
		}
	})
}
