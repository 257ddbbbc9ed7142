// Server is a service with ota in it: an engine, a fleet of simulated agents, and the HTTP APIs
// over them.
//
//	go run ./examples/server -addr 127.0.0.1:8080 -db ota.db -token T -latency 50ms
//
// It prints "listening on http://HOST:PORT" on standard output once it accepts connections, and
// logs to standard error. Stop it with Ctrl-C or SIGTERM, or kill it with -9, at any moment.
// Started again with the same -db, it continues every plan.
//
// The ID of an agent selects its behaviour: fail-7 fails, away-7 does not answer, silent-7 succeeds
// and then answers nothing more, late-7 becomes sick after -sick-after (see package otatest). Agents
// with other names succeed. serve.go is the part that you would write for your own service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	fail(err, 2)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends this program at once
	fail(run(ctx, c, os.Stdout, os.Stderr), 1)
}

// fail ends the program when there is an error.
func fail(err error, code int) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(code)
	}
}
