package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// loaded is the result of one run of wrk.
type loaded struct {
	rate float64       // requests a second, as wrk reports
	cpu  time.Duration // of the server, for one request
}

// wrk is summary with a public load generator, https://github.com/wg/wrk. It loads both handlers in
// turn, as fast as 16 connections can. It compares two numbers: requests a second, and the server's
// processor time for one request.
func wrk(ctx context.Context, t *target) error {
	const rounds = 5
	if tool, _ := exec.LookPath("wrk"); tool == "" {
		fmt.Println("  left out: there is no wrk (Debian and Ubuntu: apt-get install wrk)")
		return nil
	}
	path, bare, n, err := t.pair(ctx)
	if err != nil {
		return err
	}
	var whole, floor []loaded
	for range rounds {
		a, err := t.load(ctx, path)
		if err != nil {
			return err
		}
		b, err := t.load(ctx, bare)
		if err != nil {
			return err
		}
		whole, floor = append(whole, a), append(floor, b)
		fmt.Printf("  %d bytes: summary %.0f requests/s, %v of processor time each; bare %.0f requests/s, %v each\n", n, a.rate, a.cpu, b.rate, b.cpu)
	}
	rate := func(l loaded) float64 { return l.rate }
	cpu := func(l loaded) float64 { return float64(l.cpu) }
	slower, dearer := median(floor, rate)/median(whole, rate), median(whole, cpu)/median(floor, cpu)
	fmt.Printf("  medians: a bare handler makes %.2f times as many requests a second, a summary costs %.2f times the processor time\n", slower, dearer)
	if max(slower, dearer) > mostOfBare {
		return fmt.Errorf("a summary costs %.2f times a bare handler, want at most %.0f", max(slower, dearer), mostOfBare)
	}
	return nil
}

func median(list []loaded, of func(loaded) float64) float64 {
	var values []float64
	for _, l := range list {
		values = append(values, of(l))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

var (
	rateLine    = regexp.MustCompile(`Requests/sec: +([0-9.]+)`)
	requestLine = regexp.MustCompile(`([0-9]+) requests in`)
	errorLine   = regexp.MustCompile(`Non-2xx|Socket errors`)
)

// load runs wrk on a URL for five seconds.
func (t *target) load(ctx context.Context, url string) (loaded, error) {
	before, err := t.stats(ctx)
	if err != nil {
		return loaded{}, err
	}
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c16", "-d5s", url).CombinedOutput()
	if err != nil {
		return loaded{}, fmt.Errorf("wrk %s: %w: %s", url, err, out)
	}
	after, err := t.stats(ctx)
	if err != nil {
		return loaded{}, err
	}
	rate, requests := rateLine.FindSubmatch(out), requestLine.FindSubmatch(out)
	if rate == nil || requests == nil || errorLine.Match(out) {
		return loaded{}, fmt.Errorf("wrk %s said %s", url, out)
	}
	r, err := strconv.ParseFloat(string(rate[1]), 64)
	if err != nil {
		return loaded{}, err
	}
	n, err := strconv.ParseInt(string(requests[1]), 10, 64)
	return loaded{rate: r, cpu: (after.CPU - before.CPU) / time.Duration(max(n, 1))}, err
}
