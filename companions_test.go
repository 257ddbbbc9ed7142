package ota

import (
	"bytes"
	"context"
	"go/ast"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/house"
	"github.com/seed-19b57ce3/ota/internal/wrap"
)

// Exported interfaces that are no optional companion of another one.
var noCompanions = []string{"Executor", "Store", "Resolver", "Observer"}

var companionTables = []reflect.Type{
	reflect.TypeFor[executorCompanions](), reflect.TypeFor[storeCompanions](),
}

// companionTypes are the interfaces of the tables, by name.
func companionTypes() map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for _, table := range companionTables {
		for f := range table.Fields() {
			all[f.Name] = f.Type
		}
	}
	return all
}

// Every exported interface of the package is in a table, under its own name, or is no companion.
func TestEveryOptionalInterfaceIsInATable(t *testing.T) {
	t.Parallel()
	want := slices.Clone(noCompanions)
	for name, typ := range companionTypes() {
		require.Equal(t, name, typ.Name())
		want = append(want, name)
	}
	var got []string
	require.NoError(t, house.EachFile(".", func(path string, f *ast.File) {
		if filepath.Dir(path) != "." || strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() {
				if _, ok := s.Type.(*ast.InterfaceType); ok {
					got = append(got, s.Name.Name)
				}
			}
			return true
		})
	}))
	require.ElementsMatch(t, want, got, "an optional interface that is in no table is hidden by every wrapper")
}

// No file asserts a companion on the very value that it was given: As and New look behind wrappers.
func TestCompanionsAreLookedForInOnePlace(t *testing.T) {
	t.Parallel()
	all := companionTypes()
	files := 0
	require.NoError(t, house.EachFile(".", func(path string, f *ast.File) {
		files++
		ast.Inspect(f, func(n ast.Node) bool {
			var asked []ast.Expr
			switch n := n.(type) {
			case *ast.TypeAssertExpr:
				asked = []ast.Expr{n.Type}
			case *ast.TypeSwitchStmt:
				for _, c := range n.Body.List {
					asked = append(asked, c.(*ast.CaseClause).List...)
				}
			}
			for _, x := range asked {
				if s, ok := x.(*ast.SelectorExpr); ok {
					x = s.Sel
				}
				if id, ok := x.(*ast.Ident); ok && all[id.Name] != nil {
					t.Errorf("%s asserts %s: use ota.As, or Engine.with", path, id.Name)
				}
			}
			return true
		})
	}))
	require.Greater(t, files, 200)
}

// capable has every companion of an Executor.
type capable struct{ ExecutorFunc }

func (capable) Precheck(context.Context, Attempt) (Precheck, error) {
	return Precheck{State: PrecheckBlocked, Reason: "disk full"}, nil
}

func (capable) Health(context.Context, Attempt) (Health, error)        { return Health{Healthy: true}, nil }
func (capable) Inspect(context.Context, Attempt) (Inspection, error)   { return Inspection{}, nil }
func (capable) Gate(context.Context, Plan, Batch) (GateVerdict, error) { return GatePass, nil }

var plainExecutor = ExecutorFunc(func(context.Context, Attempt) (Result, error) { return Result{}, nil })

// able makes a value that has one companion and no other.
func able(t *testing.T, companion string) any {
	t.Helper()
	can, store := capable{}, newTestStore()
	switch plain := (bare{store}); companion {
	case "Prechecker":
		return struct {
			Executor
			Prechecker
		}{plainExecutor, can}
	case "Prober":
		return struct {
			Executor
			Prober
		}{plainExecutor, can}
	case "Inspector":
		return struct {
			Executor
			Inspector
		}{plainExecutor, can}
	case "Gater":
		return struct {
			Executor
			Gater
		}{plainExecutor, can}
	case "Claimer":
		return struct {
			Store
			Claimer
		}{plain, store}
	case "Leaser":
		return struct {
			Store
			Leaser
		}{plain, store}
	case "Notifier":
		return struct {
			Store
			Notifier
		}{plain, store}
	case "Inbox":
		return struct {
			Store
			Inbox
		}{plain, store}
	case "Pruner":
		return struct {
			Store
			Pruner
		}{plain, store}
	}
	t.Fatalf("no value here has %s and nothing else", companion)
	return nil
}

// way puts a value behind another one.
type way[W any] struct {
	name   string
	wrap   func(W) W
	keeps  bool
	refuse string // what the error of New has to name
}

