package simulate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// Every exported interface of the package but Fleet is in the table, under its own name.
func TestEveryOptionalInterfaceIsInTheTable(t *testing.T) {
	t.Parallel()
	want := []string{"Fleet"}
	for f := range reflect.TypeFor[companions]().Fields() {
		require.Equal(t, f.Name, f.Type.Name())
		want = append(want, f.Name)
	}
	var got []string
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() {
				if _, ok := s.Type.(*ast.InterfaceType); ok {
					got = append(got, s.Name.Name)
				}
			}
			return true
		})
	}
	require.ElementsMatch(t, want, got)
}

// capable has every companion of a Fleet.
type capable struct{ FleetFunc }

func (capable) SimulateHealth(ota.Attempt, time.Time) Health     { return Health{} }
func (capable) SimulatePrecheck(ota.Attempt, time.Time) Precheck { return Precheck{} }

func (capable) SimulateGate(ota.Plan, ota.Batch, time.Time) Gate { return Gate{} }

var plainFleet = FleetFunc(func(ota.Attempt, time.Time) Call { return Call{} })

// able has one companion and no other.
func able(t *testing.T, companion string) Fleet {
	t.Helper()
	switch companion {
	case "Prober":
		return struct {
			Fleet
			Prober
		}{plainFleet, capable{}}
	case "Prechecker":
		return struct {
			Fleet
			Prechecker
		}{plainFleet, capable{}}
	case "Gater":
		return struct {
			Fleet
			Gater
		}{plainFleet, capable{}}
	}
	t.Fatalf("no fleet here has %s and nothing else", companion)
	return nil
}

type (
	wrappedFleet  struct{ Fleet }
	embeddedFleet struct{ Fleet }
	silentFleet   struct{ Fleet }
)

func (w wrappedFleet) Unwrap() Fleet { return w.Fleet }
func (w silentFleet) Unwrap() Fleet  { return nil }

// Every optional interface, behind every kind of wrapper: it counts, was hidden on purpose, or the
// wrapper is refused.
func TestWrappersKeepCompanionsOrAreRefused(t *testing.T) {
	t.Parallel()
	for f := range reflect.TypeFor[companions]().Fields() {
		for _, w := range []struct {
			name   string
			wrap   func(Fleet) Fleet
			keeps  bool
			refuse string
		}{
			{"direct", func(x Fleet) Fleet { return x }, true, ""},
			{"wrapped", func(x Fleet) Fleet { return wrappedFleet{x} }, true, ""},
			{"wrapped twice", func(x Fleet) Fleet { return wrappedFleet{wrappedFleet{x}} }, true, ""},
			{"hidden on purpose", func(x Fleet) Fleet { return silentFleet{x} }, false, ""},
			{"embedded", func(x Fleet) Fleet { return embeddedFleet{x} }, false, "its field Fleet;"},
		} {
			t.Run(f.Name+"/"+w.name, func(t *testing.T) {
				x := w.wrap(able(t, f.Name))
				with, err := companionsOf(x)
				if w.refuse != "" {
					require.ErrorIs(t, err, ota.ErrInvalid)
					require.ErrorContains(t, err, w.refuse)
					require.ErrorContains(t, err, "simulate."+f.Name)
					require.ErrorContains(t, err, "Unwrap() simulate.Fleet")
					return
				}
				require.NoError(t, err)
				require.Equal(t, w.keeps, !reflect.ValueOf(with).FieldByName(f.Name).IsNil())
				var want []string
				if w.keeps {
					want = []string{f.Name}
				}
				require.Equal(t, want, Companions(x))
			})
		}
	}
}

// A fleet that could only panic is refused, by its name.
func TestAFleetThatIsNilInsideIsRefused(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), ota.Spec{}, FleetFunc(nil), Options{})
	require.ErrorIs(t, err, ota.ErrInvalid)
	require.ErrorContains(t, err, "fleet (simulate.FleetFunc) is nil inside")
}

// The wrapper of a Fleet is found by ota.As, like that of an Executor.
func TestAsLooksBehindWrappersOfAFleet(t *testing.T) {
	t.Parallel()
	_, ok := ota.As[Prober](wrappedFleet{capable{plainFleet}})
	require.True(t, ok)
	_, ok = ota.As[Prober](silentFleet{capable{plainFleet}})
	require.False(t, ok)
}
