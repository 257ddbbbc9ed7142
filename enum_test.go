package ota

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEnums holds every enumeration to its words, which are stored and on the wire: each word
// survives JSON, and nothing else is read. An enumeration that is missing here fails the test.
func TestEnums(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T){
		"Status": enumTest[Status]("unknown pending running pausing paused canceling canceled rolling_back " +
			"rolled_back completed"),
		"Coverage":    enumTest[Coverage]("none partial all"),
		"BatchStatus": enumTest[BatchStatus]("pending running observing completed canceled"),
		"TaskStatus":  enumTest[TaskStatus]("pending running waiting succeeded failed skipped canceled unknown"),
		"Verb": enumTest[Verb]("none start pause resume cancel promote skip retry edit annotate " +
			"create_rollback rollback give_up now"),
		"EventKind": enumTest[EventKind]("none plan_created plan_started plan_paused plan_resumed plan_canceled " +
			"batch_promoted plan_edited plan_annotated order_given order_carried_out " +
			"plan_frozen rollback_started rollback_completed rollback_off plan_status " +
			"plan_owned breach batch_started batch_observing batch_completed " +
			"batch_reopened batch_canceled task_started task_repeated task_succeeded " +
			"task_failed task_skipped task_canceled task_unknown task_waiting " +
			"task_retried health late gate plan_prechecked already_fulfilled"),
		"Scope":             enumTest[Scope]("batch plan"),
		"Action":            enumTest[Action]("pause rollback continue"),
		"UnreachableAction": enumTest[UnreachableAction]("fail skip"),
		"PrecheckState":     enumTest[PrecheckState]("ready at_target blocked away"),
		"GateVerdict":       enumTest[GateVerdict]("none pass fail inconclusive"),
		"Reason":            testReasons,
	}
	for _, name := range marshalers(t) {
		require.Contains(t, tests, name, "its words are not tested")
	}
	for name, test := range tests {
		t.Run(name, test)
	}
}

// enumTest compares an enumeration with its words, which are in the order of its values.
func enumTest[T interface {
	~uint8
	String() string
}](words string) func(*testing.T) {
	return func(t *testing.T) {
		all := strings.Fields(words)
		for i, word := range all {
			require.Equal(t, word, T(i).String())
			b, err := json.Marshal(T(i))
			require.NoError(t, err)
			require.Equal(t, `"`+word+`"`, string(b))
			var back T
			require.NoError(t, json.Unmarshal(b, &back))
			require.Equal(t, T(i), back)
		}
		require.Regexp(t, `^\d+$`, T(len(all)).String(), "the last value is not the last one")
		require.Equal(t, "255", T(255).String())
		for _, b := range []string{`"nonsense"`, `""`, `"` + strings.ToUpper(all[1]) + `"`, `"255"`, `1`} {
			back := T(1)
			require.Error(t, json.Unmarshal([]byte(b), &back), b)
			require.Equal(t, T(1), back, b)
		}
	}
}

func testReasons(t *testing.T) {
	words := map[string]bool{}
	for r := range reasons {
		b, err := r.MarshalText()
		require.NoError(t, err)
		require.False(t, words[string(b)], "%s is there twice", b)
		words[string(b)] = true
		var back Reason
		require.NoError(t, back.UnmarshalText(b))
		require.Equal(t, r, back)
		require.NotEmpty(t, r.Sentence())
		require.NotContains(t, r.Sentence(), ".")
	}
	require.Equal(t, "reason_60", Reason(60).String())
	require.ErrorIs(t, new(Reason).UnmarshalText([]byte("nonsense")), ErrInvalid)
}

// marshalers lists the types of this package that have a method MarshalText.
func marshalers(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Name.Name != "MarshalText" {
				continue
			}
			if recv, ok := fn.Recv.List[0].Type.(*ast.Ident); ok {
				names = append(names, recv.Name)
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}
