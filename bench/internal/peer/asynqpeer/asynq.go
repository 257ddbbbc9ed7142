// Package asynqpeer runs asynq, a job queue on Redis that people often use for such work: no-op
// tasks, enqueued beforehand.
package asynqpeer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
)

const queue = "default"

// Queue is an asynq server with tasks to process.
type Queue struct {
	server    *asynq.Server
	inspector *asynq.Inspector
	tasks     int
	called    atomic.Int64
	last      chan struct{}
}

// New enqueues tasks at the Redis server of a unix socket.
func New(ctx context.Context, socket string, workers, tasks int) (*Queue, error) {
	at := asynq.RedisClientOpt{Network: "unix", Addr: socket}
	client := asynq.NewClient(at)
	defer client.Close()
	// Many writers enqueue at once, because Redis has no other way to share a flush.
	const writers = 32
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := w; i < tasks; i += writers {
				if _, err := client.EnqueueContext(ctx, asynq.NewTask("upgrade", nil), asynq.Queue(queue), asynq.MaxRetry(0)); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var err error
	for range writers {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return nil, err
	}
	return &Queue{
		server:    asynq.NewServer(at, asynq.Config{Concurrency: workers, LogLevel: asynq.FatalLevel}),
		inspector: asynq.NewInspector(at), tasks: tasks, last: make(chan struct{}),
	}, nil
}

// Run processes all tasks, until Redis has no pending or active task.
func (q *Queue) Run(ctx context.Context) error {
	err := q.server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		if q.called.Add(1) == int64(q.tasks) {
			close(q.last)
		}
		return nil
	}))
	if err != nil {
		return err
	}
	select {
	case <-q.last:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		info, err := q.inspector.GetQueueInfo(queue)
		if err != nil {
			return err
		}
		if info.Pending+info.Active == 0 {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// Close stops asynq.
func (q *Queue) Close() error {
	q.server.Shutdown()
	return q.inspector.Close()
}
