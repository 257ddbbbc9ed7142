// Package errgroups is the floor in memory: the code that a Go programmer writes without a library.
// It starts a goroutine for each task and limits their number.
package errgroups

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Run runs no-op tasks, at most limit at a time. Each group of tasks has an errgroup; groups run
// one after the other.
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
