package arcgis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/internal/plural"
)

// readOnly calls the user's switch. A panic in it is an error, and ends nothing else.
func (h *Handler) readOnly(ctx context.Context, on bool) (err error) {
	ctx, cancel := h.base.Clock.WithTimeout(ctx, h.opt.SwitchLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("arcgis: read-only mode: panic: %v", p)
		}
	}()
	if err := h.opt.ReadOnly(ctx, on); err != nil {
		return fmt.Errorf("arcgis: read-only mode: %w", err)
	}
	return nil
}

// by is who says what a job says: the one who asked for it.
func (j *job) by() ota.Request { return ota.Request{Actor: j.head.CreatedBy, Reason: reason(j.target)} }

// note writes down how far a job has come. It fails with ErrConflict when somebody else has written
// something since the job was read.
func (h *Handler) note(ctx context.Context, j *job, key, value string) error {
	by := j.by()
	by.Generation = j.head.Generation
	_, err := h.engine.Annotate(ctx, j.head.ID, map[string]string{key: value}, nil, by)
	return err
}

// enter switches read-only mode on. It is called for a job that was entered before, too, by a
// process that may have died.
func (r *runner) enter(ctx context.Context, j *job) error {
	err := r.h.readOnly(ctx, true)
	switch {
	case err == nil:
		r.on = j.head.ID
	case ctx.Err() != nil, j.entered != 0: // the work may have begun: try again
		return err
	default:
		return r.fail(ctx, j, codeNotReadOnly, "Read-only mode could not be entered: "+err.Error())
	}
	if j.entered != 0 {
		return nil
	}
	return r.h.note(ctx, j, noteEntered, r.h.nowMillis())
}

// diagnose asks, before anything is touched, whether every step is possible.
func (r *runner) diagnose(ctx context.Context, j *job) error {
	began := r.h.nowMillis()
	for _, id := range j.sources {
		if _, err := r.h.engine.CanRollback(ctx, id); err != nil {
			return r.failOn(ctx, j, err)
		}
	}
	return r.h.note(ctx, j, noteChecked, began+" "+r.h.nowMillis())
}

// next makes the rollback plan of a further step.
func (r *runner) next(ctx context.Context, j *job, k int) error {
	source, err := r.h.engine.Plan(ctx, j.sources[k])
	if err != nil {
		return err
	}
	spec := specOf(&source, j.head.ID, map[string]string{noteTarget: j.target})
	p, err := r.h.engine.CreateRollback(ctx, source.ID, spec, j.by())
	if err != nil {
		return r.failOn(ctx, j, err)
	}
	if p.Labels[labelJob] != j.head.ID {
		return r.fail(ctx, j, codeNotPossible, fmt.Sprintf("Plan %s has another rollback plan already, %s.", source.ID, p.ID))
	}
	return nil
}

func (r *runner) start(ctx context.Context, j *job, p *ota.Plan) error {
	if _, err := r.h.engine.Start(ctx, p.ID, j.by()); err != nil {
		return r.failOn(ctx, j, err)
	}
	return nil
}

// failOn ends the job when the Engine refuses for good; everything else is tried again.
func (r *runner) failOn(ctx context.Context, j *job, err error) error {
	if !final(err) {
		return err
	}
	return r.fail(ctx, j, codeNotPossible, "The rollback is not possible: "+texts.Plain(err))
}

// breached ends the job because a rollback plan has paused itself. That plan stays as it is, for
// whoever looks into it.
func (r *runner) breached(ctx context.Context, j *job, p *ota.Plan) error {
	const named = 10
	page, err := r.h.engine.Agents(ctx, p.ID, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskFailed, ota.TaskUnknown}, Limit: named})
	if err != nil {
		return err
	}
	ids := make([]string, len(page.Items))
	for i := range page.Items {
		ids[i] = page.Items[i].ID
	}
	if page.More {
		ids = append(ids, "…")
	}
	text := fmt.Sprintf("Rollback plan %s is paused. %s.", p.ID, p.Breaches[0])
	if len(ids) > 0 {
		text += fmt.Sprintf(" %s failed: %s.", plural.Count(p.Counts.Bad(), "agent"), strings.Join(ids, ", "))
	}
	return r.fail(ctx, j, codeFailed, text)
}

// fail writes down that the job has failed. The organization leaves read-only mode next.
func (r *runner) fail(ctx context.Context, j *job, code int, text string) error {
	when, err := strconv.ParseInt(r.h.nowMillis(), 10, 64)
	if err != nil {
		return err
	}
	const most = 8 << 10
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	b, err := json.Marshal(message{Message: strings.ToValidUTF8(text, "\uFFFD"), When: when, Code: code})
	if err != nil {
		return err
	}
	return r.h.note(ctx, j, noteFailed, string(b))
}

// leave switches read-only mode off, withdraws what was not started, and ends the job. Its caller
// tries again until it succeeds.
func (r *runner) leave(ctx context.Context, j *job) error {
	if err := r.h.readOnly(ctx, false); err != nil {
		return err
	}
	left := r.h.nowMillis()
	r.on = ""
	for _, p := range j.steps {
		if p == nil || p.Status != ota.StatusPending {
			continue
		}
		if _, err := r.h.engine.Cancel(ctx, p.ID, false, j.by()); err != nil && !errors.Is(err, ota.ErrState) {
			return err
		}
	}
	by := j.by()
	by.ID = noteLeft // the first to say it is right
	_, err := r.h.engine.Annotate(ctx, j.head.ID, map[string]string{noteLeft: left}, nil, by)
	return err
}

// adopt finishes what a process left behind that died between tying a rollback plan to its source
// and making it: nobody drives a completed plan, so the rollback would never come to be. It looks
// once for every Run, and after an error.
func (h *Handler) adopt(ctx context.Context) error {
	if !h.orphans.Swap(false) {
		return nil
	}
	err := h.adoptAll(ctx)
	if err != nil {
		h.orphans.Store(true)
	}
	return err
}

func (h *Handler) adoptAll(ctx context.Context) error {
	var found []string
	err := h.plans(ctx, ota.PlanQuery{Labels: h.labels(nil), Status: []ota.Status{ota.StatusCompleted}}, func(p *ota.Plan) bool {
		if id := p.Labels[labelPatch]; p.RollbackPlan != "" && (isPatch(id) || isRelease(id)) {
			found = append(found, p.ID)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, id := range found {
		if _, err := h.engine.CreateRollback(ctx, id, ota.RollbackSpec{}, ota.Request{}); err != nil && !final(err) {
			return err
		}
	}
	return nil
}
