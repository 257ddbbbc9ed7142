// Package testserver is what tests of the HTTP APIs need of a host: an Engine that runs, the simulated fleet, and a server on a real
// port, until the test has ended.
package testserver

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Engine returns an Engine over a fleet whose agents take the given time, and runs it until the test has ended.
func Engine(t testing.TB, latency time.Duration) (*ota.Engine, *otatest.Fleet) {
	t.Helper()
	fleet := otatest.NewFleet(otatest.Options{Latency: latency})
	e, err := ota.New(ota.NewMemStore(), fleet, ota.Options{DrainTimeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	Run(t, e.Run)
	return e, fleet
}

// Run runs the loop of an Engine or of a handler until the test has ended.
func Run(t testing.TB, loop func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loop(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Serve listens on a port of this machine until the test has ended, and returns the server's URL.
func Serve(t testing.TB, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpapi.RecommendedServer("", h)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}
