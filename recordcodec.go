package ota

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-19b57ce3/ota/internal/bytesio"
)

// A log record is stored as bytes. A head of fixed length (schema, kind of part, status, time)
// comes first. Then come the request ID, with its length in front, and the events: each a kind, a
// mask of the fields that follow, and those fields. Agents are named by their IDs, so a record can
// be read without the plan.

const recordHead = 1 + 1 + 1 + 8

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
	buf     []byte
	events  int
	notable bool // an event is worth showing to people
}

func (w *recordWriter) reset() { w.begin("") }

// begin begins the record of a request.
func (w *recordWriter) begin(request string) {
	w.buf = append(w.buf[:0], make([]byte, recordHead)...)
	w.buf = bytesio.AppendText(w.buf, request)
	w.events, w.notable = 0, false
}

func (w *recordWriter) add(e *Event) {
	if len(w.buf) < recordHead {
		w.reset()
	}
	w.events++
	w.notable = w.notable || e.Kind.notable()
	mask := byte(0)
	at := len(w.buf) + 1
	b := append(w.buf, byte(e.Kind), 0)
	if e.Batch >= 0 {
		mask |= hasBatch
		b = binary.AppendUvarint(b, uint64(e.Batch))
	}
	if e.Agent != "" {
		mask |= hasAgent
		b = bytesio.AppendText(b, e.Agent)
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
		b = bytesio.AppendVarint(b, e.Until.UnixNano())
	}
	if e.Actor != "" {
		mask |= hasActor
		b = bytesio.AppendText(b, e.Actor)
	}
	if e.Text != "" {
		mask |= hasText
		b = bytesio.AppendText(b, e.Text)
	}
	b[at] = mask
	w.buf = b
}

// finish returns the record. It stays valid until the next reset.
func (w *recordWriter) finish(at time.Time, s Status) []byte {
	w.buf[0] = Schema
	w.buf[1] = partRecord
	w.buf[2] = byte(s)
	binary.BigEndian.PutUint64(w.buf[3:], uint64(at.UnixNano()))
	return w.buf
}

// encodeRecord makes a whole record in one call.
func encodeRecord(at time.Time, s Status, request string, events ...Event) (data []byte, notable bool) {
	var w recordWriter
	w.begin(request)
	for i := range events {
		w.add(&events[i])
	}
	return w.finish(at, s), w.notable
}

var errRecord = errors.New("ota: a log record is damaged")

// decodeRecord reads a record. It never panics, whatever the bytes.
func decodeRecord(plan string, row LogRow) (Record, error) {
	b := row.Data
	if len(b) <= recordHead || b[1] != partRecord {
		return Record{}, errRecord
	}
	if b[0] != Schema {
		return Record{}, fmt.Errorf("ota: log record %d of plan %s has schema %d, this version knows %d",
			row.Revision, plan, b[0], Schema)
	}
	r := recordReader{bytesio.NewReader(b[recordHead:])}
	rec := Record{
		Plan: plan, Revision: row.Revision, Request: r.Text(), Status: Status(b[2]),
		At: time.Unix(0, int64(binary.BigEndian.Uint64(b[3:]))).UTC(),
	}
	for r.Len() > 0 {
		rec.Events = append(rec.Events, r.event())
	}
	if r.Bad() {
		return Record{}, errRecord
	}
	return rec, nil
}

// notable reports whether an event is worth showing in an overview of all plans: what people did,
// and what needs them.
func (k EventKind) notable() bool {
	switch k {
	case EventCreated, EventStarted, EventPaused, EventResumed, EventCanceled, EventPromoted, EventEdited, EventFrozen,
		EventRollback, EventRolledBack, EventRollbackOff, EventStatus, EventBreach:
		return true
	default:
		return false
	}
}

// recordReader reads a record's events.
type recordReader struct{ bytesio.Reader }

func (r *recordReader) int() int { return int(r.Uvarint(math.MaxInt)) }

func (r *recordReader) event() Event {
	kind, mask := r.Byte(), r.Byte()
	e := Event{Kind: EventKind(kind), Batch: -1}
	if mask&hasBatch != 0 {
		e.Batch = r.int()
	}
	if mask&hasAgent != 0 {
		e.Agent = r.Text()
	}
	if mask&hasTask != 0 {
		e.Task = r.int()
	}
	if mask&hasNumber != 0 {
		e.Number = r.int()
	}
	if mask&hasReason != 0 {
		e.Reason = Reason(r.Byte())
	}
	if mask&hasUntil != 0 {
		e.Until = time.Unix(0, r.Varint()).UTC()
	}
	if mask&hasActor != 0 {
		e.Actor = r.Text()
	}
	if mask&hasText != 0 {
		e.Text = r.Text()
	}
	return e
}
