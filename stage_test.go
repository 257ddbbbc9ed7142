package ota

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Only Policy.at reads the values that a stage may change. Every other function that names one of them
// is listed here, with what it does with the policy's own value.
func TestOneFunctionReadsAStage(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"stage.go:at": "resolves them", "stage.go:most": "the highest of all batches", "stage.go:raise": "writes", "stage.go:checkStage": "refuses contradictions",
		"policy.go:withDefaults": "fills in", "policy.go:check": "refuses", "policy.go:durations": "refuses",
		"head.go:headAfter": "of a Head", "head.go:hold": "of a Head", "storepage.go:Match": "of a Head", "explain.go:Explain": "of a Head",
		"expect.go:judgeByDefault": "fills in", "expect.go:judgedAsRollback": "fills in; a rollback has no stages",
		"rollbackspec.go:ForRollback": "a rollback has no stages", "rollbackbuild.go:policy": "a rollback has no stages",
		"partcontrol.go:code": "stores", "views.go:clone": "copies", "soak.go:None": "of Soak itself",
		"create.go:checkAll": "refuses", "edit.go:editNotes": "names what an edit of the policy's own value does not affect",
		"warnings.go:toleranceWarning": "the value of the plan", "warnings.go:timeWarnings": "names fields", "warnings.go:slowRollback": "a rollback has no stages",
		"head.go:recordWait": "of a Head", "views.go:waiting": "of a Head",
		"harm.go:neverStops": "asks for any threshold", "outlook.go:stopsAfter": "the threshold of the plan",
		"sentences.go:concurrencySentence": "says the policy's own", "sentences.go:thresholdSentence": "says the policy's own",
		"sentences.go:holdSentence": "says the policy's own", "sentences.go:soakSentence": "says the policy's own",
		"sentences.go:abandonedSentence": "says the policy's own",
		"preview.go:newReadiness":        "questions at once, before any batch",
	}
	seen := map[string]bool{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		f, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || !readsStaged(sel) {
					return true
				}
				at := file + ":" + fn.Name.Name
				if seen[at] = true; allowed[at] == "" {
					t.Errorf("%s reads %s of a policy: use Policy.at, or list it here", at, sel.Sel.Name)
				}
				return true
			})
		}
	}
	for at := range allowed {
		require.True(t, seen[at], "%s is listed and reads none", at)
	}
}

// readsStaged reports whether an expression reads a value of a policy that a stage may change.
func readsStaged(sel *ast.SelectorExpr) bool {
	of := func(name string) bool {
		switch x := sel.X.(type) {
		case *ast.SelectorExpr:
			return x.Sel.Name == name
		case *ast.Ident:
			return x.Name == strings.ToLower(name) || name == "Soak" && x.Name == "o"
		}
		return false
	}
	switch sel.Sel.Name {
	case "Concurrency", "FailureThreshold", "Hold", "holds":
		id, ok := sel.X.(*ast.Ident)
		return !ok || id.Name != "s" && id.Name != "r" // a Stage, or a preview
	case "Duration", "None":
		return of("Soak")
	}
	return false
}