type (
	wrappedExecutor  struct{ Executor }
	forwardExecutor  struct{ next Executor }
	embeddedExecutor struct{ Executor }
	deepExecutor     struct{ forward }
	forward          struct{ inner struct{ next Executor } }
	routingExecutor  struct{ one, two Executor }
	ownedExecutor    struct{ wrapping }
	silentExecutor   struct{ next Executor }
	wrapping         interface {
		Executor
		Unwrap() Executor
	}
)

func (w wrappedExecutor) Unwrap() Executor { return w.Executor }
func (w silentExecutor) Unwrap() Executor  { return nil }

func (w forwardExecutor) Execute(ctx context.Context, a Attempt) (Result, error) {
	return w.next.Execute(ctx, a)
}

func (w *deepExecutor) Execute(ctx context.Context, a Attempt) (Result, error) {
	return w.inner.next.Execute(ctx, a)
}

func (w routingExecutor) Execute(ctx context.Context, a Attempt) (Result, error) {
	return w.two.Execute(ctx, a)
}

func (w silentExecutor) Execute(ctx context.Context, a Attempt) (Result, error) {
	return w.next.Execute(ctx, a)
}

// ableAndWraps has companions of its own, and wraps an Executor that has none.
type ableAndWraps struct{ capable }

func (ableAndWraps) Unwrap() Executor { return plainExecutor }

var executorWays = []way[Executor]{
	{"direct", func(x Executor) Executor { return x }, true, ""},
	{"wrapped", func(x Executor) Executor { return wrappedExecutor{x} }, true, ""},
	{"wrapped by a pointer", func(x Executor) Executor { return &wrappedExecutor{x} }, true, ""},
	{"wrapped twice", func(x Executor) Executor { return wrappedExecutor{&wrappedExecutor{x}} }, true, ""},
	{"wrapped by one of its own methods", func(x Executor) Executor { return struct{ wrappedExecutor }{wrappedExecutor{x}} }, true, ""},
	{"hidden on purpose", func(x Executor) Executor { return silentExecutor{x} }, false, ""},
	{"hidden on purpose, and wrapped", func(x Executor) Executor { return wrappedExecutor{silentExecutor{x}} }, false, ""},
	{"embedded", func(x Executor) Executor { return embeddedExecutor{x} }, false, "ota.embeddedExecutor"},
	{"embedded twice", func(x Executor) Executor { return &embeddedExecutor{embeddedExecutor{x}} }, false, "its field Executor.Executor"},
	{"embedded, and wrapped", func(x Executor) Executor { return wrappedExecutor{embeddedExecutor{x}} }, false, "ota.embeddedExecutor"},
	{"wrapped, and embedded", func(x Executor) Executor { return embeddedExecutor{wrappedExecutor{x}} }, false, "its field Executor.Unwrap()"},
	{"in a field", func(x Executor) Executor { return forwardExecutor{x} }, false, "its field next"},
	{"wrapped in a field", func(x Executor) Executor { return forwardExecutor{wrappedExecutor{x}} }, false, "its field next.Executor"},
	{"in a struct in a field", func(x Executor) Executor {
		var d deepExecutor
		d.inner.next = x
		return &d
	}, false, "its field forward.inner.next"},
	{"in the second field", func(x Executor) Executor { return routingExecutor{plainExecutor, x} }, false, "its field two"},
	{"embedded with its Unwrap", func(Executor) Executor {
		return ownedExecutor{ableAndWraps{}}
	}, false, "its field wrapping"},
}

type (
	wrappedStore  struct{ Store }
	embeddedStore struct{ Store }
)

func (w wrappedStore) Unwrap() Store { return w.Store }

var storeWays = []way[Store]{
	{"direct", func(x Store) Store { return x }, true, ""},
	{"wrapped", func(x Store) Store { return wrappedStore{x} }, true, ""},
	{"wrapped twice", func(x Store) Store { return &wrappedStore{wrappedStore{x}} }, true, ""},
	{"hidden on purpose", func(x Store) Store { return bare{x} }, false, ""},
	{"embedded", func(x Store) Store { return embeddedStore{x} }, false, "its field Store;"},
	{"embedded, and wrapped", func(x Store) Store { return wrappedStore{&embeddedStore{x}} }, false, "*ota.embeddedStore"},
	{"wrapped, and embedded", func(x Store) Store { return embeddedStore{wrappedStore{x}} }, false, "its field Store.Unwrap()"},
}

