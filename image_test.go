package ota_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

func rowsOf(rows ...ota.Row) iter.Seq2[ota.Row, error] {
	return func(yield func(ota.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func agent(n int, id string) ota.Row {
	return ota.Row{Kind: ota.KindAgent, Number: n, ID: id, Labels: map[string]string{"zone": "eu"}, Fixed: []byte("fixed"), State: []byte("state")}
}

func firstCommit() (ota.Commit, error) {
	return ota.Commit{
		Head: &ota.Head{Status: ota.StatusPending, Show: []byte("{}")}, Parts: ota.Parts{[]byte("spec"), []byte("control"), []byte("progress")},
		Rows: []ota.Row{{Kind: ota.KindBatch, State: []byte("batch")}, {Kind: ota.KindBatch, Number: 1}},
		Log:  ota.LogRow{Plan: "ignored", Revision: 9, At: day, Notable: true, Data: []byte("created")},
		If:   ota.Numbers{7, 7, 7}, Then: ota.Numbers{8, 8, 8}, Plan: "ignored",
	}, nil
}

func image(t *testing.T) *ota.Image {
	t.Helper()
	m, err := ota.NewImage(t.Context(), ota.PlanRow{
		ID: "a", Names: ota.Names{Name: "n", Labels: map[string]string{"l": "v"}}, Index: []string{"zone"}, Head: ota.Head{Person: true},
		Numbers: ota.Numbers{5, 5, 5}, Revision: 5, Parts: ota.Parts{Spec: []byte("ignored")},
	}, rowsOf(agent(0, "x"), agent(1, "y")), firstCommit)
	require.NoError(t, err)
	return m
}

// copied is a deep copy, to compare with later.
func copied[T any](t *testing.T, v T) (c T) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &c))
	return c
}

func TestNewImage(t *testing.T) {
	t.Parallel()
	m := image(t)
	require.Equal(t, ota.PlanRow{
		ID: "a", Names: ota.Names{"n", map[string]string{"l": "v"}}, Index: []string{"zone"}, Head: ota.Head{Status: ota.StatusPending, Show: []byte("{}")},
		Numbers: ota.Numbers{1, 1, 1}, Revision: 1, Parts: ota.Parts{[]byte("spec"), []byte("control"), []byte("progress")},
	}, m.Plan)
	require.Equal(t, []ota.LogRow{{Plan: "a", Revision: 1, At: day, Notable: true, Data: []byte("created")}}, m.Log)
	require.Equal(t, []ota.Row{agent(0, "x"), agent(1, "y")}, m.Rows[ota.KindAgent])
	require.Len(t, m.Rows[ota.KindBatch], 2)
	require.Equal(t, m, copied(t, m), "an image survives JSON")
}

func TestNewImageRefusals(t *testing.T) {
	t.Parallel()
	oops := errors.New("oops")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	first := func(change func(*ota.Commit)) func() (ota.Commit, error) {
		return func() (ota.Commit, error) { c, _ := firstCommit(); change(&c); return c, nil }
	}
	for name, test := range map[string]struct {
		ctx   context.Context
		rows  iter.Seq2[ota.Row, error]
		first func() (ota.Commit, error)
		want  error
	}{
		"a gap":                {t.Context(), rowsOf(agent(0, "x"), agent(2, "y")), firstCommit, ota.ErrRefused},
		"a number twice":       {t.Context(), rowsOf(agent(0, "x"), agent(0, "y")), firstCommit, ota.ErrRefused},
		"an ID twice":          {t.Context(), rowsOf(agent(0, "x"), agent(1, "x")), firstCommit, &ota.DuplicateError{Agent: "x"}},
		"an error of the rows": {t.Context(), func(yield func(ota.Row, error) bool) { yield(ota.Row{}, oops) }, firstCommit, oops},
		"an error of first":    {t.Context(), rowsOf(), func() (ota.Commit, error) { return ota.Commit{}, oops }, oops},
		"a context that ended": {ended, rowsOf(agent(0, "x")), firstCommit, context.Canceled},
		"no record":            {t.Context(), rowsOf(), first(func(c *ota.Commit) { c.Log.Data = nil }), ota.ErrRefused},
		"a gap in first":       {t.Context(), rowsOf(), first(func(c *ota.Commit) { c.Rows = c.Rows[1:] }), ota.ErrRefused},
	} {
		_, err := ota.NewImage(test.ctx, ota.PlanRow{ID: "a"}, test.rows, test.first)
		var twice *ota.DuplicateError
		if errors.As(test.want, &twice) {
			require.Equal(t, test.want, err, name)
		} else {
			require.ErrorIs(t, err, test.want, name)
		}
	}
	_, err := ota.NewImage(t.Context(), ota.PlanRow{}, rowsOf(ota.Row{Kind: ota.KindAgent, ID: "x"}, ota.Row{Kind: 9, ID: "x"}, ota.Row{Kind: 9, Number: 1}, ota.Row{Kind: 9, Number: 2}), firstCommit)
	require.NoError(t, err, "IDs are unique in their kind only, and may be empty")
}

