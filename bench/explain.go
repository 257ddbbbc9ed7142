package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
	"github.com/seed-19b57ce3/ota/httpapi"
)

const (
	sideExplain = "Explain"
	sideOwner   = "Explain, asked of the owner"
	sideSummary = "summary over HTTP"
)

// explain asks for the progress of a small plan and of a large one on the same database, each with
// 64 calls in flight. It asks an engine that does not drive them, one that does, and the HTTP API.
func explain(ctx context.Context, t *trial, d place.Database) error {
	small, large, times := 1_000, t.size(1_000_000, 20_000), t.size(2_000, 100)
	s, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	owner, err := busy(ctx, s, small, large)
	if err != nil {
		return err
	}
	defer owner.stop()
	other, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		return err
	}
	h, err := httpapi.New(other, httpapi.Options{Auth: httpapi.Open()})
	if err != nil {
		return err
	}
	err = t.each(func() error {
		for _, n := range []int{small, large} {
			for name, ask := range map[string]func() error{
				sideExplain: func() error { _, err := other.Explain(ctx, sized(n)); return err },
				sideOwner:   func() error { _, err := owner.Explain(ctx, sized(n)); return err },
				sideSummary: func() error { return get(ctx, h, sized(n)+"/summary") },
			} {
				if err := t.takeAsked(name, n, times, ask); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, name := range []string{sideExplain, sideOwner, sideSummary} {
		t.figure(fmt.Sprintf("%s at %d agents, against %d", name, large, small), "x",
			t.ratio(side{name, large}, side{name, small}, perTask), 1.2, 0)
		t.figure(name, "us", micros(t.of(side{name, large}, perTask)), 0, 0)
	}
	return err
}

func sized(n int) string { return fmt.Sprintf("plan%d", n) }

func (t *trial) takeAsked(name string, n, times int, ask func() error) error {
	_, err := t.take(work{side: name, x: n, tasks: times, do: func() (uint64, error) {
		for range times {
			if err := ask(); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}})
	return err
}

func get(ctx context.Context, h http.Handler, path string) error {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/lifecycle/upgrade-plans/"+path, nil))
	if w.Code != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return nil
}

// busyEngine drives plans whose calls return when it is stopped.
type busyEngine struct {
	*ota.Engine
	stop func()
}

// busy makes a plan of each size, and drives them until each has 64 calls in flight.
func busy(ctx context.Context, s ota.Store, sizes ...int) (*busyEngine, error) {
	out := make(chan struct{}, 64*len(sizes))
	e, err := cutOff(s, func(ctx context.Context) {
		out <- struct{}{}
		<-ctx.Done()
	})
	if err != nil {
		return nil, err
	}
	for _, n := range sizes {
		if err := fleet.Add(ctx, e, fleet.Plan{ID: sized(n), Agents: n}); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = e.Run(ctx)
	}()
	for range cap(out) {
		select {
		case <-out:
		case <-ctx.Done():
		}
	}
	return &busyEngine{Engine: e, stop: func() { cancel(); <-ended }}, nil
}
