package memstore

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/bytesio"
)

// rowTable keeps the rows of one kind of one plan in columns: 50 bytes for a row that has only an
// ID and a short state, besides the ID itself. Only status, reason, state and show change.
type rowTable struct {
	count  int
	chunks []chunk
	runs   []run

	indexing sync.Once // the index is built when rows are first asked for by ID
	index    index
}

// chunk holds chunkSize rows; the last one fewer.
type chunk struct {
	ids            []string
	cells          []cell
	status, reason []uint8
	long           map[int][]byte      // by place: states that do not fit into a cell
	shows          map[int][]byte      // by place
	fixed          [][]byte            // nil when none of them has any
	labels         []map[string]string // nil when none has any; equal ones are one map, which never changes
}

// cell is a short state: its length, and its bytes. Cells have no pointers, so the garbage
// collector does not look at them.
type cell [32]byte

// isLong is the length of a state that is in chunk.long.
const isLong = 255

// run says that the rows from number first on, up to the next run, are in batch.
type run struct{ first, batch int }

const chunkSize = 4096

func (t *rowTable) id(number int) string { return t.chunks[number/chunkSize].ids[number%chunkSize] }

// set replaces what changes of a row, and keeps nothing of r.
func (t *rowTable) set(r *ota.Row) {
	c, i := &t.chunks[r.Number/chunkSize], r.Number%chunkSize
	c.status[i], c.reason[i] = r.Status, uint8(r.Reason)
	c.setState(i, r.State)
	if len(r.Show) > 0 || c.shows != nil {
		c.setShow(i, r.Show)
	}
}

func (c *chunk) setState(i int, state []byte) {
	if len(state) < len(cell{}) {
		c.cells[i][0] = byte(len(state))
		copy(c.cells[i][1:], state)
		if c.long != nil {
			delete(c.long, i)
		}
		return
	}
	if c.long == nil {
		c.long = map[int][]byte{}
	}
	c.cells[i][0] = isLong
	c.long[i] = append(c.long[i][:0], state...)
}

func (c *chunk) setShow(i int, show []byte) {
	if c.shows == nil {
		c.shows = map[int][]byte{}
	}
	if len(show) == 0 {
		delete(c.shows, i)
	} else {
		c.shows[i] = append(c.shows[i][:0], show...)
	}
}

// state is valid until the next set.
func (c *chunk) state(i int) []byte {
	if n := c.cells[i][0]; n != isLong {
		return c.cells[i][1 : 1+n]
	}
	return c.long[i]
}

// run is the index of the run that a row is in.
func (t *rowTable) run(number int) int {
	return sort.Search(len(t.runs), func(i int) bool { return t.runs[i].first > number }) - 1
}

// read copies a row, of which the batch is known, into r. It uses the memory of r's slices.
func (t *rowTable) read(r *ota.Row, kind ota.Kind, number, batch int) {
	c, i := &t.chunks[number/chunkSize], number%chunkSize
	r.Kind, r.Number, r.ID, r.Batch = kind, number, c.ids[i], batch
	r.Status, r.Reason = c.status[i], ota.Reason(c.reason[i])
	r.State, r.Show = append(r.State[:0], c.state(i)...), r.Show[:0]
	if c.shows != nil {
		r.Show = append(r.Show, c.shows[i]...)
	}
	r.Fixed, r.Labels = nil, nil
	if c.fixed != nil {
		r.Fixed = c.fixed[i]
	}
	if c.labels != nil {
		r.Labels = c.labels[i]
	}
}

// span appends copies of the rows from one number to before another.
func (t *rowTable) span(rows []ota.Row, kind ota.Kind, from, to int) []ota.Row {
	if from >= to {
		return rows
	}
	rows = slices.Grow(rows, to-from)
	run := t.run(from)
	for number := from; number < to; number++ {
		if run+1 < len(t.runs) && t.runs[run+1].first == number {
			run++
		}
		rows = rows[:len(rows)+1]
		t.read(&rows[len(rows)-1], kind, number, t.runs[run].batch)
	}
	return rows
}

