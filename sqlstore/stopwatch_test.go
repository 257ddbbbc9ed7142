package sqlstore

import "time"

// stopwatch measures how often something can be done in a second.
type stopwatch struct {
	n     int
	total time.Duration
}

func (w *stopwatch) time(f func()) {
	start := time.Now()
	f()
	w.total += time.Since(start)
	w.n++
}

func (w *stopwatch) rate() float64 { return float64(w.n) / w.total.Seconds() }
