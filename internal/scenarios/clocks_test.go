package scenarios

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// clock is one of the clocks of a policy, in a plan where it strikes once.
type clock struct {
	policy  ota.Policy
	subject []string // agents of the batch in question
	next    []string // agents of the batch after it
	fleet   func(*scene) ota.Executor
	strikes ota.EventKind // the event that shows it
	nth     int           // which one; 0: the first
	reason  ota.Reason    // of the event; 0: any
	least   time.Duration // from its begin to when it strikes; 0: limit
}

const limit = time.Hour

// clocks has every clock of docs/policies.md.
func clocks() map[string]clock {
	hang, sick := []string{"hang-0"}, func(s *scene) ota.Executor {
		s.fleet.health = func(a ota.Attempt) (ota.Health, error) { return ota.Health{Healthy: a.Agent == "ok-0"}, nil }
		return probed{s.fleet}
	}
	return map[string]clock{
		"PlanTimeout":  {policy: ota.Policy{PlanTimeout: limit, AttemptTimeout: ota.NoTimeout}, subject: hang, strikes: ota.EventBreach, reason: ota.ReasonPlanTimeout},
		"BatchTimeout": {policy: ota.Policy{BatchTimeout: limit, AttemptTimeout: ota.NoTimeout}, subject: hang, strikes: ota.EventBreach, reason: ota.ReasonBatchTimeout},
		"AttemptTimeout": {
			policy: ota.Policy{AttemptTimeout: limit}, subject: hang, strikes: ota.EventTaskFailed, reason: ota.ReasonTimeout,
		},
		"UnreachableTimeout": { // the wait in which the disturbance begins counts
			policy: ota.Policy{UnreachableTimeout: limit}, subject: []string{"away-0"}, strikes: ota.EventTaskFailed, reason: ota.ReasonUnreachable,
			least: limit - time.Minute,
		},
		"Soak.Duration": {policy: ota.Policy{Soak: ota.Soak{Duration: limit}}, subject: []string{"ok-1"}, strikes: ota.EventBatchCompleted},
		"Soak.Stable":   {policy: ota.Policy{Soak: ota.Soak{Stable: limit}}, subject: []string{"ok-1"}, strikes: ota.EventBatchCompleted},
		"Soak.Grace": {
			policy:  ota.Policy{Soak: ota.Soak{Duration: time.Minute, Grace: limit, Interval: time.Minute}},
			subject: []string{"ok-1"}, fleet: sick, strikes: ota.EventTaskFailed, reason: ota.ReasonUnhealthy,
		},
		"Retry.Backoff": { // a wait of an hour may be shortened by half
			policy: ota.Policy{Retry: ota.RetryPolicy{Max: 1, Backoff: limit}}, subject: []string{"flaky-0"}, strikes: ota.EventTaskStarted, nth: 1, least: limit / 2,
		},
		"Throttled": {policy: ota.Policy{UnreachableTimeout: ota.NoTimeout}, subject: []string{"asleep-0"}, fleet: sleepy, strikes: ota.EventTaskStarted, nth: 1},
		"Rate.Per":  {policy: ota.Policy{Rate: ota.Rate{Starts: 1, Per: limit}}, subject: []string{"ok-1"}, strikes: ota.EventTaskStarted},
		"Complete.Within": {
			policy: ota.Policy{Complete: ota.Complete{Min: 1, Within: limit}, FailureThreshold: ptr(1.0)}, subject: []string{"fail-1"}, strikes: ota.EventBatchCompleted,
		},
		"Stragglers.After": {
			policy:  ota.Policy{Stragglers: ota.Stragglers{Share: 1, After: limit}, AttemptTimeout: ota.NoTimeout},
			subject: hang, next: []string{"ok-9"}, strikes: ota.EventBatchCompleted,
		},
		"Gate.Interval": {
			policy: ota.Policy{Gate: ota.Gate{Interval: limit, MaxInconclusive: 100}}, subject: []string{"ok-1"},
			fleet: func(s *scene) ota.Executor { return undecided{s.fleet} }, strikes: ota.EventGate, nth: 1,
		},
	}
}

// sleepy makes an agent ask for an hour of patience, once.
func sleepy(s *scene) ota.Executor {
	s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
		if a.Agent != "asleep-0" || a.Number > 1 {
			return ota.Result{}, false, nil
		}
		return ota.Result{}, true, ota.Throttled(errors.New("asleep"), limit)
	}
	return s.fleet
}

