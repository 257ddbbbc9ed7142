package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/seed-19b57ce3/ota/internal/feed"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// tellEvery is how often commits of owners are announced. PostgreSQL commits transactions that
// notify one after the other, each with its own flush. So owners' commits, which are many, are
// announced outside of their transactions.
const tellEvery = 25 * time.Millisecond

// teller merges announcements. It has a timer while an announcement waits,
// and never a goroutine of its own.
type teller struct {
	send func(ctx context.Context, plans []string)

	mu      sync.Mutex
	plans   map[string]struct{}
	timer   *time.Timer
	last    time.Time
	closed  bool
	sending sync.WaitGroup
}

func (t *teller) add(plan string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.plans == nil {
		t.plans = map[string]struct{}{}
	}
	t.plans[plan] = struct{}{}
	if t.timer == nil {
		t.sending.Add(1)
		t.timer = time.AfterFunc(max(0, tellEvery-time.Since(t.last)), t.flush)
	}
}

func (t *teller) flush() {
	defer t.sending.Done()
	t.mu.Lock()
	plans := make([]string, 0, len(t.plans))
	for p := range t.plans {
		plans = append(plans, p)
	}
	clear(t.plans)
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t.send(ctx, plans)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.timer = time.Now(), nil
	if len(t.plans) > 0 && !t.closed {
		t.sending.Add(1)
		t.timer = time.AfterFunc(tellEvery, t.flush)
	}
}

// close ends the announcements, after the one under way. It drops those not made yet: they are
// hints.
func (t *teller) close() {
	t.mu.Lock()
	t.closed = true
	if t.timer != nil && t.timer.Stop() {
		t.sending.Done()
	}
	t.mu.Unlock()
	t.sending.Wait()
}

func (d *database) Announced(plan string, owner bool) {
	if owner {
		d.teller.add(plan)
	}
}

func (d *database) Announce(ctx context.Context, tx sqlcore.Querier, plan string) error {
	_, err := tx.Exec(ctx, `SELECT pg_notify($1, $2)`, d.channel, plan)
	return err
}

// announce notifies of plans in one transaction that waits for no flush. A failure loses hints
// only.
func (d *database) announce(ctx context.Context, plans []string) {
	b := &pgx.Batch{}
	b.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	b.Queue(`SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p`, d.channel, plans)
	_ = d.pool.SendBatch(ctx, b).Close()
}

// Changes listens on a connection beside the pool, so that the pool keeps all of its own.
func (d *database) Changes(ctx context.Context) (<-chan string, error) {
	conn, err := d.listen(ctx)
	if err != nil {
		return nil, err
	}
	s, out := feed.NewSubscriber(), make(chan string)
	go s.Forward(ctx, out)
	go d.keepListening(ctx, conn, s)
	return out, nil
}

func (d *database) listen(ctx context.Context) (*pgx.Conn, error) {
	config := d.pool.Config()
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `LISTEN `+quote(d.channel)); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// keepListening passes notifications to s until ctx ends, over as many connections as that takes.
func (d *database) keepListening(ctx context.Context, conn *pgx.Conn, s *feed.Subscriber) {
	wait := 50 * time.Millisecond
	for {
		for conn != nil {
			n, err := conn.WaitForNotification(ctx)
			if err != nil {
				closeConn(conn)
				break
			}
			s.Add(n.Payload)
			wait = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
		var err error
		if conn, err = d.listen(ctx); err != nil {
			conn = nil
			continue
		}
		// Notifications in between are lost: any plan may have changed.
		_ = d.Query(ctx, `SELECT id FROM ota_plans WHERE ended_at IS NULL`, nil, func(scan sqlcore.ScanFunc) error {
			var id string
			err := scan(&id)
			s.Add(id)
			return err
		})
	}
}