// What each batch of a policy with stages gets, by every function of the core that depends on it.
func TestEveryReaderOfAStage(t *testing.T) {
	t.Parallel()
	policy := Policy{
		Concurrency: 10, FailureThreshold: ptr(0.5), Soak: Soak{Duration: time.Hour}, Hold: Hold{All: true},
		Stages: []Stage{{Batch: 2, Concurrency: 3, FailureThreshold: ptr(0.1), Soak: ptr(time.Duration(0)), Hold: ptr(false)}},
	}.withDefaults()
	viewAt := func(batch int) *view {
		return someView(func(v *view) {
			v.c.Policy, v.b.Index, v.p.Batch, v.spec.Batches, v.b.Size = policy, batch, batch, 4, 20
			v.b.FinishedAt = time.Unix(0, v.now)
		})
	}
	command := func(batch int) *command {
		w := &command{}
		w.c = planControl{Policy: policy}
		w.row.Control = w.c
		return w
	}
	for name, read := range map[string]struct {
		of           func(batch int) any
		policy, here any
	}{
		"concurrency": {func(b int) any { return viewAt(b).concurrency() }, 10, 3},
		"halved":      {func(b int) any { v := viewAt(b); v.c.Policy.Halve, v.p.Halved = true, 1; return v.concurrency() }, 5, 1},
		"limit":       {func(b int) any { return concurrencyLimit(viewAt(b)).New }, 10, 3},
		"tolerance":   {func(b int) any { n, _ := viewAt(b).tolerance(); return n }, 10, 2},
		"reserve":     {func(b int) any { v := viewAt(b); v.c.Policy.Reserve = true; return reserveLimit(v).New }, 11, 3},
		"tolerated":   {func(b int) any { return viewAt(b).c.toleratedInBatch(b, 20) }, 10, 2},
		"observed":    {func(b int) any { _, blocks := observedBarrier(viewAt(b)); return blocks }, true, false},
		"promoted":    {func(b int) any { _, blocks := promotedBarrier(viewAt(b)); return blocks }, true, false},
		"watched": {func(b int) any {
			v := viewAt(b + 1)
			v.calls.prober, v.status = true, StatusPaused
			return v.watchOn(0).action
		}, actAsk, actWait},
		"a resumed plan": {func(b int) any {
			row := planRow{Control: planControl{Policy: policy}, Progress: planProgress{Batch: b + 1}}
			row.Control.Policy.Stages = append(slices.Clone(policy.Stages), Stage{Batch: b + 1, Soak: ptr(time.Duration(0))})
			return row.Control.Policy.watches(b + 1)
		}, true, false},
		"raise": {func(b int) any {
			w := command(b)
			w.row.Progress.Breaches = []Breach{{Number: 1, Reason: ReasonThreshold, Batch: b}}
			require.NoError(t, w.raise(0.75))
			return []float64{*w.c.Policy.FailureThreshold, *w.c.Policy.Stages[0].FailureThreshold}
		}, []float64{0.75, 0.1}, []float64{0.5, 0.75}},
		"warning": {func(b int) any { return len(toleranceWarning(policy, []batchRow{{Index: b, Size: 5}}, 5)) }, 0, 1},
	} {
		require.Equal(t, read.policy, read.of(1), "%s of batch 1", name)
		require.Equal(t, read.here, read.of(2), "%s of batch 2, which has a stage", name)
	}
	require.InDelta(t, 0.1, *policy.Stages[0].FailureThreshold, 0, "raise changes a copy")
	n, most := policy.most()
	require.Equal(t, []any{10, 0.5}, []any{n, most})
}

// A stage's threshold judges its batch although the scope is the first one. Without one it does not.
func TestStageOfALaterBatchIsJudged(t *testing.T) {
	t.Parallel()
	p := Policy{Stages: []Stage{{Batch: 2, FailureThreshold: ptr(0.2)}}}.withDefaults()
	require.Equal(t, ScopeFirst, p.Scope)
	for batch, want := range []int{1, 10, 2, 10} {
		r := p.at(batch)
		require.Equal(t, want, r.tolerated(10), batch)
		require.Equal(t, batch == 0 || batch == 2, r.judges, batch)
	}
}

