package ota

import "context"

// ahead is a page of rows that is read while the owner does something else, because it will probably need it next. A Store on a
// disk takes longer to read a page than to commit, and a verb would wait for both.
//
// What is read may become old before it is used, but only by a commit of the owner, which then forgets it.
type prefetch struct {
	from, to int
	rows     []AgentRow
	err      error
	done     chan struct{} // closed when rows and err are there
}

// page returns the rows from one ordinal to another: those that were read ahead, if they are the same.
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

// readAhead begins to read the page at an ordinal, where the shell has something to read it with and it is not held already.
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

// aged forgets the page that was read ahead when the owner has changed one of its rows.
func (x *session) invalidate(ordinal int) {
	if a := x.prefetch; a != nil && ordinal >= a.from && ordinal < a.to {
		x.prefetch = nil
	}
}
