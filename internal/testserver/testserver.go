// Package testserver is the host that tests of the HTTP APIs need: a running Engine, the simulated
// fleet, and a server on a real port. All of them run until the test ends.
package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Engine returns an Engine over a fleet with the given latency, and runs it until the test ends.
func Engine(t testing.TB, latency time.Duration) (*ota.Engine, *otatest.Fleet) {
	t.Helper()
	fleet := otatest.NewFleet(otatest.Options{Latency: latency})
	e, err := ota.New(memstore.New(), fleet, ota.Options{DrainTimeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	Run(t, e.Run)
	return e, fleet
}

// Run runs the loop of an Engine or of a handler until the test ends.
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

// Serve listens on a port of this machine until the test ends, and returns the server's URL.
func Serve(t testing.TB, h http.Handler) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
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

// Lifecycle serves the lifecycle API on a real port, over an Engine that runs until the test has
// ended. It returns a client, whose name is "ann", and the URL of the server.
func Lifecycle(
	t testing.TB, x ota.Executor, opt httpapi.Options,
) (c *client.Client, e *ota.Engine, url string) {
	t.Helper()
	e, err := ota.New(memstore.New(), x, ota.Options{DrainTimeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	Run(t, e.Run)
	authorize := opt.Auth.Authorize
	opt.Auth = httpapi.Tokens(map[string]string{"ann-token": "ann"})
	opt.Auth.Authorize = authorize
	h, err := httpapi.New(e, opt)
	if err != nil {
		t.Fatal(err)
	}
	url = Serve(t, h)
	return Client(t, url, client.Options{Token: "ann-token"}), e, url
}

// Client returns a client of a server. Where opt has no HTTP it has connections of its own.
func Client(t testing.TB, url string, opt client.Options) *client.Client {
	t.Helper()
	if opt.HTTP == nil {
		opt.HTTP = &http.Client{Transport: &http.Transport{}}
	}
	c, err := client.New(url, opt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Quick is an Executor that upgrades an agent at once. An agent whose ID begins with "fail" fails,
// except in a rollback.
func Quick(_ context.Context, a ota.Attempt) (ota.Result, error) {
	if strings.HasPrefix(a.Agent, "fail") && !a.IsRollback {
		return ota.Result{}, errors.New("disk full")
	}
	return ota.Result{Version: a.ToVersion}, nil
}

// Stall sends a request whose body ends early, or never begins. It returns the answer, up to the
// moment when the server closes the connection.
func Stall(t testing.TB, url, method, path string, header http.Header, body string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var lines strings.Builder
	err = header.Write(&lines)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(5 * time.Second))
	}
	if err == nil {
		_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n%s\r\n%s", method, path, lines.String(), body)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%s %s: %v after %q", method, path, err, answer)
	}
	return string(answer)
}
