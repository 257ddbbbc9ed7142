package ota

import "context"

// prefetch is a page of rows that is read in the background, because the owner will probably need
// it next. On a disk, reading a page takes longer than a commit, and a verb would wait for both.
//
// Only a commit of the owner can make the page stale, and the owner then drops it (invalidate).
type prefetch struct {
	from, to int
	rows     []AgentRow // written in the background, until done is closed
	err      error
	done     chan struct{} // closed when rows and err are there
}

// page returns a range of rows: the prefetched page if it has this range, or else from the Store.
func (x *session) page(ctx context.Context, from, to int) ([]AgentRow, error) {
	if a := x.prefetch; a != nil && a.from == from && a.to == to {
		x.prefetch = nil
		<-a.done
		if a.err == nil {
			return a.rows, nil
		}
	}
	return x.readPage(ctx, from, to, x.st.rows.buffer())
}

func (x *session) readPage(ctx context.Context, from, to int, buffer []AgentRow) ([]AgentRow, error) {
	page, err := x.store.agents(ctx, x.plan, RowQuery{From: from, To: to, Limit: to - from, Buffer: buffer})
	return page.Items, err
}

// readAhead begins to read the page with this ordinal, if the shell can read in the background and
// the page is not in memory.
func (x *session) readAhead(ordinal int) {
	st := x.st
	if x.background == nil || ordinal >= st.spec.Agents || st.rows.at(ordinal) != nil {
		return
	}
	from, to := st.rows.span(ordinal)
	a := &prefetch{from: from, to: to, done: make(chan struct{})}
	buffer := st.rows.buffer()
	x.prefetch = a
	x.background(func(ctx context.Context) {
		defer close(a.done)
		a.rows, a.err = x.readPage(ctx, from, to, buffer)
	})
}

// invalidate drops the prefetched page when the owner has changed one of its rows.
func (x *session) invalidate(ordinal int) {
	if a := x.prefetch; a != nil && ordinal >= a.from && ordinal < a.to {
		x.prefetch = nil
	}
}
