package main

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// The size of the picture and of its panels, in pixels.
const (
	width, height = 960, 400
	top, bottom   = 110, 330
	panelWidth    = 400
	bins          = 25
)

var colors = []string{"#1f6fb4", "#d9722e"}

// draw returns the picture: on the left how many agents failed, on the right when the plan was
// done. Both are histograms of the share of all runs, with one colour for each policy.
func draw(title string, names []string, sides []side, results []*simulate.TrialResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#333">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	text(&b, 60, 24, "start", 15, title)
	for i := range results {
		y := 44 + 18*i
		fmt.Fprintf(&b, `<rect x="60" y="%d" width="12" height="12" fill="%s" fill-opacity="0.6"/>`+"\n", y-10, colors[i])
		text(&b, 78, y, "start", 12, fmt.Sprintf("%s: %s. Completes in %.1f %% of runs, pauses in %.1f %%.",
			names[i], sides[i].String(), 100*results[i].Completed(), 100*results[i].Breached()))
	}
	failed, took := make([][]float64, len(results)), make([][]float64, len(results))
	for i, r := range results {
		for _, t := range r.Runs {
			failed[i] = append(failed[i], float64(t.Failed))
			if t.Status == ota.StatusCompleted {
				took[i] = append(took[i], t.Took.Hours())
			}
		}
	}
	panel(&b, 60, "Failed agents, all runs", failed, len(results[0].Runs), true)
	panel(&b, 540, "Hours until done, runs that completed", took, len(results[0].Runs), false)
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws the histograms of some values; whole means that they are whole numbers.
func panel(b *strings.Builder, x int, title string, values [][]float64, runs int, whole bool) {
	lo, step, n := binning(values, whole)
	shares := make([][]float64, len(values))
	highest := 0.0
	for i, all := range values {
		shares[i] = make([]float64, n)
		for _, v := range all {
			k := min(int((v-lo)/step), n-1)
			shares[i][k] += 1 / float64(runs)
			highest = max(highest, shares[i][k])
		}
	}
	text(b, x, top-18, "start", 13, title)
	axes(b, x, lo, step*float64(n), highest, whole)
	if highest == 0 {
		text(b, x+panelWidth/2, (top+bottom)/2, "middle", 12, "no run")
		return
	}
	w := float64(panelWidth) / float64(n)
	for i := range shares {
		for k, s := range shares[i] {
			if h := s / highest * (bottom - top); h > 0 {
				fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" fill-opacity="0.5"/>`+"\n",
					float64(x)+w*float64(k)+0.5, bottom-h, w-1, h, colors[i])
			}
		}
	}
}

// binning cuts the range of all values into bins of one size.
func binning(values [][]float64, whole bool) (lo, step float64, n int) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, all := range values {
		for _, v := range all {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	switch {
	case lo > hi:
		return 0, 1, 1
	case whole:
		step = math.Ceil((hi - lo + 1) / bins)
		return lo, step, int((hi-lo)/step) + 1
	case lo == hi:
		return lo, time.Minute.Hours(), 1
	default:
		return lo, (hi - lo) / bins, bins
	}
}

func axes(b *strings.Builder, x int, lo, length, highest float64, whole bool) {
	fmt.Fprintf(b, `<path d="M%d %d V%d H%d" fill="none" stroke="#888"/>`+"\n", x, top, bottom, x+panelWidth)
	for i := range 5 {
		at := lo + length*float64(i)/4
		label := fmt.Sprintf("%.1f", at)
		if whole {
			label = fmt.Sprintf("%.0f", at)
		}
		text(b, x+panelWidth*i/4, bottom+18, "middle", 11, label)
	}
	if highest > 0 {
		for i := range 3 {
			y := bottom - (bottom-top)*i/2
			text(b, x-6, y+4, "end", 11, fmt.Sprintf("%.2g %%", 100*highest*float64(i)/2))
		}
	}
}

func text(b *strings.Builder, x, y int, anchor string, size int, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s" font-size="%d">%s</text>`+"\n", x, y, anchor, size, html.EscapeString(s))
}
