package sqlcore

import (
	"bytes"
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
func (s *Store) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	if err := keepsPlan(&p); err != nil {
		return wrap(ctx, "create", p.ID, err)
	}
	if err := s.taken(ctx, s.db, &p); err != nil {
		return wrap(ctx, "create", p.ID, err)
	}
	if err := s.sweepDead(ctx, minute, p.ID); err != nil {
		return wrap(ctx, "create", p.ID, err)
	}
	d := &draft{store: s, plan: p, first: first, next: map[ota.Kind]int{}}
	err := d.create(ctx, rows)
	_ = d.written() // no write is under way after this; its error does not matter
	if err == nil {
		s.db.Announced(p.ID, false)
		s.db.Grown(ctx, d.next[ota.KindAgent])
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

// keepsPlan returns an error for a text of a plan that the database cannot store. Other texts are
// checked as they come.
func keepsPlan(p *ota.PlanRow) error {
	if err := keeps(p.Index...); err != nil {
		return err
	}
	return keeps(p.ID, p.Source, p.Key)
}

// taken returns ErrExists if a plan has this ID or this request key.
func (s *Store) taken(ctx context.Context, q Querier, p *ota.PlanRow) error {
	var id string
	found, err := One(ctx, q, `SELECT id FROM ota_plans WHERE id = $1 OR request_key = $2 ORDER BY id = $1 DESC LIMIT 1`,
		[]any{p.ID, key(p)}, &id)
	switch {
	case err != nil || !found:
		return err
	case id == p.ID:
		return ota.ErrExists
	default:
		return fmt.Errorf("%w: request key %q made plan %q", ota.ErrExists, p.Key, id)
	}
}

// key is the request key as it is stored. NULL stands for none, and may repeat.
func key(p *ota.PlanRow) any {
	if p.Key == "" {
		return nil
	}
	return p.Key
}

// foreignError is an error of the caller's own functions. The caller gets it back unchanged.
type foreignError struct{ err error }

func (e *foreignError) Error() string { return e.err.Error() }

// draft is a plan that is being created.
type draft struct {
	store  *Store
	plan   ota.PlanRow
	first  func() (ota.Commit, error)
	number int64 // 0: it has none yet

	rows    []AgentRecord    // to write next
	labels  [][]any          // of these rows: those to be indexed
	spare   []AgentRecord    // being written, or written
	writing chan error       // the result of that write; nil: none is under way
	others  [][]any          // rows that are no agents, to write at the end
	next    map[ota.Kind]int // how many rows of a kind there are
	touched time.Time
}

const (
	minute = time.Minute
	hour   = time.Hour
	// touchEvery is how often a slow Create records that it is alive, while agents come.
	touchEvery = 10 * time.Second
)

var errSwept = errors.New("the pause between two agents was longer than a minute, so the draft counted as dead and was deleted")

func (d *draft) create(ctx context.Context, rows iter.Seq2[ota.Row, error]) error {
	err := d.store.db.Update(ctx, func(tx Querier) error {
		_, err := One(ctx, tx, `INSERT INTO ota_drafts (plan, touched_at) VALUES ($1, {now}) RETURNING number`,
			[]any{d.plan.ID}, &d.number)
		return err
	})
	if err != nil {
		return err
	}
	d.touched = time.Now()
	for row, err := range rows {
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
	c, err := d.first()
	if err != nil {
		return &foreignError{err}
	}
	for i := 0; i < len(c.Rows) && err == nil; i++ {
		err = d.add(ctx, &c.Rows[i])
	}
	if err == nil {
		err = errors.Join(d.flush(ctx), d.written())
	}
	if err == nil {
		c.Rows = nil
		err = Mistake(&c)
	}
	if err == nil {
		err = d.writeOthers(ctx)
	}
	if err != nil {
		return err
	}
	return d.publish(ctx, &c)
}

// add takes a row, and copies what it keeps of it.
func (d *draft) add(ctx context.Context, r *ota.Row) error {
	if want := d.next[r.Kind]; r.Number != want {
		return fmt.Errorf("%w: row %d of kind %d comes where row %d is due", ota.ErrRefused, r.Number, r.Kind, want)
	}
	d.next[r.Kind]++
	if err := keeps(r.ID, string(r.Show)); err != nil {
		return err
	}
	labels, err := encodeLabels(r.Labels)
	if err != nil {
		return err
	}
	if r.Kind != ota.KindAgent {
		d.others = append(d.others, []any{
			d.number, int64(r.Kind), r.Number, r.ID, r.Batch, labels, orNull(bytes.Clone(r.Fixed)),
			int64(r.Status), int64(r.Reason), append([]byte{}, r.State...), Show(r.Show),
		})
		return nil
	}
	for _, name := range d.plan.Index {
		if value := r.Labels[name]; value != "" {
			d.labels = append(d.labels, []any{d.number, name, value, r.Number})
		}
	}
	d.rows = append(d.rows, AgentRecord{
		Ordinal: r.Number, Batch: r.Batch, ID: r.ID, Labels: labels, Fixed: bytes.Clone(r.Fixed),
		Status: r.Status, Reason: uint8(r.Reason), State: bytes.Clone(r.State),
	})
	if len(d.rows) < d.store.db.Chunk() && (d.next[r.Kind]%BlockSize != 0 || time.Since(d.touched) < touchEvery) {
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
	labels := d.labels
	d.labels = nil
	d.touched, d.writing = time.Now(), make(chan error, 1)
	go func() { d.writing <- d.write(ctx, d.spare, labels) }()
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
func (d *draft) write(ctx context.Context, rows []AgentRecord, labels [][]any) error {
	err := d.chunk(ctx, func(tx Querier) error {
		if err := d.store.db.InsertAgents(ctx, tx, d.number, rows); err != nil {
			return err
		}
		if err := tx.ExecMany(ctx, insertAgentLabel, labels); err != nil {
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

// writeOthers writes the rows that are no agents.
func (d *draft) writeOthers(ctx context.Context) error {
	for chunk := range slices.Chunk(d.others, d.store.db.Chunk()) {
		err := d.chunk(ctx, func(tx Querier) error { return tx.ExecMany(ctx, insertRow, chunk) })
		if d.store.db.Duplicate(err) {
			return errors.Join(d.twice(), err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// twice names the first ID that two rows of a kind have.
func (d *draft) twice() error {
	seen := map[[2]any]bool{}
	for _, r := range d.others {
		key := [2]any{r[1], r[3]}
		if seen[key] && r[3] != "" {
			return &ota.DuplicateError{Agent: r[3].(string)}
		}
		seen[key] = true
	}
	return nil
}
