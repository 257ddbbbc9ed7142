package memstore

import (
	"bytes"
	"fmt"
	"testing"
)

func TestLogAcrossBlocks(t *testing.T) {
	var l planLog
	sizes := []int{1, firstBlockSize, blockSize - 10, blockSize + 10, 1, 2 * blockSize, 100}
	const records = 700
	record := func(i int) (string, []byte) {
		request := ""
		if i%5 == 0 {
			request = fmt.Sprint("request ", i)
		}
		return request, bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)]%(i*i+2)+1)
	}
	for i := 1; i <= records; i++ {
		request, data := record(i)
		l.append(uint64(i), request, data)
	}
	for after := range records + 3 {
		rows := l.after(uint64(after), 3)
		if want := max(min(3, records-after), 0); len(rows) != want {
			t.Fatalf("after %d: got %d records, want %d", after, len(rows), want)
		}
		for i, r := range rows {
			n := after + 1 + i
			request, data := record(n)
			if r.Revision != uint64(n) || r.Request != request || !bytes.Equal(r.Data, data) {
				t.Fatalf("after %d: got record %d with request %q and %d bytes, want %d, %q, %d",
					after, r.Revision, r.Request, len(r.Data), n, request, len(data))
			}
		}
	}
	if got := len(l.after(0, records)); got != records {
		t.Errorf("got %d records in all, want %d", got, records)
	}
	if rows := l.after(^uint64(0), 1); len(rows) != 0 {
		t.Errorf("got %d records after the last number there is", len(rows))
	}
}
