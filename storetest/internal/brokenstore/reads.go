package brokenstore

import (
	"context"
	"slices"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// paging begins every page but the first by places off.
type paging struct {
	*memstore.Store
	by int
}

func (s paging) Agents(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.AgentRow], error) {
	if q.From > 0 && q.To == 0 {
		q.From += s.by
	}
	return s.Store.Agents(ctx, plan, q)
}

// unfiltered does not look at the statuses that a query names.
type unfiltered struct{ *memstore.Store }

func (s unfiltered) Agents(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.AgentRow], error) {
	q.Status = nil
	return s.Store.Agents(ctx, plan, q)
}

// reversed lists the oldest plan first.
type reversed struct{ *memstore.Store }

func (s reversed) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	page, err := s.Store.Plans(ctx, q)
	slices.Reverse(page.Items)
	return page, err
}