// struck returns when the clock has struck.
func (c *clock) struck(s *scene, id string) (at time.Time) {
	n := 0
	for _, r := range s.log(id) {
		for _, e := range r.Events {
			first := e.Batch == 0 && s.plan(id).Batches > 1 // the batch before the one in question
			if e.Kind != c.strikes || c.reason != 0 && e.Reason != c.reason || first && c.strikes != ota.EventBreach {
				continue
			}
			if e.Kind == ota.EventTaskStarted && e.Agent != c.subject[0] {
				continue
			}
			if n++; n == c.nth+1 {
				return r.At
			}
		}
	}
	return time.Time{}
}

// The disturbance begins half a limit after the plan, and takes ten limits.
const (
	disturbed = limit / 2
	calm      = disturbed + 10*limit
)

// disturbances are what may keep a plan from working. The scene begins at midnight.
var disturbances = []struct {
	name   string
	policy func(*ota.Policy)
	begin  func(*scene, string) (end func())
}{
	{"window shut", func(p *ota.Policy) {
		p.Windows = []ota.Window{{Length: disturbed}, {Start: calm, Length: 24*time.Hour - calm}}
	}, func(*scene, string) func() { return func() {} }},
	{"batch held", func(p *ota.Policy) { p.Hold.All = true }, func(s *scene, id string) func() {
		return func() { s.said(s.e.Promote(s.ctx, id, 1, ota.Request{})) }
	}},
	{"plan paused", func(*ota.Policy) {}, func(s *scene, id string) func() {
		s.said(pauseIt(s, id))
		return func() {
			if p := s.plan(id); p.Status == ota.StatusPaused || p.Status == ota.StatusPausing {
				_, err := s.e.Resume(s.ctx, id, ota.Accept(p.Counts.Bad()), ota.Request{})
				require.NoError(s, err)
			}
		}
	}},
	{"no engine", func(*ota.Policy) {}, nil},
}

// Each clock stops, or does not, as the table of docs/policies.md says, and strikes in the end.
func TestWhatStopsAClock(t *testing.T) {
	all, table := clocks(), clockTable(t)
	require.Len(t, table, len(all))
	for name, row := range table {
		c, ok := all[name]
		require.True(t, ok, "docs/policies.md has the unknown clock %s", name)
		require.Len(t, row, len(disturbances))
		for i, d := range disturbances {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				inScene(t, func(s *scene) {
					policy, agents, held := c.policy, c.subject, d.name == "batch held"
					d.policy(&policy)
					if held || name == "Rate.Per" || c.next != nil {
						agents = append([]string{"ok-0"}, agents...)
					}
					agents = append(agents, c.next...)
					shape := ota.Shape{}
					if held || c.next != nil {
						shape.Size = 1
					}
					x := ota.Executor(s.fleet)
					if c.fleet != nil {
						x = c.fleet(s)
					}
					patient := ota.Options{Name: "one", Poll: time.Minute, Lease: time.Hour}
					s.e = s.engineOf(s.store, x, patient)
					began := time.Now()
					id := s.start(policy, shape, agents...)
					stop := s.run(s.e)
					s.after(disturbed)
					if d.begin == nil {
						require.NoError(s, stop())
						s.after(calm - disturbed)
						s.e = s.engineOf(s.store, x, patient)
						s.run(s.e)
					} else {
						end := d.begin(s, id)
						s.after(calm - disturbed)
						end()
					}
					s.after(5 * limit)
					at := c.struck(s, id)
					require.False(s, at.IsZero(), "it never strikes")
					least, most := c.expected(row[i])
					require.GreaterOrEqual(s, at.Sub(began), least)
					require.LessOrEqual(s, at.Sub(began), most)
				})
			})
		}
	}
}

// expected returns when a clock strikes, by the word of the table.
func (c *clock) expected(word string) (least, most time.Duration) {
	least, most = limit, limit+3*time.Minute // an unreachable agent is tried once a minute
	if c.least != 0 {
		least = c.least
	}
	switch word {
	case "runs":
		return least, most
	case "stops":
		return least + calm - disturbed, most + calm - disturbed
	case "late":
		return calm, calm + 3*time.Minute
	case "later", "again":
		return least + calm, most + calm
	default:
		return -1, -1
	}
}

// clockTable reads the table of clocks: the words for each disturbance, by clock.
func clockTable(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/policies.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(text), "| clock | begins |")
	require.True(t, ok)
	head, table, _ := strings.Cut(table, "\n")
	for i, name := range strings.Split(strings.Trim(head, "| "), "|") {
		require.Equal(t, disturbances[i].name, strings.TrimSpace(name))
	}
	rows := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "| \n"), "|")
		if len(cells) < 3 {
			break
		}
		if strings.HasPrefix(cells[0], "-") {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		rows[cells[0]] = cells[2:]
	}
	return rows
}