// Each contradiction of a stage, and of a shape, is refused by the name of its field.
func TestContradictionsOfStages(t *testing.T) {
	t.Parallel()
	soak := ptr(time.Hour)
	for _, c := range []struct {
		field string
		spec  Spec
	}{
		{"stages[0].batch", Spec{Policy: Policy{Stages: []Stage{{Batch: 1}}}}},
		{"stages[0].batch", Spec{Policy: Policy{Stages: []Stage{{Batch: -1, Soak: soak}}}}},
		{"stages[1].batch", Spec{Policy: Policy{Stages: []Stage{{Batch: 1, Soak: soak}, {Batch: 1, Concurrency: 1}}}}},
		{"stages[0].batch", Spec{Policy: Policy{Stages: []Stage{{Batch: 3, Soak: soak}}}, Shape: shares(1, 10, 0)}},
		{"stages[0].wait", Spec{Policy: Policy{Stages: []Stage{{Batch: 1, Soak: ptr(time.Nanosecond)}}}}},
		{"stages[0].concurrency", Spec{Policy: Policy{Stages: []Stage{{Batch: 1, Concurrency: -1}}}}},
		{"stages[0].failureThreshold", Spec{Policy: Policy{Stages: []Stage{{Batch: 1, FailureThreshold: ptr(1.5)}}}}},
		{"stages[0].failureThreshold", Spec{Policy: Policy{Scope: ScopePlan, Stages: []Stage{{Batch: 1, FailureThreshold: ptr(0.5)}}}}},
		{"stages[0].hold", Spec{Policy: Policy{Stages: []Stage{{Batch: 0, Hold: ptr(true)}}}}},
		{"stages[0].hold", Spec{Policy: Policy{Hold: Hold{Batches: []int{1}}, Stages: []Stage{{Batch: 1, Hold: ptr(false)}}}}},
		{"stages", Spec{Policy: Policy{Stages: make([]Stage, 65)}}},
		{"rollback.stages", Spec{Rollback: &RollbackSpec{Policy: &Policy{Stages: []Stage{{Batch: 1, Soak: soak}}}}}},
		{"shape.batches", Spec{Shape: Shape{Canary: 1, Batches: shares(50, 0).Batches}}},
		{"shape.batches", Spec{Shape: Shape{Growth: Growth{First: 1}, Batches: shares(50, 0).Batches}}},
		{"shape.size", Spec{Shape: Shape{Size: 1, Batches: shares(50, 0).Batches}}},
		{"shape.batches", Spec{Shape: shares(60, 50)}},
		{"shape.batches[0]", Spec{Shape: Shape{Batches: []BatchShape{{Size: 1, Percent: 1}, {}}}}},
		{"shape.batches[0].size", Spec{Shape: shares(0, 50)}},
		{"shape.batches[0].size", Spec{Shape: shares(0)}},
		{"shape.batches[1].percent", Spec{Shape: shares(50, -1)}},
		{"shape.shuffle", Spec{Shape: Shape{Shuffle: 1, Batches: []BatchShape{{Size: 1}}}}},
		{"shape.represent", Spec{Shape: Shape{Represent: []string{"kind"}, Batches: []BatchShape{{Size: 1}}}}},
		{"shape.represent", Spec{Shape: Shape{Represent: []string{"a", "b", "c", "d"}}}},
		{"shape.represent[1]", Spec{Shape: Shape{Represent: []string{"a", "a"}}}},
		{"shape.represent[0]", Spec{Shape: Shape{Represent: []string{""}}}},
		{"budgets[0].values", Spec{Shape: Shape{Represent: []string{"zone"}}, Policy: Policy{Budgets: []Budget{{Label: "zone", Values: 1}}}}},
		{"shape.first[0].label", Spec{Shape: Shape{First: []Label{{"", "x"}}}}},
		{"shape.last[0]", Spec{Shape: Shape{First: []Label{{"a", "x"}}, Last: []Label{{"a", "x"}}}}},
		{"shape.last", Spec{Shape: Shape{Last: make([]Label, 17)}}},
	} {
		c.spec.Name, c.spec.ToVersion, c.spec.Agents = "n", "2", AgentIDs("a")
		var m mistakes
		c.spec.check(&m)
		var fields []string
		for _, f := range FieldErrors(m.result()) {
			fields = append(fields, f.Field)
		}
		require.Contains(t, fields, c.field)
	}
}
