package arcgis

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// The codes of messages about an installation. They are ours: the document has those of a rollback
// only.
const (
	codeInstallBegun     = 9011
	codeInstallModule    = 9012 // for each module, then codeInstallDone
	codeInstallDone      = 9013
	codeInstallCompleted = 9014
	codeInstalled        = 9015
	codeInstallFailed    = 9016
)

// installation returns the newest plan of a version that was started, if it is newer than the
// rollback job j, and if the caller may read it. Otherwise it returns nil.
func (c *call) installation(j *job) (*ota.Plan, error) {
	var found *ota.Plan
	err := c.h.plans(c.ctx, ota.PlanQuery{Labels: c.h.labels(nil)}, func(p *ota.Plan) bool {
		if j != nil && p.CreatedAt.Before(j.head.CreatedAt) {
			return false
		}
		id := p.Labels[labelPatch]
		if (isPatch(id) || isRelease(id)) && p.Source == "" && !p.StartedAt.IsZero() {
			found = p
		}
		return found == nil
	})
	if err != nil || found == nil {
		return nil, err
	}
	ok, err := c.mayRead(found)
	if !ok {
		found = nil
	}
	return found, err
}

// installed is the status of an installation.
func (h *Handler) installed(ctx context.Context, p *ota.Plan) (status, error) {
	var l journal
	l.add(codeInstallBegun, p.StartedAt.UnixMilli(), "Starting the upgrade process from %s to %s.", p.FromVersion, p.ToVersion)
	for b, err := range h.engine.Batches(ctx, p.ID, 0) {
		if err != nil {
			return status{}, err
		}
		l.installing(p, &b)
	}
	switch {
	case p.Status == ota.StatusCompleted && p.RollbackPlan == "": // otherwise its rollback is about to be made
		took := p.EndedAt.Sub(p.StartedAt).Truncate(time.Millisecond)
		l.add(codeInstallCompleted, p.EndedAt.UnixMilli(), "The upgrade process from %s to %s has completed in %s.", p.FromVersion, p.ToVersion, clockText(took))
		l.add(codeInstalled, p.EndedAt.UnixMilli(), "The ArcGIS Enterprise on Kubernetes has been upgraded from %s to %s successfully.", p.FromVersion, p.ToVersion)
		return status{stateSuccess, codeSuccess, l}, nil
	case p.Status == ota.StatusCanceled, p.Status == ota.StatusRolledBack:
		l.add(codeInstallFailed, p.EndedAt.UnixMilli(), "The upgrade is %s: plan %s.", p.Status, p.ID)
		return status{stateFailed, codeJobFailed, l}, nil
	default:
		return status{stateInProgress, codeInProgress, l}, nil
	}
}

// installing adds what a batch of an installation has to tell.
func (l *journal) installing(p *ota.Plan, b *ota.Batch) {
	began := cmp.Or(b.StartedAt, b.FinishedAt, b.CompletedAt)
	if began.IsZero() {
		return
	}
	name := cmp.Or(b.Name, fmt.Sprintf("batch %d of %d", b.Index+1, p.Batches))
	l.add(codeInstallModule, began.UnixMilli(), "Upgrade of %s module started.", name)
	if b.Status == ota.BatchSoaking || b.Status == ota.BatchCompleted {
		ended := cmp.Or(b.FinishedAt, b.CompletedAt)
		took := ended.Sub(began)
		l.add(codeInstallDone, ended.UnixMilli(), "The upgrading of %s has completed in %d millis (~ %d minutes).", name, took.Milliseconds(), int(took.Minutes()))
	}
}
