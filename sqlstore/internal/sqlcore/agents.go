package sqlcore

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// maxIDs is how many rows a query may name by ID.
const maxIDs = 1000

// AgentColumns are the columns of ota_agents after plan.
const AgentColumns = `ordinal, batch, id, labels, fixed`

// scanAgent reads the part of an agent that never changes.
func scanAgent(scan ScanFunc) (a ota.Row, err error) {
	a.Kind = ota.KindAgent
	var labels []byte
	if err := scan(&a.Number, &a.Batch, &a.ID, &labels, &a.Fixed); err != nil {
		return a, err
	}
	nilIfEmpty(&a.Fixed)
	return a, decodeJSON(labels, &a.Labels)
}

// agentsBetween reads agents in a range of numbers. The part of an agent that never changes and the
// state are read one after the other. All returned states are of one moment.
func (r *reading) agentsBetween() (page ota.Page[ota.Row], err error) {
	where := ofPlan + ` AND ordinal >= $2 AND ordinal < $3`
	query := fmt.Sprintf(`SELECT %s FROM ota_agents%s ORDER BY ordinal LIMIT %d`, AgentColumns, where, r.limit+1)
	if page.Items, err = r.agentRows(query, []any{r.plan, r.from, r.to}); err != nil {
		return page, err
	}
	if err := r.readStates(page.Items); err != nil {
		return page, err
	}
	args := []any{r.plan, max(r.q.From, 0), r.to}
	return page, r.s.total(r.ctx, "ota_agents", where, args, r.q.Total, &page.Total)
}

// agentsNamed reads agents by their IDs: a lookup for each.
func (r *reading) agentsNamed() (page ota.Page[ota.Row], err error) {
	ids := slices.Compact(slices.Sorted(slices.Values(r.q.IDs)))
	query := `SELECT ` + prefixed("a.", AgentColumns) + `, ` + r.s.db.StateOf() + ` FROM {list $2}
		{one ota_agents a: a.plan = (SELECT number FROM ota_plans WHERE id = $1) AND a.id = want.value}
		{one ota_states s: s.plan = a.plan AND s.block = a.ordinal / ` + strconv.Itoa(BlockSize) + `}`
	err = r.s.db.Query(r.ctx, query, []any{r.plan, r.s.db.TextSet(ids)}, func(scan ScanFunc) error {
		dest, state := r.s.db.StateInto()
		a, err := scanAgent(func(agent ...any) error { return scan(append(agent, dest...)...) })
		if err == nil {
			err = state(&a)
		}
		if err == nil && r.q.Match(&a) {
			page.Items = append(page.Items, a)
		}
		return err
	})
	slices.SortFunc(page.Items, func(a, b ota.Row) int { return a.Number - b.Number })
	if r.q.Total {
		page.Total = len(page.Items)
	}
	page.Items = slices.DeleteFunc(page.Items, func(a ota.Row) bool { return a.Number < r.from })
	return page, err
}

// errEnough ends a query that has read enough.
var errEnough = errors.New("enough was read")

