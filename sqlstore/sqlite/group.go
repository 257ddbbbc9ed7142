package sqlite

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/seed-19b57ce3/ota"
)

// Commits of different plans that wait for the file at the same time share a transaction, and so
// its flush: with many plans, the flush is most of a commit's cost. No commit waits for others. The
// commit that gets the gate takes along those that wait at that moment. A commit alone is a
// transaction of its own.

// waiting is a commit on its way into a transaction.
type waiting struct {
	commit *ota.Commit
	plan   []any         // the arguments of planUpdate
	done   chan struct{} // closed when the commit is durable or has failed: then what follows says which

	revision uint64
	err      error
}

// end reports how the transaction ended. All commits of a failed transaction fail with it.
func (w *waiting) end(err error) {
	if err != nil {
		w.err = err
	}
	close(w.done)
}

// rows is about how many rows the commit writes.
func (w *waiting) rows() int { return 2 + len(w.commit.Rows) }

// line has the commits that are in no transaction yet, in the order of their arrival.
type line struct {
	mu      sync.Mutex
	waiting []*waiting
}

func (l *line) join(w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, w)
}

// leave removes w from the line, and reports whether it was in it.
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

// group removes w from the line, and the first of the others, as many as have room in a transaction
// of so many rows.
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

// queue waits until w is durable or has failed, and returns its result. While w is in the line, the
// wait ends with ctx. Once it is in a transaction, queue waits for its end.
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

// lead makes w durable, unless another goroutine did, and takes others along. The caller has the
// gate. Only the leader waits for the file. The others are still in the line, so the end of its ctx
// does not affect them.
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

// separately repeats the commits of a group, each in a transaction of its own, so that only the bad
// one fails. Nothing of the group was applied before. Savepoints would not help: after some errors,
// such as a full disk, SQLite ends the transaction.
func (d *database) separately(ctx context.Context, group []*waiting) {
	for i, w := range group {
		w.end(d.transact(ctx, ctx, func(tx *sqliteTx) error { return tx.commitAll(ctx, group[i:i+1]) }))
	}
}

// commitAll makes the commits of a group. A refused one has changed nothing, and the others go on.
func (t *sqliteTx) commitAll(ctx context.Context, group []*waiting) error {
	for _, w := range group {
		w.err = t.commit(ctx, w)
		if w.err != nil && !errors.Is(w.err, errNothing) {
			return w.err
		}
	}
	return nil
}
