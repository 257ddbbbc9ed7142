package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Watch yields the records of a plan's log above after, every one once, in order and without gap, and goes on until the
// record that ends the plan, which it yields, or until ctx ends or the loop is left. When the connection breaks, or the
// server cuts it because the loop is slow, it connects again and goes on from the last record. A refusal, such as
// ota.ErrNotFound, ends it.
//
// Watching an ended plan from its last record on follows what its log may still get, such as a later rollback.
func (c *Client) Watch(ctx context.Context, id string, after uint64) iter.Seq2[ota.Record, error] {
	return func(yield func(ota.Record, error) bool) {
		for try := 0; ; try++ {
			before := after
			done, err := c.watch(ctx, id, &after, yield)
			var refused *wire.Problem
			if done || errors.As(err, &refused) && !errors.Is(err, wire.ErrUnavailable) || ctx.Err() != nil {
				if !done {
					yield(ota.Record{}, errors.Join(err, context.Cause(ctx)))
				}
				return
			}
			if after != before {
				try = 0
			}
			t := time.NewTimer(min(100*time.Millisecond<<min(try, 10), 10*time.Second))
			select {
			case <-ctx.Done():
				t.Stop()
			case <-t.C:
			}
		}
	}
}

// watch is one connection. It reports done when nothing is to be yielded any more.
func (c *Client) watch(ctx context.Context, id string, after *uint64, yield func(ota.Record, error) bool) (done bool, err error) {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	patience := cmp.Or(c.Silence, time.Minute)
	silence := time.AfterFunc(patience, hangUp) // a peer that has vanished says nothing, not even that
	defer silence.Stop()
	h := http.Header{"Accept": {"text/event-stream"}}
	if *after > 0 {
		h.Set("Last-Event-ID", strconv.FormatUint(*after, 10))
	}
	resp, err := c.open(ctx, request{method: http.MethodGet, path: planPath(id, "/events"), header: h})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	ended := false
	for {
		silence.Reset(patience)
		line, err := in.ReadString('\n')
		silence.Stop()
		if errors.Is(err, io.EOF) && line == "" {
			return ended, nil
		}
		if err != nil {
			return false, err
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			ended = ended || line == protocol.EndMark
			continue
		}
		var rec ota.Record
		if err := json.Unmarshal([]byte(data), &rec); err != nil {
			yield(rec, fmt.Errorf("httpapi: watch plan %s: %w", id, err))
			return true, err
		}
		if rec.Revision != *after+1 {
			err := fmt.Errorf("httpapi: watch plan %s: record %d follows record %d", id, rec.Revision, *after)
			yield(rec, err)
			return true, err
		}
		*after = rec.Revision
		if !yield(rec, nil) {
			return true, nil
		}
	}
}