// page returns the rows that q selects.
func (t *rowTable) page(q *ota.RowQuery) (page ota.Page[ota.Row], err error) {
	from, to := max(q.From, 0), t.count
	if q.To > 0 {
		to = min(to, q.To)
	}
	begin := from
	if q.Cursor != "" {
		n, err := strconv.Atoi(q.Cursor)
		if err != nil || n < 0 {
			return page, fmt.Errorf("%w: %.64q is no cursor of this query; allowed: the Next of its page before", ota.ErrRefused, q.Cursor)
		}
		begin = max(from, n)
	}
	limit := pageLimit(q.Limit)
	page.Items = q.Buffer[:0]
	add := func(number int) (more bool) {
		if !t.selects(q, number) {
			return true
		}
		page.Total++
		switch {
		case number < begin:
		case len(page.Items) < limit:
			page.Items = t.span(page.Items, q.Kind, number, number+1)
		case !page.More:
			page.More, page.Next = true, strconv.Itoa(number)
		}
		return !page.More || q.Total
	}
	if !q.Total {
		from = begin
	}
	t.each(q, from, to, limit, &page, add)
	if !q.Total {
		page.Total = 0
	}
	return page, nil
}

// each calls add for the rows that q may select, in order. It adds a range of rows by itself.
func (t *rowTable) each(q *ota.RowQuery, from, to, limit int, page *ota.Page[ota.Row], add func(int) bool) {
	switch {
	case len(q.IDs) > 0:
		for _, number := range t.find(q.IDs) {
			if number >= from && number < to && !add(number) {
				return
			}
		}
	case len(q.Status)+len(q.Reason) == 0 && q.Prefix == "" && q.Label.Name == "" && !q.Total:
		end := max(from, min(to, from+limit))
		page.Items = t.span(page.Items, q.Kind, from, end)
		if page.More = end < to; page.More {
			page.Next = strconv.Itoa(end)
		}
	default:
		for number := from; number < to && add(number); number++ {
		}
	}
}

// selects reports whether q selects a row, but for its number and its ID.
func (t *rowTable) selects(q *ota.RowQuery, number int) bool {
	c, i := &t.chunks[number/chunkSize], number%chunkSize
	if len(q.Status) > 0 && !slices.Contains(q.Status, c.status[i]) ||
		len(q.Reason) > 0 && !slices.Contains(q.Reason, ota.Reason(c.reason[i])) || !strings.HasPrefix(c.ids[i], q.Prefix) {
		return false
	}
	if q.Label.Name == "" {
		return true
	}
	value := ""
	if c.labels != nil {
		value = c.labels[i][q.Label.Name]
	}
	return value == q.Label.Value
}

