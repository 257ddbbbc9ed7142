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
		if atMost(n, tolerated, rate) > 0.05 {
			low = rate
		} else {
			high = rate
		}
	}
	return high
}

// atMost returns the probability that at most k of n agents fail, each with this rate.
func atMost(n, k int, rate float64) float64 {
	logRate, logRest := math.Log(rate), math.Log1p(-rate)
	all, _ := math.Lgamma(float64(n + 1))
	sum := 0.0
	for i := range k + 1 {
		failed, _ := math.Lgamma(float64(i + 1))
		rest, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - failed - rest + float64(i)*logRate + float64(n-i)*logRest)
	}
	return sum
}
