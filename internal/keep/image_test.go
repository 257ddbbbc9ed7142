package keep

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

func rowsOf(rows ...Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func agent(n int, id string) Row {
	return Row{Kind: KindAgent, Number: n, ID: id, Labels: map[string]string{"zone": "eu"}, Fixed: []byte("fixed"), State: []byte("state")}
}

func firstCommit() (Commit, error) {
	return Commit{
		Head: &Head{Status: ota.StatusPending, Show: []byte("{}")}, Parts: Parts{[]byte("spec"), []byte("control"), []byte("progress")},
		Rows: []Row{{Kind: KindBatch, State: []byte("batch")}, {Kind: KindBatch, Number: 1}},
		Log:  LogRow{Plan: "ignored", Revision: 9, At: day, Notable: true, Data: []byte("created")},
		If:   Numbers{7, 7, 7}, Then: Numbers{8, 8, 8}, Plan: "ignored",
	}, nil
}

func image(t *testing.T) *Image {
	t.Helper()
	m, err := NewImage(t.Context(), PlanRow{
		ID: "a", Names: Names{Name: "n", Labels: map[string]string{"l": "v"}}, Index: []string{"zone"}, Head: Head{Person: true},
		Numbers: Numbers{5, 5, 5}, Revision: 5, Parts: Parts{Spec: []byte("ignored")},
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
	require.Equal(t, PlanRow{
		ID: "a", Names: Names{"n", map[string]string{"l": "v"}}, Index: []string{"zone"}, Head: Head{Status: ota.StatusPending, Show: []byte("{}")},
		Numbers: Numbers{1, 1, 1}, Revision: 1, Parts: Parts{[]byte("spec"), []byte("control"), []byte("progress")},
	}, m.Plan)
	require.Equal(t, []LogRow{{Plan: "a", Revision: 1, At: day, Notable: true, Data: []byte("created")}}, m.Log)
	require.Equal(t, []Row{agent(0, "x"), agent(1, "y")}, m.Rows[KindAgent])
	require.Len(t, m.Rows[KindBatch], 2)
	require.Equal(t, m, copied(t, m), "an image survives JSON")
}

func TestNewImageRefusals(t *testing.T) {
	t.Parallel()
	oops := errors.New("oops")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	first := func(change func(*Commit)) func() (Commit, error) {
		return func() (Commit, error) { c, _ := firstCommit(); change(&c); return c, nil }
	}
	for name, test := range map[string]struct {
		ctx   context.Context
		rows  iter.Seq2[Row, error]
		first func() (Commit, error)
		want  error
	}{
		"a gap":                {t.Context(), rowsOf(agent(0, "x"), agent(2, "y")), firstCommit, ota.ErrRefused},
		"a number twice":       {t.Context(), rowsOf(agent(0, "x"), agent(0, "y")), firstCommit, ota.ErrRefused},
		"an ID twice":          {t.Context(), rowsOf(agent(0, "x"), agent(1, "x")), firstCommit, &ota.DuplicateError{Agent: "x"}},
		"an error of the rows": {t.Context(), func(yield func(Row, error) bool) { yield(Row{}, oops) }, firstCommit, oops},
		"an error of first":    {t.Context(), rowsOf(), func() (Commit, error) { return Commit{}, oops }, oops},
		"a context that ended": {ended, rowsOf(agent(0, "x")), firstCommit, context.Canceled},
		"no record":            {t.Context(), rowsOf(), first(func(c *Commit) { c.Log.Data = nil }), ota.ErrRefused},
		"a gap in first":       {t.Context(), rowsOf(), first(func(c *Commit) { c.Rows = c.Rows[1:] }), ota.ErrRefused},
	} {
		_, err := NewImage(test.ctx, PlanRow{ID: "a"}, test.rows, test.first)
		var twice *ota.DuplicateError
		if errors.As(test.want, &twice) {
			require.Equal(t, test.want, err, name)
		} else {
			require.ErrorIs(t, err, test.want, name)
		}
	}
	_, err := NewImage(t.Context(), PlanRow{}, rowsOf(Row{Kind: KindAgent, ID: "x"}, Row{Kind: 9, ID: "x"}, Row{Kind: 9, Number: 1}, Row{Kind: 9, Number: 2}), firstCommit)
	require.NoError(t, err, "IDs are unique in their kind only, and may be empty")
}

// changes are commits that change one thing each.
func changes() map[string]Commit {
	all := map[string]Commit{
		"nothing":        {},
		"epoch":          {Then: Numbers{Epoch: 4}},
		"control":        {Then: Numbers{Control: 4}, Parts: Parts{Control: []byte("c2")}},
		"progress":       {Then: Numbers{Progress: 4}, Parts: Parts{Progress: []byte("p2")}},
		"spec":           {Parts: Parts{Spec: []byte("s2")}},
		"names":          {Names: &Names{Name: "m"}},
		"head":           {Head: &Head{Status: ota.StatusPaused, Hold: ota.ReasonPaused, Since: day, Ended: day, Owner: "o", Show: []byte("[]")}},
		"an agent":       {Rows: []Row{{Kind: KindAgent, Number: 1, Status: 3, Reason: ota.ReasonAtTarget, State: []byte("s2"), Fixed: []byte("ignored"), ID: "ignored", Batch: 9}}},
		"a batch":        {Rows: []Row{{Kind: KindBatch, Number: 0, Status: 2, Show: []byte("{}")}}},
		"an empty state": {Rows: []Row{{Kind: KindAgent, Number: 0}}},
	}
	for name, c := range all {
		c.Log = LogRow{At: day, Data: []byte(name)}
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
		want.Log = append(want.Log, LogRow{Plan: "a", Revision: 2, At: day, Data: []byte(name)})
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
			p.Names = Names{Name: "m"}
		case "head":
			p.Head = *c.Head
		case "an agent":
			r := &want.Rows[KindAgent][1]
			r.Status, r.Reason, r.State = 3, ota.ReasonAtTarget, []byte("s2")
		case "a batch":
			r := &want.Rows[KindBatch][0]
			r.Status, r.State, r.Show = 2, nil, []byte("{}")
		case "an empty state":
			want.Rows[KindAgent][0].State = nil
		}
		require.Equal(t, want, m, name)
	}
}

// A commit that is refused changes nothing, not even the rows before the one that is wrong.
func TestImageRefuse(t *testing.T) {
	t.Parallel()
	m := image(t)
	before := copied(t, m)
	fine := Row{Kind: KindAgent, Number: 0, Status: 5}
	for name, test := range map[string]struct {
		c    Commit
		want error
	}{
		"a wrong epoch":    {Commit{If: Numbers{Epoch: 2}}, ota.ErrFenced},
		"a wrong control":  {Commit{If: Numbers{Control: 2}}, ota.ErrConflict},
		"a wrong progress": {Commit{If: Numbers{Progress: 2}}, ota.ErrConflict},
		"no such row":      {Commit{Rows: []Row{fine, {Kind: KindAgent, Number: 2}}}, ota.ErrRefused},
		"a negative row":   {Commit{Rows: []Row{fine, {Kind: KindAgent, Number: -1}}}, ota.ErrRefused},
		"no such kind":     {Commit{Rows: []Row{fine, {Kind: 9}}}, ota.ErrRefused},
		"no record":        {Commit{Rows: []Row{fine}}, ota.ErrRefused},
	} {
		if name != "no record" {
			test.c.Log.Data = []byte("x")
		}
		require.ErrorIs(t, m.Refuse(&test.c), test.want, name)
		require.Equal(t, before, m, name)
	}
}

// scribble overwrites all bytes and maps of a commit.
func scribble(c *Commit) {
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

func everything(i int) Commit {
	text := func() []byte { return []byte{byte('a' + i)} }
	return Commit{
		Head: &Head{Show: text()}, Names: &Names{Labels: map[string]string{"l": "v"}}, Parts: Parts{text(), text(), text()},
		Rows: []Row{{Kind: KindAgent, Number: 0, State: text(), Show: text(), Labels: map[string]string{}}}, Log: LogRow{Data: text()},
	}
}

// An image keeps nothing of what it was given, and what it has given stays as it was.
func TestImageSharesNothing(t *testing.T) {
	t.Parallel()
	rows := []Row{agent(0, "x"), agent(1, "y")}
	p := PlanRow{ID: "a", Index: []string{"zone"}, Names: Names{Labels: map[string]string{"l": "v"}}}
	c, _ := firstCommit()
	m, err := NewImage(t.Context(), p, rowsOf(rows...), func() (Commit, error) { return c, nil })
	require.NoError(t, err)
	before := copied(t, m)
	scribble(&c)
	scribble(&Commit{Rows: rows, Names: &p.Names})
	p.Index[0] = "!"
	require.Equal(t, before, m)

	given := Image{Plan: m.Plan, Rows: map[Kind][]Row{}, Log: slices.Clone(m.Log)}
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