// changes are commits that change one thing each.
func changes() map[string]ota.Commit {
	all := map[string]ota.Commit{
		"nothing":        {},
		"epoch":          {Then: ota.Numbers{Epoch: 4}},
		"control":        {Then: ota.Numbers{Control: 4}, Parts: ota.Parts{Control: []byte("c2")}},
		"progress":       {Then: ota.Numbers{Progress: 4}, Parts: ota.Parts{Progress: []byte("p2")}},
		"spec":           {Parts: ota.Parts{Spec: []byte("s2")}},
		"names":          {Names: &ota.Names{Name: "m"}},
		"head":           {Head: &ota.Head{Status: ota.StatusPaused, Hold: ota.ReasonPaused, Since: day, Ended: day, Owner: "o", Show: []byte("[]")}},
		"an agent":       {Rows: []ota.Row{{Kind: ota.KindAgent, Number: 1, Status: 3, Reason: ota.ReasonAtTarget, State: []byte("s2"), Fixed: []byte("ignored"), ID: "ignored", Batch: 9}}},
		"a batch":        {Rows: []ota.Row{{Kind: ota.KindBatch, Number: 0, Status: 2, Show: []byte("{}")}}},
		"an empty state": {Rows: []ota.Row{{Kind: ota.KindAgent, Number: 0}}},
	}
	for name, c := range all {
		c.Log = ota.LogRow{At: day, Data: []byte(name)}
		all[name] = c
	}
	return all
}

func TestImageApply(t *testing.T) {
	t.Parallel()
	for name, c := range changes() {
		m, want := image(t), image(t)
		require.NoError(t, m.Refuse(&c), name)
		m.Apply(&c)
		p := &want.Plan
		p.Revision = 2
		want.Log = append(want.Log, ota.LogRow{Plan: "a", Revision: 2, At: day, Data: []byte(name)})
		switch name {
		case "epoch":
			p.Numbers.Epoch = 4
		case "control":
			p.Numbers.Control, p.Parts.Control = 4, []byte("c2")
		case "progress":
			p.Numbers.Progress, p.Parts.Progress = 4, []byte("p2")
		case "spec":
			p.Parts.Spec = []byte("s2")
		case "names":
			p.Names = ota.Names{Name: "m"}
		case "head":
			p.Head = *c.Head
		case "an agent":
			r := &want.Rows[ota.KindAgent][1]
			r.Status, r.Reason, r.State = 3, ota.ReasonAtTarget, []byte("s2")
		case "a batch":
			r := &want.Rows[ota.KindBatch][0]
			r.Status, r.State, r.Show = 2, nil, []byte("{}")
		case "an empty state":
			want.Rows[ota.KindAgent][0].State = nil
		}
		require.Equal(t, want, m, name)
	}
}