// Every optional interface, behind every kind of wrapper: it counts, was hidden on purpose, or New
// refuses the wrapper.
func TestWrappersKeepCompanionsOrAreRefused(t *testing.T) {
	t.Parallel()
	for name := range reflect.TypeFor[executorCompanions]().Fields() {
		eachWay(t, name.Name, executorWays, func(x Executor) (any, error) {
			e, err := New(newTestStore(), x, Options{})
			if err != nil {
				return nil, err
			}
			return &e.with.executorCompanions, nil
		})
	}
	for name := range reflect.TypeFor[storeCompanions]().Fields() {
		eachWay(t, name.Name, storeWays, func(x Store) (any, error) {
			e, err := New(x, nil, Options{})
			if err != nil {
				return nil, err
			}
			return &e.with.storeCompanions, nil
		})
	}
}

func eachWay[W any](t *testing.T, companion string, ways []way[W], find func(W) (table any, err error)) {
	t.Helper()
	for _, w := range ways {
		t.Run(companion+"/"+w.name, func(t *testing.T) {
			x := w.wrap(able(t, companion).(W))
			table, err := find(x)
			if w.refuse != "" {
				require.ErrorIs(t, err, ErrInvalid)
				require.ErrorContains(t, err, w.refuse)
				require.ErrorContains(t, err, "ota."+companion)
				require.ErrorContains(t, err, "Unwrap() "+reflect.TypeFor[W]().String())
				return
			}
			require.NoError(t, err)
			has, _ := wrap.Named(table)
			var want []string
			if w.keeps {
				want = []string{companion}
			}
			require.Equal(t, want, has)
			require.Equal(t, want, Companions(x))
		})
	}
}

// A value that can only panic, or never ends, is refused when the engine is made, with its name.
func TestNewRefusesWhatIsNilInside(t *testing.T) {
	t.Parallel()
	endless := &loop{}
	endless.Executor = endless
	for what, x := range map[string]Executor{
		"executor (ota.ExecutorFunc) is nil inside":               ExecutorFunc(nil),
		"executor (ota.asyncExecutor) is nil inside":              Async(nil),
		"executor (*ota.capable) is nil inside":                   (*capable)(nil),
		"executor (ota.wrappedExecutor) wraps a ota.ExecutorFunc": wrappedExecutor{ExecutorFunc(nil)},
		"executor (*ota.loop) wraps itself":                       endless,
	} {
		_, err := New(newTestStore(), x, Options{})
		require.ErrorIs(t, err, ErrInvalid)
		require.ErrorContains(t, err, what)
	}
	_, err := New((*testStore)(nil), plainExecutor, Options{})
	require.ErrorContains(t, err, "store (*ota.testStore) is nil inside")
	_, err = New(newTestStore(), plainExecutor, Options{Resolver: ResolverFunc(nil)})
	require.ErrorContains(t, err, "resolver (ota.ResolverFunc) is nil inside")
	_, err = New(newTestStore(), wrappedExecutor{}, Options{})
	require.NoError(t, err, "a wrapper that wraps nothing may do without")
}

type loop struct{ Executor }

func (l *loop) Unwrap() Executor { return l.Executor }

// The log says once what counts.
func TestNewLogsTheCompanions(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	_, err := New(bare{newTestStore()}, wrappedExecutor{able(t, "Gater").(Executor)}, Options{Name: "one", Logger: log})
	require.NoError(t, err)
	require.Equal(t, `level=INFO msg="engine is ready" engine=one store=ota.bare store_has="" store_lacks="Claimer, Leaser, Notifier, Inbox, Pruner"`+
		` executor=ota.wrappedExecutor executor_has=Gater executor_lacks="Prechecker, Prober, Inspector"`+"\n", b.String())
}

// Behind a wrapper blocked agents are left alone, and a second plan over the same agents is
// refused.
func TestWrappersKeepTheProtection(t *testing.T) {
	t.Parallel()
	calls := 0
	x := wrappedExecutor{capable{ExecutorFunc: func(context.Context, Attempt) (Result, error) {
		calls++
		return Result{}, nil
	}}}
	e, err := New(wrappedStore{newTestStore()}, x, Options{})
	require.NoError(t, err)
	var ids []string
	for range 2 {
		p, err := e.Create(t.Context(), Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs("a", "b", "c", "d")})
		require.NoError(t, err)
		require.NotContains(t, strings.Join(p.Warnings, " "), "claims")
		ids = append(ids, p.ID)
	}
	_, err = e.Start(t.Context(), ids[0], Request{})
	require.NoError(t, err)
	_, err = e.Start(t.Context(), ids[1], Request{})
	require.ErrorIs(t, err, ErrClaimed)
	p, err := e.RunPlan(t.Context(), ids[0])
	require.NoError(t, err)
	require.Zero(t, calls, "blocked agents were called")
	require.Equal(t, 4, p.Counts.Skipped)
}
