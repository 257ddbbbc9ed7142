package memstore

import (
	"encoding/binary"
	"sort"

	"github.com/seed-19b57ce3/ota"
)

// planLog keeps the log of one plan. Records are copied into blocks that never move, so that the longest log costs its
// bytes and a few per record, and an append touches nothing but the end of the last block.
type planLog struct {
	blocks []*block
}

// block holds consecutive records, each as the length of its request ID, that ID, and its data.
type block struct {
	first uint64 // revision of its first record
	ends  []uint32
	data  []byte
}

const (
	blockSize      = 256 << 10
	firstBlockSize = 4 << 10 // a plan that hardly ran should not cost a whole block
)

// append adds the record of the next revision.
func (l *planLog) append(revision uint64, request string, data []byte) {
	need := binary.MaxVarintLen32 + len(request) + len(data)
	b := l.room(revision, need)
	b.data = binary.AppendUvarint(b.data, uint64(len(request)))
	b.data = append(b.data, request...)
	b.data = append(b.data, data...)
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

// after returns copies of the records above revision after, at most limit.
func (l *planLog) after(after uint64, limit int) []ota.LogRow {
	rows := []ota.LogRow{}
	if after == ^uint64(0) {
		return rows
	}
	at := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].first > after+1 })
	for _, b := range l.blocks[max(at-1, 0):] {
		skip := 0
		if after+1 > b.first {
			skip = int(min(after+1-b.first, uint64(len(b.ends))))
		}
		for i := skip; i < len(b.ends); i++ {
			if len(rows) == limit {
				return rows
			}
			rows = append(rows, b.record(i))
		}
	}
	return rows
}

func (b *block) record(i int) ota.LogRow {
	start := uint32(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	data := b.data[start:b.ends[i]]
	length, n := binary.Uvarint(data)
	data = data[n:]
	return ota.LogRow{
		Revision: b.first + uint64(i),
		Request:  string(data[:length]),
		Data:     append([]byte(nil), data[length:]...),
	}
}
