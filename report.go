package ota

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ReportOf returns the report of an attempt that has the same effect as a call that returns res and
// err. A panic becomes ReasonPermanent.
func ReportOf(a Attempt, res Result, err error) OutcomeReport {
	r := OutcomeReport{
		Agent: a.Agent, Task: a.Task, Number: a.Number, Reason: ReasonSucceeded,
		Version: string(cleanVersion(res.Version)), Unchanged: res.Unchanged, Message: string(cleanMessage(res.Message)),
	}
	if err != nil {
		o := readError(err)
		r.Reason, r.After, r.Unchanged, r.Version, r.Message = o.reason, o.after, o.unchanged, "", string(o.text)
	}
	if r.Reason == ReasonPanic {
		r.Reason = ReasonPermanent
	}
	return r
}

// ParseKey splits an Attempt's Key, for the report of an agent that got nothing else. It returns a
// *FieldError for a text that is no key.
func ParseKey(key string) (plan, agent string, task, number int, err error) {
	bad := &FieldError{Field: "key", Value: shorten(key), Problem: "is no key of an attempt", Allowed: "plan/agent/task/number"}
	plan, rest, _ := strings.Cut(key, "/")
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return "", "", 0, 0, bad
	}
	k := strings.LastIndexByte(rest[:i], '/') // an agent's ID may contain slashes
	if k < 1 || plan == "" {
		return "", "", 0, 0, bad
	}
	t, err := strconv.ParseUint(rest[k+1:i], 10, 31)
	if err != nil {
		return "", "", 0, 0, bad
	}
	n, err := strconv.ParseUint(rest[i+1:], 10, 31)
	if err != nil || n == 0 {
		return "", "", 0, 0, bad
	}
	return plan, rest[:k], int(t), int(n), nil
}

// ReportOutcomes reports how attempts of a plan ended. It returns nil once the effect of all
// reports is committed. A sender should keep its report until then, and may send it again as often
// as it likes.
//
// The first outcome of an attempt counts, from a report or from the call. A repetition of it does
// nothing. Only an event in the log follows from a different outcome, and from an outcome for an
// attempt that was abandoned or never made. The context of a call that waits for the outcome then
// ends.
//
// Any engine may have made the call, and it may have died since. An attempt that a crash
// interrupted can be reported before it is called again.
//
// If another engine drives the plan, the reports go to that engine through the Store, which must be
// an Inbox. Without a Leaser the same holds if another engine drove the plan last. ReportOutcomes
// then waits until that engine has read the reports, which takes at most its Options.Poll, or until
// ctx ends. Without an Inbox it returns ErrConflict.
func (e *Engine) ReportOutcomes(ctx context.Context, id string, reports []OutcomeReport) error {
	if err := checkOutcomes(reports); err != nil || len(reports) == 0 {
		return err
	}
	if err := e.reportOutcomes(ctx, id, reports); err != nil {
		return wrapError(err, "report outcomes to plan %s", id)
	}
	return nil
}

