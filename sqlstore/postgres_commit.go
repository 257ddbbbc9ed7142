package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// commit is one statement, and so one round trip: the update of the plan compares the numbers, and all other parts read
// its result, so that they change nothing when it did not.
func (d *postgres) commit(ctx context.Context, c *ota.Commit) (uint64, error) {
	if senseless(c) != nil {
		return 0, refusal(ctx, d, c)
	}
	query, args, err := d.commitQuery(c)
	if err != nil {
		return 0, err
	}
	var revision uint64
	var found bool
	err = d.again(ctx, func() error {
		found, err = one(ctx, pgRun{d, d.pool}, query, args, &revision)
		return err
	})
	switch {
	case hasCode(err, "22012"):
		return 0, errRows
	case err != nil:
		return 0, err
	case !found:
		return 0, refusal(ctx, d, c)
	}
	return revision, nil
}

// commitQuery returns the statement with the parts that c has. There are 16 of them, each prepared once by pgx.
func (d *postgres) commitQuery(c *ota.Commit) (string, []any, error) {
	args, err := planArgs(c)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	b.WriteString("WITH p AS (" + planUpdate + ")")
	add := func(v any) int {
		args = append(args, v)
		return len(args)
	}
	fmt.Fprintf(&b, ",\nl AS (INSERT INTO ota_log (plan, revision, request, data) SELECT number, revision, $%d, $%d FROM p)",
		add(c.Request), add(c.Log))
	if c.NewControl != nil {
		control, err := encode(c.NewControl)
		if err != nil {
			return "", nil, err
		}
		fmt.Fprintf(&b, ",\nc AS (UPDATE ota_plan_controls SET control = $%d FROM p WHERE plan = p.number)", add(control))
	}
	counts := ""
	if len(c.Batches) > 0 {
		fmt.Fprintf(&b, postgresBatches, add(batchesJSON(c.Batches)))
		counts += fmt.Sprintf(" / (CASE (SELECT count(*) FROM b) WHEN $%d THEN 1 ELSE 0 END)", add(len(c.Batches)))
	}
	if len(c.Agents) > 0 {
		ordinals, statuses, states, err := agentColumns(c.Agents)
		if err != nil {
			return "", nil, err
		}
		fmt.Fprintf(&b, postgresAgents, add(ordinals), add(statuses), add(states))
		counts += fmt.Sprintf(" / (CASE (SELECT count(*) FROM a) WHEN $%d THEN 1 ELSE 0 END)", add(len(c.Agents)))
	}
	// A row that is not there divides by zero, which undoes the whole statement.
	fmt.Fprintf(&b, "\nSELECT revision%s FROM p", counts)
	if !c.Owner {
		fmt.Fprintf(&b, ", LATERAL (SELECT pg_notify($%d, $1) OFFSET 0) n", add(d.channel))
	}
	return b.String(), args, nil
}

const postgresAgents = `,
a AS (UPDATE ota_agents AS r SET status = v.status, state = v.state
	FROM p, unnest($%d::int[], $%d::smallint[], $%d::bytea[]) AS v (ordinal, status, state)
	WHERE r.plan = p.number AND r.ordinal = v.ordinal RETURNING 1)`

var postgresBatches = `,
b AS (UPDATE ota_batches AS r SET ` + assignments(batchColumns[1:]) + `
	FROM p, json_populate_recordset(CAST(NULL AS ota_batches), $%d::json) AS v
	WHERE r.plan = p.number AND r.idx = v.idx RETURNING 1)`

func assignments(columns []string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = c + " = v." + c
	}
	return strings.Join(parts, ", ")
}

// batchesJSON returns the rows with the names of their columns.
func batchesJSON(rows []ota.BatchRow) string {
	var b strings.Builder
	for i := range rows {
		b.WriteString([]string{"[", ","}[min(i, 1)])
		for j, v := range batchValues(&rows[i]) {
			b.WriteString([]string{"{", ","}[min(j, 1)])
			text, _ := encode(v) // numbers and a string cannot fail
			b.WriteString(`"` + batchColumns[j] + `":` + text)
		}
		b.WriteString("}")
	}
	return b.String() + "]"
}

func agentColumns(rows []ota.AgentRow) (ordinals []int32, statuses []int16, states [][]byte, err error) {
	ordinals, statuses, states = make([]int32, len(rows)), make([]int16, len(rows)), make([][]byte, len(rows))
	buffer := make([]byte, 0, 32*len(rows))
	for i := range rows {
		a := &rows[i]
		start := len(buffer)
		if buffer, err = a.State.AppendBinary(buffer); err != nil {
			return nil, nil, nil, err
		}
		ordinals[i], statuses[i], states[i] = int32(a.Ordinal), int16(a.State.Status), buffer[start:len(buffer):len(buffer)]
	}
	return ordinals, statuses, states, nil
}
