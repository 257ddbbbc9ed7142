package memstore

import (
	"encoding/binary"
	"sort"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// planLog keeps the log of one plan. Records are copied into blocks that never move, so that the
// longest log costs its bytes and a few per record, and an append touches nothing but the end of
// the last block.
type planLog struct {
	blocks []*block
	last   uint64 // revision of the newest record
}

// block holds consecutive records: each as its time, whether it is notable, and its data.
type block struct {
	first uint64 // revision of its first record
	ends  []uint32
	data  []byte
}

const (
	blockSize      = 256 << 10
	firstBlockSize = 4 << 10 // a plan that hardly ran should not cost a whole block
	recordHead     = 8 + 1
	noTime         = 0
)

// append adds the next record.
func (l *planLog) append(r *ota.LogRow) {
	l.last++
	b := l.room(l.last, recordHead+len(r.Data))
	at, notable := int64(noTime), byte(0)
	if !r.At.IsZero() {
		if at = r.At.UnixNano(); at >= 0 {
			at++
		}
	}
	if r.Notable {
		notable = 1
	}
	b.data = binary.LittleEndian.AppendUint64(b.data, uint64(at))
	b.data = append(append(b.data, notable), r.Data...)
	b.ends = append(b.ends, uint32(len(b.data)))
}

// room returns the last block, or a new one when that has no room for need bytes more.
func (l *planLog) room(revision uint64, need int) *block {
	size := firstBlockSize
	if n := len(l.blocks); n > 0 {
		b := l.blocks[n-1]
		if len(b.data)+need <= cap(b.data) {
			return b
		}
		size = min(2*cap(b.data), blockSize)
	}
	b := &block{first: revision, data: make([]byte, 0, max(size, need))}
	l.blocks = append(l.blocks, b)
	return b
}

// page returns copies of the records of a plan that q selects.
func (l *planLog) page(plan string, q *ota.LogQuery) (page ota.Page[ota.LogRow]) {
	limit := pageLimit(q.Limit)
	page.Items = []ota.LogRow{}
	take := func(revision uint64) (more bool) {
		at := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].first > revision }) - 1
		b := l.blocks[at]
		r := b.record(int(revision - b.first))
		r.Plan, r.Revision = plan, revision
		switch {
		case q.Notable && !r.Notable:
		case len(page.Items) < limit:
			r.Data = append([]byte(nil), r.Data...)
			page.Items = append(page.Items, r)
		default:
			page.More = true
		}
		return !page.More
	}
	if q.Before == 0 {
		for revision := q.After; revision < l.last; {
			if revision++; !take(revision) {
				break
			}
		}
		return page
	}
	for revision := min(q.Before, l.last+1); revision > q.After+1; {
		if revision--; !take(revision) {
			break
		}
	}
	return page
}

// record returns record i of the block. Its data is the block's.
func (b *block) record(i int) ota.LogRow {
	start := uint32(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	data := b.data[start:b.ends[i]]
	r := ota.LogRow{Notable: data[8] == 1, Data: data[recordHead:]}
	switch at := int64(binary.LittleEndian.Uint64(data)); {
	case at > 0:
		r.At = time.Unix(0, at-1).UTC()
	case at < 0:
		r.At = time.Unix(0, at).UTC()
	}
	return r
}
