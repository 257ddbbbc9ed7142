package ota

import (
	"time"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// input is a report as input of the core.
func (r *OutcomeReport) input(at time.Time) reported {
	return reported{outcome: outcome{
		agent: r.Agent, task: r.Task, number: uint32(r.Number), at: at.UnixNano(), reason: r.Reason, after: r.After,
		unchanged: r.Unchanged || r.Reason == ReasonUnreachable || r.Reason == ReasonThrottled,
		version:   cleanVersion(r.Version), text: cleanMessage(r.Message),
	}}
}

// foldReports folds reported outcomes. It needs the rows of their agents.
func (s *state) foldReports() need {
	for len(s.in.reports) > 0 {
		o := &s.in.reports[0]
		s.p.Inbox = max(s.p.Inbox, o.message)
		switch {
		case !o.found:
			return s.wantReports()
		case o.ordinal < 0:
			s.lateReport(&o.outcome)
		default:
			r := s.rows.at(o.ordinal)
			if s.batch(r.Batch) == nil {
				return need{kind: needBatch, from: r.Batch}
			}
			s.foldReport(r, &o.outcome)
		}
		s.in.reports = s.in.reports[1:]
	}
	return need{}
}

// wantReports is the need for the rows of reported outcomes, a chunk at a time.
func (s *state) wantReports() need {
	n := need{kind: needReports}
	for i := range s.in.reports {
		if !s.in.reports[i].found && len(n.ids) < orderChunk {
			n.ids = append(n.ids, s.in.reports[i].agent)
		}
	}
	return n
}

// reportRowsLoaded adds the rows of wantReports. An ID without a row is unknown to the plan.
func (s *state) reportRowsLoaded(ids []string, rows []AgentRow) {
	ordinals := make(map[string]int, len(ids))
	for _, id := range ids {
		ordinals[id] = -1
	}
	for _, row := range rows {
		s.rows.add(row)
		ordinals[row.Agent.ID] = row.Ordinal
	}
	for i := range s.in.reports {
		if o, ok := ordinals[s.in.reports[i].agent]; ok {
			s.in.reports[i].ordinal, s.in.reports[i].found = o, true
		}
	}
}

// foldReport folds one reported outcome. The first outcome of an attempt counts, and ends its call.
func (s *state) foldReport(r *cachedRow, o *outcome) {
	if !r.State.attemptOpen(o.task, o.number) {
		target := s.spec.target(&r.Agent, o.task)
		o.version = s.same.as(o.version, target)
		if !r.State.shows(o, target) {
			s.lateReport(o)
		}
		if o.task < r.State.tasks() && o.number <= r.State.task(o.task).Number {
			s.change.reportedCalls = append(s.change.reportedCalls, o.key())
		}
		return
	}
	t := r.State.task(o.task)
	o.repeat = t.Why == ReasonRepeat
	if t.Status == TaskWaiting {
		s.queue.withdraw(o.ordinal)
	}
	slot := r.is(AgentOpen)
	r.inspecting = false
	s.applyOutcome(r, o)
	// It had no slot before, and a report does not give it one.
	if !slot && r.is(AgentOpen) {
		s.queue.withdraw(o.ordinal)
		s.setFlag(r, AgentOpen, false)
		s.requeue(r)
	}
	s.change.reportedCalls = append(s.change.reportedCalls, o.key())
}

// lateReport records a report that no longer counts.
func (s *state) lateReport(o *outcome) {
	s.event(Event{Kind: EventLate, Batch: -1, Agent: o.agent, Task: o.task, Number: int(o.number), Reason: o.reason, Text: string(o.text)})
}

// withdraw removes an agent from the queues. Agents in retries need no removal: startWaiting skips
// those that do not wait any more.
func (q *queues) withdraw(ordinal int) {
	for _, f := range []*queue.FIFO{&q.repeats, &q.partly, &q.back, &q.inspect} {
		f.Remove(ordinal)
	}
	q.lanes.Remove(ordinal)
}

// outcomeMessage is an OutcomeReport as a message in an Inbox.
type outcomeMessage struct {
	Outcome *OutcomeReport `json:"outcome"`
	At      time.Time      `json:"at"` // when it was reported
}
