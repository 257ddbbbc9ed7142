package sqlite

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/seed-19b57ce3/ota"
)

// Commits of different plans that wait for the file at the same time share a transaction, and so its flush: with many
// plans at once that is what a commit costs most. Nobody waits for company: who gets the gate takes along those that
// wait at that moment, and one that is alone is a transaction of its own.

// waiting is a commit on its way into a transaction.
type waiting struct {
	commit *ota.Commit
	plan   []any         // the arguments of planUpdate
	done   chan struct{} // closed when the commit is durable or has failed: then what follows says which

	revision uint64
	err      error
}

// end tells whoever waits how the transaction ended. What became of a commit of one that failed is what became of that.
func (w *waiting) end(err error) {
	if err != nil {
		w.err = err
	}
	close(w.done)
}

// rows is about how many rows the commit writes.
func (w *waiting) rows() int { return 2 + len(w.commit.Batches) + len(w.commit.Agents) }

// line is the commits that are in no transaction yet, in the order in which they came.
type line struct {
	mu      sync.Mutex
	waiting []*waiting
}

func (l *line) join(w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, w)
}

// leave takes w out of the line, and reports whether it was in it.
func (l *line) leave(w *waiting) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, w)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// group takes w out of the line, and the first of the others, as many as there is room for in a transaction of so many rows.
func (l *line) group(w *waiting, rows int) []*waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	group := []*waiting{w}
	rows -= w.rows()
	l.waiting = slices.DeleteFunc(l.waiting, func(o *waiting) bool {
		if o == w {
			return true
		}
		rows -= o.rows()
		if rows >= 0 {
			group = append(group, o)
		}
		return rows >= 0
	})
	return group
}

// queue returns what became of w, once it is durable or has failed. While it is in the line the wait ends with ctx; once
// it is in a transaction, that is waited for.
func (d *database) queue(ctx context.Context, w *waiting) (revision uint64, err error) {
	d.line.join(w)
	select {
	case d.gate <- struct{}{}:
		d.lead(ctx, w)
		<-d.gate
	case <-w.done:
	case <-ctx.Done():
		if d.line.leave(w) {
			return 0, ctx.Err()
		}
		<-w.done
	}
	return w.revision, w.err
}

// lead makes w durable, unless somebody else did, and takes others along; the caller has the gate. Only who leads waits for
// the file: the others are still in the line then, so that it is nothing to them when ctx ends.
func (d *database) lead(ctx context.Context, w *waiting) {
	select {
	case <-w.done:
		return
	default:
	}
	inside := context.WithoutCancel(ctx)
	var group []*waiting
	broken := false
	err := d.transact(ctx, inside, func(tx *sqliteTx) error {
		group = d.line.group(w, d.Chunk())
		err := tx.commitAll(inside, group)
		broken = err != nil
		return err
	})
	switch {
	case group == nil:
		d.line.leave(w)
		w.end(err)
	case broken && len(group) > 1:
		d.separately(inside, group)
	default:
		for _, w := range group {
			w.end(err)
		}
	}
}

// separately makes the commits of a group, of which one failed and nothing was applied, each in a transaction of its own: so
// that it alone fails. Savepoints would be no help: after some errors, as on a full disk, SQLite keeps no transaction.
func (d *database) separately(ctx context.Context, group []*waiting) {
	for i, w := range group {
		w.end(d.transact(ctx, ctx, func(tx *sqliteTx) error { return tx.commitAll(ctx, group[i:i+1]) }))
	}
}

// commitAll makes the commits of a group. One that is refused has changed nothing, and is no reason to stop.
func (t *sqliteTx) commitAll(ctx context.Context, group []*waiting) error {
	for _, w := range group {
		w.err = t.commit(ctx, w)
		if w.err != nil && !errors.Is(w.err, errNothing) {
			return w.err
		}
	}
	return nil
}
