package sqlcore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// maxIDs is how many agents a query may name by ID.
const maxIDs = 1000

// Agents implements [ota.Store]. It reads the part of an agent that never changes and the state one
// after the other. All returned states are of one moment.
func (s *Store) Agents(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.AgentRow], err error) {
	switch {
	case len(q.IDs) > maxIDs:
		return page, fmt.Errorf("sqlstore: read agents of plan %q: %d asked for by ID, at most %d are possible", plan, len(q.IDs), maxIDs)
	case len(q.IDs) > 0:
		page, err = s.agentsNamed(ctx, plan, q)
	case len(q.Status) > 0:
		page, err = s.agentsIn(ctx, plan, q)
	default:
		page, err = s.agentsBetween(ctx, plan, q)
	}
	if err == nil && len(page.Items) == 0 {
		err = s.there(ctx, plan)
	}
	return page, wrap(ctx, "read agents of", plan, err)
}

// agentsBetween reads agents in a range of ordinals.
func (s *Store) agentsBetween(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.AgentRow], err error) {
	limit := pageLimit(q.Limit)
	from, to := bounds(q)
	where, args := ofPlan+` AND ordinal >= $2 AND ordinal < $3`, []any{plan, from, to}
	if page.Items, err = s.agentRows(ctx, where, args, limit+1); err != nil {
		return page, err
	}
	cut(&page, limit)
	if err := s.readStates(ctx, plan, page.Items); err != nil {
		return page, err
	}
	return page, s.total(ctx, "ota_agents", where, args, q.Total, &page.Total)
}

// agentsNamed reads agents by their IDs.
func (s *Store) agentsNamed(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.AgentRow], err error) {
	from, to := bounds(q)
	ids := slices.Compact(slices.Sorted(slices.Values(q.IDs)))
	query := `SELECT ` + prefixed("a.", AgentColumns) + `, ` + s.db.StateOf() + ` FROM {list $2}
		{one ota_agents a: a.plan = (SELECT number FROM ota_plans WHERE id = $1) AND a.id = want.value}
		{one ota_states s: s.plan = a.plan AND s.block = a.ordinal / ` + strconv.Itoa(BlockSize) + `}`
	err = s.db.Query(ctx, query, []any{plan, s.db.TextSet(ids)}, func(scan ScanFunc) error {
		dest, state := s.db.StateInto()
		a, err := scanAgent(func(agent ...any) error { return scan(append(agent, dest...)...) })
		if err != nil || a.Ordinal < from || a.Ordinal >= to {
			return err
		}
		b, err := state(a.Ordinal)
		if err == nil {
			err = a.State.UnmarshalBinary(b)
		}
		if len(q.Status) == 0 || slices.Contains(q.Status, a.State.Status) {
			page.Items = append(page.Items, a)
		}
		return err
	})
	if err != nil {
		return page, err
	}
	slices.SortFunc(page.Items, func(a, b ota.AgentRow) int { return a.Ordinal - b.Ordinal })
	if q.Total {
		page.Total = len(page.Items)
	}
	cut(&page, pageLimit(q.Limit))
	return page, nil
}

// errEnough ends a query that has read enough.
var errEnough = errors.New("enough was read")

