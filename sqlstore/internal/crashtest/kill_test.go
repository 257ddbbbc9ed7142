//go:build unix

package crashtest

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/sqlstore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// Engines are killed at random moments, hundreds of times, and started again: nothing that was done is done again,
// nothing is lost, and the plans end as if nobody had killed anything.
func TestKill(t *testing.T) {
	t.Parallel()
	n := cmp.Or(*kills, amount(1000, 200, 40))
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		killAll(t, order{DSN: filepath.Join(t.TempDir(), "plans.db")}, n*7/10)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dsn, schema := pgtest.Schema(t)
		killAll(t, order{DSN: dsn, Schema: schema}, n-n*7/10)
	})
}

// killer kills engines.
type killer struct {
	t      *testing.T
	order  order
	fleet  *fleet
	random *rand.Rand
	kills  int
	time   time.Duration // spent on killing and starting again
}

func killAll(t *testing.T, o order, n int) {
	f := startFleet(t, 1500*time.Microsecond)
	o.Fleet = f.address()
	k := &killer{t: t, order: o, fleet: f, random: rand.New(rand.NewPCG(*seedFlag, uint64(n)))}
	rounds := 0
	for ; k.kills < n && !t.Failed(); rounds++ {
		k.round(rounds)
	}
	t.Logf("%d kills in %d rounds, %.1f a second", k.kills, rounds, float64(k.kills)/k.time.Seconds())
}

// round tells three stories to their end, through however many kills.
func (k *killer) round(number int) {
	stories := []story{}
	for i, kind := range [][]kind{{accept, undo, cancel}, {undo, fallBack, retry}, {accept, undo, fallBack}}[number%3] {
		stories = append(stories, story{
			ID: fmt.Sprintf("%s-%d-%d", kind, number, i), Kind: kind, Agents: 40 + 5*i, Batch: 12, Shape: (number + i) % 7,
		})
	}
	o := k.order
	o.Stories = stories
	// An engine that comes back under its name has its plans at once; one without waits for the lease of the one before.
	o.Name, o.Lease = "engine", time.Second
	if number%6 == 5 {
		o.Name, o.Lease = "", 100*time.Millisecond
	}
	began := time.Now()
	for life := 0; k.life(o, life) && !k.t.Failed(); life++ {
	}
	k.time += time.Since(began)
	if !k.t.Failed() {
		k.check(stories)
	}
}

// life starts an engine and kills it. It reports false when the stories have ended first.
func (k *killer) life(o order, number int) bool {
	c := startChild(k.t, o)
	limit := time.Duration(k.random.IntN(25+2*number)) * time.Millisecond // longer, so that a round ends on any machine
	if o.Schema != "" {
		limit *= 2 // to connect takes a while
	}
	if raceEnabled {
		limit *= 5
	}
	switch {
	case o.Name == "":
		limit += 100 * time.Millisecond
	case k.random.IntN(10) == 0: // while it opens the database
		limit /= 2
	default:
		select {
		case <-c.up:
		case <-c.exited:
		case <-time.After(time.Minute):
			k.t.Errorf("the engine does not come up:\n%s", c.complaints())
		}
	}
	select {
	case <-c.exited:
		if c.err != nil {
			k.t.Errorf("the engine ended by itself: %v\n%s", c.err, c.complaints())
		}
		return false
	case <-time.After(limit):
		c.kill()
		k.kills++
		return true
	}
}

// check judges what the round has left behind.
func (k *killer) check(stories []story) {
	t := k.t
	t.Helper()
	s, err := sqlstore.Open(t.Context(), k.order.DSN, sqlstore.Options{Schema: k.order.Schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]line{}
	for _, l := range k.fleet.lines(t) {
		lines[l.Plan] = append(lines[l.Plan], l)
	}
	for _, story := range stories {
		h := read(t, e, story.ID)
		problems := check(h, lines[story.ID])
		if h.plan.RollbackPlan != "" {
			back := read(t, e, h.plan.RollbackPlan)
			problems = append(problems, check(back, lines[back.plan.ID])...)
			problems = append(problems, checkRollback(h, back)...)
		}
		if story.Kind.settled() {
			problems = append(problems, compare(h, uninterrupted(t, story))...)
		}
		for _, p := range problems {
			t.Error(p)
		}
	}
	if k.order.Schema == "" {
		integrity(t, k.order.DSN)
	}
}

// checkRollback compares the agents of a rollback with those that the source has touched.
func checkRollback(source, back history) (problems []string) {
	in := map[string]bool{}
	for _, a := range back.agents {
		in[a.ID] = true
	}
	for _, a := range source.agents {
		if a.Changed && !in[a.ID] {
			problems = append(problems, source.plan.ID+": the rollback forgets "+a.ID)
		}
	}
	if back.plan.Status != ota.StatusCompleted || back.plan.Counts.Bad() > 0 {
		problems = append(problems, fmt.Sprintf("%s: the rollback is %s, %+v", source.plan.ID, back.plan.Status, back.plan.Counts))
	}
	return problems
}

var references sync.Map // shape and kind → history

// uninterrupted tells the same story in memory, to an engine that nobody kills.
func uninterrupted(t *testing.T, s story) history {
	t.Helper()
	id := fmt.Sprint(s)
	if h, ok := references.Load(id); ok {
		return h.(history)
	}
	f := startFleet(t, 0)
	e, err := ota.New(memstore.New(), client{f.address()}, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	driving := make(chan error, 1)
	go func() { driving <- e.Run(ctx) }()
	if err := s.tell(ctx, e); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-driving; err != nil {
		t.Fatal(err)
	}
	h := read(t, e, s.ID)
	references.Store(id, h)
	return h
}

func integrity(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&text); err != nil || text != "ok" {
		t.Error("integrity check:", text, err)
	}
}
