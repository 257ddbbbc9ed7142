package httpapi

import (
	"iter"
	"strings"
)

// nearest returns the known name that somebody may have meant by an unknown one, or "".
// otherCase means that the two differ in capitals only. Capitals, dashes and underscores do not
// count, and up to two letters may be wrong, one in a name of less than six letters.
func nearest(given string, known iter.Seq[string]) (name string, otherCase bool) {
	const longest = 64
	plain := plainName(given)
	if plain == "" || len(plain) > longest {
		return "", false
	}
	best := 3
	for k := range known {
		if strings.EqualFold(k, given) {
			return k, true
		}
		allowed := 2
		if len(k) < 6 {
			allowed = 1
		}
		n := distance(plain, plainName(k))
		if n <= allowed && (n < best || n == best && k < name) {
			name, best = k, n
		}
	}
	return name, false
}

func plainName(s string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s))
}

// distance is how many bytes have to be added, dropped, replaced, or swapped with their neighbor
// to make b of a.
func distance(a, b string) int {
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			n := min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				n = min(n, before[j-1]+1)
			}
			row[j+1] = n
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
