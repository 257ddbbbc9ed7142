package sqlcore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Create implements [ota.Store]. Agents are written in chunks, each a transaction of its own, under a number that no
// plan has yet; the last, small transaction makes the plan. What is left when the process dies in between is deleted by
// a later Create of the same ID, or by opening a Store an hour later. Memory is bounded by two chunks and the batches.
func (s *Store) Create(ctx context.Context, p ota.NewPlan, agents iter.Seq2[ota.AgentRow, error]) error {
	if err := keepsPlan(&p); err != nil {
		return wrap(ctx, "create", p.ID, err)
	}
	if err := s.taken(ctx, s.db, p); err != nil {
		return wrap(ctx, "create", p.ID, err)
	}
	if err := s.sweepDead(ctx, minute, p.ID); err != nil {
		return wrap(ctx, "create", p.ID, err)
	}
	d := &draft{store: s, plan: p}
	err := d.create(ctx, agents)
	_ = d.written() // nothing is under way any more, whatever it came to
	if err == nil {
		s.db.Announced(p.ID, false)
		s.db.Grown(ctx, d.agents)
		return nil
	}
	if d.number != 0 {
		// Also when it is not known whether the plan was made: sweep touches nothing of a plan that was.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), minute)
		defer cancel()
		_ = s.sweep(ctx, d.number)
	}
	var foreign *foreignError
	if errors.As(err, &foreign) {
		return foreign.err
	}
	return s.wrote(ctx, "create", p.ID, err)
}

// keepsPlan says which text of a plan the database cannot keep. Those of its agents are looked at as they come.
func keepsPlan(p *ota.NewPlan) error {
	for name, value := range p.Labels {
		if err := keeps(name, value); err != nil {
			return err
		}
	}
	return keeps(p.ID, p.Source, p.RequestKey, p.Fingerprint)
}

// taken returns ErrExists when the plan's ID or its request key is.
func (s *Store) taken(ctx context.Context, q Querier, p ota.NewPlan) error {
	var id string
	found, err := One(ctx, q, `SELECT id FROM ota_plans WHERE id = $1 OR request_key = $2 ORDER BY id = $1 DESC LIMIT 1`,
		[]any{p.ID, key(p)}, &id)
	switch {
	case err != nil || !found:
		return err
	case id == p.ID:
		return ota.ErrExists
	default:
		return fmt.Errorf("%w: request key %q made plan %q", ota.ErrExists, p.RequestKey, id)
	}
}

// key is the request key as it is stored: none is NULL, of which there may be many.
func key(p ota.NewPlan) any {
	if p.RequestKey == "" {
		return nil
	}
	return p.RequestKey
}

// foreignError is an error of the caller's own functions, which gets it back as it is.
type foreignError struct{ err error }

func (e *foreignError) Error() string { return e.err.Error() }

// draft is a plan that is being created.
type draft struct {
	store  *Store
	plan   ota.NewPlan
	number int64 // 0 until it has one

	rows    []AgentRecord // those to be written next
	spare   []AgentRecord // those that are being written, or were
	writing chan error    // tells how that ended; nil when nothing is being written
	touched time.Time
	agents  int
}

const (
	minute = time.Minute
	hour   = time.Hour
	// touchEvery is how often a slow Create says that it is alive, as long as agents come.
	touchEvery = 10 * time.Second
)

var errSwept = errors.New("it took too long between two agents, and was taken for dead")

func (d *draft) create(ctx context.Context, agents iter.Seq2[ota.AgentRow, error]) error {
	err := d.store.db.Update(ctx, func(tx Querier) error {
		_, err := One(ctx, tx, `INSERT INTO ota_drafts (plan, touched_at) VALUES ($1, {now}) RETURNING number`,
			[]any{d.plan.ID}, &d.number)
		return err
	})
	if err != nil {
		return err
	}
	d.touched = time.Now()
	for row, err := range agents {
		if err != nil {
			return &foreignError{err}
		}
		if err := d.add(ctx, &row); err != nil {
			return err
		}
	}
	if err := errors.Join(d.flush(ctx), d.written()); err != nil {
		return err
	}
	created, err := d.plan.Finish()
	if err != nil {
		return &foreignError{err}
	}
	if len(created.Log) == 0 {
		return errLog
	}
	if err := d.batches(ctx, created.Batches); err != nil {
		return err
	}
	return d.publish(ctx, created)
}

func (d *draft) add(ctx context.Context, row *ota.AgentRow) error {
	r, err := encodeAgent(row)
	if err != nil {
		return err
	}
	d.rows = append(d.rows, r)
	d.agents++
	if len(d.rows) < d.store.db.Chunk() && (d.agents%BlockSize != 0 || time.Since(d.touched) < touchEvery) {
		return nil
	}
	return d.flush(ctx)
}

// flush begins to write the agents collected so far, while the next are collected: the database and whoever yields them then work
// at the same time. It returns what came of those before.
func (d *draft) flush(ctx context.Context) error {
	if err := d.written(); err != nil {
		return err
	}
	d.rows, d.spare = d.spare[:0], d.rows
	d.touched, d.writing = time.Now(), make(chan error, 1)
	go func() { d.writing <- d.write(ctx, d.spare) }()
	return nil
}

// written waits for what is being written.
func (d *draft) written() (err error) {
	if d.writing != nil {
		err, d.writing = <-d.writing, nil
	}
	return err
}

// write is one transaction. That no agent comes twice the table sees to.
func (d *draft) write(ctx context.Context, rows []AgentRecord) error {
	err := d.chunk(ctx, func(tx Querier) error {
		if err := d.store.db.InsertAgents(ctx, tx, d.number, rows); err != nil {
			return err
		}
		return d.store.db.InsertStates(ctx, tx, d.number, blocksOf(rows))
	})
	if d.store.db.Duplicate(err) {
		return errors.Join(d.duplicate(ctx, rows), err)
	}
	return err
}

// duplicate names the first of the agents that came before, or nil when there is none.
func (d *draft) duplicate(ctx context.Context, rows []AgentRecord) error {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	seen := map[string]bool{}
	err := d.store.db.Query(ctx, `SELECT id FROM ota_agents WHERE plan = $1 AND id IN {texts $2}`,
		[]any{d.number, d.store.db.TextSet(ids)}, func(scan ScanFunc) error {
			var id string
			err := scan(&id)
			seen[id] = true
			return err
		})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if seen[id] {
			return &ota.DuplicateError{Agent: id}
		}
		seen[id] = true
	}
	return nil
}

// chunk is one transaction of a draft, which also says that the draft is alive.
func (d *draft) chunk(ctx context.Context, f func(tx Querier) error) error {
	return d.store.db.Update(ctx, func(tx Querier) error {
		n, err := tx.Exec(ctx, `UPDATE ota_drafts SET touched_at = {now} WHERE number = $1 AND touched_at <> 0`, d.number)
		if err != nil {
			return err
		}
		if n == 0 {
			return errSwept
		}
		return f(tx)
	})
}

func (d *draft) batches(ctx context.Context, rows []ota.BatchRow) error {
	for chunk := range slices.Chunk(rows, d.store.db.Chunk()) {
		args := make([][]any, len(chunk))
		for i := range chunk {
			if err := keeps(chunk[i].Name); err != nil {
				return err
			}
			args[i] = append([]any{d.number}, BatchValues(&chunk[i])...)
		}
		err := d.chunk(ctx, func(tx Querier) error { return tx.ExecMany(ctx, insertBatch, args) })
		if err != nil {
			return err
		}
	}
	return nil
}
