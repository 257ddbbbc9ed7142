// Load measures what watchers and readers cost a server. One process runs an engine with the
// lifecycle API; this one runs its users. It prints its results, and fails when a promise of
// docs/http.md does not hold. It takes some minutes, and nothing else should run meanwhile.
//
//	go run ./examples/load            # all scenarios
//	go run ./examples/load watchers   # 10,000 watchers of one plan with some five records a second
//	go run ./examples/load slow       # watchers that do not read, and a plan at full speed
//	go run ./examples/load summary    # a summary, against a handler that only writes
//	go run ./examples/load wrk        # the same, measured with wrk, if it is installed
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/client"
)

// scenarios are the measurements, in this order.
var scenarios = []struct {
	name string
	run  func(context.Context, *target) error
}{
	{"watchers", watchers},
	{"slow", slowWatchers},
	{"summary", summary},
	{"wrk", wrk},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == serveCommand {
		fail(serve())
		return
	}
	for _, s := range scenarios {
		if len(os.Args) > 1 && os.Args[1] != s.name {
			continue
		}
		fmt.Println(s.name)
		fail(against(s.run))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// target is the server under load: a process of its own.
type target struct {
	url  string
	http *http.Client
	*client.Client
}

// against starts a server for one scenario.
func against(run func(context.Context, *target) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], serveCommand)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // the server ends when this closes
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		t := &target{
			url:  strings.TrimSpace(line),
			http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		}
		if t.Client, err = client.New(t.url, client.Options{HTTP: t.http}); err == nil {
			err = run(ctx, t)
		}
	}
	return errors.Join(err, in.Close(), cmd.Wait())
}

// stats asks the server for its resource use. The server first collects its garbage.
func (t *target) stats(ctx context.Context) (stats, error) {
	var s stats
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/stats", nil)
	if err != nil {
		return s, err
	}
	resp, err := t.http.Do(r)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// create makes a plan of n agents.
func (t *target) create(ctx context.Context, prefix string, n, concurrency int) (string, error) {
	all := 1.0
	p, err := t.Create(ctx, ota.Spec{
		Name: prefix, FromVersion: "1", ToVersion: "2", ToRelease: "2", Shape: ota.Shape{Size: n},
		Policy: ota.Policy{Concurrency: concurrency, FailureThreshold: &all},
		Agents: func(yield func(ota.Agent, error) bool) {
			for i := range n {
				if !yield(ota.Agent{ID: fmt.Sprint(prefix, i)}, nil) {
					return
				}
			}
		},
	})
	return p.ID, err
}

// pace is the speed of a plan.
type pace struct {
	records uint64
	starts  int
	took    time.Duration // from the first start to the last one
}

func (p pace) perSecond() float64 { return float64(p.starts) / p.took.Seconds() }

// drive starts a plan and waits for its end.
func (t *target) drive(ctx context.Context, id string) error {
	if _, err := t.Start(ctx, id, ota.Request{}); err != nil {
		return err
	}
	for {
		s, err := t.Summary(ctx, id)
		if err != nil || s.Status.Ended() {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// paceOf computes a plan's pace from its log.
func (t *target) paceOf(ctx context.Context, id string) (pace, error) {
	var p pace
	var first time.Time
	for rec, err := range t.Watch(ctx, id, 0) {
		if err != nil {
			return p, err
		}
		p.records = rec.Revision
		for _, e := range rec.Events {
			if e.Kind != ota.EventTaskStarted {
				continue
			}
			if p.starts++; first.IsZero() {
				first = rec.At
			}
			p.took = rec.At.Sub(first)
		}
	}
	return p, nil
}
