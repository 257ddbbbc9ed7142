package client

import (
	"bufio"
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

// Watch yields the records of a plan's log after number after: each once, in order, without a gap.
// It ends after the record that ends the plan, when ctx ends, or when the loop breaks. When the
// connection breaks, it connects again and continues after the last record. The server may cut the
// connection because the loop is slow. A refusal, such as ota.ErrNotFound, is yielded and ends it.
//
// A Watch of an ended plan, after its last record, follows what is still added to its log, such as
// a later rollback.
func (c *Client) Watch(ctx context.Context, id string, after uint64) iter.Seq2[ota.Record, error] {
	return func(yield func(ota.Record, error) bool) {
		for try := 0; ; try++ {
			before := after
			done, err := c.watch(ctx, id, &after, yield)
			if done {
				return
			}
			if final(err) || ctx.Err() != nil {
				yield(ota.Record{}, errors.Join(err, context.Cause(ctx)))
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

// final reports whether the same request would fail in the same way.
func final(err error) bool {
	return !errors.Is(err, wire.ErrUnavailable) && (errors.As(err, new(*wire.Problem)) ||
		errors.As(err, new(*AnswerError)) || errors.As(err, new(*ota.FieldError)))
}

// watch is one connection. It reports done when nothing more must be yielded.
func (c *Client) watch(
	ctx context.Context, id string, after *uint64, yield func(ota.Record, error) bool,
) (done bool, err error) {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	silence := time.AfterFunc(c.opt.Silence, hangUp) // a peer that vanished does not close
	defer silence.Stop()
	h := http.Header{}
	if *after > 0 {
		h.Set("Last-Event-ID", strconv.FormatUint(*after, 10))
	}
	resp, err := c.open(ctx, request{
		method: http.MethodGet, path: "/upgrade-plans/{id}/events", id: id,
		accept: "text/event-stream", header: h,
	})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	ended := false
	for {
		silence.Reset(c.opt.Silence)
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
		rec, err := record(id, data, *after)
		if err == nil {
			*after = rec.Revision
		}
		if !yield(rec, err) || err != nil {
			return true, err
		}
	}
}

// record decodes the record that follows number after.
func record(id, data string, after uint64) (rec ota.Record, err error) {
	if err := json.Unmarshal([]byte(data), &rec); err != nil {
		return rec, fmt.Errorf("client: watch plan %s: %w", id, err)
	}
	if rec.Revision != after+1 {
		return rec, fmt.Errorf("client: watch plan %s: record %d follows record %d",
			id, rec.Revision, after)
	}
	return rec, nil
}
