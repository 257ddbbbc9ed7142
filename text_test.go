package ota

import (
	"errors"
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

func (*faulty) Error() string      { panic("no text") }
func (*faulty) Unwrap() error      { panic("nothing inside") }
func (*faulty) Is(error) bool      { panic("no idea") }
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
