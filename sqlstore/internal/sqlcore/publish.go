package sqlcore

import (
	"context"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

var insertBatch = func() string {
	marks := make([]string, 1+len(BatchColumns))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return `INSERT INTO ota_batches (plan, ` + strings.Join(BatchColumns, ", ") + `) VALUES (` + strings.Join(marks, ", ") + `)`
}()

const (
	insertPlan = `INSERT INTO ota_plans (number, id, name, from_version, to_version, created_by, source, request_key,
		fingerprint, created_at, agents, batches, status, revision, control_number, progress_number, epoch, progress, ` + headColumns + `)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, 1, 1, 0, $14, $15, $16, $17, $18, $19, $20, $21)`
	insertSpec    = `INSERT INTO ota_plan_specs (plan, spec) VALUES ($1, $2)`
	insertControl = `INSERT INTO ota_plan_controls (plan, control) VALUES ($1, $2)`
	insertLabel   = `INSERT INTO ota_plan_labels (plan, name, value) VALUES ($1, $2, $3)`
	insertLog     = `INSERT INTO ota_log (plan, revision, request, data) VALUES ($1, 1, '', $2)`
)

// publish turns the draft into a plan.
func (d *draft) publish(ctx context.Context, c ota.Created) error {
	plan, err := d.planValues(c)
	if err != nil {
		return err
	}
	spec, err := Encode(c.Spec)
	if err != nil {
		return err
	}
	control, err := Encode(c.Control)
	if err != nil {
		return err
	}
	var labels [][]any
	for name, value := range d.plan.Labels {
		labels = append(labels, []any{d.number, name, value})
	}
	s := d.store
	err = s.db.Update(ctx, func(tx Querier) error {
		n, err := tx.Exec(ctx, `DELETE FROM ota_drafts WHERE number = $1 AND touched_at <> 0`, d.number)
		if err != nil {
			return err
		}
		if n == 0 {
			return errSwept
		}
		if _, err := tx.Exec(ctx, insertPlan, plan...); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertSpec, d.number, spec); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertControl, d.number, control); err != nil {
			return err
		}
		if err := tx.ExecMany(ctx, insertLabel, labels); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertLog, d.number, c.Log); err != nil {
			return err
		}
		return s.db.Announce(ctx, tx, d.plan.ID)
	})
	if s.db.Duplicate(err) {
		if why := s.taken(ctx, s.db, d.plan); why != nil {
			return why
		}
	}
	return err
}

func (d *draft) planValues(c ota.Created) ([]any, error) {
	progress, err := Encode(c.Progress)
	if err != nil {
		return nil, err
	}
	p := &d.plan
	return append([]any{
		d.number, p.ID, c.Spec.Name, c.Spec.FromVersion, c.Spec.ToVersion, c.Spec.CreatedBy, p.Source, key(*p),
		p.Fingerprint, p.CreatedAt.UnixNano(), d.agents, len(c.Batches), int64(c.Status), progress,
	}, headValues(&c.Head)...), nil
}
