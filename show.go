package ota

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// JSON beside the bytes of a plan and of a batch, for people who query the database itself. The
// core writes it and never reads it. It is in every commit of an owner, so it allocates nothing,
// except for the sentence of an open breach. Members that are zero or empty are omitted.

// showPlan appends what a plan's row shows, for example
//
//	{"batch":3,"batches":10,"agents":{"pending":17,"succeeded":31,"failed":2},"owner":"engine-1",
//	"breach":"Failure threshold exceeded: 2 of 10 failed in batch 3, tolerates 1"}
//
// The counts are those of Plan: agents that a canceled plan never started are canceled.
func showPlan(b []byte, s *PlanSpec, c *Control, p *Progress) []byte {
	w := show{b: append(b, '{')}
	w.index("batch", min(p.Batch, p.Reached))
	w.number("batches", s.Batches)
	w.counts(ended(p.Counts, statusOf(c, p)))
	w.number("touched", p.Changed)
	w.text("owner", p.Owner)
	w.time("at", p.At)
	if c.Paused != nil {
		w.stamp("paused", c.Paused)
	}
	if c.Cancel != nil {
		w.stamp("canceled", &c.Cancel.Audit)
	}
	if c.Rollback != nil {
		w.text("rollback", c.Rollback.ID)
	}
	if breach := standing(c, p); breach != nil {
		w.text("breach", breach.String())
	}
	return w.close()
}

// showBatch appends the JSON of a batch's row. The counts are as stored: agents that a canceled
// plan never started are pending there.
func showBatch(b []byte, r *BatchRow) []byte {
	w := show{b: append(b, '{')}
	w.text("name", r.Name)
	w.index("first", r.First)
	w.number("size", r.Size)
	w.counts(r.Counts)
	w.number("accepted", r.Accepted)
	w.number("unhealthy", r.Unhealthy)
	if r.Gate != GateNone {
		w.text("gate", r.Gate.String())
	}
	w.time("started", r.StartedAt)
	w.time("settled", r.FinishedAt)
	w.time("closed", r.ClosedAt)
	return w.close()
}

// show writes one JSON object.
type show struct{ b []byte }

func (w *show) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), `":`...)
}

func (w *show) close() []byte { return append(w.b, '}') }

func (w *show) number(name string, n int) {
	if n != 0 {
		w.index(name, n)
	}
}

// index writes a number of which 0 has a meaning.
func (w *show) index(name string, n int) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

func (w *show) time(name string, t time.Time) {
	if !t.IsZero() {
		w.name(name)
		w.b = append(t.UTC().AppendFormat(append(w.b, '"'), time.RFC3339), '"')
	}
}

func (w *show) counts(n Counts) {
	w.name("agents")
	w.b = append(w.b, '{')
	for s, word := range taskStatuses.words {
		w.number(word, n.Of(TaskStatus(s)))
	}
	w.b = append(w.b, '}')
}

func (w *show) stamp(name string, s *Audit) {
	w.name(name)
	w.b = append(w.b, '{')
	w.time("at", s.At)
	w.text("actor", s.Actor)
	w.text("reason", s.Reason)
	w.b = append(w.b, '}')
}

// text writes a JSON string that every database accepts: control characters, NUL among them, and
// bytes that are not UTF-8 become U+FFFD.
func (w *show) text(name, s string) {
	if s == "" {
		return
	}
	w.name(name)
	w.b = append(w.b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.b = append(w.b, '\\', byte(r))
		case r == '\n':
			w.b = append(w.b, `\n`...)
		case r < 0x20 || r == 0x7f:
			w.b = utf8.AppendRune(w.b, utf8.RuneError)
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
	w.b = append(w.b, '"')
}
