// Package expect decides whether failures are more than usual. It is a sequential test that may be
// looked at after every agent, without a minimum sample and without a schedule of looks.
//
// # The test
//
// Agents usually fail with a probability of at most p. Let f of the first n agents fail. Against
// one worse rate q, the evidence is the likelihood ratio: each failure multiplies it by q/p, each
// success by (1-q)/(1-p). While every agent fails with a probability of at most p, whatever
// happened before, the expected factor is at most 1. So the evidence is a non-negative
// supermartingale whose first value is one. An average over many q is such a process, too. This
// package averages over log-uniform q in (p, 1]: every order of magnitude above p weighs the same.
// The average has a closed form. Let B be the number of failures of n agents that fail with
// probability p:
//
//	E(n, f) = P(B < f) / (f · P(B = f) · ln(1/p))
//
// By Ville's inequality, such a process ever reaches 1/alpha with a probability of at most alpha.
// So the test stops a release when E(n, f) >= 1/alpha. Tolerated(n) is the largest f that does not.
//
// # Facts that the engine relies on
//
//   - Tolerated never falls as n grows, and rises by at most 1 when n rises by 1. So a table is the
//     list of the n at which it rises.
//   - Taking m failures out of both counts never stops a release. A retry and a skip do that.
//
// # Sources
//
//   - J. Ville, Étude critique de la notion de collectif, 1939.
//   - A. Wald, Sequential Tests of Statistical Hypotheses, Ann. Math. Statist. 16, 1945.
//   - H. Robbins, Statistical Methods Related to the Law of the Iterated Logarithm, Ann. Math.
//     Statist. 41, 1970: mixtures.
//   - S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-uniform, nonparametric, nonasymptotic
//     confidence sequences, Ann. Statist. 49(2), 2021.
//   - A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, Game-Theoretic Statistics and Safe Anytime-Valid
//     Inference, Statistical Science 38(4), 2023.
package expect

import (
	"math"
	"slices"
	"sync"
)

// Most is the largest number of agents that a table is computed for, about ten million. Beyond it,
// Tolerated grows in proportion, which is an upper bound.
const Most = 10_000_000

// Table tells how many failures are tolerated among the agents that have begun. It lists the
// numbers of agents at which the tolerance rises, in ascending order. The zero value tolerates
// none. A plan stores its tables, so a later version of this package judges the plan as this one
// did.
//
// A table is exact up to a tolerance of 1,024. Beyond, it is never below the exact value, and at
// most
// 0.1 % above. So it has at most 8,400 entries.
type Table []int

// New returns the table of a test that stops a good release by mistake in at most alpha of the
// plans. A release is good while each agent fails with a probability of at most normal. The table
// is for so many agents. It is the same on every processor.
func New(normal, alpha float64, agents int) Table {
	var t Table
	tolerated, next := 0, 0
	rises(normal, alpha, min(agents, Most), func(n int) {
		if tolerated == next {
			next = following(next)
			t = append(t, n)
		}
		tolerated++
	})
	return t
}

// exact is the largest tolerance below which a table omits none.
const exact = 1024

// following returns the tolerance after this one in a table.
func following(tolerance int) int { return tolerance + 1 + tolerance/exact }

// beyond are the tolerances of the entries after the first 1,024.
var beyond = sync.OnceValue(func() []int {
	all := make([]int, 8400)
	t := exact
	for i := range all {
		t = following(t)
		all[i] = t
	}
	return all
})

// tolerance returns what is tolerated from the entry with this number on, counted from 1.
func tolerance(entry int) int {
	if entry <= exact {
		return entry
	}
	all := beyond()
	return all[min(entry-exact, len(all))-1]
}

// Tolerated returns how many failures are tolerated among n agents.
func (t Table) Tolerated(n int) int {
	if n > Most {
		return int(math.Ceil(float64(t.Tolerated(Most)) / Most * float64(n)))
	}
	i, found := slices.BinarySearch(t, n)
	if found {
		i++
	}
	return tolerance(i)
}

// Explains reports whether a test with this usual rate tolerates so many failures among n agents.
// It takes as many steps as there are failures. Its answer may differ from that of a Table where
// the two sides are equal but for rounding.
func Explains(normal, alpha float64, n, failed int) bool {
	if failed > n {
		return false
	}
	limit := inverseLog(normal) / alpha * float64(failed)
	odds := (1 - normal) / normal
	r, term := 0.0, 1.0
	for k := range failed {
		term = float64(term * float64(float64(float64(failed-k)*odds)/float64(n-failed+k+1)))
		if r += term; r >= limit {
			return false
		}
	}
	return true
}

// rises reports the n at which Tolerated rises by one, up to most.
//
// With r(n, f) = P(B < f) / P(B = f), the evidence is at least 1/alpha when r(n, f) >=
// ln(1/p)/alpha · f. Two exact recurrences give r at n+1 and at f+1 without logarithms, factorials
// or cancellation.
//
// Every conversion to float64 is needed: it forbids the compiler to fuse a product and a sum into
// one rounding, which some processors can and others cannot.
func rises(p, alpha float64, most int, report func(n int)) {
	limit := inverseLog(p) / alpha
	q := 1 - p
	r, f := q/p, 1 // r at n = 1, f = 1; f is always Tolerated + 1
	for n := 1; n <= most; n++ {
		if r < limit*float64(f) {
			report(n)
			if f == n {
				r, f = float64((r+1)/p)-1, f+1 // already that of n + 1, f + 1
				continue
			}
			r = float64((r + 1) * (float64(float64(f+1)*q) / float64(float64(n-f)*p))) // f + 1
			f++
		}
		r = float64(r*(float64(n+1-f)/float64(float64(n+1)*q))) - float64(f)/float64(n+1) // n + 1
	}
}

// inverseLog returns ln(1/p) from additions, products and quotients alone. math.Log is written in
// assembly for some processors, so its last bit may differ.
func inverseLog(p float64) float64 {
	const ln2 = 0.693147180559945309417232121458176568
	m, e := math.Frexp(p)
	z := float64((m - 1) / (m + 1))
	zz, sum := float64(z*z), 0.0
	for k := 61; k >= 1; k -= 2 {
		sum = float64(sum*zz) + 1/float64(k)
	}
	return float64(float64(-e)*ln2) - float64(2*float64(z*sum))
}
