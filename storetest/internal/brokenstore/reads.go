package brokenstore

import (
	"context"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// paging begins every page but the first by places off.
type paging struct {
	*memstore.Store
	by int
}

func (s paging) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if q.From > 0 && q.To == 0 {
		q.From += s.by
	}
	return s.Store.Rows(ctx, plan, q)
}

// unfiltered does not look at the statuses that a query names.
type unfiltered struct{ *memstore.Store }

func (s unfiltered) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	q.Status = nil
	return s.Store.Rows(ctx, plan, q)
}

// reversed lists the oldest plan first.
type reversed struct{ *memstore.Store }

func (s reversed) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	page, err := s.Store.Plans(ctx, q)
	slices.Reverse(page.Items)
	return page, err
}

// restarting does not look at the cursor of a query of rows.
type restarting struct{ *memstore.Store }

func (s restarting) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if strings.Trim(q.Cursor, "0123456789") == "" {
		q.Cursor = ""
	}
	return s.Store.Rows(ctx, plan, q)
}

// mixing takes every kind that it does not know for agents.
type mixing struct{ *memstore.Store }

func (s mixing) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if q.Kind > ota.KindAgent {
		q.Kind = ota.KindAgent
	}
	return s.Store.Rows(ctx, plan, q)
}