func (e *Engine) reportOutcomes(ctx context.Context, id string, reports []OutcomeReport) error {
	wake, stop := e.hub.Watch(id)
	defer stop()
	at := e.now()
	for posted := false; ; {
		in := input{reports: make([]reported, len(reports))}
		for i := range reports {
			in.reports[i] = reports[i].input(at)
		}
		done, err := e.reportToOwner(ctx, id, in)
		if !done {
			err = e.foldWithoutDriver(ctx, id, in, nil)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrFenced) {
			return err
		}
		if !posted {
			if err := e.postOutcomes(ctx, id, at, reports); err != nil {
				return err
			}
			posted = true
		}
		if open, err := e.anyOpen(ctx, id, reports); err != nil || !open {
			return err
		}
		t := e.opt.Clock.Timer(e.opt.Poll)
		select {
		case <-wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// checkOutcomes names every mistake of the reports.
func checkOutcomes(reports []OutcomeReport) error {
	var m mistakes
	for i, r := range reports {
		field := "reports[" + strconv.Itoa(i) + "]."
		if r.Agent == "" {
			m.agent(field+"agent", "", "is empty", "an agent's ID")
		} else if problem := textProblem(r.Agent, maxText); problem != "" {
			m.agent(field+"agent", strconv.Quote(shorten(r.Agent)), problem, textAllowed(maxText))
		}
		if r.Task < 0 {
			m.agent(field+"task", strconv.Itoa(r.Task), "is negative", "0 or more")
		}
		if r.Number < 1 || int64(r.Number) > 1<<31 {
			m.agent(field+"number", strconv.Itoa(r.Number), "is not the number of an attempt", "1 or more")
		}
		if r.After < 0 || r.After > maxDuration {
			m.agent(field+"after", r.After.String(), "is out of range", "0 or more, at most ten years")
		}
		switch r.Reason {
		case ReasonSucceeded, ReasonError, ReasonPermanent, ReasonRejected, ReasonUnreachable, ReasonThrottled:
		default:
			m.agent(field+"reason", r.Reason.String(), "is no outcome that can be reported",
				"succeeded, error, permanent, rejected, unreachable, throttled")
		}
	}
	return m.result()
}

// postOutcomes posts reports for the engine that drives the plan. Equal reports have equal message
// IDs, so repeated reports take no space.
func (e *Engine) postOutcomes(ctx context.Context, id string, at time.Time, reports []OutcomeReport) error {
	messages := make([]Message, len(reports))
	for i := range reports {
		r := reports[i]
		r.Version, r.Message = string(cleanVersion(r.Version)), string(cleanMessage(r.Message))
		same, err := json.Marshal(r)
		if err != nil {
			return err
		}
		body, err := json.Marshal(outcomeMessage{Outcome: &r, At: at})
		if err != nil {
			return err
		}
		sum := sha256.Sum256(same)
		messages[i] = Message{ID: "outcome-" + hex.EncodeToString(sum[:]), Body: body}
	}
	return e.post(ctx, id, messages)
}

// anyOpen reports whether any of the reported attempts still has no outcome.
func (e *Engine) anyOpen(ctx context.Context, id string, reports []OutcomeReport) (bool, error) {
	for len(reports) > 0 {
		n := min(len(reports), orderChunk)
		q := rowQuery{Limit: n}
		for _, r := range reports[:n] {
			q.IDs = append(q.IDs, r.Agent)
		}
		page, err := e.store.Agents(ctx, id, q)
		if err != nil {
			return false, err
		}
		states := make(map[string]*agentState, n)
		for i := range page.Items {
			states[page.Items[i].Agent.ID] = &page.Items[i].State
		}
		for _, r := range reports[:n] {
			if st := states[r.Agent]; st != nil && st.attemptOpen(r.Task, uint32(r.Number)) {
				return true, nil
			}
		}
		reports = reports[n:]
	}
	return false, nil
}

// ReportHealth reports the health of a plan's agents after their upgrade. It returns once the
// effect is committed.
//
// A report that an agent is unhealthy counts once, if its time is in the right period: from the
// success of the agent to the end of its batch's soak or, with Soak.ToEnd, of the plan. Otherwise
// it is only an event in the log. Soak.Grace is how long an agent may be unhealthy before it fails.
//
// If another engine drives the plan, the reports go to that engine through the Store, which must be
// an Inbox. Without a Leaser the same holds if another engine drove the plan last. The reports then
// count within the Options.Poll of that engine. Without an Inbox ReportHealth returns ErrConflict.
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
	err := e.foldWithoutDriver(ctx, id, input{health: e.healthInput(reports)}, nil)
	if errors.Is(err, ErrConflict) {
		return e.postReports(ctx, id, reports)
	}
	if err != nil {
		return wrapError(err, "report health to plan %s", id)
	}
	return nil
}

// healthInput returns the reports as input of the core. A missing or future time becomes now.
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

// reportToOwner passes reports to the driver of this process. done is false if there is none.
func (e *Engine) reportToOwner(ctx context.Context, id string, in input) (done bool, err error) {
	d := e.driver(id)
	if d == nil {
		return false, nil
	}
	reply := make(chan error, 1)
	posted := d.post(func(m *mail) {
		m.input.add(in)
		m.onCommitted = append(m.onCommitted, func(err error) { reply <- err })
	})
	if !posted {
		return false, nil
	}
	select {
	case err := <-reply:
		// A driver that has lost the plan has not committed the reports. Its successor may.
		return !errors.Is(err, errStopped) && !errors.Is(err, ErrFenced), err
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
}

// postReports posts reports of health for the engine that drives the plan.
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
		return wrapError(err, "report health to plan %s", id)
	}
	return nil
}

// post posts messages for the engine that drives the plan, or returns ErrConflict without an Inbox.
func (e *Engine) post(ctx context.Context, id string, messages []Message) error {
	box := e.with.Inbox
	if box == nil {
		return fmt.Errorf("%w: another engine drives plan %s", ErrConflict, id)
	}
	return box.Post(ctx, id, messages)
}

// Async makes an Executor for agents that report later. begin orders the agent to upgrade. The
// report of the outcome reaches Engine.ReportOutcomes minutes or days afterwards, in any process.
//
// begin gets the attempt, and returns once the agent has accepted it. begin passes on what the
// report must name: the attempt's Key, or the plan, the agent, the task and the number. After a
// crash the engine calls begin again with the same Key. The agent must treat both calls as one.
//
// An error of begin is the attempt's outcome, and the engine waits for no report. Marks such as
// Unreachable count. An agent that begin marks Unreachable therefore costs nothing until the next
// try.
//
// After begin the call waits for the report. Like any call in flight it has a slot of Concurrency,
// and it costs a goroutine. The plan's AttemptTimeout limits the wait: set it to what such agents
// need. A report after it is too late. A report is never too early, even before begin has returned,
// because the attempt is in the Store before the engine calls begin.
//
// Any other Executor can work with reports, too. Once a report is committed, the context of the
// attempt's call ends, and the result of the call is ignored.
func Async(begin func(ctx context.Context, a Attempt) error) Executor { return asyncExecutor(begin) }

type asyncExecutor func(ctx context.Context, a Attempt) error

// Execute implements Executor.
func (begin asyncExecutor) Execute(ctx context.Context, a Attempt) (Result, error) {
	if err := begin(ctx, a); err != nil {
		return Result{}, err
	}
	<-ctx.Done() // a report, the timeout, or the end of the plan or of the engine
	return Result{}, ctx.Err()
}
