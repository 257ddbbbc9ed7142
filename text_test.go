package ota

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-19b57ce3/ota/internal/kit"
	"github.com/stretchr/testify/require"
)

func TestCleanedTexts(t *testing.T) {
	for name, text := range kit.Texts() {
		t.Run(name, func(t *testing.T) {
			for most, got := range map[int]string{
				maxText: string(cleanLine(text)), maxMessage: string(cleanMessage(text)), -maxText: string(cleanVersion(text)),
			} {
				require.True(t, kit.Storable(got) && len(got) <= max(most, -most), "%q", got)
				for _, r := range got {
					require.False(t, unicode.IsControl(r) && (most != maxMessage || r != '\n' && r != '\t'), "%q", got)
				}
				require.Equal(t, text == "", got == "", "a text stays one")
				if most != -maxText && textProblem(text, most) == "" {
					require.Equal(t, text, got, "what a caller may give is not changed")
				}
				if len(text) > most && most > 0 {
					require.Greater(t, len(got), most-utf8.UTFMax, "no more is cut than has to be")
				}
				require.Equal(t, got, string(clean(got, max(most, -most), 0)), "what is clean stays so")
			}
		})
	}
	require.Equal(t, cleaned("one two three "), cleanLine("one\r\ntwo\tthree\n"))
	require.Equal(t, cleaned("one\ntwo\tthree\n"), cleanMessage("one\r\ntwo\tthree\n"))
	require.Equal(t, cleaned("a\ufffdb"), cleanMessage("a\x00b"))
}

// faulty is an error of which every method panics.
type faulty struct{}

func (*faulty) Error() string { panic("no text") }

func (*faulty) Unwrap() error { panic("nothing inside") }

func (*faulty) Is(error) bool { panic("no idea") }

func (*faulty) As(target any) bool { panic("neither") }

func TestAnErrorWhoseMethodsPanic(t *testing.T) {
	f := readError(&faulty{})
	require.Equal(t, ReasonPanic, f.reason)
	require.Contains(t, f.text, "a method of the error panics")
	f = readError(Permanent(errors.New("x\x00")))
	require.Equal(t, failure{reason: ReasonPermanent, text: "x\ufffd"}, f)
}

func FuzzClean(f *testing.F) {
	for _, text := range kit.Texts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		require.True(t, kit.Storable(string(cleanLine(text))))
		require.True(t, kit.Storable(string(cleanMessage(text))))
		require.True(t, kit.Storable(string(cleanVersion(text))))
	})
}

// Every character that cannot be seen is refused in an ID, by its code point, wherever it stands; blanks only around one.
func TestInvisibleCharactersInIDs(t *testing.T) {
	for r, name := range invisibleNames {
		for _, id := range []string{"a" + string(r) + "b", string(r) + "a", "a" + string(r)} {
			problem := idProblem(id)
			require.Contains(t, problem, fmt.Sprintf("%U (%s)", r, name), "%+q", id)
		}
	}
	seen := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		bare := unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector)
		if bare {
			seen++
			require.NotEmpty(t, idProblem("a"+string(r)+"b"), "%U", r)
		}
		if unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.Sc, unicode.Sm) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) {
			require.Empty(t, idProblem("a"+string(r)), "%U", r)
		}
	}
	require.Greater(t, seen, 400)
	for _, id := range []string{" a", "a ", " "} {
		require.Contains(t, idProblem(id), "(U+0020)")
	}
	for _, id := range []string{"a b", "a/b", "naïve", "日本", "🚀", "a\ufffdb", `"a"`} {
		require.Empty(t, idProblem(id), id)
	}
}

// A precheck knows the same versions as the engine.
func TestSameVersionElsewhere(t *testing.T) {
	same := func(a, b string) bool { return strings.TrimPrefix(a, "v") == b }
	p, _ := readPrecheck(same, Attempt{ToVersion: "2"}, Precheck{Version: "v2\n"}, nil)
	require.Equal(t, Precheck{State: PrecheckAtTarget, Version: "2"}, p)
}

// TestEnums holds every enumeration to its words, which are stored and on the wire: each word
// survives JSON, and nothing else is read. An enumeration that is missing here fails the test.
func TestEnums(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T){
		"Status": enumTest[Status]("unknown pending running pausing paused canceling canceled rolling_back " +
			"rolled_back completed"),
		"Needs":       enumTest[Needs]("time person engine"),
		"CallKind":    enumTest[CallKind]("execute precheck health inspect gate"),
		"HarmKind":    enumTest[HarmKind]("fails hangs unhealthy"),
		"Coverage":    enumTest[Coverage]("none partial all"),
		"Inherit":     enumTest[Inherit]("limits batches all"),
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
			"task_retried health late gate plan_prechecked already_fulfilled waiting"),
		"Scope":             enumTest[Scope]("batch plan first"),
		"Action":            enumTest[Action]("pause rollback continue"),
		"UnreachableAction": enumTest[UnreachableAction]("fail skip"),
		"BudgetOf":          enumTest[BudgetOf]("unavailable open"),
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
