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
	query, args := d.commitQuery(c)
	var err error
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
func (d *database) commitQuery(c *ota.Commit) (string, []any) {
	t := &commitText{args: sqlcore.PlanArgs(c)}
	t.WriteString("WITH p AS (" + sqlcore.PlanUpdate + ")")
	record := sqlcore.LogValues(&c.Log)
	fmt.Fprintf(t, ",\nl AS (INSERT INTO ota_log (plan, revision, at, notable, data) SELECT number, revision, $%d, $%d, $%d FROM p)",
		t.add(record[0]), t.add(record[1]), t.add(record[2]))
	if len(c.Parts.Spec) > 0 {
		fmt.Fprintf(t, ",\ns AS (UPDATE ota_plan_specs SET spec = $%d FROM p WHERE plan = p.number)", t.add(c.Parts.Spec))
	}
	if len(c.Parts.Control) > 0 {
		fmt.Fprintf(t, ",\nc AS (UPDATE ota_plan_controls SET control = $%d FROM p WHERE plan = p.number)", t.add(c.Parts.Control))
	}
	if c.Names != nil {
		t.labels(c.Names.Labels)
	}
	t.others(sqlcore.OtherRows(c))
	t.agents(c.Rows)
	t.shows(c.Rows)
	// A row that is not there divides by zero, which undoes the whole statement.
	t.WriteString("\nSELECT " + strings.Join(append([]string{"revision"}, t.checks...), " / ") + " FROM p")
	if c.If.Epoch == 0 {
		fmt.Fprintf(t, ", LATERAL (SELECT pg_notify($%d, $1) OFFSET 0) n", t.add(d.channel))
	}
	return t.String(), t.args
}

// labels replaces the labels of the plan.
func (t *commitText) labels(labels map[string]string) {
	names, values := []string{}, []string{}
	for name, value := range labels {
		names, values = append(names, name), append(values, value)
	}
	n := t.add(names)
	fmt.Fprintf(t, ",\nd AS (DELETE FROM ota_plan_labels AS o USING p WHERE o.plan = p.number AND NOT o.name = ANY ($%d::text[]))", n)
	fmt.Fprintf(t, `,
i AS (INSERT INTO ota_plan_labels AS o (plan, name, value) SELECT p.number, u.name, u.value
	FROM p, unnest($%d::text[], $%d::text[]) AS u (name, value)
	ON CONFLICT (plan, name) DO UPDATE SET value = excluded.value WHERE o.value <> excluded.value)`, n, t.add(values))
}

// fewRows is how many rows of a kind are updated one by one, which takes a third of the time of the
// set.
const fewRows = 4

// others updates the rows that are no agents, which are in order.
func (t *commitText) others(rows []ota.Row) {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Kind == rows[0].Kind {
			n++
		}
		if n > fewRows {
			t.set(rows[:n])
		} else {
			for i := range rows[:n] {
				t.row(&rows[i])
			}
		}
		rows = rows[n:]
	}
}

// row updates one row.
func (t *commitText) row(r *ota.Row) {
	part := fmt.Sprint("b", len(t.args))
	fmt.Fprintf(t, `,
%s AS (UPDATE ota_rows AS r SET status = $%d, reason = $%d, state = $%d, show = $%d
	FROM p WHERE r.plan = p.number AND r.kind = $%d AND r.number = $%d RETURNING 1)`,
		part, t.add(int64(r.Status)), t.add(int64(r.Reason)), t.add(sqlcore.Bytes(r.State)), t.add(sqlcore.Show(r.Show)),
		t.add(int64(r.Kind)), t.add(r.Number))
	t.check(part, 1)
}

// set updates many rows of one kind.
func (t *commitText) set(rows []ota.Row) {
	n := len(rows)
	numbers, statuses, reasons := make([]int32, n), make([]int16, n), make([]int16, n)
	states, shows := make([][]byte, n), make([]*string, n)
	for i := range rows {
		r := &rows[i]
		numbers[i], statuses[i], reasons[i], states[i] = int32(r.Number), int16(r.Status), int16(r.Reason), sqlcore.Bytes(r.State)
		if len(r.Show) > 0 {
			text := string(r.Show)
			shows[i] = &text
		}
	}
	part := fmt.Sprint("b", len(t.args))
	fmt.Fprintf(t, postgresRows, part, t.add(numbers), t.add(statuses), t.add(reasons), t.add(states), t.add(shows),
		t.add(int64(rows[0].Kind)), t.add(numbers[0]), t.add(numbers[n-1]))
	t.check(part, n)
}

