//go:build unix

package crashtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
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

// saying is one verb or read of a client, heard is its answer.
type saying struct {
	plan string
	verb string
}

type heard struct {
	refused bool // then control is 0: a refusal names the status alone
	model
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
		for plan, part := range byPlan(history) {
			if result := porcupine.CheckOperationsTimeout(planModel, part, time.Minute); result != porcupine.Ok {
				t.Fatalf("the history of plan %s is %s:\n%s", plan, result, describe(part))
			}
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
		return heard{refused: true, model: model{status: refused.Have}}, nil
	}
	return heard{model: model{p.Status, p.Generation}}, err
}

// byPlan is the history of each plan, by the time of the calls.
func byPlan(history []porcupine.Operation) map[string][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, o := range history {
		plan := o.Input.(saying).plan
		parts[plan] = append(parts[plan], o)
	}
	for _, part := range parts {
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	}
	return parts
}

// describe has a line for each operation: client, verb, answer, and the microseconds from its call to its answer.
func describe(history []porcupine.Operation) (text string) {
	for _, o := range history {
		in, out := o.Input.(saying), o.Output.(heard)
		answer := fmt.Sprintf("%s %d", out.status, out.control)
		if out.refused {
			answer = fmt.Sprintf("refused: %s", out.status)
		}
		text += fmt.Sprintf("%7d…%7d client %d %-6s → %s\n", o.Call/1000, o.Return/1000, o.ClientId, in.verb, answer)
	}
	return text
}
