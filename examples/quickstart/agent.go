package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// identity is an agent's answer to the question for its version.
type identity struct {
	Version string    `json:"version"` // of the release that this process runs, whatever the link points to now
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// agentMain is the program on every machine of the fleet. It runs the release that `current` points
// to when it starts. It serves its version and its health on a port of its own. It ends when its
// standard input ends, which happens when the process that started it ends.
func agentMain(home string) error {
	signal.Ignore(os.Interrupt) // Ctrl-C reaches the whole terminal, but our parent decides when we end
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	current, err := readRelease(filepath.Join(home, "current"))
	if err != nil {
		return err
	}
	var machine hardware
	if err := readJSON(filepath.Join(home, "machine.json"), &machine); err != nil {
		return err
	}
	time.Sleep(current.warmup(filepath.Base(home)))
	if err := current.fits(machine); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	me := identity{Version: current.Version, PID: os.Getpid(), Started: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(me)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	fmt.Printf("http://%s\n", listener.Addr()) // sends our address to our parent
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.Serve(listener)
}