// A commit that is refused changes nothing, not even the rows before the one that is wrong.
func TestImageRefuse(t *testing.T) {
	t.Parallel()
	m := image(t)
	before := copied(t, m)
	fine := ota.Row{Kind: ota.KindAgent, Number: 0, Status: 5}
	for name, test := range map[string]struct {
		c    ota.Commit
		want error
	}{
		"a wrong epoch":    {ota.Commit{If: ota.Numbers{Epoch: 2}}, ota.ErrFenced},
		"a wrong control":  {ota.Commit{If: ota.Numbers{Control: 2}}, ota.ErrConflict},
		"a wrong progress": {ota.Commit{If: ota.Numbers{Progress: 2}}, ota.ErrConflict},
		"no such row":      {ota.Commit{Rows: []ota.Row{fine, {Kind: ota.KindAgent, Number: 2}}}, ota.ErrRefused},
		"a negative row":   {ota.Commit{Rows: []ota.Row{fine, {Kind: ota.KindAgent, Number: -1}}}, ota.ErrRefused},
		"no such kind":     {ota.Commit{Rows: []ota.Row{fine, {Kind: 9}}}, ota.ErrRefused},
		"no record":        {ota.Commit{Rows: []ota.Row{fine}}, ota.ErrRefused},
	} {
		if name != "no record" {
			test.c.Log.Data = []byte("x")
		}
		require.ErrorIs(t, m.Refuse(&test.c), test.want, name)
		require.Equal(t, before, m, name)
	}
}

// scribble overwrites all bytes and maps of a commit.
func scribble(c *ota.Commit) {
	over := func(bs ...[]byte) {
		for _, b := range bs {
			for i := range b {
				b[i] = '!'
			}
		}
	}
	over(c.Parts.Spec, c.Parts.Control, c.Parts.Progress, c.Log.Data)
	if c.Head != nil {
		over(c.Head.Show)
	}
	if c.Names != nil {
		c.Names.Labels["l"] = "!"
	}
	for i := range c.Rows {
		over(c.Rows[i].Fixed, c.Rows[i].State, c.Rows[i].Show)
		if c.Rows[i].Labels != nil {
			c.Rows[i].Labels["zone"] = "!"
		}
	}
}

func everything(i int) ota.Commit {
	text := func() []byte { return []byte{byte('a' + i)} }
	return ota.Commit{
		Head: &ota.Head{Show: text()}, Names: &ota.Names{Labels: map[string]string{"l": "v"}}, Parts: ota.Parts{text(), text(), text()},
		Rows: []ota.Row{{Kind: ota.KindAgent, Number: 0, State: text(), Show: text(), Labels: map[string]string{}}}, Log: ota.LogRow{Data: text()},
	}
}

// An image keeps nothing of what it was given, and what it has given stays as it was.
func TestImageSharesNothing(t *testing.T) {
	t.Parallel()
	rows := []ota.Row{agent(0, "x"), agent(1, "y")}
	p := ota.PlanRow{ID: "a", Index: []string{"zone"}, Names: ota.Names{Labels: map[string]string{"l": "v"}}}
	c, _ := firstCommit()
	m, err := ota.NewImage(t.Context(), p, rowsOf(rows...), func() (ota.Commit, error) { return c, nil })
	require.NoError(t, err)
	before := copied(t, m)
	scribble(&c)
	scribble(&ota.Commit{Rows: rows, Names: &p.Names})
	p.Index[0] = "!"
	require.Equal(t, before, m)

	given := ota.Image{Plan: m.Plan, Rows: map[ota.Kind][]ota.Row{}, Log: slices.Clone(m.Log)}
	for kind, rows := range maps.Clone(m.Rows) {
		given.Rows[kind] = slices.Clone(rows) // as a page of them
	}
	for i := range 3 {
		c := everything(i)
		require.NoError(t, m.Refuse(&c))
		m.Apply(&c)
		after := copied(t, m)
		scribble(&c)
		require.Equal(t, after, m)
	}
	require.Equal(t, *before, given)
}
