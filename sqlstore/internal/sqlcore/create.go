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

// Create implements [ota.Store]. It writes agents in chunks, each in a transaction of its own,
// under a number that no plan has yet. The last, small transaction makes the plan. If the process
// dies in between, a later Create of the same ID deletes the rest, or opening a Store an hour
// later. Memory is bounded by two chunks and the batches.
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
	_ = d.written() // no write is under way after this; its error does not matter
	if err == nil {
		s.db.Announced(p.ID, false)
		s.db.Grown(ctx, d.agents)
		return nil
	}
	if d.number != 0 {
		// Also after an unknown result: sweep never touches a plan that was made.
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

// keepsPlan returns an error for a text of a plan that the database cannot store. The texts of
// agents are checked as they come.
func keepsPlan(p *ota.NewPlan) error {
	for name, value := range p.Labels {
		if err := keeps(name, value); err != nil {
			return err
		}
	}
	return keeps(p.ID, p.Source, p.RequestKey, p.Fingerprint)
}

// taken returns ErrExists if a plan has this ID or this request key.
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

// key is the request key as it is stored. NULL stands for none, and may repeat.
func key(p ota.NewPlan) any {
	if p.RequestKey == "" {
		return nil
	}
	return p.RequestKey
}

// foreignError is an error of the caller's own functions. The caller gets it back unchanged.
type foreignError struct{ err error }

func (e *foreignError) Error() string { return e.err.Error() }

// draft is a plan that is being created.
type draft struct {
	store  *Store
	plan   ota.NewPlan
	number int64 // 0: it has none yet

	rows    []AgentRecord // to write next
	spare   []AgentRecord // being written, or written
	writing chan error    // the result of that write; nil: none is under way
	touched time.Time
	agents  int
}

const (
	minute = time.Minute
	hour   = time.Hour
	// touchEvery is how often a slow Create records that it is alive, while agents come.
	touchEvery = 10 * time.Second
)

var errSwept = errors.New("the pause between two agents was longer than a minute, so the draft counted as dead and was deleted")

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

// flush starts to write the agents collected so far. The next ones are collected at the same time.
// It returns the result of the write before.
func (d *draft) flush(ctx context.Context) error {
	if err := d.written(); err != nil {
		return err
	}
	d.rows, d.spare = d.spare[:0], d.rows
	d.touched, d.writing = time.Now(), make(chan error, 1)
	go func() { d.writing <- d.write(ctx, d.spare) }()
	return nil
}

// written waits for the write under way.
func (d *draft) written() (err error) {
	if d.writing != nil {
		err, d.writing = <-d.writing, nil
	}
	return err
}

// write is one transaction. The table's keys find an agent that comes twice.
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

// duplicate names the first agent that comes twice, or returns nil.
func (d *draft) duplicate(ctx context.Context, rows []AgentRecord) error {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	seen := map[string]bool{}
	err := d.store.db.Query(ctx, `SELECT a.id FROM {list $2} {one ota_agents a: a.plan = $1 AND a.id = want.value}`,
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

// chunk is one transaction of a draft. It also records that the draft is alive.
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
