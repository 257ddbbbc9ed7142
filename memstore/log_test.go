package memstore

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

func TestLogAcrossBlocks(t *testing.T) {
	var l planLog
	sizes := []int{1, firstBlockSize, blockSize - 10, blockSize + 10, 1, 2 * blockSize, 100}
	const records = 700
	record := func(i int) ota.LogRow {
		r := ota.LogRow{Plan: "p", Revision: uint64(i), Notable: i%5 == 0, Data: bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)]%(i*i+2)+1)}
		if i%3 != 0 {
			r.At = time.Unix(0, int64(i)-5).UTC()
		}
		return r
	}
	for i := 1; i <= records; i++ {
		r := record(i)
		l.append(&r)
	}
	check := func(rows []ota.LogRow, want ...int) {
		t.Helper()
		if len(rows) != len(want) {
			t.Fatalf("got %d records, want %v", len(rows), want)
		}
		for i, r := range rows {
			w := record(want[i])
			if r.Revision != w.Revision || r.Plan != "p" || r.Notable != w.Notable || !r.At.Equal(w.At) || !bytes.Equal(r.Data, w.Data) {
				t.Fatalf("got record %d at %v of %d bytes, want %d at %v of %d", r.Revision, r.At, len(r.Data), w.Revision, w.At, len(w.Data))
			}
		}
	}
	for after := range records + 3 {
		var up, down []int
		for n := after + 1; n <= min(after+3, records); n++ {
			up = append(up, n)
		}
		for n := min(after-1, records); n >= max(after-3, 1) && len(down) < 3; n-- {
			down = append(down, n)
		}
		check(l.page("p", &ota.LogQuery{After: uint64(after), Limit: 3}).Items, up...)
		if after > records { // down begins at the last record
			down = []int{records, records - 1, records - 2}
		}
		if after > 0 {
			check(l.page("p", &ota.LogQuery{Before: uint64(after), Limit: 3}).Items, down...)
		}
	}
	if got := len(l.page("p", &ota.LogQuery{Limit: records}).Items); got != records {
		t.Errorf("got %d records in all, want %d", got, records)
	}
	if got := len(l.page("p", &ota.LogQuery{After: math.MaxUint64}).Items); got != 0 {
		t.Errorf("got %d records after the last, want none", got)
	}
}
