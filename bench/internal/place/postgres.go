package place

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/sqlstore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// Postgres is a Database on a server of its own, with PostgreSQL's default settings: fsync is on.
type Postgres struct {
	cluster *pgtest.Cluster
	admin   *pgx.Conn
	version string
	schemas int
}

// NewPostgres starts a server with a fresh schema.
func NewPostgres(ctx context.Context) (*Postgres, error) {
	cluster, err := pgtest.New()
	if err != nil {
		return nil, err
	}
	d := &Postgres{cluster: cluster}
	if err := d.start(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Postgres) start(ctx context.Context) (err error) {
	if d.admin, err = pgx.Connect(ctx, d.cluster.URL()); err != nil {
		return err
	}
	var fsync, commit string
	err = d.admin.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')`).
		Scan(&d.version, &fsync, &commit)
	if err != nil {
		return err
	}
	if fsync != "on" || commit != "on" {
		return fmt.Errorf("fsync is %s, synchronous_commit %s: what is measured must be durable", fsync, commit)
	}
	return d.Fresh(ctx)
}

// Name implements Database.
func (d *Postgres) Name() string { return "PostgreSQL" }

// Version implements Database.
func (d *Postgres) Version() string { return d.version }

func (d *Postgres) schema() string { return fmt.Sprintf("fresh%d", d.schemas) }

// Fresh implements Database.
func (d *Postgres) Fresh(ctx context.Context) error {
	if d.schemas > 0 {
		if _, err := d.admin.Exec(ctx, `DROP SCHEMA IF EXISTS `+d.schema()+` CASCADE`); err != nil {
			return err
		}
	}
	d.schemas++
	_, err := d.admin.Exec(ctx, `CREATE SCHEMA `+d.schema())
	return err
}

// Open implements Database.
func (d *Postgres) Open(ctx context.Context) (*sqlstore.Store, error) { return d.Address().Open(ctx) }

// Address implements Database.
func (d *Postgres) Address() Address { return Address{DSN: d.cluster.URL(), Schema: d.schema()} }

// URL is the server's URL, for other programs' tables in the same schema.
func (d *Postgres) URL() string { return pgtest.With(d.cluster.URL(), "search_path", d.schema()) }

// Meter implements Database. The flushes are those of the server's log, by its own count.
func (d *Postgres) Meter() meter.Meter {
	return meter.Meter{Server: d.cluster.PID(), Flushes: d.flushes}
}

// Settle implements Database: a session reports its counts when it ends, and rarely before.
func (d *Postgres) Settle(ctx context.Context) error {
	for range 100 {
		var others int
		err := d.admin.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&others)
		if err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // also after they are gone: the server must still collect their processes
		if others == 0 {
			return nil
		}
	}
	return errors.New("sessions are still open")
}

func (d *Postgres) flushes() (n int64, err error) {
	query := `SELECT wal_sync FROM pg_stat_wal`
	if major, _, _ := strings.Cut(d.version, "."); major >= "18" {
		query = `SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'`
	}
	err = d.admin.QueryRow(context.Background(), query).Scan(&n)
	return n, err
}

// Close implements Database.
func (d *Postgres) Close() {
	if d.admin != nil {
		_ = d.admin.Close(context.Background())
	}
	d.cluster.Stop()
}

// Raw implements Database.
func (d *Postgres) Raw(ctx context.Context) (Raw, error) {
	pool, err := pgxpool.New(ctx, d.URL())
	if err != nil {
		return nil, err
	}
	return &rawPostgres{pool: pool}, nil
}

type rawPostgres struct {
	pool    *pgxpool.Pool
	plan    int64
	records int
}

func (r *rawPostgres) Plan(ctx context.Context, id string) error {
	if err := r.pool.QueryRow(ctx, `SELECT number FROM ota_plans WHERE id = $1`, id).Scan(&r.plan); err != nil {
		return err
	}
	return r.pool.QueryRow(ctx, `SELECT coalesce(max(revision), 0) FROM ota_log WHERE plan = $1`, nobodysLog).Scan(&r.records)
}

// A table as one makes it by hand: changing columns beside constant ones, no index on what changes,
// and free space for new versions of rows.
const floorPostgres = `CREATE TABLE floor (
	plan bigint NOT NULL, ordinal integer NOT NULL, batch integer NOT NULL, status smallint NOT NULL,
	id text COLLATE "C" NOT NULL, version text NOT NULL, target text NOT NULL, labels json, tasks text, state bytea NOT NULL,
	PRIMARY KEY (plan, ordinal), UNIQUE (plan, id)
) WITH (fillfactor = 50)`

func (r *rawPostgres) Copy(ctx context.Context) error {
	for _, query := range []string{
		`DROP TABLE IF EXISTS floor`, floorPostgres,
		`INSERT INTO floor SELECT plan, ordinal, batch, 0, id, version, target, labels, tasks, '\x01000000000000' FROM ota_agents WHERE plan = ` + strconv.FormatInt(r.plan, 10),
		`ANALYZE floor`,
		`CHECKPOINT`,
	} {
		if _, err := r.pool.Exec(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

func (r *rawPostgres) Commit(ctx context.Context, ordinals []int32, state, log []byte) error {
	r.records++
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE floor r SET status = 3, state = v.state FROM unnest($2::int[], $3::bytea[]) AS v (ordinal, state)
		WHERE r.plan = $1 AND r.ordinal = v.ordinal`, r.plan, ordinals, repeat(state, len(ordinals)))
	batch.Queue(`INSERT INTO ota_log (plan, revision, request, data) VALUES ($1, $2, '', $3)`, nobodysLog, r.records, log)
	return r.pool.SendBatch(ctx, batch).Close()
}

func repeat(b []byte, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = b
	}
	return all
}

func (r *rawPostgres) Read(ctx context.Context) (n int, err error) {
	rows, err := r.pool.Query(ctx, `SELECT ordinal, batch, id, version, target, labels, tasks FROM ota_agents WHERE plan = $1 ORDER BY ordinal`, r.plan)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var a agent
		if err := rows.Scan(a.dest()...); err != nil {
			return n, err
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	blocks, err := r.pool.Query(ctx, `SELECT block, states FROM ota_states WHERE plan = $1 ORDER BY block`, r.plan)
	if err != nil {
		return n, err
	}
	defer blocks.Close()
	for blocks.Next() {
		var block int
		var states [][]byte
		if err := blocks.Scan(&block, &states); err != nil {
			return n, err
		}
	}
	return n, blocks.Err()
}

func (r *rawPostgres) Insert(ctx context.Context, agents int, name func(i int) string) error {
	const chunk = 10_240
	if _, err := r.pool.Exec(ctx, floorPostgres); err != nil {
		return err
	}
	columns := []string{"plan", "ordinal", "batch", "status", "id", "version", "target", "labels", "tasks", "state"}
	for first := 0; first < agents; first += chunk {
		n := min(chunk, agents-first)
		_, err := r.pool.CopyFrom(ctx, pgx.Identifier{"floor"}, columns, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			i += first
			return []any{1, i, i / 10_000, 0, name(i), "", "", nil, nil, []byte{1, 0, 0, 0, 0, 0, 0}}, nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *rawPostgres) Close() { r.pool.Close() }