const postgresRows = `,
%[1]s AS (UPDATE ota_rows AS r SET
		status = ($%[3]d::smallint[])[width_bucket(r.number, $%[2]d::int[])],
		reason = ($%[4]d::smallint[])[width_bucket(r.number, $%[2]d::int[])],
		state = ($%[5]d::bytea[])[width_bucket(r.number, $%[2]d::int[])],
		show = ($%[6]d::text[])[width_bucket(r.number, $%[2]d::int[])]::json
	FROM p
	WHERE r.plan = p.number AND r.kind = $%[7]d AND r.number >= $%[8]d AND r.number <= $%[9]d AND r.number = ANY ($%[2]d::int[]) RETURNING 1)`

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

func (t *commitText) agents(rows []ota.Row) {
	changes := sqlcore.BlockChanges(rows)
	apart := blocksApart
	for countParts(changes, apart) > len(changes)/blocksAtOnce+mostParts {
		apart *= 2
	}
	for i := 0; len(changes) > 0; i++ {
		n := firstPart(changes, apart)
		blocks, sizes, states := make([]int32, n), make([]int16, n), make([][]byte, 0, n*sqlcore.BlockSize)
		statuses, reasons := make([]string, n), make([]string, n)
		for j := range n {
			c := &changes[j]
			blocks[j], sizes[j], states = int32(c.Block), int16(c.Last+1), append(states, c.States[:]...)
			statuses[j], reasons[j] = string(c.Statuses[:]), string(c.Reasons[:])
		}
		part := fmt.Sprint("a", i)
		fmt.Fprintf(t, postgresStates, part, t.add(blocks), t.add(sizes), t.add(states), t.add(blocks[0]), t.add(blocks[n-1]), sqlcore.BlockSize,
			t.add(statuses), t.add(reasons))
		t.check(part, n)
		changes = changes[n:]
	}
}

// shows writes the errors of agents.
func (t *commitText) shows(rows []ota.Row) {
	var numbers []int32
	var shows []string
	for i := range rows {
		if r := &rows[i]; r.Kind == ota.KindAgent && len(r.Show) > 0 {
			numbers, shows = append(numbers, int32(r.Number)), append(shows, string(r.Show))
		}
	}
	if len(numbers) == 0 {
		return
	}
	fmt.Fprintf(t, `,
e AS (INSERT INTO ota_agent_shows AS o (plan, number, show) SELECT p.number, u.number, u.show::json
	FROM p, unnest($%d::int[], $%d::text[]) AS u (number, show)
	ON CONFLICT (plan, number) DO UPDATE SET show = excluded.show)`, t.add(numbers), t.add(shows))
}

// postgresStates takes each state of a block, and its digits, from the given ones, or leaves them.
// It does not update, and so does not count, a block that has too few states.
const postgresStates = `,
%[1]s AS (UPDATE ota_states AS r SET (statuses, reasons, states) = (
		SELECT string_agg(CASE WHEN u.new IS NULL THEN substr(r.statuses, u.i::int, 1)
				ELSE substr(($%[8]d::text[])[width_bucket(r.block, $%[2]d::int[])], u.i::int, 1) END, '' ORDER BY u.i),
			string_agg(CASE WHEN u.new IS NULL THEN substr(r.reasons, u.i::int * 2 - 1, 2)
				ELSE substr(($%[9]d::text[])[width_bucket(r.block, $%[2]d::int[])], u.i::int * 2 - 1, 2) END, '' ORDER BY u.i),
			array_agg(coalesce(u.new, u.old) ORDER BY u.i)
		FROM unnest(r.states, ($%[4]d::bytea[])[(width_bucket(r.block, $%[2]d::int[]) - 1) * %[7]d + 1 :
			(width_bucket(r.block, $%[2]d::int[]) - 1) * %[7]d + cardinality(r.states)]) WITH ORDINALITY AS u (old, new, i))
	FROM p
	WHERE r.plan = p.number AND r.block >= $%[5]d AND r.block <= $%[6]d AND r.block = ANY ($%[2]d::int[])
		AND cardinality(r.states) >= ($%[3]d::smallint[])[width_bucket(r.block, $%[2]d::int[])] RETURNING 1)`
