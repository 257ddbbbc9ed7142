package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// trialStore is the Store of the runs of one worker, one after the other. Each run begins with the
// same plan, which was created once. It writes over the memory of the run before, and keeps no log
// and no Show, because no trial reads them. One goroutine uses it.
type trialStore struct {
	created *ota.Image   // what each run begins with; never changes
	plans   []*trialPlan // the plan, and its rollback plan
}

// trialPlan is one plan of a run.
type trialPlan struct {
	ota.Image        // without a log
	room      []byte // of the states of all rows
}

// stateRoom is how much memory a state has at first. A longer one gets its own.
const stateRoom = 32

// reset begins a new run.
func (s *trialStore) reset() {
	if len(s.plans) == 0 {
		s.plans = []*trialPlan{{}}
	}
	s.plans = s.plans[:1]
	s.plans[0].begin(s.created)
}

// begin makes the plan what it was when it was created.
func (p *trialPlan) begin(created *ota.Image) {
	parts := p.Plan.Parts
	p.Plan = created.Plan
	p.Plan.Head.Show = nil
	p.Plan.Parts.Control = append(parts.Control[:0], created.Plan.Parts.Control...)
	p.Plan.Parts.Progress = append(parts.Progress[:0], created.Plan.Parts.Progress...)
	if p.Rows == nil {
		p.Rows = map[ota.Kind][]ota.Row{}
		total := 0
		for kind, rows := range created.Rows {
			p.Rows[kind] = make([]ota.Row, len(rows))
			total += len(rows)
		}
		p.room = make([]byte, total*stateRoom)
	}
	room := p.room
	for kind, rows := range created.Rows {
		own := p.Rows[kind]
		copy(own, rows)
		for i := range own {
			own[i].State, own[i].Show = append(room[:0:stateRoom], own[i].State...), nil
			room = room[stateRoom:]
		}
	}
}

func (s *trialStore) find(id string) (*trialPlan, error) {
	for _, p := range s.plans {
		if p.Plan.ID == id {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: plan %q", ota.ErrNotFound, id)
}

// Create implements ota.Store. The first plan is what each run begins with.
func (s *trialStore) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	if _, err := s.find(p.ID); err == nil {
		return fmt.Errorf("%w: plan %q", ota.ErrExists, p.ID)
	}
	image, err := ota.NewImage(ctx, p, rows, first)
	if err != nil {
		return err
	}
	if s.created == nil {
		s.created = image
	}
	made := &trialPlan{}
	made.begin(image)
	s.plans = append(s.plans, made)
	return nil
}

// Commit implements ota.Store. It keeps nothing of c.
func (s *trialStore) Commit(_ context.Context, c ota.Commit) (uint64, error) {
	p, err := s.find(c.Plan)
	if err != nil {
		return 0, err
	}
	if err := p.Refuse(&c); err != nil {
		return 0, err
	}
	row := &p.Plan
	row.Numbers = row.Numbers.With(c.Then)
	if c.Names != nil {
		row.Names = *c.Names
	}
	if c.Head != nil {
		row.Head = *c.Head
		row.Head.Show = nil // it is the caller's memory
	}
	if len(c.Parts.Control) > 0 {
		row.Parts.Control = append(row.Parts.Control[:0], c.Parts.Control...)
	}
	if len(c.Parts.Progress) > 0 {
		row.Parts.Progress = append(row.Parts.Progress[:0], c.Parts.Progress...)
	}
	for i := range c.Rows {
		from := &c.Rows[i]
		to := &p.Rows[from.Kind][from.Number]
		to.Status, to.Reason, to.State = from.Status, from.Reason, append(to.State[:0], from.State...)
	}
	row.Revision++
	return row.Revision, nil
}

// Plan implements ota.Store.
func (s *trialStore) Plan(_ context.Context, id string) (ota.PlanRow, error) {
	p, err := s.find(id)
	if err != nil {
		return ota.PlanRow{}, err
	}
	return p.copyRow(), nil
}

// copyRow returns a copy that later commits do not change.
func (p *trialPlan) copyRow() ota.PlanRow {
	row := p.Plan
	row.Parts.Control, row.Parts.Progress = slices.Clone(row.Parts.Control), slices.Clone(row.Parts.Progress)
	return row
}

// Plans implements ota.Store.
func (s *trialStore) Plans(_ context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	var all []*ota.PlanRow
	for _, p := range s.plans {
		row := p.copyRow()
		all = append(all, &row)
	}
	return q.Page(all)
}

// Rows implements ota.Store.
func (s *trialStore) Rows(_ context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.Row], err error) {
	p, err := s.find(plan)
	if err != nil {
		return page, err
	}
	rows := p.Rows[q.Kind]
	from, to := min(max(q.From, 0), len(rows)), len(rows)
	if q.To > 0 {
		to = max(from, min(to, q.To))
	}
	rows = rows[from:to]
	if len(q.IDs)+len(q.Status)+len(q.Reason) == 0 && q.Prefix == "" && q.Label.Name == "" && q.Cursor == "" && !q.Total &&
		len(rows) <= cmp.Or(q.Limit, ota.DefaultPage) {
		page.Items = slices.Grow(q.Buffer[:0], len(rows))[:len(rows)]
	} else if page, err = q.Page(rows); err != nil {
		return page, err
	} else {
		rows, page.Items = page.Items, make([]ota.Row, len(page.Items))
	}
	for i := range rows { // the caller may write over what it gets
		fixed, state := page.Items[i].Fixed[:0], page.Items[i].State[:0]
		page.Items[i] = rows[i]
		page.Items[i].Fixed, page.Items[i].State = append(fixed, rows[i].Fixed...), append(state, rows[i].State...)
	}
	return page, nil
}

// errNoLog says that trials keep no log.
var errNoLog = errors.New("simulate: a trial keeps no log")

// Log implements ota.Store.
func (*trialStore) Log(context.Context, string, ota.LogQuery) (ota.Page[ota.LogRow], error) {
	return ota.Page[ota.LogRow]{}, errNoLog
}
