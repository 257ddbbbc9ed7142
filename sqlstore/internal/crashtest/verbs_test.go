//go:build unix

package crashtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// What many clients of several engines on one database said and heard can be put in one order, in which every answer is
// the right one.
func TestVerbsAreLinearizable(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		linearizable(t, filepath.Join(t.TempDir(), "plans.db"), "")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dsn, schema := pgtest.Schema(t)
		linearizable(t, dsn, schema)
	})
}

// saying is one thing that a client says or asks, heard one thing that it hears.
type saying struct {
	plan string
	verb string
}

type heard struct {
	refused bool
	model
}

// model is a plan: what it is by its verbs, pausing and paused being the same, and its Control number.
type model struct {
	status  ota.Status
	control uint64
}

// said is what becomes of a plan, and what is heard of it.
func (m model) said(verb string) (model, bool) {
	next := map[string]map[ota.Status]ota.Status{
		"start":  {ota.StatusPending: ota.StatusRunning, ota.StatusRunning: ota.StatusRunning},
		"pause":  {ota.StatusRunning: ota.StatusPaused, ota.StatusPaused: ota.StatusPaused},
		"resume": {ota.StatusPaused: ota.StatusRunning, ota.StatusRunning: ota.StatusRunning},
		"cancel": {
			ota.StatusPending: ota.StatusCanceled, ota.StatusRunning: ota.StatusCanceled,
			ota.StatusPaused: ota.StatusCanceled, ota.StatusCanceled: ota.StatusCanceled,
		},
	}[verb]
	to, legal := next[m.status]
	if to != m.status && legal {
		m.status, m.control = to, m.control+1
	}
	return m, legal
}

var planModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byPlan := map[string][]porcupine.Operation{}
		for _, o := range history {
			byPlan[o.Input.(saying).plan] = append(byPlan[o.Input.(saying).plan], o)
		}
		for _, part := range byPlan {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return model{ota.StatusPending, 1} },
	Step: func(state, input, output any) (bool, any) {
		m, out := state.(model), output.(heard)
		if input.(saying).verb == "read" {
			return out.model == m, m
		}
		next, legal := m.said(input.(saying).verb)
		if !legal {
			return out.refused && out.status == m.status, m
		}
		return !out.refused && out.model == next, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " → ", output) },
}

func linearizable(t *testing.T, dsn, schema string) {
	f := startFleet(t, 5*time.Millisecond)
	engines := []*ota.Engine{startEngine(t, dsn, schema, f, ota.Options{Poll: 50 * time.Millisecond})}
	for range 3 {
		s, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		e, err := ota.New(s, nil, ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		engines = append(engines, e)
	}
	operations := 0
	for n := range amount(15, 6, 3) {
		history := say(t, engines, n)
		operations += len(history)
		if result := porcupine.CheckOperationsTimeout(planModel, history, time.Minute); result != porcupine.Ok {
			t.Fatalf("history %d is %s:\n%s", n, result, describe(history))
		}
	}
	t.Logf("%d operations", operations)
}

// say lets eight clients talk to a few plans, and returns what they said and heard.
func say(t *testing.T, engines []*ota.Engine, n int) (history []porcupine.Operation) {
	const clients, sayings, plans = 8, 25, 4
	for p := range plans {
		spec := ota.Spec{ID: fmt.Sprintf("p-%d-%d", n, p), Name: "p", ToVersion: "2", Shape: ota.Shape{Size: 5000}}
		spec.Agents = func(yield func(ota.Agent, error) bool) {
			for i := range 1000 { // more than can be upgraded meanwhile
				if !yield(ota.Agent{ID: fmt.Sprintf("ok-%d-%d-%d", n, p, i)}, nil) {
					return
				}
			}
		}
		if _, err := engines[0].Create(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var talking sync.WaitGroup
	began := time.Now()
	for client := range clients {
		talking.Go(func() {
			random := rand.New(rand.NewPCG(*seedFlag, uint64(n*clients+client)))
			e := engines[client%len(engines)]
			for i := range sayings {
				verbs := []string{"start", "pause", "resume", "pause", "resume", "read", "read"}
				if i > 15 {
					verbs = append(verbs, "cancel")
				}
				in := saying{fmt.Sprintf("p-%d-%d", n, random.IntN(plans)), verbs[random.IntN(len(verbs))]}
				o := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(began))}
				out, err := in.say(t.Context(), e)
				if err != nil {
					t.Error(err)
					return
				}
				o.Output, o.Return = out, int64(time.Since(began))
				mu.Lock()
				history = append(history, o)
				mu.Unlock()
			}
		})
	}
	talking.Wait()
	for p := range plans { // out of the way of the next ones
		_, _ = engines[0].Cancel(t.Context(), fmt.Sprintf("p-%d-%d", n, p), true, operator)
	}
	return history
}

func (s saying) say(ctx context.Context, e *ota.Engine) (heard, error) {
	var p ota.Plan
	var err error
	switch s.verb {
	case "start":
		p, err = e.Start(ctx, s.plan, operator)
	case "pause":
		p, err = e.Pause(ctx, s.plan, operator)
	case "resume":
		p, err = e.Resume(ctx, s.plan, ota.Decision{}, operator)
	case "cancel":
		p, err = e.Cancel(ctx, s.plan, false, operator)
	default:
		p, err = e.Plan(ctx, s.plan)
	}
	var refused *ota.StateError
	if errors.As(err, &refused) {
		return heard{refused: true, model: model{status: simple(refused.Have)}}, nil
	}
	return heard{model: model{simple(p.Status), p.Generation}}, err
}

// simple makes one of the statuses that differ only in what is in flight.
func simple(s ota.Status) ota.Status {
	switch s {
	case ota.StatusPausing:
		return ota.StatusPaused
	case ota.StatusCanceling:
		return ota.StatusCanceled
	}
	return s
}

func describe(history []porcupine.Operation) (text string) {
	for _, o := range history {
		text += fmt.Sprintf("%d: %v → %v  %d…%d\n", o.ClientId, o.Input, o.Output, o.Call/1000, o.Return/1000)
	}
	return text
}
