package kit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Texts are texts that a Store, a terminal or a parser may stumble over, by what is odd about them.
func Texts() map[string]string {
	odd := map[string]string{
		"empty": "", "blanks": " \t \n", "NUL": "a\x00b", "not UTF-8": "a\xffb", "a lone surrogate, encoded": "a\xed\xa0\x80b",
		"overlong": "a\xc0\x80b", "a letter cut": "a\xd0", "control characters": "a\x1b[31m\x7f\u0085b", "lines": "one\r\ntwo\tthree\n",
		"separators": "a\u2028b\u2029c", "right to left": "\u202eabc\u202c שלום", "a byte order mark": "\ufeffa",
		"quotes": `it's "so" \ $1 :id %s`, "a replacement character": "a\ufffdb", "escapes": `a\u0000\ufffd\\ufffd`,
		"emoji": "👩\u200d🚀 🇩🇪", "not a character": "a\uffff\U0010ffff",
	}
	for n, letter := range []string{"x", "ж", "語", "🚀"} {
		for _, most := range []int{255, 4 << 10} {
			for shift := range n + 1 { // a cut at that many bytes falls on each byte of the letter
				name := fmt.Sprintf("letters of %d bytes around %d, %d before", n+1, most, shift)
				odd[name] = strings.Repeat("x", shift) + strings.Repeat(letter, 20+most/len(letter))
			}
		}
		for short := range n + 1 { // with something before it, a cut at 255 falls on each byte of the letter
			name := fmt.Sprintf("%d bytes, letters of %d", 255-short, n+1)
			odd[name] = strings.Repeat(letter, (255-short)/len(letter)) + strings.Repeat("x", (255-short)%len(letter))
		}
	}
	return odd
}

// Storable reports whether every Store has to keep a text, as far as the letters go: it is UTF-8
// without NUL.
func Storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
