package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Commit is one statement, and so one round trip. The update of the plan compares the numbers. All
// other parts read its result, so they change nothing if it changed nothing.
func (d *database) Commit(ctx context.Context, c *ota.Commit) (uint64, error) {
	if sqlcore.Mistake(c) != nil {
		return 0, sqlcore.Refusal(ctx, d, c)
	}
	query, args, err := d.commitQuery(c)
	if err != nil {
		return 0, err
	}
	var revision uint64
	var found bool
	err = d.again(ctx, func() error {
		found, err = sqlcore.One(ctx, pgRun{d, d.pool}, query, args, &revision)
		return err
	})
	switch {
	case hasCode(err, "22012"):
		return 0, sqlcore.ErrRows
	case err != nil:
		return 0, err
	case !found:
		return 0, sqlcore.Refusal(ctx, d, c)
	}
	return revision, nil
}

// commitText is the statement of a commit as it grows.
type commitText struct {
	strings.Builder
	args   []any
	checks []string // for each part that must change rows: the number it changed, and the number it must
}

// add adds a parameter, and returns its number.
func (t *commitText) add(v any) int {
	t.args = append(t.args, v)
	return len(t.args)
}

func (t *commitText) check(part string, rows int) {
	t.checks = append(t.checks, fmt.Sprintf("(CASE (SELECT count(*) FROM %s) WHEN $%d THEN 1 ELSE 0 END)", part, t.add(rows)))
}

// commitQuery returns the statement with the parts that c has. There are some dozens of variants,
// each prepared once by pgx.
func (d *database) commitQuery(c *ota.Commit) (string, []any, error) {
	args, err := sqlcore.PlanArgs(c)
	if err != nil {
		return "", nil, err
	}
	t := &commitText{args: args}
	t.WriteString("WITH p AS (" + sqlcore.PlanUpdate + ")")
	fmt.Fprintf(t, ",\nl AS (INSERT INTO ota_log (plan, revision, request, data) SELECT number, revision, $%d, $%d FROM p)",
		t.add(c.Request), t.add(c.Log))
	if c.NewControl != nil {
		control, err := sqlcore.Encode(c.NewControl)
		if err != nil {
			return "", nil, err
		}
		fmt.Fprintf(t, ",\nc AS (UPDATE ota_plan_controls SET control = $%d FROM p WHERE plan = p.number)", t.add(control))
	}
	t.batches(c.Batches)
	if err := t.agents(c.Agents); err != nil {
		return "", nil, err
	}
	// A row that is not there divides by zero, which undoes the whole statement.
	t.WriteString("\nSELECT " + strings.Join(append([]string{"revision"}, t.checks...), " / ") + " FROM p")
	if !c.Owner {
		fmt.Fprintf(t, ", LATERAL (SELECT pg_notify($%d, $1) OFFSET 0) n", t.add(d.channel))
	}
	return t.String(), t.args, nil
}

// fewBatches is how many batches are updated one by one, which takes a third of the time of the
// set.
const fewBatches = 4

func (t *commitText) batches(rows []ota.BatchRow) {
	if len(rows) > fewBatches {
		rows = sqlcore.InOrder(rows, byIndex)
		indices, values := batchesJSON(rows)
		fmt.Fprintf(t, postgresBatches, t.add(indices), t.add(values), t.add(indices[0]), t.add(indices[len(rows)-1]))
		t.check("b", len(rows))
		return
	}
	for i := range rows {
		part, values := fmt.Sprint("b", i), sqlcore.BatchValues(&rows[i])
		fmt.Fprintf(t, ",\n%s AS (UPDATE ota_batches AS r SET ", part)
		for j, v := range values[1:] {
			if j > 0 {
				t.WriteString(", ")
			}
			fmt.Fprintf(t, "%s = $%d", sqlcore.BatchColumns[1+j], t.add(v))
		}
		fmt.Fprintf(t, " FROM p WHERE r.plan = p.number AND r.idx = $%d RETURNING 1)", t.add(values[0]))
		t.check(part, 1)
	}
}

