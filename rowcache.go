package ota

import (
	"math/bits"
	"slices"

	"github.com/seed-19b57ce3/ota/internal/reuse"
)

// Rows are loaded a page at a time, and the size of a page is a power of two. A page stays in
// memory while one of its agents is busy or still to be picked. So an owner keeps few pages in
// memory, for every size of plan and batch.
const (
	minPageBits = 8
	pageBits    = 12
	pageSize    = 1 << pageBits // of the largest
)

// pageBitsOf chooses pages that serve about four commits when this many agents are open at once.
// That needs few reads, and little memory for each of many plans.
func pageBitsOf(concurrency int) int {
	return min(max(bits.Len(uint(4*max(concurrency, 1)-1)), minPageBits), pageBits)
}

// cachedRow is a row in memory, of a page or alone.
type cachedRow struct {
	*agentRow
	step       uint64 // number of the change that wrote it last
	page       *page  // nil for a row that was loaded alone
	inspecting bool   // a question to the Inspector about its attempt is out
	probing    bool   // a question to the Prober is out
}

// page is the rows of one page.
type page struct {
	first   int
	rows    []cachedRow
	stored  []agentRow // as the Store returned them; rows point into it
	busy    int        // running and waiting rows
	probing int        // rows with an open question to the Prober
}

// rowCache keeps rows in memory: whole pages, and single rows that were loaded by ID or after a
// crash. Only the goroutine of the plan's owner uses it.
type rowCache struct {
	bits   int                // a page has 1<<bits rows
	pages  map[int]*page      // by number: ordinal >> bits
	last   *page              // cache of at: the last page looked up
	single map[int]*cachedRow // rows loaded alone, by ordinal
	spare  []*page            // for reuse
	idle   []*page            // pages that lost their last busy row, or their last open question
}

// at returns the row at an ordinal, or nil when it is not in memory.
func (rs *rowCache) at(ordinal int) *cachedRow {
	if len(rs.single) > 0 {
		if r, ok := rs.single[ordinal]; ok {
			return r
		}
	}
	p := rs.last
	if p == nil || p.first>>rs.bits != ordinal>>rs.bits {
		if p = rs.pages[ordinal>>rs.bits]; p == nil {
			return nil
		}
		rs.last = p
	}
	if i := ordinal - p.first; i < len(p.rows) {
		return &p.rows[i]
	}
	return nil
}

// span returns the range of ordinals of the page with this ordinal.
func (rs *rowCache) span(ordinal int) (from, to int) {
	from = ordinal >> rs.bits << rs.bits
	return from, from + 1<<rs.bits
}

// usedPages keeps pages of plans that are not driven any more, by the bits of their size, until the
// next garbage collection. Reuse matters: allocating fresh pages takes a quarter of the time of a
// plan of a thousand agents.
var usedPages [pageBits + 1]reuse.Pool[page]

// retire gives all pages to usedPages. The cache is empty afterwards.
func (rs *rowCache) retire() {
	for _, p := range rs.pages {
		rs.spare = append(rs.spare, p)
	}
	for _, p := range rs.spare {
		usedPages[rs.bits].Put(p)
	}
	*rs = rowCache{}
}

// buffer returns an empty slice for the rows of the next page, taken from a page that is not needed
// any more. It is nil if there is none. The caller owns the slice.
func (rs *rowCache) buffer() (room []agentRow) {
	for _, p := range rs.spare {
		if p.stored != nil {
			room, p.stored = p.stored[:0], nil
			return room
		}
	}
	if p := usedPages[rs.bits].Get(); p != nil {
		room, p.stored = p.stored[:0], nil
		rs.spare = append(rs.spare, p)
	}
	return room
}

