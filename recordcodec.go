package ota

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// A log record is stored as bytes. A head of fixed length (schema, status, time) comes first. Then
// come the events, each a kind, a mask of the fields that follow, and those fields. Agents are
// named by their IDs, so a record can be read without the plan.

const recordHead = 1 + 1 + 8

const (
	hasBatch = 1 << iota
	hasAgent
	hasTask
	hasNumber
	hasReason
	hasUntil
	hasActor
	hasText
)

// recordWriter collects the events of one commit.
type recordWriter struct {
	buf    []byte
	events int
}

func (w *recordWriter) reset() {
	w.buf = append(w.buf[:0], make([]byte, recordHead)...)
	w.events = 0
}

func (w *recordWriter) add(e *Event) {
	if len(w.buf) < recordHead {
		w.reset()
	}
	w.events++
	mask := byte(0)
	at := len(w.buf) + 1
	b := append(w.buf, byte(e.Kind), 0)
	if e.Batch >= 0 {
		mask |= hasBatch
		b = binary.AppendUvarint(b, uint64(e.Batch))
	}
	if e.Agent != "" {
		mask |= hasAgent
		b = appendString(b, e.Agent)
	}
	if e.Task != 0 {
		mask |= hasTask
		b = binary.AppendUvarint(b, uint64(e.Task))
	}
	if e.Number != 0 {
		mask |= hasNumber
		b = binary.AppendUvarint(b, uint64(e.Number))
	}
	if e.Reason != ReasonNone {
		mask |= hasReason
		b = append(b, byte(e.Reason))
	}
	if !e.Until.IsZero() {
		mask |= hasUntil
		b = binary.AppendVarint(b, e.Until.UnixNano())
	}
	if e.Actor != "" {
		mask |= hasActor
		b = appendString(b, e.Actor)
	}
	if e.Text != "" {
		mask |= hasText
		b = appendString(b, e.Text)
	}
	b[at] = mask
	w.buf = b
}

// finish returns the record. It stays valid until the next reset.
func (w *recordWriter) finish(at time.Time, s Status) []byte {
	w.buf[0] = Schema
	w.buf[1] = byte(s)
	binary.BigEndian.PutUint64(w.buf[2:], uint64(at.UnixNano()))
	return w.buf
}

// encodeRecord makes a whole record in one call.
func encodeRecord(at time.Time, s Status, events ...Event) []byte {
	var w recordWriter
	w.reset()
	for i := range events {
		w.add(&events[i])
	}
	return w.finish(at, s)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errRecord = errors.New("ota: a log record is damaged")

// decodeRecord reads a record. It never panics, whatever the bytes.
func decodeRecord(plan string, row LogRow) (Record, error) {
	b := row.Data
	if len(b) < recordHead {
		return Record{}, errRecord
	}
	if b[0] != Schema {
		return Record{}, fmt.Errorf("ota: log record %d of plan %s has schema %d, this version knows %d", row.Revision, plan, b[0], Schema)
	}
	rec := Record{
		Plan: plan, Revision: row.Revision, Request: row.Request, Status: Status(b[1]),
		At: time.Unix(0, int64(binary.BigEndian.Uint64(b[2:]))).UTC(),
	}
	r := reader{b: b[recordHead:]}
	for len(r.b) > 0 && !r.bad {
		rec.Events = append(rec.Events, r.event())
	}
	if r.bad {
		return Record{}, errRecord
	}
	return rec, nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) event() Event {
	kind, mask := r.byte(), r.byte()
	e := Event{Kind: EventKind(kind), Batch: -1}
	if mask&hasBatch != 0 {
		e.Batch = r.int()
	}
	if mask&hasAgent != 0 {
		e.Agent = r.string()
	}
	if mask&hasTask != 0 {
		e.Task = r.int()
	}
	if mask&hasNumber != 0 {
		e.Number = r.int()
	}
	if mask&hasReason != 0 {
		e.Reason = Reason(r.byte())
	}
	if mask&hasUntil != 0 {
		e.Until = time.Unix(0, r.varint()).UTC()
	}
	if mask&hasActor != 0 {
		e.Actor = r.string()
	}
	if mask&hasText != 0 {
		e.Text = r.string()
	}
	return e
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) int() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > math.MaxInt {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string {
	n := r.int()
	if n > len(r.b) {
		r.fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) fail() { r.bad, r.b = true, nil }
