package ota

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Image is one plan in memory: for a Store that keeps plans there and writes down what happens to
// them. It shares nothing with what it is given, and never changes bytes that it has: what it holds
// may be returned as it is. It has no lock.
type Image struct {
	Plan PlanRow
	Rows map[Kind][]Row // by Number
	Log  []LogRow       // by Revision, from 1
}

// NewImage reads everything that a Create was given, and copies it. Its errors are those of
// Store.Create, but for ErrExists.
func NewImage(ctx context.Context, p PlanRow, rows iter.Seq2[Row, error], first func() (Commit, error)) (*Image, error) {
	m := &Image{Rows: map[Kind][]Row{}}
	m.Plan = PlanRow{
		ID: p.ID, Source: p.Source, Key: p.Key, Created: p.Created, Index: slices.Clone(p.Index), Names: p.Names.clone(),
		Numbers: Numbers{1, 1, 1},
	}
	seen := map[rowID]bool{}
	for row, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = m.add(row, seen)
		}
		if err != nil {
			return nil, err
		}
	}
	c, err := first()
	for i := 0; i < len(c.Rows) && err == nil; i++ {
		err = m.add(c.Rows[i], seen)
	}
	c.Rows, c.If, c.Then = nil, Numbers{}, Numbers{}
	if err == nil {
		err = m.Refuse(&c)
	}
	if err != nil {
		return nil, err
	}
	m.Apply(&c)
	return m, nil
}

type rowID struct {
	kind Kind
	id   string
}

func (m *Image) add(r Row, seen map[rowID]bool) error {
	if want := len(m.Rows[r.Kind]); r.Number != want {
		return fmt.Errorf("%w: row %d of kind %d comes where row %d is due", ErrRefused, r.Number, r.Kind, want)
	}
	if id := (rowID{r.Kind, r.ID}); r.ID != "" {
		if seen[id] {
			return &DuplicateError{Agent: r.ID}
		}
		seen[id] = true
	}
	r.Labels, r.Fixed, r.State, r.Show = maps.Clone(r.Labels), bytes.Clone(r.Fixed), bytes.Clone(r.State), bytes.Clone(r.Show)
	m.Rows[r.Kind] = append(m.Rows[r.Kind], r)
	return nil
}

// Refuse says why c cannot be applied: ErrFenced, ErrConflict or ErrRefused. It changes nothing.
func (m *Image) Refuse(c *Commit) error {
	if err := m.Plan.Numbers.Refuse(c.If); err != nil {
		return err
	}
	for i := range c.Rows {
		if r := &c.Rows[i]; r.Number < 0 || r.Number >= len(m.Rows[r.Kind]) {
			return fmt.Errorf("%w: the plan has no row %d of kind %d", ErrRefused, r.Number, r.Kind)
		}
	}
	if len(c.Log.Data) == 0 {
		return fmt.Errorf("%w: the commit has no log record", ErrRefused)
	}
	return nil
}

// Apply makes the change that c is. Refuse has accepted it.
func (m *Image) Apply(c *Commit) {
	p := &m.Plan
	p.Numbers = p.Numbers.With(c.Then)
	if c.Names != nil {
		p.Names = c.Names.clone()
	}
	if c.Head != nil {
		p.Head = *c.Head
		p.Head.Show = bytes.Clone(c.Head.Show)
	}
	p.Parts = p.Parts.with(c.Parts)
	for i := range c.Rows {
		r := &c.Rows[i]
		to := &m.Rows[r.Kind][r.Number]
		to.Status, to.Reason, to.State, to.Show = r.Status, r.Reason, bytes.Clone(r.State), bytes.Clone(r.Show)
	}
	p.Revision++
	record := c.Log
	record.Plan, record.Revision, record.Data = p.ID, p.Revision, bytes.Clone(c.Log.Data)
	m.Log = append(m.Log, record)
}

func (n Names) clone() Names { return Names{Name: n.Name, Labels: maps.Clone(n.Labels)} }

// with returns p with copies of those parts of then that are not empty.
func (p Parts) with(then Parts) Parts {
	for _, part := range []struct{ to, from *[]byte }{
		{&p.Spec, &then.Spec}, {&p.Control, &then.Control}, {&p.Progress, &then.Progress},
	} {
		if len(*part.from) > 0 {
			*part.to = bytes.Clone(*part.from)
		}
	}
	return p
}
