package ota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// HealthReport is what somebody who watches the fleet says of an agent.
type HealthReport struct {
	Agent   string    `json:"agent"` // ID
	Healthy bool      `json:"healthy"`
	At      time.Time `json:"at,omitzero"` // when it was seen; zero, or in the future, means now
	Reason  string    `json:"reason,omitempty"`
}

// ReportHealth tells a plan how agents of it are after their upgrade. It returns once what follows is committed. A report
// of an unhealthy agent counts iff its time lies between that agent's success and the end of its batch's observation (with
// Observe.ToEnd: the end of the plan), and once;
// otherwise it is an event in the log and nothing else. How long an agent may be unhealthy before it fails is Observe.Retry.
//
// When another engine drives the plan (or, without a Leaser, drove it last) the reports go to it through the Store, if
// that is an Inbox, and count within that engine's Poll; without an Inbox ErrConflict is returned.
func (e *Engine) ReportHealth(ctx context.Context, id string, reports []HealthReport) error {
	var m mistakes
	for i, r := range reports {
		field := "reports[" + strconv.Itoa(i) + "].agent"
		if problem := textProblem(r.Agent, maxText); problem != "" {
			m.agent(field, strconv.Quote(shorten(r.Agent)), problem, textAllowed(maxText))
		} else if r.Agent == "" {
			m.agent(field, "", "is empty", "an agent's ID")
		}
	}
	if err := m.result(); err != nil || len(reports) == 0 {
		return err
	}
	if done, err := e.reportToOwner(ctx, id, input{health: e.healthInput(reports)}); done {
		return err
	}
	err := e.foldAlone(ctx, id, input{health: e.healthInput(reports)}, nil)
	if errors.Is(err, ErrConflict) {
		return e.postReports(ctx, id, reports)
	}
	if err != nil {
		return fmt.Errorf("ota: report health to plan %s: %w", id, err)
	}
	return nil
}

func (e *Engine) healthInput(reports []HealthReport) []healthReport {
	now := e.now()
	in := make([]healthReport, len(reports))
	for i, r := range reports {
		if r.At.IsZero() || r.At.After(now) {
			r.At = now
		}
		in[i] = healthReport{agent: r.Agent, healthy: r.Healthy, at: r.At.UnixNano(), reason: cleanMessage(r.Reason)}
	}
	return in
}

// reportToOwner hands reports to the driver of this process, if there is one.
func (e *Engine) reportToOwner(ctx context.Context, id string, in input) (done bool, err error) {
	d := e.driver(id)
	if d == nil {
		return false, nil
	}
	reply := make(chan error, 1)
	posted := d.post(func(m *mail) {
		m.input.take(in)
		m.reports = append(m.reports, func(err error) { reply <- err })
	})
	if !posted {
		return false, nil
	}
	select {
	case err := <-reply:
		return err != errStopped, err //nolint:errorlint // it is never wrapped
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
}

// postReports leaves reports for the engine that drives the plan.
func (e *Engine) postReports(ctx context.Context, id string, reports []HealthReport) error {
	now := e.now()
	messages := make([]Message, len(reports))
	for i, r := range reports {
		if r.At.IsZero() || r.At.After(now) {
			r.At = now
		}
		r.Reason = string(cleanMessage(r.Reason))
		body, err := json.Marshal(r)
		if err != nil {
			return err
		}
		messages[i] = Message{ID: uuid.NewString(), Body: body}
	}
	if err := e.post(ctx, id, messages); err != nil {
		return fmt.Errorf("ota: report health to plan %s: %w", id, err)
	}
	return nil
}

// post leaves messages for the engine that drives the plan.
func (e *Engine) post(ctx context.Context, id string, messages []Message) error {
	box := e.with.Inbox
	if box == nil {
		return fmt.Errorf("%w: another engine drives plan %s", ErrConflict, id)
	}
	return box.Post(ctx, id, messages)
}

// readInbox fetches what other engines have left for a plan, and tells the number of the last message and whether there
// may be more.
func (e *Engine) readInbox(ctx context.Context, id string, after uint64) (in input, last uint64, more bool, err error) {
	box := e.with.Inbox
	if box == nil {
		return in, after, false, nil
	}
	messages, err := box.Read(ctx, id, after, orderChunk)
	if err != nil {
		return in, after, false, err
	}
	for _, msg := range messages {
		last = msg.Number
		var o outcomeMessage
		if err := json.Unmarshal(msg.Body, &o); err != nil {
			continue // of a newer version; it is no report that this one could count
		}
		if o.Outcome != nil {
			r := o.Outcome.input(o.At)
			r.message = msg.Number
			in.reports = append(in.reports, r)
			continue
		}
		var h HealthReport
		if err := json.Unmarshal(msg.Body, &h); err != nil {
			continue
		}
		in.health = append(in.health, healthReport{
			agent: h.Agent, healthy: h.Healthy, at: h.At.UnixNano(), reason: cleanMessage(h.Reason), message: msg.Number,
		})
	}
	return in, last, len(messages) == orderChunk, nil
}