// agentsIn reads agents by their status: their states first, then the rest.
func (r *reading) agentsIn() (page ota.Page[ota.Row], err error) {
	first := r.from
	if r.q.Total {
		first = max(r.q.From, 0)
	}
	// Each block has one of them at least, but perhaps before the first number.
	query := `SELECT ` + r.s.db.StateColumns() + ` FROM ota_states` + blocksWith(r.q.Status) + ` ORDER BY block`
	if !r.q.Total {
		query += ` LIMIT ` + strconv.Itoa(r.limit+2)
	}
	args := []any{r.plan, first / BlockSize, (r.to-1)/BlockSize + 1}
	err = r.s.db.Query(r.ctx, query, args, func(scan ScanFunc) error {
		b, err := r.s.db.ScanStates(scan)
		for i := 0; err == nil && i < len(b.States); i++ {
			a := ota.Row{Kind: ota.KindAgent, Number: b.Block*BlockSize + i}
			if err = b.Set(&a); err != nil || a.Number < first || a.Number >= r.to || !slices.Contains(r.q.Status, a.Status) {
				continue
			}
			page.Total++
			if a.Number >= r.from && len(page.Items) <= r.limit {
				page.Items = append(page.Items, a)
			}
		}
		if err == nil && len(page.Items) > r.limit && !r.q.Total {
			return errEnough
		}
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return page, err
	}
	if !r.q.Total {
		page.Total = 0
	}
	return page, r.readAgents(page.Items)
}

// blocksWith selects the blocks of plan $1 from $2 to before $3 that have an agent in one of the
// statuses.
func blocksWith(either []uint8) string {
	digits := make([]string, len(either))
	for i, s := range either {
		if digits[i] = `false`; s <= 15 {
			digits[i] = fmt.Sprintf(`statuses LIKE '%%%x%%'`, s)
		}
	}
	return ofPlan + ` AND block >= $2 AND block < $3 AND (` + strings.Join(digits, ` OR `) + `)`
}

// agentsFiltered reads agents by what no index has, or by an indexed label. It looks at ScanLimit
// agents at most, and then says that the page is partial.
func (r *reading) agentsFiltered() (page ota.Page[ota.Row], err error) {
	indexed, err := r.indexed()
	if err != nil {
		return page, err
	}
	looked, stopped := 0, false
	find := func(from, limit int, add func(a ota.Row)) (next int, err error) {
		for next = from; next < r.to; {
			if looked >= ota.ScanLimit {
				stopped = true
				return next, nil
			}
			rows, more, err := r.candidates(indexed, next, min(ota.DefaultPage, ota.ScanLimit-looked))
			if err != nil {
				return next, err
			}
			for i := range rows {
				next = rows[i].Number + 1
				looked++
				if !r.q.Match(&rows[i]) {
					continue
				}
				add(rows[i])
				if limit--; limit == 0 {
					return next, nil
				}
			}
			if !more {
				break
			}
		}
		return r.to, nil
	}
	next, err := find(r.from, r.limit+1, func(a ota.Row) { page.Items = append(page.Items, a) })
	if err != nil {
		return page, err
	}
	if stopped {
		page.Partial, page.More, page.Next = true, true, strconv.Itoa(next)
	}
	if r.q.Total {
		looked, stopped = 0, false
		_, err = find(max(r.q.From, 0), -1, func(ota.Row) { page.Total++ })
		if stopped {
			page.Total = -1
		}
	}
	return page, err
}

// indexed reports whether the plan has an index of the label that the query names.
func (r *reading) indexed() (bool, error) {
	if r.q.Label.Value == "" {
		return false, nil
	}
	var text []byte
	_, err := One(r.ctx, r.s.db, `SELECT row_index FROM ota_plans WHERE id = $1`, []any{r.plan}, &text)
	var index []string
	if err == nil {
		err = decodeJSON(text, &index)
	}
	return slices.Contains(index, r.q.Label.Name), err
}

// candidates reads the next agents from a number on that may match.
func (r *reading) candidates(indexed bool, from, limit int) (rows []ota.Row, more bool, err error) {
	if !indexed {
		sub := *r
		q := ota.RowQuery{Kind: ota.KindAgent, From: from}
		sub.q, sub.from, sub.limit = &q, from, limit-1
		page, err := sub.agentsBetween()
		return page.Items, len(page.Items) == limit, err
	}
	query := `SELECT ordinal FROM ota_agent_labels` + ofPlan + ` AND name = $2 AND value = $3 AND ordinal >= $4 AND ordinal < $5
		ORDER BY ordinal LIMIT $6`
	args := []any{r.plan, r.q.Label.Name, r.q.Label.Value, from, r.to, limit}
	err = r.s.db.Query(r.ctx, query, args, func(scan ScanFunc) error {
		a := ota.Row{Kind: ota.KindAgent}
		err := scan(&a.Number)
		rows = append(rows, a)
		return err
	})
	if err == nil {
		err = r.readAgents(rows)
	}
	if err == nil {
		err = r.readStates(rows)
	}
	return rows, len(rows) == limit, err
}

// prefixed returns a list of columns with the name of their table.
func prefixed(table, columns string) string {
	return table + strings.ReplaceAll(columns, ", ", ", "+table)
}

func (r *reading) agentRows(query string, args []any) (rows []ota.Row, err error) {
	err = r.s.db.Query(r.ctx, query, args, func(scan ScanFunc) error {
		row, err := scanAgent(scan)
		rows = append(rows, row)
		return err
	})
	return rows, err
}

// readAgents adds the part that never changes to rows that have their numbers.
func (r *reading) readAgents(rows []ota.Row) error {
	if len(rows) == 0 {
		return nil
	}
	numbers := make([]int, len(rows))
	for i := range rows {
		numbers[i] = rows[i].Number
	}
	have, err := r.agentRows(`SELECT `+prefixed("a.", AgentColumns)+` FROM {numbers $2}
		{one ota_agents a: a.plan = (SELECT number FROM ota_plans WHERE id = $1) AND a.ordinal = want.value} ORDER BY a.ordinal`,
		[]any{r.plan, r.s.db.NumberSet(numbers)})
	if err != nil {
		return err
	}
	if len(have) < len(rows) {
		return r.lost()
	}
	for i := range rows {
		a := &rows[i]
		a.Batch, a.ID, a.Labels, a.Fixed = have[i].Batch, have[i].ID, have[i].Labels, have[i].Fixed
	}
	return nil
}

// readStates adds the states to rows.
func (r *reading) readStates(rows []ota.Row) error {
	if len(rows) == 0 {
		return nil
	}
	var blocks []int
	for i := range rows {
		if b := rows[i].Number / BlockSize; len(blocks) == 0 || blocks[len(blocks)-1] != b {
			blocks = append(blocks, b)
		}
	}
	query := `SELECT ` + r.s.db.StateColumns() + ` FROM {numbers $2}
		{one ota_states s: s.plan = (SELECT number FROM ota_plans WHERE id = $1) AND s.block = want.value} ORDER BY block`
	left := rows
	err := r.s.db.Query(r.ctx, query, []any{r.plan, r.s.db.NumberSet(blocks)}, func(scan ScanFunc) error {
		b, err := r.s.db.ScanStates(scan)
		for err == nil && len(left) > 0 && left[0].Number/BlockSize == b.Block {
			err = b.Set(&left[0])
			left = left[1:]
		}
		return err
	})
	if err == nil && len(left) > 0 {
		return r.lost()
	}
	return err
}

// lost returns why a part of a plan is missing that was there a moment ago.
func (r *reading) lost() error {
	if err := r.s.there(r.ctx, r.plan); err != nil {
		return err // it was pruned meanwhile
	}
	return ErrBlock
}
