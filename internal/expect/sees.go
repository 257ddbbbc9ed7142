package expect

import "math"

// Sees returns the smallest failure rate that a test of n agents detects with a probability of 95 %.
// Each agent fails with that rate, independently of the others. The test detects the rate when more
// than tolerated agents fail. Sees returns 1 if n is not more than tolerated. Show the result to
// people only: its last digits may differ between processors.
func Sees(n, tolerated int) float64 {
	if tolerated >= n {
		return 1
	}
	low, high := 0.0, 1.0
	for range 60 {
		rate := (low + high) / 2
		if float64(tolerated) >= float64(n)*rate || atMost(n, tolerated, rate) > 0.05 {
			low = rate
		} else {
			high = rate
		}
	}
	return high
}

// atMost returns the probability that at most k of n agents fail, each with this rate. It adds the
// terms from k down, which is where they are largest if k is below the mean, and stops at those
// that change nothing.
func atMost(n, k int, rate float64) float64 {
	all, _ := math.Lgamma(float64(n + 1))
	failed, _ := math.Lgamma(float64(k + 1))
	rest, _ := math.Lgamma(float64(n - k + 1))
	term := math.Exp(all - failed - rest + float64(k)*math.Log(rate) + float64(n-k)*math.Log1p(-rate))
	odds := (1 - rate) / rate
	sum := term
	for i := k; i > 0 && term > sum*1e-12; i-- {
		term *= odds * float64(i) / float64(n-i+1)
		sum += term
	}
	return sum
}
