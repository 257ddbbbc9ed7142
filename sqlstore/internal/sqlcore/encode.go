package sqlcore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Encode returns v as JSON, in a string: both databases store that as text.
func Encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	if !keepsJSON(b) {
		return "", fmt.Errorf("%w: a text in %T is not UTF-8 without NUL", ota.ErrRefused, v)
	}
	return string(b), nil
}

func decode(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// nanos is a time as it is stored: Unix nanoseconds, NULL for none.
func nanos(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

func fromNanos(n *int64) time.Time {
	if n == nil {
		return time.Time{}
	}
	return time.Unix(0, *n).UTC()
}

// BatchColumns are the columns of ota_batches after plan, in the order of BatchValues and
// scanBatch.
var BatchColumns = []string{
	"idx", "name", "first", "size", "status", "cursor_at",
	"pending", "running", "waiting", "succeeded", "failed", "skipped", "canceled", "unknown", "at_target",
	"tasks_pending", "tasks_running", "tasks_waiting", "tasks_succeeded", "tasks_failed", "tasks_skipped",
	"tasks_canceled", "tasks_unknown", "tasks_at_target",
	"open", "changed", "unhealthy", "accepted", "continued",
	"started_at", "settled_at", "healthy_since", "closed_at", "more",
}

// batchMore has the fields that few batches use, as JSON in one column. It is NULL for a batch that
// uses none. It has numbers and booleans only, so encoding cannot fail.
type batchMore struct {
	Canary       bool  `json:"canary,omitempty"`
	PausedFor    int64 `json:"pausedFor,omitempty"` // nanoseconds
	Late         bool  `json:"late,omitempty"`
	Gate         uint8 `json:"gate,omitempty"`
	GateAt       int64 `json:"gateAt,omitempty"` // Unix nanoseconds
	Inconclusive int   `json:"inconclusive,omitempty"`
	GateErrors   int   `json:"gateErrors,omitempty"`
}

func moreOf(b *ota.BatchRow) any {
	m := batchMore{
		Canary: b.Canary, PausedFor: int64(b.PausedFor), Late: b.TimeoutReported,
		Gate: uint8(b.Gate), Inconclusive: b.Inconclusive, GateErrors: b.GateErrors,
	}
	if !b.GateAt.IsZero() {
		m.GateAt = b.GateAt.UnixNano()
	}
	if m == (batchMore{}) {
		return nil
	}
	text, _ := Encode(m)
	return text
}

func (m *batchMore) into(b *ota.BatchRow) {
	b.Canary, b.PausedFor, b.TimeoutReported, b.Gate = m.Canary, time.Duration(m.PausedFor), m.Late, ota.GateVerdict(m.Gate)
	b.Inconclusive, b.GateErrors = m.Inconclusive, m.GateErrors
	if m.GateAt != 0 {
		b.GateAt = fromNanos(&m.GateAt)
	}
}

// BatchValues are the values of a batch, in the order of BatchColumns.
func BatchValues(b *ota.BatchRow) []any {
	c, t := &b.Counts, &b.Tasks
	return []any{
		b.Index, b.Name, b.First, b.Size, int64(b.Status), b.Cursor,
		c.Pending, c.Running, c.Waiting, c.Succeeded, c.Failed, c.Skipped, c.Canceled, c.Unknown, c.AtTarget,
		t.Pending, t.Running, t.Waiting, t.Succeeded, t.Failed, t.Skipped, t.Canceled, t.Unknown, t.AtTarget,
		b.Open, b.Changed, b.Unhealthy, b.Accepted, asInt(b.Continued),
		nanos(b.StartedAt), nanos(b.FinishedAt), nanos(b.HealthySince), nanos(b.ClosedAt), moreOf(b),
	}
}

func scanBatch(scan ScanFunc) (b ota.BatchRow, err error) {
	var status, continued int64
	var started, settled, healthy, closed *int64
	var more []byte
	c, t := &b.Counts, &b.Tasks
	err = scan(
		&b.Index, &b.Name, &b.First, &b.Size, &status, &b.Cursor,
		&c.Pending, &c.Running, &c.Waiting, &c.Succeeded, &c.Failed, &c.Skipped, &c.Canceled, &c.Unknown, &c.AtTarget,
		&t.Pending, &t.Running, &t.Waiting, &t.Succeeded, &t.Failed, &t.Skipped, &t.Canceled, &t.Unknown, &t.AtTarget,
		&b.Open, &b.Changed, &b.Unhealthy, &b.Accepted, &continued,
		&started, &settled, &healthy, &closed, &more,
	)
	if err == nil && more != nil {
		var m batchMore
		err = decode(more, &m)
		m.into(&b)
	}
	b.Status, b.Continued = ota.BatchStatus(status), continued != 0
	b.StartedAt, b.FinishedAt = fromNanos(started), fromNanos(settled)
	b.HealthySince, b.ClosedAt = fromNanos(healthy), fromNanos(closed)
	return b, err
}

// encodeAgent returns an agent to insert.
func encodeAgent(a *ota.AgentRow) (r AgentRecord, err error) {
	r = AgentRecord{
		Ordinal: a.Ordinal, Batch: a.Batch, ID: a.Agent.ID, Version: a.Agent.Version, Target: a.Agent.Target,
	}
	if err := keeps(r.ID, r.Version, r.Target); err != nil {
		return r, err
	}
	if len(a.Agent.Labels) > 0 {
		text, err := Encode(a.Agent.Labels)
		if err != nil {
			return r, err
		}
		r.Labels = &text
	}
	if len(a.Agent.Tasks) > 0 {
		text, err := Encode(a.Agent.Tasks)
		if err != nil {
			return r, err
		}
		r.Tasks = &text
	}
	r.State, err = a.State.AppendBinary(nil)
	return r, err
}

// scanAgent reads the part of an agent that never changes.
func scanAgent(scan ScanFunc) (a ota.AgentRow, err error) {
	var labels, tasks []byte
	if err := scan(&a.Ordinal, &a.Batch, &a.Agent.ID, &a.Agent.Version, &a.Agent.Target, &labels, &tasks); err != nil {
		return a, err
	}
	if labels != nil {
		if err := decode(labels, &a.Agent.Labels); err != nil {
			return a, err
		}
	}
	if tasks != nil {
		err = decode(tasks, &a.Agent.Tasks)
	}
	return a, err
}
