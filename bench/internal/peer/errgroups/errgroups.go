// Package errgroups is the floor in memory: what a Go programmer writes without a library, a goroutine for each task and
// a limit on how many there are.
package errgroups

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Run does tasks no-ops, at most limit at a time, under one errgroup for each group of them, one group after the other.
func Run(tasks, group, limit int) error {
	ctx := context.Background()
	noop := func(context.Context) error { return nil }
	for done := 0; done < tasks; done += group {
		var g errgroup.Group
		g.SetLimit(limit)
		for range min(group, tasks-done) {
			g.Go(func() error { return noop(ctx) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}
