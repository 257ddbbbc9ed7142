package arcgis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// rollback begins a job: its first rollback plan is made, and Run does the rest.
func (c *call) rollback(s site) (any, error) {
	if err := c.only("POST"); err != nil {
		return nil, err
	}
	id, err := c.manifestID()
	if err != nil {
		return nil, err
	}
	if err := c.settings(); err != nil {
		return nil, err
	}
	if err := s.closed(); err != nil {
		return nil, err
	}
	if p := s.waiting; p != nil {
		return nil, bad("An upgrade or rollback waits to be started.", fmt.Sprintf("plan %s is pending: start it, or cancel it", p.ID))
	}
	t, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if err := c.mayUndo(t); err != nil {
		return nil, err
	}
	j, err := c.begin(t)
	if err != nil {
		return nil, err
	}
	return status{stateInProgress, codeInProgress, j.opening()[:1]}.wrap(), nil
}

// find returns the version that a request names.
func (s *site) find(id string) (*target, error) {
	if isRelease(id) {
		return nil, bad("Release updates cannot be rolled back.", texts.Shorten(id)+" is a release")
	}
	if n := len(s.chain); n > 0 && s.chain[n-1].Labels[labelPatch] == id {
		return nil, bad("The deployment is at this version already.", texts.Shorten(id)+" is version "+s.chain[n-1].ToVersion)
	}
	var ids []string
	for _, t := range s.targets() {
		if t.id == id {
			return &t, nil
		}
		ids = append(ids, t.id)
	}
	details := []string{"there is no version to go back to"}
	if len(ids) > 0 {
		details = []string{"checkRollback lists " + strings.Join(ids[:min(len(ids), 10)], ", ")}
	}
	return nil, bad("There is no version "+texts.Shorten(id)+" to go back to.", details...)
}

// mayUndo asks, for every plan that is to be undone, whether the caller may and whether the Engine
// could.
func (c *call) mayUndo(t *target) error {
	for i := range t.undo {
		p := &t.undo[i]
		if err := c.allow(httpapi.VerbAction(ota.VerbRollback), p); err != nil {
			return err
		}
		if _, err := c.h.engine.CanRollback(c.ctx, p.ID); err != nil {
			return refused(err)
		}
		now := c.h.base.Clock.Now()
		switch open := p.Policy.NextOpen(now); { // the organization must not wait for it in read-only mode
		case open.IsZero():
			return bad("No maintenance window is open.", "those of plan "+p.ID+" never are")
		case open.After(now):
			return bad("No maintenance window is open.", "plan "+p.ID+" may be touched from "+open.Format(time.RFC3339)+" on")
		}
	}
	return nil
}

// refused turns what the Engine refuses into an answer. Other errors are not the client's.
func refused(err error) error {
	if !final(err) {
		return err
	}
	return bad("The rollback is not possible.", texts.Plain(err))
}

// final reports whether the Engine would say the same again.
func final(err error) bool {
	return slices.ContainsFunc([]error{ota.ErrState, ota.ErrClaimed, ota.ErrNothing, ota.ErrInvalid, ota.ErrNotFound}, func(s error) bool {
		return errors.Is(err, s)
	})
}

// begin makes the first rollback plan. A client that hangs up now does not leave half a job behind.
func (c *call) begin(t *target) (*job, error) {
	first := &t.undo[0]
	limit := c.h.base.Limits.Wait + time.Duration(first.Agents)*time.Millisecond
	ctx, cancel := c.h.base.Clock.WithTimeout(context.WithoutCancel(c.ctx), limit)
	defer cancel()
	sources := make([]string, len(t.undo))
	for i := range t.undo {
		sources[i] = t.undo[i].ID
	}
	request := uuid.NewString()
	spec := specOf(first, headLabel, map[string]string{
		noteRequest: request, noteSources: strings.Join(sources, ","), noteTarget: t.id, noteFrom: first.ToVersion, noteTo: t.text,
	})
	if len(spec.Annotations[noteSources]) > 64<<10 {
		return nil, bad("These are too many versions at once.", "go back in several steps")
	}
	p, err := c.h.engine.CreateRollback(ctx, first.ID, spec, ota.Request{Actor: c.who.Name, Reason: reason(t.id)})
	switch {
	case err != nil && final(err):
		return nil, refused(err)
	case err != nil:
		c.h.orphans.Store(true) // it may have been begun
		c.h.nudge()
		return nil, err
	case p.Annotations[noteRequest] != request: // somebody else was faster
		return nil, bad("An upgrade or rollback is in progress.", "plan "+p.ID+" is "+p.Status.String())
	}
	c.h.nudge()
	return jobOf(&p), nil
}

func reason(id string) string { return "ArcGIS rollback to " + texts.Shorten(id) }

// specOf is the rollback plan of one step. It has the batches and the policy of its source, but no
// batch of it is held: no client of this API could promote it.
func specOf(source *ota.Plan, label string, notes map[string]string) ota.RollbackSpec {
	policy := source.Policy
	policy.Hold = ota.Hold{}
	return ota.RollbackSpec{Labels: map[string]string{labelJob: label}, Annotations: notes, Policy: &policy, Inherit: ota.InheritBatches}
}

// nudge makes Run look at once.
func (h *Handler) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