// The statement joins no table with the given rows. Without good statistics, the planner would
// compare each row with each, or read all rows of the plan: after the tables were filled, or when
// plans differ much in size. A range of the primary key is the one condition that it always uses.
// Each row in the range finds its own new values, because those are in order.
//
// The blocks of one part are near each other, so reading the range between the first and the last
// costs little. They are few, so finding one of them costs little.
const (
	blocksAtOnce = 32
	blocksApart  = 64
	mostParts    = 256 // because of gaps; beyond, ranges get wider
)

// firstPart returns how many of the changes, which are in order, are the next part.
func firstPart(changes []sqlcore.BlockChange, apart int) int {
	n := 1
	for n < min(blocksAtOnce, len(changes)) && changes[n].Block < changes[0].Block+apart {
		n++
	}
	return n
}

func countParts(changes []sqlcore.BlockChange, apart int) (parts int) {
	for len(changes) > 0 {
		changes = changes[firstPart(changes, apart):]
		parts++
	}
	return parts
}

func (t *commitText) agents(rows []ota.AgentRow) error {
	changes, err := sqlcore.BlockChanges(rows)
	if err != nil {
		return err
	}
	apart := blocksApart
	for countParts(changes, apart) > len(changes)/blocksAtOnce+mostParts {
		apart *= 2
	}
	for i := 0; len(changes) > 0; i++ {
		n := firstPart(changes, apart)
		blocks, sizes, states := make([]int32, n), make([]int16, n), make([][]byte, 0, n*sqlcore.BlockSize)
		for j := range n {
			c := &changes[j]
			blocks[j], sizes[j], states = int32(c.Block), int16(c.Last+1), append(states, c.States[:]...)
		}
		part := fmt.Sprint("a", i)
		fmt.Fprintf(t, postgresStates, part, t.add(blocks), t.add(sizes), t.add(states), t.add(blocks[0]), t.add(blocks[n-1]), sqlcore.BlockSize)
		t.check(part, n)
		changes = changes[n:]
	}
	return nil
}

// postgresStates takes each state of a block from the given ones, or leaves it. It does not update,
// and so does not count, a block that has too few states.
const postgresStates = `,
%[1]s AS (UPDATE ota_states AS r SET (statuses, reasons, states) = (
		SELECT string_agg(CAST(get_byte(coalesce(u.new, u.old), 1) AS text), ''),
			string_agg(encode(substring(coalesce(u.new, u.old) FROM 6 FOR 1), 'hex'), ''), array_agg(coalesce(u.new, u.old))
		FROM unnest(r.states, ($%[4]d::bytea[])[(width_bucket(r.block, $%[2]d::int[]) - 1) * %[7]d + 1 :
			(width_bucket(r.block, $%[2]d::int[]) - 1) * %[7]d + cardinality(r.states)]) AS u (old, new))
	FROM p
	WHERE r.plan = p.number AND r.block >= $%[5]d AND r.block <= $%[6]d AND r.block = ANY ($%[2]d::int[])
		AND cardinality(r.states) >= ($%[3]d::smallint[])[width_bucket(r.block, $%[2]d::int[])] RETURNING 1)`

var postgresBatches = `,
b AS (UPDATE ota_batches AS r SET (` + strings.Join(sqlcore.BatchColumns[1:], ", ") + `) = (SELECT ` + strings.Join(sqlcore.BatchColumns[1:], ", ") + `
		FROM json_populate_record(CAST(NULL AS ota_batches), ($%[2]d::text[])[width_bucket(r.idx, $%[1]d::int[])]::json))
	FROM p
	WHERE r.plan = p.number AND r.idx >= $%[3]d AND r.idx <= $%[4]d AND r.idx = ANY ($%[1]d::int[]) RETURNING 1)`

func byIndex(a, b ota.BatchRow) int { return a.Index - b.Index }

// batchesJSON returns the rows with the names of their columns.
func batchesJSON(rows []ota.BatchRow) (indices []int32, objects []string) {
	indices, objects = make([]int32, len(rows)), make([]string, len(rows))
	for i := range rows {
		var b strings.Builder
		for j, v := range sqlcore.BatchValues(&rows[i]) {
			b.WriteString([]string{"{", ","}[min(j, 1)])
			text, _ := sqlcore.Encode(v) // numbers and a string cannot fail
			b.WriteString(`"` + sqlcore.BatchColumns[j] + `":` + text)
		}
		indices[i], objects[i] = int32(rows[i].Index), b.String()+"}"
	}
	return indices, objects
}
