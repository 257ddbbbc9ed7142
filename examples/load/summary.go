package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// summary compares the server's processor time for a summary with its time for a handler that
// writes as many bytes.
func summary(ctx context.Context, t *target) error {
	const rounds = 7
	path, bare, n, err := t.pair(ctx)
	if err != nil {
		return err
	}
	var ratios []float64
	for i := range rounds + 1 {
		whole, rate, err := t.cost(ctx, path)
		if err != nil {
			return err
		}
		floor, bareRate, err := t.cost(ctx, bare)
		if err != nil {
			return err
		}
		if i > 0 { // the first one only warms up
			ratios = append(ratios, float64(whole)/float64(floor))
			fmt.Printf("  %d bytes: summary %v of processor time a request, %.0f requests/s; bare %v, %.0f requests/s: ratio %.2f\n", n, whole, rate,
				floor, bareRate, ratios[len(ratios)-1])
		}
	}
	slices.Sort(ratios)
	median := ratios[len(ratios)/2]
	fmt.Printf("  median ratio %.2f\n", median)
	if median > mostOfBare {
		return fmt.Errorf("a summary costs %.2f times a bare handler, want at most %.0f", median, mostOfBare)
	}
	return nil
}

// mostOfBare is the limit for the cost of a summary, in bare handlers.
const mostOfBare = 3.0

// pair makes a plan. It returns the URL of its summary, the URL of a bare handler that writes as
// many bytes, and their number.
func (t *target) pair(ctx context.Context) (path, bare string, n int64, err error) {
	id, err := t.create(ctx, "quick-", 1000, 5)
	if err != nil {
		return "", "", 0, err
	}
	path = t.url + "/api/v1/lifecycle/upgrade-plans/" + id + "/summary"
	n, err = t.get(ctx, path)
	return path, fmt.Sprintf("%s/bare?n=%d", t.url, n), n, err
}

func (t *target) get(ctx context.Context, url string) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := t.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return n, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return n, err
}

// cost returns the server's processor time for one request, measured with 16 clients at once, and
// the requests that it answers in a second.
func (t *target) cost(ctx context.Context, url string) (each time.Duration, rate float64, err error) {
	const clients, requests = 16, 1500
	before, err := t.stats(ctx)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range clients {
		g.Go(func() error {
			for range requests {
				if _, err := t.get(ctx, url); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	after, err := t.stats(context.WithoutCancel(ctx))
	return (after.CPU - before.CPU) / (clients * requests), clients * requests / took.Seconds(), err
}
