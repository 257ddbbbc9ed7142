package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// watchers compares a plan with 10,000 watchers with the same plan alone. The watchers come twice.
// After the second time the server must not use more memory than after the first. (The first time
// leaves the runtime's descriptors of so many goroutines, which the runtime keeps.)
func watchers(ctx context.Context, t *target) error {
	const many, tolerated = 10_000, 0.1
	alone, before, err := t.watched(ctx, 0)
	if err != nil {
		return err
	}
	for round := range 2 {
		p, after, err := t.watched(ctx, many)
		if err != nil {
			return err
		}
		if d := math.Abs(p.perSecond()/alone.perSecond() - 1); d > tolerated {
			return fmt.Errorf("the watchers changed the starts per second by %.0f %%", 100*d)
		}
		if round > 0 && after.Heap > before.Heap+before.Heap/10 {
			return fmt.Errorf("the heap grew from %d to %d bytes", before.Heap, after.Heap)
		}
		before = after
	}
	return nil
}

// watched lets n watchers read a plan with some five records a second. It returns the plan's pace,
// and the server's memory after the watchers are gone.
func (t *target) watched(ctx context.Context, n int) (p pace, after stats, err error) {
	const agents, concurrency = 100, 5
	id, err := t.create(ctx, "paced-", agents, concurrency)
	if err != nil {
		return p, after, err
	}
	idle, err := t.stats(ctx)
	if err != nil {
		return p, after, err
	}
	wait, err := t.watchAll(ctx, id, n)
	if err != nil {
		return p, after, err
	}
	began, err := t.stats(ctx)
	if err == nil {
		err = t.drive(ctx, id)
	}
	if err != nil {
		return p, after, err
	}
	lasts, err := wait()
	if err != nil {
		return p, after, err
	}
	ended, err := t.stats(ctx)
	if err != nil {
		return p, after, err
	}
	if p, err = t.paceOf(ctx, id); err != nil {
		return p, after, err
	}
	for k, last := range lasts {
		if last != p.records {
			return p, after, fmt.Errorf("watcher %d has seen %d of %d records", k, last, p.records)
		}
	}
	fmt.Printf("  %6d watchers: %.2f starts/s, %.2f records/s, each seen by all; server: %.0f %% of a core, heap %.1f MiB\n", n,
		p.perSecond(), float64(p.records)/p.took.Seconds(), 100*(ended.CPU-began.CPU).Seconds()/p.took.Seconds(), float64(began.Heap)/(1<<20))
	after, err = t.leakless(ctx, idle)
	return p, after, err
}

// slowWatchers has some watchers that read nothing while a plan runs at full speed. The server must
// cut them off, and they must find the rest afterwards. The plan must not wait for them.
func slowWatchers(ctx context.Context, t *target) error {
	const stalled, readers, agents, concurrency = 20, 20, 150_000, 64
	before, err := t.stats(ctx)
	if err != nil {
		return err
	}
	var paces [2]pace
	for i, n := range []int{0, stalled} {
		id, err := t.create(ctx, "quick-", agents, concurrency)
		if err != nil {
			return err
		}
		slow := make([]*watcher, n)
		for k := range slow {
			if slow[k], err = t.watch(ctx, id, 0); err != nil {
				return err
			}
		}
		wait, err := t.watchAll(ctx, id, min(n, readers))
		if err != nil {
			return err
		}
		if err := t.drive(ctx, id); err != nil {
			return err
		}
		if paces[i], err = t.paceOf(ctx, id); err != nil {
			return err
		}
		p := paces[i]
		fmt.Printf("  %d watchers that do not read, %d that do: %.0f starts/s, %d records\n", n, min(n, readers), p.perSecond(), p.records)
		if _, err := wait(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // watchers that read may be too slow as well
			return err
		}
		time.Sleep(writeLimit)
		if _, err := t.leakless(ctx, before); err != nil { // although their connections are still open on this side
			return err
		}
		for _, w := range slow {
			if err := t.comeBack(ctx, id, w, p.records); err != nil {
				return err
			}
		}
	}
	return nil
}

// comeBack reads the data that a stalled watcher received, which must be cut off, and then the
// rest, which must follow it.
func (t *target) comeBack(ctx context.Context, id string, w *watcher, records uint64) error {
	_ = w.conn.SetReadDeadline(time.Now().Add(writeLimit)) // a host that dropped a full connection need not report it
	if err := w.read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("a watcher that did not read was not cut off: it has %d of %d records, %w", w.last, records, err)
	}
	again, err := t.watch(ctx, id, w.last)
	if err != nil {
		return err
	}
	if err := again.read(); err != nil || again.last != records {
		return fmt.Errorf("a watcher came back after record %d and got to %d of %d: %w", w.last, again.last, records, err)
	}
	return nil
}

// leakless waits until the server has no more goroutines than before, and returns its stats.
func (t *target) leakless(ctx context.Context, before stats) (stats, error) {
	for range 20 {
		now, err := t.stats(ctx)
		if err != nil {
			return now, err
		}
		if now.Goroutines <= before.Goroutines+5 {
			fmt.Printf("  afterwards: %d goroutines, %d before; heap %.1f MiB, %.1f MiB before\n", now.Goroutines, before.Goroutines,
				float64(now.Heap)/(1<<20), float64(before.Heap)/(1<<20))
			return now, nil
		}
		time.Sleep(250 * time.Millisecond)
	}
	return before, errors.New("goroutines are left")
}
