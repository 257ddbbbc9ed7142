// Package riverpeer runs River, a job queue on PostgreSQL that people often use for such work:
// no-op jobs, inserted beforehand.
package riverpeer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Upgrade is a job's arguments: the agent.
type Upgrade struct {
	Agent int `json:"agent"`
}

// Kind implements river.JobArgs.
func (Upgrade) Kind() string { return "upgrade" }

type worker struct {
	river.WorkerDefaults[Upgrade]
}

// Work does nothing.
func (worker) Work(context.Context, *river.Job[Upgrade]) error { return nil }

// Queue is a River client with jobs to process.
type Queue struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
	jobs   int
	done   <-chan *river.Event
	cancel func()
}

// New makes River's tables at the URL, and inserts jobs. With tuned, River fetches new jobs every
// millisecond, the minimum that it allows; otherwise at its default interval.
func New(ctx context.Context, url string, workers, jobs int, tuned bool) (*Queue, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	q := &Queue{pool: pool, jobs: jobs, cancel: func() {}}
	if err := q.start(ctx, workers, tuned); err != nil {
		q.pool.Close()
		return nil, err
	}
	return q, nil
}

func (q *Queue) start(ctx context.Context, workers int, tuned bool) error {
	driver := riverpgxv5.New(q.pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	registry := river.NewWorkers()
	river.AddWorker(registry, worker{})
	config := &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}}, Workers: registry,
		Logger: slog.New(slog.DiscardHandler),
	}
	if tuned {
		config.FetchCooldown, config.FetchPollInterval = time.Millisecond, time.Millisecond
	}
	if q.client, err = river.NewClient(driver, config); err != nil {
		return err
	}
	q.done, q.cancel = q.client.SubscribeConfig(&river.SubscribeConfig{
		Kinds: []river.EventKind{river.EventKindJobCompleted, river.EventKindJobFailed}, ChanSize: q.jobs + 1,
	})
	const chunk = 1000
	for first := 0; first < q.jobs; first += chunk {
		params := make([]river.InsertManyParams, min(chunk, q.jobs-first))
		for i := range params {
			params[i].Args = Upgrade{Agent: first + i}
		}
		if _, err := q.client.InsertManyFast(ctx, params); err != nil {
			return err
		}
	}
	return nil
}

// Run processes all jobs, until River reports the last one as completed.
func (q *Queue) Run(ctx context.Context) error {
	if err := q.client.Start(ctx); err != nil {
		return err
	}
	for range q.jobs {
		select {
		case e := <-q.done:
			if e.Kind != river.EventKindJobCompleted {
				return errors.New("a job failed")
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close stops River.
func (q *Queue) Close() error {
	q.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := q.client.Stop(ctx)
	q.pool.Close()
	return err
}
