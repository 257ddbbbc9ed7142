package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// progress shows a plan's log as it is written: Engine.Watch gives every record of it once, in order.
type progress struct {
	engine *ota.Engine
	out    *output
	plan   ota.Plan
	lines  io.Writer // the destination of lines
	bar    *bar      // nil without a terminal

	batches  []batchView
	breached bool
	seen     uint64 // the last record shown
	stop     context.CancelFunc
	stopped  chan struct{}
}

// batchView is the state of a batch according to the log so far.
type batchView struct {
	ota.Batch
	agents map[string]ota.TaskStatus
}

// follow begins to show a plan's events.
func follow(ctx context.Context, e *ota.Engine, p ota.Plan, out *output) (*progress, error) {
	s := &progress{engine: e, out: out, plan: p, lines: out.w, stopped: make(chan struct{})}
	for b, err := range e.Batches(ctx, p.ID, 0) {
		if err != nil {
			return nil, err
		}
		s.batches = append(s.batches, batchView{b, map[string]ota.TaskStatus{}})
	}
	if out.terminal {
		s.bar = newBar(out)
		s.lines = s.bar
	}
	ctx, s.stop = context.WithCancel(ctx)
	go func() {
		defer close(s.stopped)
		for rec, err := range e.Watch(ctx, p.ID, 0) {
			if err != nil {
				return
			}
			s.show(rec)
		}
	}()
	return s, nil
}

// end shows the rest of the log, up to the plan's last change. It returns err, or the error that
// kept it from reading the log.
func (s *progress) end(p ota.Plan, err error) error {
	s.stop()
	<-s.stopped
	if s.bar != nil {
		defer s.bar.end()
	}
	if err != nil || p.Revision <= s.seen {
		return err
	}
	for rec, err := range s.engine.Watch(context.Background(), p.ID, s.seen) {
		if err != nil {
			return err
		}
		s.show(rec)
		if rec.Revision >= p.Revision {
			break
		}
	}
	return nil
}

func (s *progress) show(rec ota.Record) {
	s.seen = rec.Revision
	for _, e := range rec.Events {
		if s.out.verbose {
			s.line(rec.At, dim, "%s", verboseText(rec, e))
		}
		s.event(rec, e)
	}
}

// line prints something that happens now. It does not print again what an earlier run has printed.
func (s *progress) line(at time.Time, color, format string, args ...any) {
	if at.Before(s.out.began) {
		return
	}
	_, _ = io.WriteString(s.lines, s.out.event(at, color, fmt.Sprintf(format, args...)))
}

// event updates the batch of an event, and prints what a person wants to know.
func (s *progress) event(rec ota.Record, e ota.Event) {
	var b *batchView
	if e.Batch >= 0 && e.Batch < len(s.batches) {
		b = &s.batches[e.Batch]
	}
	switch e.Kind {
	case ota.EventTaskRepeated:
		s.line(rec.At, "", "↻ %s is called again: the call was lost", e.Agent)
	case ota.EventTaskStarted, ota.EventTaskSucceeded, ota.EventTaskFailed:
		b.agents[e.Agent] = statusAfter(e.Kind)
		if e.Kind == ota.EventTaskFailed {
			s.line(rec.At, red, "✗ %s failed (%s): %s", e.Agent, e.Reason, e.Text)
		}
		s.draw(b, fmt.Sprintf("%d at work", b.counts().Running))
	case ota.EventBatchStarted:
		if s.bar == nil {
			s.line(rec.At, "", "batch %d begins: %d agents", b.Index, b.Size)
		}
		s.draw(b, "")
	case ota.EventBatchSoaking:
		if s.bar == nil {
			s.line(rec.At, "", "batch %d is watched for %s", b.Index, s.plan.Policy.Soak.Duration)
		}
		s.draw(b, "watched for "+s.plan.Policy.Soak.Duration.String())
	case ota.EventBatchCompleted:
		s.hide()
		s.line(rec.At, "", "%s", s.batchText(b, fmt.Sprintf("done; plan: %d of %d", s.counts().Succeeded, s.plan.Agents)))
	case ota.EventBreach:
		if !s.breached { // it comes again with every further failure
			s.breached = true
			s.line(rec.At, yellow, "‖ %s", e.Text)
		}
	case ota.EventStatus:
		s.status(rec)
	}
}

// status prints a change of the plan's status. After a pause it also shows the batch that is half
// done.
func (s *progress) status(rec ota.Record) {
	if rec.Status != ota.StatusPaused {
		s.line(rec.At, "", "the plan is %s", rec.Status)
		return
	}
	s.hide()
	for i := range s.batches {
		if c := s.batches[i].counts(); c.Pending > 0 && c.Pending < s.batches[i].Size {
			s.line(rec.At, "", "%s", s.batchText(&s.batches[i], "stopped"))
		}
	}
	s.line(rec.At, yellow, "‖ the plan is paused")
}

func statusAfter(k ota.EventKind) ota.TaskStatus {
	switch k {
	case ota.EventTaskStarted:
		return ota.TaskRunning
	case ota.EventTaskSucceeded:
		return ota.TaskSucceeded
	default:
		return ota.TaskFailed
	}
}

// batchText is a batch in one line.
func (s *progress) batchText(b *batchView, doing string) string {
	c := b.counts()
	text := fmt.Sprintf("batch %d  %s  %d of %d at %s",
		b.Index, s.out.cells(c, cellsWide), c.Succeeded, b.Size, s.plan.ToVersion)
	if c.Failed > 0 {
		text += fmt.Sprintf(", %d failed", c.Failed)
	}
	if c.Pending > 0 && c.Running == 0 {
		text += fmt.Sprintf(", %d not touched", c.Pending)
	}
	return text + "  " + s.out.paint(dim, doing)
}

func verboseText(rec ota.Record, e ota.Event) string {
	text := fmt.Sprintf("%4d %-12s %-16s", rec.Revision, rec.Status, e.Kind)
	if e.Batch >= 0 {
		text += fmt.Sprintf(" batch %d", e.Batch)
	}
	if e.Agent != "" {
		text += " " + e.Agent
	}
	if e.Reason != ota.ReasonNone {
		text += " " + e.Reason.String()
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}
