package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/examples/internal/planstore"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/otatest"
	"golang.org/x/sync/errgroup"
)

// How long calls of agents, and requests, may continue after the stop signal.
const (
	drain = 5 * time.Second
	grace = time.Second
)

// run serves until ctx ends.
func run(ctx context.Context, c config, stdout, stderr io.Writer) (err error) {
	level := slog.LevelInfo
	if c.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	listener, err := net.Listen("tcp", c.addr) // first, so that a second server with the same address ends here
	if err != nil {
		return err
	}
	defer listener.Close()
	store, closeStore, err := planstore.Open(ctx, c.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	engine, err := ota.New(store, otatest.NewFleet(otatest.Options{Latency: c.latency, SickAfter: c.sick}), ota.Options{
		Name:         c.name, // an engine that returns under its name has its plans back at once
		Logger:       log,
		DrainTimeout: drain,
		AbandonAfter: grace,
	})
	if err != nil {
		return err
	}
	site, err := mount(engine, c, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range append(site.loops, engine.Run) {
		g.Go(func() error { return loop(ctx) })
	}
	g.Go(func() error { return serve(ctx, listener, site.handler, log) })
	err = g.Wait()
	if errors.Is(err, ota.ErrAbandoned) { // agents that ignore the stop signal: their work is not recorded
		log.WarnContext(ctx, "calls are left behind", "error", err)
		err = nil
	}
	return err
}

// serve answers requests until ctx ends. Requests that are then in progress have a moment to end.
// Streams of events would not end by themselves: they are cut off after it, and their readers
// reconnect with their last event.
func serve(ctx context.Context, listener net.Listener, h http.Handler, log *slog.Logger) error {
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := httpapi.RecommendedServer("", h)
	srv.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	srv.BaseContext = func(net.Listener) context.Context { return requests }
	down := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		soon, cancel := context.WithTimeout(requests, grace)
		defer cancel()
		err := srv.Shutdown(soon)
		if errors.Is(err, context.DeadlineExceeded) {
			cut()
			again, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
			defer cancel()
			err = errors.Join(srv.Shutdown(again), srv.Close())
		}
		down <- err
	})
	err := srv.Serve(listener)
	if stop() { // it did not end because of ctx
		return err
	}
	return <-down
}