// addPage adds the rows of one page, and keeps the slice. Rows that were loaded alone move into the
// page with their changes.
func (rs *rowCache) addPage(rows []agentRow) {
	if len(rows) == 0 {
		return
	}
	p := &page{}
	if n := len(rs.spare); n > 0 {
		p, rs.spare = rs.spare[n-1], rs.spare[:n-1]
	}
	*p = page{first: rows[0].Ordinal, rows: p.rows[:0], stored: rows}
	if cap(p.rows) < len(rows) {
		p.rows = make([]cachedRow, 0, len(rows))
	}
	for i := range rows {
		r := cachedRow{agentRow: &rows[i]}
		if one, ok := rs.single[r.Ordinal]; ok {
			r = *one
			delete(rs.single, r.Ordinal)
		}
		r.page = p
		if busy(r.State.Status) {
			p.busy++
		}
		if r.probing {
			p.probing++
		}
		p.rows = append(p.rows, r)
	}
	if rs.pages == nil {
		rs.pages = map[int]*page{}
	}
	rs.pages[p.first>>rs.bits] = p
}

// add adds a row that was loaded alone. If the row is in memory already, add returns that one
// instead.
func (rs *rowCache) add(row agentRow) *cachedRow {
	if r := rs.at(row.Ordinal); r != nil {
		return r
	}
	if rs.single == nil {
		rs.single = map[int]*cachedRow{}
	}
	r := &cachedRow{agentRow: &row}
	rs.single[row.Ordinal] = r
	return r
}

// countBusy updates the number of busy rows of a page.
func (rs *rowCache) countBusy(r *cachedRow, was, is bool) {
	if r.page == nil || was == is {
		return
	}
	if is {
		r.page.busy++
		return
	}
	r.page.busy--
	if r.page.busy == 0 {
		rs.idle = append(rs.idle, r.page)
	}
}

// setProbing keeps a row in memory while a question about its health is out.
func (rs *rowCache) setProbing(r *cachedRow, on bool) {
	if r.probing == on {
		return
	}
	r.probing = on
	if r.page == nil {
		return
	}
	if on {
		r.page.probing++
		return
	}
	r.page.probing--
	if r.page.probing == 0 {
		rs.idle = append(rs.idle, r.page)
	}
}

// release frees what is not needed after a commit: single rows that are not busy, and pages that
// end at or before ordinal done and have no busy row.
func (rs *rowCache) release(done int) {
	for k, r := range rs.single {
		if !busy(r.State.Status) && !r.probing {
			delete(rs.single, k)
		}
	}
	for _, p := range rs.idle {
		rs.drop(p, done)
	}
	rs.idle = rs.idle[:0]
}

// sweep is release for all pages, because release does not see pages that never had a busy row.
func (rs *rowCache) sweep(done int) {
	for _, p := range rs.pages {
		rs.drop(p, done)
	}
}

// drop frees a page if it is not needed: no row is busy or asked about, and it ends at or before
// done.
func (rs *rowCache) drop(p *page, done int) {
	if p.busy+p.probing > 0 || p.first+len(p.rows) > done || rs.pages[p.first>>rs.bits] != p {
		return
	}
	delete(rs.pages, p.first>>rs.bits)
	if rs.last == p {
		rs.last = nil
	}
	if len(rs.spare) < 2 {
		rs.spare = append(rs.spare, p)
	}
}

// busyRows calls f for every running or waiting row, in order of ordinals within a page.
func (rs *rowCache) busyRows(f func(*cachedRow)) {
	for _, k := range rs.busyPages() {
		p := rs.pages[k]
		for i := range p.rows {
			if busy(p.rows[i].State.Status) {
				f(&p.rows[i])
			}
		}
	}
	if len(rs.single) == 0 {
		return
	}
	for _, k := range sortedKeys(rs.single) {
		if r := rs.single[k]; busy(r.State.Status) {
			f(r)
		}
	}
}

// busyPages returns the keys of the pages with running or waiting rows, in order.
func (rs *rowCache) busyPages() (keys []int) {
	for k, p := range rs.pages {
		if p.busy > 0 {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// need is what the core needs before it can go on.
type need struct {
	kind   needKind
	from   int          // an ordinal, or the index of a batch
	ids    []string     // of agents
	status []TaskStatus // of needFailed
}

type needKind uint8

const (
	needNothing needKind = iota
	needPage             // the page of rows with ordinal from
	needRow              // the row with ordinal from, alone
	needBatch            // batches, starting with index from
	needFailed           // failed agents from ordinal from on, for a retry
	needDown             // agents that are down and not busy, from ordinal from on
	needIDs              // the rows of these agents, for an order
	needHealth           // the rows of these agents, for health reports
	needReports          // the rows of these agents, for reported outcomes
)
