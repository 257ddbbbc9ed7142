package ota

import (
	"math/bits"
	"slices"

	"github.com/seed-19b57ce3/ota/internal/reuse"
)

// Rows are loaded a page at a time. What an owner holds of a plan is a few pages, whatever the size of plan and batch: a page
// stays while an agent of it is busy or still to be picked. Its size is a power of two.
const (
	minPageBits = 8
	pageBits    = 12
	pageSize    = 1 << pageBits // of the largest
)

// pageBitsOf is for pages with agents for some four commits when so many are open at once: few reads, and little memory for
// each of many plans.
func pageBitsOf(concurrency int) int {
	return min(max(bits.Len(uint(4*max(concurrency, 1)-1)), minPageBits), pageBits)
}

// resident is a row held in memory: of its page, or alone.
type cachedRow struct {
	*AgentRow
	step       uint64 // the change in which it was last written
	page       *page  // nil for a row that was loaded alone
	inspecting bool   // a question about what became of its attempt is out
	probing    bool   // a question about its health is out
}

type page struct {
	first   int
	rows    []cachedRow
	stored  []AgentRow // as the Store gave them; what rows point to
	busy    int        // rows that are running or waiting
	probing int        // rows about whose health a question is out
}

// rowCache are the rows in memory: whole pages, and single rows that were loaded by their IDs or after a crash.
type rowCache struct {
	bits   int           // of the size of pages
	pages  map[int]*page // by number: ordinal >> bits
	last   *page
	single map[int]*cachedRow
	spare  []*page
	idle   []*page // pages that lost their last busy row, or their last question
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

// span is the ordinals of the page that one is in.
func (rs *rowCache) span(ordinal int) (from, to int) {
	from = ordinal >> rs.bits << rs.bits
	return from, from + 1<<rs.bits
}

// usedPages are pages of plans that have come to rest, by the bits of their size, until the next collection of garbage. Memory that
// is used for the first time is a quarter of what a plan of a thousand agents costs.
var usedPages [pageBits + 1]reuse.Pool[page]

// retire gives all pages away. Nothing may be looked up any more.
func (rs *rowCache) retire() {
	for _, p := range rs.pages {
		rs.spare = append(rs.spare, p)
	}
	for _, p := range rs.spare {
		usedPages[rs.bits].Put(p)
	}
	*rs = rowCache{}
}

// buffer is room for the rows of a page to be read: that of a page that is not needed any more, or none. It is given away once.
func (rs *rowCache) buffer() (room []AgentRow) {
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

// addPage takes in the rows of one page, and keeps the slice. Rows that were held alone move into it, as they are.
func (rs *rowCache) addPage(rows []AgentRow) {
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
		r := cachedRow{AgentRow: &rows[i]}
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

// add takes in a row that was loaded alone, unless it is held already, and returns the one that is held.
func (rs *rowCache) add(row AgentRow) *cachedRow {
	if r := rs.at(row.Ordinal); r != nil {
		return r
	}
	if rs.single == nil {
		rs.single = map[int]*cachedRow{}
	}
	r := &cachedRow{AgentRow: &row}
	rs.single[row.Ordinal] = r
	return r
}

// moved keeps count of a page's busy rows.
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

// asking keeps a row in memory while a question about its health is out.
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

// release gives back what is not needed once a change was committed: rows that were held alone and are not busy, and pages
// without busy rows that end at or before ordinal done.
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

// sweep is release for pages that never had a busy row.
func (rs *rowCache) sweep(done int) {
	for _, p := range rs.pages {
		rs.drop(p, done)
	}
}

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

// busyPages are the keys of the pages with running or waiting rows, in order.
func (rs *rowCache) busyPages() (keys []int) {
	for k, p := range rs.pages {
		if p.busy > 0 {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