// find returns the numbers of the rows with these IDs, each once, in order.
func (t *rowTable) find(ids []string) []int {
	t.indexing.Do(func() { t.index, _, _ = t.indexed() })
	var found []int
	for _, id := range ids {
		if number, ok := t.index.find(t, id); ok {
			found = append(found, number)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// tables are those of a plan, by kind; nil for a kind of which it has no rows. Every row of a
// commit looks one up, so it is no map.
type tables []*rowTable

func (t tables) of(kind ota.Kind) *rowTable {
	if int(kind) < len(t) {
		return t[kind]
	}
	return nil
}

// make returns the table of a kind, and makes it if there is none.
func (t *tables) make(kind ota.Kind) *rowTable {
	if short := int(kind) + 1 - len(*t); short > 0 {
		*t = append(*t, make([]*rowTable, short)...)
	}
	if (*t)[kind] == nil {
		(*t)[kind] = &rowTable{}
	}
	return (*t)[kind]
}

// builder makes the tables of a plan from the rows of a Create.
type builder struct {
	tables tables
	labels map[string]map[string]string // equal labels are kept once
	key    []byte
	count  int
}

func newBuilder() *builder {
	return &builder{labels: map[string]map[string]string{}}
}

func (b *builder) add(r *ota.Row) error {
	t := b.tables.make(r.Kind)
	if r.Number != t.count {
		return fmt.Errorf("%w: row %d of kind %d comes where row %d is due", ota.ErrRefused, r.Number, r.Kind, t.count)
	}
	if t.count%chunkSize == 0 {
		t.chunks = append(t.chunks, newChunk(t.count))
	}
	if n := len(t.runs); n == 0 || t.runs[n-1].batch != r.Batch {
		t.runs = append(t.runs, run{first: t.count, batch: r.Batch})
	}
	c := &t.chunks[len(t.chunks)-1]
	n := len(c.ids) + 1
	c.ids, c.cells = append(c.ids, r.ID), append(c.cells, cell{})
	c.status, c.reason = append(c.status, 0), append(c.reason, 0)
	c.fixed = addSparse(c.fixed, n, slices.Clone(r.Fixed), len(r.Fixed) > 0)
	c.labels = addSparse(c.labels, n, b.intern(r.Labels), len(r.Labels) > 0)
	t.count++
	b.count++
	t.set(r)
	return nil
}

// newChunk makes room for a whole chunk, except at the start of a plan, which may be a small one.
func newChunk(count int) chunk {
	if count == 0 {
		return chunk{}
	}
	return chunk{
		ids: make([]string, 0, chunkSize), cells: make([]cell, 0, chunkSize),
		status: make([]uint8, 0, chunkSize), reason: make([]uint8, 0, chunkSize),
	}
}

// addSparse makes column n long, its last value v; it stays nil until there is a value.
func addSparse[T any](column []T, n int, v T, have bool) []T {
	if column == nil && !have {
		return nil
	}
	if column == nil {
		column = make([]T, n-1, max(n, 8))
	}
	return append(column, v)
}

func (b *builder) intern(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	b.key = b.key[:0]
	if len(labels) == 1 {
		for k, v := range labels {
			b.key = bytesio.AppendText(bytesio.AppendText(b.key, k), v)
		}
	} else {
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			b.key = bytesio.AppendText(bytesio.AppendText(b.key, k), labels[k])
		}
	}
	kept, ok := b.labels[string(b.key)]
	if !ok {
		kept = maps.Clone(labels)
		b.labels[string(b.key)] = kept
	}
	return kept
}

// check returns a *DuplicateError when two rows of a kind have one ID.
func (b *builder) check() error {
	for _, t := range b.tables {
		if t == nil {
			continue
		}
		if _, twice, ok := t.indexed(); !ok {
			return &ota.DuplicateError{Agent: t.id(twice)}
		}
	}
	return nil
}

// finish returns the tables without the memory that only building them needed.
func (b *builder) finish() tables {
	for _, t := range b.tables {
		if t == nil {
			continue
		}
		last := &t.chunks[len(t.chunks)-1]
		last.ids, last.cells = slices.Clone(last.ids), slices.Clone(last.cells)
		last.status, last.reason = slices.Clone(last.status), slices.Clone(last.reason)
		t.runs = slices.Clip(t.runs)
	}
	return b.tables
}

// index finds a row by its ID: an open hash table that leaves the IDs where they are. A slot is the
// upper half of the ID's hash and the number+1, so that hardly any ID but the right one is ever
// looked at; 0 is free.
type index struct {
	seed    maphash.Seed
	slots   []uint64
	fetched uint64 // says nothing; without it the compiler would leave out reading ahead
}

// newIndex returns an index with room for n rows.
func newIndex(n int) index {
	size := 16
	for 3*size < 4*n {
		size *= 2
	}
	return index{seed: maphash.MakeSeed(), slots: make([]uint64, size)}
}

const ordinalMask = 1<<32 - 1
