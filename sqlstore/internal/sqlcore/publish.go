package sqlcore

import (
	"context"
	"encoding/json"

	"github.com/seed-19b57ce3/ota"
)

const (
	insertRow = `INSERT INTO ota_rows (plan, kind, number, id, batch, labels, fixed, status, reason, state, show)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	insertAgentLabel = `INSERT INTO ota_agent_labels (plan, name, value, ordinal) VALUES ($1, $2, $3, $4)`
	insertPlan       = `INSERT INTO ota_plans (number, id, source, request_key, created_at, row_index, name, progress,
		epoch, control_number, progress_number, revision, ` + headColumns + `)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 1, 1, 1, $9, $10, $11, $12, $13, $14, $15, $16)`
	insertSpec    = `INSERT INTO ota_plan_specs (plan, spec) VALUES ($1, $2)`
	insertControl = `INSERT INTO ota_plan_controls (plan, control) VALUES ($1, $2)`
	insertLabel   = `INSERT INTO ota_plan_labels (plan, name, value) VALUES ($1, $2, $3)`
	// InsertLog has the plan, the revision, and what LogValues returns.
	InsertLog = `INSERT INTO ota_log (plan, revision, at, notable, data) VALUES ($1, $2, $3, $4, $5)`
)

// LogValues are the values of a record.
func LogValues(r *ota.LogRow) []any { return []any{logTime(r.At), asInt(r.Notable), r.Data} }

// publish turns the draft into a plan.
func (d *draft) publish(ctx context.Context, c *ota.Commit) error {
	names := d.plan.Names
	if c.Names != nil {
		names = *c.Names
	}
	if err := keeps(names.Name); err != nil {
		return err
	}
	if err := keepsMap(names.Labels); err != nil {
		return err
	}
	var labels [][]any
	for name, value := range names.Labels {
		labels = append(labels, []any{d.number, name, value})
	}
	s, plan := d.store, d.planValues(names.Name, c)
	err := s.db.Update(ctx, func(tx Querier) error {
		n, err := tx.Exec(ctx, `DELETE FROM ota_drafts WHERE number = $1 AND touched_at <> 0`, d.number)
		if err != nil {
			return err
		}
		if n == 0 {
			return errSwept
		}
		for _, insert := range []struct {
			query string
			args  []any
		}{
			{insertPlan, plan},
			{insertSpec, []any{d.number, Bytes(c.Parts.Spec)}},
			{insertControl, []any{d.number, Bytes(c.Parts.Control)}},
			{InsertLog, append([]any{d.number, 1}, LogValues(&c.Log)...)},
		} {
			if _, err := tx.Exec(ctx, insert.query, insert.args...); err != nil {
				return err
			}
		}
		if err := tx.ExecMany(ctx, insertLabel, labels); err != nil {
			return err
		}
		return s.db.Announce(ctx, tx, d.plan.ID)
	})
	if s.db.Duplicate(err) {
		if why := s.taken(ctx, s.db, &d.plan); why != nil {
			return why
		}
	}
	return err
}

func (d *draft) planValues(name string, c *ota.Commit) []any {
	p := &d.plan
	index, _ := json.Marshal(p.Index) // texts cannot fail
	head := ota.Head{}
	if c.Head != nil {
		head = *c.Head
	}
	return append([]any{
		d.number, p.ID, p.Source, key(p), logTime(p.Created), string(index), name, Bytes(c.Parts.Progress),
	}, headValues(&head)...)
}
