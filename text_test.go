package ota

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/kit"
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