// agentsIn reads agents by their status: their states first, then the rest.
func (s *Store) agentsIn(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.AgentRow], err error) {
	limit := pageLimit(q.Limit)
	from, to := bounds(q)
	where, args := blocksWith(q.Status), []any{plan, from / BlockSize, (to-1)/BlockSize + 1}
	// Each block has one of them at least, but perhaps before the first ordinal.
	query := fmt.Sprintf(`SELECT %s FROM ota_states%s ORDER BY block LIMIT %d`, s.db.StateColumns(), where, limit+2)
	err = s.db.Query(ctx, query, args, func(scan ScanFunc) error {
		block, states, err := s.db.ScanStates(scan)
		for i, state := range states {
			a := ota.AgentRow{Ordinal: block*BlockSize + i}
			if err == nil && a.Ordinal >= from && a.Ordinal < to && slices.Contains(q.Status, ota.TaskStatus(state[1])) {
				err = a.State.UnmarshalBinary(state)
				page.Items = append(page.Items, a)
			}
		}
		if err == nil && len(page.Items) > limit {
			return errEnough
		}
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return page, err
	}
	page.Items = page.Items[:min(len(page.Items), limit+1)]
	cut(&page, limit)
	if err := s.readAgents(ctx, plan, page.Items); err != nil || !q.Total {
		return page, err
	}
	page.Total, err = s.count(ctx, where, args, q.Status, from, to)
	return page, err
}

// blocksWith selects the blocks of plan $1 from $2 to before $3 that have an agent in one of the
// statuses.
func blocksWith(either []ota.TaskStatus) string {
	digits := make([]string, len(either))
	for i, s := range either {
		digits[i] = fmt.Sprintf(`statuses LIKE '%%%d%%'`, s)
	}
	return ofPlan + ` AND block >= $2 AND block < $3 AND (` + strings.Join(digits, ` OR `) + `)`
}

// count returns how many agents have one of the statuses.
func (s *Store) count(ctx context.Context, where string, args []any, either []ota.TaskStatus, from, to int) (n int, err error) {
	err = s.db.Query(ctx, `SELECT block, statuses FROM ota_states`+where, args, func(scan ScanFunc) error {
		var block int
		var statuses string
		err := scan(&block, &statuses)
		for i, digit := range []byte(statuses) {
			if at := block*BlockSize + i; at >= from && at < to && slices.Contains(either, ota.TaskStatus(digit-'0')) {
				n++
			}
		}
		return err
	})
	return n, err
}

// prefixed returns a list of columns with the name of their table.
func prefixed(table, columns string) string {
	return table + strings.ReplaceAll(columns, ", ", ", "+table)
}

// AgentColumns are the columns of ota_agents after plan.
const AgentColumns = `ordinal, batch, id, version, target, labels, tasks`

// agentRows reads the part of agents that never changes.
func (s *Store) agentRows(ctx context.Context, where string, args []any, limit int) (rows []ota.AgentRow, err error) {
	return s.readRows(ctx, fmt.Sprintf(`SELECT %s FROM ota_agents%s ORDER BY ordinal LIMIT %d`, AgentColumns, where, limit), args)
}

func (s *Store) readRows(ctx context.Context, query string, args []any) (rows []ota.AgentRow, err error) {
	err = s.db.Query(ctx, query, args, func(scan ScanFunc) error {
		row, err := scanAgent(scan)
		rows = append(rows, row)
		return err
	})
	return rows, err
}

// readAgents adds the part that never changes to rows that have their states.
func (s *Store) readAgents(ctx context.Context, plan string, rows []ota.AgentRow) error {
	if len(rows) == 0 {
		return nil
	}
	ordinals := make([]int, len(rows))
	for i := range rows {
		ordinals[i] = rows[i].Ordinal
	}
	have, err := s.readRows(ctx, `SELECT `+prefixed("a.", AgentColumns)+` FROM {numbers $2}
		{one ota_agents a: a.plan = (SELECT number FROM ota_plans WHERE id = $1) AND a.ordinal = want.value} ORDER BY a.ordinal`,
		[]any{plan, s.db.NumberSet(ordinals)})
	if err != nil {
		return err
	}
	if len(have) < len(rows) {
		return s.lost(ctx, plan)
	}
	for i := range rows {
		rows[i].Batch, rows[i].Agent = have[i].Batch, have[i].Agent
	}
	return nil
}

// readStates adds the states to rows.
func (s *Store) readStates(ctx context.Context, plan string, rows []ota.AgentRow) error {
	if len(rows) == 0 {
		return nil
	}
	var blocks []int
	for i := range rows {
		if b := rows[i].Ordinal / BlockSize; len(blocks) == 0 || blocks[len(blocks)-1] != b {
			blocks = append(blocks, b)
		}
	}
	query := `SELECT ` + s.db.StateColumns() + ` FROM {numbers $2}
		{one ota_states s: s.plan = (SELECT number FROM ota_plans WHERE id = $1) AND s.block = want.value} ORDER BY block`
	left := rows
	err := s.db.Query(ctx, query, []any{plan, s.db.NumberSet(blocks)}, func(scan ScanFunc) error {
		block, states, err := s.db.ScanStates(scan)
		for err == nil && len(left) > 0 && left[0].Ordinal/BlockSize == block {
			place := left[0].Ordinal % BlockSize
			if place >= len(states) {
				return ErrBlock
			}
			err = left[0].State.UnmarshalBinary(states[place])
			left = left[1:]
		}
		return err
	})
	if err == nil && len(left) > 0 {
		return s.lost(ctx, plan)
	}
	return err
}

// lost returns why a part of a plan is missing that was there a moment ago.
func (s *Store) lost(ctx context.Context, plan string) error {
	if err := s.there(ctx, plan); err != nil {
		return err // it was pruned meanwhile
	}
	return ErrBlock
}
