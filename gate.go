package ota

import (
	"context"
	"time"
)

// Gater is an Executor that says whether a batch that was upgraded and observed was good enough for the next one to
// begin. Gate is a question: it must change nothing. Its answer GateFail is a breach at once; GateInconclusive and errors
// are asked again each Gate.Every, up to limits of their own, and then pause the plan: neither ever passes. It is not asked
// about a batch that changed no agent, nor while the plan is paused. It should return soon after ctx ends, at the latest 30 seconds after
// the call.
type Gater interface {
	Gate(ctx context.Context, p Plan, b Batch) (GateVerdict, error)
}

// GateVerdict is an answer of a Gater.
type GateVerdict uint8

// The answers of a Gater.
const (
	GateNone         GateVerdict = iota // no answer: as an error
	GatePass                            // the next batch may begin
	GateFail                            // it may not
	GateInconclusive                    // nobody can tell yet
)

var gateNames = []string{"none", "pass", "fail", "inconclusive"}

// String returns "pass", "fail", "inconclusive" or "none".
func (g GateVerdict) String() string { return enumName(gateNames, g) }

// MarshalText returns what String returns.
func (g GateVerdict) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText accepts what String returns and refuses everything else.
func (g *GateVerdict) UnmarshalText(b []byte) error {
	return enumParse(gateNames, "gate verdict", b, g)
}

// gateAnswer is what a Gater said about a batch.
type gateAnswer struct {
	batch   int
	settled time.Time // of the observation that the question was about
	verdict GateVerdict
	text    cleaned // of an error
}

// askGate has the gate of the observed batch asked, unless that is under way, and says when to ask again.
func (s *state) askGate(now time.Time) (due int64) {
	b := s.current()
	every := s.c.Policy.Gate.Every
	if every == 0 {
		every = DefaultGate
	}
	if at := b.GateAt.Add(every); !b.GateAt.IsZero() && now.Before(at) {
		return at.UnixNano()
	}
	if !s.gating && s.calls.asks() {
		s.gating, s.asksGate = true, true
	}
	return 0
}

// foldGates takes in answers of the Gater.
func (s *state) foldGates(now time.Time) {
	for _, a := range s.in.gates {
		b := s.batch(a.batch)
		if b == nil || !b.SettledAt.Equal(a.settled) {
			continue // the batch has run again since: it is not the one that was asked about
		}
		s.gating = false
		if b.Status != BatchObserving || !judged(s.status()) {
			continue
		}
		b.Gate, b.GateAt = a.verdict, now
		switch a.verdict {
		case GateInconclusive:
			b.Inconclusive++
		case GateNone:
			b.GateErrors++
		}
		s.dirtyBatch(b)
		s.event(Event{Kind: EventGate, Batch: b.Index, Number: int(a.verdict), Text: string(cleanMessage(a.verdict.String() + string(a.text)))})
		s.gateVerdict(b, now)
	}
	s.in.gates = nil
}

// answerGate asks the Gater.
func (d *driver) answerGate(ctx context.Context, a ask, err error) func(*input) {
	reply := gateAnswer{batch: a.batch, settled: a.settled}
	var verdict GateVerdict
	if err == nil {
		verdict, err = protect(func() (GateVerdict, error) { return d.e.gate(ctx, d.id, a.batch) })
	}
	if err != nil {
		d.e.logPanic(ctx, err, "plan", d.id, "batch", a.batch)
		reply.text = ": " + readError(err).text
	} else if verdict <= GateInconclusive {
		reply.verdict = verdict
	}
	return func(in *input) { in.gates = append(in.gates, reply) }
}

func (e *Engine) gate(ctx context.Context, id string, batch int) (GateVerdict, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return GateNone, err
	}
	page, err := e.store.Batches(ctx, id, RowQuery{From: batch, To: batch + 1})
	if err != nil || len(page.Items) == 0 {
		return GateNone, err
	}
	b := batchOf(&page.Items[0], statusOf(&row.Control, &row.Progress), *row.Control.Policy.FailureThreshold)
	return e.with.Gater.Gate(ctx, planOf(&row), b)
}
